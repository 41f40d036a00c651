//! Sentences as the model reads them.

use std::ops::Range;

use ner_model::Batch;
use subword_align::{EncodedWords, LabelAlignment, SubwordTokenizer, align_labels, windows};

use crate::error::{Error, Result};

/// Share of a window's sub-words that it has in common with its neighbour, so that no word is decided without context on both sides.
const OVERLAP_SHARE: usize = 4;

/// A sentence given as words, each with its tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence {
    /// The words.
    pub words: Vec<String>,
    /// One tag a word.
    pub tags: Vec<String>,
}

/// One sequence of the model: a sentence, or a window of one that is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Number of the sentence, from 0.
    pub sentence: usize,
    /// Sub-word ids, special tokens included.
    pub ids: Vec<u32>,
    /// Words that this sequence decides, and for each the place of its first sub-word in `ids`.
    pub words: Range<usize>,
    /// See `words`.
    pub first_subwords: Vec<usize>,
    /// Label of each sub-word; `None` is ignored by the loss.
    pub labels: Vec<Option<u32>>,
}

/// Turns sentences into features.
#[derive(Debug)]
pub struct Featurizer<'a> {
    tokenizer: &'a SubwordTokenizer,
    budget: usize,
    /// Label of a word's further sub-words, where they carry one.
    continuation: Option<Vec<u32>>,
}

impl<'a> Featurizer<'a> {
    /// For sequences of at most `max_length` sub-words, special tokens included.
    ///
    /// # Errors
    /// `max_length` leaves no room beside the special tokens.
    pub fn new(tokenizer: &'a SubwordTokenizer, max_length: usize) -> Result<Self> {
        match max_length.checked_sub(tokenizer.special_tokens()) {
            Some(budget) if budget > 0 => Ok(Self {
                tokenizer,
                budget,
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

    /// Features of one sentence: one where it fits, windows where it does not. Every word is decided by exactly one of them.
    ///
    /// # Errors
    /// The tokenizer fails.
    pub fn features<S: AsRef<str>>(
        &self,
        sentence: usize,
        words: &[S],
        labels: Option<&[u32]>,
    ) -> Result<Vec<Feature>> {
        let encoded = self.tokenizer.encode_words(words)?;
        let subword_labels = match labels {
            Some(labels) => match &self.continuation {
                None => align_labels(&encoded, labels, LabelAlignment::First, |label| label)?,
                Some(next) => {
                    let next_of = |label: u32| next.get(label as usize).copied().unwrap_or(label);
                    align_labels(&encoded, labels, LabelAlignment::All, next_of)?
                }
            },
            None => vec![None; encoded.ids.len()],
        };
        let windows = windows(&encoded.word_starts, self.budget, self.overlap())?;
        Ok(windows
            .into_iter()
            .map(|window| self.feature(sentence, &encoded, &subword_labels, &window))
            .collect())
    }

    fn feature(
        &self,
        sentence: usize,
        encoded: &EncodedWords,
        labels: &[Option<u32>],
        window: &subword_align::Window,
    ) -> Feature {
        let (prefix, suffix) = (self.tokenizer.prefix_ids(), self.tokenizer.suffix_ids());
        let ids = [prefix, &encoded.ids[window.subwords.clone()], suffix].concat();
        let place = |subword: usize| prefix.len() + subword - window.subwords.start;

        // A word belongs to the window that owns its first sub-word.
        let starts = &encoded.word_starts[..encoded.words()];
        let words = starts.partition_point(|&start| start < window.owned.start)
            ..starts.partition_point(|&start| start < window.owned.end);
        let first_subwords = starts[words.clone()]
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
            words,
            first_subwords,
            labels: sequence_labels,
        }
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

/// Packs features into a batch, with the labels of its sub-words.
pub fn pack<'f>(features: impl IntoIterator<Item = &'f Feature>) -> (Batch, Vec<Option<u32>>) {
    let mut batch = Batch::default();
    let mut labels = Vec::new();
    for feature in features {
        batch.push(feature.ids.iter().copied());
        labels.extend_from_slice(&feature.labels);
    }
    (batch, labels)
}
