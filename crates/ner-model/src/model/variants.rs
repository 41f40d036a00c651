//! A model made into another one: other positions, frozen parts, another device, other numbers.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::Embedding;
use burn::tensor::{Device, Tensor, TensorData};

use super::TokenClassifier;
use crate::Error;
use crate::ops::{Int8Weights, Ops, Precision};

impl TokenClassifier {
    /// The same model with sinusoids in its position table (Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>, section 3.5), scaled to
    /// the given amplitude. They are trained on like random ones; a model that starts from nothing on little data learns sooner with
    /// them which words are neighbours.
    #[must_use]
    pub fn with_sinusoidal_positions(mut self, amplitude: f64) -> Self {
        const WAVELENGTHS: f64 = 10_000.0; // the longest over the shortest, as in the paper
        let first = self.config.first_position();
        self.embeddings.position_embeddings.weight =
            self.embeddings.position_embeddings.weight.map(|table| {
                let [rows, width] = table.dims();
                let value = |index: usize| {
                    let (row, column) = (index / width, index % width);
                    let angle = row.saturating_sub(first) as f64
                        / WAVELENGTHS.powf((column - column % 2) as f64 / width as f64);
                    let wave = if column % 2 == 0 {
                        angle.sin()
                    } else {
                        angle.cos()
                    };
                    if row < first {
                        0.0
                    } else {
                        (amplitude * wave) as f32
                    }
                };
                let values: Vec<f32> = (0..rows * width).map(value).collect();
                as_parameter(Tensor::from_data(
                    TensorData::new(values, [rows, width]),
                    &table.device(),
                ))
            });
        self
    }

    /// The same model with its embeddings, or its first layers, as they are: training leaves them alone and computes no gradient for them.
    #[must_use]
    pub fn with_frozen(mut self, embeddings: bool, layers: usize) -> Self {
        if embeddings {
            self.embeddings = self.embeddings.no_grad();
            self.embeddings_project = self.embeddings_project.map(Module::no_grad);
        }
        let (first, others): (Vec<_>, Vec<_>) = (0..)
            .zip(self.encoder.layer)
            .partition(|(number, _)| *number < layers);
        let first = first.into_iter().map(|(_, layer)| layer.no_grad());
        self.encoder.layer = first
            .chain(others.into_iter().map(|(_, layer)| layer))
            .collect();
        self
    }

    /// Records in the configuration how much context the training sequences have ([`ModelConfig::document_context`](crate::ModelConfig::document_context)); computes nothing else.
    #[must_use]
    pub fn with_document_context(mut self, sub_words: usize) -> Self {
        self.config.document_context = sub_words;
        self
    }

    /// Records the tagging scheme of the labels in the configuration ([`ModelConfig::tagging_scheme`](crate::ModelConfig::tagging_scheme)), for
    /// those who decode them; computes nothing else.
    #[must_use]
    pub fn with_tagging_scheme(mut self, scheme: &str) -> Self {
        self.config.tagging_scheme = Some(scheme.to_owned());
        self
    }

    /// The same weights on another device, with gradients of their own for the same parameters, frozen ones left out.
    #[must_use]
    pub fn replica(&self, device: &Device) -> Self {
        let ops = match self.ops {
            Ops::Bf16 => Ops::Bf16,
            _ => Ops::for_device(device),
        };
        self.clone().fork(device).with_ops(ops)
    }

    /// The same model computing with numbers of the given precision: [`Precision::Int8`] on `flex` and `ndarray`, for inference only;
    /// [`Precision::Bf16`] on a GPU.
    ///
    /// # Errors
    /// The device, or training, is not for that precision.
    pub fn with_precision(self, precision: Precision) -> Result<Self, Error> {
        let device = self.device();
        let is_host = matches!(Ops::for_device(&device), Ops::Fused);
        match precision {
            Precision::F32 => return Ok(self.with_ops(Ops::for_device(&device))),
            Precision::Bf16 if !is_host => return Ok(self.with_ops(Ops::Bf16)),
            Precision::Int8 if is_host && !device.is_autodiff() => {}
            Precision::Bf16 => {
                return Err(Error::Precision(format!(
                    "bf16 is for GPUs; use f32 on {device:?}, or int8 for inference"
                )));
            }
            Precision::Int8 => {
                return Err(Error::Precision(format!(
                    "int8 is for inference on flex and ndarray; use f32 on {device:?}"
                )));
            }
        }
        let mut weights = Int8Weights::default();
        for layer in &self.encoder.layer {
            let projections = &layer.attention.self_attention;
            let dense = [
                &layer.attention.output.dense,
                &layer.intermediate.dense,
                &layer.output.dense,
            ];
            for linear in [&projections.query, &projections.key, &projections.value]
                .into_iter()
                .chain(dense)
            {
                weights.insert(linear);
            }
        }
        Ok(self.with_ops(Ops::Int8(Arc::new(weights))))
    }

    /// The same model computing with the given operations.
    #[must_use]
    pub fn with_ops(mut self, ops: Ops) -> Self {
        self.ops = ops;
        self
    }
}

/// Zeroes the row of the padding sub-word, which no sequence ever reads.
pub(super) fn without_row(mut table: Embedding, row: usize) -> Embedding {
    table.weight = table.weight.map(|weight| {
        let [rows, width] = weight.dims();
        if row >= rows {
            return weight;
        }
        let zeros = Tensor::zeros([1, width], &weight.device());
        let weight = weight.slice_assign([row..row + 1, 0..width], zeros);
        as_parameter(weight)
    });
    table
}

/// A value that the optimizer may change, where the device computes gradients: not the result of an operation.
pub(super) fn as_parameter(value: Tensor<2>) -> Tensor<2> {
    if value.device().is_autodiff() {
        value.detach().require_grad()
    } else {
        value
    }
}
