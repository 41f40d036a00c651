//! Tables as files.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions};
use arrow_schema::{DataType, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::column::EntityColumn;
use crate::commands::predict::{Arguments, Format};
use crate::output::Output;

/// Bytes of a row group of Parquet, which is held in memory until it is whole.
const ROW_GROUP: usize = 16 << 20;

/// Writes the batches of tables with one column more.
pub struct TableWriter {
    sink: Sink,
    name: String,
    /// That of the first input.
    input: SchemaRef,
    output: SchemaRef,
}

enum Sink {
    Parquet(Box<ArrowWriter<Output>>),
    Arrow(Box<FileWriter<Output>>),
}

impl TableWriter {
    pub fn new(arguments: &Arguments, input: &SchemaRef, column: &EntityColumn) -> Result<Self> {
        let field = column.field();
        ensure!(
            input
                .fields()
                .iter()
                .all(|known| known.name() != field.name()),
            "has a column `{}` already; --entities-field names another one for the entities",
            field.name()
        );
        let fields = input.fields().iter().cloned().chain([Arc::new(field)]);
        let metadata = input.metadata().clone();
        let schema = Arc::new(Schema::new_with_metadata(
            fields.collect::<Vec<_>>(),
            metadata,
        ));
        let output = Output::create(arguments.output.as_deref())?;
        let sink = match arguments.format() {
            Format::Parquet => {
                let writer =
                    ArrowWriter::try_new(output, Arc::clone(&schema), Some(properties(&schema)))?;
                Sink::Parquet(Box::new(writer))
            }
            _ => {
                // A dictionary that grows from batch to batch can be written; one that changes cannot.
                let options =
                    IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
                Sink::Arrow(Box::new(FileWriter::try_new_with_options(
                    output, &schema, options,
                )?))
            }
        };
        let stdout = || PathBuf::from("stdout");
        Ok(Self {
            sink,
            name: arguments
                .output
                .clone()
                .unwrap_or_else(stdout)
                .display()
                .to_string(),
            input: Arc::clone(input),
            output: schema,
        })
    }

    /// Fails where a further input has other columns than the first.
    pub fn check(&self, input: &SchemaRef) -> Result<()> {
        let columns = |schema: &SchemaRef| {
            let fields = schema.fields().iter();
            let columns = fields.map(|field| format!("{}: {}", field.name(), field.data_type()));
            columns.collect::<Vec<_>>().join(", ")
        };
        let (first, other) = (columns(&self.input), columns(input));
        ensure!(
            first == other,
            "has the columns {other}, and the first input has {first}; tag them one by one"
        );
        Ok(())
    }

    /// Writes a batch and the column of its entities.
    pub fn write(&mut self, batch: &RecordBatch, entities: ArrayRef) -> Result<()> {
        let name = || self.name.clone();
        let mut columns = batch.columns().to_vec();
        if matches!(self.sink, Sink::Arrow(_)) {
            columns = columns.iter().map(compact).collect();
        }
        columns.push(entities);
        let batch = RecordBatch::try_new(Arc::clone(&self.output), columns).with_context(name)?;
        match &mut self.sink {
            Sink::Parquet(writer) => writer.write(&batch).with_context(name),
            Sink::Arrow(writer) => writer.write(&batch).with_context(|| {
                let has_dictionary = |field: &Arc<arrow_schema::Field>| {
                    matches!(field.data_type(), DataType::Dictionary(..))
                };
                let hint = match self.output.fields().iter().any(has_dictionary) {
                    true => " (--format parquet takes columns whose dictionaries change)",
                    false => "",
                };
                format!("{}{hint}", self.name)
            }),
        }
    }

    /// Gives the file its name.
    pub fn finish(self) -> Result<()> {
        let name = || self.name.clone();
        let output = match self.sink {
            Sink::Parquet(writer) => writer.into_inner().with_context(name)?,
            Sink::Arrow(writer) => writer.into_inner().with_context(name)?,
        };
        output.finish()
    }
}

/// How Parquet is written: as most programs read it, in row groups of bounded size, with the metadata of the table.
fn properties(schema: &Schema) -> WriterProperties {
    let metadata = schema.metadata().iter();
    let mut metadata: Vec<KeyValue> = metadata
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .collect();
    metadata.sort_by(|a, b| a.key.cmp(&b.key));
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_bytes(Some(ROW_GROUP))
        .set_key_value_metadata(Some(metadata))
        .build()
}

/// A column of views with its own texts only: Arrow's writer would write with each batch all that its buffers hold.
fn compact(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => Arc::clone(column),
    }
}
