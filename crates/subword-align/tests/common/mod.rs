//! Access to the golden files of `fixtures/goldens/subwords`.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use subword_align::{SubwordTokenizer, WordBoundary};
use tempfile::TempDir;

/// The tokenizers of `fixtures/goldens/subwords`, one of each kind.
pub const KINDS: [&str; 3] = ["bpe", "wordpiece", "unigram"];

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn fixtures() -> PathBuf {
    root().join("fixtures/goldens/subwords")
}

pub fn golden<T: DeserializeOwned>(name: &str) -> T {
    let path = fixtures().join(name);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A copy of a tokenizer's folder, with other files laid over it.
pub fn folder(base: &str, files: &Map<String, Value>) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join(base)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    for (name, value) in files {
        fs::write(copy.path().join(name), value.to_string()).unwrap();
    }
    copy
}

pub fn tokenizer(base: &str, boundary: WordBoundary) -> SubwordTokenizer {
    SubwordTokenizer::from_dir(fixtures().join(base), Some(boundary)).unwrap()
}
