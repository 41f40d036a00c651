//! The golden models, their tokenizer, and sentences for them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test target compiles this and uses a part"
)]

use std::path::{Path, PathBuf};

use ner_train::PretokenizedSentence;
use subword_align::SubwordTokenizer;

pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/goldens/models")
        .join(name)
}

pub fn tokenizer() -> SubwordTokenizer {
    let dir = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("vocab.txt", "vocab.txt"),
        ("bert/config.json", "config.json"),
    ] {
        std::fs::copy(golden(from), dir.path().join(to)).unwrap();
    }
    SubwordTokenizer::from_dir(dir.path(), None).unwrap()
}

/// Sentences of so many words, each of one sub-word, with tags of every kind.
pub fn sentences(lengths: impl IntoIterator<Item = usize>) -> Vec<PretokenizedSentence> {
    let sentence = |(i, length): (usize, usize)| PretokenizedSentence {
        words: (0..length)
            .map(|j| format!("a{}x", 5 + (7 * i + 11 * j) % 170))
            .collect(),
        tags: (0..length)
            .map(|j| ["O", "B-PER", "I-PER", "B-LOC"][(i + j) % 4].to_owned())
            .collect(),
        document: 0,
    };
    lengths.into_iter().enumerate().map(sentence).collect()
}
