//! Which tags may follow one another in a well-formed sequence of a scheme.

use crate::scheme::{Neighbor, Roles};
use crate::tag::{Tag, split_tag};
use crate::{Error, Result, Scheme};

/// How two neighboring tags of a well-formed sequence hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// Two tokens of one entity.
    Joined,
    /// No entity covers both.
    Apart,
}

/// Legal transitions between the labels of a model, to mask a Viterbi search with.
///
/// Labels are numbered as in the list that the table was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitionTable {
    start: Vec<bool>,
    end: Vec<bool>,
    between: Vec<bool>,
}

impl TransitionTable {
    /// Number of labels.
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.start.len()
    }

    /// May a sentence start with each label? Shape `[labels]`.
    #[must_use]
    pub fn start(&self) -> &[bool] {
        &self.start
    }

    /// May a sentence end with each label? Shape `[labels]`.
    #[must_use]
    pub fn end(&self) -> &[bool] {
        &self.end
    }

    /// May label `from` be followed by label `to`? Shape `[labels (from), labels (to)]`, row-major.
    #[must_use]
    pub fn between(&self) -> &[bool] {
        &self.between
    }

    /// May `from` be followed by `to`? False for a number that is no label.
    #[must_use]
    pub fn allows(&self, from: usize, to: usize) -> bool {
        let labels = self.label_count();
        from < labels && to < labels && self.between[from * labels + to]
    }
}

impl Scheme {
    /// The legal transitions between `labels`: those pairs that some well-formed sequence of the scheme contains.
    ///
    /// A sequence is well-formed exactly when its start, its end and all its transitions are legal. The table does
    /// not look for labels that are missing: without `E-X` among the labels of IOBES, no path leaves `B-X`.
    ///
    /// # Errors
    /// [`Error::EmptyTag`](crate::Error::EmptyTag) and [`Error::ForeignTag`](crate::Error::ForeignTag).
    pub fn legal_transitions<S: AsRef<str>>(self, labels: &[S]) -> Result<TransitionTable> {
        let tags: Vec<Tag<'_>> = labels
            .iter()
            .enumerate()
            .map(|(i, label)| self.split(label.as_ref(), i))
            .collect::<Result<_>>()?;
        let legal = |from, to| self.link(from, to).is_some();
        Ok(TransitionTable {
            start: tags.iter().map(|&to| legal(Tag::OUTSIDE, to)).collect(),
            end: tags.iter().map(|&from| legal(from, Tag::OUTSIDE)).collect(),
            between: tags
                .iter()
                .flat_map(|&from| tags.iter().map(move |&to| legal(from, to)))
                .collect(),
        })
    }

    /// Counts the illegal transitions of a sentence, its start and its end included.
    ///
    /// # Errors
    /// [`Error::EmptyTag`](crate::Error::EmptyTag) and [`Error::ForeignTag`](crate::Error::ForeignTag).
    pub fn invalid_transitions<S: AsRef<str>>(self, tags: &[S]) -> Result<usize> {
        let mut previous = Tag::OUTSIDE;
        let mut invalid = 0;
        for (i, tag) in tags.iter().enumerate() {
            let tag = self.split(tag.as_ref(), i)?;
            invalid += usize::from(self.link(previous, tag).is_none());
            previous = tag;
        }
        Ok(invalid + usize::from(self.link(previous, Tag::OUTSIDE).is_none()))
    }

    /// Is the sentence well-formed? False where a tag is empty or none of the scheme's.
    #[must_use]
    pub fn is_valid<S: AsRef<str>>(self, tags: &[S]) -> bool {
        self.invalid_transitions(tags) == Ok(0)
    }

    /// Reads one tag. `index` counts from 0 and only serves the error.
    pub(crate) fn split(self, tag: &str, index: usize) -> Result<Tag<'_>> {
        let parts = split_tag(tag).ok_or(Error::EmptyTag { token: index + 1 })?;
        if self.prefixes().contains(parts.letter) {
            Ok(parts)
        } else {
            Err(Error::ForeignTag {
                token: index + 1,
                tag: tag.to_owned(),
                scheme: self,
            })
        }
    }

    /// How `next` hangs together with `previous`; `None` where it cannot follow.
    pub(crate) fn link(self, previous: Tag<'_>, next: Tag<'_>) -> Option<Link> {
        let touches = previous.letter != 'O'
            && next.letter != 'O'
            && previous.entity_type == next.entity_type;
        if touches && self.joins(previous.letter, next.letter) {
            Some(Link::Joined)
        } else if self.may_end(previous.letter, touches) && self.may_begin(next.letter, touches) {
            Some(Link::Apart)
        } else {
            None
        }
    }

    fn joins(self, previous: char, next: char) -> bool {
        self.ways_to_write().any(|roles| {
            [roles.first, roles.inside].contains(&previous)
                && [roles.inside, roles.last].contains(&next)
        })
    }

    fn may_end(self, letter: char, touches: bool) -> bool {
        letter == 'O'
            || self
                .ways_to_write_beside(Neighbor::After, touches)
                .any(|roles| [roles.single, roles.last].contains(&letter))
    }

    fn may_begin(self, letter: char, touches: bool) -> bool {
        letter == 'O'
            || self
                .ways_to_write_beside(Neighbor::Before, touches)
                .any(|roles| [roles.single, roles.first].contains(&letter))
    }

    fn ways_to_write(self) -> impl Iterator<Item = Roles> {
        std::iter::once(self.roles()).chain(self.touching().map(|(_, roles)| roles))
    }

    /// The ways to write an entity of which is known whether it touches one of its own type on `side`.
    fn ways_to_write_beside(self, side: Neighbor, touches: bool) -> impl Iterator<Item = Roles> {
        let decided = self.touching().filter(|&(neighbor, _)| neighbor == side);
        self.ways_to_write()
            .filter(move |_| decided.is_none())
            .chain(decided.map(|(_, touching)| if touches { touching } else { self.roles() }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn no_transition_is_both_inside_and_between_entities() {
        for scheme in Scheme::ALL {
            for previous in scheme.prefixes().chars() {
                for next in scheme.prefixes().chars() {
                    if previous != 'O' && next != 'O' && scheme.joins(previous, next) {
                        let apart = scheme.may_end(previous, true) && scheme.may_begin(next, true);
                        assert!(!apart, "{scheme}: {previous}-X {next}-X");
                    }
                }
            }
        }
    }

    #[test]
    fn tables_of_two_types() {
        // Rows: the start, `O`, each letter with type X, the end. Columns: `O`, the letters with X, the letters with Y.
        let table = |scheme: Scheme| -> Vec<String> {
            let letters: Vec<char> = scheme.prefixes().chars().filter(|&l| l != 'O').collect();
            let mut labels = vec!["O".to_owned()];
            labels.extend(letters.iter().map(|l| format!("{l}-X")));
            labels.extend(letters.iter().map(|l| format!("{l}-Y")));
            let table = scheme.legal_transitions(&labels).unwrap();
            let bits = |row: &[bool]| row.iter().map(|&b| if b { '1' } else { '.' }).collect();
            let rows = table.between().chunks(labels.len()).take(1 + letters.len());
            std::iter::once(table.start())
                .chain(rows)
                .chain([table.end()])
                .map(bits)
                .collect()
        };
        assert_eq!(
            table(Scheme::Iob1),
            ["11.1.", "11.1.", "1111.", "1111.", "11111"]
        ); // I B
        assert_eq!(
            table(Scheme::Iob2),
            ["1.1.1", "1.1.1", "111.1", "111.1", "11111"]
        );
        assert_eq!(
            table(Scheme::Ioe1),
            ["11111", "11111", "11111", ".11..", "11.1."]
        ); // I E
        assert_eq!(
            table(Scheme::Ioe2),
            ["11111", "11111", ".11..", "11111", "1.1.1"]
        );
        let (open, closed) = (".1.1.....", "1.1.1.1.1"); // I B E S
        let iobes = [closed, closed, open, open, closed, closed, "1..11..11"];
        assert_eq!(table(Scheme::Iobes), iobes);
    }
}
