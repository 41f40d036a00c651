use serde::{Deserialize, Serialize};

use super::check::at_least_one;
use crate::error::Result;

/// Log and checkpoints: what the run tells and leaves beside its model, and when. Nothing here decides a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct OutputSettings {
    /// Steps between rows of the log.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().logging_steps))]
    pub logging_steps: usize,
    /// Steps between checkpoints, 0 for none between.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().save_steps))]
    pub save_steps: usize,
    /// Checkpoints to keep, the latest ones; all where not given.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub save_total_limit: Option<usize>,
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self {
            logging_steps: 100,
            save_steps: 0,
            save_total_limit: None,
        }
    }
}

impl OutputSettings {
    pub(super) fn check(&self) -> Result<()> {
        at_least_one("logging_steps", self.logging_steps)?;
        at_least_one("save_total_limit", self.save_total_limit.unwrap_or(1))
    }
}
