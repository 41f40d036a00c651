//! Tags for sentences, and how good they are.

use ner_metrics::{EntityReport, Mode as CountingRule, Scheme};
use ner_model::ops::Ops;
use ner_model::{Mode, TokenClassifier, Transitions};

use crate::error::Result;
use crate::features::{Feature, Featurizer, Sentence, label_ids, pack};
use crate::order::batches_by_length;

/// Sub-words of a forward pass in inference that suit the model's device, padding included where it pads.
pub fn batch_tokens(model: &TokenClassifier) -> usize {
    match model.ops() {
        // Hidden states of so many stay in a CPU's cache from one operation to the next; matrix products are no slower than of more.
        Ops::Fused | Ops::Int8(_) => 1024,
        // A GPU wants much to do at once.
        Ops::Plain | Ops::Bf16 => 4096,
    }
}

/// What evaluation found.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Mean of the losses of batches of `batch_size` sequences in the data's order, as the reference reports it.
    pub loss: f64,
    /// Entity scores by seqeval's default rule.
    pub report: EntityReport,
    /// The predicted tags, one a word.
    pub predicted: Vec<Vec<String>>,
}

/// Predicts tags for sentences that have some, and compares. `featurizer` has the model's tokenizer and the context that it was trained with;
/// `batch_size` decides nothing but the loss that is reported.
///
/// `progress` is called after each batch with the numbers of sequences done and to do.
///
/// # Errors
/// A tag that is not among the model's labels, a tokenizer that fails, or a batch that does not fit the model.
pub fn evaluate(
    model: &TokenClassifier,
    featurizer: &Featurizer<'_>,
    sentences: &[Sentence],
    decoding: &Decoding,
    batch_size: usize,
    progress: impl FnMut(usize, usize),
) -> Result<Evaluation> {
    let labels = &model.config().id2label;
    let gold = label_ids(sentences, labels)?;
    let features = featurizer.features(sentences, Some(&gold))?;
    let lengths = word_counts(sentences);
    let batch_tokens = batch_tokens(model);
    let (best, losses) = predict(model, &features, &lengths, decoding, batch_tokens, progress)?;
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
        loss: mean_of_batches(&losses, batch_size),
        report,
        predicted,
    })
}

/// How labels are chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Decoding {
    /// The likeliest label of each word by itself.
    #[default]
    Argmax,
    /// The likeliest sequence by the scores of which label follows which.
    Constrained(Transitions),
}

impl Decoding {
    /// How a model's labels are chosen: by its CRF where it has one, and among the well-formed sequences of the scheme where one is given.
    ///
    /// # Errors
    /// A label that the scheme does not know.
    pub fn new(model: &TokenClassifier, scheme: Option<Scheme>) -> Result<Self> {
        let legal = scheme.map(|scheme| {
            let table = scheme.legal_transitions(&model.config().id2label)?;
            let [start, end, between] =
                [table.start(), table.end(), table.between()].map(<[bool]>::to_vec);
            Result::Ok(Transitions::new(start, end, between)?)
        });
        Ok(match (model.transitions(), legal.transpose()?) {
            (None, None) => Self::Argmax,
            (Some(scores), None) | (None, Some(scores)) => Self::Constrained(scores),
            (Some(learnt), Some(legal)) => Self::Constrained(learnt.and(&legal)),
        })
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

/// Predicts one tag for each word of each sentence, in passes of at most `batch_tokens` sub-words. `featurizer` has the model's tokenizer and
/// the context that it was trained with; the sentences need no tags.
///
/// # Errors
/// A tokenizer that fails, or a batch that does not fit the model.
pub fn tag(
    model: &TokenClassifier,
    featurizer: &Featurizer<'_>,
    sentences: &[Sentence],
    decoding: &Decoding,
    batch_tokens: usize,
    progress: impl FnMut(usize, usize),
) -> Result<Vec<Vec<WordTag>>> {
    let features = featurizer.features(sentences, None)?;
    let lengths = word_counts(sentences);
    let (best, _) = predict(model, &features, &lengths, decoding, batch_tokens, progress)?;
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

fn word_counts(sentences: &[Sentence]) -> Vec<usize> {
    sentences
        .iter()
        .map(|sentence| sentence.words.len())
        .collect()
}

/// For each word of each sentence the number of its best label, and that label's probability.
type BestLabels = Vec<Vec<(usize, f32)>>;

/// Loss of one sequence: the sum over its labelled sub-words, and their number.
type SequenceLoss = (f64, usize);

/// The mean over batches of the mean over each batch's labelled sub-words; batches without any do not count.
fn mean_of_batches(losses: &[SequenceLoss], batch_size: usize) -> f64 {
    let means: Vec<f64> = losses
        .chunks(batch_size.max(1))
        .filter_map(|batch| {
            let labelled: usize = batch.iter().map(|(_, labelled)| labelled).sum();
            let sum: f64 = batch.iter().map(|(sum, _)| sum).sum();
            (labelled > 0).then(|| sum / labelled as f64)
        })
        .collect();
    means.iter().sum::<f64>() / means.len().max(1) as f64
}

/// The best label of every word, and each sequence's loss.
fn predict(
    model: &TokenClassifier,
    features: &[Feature],
    lengths: &[usize],
    decoding: &Decoding,
    batch_tokens: usize,
    mut progress: impl FnMut(usize, usize),
) -> Result<(BestLabels, Vec<SequenceLoss>)> {
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
    let learnt = model.transitions();
    let mut losses = vec![(0.0, 0); features.len()];
    let mut done = 0;
    let sub_words: Vec<usize> = features.iter().map(|feature| feature.ids.len()).collect();
    for numbers in batches_by_length(&sub_words, batch_tokens) {
        let (batch, _) = pack(numbers.iter().map(|&number| &features[number]));
        let logits = ner_model::Logits::read(model.forward(&batch, Mode::Inference)?)?;
        for (&number, range) in numbers.iter().zip(batch.ranges()) {
            let feature = &features[number];
            for (word, &place) in feature.words.clone().zip(&feature.first_subwords) {
                best[feature.sentence][word] = logits.best(range.start + place);
                if let Some(rows) = probabilities.get_mut(feature.sentence) {
                    let row = &mut rows[word * labels_in_all..(word + 1) * labels_in_all];
                    row.iter_mut()
                        .zip(logits.probabilities(range.start + place))
                        .for_each(|(slot, probability)| *slot = probability);
                }
            }
            let labelled = range.zip(&feature.labels);
            let labelled = labelled.filter_map(|(sub_word, label)| Some((sub_word, (*label)?)));
            let (sub_words, labels): (Vec<usize>, Vec<u32>) = labelled.unzip();
            let loss = match &learnt {
                Some(scores) => {
                    let rows: Vec<&[f32]> = sub_words.iter().map(|&at| logits.row(at)).collect();
                    scores.negative_log_likelihood(&rows, &labels)
                }
                None => sub_words
                    .iter()
                    .zip(&labels)
                    .map(|(&at, &label)| logits.cross_entropy(at, label as usize))
                    .sum(),
            };
            losses[number] = (loss, labels.len());
        }
        done += numbers.len();
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
    Ok((best, losses))
}
