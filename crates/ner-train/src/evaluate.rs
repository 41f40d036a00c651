//! Tags for sentences, and how good they are.

use ner_metrics::{EntityReport, Mode as CountingRule, Scheme};
use ner_model::{Mode, TokenClassifier, Transitions};
use subword_align::SubwordTokenizer;

use crate::error::Result;
use crate::features::{Feature, Featurizer, Sentence, label_ids, pack};

/// What evaluation found.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Mean of the batches' losses, as the reference reports it.
    pub loss: f64,
    /// Entity scores by seqeval's default rule.
    pub report: EntityReport,
    /// The predicted tags, one a word.
    pub predicted: Vec<Vec<String>>,
}

/// Predicts tags for sentences that have some, and compares.
///
/// `progress` is called after each batch with the numbers of sequences done and to do.
///
/// # Errors
/// A tag that is not among the model's labels, a tokenizer that fails, or a batch that does not fit the model.
pub fn evaluate(
    model: &TokenClassifier,
    tokenizer: &SubwordTokenizer,
    sentences: &[Sentence],
    decoding: &Decoding,
    max_length: usize,
    batch_size: usize,
    progress: impl FnMut(usize, usize),
) -> Result<Evaluation> {
    let labels = &model.config().id2label;
    let gold = label_ids(sentences, labels)?;
    let featurizer = Featurizer::new(tokenizer, max_length)?;
    let mut features = Vec::new();
    for (index, (sentence, gold)) in sentences.iter().zip(&gold).enumerate() {
        features.extend(featurizer.features(index, &sentence.words, Some(gold))?);
    }
    let lengths: Vec<usize> = sentences
        .iter()
        .map(|sentence| sentence.words.len())
        .collect();
    let (best, loss) = predict(model, &features, &lengths, decoding, batch_size, progress)?;
    let predicted: Vec<Vec<String>> = best
        .into_iter()
        .map(|words| {
            words
                .into_iter()
                .map(|(label, _)| labels[label].clone())
                .collect()
        })
        .collect();
    let gold: Vec<&Vec<String>> = sentences.iter().map(|sentence| &sentence.tags).collect();
    let report = EntityReport::new(&gold, &predicted, CountingRule::Default)?;
    Ok(Evaluation {
        loss,
        report,
        predicted,
    })
}

/// How labels are chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Decoding {
    /// The likeliest label of each word by itself.
    #[default]
    Argmax,
    /// The likeliest sequence in which every label may follow the one before it.
    Constrained(Transitions),
}

impl Decoding {
    /// Sequences that are well-formed in a tagging scheme.
    ///
    /// # Errors
    /// A label that the scheme does not know.
    pub fn constrained(scheme: Scheme, labels: &[String]) -> Result<Self> {
        let table = scheme.legal_transitions(labels)?;
        let [start, end, between] =
            [table.start(), table.end(), table.between()].map(<[bool]>::to_vec);
        Ok(Self::Constrained(Transitions::new(start, end, between)?))
    }
}

/// The tag of one word.
#[derive(Clone, Debug, PartialEq)]
pub struct WordTag {
    /// The tag.
    pub tag: String,
    /// Its probability.
    pub score: f32,
}

/// Predicts one tag for each word of each sentence.
///
/// # Errors
/// A tokenizer that fails, or a batch that does not fit the model.
pub fn tag<S: AsRef<str>>(
    model: &TokenClassifier,
    tokenizer: &SubwordTokenizer,
    sentences: &[Vec<S>],
    decoding: &Decoding,
    max_length: usize,
    batch_size: usize,
    progress: impl FnMut(usize, usize),
) -> Result<Vec<Vec<WordTag>>> {
    let featurizer = Featurizer::new(tokenizer, max_length)?;
    let mut features = Vec::new();
    for (index, words) in sentences.iter().enumerate() {
        features.extend(featurizer.features(index, words, None)?);
    }
    let lengths: Vec<usize> = sentences.iter().map(Vec::len).collect();
    let (best, _) = predict(model, &features, &lengths, decoding, batch_size, progress)?;
    let labels = &model.config().id2label;
    let tag = |(label, score): (usize, f32)| WordTag {
        tag: labels[label].clone(),
        score,
    };
    Ok(best
        .into_iter()
        .map(|words| words.into_iter().map(tag).collect())
        .collect())
}

/// For each word of each sentence the number of its best label, and that label's probability.
type BestLabels = Vec<Vec<(usize, f32)>>;

/// The best label of every word, and the mean of the losses of the batches that carry labels.
fn predict(
    model: &TokenClassifier,
    features: &[Feature],
    lengths: &[usize],
    decoding: &Decoding,
    batch_size: usize,
    mut progress: impl FnMut(usize, usize),
) -> Result<(BestLabels, f64)> {
    let mut best: Vec<Vec<(usize, f32)>> =
        lengths.iter().map(|&words| vec![(0, 0.0); words]).collect();
    let labels_in_all = model.config().id2label.len();
    let mut probabilities: Vec<Vec<f32>> = match decoding {
        Decoding::Argmax => Vec::new(),
        Decoding::Constrained(_) => lengths
            .iter()
            .map(|&words| vec![0.0; words * labels_in_all])
            .collect(),
    };
    let mut losses = Vec::new();
    let mut done = 0;
    for features_of_batch in features.chunks(batch_size.max(1)) {
        let (batch, labels) = pack(features_of_batch);
        let logits = model.forward(&batch, Mode::Inference)?;
        if labels.iter().any(Option::is_some) {
            losses.push(f64::from(
                model.loss(logits.clone(), &labels).into_scalar::<f32>(),
            ));
        }
        let logits = ner_model::Logits::read(logits)?;
        for (feature, range) in features_of_batch.iter().zip(batch.ranges()) {
            for (word, &place) in feature.words.clone().zip(&feature.first_subwords) {
                best[feature.sentence][word] = logits.best(range.start + place);
                if let Some(rows) = probabilities.get_mut(feature.sentence) {
                    let row = &mut rows[word * labels_in_all..(word + 1) * labels_in_all];
                    row.iter_mut()
                        .zip(logits.probabilities(range.start + place))
                        .for_each(|(slot, probability)| *slot = probability);
                }
            }
        }
        done += features_of_batch.len();
        progress(done, features.len());
    }
    if let Decoding::Constrained(transitions) = decoding {
        for (words, rows) in best.iter_mut().zip(&probabilities) {
            for (word, label) in transitions
                .best_sequence(rows)
                .into_iter()
                .flatten()
                .enumerate()
            {
                words[word] = (label, rows[word * labels_in_all + label]);
            }
        }
    }
    let loss = if losses.is_empty() {
        0.0
    } else {
        losses.iter().sum::<f64>() / losses.len() as f64
    };
    Ok((best, loss))
}
