//! Words and texts a second: `cargo bench -p subword-align`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use subword_align::{Segmentation, SubwordTokenizer, WordBoundary};

const KINDS: [&str; 2] = ["bpe", "wordpiece"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/goldens/subwords")
}

fn load(kind: &str) -> SubwordTokenizer {
    SubwordTokenizer::from_dir(fixtures().join(kind), Some(WordBoundary::PrefixSpace)).unwrap()
}

/// Sentences of words, punctuation apart, as a corpus file has them.
fn sentences() -> Vec<Vec<String>> {
    let text = fs::read_to_string(fixtures().join("text.txt")).unwrap();
    let spaced = |line: &str| {
        let mut out = String::new();
        for c in line.chars() {
            if c.is_alphanumeric() {
                out.push(c);
            } else {
                out.extend([' ', c, ' ']);
            }
        }
        out
    };
    text.lines()
        .map(|line| spaced(line).split_whitespace().map(str::to_owned).collect())
        .collect()
}

fn words(sentences: &[Vec<String>]) -> ItemsCount {
    ItemsCount::new(sentences.iter().map(Vec::len).sum::<usize>())
}

/// Words met before, as nine in ten are in a corpus the size of CoNLL-2002's.
#[divan::bench(args = KINDS)]
fn words_met_before(bencher: Bencher, kind: &str) {
    let (tokenizer, sentences) = (load(kind), sentences());
    bencher.counter(words(&sentences)).bench(|| {
        for sentence in &sentences {
            divan::black_box(tokenizer.encode_words(sentence).unwrap());
        }
    });
}

/// The same words by a tokenizer that has met none.
#[divan::bench(args = KINDS)]
fn words_never_met(bencher: Bencher, kind: &str) {
    let sentences = sentences();
    bencher
        .counter(words(&sentences))
        .with_inputs(|| load(kind))
        .bench_refs(|tokenizer| {
            for sentence in &sentences {
                divan::black_box(tokenizer.encode_words(sentence).unwrap());
            }
        });
}

/// The same sentences as running text, with offsets.
#[divan::bench(args = KINDS)]
fn running_text(bencher: Bencher, kind: &str) {
    let (tokenizer, sentences) = (load(kind), sentences());
    let texts: Vec<String> = sentences
        .iter()
        .map(|sentence| sentence.join(" "))
        .collect();
    bencher.counter(words(&sentences)).bench(|| {
        for text in &texts {
            divan::black_box(tokenizer.encode_text(text).unwrap());
        }
    });
}

/// The words of a text, in bytes a second.
#[divan::bench(args = [Segmentation::Unicode, Segmentation::Whitespace, Segmentation::PreTokenizer])]
fn segmentation(bencher: Bencher, how: Segmentation) {
    let text = fs::read_to_string(fixtures().join("text.txt")).unwrap();
    let tokenizer = load("wordpiece");
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| divan::black_box(tokenizer.words(&text, how).unwrap()));
}

fn main() {
    divan::main();
}
