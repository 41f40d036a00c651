//! `train`: fine-tuning.

mod curves;
mod devices;
mod observer;
mod record;
mod tensorboard;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use ner_model::{DeviceChoice, Head, ModelConfig, Precision, TokenClassifier};
use ner_train::{
    BestMetric, Checkpoint, Corpus, DataParallel, Evaluation, TrainSettings, evaluate, train,
};
use subword_align::{SubwordTokenizer, WordBoundary};

use self::devices::DeviceList;
use self::observer::Observer;
use self::record::Record;
use crate::card::Card;
use crate::data::{DecodeArguments, Layout, TaggedFile, read_labels, sorted_tags};
use crate::hub::HubArguments;
use crate::interrupt::{Interrupted, Listening};
use crate::output::{check_dir, make_dir, write_file};
use crate::progress::Progress;

/// Fine-tune a model on a column file, evaluate it as it goes, and save the best and the last.
///
/// The output directory gets the last model as the hub lays it out with a model card, `best/` the one with the best development figure,
/// settings.toml, train_log.csv, eval_log.csv, curves.svg, events for TensorBoard in tensorboard/, eval_results.txt and, with --test,
/// test_results.txt and test_predictions.txt. Defaults are the reference's run_ner.py's.
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
    /// Passes over the training data.
    #[arg(long, default_value_t = TrainSettings::default().epochs)]
    epochs: usize,
    /// Optimizer steps in all, instead of --epochs.
    #[arg(long)]
    max_steps: Option<usize>,
    /// Sentences a forward pass.
    #[arg(long, default_value_t = TrainSettings::default().batch_size)]
    batch_size: usize,
    /// Forward passes an optimizer step.
    #[arg(long, default_value_t = TrainSettings::default().gradient_accumulation_steps)]
    gradient_accumulation_steps: usize,
    /// Longest sequence of sub-words, special tokens included; longer sentences are read in overlapping windows.
    #[arg(long, default_value_t = TrainSettings::default().max_length)]
    max_length: usize,
    /// Sub-words of the neighbouring sentences of its document (up to -DOCSTART-) to put on each side of each sentence, as far as --max-length
    /// leaves room; 0 for none, 64 as in FLERT. The model remembers it.
    #[arg(long, default_value_t = TrainSettings::default().document_context, value_name = "N")]
    document_context: usize,
    /// Peak learning rate.
    #[arg(long, default_value_t = TrainSettings::default().learning_rate)]
    learning_rate: f64,
    /// Steps over which the learning rate rises from 0.
    #[arg(long, default_value_t = TrainSettings::default().warmup_steps, conflicts_with = "warmup_ratio")]
    warmup_steps: usize,
    /// Share of all steps over which the learning rate rises, in place of --warmup-steps.
    #[arg(long, conflicts_with = "warmup_steps")]
    warmup_ratio: Option<f64>,
    /// Decoupled weight decay, not on biases and LayerNorm.
    #[arg(long, default_value_t = TrainSettings::default().weight_decay)]
    weight_decay: f64,
    /// Epsilon of AdamW.
    #[arg(long, default_value_t = TrainSettings::default().adam_epsilon)]
    adam_epsilon: f64,
    /// Global gradient norm above which gradients are scaled down; 0 for no clipping.
    #[arg(long, default_value_t = TrainSettings::default().max_grad_norm)]
    max_grad_norm: f64,
    /// Dropout on hidden states, on attention probabilities and before the classifier, in place of the model's.
    #[arg(long)]
    dropout: Option<f64>,
    /// What decides label sequences: `linear` each word by itself, `crf` with learnt scores of which label follows which; the model's own
    /// choice where not given.
    #[arg(long, value_enum)]
    head: Option<HeadName>,
    /// Leave the embeddings as they are.
    #[arg(long)]
    freeze_embeddings: bool,
    /// Leave the first so many encoder layers as they are.
    #[arg(long, default_value_t = TrainSettings::default().freeze_layers)]
    freeze_layers: usize,
    /// What the learning rate is multiplied with for each layer down from the classifier; 1 for the same everywhere.
    #[arg(long, default_value_t = TrainSettings::default().layer_decay)]
    layer_decay: f64,
    /// Share of the loss's target that goes to all labels alike.
    #[arg(long, default_value_t = TrainSettings::default().label_smoothing)]
    label_smoothing: f64,
    /// Weights of labels in the loss: LABEL=WEIGHT,… (1 for those not named), or `balanced`, which weighs each label by how rare it is in
    /// the training data.
    #[arg(long)]
    class_weights: Option<ClassWeights>,
    /// Decides order, dropout and a new classifier.
    #[arg(long, default_value_t = TrainSettings::default().seed)]
    seed: u64,
    /// Take sentences in file order.
    #[arg(long)]
    no_shuffle: bool,
    /// Put sequences of like length together, in random order still: less padding on devices that pad (a GPU).
    #[arg(long)]
    group_by_length: bool,
    /// Have every sub-word of a word carry its label, not only the first one.
    #[arg(long)]
    label_all_tokens: bool,
    /// Steps between rows of train_log.csv.
    #[arg(long, default_value_t = TrainSettings::default().logging_steps)]
    logging_steps: usize,
    /// Steps between checkpoints, 0 for none between.
    #[arg(long, default_value_t = TrainSettings::default().save_steps)]
    save_steps: usize,
    /// Steps between evaluations on --dev, 0 for one after each epoch; the last step is always followed by one.
    #[arg(long, default_value_t = TrainSettings::default().eval_steps)]
    eval_steps: usize,
    /// Which development figure decides which model is the best: f1, precision, recall or loss.
    #[arg(long, default_value_t = TrainSettings::default().best_metric)]
    best_metric: BestMetric,
    /// Evaluate every checkpoint that is left at the end, as STEP_f1 and the like in eval_results.txt.
    #[arg(long)]
    eval_all_checkpoints: bool,
    /// Checkpoints to keep, the latest ones; all where not given.
    #[arg(long)]
    save_total_limit: Option<usize>,
    /// End after so many evaluations in a row without a better development figure.
    #[arg(long)]
    early_stopping_patience: Option<usize>,
    /// Sentences a forward pass in evaluation.
    #[arg(long, default_value_t = TrainSettings::default().eval_batch_size)]
    eval_batch_size: usize,
    /// How words are given to the tokenizer: `prefix-space` or `none`; the tokenizer's saved choice where not given.
    #[arg(long)]
    word_boundary: Option<WordBoundary>,
    /// auto, cuda, cuda:N, flex or ndarray.
    #[arg(long, default_value_t = DeviceChoice::Auto, conflicts_with = "devices")]
    device: DeviceChoice,
    /// Several devices that share each batch, such as cuda:0,cuda:1, in place of --device; the optimizer runs on the first.
    #[arg(long, value_name = "DEVICE,…", conflicts_with = "device")]
    devices: Option<DeviceList>,
    /// Numbers of the matrix products: `bf16` on a GPU (weights and everything else stay f32), or f32.
    #[arg(long, default_value_t = TrainSettings::default().precision)]
    precision: Precision,
    /// Form of what is said on stderr: `json` is one object a line, for machines.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// TOML file with flags as keys, such as `learning-rate = 5e-5`; flags given here win.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    decode: DecodeArguments,
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

/// Weights of labels in the loss.
#[derive(Clone, Debug)]
enum ClassWeights {
    Balanced,
    Given(BTreeMap<String, f64>),
}

impl FromStr for ClassWeights {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "balanced" {
            return Ok(Self::Balanced);
        }
        let weight = |pair: &str| {
            let (label, weight) = pair
                .rsplit_once('=')
                .with_context(|| format!("`{pair}` is not LABEL=WEIGHT"))?;
            let weight = weight
                .parse()
                .with_context(|| format!("`{weight}` is no number"))?;
            Ok((label.to_owned(), weight))
        };
        Ok(Self::Given(
            text.split(',').map(weight).collect::<Result<_>>()?,
        ))
    }
}

/// `words / (labels * words of the label)`, as scikit-learn's `compute_class_weight` has it.
fn balanced(train: &TaggedFile) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for tag in train.tags().into_iter().flatten() {
        *counts.entry(tag).or_default() += 1;
    }
    let words: usize = counts.values().sum();
    let weight = |count: &usize| words as f64 / (counts.len() * count) as f64;
    counts
        .iter()
        .map(|(tag, count)| ((*tag).clone(), weight(count)))
        .collect()
}

impl Arguments {
    fn settings(&self, train: &TaggedFile) -> TrainSettings {
        TrainSettings {
            eval_steps: self.eval_steps,
            best_metric: self.best_metric,
            freeze_embeddings: self.freeze_embeddings,
            freeze_layers: self.freeze_layers,
            layer_decay: self.layer_decay,
            label_smoothing: self.label_smoothing,
            class_weights: match &self.class_weights {
                None => BTreeMap::new(),
                Some(ClassWeights::Given(weights)) => weights.clone(),
                Some(ClassWeights::Balanced) => balanced(train),
            },
            epochs: self.epochs,
            max_steps: self.max_steps,
            batch_size: self.batch_size,
            gradient_accumulation_steps: self.gradient_accumulation_steps,
            max_length: self.max_length,
            document_context: self.document_context,
            learning_rate: self.learning_rate,
            warmup_steps: self.warmup_steps,
            warmup_ratio: self.warmup_ratio,
            weight_decay: self.weight_decay,
            adam_epsilon: self.adam_epsilon,
            max_grad_norm: self.max_grad_norm,
            seed: self.seed,
            shuffle: !self.no_shuffle,
            group_by_length: self.group_by_length,
            logging_steps: self.logging_steps,
            save_steps: self.save_steps,
            save_total_limit: self.save_total_limit,
            early_stopping_patience: self.early_stopping_patience,
            label_all_tokens: self.label_all_tokens,
            precision: self.precision,
            constrained_scheme: self.decode.scheme().map(|scheme| scheme.to_string()),
            eval_batch_size: self.eval_batch_size,
        }
    }

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
    let settings = arguments.settings(&train_file);
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
        &settings,
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
            &arguments.decode.decoding(&model)?,
            settings.eval_batch_size,
            |_, _| {},
        )?,
    };
    let path = arguments.output_dir.join("eval_results.txt");
    let mut text = results(&last_evaluation);
    write_file(&path, &text)?;
    if arguments.eval_all_checkpoints {
        text.push_str(&checkpoint_results(
            arguments, &settings, &dev_file, &progress,
        )?);
        write_file(&path, &text)?;
    }
    let mut test = None;
    if let Some(test_file) = &test_file {
        progress.start("test", test_file.sentences.len());
        let found = evaluate(
            &model,
            &settings.featurizer(&tokenizer)?,
            &test_file.sentences,
            &arguments.decode.decoding(&model)?,
            settings.eval_batch_size,
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
        settings: &settings,
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
    settings: &TrainSettings,
    dev: &TaggedFile,
    progress: &Progress,
) -> Result<String> {
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
            &arguments.decode.decoding(&model)?,
            settings.eval_batch_size,
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
