//! A Ballista cluster of processes on this machine.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ballista::extension::SessionContextExt;
use datafusion::arrow::array::RecordBatch;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use ner_datafusion::Ner;
use tempfile::TempDir;

/// Nothing here takes this long; what does, hangs.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// An example that runs, and ends with the test.
pub struct Process {
    child: Child,
    /// Where it keeps what it makes.
    dir: TempDir,
}

impl Process {
    /// Waits for the line that an example prints when it is ready, and gives its last word.
    fn start(name: &str, args: &[&str]) -> (Self, String) {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(example(name))
            .args(args)
            .env("TMPDIR", dir.path())
            .env("RAYON_NUM_THREADS", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let word = line.split_whitespace().last().unwrap().to_owned();
        (Self { child, dir }, word)
    }

    /// Files that tasks have begun to write.
    pub fn results(&self) -> usize {
        files(self.dir.path())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that `cargo test` has built beside this one.
pub fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(name);
    assert!(
        path.is_file(),
        "{} is not there: `cargo build --release --workspace --features ner-cli/arrow --examples` builds it",
        path.display()
    );
    path
}

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => files(&path),
            _ => 1,
        })
        .sum()
}

/// A scheduler, executors, and a client's session with the table `documents`.
pub struct Cluster {
    pub executors: Vec<Process>,
    pub session: SessionContext,
    pub address: String,
    _scheduler: Process,
}

impl Cluster {
    pub async fn start(model: &Path, documents: &Path, executors: usize) -> Self {
        let (scheduler, address) = Process::start("scheduler", &["127.0.0.1:0", "3"]);
        let model = model.to_str().unwrap();
        let executor = |_| Process::start("executor", &[model, &address]).0;
        let executors = (0..executors).map(executor).collect();
        let session = SessionContext::remote(&format!("df://{address}"))
            .await
            .unwrap();
        session.register_udf(ScalarUDF::from(Ner::without_model()));
        let path = documents.to_str().unwrap();
        let options = ParquetReadOptions::default();
        session
            .register_parquet("documents", path, options)
            .await
            .unwrap();
        Self {
            executors,
            session,
            address,
            _scheduler: scheduler,
        }
    }

    pub async fn rows(&self, sql: &str) -> Vec<RecordBatch> {
        self.session
            .sql(sql)
            .await
            .unwrap()
            .collect()
            .await
            .unwrap()
    }
}
