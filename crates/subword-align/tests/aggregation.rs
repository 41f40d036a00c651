//! What aggregation refuses.
#![allow(clippy::unwrap_used)]

mod common;

use common::tokenizer;
use subword_align::{Aggregation, Error, WordBoundary, aggregate};

const LABELS: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];

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
        aggregate(text, &encoded, &[], &[""; 0], Aggregation::First),
        Err(Error::ProbabilityCount { .. })
    ));
}
