//! Linear layers of 8-bit weights, for inference.
#![cfg_attr(
    feature = "ndarray",
    allow(
        deprecated,
        reason = "burn-ndarray is kept as a device that users can choose until Burn removes it"
    )
)]

use std::collections::HashMap;
use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::module::ParamId;
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::attention::{Heads, attend};
use super::host::HostBackend;
use super::kernels::{Int8Matrix, Int8Rows, Isa, gelu};
use crate::ops::Dropout;

/// One linear layer.
#[derive(Clone, Debug)]
pub struct Int8Linear(Arc<(Int8Matrix, Vec<f32>)>);

/// Query, key and value projections.
#[derive(Clone, Debug)]
pub struct Int8Projections([Int8Linear; 3]);

/// The linear layers of a model, by their weights.
#[derive(Debug, Default)]
pub struct Int8Weights(HashMap<ParamId, Int8Linear>);

impl Int8Weights {
    /// Quantizes a layer.
    pub(crate) fn insert(&mut self, layer: &Linear) {
        let weight = layer.weight.val();
        let outputs = weight.dims()[1];
        let read = |data: burn::tensor::TensorData| data.iter::<f32>().collect::<Vec<f32>>();
        let bias = layer
            .bias
            .as_ref()
            .map_or_else(|| vec![0.0; outputs], |bias| read(bias.val().into_data()));
        let matrix = Int8Matrix::new(&read(weight.into_data()), outputs);
        self.0
            .insert(layer.weight.id, Int8Linear(Arc::new((matrix, bias))));
    }

    fn get(&self, layer: &Linear) -> Option<Int8Linear> {
        self.0.get(&layer.weight.id).cloned()
    }

    /// As [`linear`](super::linear), by integers where the layer is quantized.
    pub(crate) fn linear(&self, x: Tensor<2>, layer: &Linear) -> Tensor<2> {
        match self.get(layer) {
            Some(layer) => Tensor::from_dispatch(Dispatch::int8_linear(x.into_dispatch(), layer)),
            None => super::linear(x, layer),
        }
    }

    /// As [`feed_forward`](super::feed_forward), by integers where both layers are quantized.
    pub(crate) fn feed_forward(&self, x: Tensor<2>, [widen, narrow]: [&Linear; 2]) -> Tensor<2> {
        let (Some(of_widen), Some(of_narrow)) = (self.get(widen), self.get(narrow)) else {
            return super::feed_forward(x, [widen, narrow]);
        };
        let x = x.into_dispatch();
        Tensor::from_dispatch(Dispatch::int8_feed_forward(x, of_widen, of_narrow))
    }

    /// As [`self_attention`](super::self_attention), its projections by integers where they are quantized.
    pub(crate) fn self_attention(
        &self,
        x: Tensor<2>,
        layers: [&Linear; 3],
        boundaries: &[usize],
        heads: usize,
        dropout: Dropout,
    ) -> Tensor<2> {
        let [Some(query), Some(key), Some(value)] = layers.map(|layer| self.get(layer)) else {
            return super::self_attention(x, layers, boundaries, heads, dropout);
        };
        Tensor::from_dispatch(Dispatch::int8_self_attention(
            x.into_dispatch(),
            Int8Projections([query, key, value]),
            Heads::new(boundaries, heads, dropout),
        ))
    }
}

/// The operations as extensions of Burn's CPU backends; never differentiated.
#[backend_extension(Flex, NdArray: cfg(feature = "ndarray"))]
pub trait Int8Ops: Backend {
    fn int8_linear(x: FloatTensor<Self>, layer: Int8Linear) -> FloatTensor<Self>;
    fn int8_feed_forward(
        x: FloatTensor<Self>,
        widen: Int8Linear,
        narrow: Int8Linear,
    ) -> FloatTensor<Self>;
    fn int8_self_attention(
        x: FloatTensor<Self>,
        projections: Int8Projections,
        heads: Heads,
    ) -> FloatTensor<Self>;
}

impl<B: HostBackend> Int8Ops for B {
    fn int8_linear(x: FloatTensor<B>, layer: Int8Linear) -> FloatTensor<B> {
        let [rows, inputs] = B::dims(&x);
        let (matrix, bias) = &*layer.0;
        let y = matrix.affine(&Int8Rows::new(&B::elements(&x), inputs), bias);
        B::tensor(y, [rows, matrix.outputs()], &x)
    }

    fn int8_feed_forward(
        x: FloatTensor<B>,
        widen: Int8Linear,
        narrow: Int8Linear,
    ) -> FloatTensor<B> {
        let isa = Isa::detect();
        let [rows, _] = B::dims(&x);
        let layers = [&*widen.0, &*narrow.0].map(|(matrix, bias)| (matrix, &bias[..]));
        let y = Int8Matrix::affine_twice(layers, &B::elements(&x), |between| gelu(isa, between));
        B::tensor(y, [rows, narrow.0.0.outputs()], &x)
    }

    fn int8_self_attention(
        x: FloatTensor<B>,
        projections: Int8Projections,
        heads: Heads,
    ) -> FloatTensor<B> {
        let [rows, hidden] = B::dims(&x);
        let quantized = Int8Rows::new(&B::elements(&x), hidden);
        let projected = projections
            .0
            .each_ref()
            .map(|layer| layer.0.0.affine(&quantized, &layer.0.1));
        let (context, _) = attend(&projected, hidden, &heads, drop);
        B::tensor(context, [rows, hidden], &x)
    }
}
