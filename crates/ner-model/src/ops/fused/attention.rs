//! Multi-head self-attention with its three projections.

use std::borrow::Cow;
use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::autodiff::Saved;
use super::backend::Projection;
use super::host_backend::HostBackend;
use super::kernels::{
    Factor, Isa, Mask, Matrix, MatrixMut, Product, drop_row, softmax_backward_row, softmax_row,
};
use super::linear::column_sums;
use crate::ops::{Dropout, Factors};

/// How the rows and columns of query, key and value belong to sequences and heads.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Sequence `s` has the rows `boundaries[s]..boundaries[s + 1]`; none is empty.
    boundaries: Arc<[usize]>,
    /// Number of heads.
    count: usize,
    /// Dropout of the probabilities.
    dropout: Dropout,
}

impl Heads {
    pub fn new(boundaries: &[usize], count: usize, dropout: Dropout) -> Self {
        let mut boundaries = boundaries.to_vec();
        boundaries.dedup();
        Self {
            boundaries: boundaries.into(),
            count,
            dropout,
        }
    }

    /// One task for each head of each sequence.
    fn tasks(&self) -> Vec<Task> {
        let sequence = |pair: &[usize]| (pair[0], pair[1] - pair[0]);
        let sequences = self.boundaries.windows(2).map(sequence);
        sequences
            .flat_map(|(first, len)| (0..self.count).map(move |head| Task { first, len, head }))
            .collect()
    }

    /// Number of rows of all sequences.
    fn rows(&self) -> usize {
        self.boundaries.last().copied().unwrap_or(0)
    }

    /// Dropout of one task's probabilities, or of their gradient.
    fn drop(&self, task: Task, probabilities: &mut [f32]) {
        let Some(mask) = Mask::new(self.dropout) else {
            return;
        };
        let isa = Isa::detect();
        for (query, row) in probabilities.chunks_exact_mut(task.len).enumerate() {
            drop_row(
                isa,
                mask.row((task.first + query) * self.count + task.head),
                row,
            );
        }
    }

    /// One task's probabilities after dropout.
    fn dropped<'a>(&self, task: Task, probabilities: &'a [f32]) -> Cow<'a, [f32]> {
        let mut dropped = Cow::Borrowed(probabilities);
        if self.dropout.probability > 0.0 {
            self.drop(task, dropped.to_mut());
        }
        dropped
    }
}

/// One head of one sequence.
#[derive(Clone, Copy)]
struct Task {
    first: usize,
    len: usize,
    head: usize,
}

impl Task {
    /// This head's columns of this sequence's rows.
    fn block(self, matrix: Matrix<'_>, head_dim: usize) -> Matrix<'_> {
        matrix.block(
            self.first..self.first + self.len,
            self.head * head_dim..(self.head + 1) * head_dim,
        )
    }
}

/// Rows of the shortest sequence whose attention is worth the packing of bf16: with fewer, f32 was as fast or faster.
const LONG: usize = 128;
/// What attention multiplies in training, whatever the linear layers do: bf16, which is packed first, was no faster there.
const TRAINED_BY: Factors = Factors::F32;

#[derive(Clone, Debug)]
pub struct SelfAttention<B: HostBackend> {
    x: FloatTensor<B>,
    weights: [FloatTensor<B>; 3],
    /// Query, key and value.
    projected: [Vec<f32>; 3],
    /// Before dropout: one `[len, len]` matrix for each head of each sequence.
    probabilities: Vec<Vec<f32>>,
    heads: Heads,
    factors: Factors,
}

/// Context vectors of `[x, query weight, query bias, key weight, …, value bias]`.
pub fn forward<B: HostBackend>(
    [x, query, query_bias, key, key_bias, value, value_bias]: [FloatTensor<B>; 7],
    heads: Heads,
    factors: Factors,
) -> (SelfAttention<B>, FloatTensor<B>) {
    let projections = [(query, query_bias), (key, key_bias), (value, value_bias)];
    let projections = projections.map(|(weight, bias)| Projection { weight, bias });
    let projected = project_all::<B>(&x, &projections, factors);
    let [rows, hidden] = B::dims(&x);
    let (context, probabilities) =
        attend(&projected, hidden, &heads, TRAINED_BY, |probabilities| {
            probabilities
        });
    let context = B::tensor(context, [rows, hidden], &x);
    let weights = projections.map(|projection| projection.weight);
    (
        SelfAttention {
            x,
            weights,
            projected,
            probabilities,
            heads,
            factors,
        },
        context,
    )
}

/// Context vectors, keeping nothing for a backward pass.
pub fn apply<B: HostBackend>(
    x: &FloatTensor<B>,
    projections: &[Projection<B>; 3],
    heads: &Heads,
    factors: Factors,
) -> FloatTensor<B> {
    let [rows, hidden] = B::dims(x);
    let projected = project_all::<B>(x, projections, factors);
    let (context, _) = attend(&projected, hidden, heads, factors, drop);
    B::tensor(context, [rows, hidden], x)
}

/// Query, key and value.
fn project_all<B: HostBackend>(
    x: &FloatTensor<B>,
    projections: &[Projection<B>; 3],
    factors: Factors,
) -> [Vec<f32>; 3] {
    let [_, hidden] = B::dims(x);
    let x = B::elements(x);
    let x = Factor::new(Matrix::new(&x, hidden), factors);
    projections.each_ref().map(|Projection { weight, bias }| {
        let weight = B::elements(weight);
        x.affine(Matrix::new(&weight, hidden), &B::elements(bias))
    })
}

/// Context vectors `[subwords, hidden]` by products of such factors in long sequences, and what `keep` makes of each task's probabilities before dropout.
pub fn attend<T: Send>(
    projected: &[Vec<f32>; 3],
    hidden: usize,
    heads: &Heads,
    factors: Factors,
    keep: impl Fn(Vec<f32>) -> T + Sync,
) -> (Vec<f32>, Vec<T>) {
    let isa = Isa::detect();
    let head_dim = hidden / heads.count;
    let scale = 1.0 / (head_dim as f32).sqrt();
    let projected = projected.each_ref().map(|x| Matrix::new(x, hidden));
    let mut context = vec![0.0; heads.rows() * hidden];
    let contexts = MatrixMut::new(&mut context, hidden).blocks(&heads.boundaries, heads.count);

    let work = heads.tasks().into_par_iter().zip(contexts);
    let kept = work.map(|(task, mut context)| {
        let [query, key, value] = projected.map(|x| task.block(x, head_dim));
        let product = Product {
            factors: if task.len < LONG {
                Factors::F32
            } else {
                factors
            },
            ..Product::SERIAL
        };
        let scores = Product { scale, ..product };
        let mut probabilities = scores.compute_new(query, key.transposed());
        for row in probabilities.chunks_exact_mut(task.len) {
            softmax_row(isa, row);
        }
        let dropped = heads.dropped(task, &probabilities);
        product.compute(&mut context, Matrix::new(&dropped, task.len), value);
        keep(probabilities)
    });
    let kept = kept.collect();
    (context, kept)
}

/// Gradients of query, key and value from that of the context vectors.
fn attend_backward(
    projected: &[Vec<f32>; 3],
    probabilities: &[Vec<f32>],
    gradient: &[f32],
    hidden: usize,
    heads: &Heads,
) -> [Vec<f32>; 3] {
    let isa = Isa::detect();
    let head_dim = hidden / heads.count;
    let scale = 1.0 / (head_dim as f32).sqrt();
    let projected = projected.each_ref().map(|x| Matrix::new(x, hidden));
    let gradient = Matrix::new(gradient, hidden);

    let mut outputs = [(); 3].map(|()| vec![0.0; heads.rows() * hidden]);
    let [d_query, d_key, d_value] = outputs
        .each_mut()
        .map(|x| MatrixMut::new(x, hidden).blocks(&heads.boundaries, heads.count));
    let work = heads
        .tasks()
        .into_par_iter()
        .zip(probabilities)
        .zip(d_query)
        .zip(d_key)
        .zip(d_value);
    work.for_each(
        |((((task, probabilities), mut d_query), mut d_key), mut d_value)| {
            let [query, key, value] = projected.map(|x| task.block(x, head_dim));
            let gradient = task.block(gradient, head_dim);

            let dropped = heads.dropped(task, probabilities);
            let dropped = Matrix::new(&dropped, task.len);
            Product::SERIAL.compute(&mut d_value, dropped.transposed(), gradient);

            let mut d_scores = Product::SERIAL.compute_new(gradient, value.transposed());
            heads.drop(task, &mut d_scores);
            let rows = probabilities
                .chunks_exact(task.len)
                .zip(d_scores.chunks_exact_mut(task.len));
            rows.for_each(|(p, d_scores)| softmax_backward_row(isa, p, d_scores, scale));
            let d_scores = Matrix::new(&d_scores, task.len);
            Product::SERIAL.compute(&mut d_query, d_scores, key);
            Product::SERIAL.compute(&mut d_key, d_scores.transposed(), query);
        },
    );
    outputs
}

impl<B: HostBackend> Saved<B, 7> for SelfAttention<B> {
    fn backward(self, gradient: FloatTensor<B>, wanted: [bool; 7]) -> [Option<FloatTensor<B>>; 7] {
        let [rows, hidden] = B::dims(&self.x);
        let d_context = B::elements(&gradient);
        let d_projected = attend_backward(
            &self.projected,
            &self.probabilities,
            &d_context,
            hidden,
            &self.heads,
        );
        let weight = |transposed_x: &Factor<'_>, d_y: &[f32]| {
            let d_weight = transposed_x.times(Matrix::new(d_y, hidden));
            B::tensor(d_weight, [hidden, hidden], &gradient)
        };
        let bias = |d_y: &[f32]| B::tensor(column_sums(d_y, hidden), [hidden], &gradient);
        let d_x = || {
            let mut d_x = vec![0.0; rows * hidden];
            for (d_y, weight) in d_projected.iter().zip(&self.weights) {
                let d_y = Factor::new(Matrix::new(d_y, hidden), self.factors);
                let out = &mut MatrixMut::new(&mut d_x, hidden);
                d_y.add_times_transposed(&B::elements(weight), hidden, out);
            }
            B::tensor(d_x, [rows, hidden], &gradient)
        };
        let d_x = wanted[0].then(d_x);
        let x = B::elements(&self.x);
        let x = Factor::new(Matrix::new(&x, hidden).transposed(), self.factors);
        let [d_query, d_key, d_value] = d_projected.each_ref().map(Vec::as_slice);
        [
            d_x,
            wanted[1].then(|| weight(&x, d_query)),
            wanted[2].then(|| bias(d_query)),
            wanted[3].then(|| weight(&x, d_key)),
            wanted[4].then(|| bias(d_key)),
            wanted[5].then(|| weight(&x, d_value)),
            wanted[6].then(|| bias(d_value)),
        ]
    }
}
