//! The backward pass: how an operation becomes a node of Burn's autodiff graph.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

use super::attention::{self, Heads};
use super::backend::{FusedOps, Projection};
use super::host_backend::HostBackend;
use super::{dropout, gelu, linear, loss, norm};
use crate::ops::{Dropout, Factors, LossWeights};

/// What an operation of `N` inputs keeps of its forward pass for the backward pass.
pub trait Saved<B: Backend, const N: usize>: Clone + Debug + Send + 'static {
    /// Turns the gradient of the output into those of the inputs that are `wanted`.
    fn backward(self, gradient: FloatTensor<B>, wanted: [bool; N]) -> [Option<FloatTensor<B>>; N];
}

#[derive(Debug)]
struct Node<S>(PhantomData<S>);

impl<B: Backend, S: Saved<B, N>, const N: usize> Backward<B, N> for Node<S> {
    type State = S;

    fn backward(self, ops: Ops<S, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let computed = ops
            .state
            .backward(gradients.consume::<B>(&ops.node), wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(computed) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// Runs an operation and records its node.
pub fn record<B, C, S, const N: usize>(
    inputs: [FloatTensor<Autodiff<B, C>>; N],
    forward: impl FnOnce([FloatTensor<B>; N]) -> (S, FloatTensor<B>),
) -> FloatTensor<Autodiff<B, C>>
where
    B: Backend,
    C: CheckpointStrategy,
    S: Saved<B, N>,
{
    let guards = inputs.each_ref().map(FloatTensor::<Autodiff<B, C>>::node);
    let (saved, output) = forward(inputs.map(FloatTensor::<Autodiff<B, C>>::into_primitive));
    match Node(PhantomData::<S>)
        .prepare::<C>(guards)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(node) => node.finish(saved, output),
        OpsKind::UnTracked(node) => node.finish(output),
    }
}

impl<B: HostBackend, C: CheckpointStrategy> FusedOps for Autodiff<B, C> {
    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        factors: Factors,
    ) -> FloatTensor<Self> {
        record::<B, C, _, _>([x, weight, bias], |inputs| {
            linear::forward::<B>(inputs, factors)
        })
    }

    fn fused_linear_gelu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        factors: Factors,
    ) -> FloatTensor<Self> {
        record::<B, C, _, _>([x, weight, bias], |inputs| {
            gelu::forward::<B>(inputs, factors)
        })
    }

    fn fused_dropout(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        record::<B, C, _, _>([x], |inputs| dropout::forward::<B>(inputs, dropout))
    }

    fn fused_residual_layer_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        dropout: Dropout,
    ) -> FloatTensor<Self> {
        record::<B, C, _, _>([x, residual, gamma, beta], |inputs| {
            norm::forward::<B>(inputs, epsilon, dropout)
        })
    }

    fn fused_self_attention(
        x: FloatTensor<Self>,
        query: Projection<Self>,
        key: Projection<Self>,
        value: Projection<Self>,
        heads: Heads,
        factors: Factors,
    ) -> FloatTensor<Self> {
        let [q, k, v] = [query, key, value];
        let inputs = [x, q.weight, q.bias, k.weight, k.bias, v.weight, v.bias];
        record::<B, C, _, _>(inputs, |inputs| {
            attention::forward::<B>(inputs, heads, factors)
        })
    }

    fn fused_cross_entropy(
        logits: FloatTensor<Self>,
        labels: Vec<Option<u32>>,
        weights: LossWeights,
    ) -> FloatTensor<Self> {
        record::<B, C, _, _>([logits], |inputs| {
            loss::forward::<B>(inputs, &labels, &weights)
        })
    }
}
