//! What a user asks for: the numbers that a model is computed with.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::Ops;
use crate::Error;

/// Numbers that a model is computed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 8-bit integers in the linear layers, for inference on a CPU: inputs are quantized for each sub-word as they come, weights for each output.
    /// A processor that has AVX2 but not AVX512-VNNI takes weights of 6 bits (-31 to 31), which it multiplies faster. Attention of long sequences
    /// multiplies bf16 where the processor does (AVX512-BF16).
    Int8,
    /// bf16 in matrix products, f32 elsewhere, for training and inference: on a GPU, where activations are kept in it from one operation to the
    /// next, and on a CPU that multiplies bf16 (AVX512-BF16), where
    /// attention's own products are in f32 while a model is trained, and in tagging those of short sequences.
    Bf16,
    /// What tags fastest on the device, for inference: [`Int8`](Self::Int8) on a CPU, [`Bf16`](Self::Bf16) on a GPU.
    Auto,
}

impl Precision {
    /// What [`Auto`](Self::Auto) stands for on a device; any other is itself.
    #[must_use]
    pub fn resolve(self, device: &Device) -> Self {
        match (self, Ops::for_device(device)) {
            (Self::Auto, Ops::Plain(_)) => Self::Bf16, // the same on every GPU
            (Self::Auto, _) => Self::Int8,
            (other, _) => other,
        }
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "f32" => Ok(Self::F32),
            "int8" => Ok(Self::Int8),
            "bf16" => Ok(Self::Bf16),
            "auto" => Ok(Self::Auto),
            _ => Err(Error::Precision(format!(
                "`{text}` is none; expected f32, int8, bf16 or auto"
            ))),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
            Self::Bf16 => "bf16",
            Self::Auto => "auto",
        })
    }
}
