//! A tokenizer with fewer sub-words: those that texts use, and those that every text may need.
//!
//! What stays beside the used sub-words, so that any text can still be written: special and added tokens, the unknown token, single
//! characters and bytes. Ids are renumbered without gaps and in their old order; [`Shrunk::kept`] says which row of a model's embeddings
//! belongs to each.
//!
//! Without a limit, the words that were counted are cut into the very same sub-words as before:
//!
//! - **BPE** performs of all merges that apply the one of lowest rank. A merge that was performed on a word of the text makes a part of a
//!   sub-word that stays, and with a sub-word both parts of every merge that makes it stay. So every merge that was performed is still
//!   there, none has been added, and their order is the old one: at each step the same merge comes first.
//! - **WordPiece** takes the longest piece that fits. The pieces that it took are still there and no longer one has been added. Where no
//!   piece fitted, none does.
//! - **Unigram** takes the cut with the highest sum of scores. That cut is still possible, no other has been added, and scores are the
//!   old ones. A character is unknown where it is no piece itself, and all pieces of one character stay; what an unknown one costs follows
//!   from the lowest score, whose piece stays too. Between equal sums the first one found wins, and the order is the old one.

mod vocabulary;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::error::{Error, Result};
use crate::loading::SubwordTokenizer;
use vocabulary::Vocabulary;

/// How often words use each sub-word, as [`SubwordTokenizer::encode_words`] cuts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubwordCounts {
    by_id: HashMap<u32, u64>,
    words: u64,
    subwords: u64,
}

impl SubwordCounts {
    /// Counts the sub-words of words, each given with how often it occurs.
    ///
    /// # Errors
    /// As [`SubwordTokenizer::encode_words`].
    pub fn new<'w>(
        tokenizer: &SubwordTokenizer,
        words: impl IntoIterator<Item = (&'w str, u64)>,
    ) -> Result<Self> {
        let mut counts = Self::default();
        for (word, times) in words {
            for id in tokenizer.encode_words(&[word])?.ids {
                *counts.by_id.entry(id).or_default() += times;
                counts.subwords += times;
            }
            counts.words += times;
        }
        Ok(counts)
    }

    /// Words counted.
    #[must_use]
    pub fn word_count(&self) -> u64 {
        self.words
    }

    /// Sub-words for a word, on average; 0 where no word was counted.
    #[must_use]
    pub fn subwords_per_word(&self) -> f64 {
        self.subwords as f64 / self.words.max(1) as f64
    }

    /// The sub-words that occur, the most frequent first; of equally frequent ones the one with the lower id.
    #[must_use]
    pub fn by_frequency(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.by_id.keys().copied().collect();
        ids.sort_unstable_by_key(|id| (Reverse(self.by_id[id]), *id));
        ids
    }
}

/// How a tokenizer is made smaller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShrinkOptions {
    /// Most sub-words, of all kinds together. Default: as many as are used and needed.
    pub vocab_size: Option<usize>,
    /// Ids that stay whether they are used or not, such as those that a model's configuration names. Ids that are no sub-words are passed
    /// over. Default: none.
    pub keep: Vec<u32>,
    /// Ids below this one keep their number: RoBERTa counts positions from its padding's id. Default: 0.
    pub unmoved: u32,
}

/// A tokenizer made smaller.
#[derive(Debug)]
pub struct Shrunk {
    /// The tokenizer, with ids from 0 without gaps.
    pub tokenizer: SubwordTokenizer,
    /// The former id of each of its sub-words, ascending: row `i` of the new embeddings is row `kept[i]` of the old ones.
    pub kept: Vec<u32>,
}

impl SubwordTokenizer {
    /// The same tokenizer with the sub-words that were counted and those that any text may need.
    ///
    /// Words that were counted are cut as before. With a limit on the vocabulary the most frequent sub-words stay, as far as there is room
    /// for them and, in BPE, for the parts that they are merged from; other words are then cut into smaller pieces.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] for another model than BPE, WordPiece or Unigram, [`Error::VocabularyTooSmall`],
    /// [`Error::Renumbering`] if an id that is to keep its number cannot, or the files contradict each other.
    pub fn shrink(&self, counts: &SubwordCounts, options: &ShrinkOptions) -> Result<Shrunk> {
        let json = self.to_json()?;
        let vocabulary = Vocabulary::new(self.tokenizer(), &json)?;
        let mut kept = BTreeSet::new();
        let special = self.special_token_ids(&json);
        let named = options.keep.iter().copied().chain(0..options.unmoved);
        for id in vocabulary.indispensable().chain(special).chain(named) {
            kept.extend(vocabulary.missing_parts(id, &kept));
        }
        let most = options.vocab_size.unwrap_or(usize::MAX);
        if kept.len() > most {
            return Err(Error::VocabularyTooSmall {
                asked: most,
                smallest: kept.len(),
            });
        }
        for id in counts.by_frequency() {
            let missing = vocabulary.missing_parts(id, &kept);
            if kept.len() + missing.len() <= most {
                kept.extend(missing);
            }
        }
        if let Some(id) = (0..options.unmoved).find(|id| !kept.contains(id)) {
            let unmoved = options.unmoved;
            return Err(Error::Renumbering {
                problem: format!(
                    "id {id} is no sub-word, and those below {unmoved} have to stay what they are"
                ),
            });
        }
        let kept: Vec<u32> = kept.into_iter().collect();
        let tokenizer = self.renumbered(json, &kept)?;
        Ok(Shrunk { tokenizer, kept })
    }
}
