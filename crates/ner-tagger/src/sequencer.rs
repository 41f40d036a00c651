//! Sentences as sequences of sub-words that a model reads at once.

use std::ops::Range;

use rayon::prelude::*;
use subword_align::{EncodedWords, SubwordTokenizer, Window, windows};

use crate::error::{Error, Result};

/// Share of a window's sub-words that it has in common with its neighbor, so that no word is decided without context on both sides.
const OVERLAP_SHARE: usize = 4;

/// One sequence of the model: a sentence, or a window of one that is too long, with its context where that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Index of the sentence.
    pub sentence: usize,
    /// Sub-word ids, special tokens and context included.
    pub ids: Vec<u32>,
    /// Words that this sequence decides: those whose first sub-word it owns.
    pub words: Range<usize>,
    /// For each of `words` the place of its first sub-word in `ids`.
    pub first_subwords: Vec<usize>,
    /// Sub-words of the sentence that this sequence decides.
    pub owned: Range<usize>,
    /// The place of `owned.start` in `ids`; the others follow it.
    pub owned_at: usize,
}

/// Cuts encoded sentences into sequences.
#[derive(Clone, Copy, Debug)]
pub struct Sequencer<'a> {
    tokenizer: &'a SubwordTokenizer,
    budget: usize,
    /// Sub-words of context on each side.
    context: usize,
}

impl<'a> Sequencer<'a> {
    /// For sequences of at most `max_length` sub-words, special tokens included, without context.
    ///
    /// # Errors
    /// `max_length` leaves no room beside the special tokens.
    pub fn new(tokenizer: &'a SubwordTokenizer, max_length: usize) -> Result<Self> {
        match max_length.checked_sub(tokenizer.special_token_count()) {
            Some(budget) if budget > 0 => Ok(Self {
                tokenizer,
                budget,
                context: 0,
            }),
            _ => Err(Error::Setting {
                name: "max_length",
                reason: format!(
                    "{max_length} leaves no room beside the tokenizer's {} special tokens",
                    tokenizer.special_token_count()
                ),
            }),
        }
    }

    /// Puts the nearest `subwords` sub-words of the document before and after each sentence around it, as FLERT does (Schweter & Akbik 2020,
    /// <https://arxiv.org/abs/2011.06993>). They decide no word.
    ///
    /// Context never takes room from the sentence: it shrinks to what `max_length` leaves, half of that to each side and what one side does
    /// not need to the other. A sentence that is too long for one sequence has it at the outer ends of its first and last window only.
    #[must_use]
    pub fn with_document_context(mut self, subwords: usize) -> Self {
        self.context = subwords;
        self
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &'a SubwordTokenizer {
        self.tokenizer
    }

    /// The sequences of the sentences, in their order: one where a sentence fits, windows where it does not. Every word is decided by exactly
    /// one of them, every sub-word is owned by exactly one. `documents` has the document's number of each sentence.
    ///
    /// # Errors
    /// [`subword_align::Error::WordStarts`] for an encoding whose words do not follow each other.
    pub fn sequences(
        &self,
        sentences: &[EncodedWords],
        documents: &[usize],
    ) -> Result<Vec<Sequence>> {
        let all = Concatenated::new(sentences, documents);
        let sequences = (0..sentences.len()).into_par_iter().map(|sentence| {
            let starts = &sentences[sentence].word_starts;
            let windows = windows(starts, self.budget, self.budget / OVERLAP_SHARE)?;
            let sequence = |window: &Window| self.sequence(sentence, sentences, &all, window);
            Ok(windows.iter().map(sequence).collect())
        });
        let sequences: Vec<Vec<Sequence>> = sequences.collect::<Result<_>>()?;
        Ok(sequences.into_iter().flatten().collect())
    }

    /// Cuts `count` sentences into groups of about `size` whose sequences are the same without the others'. `document` gives the number of a
    /// sentence's document.
    #[must_use]
    pub fn groups(
        &self,
        count: usize,
        size: usize,
        document: impl Fn(usize) -> usize,
    ) -> Vec<Range<usize>> {
        let mut groups = Vec::new();
        let mut start = 0;
        for end in 1..=count {
            // Without context a sentence stands alone; with it, it needs its document.
            let is_free = self.context == 0 || end == count || document(end - 1) != document(end);
            if is_free && (end - start >= size || end == count) {
                groups.push(start..end);
                start = end;
            }
        }
        groups
    }

    fn sequence(
        &self,
        sentence: usize,
        sentences: &[EncodedWords],
        all: &Concatenated,
        window: &Window,
    ) -> Sequence {
        let words = &sentences[sentence];
        let seen = self.with_context(window, sentence, all);
        let (prefix, suffix) = (self.tokenizer.prefix_ids(), self.tokenizer.suffix_ids());
        let ids = [prefix, &all.ids[seen.clone()], suffix].concat();
        let start = all.starts[sentence];
        let place = |subword: usize| prefix.len() + start + subword - seen.start;

        // A word belongs to the window that owns its first sub-word.
        let starts = &words.word_starts[..words.word_count()];
        let decided = starts.partition_point(|&start| start < window.owned.start)
            ..starts.partition_point(|&start| start < window.owned.end);
        Sequence {
            sentence,
            ids,
            first_subwords: starts[decided.clone()]
                .iter()
                .map(|&start| place(start))
                .collect(),
            words: decided,
            owned: window.owned.clone(),
            owned_at: place(window.owned.start),
        }
    }

    /// The sub-words of the data that a window of a sentence sees, its context included.
    fn with_context(&self, window: &Window, sentence: usize, all: &Concatenated) -> Range<usize> {
        let own = all.starts[sentence]..all.starts[sentence + 1];
        let document = &all.documents[sentence];
        // At an inner end of a window the sentence is its own context.
        let reach = |is_outer: bool, subwords: usize| {
            if is_outer {
                subwords.min(self.context)
            } else {
                0
            }
        };
        let seen = own.start + window.subwords.start..own.start + window.subwords.end;
        let before = reach(seen.start == own.start, own.start - document.start);
        let after = reach(seen.end == own.end, document.end - own.end);
        let room = self.budget - seen.len();
        let before = before.min((room / 2).max(room.saturating_sub(after)));
        let after = after.min(room - before);
        seen.start - before..seen.end + after
    }
}

/// The sub-words of all sentences, one after the other.
struct Concatenated {
    ids: Vec<u32>,
    /// Where each sentence begins in `ids`, then the end of the last one.
    starts: Vec<usize>,
    /// The part of `ids` that is each sentence's document.
    documents: Vec<Range<usize>>,
}

impl Concatenated {
    fn new(sentences: &[EncodedWords], documents: &[usize]) -> Self {
        let mut ids = Vec::new();
        let mut starts = Vec::with_capacity(sentences.len() + 1);
        for sentence in sentences {
            starts.push(ids.len());
            ids.extend_from_slice(&sentence.ids);
        }
        starts.push(ids.len());
        let mut ranges = Vec::with_capacity(sentences.len());
        for document in documents.chunk_by(|a, b| a == b) {
            let (first, next) = (ranges.len(), ranges.len() + document.len());
            ranges.resize(next, starts[first]..starts[next]);
        }
        Self {
            ids,
            starts,
            documents: ranges,
        }
    }
}
