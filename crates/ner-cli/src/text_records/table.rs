//! Tables with a column of texts: Parquet, and Arrow's IPC format as a file or as a stream, batch by batch.

mod catch_panic;
mod ipc;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_json::WriterBuilder;
use arrow_json::writer::LineDelimited;
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};

use self::catch_panic::guarded;
use super::{Fault, OneFile, Record, RecordFormat};
use crate::paths;

/// Rows that become records at once.
const ROWS: usize = 1024;

/// A table that is read batch by batch.
pub struct Table {
    name: PathBuf,
    schema: SchemaRef,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>>>,
}

impl Table {
    /// Opens a file, or a stream of Arrow's on stdin for `-`. Parquet comes in batches of so many rows at the most, Arrow in those that it has. `done`
    /// counts the bytes that are read, as they lie in the file.
    pub fn open(
        path: &Path,
        format: RecordFormat,
        rows: usize,
        done: &Arc<AtomicU64>,
    ) -> Result<Self> {
        let open = || match format {
            RecordFormat::Parquet => parquet(path, rows, done),
            _ => ipc::open(path, done),
        };
        let (schema, mut batches) = guarded(path, open)?;
        let name = path.to_owned();
        let mut ended = false;
        let batches = std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let batch = guarded(&name, || batches.next().transpose()).transpose();
            ended = !matches!(batch, Some(Ok(_)));
            batch
        });
        Ok(Self {
            name: path.to_owned(),
            schema,
            batches: Box::new(batches),
        })
    }

    /// Its columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The number of the column of the texts.
    pub fn text_column(&self, field: &str) -> Result<usize> {
        let name = self.name.display();
        let fields = self.schema.fields().iter().enumerate();
        let mut found = fields.filter(|(_, column)| column.name() == field);
        let Some((number, column)) = found.next() else {
            let known: Vec<&str> = self
                .schema
                .fields()
                .iter()
                .map(|column| column.name().as_str())
                .collect();
            bail!(
                "{name}: has no column `{field}`, only {}; --text-field names the one of the text",
                known.join(", ")
            )
        };
        ensure!(found.next().is_none(), "{name}: has two columns `{field}`");
        ensure!(
            is_text(column.data_type()),
            "{name}: column `{field}` is of type {}; texts are of type Utf8, LargeUtf8 or Utf8View, or a dictionary of these",
            column.data_type()
        );
        Ok(number)
    }
}

impl Iterator for Table {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}

/// What a table is made of.
type Parts = (SchemaRef, Box<dyn Iterator<Item = Result<RecordBatch>>>);

fn parquet(path: &Path, rows: usize, done: &Arc<AtomicU64>) -> Result<Parts> {
    ensure!(
        path != Path::new("-"),
        "Parquet is read from its end; give --input a file"
    );
    let file = paths::open(path)?;
    let size = file.metadata()?.len();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = Arc::clone(builder.schema());
    let all = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let mut share = Share::new(size, all, done);
    let batches = builder.with_batch_size(rows).build()?;
    let batches = batches.map(move |batch| {
        let batch = batch?;
        share.pass(batch.num_rows() as u64);
        Ok(batch)
    });
    Ok((schema, Box::new(batches)))
}

/// Counts the bytes of a file by the share of its parts that are read.
struct Share {
    size: u64,
    parts: u64,
    passed: u64,
    done: Arc<AtomicU64>,
}

impl Share {
    fn new(size: u64, parts: u64, done: &Arc<AtomicU64>) -> Self {
        Self {
            size,
            parts,
            passed: 0,
            done: Arc::clone(done),
        }
    }

    fn pass(&mut self, parts: u64) {
        let before = self.bytes();
        self.passed = self.passed.saturating_add(parts).min(self.parts);
        self.done
            .fetch_add(self.bytes() - before, Ordering::Relaxed);
    }

    fn bytes(&self) -> u64 {
        let bytes = u128::from(self.size) * u128::from(self.passed) / u128::from(self.parts.max(1));
        u64::try_from(bytes).unwrap_or(self.size)
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The texts of a column, none where it has a null.
pub fn texts(column: &dyn Array) -> Result<Vec<Option<&str>>> {
    Ok(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().iter().collect(),
        DataType::LargeUtf8 => column.as_string::<i64>().iter().collect(),
        DataType::Utf8View => column.as_string_view().iter().collect(),
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            let values = texts(dictionary.values())?;
            if values.is_empty() {
                return Ok(vec![None; column.len()]);
            }
            let keys = dictionary.normalized_keys().into_iter().enumerate();
            let value = |(row, key): (usize, usize)| values[key].filter(|_| column.is_valid(row));
            keys.map(value).collect()
        }
        other => bail!("a column of type {other} holds no texts"),
    })
}

/// The rows of a table as records, whose fields are the values of its columns as JSON.
pub fn records(
    path: &Path,
    format: RecordFormat,
    field: &str,
    done: &Arc<AtomicU64>,
) -> Result<OneFile> {
    let table = Table::open(path, format, ROWS, done)?;
    let column = table.text_column(field)?;
    let names = table.schema.fields().iter().map(|column| column.name());
    let mut known = std::collections::BTreeSet::new();
    for name in names {
        ensure!(
            known.insert(name),
            "{}: has two columns `{name}`, which JSON cannot tell apart; --format parquet keeps both",
            path.display()
        );
    }
    let name = path.to_owned();
    Ok(Box::new(table.flat_map(move |batch| {
        let name = name.clone();
        let (pieces, failed) = match batch {
            Ok(batch) => (pieces(&batch, ROWS), None),
            Err(error) => (Vec::new(), Some(Err(Fault::End(error)))),
        };
        let records = pieces.into_iter().flat_map(move |piece| {
            let rows = rows(&piece, column).with_context(|| name.display().to_string());
            match rows {
                Ok(rows) => rows.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(Fault::End(error))],
            }
        });
        records.chain(failed)
    })))
}

/// A batch in parts of so many rows, which share its memory.
fn pieces(batch: &RecordBatch, rows: usize) -> Vec<RecordBatch> {
    let starts = (0..batch.num_rows()).step_by(rows);
    starts
        .map(|start| batch.slice(start, rows.min(batch.num_rows() - start)))
        .collect()
}

fn rows(batch: &RecordBatch, column: usize) -> Result<Vec<Record>> {
    let builder = WriterBuilder::new().with_explicit_nulls(true);
    let mut writer = builder.build::<_, LineDelimited>(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    let lines = writer.into_inner();
    let objects = serde_json::Deserializer::from_slice(&lines).into_iter::<Map<String, Value>>();
    let texts = texts(batch.column(column))?.into_iter();
    let record = |(text, fields): (Option<&str>, serde_json::Result<Map<String, Value>>)| {
        Ok(Record {
            text: text.unwrap_or_default().to_owned(),
            fields: fields?,
            ..Record::default()
        })
    };
    texts.zip(objects).map(record).collect()
}
