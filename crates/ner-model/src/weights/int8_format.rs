//! Weights of 8-bit integers in a file: `NAME` of type I8, `[outputs, inputs]`, and `NAME_scale` with what 1 stands for in each output,
//! `[outputs, 1]`. These are the names and shapes of the `compressed-tensors` library's format `int-quantized`
//! (<https://github.com/vllm-project/compressed-tensors>), symmetric, by channel.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Bytes, DType, TensorData};
use burn_pack::{Error as PackError, Tensor as StoredTensor};
use serde_json::{Value, json};

use super::reading::Stored;
use crate::Error;
use crate::ops::QuantizedRows;

/// Ends the name of the scales of a tensor.
const SCALE: &str = "_scale";

/// A tensor of 8-bit integers with the scales of its rows.
#[derive(Clone, Debug)]
pub struct QuantizedTensor {
    values: StoredTensor,
    scales: StoredTensor,
}

impl QuantizedTensor {
    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.values.shape.to_vec().last().copied().unwrap_or(0)
    }

    /// The integers, row-major, and the scales of the rows.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> Result<(Bytes, Vec<f32>), String> {
        let failed = |e: PackError| format!("{e:?}");
        let values = self.values.to_bytes().map_err(failed)?;
        let scales = self.scales.to_bytes().map_err(failed)?;
        let (dtype, shape) = (self.scales.dtype, self.scales.shape.clone());
        let scales = TensorData::from_bytes(scales, shape, dtype);
        Ok((values, scales.iter::<f32>().collect()))
    }

    /// What the integers stand for.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn floats(&self) -> Result<Vec<f32>, String> {
        let (values, scales) = self.read()?;
        let rows = values.chunks_exact(self.width().max(1)).zip(scales);
        let floats = rows.flat_map(|(row, scale)| {
            row.iter()
                .map(move |&value| f32::from(value.cast_signed()) * scale)
        });
        Ok(floats.collect())
    }

    /// The same as floats that are computed when they are asked for.
    fn dequantized(self) -> StoredTensor {
        let (name, shape) = (self.values.name.clone(), self.values.shape.clone());
        let length = shape.num_elements() * size_of::<f32>();
        let read = move || {
            let floats = self.floats().map_err(PackError::ValidationError)?;
            Ok(Bytes::from_elems(floats))
        };
        StoredTensor::deferred(name, DType::F32, shape, None, length, read)
    }
}

/// Gives the tensors of 8-bit integers that have scales, and puts floats in their place.
///
/// # Errors
/// Scales that are not one for each row.
pub fn dequantize(
    stored: &mut Stored,
    path: &Path,
) -> Result<BTreeMap<String, QuantizedTensor>, Error> {
    let names = stored
        .iter()
        .filter(|(_, tensor)| tensor.dtype == DType::I8);
    let names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
    let mut quantized = BTreeMap::new();
    for name in names {
        let Some(scales) = stored.remove(&scale_name(&name)) else {
            continue;
        };
        let Some(values) = stored.get(&name).cloned() else {
            continue;
        };
        let rows = values.shape.to_vec().first().copied().unwrap_or(0);
        let is_row_scales = values.shape.to_vec().len() == 2
            && scales.shape.num_elements() == rows
            && scales.dtype.is_float();
        if !is_row_scales {
            let (found, dtype) = (scales.shape.to_vec(), scales.dtype);
            return Err(Error::Tensor {
                path: path.to_owned(),
                reason: format!(
                    "is {dtype:?} of {found:?}, the rows of `{name}` ask for floats of [{rows}, 1]"
                ),
                name: scale_name(&name),
            });
        }
        let tensor = QuantizedTensor { values, scales };
        stored.insert(name.clone(), tensor.clone().dequantized());
        quantized.insert(name, tensor);
    }
    Ok(quantized)
}

/// The name of the scales of a tensor.
pub fn scale_name(name: &str) -> String {
    format!("{name}{SCALE}")
}

/// The name of the tensor whose scales these are, or the name itself.
pub fn without_scale(name: &str) -> &str {
    name.strip_suffix(SCALE).unwrap_or(name)
}

/// Whether a tensor holds the scales of another.
pub fn is_scale(name: &str) -> bool {
    name.ends_with(SCALE)
}

/// A tensor and its scales, of floats `[rows, width]`.
///
/// # Errors
/// The tensor cannot be read.
pub fn quantize(tensor: &StoredTensor) -> Result<[StoredTensor; 2], String> {
    let shape = tensor.shape.to_vec();
    let width = shape.last().copied().unwrap_or(0);
    let bytes = tensor.to_bytes().map_err(|e| format!("{e:?}"))?;
    let floats = TensorData::from_bytes(bytes, shape.clone(), tensor.dtype);
    let floats: Vec<f32> = floats.iter::<f32>().collect();
    let QuantizedRows { values, scales } = QuantizedRows::new(&floats, width);
    let stored = |name: String, dtype, shape: Vec<usize>, bytes: Bytes| {
        let bytes = bytes.shared();
        let length = bytes.len();
        let read = move || Ok(bytes.clone());
        StoredTensor::deferred(name, dtype, shape, None, length, read)
    };
    let rows = scales.len();
    Ok([
        stored(
            tensor.name.clone(),
            DType::I8,
            shape,
            Bytes::from_elems(values),
        ),
        stored(
            scale_name(&tensor.name),
            DType::F32,
            vec![rows, 1],
            Bytes::from_elems(scales),
        ),
    ])
}

/// What `config.json` says of such weights, as `compressed-tensors` reads it.
pub fn config() -> Value {
    let integers = |strategy: &str, dynamic: bool| json!({"num_bits": 8, "type": "int", "symmetric": true, "strategy": strategy, "dynamic": dynamic});
    json!({
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "quantization_status": "compressed",
        "ignore": ["classifier"],
        "config_groups": {
            "group_0": {"targets": ["Linear"], "weights": integers("channel", false), "input_activations": integers("token", true)},
            "group_1": {"targets": ["Embedding"], "weights": integers("channel", false)},
        },
    })
}
