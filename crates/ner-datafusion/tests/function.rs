//! `ner` in one process: what the tagger finds, in SQL.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use common::{documents, entities, expected, model, rows, session, tagger, texts, write_documents};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::config::ConfigOptions;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use ner_datafusion::{Ner, entities_type};
use ner_tagger::EntitySpan;

/// The one value of a query.
async fn value(session: &SessionContext, sql: &str) -> Option<Vec<EntitySpan>> {
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    let mut found = entities(batches[0].column(0));
    assert_eq!(found.len(), 1, "{sql}");
    found.pop().unwrap()
}

/// What a query fails with, at planning or at work.
async fn error(session: &SessionContext, sql: &str) -> String {
    match session.sql(sql).await {
        Ok(rows) => rows.collect().await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

async fn with_documents(
    session: &SessionContext,
    texts: &[Option<String>],
    files: usize,
) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_documents(folder.path(), texts, files).await;
    let path = folder.path().to_str().unwrap();
    let options = ParquetReadOptions::default();
    session
        .register_parquet("documents", path, options)
        .await
        .unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_files_give_what_the_tagger_gives() {
    let (_model, dir) = model();
    let session = session(&dir);
    let texts = texts(1000);
    let _folder = with_documents(&session, &texts, 3).await;
    let sql = "SELECT id, ner(text) FROM documents";
    let found = session.sql(sql).await.unwrap().collect().await.unwrap();
    let expected = expected(&tagger(&dir), &texts);
    assert_eq!(
        rows(&found),
        (0..).zip(expected.clone()).collect::<Vec<_>>()
    );

    let places = "SELECT count(*) FROM (SELECT unnest(ner(text)) AS e FROM documents) WHERE e['type'] = 'LOC'";
    let found = session.sql(places).await.unwrap().collect().await.unwrap();
    let spans = expected.iter().flatten().flatten();
    let places = spans.filter(|span| span.entity == "LOC").count();
    assert!(places > 300);
    let counted = found[0].column(0).as_primitive::<Int64Type>().value(0);
    assert_eq!(usize::try_from(counted), Ok(places));
}

#[tokio::test]
async fn offsets_count_characters() {
    let (_model, dir) = model();
    let found = value(&session(&dir), "SELECT ner('😀 Núria vive en Lima')").await;
    let found: Vec<(String, String, usize, usize)> = found
        .unwrap()
        .into_iter()
        .map(|one| (one.entity, one.word, one.start, one.end))
        .collect();
    let expected = [("PER", "Núria", 2, 7), ("LOC", "Lima", 16, 20)];
    let expected =
        expected.map(|(kind, word, start, end)| (kind.to_owned(), word.to_owned(), start, end));
    assert_eq!(found, expected);
}

#[tokio::test]
async fn literals_are_texts_and_null_is_null() {
    let (_model, dir) = model();
    let session = session(&dir);
    assert_eq!(value(&session, "SELECT ner('Ana')").await.unwrap().len(), 1);
    assert_eq!(value(&session, "SELECT ner('')").await, Some(Vec::new()));
    assert_eq!(value(&session, "SELECT ner(NULL)").await, None);
    let _folder = with_documents(&session, &texts(7), 1).await;
    let sql = "SELECT id, ner('Ana') FROM documents";
    let found = session.sql(sql).await.unwrap().collect().await.unwrap();
    let found = rows(&found);
    assert_eq!(found.len(), 7);
    assert!(found.iter().all(|row| row.1.as_ref().unwrap().len() == 1));
}

#[tokio::test]
async fn every_type_of_string_is_taken() {
    let (_model, dir) = model();
    let texts = texts(30);
    let expected = expected(&tagger(&dir), &texts);
    let plain: ArrayRef = Arc::new(StringArray::from(texts));
    let dictionary = |value| DataType::Dictionary(Box::new(DataType::Int32), Box::new(value));
    let types = [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        dictionary(DataType::Utf8),
        dictionary(DataType::LargeUtf8),
    ];
    for kind in types {
        let column = cast(&plain, &kind).unwrap();
        let batch = RecordBatch::try_from_iter_with_nullable([("text", column, true)]).unwrap();
        let session = session(&dir);
        session.register_batch("documents", batch).unwrap();
        let sql = "SELECT ner(text) FROM documents";
        let found = session.sql(sql).await.unwrap().collect().await.unwrap();
        assert_eq!(entities(found[0].column(0)), expected, "{kind}");
    }
}

#[tokio::test]
async fn partitions_with_and_without_rows_all_come_back() {
    let (_model, dir) = model();
    let texts = texts(200);
    let parts = [0..0, 0..150, 150..150, 150..200];
    let parts: Vec<Vec<RecordBatch>> = parts
        .into_iter()
        .map(|part| vec![documents(part.start, &texts[part])])
        .collect();
    let schema = parts[0][0].schema();
    let session = session(&dir);
    let table = MemTable::try_new(schema, parts).unwrap();
    session
        .register_table("documents", Arc::new(table))
        .unwrap();
    let sql = "SELECT id, ner(text) FROM documents";
    let found = session.sql(sql).await.unwrap().collect().await.unwrap();
    let expected = expected(&tagger(&dir), &texts);
    assert_eq!(rows(&found), (0..).zip(expected).collect::<Vec<_>>());

    let sql = "SELECT id, ner(text) FROM documents WHERE id < 0";
    let found = session.sql(sql).await.unwrap().collect().await.unwrap();
    assert!(rows(&found).is_empty());
}

fn arguments(column: ArrayRef) -> ScalarFunctionArgs {
    let nullable = Field::new("text", column.data_type().clone(), true);
    ScalarFunctionArgs {
        number_rows: column.len(),
        args: vec![ColumnarValue::Array(column)],
        arg_fields: vec![Arc::new(nullable)],
        return_field: Arc::new(Field::new("ner", entities_type(), true)),
        config_options: Arc::new(ConfigOptions::default()),
    }
}

#[test]
fn an_empty_batch_has_an_empty_result() {
    let (_model, dir) = model();
    let none: ArrayRef = Arc::new(StringArray::from(Vec::<Option<String>>::new()));
    let ner = Ner::new(tagger(&dir));
    let found = ner.invoke_with_args(arguments(none)).unwrap();
    let found = found.to_array(0).unwrap();
    assert!(entities(found.as_ref()).is_empty());
}

#[tokio::test]
async fn errors_say_what_was_wrong() {
    let (_model, dir) = model();
    let with_model = session(&dir);
    let found = error(&with_model, "SELECT ner(5)").await;
    assert!(
        found.contains("'ner'") && found.contains("String"),
        "{found}"
    );
    let found = error(&with_model, "SELECT ner('Ana', 'Lima')").await;
    assert!(found.contains("'ner'"), "{found}");

    let planner = SessionContext::new();
    planner.register_udf(ScalarUDF::from(Ner::without_model()));
    let found = error(&planner, "SELECT ner('Ana')").await;
    assert!(found.contains("no model in this process"), "{found}");
}

#[tokio::test]
async fn several_models_have_several_names() {
    let (_model, dir) = model();
    let session = session(&dir);
    let other = Ner::new(tagger(&dir)).named("ner_es");
    session.register_udf(ScalarUDF::from(other));
    let found = value(&session, "SELECT ner_es('Ana')").await;
    assert_eq!(found, value(&session, "SELECT ner('Ana')").await);
}

/// Texts are tagged after LIMIT and after filters on other columns, and once for all uses of their entities.
#[tokio::test]
async fn each_text_is_tagged_once() {
    let (_model, dir) = model();
    let session = session(&dir);
    let _folder = with_documents(&session, &texts(100), 1).await;
    let queries = [
        (
            "SELECT ner(text), cardinality(ner(text)) FROM documents WHERE id < 50",
            "id@0 < 50",
        ),
        (
            "SELECT id, e['type'] FROM (SELECT id, unnest(ner(text)) AS e FROM documents) WHERE e['score'] > 0.5 AND id < 50",
            "id@0 < 50",
        ),
        (
            "SELECT e, cardinality(e) FROM (SELECT ner(text) AS e FROM documents) ORDER BY cardinality(e)",
            "",
        ),
        ("SELECT ner(text) FROM documents LIMIT 3", "limit=3"),
    ];
    for (sql, below) in queries {
        let explain = format!("EXPLAIN FORMAT INDENT {sql}");
        let explained = session.sql(&explain).await.unwrap();
        let plan = explained.to_string().await.unwrap();
        let physical = plan.split("physical_plan").nth(1).unwrap();
        let parts: Vec<&str> = physical.split("ner(text").collect();
        assert_eq!(parts.len(), 2, "{sql}\n{plan}");
        assert!(parts[1].contains(below), "{plan}");
    }
}

/// On a runtime of one thread, another task sees the function at work only where that thread was left to it.
#[test]
fn a_runtime_goes_on_while_texts_are_tagged() {
    const BEFORE: u8 = 0;
    const AT_WORK: u8 = 1;
    const DONE: u8 = 2;
    let (_model, dir) = model();
    let ner = Ner::new(tagger(&dir));
    let column: ArrayRef = Arc::new(StringArray::from(texts(20_000)));
    let state = Arc::new(AtomicU8::new(BEFORE));
    let seen = Arc::new(AtomicUsize::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let (watched, count) = (Arc::clone(&state), Arc::clone(&seen));
    let watcher = runtime.spawn(async move {
        loop {
            match watched.load(Ordering::SeqCst) {
                DONE => break,
                AT_WORK => count.fetch_add(1, Ordering::SeqCst),
                _ => 0,
            };
            tokio::task::yield_now().await;
        }
    });
    let work = runtime.spawn(async move {
        state.store(AT_WORK, Ordering::SeqCst);
        let found = ner.invoke_with_args(arguments(column)).unwrap();
        state.store(DONE, Ordering::SeqCst);
        found.to_array(20_000).unwrap().len()
    });
    let rows = runtime.block_on(async {
        watcher.await.unwrap();
        work.await.unwrap()
    });
    assert_eq!(rows, 20_000);
    assert!(seen.load(Ordering::SeqCst) > 0);
}
