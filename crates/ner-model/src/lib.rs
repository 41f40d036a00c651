//! Token classification with BERT, RoBERTa and similar on Burn: configuration, encoder, weights, device, decoding.

mod batch;
mod config;
mod crf;
mod decode;
mod device;
mod error;
mod model;
mod model_type;
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
pub use model::{Basis, ForwardMode, LayerView, TokenClassifier};
pub use model_type::ModelType;
pub use ops::Precision;
pub use posterior::Posterior;
pub use weights::{
    LoadReport, NewTensor, StoredModel, WORD_EMBEDDINGS, WeightSize, WordRows, write_safetensors,
};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
