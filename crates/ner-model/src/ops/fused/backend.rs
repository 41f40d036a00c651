//! The operations as extensions of Burn's CPU backends.
#![cfg_attr(
    feature = "ndarray",
    allow(
        deprecated,
        reason = "burn-ndarray is kept as a device that users can choose until Burn removes it"
    )
)]

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType, backend_extension};

use super::adamw;
use super::attention::{self, Heads};
use super::host_backend::HostBackend;
use super::{dropout, gelu, linear, loss, norm};
use crate::ops::{AdamWStep, Dropout, Factors, LossWeights};

/// Weight `[inputs, outputs]` and bias `[outputs]` of a linear layer.
#[derive(Clone, Debug, ExtensionType)]
pub struct Projection<B: Backend> {
    pub weight: FloatTensor<B>,
    pub bias: FloatTensor<B>,
}

/// The differentiable operations.
#[backend_extension(Flex, NdArray: cfg(feature = "ndarray"), Autodiff)]
pub trait FusedOps: Backend {
    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        factors: Factors,
    ) -> FloatTensor<Self>;
    fn fused_linear_gelu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        factors: Factors,
    ) -> FloatTensor<Self>;
    fn fused_dropout(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self>;
    fn fused_residual_layer_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        dropout: Dropout,
    ) -> FloatTensor<Self>;
    fn fused_self_attention(
        x: FloatTensor<Self>,
        #[extension_type] query: Projection<Self>,
        #[extension_type] key: Projection<Self>,
        #[extension_type] value: Projection<Self>,
        heads: Heads,
        factors: Factors,
    ) -> FloatTensor<Self>;
    fn fused_cross_entropy(
        logits: FloatTensor<Self>,
        labels: Vec<Option<u32>>,
        weights: LossWeights,
    ) -> FloatTensor<Self>;
}

impl<B: HostBackend> FusedOps for B {
    fn fused_linear(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        factors: Factors,
    ) -> FloatTensor<B> {
        linear::forward::<B>([x, weight, bias], factors).1
    }

    fn fused_linear_gelu(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        factors: Factors,
    ) -> FloatTensor<B> {
        gelu::apply::<B>(&x, &weight, &bias, factors)
    }

    fn fused_dropout(x: FloatTensor<B>, dropout: Dropout) -> FloatTensor<B> {
        dropout::forward::<B>([x], dropout).1
    }

    fn fused_residual_layer_norm(
        x: FloatTensor<B>,
        residual: FloatTensor<B>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        epsilon: f32,
        dropout: Dropout,
    ) -> FloatTensor<B> {
        norm::forward::<B>([x, residual, gamma, beta], epsilon, dropout).1
    }

    fn fused_self_attention(
        x: FloatTensor<B>,
        query: Projection<B>,
        key: Projection<B>,
        value: Projection<B>,
        heads: Heads,
        factors: Factors,
    ) -> FloatTensor<B> {
        attention::apply::<B>(&x, &[query, key, value], &heads, factors)
    }

    fn fused_cross_entropy(
        logits: FloatTensor<B>,
        labels: Vec<Option<u32>>,
        weights: LossWeights,
    ) -> FloatTensor<B> {
        loss::forward::<B>([logits], &labels, &weights).1
    }
}

/// What an optimizer does with parameters and gradients; never differentiated.
#[backend_extension(Flex, NdArray: cfg(feature = "ndarray"))]
pub trait OptimizerOps: Backend {
    fn adamw_step(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first_moment: FloatTensor<Self>,
        second_moment: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    fn square_sum(x: FloatTensor<Self>) -> f64;
}

impl<B: HostBackend> OptimizerOps for B {
    fn adamw_step(
        parameter: FloatTensor<B>,
        gradient: FloatTensor<B>,
        first_moment: FloatTensor<B>,
        second_moment: FloatTensor<B>,
        step: AdamWStep,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
        adamw::step::<B>(parameter, &gradient, first_moment, second_moment, &step)
    }

    fn square_sum(x: FloatTensor<B>) -> f64 {
        adamw::square_sum(&B::elements(&x))
    }
}
