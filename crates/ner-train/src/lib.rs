//! Fine-tuning of token classification: batches, AdamW, schedule, evaluation, checkpoints, events.
//!
//! [`Trainer`] takes a model, its tokenizer and sentences given as words and tags, and tells an observer what happens; [`evaluate`] says how good
//! a [tagger](ner_tagger::Tagger) is, [`evaluate_as_text`] how good it is on running text.
//! With [`SoftTargets`] of a teacher a trainer distils. Nothing here reads a corpus file or prints.

mod average;
mod checkpoint;
mod distillation;
mod error;
mod evaluate;
mod event;
mod features;
mod optimizer;
mod order;
mod parallel;
mod run;
mod saved;
mod schedule;
mod settings;
mod soft_targets;
mod trainer;

pub use checkpoint::{Checkpoint, TrainerState};
pub use distillation::Distillation;
pub use error::{Error, Result};
pub use evaluate::{Evaluation, TextEvaluation, evaluate, evaluate_as_text};
pub use event::{Event, Plan, Step};
pub use features::{Feature, Featurizer};
pub use ner_tagger::{Decode, Sentence};
pub use optimizer::{AdamW, LayerRates};
pub use order::EpochOrder;
pub use parallel::DataParallel;
pub use saved::{BEST, save};
pub use settings::{
    BestMetric, ClassWeights, DataSettings, DecodeSettings, DistillSettings, EvaluationSettings,
    LossSettings, OptimizerSettings, OutputSettings, ScheduleSettings, TrainSettings,
};
pub use soft_targets::SoftTargets;
pub use trainer::{Corpus, Trainer};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
