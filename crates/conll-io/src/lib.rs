//! Streaming reader and writer for CoNLL column files and tagged CSV/TSV, and reader for tagged
//! JSONL.
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
//! [`Reader`] reads such a file sentence by sentence into a [`Sentence`], whose buffers it reuses.
//! [`Writer`] writes it back. [`CsvReader`] and [`CsvWriter`] do the same for tables with a header,
//! and [`JsonlReader`] reads JSON objects, one a line. [`ReaderBuilder::open`] opens a file in the
//! format that its extension names. Every [`Error`] says what was wrong, in which file and on which line.
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
//! [`read_labels`] reads a list of labels, one per line. [`TextLines`] reads running text, one text
//! per line.
//!
//! # The format in full
//!
//! | | rule |
//! |---|---|
//! | line | ends with LF, CRLF or CR; CRs before a LF belong to the line end; the last line may have none |
//! | blank line | nothing but ASCII white space |
//! | column | see [`Separator`]; all rows of a file have the same number of columns |
//! | document boundary | a line whose first column starts with `-DOCSTART-`; also ends a sentence |
//! | comment | see [`Comments`]: before the first row of a sentence, a line such as `# doc_id = 5`; an error inside a sentence; kept with the sentence that follows |
//! | `#` as a token | a row, at the start of a sentence too: `# O`, `#Lima B-LOC`; an error where it could also be a comment |
//! | encoding | see [`Encoding`] |
//! | byte-order mark | dropped at the start of any line, also after ASCII white space and in any number: joined files have them inside; elsewhere an invisible character |
//! | Ctrl-Z (U+001A) | the same, and dropped at the end of the file |
//! | NUL | an error |
//! | tag column | by default the last one; a file with one column has no tags |
//! | tag | white space and invisible characters at its ends are cut off (see below); inside they are an error |
//! | token, other columns | as they are in the file, trailing blanks and invisible characters included |
//!
//! ASCII white space is space, tab and form feed. White space outside ASCII, such as U+00A0, U+2028
//! and U+3000, is part of a token: it separates no columns and ends no line.
//!
//! Invisible characters are white space, control characters, and characters without width, such as
//! U+200B (zero width space), U+FEFF (byte-order mark) and the marks of writing direction. At the
//! ends of a tag they are cut off, because `O` and `O` with a no-break space after it would be two
//! labels that look the same. A tag may contain the space and the joiners U+200C and U+200D.
//!
//! CSV and TSV files follow the same rules, without `-DOCSTART-` lines and comments. Another value in
//! the column of documents, if there is one, starts a document. Names in the header, sentence ids and
//! documents are cut like tags. Where the header occurs again, in joined files, it
//! ends a sentence and is not a row.
//!
//! A JSONL file has one sentence a line, `{"tokens": ["Ana", "vive"], "ner_tags": ["B-PER", "O"]}`:
//!
//! | | rule |
//! |---|---|
//! | tokens | the field `tokens` or `words`, strings, or the one that is named |
//! | tags | the field `ner_tags`, `tags` or `labels`, or the one that is named, as many strings; a file without it has no tags; numbers are an error, because their names are not in the file |
//! | document | the field `document` or `doc_id`, or the one that is named, if there is one: another value than before starts a document |
//! | other fields | passed over |
//! | line | that of the record, for each of its tokens; line ends, byte-order marks, NUL and encoding as above |
//! | record without tokens, blank line | passed over |
//! | token | any text but an empty one; a line break or a NUL in it is an error, as no column file can have it |
//! | tag | as above |

#![forbid(unsafe_code)]

mod column;
mod comments;
mod csv_reader;
mod csv_writer;
mod encoding;
mod error;
mod invisible;
mod jsonl_reader;
mod labels;
mod line_buffer;
mod plain_lines;
mod reader;
mod sentence;
mod separator;
mod source;
mod table_header;
mod tagged_reader;
mod text_lines;
mod unwritable;
mod writer;

pub use column::{Column, ColumnNames};
pub use comments::Comments;
pub use csv_reader::{CsvReader, CsvReaderBuilder};
pub use csv_writer::{CsvWriter, CsvWriterBuilder};
pub use encoding::Encoding;
pub use error::{Error, ErrorKind, Position};
pub use invisible::is_invisible;
pub use jsonl_reader::{JsonlReader, JsonlReaderBuilder};
pub use labels::{Label, read_labels};
pub use reader::{Reader, ReaderBuilder, read_path};
pub use sentence::Sentence;
pub use separator::Separator;
pub use source::{SentenceSource, Sentences};
pub use tagged_reader::{FileFormat, TaggedReader};
pub use text_lines::TextLines;
pub use writer::{Writer, WriterBuilder};

/// What the first column of a line that begins a document starts with.
pub const DOCUMENT_START: &str = "-DOCSTART-";

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
