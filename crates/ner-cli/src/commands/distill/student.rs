//! The student before its lesson.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ner_model::{Batch, DeviceChoice, LayerView, ModelConfig, TokenClassifier};
use ner_tagger::PretokenizedSentence;
use ner_train::{Feature, Featurizer};
use subword_align::SubwordTokenizer;
use tempfile::TempDir;

use super::layers::{StudentLayers, list};
use crate::commands::new_model::{NewModel, Sizes};
use crate::wording::counted;

/// Sub-words of the texts, about, by which is judged what counts in a teacher.
const SAMPLE: usize = 30_000;

/// Sequences of them in a pass.
const SEQUENCES: usize = 16;

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
        sentences: &[PretokenizedSentence],
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

    /// A new one that is a part of its teacher, with its tokenizer.
    pub fn cut(taught: &Taught, cutting: &Cutting) -> Result<Self> {
        let dir = new_dir()?;
        SubwordTokenizer::from_dir(&taught.dir, None)?.save(dir.path())?;
        cutting.model.save(dir.path())?;
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

/// A student that was cut out of its teacher.
pub struct Cutting {
    model: TokenClassifier,
    /// What hidden states of the teacher those after the student's layers stand for.
    pub view: LayerView,
    teacher: ModelConfig,
}

impl Cutting {
    /// A student of this configuration with these layers of its teacher, cut by what counts on some of the sentences.
    pub fn of(
        taught: &Taught,
        config: &ModelConfig,
        layers: &[usize],
        sentences: &[PretokenizedSentence],
    ) -> Result<Self> {
        let teacher = ModelConfig::from_dir(&taught.dir)?;
        let device = DeviceChoice::Flex.open()?;
        let (model, _) = TokenClassifier::load(&taught.dir, &teacher, &device, 0)?;
        let tokenizer = SubwordTokenizer::from_dir(&taught.dir, None)?;
        let featurizer = Featurizer::new(&tokenizer, teacher.usable_positions())?;
        let text = sample(&featurizer.features(sentences, None)?);
        let (model, view) = model.sliced(config, layers, &text)?;
        Ok(Self {
            model,
            view,
            teacher,
        })
    }
}

/// Such as `layers 2, 5, 8, 11 of its teacher, cut from 384 to 256 hidden units, from 12 to 8 heads, from 1536 to 1024 neurons`.
impl fmt::Display for Cutting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (teacher, student) = (&self.teacher, self.model.config());
        write!(
            f,
            "{} {} of its teacher, cut from {} to {}, from {} to {}, from {} to {}",
            if self.view.layers.len() == 1 {
                "layer"
            } else {
                "layers"
            },
            list(&self.view.layers, ", "),
            teacher.hidden_size,
            counted(student.hidden_size, "hidden unit", "hidden units"),
            teacher.num_attention_heads,
            counted(student.num_attention_heads, "head", "heads"),
            teacher.intermediate_size,
            counted(student.intermediate_size, "neuron", "neurons")
        )
    }
}

/// Sequences from everywhere in the texts, as many as are judged by.
fn sample(features: &[Feature]) -> Vec<Batch> {
    let subwords: usize = features.iter().map(|feature| feature.ids.len()).sum();
    let some: Vec<&Feature> = features
        .iter()
        .step_by(subwords.div_ceil(SAMPLE).max(1))
        .collect();
    let batch = |features: &[&Feature]| {
        let mut batch = Batch::default();
        for feature in features {
            batch.push(feature.ids.iter().copied());
        }
        batch
    };
    some.chunks(SEQUENCES).map(batch).collect()
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

    /// The configuration of a student that begins with layers of its teacher, and their numbers; nothing where they are to be random.
    pub fn config_of_cutting(
        &self,
        sizes: &Sizes,
        layers: &StudentLayers,
    ) -> Result<Option<(ModelConfig, Vec<usize>)>> {
        let teacher = ModelConfig::from_dir(&self.dir)?;
        let Some(layers) = layers.of_teacher(teacher.num_hidden_layers, sizes.layers) else {
            return Ok(None);
        };
        // The default gives way to a list.
        let is_default = sizes.layers == Sizes::default().layers;
        ensure!(
            layers.len() == sizes.layers || is_default,
            "{} numbered, --layers is {}; leave --layers out, or number as many",
            counted(layers.len(), "layer is", "layers are"),
            sizes.layers
        );
        ensure!(
            sizes.sinusoidal_positions.is_none(),
            "--sinusoidal-positions would take the place of those that the layers know"
        );
        let mut config = teacher.sliced(layers.len(), sizes.hidden, sizes.intermediate)?;
        let heads = config.num_attention_heads;
        ensure!(
            sizes.heads.is_none_or(|given| given == heads),
            "--hidden {} holds {heads} of the teacher's attention heads; leave --heads out",
            sizes.hidden
        );
        config.set_dropout(sizes.dropout)?;
        config.classifier_dropout = None;
        Ok(Some((config, layers)))
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
