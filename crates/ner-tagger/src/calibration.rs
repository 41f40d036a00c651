//! Scores that are probabilities: a temperature found on held-out data.

use ner_metrics::{Entity, Mode, ScoredPrediction};
use rayon::prelude::*;

use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::sentence::PretokenizedSentence;
use crate::tagged::TaggedSentence;
use crate::tagger::ScoredSentence;

/// Temperatures that are looked at.
const RANGE: (f64, f64) = (0.05, 20.0);

/// How near, as a factor, the temperature that is found lies to the best one.
const PRECISION: f64 = 1e-3;

/// A score that is no logarithm's end.
const LEAST: f64 = 1e-7;

/// The entities of tagged sentences by type, with their scores, and whether gold has them.
///
/// # Errors
/// Gold tags that cannot be read.
pub fn scored_entities(
    tagged: &[TaggedSentence],
    gold: &[PretokenizedSentence],
) -> Result<Vec<(String, ScoredPrediction)>> {
    let mut predictions = Vec::new();
    for (tagged, gold) in tagged.iter().zip(gold) {
        let gold = Mode::Default.entities(&gold.tags)?;
        for found in &tagged.entities {
            let entity = Entity {
                entity_type: &found.entity,
                start: found.words.start,
                end: found.words.end,
            };
            let prediction = ScoredPrediction {
                score: f64::from(found.score),
                correct: gold.contains(&entity),
            };
            predictions.push((found.entity.clone(), prediction));
        }
    }
    Ok(predictions)
}

/// The temperature under which the scores of the entities that are found tell best which of them are right: the one with the least mean logarithmic
/// loss, found by golden-section search (Kiefer 1953, <https://doi.org/10.1090/S0002-9939-1953-0055639-3>) on its logarithm.
///
/// It chooses no label, so that what is found does not depend on it.
///
/// # Errors
/// Gold tags that cannot be read, or sentences in which nothing is found.
pub fn fit_temperature(
    decoder: &Decoder,
    scored: &[ScoredSentence],
    gold: &[PretokenizedSentence],
) -> Result<f64> {
    let loss = |log_temperature: f64| -> Result<f64> {
        let decoder = decoder.clone().with_temperature(log_temperature.exp());
        let decode = |one: &ScoredSentence| decoder.decode(&one.logits);
        let tagged: Vec<TaggedSentence> = scored.par_iter().map(decode).collect();
        let predictions = scored_entities(&tagged, gold)?;
        if predictions.is_empty() {
            return Err(Error::Setting {
                name: "temperature",
                reason: "the model finds no entity in the data, so there is no score to fit one on"
                    .to_owned(),
            });
        }
        let losses = predictions.iter().map(|(_, prediction)| {
            let score = prediction.score.clamp(LEAST, 1.0 - LEAST);
            -(if prediction.correct {
                score
            } else {
                1.0 - score
            })
            .ln()
        });
        Ok(losses.sum::<f64>() / predictions.len() as f64)
    };
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (RANGE.0.ln(), RANGE.1.ln());
    let inner = |low: f64, high: f64| (high - golden * (high - low), low + golden * (high - low));
    let (mut left, mut right) = inner(low, high);
    let (mut at_left, mut at_right) = (loss(left)?, loss(right)?);
    while high - low > PRECISION {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = inner(low, high).0;
            at_left = loss(left)?;
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = inner(low, high).1;
            at_right = loss(right)?;
        }
    }
    Ok(((low + high) / 2.0).exp())
}
