//! The word embeddings of a model at work: rows of the file, made into numbers as they are asked for.

use std::fmt;

use burn::tensor::{Bytes, DType};
use burn_pack::Tensor as StoredTensor;

use super::int8_format::QuantizedTensor;
use super::{check_is_float, extend_with_floats};

/// A table of embeddings `[rows, width]` in the type of its file. Of a mapped file only the rows are ever read that a text uses.
pub struct RowTable {
    bytes: Bytes,
    dtype: DType,
    width: usize,
    /// Of each row of 8-bit integers: what 1 stands for.
    scales: Vec<f32>,
}

impl fmt::Debug for RowTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowTable[{:?}, {}]", self.dtype, self.width)
    }
}

impl RowTable {
    /// A table of floats.
    ///
    /// # Errors
    /// The tensor cannot be read, or is not of floats.
    pub fn new(tensor: StoredTensor) -> Result<Self, String> {
        let (_, dtype, shape, _, bytes) = tensor.into_parts().map_err(|e| format!("{e:?}"))?;
        check_is_float(dtype)?;
        let width = shape.last().copied().unwrap_or(0);
        Ok(Self {
            bytes,
            dtype,
            width,
            scales: Vec::new(),
        })
    }

    /// A table of 8-bit integers.
    ///
    /// # Errors
    /// The tensor cannot be read.
    pub fn quantized(tensor: &QuantizedTensor) -> Result<Self, String> {
        let (bytes, scales) = tensor.read()?;
        Ok(Self {
            width: tensor.width(),
            dtype: DType::I8,
            bytes,
            scales,
        })
    }

    /// Rows, one after the other.
    ///
    /// # Panics
    /// There is no such row.
    pub fn rows(&self, ids: &[i64]) -> Vec<f32> {
        let mut out = Vec::with_capacity(ids.len() * self.width);
        let row_bytes = self.width * self.dtype.size();
        for &id in ids {
            let row = id as usize;
            let bytes = &self.bytes[row * row_bytes..][..row_bytes];
            match self.scales.get(row) {
                Some(scale) => out.extend(
                    bytes
                        .iter()
                        .map(|byte| f32::from(byte.cast_signed()) * scale),
                ),
                None => extend_with_floats(&mut out, self.dtype, bytes),
            }
        }
        out
    }
}
