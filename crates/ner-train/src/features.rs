//! Sentences as the model reads them.

use std::ops::Range;

use ner_model::Batch;
use rayon::prelude::*;
use subword_align::{EncodedWords, SubwordTokenizer, Window, align_labels, windows};

use crate::error::{Error, Result};

/// Share of a window's sub-words that it has in common with its neighbour, so that no word is decided without context on both sides.
const OVERLAP_SHARE: usize = 4;

/// A sentence given as words, each with its tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence {
    /// The words.
    pub words: Vec<String>,
    /// One tag a word; none where they are not known.
    pub tags: Vec<String>,
    /// Number of its document. Sentences that follow each other under one number can be context of each other; where nothing tells
    /// documents apart, all have the same.
    pub document: usize,
}

/// One sequence of the model: a sentence, or a window of one that is too long, with its context where that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Number of the sentence, from 0.
    pub sentence: usize,
    /// Sub-word ids, special tokens and context included.
    pub ids: Vec<u32>,
    /// Words that this sequence decides, and for each the place of its first sub-word in `ids`.
    pub words: Range<usize>,
    /// See `words`.
    pub first_subwords: Vec<usize>,
    /// Label of each sub-word; `None` is ignored by the loss.
    pub labels: Vec<Option<u32>>,
}

impl Feature {
    /// The places in `ids` whose logits are wanted, rising: the first sub-words of the words that this sequence decides, and all that carry a
    /// label. Where there is none of either it is the first place, so that no batch is without.
    pub fn targets(&self) -> Vec<usize> {
        let is_target = |place: &usize| {
            self.labels[*place].is_some() || self.first_subwords.binary_search(place).is_ok()
        };
        let targets: Vec<usize> = (0..self.ids.len()).filter(is_target).collect();
        if targets.is_empty() { vec![0] } else { targets }
    }
}

/// Turns sentences into features.
#[derive(Debug)]
pub struct Featurizer<'a> {
    tokenizer: &'a SubwordTokenizer,
    budget: usize,
    /// Sub-words of context on each side.
    context: usize,
    /// Label of a word's further sub-words, where they carry one.
    continuation: Option<Vec<u32>>,
}

impl<'a> Featurizer<'a> {
    /// For sequences of at most `max_length` sub-words, special tokens included, without context.
    ///
    /// # Errors
    /// `max_length` leaves no room beside the special tokens.
    pub fn new(tokenizer: &'a SubwordTokenizer, max_length: usize) -> Result<Self> {
        match max_length.checked_sub(tokenizer.special_tokens()) {
            Some(budget) if budget > 0 => Ok(Self {
                tokenizer,
                budget,
                context: 0,
                continuation: None,
            }),
            _ => Err(Error::Setting {
                name: "max_length",
                reason: format!(
                    "{max_length} leaves no room beside the tokenizer's {} special tokens",
                    tokenizer.special_tokens()
                ),
            }),
        }
    }

    pub(crate) fn tokenizer(&self) -> &'a SubwordTokenizer {
        self.tokenizer
    }

    /// Sub-words of a sequence beside the special tokens.
    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    /// Sub-words that neighbouring windows share.
    pub(crate) fn overlap(&self) -> usize {
        self.budget / OVERLAP_SHARE
    }

    /// Labels every sub-word of a word and not only the first one. `continuation[label]` is the label of the others.
    #[must_use]
    pub fn labelling_all(mut self, continuation: Vec<u32>) -> Self {
        self.continuation = Some(continuation);
        self
    }

    /// Puts the nearest `sub_words` sub-words of the document before and after each sentence around it, as FLERT does (Schweter & Akbik 2020,
    /// <https://arxiv.org/abs/2011.06993>). They carry no label and decide no word.
    ///
    /// Context never takes room from the sentence: it shrinks to what `max_length` leaves, half of that to each side and what one side does
    /// not need to the other. A sentence that is too long for one sequence has it at the outer ends of its first and last window only.
    #[must_use]
    pub fn with_document_context(mut self, sub_words: usize) -> Self {
        self.context = sub_words;
        self
    }

    /// Features of the sentences, in their order: one where a sentence fits, windows where it does not. Every word is decided by exactly one
    /// of them. `labels` are those of each sentence's words.
    ///
    /// # Errors
    /// The tokenizer fails, or a sentence has not one label a word.
    pub fn features(
        &self,
        sentences: &[Sentence],
        labels: Option<&[Vec<u32>]>,
    ) -> Result<Vec<Feature>> {
        let encoded = Encoded::new(self.tokenizer, sentences)?;
        let features = (0..sentences.len()).into_par_iter().map(|sentence| {
            let labels = labels.map(|all| all.get(sentence).map_or(&[][..], Vec::as_slice));
            self.features_of(sentence, &encoded, labels)
        });
        let features: Vec<Vec<Feature>> = features.collect::<Result<_>>()?;
        Ok(features.into_iter().flatten().collect())
    }

    /// Cuts the sentences into groups of about `size` whose features are the same without the others'.
    pub(crate) fn groups(&self, sentences: &[Sentence], size: usize) -> Vec<Range<usize>> {
        let mut groups = Vec::new();
        let (mut start, mut end) = (0, 0);
        // Without context a sentence stands alone; with it, it needs its document.
        for together in sentences.chunk_by(|a, b| self.context > 0 && a.document == b.document) {
            end += together.len();
            if end - start >= size {
                groups.push(start..end);
                start = end;
            }
        }
        if start < end {
            groups.push(start..end);
        }
        groups
    }

    fn features_of(
        &self,
        sentence: usize,
        encoded: &Encoded,
        labels: Option<&[u32]>,
    ) -> Result<Vec<Feature>> {
        let words = &encoded.sentences[sentence];
        let labels = match labels {
            Some(labels) => self.subword_labels(words, labels)?,
            None => vec![None; words.ids.len()],
        };
        let windows = windows(&words.word_starts, self.budget, self.overlap())?;
        Ok(windows
            .iter()
            .map(|window| self.feature(sentence, encoded, &labels, window))
            .collect())
    }

    fn subword_labels(&self, words: &EncodedWords, labels: &[u32]) -> Result<Vec<Option<u32>>> {
        Ok(align_labels(words, labels, self.continuation.as_deref())?)
    }

    fn feature(
        &self,
        sentence: usize,
        encoded: &Encoded,
        labels: &[Option<u32>],
        window: &Window,
    ) -> Feature {
        let words = &encoded.sentences[sentence];
        let seen = self.with_context(window, sentence, encoded);
        let (prefix, suffix) = (self.tokenizer.prefix_ids(), self.tokenizer.suffix_ids());
        let ids = [prefix, &encoded.ids[seen.clone()], suffix].concat();
        let start = encoded.starts[sentence];
        let place = |subword: usize| prefix.len() + start + subword - seen.start;

        // A word belongs to the window that owns its first sub-word.
        let starts = &words.word_starts[..words.words()];
        let decided = starts.partition_point(|&start| start < window.owned.start)
            ..starts.partition_point(|&start| start < window.owned.end);
        let first_subwords = starts[decided.clone()]
            .iter()
            .map(|&start| place(start))
            .collect();
        let mut sequence_labels = vec![None; ids.len()];
        for subword in window.owned.clone() {
            sequence_labels[place(subword)] = labels[subword];
        }
        Feature {
            sentence,
            ids,
            words: decided,
            first_subwords,
            labels: sequence_labels,
        }
    }

    /// The sub-words of the data that a window of a sentence sees, its context included.
    fn with_context(&self, window: &Window, sentence: usize, encoded: &Encoded) -> Range<usize> {
        let own = encoded.range(sentence);
        let document = &encoded.documents[sentence];
        // At an inner end of a window the sentence is its own context.
        let reach = |is_outer: bool, sub_words: usize| {
            if is_outer {
                sub_words.min(self.context)
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

/// Sentences as sub-words. Each is encoded once, however many others it is context of.
struct Encoded {
    sentences: Vec<EncodedWords>,
    /// The sub-words of all sentences, one after the other.
    ids: Vec<u32>,
    /// Where each sentence begins in `ids`.
    starts: Vec<usize>,
    /// The part of `ids` that is each sentence's document.
    documents: Vec<Range<usize>>,
}

impl Encoded {
    fn new(tokenizer: &SubwordTokenizer, sentences: &[Sentence]) -> Result<Self> {
        let encoded = sentences
            .par_iter()
            .map(|sentence| tokenizer.encode_words(&sentence.words));
        let encoded: Vec<EncodedWords> = encoded.collect::<std::result::Result<_, _>>()?;
        let mut ids = Vec::new();
        let mut starts = Vec::with_capacity(encoded.len());
        for sentence in &encoded {
            starts.push(ids.len());
            ids.extend_from_slice(&sentence.ids);
        }
        let mut documents = Vec::with_capacity(encoded.len());
        for document in sentences.chunk_by(|a, b| a.document == b.document) {
            let (first, next) = (documents.len(), documents.len() + document.len());
            let end = starts.get(next).copied().unwrap_or(ids.len());
            documents.resize(next, starts[first]..end);
        }
        Ok(Self {
            sentences: encoded,
            ids,
            starts,
            documents,
        })
    }

    /// The part of `ids` that is a sentence.
    fn range(&self, sentence: usize) -> Range<usize> {
        let start = self.starts[sentence];
        start..start + self.sentences[sentence].ids.len()
    }
}

/// Numbers of the tags of each sentence.
///
/// # Errors
/// A tag that is not among the labels, or a sentence with other numbers of words and tags.
pub fn label_ids(sentences: &[Sentence], labels: &[String]) -> Result<Vec<Vec<u32>>> {
    let number_of = |tag: &String| {
        labels
            .iter()
            .position(|label| label == tag)
            .map(|id| id as u32)
    };
    let ids_of = |(index, sentence): (usize, &Sentence)| {
        if sentence.words.len() != sentence.tags.len() {
            let (words, tags) = (sentence.words.len(), sentence.tags.len());
            return Err(Error::Lengths {
                sentence: index + 1,
                words,
                tags,
            });
        }
        let ids = sentence.tags.iter().enumerate().map(|(word, tag)| {
            number_of(tag).ok_or_else(|| Error::UnknownTag {
                sentence: index + 1,
                word: word + 1,
                tag: tag.clone(),
                labels: labels.to_vec(),
            })
        });
        ids.collect()
    };
    sentences.iter().enumerate().map(ids_of).collect()
}

/// The label inside an entity for each label that begins one: `I-PER` for `B-PER`, where the model has it; else the label itself.
pub fn continuations(labels: &[String]) -> Vec<u32> {
    let inside = |label: &String| {
        let inside = label.strip_prefix("B-").map(|kind| format!("I-{kind}"))?;
        labels.iter().position(|other| *other == inside)
    };
    labels
        .iter()
        .enumerate()
        .map(|(id, label)| inside(label).unwrap_or(id) as u32)
        .collect()
}

/// Packs features into a batch, with the labels of its targets.
pub fn pack<'f>(features: impl IntoIterator<Item = &'f Feature>) -> (Batch, Vec<Option<u32>>) {
    let mut batch = Batch::default();
    let mut labels = Vec::new();
    for feature in features {
        let targets = feature.targets();
        labels.extend(targets.iter().map(|&place| feature.labels[place]));
        batch.push_with_targets(feature.ids.iter().copied(), targets);
    }
    (batch, labels)
}

#[cfg(test)]
mod tests;
