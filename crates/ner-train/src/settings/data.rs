use serde::{Deserialize, Serialize};

use super::check::at_least_one;
use crate::error::Result;

/// How sentences become sequences of sub-words, and those batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct DataSettings {
    /// Sequences a forward pass.
    #[cfg_attr(feature = "clap", arg(long, alias = "per-device-train-batch-size", default_value_t = Self::default().batch_size))]
    pub batch_size: usize,
    /// Forward passes an optimizer step.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().gradient_accumulation_steps))]
    pub gradient_accumulation_steps: usize,
    /// Longest sequence of sub-words, special tokens included; longer sentences are read in overlapping windows.
    #[cfg_attr(feature = "clap", arg(long, alias = "max-seq-length", default_value_t = Self::default().max_length))]
    pub max_length: usize,
    /// Sub-words of the neighboring sentences of its document (up to -DOCSTART-) to put on each side of each sentence, as far as the longest
    /// sequence leaves room; 0 for none, 64 as in FLERT. The model remembers it.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::default().document_context))]
    pub document_context: usize,
    /// Give each epoch a random order of its own; else batches follow the data.
    #[cfg_attr(feature = "clap", arg(
        long, value_name = "BOOL", default_value_t = Self::default().shuffle,
        action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true",
    ))]
    pub shuffle: bool,
    /// Put sequences of like length together, in random order still: less padding on devices that pad (a GPU).
    #[cfg_attr(feature = "clap", arg(
        long, value_name = "BOOL", default_value_t = Self::default().group_by_length,
        action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true",
    ))]
    pub group_by_length: bool,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            batch_size: 32,
            gradient_accumulation_steps: 1,
            max_length: 128,
            document_context: 0,
            shuffle: true,
            group_by_length: false,
        }
    }
}

impl DataSettings {
    pub(super) fn check(&self) -> Result<()> {
        at_least_one("batch_size", self.batch_size)?;
        at_least_one(
            "gradient_accumulation_steps",
            self.gradient_accumulation_steps,
        )
    }
}
