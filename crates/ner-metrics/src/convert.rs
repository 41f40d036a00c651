//! Between tags and entities, and between schemes.

use crate::scheme::{Neighbor, Roles};
use crate::tag::{NO_TYPE, Tag};
use crate::transition::Link;
use crate::{Entity, Error, Result, Scheme};

/// Writes one sentence's tags of scheme `from` in scheme `to`. No entity is lost, changed or repaired.
///
/// ```
/// use ner_metrics::{Scheme, convert};
///
/// let tags = convert(&["B-PER", "I-PER", "B-PER", "O"], Scheme::Iob2, Scheme::Bilou)?;
/// assert_eq!(tags, ["B-PER", "L-PER", "U-PER", "O"]);
/// # Ok::<(), ner_metrics::Error>(())
/// ```
///
/// To repair tags instead, take the entities of another reading:
/// `to.encode(&read_entities(&tags)?, tags.len())` with [`read_entities`](crate::read_entities).
///
/// # Errors
/// [`Error::IllegalTransition`] where the tags are not well-formed, [`Error::EmptyTag`] and [`Error::ForeignTag`].
pub fn convert<S: AsRef<str>>(tags: &[S], from: Scheme, to: Scheme) -> Result<Vec<String>> {
    to.encode(&from.decode(tags)?, tags.len())
}

impl Scheme {
    /// The entities of a well-formed sentence; the inverse of [`Scheme::encode`].
    ///
    /// Tags are read as [`TagSet`](crate::TagSet) reads them: only `O` is outside, and the type is all that follows the
    /// first hyphen.
    ///
    /// # Errors
    /// [`Error::IllegalTransition`] at the first tag that cannot stand where it does, [`Error::EmptyTag`] and
    /// [`Error::ForeignTag`].
    pub fn decode<S: AsRef<str>>(self, tags: &[S]) -> Result<Vec<Entity<'_>>> {
        let mut entities: Vec<Entity<'_>> = Vec::new();
        let mut previous = Tag::OUTSIDE;
        for (i, tag) in tags.iter().enumerate() {
            let tag = self.split(tag.as_ref(), i)?;
            match self
                .link(previous, tag)
                .ok_or_else(|| self.illegal(tags, i))?
            {
                Link::Joined => {
                    if let Some(entity) = entities.last_mut() {
                        entity.end = i + 1;
                    }
                }
                Link::Apart if tag.letter != 'O' => {
                    entities.push(Entity {
                        entity_type: tag.entity_type,
                        start: i,
                        end: i + 1,
                    });
                }
                Link::Apart => {}
            }
            previous = tag;
        }
        match self.link(previous, Tag::OUTSIDE) {
            Some(_) => Ok(entities),
            None => Err(self.illegal(tags, tags.len())),
        }
    }

    /// Writes the entities of a sentence of `tokens` tokens as tags. A type `_` is written as a bare position letter.
    ///
    /// # Errors
    /// [`Error::EntityRange`] unless the entities are sorted, disjoint, not empty and within the sentence.
    pub fn encode(self, entities: &[Entity<'_>], tokens: usize) -> Result<Vec<String>> {
        let mut tags = Vec::with_capacity(tokens);
        for (i, &entity) in entities.iter().enumerate() {
            let Entity {
                entity_type,
                start,
                end,
            } = entity;
            if start < tags.len() || start >= end || end > tokens {
                return Err(Error::EntityRange {
                    entity: i + 1,
                    start,
                    end,
                    tokens,
                });
            }
            tags.resize(start, "O".to_owned());

            let before = i.checked_sub(1).and_then(|i| entities.get(i));
            let letters = self.letters(entity, before, entities.get(i + 1));
            for token in start..end {
                let letter = match (token == start, token + 1 == end) {
                    (true, true) => letters.single,
                    (true, false) => letters.first,
                    (false, false) => letters.inside,
                    (false, true) => letters.last,
                };
                tags.push(match entity_type {
                    NO_TYPE => letter.to_string(),
                    _ => format!("{letter}-{entity_type}"),
                });
            }
        }
        tags.resize(tokens, "O".to_owned());
        Ok(tags)
    }

    /// The letters of an entity between two others.
    fn letters(
        self,
        entity: Entity<'_>,
        before: Option<&Entity<'_>>,
        after: Option<&Entity<'_>>,
    ) -> Roles {
        let Some((side, touching)) = self.touching() else {
            return self.roles();
        };
        let neighbor = match side {
            Neighbor::Before => before.filter(|before| before.end == entity.start),
            Neighbor::After => after.filter(|after| after.start == entity.end),
        };
        match neighbor {
            Some(neighbor) if neighbor.entity_type == entity.entity_type => touching,
            _ => self.roles(),
        }
    }

    /// The error of the illegal step to token `i`, or to the sentence's end.
    fn illegal<S: AsRef<str>>(self, tags: &[S], i: usize) -> Error {
        let quoted = |tag: &S| format!("`{}`", tag.as_ref());
        let previous = i.checked_sub(1).and_then(|before| tags.get(before));
        Error::IllegalTransition {
            token: i + 1,
            previous: previous.map_or_else(|| "the start of the sentence".to_owned(), quoted),
            tag: tags
                .get(i)
                .map_or_else(|| "the end of the sentence".to_owned(), quoted),
            scheme: self,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_illegal_transition_is_named() {
        let error = Scheme::Iob2.decode(&["O", "I-PER"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "token 2: `I-PER` cannot follow `O` in iob2"
        );
        let error = Scheme::Bilou.decode(&["B-PER"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "token 2: the end of the sentence cannot follow `B-PER` in bilou"
        );
        let error = Scheme::Iob1.decode(&["B-PER"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "token 1: `B-PER` cannot follow the start of the sentence in iob1"
        );
        let error = Scheme::Iob2.decode(&["B-PER", "L-PER"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "token 2: `L-PER` is no tag of iob2, whose position letters are IOB"
        );
    }

    #[test]
    fn entities_that_cannot_be_written_are_refused() {
        let at = |start, end| Entity {
            entity_type: "X",
            start,
            end,
        };
        for entities in [
            vec![at(0, 0)],
            vec![at(0, 2), at(1, 3)],
            vec![at(2, 4)],
            vec![at(3, 1)],
        ] {
            let last = entities.len();
            let error = Scheme::Iob2.encode(&entities, 3).unwrap_err();
            assert!(
                matches!(error, Error::EntityRange { entity, .. } if entity == last),
                "{error}"
            );
        }
    }

    #[test]
    fn the_marked_schemes_mark_only_touching_entities_of_one_type() {
        let tags = ["B-X", "I-X", "B-X", "B-Y", "O", "B-Y"];
        let to = |scheme| convert(&tags, Scheme::Iob2, scheme).unwrap().join(" ");
        assert_eq!(to(Scheme::Iob1), "I-X I-X B-X I-Y O I-Y");
        assert_eq!(to(Scheme::Ioe1), "I-X E-X I-X I-Y O I-Y");
        assert_eq!(to(Scheme::Ioe2), "I-X E-X E-X E-Y O E-Y");
        assert_eq!(to(Scheme::Iobes), "B-X E-X S-X S-Y O S-Y");
        assert_eq!(to(Scheme::Bilou), "B-X L-X U-X U-Y O U-Y");
    }

    #[test]
    fn bare_letters_stay_bare() {
        let tags = convert(&["B", "I", "B", "O"], Scheme::Iob2, Scheme::Iobes).unwrap();
        assert_eq!(tags, ["B", "E", "S", "O"]);
    }
}
