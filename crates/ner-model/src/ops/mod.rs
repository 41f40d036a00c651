//! The few operations that the encoder is made of.
//!
//! Each has a plain form composed of Burn's own operations, which runs on every device, and a fused one for the CPU devices.

#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub(crate) mod fused;
mod plain;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Device, FloatDType, Tensor};

use serde::{Deserialize, Serialize};

pub use fused::PackedWeights;
pub(crate) use fused::{PackedLinear, Packing, QuantizedRows, multiplies_bf16};

use crate::batch::RowLayout;
#[cfg(feature = "cuda")]
use crate::device::read;
use crate::{Batch, Error, ModelConfig};

/// Numbers that the factors of matrix products are rounded to; their sums, and all else, are `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factors {
    /// 32-bit floats: not rounded.
    F32,
    /// The upper halves of 32-bit floats.
    Bf16,
}

/// Which form of the operations a model computes with.
#[derive(Clone, Debug)]
pub enum Ops {
    /// Composed of Burn's operations: any device. With factors in bf16, attention in inference is all in 16 bits.
    Plain(Factors),
    /// Single passes over the host's memory: the `flex` and `ndarray` devices. With factors in bf16, the products within attention are still of
    /// `f32`.
    Fused(Factors),
    /// Whole layers on an NVIDIA GPU, by cuBLASLt and kernels of this crate. Activations are kept in the numbers of the factors; products of
    /// `f32` are those of TF32 tensor cores.
    #[cfg(feature = "cuda")]
    Gpu(Factors),
    /// As [`Fused`](Self::Fused), with the weights of the linear layers packed beforehand, as 8-bit integers or in bf16: inference only.
    Packed(Arc<PackedWeights>),
}

/// Numbers that a model is computed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 8-bit integers in the linear layers, for inference on a CPU: inputs of 8 bits, quantized for each sub-word as they come, weights of 6
    /// (-31 to 31), quantized for each output.
    Int8,
    /// bf16 in matrix products, f32 elsewhere, for training and inference: on a GPU, where activations are kept in it from one operation to the
    /// next, and on a CPU that multiplies bf16 (AVX512-BF16), where attention is all in f32 but for its projections.
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

/// Dropout of one place in one forward pass.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// Share of the elements that become zero; the others grow by `1 / (1 - probability)`.
    pub probability: f32,
    /// Decides, with an element's index, whether it is dropped.
    pub seed: u32,
    /// Whether the plain form draws from the device's generator, which is fastest, and not by `seed`. The fused form never does.
    pub draws: bool,
}

impl Dropout {
    /// Drops nothing.
    pub const OFF: Self = Self {
        probability: 0.0,
        seed: 0,
        draws: true,
    };

    /// Dropout at the place numbered `site` in the forward pass of the given seed.
    pub fn new(probability: f64, seed: u64, site: u32) -> Self {
        Self {
            probability: probability as f32,
            seed: split_mix(seed ^ split_mix(u64::from(site))) as u32,
            draws: true,
        }
    }
}

/// SplitMix64's output function (Steele et al. 2014, <https://doi.org/10.1145/2714064.2660195>): neighboring inputs, unrelated outputs.
fn split_mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Ops {
    /// The fastest form that the device has.
    pub fn for_device(device: &Device) -> Self {
        Self::with_factors(device, Factors::F32)
    }

    /// As [`for_device`](Self::for_device), with these factors.
    pub(crate) fn with_factors(device: &Device, factors: Factors) -> Self {
        if fused::supports(device) {
            Self::Fused(factors)
        } else {
            Self::Plain(factors)
        }
    }

    /// The fastest form that a model of this configuration has on the device, with the same factors.
    pub(crate) fn for_model(self, device: &Device, config: &ModelConfig) -> Self {
        #[cfg(feature = "cuda")]
        if let Self::Plain(factors) = self
            && cuda::supports(device, config)
        {
            return Self::Gpu(factors);
        }
        let _ = (device, config);
        self
    }

    /// Sub-words of a forward pass in inference that suit the device, each sequence counted as long as the longest.
    pub(crate) fn batch_tokens(&self) -> usize {
        match self {
            // Hidden states of so many stay in a CPU's cache from one operation to the next; matrix products are no slower than of more.
            Self::Fused(_) => 1024,
            Self::Packed(weights) => match weights.packing() {
                Packing::Int8 => 512,
                Packing::Bf16 => 1024,
            },
            // A GPU wants much to do at once.
            Self::Plain(_) => 16_384,
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => 16_384,
        }
    }

    /// How many passes of inference are computed at a time: a processor's threads are fastest with one each.
    pub(crate) fn passes_at_once(&self) -> usize {
        match self {
            Self::Fused(_) | Self::Packed(_) => rayon::current_num_threads(),
            Self::Plain(_) => 1,
            // While the results of one are read, the other is computed.
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => 2,
        }
    }

    /// How the sub-words of a batch lie in the rows of what these operations take: padded to few lengths where a device tunes its kernels for
    /// each shape, to `usable_positions` at most.
    pub(crate) fn layout<'a>(
        &self,
        batch: &'a Batch,
        usable_positions: usize,
        device: &Device,
    ) -> RowLayout<'a> {
        match self {
            Self::Plain(_) => {
                let length = batch.longest().next_multiple_of(plain::LENGTH_BUCKET);
                RowLayout::padded(batch, length.min(usable_positions), device)
            }
            Self::Fused(_) | Self::Packed(_) => RowLayout::packed(batch),
            #[cfg(feature = "cuda")]
            Self::Gpu(factors) => Self::Plain(*factors).layout(batch, usable_positions, device),
        }
    }

    /// `x · weight + bias`.
    ///
    /// # Shapes
    /// - x: `[rows, inputs]`, output: `[rows, outputs]`
    pub(crate) fn linear(&self, x: Tensor<2>, layer: &Linear) -> Tensor<2> {
        match self {
            Self::Plain(Factors::F32) => layer.forward(x),
            Self::Plain(Factors::Bf16) => plain::linear_bf16(x, layer),
            Self::Fused(factors) => fused::linear(x, layer, *factors),
            Self::Packed(weights) => weights.linear(x, layer),
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => cuda::linear(x, layer),
        }
    }

    /// Two linear layers with GELU between them, `x · Φ(x)` with the exact normal distribution function (Hendrycks & Gimpel 2016,
    /// <https://arxiv.org/abs/1606.08415>).
    ///
    /// # Shapes
    /// - x: `[rows, inputs of the first]`, output: `[rows, outputs of the second]`
    pub(crate) fn feed_forward(&self, x: Tensor<2>, [widen, narrow]: [&Linear; 2]) -> Tensor<2> {
        match self {
            Self::Plain(_) => self.linear(plain::gelu(self.linear(x, widen)), narrow),
            Self::Fused(factors) => fused::feed_forward(x, [widen, narrow], *factors),
            Self::Packed(weights) => weights.feed_forward(x, [widen, narrow]),
            #[cfg(feature = "cuda")]
            Self::Gpu(factors) => Self::Plain(*factors).feed_forward(x, [widen, narrow]),
        }
    }

    /// Dropout of independent elements.
    pub(crate) fn dropout(
        &self,
        x: Tensor<2>,
        dropout: Dropout,
        layout: &RowLayout<'_>,
    ) -> Tensor<2> {
        match self {
            Self::Plain(_) => plain::dropout(x, dropout, |row| layout.subword(row)),
            Self::Fused(_) | Self::Packed(_) => fused::dropout(x, dropout),
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => cuda::dropout(x, dropout),
        }
    }

    /// `LayerNorm(dropout(x) + residual)`, normalising each row (Ba et al. 2016, <https://arxiv.org/abs/1607.06450>).
    ///
    /// # Shapes
    /// - x, residual, output: `[rows, hidden]`
    pub(crate) fn residual_layer_norm(
        &self,
        x: Tensor<2>,
        residual: Tensor<2>,
        norm: &LayerNorm,
        epsilon: f64,
        dropout: Dropout,
        layout: &RowLayout<'_>,
    ) -> Tensor<2> {
        match self {
            Self::Plain(_) => {
                let dropped = plain::dropout(x, dropout, |row| layout.subword(row));
                norm.forward(dropped + residual)
            }
            Self::Fused(_) | Self::Packed(_) => {
                fused::residual_layer_norm(x, residual, norm, epsilon, dropout)
            }
            #[cfg(feature = "cuda")]
            Self::Gpu(factors) => Self::Plain(*factors)
                .residual_layer_norm(x, residual, norm, epsilon, dropout, layout),
        }
    }

    /// Query, key and value projections, then scaled dot-product attention of each sequence upon itself (Vaswani et al. 2017,
    /// <https://arxiv.org/abs/1706.03762>, section 3.2), with dropout on the probabilities.
    ///
    /// # Shapes
    /// - x, output: `[rows, heads * head_dim]`, laid out as [`layout`](Self::layout) says
    pub(crate) fn self_attention(
        &self,
        x: Tensor<2>,
        query_key_value: [&Linear; 3],
        layout: &RowLayout<'_>,
        heads: usize,
        dropout: Dropout,
    ) -> Tensor<2> {
        let boundaries = layout.boundaries();
        match self {
            Self::Plain(factors) => {
                let projected = query_key_value.map(|layer| self.linear(x.clone(), layer));
                let factors = match factors {
                    Factors::F32 => FloatDType::F32,
                    Factors::Bf16 => FloatDType::BF16,
                };
                plain::attention(projected, layout, heads, dropout, factors)
            }
            Self::Fused(factors) => {
                fused::self_attention(x, query_key_value, boundaries, heads, dropout, *factors)
            }
            Self::Packed(weights) => {
                weights.self_attention(x, query_key_value, boundaries, heads, dropout)
            }
            #[cfg(feature = "cuda")]
            Self::Gpu(factors) => {
                Self::Plain(*factors).self_attention(x, query_key_value, layout, heads, dropout)
            }
        }
    }

    /// Mean cross-entropy over the rows that have a label; `None` rows are ignored. Zero where no row has one. The mean is weighted as
    /// [`LossWeights`] says.
    ///
    /// # Shapes
    /// - logits: `[rows, labels]`; labels: one a row; output: `[1]`
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn cross_entropy(
        &self,
        logits: Tensor<2>,
        labels: &[Option<u32>],
        weights: &LossWeights,
    ) -> Result<Tensor<1>, Error> {
        Ok(match self {
            Self::Plain(_) => plain::cross_entropy(logits, labels, weights),
            Self::Fused(_) | Self::Packed(_) => fused::cross_entropy(logits, labels, weights),
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => {
                let mut gradient = read(logits.clone())?;
                let loss = fused::to_gradient(&mut gradient, labels, weights);
                self.with_gradient(logits, loss, gradient)
            }
        })
    }

    /// A loss that was computed on the host from the values of `x`, `[1]`, and its derivative by each of them.
    pub(crate) fn with_gradient<const D: usize>(
        &self,
        x: Tensor<D>,
        loss: f32,
        gradient: Vec<f32>,
    ) -> Tensor<1> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => cuda::host_loss(x, loss, gradient),
            _ => plain::with_gradient(x, loss, gradient),
        }
    }

    /// Euclidean norm of all gradients together, as `torch.nn.utils.clip_grad_norm_` takes it.
    ///
    /// # Errors
    /// The device fails.
    pub fn global_norm(&self, gradients: &[Tensor<1>]) -> Result<f64, Error> {
        match self {
            Self::Plain(_) => plain::global_norm(gradients),
            Self::Fused(_) | Self::Packed(_) => Ok(fused::global_norm(gradients)),
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => plain::global_norm(gradients),
        }
    }

    /// Whether [`adamw`](Self::adamw) is faster on the parameters of a model end to end in one vector. A GPU's processor launches kernels one by
    /// one, a dozen for each vector; the CPU's form updates a parameter where it lies.
    pub fn prefers_one_vector(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// One step of AdamW (Loshchilov & Hutter 2017, <https://arxiv.org/abs/1711.05101>) on one parameter, as `torch.optim.AdamW` takes it.
    ///
    /// # Shapes
    /// - parameter, gradient and both moments: `[elements]`
    pub fn adamw(
        &self,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        moments: Moments,
        step: &AdamWStep,
    ) -> (Tensor<1>, Moments) {
        match self {
            Self::Plain(_) => plain::adamw(parameter, gradient, moments, step),
            Self::Fused(_) | Self::Packed(_) => fused::adamw(parameter, gradient, moments, step),
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => plain::adamw(parameter, gradient, moments, step),
        }
    }

    /// Whether [`clipped_adamw`](Self::clipped_adamw) is faster than its parts: it launches few kernels and waits for none.
    pub fn updates_at_once(&self) -> bool {
        #[cfg(feature = "cuda")]
        if matches!(self, Self::Gpu(_)) {
            return true;
        }
        false
    }

    /// [`adamw`](Self::adamw) of several parameters, whose gradients are scaled down to a [norm](Self::global_norm) of `limit` where it is above
    /// that and `limit` above 0. Gives the norm, `[1]`, before; `gradient_scale` of the steps is not read.
    ///
    /// # Errors
    /// The device fails.
    pub fn clipped_adamw(
        &self,
        parameters: Vec<ParameterStep>,
        limit: f64,
    ) -> Result<(Tensor<1>, Vec<(Tensor<1>, Moments)>), Error> {
        let Some(device) = parameters.first().map(|first| first.value.device()) else {
            return Ok((Tensor::zeros([1], &Device::flex()), Vec::new()));
        };
        #[cfg(feature = "cuda")]
        if matches!(self, Self::Gpu(_)) {
            return Ok(cuda::clipped_adamw(parameters, limit));
        }
        let gradients = parameters.iter().map(|one| one.gradient.clone());
        let norm = self.global_norm(&gradients.collect::<Vec<_>>())?;
        let gradient_scale = clip(norm, limit);
        let stepped = parameters.into_iter().map(|one| {
            let step = AdamWStep {
                gradient_scale,
                ..one.step
            };
            self.adamw(one.value, one.gradient, one.moments, &step)
        });
        let stepped = stepped.collect();
        Ok((Tensor::from_data([norm as f32], &device), stepped))
    }
}

/// What the loss asks of each label, as in `torch.nn.CrossEntropyLoss`.
#[derive(Clone, Debug, PartialEq)]
pub struct LossWeights {
    /// Weight of each label.
    pub classes: Vec<f32>,
    /// Share of the target that goes to all labels alike (Szegedy et al. 2015, <https://arxiv.org/abs/1512.00567>, section 7).
    pub smoothing: f32,
}

impl LossWeights {
    /// Every label counts alike and is all of its target.
    pub fn uniform(labels: usize) -> Self {
        Self {
            classes: vec![1.0; labels],
            smoothing: 0.0,
        }
    }

    /// Writes what the probabilities of a row with this label should be, times the labels' weights.
    pub(crate) fn target(&self, label: usize, target: &mut [f32]) {
        let shared = self.smoothing / self.classes.len() as f32;
        for (target, weight) in target.iter_mut().zip(&self.classes) {
            *target = shared * weight;
        }
        target[label] += (1.0 - self.smoothing) * self.classes[label];
    }

    /// Sum of the weights of the labels that there are; 1 where there is none.
    pub(crate) fn total(&self, labels: &[Option<u32>]) -> f32 {
        let weights = labels
            .iter()
            .flatten()
            .map(|&label| self.classes[label as usize]);
        let total: f32 = weights.sum();
        if total > 0.0 { total } else { 1.0 }
    }
}

/// Added to the norm before it divides, as `torch.nn.utils.clip_grad_norm_` does.
const CLIP_EPSILON: f64 = 1e-6;

/// Factor on gradients whose norm together is to be `limit` at most; 0 switches clipping off.
pub fn clip(norm: f64, limit: f64) -> f64 {
    if limit > 0.0 && norm > limit {
        limit / (norm + CLIP_EPSILON)
    } else {
        1.0
    }
}

/// One parameter in [`Ops::clipped_adamw`], all `[elements]`.
#[derive(Clone, Debug)]
pub struct ParameterStep {
    /// The parameter.
    pub value: Tensor<1>,
    /// Its gradient.
    pub gradient: Tensor<1>,
    /// Its moments.
    pub moments: Moments,
    /// Its learning rate and decay; all else is that of the first.
    pub step: AdamWStep,
}

/// Running means of a parameter's gradient and of its square.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Mean of the gradient.
    pub first: Tensor<1>,
    /// Mean of the squared gradient.
    pub second: Tensor<1>,
}

/// The numbers of one AdamW step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Factor on the gradient: below 1 where the global norm is clipped.
    pub gradient_scale: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Number of this step, from 1.
    pub step: usize,
}

impl AdamWStep {
    /// `learning_rate / (1 - beta1^step)`.
    pub(crate) fn corrected_rate(&self) -> f64 {
        self.learning_rate / (1.0 - self.beta1.powi(self.step as i32))
    }

    /// `1 / sqrt(1 - beta2^step)`.
    pub(crate) fn root_correction(&self) -> f64 {
        1.0 / (1.0 - self.beta2.powi(self.step as i32)).sqrt()
    }
}
