//! Linear layer.

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::autodiff::Saved;
use super::host_backend::HostBackend;
use super::kernels::{Factor, Isa, Matrix, add_rows, rows_per_task};
use crate::ops::Factors;

#[derive(Clone, Debug)]
pub struct Linear<B: HostBackend> {
    pub x: FloatTensor<B>,
    pub weight: FloatTensor<B>,
    pub factors: Factors,
}

/// `x · weight + bias` of `[x, weight, bias]`.
pub fn forward<B: HostBackend>(
    [x, weight, bias]: [FloatTensor<B>; 3],
    factors: Factors,
) -> (Linear<B>, FloatTensor<B>) {
    let [rows, inputs] = B::dims(&x);
    let [_, outputs] = B::dims(&weight);
    let y = Factor::new(Matrix::new(&B::elements(&x), inputs), factors).affine(
        Matrix::new(&B::elements(&weight), outputs),
        &B::elements(&bias),
    );
    let y = B::tensor(y, [rows, outputs], &x);
    let linear = Linear { x, weight, factors };
    (linear, y)
}

impl<B: HostBackend> Saved<B, 3> for Linear<B> {
    fn backward(self, gradient: FloatTensor<B>, wanted: [bool; 3]) -> [Option<FloatTensor<B>>; 3] {
        let [rows, inputs] = B::dims(&self.x);
        let [_, outputs] = B::dims(&self.weight);
        let dy = &*B::elements(&gradient);
        let d_x = || {
            let dy = Factor::new(Matrix::new(dy, outputs), self.factors);
            let d_x = dy.times_transposed(&B::elements(&self.weight), outputs);
            B::tensor(d_x, [rows, inputs], &gradient)
        };
        let d_weight = || {
            let x = B::elements(&self.x);
            let x = Factor::new(Matrix::new(&x, inputs).transposed(), self.factors);
            let d_weight = x.times(Matrix::new(dy, outputs));
            B::tensor(d_weight, [inputs, outputs], &gradient)
        };
        let d_bias = || B::tensor(column_sums(dy, outputs), [outputs], &gradient);
        [
            wanted[0].then(d_x),
            wanted[1].then(d_weight),
            wanted[2].then(d_bias),
        ]
    }
}

/// Sums of the columns of a row-major matrix.
pub fn column_sums(x: &[f32], columns: usize) -> Vec<f32> {
    let isa = Isa::detect();
    let task = |x: &[f32]| {
        let mut sum = vec![0.0; columns];
        add_rows(isa, x, &mut sum);
        sum
    };
    in_order(
        x.par_chunks(rows_per_task(columns) * columns)
            .map(task)
            .collect(),
        columns,
    )
}

/// Sum of the vectors that parallel tasks made, in the order of the tasks.
pub fn in_order(parts: Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let isa = Isa::detect();
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_else(|| vec![0.0; len]);
    parts.for_each(|part| add_rows(isa, &part, &mut sum));
    sum
}
