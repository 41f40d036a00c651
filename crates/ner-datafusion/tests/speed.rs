//! Rows a second, with a model of yours: `NER_MODEL=DIR cargo test --release -p ner-datafusion -- --ignored --nocapture`. The texts are the sentences of
//! `fixtures/quickstart/test.conll`, eight times over.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use common::cluster::Cluster;
use common::{expected, rows, tagger, write_documents};
use datafusion::prelude::{ParquetReadOptions, SessionContext};

const ROUNDS: usize = 3;
const FILES: usize = 16;

fn texts() -> Vec<Option<String>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/quickstart/test.conll");
    let file = fs::read_to_string(file).unwrap();
    let sentences = file.split("\n\n").map(|sentence| {
        let words: Vec<&str> = sentence
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(word, _)| word)
            .collect();
        Some(words.join(" "))
    });
    let sentences: Vec<Option<String>> = sentences.collect();
    let all = 8 * sentences.len();
    sentences.into_iter().cycle().take(all).collect()
}

async fn rows_a_second(session: &SessionContext, documents: usize) -> (f64, Rows) {
    let begin = Instant::now();
    let query = session.sql("SELECT id, ner(text) FROM documents").await;
    let batches = query.unwrap().collect().await.unwrap();
    let speed = documents as f64 / begin.elapsed().as_secs_f64();
    (speed, rows(&batches))
}

type Rows = Vec<(i64, Option<Vec<ner_tagger::EntitySpan>>)>;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, which needs a model"]
async fn speed() {
    let model =
        PathBuf::from(std::env::var_os("NER_MODEL").expect("NER_MODEL is a model's directory"));
    let texts = texts();
    let folder = tempfile::tempdir().unwrap();
    write_documents(folder.path(), &texts, FILES).await;
    let local = common::session(&model);
    let path = folder.path().to_str().unwrap();
    local
        .register_parquet("documents", path, ParquetReadOptions::default())
        .await
        .unwrap();
    let one = Cluster::start(&model, folder.path(), 1).await;
    let two = Cluster::start(&model, folder.path(), 2).await;
    let tagger = tagger(&model);
    let ways = [
        ("one process, DataFusion", &local),
        ("Ballista, one executor of one thread", &one.session),
        ("Ballista, two executors of one thread", &two.session),
    ];
    for round in 1..=ROUNDS {
        let begin = Instant::now();
        let entities = expected(&tagger, &texts);
        let speed = texts.len() as f64 / begin.elapsed().as_secs_f64();
        println!("round {round}: one process, the tagger alone: {speed:.1} rows/s");
        let wanted: Rows = (0..).zip(entities).collect();
        for (name, session) in ways {
            let (speed, found) = rows_a_second(session, texts.len()).await;
            let same = if found == wanted {
                "the same rows"
            } else {
                "OTHER ROWS"
            };
            println!("round {round}: {name}: {speed:.1} rows/s, {same}");
        }
    }
}
