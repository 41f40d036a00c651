//! How a word that comes alone is told from one in running text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::error::Error;

/// Whether a word is encoded as if a space stood before it.
///
/// Byte-level BPE (RoBERTa, GPT-2) has different sub-words for `casa` and ` casa`. WordPiece and SentencePiece tokenizers
/// mark the start of every word themselves: for them both choices are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WordBoundary {
    /// Every word, the first included, with a leading space: what transformers does with words split beforehand under
    /// `add_prefix_space=True`, and what words look like in running text.
    #[default]
    PrefixSpace,
    /// Every word alone without a leading space, as a slow tokenizer called word by word sees it.
    None,
}

impl WordBoundary {
    const CHOICES: &'static str = "prefix-space, none";

    /// The name, as [`FromStr`] and serde read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PrefixSpace => "prefix-space",
            Self::None => "none",
        }
    }
}

impl fmt::Display for WordBoundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for WordBoundary {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "prefix-space" => Ok(Self::PrefixSpace),
            "none" => Ok(Self::None),
            _ => Err(Error::Choice {
                what: "word boundary",
                found: name.to_owned(),
                choices: Self::CHOICES,
            }),
        }
    }
}

/// The pre-tokenizer for single words, and whether the word itself needs a space before it.
#[derive(Debug, Clone)]
pub(crate) struct WordForm {
    pub pre_tokenizer: Option<PreTokenizerWrapper>,
    pub leading_space: bool,
}

impl WordForm {
    /// Derives the form of single words from the pre-tokenizer of running text.
    pub fn new(running_text: Option<&PreTokenizerWrapper>, boundary: WordBoundary) -> Self {
        let mut form = Self {
            pre_tokenizer: running_text.cloned(),
            leading_space: false,
        };
        let prefix_space = boundary == WordBoundary::PrefixSpace;
        match form.pre_tokenizer.as_mut().and_then(byte_level) {
            // A step after a split would put a space before every piece of the word, so the word brings its own.
            Some((bytes, false)) if prefix_space => form.leading_space = !bytes.add_prefix_space,
            Some((bytes, _)) => bytes.add_prefix_space = prefix_space,
            None => {}
        }
        form
    }
}

/// The byte-level step of a pre-tokenizer, and whether it comes first.
pub(crate) fn byte_level(
    pre_tokenizer: &mut PreTokenizerWrapper,
) -> Option<(&mut ByteLevel, bool)> {
    match pre_tokenizer {
        PreTokenizerWrapper::ByteLevel(bytes) => Some((bytes, true)),
        PreTokenizerWrapper::Sequence(steps) => {
            steps
                .as_mut()
                .iter_mut()
                .enumerate()
                .find_map(|(at, step)| match step {
                    PreTokenizerWrapper::ByteLevel(bytes) => Some((bytes, at == 0)),
                    _ => None,
                })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokenizers::pre_tokenizers::digits::Digits;
    use tokenizers::pre_tokenizers::sequence::Sequence;

    use super::*;

    #[test]
    fn names_round_trip() {
        for boundary in [WordBoundary::PrefixSpace, WordBoundary::None] {
            assert_eq!(boundary.name().parse::<WordBoundary>().unwrap(), boundary);
            assert_eq!(
                serde_json::to_string(&boundary).unwrap(),
                format!("\"{boundary}\"")
            );
        }
        assert!(
            "prefix"
                .parse::<WordBoundary>()
                .unwrap_err()
                .to_string()
                .contains("prefix-space, none")
        );
    }

    #[test]
    fn a_byte_level_step_after_a_split_needs_the_space_in_the_word() {
        let bytes = |prefix| PreTokenizerWrapper::from(ByteLevel::new(prefix, true, false));
        let after_split =
            |prefix| Sequence::new(vec![Digits::new(true).into(), bytes(prefix)]).into();
        let leading_space =
            |pre_tokenizer, boundary| WordForm::new(Some(&pre_tokenizer), boundary).leading_space;
        assert!(leading_space(after_split(false), WordBoundary::PrefixSpace));
        assert!(!leading_space(after_split(true), WordBoundary::PrefixSpace));
        assert!(!leading_space(after_split(false), WordBoundary::None));
        assert!(!leading_space(bytes(false), WordBoundary::PrefixSpace));
    }
}
