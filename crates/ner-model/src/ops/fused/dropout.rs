//! Dropout.

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::autodiff::Saved;
use super::host_backend::HostBackend;
use super::kernels::{Isa, Mask, drop_row, rows_per_task};
use crate::ops::Dropout;

#[derive(Clone, Debug)]
pub struct Dropped(Dropout);

/// Dropout of `[x]`, row by row.
pub fn forward<B: HostBackend>(
    [x]: [FloatTensor<B>; 1],
    dropout: Dropout,
) -> (Dropped, FloatTensor<B>) {
    (Dropped(dropout), apply::<B>(x, dropout))
}

/// Zeroes the elements that `dropout` drops and scales the others.
pub fn apply<B: HostBackend>(mut x: FloatTensor<B>, dropout: Dropout) -> FloatTensor<B> {
    let Some(mask) = Mask::new(dropout) else {
        return x;
    };
    let isa = Isa::detect();
    let [_, width] = B::dims(&x);
    let rows = rows_per_task(width);
    B::elements_mut(&mut x)
        .par_chunks_mut(rows * width)
        .enumerate()
        .for_each(|(task, x)| {
            for (row, x) in (task * rows..).zip(x.chunks_exact_mut(width)) {
                drop_row(isa, mask.row(row), x);
            }
        });
    x
}

impl<B: HostBackend> Saved<B, 1> for Dropped {
    fn backward(self, gradient: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        [Some(apply::<B>(gradient, self.0))]
    }
}
