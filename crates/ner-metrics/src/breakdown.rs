//! Entities scored by groups other than their type: by length, by place, by what a training file knows of them.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::scores::{Counts, Scores};
use crate::tally::check_sentences;
use crate::{Entity, Result};

/// The scores of each group of entities.
///
/// ```
/// use ner_metrics::{Breakdown, Entity};
///
/// let span = |start, end| Entity { entity_type: "PER", start, end };
/// let gold = [vec![span(0, 1), span(3, 5)]];
/// let predicted = [vec![span(0, 1), span(4, 5)]];
/// let by_length = Breakdown::by_length(&gold, &predicted)?;
/// assert_eq!((by_length.rows[0].group.as_str(), by_length.rows[0].scores.precision), ("1 token", 0.5));
/// assert_eq!((by_length.rows[1].group.as_str(), by_length.rows[1].scores.recall), ("2 tokens", 0.0));
/// # Ok::<(), ner_metrics::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Breakdown {
    /// What the groups tell apart, such as `length`.
    pub by: String,
    /// A row for each group that gold or prediction has an entity of, in the order of the groups.
    pub rows: Vec<GroupScores>,
}

/// The scores of one group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupScores {
    /// The group.
    pub group: String,
    /// Its scores.
    #[serde(flatten)]
    pub scores: Scores,
    /// Entities of the group in the prediction.
    pub predicted: usize,
    /// Entities of the group that gold and prediction share.
    pub correct: usize,
}

/// Lengths of entities, in tokens; the last group takes all longer ones.
const LENGTHS: [&str; 5] = ["1 token", "2 tokens", "3 tokens", "4 tokens", "5 or more"];

/// Places of an entity's first token.
const PLACES: [&str; 4] = ["first token", "first third", "second third", "last third"];

impl Breakdown {
    /// By a group of the caller's: `group` gets the number of a sentence and an entity of it, and gives an index into `groups`. Entities with the
    /// same span and type must be of the same group.
    ///
    /// # Errors
    /// [`Error::SentenceCount`](crate::Error::SentenceCount).
    pub fn new<'g, 'p, G, P>(
        by: &str,
        groups: &[&str],
        gold: &[G],
        predicted: &[P],
        group: impl Fn(usize, &Entity<'_>) -> usize,
    ) -> Result<Self>
    where
        G: AsRef<[Entity<'g>]>,
        P: AsRef<[Entity<'p>]>,
    {
        check_sentences(gold, predicted)?;
        let counts = grouped(gold, predicted, |sentence, entity| group(sentence, entity));
        let row = |(group, counts): (usize, Counts)| GroupScores {
            group: groups.get(group).copied().unwrap_or("other").to_owned(),
            scores: counts.scores(),
            predicted: counts.predicted,
            correct: counts.correct,
        };
        Ok(Self {
            by: by.to_owned(),
            rows: counts.into_iter().map(row).collect(),
        })
    }

    /// By the number of tokens of an entity.
    ///
    /// # Errors
    /// [`Error::SentenceCount`](crate::Error::SentenceCount).
    pub fn by_length<'g, 'p, G, P>(gold: &[G], predicted: &[P]) -> Result<Self>
    where
        G: AsRef<[Entity<'g>]>,
        P: AsRef<[Entity<'p>]>,
    {
        let group =
            |_, entity: &Entity<'_>| (entity.end - entity.start).clamp(1, LENGTHS.len()) - 1;
        Self::new("length", &LENGTHS, gold, predicted, group)
    }

    /// By the place of an entity's first token in its sentence. `lengths` has the tokens of each sentence.
    ///
    /// # Errors
    /// [`Error::SentenceCount`](crate::Error::SentenceCount).
    pub fn by_position<'g, 'p, G, P>(gold: &[G], predicted: &[P], lengths: &[usize]) -> Result<Self>
    where
        G: AsRef<[Entity<'g>]>,
        P: AsRef<[Entity<'p>]>,
    {
        let group = |sentence: usize, entity: &Entity<'_>| {
            let length = lengths.get(sentence).copied().unwrap_or(0).max(1);
            match entity.start {
                0 => 0,
                start => 1 + (3 * start / length).min(2),
            }
        };
        Self::new("position in the sentence", &PLACES, gold, predicted, group)
    }

    /// A table with a line for each group.
    #[must_use]
    pub fn to_text(&self, digits: usize) -> String {
        let names = self.rows.iter().map(|row| row.group.as_str());
        let mut table = crate::text_report::Table::new(names, digits);
        for row in &self.rows {
            table.row(&row.group, &row.scores);
        }
        format!("by {}\n{}", self.by, table.into_text())
    }
}

/// Counts of entities by a key. Each side of a sentence is a set: an entity that is listed twice counts once.
pub(crate) fn grouped<'g, 'p, G, P, K: Ord>(
    gold: &[G],
    predicted: &[P],
    key: impl Fn(usize, &Entity<'_>) -> K,
) -> BTreeMap<K, Counts>
where
    G: AsRef<[Entity<'g>]>,
    P: AsRef<[Entity<'p>]>,
{
    let mut counts: BTreeMap<K, Counts> = BTreeMap::new();
    for (sentence, (gold, predicted)) in gold.iter().zip(predicted).enumerate() {
        let gold: HashSet<&Entity<'g>> = gold.as_ref().iter().collect();
        let predicted: HashSet<&Entity<'p>> = predicted.as_ref().iter().collect();
        for entity in &gold {
            counts.entry(key(sentence, entity)).or_default().support += 1;
        }
        for entity in &predicted {
            let counts = counts.entry(key(sentence, entity)).or_default();
            counts.predicted += 1;
            counts.correct += usize::from(gold.contains(entity));
        }
    }
    counts
}
