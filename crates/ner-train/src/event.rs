//! What a run tells its observer.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::evaluation::Evaluation;

/// What a run will do, known before its first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Sentences of the training data.
    pub sentences: usize,
    /// Their words.
    pub words: usize,
    /// Words that carry loss: all of them, or the run would be lossy.
    pub labelled_words: usize,
    /// Sequences that the sentences make: more than sentences where some are too long and become windows.
    pub sequences: usize,
    /// Their sub-words, special tokens and context included.
    pub subwords: usize,
    /// Words that the tokenizer has no sub-word for.
    pub unknown_words: usize,
    /// Optimizer steps an epoch.
    pub steps_per_epoch: usize,
    /// Optimizer steps of the run.
    pub total_steps: usize,
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Number of the step, from 1.
    pub step: usize,
    /// Epochs done, fractions included.
    pub epoch: f64,
    /// Loss of the step; in a log row, the mean since the last row.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
    /// Sub-words trained on a second; in a log row, since the last row.
    pub tokens_per_second: f64,
}

/// What happens in a run, for the caller to show or write.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Nothing can refuse the run any more, and nothing has been written yet.
    Planned(&'a Plan),
    /// A step is done.
    Stepped(&'a Step),
    /// A log row is due.
    Logged(&'a Step),
    /// Evaluation has begun so many sentences.
    Evaluating {
        /// Sentences begun.
        done: usize,
        /// Sentences in all.
        total: usize,
    },
    /// The development data is evaluated.
    Evaluated {
        /// Steps done.
        step: usize,
        /// Epochs done, fractions included.
        epoch: f64,
        /// What was found.
        evaluation: &'a Evaluation,
        /// Whether no earlier evaluation was as good.
        best: bool,
    },
    /// A model is saved.
    Saved {
        /// Its directory.
        dir: &'a Path,
    },
}
