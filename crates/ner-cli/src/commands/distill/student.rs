//! The student before its lesson.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ner_model::{DeviceChoice, ModelConfig, TokenClassifier};
use ner_tagger::Sentence;
use subword_align::SubwordTokenizer;
use tempfile::TempDir;

use crate::commands::new_model::{NewModel, Sizes};

/// Where a student is read from.
pub enum Student {
    Given(PathBuf),
    New(TempDir),
    /// A checkpoint.
    OnItsWay(PathBuf),
}

impl Student {
    /// A new one, whose tokenizer is trained on sentences.
    pub fn with_own_tokenizer(
        taught: &Taught,
        sizes: Sizes,
        sentences: &[Sentence],
        seed: u64,
    ) -> Result<Self> {
        let model = NewModel::prepare(sizes, sentences, taught.labels.clone())?;
        let dir = new_dir()?;
        model.write(dir.path(), seed)?;
        Ok(Self::New(dir))
    }

    /// A new one with a teacher's tokenizer and, as well as its width holds them, its word embeddings.
    pub fn with_tokenizer_of(taught: &Taught, sizes: Sizes, seed: u64) -> Result<Self> {
        let teacher = &taught.dir;
        let saved = ModelConfig::from_dir(teacher)?;
        let mut config = sizes.config(saved.model_type, saved.vocab_size, taught.labels.clone())?;
        let usable = config.usable_positions();
        config.pad_token_id = saved.pad_token_id;
        config.max_position_embeddings = usable + config.first_position();
        ensure!(
            config.embedding_size() <= saved.embedding_size(),
            "--hidden {} is more than the {} of the teacher's word embeddings, which --student-tokenizer teacher narrows",
            config.embedding_size(),
            saved.embedding_size()
        );
        let device = DeviceChoice::Flex.open()?;
        let (other, _) = TokenClassifier::load(teacher, &saved, &device, seed)?;
        let model = sizes
            .weights(&config, seed)?
            .with_word_embeddings_of(&other)?;
        let dir = new_dir()?;
        SubwordTokenizer::from_dir(teacher, None)?.save(dir.path())?;
        model.save(dir.path())?;
        Ok(Self::New(dir))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        match self {
            Self::Given(dir) | Self::OnItsWay(dir) => dir,
            Self::New(dir) => dir.path(),
        }
    }
}

/// What a student takes over from its teachers as it is.
pub struct Taught {
    /// The first one's directory.
    dir: PathBuf,
    pub labels: Vec<String>,
    tagging_scheme: Option<String>,
}

impl Taught {
    /// Of teachers that all have the first one's labels.
    pub fn of(teachers: &[PathBuf]) -> Result<Self> {
        let first = ModelConfig::from_dir(&teachers[0])?;
        for dir in &teachers[1..] {
            let labels = ModelConfig::from_dir(dir)?.id2label;
            ensure!(
                are_same(&labels, &first.id2label),
                "{}: the labels are {}, those of the teacher {} are {}; teachers need the same labels",
                dir.display(),
                labels.join(", "),
                teachers[0].display(),
                first.id2label.join(", ")
            );
        }
        Ok(Self {
            dir: teachers[0].clone(),
            labels: first.id2label,
            tagging_scheme: first.tagging_scheme,
        })
    }

    /// The configuration of a student. One that has the labels already keeps their order.
    pub fn config_of(&self, student: &Student) -> Result<ModelConfig> {
        let dir = student.dir();
        let mut config = ModelConfig::from_dir(dir)?;
        if config.has_placeholder_labels() {
            config.id2label.clone_from(&self.labels);
        }
        ensure!(
            are_same(&config.id2label, &self.labels),
            "{}: the student's classifier has the labels {}, the teacher's are {}; take a model without a classifier, or one with these labels",
            dir.display(),
            config.id2label.join(", "),
            self.labels.join(", ")
        );
        if !matches!(student, Student::OnItsWay(_)) {
            config.tagging_scheme.clone_from(&self.tagging_scheme);
        }
        Ok(config)
    }
}

fn new_dir() -> Result<TempDir> {
    tempfile::tempdir().context("no room for a new student")
}

/// Whether two lists hold the same labels, in any order.
fn are_same(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().all(|label| b.contains(label))
}
