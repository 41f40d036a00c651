//! Breaking long sentences before training, so that no word is cut off at the model's maximum length.

use crate::error::{Error, Result};

/// Where a word goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Into the current sentence.
    Keep,
    /// Into a new sentence that it opens.
    BreakBefore,
    /// Nowhere: the word has no sub-words.
    Drop,
}

/// Decides word by word where a long sentence is broken.
///
/// The rule is that of `preprocess.py`, which the tutorials for `run_ner.py` use: words are taken as long as their sub-words
/// fit beside the special tokens, a word that does not fit opens a new sentence, a word without sub-words is dropped. A
/// break can fall inside an entity, and a word longer than the whole budget gets a break before it even where it is the
/// first of its sentence.
///
/// ```
/// use subword_align::{Placement, SentenceSplitter};
///
/// let mut splitter = SentenceSplitter::new(6, 2)?; // room for 4 sub-words
/// assert_eq!(splitter.place(3), Placement::Keep);
/// assert_eq!(splitter.place(0), Placement::Drop);
/// assert_eq!(splitter.place(2), Placement::BreakBefore);
/// splitter.end_sentence();
/// assert_eq!(splitter.place(4), Placement::Keep);
/// # Ok::<(), subword_align::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SentenceSplitter {
    budget: usize,
    used: usize,
}

impl SentenceSplitter {
    /// A splitter for sequences of at most `max_length` sub-words, `special_tokens` of which are not words'
    /// ([`crate::SubwordTokenizer::special_tokens`]).
    ///
    /// # Errors
    /// [`Error::Budget`] if no sub-word fits.
    pub fn new(max_length: usize, special_tokens: usize) -> Result<Self> {
        match max_length.checked_sub(special_tokens) {
            Some(budget) if budget > 0 => Ok(Self { budget, used: 0 }),
            _ => Err(Error::Budget {
                max_length,
                special_tokens,
            }),
        }
    }

    /// How many sub-words of words fit into one sentence.
    #[must_use]
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// Places the next word, which has `subwords` sub-words ([`crate::SubwordTokenizer::subwords_per_word`]).
    pub fn place(&mut self, subwords: usize) -> Placement {
        if subwords == 0 {
            return Placement::Drop;
        }
        if self.used.saturating_add(subwords) > self.budget {
            self.used = subwords;
            return Placement::BreakBefore;
        }
        self.used += subwords;
        Placement::Keep
    }

    /// The sentence ends here by itself.
    pub fn end_sentence(&mut self) {
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_budget_must_be_positive() {
        assert!(SentenceSplitter::new(3, 2).is_ok());
        let error = SentenceSplitter::new(2, 2).unwrap_err();
        assert!(error.to_string().contains("at least 3"), "{error}");
        assert!(SentenceSplitter::new(1, 2).is_err());
    }

    #[test]
    fn a_word_longer_than_the_budget_breaks_even_at_the_start() {
        let mut splitter = SentenceSplitter::new(5, 2).unwrap();
        assert_eq!(splitter.place(9), Placement::BreakBefore);
        assert_eq!(splitter.place(1), Placement::BreakBefore);
    }

    proptest! {
        #[test]
        fn sentences_are_filled_but_never_over_full(words in prop::collection::vec(0usize..8, 0..60), budget in 1usize..12) {
            let mut splitter = SentenceSplitter::new(budget + 2, 2).unwrap();
            let mut used = 0;
            for &n in &words {
                match splitter.place(n) {
                    Placement::Drop => prop_assert_eq!(n, 0),
                    Placement::Keep => {
                        used += n;
                        prop_assert!(n > 0 && used <= budget);
                    }
                    Placement::BreakBefore => {
                        prop_assert!(used + n > budget);
                        used = n;
                    }
                }
            }
        }
    }
}
