//! A checkpoint as its files have it; saved with fewer sub-words or layers, or with its weights as 8-bit integers.
//!
//! No model is made of it: tensors keep their names and number types (the blocks of a GGUF file become f32), and those that this crate has no
//! place for stay (language-model heads, poolers). An encoder without a classifier has none afterwards.

use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::DType;
use burn_pack::Tensor as StoredTensor;
use model_dir::{CONFIG, SAFETENSORS, read_text};
use serde_json::{Map, Value};

use super::matching::check_layers;
use super::names::{layer_number, renumbered_layer};
use super::reading::{Stored, read_tensors};
use super::{FORMAT, NewTensor, WORD_EMBEDDINGS, int8_format, write_safetensors};
use crate::config::QUANTIZATION;
use crate::{Error, ModelConfig};

/// Other tensors that have a row for each sub-word: the heads of language models.
const LANGUAGE_MODEL_HEADS: [&str; 10] = [
    "lm_head.bias",
    "lm_head.decoder.weight",
    "lm_head.decoder.bias",
    "cls.predictions.bias",
    "cls.predictions.decoder.weight",
    "cls.predictions.decoder.bias",
    "vocab_projector.weight",
    "vocab_projector.bias",
    "generator_lm_head.weight",
    "generator_lm_head.bias",
];
/// Ends the keys of `config.json` that hold the id of a sub-word, or a list of them.
const ID_KEY: &str = "_token_id";

/// The configuration and the weights of a model directory, unchanged but for what was taken out.
pub struct StoredModel {
    config: ModelConfig,
    /// `config.json`, key by key.
    fields: Map<String, Value>,
    /// The weight file or the index of several.
    path: PathBuf,
    tensors: Stored,
}

/// How large weights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightSize {
    /// Numbers that training sets.
    pub parameters: u64,
    /// Bytes of all tensors.
    pub bytes: u64,
}

impl fmt::Debug for StoredModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredModel")
            .field("path", &self.path)
            .field("config", &self.config)
            .field("tensors", &self.tensors.len())
            .finish()
    }
}

impl StoredModel {
    /// Opens a model directory. Names, types and shapes are read, weights only when they are saved.
    ///
    /// # Errors
    /// No configuration or weights, unreadable ones, fewer layers than `config.json` asks for, no word embeddings, or more or fewer of them
    /// than its `vocab_size`.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let config = ModelConfig::from_dir(dir)?;
        let config_path = dir.join(CONFIG);
        let fields = serde_json::from_str(&read_text(&config_path)?);
        let fields = fields.map_err(|e| Error::Config {
            path: config_path,
            reason: e.to_string(),
        })?;
        let path = model_dir::weight_file(dir)?;
        let tensors = read_tensors(&path)?;
        check_layers(&config, &tensors, &path)?;
        let model = Self {
            config,
            fields,
            path,
            tensors,
        };
        model.check_word_embeddings()?;
        Ok(model)
    }

    fn check_word_embeddings(&self) -> Result<(), Error> {
        let path = self.path.clone();
        let mut tables = self
            .tensors
            .iter()
            .filter(|(name, _)| is_named(name, WORD_EMBEDDINGS));
        let Some((name, table)) = tables.next() else {
            return Err(Error::MissingTensors {
                path,
                names: vec![WORD_EMBEDDINGS.to_owned()],
            });
        };
        let expected = vec![self.config.vocab_size, self.config.embedding_size()];
        if *table.shape != *expected {
            return Err(Error::Shape {
                path,
                name: name.clone(),
                expected,
                found: table.shape.to_vec(),
            });
        }
        Ok(())
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The size of the weights.
    #[must_use]
    pub fn size(&self) -> WeightSize {
        let mut size = WeightSize {
            parameters: 0,
            bytes: 0,
        };
        for (name, tensor) in &self.tensors {
            size.bytes += tensor.byte_len() as u64;
            // Tables of position numbers, which old checkpoints hold, are no parameters.
            if (tensor.dtype.is_float() && !int8_format::is_scale(name))
                || tensor.dtype == DType::I8
            {
                size.parameters += tensor.shape.num_elements() as u64;
            }
        }
        size
    }

    /// Ids of the sub-words that `config.json` names, and of padding.
    #[must_use]
    pub fn token_ids(&self) -> Vec<u32> {
        let named = self.fields.iter().filter(|(key, _)| key.ends_with(ID_KEY));
        let named = named.flat_map(|(_, value)| match value {
            Value::Array(ids) => ids.as_slice(),
            id => std::slice::from_ref(id),
        });
        let named = named.filter_map(|id| id.as_u64()?.try_into().ok());
        named.chain([self.config.pad_token_id()]).collect()
    }

    /// The same model with the sub-words of `kept`, ascending ids: row `i` of its word embeddings, and of the language model's head where it has
    /// one, is the former row `kept[i]`. The ids that `config.json` names follow; those that are not kept stay as they were.
    ///
    /// # Errors
    /// [`Error::NoRow`] for a sub-word that a tensor has no row for; [`Error::KeptSubwords`] if they do not ascend, or not all of those are
    /// there from whose number positions are counted ([`ModelConfig::first_position`]).
    pub fn keep_subwords(mut self, kept: &[u32]) -> Result<Self, Error> {
        let first = self.config.first_position();
        let wrong = |reason: String| Err(Error::KeptSubwords(reason));
        if !kept.windows(2).all(|pair| pair[0] < pair[1]) {
            return wrong("they do not ascend".to_owned());
        }
        if (0..first).any(|id| kept.get(id).is_none_or(|kept| *kept as usize != id)) {
            return wrong(format!(
                "positions are counted from {first}, so the sub-words before that id must stay"
            ));
        }
        let is_of_vocabulary = |name: &str| {
            let mut names = LANGUAGE_MODEL_HEADS.iter().chain([&WORD_EMBEDDINGS]);
            let name = int8_format::without_scale(name);
            names.any(|of_vocabulary| is_named(name, of_vocabulary))
        };
        for (name, tensor) in &mut self.tensors {
            if is_of_vocabulary(name) {
                *tensor = select_rows(name, tensor, kept, &self.path)?;
            }
        }
        let new_id = |id: &mut Value| {
            let old = id.as_u64().and_then(|id| u32::try_from(id).ok());
            if let Some(Ok(new)) = old.map(|old| kept.binary_search(&old)) {
                *id = new.into();
            }
        };
        for (key, value) in &mut self.fields {
            match value {
                _ if !key.ends_with(ID_KEY) => {}
                Value::Array(ids) => ids.iter_mut().for_each(new_id),
                id => new_id(id),
            }
        }
        self.fields
            .insert("vocab_size".to_owned(), kept.len().into());
        self.with_new_fields()
    }

    /// The same model with the given encoder layers, numbered anew in their order.
    ///
    /// # Errors
    /// [`Error::KeptLayers`]: none, layers that the model does not have, or not in ascending order.
    pub fn keep_layers(mut self, kept: &[usize]) -> Result<Self, Error> {
        let layers = self.config.num_hidden_layers;
        let ascends = kept.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascends || kept.last().is_none_or(|last| *last >= layers) {
            let kept = kept.to_vec();
            return Err(Error::KeptLayers { kept, layers });
        }
        let model_type = self.config.model_type;
        let tensors = std::mem::take(&mut self.tensors).into_iter();
        self.tensors = tensors
            .filter_map(|(name, tensor)| {
                let Some(old) = layer_number(model_type, &name) else {
                    return Some((name, tensor));
                };
                let new = kept.binary_search(&old).ok()?;
                Some((renumbered_layer(model_type, &name, new)?, tensor))
            })
            .collect();
        let common = "num_hidden_layers";
        let own = model_type.field_names().iter().find(|(own, name)| {
            *name == common && (self.fields.contains_key(*own) || !self.fields.contains_key(common))
        });
        let key = own.map_or(common, |(own, _)| *own);
        self.fields.insert(key.to_owned(), kept.len().into());
        self.with_new_fields()
    }

    /// With the configuration that the changed fields make.
    fn with_new_fields(mut self) -> Result<Self, Error> {
        let config = ModelConfig::from_fields(self.fields.clone());
        self.config = config.map_err(|reason| Error::Config {
            path: self.path.with_file_name(CONFIG),
            reason,
        })?;
        Ok(self)
    }

    /// The same model with the weights of its layers as 8-bit integers, which [`Precision::Int8`](crate::Precision::Int8) computes with (with AVX2
    /// it makes smaller ones of them), and its word embeddings in 8 bits too; biases, other embeddings and what lies above the layers stay.
    /// `config.json` says so in the words of the `compressed-tensors` library.
    ///
    /// # Errors
    /// [`Error::Quantized`] if it is so already; a weight cannot be read.
    pub fn quantize(mut self) -> Result<Self, Error> {
        if self.fields.contains_key(QUANTIZATION) {
            return Err(Error::Quantized(self.path));
        }
        let model_type = self.config.model_type;
        for (name, tensor) in std::mem::take(&mut self.tensors) {
            let is_of_layer = layer_number(model_type, &name).is_some() && tensor.shape.len() == 2;
            let is_table = is_named(&name, WORD_EMBEDDINGS);
            if !tensor.dtype.is_float() || !(is_of_layer || is_table) {
                self.tensors.insert(name, tensor);
                continue;
            }
            let parts = int8_format::quantize(&tensor).map_err(|reason| Error::Tensor {
                path: self.path.clone(),
                name: name.clone(),
                reason,
            })?;
            let names = [name.clone(), int8_format::scale_name(&name)];
            self.tensors.extend(names.into_iter().zip(parts));
        }
        self.fields
            .insert(QUANTIZATION.to_owned(), int8_format::config());
        self.with_new_fields()
    }

    /// Writes `config.json` and `model.safetensors`, each beside its final name first.
    ///
    /// # Errors
    /// A weight cannot be read, or a file not written.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        let tensors = self
            .tensors
            .iter()
            .map(|(name, tensor)| NewTensor::of_stored(name.clone(), tensor.clone(), &self.path));
        write_safetensors(&dir.join(SAFETENSORS), &FORMAT, tensors.collect())?;
        let path = dir.join(CONFIG);
        let text = serde_json::to_string_pretty(&self.fields).map_err(|e| Error::Config {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        Ok(model_dir::write(&path, text + "\n")?)
    }
}

/// Whether a tensor's name is this one, after whatever prefix.
fn is_named(name: &str, last: &str) -> bool {
    name.strip_suffix(last)
        .is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('.'))
}

/// Some rows of a tensor, `[rows, ...]` to `[kept, ...]`; its data is read when it is asked for.
fn select_rows(
    name: &str,
    tensor: &StoredTensor,
    kept: &[u32],
    path: &Path,
) -> Result<StoredTensor, Error> {
    let mut shape = tensor.shape.to_vec();
    let rows = shape.first().copied().unwrap_or(0);
    if let Some(subword) = kept.iter().find(|id| **id as usize >= rows) {
        return Err(Error::NoRow {
            path: path.to_owned(),
            name: name.to_owned(),
            rows,
            subword: *subword,
        });
    }
    if rows == 0 {
        return Ok(tensor.clone());
    }
    let width = tensor.byte_len() / rows;
    shape[0] = kept.len();
    let (source, kept) = (tensor.clone(), kept.to_vec());
    let length = kept.len() * width;
    let select = move || {
        let bytes = source.to_bytes()?;
        let row = |id: &u32| &bytes[*id as usize * width..][..width];
        let selected: Vec<&[u8]> = kept.iter().map(row).collect();
        Ok(burn::tensor::Bytes::from_bytes_vec(selected.concat()))
    };
    let (name, dtype) = (tensor.name.clone(), tensor.dtype);
    Ok(StoredTensor::deferred(
        name, dtype, shape, None, length, select,
    ))
}
