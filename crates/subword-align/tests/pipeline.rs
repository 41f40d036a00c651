//! Entities against transformers' `TokenClassificationPipeline`.
#![allow(clippy::unwrap_used)]

mod common;

use common::{folder, golden};
use serde::Deserialize;
use serde_json::{Map, Value};
use subword_align::{Aggregation, EntitySpan, SubwordTokenizer, aggregate};

#[derive(Deserialize)]
struct Pipeline {
    labels: Vec<String>,
    cases: Vec<Case>,
}

/// Entity, score, start, end, index.
type Found = (String, f32, usize, usize, Option<usize>);

#[derive(Deserialize)]
struct Case {
    name: String,
    text: String,
    probabilities: Vec<Vec<f32>>,
    prefix: usize,
    none: Vec<Found>,
    simple: Vec<Found>,
    first: Vec<Found>,
    average: Vec<Found>,
    max: Vec<Found>,
}

/// A pipeline's span without the white space at its ends, or nothing where there is nothing else.
fn trimmed(text: &str, (start, end): (usize, usize)) -> Option<(usize, usize)> {
    let covered: Vec<char> = text.chars().skip(start).take(end - start).collect();
    let first = covered.iter().position(|c| !c.is_whitespace())?;
    let last = covered.iter().rposition(|c| !c.is_whitespace())?;
    Some((start + first, start + last + 1))
}

#[test]
fn five_strategies_agree() {
    let variants: Value = golden("fast.json");
    let golden: Pipeline = golden("pipeline.json");
    let mut compared = 0;
    for case in &golden.cases {
        let variants = variants["tokenizers"].as_array().unwrap();
        let variant = variants
            .iter()
            .find(|variant| variant["name"] == case.name.as_str())
            .unwrap();
        let files: Map<String, Value> = variant["files"].as_object().unwrap().clone();
        let dir = folder(variant["folder"].as_str().unwrap(), &files);
        let tokenizer = SubwordTokenizer::from_dir(dir.path(), None).unwrap();
        let encoded = tokenizer.encode_text(&case.text).unwrap();
        // The stored rows are rounded; the pipeline saw them normalized by softmax.
        let probabilities: Vec<f32> = case
            .probabilities
            .iter()
            .flat_map(|row| {
                let sum: f64 = row.iter().map(|p| f64::from(*p)).sum();
                row.iter().map(move |p| (f64::from(*p) / sum) as f32)
            })
            .collect();
        let strategies = [
            (Aggregation::None, &case.none),
            (Aggregation::Simple, &case.simple),
            (Aggregation::First, &case.first),
            (Aggregation::Average, &case.average),
            (Aggregation::Max, &case.max),
        ];
        for (how, expected) in strategies {
            let context = format!("{} {how:?} {:?}", case.name, case.text);
            let found =
                aggregate(&case.text, &encoded, &probabilities, &golden.labels, how).unwrap();
            let expected: Vec<(&Found, (usize, usize))> = expected
                .iter()
                .filter_map(|span| Some((span, trimmed(&case.text, (span.2, span.3))?)))
                .collect();
            assert_eq!(
                found.len(),
                expected.len(),
                "{context}\n{found:#?}\n{expected:#?}"
            );
            for (
                EntitySpan {
                    entity,
                    score,
                    word,
                    start,
                    end,
                    index,
                },
                (span, place),
            ) in found.iter().zip(expected)
            {
                assert_eq!((entity, (*start, *end)), (&span.0, place), "{context}");
                assert!(
                    (score - span.1).abs() < 1e-5,
                    "{context}: {score} {}",
                    span.1
                );
                assert_eq!(
                    index.map(|index| index - 1 + case.prefix),
                    span.4,
                    "{context}"
                );
                assert_eq!(
                    *word,
                    case.text
                        .chars()
                        .skip(*start)
                        .take(end - start)
                        .collect::<String>(),
                    "{context}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "only {compared} spans compared");
}
