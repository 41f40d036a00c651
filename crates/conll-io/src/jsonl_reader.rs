//! Reads JSONL files.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::mem;
use std::path::{Path, PathBuf};
use std::str;

use memchr::{memchr, memchr3};
use serde_json::{Map, Value};

use crate::encoding::Decoder;
use crate::invisible::check_tag;
use crate::plain_lines::PlainLines;
use crate::sentence::{ColumnLayout, Document, Span};
use crate::source::{open, reads_sentences};
use crate::{DOCUMENT_START, Encoding, Error, ErrorKind, Sentence, SentenceSource, Sentences};

/// Names of the field of the tokens; the first one that a record has is it.
const TOKEN_FIELDS: [&str; 2] = ["tokens", "words"];
/// The same of the tags.
const TAG_FIELDS: [&str; 3] = ["ner_tags", "tags", "labels"];
/// The same of the document.
const DOCUMENT_FIELDS: [&str; 2] = ["document", "doc_id"];

/// One line of a JSONL file.
type Record = Map<String, Value>;

/// Settings of a [`JsonlReader`].
#[derive(Clone, Debug)]
pub struct JsonlReaderBuilder {
    tags: bool,
    encoding: Encoding,
}

impl Default for JsonlReaderBuilder {
    fn default() -> Self {
        Self {
            tags: true,
            encoding: Encoding::default(),
        }
    }
}

impl JsonlReaderBuilder {
    /// The defaults: with tags, UTF-8.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether tags are read; else they are passed over, whatever they are. Default: yes.
    pub fn tags(&mut self, read: bool) -> &mut Self {
        self.tags = read;
        self
    }

    /// The encoding of the text. Default: [`Encoding::Utf8`], as JSON demands.
    pub fn encoding(&mut self, encoding: Encoding) -> &mut Self {
        self.encoding = encoding;
        self
    }

    /// Reads from `reader`, which needs no buffering of its own.
    pub fn from_reader<R: Read>(&self, reader: R) -> JsonlReader<R> {
        JsonlReader {
            lines: BufReader::new(PlainLines::new(Decoder::new(reader, self.encoding))),
            settings: self.clone(),
            path: None,
            line: Vec::new(),
            lines_read: 0,
            fields: None,
            document: None,
            starts_document: false,
            done: false,
        }
    }

    /// Reads the file at `path`, which errors will name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be opened.
    pub fn from_path(&self, path: impl AsRef<Path>) -> Result<JsonlReader<File>, Error> {
        let path = path.as_ref();
        Ok(self.from_reader(open(path)?).named(path))
    }
}

/// Reads the sentences of a JSONL file, one a line, as Hugging Face `datasets` writes them.
///
/// The tokens are in the field `tokens` or `words`, the tags in `ner_tags`, `tags` or `labels`; both
/// are lists of strings. A file without tags reads like a column file without them. Another value in
/// `document` or `doc_id` than before starts a document. Other fields, blank lines and records
/// without a token are passed over. A sentence has two columns, token and tag, and the line of its
/// record.
///
/// ```
/// use conll_io::JsonlReader;
///
/// let text = r#"{"tokens": ["Ana", "vive"], "ner_tags": ["B-PER", "O"]}
/// {"tokens": ["Llueve"], "ner_tags": ["O"]}
/// "#;
/// let mut reader = JsonlReader::from_reader(text.as_bytes());
/// let sentences = reader.sentences().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(sentences.len(), 2);
/// let first = &sentences[0];
/// assert_eq!((first.token(0), first.tag(0), first.line(1)), ("Ana", Some("B-PER"), 1));
/// # Ok::<(), conll_io::Error>(())
/// ```
#[derive(Debug)]
pub struct JsonlReader<R> {
    lines: BufReader<PlainLines<R>>,
    settings: JsonlReaderBuilder,
    path: Option<PathBuf>,
    line: Vec<u8>,
    lines_read: u64,
    fields: Option<Fields>,
    /// The last document named.
    document: Option<Value>,
    /// Whether the next sentence is its first.
    starts_document: bool,
    done: bool,
}

/// Fields that all records of a file have, as the first one says.
#[derive(Clone, Copy, Debug)]
struct Fields {
    tokens: &'static str,
    tags: Option<&'static str>,
    line: u64,
}

impl JsonlReader<File> {
    /// Reads the file at `path` with the defaults of [`JsonlReaderBuilder`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be opened.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        JsonlReaderBuilder::new().from_path(path)
    }
}

impl<R: Read> JsonlReader<R> {
    /// Reads from `reader`, which needs no buffering of its own, with the defaults of
    /// [`JsonlReaderBuilder`].
    pub fn from_reader(reader: R) -> Self {
        JsonlReaderBuilder::new().from_reader(reader)
    }

    fn read_rows(&mut self, sentence: &mut Sentence) -> Result<bool, Error> {
        while self.read_line()? {
            let outcome = record(&self.line).and_then(|record| self.take(&record, sentence));
            if let Err(kind) = outcome {
                return Err(Error::new(
                    kind,
                    self.path.as_deref(),
                    Some(self.lines_read),
                ));
            }
            if !sentence.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the next line that is not blank; `false` at the end of the file.
    fn read_line(&mut self) -> Result<bool, Error> {
        loop {
            self.line.clear();
            let count = self.lines.read_until(b'\n', &mut self.line);
            match count {
                Ok(0) => return Ok(false),
                Ok(_) => self.lines_read += 1,
                Err(error) => {
                    let kind = ErrorKind::Io(error);
                    return Err(Error::new(kind, self.path.as_deref(), None));
                }
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Makes a record a sentence.
    fn take(&mut self, record: &Record, sentence: &mut Sentence) -> Result<(), ErrorKind> {
        let fields = self.fields(record)?;
        let tokens = tokens(record, fields.tokens)?;
        let tags = fields.tags.map(|name| tags(record, name)).transpose()?;
        if let (Some(tag_field), Some(tags)) = (fields.tags, &tags)
            && tags.len() != tokens.len()
        {
            return Err(ErrorKind::TagCount {
                token_field: fields.tokens,
                tokens: tokens.len(),
                tag_field,
                tags: tags.len(),
            });
        }
        let named = DOCUMENT_FIELDS.iter().find_map(|name| record.get(*name));
        let named = named.filter(|document| !document.is_null());
        if named.is_some() && named != self.document.as_ref() {
            self.document = named.cloned();
            self.starts_document = true;
        }
        if tokens.is_empty() {
            return Ok(());
        }
        sentence.layout = ColumnLayout {
            columns: 1 + usize::from(tags.is_some()),
            token: 0,
            tag: tags.as_ref().map(|_| 1),
        };
        if mem::take(&mut self.starts_document) {
            let span = Span {
                start: 0,
                end: DOCUMENT_START.len(),
            };
            sentence.text.push_str(DOCUMENT_START);
            sentence.document = Some(Document {
                span,
                fields: vec![span],
            });
        }
        for (i, token) in tokens.iter().enumerate() {
            sentence.begin_row(self.lines_read);
            sentence.push_field(token);
            if let Some(tags) = &tags {
                sentence.push_field(tags[i]);
            }
        }
        Ok(())
    }

    /// The fields of a record, which are those of the first one.
    fn fields(&mut self, record: &Record) -> Result<Fields, ErrorKind> {
        let tokens = first_of(record, &TOKEN_FIELDS);
        let tags = first_of(record, &TAG_FIELDS).filter(|_| self.settings.tags);
        let Some(known) = self.fields else {
            let tokens = tokens.ok_or_else(|| ErrorKind::MissingField {
                names: &TOKEN_FIELDS,
                found: record.keys().cloned().collect(),
            })?;
            let line = self.lines_read;
            return Ok(*self.fields.insert(Fields { tokens, tags, line }));
        };
        let unlike = |name, present| ErrorKind::UnlikeFirstRecord {
            name,
            present,
            first_line: known.line,
        };
        let needed = [Some(known.tokens), known.tags];
        let lacks = |name: &&'static str| !record.contains_key(*name);
        match (needed.into_iter().flatten().find(lacks), known.tags, tags) {
            (Some(name), ..) => Err(unlike(name, false)),
            (None, None, Some(name)) => Err(unlike(name, true)),
            _ => Ok(known),
        }
    }
}

/// The first of these fields that a record has.
fn first_of(record: &Record, names: &[&'static str]) -> Option<&'static str> {
    let mut names = names.iter().copied();
    names.find(|name| record.contains_key(*name))
}

/// The record in a line.
fn record(line: &[u8]) -> Result<Record, ErrorKind> {
    // Without its end, behind which a fault would be on another line.
    let line = line.trim_ascii_end();
    if memchr(0, line).is_some() {
        return Err(ErrorKind::Nul);
    }
    let text = str::from_utf8(line).map_err(|error| {
        let byte = line[error.valid_up_to()];
        ErrorKind::InvalidUtf8 { byte }
    })?;
    match serde_json::from_str(text) {
        Ok(Value::Object(record)) => Ok(record),
        Ok(other) => Err(wrong_type("the record".to_owned(), &other, "an object")),
        Err(error) => {
            let place = format!(" at line {} column {}", error.line(), error.column());
            let reason = error.to_string();
            Err(ErrorKind::InvalidJson {
                byte: error.column().max(1),
                reason: reason
                    .strip_suffix(place.as_str())
                    .unwrap_or(&reason)
                    .to_owned(),
            })
        }
    }
}

/// The tokens of a record.
fn tokens<'r>(record: &'r Record, field: &'static str) -> Result<Vec<&'r str>, ErrorKind> {
    let check = |(number, value): (usize, &'r Value)| {
        let Value::String(text) = value else {
            return Err(wrong_type(format!("token {number}"), value, "a string"));
        };
        let reason = match memchr3(b'\n', b'\r', 0, text.as_bytes()) {
            None if text.is_empty() => "is empty",
            None => return Ok(text.as_str()),
            Some(place) if text.as_bytes()[place] == 0 => "has a NUL inside",
            Some(_) => "has a line break inside",
        };
        Err(invalid_value("token", number, text, reason))
    };
    (1..).zip(list(record, field)?).map(check).collect()
}

/// The tags of a record.
fn tags<'r>(record: &'r Record, field: &'static str) -> Result<Vec<&'r str>, ErrorKind> {
    let check = |(number, value): (usize, &'r Value)| match value {
        Value::String(text) => {
            let empty = || invalid_value("tag", number, text, "is empty");
            check_tag("tag", text).map_err(|kind| kind.unwrap_or_else(empty))?;
            Ok(text.as_str())
        }
        Value::Number(_) => Err(ErrorKind::TagNumbers { field }),
        other => Err(wrong_type(format!("tag {number}"), other, "a string")),
    };
    (1..).zip(list(record, field)?).map(check).collect()
}

/// The values of a field that is a list.
fn list<'r>(record: &'r Record, field: &'static str) -> Result<&'r [Value], ErrorKind> {
    let wrong = |found| wrong_type(format!("the field `{field}`"), found, "a list of strings");
    match record.get(field) {
        Some(Value::Array(values)) => Ok(values),
        Some(other) => Err(wrong(other)),
        None => Err(wrong(&Value::Null)),
    }
}

fn invalid_value(role: &'static str, number: usize, text: &str, reason: &'static str) -> ErrorKind {
    ErrorKind::InvalidValue {
        role,
        number,
        text: text.to_owned(),
        reason,
    }
}

fn wrong_type(what: String, found: &Value, expected: &'static str) -> ErrorKind {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    ErrorKind::WrongType {
        what,
        found,
        expected,
    }
}

reads_sentences!(
    JsonlReader,
    "[`ErrorKind::InvalidJson`], [`ErrorKind::WrongType`], [`ErrorKind::MissingField`]: the line is \
     no record with tokens.",
    "[`ErrorKind::UnlikeFirstRecord`]: it has other fields than the first.",
    "[`ErrorKind::TagNumbers`], [`ErrorKind::TagCount`], [`ErrorKind::InvalidValue`]: its tokens and \
     tags make no sentence."
);
