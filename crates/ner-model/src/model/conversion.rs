//! A model made into another one: other positions, frozen parts, another device, other numbers.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::{Embedding, Linear};
use burn::tensor::{Device, Tensor, TensorData};

use super::TokenClassifier;
use crate::Error;
use crate::ops::{Factors, Ops, PackedWeights, Packing, Precision, multiplies_bf16};
use crate::weights::WordRows;

impl TokenClassifier {
    /// The same model with sinusoids in its position table (Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>, section 3.5), scaled to
    /// the given amplitude. They are trained on like random ones; a model that starts from nothing on little data learns sooner with
    /// them which words are neighbors.
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
    pub fn with_document_context(mut self, subwords: usize) -> Self {
        self.config.document_context = subwords;
        self
    }

    /// Forgets a temperature ([`ModelConfig::calibration_temperature`](crate::ModelConfig::calibration_temperature)), which other weights do not
    /// share.
    #[must_use]
    pub fn without_temperature(mut self) -> Self {
        self.config.calibration_temperature = None;
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
            Ops::Plain(factors) | Ops::Fused(factors) => Ops::with_factors(device, factors),
            Ops::Packed(_) if self.is_without_weights() => self.ops.clone(),
            Ops::Packed(_) => Ops::for_device(device),
            #[cfg(feature = "cuda")]
            Ops::Gpu(factors) => Ops::with_factors(device, factors),
        };
        let ops = ops.for_model(device, &self.config);
        self.clone().fork(device).with_ops(ops)
    }

    /// The same model computing with numbers of the given precision: [`Precision::Int8`] on `flex` and `ndarray`, for inference only;
    /// [`Precision::Bf16`] on a GPU, and on `flex` and `ndarray` where the processor multiplies bf16; [`Precision::Auto`] for inference.
    ///
    /// # Errors
    /// The device, the processor or training is not for that precision; or the model was [opened](Self::open) in another one.
    pub fn with_precision(self, precision: Precision) -> Result<Self, Error> {
        let form = Form::new(&self.device(), precision)?;
        if let (Ops::Packed(weights), true) = (&self.ops, self.is_without_weights()) {
            return match form {
                Form::Packed(packing) if packing == weights.packing() => Ok(self),
                _ => Err(Error::OpenedForInference(format!(
                    "to compute in {precision}"
                ))),
            };
        }
        let packing = match form {
            Form::Whole(ops) => {
                let ops = ops.for_model(&self.device(), &self.config);
                return Ok(self.with_ops(ops));
            }
            Form::Packed(packing) => packing,
        };
        let layers = self.encoder.layer.iter().flat_map(|layer| {
            let projections = &layer.attention.self_attention;
            [
                &projections.query,
                &projections.key,
                &projections.value,
                &layer.attention.output.dense,
                &layer.intermediate.dense,
                &layer.output.dense,
            ]
        });
        let mut layers: Vec<&Linear> = layers.collect();
        // Small layers, in which 8 bits save nothing and cost accuracy.
        if packing == Packing::Bf16 {
            layers.extend(self.embeddings_project.iter().chain([&self.classifier]));
        }
        let weights = PackedWeights::pack(packing, &layers);
        Ok(self.with_ops(Ops::Packed(Arc::new(weights))))
    }

    /// Whether the linear layers of the encoder are there only as they were packed when the model was [opened](Self::open).
    fn is_without_weights(&self) -> bool {
        let mut layers = self.encoder.layer.iter();
        layers.any(|layer| layer.output.dense.weight.val().dims() == [0, 0])
    }

    /// The same model with word embeddings that stay where they are until they are asked for.
    #[must_use]
    pub(crate) fn with_words(mut self, words: Option<Arc<dyn WordRows>>) -> Self {
        self.words = words;
        self
    }

    /// Whether the model was [opened](Self::open), and so lacks what only training and files need.
    pub(crate) fn is_opened(&self) -> bool {
        self.words.is_some() && self.word_embeddings_table().dims() == [0, 0]
    }

    /// The same model computing with the given operations.
    #[must_use]
    pub fn with_ops(mut self, ops: Ops) -> Self {
        self.ops = ops;
        self
    }
}

/// How a device computes with a precision.
pub(crate) enum Form {
    /// With the model's own weights.
    Whole(Ops),
    /// With weights that are packed beforehand, on a CPU.
    Packed(Packing),
}

impl Form {
    /// # Errors
    /// The device, the processor or training is not for that precision.
    pub fn new(device: &Device, precision: Precision) -> Result<Self, Error> {
        let is_host = matches!(Ops::for_device(device), Ops::Fused(_));
        let for_inference = !device.is_autodiff();
        if precision == Precision::Auto && !for_inference {
            return Err(Error::Precision(
                "auto is for inference; train in f32 or bf16".to_owned(),
            ));
        }
        match precision.resolve(device) {
            Precision::F32 => Ok(Self::Whole(Ops::for_device(device))),
            Precision::Bf16 if is_host && !multiplies_bf16() => Err(Error::Precision(
                "this processor has no AVX512-BF16, which multiplies bf16; use f32, or int8 for inference"
                    .to_owned(),
            )),
            Precision::Bf16 if is_host && for_inference => Ok(Self::Packed(Packing::Bf16)),
            Precision::Bf16 | Precision::Auto => {
                Ok(Self::Whole(Ops::with_factors(device, Factors::Bf16)))
            }
            Precision::Int8 if is_host && for_inference => Ok(Self::Packed(Packing::Int8)),
            Precision::Int8 => Err(Error::Precision(
                "int8 is for inference on the CPU devices, flex and ndarray; use f32 or bf16 for training and on a GPU"
                    .to_owned(),
            )),
        }
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
