//! Records in the form that they were read in, and what stands beside them.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::output::Output;
use crate::text_records::{Record, RecordFormat};

/// Writes records.
pub struct RecordWriter {
    sink: Sink,
    /// Columns of the table, once the first record has come.
    columns: Option<Vec<String>>,
}

enum Sink {
    Lines(Output, RecordFormat),
    Table(Box<csv::Writer<Output>>),
}

impl RecordWriter {
    pub fn new(path: Option<&Path>, format: RecordFormat) -> Result<Self> {
        let output = Output::create(path)?;
        let table = |output, delimiter| {
            let writer = csv::WriterBuilder::new()
                .delimiter(delimiter)
                .from_writer(output);
            Sink::Table(Box::new(writer))
        };
        let sink = match format {
            RecordFormat::Csv => table(output, b','),
            RecordFormat::Tsv => table(output, b'\t'),
            RecordFormat::Text | RecordFormat::Jsonl => Sink::Lines(output, format),
            RecordFormat::Parquet | RecordFormat::Arrow => {
                bail!(
                    "redact writes no Parquet and no Arrow, and results have the form of the input; write it as JSONL or CSV first"
                )
            }
        };
        Ok(Self {
            sink,
            columns: None,
        })
    }

    pub fn write(&mut self, record: &Record) -> Result<()> {
        match &mut self.sink {
            Sink::Lines(output, RecordFormat::Text) => writeln!(output, "{}", record.text)?,
            Sink::Lines(output, _) => {
                serde_json::to_writer(&mut *output, &record.fields)?;
                writeln!(output)?;
            }
            Sink::Table(table) => {
                let columns: Vec<String> = record.fields.keys().cloned().collect();
                match &self.columns {
                    None => table.write_record(&columns)?,
                    Some(first) => ensure!(
                        *first == columns,
                        "a file has the columns {}, the first one has {}",
                        columns.join(", "),
                        first.join(", ")
                    ),
                }
                self.columns = Some(columns);
                table.write_record(record.fields.values().map(|value| match value {
                    Value::String(text) => text.as_str(),
                    _ => "",
                }))?;
            }
        }
        Ok(())
    }

    pub fn flush(&mut self) -> Result<()> {
        match &mut self.sink {
            Sink::Lines(output, _) => output.flush()?,
            Sink::Table(table) => table.flush()?,
        }
        Ok(())
    }

    pub fn finish(self) -> Result<()> {
        match self.sink {
            Sink::Lines(output, _) => output.finish(),
            Sink::Table(table) => {
                let output = table.into_inner();
                output.map_err(csv::IntoInnerError::into_error)?.finish()
            }
        }
    }
}

/// A file of JSON lines beside the results.
pub struct JsonLines(Output);

impl JsonLines {
    pub fn create(path: &Path) -> Result<Self> {
        Output::create(Some(path)).map(Self)
    }

    pub fn write(&mut self, line: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.0, line)?;
        Ok(writeln!(self.0)?)
    }

    pub fn finish(self) -> Result<()> {
        self.0.finish()
    }
}
