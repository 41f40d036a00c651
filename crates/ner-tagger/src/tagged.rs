//! What a tagger finds.

use std::ops::Range;

use subword_align::EntitySpan;

/// The tag of one word.
#[derive(Clone, Debug, PartialEq)]
pub struct WordTag {
    /// The tag.
    pub tag: String,
    /// Its probability, from 0 to 1.
    pub score: f32,
}

/// An entity of a sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct WordEntity {
    /// The type, such as `PER`.
    pub entity: String,
    /// The probability that these words are an entity of this type, from 0 to 1.
    pub score: f32,
    /// Its words, counted from 0.
    pub words: Range<usize>,
}

/// A sentence given as words, tagged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaggedSentence {
    /// One tag a word.
    pub tags: Vec<WordTag>,
    /// The entities, in order.
    pub entities: Vec<WordEntity>,
}

/// A text, tagged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaggedText {
    /// The words that the text was cut into: ranges of its bytes.
    pub words: Vec<Range<usize>>,
    /// One tag a word.
    pub tags: Vec<WordTag>,
    /// The entities, in order. Offsets count Unicode code points.
    pub entities: Vec<EntitySpan>,
}

impl TaggedText {
    /// Puts the words' places in the text in place of their numbers.
    pub(crate) fn new(text: &str, words: Vec<Range<usize>>, tagged: TaggedSentence) -> Self {
        let mut at = Place {
            text,
            byte: 0,
            chars: 0,
        };
        let entities = tagged.entities.into_iter().map(|found| {
            let (first, last) = (&words[found.words.start], &words[found.words.end - 1]);
            let (start, end) = (at.code_points(first.start), at.code_points(last.end));
            EntitySpan {
                entity: found.entity,
                score: found.score,
                word: text[first.start..last.end].to_owned(),
                start,
                end,
                index: None,
            }
        });
        Self {
            entities: entities.collect(),
            tags: tagged.tags,
            words,
        }
    }
}

/// A place in a text that only moves forwards.
struct Place<'a> {
    text: &'a str,
    byte: usize,
    chars: usize,
}

impl Place<'_> {
    /// Code points before a byte.
    fn code_points(&mut self, byte: usize) -> usize {
        self.chars += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.chars
    }
}
