//! The program called as its users call it, in a folder of its own.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test target compiles this and uses a part"
)]

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Calls the program with these bytes on stdin.
pub fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ner-cli"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that ends early does not read all of it.
    _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// What a command says that must succeed.
pub fn stdout_of(arguments: &[&str], input: &[u8]) -> String {
    let output = run(arguments, input);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same without a stdin.
pub fn stdout(arguments: &[&str]) -> String {
    stdout_of(arguments, b"")
}

/// The same as JSON.
pub fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(&[arguments, &["--format", "json"]].concat())).unwrap()
}

/// The message of a command that must fail with the given exit code and say nothing on stdout.
pub fn failure(code: i32, arguments: &[&str]) -> String {
    let output = run(arguments, b"");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    message
}

/// A folder for the files of one test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self.path(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// A small model that knows a corpus by heart, in `out`; the corpus is in `train.conll`. `settings` are more flags of `train`.
    pub fn model(&self, corpus: &str, settings: &str) -> String {
        let train = self.write("train.conll", corpus);
        let [new, out] = ["new", "out"].map(|name| self.path(name));
        let words =
            |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        let sizes = "--layers 1 --hidden 16 --heads 2 --intermediate 32 --vocab-size 300";
        for line in [
            format!("new-model --train {train} --output {new} {sizes}"),
            format!(
                "train --model {new} --train {train} --dev {train} --output-dir {out} --epochs 40 --learning-rate 0.01 --batch-size 2 {settings}"
            ),
        ] {
            let line = words(&line);
            stdout(&line.iter().map(String::as_str).collect::<Vec<_>>());
        }
        out
    }
}
