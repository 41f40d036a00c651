//! A temperature is found again.
#![allow(clippy::unwrap_used)]

#[path = "common/table_model.rs"]
mod table_model;

use ner_metrics::Reliability;
use ner_model::Logits;
use ner_tagger::calibration::{fit_temperature, scored_entities};
use ner_tagger::{Decoder, PretokenizedSentence, ScoredSentence, Tagger};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const LABELS: [&str; 3] = ["O", "B-X", "B-Y"];
const WORDS: usize = 8;

/// Sentences whose gold labels are drawn with the probabilities of logits divided by a temperature.
fn drawn(temperature: f64, sentences: usize) -> (Vec<ScoredSentence>, Vec<PretokenizedSentence>) {
    let mut generator = ChaCha8Rng::seed_from_u64(7);
    let one = |generator: &mut ChaCha8Rng| {
        let mut draw = || (generator.random::<f32>() - 0.5) * 12.0;
        let values: Vec<f32> = (0..WORDS * LABELS.len()).map(|_| draw()).collect();
        let logits = Logits::new(values, LABELS.len());
        let tags: Vec<&str> = (0..WORDS)
            .map(|word| {
                let mut left = generator.random::<f64>();
                let probabilities = logits.tempered_probabilities(word, temperature as f32);
                let label = probabilities.into_iter().position(|probability| {
                    left -= f64::from(probability);
                    left <= 0.0
                });
                LABELS[label.unwrap_or(LABELS.len() - 1)]
            })
            .collect();
        let scored = ScoredSentence {
            logits: logits.clone(),
            sequences: std::iter::once(0..WORDS).collect(),
        };
        (scored, PretokenizedSentence::tagged(vec!["w"; WORDS], tags))
    };
    (0..sentences).map(|_| one(&mut generator)).unzip()
}

fn decoder() -> Decoder {
    let (_dir, model) = table_model::new(&LABELS, &[("w", "B-X")]);
    Tagger::from_dir(&model).unwrap().decoder().clone()
}

#[test]
fn the_temperature_that_drew_the_labels_is_found() {
    let decoder = decoder();
    for temperature in [0.5, 1.0, 2.5] {
        let (scored, gold) = drawn(temperature, 1500);
        let found = fit_temperature(&decoder, &scored, &gold).unwrap();
        assert!(
            (found / temperature).ln().abs() < 0.1,
            "{found} for {temperature}"
        );
        let calibrated = decoder.clone().with_temperature(found);
        let error = |decoder: &Decoder| {
            let predictions = scored_entities(
                &scored
                    .iter()
                    .map(|one| decoder.decode(&one.logits))
                    .collect::<Vec<_>>(),
                &gold,
            )
            .unwrap();
            let all: Vec<_> = predictions.into_iter().map(|(_, one)| one).collect();
            Reliability::new(&all, 10).expected_calibration_error
        };
        assert!(error(&calibrated) < 0.03);
        // Which entities there are does not depend on it.
        let names = |decoder: &Decoder| {
            let tagged = scored.iter().map(|one| decoder.decode(&one.logits));
            tagged
                .flat_map(|sentence| sentence.entities)
                .map(|found| (found.entity, found.words))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&decoder), names(&calibrated));
    }
}

#[test]
fn without_an_entity_there_is_nothing_to_fit_on() {
    let nothing = ScoredSentence {
        logits: Logits::new(vec![9.0, 0.0, 0.0], LABELS.len()),
        sequences: std::iter::once(0..1).collect(),
    };
    let error = fit_temperature(
        &decoder(),
        &[nothing],
        &[PretokenizedSentence::tagged(["w"], ["B-X"])],
    );
    let message = error.unwrap_err().to_string();
    assert!(message.contains("no entity"), "{message}");
}
