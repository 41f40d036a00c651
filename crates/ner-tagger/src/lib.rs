//! Inference with a fine-tuned token classifier: words or running text in, tags and entities out.
//!
//! [`Tagger`] does all of it:
//!
//! ```no_run
//! let tagger = ner_tagger::Tagger::from_dir("out")?;
//! for entity in tagger.entities("Ana vive en Lima")? {
//!     println!("{} {}", entity.entity, entity.word);
//! }
//! # Ok::<(), ner_tagger::Error>(())
//! ```
//!
//! | step | module |
//! |---|---|
//! | words to sub-words, text to words | `subword-align` |
//! | sentences to sequences of at most the model's length, with document context | [`Sequencer`] |
//! | sequences to passes of similar length, prepared while the model computes | [`batching`], [`prefetch`] |
//! | passes to the logits of each word or sub-word | the inference engine, private |
//! | logits to labels, entities and their probabilities | [`Decoder`] |
//! | calibrated scores, from held-out data | [`calibration`] |
//!
//! The crate does not train; `ner-train` builds on it.

pub mod batching;
pub mod calibration;
mod decoder;
mod error;
mod inference;
mod min_scores;
mod offsets;
pub mod prefetch;
mod sentence;
mod sequencer;
mod tagged;
mod tagger;

pub use decoder::{Decode, Decoder};
pub use error::{Error, Result};
pub use min_scores::MinScores;
pub use offsets::Offsets;
pub use sentence::PretokenizedSentence;
pub use sequencer::{Sequence, Sequencer};
pub use subword_align::{Aggregation, EntitySpan, Segmentation};
pub use tagged::{TaggedSentence, TaggedText, WordEntity, WordTag};
pub use tagger::{ScoredSentence, Tagger, TaggerBuilder};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
