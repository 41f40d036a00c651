//! The settings of a training run, each written once.
//!
//! The documentation of a field is the help of its flag. A new field wants a line in `fixtures/settings/changed.json`; nothing else names it.

mod check;
mod data;
mod decoding;
mod distillation;
mod evaluation;
mod loss;
mod optimizer;
mod output;
mod schedule;

use std::sync::Arc;

use ner_model::{Head, Precision, TokenClassifier};
use ner_tagger::Tagger;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use subword_align::SubwordTokenizer;

pub use self::data::DataSettings;
pub use self::decoding::DecodeSettings;
pub use self::distillation::DistillSettings;
pub use self::evaluation::{BestMetric, EvaluationSettings};
pub use self::loss::{ClassWeights, LossSettings};
pub use self::optimizer::OptimizerSettings;
pub use self::output::OutputSettings;
pub use self::schedule::ScheduleSettings;
use crate::error::{Error, Result};
use crate::features::Featurizer;

/// Settings of a run. The defaults are those with which the tutorial calls `run_ner.py` (April 2020), and that script's own; only
/// [`decoding`](Self::decoding) is better than the script's.
///
/// ```
/// use ner_train::TrainSettings;
///
/// let settings = TrainSettings::default().with(|settings| {
///     settings.optimizer.learning_rate = 3e-5;
///     settings.schedule.epochs = 5;
/// });
/// assert_eq!(settings.data.batch_size, 32);
/// ```
///
/// serde has all of them in one table: `{"epochs": 5, "learning_rate": 3e-5}`. Reading takes any of the keys and leaves the others at their
/// defaults; an unknown key is an error that names the nearest known one. With the feature `clap` these structs are `clap::Args`:
/// `--epochs 5 --learning-rate 3e-5`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct TrainSettings {
    /// Decides order, dropout and a new classifier's weights.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().seed))]
    pub seed: u64,
    /// Numbers of the matrix products: f32, or `bf16` on a GPU or a processor with AVX512-BF16 (weights and everything else stay f32).
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().precision))]
    pub precision: Precision,
    /// Sequences and batches.
    #[serde(flatten)]
    #[cfg_attr(feature = "clap", command(flatten, next_help_heading = "Data"))]
    pub data: DataSettings,
    /// AdamW, and what it leaves alone.
    #[serde(flatten)]
    #[cfg_attr(feature = "clap", command(flatten, next_help_heading = "Optimizer"))]
    pub optimizer: OptimizerSettings,
    /// Length of the run, and the learning rate over its steps.
    #[serde(flatten)]
    #[cfg_attr(feature = "clap", command(flatten, next_help_heading = "Schedule"))]
    pub schedule: ScheduleSettings,
    /// What the loss counts.
    #[serde(flatten)]
    #[cfg_attr(feature = "clap", command(flatten, next_help_heading = "Loss"))]
    pub loss: LossSettings,
    /// Evaluation on the development data, and when it ends the run.
    #[serde(flatten)]
    #[cfg_attr(feature = "clap", command(flatten, next_help_heading = "Evaluation"))]
    pub evaluation: EvaluationSettings,
    /// How evaluation chooses tags.
    #[serde(flatten)]
    #[cfg_attr(feature = "clap", command(flatten))]
    pub decoding: DecodeSettings,
    /// Log and checkpoints.
    #[serde(flatten)]
    #[cfg_attr(
        feature = "clap",
        command(flatten, next_help_heading = "Log and checkpoints")
    )]
    pub output: OutputSettings,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            seed: 42,
            precision: Precision::F32,
            data: DataSettings::default(),
            optimizer: OptimizerSettings::default(),
            schedule: ScheduleSettings::default(),
            loss: LossSettings::default(),
            evaluation: EvaluationSettings::default(),
            decoding: DecodeSettings::default(),
            output: OutputSettings::default(),
        }
    }
}

impl<'de> Deserialize<'de> for TrainSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let given = Map::deserialize(deserializer)?;
        Self::from_given(given).map_err(serde::de::Error::custom)
    }
}

impl TrainSettings {
    /// These settings after a change.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// A model as the run evaluates it, and as it is to be used.
    ///
    /// # Errors
    /// `max_length` is more than the model takes or leaves no room beside the special tokens, or the decoding does not fit the labels.
    pub fn tagger(
        &self,
        model: TokenClassifier,
        tokenizer: impl Into<Arc<SubwordTokenizer>>,
    ) -> Result<Tagger> {
        let builder = Tagger::builder()
            .decode(self.decoding.decode)
            .scheme(self.decoding.decode_scheme)
            .max_length(Some(self.data.max_length))
            .document_context(Some(self.data.document_context));
        Ok(builder.build(model, tokenizer)?)
    }

    /// What makes the sequences that the run learns from.
    ///
    /// # Errors
    /// `max_length` leaves no room beside the special tokens.
    pub fn featurizer<'a>(&self, tokenizer: &'a SubwordTokenizer) -> Result<Featurizer<'a>> {
        let featurizer = Featurizer::new(tokenizer, self.data.max_length)?;
        Ok(featurizer.with_document_context(self.data.document_context))
    }

    /// What differs, between these settings as a checkpoint has them and others, in those that decide the weights or the best model.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        // Reading a JSON number may be off by its last bit, so the others are read as well.
        let read = |settings: &Self| {
            let text = serde_json::to_string(settings).ok()?;
            serde_json::from_str::<Self>(&text).ok()
        };
        let mut other = read(other).unwrap_or_else(|| other.clone());
        // These only decide what is said and saved, and when.
        other.output = self.output;
        if self.evaluation.best_metric != BestMetric::Loss {
            // The loss is a mean over batches.
            other.evaluation.eval_batch_size = self.evaluation.eval_batch_size;
        }
        let other = other.fields();
        self.fields()
            .into_iter()
            .filter(|(key, value)| other.get(key) != Some(value))
            .map(|(key, value)| format!("{key} was {value}, is {}", other[&key]))
            .collect()
    }

    /// Refuses what only a loss of single words knows.
    pub(crate) fn check_head(&self, head: Head) -> Result<()> {
        match self.loss.first_of_single_words() {
            Some(name) if head == Head::Crf => Err(Error::Setting {
                name,
                reason:
                    "goes with the linear head only; a CRF's loss is of whole sequences of words"
                        .to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The name of the first such setting, and why it cannot work.
    pub fn check(&self) -> Result<()> {
        self.data.check()?;
        self.optimizer.check()?;
        self.schedule.check()?;
        self.loss.check()?;
        self.evaluation.check()?;
        self.output.check()
    }

    /// Every setting by its key.
    fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }

    /// The defaults with these values in their places, or which key is unknown, or has a value of the wrong kind.
    fn from_given(given: Map<String, Value>) -> std::result::Result<Self, String> {
        let mut settings = Self::default();
        let mut fields = settings.fields();
        for (key, value) in given {
            let Some(place) = fields.get_mut(&key) else {
                return Err(unknown(&key, fields.keys()));
            };
            *place = value;
            settings = Self::from_fields(&fields).map_err(|error| format!("`{key}`: {error}"))?;
        }
        Ok(settings)
    }

    /// The settings of a table that has all of them.
    fn from_fields(fields: &Map<String, Value>) -> serde_json::Result<Self> {
        let all = || Value::Object(fields.clone());
        Ok(Self {
            seed: serde_json::from_value(fields["seed"].clone())?,
            precision: serde_json::from_value(fields["precision"].clone())?,
            data: serde_json::from_value(all())?,
            optimizer: serde_json::from_value(all())?,
            schedule: serde_json::from_value(all())?,
            loss: serde_json::from_value(all())?,
            evaluation: serde_json::from_value(all())?,
            decoding: serde_json::from_value(all())?,
            output: serde_json::from_value(all())?,
        })
    }
}

/// Names the nearest of the known keys, or all of them.
fn unknown<'k>(key: &str, known: impl Iterator<Item = &'k String> + Clone) -> String {
    /// Jaro similarity from which on a name is a slip of another; what clap takes for flags.
    const ALIKE: f64 = 0.7;
    let alike = |known: &String| strsim::jaro(known, key);
    let nearest = known
        .clone()
        .map(|known| (alike(known), known))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        Some((similarity, nearest)) if similarity > ALIKE => {
            format!("unknown setting `{key}`; did you mean `{nearest}`?")
        }
        _ => {
            let known: Vec<&str> = known.map(String::as_str).collect();
            format!("unknown setting `{key}`; there are {}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests;
