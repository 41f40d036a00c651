//! `train`: fine-tuning.

mod advice;
mod curves;
mod devices;
pub mod launch;
mod log_files;
mod observer;
mod outcome;
mod page;
mod tensorboard;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use ner_model::{Head, ModelConfig};

use self::launch::{Data, Launch, RunArguments};
use crate::card::{Base, Part};
use crate::column_files::{TaggedFile, read_labels, sorted_tags};

/// Fine-tune a model on column files.
///
/// It is evaluated as it goes; the best and the last are saved.
///
/// The output directory gets the last model as the hub lays it out with a model card, `best/` the one with the best development figure,
/// settings.toml, train_log.csv, eval_log.csv, curves.svg, report.html with report.json, events for TensorBoard in tensorboard/,
/// eval_results.txt and, with --test, test_results.txt and test_predictions.txt. Defaults are the reference's run_ner.py's, but for --decode.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Directory of a model, with config.json, weights and tokenizer, or its NAME[@REVISION] on the hub.
    #[arg(long)]
    model: String,
    /// File to learn from, as are the others: columns with one word a line and its tag in the last column, or by its extension JSONL of `tokens` and `ner_tags`, CSV or TSV with a header.
    #[arg(long)]
    train: PathBuf,
    /// File to choose the best model by.
    #[arg(long)]
    dev: PathBuf,
    /// File to score at the end.
    #[arg(long)]
    test: Option<PathBuf>,
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
    #[command(flatten)]
    pub run: RunArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HeadName {
    Linear,
    Crf,
}

impl Arguments {
    /// The configuration of the run's model.
    fn config(&self, saved: ModelConfig, files: &[&TaggedFile]) -> Result<ModelConfig> {
        let mut config = saved;
        config.id2label = self.labels(&config, files)?;
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

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let own = &arguments.run;
    own.check()?;
    let mut progress = own.progress(quiet);
    if own.is_finished(&progress)? {
        return Ok(());
    }
    let read = |path: &PathBuf| TaggedFile::read(path, &own.layout);
    let train = read(&arguments.train)?;
    let dev = read(&arguments.dev)?;
    let test = arguments.test.as_ref().map(read).transpose()?;
    let checkpoint = own.checkpoint()?;
    let dir = match &checkpoint {
        Some(checkpoint) => checkpoint.dir.clone(),
        None => own.hub.model(&arguments.model, quiet)?,
    };
    let files: Vec<&TaggedFile> = [&train, &dev].into_iter().chain(&test).collect();
    let config = arguments.config(ModelConfig::from_dir(&dir)?, &files)?;
    let run = Launch {
        arguments: own,
        data: Data {
            parts: vec![Part::new("train", &train.path, &train.sentences)],
            train: train.sentences,
            dev: Some(dev),
            test,
        },
        checkpoint,
        dir: &dir,
        config,
        distillation: None,
        base: Base {
            model: Some(&arguments.model),
            lesson: None,
        },
        plan: None,
    };
    run.run(&mut progress)
}

#[cfg(test)]
mod tests;
