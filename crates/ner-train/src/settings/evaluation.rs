use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::check::at_least_one;
use crate::error::{Error, Result};
use crate::evaluation::Evaluation;

/// Evaluation on the development data, and when it ends the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct EvaluationSettings {
    /// Steps between evaluations on the development data, 0 for one after each epoch; the last step is always followed by one.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().eval_steps))]
    pub eval_steps: usize,
    /// Sequences a batch in evaluation; it decides nothing but the reported loss, a mean over batches.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().eval_batch_size))]
    pub eval_batch_size: usize,
    /// Which development figure decides which model is the best: f1, precision, recall or loss.
    #[cfg_attr(feature = "clap", arg(long, value_name = "FIGURE", default_value_t = Self::default().best_metric))]
    pub best_metric: BestMetric,
    /// End after so many evaluations in a row without a better development figure.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub early_stopping_patience: Option<usize>,
}

impl Default for EvaluationSettings {
    fn default() -> Self {
        Self {
            eval_steps: 0,
            eval_batch_size: 8,
            best_metric: BestMetric::F1,
            early_stopping_patience: None,
        }
    }
}

impl EvaluationSettings {
    pub(super) fn check(&self) -> Result<()> {
        at_least_one("eval_batch_size", self.eval_batch_size)?;
        at_least_one(
            "early_stopping_patience",
            self.early_stopping_patience.unwrap_or(1),
        )
    }
}

/// A figure of an evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BestMetric {
    /// Entity F1, over all types.
    #[default]
    F1,
    /// Entity precision.
    Precision,
    /// Entity recall.
    Recall,
    /// Loss, the lower the better.
    Loss,
}

impl BestMetric {
    /// The figure, so that more is better.
    pub(crate) fn gain(self, evaluation: &Evaluation) -> f64 {
        let micro = &evaluation.report.micro;
        match self {
            Self::F1 => micro.f1,
            Self::Precision => micro.precision,
            Self::Recall => micro.recall,
            Self::Loss => -evaluation.loss,
        }
    }
}

impl FromStr for BestMetric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::F1, Self::Precision, Self::Recall, Self::Loss];
        let found = all.into_iter().find(|metric| metric.to_string() == text);
        found.ok_or_else(|| Error::Setting {
            name: "best_metric",
            reason: format!("`{text}` is none; expected f1, precision, recall or loss"),
        })
    }
}

impl fmt::Display for BestMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F1 => "f1",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Loss => "loss",
        })
    }
}
