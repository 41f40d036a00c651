//! A run from its flags to its files, whatever the model learns from: what `train` and `distill` share.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use ner_model::{DeviceChoice, LoadReport, ModelConfig, TokenClassifier};
use ner_tagger::{PretokenizedSentence, Tagger};
use ner_train::{
    Checkpoint, Corpus, DataParallel, Distillation, Evaluation, Plan, TrainSettings, Trainer,
    evaluate,
};
use serde_json::json;
use subword_align::{SubwordTokenizer, WordBoundary};

use super::advice::advice;
use super::devices::DeviceList;
use super::log_files::LogFiles;
use super::observer::Observer;
use super::outcome::{self, Outcome};
use super::page;
use super::tensorboard;
use crate::card::{Base, Part};
use crate::column_files::{ColumnArguments, TaggedFile};
use crate::hub::HubArguments;
use crate::inference::slow_start;
use crate::interrupt::{Interrupted, Listening};
use crate::output::{check_dir, make_dir, write_file};
use crate::progress::Progress;

/// The file that gets the settings of a run, as `--config` reads them.
const SETTINGS: &str = "settings.toml";

/// Flags that decide what is said and saved, and where a run is computed, and none of its results.
const DECIDE_NOTHING: [&str; 10] = [
    "device",
    "devices",
    "eval-all-checkpoints",
    "log-format",
    "logging-steps",
    "offline",
    "output-dir",
    "overwrite-output-dir",
    "save-steps",
    "save-total-limit",
];

/// How a run goes and what it leaves.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Go on where a run with the same settings and data stopped: at this checkpoint, or at the latest sound one in the output directory.
    /// The model is the checkpoint's, not the one that is given.
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
    /// Directory to write.
    #[arg(long, value_name = "DIR")]
    pub output_dir: PathBuf,
    /// Write into a directory that is not empty.
    #[arg(long)]
    overwrite_output_dir: bool,
    /// Evaluate every checkpoint that is left at the end, as STEP_f1 and the like in eval_results.txt.
    #[arg(long, requires = "dev")]
    pub eval_all_checkpoints: bool,
    /// How words are given to the tokenizer: `prefix-space` or `none`; the tokenizer's saved choice where not given.
    #[arg(long)]
    word_boundary: Option<WordBoundary>,
    /// auto, cuda, cuda:N, cpu or ndarray.
    #[arg(long, default_value_t = DeviceChoice::Auto, conflicts_with = "devices")]
    device: DeviceChoice,
    /// Several devices that share each batch, such as cuda:0,cuda:1, in place of --device; the optimizer runs on the first.
    #[arg(long, value_name = "DEVICE,…", conflicts_with = "device")]
    devices: Option<DeviceList>,
    /// Form of what is said on stderr: `json` is one object a line, for machines.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// TOML file with flags as keys, such as `learning-rate = 5e-5`; flags given here win.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub settings: TrainSettings,
    #[command(flatten)]
    pub layout: ColumnArguments,
    #[command(flatten)]
    pub hub: HubArguments,
    /// Every flag with its value, as --config reads it.
    #[arg(skip)]
    pub effective: toml::Table,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl RunArguments {
    /// Checks the settings, which take no file to be wrong.
    pub fn check(&self) -> Result<()> {
        self.settings.check().map_err(|error| match error {
            ner_train::Error::Setting { name, reason } => {
                anyhow!("--{}: {reason}", name.replace('_', "-"))
            }
            error => error.into(),
        })
    }

    pub fn devices(&self) -> DeviceList {
        let given = self.devices.clone();
        given.unwrap_or_else(|| DeviceList::from(self.device))
    }

    /// Talk in the form that is asked for.
    pub fn progress(&self, quiet: bool) -> Progress {
        match self.log_format {
            LogFormat::Text => Progress::new(quiet),
            LogFormat::Json => Progress::json(quiet),
        }
    }

    /// Whether the run that is to go on has come to its end, which is said.
    ///
    /// # Errors
    /// It has, with other settings.
    pub fn is_finished(&self, progress: &Progress) -> Result<bool> {
        let goes_on = match &self.resume {
            None => false,
            // A checkpoint that is named is one to go on at, wherever its run has come to.
            Some(dir) => dir.as_ref().is_none_or(|dir| *dir == self.output_dir),
        };
        if !goes_on || !outcome::is_complete(&self.output_dir, &self.effective) {
            return Ok(false);
        }
        let dir = self.output_dir.display();
        let different = self.changes()?;
        ensure!(
            different.is_empty(),
            "{dir}: its run is finished, with other settings: {}; for another run leave out --resume and give another --output-dir",
            different.join(", ")
        );
        let report = self.output_dir.join(page::FILE);
        progress.tell(
            "finished",
            &format!(
                "{dir}: the run is finished, there is nothing to do; its report is {}",
                report.display()
            ),
            || json!({"model": self.output_dir, "report": report}),
        );
        Ok(true)
    }

    /// What differs, between the settings in the output directory and these, in what the results follow from.
    fn changes(&self) -> Result<Vec<String>> {
        let path = self.output_dir.join(SETTINGS);
        let at = || path.display().to_string();
        let saved = std::fs::read_to_string(&path).with_context(at)?;
        let saved: toml::Table = saved.parse().with_context(at)?;
        let asked = &self.effective;
        let keys: BTreeSet<&String> = saved.keys().chain(asked.keys()).collect();
        let counts = |key: &&String| !DECIDE_NOTHING.contains(&key.as_str());
        let told = |value: Option<&toml::Value>| {
            value.map_or_else(|| "not given".to_owned(), ToString::to_string)
        };
        Ok(keys
            .into_iter()
            .filter(counts)
            .map(|key| (key, saved.get(key), asked.get(key)))
            .filter(|(_, saved, asked)| saved != asked)
            .map(|(key, saved, asked)| format!("--{key} was {}, is {}", told(saved), told(asked)))
            .collect())
    }

    /// The checkpoint to go on at, if any, and whether there is room for what the run will write.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let open = |dir: &PathBuf| {
            ensure!(
                dir.is_dir(),
                "{}: no such directory, so there is no run to go on with; leave out --resume",
                dir.display()
            );
            Checkpoint::open(dir).map_err(|error| {
                anyhow!(
                    "{error}; there is nothing to go on with: leave out --resume, and give --overwrite-output-dir to begin anew in this directory \
                     (--save-steps N writes checkpoints on the way)"
                )
            })
        };
        let checkpoint = self
            .resume
            .as_ref()
            .map(|dir| open(dir.as_ref().unwrap_or(&self.output_dir)))
            .transpose()?;
        check_dir(
            &self.output_dir,
            self.overwrite_output_dir || checkpoint.is_some(),
        )?;
        Ok(checkpoint)
    }
}

/// What a run learns from and is measured on.
pub struct Data {
    pub train: Vec<PretokenizedSentence>,
    /// What `train` is made of.
    pub parts: Vec<Part>,
    pub dev: Option<TaggedFile>,
    pub test: Option<TaggedFile>,
}

/// A run that is about to begin.
pub struct Launch<'a> {
    pub arguments: &'a RunArguments,
    pub data: Data,
    pub checkpoint: Option<Checkpoint>,
    /// The model's directory, which is the checkpoint's where there is one.
    pub dir: &'a Path,
    /// The configuration that the model is to have.
    pub config: ModelConfig,
    pub distillation: Option<Distillation>,
    /// What the model card says of its beginnings.
    pub base: Base<'a>,
    /// What the run does, once that is known.
    pub plan: Option<Plan>,
}

/// A model that is about to be trained.
struct Start {
    tokenizer: Arc<SubwordTokenizer>,
    model: DataParallel,
    has_new_classifier: bool,
}

impl Launch<'_> {
    /// Trains and writes everything.
    pub fn run(mut self, progress: &mut Progress) -> Result<()> {
        let start = self.load(progress)?;
        let (tagger, last_evaluation) = self.fit(start, progress)?;
        let last_evaluation = match (last_evaluation, &self.data.dev) {
            // A run that was taken up after its last evaluation.
            (None, Some(dev)) => {
                let batch_size = self.arguments.settings.evaluation.eval_batch_size;
                Some(evaluate(&tagger, &dev.sentences, batch_size, |_| {})?)
            }
            (found, _) => found,
        };
        let outcome = Outcome {
            run: &self,
            tagger: &tagger,
            last_evaluation: last_evaluation.as_ref(),
        };
        outcome.write(progress)
    }

    fn load(&self, progress: &Progress) -> Result<Start> {
        let Self {
            arguments,
            dir,
            config,
            ..
        } = self;
        let tokenizer = SubwordTokenizer::from_dir(dir, arguments.word_boundary)?;
        if let Some(checkpoint) = &self.checkpoint {
            check_same_model(checkpoint, config)?;
        }
        let devices = arguments.devices();
        let (device, others) = devices.open()?;
        let device = device.autodiff();
        let seed = arguments.settings.seed;
        let (model, loaded) = TokenClassifier::load(dir, config, &device, seed)?;
        let model = model.with_precision(arguments.settings.precision)?;
        // That of a new student lies where it will not stay.
        let is_given = self.base.model.is_some() || self.checkpoint.is_some();
        tell(progress, &devices, &loaded, is_given);
        if let Some(note) = slow_start(&model) {
            progress.say(note);
        }
        Ok(Start {
            tokenizer: Arc::new(tokenizer),
            model: DataParallel::new(model, others)?,
            // A new student's was saved a moment ago, and is as new.
            has_new_classifier: loaded.new_classifier.is_some() || !is_given,
        })
    }

    /// Trains, and gives the last model and the last evaluation of it.
    fn fit(
        &mut self,
        start: Start,
        progress: &mut Progress,
    ) -> Result<(Tagger, Option<Evaluation>)> {
        let Start {
            tokenizer,
            model,
            has_new_classifier,
        } = start;
        let checkpoint = self.checkpoint.as_ref();
        let settings = &self.arguments.settings;
        let mut observer = Observer {
            record: None,
            start: &|| begin(self.arguments, checkpoint),
            begun: &|progress| tell_begun(self.arguments, checkpoint, progress),
            listening: Listening::start(progress.aside())?,
            progress,
            failed: None,
            last_evaluation: None,
            plan: None,
            advise: &|plan| advice(&self.data, settings, plan, has_new_classifier),
        };
        let corpus = Corpus {
            train: &self.data.train,
            dev: self.data.dev.as_ref().map_or(&[], |dev| &dev.sentences),
        };
        let mut trainer = Trainer::new(model, Arc::clone(&tokenizer), &self.arguments.output_dir)
            .settings(settings.clone())
            .observer(|event| observer.hear(&event));
        if let Some(distillation) = self.distillation.take() {
            trainer = trainer.distillation(distillation);
        }
        if let Some(checkpoint) = checkpoint.cloned() {
            trainer = trainer.from_checkpoint(checkpoint);
        }
        let trained = trainer.fit(corpus);
        if let Some(error) = observer.failed {
            return Err(error);
        }
        let last_evaluation = observer.last_evaluation;
        self.plan = observer.plan;
        drop(observer.record);
        progress.end();
        let model = trained.map_err(|error| match error {
            ner_train::Error::Stopped { .. } => anyhow::Error::new(Interrupted(format!(
                "{error}; go on with {}",
                resuming_command()
            ))),
            ner_train::Error::OtherRun { .. } => anyhow!(
                "{error}; a run goes on with its own settings and data: --config {} repeats its settings; for another run leave out --resume and give \
                 another --output-dir",
                quoted(&self.arguments.output_dir.join(SETTINGS))
            ),
            error => error.into(),
        })?;
        Ok((settings.tagger(model, tokenizer)?, last_evaluation))
    }
}

/// Says where the run begins and where its settings are, once nothing can refuse it any more.
fn tell_begun(arguments: &RunArguments, checkpoint: Option<&Checkpoint>, progress: &Progress) {
    if let Some(checkpoint) = checkpoint {
        progress.say(&format!("going on after step {}", checkpoint.state.step));
    }
    let settings = arguments.output_dir.join(SETTINGS);
    let settings = format!("settings: {}", settings.display());
    progress.tell("settings", &settings, || json!(arguments.effective));
}

fn tell(progress: &Progress, devices: &DeviceList, loaded: &LoadReport, is_given: bool) {
    let whose = match is_given {
        true => loaded.path.display().to_string(),
        false => "a new student".to_owned(),
    };
    progress.say(&format!("device {devices}, weights of {whose}"));
    if matches!(devices.first(), DeviceChoice::Cuda(_)) {
        progress.say("the first step waits for kernels to be compiled: about ten seconds, in later runs about three");
    }
    if let Some(reason) = &loaded.new_classifier {
        progress.say(&format!("the classifier has random weights: {reason}"));
    }
    if loaded.new_crf {
        progress.say("the CRF is new: it prefers no sequence yet");
    }
    if !loaded.unused.is_empty() {
        progress.say(&format!("not used: {}", loaded.unused.join(", ")));
    }
}

/// Makes or clears the output directory and opens the record of a run that is about to begin.
fn begin(arguments: &RunArguments, checkpoint: Option<&Checkpoint>) -> Result<LogFiles> {
    let dir = &arguments.output_dir;
    make_dir(dir)?;
    if checkpoint.is_none() {
        // What an earlier run left must not pass for this one's.
        let mut left = Checkpoint::all(dir)?;
        left.extend([ner_train::BEST, tensorboard::DIR].map(|name| dir.join(name)));
        for path in left.iter().filter(|path| path.is_dir()) {
            std::fs::remove_dir_all(path).with_context(|| path.display().to_string())?;
        }
    }
    // Written last, the page says that a run is finished.
    let pages = [page::FILE, page::DATA_FILE].map(|name| dir.join(name));
    for path in pages.iter().filter(|path| path.is_file()) {
        std::fs::remove_file(path).with_context(|| path.display().to_string())?;
    }
    write_file(&dir.join(SETTINGS), &arguments.effective.to_string())?;
    LogFiles::open(dir, checkpoint.map(|checkpoint| &checkpoint.state))
}

/// Refuses to go on with another model than the checkpoint's.
fn check_same_model(checkpoint: &Checkpoint, asked: &ModelConfig) -> Result<()> {
    let saved = ModelConfig::from_dir(&checkpoint.dir)?;
    let [saved, asked] = [&saved, asked].map(serde_json::to_value);
    let (saved, asked) = (saved?, asked?);
    let keys = saved.as_object().into_iter().chain(asked.as_object());
    let keys: BTreeSet<&String> = keys.flat_map(serde_json::Map::keys).collect();
    let differences = keys
        .into_iter()
        .filter(|key| saved.get(key) != asked.get(key));
    let differences: Vec<String> = differences
        .map(|key| format!("{key} was {}, is {}", saved[key], asked[key]))
        .collect();
    ensure!(
        differences.is_empty(),
        "{}: made with another model: {}; give the run's own --labels, --head and --dropout",
        checkpoint.dir.display(),
        differences.join(", ")
    );
    Ok(())
}

/// What to type to go on with this run.
fn resuming_command() -> String {
    let arguments: Vec<String> = std::env::args().collect();
    let is_ours = |command: &String| ["train", "distill"].contains(&command.as_str());
    if !arguments.get(1).is_some_and(is_ours) {
        return "the same command".to_owned(); // of a program that goes on by itself
    }
    let quoted = arguments.iter().map(|argument| quoted(argument.as_ref()));
    let mut command = quoted.collect::<Vec<_>>().join(" ");
    // The last one counts: the latest checkpoint, not the one that this run was taken up at.
    if arguments.last().is_none_or(|last| last != "--resume") {
        command.push_str(" --resume");
    }
    command
}

/// A word of a command line, as a shell takes it.
pub fn quoted(word: &Path) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
