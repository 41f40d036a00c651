//! Weights in and out under the model hub's tensor names.
//!
//! The hub stores a projection as `[outputs, inputs]` and calls LayerNorm's parameters `weight` and `bias` (`gamma` and `beta` in checkpoints
//! converted from TensorFlow); Burn stores `[inputs, outputs]`, `gamma` and `beta`. Values of 16 bits become f32.
//!
//! Pickled files are read by a parser that knows how tensors are described and runs nothing: what else a pickle asks for is passed over.

mod gguf;
mod int8_format;
mod mapped;
mod matching;
mod names;
mod opening;
mod reading;
mod rows;
mod stored_model;
mod writing;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, Param};
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, PathFilter};
use burn::tensor::{DType, Device, Tensor, TensorData, bf16, f16};
use burn_pack::Tensor as StoredTensor;
use model_dir::SAFETENSORS;
use rayon::prelude::*;

use self::int8_format::{QuantizedTensor, dequantize};
use self::matching::{Matched, Parameter, check_layers, other_labels};
use self::names::hub_name;
use self::reading::read_tensors;
use self::rows::RowTable;
pub use self::rows::WordRows;
pub use self::stored_model::{StoredModel, WeightSize};
pub use self::writing::{NewTensor, write_safetensors};
use crate::ops::fused::transpose;
use crate::{Error, ModelConfig, TokenClassifier};

/// Path of the word embeddings in a [`TokenClassifier`]; their name in a file ends so.
pub const WORD_EMBEDDINGS: &str = "embeddings.word_embeddings.weight";

/// What `transformers` asks of a file of weights.
const FORMAT: [(&str, &str); 1] = [("format", "pt")];

/// What a checkpoint gave, beside the tensors that were loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// The file that the weights came from, or the index of several.
    pub path: PathBuf,
    /// Why the classifier has random weights; `None` where the checkpoint's was loaded.
    pub new_classifier: Option<String>,
    /// Whether the configuration asks for a CRF that the checkpoint lacks: it begins by preferring no sequence.
    pub new_crf: bool,
    /// Tensors of the checkpoint that the model has no place for (language-model heads, poolers).
    pub unused: Vec<String>,
}

impl TokenClassifier {
    /// Loads the weights of a model directory.
    ///
    /// A classifier that the checkpoint lacks, or holds for other labels than `config` has, is drawn from `seed` and reported. Labels that the
    /// checkpoint does not name (`LABEL_0`, …) are taken for those of `config` where their number is the same.
    ///
    /// The configuration is held against the names and shapes in the file before there is room made for a weight.
    ///
    /// # Errors
    /// No weight file, an unreadable one, fewer layers than `config` asks for, a missing encoder tensor, or one of the wrong shape.
    pub fn load(
        dir: &Path,
        config: &ModelConfig,
        device: &Device,
        seed: u64,
    ) -> Result<(Self, LoadReport), Error> {
        let (model, Checkpoint { path, matched, .. }) = Checkpoint::read(config, device, dir)?;
        let report = matched.report(&path);
        let model = model.map(&mut Fill {
            path: Vec::new(),
            values: all_values(matched.tensors, &path)?,
            device: device.clone(),
        });
        Ok((model.drawn(device, seed), report))
    }

    /// Writes `config.json` and `model.safetensors`, which `transformers` opens with `AutoModelForTokenClassification.from_pretrained`.
    ///
    /// Each file is written beside its final name and renamed, so that an interrupted write leaves the former one.
    ///
    /// # Errors
    /// A file cannot be written, or the model was [opened](Self::open) for inference.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        if self.is_opened() {
            return Err(Error::OpenedForInference("that a file needs".to_owned()));
        }
        let (path, config) = (dir.join(SAFETENSORS), self.config());
        // The largest tensor of many a model, which may be elsewhere.
        let words = NewTensor::of_floats(
            hub_name(config.model_type, WORD_EMBEDDINGS),
            vec![config.vocab_size, config.embedding_size()],
            self.word_embedding_parts(),
        );
        let others = PathFilter::from_predicate(|path, _| path != WORD_EMBEDDINGS);
        let others = self.collect(Some(others), Some(Box::new(BurnToPyTorchAdapter)), true);
        let others = others.into_iter().map(|tensor| {
            let name = hub_name(config.model_type, &tensor.name);
            NewTensor::of_stored(name, tensor, &path)
        });
        write_safetensors(&path, &FORMAT, others.chain([words]).collect())?;
        config.of_floats().save(dir)
    }
}

/// The tensors of a model directory.
struct Checkpoint {
    /// The weight file or the index of several.
    path: PathBuf,
    matched: Matched,
    /// Those that are stored as 8-bit integers, by name.
    quantized: BTreeMap<String, QuantizedTensor>,
}

impl Checkpoint {
    /// A model whose weights are not drawn yet, and the tensors that it has a place for.
    ///
    /// # Errors
    /// As [`TokenClassifier::load`], but for tensors that cannot be read.
    fn read(
        config: &ModelConfig,
        device: &Device,
        dir: &Path,
    ) -> Result<(TokenClassifier, Self), Error> {
        let path = model_dir::weight_file(dir)?;
        let mut stored = read_tensors(&path)?;
        let quantized = dequantize(&mut stored, &path)?;
        check_layers(config, &stored, &path)?;
        let model = TokenClassifier::uninitialized(config, device);
        let matched = Matched::find(&model, stored, &path, other_labels(dir, config))?;
        let checkpoint = Self {
            path,
            matched,
            quantized,
        };
        Ok((model, checkpoint))
    }
}

impl Matched {
    fn report(&self, path: &Path) -> LoadReport {
        LoadReport {
            path: path.to_owned(),
            new_classifier: self.new_classifier.clone(),
            new_crf: self.new_crf,
            unused: self.unused.clone(),
        }
    }
}

/// The values of all tensors, by the paths of their parameters.
fn all_values(
    tensors: Vec<(Parameter, StoredTensor)>,
    path: &Path,
) -> Result<HashMap<String, TensorData>, Error> {
    let values = tensors.into_par_iter().map(|(parameter, tensor)| {
        let name = tensor.name.clone();
        let values = values(tensor, parameter.is_projection).map_err(|reason| Error::Tensor {
            path: path.to_owned(),
            name,
            reason,
        });
        Ok((parameter.path, values?))
    });
    values.collect()
}

/// The values of a stored tensor as f32 and, for a projection, as Burn lays it out.
fn values(tensor: StoredTensor, is_projection: bool) -> Result<TensorData, String> {
    let shape = tensor.shape.to_vec();
    let values = floats(tensor)?;
    if !is_projection {
        return Ok(TensorData::new(values, shape));
    }
    let (rows, columns) = (shape[0], shape[1]);
    Ok(TensorData::new(
        transpose(&values, columns),
        [columns, rows],
    ))
}

/// The values of a stored tensor as f32.
fn floats(tensor: StoredTensor) -> Result<Vec<f32>, String> {
    let (_, dtype, shape, _, bytes) = tensor.into_parts().map_err(|e| format!("{e:?}"))?;
    check_is_float(dtype)?;
    let mut floats = Vec::with_capacity(shape.num_elements());
    extend_with_floats(&mut floats, dtype, &bytes);
    Ok(floats)
}

fn check_is_float(dtype: DType) -> Result<(), String> {
    match dtype {
        DType::F32 | DType::F16 | DType::BF16 | DType::F64 => Ok(()),
        DType::I8 => Err("is of 8-bit integers, without a tensor of their scales".to_owned()),
        _ => Err(format!("is of {dtype:?}, which is no weight")),
    }
}

/// Numbers of a [float type](check_is_float) as f32.
fn extend_with_floats(out: &mut Vec<f32>, dtype: DType, bytes: &[u8]) {
    fn extend<const N: usize>(out: &mut Vec<f32>, bytes: &[u8], number: impl Fn([u8; N]) -> f32) {
        out.extend(bytes.as_chunks::<N>().0.iter().copied().map(number));
    }
    match dtype {
        DType::F16 => extend(out, bytes, |b| f16::from_le_bytes(b).to_f32()),
        DType::BF16 => extend(out, bytes, |b| bf16::from_le_bytes(b).to_f32()),
        DType::F64 => extend(out, bytes, |b| f64::from_le_bytes(b) as f32),
        _ => extend(out, bytes, f32::from_le_bytes),
    }
}

/// Gives parameters their values.
struct Fill {
    path: Vec<String>,
    values: HashMap<String, TensorData>,
    device: Device,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.values.remove(&self.path.join(".")) else {
            return param;
        };
        let id = param.id;
        param.transform_for_load(Tensor::from_data(values, &self.device), id)
    }
}
