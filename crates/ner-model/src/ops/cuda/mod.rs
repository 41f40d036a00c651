//! The operations for NVIDIA GPUs: matrix products by cuBLASLt, all else by few kernels of this workspace, one node of the autodiff graph for a
//! whole layer.
//!
//! Sequences lie end to end, without padding. Activations and their gradients are f32 or bf16 from the embeddings to the last layer; weights, their
//! gradients, moments, logits and all sums are f32. The same inputs give the same bits.

mod backend;
mod buffers;
mod embeddings;
mod gpu;
mod layer;
mod linear;
mod loss;
mod optimizer;
mod rows;
mod sequences;

use std::sync::Arc;

use burn::backend::{
    BackendTensor, Dispatch, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind,
};
use burn::module::Param;
use burn::nn::{Embedding, LayerNorm, Linear};
use burn::tensor::{DType, Device, DeviceType, Tensor};
use burn_cubecl::tensor::CubeTensor;

use self::backend::{GpuOps, LayerWeights};
pub use self::embeddings::EmbeddingSettings;
pub use self::gpu::Numbers;
pub use self::layer::LayerSettings;
use self::loss::HostLoss;
pub use self::sequences::Sequences;
use super::fused::Mask;
use super::{Dropout, Factors, Moments, ParameterStep};
use crate::ModelConfig;

/// Elements of a row that a warp holds.
const MAX_WIDTH: usize = 1024;
/// Sub-words of a sequence whose attention weights a warp holds.
const MAX_LENGTH: usize = 512;
/// Rows and columns of a tile of attention.
const TILE: usize = 16;

impl From<Factors> for Numbers {
    fn from(factors: Factors) -> Self {
        match factors {
            Factors::F32 => Self::F32,
            Factors::Bf16 => Self::Bf16,
        }
    }
}

/// Whether a model of these sizes can be computed with this module's functions on a device.
pub fn supports(device: &Device, config: &ModelConfig) -> bool {
    let hidden = config.hidden_size;
    let head_dim = hidden / config.num_attention_heads;
    is_cuda(device)
        && gpu::has_blas()
        && config.embedding_size() == hidden
        && hidden <= MAX_WIDTH
        && config.usable_positions() <= MAX_LENGTH
        && head_dim.is_multiple_of(TILE)
        && head_dim <= 128
        && config.intermediate_size.is_multiple_of(8)
}

fn is_cuda(device: &Device) -> bool {
    let device = device.clone().inner();
    Device::enumerate(DeviceType::Cuda).contains(&device)
}

/// What went wrong in operations since the last call.
pub fn take_failure() -> Option<String> {
    gpu::take_failure().map(|failure| failure.0)
}

/// Dropout as the kernels take it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct DropoutArguments {
    seed: u32,
    threshold: u32,
    scale: f32,
    acts: i32,
}

impl DropoutArguments {
    fn acts(self) -> bool {
        self.acts != 0
    }
}

impl From<Dropout> for DropoutArguments {
    fn from(dropout: Dropout) -> Self {
        let mask = Mask::new(dropout);
        let (seed, threshold, scale) = mask.map_or((0, 0, 1.0), Mask::parts);
        Self {
            seed,
            threshold,
            scale,
            acts: i32::from(mask.is_some()),
        }
    }
}

fn dtype(numbers: Numbers) -> DType {
    match numbers {
        Numbers::F32 => DType::F32,
        Numbers::Bf16 => DType::BF16,
    }
}

fn numbers_of(dtype: DType) -> Numbers {
    match dtype {
        DType::BF16 => Numbers::Bf16,
        _ => Numbers::F32,
    }
}

/// Embeddings of sub-words, normalised and dropped out.
///
/// # Shapes
/// - tables: `[sub-words, hidden]`, `[positions, hidden]`, `[types, hidden]`; output: `[rows, hidden]`
pub fn embed(
    [words, positions]: [&Embedding; 2],
    types: Option<&Embedding>,
    norm: &LayerNorm,
    settings: EmbeddingSettings,
) -> Tensor<2> {
    let settings = EmbeddingSettings {
        has_types: types.is_some(),
        ..settings
    };
    let types = types.unwrap_or(positions);
    let [gamma, beta] = scale_and_shift(norm);
    Tensor::from_dispatch(Dispatch::gpu_embed(
        words.weight.val().into_dispatch(),
        positions.weight.val().into_dispatch(),
        types.weight.val().into_dispatch(),
        gamma,
        beta,
        settings,
    ))
}

/// Projections, norms and feed-forward layers of an encoder layer.
pub struct LayerParameters<'a> {
    pub query_key_value: [&'a Linear; 3],
    pub output: &'a Linear,
    pub widen: &'a Linear,
    pub narrow: &'a Linear,
    pub norms: [&'a LayerNorm; 2],
}

/// An encoder layer.
///
/// # Shapes
/// - x, output: `[rows, hidden]`, in the numbers of the settings
pub fn layer(x: Tensor<2>, parameters: &LayerParameters<'_>, settings: LayerSettings) -> Tensor<2> {
    let [query, key, value] = parameters.query_key_value.map(weight_and_bias);
    let [output, widen, narrow] =
        [parameters.output, parameters.widen, parameters.narrow].map(weight_and_bias);
    let [first, second] = parameters.norms.map(scale_and_shift);
    let ([query, query_bias], [key, key_bias], [value, value_bias]) = (query, key, value);
    let ([output, output_bias], [widen, widen_bias]) = (output, widen);
    let ([narrow, narrow_bias], [first_gamma, first_beta]) = (narrow, first);
    let [second_gamma, second_beta] = second;
    let weights = LayerWeights {
        query,
        query_bias,
        key,
        key_bias,
        value,
        value_bias,
        output,
        output_bias,
        first_gamma,
        first_beta,
        widen,
        widen_bias,
        narrow,
        narrow_bias,
        second_gamma,
        second_beta,
    };
    Tensor::from_dispatch(Dispatch::gpu_layer(x.into_dispatch(), weights, settings))
}

/// The rows with these numbers, none twice, in f32.
///
/// # Shapes
/// - x: `[rows, hidden]`, output: `[numbers, hidden]`
pub fn gather(x: Tensor<2>, index: Vec<i32>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::gpu_gather(x.into_dispatch(), Arc::new(index)))
}

/// As [`Ops::dropout`](super::Ops::dropout), of f32.
pub fn dropout(x: Tensor<2>, dropout: Dropout) -> Tensor<2> {
    if dropout.probability == 0.0 {
        return x;
    }
    Tensor::from_dispatch(Dispatch::gpu_dropout(x.into_dispatch(), dropout))
}

/// As [`Ops::linear`](super::Ops::linear), of f32.
pub fn linear(x: Tensor<2>, layer: &Linear) -> Tensor<2> {
    let [weight, bias] = weight_and_bias(layer);
    Tensor::from_dispatch(Dispatch::gpu_linear(x.into_dispatch(), weight, bias))
}

/// A loss that the host has computed of the values of `x`, with its derivative by each of them, `[1]`.
pub fn host_loss<const D: usize>(x: Tensor<D>, loss: f32, gradient: Vec<f32>) -> Tensor<1> {
    let gradient = Arc::new(gradient);
    Tensor::from_dispatch(Dispatch::gpu_loss(
        x.into_dispatch(),
        HostLoss { loss, gradient },
    ))
}

fn weight_and_bias(layer: &Linear) -> [DispatchTensor; 2] {
    let weight = layer.weight.val();
    let (outputs, device) = (weight.dims()[1], weight.device());
    let bias = layer.bias.as_ref();
    let bias = bias.map_or_else(|| Tensor::zeros([outputs], &device), Param::val);
    [weight.into_dispatch(), bias.into_dispatch()]
}

fn scale_and_shift(norm: &LayerNorm) -> [DispatchTensor; 2] {
    let gamma = norm.gamma.val();
    let (width, device) = (gamma.dims()[0], gamma.device());
    let beta = norm.beta.as_ref();
    let beta = beta.map_or_else(|| Tensor::zeros([width], &device), Param::val);
    [gamma.into_dispatch(), beta.into_dispatch()]
}

/// As [`Ops::clipped_adamw`](super::Ops::clipped_adamw), for at least one parameter; nothing waits for the device.
pub fn clipped_adamw(
    parameters: Vec<ParameterStep>,
    limit: f64,
) -> (Tensor<1>, Vec<(Tensor<1>, Moments)>) {
    let parameters = parameters
        .into_iter()
        .map(|parameter| optimizer::Parameter {
            value: primitive(parameter.value),
            gradient: primitive(parameter.gradient),
            moments: [parameter.moments.first, parameter.moments.second].map(primitive),
            step: parameter.step,
        });
    let (stepped, norm) = optimizer::step(parameters.collect(), limit);
    let stepped = stepped.into_iter().map(|tensors| {
        let [value, first, second] = tensors.map(tensor);
        (value, Moments { first, second })
    });
    (tensor(norm), stepped.collect())
}

/// The tensor of CubeCL within one without autodiff.
fn primitive(tensor: Tensor<1>) -> CubeTensor {
    match tensor.into_dispatch().kind {
        DispatchTensorKind::Cube(tensor) => tensor.float(),
        other => unreachable!("operations of GPUs were given {other:?}"),
    }
}

fn tensor(primitive: CubeTensor) -> Tensor<1> {
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Cube(BackendTensor::Float(primitive)),
        autodiff: DispatchAutodiffContext::Disabled,
    })
}
