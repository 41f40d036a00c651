//! A model that is a table, texts, and what the tagger itself says of them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test target compiles this and uses a part"
)]

pub mod cluster;
#[path = "../../../ner-tagger/tests/common/table_model.rs"]
mod table_model;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Float32Type, Int64Type};
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;
use ner_datafusion::Ner;
use ner_tagger::{EntitySpan, Tagger};
use tempfile::TempDir;

/// Persons, places, and words between them.
pub fn model() -> (TempDir, PathBuf) {
    let labels = ["O", "B-PER", "I-PER", "B-LOC"];
    let table = [
        ("Ana", "B-PER"),
        ("Eva", "B-PER"),
        ("Ruiz", "I-PER"),
        ("Lima", "B-LOC"),
        ("Núria", "B-PER"),
        ("vive", "O"),
        ("en", "O"),
        ("y", "O"),
    ];
    table_model::new(&labels, &table)
}

pub fn tagger(model: &Path) -> Tagger {
    Tagger::from_dir(model).unwrap()
}

/// A session in which `ner` has the model.
pub fn session(model: &Path) -> SessionContext {
    let session = SessionContext::new();
    session.register_udf(ScalarUDF::from(Ner::new(tagger(model))));
    session
}

/// Texts of every kind: some twice, one without entities, one without words, and none at all.
pub fn texts(count: usize) -> Vec<Option<String>> {
    let kinds = [
        Some("Ana vive en Lima"),
        None,
        Some("Núria y Eva Ruiz"), // characters of two bytes
        Some(""),
        Some("vive en"),
        Some("😀 Lima y Lima y Ana"),
    ];
    let text = |number: usize| {
        kinds[number % kinds.len()].map(|text| format!("{text}{}", " y Ana".repeat(number % 5)))
    };
    (0..count).map(text).collect()
}

/// The texts with their numbers, from `first`.
pub fn documents(first: usize, texts: &[Option<String>]) -> RecordBatch {
    let ids: Int64Array = (first..first + texts.len()).map(|id| id as i64).collect();
    let texts: StringArray = texts.iter().map(Option::as_deref).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(ids) as ArrayRef, false),
        ("text", Arc::new(texts) as ArrayRef, true),
    ])
    .unwrap()
}

/// As many Parquet files, in a folder.
pub async fn write_documents(folder: &Path, texts: &[Option<String>], files: usize) {
    let session = SessionContext::new();
    let size = texts.len().div_ceil(files);
    for (number, part) in texts.chunks(size).enumerate() {
        let path = folder.join(format!("{number:03}.parquet"));
        let rows = session.read_batch(documents(number * size, part)).unwrap();
        let options = DataFrameWriteOptions::new().with_single_file_output(true);
        let path = path.to_str().unwrap();
        rows.write_parquet(path, options, None).await.unwrap();
    }
}

/// What the tagger itself says, null for null.
pub fn expected(tagger: &Tagger, texts: &[Option<String>]) -> Vec<Option<Vec<EntitySpan>>> {
    let some: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
    let mut found = tagger.entities_of(&some).unwrap().into_iter();
    texts
        .iter()
        .map(|text| text.as_ref().map(|_| found.next().unwrap()))
        .collect()
}

/// The lists of a column, as the tagger would give them.
pub fn entities(column: &dyn Array) -> Vec<Option<Vec<EntitySpan>>> {
    assert_eq!(column.data_type(), &ner_datafusion::entities_type());
    let rows = column.as_list::<i32>().iter();
    rows.map(|row| row.map(|list| spans(list.as_ref())))
        .collect()
}

fn spans(list: &dyn Array) -> Vec<EntitySpan> {
    let list = list.as_struct();
    let strings = |name| list.column_by_name(name).unwrap().as_string::<i32>();
    let offsets = |name| {
        let column = list.column_by_name(name).unwrap();
        column.as_primitive::<Int64Type>()
    };
    let scores = list.column_by_name("score").unwrap();
    let span = |row| EntitySpan {
        entity: strings("type").value(row).to_owned(),
        word: strings("text").value(row).to_owned(),
        start: usize::try_from(offsets("start").value(row)).unwrap(),
        end: usize::try_from(offsets("end").value(row)).unwrap(),
        score: scores.as_primitive::<Float32Type>().value(row),
        index: None,
    };
    (0..list.len()).map(span).collect()
}

/// Number and entities of each row of `SELECT id, ner(…)`, sorted by the number.
pub fn rows(batches: &[RecordBatch]) -> Vec<(i64, Option<Vec<EntitySpan>>)> {
    let mut rows = Vec::new();
    for batch in batches {
        let ids = batch.column(0).as_primitive::<Int64Type>().values();
        rows.extend(ids.iter().copied().zip(entities(batch.column(1))));
    }
    rows.sort_by_key(|row| row.0);
    rows
}
