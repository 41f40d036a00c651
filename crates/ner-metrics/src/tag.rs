//! One tag, split into position letter and type.

use std::collections::BTreeSet;

use crate::tag_patterns::Prefix;

/// The type of a tag that has none, in seqeval and here.
pub(crate) const NO_TYPE: &str = "_";

/// The position letters of all schemes, and `M`, which BMES has in place of `I`.
const POSITIONS: &str = "BIESLUM";

/// On which side of the type the position letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Affix {
    /// `B-PER`.
    #[default]
    Prefix,
    /// `PER-B`.
    Suffix,
}

/// A tag in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub(crate) letter: char,
    pub(crate) prefix: Prefix,
    pub(crate) entity_type: &'a str,
}

impl Tag<'_> {
    /// What stands before and after a sentence.
    pub(crate) const OUTSIDE: Self = Self {
        letter: 'O',
        prefix: Prefix::O,
        entity_type: NO_TYPE,
    };

    /// The letter of a tag that has none: the bare type `PER`.
    pub(crate) const BARE: char = '?';
}

/// Splits as this crate reads tags. `None` for an empty tag.
///
/// Only `O` is outside. A position letter stands alone or before a hyphen, and the type is all that follows that hyphen;
/// any other tag is a bare type.
pub(crate) fn split_tag(tag: &str) -> Option<Tag<'_>> {
    if tag == "O" {
        return Some(Tag::OUTSIDE);
    }
    let (letter, rest) = letter_and_rest(tag, Affix::Prefix)?;
    let entity_type = match rest.strip_prefix('-') {
        _ if !POSITIONS.contains(letter) => None,
        None if rest.is_empty() => Some(NO_TYPE),
        entity_type => entity_type,
    };
    Some(match entity_type {
        Some(entity_type) => with_type(letter, entity_type),
        None => Tag {
            letter: Tag::BARE,
            prefix: Prefix::Other,
            entity_type: tag,
        },
    })
}

/// The distinct tags that have no position letter, sorted: bare types such as `ORG` and `PER`.
///
/// They are a reason to warn: seqeval and conlleval take the first letter for the position, so that a report in
/// [`Mode::Default`](crate::Mode) reads `PER` as the type `ER` and `ORG`, whose letter is `O`, as no entity at all.
/// [`TagSet`](crate::TagSet) and [`read_entities`](crate::read_entities) read them as types. Empty tags are left out:
/// they are errors everywhere.
///
/// ```
/// let tags = ["B-LOC", "I-LOC", "O", "PER", "ORG", "PER"];
/// assert_eq!(ner_metrics::tags_without_position(&tags), ["ORG", "PER"]);
/// ```
pub fn tags_without_position<'a, S>(tags: impl IntoIterator<Item = &'a S>) -> Vec<&'a str>
where
    S: AsRef<str> + ?Sized + 'a,
{
    let bare: BTreeSet<&str> = tags
        .into_iter()
        .map(AsRef::as_ref)
        .filter(|tag| split_tag(tag).is_some_and(|parts| parts.letter == Tag::BARE))
        .collect();
    bare.into_iter().collect()
}

/// Splits as seqeval's default mode does: the type is what follows the first dash after the letter, or all that
/// follows the letter where there is no dash (mirrored for a suffix). `None` for an empty tag.
pub(crate) fn split_default(tag: &str, affix: Affix) -> Option<Tag<'_>> {
    let (letter, rest) = letter_and_rest(tag, affix)?;
    let entity_type = match affix {
        Affix::Prefix => rest.split_once('-').map_or(rest, |(_, after)| after),
        Affix::Suffix => rest.rsplit_once('-').map_or(rest, |(before, _)| before),
    };
    Some(with_type(letter, entity_type))
}

/// Splits as seqeval's strict mode does: all dashes at both ends of the type go. `None` for an empty tag.
pub(crate) fn split_strict(tag: &str, affix: Affix) -> Option<Tag<'_>> {
    let (letter, rest) = letter_and_rest(tag, affix)?;
    Some(with_type(letter, rest.trim_matches('-')))
}

fn letter_and_rest(tag: &str, affix: Affix) -> Option<(char, &str)> {
    let mut chars = tag.chars();
    let letter = match affix {
        Affix::Prefix => chars.next(),
        Affix::Suffix => chars.next_back(),
    }?;
    Some((letter, chars.as_str()))
}

fn with_type(letter: char, entity_type: &str) -> Tag<'_> {
    let entity_type = if entity_type.is_empty() {
        NO_TYPE
    } else {
        entity_type
    };
    Tag {
        letter,
        prefix: Prefix::from_char(letter),
        entity_type,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_letter_alone_or_before_a_hyphen_is_a_position() {
        for (tag, letter, entity_type) in [
            ("O", 'O', "_"),
            ("B", 'B', "_"),
            ("B-", 'B', "_"),
            ("B-PER", 'B', "PER"),
            ("I-O", 'I', "O"),
            ("M-PER", 'M', "PER"),
            ("B-tax-percent", 'B', "tax-percent"),
            ("L--X-", 'L', "-X-"),
            ("U-é-人", 'U', "é-人"),
            ("PER", '?', "PER"),
            ("BPER", '?', "BPER"),
            ("ORG", '?', "ORG"),
            ("O-X", '?', "O-X"),
            ("date-time", '?', "date-time"),
            ("b-per", '?', "b-per"),
            ("-", '?', "-"),
            ("?", '?', "?"),
            ("ñ-é", '?', "ñ-é"),
        ] {
            let parts = split_tag(tag).map(|parts| (parts.letter, parts.entity_type));
            assert_eq!(parts, Some((letter, entity_type)), "{tag}");
        }
        assert_eq!(split_tag(""), None);
    }

    #[test]
    fn tags_without_position_are_named_once() {
        let sentences = [vec!["PER", "O", "B"], vec!["", "B-X", "ORG", "PER", "O-X"]];
        let found = tags_without_position(sentences.iter().flatten());
        assert_eq!(found, ["O-X", "ORG", "PER"]);
        let owned = vec!["LOC".to_owned(), "I-A-B".to_owned()];
        assert_eq!(tags_without_position(&owned), ["LOC"]);
    }

    #[test]
    fn the_two_modes_split_dashes_differently() {
        let types = |tag, affix| {
            let default = split_default(tag, affix).map(|t| t.entity_type);
            (default, split_strict(tag, affix).map(|t| t.entity_type))
        };
        for (tag, default, strict) in [
            ("B-PER", "PER", "PER"),
            ("B", "_", "_"),
            ("B-", "_", "_"),
            ("BPER", "PER", "PER"),
            ("B-A-B", "A-B", "A-B"),
            ("B--A", "-A", "A"),
            ("B-A-", "A-", "A"),
            ("BA-B", "B", "A-B"),
            ("ñ-é", "é", "é"),
        ] {
            assert_eq!(
                types(tag, Affix::Prefix),
                (Some(default), Some(strict)),
                "{tag}"
            );
        }
        for (tag, default, strict) in [
            ("PER-B", "PER", "PER"),
            ("B", "_", "_"),
            ("A-B-I", "A-B", "A-B"),
            ("A-BI", "A", "A-B"),
        ] {
            assert_eq!(
                types(tag, Affix::Suffix),
                (Some(default), Some(strict)),
                "{tag}"
            );
        }
        assert_eq!(types("", Affix::Prefix), (None, None));
    }
}
