#![doc = include_str!("../README.md")]

mod anonymizer;
mod error;
mod key;
mod merge;
mod names;
mod operator;
mod pseudonym;
mod recognize;
mod recognizers;
mod span;
mod undo;

pub use anonymizer::{Anonymizer, Redacted, RedactedItem, Redactor};
pub use error::{Error, Result};
pub use key::Key;
pub use merge::merge;
pub use operator::{Digest, Masked, Operator, Operators};
pub use recognizers::{Recognizer, Recognizers};
pub use span::{Span, to_bytes, to_code_points};
pub use undo::{Replacement, UndoMap, undo};
