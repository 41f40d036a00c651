//! The summary that conlleval.pl prints.

use std::fmt::Write;

use serde::Serialize;

use crate::scores::{Counts, ratio};
use crate::tag::Affix;
use crate::tally::Tally;
use crate::{Mode, Result};

/// Counts and scores in percent, as conlleval.pl (version of 2004-01-26) gives them.
///
/// Entities are those of [`Mode::Default`]. For tags of `B`, `I` and `O` that is the script's own rule; the script does
/// not know `S` and mistakes `B` after `E`, where this summary follows seqeval. It takes the letters up to the first
/// dash for the position letter, this crate the first letter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConllevalSummary {
    /// Tokens.
    pub tokens: usize,
    /// Entities in gold.
    pub phrases: usize,
    /// Entities in the prediction.
    pub found: usize,
    /// Entities that both share.
    pub correct: usize,
    /// The share of tokens whose tags are equal, in percent.
    pub accuracy: f64,
    /// Scores of all entities together.
    #[serde(flatten)]
    pub scores: Percent,
    /// One row a type, sorted by name.
    pub per_type: Vec<PercentByType>,
}

/// Scores in percent, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percent {
    /// Correct over found.
    pub precision: f64,
    /// Correct over phrases.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub fb1: f64,
}

/// The scores of one type, in percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PercentByType {
    /// The type, such as `PER`.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// The scores.
    #[serde(flatten)]
    pub scores: Percent,
    /// Entities of the type in the prediction.
    pub found: usize,
}

impl ConllevalSummary {
    /// Compares the tags of sentences, which both sides must have in the same order.
    ///
    /// # Errors
    /// As [`EntityReport::new`](crate::EntityReport::new) in default mode.
    pub fn new<G, P, S, T>(gold: &[G], predicted: &[P]) -> Result<Self>
    where
        G: AsRef<[S]>,
        P: AsRef<[T]>,
        S: AsRef<str>,
        T: AsRef<str>,
    {
        let tally = Tally::new(gold, predicted, Mode::Default, Affix::Prefix)?;
        let all = Counts::sum(tally.types.iter().map(|(_, counts)| *counts));
        Ok(Self {
            tokens: tally.tokens,
            phrases: all.support,
            found: all.predicted,
            correct: all.correct,
            accuracy: percent(tally.correct_tags, tally.tokens),
            scores: Percent::of(all),
            per_type: tally
                .types
                .into_iter()
                .map(|(entity_type, counts)| PercentByType {
                    entity_type,
                    scores: Percent::of(counts),
                    found: counts.predicted,
                })
                .collect(),
        })
    }

    /// The script's text, byte for byte: a line of counts, a line of overall scores unless there is no token, and a line a
    /// type, which ends in the number found.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self {
            tokens,
            phrases,
            found,
            correct,
            accuracy,
            ..
        } = self;
        let mut text = format!(
            "processed {tokens} tokens with {phrases} phrases; found: {found} phrases; correct: {correct}.\n"
        );
        // Writing to a string cannot fail.
        if *tokens > 0 {
            let _ = writeln!(text, "accuracy: {accuracy:6.2}%; {}", self.scores.to_text());
        }
        for PercentByType {
            entity_type,
            scores,
            found,
        } in &self.per_type
        {
            let _ = writeln!(text, "{entity_type:>17}: {}  {found}", scores.to_text());
        }
        text
    }
}

impl Percent {
    fn of(counts: Counts) -> Self {
        let precision = percent(counts.correct, counts.predicted);
        let recall = percent(counts.correct, counts.support);
        Self {
            precision,
            recall,
            fb1: ratio(2.0 * precision * recall, precision + recall),
        }
    }

    fn to_text(self) -> String {
        let Self {
            precision,
            recall,
            fb1,
        } = self;
        format!("precision: {precision:6.2}%; recall: {recall:6.2}%; FB1: {fb1:6.2}")
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    ratio(100.0 * part as f64, whole as f64)
}
