//! `ner` on a Ballista cluster of processes: the examples, as a user starts them.
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::cluster::{Cluster, PATIENCE, example};
use common::{expected, model, rows, tagger, texts, write_documents};
use datafusion::prelude::ParquetReadOptions;

#[tokio::test(flavor = "multi_thread")]
async fn two_executors_give_the_rows_of_one_process() {
    let (_model, dir) = model();
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(600);
    write_documents(folder.path(), &texts, 6).await;
    let cluster = Cluster::start(&dir, folder.path(), 2).await;

    let found = cluster.rows("SELECT id, ner(text) FROM documents").await;
    let expected = expected(&tagger(&dir), &texts);
    assert_eq!(rows(&found), (0..).zip(expected).collect::<Vec<_>>());

    // A literal is tagged where the model is, too.
    let found = cluster.rows("SELECT 1, ner('Ana vive en Lima')").await;
    assert_eq!(rows(&found)[0].1.as_ref().unwrap().len(), 2);

    let sql = "SELECT e['type'] AS type, count(*) AS n FROM (SELECT unnest(ner(text)) AS e FROM documents) GROUP BY 1 ORDER BY 1";
    let local = common::session(&dir);
    let path = folder.path().to_str().unwrap();
    let options = ParquetReadOptions::default();
    local
        .register_parquet("documents", path, options)
        .await
        .unwrap();
    let one = local.sql(sql).await.unwrap().to_string().await.unwrap();
    let client = Command::new(example("client"))
        .args([&cluster.address, path, sql])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(client.stdout).unwrap().trim(), one.trim());
    assert!(one.contains("LOC"), "{one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_outlives_an_executor() {
    let (_model, dir) = model();
    let folder = tempfile::tempdir().unwrap();
    let texts = texts(40_000);
    write_documents(folder.path(), &texts, 40).await;
    let mut cluster = Cluster::start(&dir, folder.path(), 2).await;

    let rows_of = cluster.session.sql("SELECT id, ner(text) FROM documents");
    let query = tokio::spawn(rows_of.await.unwrap().collect());
    let started = Instant::now();
    while cluster.executors.iter().any(|one| one.results() < 2) {
        assert!(started.elapsed() < PATIENCE && !query.is_finished());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Both have work behind them and work at hand. The results of the one go with it.
    drop(cluster.executors.pop());
    assert!(!query.is_finished());
    let found = tokio::time::timeout(PATIENCE, query).await;
    let found = found.unwrap().unwrap().unwrap();
    let expected = expected(&tagger(&dir), &texts);
    assert!(rows(&found) == (0..).zip(expected).collect::<Vec<_>>());
}
