//! The default aggregation, by words.
#![allow(clippy::unwrap_used)]

mod common;

use common::tokenizer;
use subword_align::{Aggregation, Error, SubwordTokenizer, WordBoundary, aggregate};

const LABELS: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];

/// The first sub-word of each word gets its label with probability `0.9`, the others a confident wrong one.
fn predict(
    tokenizer: &SubwordTokenizer,
    text: &str,
    label: impl Fn(&str) -> usize,
) -> Vec<(String, String, usize, usize)> {
    let encoded = tokenizer.encode_text(text).unwrap();
    let starts = encoded.word_starts();
    let mut probabilities = Vec::new();
    for word in starts.windows(2) {
        let place = encoded.byte_offsets[word[0]].0..encoded.byte_offsets[word[1] - 1].1;
        let (label, wrong) = (label(&text[place]), 3);
        for i in word[0]..word[1] {
            let mut row = [0.025; LABELS.len()];
            row[if i == word[0] { label } else { wrong }] = 0.9;
            probabilities.extend(row);
        }
    }
    let spans = aggregate(text, &encoded, &probabilities, &LABELS, Aggregation::Word).unwrap();
    assert!(
        spans
            .iter()
            .all(|span| (span.score - 0.9).abs() < 1e-6 && span.index.is_none())
    );
    spans
        .into_iter()
        .map(|span| (span.entity, span.word, span.start, span.end))
        .collect()
}

#[test]
fn words_follow_their_first_subword_and_the_conlleval_rule() {
    let text = "Inés  Carballo y Noé fueron a Sierra Clara,Begoña no.";
    let label = |word: &str| match word {
        "Inés" | "Noé" | "Begoña" => 1,
        "Carballo" => 2,
        // An I- that opens, then another of its type.
        "Sierra" | "Clara" => 4,
        _ => 0,
    };
    let expected = [
        ("PER", "Inés  Carballo", 0, 14),
        ("PER", "Noé", 17, 20),
        ("LOC", "Sierra Clara", 30, 42),
        ("PER", "Begoña", 43, 49),
    ];
    let expected =
        expected.map(|(entity, word, start, end)| (entity.to_owned(), word.to_owned(), start, end));
    for kind in ["bpe", "bpe-json", "wordpiece"] {
        assert_eq!(
            predict(&tokenizer(kind, WordBoundary::PrefixSpace), text, label),
            expected,
            "{kind}"
        );
    }
}

#[test]
fn neighbors_that_both_begin_stay_apart() {
    let tokenizer = tokenizer("wordpiece", WordBoundary::PrefixSpace);
    let found = predict(&tokenizer, "Marta Lucía Pilar", |word| {
        if word == "Pilar" { 4 } else { 1 }
    });
    let words: Vec<_> = found
        .iter()
        .map(|span| (span.0.as_str(), span.1.as_str()))
        .collect();
    assert_eq!(
        words,
        [("PER", "Marta"), ("PER", "Lucía"), ("LOC", "Pilar")]
    );
}

#[test]
fn probabilities_must_fit() {
    let tokenizer = tokenizer("wordpiece", WordBoundary::PrefixSpace);
    let text = "Marta vive";
    let encoded = tokenizer.encode_text(text).unwrap();
    let n = encoded.len() * LABELS.len();
    let error = |text: &str, probabilities: &[f32]| {
        aggregate(text, &encoded, probabilities, &LABELS, Aggregation::Simple).unwrap_err()
    };
    assert!(matches!(
        error(text, &vec![0.2; n - 1]),
        Error::ProbabilityCount { .. }
    ));
    let mut broken = vec![0.2; n];
    broken[6] = f32::NAN;
    assert!(matches!(
        error(text, &broken),
        Error::ProbabilityValue {
            subword: 1,
            label: 1,
            ..
        }
    ));
    assert!(matches!(
        error("Ma", &vec![0.2; n]),
        Error::OtherText { .. }
    ));
    assert!(matches!(
        aggregate(text, &encoded, &[], &[""; 0], Aggregation::Word),
        Err(Error::ProbabilityCount { .. })
    ));
}
