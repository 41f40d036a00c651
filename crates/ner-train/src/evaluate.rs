//! Tags for sentences, and how good they are.

use std::ops::Range;
use std::thread;

use ner_metrics::{EntityReport, Mode as CountingRule, Scheme};
use ner_model::ops::Ops;
use ner_model::{Batch, Logits, Mode, TokenClassifier, Transitions};

use crate::ahead::spread;
use crate::error::Result;
use crate::features::{Feature, Featurizer, Sentence, label_ids, pack};
use crate::order::even_batches_by_length;

/// Sub-words of a forward pass in inference that suit the model's device, each sequence counted as long as the longest.
pub fn batch_tokens(model: &TokenClassifier) -> usize {
    match model.ops() {
        // Hidden states of so many stay in a CPU's cache from one operation to the next; matrix products are no slower than of more.
        Ops::Fused => 1024,
        Ops::Int8(_) => 512,
        // A GPU wants much to do at once.
        Ops::Plain | Ops::Bf16 => 16_384,
    }
}

/// How many passes of inference are computed at a time: a processor's threads are fastest with one each.
pub(crate) fn passes_at_once(model: &TokenClassifier) -> usize {
    match model.ops() {
        Ops::Fused | Ops::Int8(_) => rayon::current_num_threads(),
        Ops::Plain | Ops::Bf16 => 1,
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
/// `progress` is called after each batch with the numbers of sentences done and to do.
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
    let data = Data {
        featurizer,
        sentences,
        gold: Some(label_ids(sentences, labels)?),
        at_once: passes_at_once(model),
    };
    let (best, losses) = predict(model, &data, decoding, batch_tokens(model), progress)?;
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
    /// A label that the scheme does not know, or a device that fails.
    pub fn new(model: &TokenClassifier, scheme: Option<Scheme>) -> Result<Self> {
        let legal = scheme.map(|scheme| {
            let table = scheme.legal_transitions(&model.config().id2label)?;
            let [start, end, between] =
                [table.start(), table.end(), table.between()].map(<[bool]>::to_vec);
            Result::Ok(Transitions::new(start, end, between)?)
        });
        Ok(match (model.transitions()?, legal.transpose()?) {
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

/// Predicts one tag for each word of each sentence, in passes of about `batch_tokens` sub-words at most. `featurizer` has the model's tokenizer and
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
    let data = Data {
        featurizer,
        sentences,
        gold: None,
        at_once: passes_at_once(model),
    };
    let (best, _) = predict(model, &data, decoding, batch_tokens, progress)?;
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

/// What is predicted.
struct Data<'a> {
    featurizer: &'a Featurizer<'a>,
    sentences: &'a [Sentence],
    /// Labels of each sentence's words, where they are known.
    gold: Option<Vec<Vec<u32>>>,
    /// How many passes are computed at a time.
    at_once: usize,
}

/// Sequences that are read in one pass, each with its number in the whole data.
struct Pass {
    sequences: Vec<(usize, Feature)>,
    batch: Batch,
}

impl Data<'_> {
    /// The sentences in passes of about `batch_tokens` sub-words at most, made group by group as they are asked for.
    fn passes(&self, batch_tokens: usize) -> impl Iterator<Item = Result<Pass>> + Send {
        let mut before = 0;
        let groups = self.featurizer.groups(self.sentences, GROUP);
        groups.into_iter().flat_map(move |group| {
            let passes = self.passes_of(group, before, batch_tokens);
            before += passes
                .iter()
                .flatten()
                .map(|pass| pass.sequences.len())
                .sum::<usize>();
            passes
        })
    }

    /// The passes of a group of sentences, whose first sequence has the number `before`.
    fn passes_of(
        &self,
        group: Range<usize>,
        before: usize,
        batch_tokens: usize,
    ) -> Vec<Result<Pass>> {
        let gold = self.gold.as_ref().map(|gold| &gold[group.clone()]);
        let features = self
            .featurizer
            .features(&self.sentences[group.clone()], gold);
        let mut features: Vec<Option<Feature>> = match features {
            Ok(features) => features.into_iter().map(Some).collect(),
            Err(error) => return vec![Err(error)],
        };
        for feature in features.iter_mut().flatten() {
            feature.sentence += group.start;
        }
        let length = |feature: &Option<Feature>| feature.as_ref().map_or(0, |f| f.ids.len());
        let lengths: Vec<usize> = features.iter().map(length).collect();
        let batches = even_batches_by_length(&lengths, batch_tokens, self.at_once).into_iter();
        let pass = |numbers: Vec<usize>| {
            let taken = numbers.into_iter().filter_map(|number| {
                features[number]
                    .take()
                    .map(|feature| (before + number, feature))
            });
            let sequences: Vec<(usize, Feature)> = taken.collect();
            let (batch, _) = pack(sequences.iter().map(|(_, feature)| feature));
            Ok(Pass { sequences, batch })
        };
        batches.map(pass).collect()
    }
}

/// Sentences that are made into passes together, sequences of like length in one.
const GROUP: usize = 512;

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
    data: &Data<'_>,
    decoding: &Decoding,
    batch_tokens: usize,
    mut progress: impl FnMut(usize, usize),
) -> Result<(BestLabels, Vec<SequenceLoss>)> {
    let words_of = |sentence: &Sentence| sentence.words.len();
    let lengths = data.sentences.iter().map(words_of);
    let mut best: BestLabels = lengths.clone().map(|words| vec![(0, 0.0); words]).collect();
    let labels_in_all = model.config().id2label.len();
    let mut probabilities: Vec<Vec<f32>> = match decoding {
        Decoding::Argmax => Vec::new(),
        Decoding::Constrained(_) => lengths
            .map(|words| vec![0.0; words * labels_in_all])
            .collect(),
    };
    let learnt = model.transitions()?;
    let mut losses = Vec::new();
    let without_words = |sentence: &&Sentence| sentence.words.is_empty();
    let mut done = data.sentences.iter().filter(without_words).count();
    thread::scope(|scope| -> Result<()> {
        let forward = |pass: Result<Pass>| {
            let pass = pass?;
            let logits = Logits::read(model.forward(&pass.batch, Mode::Inference)?)?;
            Result::Ok((pass, logits))
        };
        let passes = data.passes(batch_tokens);
        for pass in spread(scope, passes, data.at_once, forward) {
            let (Pass { sequences, batch }, logits) = pass?;
            for ((number, feature), rows) in sequences.iter().zip(batch.target_ranges()) {
                // (row of the logits, place in the sequence)
                let targets: Vec<(usize, usize)> = rows.zip(feature.targets()).collect();
                let decided = targets
                    .iter()
                    .filter(|(_, place)| feature.first_subwords.binary_search(place).is_ok());
                for (word, &(row, _)) in feature.words.clone().zip(decided) {
                    best[feature.sentence][word] = logits.best(row);
                    if let Some(of_sentence) = probabilities.get_mut(feature.sentence) {
                        of_sentence[word * labels_in_all..(word + 1) * labels_in_all]
                            .iter_mut()
                            .zip(logits.probabilities(row))
                            .for_each(|(slot, probability)| *slot = probability);
                    }
                }
                let labelled = targets
                    .iter()
                    .filter_map(|&(row, place)| Some((row, feature.labels[place]?)));
                let (rows, labels): (Vec<usize>, Vec<u32>) = labelled.unzip();
                let loss = match &learnt {
                    Some(scores) => {
                        let rows: Vec<&[f32]> = rows.iter().map(|&row| logits.row(row)).collect();
                        scores.negative_log_likelihood(&rows, &labels)
                    }
                    None => rows
                        .iter()
                        .zip(&labels)
                        .map(|(&row, &label)| logits.cross_entropy(row, label as usize))
                        .sum(),
                };
                losses.resize(losses.len().max(number + 1), (0.0, 0));
                losses[*number] = (loss, labels.len());
                done += usize::from(feature.words.start == 0); // the first of its sentence
            }
            progress(done, data.sentences.len());
        }
        Ok(())
    })?;
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
