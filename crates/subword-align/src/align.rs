//! Labels of words onto their sub-words.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::encode::EncodedWords;
use crate::error::{Error, Result};

/// Which sub-words of a word carry its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelAlignment {
    /// The first; the loss ignores the others (`run_ner.py`'s rule).
    #[default]
    First,
    /// All; the second and later ones carry the label that continues it (`label_all_tokens`).
    All,
}

impl FromStr for LabelAlignment {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "first" => Ok(Self::First),
            "all" => Ok(Self::All),
            _ => Err(Error::Choice {
                what: "label alignment",
                found: name.to_owned(),
                choices: "first, all",
            }),
        }
    }
}

/// One label a sub-word (special tokens not included), from one label a word. `None` is ignored by the loss.
///
/// `continuation` gives the label of a word's second and later sub-words under [`LabelAlignment::All`]: for BIO tags that is
/// `I-X` for `B-X`, the same label otherwise.
///
/// # Errors
/// [`Error::LabelCount`] if there is not one label a word.
pub fn align_labels(
    words: &EncodedWords,
    labels: &[u32],
    alignment: LabelAlignment,
    continuation: impl Fn(u32) -> u32,
) -> Result<Vec<Option<u32>>> {
    if labels.len() != words.words() {
        return Err(Error::LabelCount {
            labels: labels.len(),
            words: words.words(),
        });
    }
    let mut aligned = Vec::with_capacity(words.ids.len());
    for (subwords, &label) in words.ranges().zip(labels) {
        let rest = match alignment {
            LabelAlignment::First => None,
            LabelAlignment::All => Some(continuation(label)),
        };
        aligned.extend(
            subwords
                .enumerate()
                .map(|(i, _)| if i == 0 { Some(label) } else { rest }),
        );
    }
    Ok(aligned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn encoded() -> EncodedWords {
        EncodedWords {
            ids: vec![10, 11, 12, 13, 14, 15],
            word_starts: vec![0, 1, 4, 6],
            unknown_words: 0,
        }
    }

    #[test]
    fn first_labels_one_subword_a_word() {
        let aligned =
            align_labels(&encoded(), &[0, 1, 2], LabelAlignment::First, |label| label).unwrap();
        assert_eq!(aligned, [Some(0), Some(1), None, None, Some(2), None]);
    }

    #[test]
    fn all_continues_the_label() {
        let aligned = align_labels(&encoded(), &[0, 1, 2], LabelAlignment::All, |label| {
            label.max(1) + 10
        })
        .unwrap();
        assert_eq!(
            aligned,
            [Some(0), Some(1), Some(11), Some(11), Some(2), Some(12)]
        );
    }

    #[test]
    fn labels_must_match_the_words() {
        let error =
            align_labels(&encoded(), &[0, 1], LabelAlignment::First, |label| label).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 labels for 3 words; give one label a word"
        );
    }
}
