//! Counts on the CoNLL-2002 Spanish corpus, where it is present (it may not be passed on).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::fs;
use std::path::{Path, PathBuf};

use conll_io::{Reader, ReaderBuilder, Sentence, Separator, Writer, read_path};

/// Path of a file of the corpus, or `None` with a line that says so.
fn corpus_file(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/conll2002-es");
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no corpus at {}", path.display());
    None
}

#[test]
fn sentences_and_tokens() {
    let files = [
        ("esp.train", 8_323, 264_715),
        ("esp.testa", 1_915, 52_923),
        ("esp.testb", 1_517, 51_533),
    ];
    for (name, sentences, tokens) in files {
        let Some(path) = corpus_file(name) else {
            return;
        };
        for separator in [Separator::Whitespace, Separator::Space] {
            let mut reader = ReaderBuilder::new()
                .separator(separator)
                .from_path(&path)
                .unwrap();
            let mut sentence = Sentence::new();
            let mut found = (0, 0);
            while reader.read_sentence(&mut sentence).unwrap() {
                found = (found.0 + 1, found.1 + sentence.len());
            }
            assert_eq!(found, (sentences, tokens), "{name}, {separator:?}");
        }
    }
}

#[test]
fn line_numbers() {
    let Some(path) = corpus_file("esp.testb") else {
        return;
    };
    let sentences = read_path(path).unwrap();
    let at = sentences
        .iter()
        .flat_map(|s| (0..s.len()).map(move |i| (s, i)))
        .find(|(s, i)| s.line(*i) == 9_291);
    let (sentence, i) = at.unwrap();
    assert_eq!(
        (sentence.token(i), sentence.tag(i)),
        ("Calidad", Some("I-MISC"))
    );
}

#[test]
fn written_byte_for_byte() {
    for name in ["esp.train", "esp.testa", "esp.testb"] {
        let Some(path) = corpus_file(name) else {
            return;
        };
        let mut writer = Writer::from_writer(Vec::new());
        let mut reader = Reader::from_path(&path).unwrap();
        for sentence in reader.sentences() {
            writer.write_sentence(&sentence.unwrap()).unwrap();
        }
        assert!(
            writer.into_inner().unwrap() == fs::read(&path).unwrap(),
            "{name}"
        );
    }
}
