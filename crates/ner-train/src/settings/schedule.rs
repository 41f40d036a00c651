use serde::{Deserialize, Serialize};

use super::check::{at_least_one, share};
use crate::error::Result;

/// Length of the run, and the learning rate over its steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct ScheduleSettings {
    /// Passes over the training data.
    #[cfg_attr(feature = "clap", arg(long, alias = "num-train-epochs", default_value_t = Self::default().epochs))]
    pub epochs: usize,
    /// Optimizer steps in all, in place of epochs.
    #[cfg_attr(feature = "clap", arg(long))]
    pub max_steps: Option<usize>,
    /// Steps over which the learning rate rises from 0.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().warmup_steps, conflicts_with = "warmup_ratio"))]
    pub warmup_steps: usize,
    /// Share of all steps over which the learning rate rises from 0, in place of a number of steps.
    #[cfg_attr(feature = "clap", arg(long, conflicts_with = "warmup_steps"))]
    pub warmup_ratio: Option<f64>,
    /// Share of all steps, at the end of the run, whose weights are averaged into the model (Izmailov et al. 2018,
    /// <https://arxiv.org/abs/1803.05407>); 0 for the weights of the last step.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().average_weights))]
    pub average_weights: f64,
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self {
            epochs: 3,
            max_steps: None,
            warmup_steps: 0,
            warmup_ratio: None,
            average_weights: 0.0,
        }
    }
}

impl ScheduleSettings {
    /// Steps of warm-up in a run of so many steps; a share is rounded up, as `transformers` rounds it.
    pub(crate) fn warmup(&self, total_steps: usize) -> usize {
        self.warmup_ratio.map_or(self.warmup_steps, |ratio| {
            (ratio * total_steps as f64).ceil() as usize
        })
    }

    /// Steps at the end of a run of so many steps whose weights are averaged.
    pub(crate) fn averaged(&self, total_steps: usize) -> usize {
        (self.average_weights * total_steps as f64).ceil() as usize
    }

    pub(super) fn check(&self) -> Result<()> {
        at_least_one("epochs", self.epochs)?;
        at_least_one("max_steps", self.max_steps.unwrap_or(1))?;
        share("average_weights", self.average_weights)?;
        share("warmup_ratio", self.warmup_ratio.unwrap_or(0.0))
    }
}
