//! The operations as extensions of Burn's CubeCL backend.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, ExtensionType, backend_extension};
use burn_cubecl::tensor::CubeTensor;

use super::embeddings::{self, EmbeddingSettings};
use super::layer::{self, LayerSettings};
use super::loss::{self, HostLoss};
use super::{linear, rows};
use crate::ops::Dropout;
use crate::ops::fused::record;

/// Burn's backend of all CubeCL devices, of which these operations take CUDA ones.
pub type Cuda = burn_cuda::Cuda;

/// All weights of an encoder layer.
#[derive(Clone, Debug, ExtensionType)]
pub struct LayerWeights<B: Backend> {
    pub query: FloatTensor<B>,
    pub query_bias: FloatTensor<B>,
    pub key: FloatTensor<B>,
    pub key_bias: FloatTensor<B>,
    pub value: FloatTensor<B>,
    pub value_bias: FloatTensor<B>,
    pub output: FloatTensor<B>,
    pub output_bias: FloatTensor<B>,
    pub first_gamma: FloatTensor<B>,
    pub first_beta: FloatTensor<B>,
    pub widen: FloatTensor<B>,
    pub widen_bias: FloatTensor<B>,
    pub narrow: FloatTensor<B>,
    pub narrow_bias: FloatTensor<B>,
    pub second_gamma: FloatTensor<B>,
    pub second_beta: FloatTensor<B>,
}

impl<B: Backend> LayerWeights<B> {
    /// The input, then the weights.
    fn behind(self, x: FloatTensor<B>) -> [FloatTensor<B>; layer::INPUTS] {
        [
            x,
            self.query,
            self.query_bias,
            self.key,
            self.key_bias,
            self.value,
            self.value_bias,
            self.output,
            self.output_bias,
            self.first_gamma,
            self.first_beta,
            self.widen,
            self.widen_bias,
            self.narrow,
            self.narrow_bias,
            self.second_gamma,
            self.second_beta,
        ]
    }
}

/// The differentiable operations.
#[backend_extension(Cube, Autodiff)]
pub trait GpuOps: Backend {
    fn gpu_embed(
        words: FloatTensor<Self>,
        positions: FloatTensor<Self>,
        types: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: EmbeddingSettings,
    ) -> FloatTensor<Self>;
    fn gpu_layer(
        x: FloatTensor<Self>,
        #[extension_type] weights: LayerWeights<Self>,
        settings: LayerSettings,
    ) -> FloatTensor<Self>;
    fn gpu_gather(x: FloatTensor<Self>, index: Arc<Vec<i32>>) -> FloatTensor<Self>;
    fn gpu_dropout(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self>;
    fn gpu_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn gpu_loss(x: FloatTensor<Self>, loss: HostLoss) -> FloatTensor<Self>;
}

impl GpuOps for Cuda {
    fn gpu_embed(
        words: CubeTensor,
        positions: CubeTensor,
        types: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        settings: EmbeddingSettings,
    ) -> CubeTensor {
        embeddings::forward([words, positions, types, gamma, beta], settings).1
    }

    fn gpu_layer(
        x: CubeTensor,
        weights: LayerWeights<Self>,
        settings: LayerSettings,
    ) -> CubeTensor {
        layer::forward(weights.behind(x), &settings).1
    }

    fn gpu_gather(x: CubeTensor, index: Arc<Vec<i32>>) -> CubeTensor {
        rows::gather(x, &index).1
    }

    fn gpu_dropout(x: CubeTensor, dropout: Dropout) -> CubeTensor {
        rows::dropout(x, dropout).1
    }

    fn gpu_linear(x: CubeTensor, weight: CubeTensor, bias: CubeTensor) -> CubeTensor {
        linear::forward([x, weight, bias]).1
    }

    fn gpu_loss(x: CubeTensor, loss: HostLoss) -> CubeTensor {
        loss::forward(&x, loss).1
    }
}

impl<C: CheckpointStrategy> GpuOps for Autodiff<Cuda, C> {
    fn gpu_embed(
        words: FloatTensor<Self>,
        positions: FloatTensor<Self>,
        types: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: EmbeddingSettings,
    ) -> FloatTensor<Self> {
        record::<Cuda, C, _, _>([words, positions, types, gamma, beta], |inputs| {
            embeddings::forward(inputs, settings)
        })
    }

    fn gpu_layer(
        x: FloatTensor<Self>,
        weights: LayerWeights<Self>,
        settings: LayerSettings,
    ) -> FloatTensor<Self> {
        record::<Cuda, C, _, _>(weights.behind(x), |inputs| {
            layer::forward(inputs, &settings)
        })
    }

    fn gpu_gather(x: FloatTensor<Self>, index: Arc<Vec<i32>>) -> FloatTensor<Self> {
        record::<Cuda, C, _, _>([x], |[x]| rows::gather(x, &index))
    }

    fn gpu_dropout(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        record::<Cuda, C, _, _>([x], |[x]| rows::dropout(x, dropout))
    }

    fn gpu_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        record::<Cuda, C, _, _>([x, weight, bias], linear::forward)
    }

    fn gpu_loss(x: FloatTensor<Self>, loss: HostLoss) -> FloatTensor<Self> {
        record::<Cuda, C, _, _>([x], |[x]| loss::forward(&x, loss))
    }
}
