//! The operations as single passes over the host's memory, for Burn's CPU backends.
//!
//! Each is one node of the autodiff graph that keeps only what its backward pass needs. The same inputs and number of threads give the
//! same bits.

mod adamw;
mod attention;
mod autodiff;
mod backend;
mod dropout;
mod gelu;
mod host_backend;
mod kernels;
mod linear;
mod loss;
#[cfg(feature = "ndarray")]
#[expect(
    deprecated,
    reason = "kept as a device that users can choose until Burn removes it"
)]
mod ndarray;
mod norm;
mod packed;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::module::Param;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Device, Tensor};

use backend::{FusedOps, OptimizerOps, Projection};

use super::{AdamWStep, Dropout, Factors, LossWeights, Moments};
use attention::Heads;
#[cfg(feature = "cuda")]
pub(super) use autodiff::{Saved, record};
pub(super) use kernels::Mask;
pub use kernels::{QuantizedRows, multiplies_bf16, transpose};
#[cfg(feature = "cuda")]
pub use loss::to_gradient;
pub(crate) use packed::PackedLinear;
pub use packed::{PackedWeights, Packing};

/// Whether tensors of this device can be passed to this module's functions.
pub fn supports(device: &Device) -> bool {
    let device = device.clone().inner();
    #[cfg(feature = "ndarray")]
    #[expect(
        deprecated,
        reason = "kept as a device that users can choose until Burn removes it"
    )]
    if device == Device::ndarray() {
        return true;
    }
    device == Device::flex()
}

fn projection(layer: &Linear) -> Projection<Dispatch> {
    let weight = layer.weight.val();
    let bias = or_zeros(layer.bias.as_ref(), weight.dims()[1], &weight.device());
    Projection {
        weight: weight.into_dispatch(),
        bias: bias.into_dispatch(),
    }
}

fn or_zeros(parameter: Option<&Param<Tensor<1>>>, len: usize, device: &Device) -> Tensor<1> {
    parameter.map_or_else(|| Tensor::zeros([len], device), Param::val)
}

/// As [`Ops::linear`](super::Ops::linear).
pub fn linear(x: Tensor<2>, layer: &Linear, factors: Factors) -> Tensor<2> {
    let Projection { weight, bias } = projection(layer);
    let x = x.into_dispatch();
    Tensor::from_dispatch(Dispatch::fused_linear(x, weight, bias, factors))
}

/// GELU of a linear layer.
pub fn linear_gelu(x: Tensor<2>, layer: &Linear, factors: Factors) -> Tensor<2> {
    let Projection { weight, bias } = projection(layer);
    let x = x.into_dispatch();
    Tensor::from_dispatch(Dispatch::fused_linear_gelu(x, weight, bias, factors))
}

/// As [`Ops::feed_forward`](super::Ops::feed_forward).
pub fn feed_forward(x: Tensor<2>, [widen, narrow]: [&Linear; 2], factors: Factors) -> Tensor<2> {
    linear(linear_gelu(x, widen, factors), narrow, factors)
}

/// As [`Ops::dropout`](super::Ops::dropout). An element's fate depends on the seed, its row and its column only.
pub fn dropout(x: Tensor<2>, dropout: Dropout) -> Tensor<2> {
    if dropout.probability == 0.0 {
        return x;
    }
    Tensor::from_dispatch(Dispatch::fused_dropout(x.into_dispatch(), dropout))
}

/// As [`Ops::residual_layer_norm`](super::Ops::residual_layer_norm); `epsilon` is the one of `norm`, which Burn does not give out.
pub fn residual_layer_norm(
    x: Tensor<2>,
    residual: Tensor<2>,
    norm: &LayerNorm,
    epsilon: f64,
    dropout: Dropout,
) -> Tensor<2> {
    let gamma = norm.gamma.val();
    let beta = or_zeros(norm.beta.as_ref(), gamma.dims()[0], &gamma.device());
    Tensor::from_dispatch(Dispatch::fused_residual_layer_norm(
        x.into_dispatch(),
        residual.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon as f32,
        dropout,
    ))
}

/// Query, key and value projections of `x`, then attention of each sequence upon itself, with dropout on the probabilities.
///
/// # Shapes
/// - x, output: `[subwords, heads * head_dim]`; sequence `s` has the rows `boundaries[s]..boundaries[s + 1]`
pub fn self_attention(
    x: Tensor<2>,
    query_key_value: [&Linear; 3],
    boundaries: &[usize],
    heads: usize,
    dropout: Dropout,
    factors: Factors,
) -> Tensor<2> {
    let [query, key, value] = query_key_value.map(projection);
    let heads = Heads::new(boundaries, heads, dropout);
    Tensor::from_dispatch(Dispatch::fused_self_attention(
        x.into_dispatch(),
        query,
        key,
        value,
        heads,
        factors,
    ))
}

/// As [`Ops::cross_entropy`](super::Ops::cross_entropy).
///
/// # Panics
/// A label is not below the number of columns, or there is not one label a row.
pub fn cross_entropy(
    logits: Tensor<2>,
    labels: &[Option<u32>],
    weights: &LossWeights,
) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::fused_cross_entropy(
        logits.into_dispatch(),
        labels.to_vec(),
        weights.clone(),
    ))
}

/// As [`Ops::adamw`](super::Ops::adamw); in place where the caller holds the only handles.
pub fn adamw(
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    step: &AdamWStep,
) -> (Tensor<1>, Moments) {
    let (parameter, first, second) = Dispatch::adamw_step(
        parameter.into_dispatch(),
        gradient.into_dispatch(),
        moments.first.into_dispatch(),
        moments.second.into_dispatch(),
        *step,
    );
    (
        Tensor::from_dispatch(parameter),
        Moments {
            first: Tensor::from_dispatch(first),
            second: Tensor::from_dispatch(second),
        },
    )
}

/// As [`Ops::global_norm`](super::Ops::global_norm).
pub fn global_norm(gradients: &[Tensor<1>]) -> f64 {
    gradients
        .iter()
        .map(|gradient| square_sum(gradient.clone()))
        .sum::<f64>()
        .sqrt()
}

/// Sum of the squares of a tensor without autodiff.
pub fn square_sum<const D: usize>(x: Tensor<D>) -> f64 {
    Dispatch::square_sum(x.into_dispatch())
}
