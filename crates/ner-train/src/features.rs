//! Sentences as the model learns from them.

use std::ops::Range;

use ner_model::Batch;
use ner_tagger::{PretokenizedSentence, Sequence, Sequencer};
use rayon::prelude::*;
use subword_align::{EncodedWords, SubwordTokenizer, align_labels};

use crate::error::{Error, Result};

/// One sequence of the model: a sentence, or a window of one that is too long, with its context where that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Index of the sentence.
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
    /// A sequence with the labels of its sentence's sub-words; those that it does not own, and its context, carry none.
    fn new(sequence: Sequence, labels: &[Option<u32>]) -> Self {
        let mut own = vec![None; sequence.ids.len()];
        let places = &mut own[sequence.owned_at..sequence.owned_at + sequence.owned.len()];
        places.copy_from_slice(&labels[sequence.owned.clone()]);
        Self {
            sentence: sequence.sentence,
            ids: sequence.ids,
            words: sequence.words,
            first_subwords: sequence.first_subwords,
            labels: own,
        }
    }

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

/// Turns sentences and their labels into features.
#[derive(Debug)]
pub struct Featurizer<'a> {
    sequencer: Sequencer<'a>,
    /// Label of a word's further sub-words, where they carry one.
    continuation: Option<Vec<u32>>,
}

impl<'a> Featurizer<'a> {
    /// For sequences of at most `max_length` sub-words, special tokens included, without context.
    ///
    /// # Errors
    /// `max_length` leaves no room beside the special tokens.
    pub fn new(tokenizer: &'a SubwordTokenizer, max_length: usize) -> Result<Self> {
        Ok(Self {
            sequencer: Sequencer::new(tokenizer, max_length)?,
            continuation: None,
        })
    }

    /// Labels every sub-word of a word and not only the first one. `continuation[label]` is the label of the others.
    #[must_use]
    pub fn labelling_all(mut self, continuation: Vec<u32>) -> Self {
        self.continuation = Some(continuation);
        self
    }

    /// Puts sub-words of the document around each sentence ([`Sequencer::with_document_context`]). They carry no label.
    #[must_use]
    pub fn with_document_context(mut self, subwords: usize) -> Self {
        self.sequencer = self.sequencer.with_document_context(subwords);
        self
    }

    /// Features of the sentences, in their order: one where a sentence fits, windows where it does not. Every word is decided by exactly one
    /// of them. `labels` are those of each sentence's words; a sentence with none carries none.
    ///
    /// # Errors
    /// The tokenizer fails, or a sentence has not one label a word.
    pub fn features(
        &self,
        sentences: &[PretokenizedSentence],
        labels: Option<&[Vec<u32>]>,
    ) -> Result<Vec<Feature>> {
        let tokenizer = self.sequencer.tokenizer();
        let encoded = sentences
            .par_iter()
            .map(|sentence| tokenizer.encode_words(&sentence.words));
        let encoded: Vec<EncodedWords> = encoded.collect::<std::result::Result<_, _>>()?;
        let documents: Vec<usize> = sentences.iter().map(|sentence| sentence.document).collect();
        let sequences = self.sequencer.sequences(&encoded, &documents)?;
        let aligned = encoded.par_iter().enumerate().map(|(sentence, words)| {
            let Some(labels) = labels else {
                return Ok(vec![None; words.ids.len()]);
            };
            let labels = match labels.get(sentence) {
                Some(labels) if labels.is_empty() => return Ok(vec![None; words.ids.len()]),
                labels => labels.map_or(&[][..], Vec::as_slice),
            };
            Ok(align_labels(words, labels, self.continuation.as_deref())?)
        });
        let aligned: Vec<Vec<Option<u32>>> = aligned.collect::<Result<_>>()?;
        let feature = |sequence: Sequence| {
            let labels = &aligned[sequence.sentence];
            Feature::new(sequence, labels)
        };
        Ok(sequences.into_iter().map(feature).collect())
    }
}

/// Numbers of the tags of each sentence.
///
/// # Errors
/// A tag that is not among the labels, or a sentence with other numbers of words and tags.
pub fn label_ids(sentences: &[PretokenizedSentence], labels: &[String]) -> Result<Vec<Vec<u32>>> {
    for (index, PretokenizedSentence { words, tags, .. }) in sentences.iter().enumerate() {
        if words.len() != tags.len() {
            return Err(Error::Lengths {
                sentence: index + 1,
                words: words.len(),
                tags: tags.len(),
            });
        }
    }
    known_label_ids(sentences, labels)
}

/// As [`label_ids`], but a sentence may have no tags at all, and then has no numbers.
///
/// # Errors
/// As [`label_ids`].
pub fn known_label_ids(
    sentences: &[PretokenizedSentence],
    labels: &[String],
) -> Result<Vec<Vec<u32>>> {
    let number_of = |tag: &String| {
        labels
            .iter()
            .position(|label| label == tag)
            .map(|id| id as u32)
    };
    let ids_of = |(index, sentence): (usize, &PretokenizedSentence)| {
        if ![0, sentence.words.len()].contains(&sentence.tags.len()) {
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
