//! The labels of a model, and the entities of their sequences.

use std::collections::HashMap;

use crate::read_entities::{chunks, continues};
use crate::tag::{NO_TYPE, Tag, split_tag};
use crate::tag_patterns::Prefix;
use crate::{Entity, Error, Result, Scheme};

/// The labels of a model, each split once into position letter and entity type.
///
/// ```
/// use ner_metrics::{Scheme, TagSet};
///
/// let tags = TagSet::new(&["O", "B-PER", "I-PER", "B-tax-percent", "I-tax-percent"])?;
/// assert_eq!(tags.scheme(), Some(Scheme::Iob2));
///
/// // PER of two tokens, and an `I-` that follows `O` and so opens an entity.
/// let entities = tags.entities(&[1, 2, 0, 4]);
/// assert_eq!((entities[0].entity_type, entities[0].start, entities[0].end), ("PER", 0, 2));
/// assert_eq!((entities[1].entity_type, entities[1].start, entities[1].end), ("tax-percent", 3, 4));
///
/// assert!(tags.continues(1, 2) && !tags.continues(2, 1));
/// assert_eq!(tags.continuation(1), 2); // B-PER: further sub-words of the word are I-PER
/// # Ok::<(), ner_metrics::Error>(())
/// ```
///
/// How a label is read:
///
/// - Only the label `O` is outside of entities: `B-O` begins an entity of type `O`.
/// - A position letter (`B`, `I`, `E`, `S`, `L`, `U`, or `M`, the `I` of BMES) stands alone or before a hyphen. All that
///   follows this first hyphen is the type; where nothing follows, the type is `_`.
/// - Any other label (`PER`, `date-time`) is a type without a position, inside an entity of its own type.
///
/// Labels are numbered as in the list that the set was made from. A number that is no label is taken for outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSet {
    labels: Vec<String>,
    parts: Vec<Part>,
    /// The distinct entity types.
    types: Vec<String>,
}

/// One label in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    letter: char,
    prefix: Prefix,
    /// Place in `types`; without meaning for `O`.
    entity_type: usize,
}

impl Part {
    const OUTSIDE: Self = Self {
        letter: Tag::OUTSIDE.letter,
        prefix: Prefix::O,
        entity_type: usize::MAX,
    };
}

impl TagSet {
    /// A set of the labels of a model, in the model's order.
    ///
    /// # Errors
    /// [`Error::EmptyLabel`] and [`Error::DuplicateLabel`].
    pub fn new<S: AsRef<str>>(labels: &[S]) -> Result<Self> {
        let mut types: Vec<String> = Vec::new();
        let mut parts = Vec::with_capacity(labels.len());
        let mut seen = HashMap::new();
        for (number, label) in labels.iter().enumerate() {
            let label = label.as_ref();
            let tag = split_tag(label).ok_or(Error::EmptyLabel { number })?;
            if let Some(first) = seen.insert(label, number) {
                return Err(Error::DuplicateLabel {
                    label: label.to_owned(),
                    first,
                    second: number,
                });
            }
            if tag == Tag::OUTSIDE {
                parts.push(Part::OUTSIDE);
                continue;
            }
            let known = types.iter().position(|known| known == tag.entity_type);
            let entity_type = known.unwrap_or_else(|| {
                types.push(tag.entity_type.to_owned());
                types.len() - 1
            });
            parts.push(Part {
                letter: tag.letter,
                prefix: tag.prefix,
                entity_type,
            });
        }
        Ok(Self {
            labels: labels
                .iter()
                .map(|label| label.as_ref().to_owned())
                .collect(),
            parts,
            types,
        })
    }

    /// The labels, in the order they were given.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Is the label `O`? True for a number that is no label.
    #[must_use]
    pub fn is_outside(&self, label: usize) -> bool {
        self.part(label).prefix == Prefix::O
    }

    /// The entity type of a label, `_` where it is a position letter alone; `None` outside.
    #[must_use]
    pub fn entity_type(&self, label: usize) -> Option<&str> {
        self.types
            .get(self.part(label).entity_type)
            .map(String::as_str)
    }

    /// The scheme that the labels follow, told by their position letters.
    ///
    /// | letters | scheme |
    /// |---|---|
    /// | `U` or `L` | BILOU |
    /// | `S`, or `E` beside `B` | IOBES |
    /// | `E` | IOE2 |
    /// | `B` | IOB2 |
    /// | `I` | IOB1 |
    ///
    /// `None` where a label has no position letter or one that the scheme does not know, and where all are `O`. Labels do
    /// not tell IOB1 from IOB2 when they have both letters; [`Scheme::of_sentences`] does.
    #[must_use]
    pub fn scheme(&self) -> Option<Scheme> {
        let has = |letter| self.parts.iter().any(|part| part.letter == letter);
        let scheme = if has('U') || has('L') {
            Scheme::Bilou
        } else if has('S') || (has('E') && has('B')) {
            Scheme::Iobes
        } else if has('E') {
            Scheme::Ioe2
        } else if has('B') {
            Scheme::Iob2
        } else if has('I') {
            Scheme::Iob1
        } else {
            return None;
        };
        let known = |part: &Part| scheme.prefixes().contains(part.letter);
        self.parts.iter().all(known).then_some(scheme)
    }

    /// The entities of one sentence, given as label numbers, in order.
    ///
    /// Every token that is not outside belongs to one entity. A token belongs to the entity of the token before it where
    /// [`TagSet::continues`] says so, and opens one otherwise, so that a sequence that breaks its scheme loses nothing.
    /// On well-formed sequences of every scheme this is [`Scheme::decode`].
    ///
    /// [`Mode::Default`](crate::Mode), which counts as seqeval does, gives the same for IOB, IOE and IOBES, well-formed or
    /// not. It differs where seqeval does not know the letter: it takes `U` and `L` for `I` (`U-X U-X` is one entity, and
    /// of `B-X L-X B-X L-X` the first is lost), and it takes the first letter of a type without a position for one
    /// (`PER` is the type `ER`, `ORG` is outside).
    #[must_use]
    pub fn entities(&self, labels: &[usize]) -> Vec<Entity<'_>> {
        let tags = labels.iter().map(|&label| {
            let part = self.part(label);
            (part.prefix, part.entity_type)
        });
        chunks(tags)
            .into_iter()
            .map(|chunk| Entity {
                entity_type: self.types.get(chunk.entity_type).map_or(NO_TYPE, |t| t),
                start: chunk.start,
                end: chunk.end,
            })
            .collect()
    }

    /// Does a token labeled `next` belong to the entity of a token labeled `previous` before it?
    ///
    /// It does where both are of one type, the first does not close an entity (`E`, `S`, `L`, `U`) and the second does
    /// not open one (`B`, `S`, `U`).
    #[must_use]
    pub fn continues(&self, previous: usize, next: usize) -> bool {
        let (previous, next) = (self.part(previous), self.part(next));
        let same_type = previous.entity_type == next.entity_type;
        continues(previous.prefix, next.prefix, same_type)
    }

    /// The label of a word's further sub-words, where the word's first sub-word has `label` and all are to be labeled.
    ///
    /// A label that opens an entity (`B-X`, `S-X`, `U-X`) has the one inside it, `I-X` (or `M-X`), if the set has it.
    /// All others are their own: `I-X` and bare types go on, `E-X` and `L-X` stay at the end of the entity.
    #[must_use]
    pub fn continuation(&self, label: usize) -> usize {
        let part = self.part(label);
        if !matches!(part.prefix, Prefix::B | Prefix::S | Prefix::U) {
            return label;
        }
        let inside = |letter| {
            let of_type =
                |other: &Part| (other.letter, other.entity_type) == (letter, part.entity_type);
            self.parts.iter().position(of_type)
        };
        inside('I').or_else(|| inside('M')).unwrap_or(label)
    }

    fn part(&self, label: usize) -> Part {
        self.parts.get(label).copied().unwrap_or(Part::OUTSIDE)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn set(labels: &str) -> TagSet {
        TagSet::new(&labels.split_whitespace().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn labels_in_parts() {
        let tags = set("O B-O I-O B-tax-percent PER date-time B O-X");
        let types: Vec<Option<&str>> = (0..9).map(|label| tags.entity_type(label)).collect();
        let expected = ["O", "O", "tax-percent", "PER", "date-time", "_", "O-X"];
        assert_eq!(types[0], None);
        assert_eq!(types[1..8], expected.map(Some));
        assert_eq!(types[8], None, "no such label");
        assert!(tags.is_outside(0) && tags.is_outside(8));
        assert!((1..8).all(|label| !tags.is_outside(label)));
        assert_eq!(tags.labels()[3], "B-tax-percent");
        assert_eq!(TagSet::new::<&str>(&[]).unwrap().labels().len(), 0);
    }

    #[test]
    fn labels_that_no_model_can_have_are_refused() {
        let error = TagSet::new(&["O", "B-X", ""]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "label 2 (counted from 0) is empty; give each label a name, and `O` to the one outside of entities"
        );
        let error = TagSet::new(&["O", "B-X", "O"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "label 2 (counted from 0) is `O`, and so is label 0; give each label a name of its own"
        );
    }

    #[test]
    fn the_scheme_of_the_letters() {
        use Scheme::{Bilou, Iob1, Iob2, Iobes, Ioe2};
        for (labels, scheme) in [
            ("O B-X I-X B-Y I-Y", Some(Iob2)),
            ("B-X O", Some(Iob2)),
            ("O I-X I-Y", Some(Iob1)),
            ("O I-X E-X", Some(Ioe2)),
            ("O E-X", Some(Ioe2)),
            ("O B-X I-X E-X", Some(Iobes)),
            ("O S-X", Some(Iobes)),
            ("O B-X I-X E-X S-X", Some(Iobes)),
            ("O U-X", Some(Bilou)),
            ("O B-X L-X", Some(Bilou)),
            ("O B-X I-X L-X U-X", Some(Bilou)),
            ("O B I", Some(Iob2)),
            ("B-tax-percent I-tax-percent B-O", Some(Iob2)),
            ("O B-X I-X L-X S-X", None),
            ("O B-X I-X E-X U-X", None),
            ("O I-X B-X PER", None),
            ("O PER ORG", None),
            ("O B-X M-X E-X S-X", None),
            ("O O-X B-X", None),
            ("O", None),
            ("", None),
        ] {
            assert_eq!(set(labels).scheme(), scheme, "{labels}");
        }
    }

    #[test]
    fn the_label_of_further_subwords() {
        for (labels, expected) in [
            ("O B-X I-X B-Y", "O I-X I-X B-Y"),
            ("O B I", "O I I"),
            ("O I-X B-X", "O I-X I-X"),
            ("I-X E-X O", "I-X E-X O"),
            ("S-X B-X I-X E-X S-Y O", "I-X I-X I-X E-X S-Y O"),
            ("U-X B-X I-X L-X O", "I-X I-X I-X L-X O"),
            ("B-X M-X E-X S-X O", "M-X M-X E-X M-X O"),
            ("O PER date-time", "O PER date-time"),
            ("B-a-b I-b I-a-b", "I-a-b I-b I-a-b"),
        ] {
            let tags = set(labels);
            let found: Vec<&str> = (0..tags.labels().len())
                .map(|label| tags.labels()[tags.continuation(label)].as_str())
                .collect();
            assert_eq!(found.join(" "), expected, "{labels}");
        }
        assert_eq!(set("O B-X").continuation(7), 7, "no such label");
    }
}
