//! The least score that an entity needs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ner_metrics::TagSet;

use crate::error::{Error, Result};

/// The least score that an entity needs, for all types or for each its own.
///
/// ```
/// use ner_tagger::MinScores;
///
/// let scores: MinScores = "0.5,PER=0.9".parse()?;
/// assert!(scores.keeps("LOC", 0.6) && !scores.keeps("PER", 0.6));
/// # Ok::<(), ner_tagger::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MinScores {
    /// Of types without one of their own.
    others: f32,
    types: BTreeMap<String, f32>,
}

impl MinScores {
    /// Whether an entity of this type and score is kept.
    #[must_use]
    pub fn keeps(&self, entity_type: &str, score: f32) -> bool {
        score >= *self.types.get(entity_type).unwrap_or(&self.others)
    }

    /// Fails for a type that no label has.
    pub(crate) fn check(&self, tags: &TagSet) -> Result<()> {
        let labels = 0..tags.labels().len();
        let known: Vec<&str> = labels.filter_map(|label| tags.entity_type(label)).collect();
        match self
            .types
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(unknown) => {
                let mut known = known;
                known.sort_unstable();
                known.dedup();
                Err(setting(format!(
                    "the model has no type `{unknown}`, only {}",
                    known.join(", ")
                )))
            }
        }
    }
}

fn setting(reason: String) -> Error {
    Error::Setting {
        name: "min_score",
        reason,
    }
}

impl FromStr for MinScores {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut scores = Self::default();
        let mut for_all = false;
        for part in text.split(',') {
            let (name, number) = match part.rsplit_once('=') {
                Some((name, number)) => (Some(name), number),
                None => (None, part),
            };
            let score = number.trim().parse().ok();
            let Some(score) = score.filter(|score| (0.0..=1.0).contains(score)) else {
                return Err(setting(format!(
                    "`{part}` is none; expected a number from 0 to 1, such as 0.9, or one for each type, such as PER=0.9,ORG=0.8"
                )));
            };
            let is_twice = match name {
                Some(name) => scores.types.insert(name.trim().to_owned(), score).is_some(),
                None => {
                    scores.others = score;
                    std::mem::replace(&mut for_all, true)
                }
            };
            if is_twice {
                return Err(setting(format!(
                    "`{part}` is a second score for the same entities"
                )));
            }
        }
        Ok(scores)
    }
}

impl fmt::Display for MinScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.others)?;
        self.types
            .iter()
            .try_for_each(|(name, score)| write!(f, ",{name}={score}"))
    }
}
