//! The figures of a run, kept in files: `train_log.csv`, `eval_log.csv` and TensorBoard's events.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ner_train::{Event, Step, TrainerState};
use serde::{Deserialize, Serialize};

use super::tensorboard::{self, EventFile};
use crate::output::write_file;

pub const TRAIN_LOG: &str = "train_log.csv";
pub const EVAL_LOG: &str = "eval_log.csv";

/// One evaluation on the development data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalRow {
    /// Steps done.
    pub step: usize,
    /// Epochs done.
    pub epoch: f64,
    pub f1: f64,
    pub precision: f64,
    pub recall: f64,
    pub loss: f64,
}

pub struct LogFiles {
    train: Log,
    eval: Log,
    events: EventFile,
}

impl LogFiles {
    /// A new record in the run's directory, or one that goes on from a state.
    pub fn open(output_dir: &Path, from: Option<&TrainerState>) -> Result<Self> {
        let log = |name: &str, after: Option<usize>| {
            let path = output_dir.join(name);
            match after {
                Some(step) => Log::resume(&path, step),
                None => Log::create(&path),
            }
        };
        Ok(Self {
            train: log(TRAIN_LOG, from.map(|state| state.step))?,
            // A run that was stopped had not evaluated its last step yet.
            eval: log(EVAL_LOG, from.map(|state| state.evaluated))?,
            events: EventFile::create(
                &output_dir.join(tensorboard::DIR),
                from.map(|state| state.step),
            )?,
        })
    }

    pub fn write(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Logged(step) => self.write_step(step),
            Event::Evaluated {
                step,
                epoch,
                evaluation,
                ..
            } => {
                let micro = &evaluation.report.micro;
                self.write_evaluation(&EvalRow {
                    step: *step,
                    epoch: *epoch,
                    f1: micro.f1,
                    precision: micro.precision,
                    recall: micro.recall,
                    loss: evaluation.loss,
                })
            }
            _ => Ok(()),
        }
    }

    fn write_step(&mut self, step: &Step) -> Result<()> {
        self.train.write(step)?;
        let values = [
            ("loss", step.loss),
            ("lr", step.learning_rate),
            ("grad_norm", step.grad_norm),
            ("tokens_per_second", step.tokens_per_second),
        ];
        self.events.write(step.step, &values)
    }

    fn write_evaluation(&mut self, row: &EvalRow) -> Result<()> {
        self.eval.write(row)?;
        let values = [
            ("eval_f1", row.f1),
            ("eval_precision", row.precision),
            ("eval_recall", row.recall),
            ("eval_loss", row.loss),
        ];
        self.events.write(row.step, &values)
    }
}

/// A CSV file whose first column is a step.
struct Log {
    writer: csv::Writer<BufWriter<File>>,
    path: PathBuf,
}

impl Log {
    fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            writer: csv::Writer::from_writer(BufWriter::new(file)),
            path: path.to_owned(),
        })
    }

    /// Goes on with the log of a run, without the rows after the step at which it is taken up.
    fn resume(path: &Path, step: usize) -> Result<Self> {
        let in_log = || path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(in_log),
        };
        let is_kept = |line: &&str| {
            let first = line.split(',').next().unwrap_or_default();
            first.parse().map_or(true, |row: usize| row <= step)
        };
        // A row that was cut short has no line end.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let kept: String = whole.split_inclusive('\n').filter(is_kept).collect();
        write_file(path, &kept)?;
        let file = File::options()
            .append(true)
            .open(path)
            .with_context(in_log)?;
        let writer = csv::WriterBuilder::new()
            .has_headers(kept.is_empty())
            .from_writer(BufWriter::new(file));
        Ok(Self {
            writer,
            path: path.to_owned(),
        })
    }

    fn write<R: Serialize>(&mut self, row: &R) -> Result<()> {
        let in_log = || self.path.display().to_string();
        self.writer.serialize(row).with_context(in_log)?;
        self.writer.flush().with_context(in_log)
    }
}
