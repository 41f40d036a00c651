//! The numbers of a training run.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ner_metrics::Scheme;
use ner_model::ops::LossWeights;
use ner_model::{Head, Precision};
use serde::{Deserialize, Serialize};
use subword_align::SubwordTokenizer;

use crate::error::{Error, Result};
use crate::evaluate::Evaluation;
use crate::features::Featurizer;

/// Settings of a run. The defaults are those with which the tutorial calls `run_ner.py` (April 2020), and that script's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// Passes over the training data. Default: 3.
    pub epochs: usize,
    /// Optimizer steps in all; overrides `epochs`. Default: none.
    pub max_steps: Option<usize>,
    /// Sequences a forward pass. Default: 32.
    pub batch_size: usize,
    /// Forward passes an optimizer step. Default: 1.
    pub gradient_accumulation_steps: usize,
    /// Longest sequence of sub-words, special tokens included; longer sentences become several windows. Default: 128.
    pub max_length: usize,
    /// Sub-words of the neighbouring sentences of its document on each side of a sentence, as far as `max_length` leaves room
    /// ([`Featurizer::with_document_context`]). Default: 0.
    pub document_context: usize,
    /// Peak learning rate. Default: 5e-5.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises from 0. Default: 0.
    pub warmup_steps: usize,
    /// Share of all steps over which the learning rate rises, in place of `warmup_steps`. Default: none.
    pub warmup_ratio: Option<f64>,
    /// Decoupled weight decay, never on biases and LayerNorm. Default: 0.
    pub weight_decay: f64,
    /// Added to the root of AdamW's second moment. Default: 1e-8.
    pub adam_epsilon: f64,
    /// Global gradient norm above which gradients are scaled down; 0 switches clipping off. Default: 1.
    pub max_grad_norm: f64,
    /// Decides order, dropout and a new classifier's weights. Default: 42.
    pub seed: u64,
    /// Whether each epoch has its own random order; else batches follow the data. Default: true.
    pub shuffle: bool,
    /// Whether the sequences of a step are of like length, which saves padding on devices that pad. Default: false.
    pub group_by_length: bool,
    /// Steps between rows of the log. Default: 100.
    pub logging_steps: usize,
    /// Steps between saved models, 0 for none but the last and the best. Default: 0.
    pub save_steps: usize,
    /// Steps between evaluations; 0 evaluates after each epoch. The last step is always followed by one. Default: 0.
    pub eval_steps: usize,
    /// Which development figure decides which model is the best. Default: F1.
    pub best_metric: BestMetric,
    /// Checkpoints kept, the latest ones; all where none. Default: none.
    pub save_total_limit: Option<usize>,
    /// Evaluations in a row without a better development figure after which the run ends; never where none. Default: none.
    pub early_stopping_patience: Option<usize>,
    /// Whether every sub-word of a word carries its label in training (`I-X` after `B-X`); tags are read off the first one all the same.
    /// Default: false.
    pub label_all_tokens: bool,
    /// Leave the embeddings as they are. Default: false.
    pub freeze_embeddings: bool,
    /// Leave the first so many encoder layers as they are. Default: 0.
    pub freeze_layers: usize,
    /// What the learning rate is multiplied with for each layer down from the classifier (Howard & Ruder 2018,
    /// <https://arxiv.org/abs/1801.06146>, section 3.2). Default: 1.
    pub layer_decay: f64,
    /// Share of the target that goes to all labels alike. Default: 0.
    pub label_smoothing: f64,
    /// Weights of labels in the loss; 1 for those not named. Default: none named.
    pub class_weights: BTreeMap<String, f64>,
    /// Tagging scheme whose well-formed sequences alone are predicted in evaluation (`iob2`, …); any sequence where none. Default: none.
    pub constrained_scheme: Option<String>,
    /// Numbers of the matrix products: f32, or bf16 on a GPU. Default: f32.
    pub precision: Precision,
    /// Sequences a forward pass in evaluation. Default: 8.
    pub eval_batch_size: usize,
}

/// A figure of an evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BestMetric {
    /// Entity F1, over all types.
    #[default]
    F1,
    /// Entity precision.
    Precision,
    /// Entity recall.
    Recall,
    /// Loss, the lower the better.
    Loss,
}

impl BestMetric {
    /// The figure, so that more is better.
    pub(crate) fn gain(self, evaluation: &Evaluation) -> f64 {
        let micro = &evaluation.report.micro;
        match self {
            Self::F1 => micro.f1,
            Self::Precision => micro.precision,
            Self::Recall => micro.recall,
            Self::Loss => -evaluation.loss,
        }
    }
}

impl FromStr for BestMetric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::F1, Self::Precision, Self::Recall, Self::Loss];
        let found = all.into_iter().find(|metric| metric.to_string() == text);
        found.ok_or_else(|| Error::Setting {
            name: "best_metric",
            reason: format!("`{text}` is none; expected f1, precision, recall or loss"),
        })
    }
}

impl fmt::Display for BestMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F1 => "f1",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Loss => "loss",
        })
    }
}

impl TrainSettings {
    /// What differs, between these settings as a checkpoint has them and others, in those that decide the weights or the best model.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        /// Settings that only decide what is said and saved, and when.
        const INDIFFERENT: [&str; 3] = ["logging_steps", "save_steps", "save_total_limit"];
        let is_indifferent = |name: &str| {
            // The loss is a mean over batches.
            let of_loss = name == "eval_batch_size" && self.best_metric != BestMetric::Loss;
            of_loss || INDIFFERENT.contains(&name)
        };
        let fields = |settings: &Self| match serde_json::to_value(settings) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        // Reading a JSON number may be off by its last bit, so the others are read as well.
        let read = |settings: &Self| {
            let text = serde_json::to_string(settings).ok()?;
            serde_json::from_str::<Self>(&text).ok()
        };
        let other = fields(&read(other).unwrap_or_else(|| other.clone()));
        fields(self)
            .into_iter()
            .filter(|(name, value)| !is_indifferent(name) && other.get(name) != Some(value))
            .map(|(name, value)| format!("{name} was {value}, is {}", other[&name]))
            .collect()
    }
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            epochs: 3,
            max_steps: None,
            batch_size: 32,
            gradient_accumulation_steps: 1,
            max_length: 128,
            document_context: 0,
            learning_rate: 5e-5,
            warmup_steps: 0,
            warmup_ratio: None,
            weight_decay: 0.0,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            seed: 42,
            shuffle: true,
            group_by_length: false,
            logging_steps: 100,
            save_steps: 0,
            eval_steps: 0,
            best_metric: BestMetric::F1,
            save_total_limit: None,
            early_stopping_patience: None,
            label_all_tokens: false,
            freeze_embeddings: false,
            freeze_layers: 0,
            layer_decay: 1.0,
            label_smoothing: 0.0,
            class_weights: BTreeMap::new(),
            constrained_scheme: None,
            precision: Precision::F32,
            eval_batch_size: 8,
        }
    }
}

impl TrainSettings {
    /// What makes the sequences that the run is evaluated on, and that its model is to be used on.
    ///
    /// # Errors
    /// `max_length` leaves no room beside the special tokens.
    pub fn featurizer<'a>(&self, tokenizer: &'a SubwordTokenizer) -> Result<Featurizer<'a>> {
        let featurizer = Featurizer::new(tokenizer, self.max_length)?;
        Ok(featurizer.with_document_context(self.document_context))
    }

    /// Steps of warm-up in a run of so many steps; a share is rounded up, as `transformers` rounds it.
    pub(crate) fn warmup(&self, total_steps: usize) -> usize {
        self.warmup_ratio.map_or(self.warmup_steps, |ratio| {
            (ratio * total_steps as f64).ceil() as usize
        })
    }

    /// The scheme of constrained decoding.
    pub(crate) fn decode_scheme(&self) -> Result<Option<Scheme>> {
        let parse = |name: &String| Ok(name.parse::<Scheme>()?);
        self.constrained_scheme.as_ref().map(parse).transpose()
    }

    /// The loss over these labels.
    pub(crate) fn loss_weights(&self, labels: &[String]) -> Result<LossWeights> {
        let unknown = self
            .class_weights
            .keys()
            .find(|name| !labels.contains(name));
        if let Some(name) = unknown {
            return Err(Error::Setting {
                name: "class_weights",
                reason: format!("`{name}` is not among the labels {}", labels.join(", ")),
            });
        }
        let weight = |label| self.class_weights.get(label).copied().unwrap_or(1.0) as f32;
        Ok(LossWeights {
            classes: labels.iter().map(weight).collect(),
            smoothing: self.label_smoothing as f32,
        })
    }

    /// Refuses what only a loss of single words knows.
    pub(crate) fn check_head(&self, head: Head) -> Result<()> {
        let foreign = [
            ("label_smoothing", self.label_smoothing != 0.0),
            ("class_weights", !self.class_weights.is_empty()),
            ("label_all_tokens", self.label_all_tokens),
        ];
        match foreign.into_iter().find(|(_, is_set)| *is_set) {
            Some((name, _)) if head == Head::Crf => Err(Error::Setting {
                name,
                reason:
                    "goes with the linear head only; a CRF's loss is of whole sequences of words"
                        .to_owned(),
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let positive = [
            ("epochs", self.epochs),
            ("max_steps", self.max_steps.unwrap_or(1)),
            ("batch_size", self.batch_size),
            (
                "gradient_accumulation_steps",
                self.gradient_accumulation_steps,
            ),
            ("logging_steps", self.logging_steps),
            ("eval_batch_size", self.eval_batch_size),
            ("save_total_limit", self.save_total_limit.unwrap_or(1)),
            (
                "early_stopping_patience",
                self.early_stopping_patience.unwrap_or(1),
            ),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(Error::Setting {
                name,
                reason: "must be at least 1".to_owned(),
            });
        }
        if let Some(ratio) = self
            .warmup_ratio
            .filter(|ratio| !(0.0..=1.0).contains(ratio))
        {
            return Err(Error::Setting {
                name: "warmup_ratio",
                reason: format!("{ratio} is no share between 0 and 1"),
            });
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(Error::Setting {
                name: "label_smoothing",
                reason: format!("{} is no share below 1", self.label_smoothing),
            });
        }
        if let Some((label, weight)) = self
            .class_weights
            .iter()
            .find(|(_, weight)| !weight.is_finite() || **weight < 0.0)
        {
            return Err(Error::Setting {
                name: "class_weights",
                reason: format!("{label}={weight} is not a number of 0 or more"),
            });
        }
        let not_negative = [
            ("layer_decay", self.layer_decay),
            ("learning_rate", self.learning_rate),
            ("weight_decay", self.weight_decay),
            ("adam_epsilon", self.adam_epsilon),
            ("max_grad_norm", self.max_grad_norm),
        ];
        match not_negative
            .into_iter()
            .find(|(_, value)| !value.is_finite() || *value < 0.0)
        {
            Some((name, value)) => Err(Error::Setting {
                name,
                reason: format!("{value} is not a number of 0 or more"),
            }),
            None => Ok(()),
        }
    }
}
