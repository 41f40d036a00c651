//! `config.json` as the model hub writes it.
//!
//! Field names are those of `transformers`' configurations (BERT's; DistilBERT's own names are read and written too); fields that this crate
//! does not use are kept and written back.

mod labels;
mod sizes;

use std::path::Path;

use model_dir::{CONFIG, read_text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ops::LossWeights;
use crate::{Error, ModelType};

pub use sizes::EncoderSizes;

/// Configuration of an encoder with a token-classification head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Architecture family.
    pub model_type: ModelType,
    /// Number of sub-words, special tokens included.
    pub vocab_size: usize,
    /// Width of the encoder.
    pub hidden_size: usize,
    /// Width of the embeddings where it is not `hidden_size` (ELECTRA), from which a projection leads to the encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_size: Option<usize>,
    /// Number of encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads a layer; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Activation of the feed-forward layer: only `gelu`, the exact one with erf.
    #[serde(default = "default_activation")]
    pub hidden_act: String,
    /// Dropout on hidden states. Default: 0.1.
    #[serde(default = "default_dropout")]
    pub hidden_dropout_prob: f64,
    /// Dropout on attention probabilities. Default: 0.1.
    #[serde(default = "default_dropout")]
    pub attention_probs_dropout_prob: f64,
    /// Dropout before the classifier; `hidden_dropout_prob` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier_dropout: Option<f64>,
    /// Rows of the position table (RoBERTa's first `pad_token_id + 1` rows are never used by a token). Default: 512.
    #[serde(default = "default_positions")]
    pub max_position_embeddings: usize,
    /// Rows of the token-type table. Default: 2. DistilBERT has no such table.
    #[serde(default = "default_token_types")]
    pub type_vocab_size: usize,
    /// Epsilon of LayerNorm. Default: 1e-12.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Standard deviation of random weights. Default: 0.02.
    #[serde(default = "default_initializer_range")]
    pub initializer_range: f64,
    /// Id of the padding sub-word; the RoBERTa families number positions from `pad_token_id + 1`. Default: 1 there, 0 elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad_token_id: Option<u32>,
    /// Label of each class, by class number. Default: `LABEL_0`, `LABEL_1`, as `transformers` names unnamed classes. [`from_dir`](Self::from_dir)
    /// takes them from `label2id` or `num_labels` too.
    #[serde(default = "labels::default", with = "labels")]
    pub id2label: Vec<String>,
    /// What decides label sequences. Default: each word by itself.
    #[serde(default, skip_serializing_if = "Head::is_linear")]
    pub head: Head,
    /// Sub-words of its document on each side of a sentence in the sequences that the model was trained on, for those who make sequences to
    /// use it on. Default: 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub document_context: usize,
    /// Tagging scheme of the labels, under the name that its writer gives it (`IOB2`, `BILOU`), for those who read entities from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagging_scheme: Option<String>,
    /// What label scores are divided by before they become probabilities, for those who decode them; found on held-out data (Guo et al. 2017,
    /// <https://arxiv.org/abs/1706.04599>). Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration_temperature: Option<f64>,
    /// Everything else in the file, kept as it was.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What decides label sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// Each word's own scores.
    #[default]
    Linear,
    /// These and learnt scores for which label follows which ([`Crf`](crate::Crf)).
    Crf,
}

impl Head {
    /// What [`TokenClassifier::training_loss`](crate::TokenClassifier::training_loss) divides the sum over its sub-words by: the sum of their
    /// labels' weights, or with a CRF their number; 1 where that is 0. It weighs the losses of parts of a batch so that they add up to the loss
    /// of the whole.
    pub fn loss_divisor(self, labels: &[Option<u32>], weights: &LossWeights) -> f64 {
        match self {
            Self::Linear => f64::from(weights.total(labels)),
            Self::Crf => labels.iter().flatten().count().max(1) as f64,
        }
    }

    fn is_linear(&self) -> bool {
        *self == Self::Linear
    }
}

/// Name of the field that [`ModelConfig::record_temperature`] writes.
const TEMPERATURE: &str = "calibration_temperature";
/// The key under which `config.json` says that weights are integers.
pub(crate) const QUANTIZATION: &str = "quantization_config";

fn check_temperature(temperature: f64) -> Result<(), String> {
    if temperature.is_finite() && temperature > 0.0 {
        Ok(())
    } else {
        Err(format!(
            "{TEMPERATURE} is {temperature}, expected a number above 0"
        ))
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}
fn default_activation() -> String {
    "gelu".to_owned()
}
fn default_dropout() -> f64 {
    0.1
}
fn default_positions() -> usize {
    512
}
fn default_token_types() -> usize {
    2
}
fn default_layer_norm_eps() -> f64 {
    1e-12
}
fn default_initializer_range() -> f64 {
    0.02
}
impl ModelConfig {
    /// A configuration of the given family and sizes with `transformers`' defaults for the rest.
    ///
    /// `usable_positions` is the longest sequence of sub-words, special tokens included.
    pub fn new(model_type: ModelType, sizes: &EncoderSizes, labels: Vec<String>) -> Self {
        let (type_vocab_size, layer_norm_eps) = if model_type.counts_from_padding() {
            (1, 1e-5)
        } else {
            (2, default_layer_norm_eps())
        };
        let mut config = Self {
            head: Head::Linear,
            document_context: 0,
            tagging_scheme: None,
            calibration_temperature: None,
            model_type,
            vocab_size: sizes.vocab_size,
            hidden_size: sizes.hidden_size,
            embedding_size: None,
            num_hidden_layers: sizes.num_hidden_layers,
            num_attention_heads: sizes.num_attention_heads,
            intermediate_size: sizes.intermediate_size,
            hidden_act: default_activation(),
            hidden_dropout_prob: default_dropout(),
            attention_probs_dropout_prob: default_dropout(),
            classifier_dropout: None,
            max_position_embeddings: 0,
            type_vocab_size,
            layer_norm_eps,
            initializer_range: default_initializer_range(),
            pad_token_id: Some(model_type.default_padding()),
            id2label: labels,
            extra: Map::new(),
        };
        config.max_position_embeddings = sizes
            .usable_positions
            .saturating_add(config.first_position());
        config
    }

    /// Reads `config.json` of a model directory.
    ///
    /// # Errors
    /// The file is missing, is not JSON, lacks a size, or asks for something this crate does not implement.
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(CONFIG);
        let text = read_text(&path)?;
        let config_error = |reason: String| Error::Config {
            path: path.clone(),
            reason,
        };
        let config = Self::parse(&text).map_err(config_error)?;
        config.check().map_err(config_error)?;
        Ok(config)
    }

    /// The configuration in a text, under the family's own field names.
    fn parse(text: &str) -> Result<Self, String> {
        let json = |error: serde_json::Error| error.to_string();
        Self::from_fields(serde_json::from_str(text).map_err(json)?)
    }

    /// The configuration that these fields of a file make.
    pub(crate) fn from_fields(mut fields: Map<String, Value>) -> Result<Self, String> {
        let json = |error: serde_json::Error| error.to_string();
        if let Some(model_type) = fields.get("model_type") {
            let model_type = ModelType::deserialize(model_type).map_err(json)?;
            for (own, common) in model_type.field_names() {
                if let Some(value) = fields.remove(*own) {
                    fields.insert((*common).to_owned(), value);
                }
            }
        }
        labels::resolve(&mut fields)?;
        serde_json::from_value(Value::Object(fields)).map_err(json)
    }

    /// Its fields under the family's own names.
    fn fields(&self) -> serde_json::Result<Map<String, Value>> {
        let mut fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(self)?)?;
        for (own, common) in self.model_type.field_names() {
            if let Some(value) = fields.remove(*common) {
                fields.insert((*own).to_owned(), value);
            }
        }
        Ok(fields)
    }

    /// The same configuration without what it says of integers in the weights' file, for weights that are floats.
    pub(crate) fn of_floats(&self) -> Self {
        let mut config = self.clone();
        config.extra.shift_remove(QUANTIZATION);
        config
    }

    /// Writes `config.json` with `label2id` and `architectures` filled, as `transformers` expects it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        let mut config = self.clone();
        for key in labels::NUMBERS_OF_LABELS {
            config.extra.shift_remove(key); // `id2label` says it
        }
        let label2id: Map<String, Value> = self
            .id2label
            .iter()
            .enumerate()
            .map(|(id, label)| (label.clone(), id.into()))
            .collect();
        config
            .extra
            .insert("label2id".to_owned(), Value::Object(label2id));
        config.extra.insert(
            "architectures".to_owned(),
            serde_json::json!([self.model_type.architecture()]),
        );
        // Weights are written in f32, whatever the checkpoint had; the key is `dtype` since transformers 5.
        for key in ["dtype", "torch_dtype"] {
            if let Some(value) = config.extra.get_mut(key) {
                *value = "float32".into();
            }
        }
        let path = dir.join(CONFIG);
        let text = config
            .fields()
            .and_then(|fields| serde_json::to_string_pretty(&fields))
            .map_err(|e| Error::Config {
                path: path.clone(),
                reason: e.to_string(),
            })?;
        Ok(model_dir::write(&path, text + "\n")?)
    }

    /// Writes a temperature into the `config.json` of a directory and leaves all else there as it is.
    ///
    /// # Errors
    /// A temperature that is not above 0, or a file that cannot be read or written.
    pub fn record_temperature(dir: &Path, temperature: f64) -> Result<(), Error> {
        let path = dir.join(CONFIG);
        let config_error = |reason: String| Error::Config {
            path: path.clone(),
            reason,
        };
        check_temperature(temperature).map_err(config_error)?;
        let text = read_text(&path)?;
        let fields = serde_json::from_str::<Map<String, Value>>(&text);
        let mut fields = fields.map_err(|error| config_error(error.to_string()))?;
        fields.insert(TEMPERATURE.to_owned(), temperature.into());
        let text = serde_json::to_string_pretty(&fields);
        let text = text.map_err(|error| config_error(error.to_string()))?;
        Ok(model_dir::write(&path, text + "\n")?)
    }

    fn check(&self) -> Result<(), String> {
        check_temperature(self.calibration_temperature.unwrap_or(1.0))?;
        self.check_sizes()?;
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        if self.hidden_act != "gelu" {
            return Err(format!(
                "hidden_act `{}` is not implemented, only `gelu` (exact) is",
                self.hidden_act
            ));
        }
        if self.max_position_embeddings <= self.first_position() {
            return Err(format!(
                "max_position_embeddings {} leaves no usable position",
                self.max_position_embeddings
            ));
        }
        let probabilities = [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            (
                "attention_probs_dropout_prob",
                self.attention_probs_dropout_prob,
            ),
            ("classifier_dropout", self.classifier_dropout.unwrap_or(0.0)),
        ];
        for (name, value) in probabilities {
            if !(0.0..1.0).contains(&value) {
                return Err(format!(
                    "{name} is {value}, expected a probability in [0, 1)"
                ));
            }
        }
        if !(self.initializer_range.is_finite() && self.initializer_range >= 0.0) {
            return Err(format!(
                "initializer_range is {}, expected a standard deviation",
                self.initializer_range
            ));
        }
        match self
            .extra
            .get("position_embedding_type")
            .and_then(Value::as_str)
        {
            None | Some("absolute") => Ok(()),
            Some(other) => Err(format!(
                "position_embedding_type `{other}` is not implemented, only `absolute` is"
            )),
        }
    }

    /// Position number of a sequence's first sub-word: the RoBERTa families count from `pad_token_id + 1`, the others from 0.
    pub fn first_position(&self) -> usize {
        if self.model_type.counts_from_padding() {
            self.pad_token_id() as usize + 1
        } else {
            0
        }
    }

    /// Width of the embeddings: the encoder's, but where ELECTRA says otherwise.
    pub fn embedding_size(&self) -> usize {
        match self.model_type {
            ModelType::Electra => self.embedding_size.unwrap_or(self.hidden_size),
            _ => self.hidden_size,
        }
    }

    /// Longest sequence of sub-words that the position table serves, special tokens included.
    pub fn usable_positions(&self) -> usize {
        self.max_position_embeddings - self.first_position()
    }

    /// Id of the padding sub-word.
    pub fn pad_token_id(&self) -> u32 {
        self.pad_token_id
            .unwrap_or_else(|| self.model_type.default_padding())
    }

    /// Sets all three dropout probabilities.
    ///
    /// # Errors
    /// A probability outside of [0, 1).
    pub fn set_dropout(&mut self, probability: f64) -> Result<(), Error> {
        if !(0.0..1.0).contains(&probability) {
            return Err(Error::Dropout(probability));
        }
        self.hidden_dropout_prob = probability;
        self.attention_probs_dropout_prob = probability;
        self.classifier_dropout = Some(probability);
        Ok(())
    }

    /// Dropout before the classifier.
    pub fn classifier_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout_prob)
    }

    /// Whether the labels are only the numbered names that `transformers` gives to unnamed classes (`LABEL_0`, …).
    pub fn has_placeholder_labels(&self) -> bool {
        self.id2label == labels::unnamed(self.id2label.len())
    }
}

#[cfg(test)]
mod tests;
