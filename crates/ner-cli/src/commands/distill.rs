//! `distill`: a student learns what teachers say.

mod student;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use conll_io::TextLines;
use ner_tagger::{Decode, Segmentation, Sentence, Tagger};
use ner_train::{Checkpoint, DistillSettings, Distillation, SoftTargets};
use subword_align::SubwordTokenizer;

use self::student::{Student, Taught};
use super::new_model::Sizes;
use super::train::run::{Data, Run, RunArguments};
use crate::card::{Base, Part};
use crate::data::{InputFormat, TaggedFile};
use crate::progress::Progress;

/// What `--student` says where the student is a new model.
const NEW: &str = "new";

/// Make a model faster: train a small student to say what a large teacher says.
///
/// The student learns the teacher's probability of each label of each word (Hinton et al. 2015, <https://arxiv.org/abs/1503.02531>) of texts that
/// need no labels, and gold labels where there are some. The two may have different tokenizers. A run goes on, and leaves files, as that of
/// `train` does; without --dev there is no `best/` and no eval_results.txt.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Teacher: a fine-tuned model's directory, or NAME[@REVISION] of the hub. Where there are several, their probabilities are averaged.
    #[arg(long, required = true, value_name = "MODEL")]
    teacher: Vec<String>,
    /// Student: a model's directory, NAME[@REVISION] of the hub, or `new` for one with random weights and a tokenizer trained on the texts. It
    /// gets the teacher's labels, unless it has them already.
    #[arg(long, value_name = "MODEL")]
    student: String,
    /// Files of texts to learn from; any labels in them are not read.
    #[arg(long, num_args = 1.., value_name = "FILE", required_unless_present = "train")]
    text: Vec<PathBuf>,
    /// `text` has one text a line, `conll` words as a column file gives them.
    #[arg(long, value_enum, default_value_t = InputFormat::Text)]
    input_format: InputFormat,
    /// How running text is cut into words: `unicode` as corpora do, `whitespace`, or `pre-tokenizer` as the first teacher's tokenizer does.
    #[arg(long, default_value_t = Segmentation::Unicode)]
    words: Segmentation,
    /// Column file with gold labels to learn from as well.
    #[arg(long)]
    train: Option<PathBuf>,
    /// Development data.
    #[arg(long)]
    dev: Option<PathBuf>,
    /// Test data.
    #[arg(long)]
    test: Option<PathBuf>,
    #[command(flatten)]
    pub run: RunArguments,
    #[command(flatten, next_help_heading = "Distillation")]
    pub distillation: DistillSettings,
    /// Tokenizer of a new student: one that is trained on the `texts`, or the `teacher`'s (the first one's). With the latter the student begins with
    /// the teacher's word embeddings, as well as its width holds them.
    #[arg(long, value_enum, value_name = "SOURCE", default_value_t = TokenizerSource::Texts, help_heading = "New student")]
    student_tokenizer: TokenizerSource,
    #[command(flatten, next_help_heading = "New student")]
    sizes: Sizes,
}

/// Where a new student's tokenizer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TokenizerSource {
    Texts,
    Teacher,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    arguments.check()?;
    let own = &arguments.run;
    let mut progress = own.progress(quiet);
    let checkpoint = own.checkpoint()?;
    let hub = |name: &String| own.hub.model(name, quiet);
    let teachers: Vec<PathBuf> = arguments.teacher.iter().map(hub).collect::<Result<_>>()?;
    let taught = Taught::of(&teachers)?;
    let data = arguments.data(&teachers[0], &taught.labels)?;
    let student = arguments.student(checkpoint.as_ref(), &data.train, &taught, quiet)?;
    let config = taught.config_of(&student)?;
    arguments.distillation.check(&config, &own.settings)?;

    let targets = arguments.targets(&teachers, &data.train, &mut progress)?;
    let run = Run {
        arguments: own,
        data,
        checkpoint,
        dir: student.dir(),
        config,
        distillation: Some(Distillation {
            settings: arguments.distillation,
            targets,
        }),
        base: Base {
            model: (arguments.student != NEW).then_some(&arguments.student),
            lesson: Some((arguments.distillation, &arguments.teacher)),
        },
        plan: None,
    };
    run.run(&mut progress)
}

impl Arguments {
    /// Refuses flags that would do nothing.
    fn check(&self) -> Result<()> {
        self.run.settings.check()?;
        let default = Sizes::default();
        let takes_teachers = self.student_tokenizer == TokenizerSource::Teacher;
        ensure!(
            self.student == NEW || (self.sizes == default && !takes_teachers),
            "--student-tokenizer, --kind, --layers, --hidden, --heads, --intermediate, --vocab-size, --dropout, --initializer-range and \
             --sinusoidal-positions are for --student {NEW}"
        );
        let Sizes {
            kind, vocab_size, ..
        } = self.sizes;
        ensure!(
            !takes_teachers || (kind, vocab_size) == (default.kind, default.vocab_size),
            "--kind and --vocab-size are for a tokenizer that is trained; with --student-tokenizer teacher they are the teacher's"
        );
        ensure!(
            self.dev.is_some()
                || self
                    .run
                    .settings
                    .evaluation
                    .early_stopping_patience
                    .is_none(),
            "--early-stopping-patience needs --dev"
        );
        ensure!(
            self.distillation.hidden_loss_weight == 0.0 || self.teacher.len() == 1,
            "--hidden-loss-weight needs one teacher; hidden states of different models have nothing in common"
        );
        Ok(())
    }

    /// Everything that is read, the gold labels first. No two files share a document, and each text is one by itself.
    fn data(&self, teacher: &Path, labels: &[String]) -> Result<Data> {
        let read = |path: &PathBuf| -> Result<TaggedFile> {
            let file = TaggedFile::read(path, &self.run.layout)?;
            let unknown = "the teacher does not know a tag of the data";
            file.check_tags(labels).context(unknown)?;
            Ok(file)
        };
        let [train, dev, test] =
            [&self.train, &self.dev, &self.test].map(|path| path.as_ref().map(read).transpose());
        let (mut sentences, mut parts) = (Vec::new(), Vec::new());
        if let Some(file) = train? {
            parts.push(Part::new("train", &file.path, &file.sentences));
            sentences = file.sentences;
        }
        let tokenizer = SubwordTokenizer::from_dir(teacher, None)?;
        for path in &self.text {
            let texts = self.texts(path, &tokenizer)?;
            ensure!(
                !texts.is_empty(),
                "{}: holds no word to learn from",
                path.display()
            );
            parts.push(Part::new("text", path, &texts));
            let first = sentences
                .last()
                .map_or(0, |last: &Sentence| last.document + 1);
            sentences.extend(texts.into_iter().map(|text| Sentence {
                document: first + text.document,
                ..text
            }));
        }
        Ok(Data {
            train: sentences,
            parts,
            dev: dev?,
            test: test?,
        })
    }

    /// The texts of a file that have words.
    fn texts(&self, path: &Path, tokenizer: &SubwordTokenizer) -> Result<Vec<Sentence>> {
        if self.input_format == InputFormat::Conll {
            let mut file = TaggedFile::read_any(path, &self.run.layout)?;
            for sentence in &mut file.sentences {
                sentence.tags.clear();
            }
            return Ok(file.sentences);
        }
        let mut texts = Vec::new();
        for line in TextLines::from_path(path)? {
            let line = line?;
            let words = tokenizer.words(&line, self.words)?;
            if !words.is_empty() {
                texts.push(Sentence {
                    document: texts.len(),
                    ..Sentence::untagged(words.into_iter().map(|word| &line[word]))
                });
            }
        }
        Ok(texts)
    }

    /// The student's directory: that of the checkpoint, the one that is given, or that of a new model, which lasts as long as this run.
    fn student(
        &self,
        checkpoint: Option<&Checkpoint>,
        sentences: &[Sentence],
        taught: &Taught,
        quiet: bool,
    ) -> Result<Student> {
        if let Some(checkpoint) = checkpoint {
            return Ok(Student::OnItsWay(checkpoint.dir.clone()));
        }
        if self.student != NEW {
            return Ok(Student::Given(self.run.hub.model(&self.student, quiet)?));
        }
        let seed = self.run.settings.seed;
        match self.student_tokenizer {
            TokenizerSource::Texts => {
                Student::with_own_tokenizer(taught, self.sizes, sentences, seed)
            }
            TokenizerSource::Teacher => Student::with_tokenizer_of(taught, self.sizes, seed),
        }
    }

    /// What the teachers say, one after the other, so that one is in memory at a time.
    fn targets(
        &self,
        teachers: &[PathBuf],
        sentences: &[Sentence],
        progress: &mut Progress,
    ) -> Result<SoftTargets> {
        let mut said = Vec::with_capacity(teachers.len());
        for dir in teachers {
            let teacher = Tagger::builder()
                .device(self.run.devices().first())
                .decode(Decode::Argmax)
                .from_dir(dir)?;
            let (count, name) = (sentences.len(), dir.display());
            progress.say(&format!("the teacher {name} reads {count} sentences"));
            progress.start("teacher", count);
            let hear = |done| progress.set(done, String::new);
            let mut targets = SoftTargets::of(&teacher, sentences, hear)?;
            if self.distillation.hidden_loss_weight > 0.0 {
                targets = targets.with_hidden_states(&teacher, sentences, hear)?;
            }
            progress.end();
            said.push(targets);
        }
        let targets = SoftTargets::mean(said)?;
        let with_gold = sentences.iter().map(|sentence| sentence.tags.len());
        let whose = match teachers.len() {
            1 => "the teacher's probabilities".to_owned(),
            several => format!("the mean probabilities of {several} teachers"),
        };
        progress.say(&format!(
            "{} words have {whose}, {} of them a gold label",
            targets.words(),
            with_gold.sum::<usize>()
        ));
        Ok(targets)
    }
}

#[cfg(test)]
mod tests;
