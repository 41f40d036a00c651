//! Words to sub-words and back, for taggers built on subword models.
//!
//! A tagger's data are words and labels, its model reads sub-words, and its user wants offsets in a text. This crate converts
//! between them, like transformers where the two can be compared:
//!
//! | step | module | what |
//! |---|---|---|
//! | load | [`loading`] | a checkpoint's tokenizer from `tokenizer.json` or bare vocabulary files; saves it too |
//! | split | [`split`] | splits long sentences before training, as `preprocess.py` does |
//! | segment | [`mod@segment`] | running text to words, as a corpus has them |
//! | encode | [`encode`] | words one by one, or running text with offsets |
//! | align | [`align`] | one label per word to one per sub-word |
//! | windows | [`mod@windows`] | long texts as overlapping windows |
//! | aggregate | [`mod@aggregate`] | predictions of sub-words to entities in the text |
//! | join | [`mod@join`] | words of a corpus to running text, to evaluate as in use |
//! | shrink | [`mod@shrink`] | a tokenizer with fewer sub-words: those that texts use |
//!
//! It builds on the `tokenizers` crate, without tensors or corpus files.
//!
//! ```
//! use subword_align::{Aggregation, SubwordTokenizer, aggregate, align_labels};
//!
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path();
//! std::fs::write(dir.join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nMar\n##ta\nvive\nen\nAl\n##bo\n##lea\n.\n")?;
//! let tokenizer = SubwordTokenizer::from_dir(dir, None)?;
//!
//! // Training: words and labels. The first sub-word of a word is labeled, the others are ignored by the loss.
//! let words = tokenizer.encode_words(&["Marta", "vive", "en", "Albolea"])?;
//! assert_eq!(words.ids, [4, 5, 6, 7, 8, 9, 10]);
//! let labels = align_labels(&words, &[1, 0, 0, 3], None)?;
//! assert_eq!(labels, [Some(1), None, Some(0), Some(0), Some(3), None, None]);
//!
//! // Use: a text, and the model's probabilities for each of its sub-words.
//! let text = "Marta vive en Albolea.";
//! let encoded = tokenizer.encode_text(text)?;
//! let names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
//! let predicted = [1, 0, 0, 0, 3, 0, 0, 0]; // of "Mar", "##ta", "vive", "en", "Al", "##bo", "##lea", "."
//! let mut probabilities = vec![0.02; encoded.len() * names.len()];
//! for (subword, label) in predicted.into_iter().enumerate() {
//!     probabilities[subword * names.len() + label] = 0.92;
//! }
//! let entities = aggregate(text, &encoded, &probabilities, &names, Aggregation::First)?;
//! assert_eq!((entities[1].entity.as_str(), entities[1].word.as_str()), ("LOC", "Albolea"));
//! assert_eq!((entities[1].start, entities[1].end), (14, 21));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod aggregate;
pub mod align;
mod boundary;
pub mod encode;
mod error;
pub mod join;
pub mod loading;
pub mod segment;
pub mod shrink;
pub mod split;
pub mod windows;

pub use aggregate::{Aggregation, EntitySpan, aggregate};
pub use align::align_labels;
pub use boundary::WordBoundary;
pub use encode::{EncodedText, EncodedWords};
pub use error::{Cause, Error, Result};
pub use join::{JoinedText, join_words};
pub use loading::SubwordTokenizer;
pub use segment::{Segmentation, words};
pub use shrink::{ShrinkOptions, Shrunk, SubwordCounts};
pub use split::{Placement, SentenceSplitter};
pub use windows::{Window, windows};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
