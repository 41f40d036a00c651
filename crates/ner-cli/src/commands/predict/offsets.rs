//! Places in a text, in the unit that the reader counts in.

use clap::ValueEnum;
use ner_tagger::EntitySpan;

/// What a place counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Offsets {
    /// Unicode code points, as Python counts.
    CodePoints,
    /// Bytes of UTF-8, as Rust and Go count.
    Bytes,
    /// UTF-16 code units, as JavaScript and Java count.
    #[value(name = "utf-16")]
    Utf16,
}

impl Offsets {
    /// Entities whose places count code points, in this unit. They need not be sorted.
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
