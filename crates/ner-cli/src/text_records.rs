//! Records with a text each, from files and pipes of several forms, one after the other in flat memory.

mod open;
#[cfg(feature = "arrow")]
pub mod table;

use std::collections::VecDeque;
use std::io::BufRead;
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
        let name = path.to_string_lossy().to_lowercase();
        let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
        match Path::new(name).extension().and_then(|end| end.to_str()) {
            Some("jsonl" | "ndjson") => Self::Jsonl,
            Some("csv") => Self::Csv,
            Some("tsv") => Self::Tsv,
            Some("parquet") => Self::Parquet,
            Some("arrow" | "arrows" | "feather") => Self::Arrow,
            _ => Self::Text,
        }
    }

    /// Whether it holds columns of many types, which stay as they are.
    pub fn is_table(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}

/// What to do where this program was built without tables.
pub const NO_TABLES: &str = "this ner-cli was built without Parquet and Arrow; `cargo build --release -p ner-cli --features arrow` builds one that has them";

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its text; empty where a table has none.
    pub text: String,
    /// All fields of the record, that of the text among them; none for a line of text.
    pub fields: Map<String, Value>,
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
            paths: paths.into(),
            current: None,
            done: Arc::default(),
            total,
            ended: false,
        })
    }
}

/// The records of one file.
type OneFile = Box<dyn Iterator<Item = Result<Record, Fault>>>;

/// The records of files.
pub struct Records {
    reader: RecordReader,
    paths: VecDeque<PathBuf>,
    current: Option<OneFile>,
    /// Bytes read, as they lie in the files.
    done: Arc<AtomicU64>,
    /// Bytes of all files, where all are files.
    total: Option<u64>,
    ended: bool,
}

impl Records {
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
            RecordFormat::Text => Box::new(texts(input()?, name)),
            RecordFormat::Jsonl => Box::new(objects(input()?, name, field)),
            RecordFormat::Csv => Box::new(rows(input()?, name, field, b',')?),
            RecordFormat::Tsv => Box::new(rows(input()?, name, field, b'\t')?),
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
fn lines(input: impl BufRead, name: PathBuf) -> impl Iterator<Item = (u64, Result<String, Fault>)> {
    let lines = TextLines::from_reader(input).named(name);
    (1..).zip(lines.map(|line| {
        line.map_err(|error| match error.kind() {
            ErrorKind::InvalidUtf8 { .. } => Fault::Record(error.into()),
            _ => Fault::End(error.into()),
        })
    }))
}

fn texts(input: impl BufRead, name: PathBuf) -> impl Iterator<Item = Result<Record, Fault>> {
    lines(input, name).map(|(_, line)| {
        Ok(Record {
            text: line?,
            fields: Map::new(),
        })
    })
}

/// Blank lines are no objects, and no faults either.
fn objects(
    input: impl BufRead,
    name: PathBuf,
    field: String,
) -> impl Iterator<Item = Result<Record, Fault>> {
    lines(input, name.clone()).filter_map(move |(number, line)| {
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
    Ok(Record { text, fields })
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

fn rows(
    input: impl BufRead,
    name: PathBuf,
    field: String,
    delimiter: u8,
) -> Result<impl Iterator<Item = Result<Record, Fault>>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(input);
    let in_file = || name.display().to_string();
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
                let error = anyhow!("{}: {error}", name.display());
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
        }))
    }))
}

#[cfg(test)]
mod tests;
