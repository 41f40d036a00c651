//! Fine-tuning of token classification: batches, AdamW, schedule, evaluation, checkpoints, events.
//!
//! - [`Trainer`] takes a model, its tokenizer, and sentences given as words and tags, and reports [`Event`]s to an observer.
//! - [`evaluate`] scores a [tagger](ner_tagger::Tagger) on words, [`evaluate_as_text`] on the same words as running text.
//! - [`Distillation`] trains a student on a teacher's [`SoftTargets`].
//!
//! The crate reads no corpus file and prints nothing.

mod average;
mod checkpoint;
mod distillation;
mod error;
mod evaluation;
mod event;
mod features;
mod floats;
mod micro_batch;
mod optimizer;
mod run;
mod sampler;
mod save_model;
mod schedule;
mod settings;
mod soft_targets;
mod trainer;
mod unread_rows;

pub use checkpoint::{Checkpoint, TrainerState};
pub use distillation::Distillation;
pub use error::{Error, Result};
pub use evaluation::{Evaluation, TextEvaluation, evaluate, evaluate_as_text};
pub use event::{Event, Plan, Step};
pub use features::{Feature, Featurizer};
pub use micro_batch::DataParallel;
pub use ner_tagger::{Decode, PretokenizedSentence};
pub use optimizer::{AdamW, LayerRates};
pub use sampler::BatchSampler;
pub use save_model::{BEST, save};
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
