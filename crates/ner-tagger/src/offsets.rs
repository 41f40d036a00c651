//! Places in a text, in the unit that the reader counts in.

use std::fmt;
use std::str::FromStr;

use subword_align::EntitySpan;

use crate::error::{Error, Result};

/// What a place in a text counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offsets {
    /// Unicode code points, as Python counts.
    #[default]
    CodePoints,
    /// Bytes of UTF-8, as Rust and Go count.
    Bytes,
    /// UTF-16 code units, as JavaScript and Java count.
    Utf16,
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CodePoints => "code-points",
            Self::Bytes => "bytes",
            Self::Utf16 => "utf-16",
        })
    }
}

impl FromStr for Offsets {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "code-points" => Ok(Self::CodePoints),
            "bytes" => Ok(Self::Bytes),
            "utf-16" => Ok(Self::Utf16),
            _ => Err(Error::Setting {
                name: "offsets",
                reason: format!("`{name}` is none; expected one of {}", Self::CHOICES),
            }),
        }
    }
}

impl Offsets {
    /// The names, as [`FromStr`] reads them.
    pub const CHOICES: &'static str = "code-points, bytes, utf-16";

    /// Entities whose places count code points, in this unit. They need not be sorted.
    ///
    /// # Panics
    /// Where an entity reaches over the end of the text.
    #[must_use]
    pub fn of(self, text: &str, entities: &[EntitySpan]) -> Vec<EntitySpan> {
        if self == Self::CodePoints {
            return entities.to_vec();
        }
        let width = |letter: char| match self {
            Self::Bytes => letter.len_utf8(),
            _ => letter.len_utf16(),
        };
        let mut places = Vec::with_capacity(text.len() + 1);
        places.push(0);
        for letter in text.chars() {
            places.push(places[places.len() - 1] + width(letter));
        }
        let moved = entities.iter().map(|entity| EntitySpan {
            start: places[entity.start],
            end: places[entity.end],
            ..entity.clone()
        });
        moved.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_what_is_asked_for() {
        let text = "a😀é Ana";
        let entity = EntitySpan {
            entity: "PER".to_owned(),
            score: 1.0,
            word: "Ana".to_owned(),
            start: 4,
            end: 7,
            index: None,
        };
        for (offsets, place) in [
            (Offsets::CodePoints, (4, 7)),
            (Offsets::Bytes, (8, 11)),
            (Offsets::Utf16, (5, 8)),
        ] {
            let found = &offsets.of(text, std::slice::from_ref(&entity))[0];
            assert_eq!((found.start, found.end), place, "{offsets:?}");
        }
        assert_eq!(&text[8..11], "Ana");
    }
}
