//! Entities in running text.

use std::thread;

use ner_model::{Batch, Logits, Mode, TokenClassifier};
use rayon::prelude::*;
use subword_align::{Aggregation, EncodedText, EntitySpan, SubwordTokenizer, aggregate, windows};

use crate::ahead::spread;
use crate::error::Result;
use crate::evaluate::{Decoding, passes_at_once};
use crate::features::Featurizer;
use crate::order::even_batches_by_length;

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

/// Scores sub-words of the texts, in passes of about `batch_tokens` sub-words at most. A text longer than the model is read in overlapping
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
    let labels = model.config().id2label.len();
    let at_once = passes_at_once(model);
    let groups = (0..).step_by(GROUP).zip(texts.chunks(GROUP));
    let passes = groups.flat_map(|(first, texts)| {
        match passes_of(&featurizer, first, texts, wanted, [batch_tokens, at_once]) {
            Ok(passes) => passes.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }
    });
    let forward = |pass: Result<Pass>| {
        let pass = pass?;
        let logits = match &pass.batch {
            Some(batch) => Some(Logits::read(model.forward(batch, Mode::Inference)?)?),
            None => None,
        };
        Result::Ok((pass, logits))
    };
    let mut encoded: Vec<Option<EncodedText>> = vec![None; texts.len()];
    let mut probabilities: Vec<Vec<f32>> = vec![Vec::new(); texts.len()];
    thread::scope(|scope| -> Result<()> {
        // The next texts are tokenized while the model reads these.
        for done in spread(scope, passes, at_once, forward) {
            let (pass, logits) = done?;
            for (text, of_text) in pass.texts {
                probabilities[text].resize(of_text.len() * labels, 0.0);
                encoded[text] = Some(of_text);
            }
            let (Some(batch), Some(logits)) = (&pass.batch, &logits) else {
                continue;
            };
            for (targets, rows) in pass.targets.iter().zip(batch.target_ranges()) {
                let of_text = &mut probabilities[targets.text];
                of_text.resize(targets.length * labels, 0.0);
                for (&sub_word, row) in targets.sub_words.iter().zip(rows) {
                    of_text[sub_word * labels..(sub_word + 1) * labels]
                        .iter_mut()
                        .zip(logits.probabilities(row))
                        .for_each(|(slot, probability)| *slot = probability);
                }
            }
        }
        Ok(())
    })?;
    let scored = encoded.into_iter().zip(probabilities);
    let scored = scored.filter_map(|(encoded, probabilities)| {
        let encoded = encoded?; // every text is in one pass
        Some(ScoredText {
            encoded,
            probabilities,
        })
    });
    Ok(scored.collect())
}

/// Texts that are scored together, sequences of like length in one pass.
const GROUP: usize = 256;

/// Sequences that are read in one pass.
struct Pass {
    /// The encodings of the group's texts, with their numbers: in the group's first pass.
    texts: Vec<(usize, EncodedText)>,
    /// What the rows of each sequence's logits belong to.
    targets: Vec<Targets>,
    /// Nothing in a group without sub-words.
    batch: Option<Batch>,
}

/// Sub-words of a text that are scored in one sequence.
struct Targets {
    /// Number of the text.
    text: usize,
    /// Sub-words of the text in all.
    length: usize,
    sub_words: Vec<usize>,
}

/// The passes over a group of texts, whose first has the number `first`: each of about `batch_tokens`, for so many to be computed at a time.
fn passes_of<S: AsRef<str> + Sync>(
    featurizer: &Featurizer<'_>,
    first: usize,
    texts: &[S],
    wanted: Wanted,
    [batch_tokens, at_once]: [usize; 2],
) -> Result<Vec<Pass>> {
    let tokenizer = featurizer.tokenizer();
    let encoded = texts
        .par_iter()
        .map(|text| tokenizer.encode_text(text.as_ref()));
    let texts: Vec<EncodedText> = encoded.collect::<std::result::Result<_, _>>()?;
    let (prefix, suffix) = (tokenizer.prefix_ids(), tokenizer.suffix_ids());
    let mut sequences = Vec::new();
    for (number, encoded) in (first..).zip(&texts) {
        let starts = encoded.word_starts();
        for window in windows(&starts, featurizer.budget(), featurizer.overlap())? {
            let sub_words: Vec<usize> = match wanted {
                Wanted::SubWords => window.owned.clone().collect(),
                Wanted::Words => {
                    let owned = |start: &usize| window.owned.contains(start);
                    starts.iter().copied().filter(owned).collect()
                }
            };
            if sub_words.is_empty() {
                continue;
            }
            let ids = [prefix, &encoded.ids[window.subwords.clone()], suffix].concat();
            let place = |sub_word: &usize| prefix.len() + sub_word - window.subwords.start;
            let places: Vec<usize> = sub_words.iter().map(place).collect();
            let targets = Targets {
                text: number,
                length: encoded.len(),
                sub_words,
            };
            sequences.push(Some((ids, places, targets)));
        }
    }
    let length = |sequence: &Option<(Vec<u32>, _, _)>| sequence.as_ref().map_or(0, |s| s.0.len());
    let lengths: Vec<usize> = sequences.iter().map(length).collect();
    let mut passes = Vec::new();
    for numbers in even_batches_by_length(&lengths, batch_tokens, at_once) {
        let mut batch = Batch::default();
        let mut targets = Vec::with_capacity(numbers.len());
        for number in numbers {
            if let Some((ids, places, of_sequence)) = sequences[number].take() {
                batch.push_with_targets(ids, places);
                targets.push(of_sequence);
            }
        }
        passes.push(Pass {
            texts: Vec::new(),
            targets,
            batch: Some(batch),
        });
    }
    let texts = (first..).zip(texts).collect();
    match passes.first_mut() {
        Some(pass) => pass.texts = texts,
        None => passes.push(Pass {
            texts,
            targets: Vec::new(),
            batch: None,
        }),
    }
    Ok(passes)
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
