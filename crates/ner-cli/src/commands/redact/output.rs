//! Records in the form that they were read in, and what stands beside them.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::output::Output;
use crate::screen::shown;
use crate::text_records::{Record, RecordFormat};

/// Writes records.
pub struct RecordWriter {
    output: Output,
    format: RecordFormat,
    on_terminal: bool,
    /// Columns of the table, and what stands between them, once the first record has come.
    table: Option<(Vec<String>, u8)>,
    /// Whether the next record is the first.
    is_first: bool,
    /// What ends the results, where the line before has no end: marks of the end of a file, or nothing.
    last: Option<Cow<'static, str>>,
}

impl RecordWriter {
    /// `holds_originals` keeps the file from others than its owner.
    pub fn new(path: Option<&Path>, format: RecordFormat, holds_originals: bool) -> Result<Self> {
        if format.is_table() {
            bail!(
                "redact writes no Parquet and no Arrow, and results have the form of the input; write it as JSONL or CSV first"
            );
        }
        let output = if holds_originals {
            Output::create_private(path)?
        } else {
            Output::create(path)?
        };
        Ok(Self {
            format,
            on_terminal: output.is_terminal(),
            output,
            table: None,
            is_first: true,
            last: None,
        })
    }

    pub fn write(&mut self, record: &Record) -> Result<()> {
        let text = match self.format {
            RecordFormat::Text => self.line(record),
            RecordFormat::Csv | RecordFormat::Tsv => self.row(record)?,
            _ => serde_json::to_string(&record.fields)? + "\n",
        };
        self.is_first = false;
        let text = shown(&text, self.on_terminal);
        Ok(self.output.write_all(text.as_bytes())?)
    }

    /// A line with what stands around it. Marks of the beginning and of the end of a file are those of the results only where they are at their
    /// beginning and end, and a last line without an end gets one where another file follows.
    fn line(&mut self, record: &Record) -> String {
        let frame = &record.frame;
        let before = match self.last.take() {
            Some(_) => "\n",
            None if self.is_first => &*frame.before,
            None => "",
        };
        if frame.after.ends_with('\n') {
            [before, record.text.as_str(), &*frame.after].concat()
        } else {
            self.last = Some(frame.after.clone());
            [before, record.text.as_str()].concat()
        }
    }

    /// A row of a table, with the header before it where it is the first.
    fn row(&mut self, record: &Record) -> Result<String> {
        let columns: Vec<&String> = record.fields.keys().collect();
        let is_new = self.table.is_none();
        let first = || {
            let names = columns.iter().map(|name| (*name).clone());
            (names.collect(), record.frame.delimiter)
        };
        let (names, delimiter) = self.table.get_or_insert_with(first);
        ensure!(
            names.iter().eq(columns.iter().copied()),
            "a file has the columns {}, the first one has {}",
            record.fields.keys().cloned().collect::<Vec<_>>().join(", "),
            names.join(", ")
        );
        let mut rows = csv::WriterBuilder::new()
            .delimiter(*delimiter)
            .from_writer(Vec::new());
        if is_new {
            rows.write_record(&*names)?;
        }
        rows.write_record(record.fields.values().map(|value| match value {
            Value::String(text) => text.as_str(),
            _ => "",
        }))?;
        Ok(String::from_utf8(rows.into_inner()?)?)
    }

    pub fn flush(&mut self) -> Result<()> {
        Ok(self.output.flush()?)
    }

    pub fn finish(mut self) -> Result<()> {
        if let Some(last) = self.last.take() {
            let last = shown(&last, self.on_terminal);
            self.output.write_all(last.as_bytes())?;
        }
        self.output.finish()
    }
}

/// A file of JSON lines beside the results, which only its owner can read.
pub struct JsonLines(Output);

impl JsonLines {
    pub fn create(path: &Path) -> Result<Self> {
        Output::create_private(Some(path)).map(Self)
    }

    pub fn write(&mut self, line: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.0, line)?;
        Ok(writeln!(self.0)?)
    }

    pub fn finish(self) -> Result<()> {
        self.0.finish()
    }
}
