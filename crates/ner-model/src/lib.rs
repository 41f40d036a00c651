//! Token classification with BERT, RoBERTa and their kin on Burn: configuration, encoder, weights, device, decoding.

mod batch;
mod config;
mod crf;
mod decode;
mod device;
mod error;
mod family;
mod model;
pub mod ops;
mod posterior;
mod weights;

pub use batch::Batch;
pub use burn::tensor::Device;
pub use config::{EncoderSizes, Head, ModelConfig};
pub use crf::Crf;
pub use decode::{Logits, Transitions};
pub use device::{DeviceChoice, read};
pub use error::Error;
pub use family::ModelType;
pub use model::{Basis, LayerView, Mode, TokenClassifier};
pub use ops::Precision;
pub use posterior::Posterior;
pub use weights::{LoadReport, StoredModel, WeightSize};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
