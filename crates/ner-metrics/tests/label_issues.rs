//! Label issues against cleanlab's own (`fixtures/goldens/label_issues.py`), slips in tags, and what holds of any of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use ner_metrics::{Error, LabelIssues, Scheme, SchemeFit, foreign_tags, odd_types};
use proptest::prelude::*;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<usize> {
    let numbers = value.as_array().unwrap().iter();
    numbers
        .map(|number| usize::try_from(number.as_u64().unwrap()).unwrap())
        .collect()
}

/// Numbers that were written as strings, to the last bit.
fn exact(value: &Value) -> Vec<f64> {
    let texts = value.as_array().unwrap().iter();
    texts
        .map(|text| text.as_str().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn issues_are_those_of_cleanlab() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/goldens/metrics/label_issues.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 60);
    let mut issues = 0;
    for (number, case) in cases.iter().enumerate() {
        let lists = |name: &str| -> Vec<Vec<usize>> {
            case[name].as_array().unwrap().iter().map(numbers).collect()
        };
        let probabilities: Vec<Vec<f64>> = lists("thousandths")
            .iter()
            .map(|row| row.iter().map(|&p| p as f64 / 1000.0).collect())
            .collect();
        let labels = usize::try_from(case["labels"].as_u64().unwrap()).unwrap();
        let found = LabelIssues::find(&lists("given"), &probabilities, labels).unwrap();
        assert_eq!(
            found.thresholds,
            exact(&case["thresholds"]),
            "case {number}"
        );
        assert_eq!(found.joint, numbers(&case["joint"]), "case {number}");
        assert_eq!(found.sentence_scores, exact(&case["sentence_scores"]));
        let places: Vec<Vec<usize>> = found
            .issues
            .iter()
            .map(|issue| vec![issue.sentence, issue.token])
            .collect();
        assert_eq!(places, lists("issues"), "case {number}");
        issues += places.len();
    }
    assert_eq!(issues, 639);
}

#[test]
fn what_does_not_match_is_an_error() {
    let find = |given: &[Vec<usize>], probabilities: &[Vec<f64>]| {
        LabelIssues::find(given, probabilities, 2).unwrap_err()
    };
    let error = find(&[vec![0], vec![1]], &[vec![0.5, 0.5], vec![1.0]]);
    assert_eq!(
        error,
        Error::Probabilities {
            sentence: 2,
            expected: 2,
            found: 1
        }
    );
    let missing = find(&[vec![0], vec![1]], &[vec![0.5, 0.5]]);
    assert!(missing.to_string().starts_with("sentence 2 has 0"));
    let error = find(&[vec![2]], &[vec![0.5, 0.5]]);
    assert_eq!(
        error,
        Error::UnknownLabel {
            label: 2,
            labels: 2
        }
    );
    let none: [Vec<usize>; 0] = [];
    let empty = LabelIssues::find(&none, &[] as &[Vec<f64>], 0).unwrap();
    assert!(empty.issues.is_empty() && empty.joint.is_empty());
}

/// A corpus: labels, and a probability of each.
fn corpus() -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<Vec<f64>>, usize)> {
    (1..5_usize).prop_flat_map(|labels| {
        let token = (0..labels, prop::collection::vec(0.001..1.0_f64, labels));
        let sentence = prop::collection::vec(token, 0..8);
        prop::collection::vec(sentence, 0..12).prop_map(move |sentences| {
            let given = sentences
                .iter()
                .map(|tokens| tokens.iter().map(|(label, _)| *label).collect());
            let rows = sentences.iter().map(|tokens| {
                let rows = tokens.iter().map(|(_, row)| {
                    let sum: f64 = row.iter().sum();
                    row.iter().map(move |p| p / sum)
                });
                rows.flatten().collect()
            });
            (given.collect(), rows.collect(), labels)
        })
    })
}

fn tags() -> impl Strategy<Value = Vec<String>> {
    let tag = (
        prop::sample::select(b"OBIESUL".to_vec()),
        prop::sample::select(vec!["PER", "LOC"]),
    );
    let tag = tag.prop_map(|(letter, name)| match letter {
        b'O' => "O".to_owned(),
        letter => format!("{}-{name}", char::from(letter)),
    });
    prop::collection::vec(tag, 0..9)
}

proptest! {
    #[test]
    fn issues_disagree_and_are_ranked((given, probabilities, labels) in corpus()) {
        let found = LabelIssues::find(&given, &probabilities, labels).unwrap();
        for label in 0..labels {
            let row: usize = found.joint[label * labels..(label + 1) * labels].iter().sum();
            let tokens = given.iter().flatten().filter(|known| **known == label).count();
            prop_assert_eq!(row, tokens);
        }
        for issue in &found.issues {
            prop_assert_eq!(given[issue.sentence][issue.token], issue.given);
            prop_assert!(issue.given != issue.suggested);
            prop_assert!(issue.probability > issue.self_confidence);
            prop_assert!(found.sentence_scores[issue.sentence] <= issue.self_confidence);
        }
        let ranked = found.issues.windows(2).all(|pair| pair[0].self_confidence <= pair[1].self_confidence);
        prop_assert!(ranked);
    }

    #[test]
    fn each_illegal_transition_has_its_place(tags in tags(), number in 0..Scheme::ALL.len()) {
        let scheme = Scheme::ALL[number];
        let found = scheme.illegal_transitions(&tags).unwrap();
        if let Ok(count) = scheme.invalid_transitions(&tags) {
            prop_assert_eq!(found.len(), count);
        }
        for place in found {
            prop_assert_eq!(place.tag, tags.get(place.token).map(String::as_str));
            let previous = place.token.checked_sub(1).map(|before| tags[before].as_str());
            prop_assert_eq!(place.previous, previous);
        }
    }

    #[test]
    fn the_nearest_scheme_is_the_one_of_sentences_where_it_is_followed(sentences in prop::collection::vec(tags(), 0..6)) {
        let nearest = SchemeFit::nearest(&sentences);
        let followed = nearest.filter(|fit| fit.is_followed()).map(|fit| fit.scheme);
        prop_assert_eq!(followed, Scheme::of_sentences(&sentences));
        prop_assert_eq!(nearest.is_none(), sentences.iter().flatten().all(|tag| tag == "O"));
    }

    #[test]
    fn slips_are_among_what_was_given(names in prop::collection::btree_set("[A-Za-z0-9-]{1,6}", 0..12)) {
        let counts: Vec<(&str, usize)> = names.iter().enumerate().map(|(n, name)| (name.as_str(), n * n * n)).collect();
        for odd in odd_types(&counts) {
            prop_assert!(counts.contains(&(odd.entity_type, odd.count)));
            if let Some(meant) = odd.meant {
                prop_assert!(counts.contains(&meant) && meant.1 >= odd.count && meant.0 != odd.entity_type);
            }
        }
        for found in foreign_tags(&counts, Some(Scheme::Iob2)) {
            prop_assert!(names.contains(found.tag));
            prop_assert!(Scheme::Iob2.invalid_transitions(&[found.tag]).is_err());
            if let Some(meant) = found.meant {
                prop_assert!(Scheme::Iob2.invalid_transitions(&[meant]).is_ok());
            }
        }
    }
}
