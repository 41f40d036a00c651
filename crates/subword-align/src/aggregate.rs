//! Predictions of sub-words to entities in the text.

use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::encode::EncodedText;
use crate::error::{Error, Result};

/// The label of what is no entity.
const OUTSIDE: &str = "O";

/// How predictions of sub-words become entities: the strategies of transformers' `pipeline("ner")` under their own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregation {
    /// Every sub-word whose label is not `O`, by itself.
    None,
    /// Neighboring sub-words of one type; `B-` opens a new entity. A word can be cut in two.
    Simple,
    /// Like `Simple`, of words that take the label of their first sub-word.
    First,
    /// Like `Simple`, of words that take the label with the highest mean probability over their sub-words.
    Average,
    /// Like `Simple`, of words that take the label of their most certain sub-word.
    Max,
}

impl FromStr for Aggregation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "none" => Self::None,
            "simple" => Self::Simple,
            "first" => Self::First,
            "average" => Self::Average,
            "max" => Self::Max,
            _ => {
                return Err(Error::Choice {
                    what: "aggregation",
                    found: name.to_owned(),
                    choices: "none, simple, first, average, max",
                });
            }
        })
    }
}

/// An entity in a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntitySpan {
    /// The type (`PER`); under [`Aggregation::None`] the label (`B-PER`).
    pub entity: String,
    /// The probability, from 0 to 1.
    pub score: f32,
    /// The text of the entity as it stands there.
    pub word: String,
    /// Where it begins, in Unicode code points.
    pub start: usize,
    /// Where it ends, in Unicode code points.
    pub end: usize,
    /// Under [`Aggregation::None`] the sub-word, counted from 1: its place in a sequence with one special token in front.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
}

/// Turns predictions into entities, in the order of the text; what is labeled `O` is left out.
///
/// `probabilities` is `[sub-words, labels]`, row-major, one row for each sub-word of `encoded`, without special tokens;
/// `labels` names the columns. A tie goes to the label or the sub-word that comes first.
///
/// What the pipeline does and this does not: offsets never include white space, `word` is cut from the text and never decoded,
/// and WordPiece words are told by `##` rather than by the lengths of a token and its text, which differ where the
/// tokenizer strips accents.
///
/// # Errors
/// [`Error::ProbabilityCount`] or [`Error::ProbabilityValue`] if `probabilities` has another size or a value that is not
/// finite, [`Error::OtherText`] if `encoded` was not made from `text`.
pub fn aggregate<L: AsRef<str>>(
    text: &str,
    encoded: &EncodedText,
    probabilities: &[f32],
    labels: &[L],
    how: Aggregation,
) -> Result<Vec<EntitySpan>> {
    let (subwords, width) = (encoded.len(), labels.len());
    if probabilities.len() != subwords * width || (subwords > 0 && width == 0) {
        return Err(Error::ProbabilityCount {
            found: probabilities.len(),
            subwords,
            labels: width,
        });
    }
    if let Some(at) = probabilities.iter().position(|p| !p.is_finite()) {
        return Err(Error::ProbabilityValue {
            subword: at / width,
            label: at % width,
            value: probabilities[at],
        });
    }
    if let Some(subword) = encoded
        .byte_offsets
        .iter()
        .position(|&(start, end)| text.get(start..end).is_none())
    {
        return Err(Error::OtherText { subword });
    }

    let rows: Vec<&[f32]> = probabilities.chunks_exact(width.max(1)).collect();
    let units = units(encoded, how).map(|subwords| {
        let (label, score) = decide(&rows[subwords.clone()], how);
        Unit {
            subwords,
            label: labels[label].as_ref(),
            score,
        }
    });
    let mut entities: Vec<Vec<Unit>> = Vec::new();
    for unit in units {
        match entities.last_mut() {
            Some(entity)
                if entity
                    .last()
                    .is_some_and(|last| joins(last.label, unit.label, how)) =>
            {
                entity.push(unit);
            }
            _ => entities.push(vec![unit]),
        }
    }
    Ok(entities
        .iter()
        .filter_map(|entity| span(text, encoded, entity, how))
        .collect())
}

/// What gets one label: a sub-word or a word.
struct Unit<'a> {
    subwords: Range<usize>,
    label: &'a str,
    score: f32,
}

/// The sub-words of each unit.
fn units(encoded: &EncodedText, how: Aggregation) -> impl Iterator<Item = Range<usize>> {
    let opens = |i: usize| match how {
        Aggregation::None | Aggregation::Simple => true,
        Aggregation::First | Aggregation::Average | Aggregation::Max => !encoded.continues[i],
    };
    let mut start = 0;
    let mut units = Vec::new();
    for end in 1..=encoded.len() {
        if end == encoded.len() || opens(end) {
            units.push(start..end);
            start = end;
        }
    }
    units.into_iter()
}

/// The label of a unit and its probability.
fn decide(rows: &[&[f32]], how: Aggregation) -> (usize, f32) {
    match how {
        Aggregation::Max => rows
            .iter()
            .map(|row| best(row))
            .reduce(|a, b| if b.1 > a.1 { b } else { a })
            .unwrap_or((0, 0.0)),
        Aggregation::Average => {
            let mean =
                |label: usize| rows.iter().map(|row| row[label]).sum::<f32>() / rows.len() as f32;
            best(&(0..rows[0].len()).map(mean).collect::<Vec<_>>())
        }
        _ => best(rows[0]),
    }
}

/// The first highest value and where it stands.
fn best(row: &[f32]) -> (usize, f32) {
    row.iter()
        .copied()
        .enumerate()
        .reduce(|a, b| if b.1 > a.1 { b } else { a })
        .unwrap_or((0, 0.0))
}

/// Whether a unit continues the entity of the one before it.
fn joins(last: &str, label: &str, how: Aggregation) -> bool {
    match how {
        Aggregation::None => false,
        _ => {
            let (begins, entity) = pipeline_type(label);
            !begins && entity == pipeline_type(last).1
        }
    }
}

/// Whether a label begins an entity, and its type, as the pipeline's `get_tag` reads it: a label without `B-` or `I-` is inside.
fn pipeline_type(label: &str) -> (bool, &str) {
    match label.split_once('-') {
        Some(("B", entity)) => (true, entity),
        Some(("I", entity)) => (false, entity),
        _ => (false, label),
    }
}

/// The entity made of neighboring units, unless it is none or white space alone.
fn span(text: &str, encoded: &EncodedText, units: &[Unit], how: Aggregation) -> Option<EntitySpan> {
    let (first, last) = (units.first()?, units.last()?);
    let label = first.label;
    let entity = match how {
        Aggregation::None => label,
        _ => label.split_once('-').map_or(label, |(_, entity)| entity),
    };
    if entity == OUTSIDE {
        return None;
    }
    let subwords = first.subwords.start..last.subwords.end;
    let start = encoded.byte_offsets[subwords.start].0;
    let end = encoded.byte_offsets[subwords.clone()]
        .iter()
        .map(|offset| offset.1)
        .max()?;
    let covered = text.get(start..end)?;
    let word = covered.trim();
    if word.is_empty() {
        return None;
    }
    let leading = covered.chars().take_while(|c| c.is_whitespace()).count();
    let start = encoded.offsets[subwords.start].0 + leading;
    let score = units.iter().map(|unit| f64::from(unit.score)).sum::<f64>() / units.len() as f64;
    Some(EntitySpan {
        entity: entity.to_owned(),
        score: score as f32,
        word: word.to_owned(),
        start,
        end: start + word.chars().count(),
        index: (how == Aggregation::None).then_some(subwords.start + 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse() {
        for (name, how) in [("none", Aggregation::None), ("max", Aggregation::Max)] {
            assert!(name.parse::<Aggregation>().is_ok_and(|found| found == how));
        }
        assert!(
            "words"
                .parse::<Aggregation>()
                .is_err_and(|error| error.to_string().contains("none, simple"))
        );
    }
}
