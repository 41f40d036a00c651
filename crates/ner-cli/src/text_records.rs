//! Records with a text each, from files and pipes of several forms, one after the other in flat memory.

mod open;
#[cfg(feature = "arrow")]
pub mod table;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use clap::ValueEnum;
use conll_io::{ErrorKind, TextLines};
use serde_json::{Map, Value};

use self::open::open;
#[cfg(feature = "arrow")]
use self::table::records as table_records;
use crate::paths::unpacked_name;
use crate::progress::Progress;

/// What a file of records holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RecordFormat {
    /// One text a line.
    Text,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values under a header.
    Csv,
    /// Tab-separated values under a header.
    Tsv,
    /// A table with a column of texts.
    #[value(skip)]
    Parquet,
    /// The same in Arrow's IPC format, as a file or as a stream.
    #[value(skip)]
    Arrow,
}

impl RecordFormat {
    /// What the name of a file tells, before `.gz` or `.zst`; lines of text where it tells nothing.
    pub fn of(path: &Path) -> Self {
        let name = unpacked_name(path);
        match name.extension().and_then(|end| end.to_str()) {
            Some("jsonl" | "ndjson") => Self::Jsonl,
            Some("csv") => Self::Csv,
            Some("tsv") => Self::Tsv,
            Some("parquet") => Self::Parquet,
            Some("arrow" | "arrows" | "feather") => Self::Arrow,
            _ => Self::Text,
        }
    }

    /// What one calls it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Text => "lines of text",
            Self::Jsonl => "JSONL",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow",
        }
    }

    /// Whether it holds columns of many types, which stay as they are.
    pub fn is_table(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}

/// What to do where this program was built without tables.
pub const NO_TABLES: &str = "this ner-cli was built without Parquet and Arrow; `cargo build --release -p ner-cli --features arrow` builds one that has them";

/// What a file of texts in Latin-1 needs.
pub const TO_UTF8: &str =
    "convert the file, as with iconv -f ISO-8859-1 -t UTF-8 where it is Latin-1";

/// What a record that cannot be read does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    Fail,
    Skip,
}

/// One record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Its text; empty where a table has none.
    pub text: String,
    /// All fields of the record, that of the text among them; none for a line of text.
    pub fields: Map<String, Value>,
    /// What stands around it in its file.
    pub frame: Frame,
}

/// What stands around a record in its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Before a line of text: a byte-order mark, or nothing.
    pub before: Cow<'static, str>,
    /// After a line of text: its end, where it has one.
    pub after: Cow<'static, str>,
    /// Between the columns of a table.
    pub delimiter: u8,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            before: Cow::Borrowed(""),
            after: Cow::Borrowed("\n"),
            delimiter: b',',
        }
    }
}

/// What stands in the place of a record.
#[derive(Debug)]
pub enum Fault {
    /// This record cannot be read; the next ones can.
    Record(Error),
    /// Nothing more can be read.
    End(Error),
}

/// How records are read.
#[derive(Clone, Debug)]
pub struct RecordReader {
    /// The form of all files; by their names where not given.
    pub format: Option<RecordFormat>,
    /// Field or column of the text.
    pub field: String,
}

impl RecordReader {
    /// What a file holds.
    pub fn format_of(&self, path: &Path) -> RecordFormat {
        self.format.unwrap_or_else(|| RecordFormat::of(path))
    }

    /// The records of files, in order. `-` is stdin.
    pub fn read(&self, paths: Vec<PathBuf>) -> Result<Records> {
        let sizes = paths
            .iter()
            .map(|path| path.metadata().map(|file| file.len()));
        let total = sizes.sum::<Result<u64, _>>().ok();
        Ok(Records {
            reader: self.clone(),
            is_verbatim: false,
            paths: paths.into(),
            current: None,
            done: Arc::default(),
            total,
            ended: false,
        })
    }
}

/// Says that somebody has to type, where stdin is read and is a terminal.
pub fn say_where_to_type(paths: &[PathBuf], progress: &Progress) {
    if paths.contains(&PathBuf::from("-")) && io::stdin().is_terminal() {
        progress.say("reading from the terminal; Ctrl-D on a line of its own ends the input");
    }
}

/// The records of one file.
pub type OneFile = Box<dyn Iterator<Item = Result<Record, Fault>>>;

/// The records of files.
pub struct Records {
    reader: RecordReader,
    is_verbatim: bool,
    paths: VecDeque<PathBuf>,
    current: Option<OneFile>,
    /// Bytes read, as they lie in the files.
    done: Arc<AtomicU64>,
    /// Bytes of all files, where all are files.
    total: Option<u64>,
    ended: bool,
}

impl Records {
    /// Has lines of text keep what stands around them: byte-order mark, line end, Ctrl-Z at the end of the file.
    #[must_use]
    pub fn verbatim(mut self) -> Self {
        self.is_verbatim = true;
        self
    }

    /// Bytes of the files that are read, and of all of them where that is known.
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.done.load(Ordering::Relaxed), self.total)
    }

    fn open(&self, path: &Path) -> Result<OneFile> {
        let format = self.reader.format_of(path);
        let input = || open(path, &self.done);
        let field = self.reader.field.clone();
        let name = if path == Path::new("-") {
            "stdin".into()
        } else {
            path.to_owned()
        };
        Ok(match format {
            RecordFormat::Text if self.is_verbatim => Box::new(whole_lines(input()?, name)),
            RecordFormat::Text => Box::new(texts(input()?, name)),
            RecordFormat::Jsonl => Box::new(objects(input()?, name, field)),
            RecordFormat::Csv => Box::new(rows(input()?, name, field, None)?),
            RecordFormat::Tsv => Box::new(rows(input()?, name, field, Some(b'\t'))?),
            RecordFormat::Parquet | RecordFormat::Arrow => {
                table_records(path, format, &field, &self.done)?
            }
        })
    }
}

impl Iterator for Records {
    type Item = Result<Record, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            if let Some(next) = self.current.as_mut().and_then(Iterator::next) {
                self.ended = matches!(next, Err(Fault::End(_)));
                return Some(next);
            }
            let path = self.paths.pop_front()?;
            match self.open(&path) {
                Ok(records) => self.current = Some(records),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(Fault::End(error)));
                }
            }
        }
        None
    }
}

#[cfg(not(feature = "arrow"))]
fn table_records(path: &Path, _: RecordFormat, _: &str, _: &Arc<AtomicU64>) -> Result<OneFile> {
    bail!("{}: {NO_TABLES}", path.display())
}

/// Lines, each with its number.
fn lines(
    lines: TextLines<impl BufRead>,
    name: PathBuf,
) -> impl Iterator<Item = (u64, Result<String, Fault>)> {
    let place = name.display().to_string();
    let numbered = (1_u64..).zip(lines.named(name));
    numbered.map(move |(number, line)| {
        let line = line.map_err(|error| match error.kind() {
            ErrorKind::InvalidUtf8 { byte } => Fault::Record(anyhow!(
                "{place}:{number}: byte 0x{byte:02X} is not valid UTF-8; {TO_UTF8}"
            )),
            _ => Fault::End(error.into()),
        });
        (number, line)
    })
}

fn texts(input: impl BufRead, name: PathBuf) -> impl Iterator<Item = Result<Record, Fault>> {
    lines(TextLines::from_reader(input), name).map(|(_, line)| {
        Ok(Record {
            text: line?,
            ..Record::default()
        })
    })
}

fn whole_lines(input: impl BufRead, name: PathBuf) -> impl Iterator<Item = Result<Record, Fault>> {
    let lines = lines(TextLines::from_reader(input).verbatim(), name);
    lines.map(|(number, line)| Ok(framed(&line?, number == 1)))
}

/// The text of a whole line, and what stands around it.
fn framed(line: &str, is_first: bool) -> Record {
    let text = line.strip_prefix('\u{feff}').filter(|_| is_first);
    let text = text.unwrap_or(line);
    let before = &line[..line.len() - text.len()];
    let text = match text.strip_suffix('\n') {
        Some(text) => text.strip_suffix('\r').unwrap_or(text),
        // The end of the file.
        None => text.trim_end_matches(['\r', '\x1a']),
    };
    let after = &line[before.len() + text.len()..];
    Record {
        text: text.to_owned(),
        frame: Frame {
            before: before.to_owned().into(),
            after: after.to_owned().into(),
            ..Frame::default()
        },
        ..Record::default()
    }
}

/// Blank lines are no objects, and no faults either.
fn objects(
    input: impl BufRead,
    name: PathBuf,
    field: String,
) -> impl Iterator<Item = Result<Record, Fault>> {
    let lines = lines(TextLines::from_reader(input), name.clone());
    lines.filter_map(move |(number, line)| {
        let line = match line {
            Ok(line) if line.trim().is_empty() => return None,
            Ok(line) => line,
            Err(fault) => return Some(Err(fault)),
        };
        let record = object(&line, &field);
        let place = || format!("{}:{number}", name.display());
        Some(record.with_context(place).map_err(Fault::Record))
    })
}

/// The record of one line of JSON.
fn object(line: &str, field: &str) -> Result<Record> {
    let fields = match serde_json::from_str(line).context("is no JSON")? {
        Value::Object(fields) => fields,
        other => bail!("expected a JSON object, found {}", kind(&other)),
    };
    let text = match fields.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => bail!("field `{field}` is {}, expected a string", kind(other)),
        None => {
            let known: Vec<&str> = fields.keys().map(String::as_str).collect();
            bail!(
                "has no field `{field}`, only {}; --text-field names the one of the text",
                known.join(", ")
            )
        }
    };
    Ok(Record {
        text,
        fields,
        ..Record::default()
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The rows of a table. What stands between its columns is told by the header where it is not given.
fn rows(
    mut input: impl BufRead,
    name: PathBuf,
    field: String,
    delimiter: Option<u8>,
) -> Result<impl Iterator<Item = Result<Record, Fault>>> {
    let in_file = || name.display().to_string();
    let delimiter = match delimiter {
        Some(delimiter) => delimiter,
        None => delimiter_of(input.fill_buf().with_context(in_file)?, &field),
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(input);
    let header = reader.headers().with_context(in_file)?.clone();
    let columns: Vec<String> = header.iter().map(str::to_owned).collect();
    ensure!(
        columns.contains(&field),
        "{}:1: has no column `{field}`, only {}; --text-field names the one of the text",
        name.display(),
        columns.join(", ")
    );
    if let Some(twice) = columns
        .iter()
        .enumerate()
        .find(|(at, column)| columns[..*at].contains(column))
    {
        bail!("{}:1: has two columns `{}`", name.display(), twice.1);
    }
    let mut rows = reader.into_records();
    Ok(std::iter::from_fn(move || {
        let row = match rows.next()? {
            Ok(row) => row,
            Err(error) => {
                let is_end = error.is_io_error();
                let advice = match error.kind() {
                    csv::ErrorKind::Utf8 { .. } => format!("; {TO_UTF8}"),
                    _ => String::new(),
                };
                let error = anyhow!("{}: {error}{advice}", name.display());
                return Some(Err(if is_end {
                    Fault::End(error)
                } else {
                    Fault::Record(error)
                }));
            }
        };
        let values = row.iter().map(Value::from);
        let fields: Map<String, Value> = columns.iter().cloned().zip(values).collect();
        let text = fields
            .get(&field)
            .and_then(Value::as_str)
            .unwrap_or_default();
        Some(Ok(Record {
            text: text.to_owned(),
            fields,
            frame: Frame {
                delimiter,
                ..Frame::default()
            },
        }))
    }))
}

/// What stands between the columns of a table that begins with `head`: of the usual marks the one that makes the field a column, else one that makes
/// several columns.
fn delimiter_of(head: &[u8], field: &str) -> u8 {
    const USUAL: [u8; 3] = [b',', b';', b'\t'];
    let mut lines = head.split(|byte| matches!(byte, b'\n' | b'\r'));
    let header = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let columns = |delimiter: u8| {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .from_reader(header);
        reader.headers().cloned().unwrap_or_default()
    };
    let has_field = |delimiter: &u8| columns(*delimiter).iter().any(|column| column == field);
    let has_several = |delimiter: &u8| columns(*delimiter).len() > 1;
    let found = USUAL.into_iter().find(has_field);
    found
        .or_else(|| USUAL.into_iter().find(has_several))
        .unwrap_or(USUAL[0])
}

#[cfg(test)]
mod tests;
