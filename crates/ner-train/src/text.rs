//! Entities in running text.

use std::thread;

use ner_model::{Batch, Logits, Mode, TokenClassifier};
use rayon::prelude::*;
use subword_align::{Aggregation, EncodedText, EntitySpan, SubwordTokenizer, aggregate, windows};

use crate::ahead::ahead;
use crate::error::Result;
use crate::evaluate::Decoding;
use crate::features::Featurizer;
use crate::order::batches_by_length;

/// A text with the model's opinion of each of its sub-words.
#[derive(Clone, Debug)]
pub struct ScoredText {
    /// The text's sub-words and their places.
    pub encoded: EncodedText,
    /// `[sub_words, labels]`, row-major: the probability of each label for each sub-word; zero for sub-words that were not asked for.
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

/// Which sub-words of a text are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    SubWords,
    /// The first one of each word.
    Words,
}

/// Scores sub-words of the texts, in passes of at most `batch_tokens` sub-words. A text longer than the model is read in overlapping
/// windows, and nothing of it is lost.
///
/// # Errors
/// A tokenizer that fails, or a batch that does not fit the model.
pub fn score_texts<S: AsRef<str> + Sync>(
    model: &TokenClassifier,
    tokenizer: &SubwordTokenizer,
    texts: &[S],
    wanted: Wanted,
    max_length: usize,
    batch_tokens: usize,
) -> Result<Vec<ScoredText>> {
    let featurizer = Featurizer::new(tokenizer, max_length)?;
    let groups = texts
        .chunks(GROUP)
        .map(|texts| Group::read(&featurizer, texts, wanted, batch_tokens));
    let mut scored = Vec::with_capacity(texts.len());
    thread::scope(|scope| {
        // The next texts are tokenized while the model reads these.
        for group in ahead(scope, groups) {
            scored.extend(group?.score(model)?);
        }
        Ok(scored)
    })
}

/// Texts that are scored together, sequences of like length in one pass.
const GROUP: usize = 256;

/// Texts as the model reads them.
struct Group {
    texts: Vec<EncodedText>,
    passes: Vec<Pass>,
}

/// Sequences that are read in one pass.
struct Pass {
    /// For each sequence the number of its text and the sub-words of that text that the rows of the logits belong to.
    targets: Vec<(usize, Vec<usize>)>,
    batch: Batch,
}

impl Group {
    fn read<S: AsRef<str> + Sync>(
        featurizer: &Featurizer<'_>,
        texts: &[S],
        wanted: Wanted,
        batch_tokens: usize,
    ) -> Result<Self> {
        let tokenizer = featurizer.tokenizer();
        let encoded = texts
            .par_iter()
            .map(|text| tokenizer.encode_text(text.as_ref()));
        let texts: Vec<EncodedText> = encoded.collect::<std::result::Result<_, _>>()?;
        let mut sequences = Vec::new();
        for (text, encoded) in texts.iter().enumerate() {
            let starts = encoded.word_starts();
            for window in windows(&starts, featurizer.budget(), featurizer.overlap())? {
                let targets: Vec<usize> = match wanted {
                    Wanted::SubWords => window.owned.clone().collect(),
                    Wanted::Words => {
                        let owned = |start: &usize| window.owned.contains(start);
                        starts.iter().copied().filter(owned).collect()
                    }
                };
                if !targets.is_empty() {
                    sequences.push((text, window, targets));
                }
            }
        }
        let special = tokenizer.special_tokens();
        let lengths: Vec<usize> = sequences
            .iter()
            .map(|(_, window, _)| window.subwords.len() + special)
            .collect();
        let pass = |numbers: Vec<usize>| {
            let mut batch = Batch::default();
            let mut of_pass = Vec::with_capacity(numbers.len());
            for number in numbers {
                let (text, window, targets) = &sequences[number];
                let (prefix, suffix) = (tokenizer.prefix_ids(), tokenizer.suffix_ids());
                let ids = [prefix, &texts[*text].ids[window.subwords.clone()], suffix].concat();
                let place = |target: &usize| prefix.len() + target - window.subwords.start;
                batch.push_with_targets(ids, targets.iter().map(place));
                of_pass.push((*text, targets.clone()));
            }
            Pass {
                targets: of_pass,
                batch,
            }
        };
        let batches = batches_by_length(&lengths, batch_tokens).into_iter();
        let passes = batches.map(pass).collect();
        Ok(Self { texts, passes })
    }

    fn score(self, model: &TokenClassifier) -> Result<Vec<ScoredText>> {
        let labels = model.config().id2label.len();
        let unscored = |encoded: EncodedText| ScoredText {
            probabilities: vec![0.0; encoded.len() * labels],
            encoded,
        };
        let mut scored: Vec<ScoredText> = self.texts.into_iter().map(unscored).collect();
        for Pass { targets, batch } in self.passes {
            let logits = Logits::read(model.forward(&batch, Mode::Inference)?)?;
            for ((text, sub_words), rows) in targets.into_iter().zip(batch.target_ranges()) {
                for (sub_word, row) in sub_words.into_iter().zip(rows) {
                    scored[text].probabilities[sub_word * labels..(sub_word + 1) * labels]
                        .iter_mut()
                        .zip(logits.probabilities(row))
                        .for_each(|(slot, probability)| *slot = probability);
                }
            }
        }
        Ok(scored)
    }
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
    let wanted = match aggregation {
        Aggregation::Word => Wanted::Words,
        _ => Wanted::SubWords,
    };
    let mut scored = score_texts(model, tokenizer, texts, wanted, max_length, batch_tokens)?;
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
