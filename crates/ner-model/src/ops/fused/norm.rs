//! Dropout, residual connection and layer normalisation.

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::autodiff::Saved;
use super::dropout;
use super::host_backend::HostBackend;
use super::kernels::{Isa, Mask, norm_backward_row, residual_norm_row, rows_per_task};
use super::linear::in_order;
use crate::ops::Dropout;

#[derive(Clone, Debug)]
pub struct ResidualNorm<B: HostBackend> {
    /// Rows of mean 0 and variance 1, before `gamma` and `beta`.
    normalized: FloatTensor<B>,
    inverse_deviations: Vec<f32>,
    gamma: FloatTensor<B>,
    dropout: Dropout,
}

/// `LayerNorm(dropout(x) + residual)` of `[x, residual, gamma, beta]`, in the memory of `x` and `residual` where nothing else reads it.
pub fn forward<B: HostBackend>(
    [mut x, mut residual, gamma, beta]: [FloatTensor<B>; 4],
    epsilon: f32,
    dropout: Dropout,
) -> (ResidualNorm<B>, FloatTensor<B>) {
    let isa = Isa::detect();
    let mask = Mask::new(dropout);
    let [rows, width] = B::dims(&x);
    let per_task = rows_per_task(width);
    let mut inverse_deviations = vec![0.0; rows];
    {
        let (gamma, beta) = (B::elements(&gamma), B::elements(&beta));
        B::elements_mut(&mut x)
            .par_chunks_mut(per_task * width)
            .zip(B::elements_mut(&mut residual).par_chunks_mut(per_task * width))
            .zip(inverse_deviations.par_chunks_mut(per_task))
            .enumerate()
            .for_each(|(task, ((x, residual), inverse_deviations))| {
                let rows = x
                    .chunks_exact_mut(width)
                    .zip(residual.chunks_exact_mut(width));
                for ((row, (x, residual)), inverse) in
                    (task * per_task..).zip(rows).zip(inverse_deviations)
                {
                    let mask = mask.map(|mask| mask.row(row));
                    *inverse = residual_norm_row(isa, mask, x, residual, &gamma, &beta, epsilon);
                }
            });
    }
    (
        ResidualNorm {
            normalized: x,
            inverse_deviations,
            gamma,
            dropout,
        },
        residual,
    )
}

impl<B: HostBackend> Saved<B, 4> for ResidualNorm<B> {
    fn backward(
        self,
        mut gradient: FloatTensor<B>,
        wanted: [bool; 4],
    ) -> [Option<FloatTensor<B>>; 4] {
        let isa = Isa::detect();
        let [_, width] = B::dims(&gradient);
        let per_task = rows_per_task(width);
        let gamma = B::elements(&self.gamma);
        let (d_gamma, d_beta) = B::elements_mut(&mut gradient)
            .par_chunks_mut(per_task * width)
            .zip(B::elements(&self.normalized).par_chunks(per_task * width))
            .zip(self.inverse_deviations.par_chunks(per_task))
            .map(|((gradient, normalized), inverse_deviations)| {
                let (mut d_gamma, mut d_beta) = (vec![0.0; width], vec![0.0; width]);
                let rows = gradient
                    .chunks_exact_mut(width)
                    .zip(normalized.chunks_exact(width));
                for ((gradient, normalized), &inverse) in rows.zip(inverse_deviations) {
                    norm_backward_row(
                        isa,
                        normalized,
                        inverse,
                        &gamma,
                        gradient,
                        &mut d_gamma,
                        &mut d_beta,
                    );
                }
                (d_gamma, d_beta)
            })
            .unzip();
        let [d_gamma, d_beta] =
            [d_gamma, d_beta].map(|parts| B::tensor(in_order(parts, width), [width], &gradient));
        let d_x = wanted[0].then(|| dropout::apply::<B>(gradient.clone(), self.dropout));
        [d_x, Some(gradient), Some(d_gamma), Some(d_beta)]
    }
}
