//! The few operations that the encoder is made of.
//!
//! Each has a plain form composed of Burn's own operations, which runs on every device, and a fused one for the CPU devices.

#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub(crate) mod fused;
mod plain;
mod precision;
mod training;

use std::sync::Arc;

use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Device, FloatDType, Tensor};

pub use fused::PackedWeights;
pub(crate) use fused::{PackedLinear, Packing, QuantizedRows, multiplies_bf16};
pub use precision::Precision;
pub use training::{AdamWStep, LossWeights, Moments, ParameterStep, clip};

use crate::batch::RowLayout;
use crate::{Batch, ModelConfig};

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
}
