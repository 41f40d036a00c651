//! The words of running text.

mod clusters;
mod rules;
pub(crate) mod table;
mod unicode;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::loading::SubwordTokenizer;
use clusters::Clusters;

pub use unicode::words;

/// How running text is cut into words.
///
/// White space is `White_Space` of Unicode (U+00A0 and U+3000 are among it), the zero-width space U+200B and the byte order mark
/// U+FEFF. Whatever the choice, white space separates words and is in none of them, every other character is in exactly one,
/// and no grapheme cluster is parted: combining marks stay with their letter, and joined emoji whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Segmentation {
    /// The word boundaries of [UAX #29](https://unicode.org/reports/tr29/#Word_Boundaries) with the exceptions that
    /// treebanks make, so that words are those that a tagger was trained on. One word are:
    ///
    /// | what | examples |
    /// |---|---|
    /// | numbers with their signs, points, colons, and a per cent or degree sign | `3.500` `25,3` `10:30` `+7,76` `.52` `77%` `20°` `'92` |
    /// | what hyphens, slashes, apostrophes and `& + @` join | `franco-belga` `6-3` `km/h` `d'Or` `R&B` `I+D` `ana@correo.es` |
    /// | letters and digits around a full stop | `m.83` `1.er` `viajes.com` |
    /// | internet addresses, tags and names | `https://a.es/b?c=1` `www.a.es/b` `#tag` `@name` |
    /// | abbreviations with dots inside, with the last dot | `EE.UU.` `S.A.` `p.m.` |
    /// | single letters and listed abbreviations, with their dot, but not at the end of a text or paragraph | `J. Ruiz` `Sr. Ruiz` `núm. 3` |
    /// | some listed words with their dot, before a number | `No. 5` `art. 14` |
    /// | a mark that is repeated, a full stop at least three times | `...` `--` `!!!` |
    /// | raised digits and fractions with what they follow | `km²` `1½` |
    ///
    /// A capital letter after a full stop without a space opens a new word (`fin.El`). Chinese, Japanese kana, Thai, Lao, Khmer
    /// and Burmese, which write no spaces, are cut into single characters, or runs of katakana, as UAX #29 does. English
    /// `'s` stays with its word. Of two full stops after an abbreviation, the second is the sentence's (`S.A.` `.`).
    #[default]
    Unicode,
    /// What stands between white space.
    Whitespace,
    /// The words of the tokenizer's pre-tokenizer. A character that is in none of them, as the normalizer drops it, goes to
    /// the word before it, or where white space stands before it to the word after it.
    PreTokenizer,
}

impl Segmentation {
    const CHOICES: &'static str = "unicode, whitespace, pre-tokenizer";

    /// The name, as [`FromStr`] and serde read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unicode => "unicode",
            Self::Whitespace => "whitespace",
            Self::PreTokenizer => "pre-tokenizer",
        }
    }
}

impl fmt::Display for Segmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Segmentation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "unicode" => Ok(Self::Unicode),
            "whitespace" => Ok(Self::Whitespace),
            "pre-tokenizer" => Ok(Self::PreTokenizer),
            _ => Err(Error::Choice {
                what: "segmentation",
                found: name.to_owned(),
                choices: Self::CHOICES,
            }),
        }
    }
}

impl SubwordTokenizer {
    /// The words of running text as ranges of bytes, in order: what [`Self::encode_words`] takes to encode them as it does
    /// the words of a corpus. None is empty, and they do not overlap.
    ///
    /// # Errors
    /// [`Error::Encode`] if the tokenizer fails; it takes part under [`Segmentation::PreTokenizer`] only.
    pub fn words(&self, text: &str, how: Segmentation) -> Result<Vec<Range<usize>>> {
        match how {
            Segmentation::Unicode => Ok(words(text)),
            Segmentation::Whitespace => Ok(unicode::runs(text).collect()),
            Segmentation::PreTokenizer => self.pre_tokenized(text),
        }
    }

    /// Runs without white space, cut where the pre-tokenizer's words begin.
    fn pre_tokenized(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let encoded = self.encode_text(text)?;
        let places = encoded.word_ids.iter().zip(&encoded.byte_offsets);
        let mut starts: Vec<(u32, usize)> = places
            .filter(|(_, (start, end))| start < end)
            .map(|(&word, &(start, _))| (word, start))
            .collect();
        starts.dedup_by_key(|&mut (word, _)| word);
        let mut starts: Vec<usize> = starts.into_iter().map(|(_, start)| start).collect();
        starts.sort_unstable();

        let mut words = Vec::with_capacity(starts.len());
        let mut starts = starts.into_iter().peekable();
        for run in unicode::runs(text) {
            let mut clusters = Clusters::new(&text[run.clone()]);
            let mut from = run.start;
            // What stands before the run's first word has no word before it and goes to that one.
            starts.next_if(|&start| start < run.end);
            while let Some(start) = starts.next_if(|&start| start < run.end) {
                if from < start && clusters.begins_at(start - run.start) {
                    words.push(from..start);
                    from = start;
                }
            }
            words.push(from..run.end);
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests;
