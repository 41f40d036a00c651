//! Fine-tuning of token classification: batches, AdamW, schedule, evaluation, checkpoints, events.
//!
//! [`train`] takes a model, its tokenizer and sentences given as words and tags, and tells an observer what happens; [`evaluate`] and
//! [`tag`] use the trained model. Nothing here reads a corpus file or prints.

mod ahead;
mod checkpoint;
mod error;
mod evaluate;
mod features;
mod optimizer;
mod order;
mod parallel;
mod saved;
mod schedule;
mod settings;
mod text;
mod trainer;

pub use checkpoint::{Checkpoint, TrainerState};
pub use error::{Error, Result};
pub use evaluate::{Decoding, Evaluation, WordTag, batch_tokens, evaluate, tag};
pub use features::{Feature, Featurizer, Sentence};
pub use optimizer::{AdamW, LayerRates};
pub use order::EpochOrder;
pub use parallel::DataParallel;
pub use saved::{BEST, save};
pub use schedule::LinearSchedule;
pub use settings::{
    BestMetric, ClassWeights, DataSettings, Decode, DecodeSettings, EvaluationSettings,
    LossSettings, OptimizerSettings, OutputSettings, ScheduleSettings, TrainSettings,
};
pub use text::{ScoredText, Wanted, find_entities, score_texts};
pub use trainer::{Corpus, Event, Plan, Step, train};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
