//! A teacher's part in the loss of a student (Hinton et al. 2015, <https://arxiv.org/abs/1503.02531>, section 2).
//!
//! The loss of a word with the teacher's probabilities `p`, the student's logits `z` and a gold label `y` is
//!
//! ```text
//! (1 - gold_weight) · T² · KL(p_T ‖ softmax(z / T)) + gold_weight · -log softmax(z)[y]
//! ```
//!
//! where `p_T` are the teacher's logits at the same temperature `T`; a word without gold label has the first term alone, with weight 1. `T²`
//! makes the gradient as large as that of the second term whatever `T` is. The loss of a batch is the mean over its words. Weights of labels
//! and label smoothing act within the gold term as they do without a teacher.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use ner_model::ModelConfig;
use ner_tagger::PretokenizedSentence;

use crate::error::{Error, Result};
use crate::features::Feature;
use crate::settings::{DistillSettings, TrainSettings};
use crate::soft_targets::{self, SoftTargets};

/// What a student learns beside gold labels, or in their place.
#[derive(Clone, Debug, PartialEq)]
pub struct Distillation {
    /// How it counts.
    pub settings: DistillSettings,
    /// What the teacher says of every word of the training data.
    pub targets: SoftTargets,
}

impl Distillation {
    /// Fitted to a student: with its order of labels.
    ///
    /// # Errors
    /// Settings that cannot work, or that speak of single sub-words; a student with a CRF, with other labels, or, where hidden states count,
    /// of another width; other sentences than the teacher's.
    pub(crate) fn prepared(
        self,
        student: &ModelConfig,
        settings: &TrainSettings,
        sentences: &[PretokenizedSentence],
    ) -> Result<Self> {
        self.settings.check(student, settings)?;
        self.targets.check_words(sentences)?;
        if self.settings.hidden_loss_weight > 0.0 {
            let layers = self.targets.hidden_layers();
            let reason = match self.targets.hidden_size() {
                Some(width)
                    if width == student.hidden_size && layers > student.num_hidden_layers =>
                {
                    Some(format!(
                        "hidden states after {layers} layers, of which the student has {}",
                        student.num_hidden_layers
                    ))
                }
                Some(width) if width == student.hidden_size => None,
                Some(width) => Some(format!(
                    "the teacher's hidden states are {width} wide, the student's {}",
                    student.hidden_size
                )),
                None => Some("hidden states are those of one teacher".to_owned()),
            };
            if let Some(reason) = reason {
                return Err(Error::Setting {
                    name: "hidden_loss_weight",
                    reason,
                });
            }
        }
        Ok(Self {
            targets: self
                .targets
                .in_order_of(&student.id2label, "the student's")?,
            ..self
        })
    }

    /// What the gold labels of a batch count in its loss: `gold_weight` times the share of its words that have one.
    pub(crate) fn gold_share(&self, features: &[&Feature]) -> f64 {
        let gold = words(features).filter(|(_, _, has_gold)| *has_gold);
        self.settings.gold_weight * (gold.count() as f64 / word_count(features))
    }

    /// The teacher's part in the loss of some of a batch's sequences; nothing where it has none. `share` is that of one word of the batch.
    pub(crate) fn part(&self, features: &[&Feature], share: f64) -> Option<SoftPart> {
        let DistillSettings {
            distillation_temperature: temperature,
            gold_weight,
            hidden_loss_weight,
        } = self.settings;
        let has_hidden = hidden_loss_weight > 0.0;
        if !has_hidden
            && gold_weight == 1.0
            && words(features).all(|(_, word, has_gold)| has_gold || word.is_none())
        {
            return None;
        }
        let mut part = SoftPart {
            temperature,
            labels: self.targets.labels().len(),
            weighted: Vec::new(),
            logs: Vec::new(),
            hidden: None,
        };
        let mut hidden = SoftStates {
            layers: self.targets.hidden_layers(),
            ..SoftStates::default()
        };
        let numbers = hidden.layers * self.targets.hidden_size().unwrap_or(0); // of a word
        for (feature, word, has_gold) in words(features) {
            let Some(word) = word else {
                part.add_nothing();
                if has_hidden {
                    hidden.add(&vec![0.0; numbers], 0.0);
                }
                continue;
            };
            let own = if has_gold { 1.0 - gold_weight } else { 1.0 };
            let weight = own * temperature * temperature * share;
            part.add(self.targets.word(feature.sentence, word), weight);
            let states = self.targets.hidden_states(feature.sentence, word);
            if let Some(states) = states.filter(|_| has_hidden) {
                hidden.add(states, hidden_loss_weight * share / numbers as f64);
            }
        }
        part.hidden = has_hidden.then_some(hidden);
        Some(part)
    }
}

/// The number of words that features decide; 1 where there is none.
pub(crate) fn word_count(features: &[&Feature]) -> f64 {
    let words = features.iter().map(|feature| feature.first_subwords.len());
    words.sum::<usize>().max(1) as f64
}

/// What each target of a batch's logits is: a word of a feature, by its number in the sentence, or none; and whether it has a gold label.
fn words<'f>(
    features: &'f [&'f Feature],
) -> impl Iterator<Item = (&'f Feature, Option<usize>, bool)> {
    features.iter().flat_map(|&feature| {
        let targets = feature.targets().into_iter();
        targets.map(move |place| {
            let found = feature.first_subwords.binary_search(&place).ok();
            let word = found.map(|number| feature.words.start + number);
            (feature, word, feature.labels[place].is_some())
        })
    })
}

/// The teacher's part in the loss of one pass.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SoftPart {
    temperature: f64,
    labels: usize,
    /// The teacher's probabilities, each times the weight of its word in the loss, `[targets, labels]`.
    weighted: Vec<f32>,
    /// Logarithms of the probabilities, `[targets, labels]`.
    logs: Vec<f32>,
    hidden: Option<SoftStates>,
}

/// Hidden states of a teacher.
#[derive(Clone, Debug, Default, PartialEq)]
struct SoftStates {
    /// The student's last so many layers learn them.
    layers: usize,
    /// `[targets, layers * hidden]`
    values: Vec<f32>,
    /// What the squared difference of an element counts, `[targets, 1]`.
    weights: Vec<f32>,
}

impl SoftStates {
    fn add(&mut self, states: &[f32], weight: f64) {
        self.values.extend_from_slice(states);
        self.weights.push(weight as f32);
    }
}

impl SoftPart {
    /// The next target is a word.
    fn add(&mut self, logits: &[f32], weight: f64) {
        for log in soft_targets::log_softmax(logits, self.temperature) {
            self.weighted.push((weight * log.exp()) as f32);
            self.logs.push(log as f32);
        }
    }

    /// The next target is none that the teacher speaks of.
    fn add_nothing(&mut self) {
        let length = self.logs.len() + self.labels;
        self.weighted.resize(length, 0.0);
        self.logs.resize(length, 0.0);
    }

    /// Those of a student's layers whose hidden states the loss asks for.
    pub(crate) fn layers(&self, of_student: usize) -> Vec<usize> {
        let count = self.hidden.as_ref().map_or(0, |states| states.layers);
        (of_student.saturating_sub(count)..of_student).collect()
    }

    /// The weighted sum over words of `T² · KL(p_T ‖ softmax(z / T))`, and that of the squared differences of hidden states.
    ///
    /// # Shapes
    /// - logits: `[targets, labels]`, hidden: of each of [`layers`](Self::layers) `[targets, hidden]`, output: `[1]`
    pub(crate) fn loss(&self, logits: Tensor<2>, hidden: Vec<Tensor<2>>) -> Tensor<1> {
        let device = logits.device();
        let table = |values: &[f32], columns: usize| table(values, columns, &device);
        let weighted = table(&self.weighted, self.labels);
        let logs = table(&self.logs, self.labels);
        let student = log_softmax(logits / self.temperature, 1); // [targets, labels]
        let divergence = (weighted * (logs - student)).sum();
        let Some(states) = &self.hidden else {
            return divergence;
        };
        let hidden = Tensor::cat(hidden, 1);
        let [_, width] = hidden.dims();
        let difference = hidden - table(&states.values, width);
        let squares = difference.clone() * difference * table(&states.weights, 1);
        divergence + squares.sum()
    }
}

fn table(values: &[f32], columns: usize, device: &Device) -> Tensor<2> {
    let shape = [values.len() / columns, columns];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

#[cfg(test)]
mod tests;
