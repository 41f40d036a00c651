//! Labels of words onto their sub-words.

use crate::encode::EncodedWords;
use crate::error::{Error, Result};

/// One label a sub-word (special tokens not included), from one label a word. `None` is ignored by the loss.
///
/// Without `continuation` the first sub-word of a word carries its label and the others none (`run_ner.py`'s rule). With it,
/// the others carry `continuation[label]` (`label_all_tokens`): for BIO tags that is `I-X` for `B-X`, the same label otherwise.
///
/// # Errors
/// [`Error::LabelCount`] if there is not one label a word, [`Error::Continuation`] if a label has no entry in
/// `continuation`.
pub fn align_labels(
    words: &EncodedWords,
    labels: &[u32],
    continuation: Option<&[u32]>,
) -> Result<Vec<Option<u32>>> {
    if labels.len() != words.word_count() {
        return Err(Error::LabelCount {
            labels: labels.len(),
            words: words.word_count(),
        });
    }
    let mut aligned = Vec::with_capacity(words.ids.len());
    for (subwords, &label) in words.ranges().zip(labels) {
        let rest = continuation
            .map(|table| continuation_of(label, table))
            .transpose()?;
        aligned.push(Some(label));
        aligned.resize(subwords.end, rest);
    }
    Ok(aligned)
}

fn continuation_of(label: u32, table: &[u32]) -> Result<u32> {
    let found = table.get(label as usize).copied();
    found.ok_or(Error::Continuation {
        label,
        entries: table.len(),
    })
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
    fn the_first_subword_of_a_word_is_labeled() {
        let aligned = align_labels(&encoded(), &[0, 1, 2], None).unwrap();
        assert_eq!(aligned, [Some(0), Some(1), None, None, Some(2), None]);
    }

    #[test]
    fn further_subwords_continue_the_label() {
        let aligned = align_labels(&encoded(), &[0, 1, 2], Some(&[0, 11, 12])).unwrap();
        assert_eq!(
            aligned,
            [Some(0), Some(1), Some(11), Some(11), Some(2), Some(12)]
        );
    }

    #[test]
    fn labels_must_match_the_words() {
        let error = align_labels(&encoded(), &[0, 1], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 labels for 3 words; give one label a word"
        );
    }

    #[test]
    fn every_label_needs_a_continuation() {
        let error = align_labels(&encoded(), &[0, 1, 2], Some(&[0, 1])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "label 2 has no continuation, as the table has 2 entries; give it one entry a label"
        );
    }
}
