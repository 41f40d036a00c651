//! Word embeddings that lie outside of a model and are read as they are asked for: rows of its file, or of another place.

use std::fmt;

use burn::tensor::{Bytes, DType};
use burn_pack::Tensor as StoredTensor;

use super::int8_format::QuantizedTensor;
use super::{check_is_float, extend_with_floats};
use crate::Error;

/// A table of word embeddings `[vocabulary, width]` that lies outside of a model.
pub trait WordRows: fmt::Debug + Send + Sync {
    /// The rows of these sub-words, one after the other.
    ///
    /// # Errors
    /// They cannot be read.
    fn rows(&self, ids: &[u32]) -> Result<Vec<f32>, Error>;
}

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
}

impl WordRows for RowTable {
    /// # Panics
    /// There is no such row.
    fn rows(&self, ids: &[u32]) -> Result<Vec<f32>, Error> {
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
        Ok(out)
    }
}
