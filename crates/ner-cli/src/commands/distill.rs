//! `distill`: a student learns what teachers say.

mod layers;
mod student;
pub mod texts;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use ner_model::LayerView;
use ner_tagger::{Decode, PretokenizedSentence, Segmentation, Tagger};
use ner_train::{Checkpoint, DistillSettings, Distillation, SoftTargets};
use subword_align::SubwordTokenizer;

use self::layers::StudentLayers;
use self::student::{Cutting, Student, Taught};
use self::texts::{holds_columns, running_texts};
use super::new_model::Sizes;
use super::train::launch::{Data, Launch, RunArguments};
use crate::card::{Base, Part};
use crate::column_files::{InputFormat, TaggedFile};
use crate::progress::Progress;
use crate::wording::counted;

/// What `--student` says where the student is a new model.
const NEW: &str = "new";

/// Train a small, fast student on what a large teacher predicts.
///
/// The student learns the teacher's probability of each label of each word (Hinton et al. 2015, <https://arxiv.org/abs/1503.02531>) of texts that
/// need no labels, and gold labels where there are some. The two may have different tokenizers. A run goes on, and leaves files, as that of
/// `train` does; without --dev there is no `best/` and no eval_results.txt.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
#[command(group = clap::ArgGroup::new("lesson").required(true).multiple(true).args(["text", "train"]))]
pub struct Arguments {
    /// Teacher: a fine-tuned model's directory, or NAME[@REVISION] of the hub. Where there are several, their probabilities are averaged. It
    /// computes in the run's --precision.
    #[arg(long, required = true, value_name = "MODEL")]
    teacher: Vec<String>,
    /// Student: a model's directory, NAME[@REVISION] of the hub, or `new` for one with random weights and a tokenizer trained on the texts. It
    /// gets the teacher's labels, unless it has them already.
    #[arg(long, value_name = "MODEL")]
    student: String,
    /// Files of texts to learn from; any labels in them are not read.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    text: Vec<PathBuf>,
    /// What the files of --text hold: `text` one text a line, `conll` words as a column file gives them. By their names where not given, as `predict`
    /// tells column files, JSONL, CSV and TSV; else lines.
    #[arg(long, value_enum)]
    input_format: Option<InputFormat>,
    /// Field or column of the text in JSONL, CSV and TSV.
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,
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
    /// the teacher's word embeddings, as well as its width holds them, and with its layers (--student-layers).
    #[arg(long, value_enum, value_name = "SOURCE", default_value_t = TokenizerSource::Texts, help_heading = "New student")]
    student_tokenizer: TokenizerSource,
    /// Layers that a new student with its teacher's tokenizer begins with: numbers of the teacher's layers from 0, such as 0,3,7,11, `even` for the
    /// first, the last and those at even distances between (random ones where the sizes do not allow it), or `random`. A student has as many as are
    /// numbered, where --layers is not given. They are cut to the student's width, heads and
    /// feed-forward neurons by what counts most on the texts (Ashkboos et al. 2024, <https://arxiv.org/abs/2401.15024>).
    #[arg(long, value_name = "LAYERS", default_value_t = StudentLayers::Even, help_heading = "New student")]
    student_layers: StudentLayers,
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
    if own.is_finished(&progress)? {
        return Ok(());
    }
    let checkpoint = own.checkpoint()?;
    let hub = |name: &String| own.hub.model(name, quiet);
    let teachers: Vec<PathBuf> = arguments.teacher.iter().map(hub).collect::<Result<_>>()?;
    let taught = Taught::of(&teachers)?;
    let data = arguments.data(&teachers[0], &taught.labels)?;
    let cutting = arguments.cutting(checkpoint.as_ref(), &data.train, &taught, &mut progress)?;
    let student = arguments.student(
        checkpoint.as_ref(),
        &data.train,
        &taught,
        cutting.as_ref(),
        quiet,
    )?;
    let config = taught.config_of(&student)?;
    arguments.distillation.check(&config, &own.settings)?;

    let view = cutting.map(|cutting| cutting.view);
    let targets = arguments.targets(&teachers, &data.train, view.as_ref(), &mut progress)?;
    let run = Launch {
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
        self.run.check()?;
        let default = Sizes::default();
        let takes_teachers = self.student_tokenizer == TokenizerSource::Teacher;
        let takes_any_layers = self.student_layers == StudentLayers::Even;
        ensure!(
            self.student == NEW || (self.sizes == default && !takes_teachers && takes_any_layers),
            "--student-tokenizer, --student-layers, --kind, --layers, --hidden, --heads, --intermediate, --vocab-size, --dropout, --initializer-range and \
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
            takes_teachers || takes_any_layers,
            "--student-layers {} needs --student-tokenizer teacher: layers know the sub-words that they were trained on",
            self.student_layers
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
                .map_or(0, |last: &PretokenizedSentence| last.document + 1);
            sentences.extend(texts.into_iter().map(|text| PretokenizedSentence {
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
    fn texts(
        &self,
        path: &Path,
        tokenizer: &SubwordTokenizer,
    ) -> Result<Vec<PretokenizedSentence>> {
        if holds_columns(path, self.input_format) {
            let mut file = TaggedFile::read_any(path, &self.run.layout)?;
            for sentence in &mut file.sentences {
                sentence.tags.clear();
            }
            return Ok(file.sentences);
        }
        let mut texts = Vec::new();
        for text in running_texts(path, self.input_format, &self.text_field)? {
            let text = text?;
            let words = tokenizer.words(&text, self.words)?;
            if !words.is_empty() {
                texts.push(PretokenizedSentence {
                    document: texts.len(),
                    ..PretokenizedSentence::untagged(words.into_iter().map(|word| &text[word]))
                });
            }
        }
        Ok(texts)
    }

    /// The student's directory: that of the checkpoint, the one that is given, or that of a new model, which lasts as long as this run.
    fn student(
        &self,
        checkpoint: Option<&Checkpoint>,
        sentences: &[PretokenizedSentence],
        taught: &Taught,
        cutting: Option<&Cutting>,
        quiet: bool,
    ) -> Result<Student> {
        if let Some(checkpoint) = checkpoint {
            return Ok(Student::OnItsWay(checkpoint.dir.clone()));
        }
        if self.student != NEW {
            return Ok(Student::Given(self.run.hub.model(&self.student, quiet)?));
        }
        let seed = self.run.settings.seed;
        match (self.student_tokenizer, cutting) {
            (TokenizerSource::Texts, _) => {
                Student::with_own_tokenizer(taught, self.sizes, sentences, seed)
            }
            (TokenizerSource::Teacher, Some(cutting)) => Student::cut(taught, cutting),
            (TokenizerSource::Teacher, None) => {
                Student::with_tokenizer_of(taught, self.sizes, seed)
            }
        }
    }

    /// The student that begins with layers of its teacher, where it does. One on its way has them, but may learn hidden states as the cutting
    /// narrowed them.
    fn cutting(
        &self,
        checkpoint: Option<&Checkpoint>,
        sentences: &[PretokenizedSentence],
        taught: &Taught,
        progress: &mut Progress,
    ) -> Result<Option<Cutting>> {
        let is_needed = checkpoint.is_none() || self.distillation.hidden_loss_weight > 0.0;
        if self.student_tokenizer == TokenizerSource::Texts || !is_needed {
            return Ok(None);
        }
        let layers = &self.student_layers;
        let (config, layers) = match taught.config_of_cutting(&self.sizes, layers) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(error) if *layers == StudentLayers::Even => {
                progress.say(&format!(
                    "the student begins with random layers: {}",
                    crate::message(&error)
                ));
                return Ok(None);
            }
            Err(error) => return Err(error.context(format!("--student-layers {layers}"))),
        };
        let cutting = Cutting::of(taught, &config, &layers, sentences)
            .with_context(|| format!("--student-layers {}", self.student_layers))?;
        progress.say(&format!("the student begins with {cutting}"));
        Ok(Some(cutting))
    }

    /// What the teachers say, one after the other, so that one is in memory at a time.
    fn targets(
        &self,
        teachers: &[PathBuf],
        sentences: &[PretokenizedSentence],
        view: Option<&LayerView>,
        progress: &mut Progress,
    ) -> Result<SoftTargets> {
        let mut said = Vec::with_capacity(teachers.len());
        for dir in teachers {
            let teacher = Tagger::builder()
                .device(self.run.devices().first())
                .precision(self.run.settings.precision)
                .decode(Decode::Argmax)
                .from_dir(dir)?;
            let (count, name) = (sentences.len(), dir.display());
            let sentences_read = counted(count, "sentence", "sentences");
            progress.say(&format!("the teacher {name} reads {sentences_read}"));
            progress.start("teacher", count);
            let hear = |done| progress.set(done, String::new);
            let last = || LayerView::last(teacher.model().config());
            said.push(if self.distillation.hidden_loss_weight > 0.0 {
                let view = view.cloned().unwrap_or_else(last);
                SoftTargets::with_states(&teacher, sentences, &view, hear)?
            } else {
                SoftTargets::of(&teacher, sentences, hear)?
            });
            progress.end();
        }
        let targets = SoftTargets::mean(said)?;
        let with_gold = sentences.iter().map(|sentence| sentence.tags.len());
        let whose = match teachers.len() {
            1 => "the teacher's probabilities".to_owned(),
            several => format!("the mean probabilities of {several} teachers"),
        };
        progress.say(&format!(
            "{} {whose}, {} of them a gold label",
            counted(targets.word_count(), "word has", "words have"),
            with_gold.sum::<usize>()
        ));
        Ok(targets)
    }
}

#[cfg(test)]
mod tests;
