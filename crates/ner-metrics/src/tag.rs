//! One tag, split into position letter and type.

use crate::rules::Prefix;

/// The type of a tag that has none, in seqeval and here.
pub(crate) const NO_TYPE: &str = "_";

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
