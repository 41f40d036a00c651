//! Models opened for inference alone: word embeddings stay in the file, and linear layers are packed as they are read.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use burn_pack::Tensor as StoredTensor;
use rayon::prelude::*;

use super::int8_format::QuantizedTensor;
use super::matching::Parameter;
use super::{
    Checkpoint, Fill, LoadReport, RowTable, WORD_EMBEDDINGS, WordRows, all_values, floats,
};
use crate::model::Form;
use crate::ops::{Ops, PackedLinear, PackedWeights, Packing};
use crate::{Error, ModelConfig, Precision, TokenClassifier};

const ENCODER: &str = "encoder.";

impl TokenClassifier {
    /// Opens the weights of a model directory for inference: as [`load`](Self::load), then [`with_precision`](Self::with_precision), but on a
    /// CPU with less time and memory. The word embeddings stay in the file, of which only the rows are read that a text needs; linear layers
    /// of [`Precision::Int8`] and [`Precision::Bf16`] are packed as they are read, from 8-bit integers where the file holds such
    /// ([`StoredModel::quantize`](crate::StoredModel::quantize)). Without a precision, such a file is for int8, any other for f32.
    ///
    /// The model cannot be saved. What its values are is not copied: the file should not be written into while the model is used (to replace it
    /// is fine).
    ///
    /// # Errors
    /// As [`load`](Self::load) and [`with_precision`](Self::with_precision).
    pub fn open(
        dir: &Path,
        config: &ModelConfig,
        device: &Device,
        precision: Option<Precision>,
    ) -> Result<(Self, LoadReport), Error> {
        if !matches!(Ops::for_device(device), Ops::Fused(_)) || device.is_autodiff() {
            let (model, report) = Self::load(dir, config, device, 0)?;
            let precision = precision.unwrap_or_default();
            return Ok((model.with_precision(precision)?, report));
        }
        let (model, checkpoint) = Checkpoint::read(config, device, dir)?;
        let precision = precision.unwrap_or(if checkpoint.quantized.is_empty() {
            Precision::F32
        } else {
            Precision::Int8
        });
        let report = checkpoint.matched.report(&checkpoint.path);
        let opened = Opened::read(checkpoint, Form::new(device, precision)?)?;
        Ok((opened.fill(model, device), report))
    }
}

/// What an opened model is made of.
struct Opened {
    words: Option<RowTable>,
    ops: Ops,
    values: HashMap<String, TensorData>,
    /// Parameters that stay empty.
    empty: Vec<ParamId>,
}

/// The parameters of a model, by what becomes of them.
#[derive(Default)]
struct Sorted {
    words: Option<StoredTensor>,
    /// Weights of linear layers that are packed.
    layers: Vec<(Parameter, StoredTensor)>,
    others: Vec<(Parameter, StoredTensor)>,
    empty: Vec<ParamId>,
}

impl Sorted {
    fn new(tensors: Vec<(Parameter, StoredTensor)>, form: &Form) -> Self {
        let mut sorted = Self::default();
        for (parameter, tensor) in tensors {
            let is_packed = match form {
                Form::Packed(Packing::Bf16) => parameter.is_projection,
                Form::Packed(Packing::Int8) => is_of_layer(&parameter),
                Form::Whole(_) => false,
            };
            if parameter.path == WORD_EMBEDDINGS {
                sorted.empty.push(parameter.id);
                sorted.words = Some(tensor);
                continue;
            }
            if is_packed {
                sorted.layers.push((parameter.clone(), tensor.clone()));
            }
            // What lies outside the layers is small, and the model is asked for its device by it.
            if is_packed && is_of_layer(&parameter) {
                sorted.empty.push(parameter.id);
            } else {
                sorted.others.push((parameter, tensor));
            }
        }
        sorted
    }
}

/// Whether a parameter is the weight of a linear layer of the encoder.
fn is_of_layer(parameter: &Parameter) -> bool {
    parameter.is_projection && parameter.path.starts_with(ENCODER)
}

impl Opened {
    fn read(checkpoint: Checkpoint, form: Form) -> Result<Self, Error> {
        let Checkpoint {
            path,
            matched,
            quantized,
        } = checkpoint;
        let failed = |name: &str, reason: String| Error::Tensor {
            path: path.clone(),
            name: name.to_owned(),
            reason,
        };
        let sorted = Sorted::new(matched.tensors, &form);
        let values = all_values(sorted.others, &path)?;
        let words = sorted.words.map(|tensor| {
            let name = tensor.name.clone();
            let table = match quantized.get(&name) {
                Some(integers) => RowTable::quantized(integers),
                None => RowTable::new(tensor),
            };
            table.map_err(|reason| failed(&name, reason))
        });
        let ops = match form {
            Form::Whole(ops) => ops,
            Form::Packed(packing) => {
                let layers = sorted.layers.into_par_iter().map(|(parameter, tensor)| {
                    let name = tensor.name.clone();
                    let bias = values.get(&bias_path(&parameter.path));
                    let packed = pack(packing, tensor, quantized.get(&name), bias);
                    Ok((
                        parameter.id,
                        packed.map_err(|reason| failed(&name, reason))?,
                    ))
                });
                let layers = layers.collect::<Result<HashMap<_, _>, Error>>()?;
                Ops::Packed(Arc::new(PackedWeights::of_layers(packing, layers)))
            }
        };
        Ok(Self {
            words: words.transpose()?,
            ops,
            values,
            empty: sorted.empty,
        })
    }

    fn fill(self, model: TokenClassifier, device: &Device) -> TokenClassifier {
        let model = model.map(&mut Empty(self.empty));
        let model = model.map(&mut Fill {
            path: Vec::new(),
            values: self.values,
            device: device.clone(),
        });
        let words = self.words.map(|table| Arc::new(table) as Arc<dyn WordRows>);
        model.with_ops(self.ops).with_words(words)
    }
}

/// The path of the bias of a linear layer.
fn bias_path(weight: &str) -> String {
    let layer = weight.strip_suffix("weight").unwrap_or(weight);
    format!("{layer}bias")
}

/// Packs the weights of a linear layer, which may be stored as `integers`.
fn pack(
    packing: Packing,
    tensor: StoredTensor,
    integers: Option<&QuantizedTensor>,
    bias: Option<&TensorData>,
) -> Result<PackedLinear, String> {
    let (outputs, inputs) = (tensor.shape[0], tensor.shape[1]);
    let bias = bias.map_or_else(|| vec![0.0; outputs], |bias| bias.iter().collect());
    if let (Packing::Int8, Some(integers)) = (packing, integers) {
        let (values, scales) = integers.read()?;
        let values: Vec<i8> = values.iter().map(|byte| byte.cast_signed()).collect();
        if let Some(packed) = PackedLinear::of_integers(&values, scales, inputs, &bias) {
            return Ok(packed);
        }
    }
    Ok(PackedLinear::new(packing, &floats(tensor)?, inputs, bias))
}

/// Makes parameters empty.
struct Empty(Vec<ParamId>);

impl ModuleMapper for Empty {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.0.contains(&param.id) {
            return param;
        }
        let (id, device) = (param.id, param.lazy_device());
        Param::initialized(id, Tensor::zeros([0; D], &device))
    }
}
