//! Intervals and tests against simulation, scores and thresholds against scikit-learn and SciPy (`fixtures/goldens/calibration.py`).
#![allow(clippy::unwrap_used)]

use ner_metrics::{
    Breakdown, Comparison, Counts, Entity, Error, IntervalReport, Reliability, Resampling,
    ScoredPrediction, ThresholdCurve,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

const DRAWS: usize = 1000;

fn goldens(name: &str) -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/goldens/metrics/statistics.json"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    all[name].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

fn near(found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len(), "{found:?} {wanted:?}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
    }
}

fn predictions(case: &Value) -> Vec<ScoredPrediction> {
    let pairs = numbers(&case["scores"])
        .into_iter()
        .zip(numbers(&case["right"]));
    let prediction = |(score, right)| ScoredPrediction {
        score,
        correct: right == 1.0,
    };
    pairs.map(prediction).collect()
}

#[test]
fn reliability_is_that_of_scikit_learn() {
    for case in goldens("calibration") {
        let found = Reliability::new(&predictions(&case), 10);
        let filled = || found.bins.iter().filter(|bin| bin.count > 0);
        let accuracy: Vec<f64> = filled().map(|bin| bin.accuracy).collect();
        near(&accuracy, &numbers(&case["accuracy"]));
        let confidence: Vec<f64> = filled().map(|bin| bin.confidence).collect();
        near(&confidence, &numbers(&case["confidence"]));
        near(&[found.brier], &[case["brier"].as_f64().unwrap()]);
        let weighted = filled().map(|bin| {
            bin.count as f64 / found.count as f64 * (bin.accuracy - bin.confidence).abs()
        });
        near(&[weighted.sum()], &[found.expected_calibration_error]);
    }
}

#[test]
fn thresholds_are_those_of_scikit_learn() {
    for case in goldens("calibration") {
        let predictions = predictions(&case);
        let right = predictions.iter().filter(|one| one.correct).count();
        let curve = ThresholdCurve::new(&predictions, right);
        let column = |value: fn(&ner_metrics::ThresholdPoint) -> f64| {
            curve.points.iter().map(value).collect::<Vec<f64>>()
        };
        near(
            &column(|point| point.threshold),
            &numbers(&case["thresholds"]),
        );
        near(
            &column(|point| point.scores.precision),
            &numbers(&case["precision"]),
        );
        near(
            &column(|point| point.scores.recall),
            &numbers(&case["recall"]),
        );
        let best = curve.best_f1().unwrap();
        let highest = column(|point| point.scores.f1)
            .into_iter()
            .fold(0.0, f64::max);
        assert_eq!(best.scores.f1, highest);
        if let Some(point) = curve.at_precision(0.8) {
            assert!(point.scores.precision >= 0.8);
            let lower = curve
                .points
                .iter()
                .filter(|other| other.threshold < point.threshold);
            assert!(lower.into_iter().all(|other| other.scores.precision < 0.8));
        }
    }
}

#[test]
fn a_lowered_threshold_keeps_the_same_and_no_lower_one_does() {
    for (scores, support, expected) in [
        // All are right: nothing need be dropped.
        (&[(0.916, true), (0.95, true)][..], 2, 0.0),
        (&[(0.2, false), (0.9166, true), (0.95, true)][..], 2, 0.201),
        (&[(0.91612, false), (0.91649, true)][..], 1, 0.9162),
    ] {
        let predictions = scores.iter();
        let predictions: Vec<ScoredPrediction> = predictions
            .map(|&(score, correct)| ScoredPrediction { score, correct })
            .collect();
        let curve = ThresholdCurve::new(&predictions, support);
        for point in [curve.best_f1(), curve.at_precision(1.0)] {
            let point = curve.lowered(point.unwrap());
            near(&[point.threshold], &[expected]);
            let kept = predictions
                .iter()
                .filter(|one| one.score >= point.threshold);
            assert_eq!(kept.count(), point.kept);
            assert_eq!(point.scores.precision, 1.0);
        }
    }
    // Scores that are alike up to their last digits have a threshold between them all the same.
    let low = 0.5;
    let high = low + f64::EPSILON;
    let predictions =
        [(low, false), (high, true)].map(|(score, correct)| ScoredPrediction { score, correct });
    let curve = ThresholdCurve::new(&predictions, 1);
    let point = curve.lowered(curve.best_f1().unwrap());
    assert_eq!((point.threshold, point.kept), (high, 1));
}

#[test]
fn welchs_test_is_scipys() {
    for case in goldens("welch") {
        let side = |name: &str| -> Vec<Vec<Counts>> {
            let runs = case[name].as_array().unwrap().iter();
            let run = |run: &Value| {
                let [support, correct] = [0, 1].map(|at| run[at].as_u64().unwrap() as usize);
                vec![Counts {
                    support,
                    predicted: support,
                    correct,
                }]
            };
            runs.map(run).collect()
        };
        let few = Resampling {
            samples: 1,
            ..Resampling::default()
        };
        let found = Comparison::new(&side("a"), &side("b"), &few).unwrap();
        let (found, wanted) = (found.seeds_p.unwrap(), case["p"].as_f64().unwrap());
        assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
    }
}

/// A sentence of a population whose precision and recall are known: each of its entities is found with the chance `found`, and `invented` in
/// ten sentences have a prediction too many.
fn sentence(generator: &mut ChaCha8Rng, found: f64, invented: f64) -> Counts {
    let support = [0, 0, 1, 1, 2, 3, 7][generator.random_range(0..7)];
    let correct = (0..support)
        .filter(|_| generator.random_bool(found))
        .count();
    Counts {
        support,
        correct,
        predicted: correct + usize::from(generator.random_bool(invented)),
    }
}

#[test]
fn nineteen_of_twenty_intervals_hold_the_figure_of_the_population() {
    // 2 entities a sentence; 0.8 of them found; 0.3 predictions too many a sentence.
    let truth = 2.0 * (2.0 * 0.8) / (2.0 + (2.0 * 0.8 + 0.3));
    let mut generator = ChaCha8Rng::seed_from_u64(1);
    let span = |start: usize| Entity {
        entity_type: "X",
        start,
        end: start + 1,
    };
    let mut held = 0;
    for seed in 0..DRAWS {
        let (mut gold, mut predicted) = (Vec::new(), Vec::new());
        for _ in 0..400 {
            let counts = sentence(&mut generator, 0.8, 0.3);
            gold.push((0..counts.support).map(span).collect::<Vec<_>>());
            let right = 0..counts.correct;
            let wrong = 100..100 + counts.predicted - counts.correct;
            predicted.push(right.chain(wrong).map(span).collect::<Vec<_>>());
        }
        let sentences: Vec<usize> = (0..gold.len()).collect();
        let resampling = Resampling {
            samples: 300,
            seed: seed as u64,
            ..Resampling::default()
        };
        let report = IntervalReport::new(&gold, &predicted, &sentences, &resampling).unwrap();
        let f1 = report.micro.f1;
        held += usize::from(f1.low <= truth && truth <= f1.high);
    }
    assert!((930..=970).contains(&held), "{held} of {DRAWS}");
}

#[test]
fn one_in_twenty_tests_of_equals_finds_a_difference() {
    let mut generator = ChaCha8Rng::seed_from_u64(2);
    let (mut by_bootstrap, mut by_randomization) = (0, 0);
    for seed in 0..DRAWS {
        // Both sides read the same gold: the second finds other entities of it, with the same chance.
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let one = sentence(&mut generator, 0.8, 0.3);
            let correct = (0..one.support)
                .filter(|_| generator.random_bool(0.8))
                .count();
            b.push(Counts {
                correct,
                predicted: correct + usize::from(generator.random_bool(0.3)),
                ..one
            });
            a.push(one);
        }
        let resampling = Resampling {
            samples: 200,
            seed: seed as u64,
            ..Resampling::default()
        };
        let found = Comparison::new(&[a], &[b], &resampling).unwrap();
        by_bootstrap += usize::from(found.bootstrap_p <= 0.05);
        by_randomization += usize::from(found.randomization_p.unwrap() <= 0.05);
    }
    assert!((30..=70).contains(&by_bootstrap), "{by_bootstrap}");
    assert!((30..=70).contains(&by_randomization), "{by_randomization}");
}

#[test]
fn sentences_of_a_document_are_drawn_together() {
    // Two documents of 50 sentences: one all right, one all wrong. Only three scores can come out.
    let one = vec![Entity {
        entity_type: "X",
        start: 0,
        end: 1,
    }];
    let gold = vec![one.clone(); 100];
    let predicted: Vec<_> = (0..100)
        .map(|i| if i < 50 { one.clone() } else { vec![] })
        .collect();
    let documents: Vec<usize> = (0..100).map(|i| i / 50).collect();
    let report =
        IntervalReport::new(&gold, &predicted, &documents, &Resampling::default()).unwrap();
    assert_eq!(report.units, 2);
    let recall = report.micro.recall;
    assert_eq!((recall.low, recall.estimate, recall.high), (0.0, 0.5, 1.0));
}

#[test]
fn what_cannot_be_drawn_is_an_error() {
    let none: [Vec<Entity<'_>>; 0] = [];
    let drawn = |resampling| IntervalReport::new(&none, &none, &[], &resampling);
    let good = Resampling::default();
    let bad = [
        good,
        Resampling { samples: 0, ..good },
        Resampling { level: 1.0, ..good },
        Resampling {
            level: f64::NAN,
            ..good
        },
    ];
    for resampling in bad {
        assert!(matches!(drawn(resampling), Err(Error::Resampling { .. })));
    }
    let run = |units| vec![Counts::default(); units];
    for (a, b) in [
        (vec![], vec![run(3)]),
        (vec![run(3)], vec![]),
        (vec![run(3)], vec![run(2)]),
        (vec![run(3), run(1)], vec![run(3)]),
    ] {
        let found = Comparison::new(&a, &b, &good);
        assert!(matches!(found, Err(Error::Resampling { .. })));
    }
}

#[test]
fn a_seed_gives_one_result() {
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let runs: Vec<Vec<Counts>> = (0..4)
        .map(|_| {
            (0..50)
                .map(|_| sentence(&mut generator, 0.7, 0.2))
                .collect()
        })
        .collect();
    let resampling = Resampling::default();
    let compare = |resampling| Comparison::new(&runs[..2], &runs[2..], &resampling).unwrap();
    assert_eq!(compare(resampling), compare(resampling));
    let other = compare(Resampling {
        seed: 1,
        ..resampling
    });
    assert_ne!(compare(resampling).difference, other.difference);
    // A difference of runs is less sure than that of one run.
    assert!(compare(resampling).seeds_p.is_some());
}

proptest! {
    #[test]
    fn the_groups_of_a_breakdown_are_all_entities(
        lengths in prop::collection::vec((0..3_usize, 1..8_usize, any::<bool>()), 0..12),
    ) {
        let mut at = 0;
        let (mut gold, mut predicted) = (Vec::new(), Vec::new());
        for (gap, length, is_right) in lengths {
            let entity = Entity { entity_type: "X", start: at + gap, end: at + gap + length };
            at = entity.end;
            gold.push(entity);
            predicted.push(if is_right { entity } else { Entity { entity_type: "Y", ..entity } });
        }
        let whole = Counts::of_entities(&gold, &predicted);
        let (gold, predicted) = ([gold], [predicted]);
        for breakdown in [
            Breakdown::by_length(&gold, &predicted).unwrap(),
            Breakdown::by_position(&gold, &predicted, &[at]).unwrap(),
        ] {
            let sum = |value: fn(&ner_metrics::GroupScores) -> usize| breakdown.rows.iter().map(value).sum::<usize>();
            prop_assert_eq!(sum(|row| row.scores.support), whole.support);
            prop_assert_eq!(sum(|row| row.predicted), whole.predicted);
            prop_assert_eq!(sum(|row| row.correct), whole.correct);
        }
    }
}
