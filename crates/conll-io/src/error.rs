//! What goes wrong in reading and writing, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::Column;

/// What went wrong, and where.
///
/// Shown as `file:line: what was wrong`, with what is known of the place.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    position: Position,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, path: Option<&Path>, line: Option<u64>) -> Self {
        let position = Position {
            path: path.map(Path::to_path_buf),
            line,
        };
        Self(Box::new(Inner { kind, position }))
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// What went wrong, without the place.
    pub fn into_kind(self) -> ErrorKind {
        self.0.kind
    }

    /// Where it went wrong; `None` where neither file nor line is known.
    pub fn position(&self) -> Option<&Position> {
        let position = &self.0.position;
        (position.path.is_some() || position.line.is_some()).then_some(position)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position() {
            Some(position) => write!(f, "{position}: {}", self.kind()),
            None => write!(f, "{}", self.kind()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The message already includes the kind's, so the chain goes on with the kind's own source.
        std::error::Error::source(self.kind())
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    path: Option<PathBuf>,
    line: Option<u64>,
}

impl Position {
    /// The file, where the reader or writer was made from a path.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The line, counted from 1; `None` for an error of the file as a whole.
    pub fn line(&self) -> Option<u64> {
        self.line
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.line) {
            (Some(path), Some(line)) => write!(f, "{}:{line}", path.display()),
            (Some(path), None) => write!(f, "{}", path.display()),
            (None, Some(line)) => write!(f, "line {line}"),
            (None, None) => write!(f, "unknown place"),
        }
    }
}

/// The kinds of [`Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file cannot be opened, read or written.
    #[error(transparent)]
    Io(io::Error),

    /// A directory in the place of a file.
    #[error("is a directory, expected a file: give the files in it by their names")]
    IsDirectory,

    /// A byte that is not part of UTF-8 text.
    #[error(
        "byte 0x{byte:02X} is not valid UTF-8: \
         if the file is Latin-1 (ISO-8859-1), read it with that encoding, or convert it to UTF-8"
    )]
    InvalidUtf8 {
        /// The offending byte.
        byte: u8,
    },

    /// A line with another number of columns than the first.
    #[error(
        "{found} column{} where line {first_line} has {expected}: every line needs the same number \
         of columns (is one missing, does a token contain the separator, or is one of the lines a \
         comment?)",
        if *found == 1 { "" } else { "s" }
    )]
    Ragged {
        /// Number of columns of this line.
        found: usize,
        /// Number of columns of the first line.
        expected: usize,
        /// The first line with columns; a CSV file's header.
        first_line: u64,
    },

    /// A column was asked for that the lines do not have.
    #[error(
        "no {role} column {column}: the line has {columns} column{}",
        if *columns == 1 { "" } else { "s" }
    )]
    MissingColumn {
        /// What the column is for: `token`, `tag` or `output`.
        role: &'static str,
        /// The column that was asked for.
        column: Column,
        /// Number of columns that the line has.
        columns: usize,
    },

    /// A column is asked for by its name in a file whose columns have none.
    #[error(
        "no {role} column named `{name}`: the first line has {}, and a column file has no names; \
         give the number of the column, from 1, or from -1 at the end",
        listed(found)
    )]
    NamedColumn {
        /// What the column is for: `token` or `tag`.
        role: &'static str,
        /// The name that was asked for.
        name: String,
        /// What the first line has.
        found: Vec<String>,
    },

    /// A line without a token or without a tag, though it has their columns.
    #[error("the {role} (column {column}) is empty")]
    EmptyField {
        /// `token` or `tag`.
        role: &'static str,
        /// The column's number, counted from 1.
        column: usize,
    },

    /// A tag or label with a character inside that cannot be seen, so that two could look the same.
    #[error(
        "the {role} {text:?} has U+{:04X} inside, which cannot be seen: remove it",
        u32::from(*character)
    )]
    InvisibleCharacter {
        /// `tag` or `label`.
        role: &'static str,
        /// The tag or label.
        text: String,
        /// The character.
        character: char,
    },

    /// A NUL, which is no part of text.
    #[error(
        "a NUL byte: if the file is UTF-16, convert it to UTF-8; otherwise it is damaged or no text"
    )]
    Nul,

    /// A line within a sentence that looks like a comment.
    #[error(
        "a comment inside a sentence: put a blank line before it, or, if it is the row of a token, \
         read the file without comments"
    )]
    CommentInSentence,

    /// The first line of a sentence, of which nothing tells whether it is a comment.
    #[error(
        "this line could be a comment or the row of a token `#`: read the file without comments, or \
         with the text that comments start with"
    )]
    MaybeComment,

    /// A CSV file whose header lacks a needed name.
    #[error(
        "no column named `{name}` for the {role}: the header has {}; \
         give the name of the {role} column",
        backquoted(header)
    )]
    MissingHeader {
        /// `token`, `tag`, `sentence id` or `document`.
        role: &'static str,
        /// The name that was looked for.
        name: String,
        /// The names that the header has.
        header: Vec<String>,
    },

    /// A CSV file whose header has a needed name more than once.
    #[error("more than one column is named `{name}`: rename all but the {role} column")]
    DuplicateHeader {
        /// `token`, `tag`, `sentence id` or `document`.
        role: &'static str,
        /// The name.
        name: String,
    },

    /// A field of a CSV file with a line break in it.
    #[error(
        "line break inside column {column}: is a double quote unpaired? \
         If quotes are plain characters in this file, turn quoting off"
    )]
    LineBreak {
        /// The column's number, counted from 1.
        column: usize,
    },

    /// A table whose first line has none of the names that are usual for a needed column.
    #[error(
        "no column of {role}s: the first line has {}, expected a header with {} among its names, \
         such as `sentence_id,token,tag`: add a header, rename the column, or give the name of the \
         {role} column",
        listed(header),
        alternatives(names)
    )]
    UnknownHeader {
        /// `token` or `tag`.
        role: &'static str,
        /// The usual names.
        names: &'static [&'static str],
        /// The names that the first line has.
        header: Vec<String>,
    },

    /// A table that does not say where its sentences end.
    #[error(
        "nothing says where a sentence ends: the header has {}, and no row is empty; add a column \
         `sentence_id` with the number of each word's sentence, or an empty row after each sentence",
        listed(header)
    )]
    NoSentenceEnd {
        /// The names that the header has.
        header: Vec<String>,
    },

    /// A line of a JSONL file that is no JSON.
    #[error(
        "no JSON from byte {byte} of the line on ({reason}): every line needs to be one object, such \
         as {{\"tokens\": [\"Ana\", \"vive\"], \"ner_tags\": [\"B-PER\", \"O\"]}}"
    )]
    InvalidJson {
        /// Where the fault was found, counted from 1.
        byte: usize,
        /// What is wrong there.
        reason: String,
    },

    /// A JSON value of another type than the needed one.
    #[error("{what} is {found}, expected {expected}")]
    WrongType {
        /// The value: the record, a field, or a token or tag.
        what: String,
        /// What it is.
        found: &'static str,
        /// What it has to be.
        expected: &'static str,
    },

    /// A JSONL record without tokens, or without another field that was asked for.
    #[error(
        "no field {} with the {what}: the record has {}; give the name of the right one, or rename it",
        alternatives(names),
        listed(found)
    )]
    MissingField {
        /// What the field is for: `tokens`, `tags` or `document`.
        what: &'static str,
        /// The names that the field may have.
        names: Vec<String>,
        /// The fields that the record has.
        found: Vec<String>,
    },

    /// A JSONL record with other fields than the first.
    #[error(
        "the record has {} `{name}`, unlike that of line {first_line}: all records of a file need \
         the same fields",
        if *present { "a field" } else { "no field" }
    )]
    UnlikeFirstRecord {
        /// The field of the tokens or the tags.
        name: String,
        /// Whether this record has it, where the first has not.
        present: bool,
        /// Line of the first record.
        first_line: u64,
    },

    /// Tags that are numbers, as a `ClassLabel` of Hugging Face `datasets` stores them.
    #[error(
        "the tags in `{field}` are numbers, and the file does not say which names they stand for: \
         write the names. In Python: names = ds.features['{field}'].feature.names; ds = ds.map(\
         lambda row: {{'{}': [names[tag] for tag in row['{field}']]}}, remove_columns='{field}')",
        if field == "tags" { "labels" } else { "tags" }
    )]
    TagNumbers {
        /// The field of the tags.
        field: String,
    },

    /// A JSONL record with more or fewer tags than tokens.
    #[error("`{token_field}` has {tokens} and `{tag_field}` has {tags}: every token needs one tag")]
    TagCount {
        /// The field of the tokens.
        token_field: String,
        /// Number of tokens.
        tokens: usize,
        /// The field of the tags.
        tag_field: String,
        /// Number of tags.
        tags: usize,
    },

    /// A token or tag of a JSONL record that no sentence can have.
    #[error("{role} {number} of the record, {text:?}, {reason}")]
    InvalidValue {
        /// `token` or `tag`.
        role: &'static str,
        /// Its place in the record, counted from 1.
        number: usize,
        /// The token or tag.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A file that is to be read as columns and looks like JSON.
    #[error(
        "the file looks like JSONL, and the extension .jsonl decides that a file is read so: rename \
         it where every line is one object; else write it so, in Python with ds.to_json('NAME.jsonl')"
    )]
    LooksLikeJson,

    /// Text that would not be read back as it is.
    #[error("cannot write {text:?} as a {what}: {reason}")]
    Unwritable {
        /// The text.
        text: String,
        /// What it was to be: `column`, `line` or `comment`.
        what: &'static str,
        /// Why it would not be read back.
        reason: &'static str,
    },

    /// An extra column with more or fewer values than the sentence has tokens.
    #[error("extra column {column} has {found} values for a sentence of {expected} tokens")]
    ExtraColumnLength {
        /// Which of the extra columns, counted from 1.
        column: usize,
        /// Number of values.
        found: usize,
        /// Number of tokens.
        expected: usize,
    },

    /// A text that names no column.
    #[error(
        "`{0}` is no column: expected a whole number, from the start counted from 1 \
         (`1` is the first column) or from the end (`-1` is the last)"
    )]
    InvalidColumn(String),
}

fn backquoted<S: AsRef<str>>(names: &[S]) -> String {
    names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Names that were found.
fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        backquoted(names)
    }
}

/// Names of which one is expected.
fn alternatives<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [before @ .., last] if !before.is_empty() => {
            format!("{} or `{}`", backquoted(before), last.as_ref())
        }
        _ => backquoted(names),
    }
}
