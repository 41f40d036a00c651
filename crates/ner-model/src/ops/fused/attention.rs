//! Multi-head self-attention with its three projections.

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::autodiff::Saved;
use super::backend::Projection;
use super::host::HostBackend;
use super::kernels::{
    Isa, Mask, Matrix, MatrixMut, Product, RowMask, drop_row, softmax_backward_row, softmax_row,
    transpose,
};
use super::linear::{column_sums, project};
use crate::ops::Dropout;

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

    /// Number, first row, length and head of each task: one for each head of each sequence.
    fn tasks(&self) -> Vec<Task> {
        let sequence = |pair: &[usize]| (pair[0], pair[1] - pair[0]);
        let sequences = self.boundaries.windows(2).map(sequence);
        sequences
            .flat_map(|(first, len)| (0..self.count).map(move |head| Task { first, len, head }))
            .collect()
    }

    /// Elements of all probability matrices.
    fn probabilities(&self) -> usize {
        self.tasks().iter().map(|task| task.len * task.len).sum()
    }

    /// Mask of the probabilities of the query in this row of the batch.
    fn mask(&self, mask: Mask, task: Task, query: usize) -> RowMask {
        mask.row((task.first + query) * self.count + task.head)
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

    /// Splits the probability matrices of the tasks, which lie end to end.
    fn split<'a>(tasks: &[Self], mut probabilities: &'a mut [f32]) -> Vec<&'a mut [f32]> {
        let mut next = |task: &Self| {
            probabilities
                .split_off_mut(..task.len * task.len)
                .unwrap_or_default()
        };
        tasks.iter().map(&mut next).collect()
    }
}

#[derive(Clone, Debug)]
pub struct SelfAttention<B: HostBackend> {
    x: FloatTensor<B>,
    weights: [FloatTensor<B>; 3],
    /// Query, key and value.
    projected: [Vec<f32>; 3],
    /// Before dropout: one `[len, len]` matrix for each head of each sequence.
    probabilities: Vec<f32>,
    heads: Heads,
}

/// Context vectors of `[x, query weight, query bias, key weight, …, value bias]`.
pub fn forward<B: HostBackend>(
    [x, query, query_bias, key, key_bias, value, value_bias]: [FloatTensor<B>; 7],
    heads: Heads,
) -> (SelfAttention<B>, FloatTensor<B>) {
    let projections = [(query, query_bias), (key, key_bias), (value, value_bias)];
    let projections = projections.map(|(weight, bias)| Projection { weight, bias });
    let projected = project_all::<B>(&x, &projections);
    let mut probabilities = vec![0.0; heads.probabilities()];
    let [rows, hidden] = B::dims(&x);
    let context = attend(&projected, hidden, &heads, Some(&mut probabilities));
    let context = B::tensor(context, [rows, hidden], &x);
    let weights = projections.map(|projection| projection.weight);
    (
        SelfAttention {
            x,
            weights,
            projected,
            probabilities,
            heads,
        },
        context,
    )
}

/// Context vectors, keeping nothing for a backward pass.
pub fn apply<B: HostBackend>(
    x: &FloatTensor<B>,
    projections: &[Projection<B>; 3],
    heads: &Heads,
) -> FloatTensor<B> {
    let [rows, hidden] = B::dims(x);
    let context = attend(&project_all::<B>(x, projections), hidden, heads, None);
    B::tensor(context, [rows, hidden], x)
}

/// Query, key and value.
fn project_all<B: HostBackend>(
    x: &FloatTensor<B>,
    projections: &[Projection<B>; 3],
) -> [Vec<f32>; 3] {
    let [rows, hidden] = B::dims(x);
    let x = B::elements(x);
    projections.each_ref().map(|Projection { weight, bias }| {
        let mut y = vec![0.0; rows * hidden];
        project(
            Matrix::new(&x, hidden),
            Matrix::new(&B::elements(weight), hidden),
            &B::elements(bias),
            &mut y,
        );
        y
    })
}

/// Context vectors `[sub_words, hidden]`; stores the probabilities before dropout where asked to.
fn attend(
    projected: &[Vec<f32>; 3],
    hidden: usize,
    heads: &Heads,
    probabilities: Option<&mut [f32]>,
) -> Vec<f32> {
    let isa = Isa::detect();
    let mask = Mask::new(heads.dropout);
    let head_dim = hidden / heads.count;
    let scale = 1.0 / (head_dim as f32).sqrt();
    let [query, key, value] = projected.each_ref().map(|x| Matrix::new(x, hidden));
    let tasks = heads.tasks();
    let mut context = vec![0.0; projected[0].len()];
    let contexts = MatrixMut::new(&mut context, hidden).blocks(&heads.boundaries, heads.count);

    let head = |scratch: &mut Vec<f32>,
                task: Task,
                mut context: MatrixMut<'_>,
                keep: Option<&mut [f32]>| {
        let [query, key, value] = [query, key, value].map(|x| task.block(x, head_dim));
        scratch.resize(task.len * task.len, 0.0);
        let scores = Product {
            scale,
            ..Product::SERIAL
        };
        scores.compute(
            &mut MatrixMut::new(scratch, task.len),
            query,
            key.transposed(),
        );
        scratch.chunks_exact_mut(task.len).for_each(|row| {
            softmax_row(isa, row);
        });
        if let Some(keep) = keep {
            keep.copy_from_slice(scratch);
        }
        if let Some(mask) = mask {
            for (query, row) in scratch.chunks_exact_mut(task.len).enumerate() {
                drop_row(isa, heads.mask(mask, task, query), row);
            }
        }
        Product::SERIAL.compute(&mut context, Matrix::new(scratch, task.len), value);
    };
    let work = tasks.par_iter().zip(contexts);
    match probabilities {
        None => work.for_each_init(Vec::new, |scratch, (&task, context)| {
            head(scratch, task, context, None)
        }),
        Some(probabilities) => work
            .zip(Task::split(&tasks, probabilities))
            .for_each_init(Vec::new, |scratch, ((&task, context), keep)| {
                head(scratch, task, context, Some(keep))
            }),
    }
    context
}

impl<B: HostBackend> SelfAttention<B> {
    /// Gradients of query, key and value from that of the context vectors.
    fn attend_backward(&self, gradient: &[f32], hidden: usize) -> [Vec<f32>; 3] {
        let isa = Isa::detect();
        let heads = &self.heads;
        let mask = Mask::new(heads.dropout);
        let head_dim = hidden / heads.count;
        let scale = 1.0 / (head_dim as f32).sqrt();
        let [query, key, value] = self.projected.each_ref().map(|x| Matrix::new(x, hidden));
        let gradient = Matrix::new(gradient, hidden);
        let tasks = heads.tasks();

        let mut outputs = self.projected.each_ref().map(|x| vec![0.0; x.len()]);
        let [d_query, d_key, d_value] = outputs
            .each_mut()
            .map(|x| MatrixMut::new(x, hidden).blocks(&heads.boundaries, heads.count));
        let mut probabilities = &self.probabilities[..];
        let mut next = |task: &Task| {
            probabilities
                .split_off(..task.len * task.len)
                .unwrap_or_default()
        };
        let probabilities: Vec<&[f32]> = tasks.iter().map(&mut next).collect();

        tasks.par_iter().zip(probabilities).zip(d_query).zip(d_key).zip(d_value).for_each_init(
            || (Vec::new(), Vec::new()),
            |(dropped, d_scores), ((((&task, probabilities), mut d_query), mut d_key), mut d_value)| {
                let [query, key, value, gradient] =
                    [query, key, value, gradient].map(|x| task.block(x, head_dim));
                let square = |data| Matrix::new(data, task.len);
                let drop_all = |data: &mut [f32]| {
                    let Some(mask) = mask else { return };
                    for (query, row) in data.chunks_exact_mut(task.len).enumerate() {
                        drop_row(isa, heads.mask(mask, task, query), row);
                    }
                };
                dropped.clear();
                dropped.extend_from_slice(probabilities);
                drop_all(dropped);
                Product::SERIAL.compute(&mut d_value, square(dropped).transposed(), gradient);

                d_scores.resize(task.len * task.len, 0.0);
                Product::SERIAL.compute(&mut MatrixMut::new(d_scores, task.len), gradient, value.transposed());
                drop_all(d_scores);
                let rows = probabilities.chunks_exact(task.len).zip(d_scores.chunks_exact_mut(task.len));
                rows.for_each(|(p, d_scores)| softmax_backward_row(isa, p, d_scores, scale));
                Product::SERIAL.compute(&mut d_query, square(d_scores), key);
                Product::SERIAL.compute(&mut d_key, square(d_scores).transposed(), query);
            },
        );
        outputs
    }
}

impl<B: HostBackend> Saved<B, 7> for SelfAttention<B> {
    fn backward(self, gradient: FloatTensor<B>, wanted: [bool; 7]) -> [Option<FloatTensor<B>>; 7] {
        let [rows, hidden] = B::dims(&self.x);
        let d_projected = self.attend_backward(&B::elements(&gradient), hidden);
        let [d_query, d_key, d_value] = d_projected.each_ref().map(|d| Matrix::new(d, hidden));

        let x = B::elements(&self.x);
        let x = Matrix::new(&x, hidden).transposed();
        let weight = |d_y| {
            let mut d_weight = vec![0.0; hidden * hidden];
            Product::PARALLEL.compute(&mut MatrixMut::new(&mut d_weight, hidden), x, d_y);
            B::tensor(d_weight, [hidden, hidden], &gradient)
        };
        let bias = |d_y| B::tensor(column_sums(d_y, hidden), [hidden], &gradient);
        let d_x = || {
            let mut d_x = vec![0.0; rows * hidden];
            let mut transposed = vec![0.0; hidden * hidden];
            for (number, (weight, d_y)) in self
                .weights
                .iter()
                .zip([d_query, d_key, d_value])
                .enumerate()
            {
                transpose(&B::elements(weight), hidden, &mut transposed);
                let product = Product {
                    accumulate: number > 0,
                    ..Product::PARALLEL
                };
                product.compute(
                    &mut MatrixMut::new(&mut d_x, hidden),
                    d_y,
                    Matrix::new(&transposed, hidden),
                );
            }
            B::tensor(d_x, [rows, hidden], &gradient)
        };
        [
            wanted[0].then(d_x),
            wanted[1].then(|| weight(d_query)),
            wanted[2].then(|| bias(&d_projected[0])),
            wanted[3].then(|| weight(d_key)),
            wanted[4].then(|| bias(&d_projected[1])),
            wanted[5].then(|| weight(d_value)),
            wanted[6].then(|| bias(&d_projected[2])),
        ]
    }
}
