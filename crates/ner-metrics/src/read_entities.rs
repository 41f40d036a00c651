//! Entities of tags whose scheme is not known: how a tagger's output is read. Scores use [`Mode`](crate::Mode).

use crate::entity::Chunk;
use crate::tag::{Tag, split_tag};
use crate::tag_patterns::Prefix;
use crate::{Entity, Error, Result};

/// The entities of one sentence, in order, for tags of any scheme: [`TagSet::entities`](crate::TagSet::entities) where
/// the label set is not known.
///
/// ```
/// use ner_metrics::{Entity, read_entities};
///
/// let entities = read_entities(&["U-PER", "U-PER", "O", "I-LOC", "ORG", "ORG"])?;
/// let found: Vec<(&str, usize, usize)> =
///     entities.iter().map(|e| (e.entity_type, e.start, e.end)).collect();
/// assert_eq!(found, [("PER", 0, 1), ("PER", 1, 2), ("LOC", 3, 4), ("ORG", 4, 6)]);
/// # Ok::<(), ner_metrics::Error>(())
/// ```
///
/// # Errors
/// [`Error::EmptyTag`].
pub fn read_entities<S: AsRef<str>>(tags: &[S]) -> Result<Vec<Entity<'_>>> {
    let parts: Vec<Tag<'_>> = tags
        .iter()
        .enumerate()
        .map(|(i, tag)| split_tag(tag.as_ref()).ok_or(Error::EmptyTag { token: i + 1 }))
        .collect::<Result<_>>()?;
    let chunks = chunks(parts.iter().map(|tag| (tag.prefix, tag.entity_type)));
    Ok(chunks.into_iter().map(Entity::from).collect())
}

/// Whether a tag continues the entity of the tag before it.
///
/// This is conlleval's rule for `B`, `I` and `O`, carried on to the other letters: `B`, `S` and `U` open an entity, `E`,
/// `S`, `L` and `U` close it. `Prefix::Other` (`M`, or no letter) does neither, as `I`.
pub(crate) fn continues(previous: Prefix, next: Prefix, same_type: bool) -> bool {
    use Prefix::{B, E, L, O, S, U};
    same_type && !matches!(previous, O | E | S | L | U) && !matches!(next, O | B | S | U)
}

/// Cuts tags, each a prefix and a type, into entities: every tag but `O` belongs to one.
pub(crate) fn chunks<T: Copy + PartialEq>(
    tags: impl IntoIterator<Item = (Prefix, T)>,
) -> Vec<Chunk<T>> {
    let mut chunks: Vec<Chunk<T>> = Vec::new();
    let mut previous = Prefix::O;
    for (i, (prefix, entity_type)) in tags.into_iter().enumerate() {
        match chunks.last_mut() {
            Some(chunk) if continues(previous, prefix, chunk.entity_type == entity_type) => {
                chunk.end = i + 1;
            }
            _ if prefix != Prefix::O => chunks.push(Chunk {
                entity_type,
                start: i,
                end: i + 1,
            }),
            _ => {}
        }
        previous = prefix;
    }
    chunks
}
