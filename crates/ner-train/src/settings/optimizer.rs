use serde::{Deserialize, Serialize};

use super::check::{above_zero, not_negative};
use crate::error::Result;

/// AdamW ([`AdamW`](crate::AdamW)), and what it leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct OptimizerSettings {
    /// Peak learning rate.
    #[cfg_attr(feature = "clap", arg(long, alias = "lr", value_name = "RATE", default_value_t = Self::default().learning_rate))]
    pub learning_rate: f64,
    /// Peak learning rate of what lies above the encoder: the classifier and a CRF's scores, which begin at random; `learning_rate` where not
    /// given.
    #[cfg_attr(feature = "clap", arg(long, value_name = "RATE"))]
    pub head_learning_rate: Option<f64>,
    /// Decoupled weight decay, not on biases and LayerNorm.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().weight_decay))]
    pub weight_decay: f64,
    /// Epsilon of AdamW, added to the root of the second moment.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().adam_epsilon))]
    pub adam_epsilon: f64,
    /// Global gradient norm above which gradients are scaled down; 0 for no clipping.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().max_grad_norm))]
    pub max_grad_norm: f64,
    /// What the learning rate is multiplied with for each layer down from the classifier (Howard & Ruder 2018,
    /// <https://arxiv.org/abs/1801.06146>, section 3.2); 1 for the same everywhere.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().layer_decay))]
    pub layer_decay: f64,
    /// Leave the embeddings as they are.
    #[cfg_attr(feature = "clap", arg(
        long, value_name = "BOOL", default_value_t = Self::default().freeze_embeddings,
        action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", hide_possible_values = true,
    ))]
    pub freeze_embeddings: bool,
    /// Leave the first so many encoder layers as they are.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = Self::default().freeze_layers))]
    pub freeze_layers: usize,
}

impl Default for OptimizerSettings {
    fn default() -> Self {
        Self {
            learning_rate: 5e-5,
            head_learning_rate: None,
            weight_decay: 0.0,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            layer_decay: 1.0,
            freeze_embeddings: false,
            freeze_layers: 0,
        }
    }
}

impl OptimizerSettings {
    pub(super) fn check(&self) -> Result<()> {
        not_negative("layer_decay", self.layer_decay)?;
        not_negative("learning_rate", self.learning_rate)?;
        if let Some(rate) = self.head_learning_rate {
            not_negative("head_learning_rate", rate)?;
            // It is a multiple of the other in each step of the schedule.
            above_zero("learning_rate", self.learning_rate)?;
        }
        not_negative("weight_decay", self.weight_decay)?;
        not_negative("adam_epsilon", self.adam_epsilon)?;
        not_negative("max_grad_norm", self.max_grad_norm)
    }
}
