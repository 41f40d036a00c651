//! The split of the real CoNLL-2002 corpus against the reference's, by digest. Skipped where the corpus is absent.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::collections::HashMap;
use std::fs;

use common::{golden, root, tokenizer};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subword_align::{Placement, SentenceSplitter, SubwordTokenizer, WordBoundary};

#[derive(Deserialize)]
struct Corpus {
    max_length: usize,
    bpe: HashMap<String, Part>,
    wordpiece: HashMap<String, Part>,
}

#[derive(Deserialize)]
struct Part {
    sha256: String,
    lines: usize,
}

/// Token and tag columns with long sentences broken, a line for each.
fn split(corpus: &str, tokenizer: &SubwordTokenizer, max_length: usize) -> String {
    let mut splitter = SentenceSplitter::new(max_length, tokenizer.special_token_count()).unwrap();
    let lines: Vec<&str> = corpus.lines().collect();
    let tokens: Vec<&str> = lines
        .iter()
        .map(|line| line.split(' ').next().unwrap_or_default())
        .collect();
    let counts = tokenizer.subwords_per_word(&tokens).unwrap();
    let mut out = String::with_capacity(corpus.len());
    for ((line, token), count) in lines.iter().zip(tokens).zip(counts) {
        if line.is_empty() {
            splitter.end_sentence();
            out.push('\n');
            continue;
        }
        match splitter.place(count) {
            Placement::Drop => continue,
            Placement::BreakBefore => out.push('\n'),
            Placement::Keep => {}
        }
        out.push_str(token);
        if let Some(tag) = line.split(' ').nth(2) {
            out.push(' ');
            out.push_str(tag);
        }
        out.push('\n');
    }
    out
}

#[test]
fn splitting_equals_preprocess_py_byte_for_byte() {
    let directory = root().join("../shared/data/conll2002-es");
    if !directory.is_dir() {
        eprintln!("skipped: no corpus at {}", directory.display());
        return;
    }
    let golden: Corpus = golden("corpus.json");
    for (kind, parts) in [("bpe", &golden.bpe), ("wordpiece", &golden.wordpiece)] {
        let tokenizer = tokenizer(kind, WordBoundary::None);
        assert_eq!(parts.len(), 3);
        for (name, expected) in parts {
            let corpus = fs::read_to_string(directory.join(name)).unwrap();
            let out = split(&corpus, &tokenizer, golden.max_length);
            assert_eq!(out.lines().count(), expected.lines, "{kind} {name}");
            let digest: String = Sha256::digest(&out)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(digest, expected.sha256, "{kind} {name}");
        }
    }
}
