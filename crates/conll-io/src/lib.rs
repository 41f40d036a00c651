//! Streaming reader and writer for CoNLL column files and tagged CSV/TSV.
//!
//! A CoNLL column file has one token a line, its annotations in columns beside it, and a blank line
//! after each sentence:
//!
//! ```text
//! -DOCSTART- O
//!
//! Ana B-PER
//! vive O
//! en O
//! Lima B-LOC
//! ```
//!
//! [`Reader`] reads such a file sentence by sentence into a [`Sentence`] whose buffers are used
//! again, [`Writer`] writes it back, [`CsvReader`] and [`CsvWriter`] do the same for tables with a
//! header. Every [`Error`] says what was wrong, in which file and on which line.
//!
//! ```
//! use conll_io::{Reader, Sentence, Writer};
//!
//! # fn main() -> Result<(), conll_io::Error> {
//! let text = "Ana B-PER\nvive O\n\nLlueve O\n";
//! let mut reader = Reader::from_reader(text.as_bytes());
//! let mut writer = Writer::from_writer(Vec::new());
//! let mut sentence = Sentence::new();
//! while reader.read_sentence(&mut sentence)? {
//!     // Token and tag, and as an extra column the length of the token in characters.
//!     let length = |token: &str| token.chars().count().to_string();
//!     let lengths: Vec<String> = sentence.tokens().map(length).collect();
//!     writer.write_sentence_with(&sentence, &[&lengths])?;
//! }
//! assert_eq!(writer.into_inner()?, b"Ana B-PER 3\nvive O 4\n\nLlueve O 6\n\n");
//! # Ok(())
//! # }
//! ```
//!
//! # What counts as what
//!
//! | | rule |
//! |---|---|
//! | line | ends with LF, with any CRs before it dropped; the last line may lack its end |
//! | blank line | nothing but ASCII white space |
//! | column | see [`Separator`]; all lines of a file have the same number of columns |
//! | document boundary | a line whose first column starts with `-DOCSTART-`; also ends a sentence |
//! | encoding | see [`Encoding`]; a byte-order mark is dropped |
//! | tag column | by default the last one; a file with one column has no tags |
//!
//! White space outside ASCII, such as U+00A0 and U+3000, is part of a token.

#![forbid(unsafe_code)]

mod column;
mod csv_reader;
mod csv_writer;
mod encoding;
mod error;
mod line_buffer;
mod reader;
mod sentence;
mod separator;
mod source;
mod writer;

pub use column::Column;
pub use csv_reader::{CsvReader, CsvReaderBuilder};
pub use csv_writer::{CsvWriter, CsvWriterBuilder};
pub use encoding::Encoding;
pub use error::{Error, ErrorKind, Position};
pub use reader::{Reader, ReaderBuilder, read_path};
pub use sentence::Sentence;
pub use separator::Separator;
pub use source::{SentenceSource, Sentences};
pub use writer::{Writer, WriterBuilder};

/// What the first column of a line that begins a document starts with.
pub const DOCUMENT_START: &str = "-DOCSTART-";

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
