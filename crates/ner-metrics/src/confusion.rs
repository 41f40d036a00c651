//! Which entity type was taken for which.

use std::collections::BTreeMap;

use crate::{Entity, entity_errors};

/// A pair of types: gold, predicted.
type Pair = (Option<String>, Option<String>);

/// How often a gold type was predicted as a type.
///
/// Entities that share a span or overlap are one pair, as [`entity_errors`] pairs them. An entity without a partner is paired with none.
///
/// ```
/// use ner_metrics::{ConfusionMatrix, Entity};
///
/// let span = |entity_type, start, end| Entity { entity_type, start, end };
/// let mut confusion = ConfusionMatrix::default();
/// confusion.add(&[span("ORG", 0, 3), span("LOC", 5, 6)], &[span("ORG", 0, 3), span("PER", 5, 7)]);
/// assert_eq!(confusion.count(Some("ORG"), Some("ORG")), 1);
/// assert_eq!(confusion.count(Some("LOC"), Some("PER")), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfusionMatrix {
    counts: BTreeMap<Pair, usize>,
}

impl ConfusionMatrix {
    /// Counts the entities of one sentence.
    pub fn add(&mut self, gold: &[Entity<'_>], predicted: &[Entity<'_>]) {
        let mut unmatched = predicted.to_vec();
        for entity in gold {
            if let Some(at) = unmatched.iter().position(|predicted| predicted == entity) {
                unmatched.remove(at);
                self.add_pair(Some(*entity), Some(*entity));
            }
        }
        for error in entity_errors(gold, predicted) {
            self.add_pair(error.gold, error.predicted);
        }
    }

    fn add_pair(&mut self, gold: Option<Entity<'_>>, predicted: Option<Entity<'_>>) {
        let [gold, predicted] =
            [gold, predicted].map(|entity| entity.map(|entity| entity.entity_type.to_owned()));
        *self.counts.entry((gold, predicted)).or_default() += 1;
    }

    /// How often the gold type (or none) was predicted as the type (or none).
    #[must_use]
    pub fn count(&self, gold: Option<&str>, predicted: Option<&str>) -> usize {
        let of_pair = self
            .cells()
            .filter(|cell| (cell.0, cell.1) == (gold, predicted));
        of_pair.map(|cell| cell.2).sum()
    }

    /// Gold type, predicted type and count of each pair that there is, in order; `None` comes first.
    pub fn cells(&self) -> impl Iterator<Item = (Option<&str>, Option<&str>, usize)> {
        let cells = self.counts.iter();
        cells.map(|((gold, predicted), &count)| (gold.as_deref(), predicted.as_deref(), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(entity_type: &str, start: usize, end: usize) -> Entity<'_> {
        Entity {
            entity_type,
            start,
            end,
        }
    }

    #[test]
    fn every_entity_is_in_one_cell() {
        let gold = [
            span("LOC", 0, 1),
            span("LOC", 0, 1), // twice, predicted once
            span("ORG", 2, 4),
            span("PER", 5, 6),
        ];
        let predicted = [span("LOC", 0, 1), span("ORG", 3, 4), span("MISC", 8, 9)];
        let mut confusion = ConfusionMatrix::default();
        confusion.add(&gold, &predicted);
        let expected = [
            (None, Some("MISC"), 1),
            (Some("LOC"), None, 1),
            (Some("LOC"), Some("LOC"), 1),
            (Some("ORG"), Some("ORG"), 1),
            (Some("PER"), None, 1),
        ];
        assert_eq!(confusion.cells().collect::<Vec<_>>(), expected);
        let of_gold: usize = confusion
            .cells()
            .filter(|cell| cell.0.is_some())
            .map(|cell| cell.2)
            .sum();
        assert_eq!(of_gold, gold.len());
    }
}
