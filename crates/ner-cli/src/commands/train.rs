//! `train`: fine-tuning.

mod curves;
mod devices;
mod observer;
mod outcome;
mod record;
mod tensorboard;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use ner_model::{DeviceChoice, Head, LoadReport, ModelConfig, TokenClassifier};
use ner_tagger::Tagger;
use ner_train::{Checkpoint, Corpus, DataParallel, Evaluation, TrainSettings, Trainer, evaluate};
use subword_align::{SubwordTokenizer, WordBoundary};

use self::devices::DeviceList;
use self::observer::Observer;
use self::outcome::Outcome;
use self::record::Record;
use crate::data::{Layout, TaggedFile, read_labels, sorted_tags};
use crate::hub::HubArguments;
use crate::interrupt::{Interrupted, Listening};
use crate::output::{check_dir, make_dir, write_file};
use crate::progress::Progress;

/// Fine-tune a model on a column file, evaluate it as it goes, and save the best and the last.
///
/// The output directory gets the last model as the hub lays it out with a model card, `best/` the one with the best development figure,
/// settings.toml, train_log.csv, eval_log.csv, curves.svg, events for TensorBoard in tensorboard/, eval_results.txt and, with --test,
/// test_results.txt and test_predictions.txt. Defaults are the reference's run_ner.py's, but for --decode.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Model: a directory with config.json, weights and tokenizer, or NAME[@REVISION] of the hub.
    #[arg(long)]
    model: String,
    /// Go on where a run with the same settings and data stopped: at this checkpoint, or at the latest sound one in the output directory.
    /// The model is the checkpoint's, not --model's.
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
    /// Training data.
    #[arg(long)]
    train: PathBuf,
    /// Development data.
    #[arg(long)]
    dev: PathBuf,
    /// Test data.
    #[arg(long)]
    test: Option<PathBuf>,
    /// Directory to write.
    #[arg(long)]
    output_dir: PathBuf,
    /// Write into a directory that is not empty.
    #[arg(long)]
    overwrite_output_dir: bool,
    /// Labels, one a line; else those of the model, else the tags of the files.
    #[arg(long)]
    labels: Option<PathBuf>,
    /// Dropout on hidden states, on attention probabilities and before the classifier, in place of the model's.
    #[arg(long)]
    dropout: Option<f64>,
    /// What decides label sequences: `linear` each word by itself, `crf` with learnt scores of which label follows which; the model's own
    /// choice where not given.
    #[arg(long, value_enum)]
    head: Option<HeadName>,
    /// Evaluate every checkpoint that is left at the end, as STEP_f1 and the like in eval_results.txt.
    #[arg(long)]
    eval_all_checkpoints: bool,
    /// How words are given to the tokenizer: `prefix-space` or `none`; the tokenizer's saved choice where not given.
    #[arg(long)]
    word_boundary: Option<WordBoundary>,
    /// auto, cuda, cuda:N, flex or ndarray.
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
    settings: TrainSettings,
    #[command(flatten)]
    layout: Layout,
    #[command(flatten)]
    hub: HubArguments,
    /// Every flag with its value, as --config reads it.
    #[arg(skip)]
    pub effective: toml::Table,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HeadName {
    Linear,
    Crf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Arguments {
    fn devices(&self) -> DeviceList {
        let given = self.devices.clone();
        given.unwrap_or_else(|| DeviceList::from(self.device))
    }

    /// The configuration of the run's model.
    fn config(&self, saved: &ModelConfig, data: &Data) -> Result<ModelConfig> {
        let mut config = saved.clone();
        let files = data.files();
        config.id2label = self.labels(&config, &files)?;
        for file in files {
            file.check_tags(&config.id2label)?;
        }
        if let Some(head) = self.head {
            config.head = match head {
                HeadName::Linear => Head::Linear,
                HeadName::Crf => Head::Crf,
            };
        }
        if let Some(probability) = self.dropout {
            config.set_dropout(probability)?;
        }
        Ok(config)
    }

    /// Labels of the run: the file's, else the checkpoint's own, else the data's.
    fn labels(&self, config: &ModelConfig, files: &[&TaggedFile]) -> Result<Vec<String>> {
        match &self.labels {
            Some(path) => read_labels(path),
            None if config.has_placeholder_labels() => Ok(sorted_tags(files.iter().copied())),
            None => Ok(config.id2label.clone()),
        }
    }
}

/// The files of a run.
struct Data {
    train: TaggedFile,
    dev: TaggedFile,
    test: Option<TaggedFile>,
}

impl Data {
    fn read(arguments: &Arguments) -> Result<Self> {
        let read = |path: &PathBuf| TaggedFile::read(path, &arguments.layout);
        Ok(Self {
            train: read(&arguments.train)?,
            dev: read(&arguments.dev)?,
            test: arguments.test.as_ref().map(read).transpose()?,
        })
    }

    fn files(&self) -> Vec<&TaggedFile> {
        [&self.train, &self.dev]
            .into_iter()
            .chain(&self.test)
            .collect()
    }
}

/// What a run starts from.
struct Start {
    checkpoint: Option<Checkpoint>,
    tokenizer: Arc<SubwordTokenizer>,
    model: DataParallel,
    labels: Vec<String>,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let data = Data::read(arguments)?;
    let mut progress = match arguments.log_format {
        LogFormat::Text => Progress::new(quiet),
        LogFormat::Json => Progress::json(quiet),
    };
    let start = Start::load(arguments, &data, &progress, quiet)?;
    let labels = start.labels.clone();
    let (tagger, last_evaluation) = fit(arguments, &data, start, &mut progress)?;
    let last_evaluation = match last_evaluation {
        Some(found) => found,
        // A run that was taken up after its last evaluation.
        None => {
            let batch_size = arguments.settings.evaluation.eval_batch_size;
            evaluate(&tagger, &data.dev.sentences, batch_size, |_| {})?
        }
    };
    let outcome = Outcome {
        arguments,
        data: &data,
        labels: &labels,
        tagger: &tagger,
        last_evaluation: &last_evaluation,
    };
    outcome.write(&mut progress)
}

impl Start {
    fn load(arguments: &Arguments, data: &Data, progress: &Progress, quiet: bool) -> Result<Self> {
        let checkpoint = arguments
            .resume
            .as_ref()
            .map(|dir| Checkpoint::open(dir.as_ref().unwrap_or(&arguments.output_dir)))
            .transpose()?;
        check_dir(
            &arguments.output_dir,
            arguments.overwrite_output_dir || checkpoint.is_some(),
        )?;
        let dir = match &checkpoint {
            Some(checkpoint) => checkpoint.dir.clone(),
            None => arguments.hub.model(&arguments.model, quiet)?,
        };
        let tokenizer = SubwordTokenizer::from_dir(&dir, arguments.word_boundary)?;
        let saved = ModelConfig::from_dir(&dir)?;
        let config = arguments.config(&saved, data)?;
        if let Some(checkpoint) = &checkpoint {
            check_same_model(checkpoint, &saved, &config)?;
        }
        let devices = arguments.devices();
        let (device, others) = devices.open()?;
        let device = device.autodiff();
        let seed = arguments.settings.seed;
        let (model, loaded) = TokenClassifier::load(&dir, &config, &device, seed)?;
        let model = model.with_precision(arguments.settings.precision)?;
        tell(progress, &devices, &loaded);
        if let Some(checkpoint) = &checkpoint {
            progress.say(&format!("going on after step {}", checkpoint.state.step));
        }
        progress.say(&format!(
            "settings: {}",
            serde_json::to_string(&arguments.effective)?
        ));
        Ok(Self {
            checkpoint,
            tokenizer: Arc::new(tokenizer),
            model: DataParallel::new(model, others)?,
            labels: config.id2label,
        })
    }
}

fn tell(progress: &Progress, devices: &DeviceList, loaded: &LoadReport) {
    let path = loaded.path.display();
    progress.say(&format!("device {devices}, weights of {path}"));
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

/// Trains, and gives the last model and the last evaluation of it.
fn fit(
    arguments: &Arguments,
    data: &Data,
    start: Start,
    progress: &mut Progress,
) -> Result<(Tagger, Option<Evaluation>)> {
    let Start {
        checkpoint,
        tokenizer,
        model,
        ..
    } = start;
    let mut observer = Observer {
        record: None,
        start: &|| begin(arguments, checkpoint.as_ref()),
        listening: Listening::start()?,
        progress,
        failed: None,
        last_evaluation: None,
        total_steps: 0,
    };
    let corpus = Corpus {
        train: &data.train.sentences,
        dev: &data.dev.sentences,
    };
    let settings = &arguments.settings;
    let mut trainer = Trainer::new(model, Arc::clone(&tokenizer), &arguments.output_dir)
        .settings(settings.clone())
        .observer(|event| observer.hear(&event));
    if let Some(checkpoint) = checkpoint.clone() {
        trainer = trainer.from_checkpoint(checkpoint);
    }
    let trained = trainer.fit(corpus);
    if let Some(error) = observer.failed {
        return Err(error);
    }
    let last_evaluation = observer.last_evaluation;
    drop(observer.record);
    progress.end();
    let model = trained.map_err(|error| match error {
        ner_train::Error::Stopped { .. } => anyhow::Error::new(Interrupted(format!(
            "{error}; go on with {}",
            resuming_command()
        ))),
        error => error.into(),
    })?;
    Ok((settings.tagger(model, tokenizer)?, last_evaluation))
}

/// Makes or clears the output directory and opens the record of a run that is about to begin.
fn begin(arguments: &Arguments, checkpoint: Option<&Checkpoint>) -> Result<Record> {
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
    write_file(&dir.join("settings.toml"), &arguments.effective.to_string())?;
    Record::open(dir, checkpoint.map(|checkpoint| &checkpoint.state))
}

/// Refuses to go on with another model than the checkpoint's.
fn check_same_model(
    checkpoint: &Checkpoint,
    saved: &ModelConfig,
    asked: &ModelConfig,
) -> Result<()> {
    let [saved, asked] = [saved, asked].map(serde_json::to_value);
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
    if arguments.get(1).is_none_or(|command| command != "train") {
        return "the same command and --resume".to_owned();
    }
    let quoted = arguments.iter().map(|argument| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
        if !argument.is_empty() && argument.chars().all(is_plain) {
            argument.clone()
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    let mut command = quoted.collect::<Vec<_>>().join(" ");
    // The last one counts: the latest checkpoint, not the one that this run was taken up at.
    if arguments.last().is_none_or(|last| last != "--resume") {
        command.push_str(" --resume");
    }
    command
}

#[cfg(test)]
mod tests;
