//! Linear layers whose weights are packed once, for inference: 8-bit integers or bf16.
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
use rayon::prelude::*;

use super::attention::{Heads, attend};
use super::host_backend::HostBackend;
use super::kernels::{
    Bf16Left, Bf16Right, Int8Matrix, Int8Rows, Isa, Matrix, MatrixMut, Start, gelu,
    multiplies_bf16, transpose,
};
use crate::ops::{Dropout, Factors};

/// What weights are packed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Int8,
    Bf16,
}

/// Weights `[inputs, outputs]`.
#[derive(Debug)]
enum Weights {
    Int8(Int8Matrix),
    Bf16(Bf16Right),
}

/// Rows of inputs as the weights take them.
enum Rows {
    Int8(Int8Rows),
    Bf16(Bf16Left),
}

/// One linear layer.
#[derive(Clone, Debug)]
pub struct PackedLinear(Arc<Layer>);

#[derive(Debug)]
struct Layer {
    weights: Weights,
    bias: Vec<f32>,
}

impl PackedLinear {
    /// Packs weights `[outputs, inputs]`.
    pub(crate) fn new(packing: Packing, weights: &[f32], inputs: usize, bias: Vec<f32>) -> Self {
        let weights = match packing {
            Packing::Int8 => Weights::Int8(Int8Matrix::new(weights, inputs)),
            Packing::Bf16 => {
                Weights::Bf16(Bf16Right::new(Matrix::new(weights, inputs).transposed()))
            }
        };
        Self(Arc::new(Layer { weights, bias }))
    }

    /// Packs weights `[outputs, inputs]` that were quantized before, with what 1 stands for in each output. `None` where they are larger than
    /// this processor takes.
    pub(crate) fn of_integers(
        weights: &[i8],
        scales: Vec<f32>,
        inputs: usize,
        bias: &[f32],
    ) -> Option<Self> {
        let weights = Weights::Int8(Int8Matrix::packed(weights, scales, inputs)?);
        let bias = bias.to_vec();
        Some(Self(Arc::new(Layer { weights, bias })))
    }

    /// Packs a layer of a model.
    fn of_layer(packing: Packing, layer: &Linear) -> Self {
        let weight = layer.weight.val();
        let [inputs, outputs] = weight.dims();
        let read = |data: burn::tensor::TensorData| data.iter::<f32>().collect::<Vec<f32>>();
        let bias = layer
            .bias
            .as_ref()
            .map_or_else(|| vec![0.0; outputs], |bias| read(bias.val().into_data()));
        let weight = transpose(&read(weight.into_data()), outputs);
        Self::new(packing, &weight, inputs, bias)
    }
}

impl Layer {
    /// Rows that go through both layers of a feed-forward half together: few enough that what lies between stays in the cache, and enough to be
    /// worth the weights that each strip reads again.
    fn strip(&self) -> usize {
        match self.weights {
            Weights::Int8(_) => 48,
            Weights::Bf16(_) => 192,
        }
    }

    /// What attention multiplies: bf16 where the processor has the instructions for it.
    fn attention(&self) -> Factors {
        match self.weights {
            Weights::Int8(_) if !multiplies_bf16() => Factors::F32,
            _ => Factors::Bf16,
        }
    }

    fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Row-major rows of so many inputs.
    fn rows(&self, x: &[f32], inputs: usize) -> Rows {
        match self.weights {
            Weights::Int8(_) => Rows::Int8(Int8Rows::new(x, inputs)),
            Weights::Bf16(_) => Rows::Bf16(Bf16Left::new(Matrix::new(x, inputs))),
        }
    }

    /// The same after `prepare` has changed each row.
    fn rows_after(
        &self,
        x: &mut [f32],
        inputs: usize,
        prepare: impl Fn(&mut [f32]) + Sync,
    ) -> Rows {
        match self.weights {
            Weights::Int8(_) => Rows::Int8(Int8Rows::after(x, inputs, prepare)),
            Weights::Bf16(_) => Rows::Bf16(Bf16Left::after(x, inputs, prepare)),
        }
    }

    /// `x · weights + bias`, of rows that a layer packed alike has made.
    fn affine(&self, x: &Rows) -> Vec<f32> {
        match (&self.weights, x) {
            (Weights::Int8(weights), Rows::Int8(x)) => weights.affine(x, &self.bias),
            (Weights::Bf16(weights), Rows::Bf16(x)) => x.times(weights, Some(&self.bias)),
            _ => unreachable!("all layers of a model are packed alike"),
        }
    }

    /// As [`affine`](Self::affine), over what `out` holds.
    fn affine_to(&self, x: &Rows, out: &mut [f32]) {
        match (&self.weights, x) {
            (Weights::Int8(weights), Rows::Int8(x)) => weights.affine_to(x, &self.bias, out),
            (Weights::Bf16(weights), Rows::Bf16(x)) => {
                let out = &mut MatrixMut::new(out, self.outputs());
                x.write(weights, Start::Bias(&self.bias), true, out);
            }
            _ => unreachable!("all layers of a model are packed alike"),
        }
    }
}

/// Query, key and value projections.
#[derive(Clone, Debug)]
pub struct PackedProjections([PackedLinear; 3]);

/// The linear layers of a model, by their weights.
#[derive(Debug)]
pub struct PackedWeights {
    packing: Packing,
    layers: HashMap<ParamId, PackedLinear>,
}

impl PackedWeights {
    /// Packs layers of a model.
    pub(crate) fn pack(packing: Packing, layers: &[&Linear]) -> Self {
        let layers = layers.par_iter().map(|layer| {
            let packed = PackedLinear::of_layer(packing, layer);
            (layer.weight.id, packed)
        });
        let layers = layers.collect();
        Self { packing, layers }
    }

    /// Layers that are packed already, by their weights.
    pub(crate) fn of_layers(packing: Packing, layers: HashMap<ParamId, PackedLinear>) -> Self {
        Self { packing, layers }
    }

    /// What they are packed as.
    pub(crate) fn packing(&self) -> Packing {
        self.packing
    }

    fn get(&self, layer: &Linear) -> Option<PackedLinear> {
        self.layers.get(&layer.weight.id).cloned()
    }

    /// As [`linear`](super::linear), by packed weights where the layer has them.
    pub(crate) fn linear(&self, x: Tensor<2>, layer: &Linear) -> Tensor<2> {
        match self.get(layer) {
            Some(layer) => Tensor::from_dispatch(Dispatch::packed_linear(x.into_dispatch(), layer)),
            None => super::linear(x, layer, Factors::F32),
        }
    }

    /// As [`feed_forward`](super::feed_forward), by packed weights where both layers have them.
    pub(crate) fn feed_forward(&self, x: Tensor<2>, [widen, narrow]: [&Linear; 2]) -> Tensor<2> {
        let (Some(of_widen), Some(of_narrow)) = (self.get(widen), self.get(narrow)) else {
            return super::feed_forward(x, [widen, narrow], Factors::F32);
        };
        let x = x.into_dispatch();
        Tensor::from_dispatch(Dispatch::packed_feed_forward(x, of_widen, of_narrow))
    }

    /// As [`self_attention`](super::self_attention), its projections by packed weights where they have them.
    pub(crate) fn self_attention(
        &self,
        x: Tensor<2>,
        layers: [&Linear; 3],
        boundaries: &[usize],
        heads: usize,
        dropout: Dropout,
    ) -> Tensor<2> {
        let [Some(query), Some(key), Some(value)] = layers.map(|layer| self.get(layer)) else {
            return super::self_attention(x, layers, boundaries, heads, dropout, Factors::F32);
        };
        Tensor::from_dispatch(Dispatch::packed_self_attention(
            x.into_dispatch(),
            PackedProjections([query, key, value]),
            Heads::new(boundaries, heads, dropout),
        ))
    }
}

/// The operations as extensions of Burn's CPU backends; never differentiated.
#[backend_extension(Flex, NdArray: cfg(feature = "ndarray"))]
pub trait PackedOps: Backend {
    fn packed_linear(x: FloatTensor<Self>, layer: PackedLinear) -> FloatTensor<Self>;
    fn packed_feed_forward(
        x: FloatTensor<Self>,
        widen: PackedLinear,
        narrow: PackedLinear,
    ) -> FloatTensor<Self>;
    fn packed_self_attention(
        x: FloatTensor<Self>,
        projections: PackedProjections,
        heads: Heads,
    ) -> FloatTensor<Self>;
}

impl<B: HostBackend> PackedOps for B {
    fn packed_linear(x: FloatTensor<B>, PackedLinear(layer): PackedLinear) -> FloatTensor<B> {
        let [rows, inputs] = B::dims(&x);
        let y = layer.affine(&layer.rows(&B::elements(&x), inputs));
        B::tensor(y, [rows, layer.outputs()], &x)
    }

    fn packed_feed_forward(
        x: FloatTensor<B>,
        PackedLinear(widen): PackedLinear,
        PackedLinear(narrow): PackedLinear,
    ) -> FloatTensor<B> {
        let isa = Isa::detect();
        let strip = widen.strip();
        let [rows, inputs] = B::dims(&x);
        let mut y = vec![0.0; rows * narrow.outputs()];
        B::elements(&x)
            .par_chunks(strip * inputs)
            .zip(y.par_chunks_mut(strip * narrow.outputs()))
            .for_each(|(x, y)| {
                let mut between = widen.affine(&widen.rows(x, inputs));
                let rows = narrow.rows_after(&mut between, widen.outputs(), |row| gelu(isa, row));
                narrow.affine_to(&rows, y);
            });
        B::tensor(y, [rows, narrow.outputs()], &x)
    }

    fn packed_self_attention(
        x: FloatTensor<B>,
        projections: PackedProjections,
        heads: Heads,
    ) -> FloatTensor<B> {
        let [rows, hidden] = B::dims(&x);
        let [PackedLinear(query), ..] = &projections.0;
        let packed = query.rows(&B::elements(&x), hidden);
        let projected = projections
            .0
            .each_ref()
            .map(|PackedLinear(layer)| layer.affine(&packed));
        let (context, _) = attend(&projected, hidden, &heads, query.attention(), drop);
        B::tensor(context, [rows, hidden], &x)
    }
}
