//! `train`: fine-tuning.

mod curves;
mod devices;
mod observer;
mod record;
mod tensorboard;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use ner_model::{DeviceChoice, Head, ModelConfig, TokenClassifier};
use ner_train::{Checkpoint, Corpus, DataParallel, Evaluation, TrainSettings, evaluate, train};
use subword_align::{SubwordTokenizer, WordBoundary};

use self::devices::DeviceList;
use self::observer::Observer;
use self::record::Record;
use crate::card::Card;
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

    /// Labels of the run: the file's, else the checkpoint's own, else the data's.
    fn labels(&self, config: &ModelConfig, files: &[&TaggedFile]) -> Result<Vec<String>> {
        match &self.labels {
            Some(path) => read_labels(path),
            None if config.has_placeholder_labels() => Ok(sorted_tags(files.iter().copied())),
            None => Ok(config.id2label.clone()),
        }
    }
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let read = |path: &PathBuf| TaggedFile::read(path, &arguments.layout);
    let (train_file, dev_file) = (read(&arguments.train)?, read(&arguments.dev)?);
    let test_file = arguments.test.as_ref().map(read).transpose()?;
    let settings = &arguments.settings;
    let files: Vec<&TaggedFile> = [&train_file, &dev_file]
        .into_iter()
        .chain(&test_file)
        .collect();

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
    let mut config = ModelConfig::from_dir(&dir)?;
    let saved = config.clone();
    config.id2label = arguments.labels(&config, &files)?;
    files
        .iter()
        .try_for_each(|file| file.check_tags(&config.id2label))?;
    if let Some(head) = arguments.head {
        config.head = match head {
            HeadName::Linear => Head::Linear,
            HeadName::Crf => Head::Crf,
        };
    }
    if let Some(probability) = arguments.dropout {
        config.set_dropout(probability)?;
    }

    if let Some(checkpoint) = &checkpoint {
        check_same_model(checkpoint, &saved, &config)?;
    }

    let devices = arguments.devices();
    let (device, others) = devices.open()?;
    let device = device.autodiff();
    let (model, loaded) = TokenClassifier::load(&dir, &config, &device, settings.seed)?;
    let model = model.with_precision(settings.precision)?;

    let mut progress = match arguments.log_format {
        LogFormat::Text => Progress::new(quiet),
        LogFormat::Json => Progress::json(quiet),
    };
    progress.say(&format!(
        "device {devices}, weights of {}",
        loaded.path.display()
    ));
    if let Some(reason) = &loaded.new_classifier {
        progress.say(&format!("the classifier has random weights: {reason}"));
    }
    if loaded.new_crf {
        progress.say("the CRF is new: it prefers no sequence yet");
    }
    if !loaded.unused.is_empty() {
        progress.say(&format!("not used: {}", loaded.unused.join(", ")));
    }

    if let Some(checkpoint) = &checkpoint {
        progress.say(&format!("going on after step {}", checkpoint.state.step));
    }
    progress.say(&format!(
        "settings: {}",
        serde_json::to_string(&arguments.effective)?
    ));
    let mut observer = Observer {
        record: None,
        start: &|| start(arguments, checkpoint.as_ref()),
        listening: Listening::start()?,
        progress: &mut progress,
        failed: None,
        last_evaluation: None,
        total_steps: 0,
    };
    let corpus = Corpus {
        train: &train_file.sentences,
        dev: &dev_file.sentences,
    };
    let trained = train(
        DataParallel::new(model, others)?,
        &tokenizer,
        corpus,
        settings,
        &arguments.output_dir,
        checkpoint.as_ref(),
        &mut |event| observer.hear(&event),
    );
    if let Some(error) = observer.failed {
        return Err(error);
    }
    let last_evaluation = observer.last_evaluation;
    drop(observer.listening);
    drop(observer.record);
    progress.end();
    let model = trained.map_err(|error| match error {
        ner_train::Error::Stopped { .. } => anyhow::Error::new(Interrupted(format!(
            "{error}; go on with {}",
            resuming_command()
        ))),
        error => error.into(),
    })?;

    let last_evaluation = match last_evaluation {
        Some(found) => found,
        // A run that was taken up after its last evaluation.
        None => evaluate(
            &model,
            &settings.featurizer(&tokenizer)?,
            &dev_file.sentences,
            &settings.decoding.decoding(&model)?,
            settings.evaluation.eval_batch_size,
            |_, _| {},
        )?,
    };
    let path = arguments.output_dir.join("eval_results.txt");
    let mut text = results(&last_evaluation);
    write_file(&path, &text)?;
    if arguments.eval_all_checkpoints {
        text.push_str(&checkpoint_results(arguments, &dev_file, &progress)?);
        write_file(&path, &text)?;
    }
    let mut test = None;
    if let Some(test_file) = &test_file {
        progress.start("test", test_file.sentences.len());
        let found = evaluate(
            &model,
            &settings.featurizer(&tokenizer)?,
            &test_file.sentences,
            &settings.decoding.decoding(&model)?,
            settings.evaluation.eval_batch_size,
            |done, _| progress.set(done, String::new),
        )?;
        progress.end();
        progress.say(&format!("test: {}", summary(&found)));
        write_file(
            &arguments.output_dir.join("test_results.txt"),
            &results(&found),
        )?;
        write_predictions(
            &arguments.output_dir.join("test_predictions.txt"),
            test_file,
            &found.predicted,
        )?;
        test = Some((test_file, found));
    }
    curves::write(&arguments.output_dir)?;
    let card = Card {
        base_model: &arguments.model,
        labels: &config.id2label,
        settings,
        train: &train_file,
        dev: Some((&dev_file, &last_evaluation)),
        test: test.as_ref().map(|(file, found)| (*file, found)),
    };
    write_file(
        &arguments.output_dir.join("README.md"),
        &card.text(&arguments.output_dir)?,
    )
}

/// Makes or clears the output directory and opens the record of a run that is about to begin.
fn start(arguments: &Arguments, checkpoint: Option<&Checkpoint>) -> Result<Record> {
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

/// The result lines of every sound checkpoint of the run.
fn checkpoint_results(
    arguments: &Arguments,
    dev: &TaggedFile,
    progress: &Progress,
) -> Result<String> {
    let settings = &arguments.settings;
    let mut text = String::new();
    let (device, _) = arguments.devices().open()?;
    for dir in Checkpoint::all(&arguments.output_dir)? {
        let step = match Checkpoint::open(&dir) {
            Ok(checkpoint) => checkpoint.state.step,
            Err(error) => {
                progress.say(&format!("passed over: {error}"));
                continue;
            }
        };
        let tokenizer = SubwordTokenizer::from_dir(&dir, None)?;
        let config = ModelConfig::from_dir(&dir)?;
        let (model, _) = TokenClassifier::load(&dir, &config, &device, 0)?;
        let model = model.with_precision(settings.precision)?;
        let found = evaluate(
            &model,
            &settings.featurizer(&tokenizer)?,
            &dev.sentences,
            &settings.decoding.decoding(&model)?,
            settings.evaluation.eval_batch_size,
            |_, _| {},
        )?;
        progress.say(&format!(
            "checkpoint of step {step}, dev: {}",
            summary(&found)
        ));
        for line in results(&found).lines() {
            text.push_str(&format!("{step}_{line}\n"));
        }
    }
    Ok(text)
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

/// The reference's result file: `key = value`, sorted by key.
fn results(found: &Evaluation) -> String {
    let micro = &found.report.micro;
    format!(
        "f1 = {}\nloss = {}\nprecision = {}\nrecall = {}\n",
        micro.f1, found.loss, micro.precision, micro.recall
    )
}

fn summary(found: &Evaluation) -> String {
    let micro = &found.report.micro;
    let (precision, recall, f1) = (micro.precision, micro.recall, micro.f1);
    format!(
        "precision {precision:.4}, recall {recall:.4}, f1 {f1:.4}, loss {:.4}",
        found.loss
    )
}

/// `word label` lines with a blank line after each sentence.
pub fn write_predictions(path: &Path, file: &TaggedFile, predicted: &[Vec<String>]) -> Result<()> {
    let mut text = String::new();
    for (sentence, tags) in file.sentences.iter().zip(predicted) {
        for (word, tag) in sentence.words.iter().zip(tags) {
            text.extend([word.as_str(), " ", tag, "\n"]);
        }
        text.push('\n');
    }
    write_file(path, &text)
}

#[cfg(test)]
mod tests;
