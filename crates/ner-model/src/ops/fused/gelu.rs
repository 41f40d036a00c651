//! Linear layer and GELU.

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::autodiff::Saved;
use super::host_backend::HostBackend;
use super::kernels::{
    Factor, Isa, Matrix, TASK, biased_gelu, biased_gelu_rows, gelu_backward, rows_per_task,
};
use super::linear::Linear;
use crate::ops::Factors;

#[derive(Clone, Debug)]
pub struct LinearGelu<B: HostBackend> {
    linear: Linear<B>,
    /// What the linear layer gives and GELU takes.
    between: FloatTensor<B>,
}

/// GELU of `x · weight + bias` of `[x, weight, bias]`.
pub fn forward<B: HostBackend>(
    [x, weight, bias]: [FloatTensor<B>; 3],
    factors: Factors,
) -> (LinearGelu<B>, FloatTensor<B>) {
    let dims = dims::<B>(&x, &weight);
    let mut between = without_bias::<B>(&x, &weight, factors);
    let y = biased_gelu_rows(&mut between, &B::elements(&bias));
    let [between, y] = [between, y].map(|values| B::tensor(values, dims, &x));
    let linear = Linear { x, weight, factors };
    (LinearGelu { linear, between }, y)
}

/// As [`forward`], to the same bits, keeping nothing for a backward pass.
pub fn apply<B: HostBackend>(
    x: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    bias: &FloatTensor<B>,
    factors: Factors,
) -> FloatTensor<B> {
    let isa = Isa::detect();
    let dims @ [_, outputs] = dims::<B>(x, weight);
    let bias = B::elements(bias);
    let mut y = without_bias::<B>(x, weight, factors);
    y.par_chunks_mut(rows_per_task(outputs) * outputs)
        .for_each(|y| {
            for row in y.chunks_exact_mut(outputs) {
                biased_gelu(isa, row, &bias);
            }
        });
    B::tensor(y, dims, x)
}

fn dims<B: HostBackend>(x: &FloatTensor<B>, weight: &FloatTensor<B>) -> [usize; 2] {
    let ([rows, _], [_, outputs]) = (B::dims(x), B::dims(weight));
    [rows, outputs]
}

/// The product alone: the bias is added by the pass that computes GELU.
fn without_bias<B: HostBackend>(
    x: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    factors: Factors,
) -> Vec<f32> {
    let [inputs, outputs] = B::dims(weight);
    Factor::new(Matrix::new(&B::elements(x), inputs), factors)
        .times(Matrix::new(&B::elements(weight), outputs))
}

impl<B: HostBackend> Saved<B, 3> for LinearGelu<B> {
    fn backward(
        self,
        mut gradient: FloatTensor<B>,
        wanted: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let isa = Isa::detect();
        let d_between = B::elements_mut(&mut gradient).par_chunks_mut(TASK);
        d_between
            .zip(B::elements(&self.between).par_chunks(TASK))
            .for_each(|(d, between)| gelu_backward(isa, between, d));
        self.linear.backward(gradient, wanted)
    }
}
