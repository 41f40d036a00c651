//! Entities in running text.

use std::panic;
use std::thread::{self, ScopedJoinHandle};

use ner_model::{Batch, Logits, Mode, TokenClassifier};
use rayon::prelude::*;
use subword_align::{Aggregation, EncodedText, EntitySpan, SubwordTokenizer, aggregate, windows};

use crate::error::{Error, Result};
use crate::evaluate::Decoding;
use crate::features::Featurizer;
use crate::order::batches_by_length;

/// A text with the model's opinion of each of its sub-words.
#[derive(Clone, Debug)]
pub struct ScoredText {
    /// The text's sub-words and their places.
    pub encoded: EncodedText,
    /// `[sub_words, labels]`, row-major: the probability of each label for each sub-word.
    pub probabilities: Vec<f32>,
}

impl ScoredText {
    /// Leaves each word's first sub-word no label above the one that the likeliest allowed sequence has there; changes nothing without
    /// constraints.
    pub fn constrain(&mut self, decoding: &Decoding, labels: usize) {
        let Decoding::Constrained(transitions) = decoding else {
            return;
        };
        let starts = self.encoded.word_starts();
        // White space alone is no word.
        let words: Vec<usize> = starts
            .windows(2)
            .filter(|bounds| {
                let mut offsets = self.encoded.offsets[bounds[0]..bounds[1]].iter();
                offsets.any(|(start, end)| start != end)
            })
            .map(|bounds| bounds[0])
            .collect();
        let rows: Vec<f32> = words
            .iter()
            .flat_map(|&first| &self.probabilities[first * labels..(first + 1) * labels])
            .copied()
            .collect();
        let sequence = transitions.best_sequence(&rows).unwrap_or_default();
        for (&first, chosen) in words.iter().zip(sequence) {
            let row = &mut self.probabilities[first * labels..(first + 1) * labels];
            let limit = row[chosen];
            for (label, probability) in row.iter_mut().enumerate() {
                if *probability > limit || (*probability == limit && label != chosen) {
                    *probability = 0.0;
                }
            }
        }
    }
}

/// Scores every sub-word of the texts, in passes of at most `batch_tokens` sub-words. A text longer than the model is read in overlapping
/// windows, and nothing of it is lost.
///
/// # Errors
/// A tokenizer that fails, or a batch that does not fit the model.
pub fn score_texts<S: AsRef<str> + Sync>(
    model: &TokenClassifier,
    tokenizer: &SubwordTokenizer,
    texts: &[S],
    max_length: usize,
    batch_tokens: usize,
) -> Result<Vec<ScoredText>> {
    let featurizer = Featurizer::new(tokenizer, max_length)?;
    let encode = |texts: &[S]| -> Result<Vec<EncodedText>> {
        let encoded = texts.par_iter().map(|text| {
            let encoded = tokenizer.encode_text(text.as_ref());
            encoded.map_err(Error::from)
        });
        encoded.collect()
    };
    let mut groups = texts.chunks(GROUP);
    let mut encoded = groups.next().map(encode).transpose()?;
    let mut scored = Vec::with_capacity(texts.len());
    while let Some(group) = encoded {
        // The next texts are tokenized while the model reads these.
        encoded = thread::scope(|scope| {
            let next = groups.next().map(|texts| scope.spawn(|| encode(texts)));
            scored.extend(score(model, &featurizer, group, batch_tokens)?);
            let joined = next.map(ScopedJoinHandle::join).transpose();
            joined
                .unwrap_or_else(|cause| panic::resume_unwind(cause))
                .transpose()
        })?;
    }
    Ok(scored)
}

/// Texts that are scored together, sequences of like length in one pass.
const GROUP: usize = 256;

/// Scores every sub-word of texts that are encoded.
fn score(
    model: &TokenClassifier,
    featurizer: &Featurizer<'_>,
    texts: Vec<EncodedText>,
    batch_tokens: usize,
) -> Result<Vec<ScoredText>> {
    let tokenizer = featurizer.tokenizer();
    let labels = model.config().id2label.len();
    let mut scored = Vec::with_capacity(texts.len());
    let mut sequences = Vec::new();
    for encoded in texts {
        let cut = windows(
            &encoded.word_starts(),
            featurizer.budget(),
            featurizer.overlap(),
        )?;
        sequences.extend(cut.into_iter().map(|window| (scored.len(), window)));
        let probabilities = vec![0.0; encoded.len() * labels];
        scored.push(ScoredText {
            encoded,
            probabilities,
        });
    }
    let special = tokenizer.special_tokens();
    let lengths: Vec<usize> = sequences
        .iter()
        .map(|(_, window)| window.subwords.len() + special)
        .collect();
    for numbers in batches_by_length(&lengths, batch_tokens) {
        let sequences = numbers.iter().map(|&number| &sequences[number]);
        let mut batch = Batch::default();
        for (text, window) in sequences.clone() {
            let ids = &scored[*text].encoded.ids[window.subwords.clone()];
            batch.push([tokenizer.prefix_ids(), ids, tokenizer.suffix_ids()].concat());
        }
        let logits = Logits::read(model.forward(&batch, Mode::Inference)?)?;
        for ((text, window), range) in sequences.zip(batch.ranges()) {
            let first = range.start + tokenizer.prefix_ids().len();
            let owned = window.owned.start * labels..window.owned.end * labels;
            let rows = scored[*text].probabilities[owned].chunks_exact_mut(labels.max(1));
            for (sub_word, row) in window.owned.clone().zip(rows) {
                let probabilities = logits.probabilities(first + sub_word - window.subwords.start);
                row.iter_mut()
                    .zip(probabilities)
                    .for_each(|(slot, probability)| *slot = probability);
            }
        }
    }
    Ok(scored)
}

/// Entities of the texts, in the order of each text. Constrained decoding acts with [`Aggregation::Word`], whose units are words.
///
/// # Errors
/// As [`score_texts`].
pub fn find_entities<S: AsRef<str> + Sync>(
    model: &TokenClassifier,
    tokenizer: &SubwordTokenizer,
    texts: &[S],
    aggregation: Aggregation,
    decoding: &Decoding,
    max_length: usize,
    batch_tokens: usize,
) -> Result<Vec<Vec<EntitySpan>>> {
    let labels = &model.config().id2label;
    let mut scored = score_texts(model, tokenizer, texts, max_length, batch_tokens)?;
    if aggregation == Aggregation::Word {
        scored
            .iter_mut()
            .for_each(|text| text.constrain(decoding, labels.len()));
    }
    let entities = scored.par_iter().zip(texts).map(|(scored, text)| {
        Ok(aggregate(
            text.as_ref(),
            &scored.encoded,
            &scored.probabilities,
            labels,
            aggregation,
        )?)
    });
    entities.collect()
}
