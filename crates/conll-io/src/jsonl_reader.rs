//! Reads JSONL files.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::mem;
use std::path::{Path, PathBuf};

use memchr::memchr3;
use serde_json::{Map, Value};

use crate::encoding::{Decoder, line_text};
use crate::invisible::check_tag;
use crate::plain_lines::PlainLines;
use crate::sentence::ColumnLayout;
use crate::source::{open, reads_sentences};
use crate::table_header::DOCUMENT_NAMES;
use crate::{Encoding, Error, ErrorKind, Sentence, SentenceSource, Sentences};

/// Names of the field of the tokens; the first one that a record has is it.
const TOKEN_FIELDS: [&str; 2] = ["tokens", "words"];
/// The same of the tags.
const TAG_FIELDS: [&str; 3] = ["ner_tags", "tags", "labels"];

/// One line of a JSONL file.
type Record = Map<String, Value>;

/// Settings of a [`JsonlReader`].
#[derive(Clone, Debug)]
pub struct JsonlReaderBuilder {
    tags: bool,
    encoding: Encoding,
    token_fields: FieldNames,
    tag_fields: FieldNames,
    document_fields: FieldNames,
}

/// The names that a field may have; the first one that a record has is it.
#[derive(Clone, Debug)]
struct FieldNames {
    names: Vec<String>,
    /// Whether the name was given, so that the field has to be there.
    given: bool,
}

impl FieldNames {
    fn usual(names: &[&str]) -> Self {
        Self {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            given: false,
        }
    }

    fn given(name: String) -> Self {
        Self {
            names: vec![name],
            given: true,
        }
    }

    /// The number of the first of the names that a record has.
    fn of(&self, record: &Record) -> Option<usize> {
        self.names.iter().position(|name| record.contains_key(name))
    }
}

impl Default for JsonlReaderBuilder {
    fn default() -> Self {
        Self {
            tags: true,
            encoding: Encoding::default(),
            token_fields: FieldNames::usual(&TOKEN_FIELDS),
            tag_fields: FieldNames::usual(&TAG_FIELDS),
            document_fields: FieldNames::usual(&DOCUMENT_NAMES),
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

    /// The name of the tokens' field. Default: `tokens`, else `words`.
    pub fn token_field(&mut self, name: impl Into<String>) -> &mut Self {
        self.token_fields = FieldNames::given(name.into());
        self
    }

    /// The name of the tags' field, which the file then needs to have. Default: `ner_tags`, else
    /// `tags`, else `labels`.
    pub fn tag_field(&mut self, name: impl Into<String>) -> &mut Self {
        self.tag_fields = FieldNames::given(name.into());
        self
    }

    /// The name of the document's field, which the first record then needs to have. Default:
    /// `document`, else `doc_id`.
    pub fn document_field(&mut self, name: impl Into<String>) -> &mut Self {
        self.document_fields = FieldNames::given(name.into());
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
            first_fields: Vec::new(),
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
/// `document` or `doc_id` than before starts a document. [`JsonlReaderBuilder`] takes other names.
/// Other fields, blank lines and records without a token are passed over. A sentence has two columns, token and tag, and the line of its
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
    /// All fields of the first record.
    first_fields: Vec<String>,
    /// The last document named.
    document: Option<Value>,
    /// Whether the next sentence is its first.
    starts_document: bool,
    done: bool,
}

/// Fields that all records of a file have, as the first one says: numbers of their names in the
/// settings.
#[derive(Clone, Copy, Debug)]
struct Fields {
    tokens: usize,
    tags: Option<usize>,
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

    /// The names of all fields of the first record; none before it is read.
    pub fn first_fields(&self) -> &[String] {
        &self.first_fields
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
        let settings = &self.settings;
        let token_field = settings.token_fields.names[fields.tokens].as_str();
        let tag_field = fields.tags.map(|at| settings.tag_fields.names[at].as_str());
        let tokens = tokens(record, token_field)?;
        let tags = tag_field.map(|name| tags(record, name)).transpose()?;
        if let (Some(tag_field), Some(tags)) = (tag_field, &tags)
            && tags.len() != tokens.len()
        {
            return Err(ErrorKind::TagCount {
                token_field: token_field.to_owned(),
                tokens: tokens.len(),
                tag_field: tag_field.to_owned(),
                tags: tags.len(),
            });
        }
        let mut named = settings.document_fields.names.iter();
        let named = named.find_map(|name| record.get(name));
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
            sentence.start_document();
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
        let settings = &self.settings;
        let tokens = settings.token_fields.of(record);
        let tags = settings.tag_fields.of(record).filter(|_| settings.tags);
        let Some(known) = self.fields else {
            let tokens = tokens.ok_or_else(|| missing("tokens", &settings.token_fields, record))?;
            if settings.tags && settings.tag_fields.given && tags.is_none() {
                return Err(missing("tags", &settings.tag_fields, record));
            }
            let documents = &settings.document_fields;
            if documents.given && documents.of(record).is_none() {
                return Err(missing("document", documents, record));
            }
            self.first_fields = record.keys().cloned().collect();
            let line = self.lines_read;
            return Ok(*self.fields.insert(Fields { tokens, tags, line }));
        };
        let unlike = |name: &str, present| ErrorKind::UnlikeFirstRecord {
            name: name.to_owned(),
            present,
            first_line: known.line,
        };
        let tag_name = |at: usize| settings.tag_fields.names[at].as_str();
        let token_name = settings.token_fields.names[known.tokens].as_str();
        let needed = [Some(token_name), known.tags.map(tag_name)];
        let lacks = |name: &&str| !record.contains_key(*name);
        match (needed.into_iter().flatten().find(lacks), known.tags, tags) {
            (Some(name), ..) => Err(unlike(name, false)),
            (None, None, Some(at)) => Err(unlike(tag_name(at), true)),
            _ => Ok(known),
        }
    }
}

fn missing(what: &'static str, fields: &FieldNames, record: &Record) -> ErrorKind {
    ErrorKind::MissingField {
        what,
        names: fields.names.clone(),
        found: record.keys().cloned().collect(),
    }
}

/// The record in a line.
fn record(line: &[u8]) -> Result<Record, ErrorKind> {
    // Without its end, behind which a fault would be on another line.
    let text = line_text(line.trim_ascii_end())?;
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
fn tokens<'r>(record: &'r Record, field: &str) -> Result<Vec<&'r str>, ErrorKind> {
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
fn tags<'r>(record: &'r Record, field: &str) -> Result<Vec<&'r str>, ErrorKind> {
    let check = |(number, value): (usize, &'r Value)| match value {
        Value::String(text) => {
            let empty = || invalid_value("tag", number, text, "is empty");
            check_tag("tag", text).map_err(|kind| kind.unwrap_or_else(empty))?;
            Ok(text.as_str())
        }
        Value::Number(_) => Err(ErrorKind::TagNumbers {
            field: field.to_owned(),
        }),
        other => Err(wrong_type(format!("tag {number}"), other, "a string")),
    };
    (1..).zip(list(record, field)?).map(check).collect()
}

/// The values of a field that is a list.
fn list<'r>(record: &'r Record, field: &str) -> Result<&'r [Value], ErrorKind> {
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
     no record with tokens, and with the fields that were named.",
    "[`ErrorKind::UnlikeFirstRecord`]: it has other fields than the first.",
    "[`ErrorKind::TagNumbers`], [`ErrorKind::TagCount`], [`ErrorKind::InvalidValue`]: its tokens and \
     tags make no sentence."
);
