//! Cross-entropy.

use burn::backend::tensor::FloatTensor;

use super::autodiff::Saved;
use super::host_backend::HostBackend;
use super::kernels::{Isa, softmax_row};
use crate::ops::LossWeights;

/// Gradient of the loss with respect to the logits.
#[derive(Clone, Debug)]
pub struct CrossEntropy<B: HostBackend>(FloatTensor<B>);

/// Cross-entropy of `[logits]` and the targets of the rows that have a label, over the sum of the labels' weights.
pub fn forward<B: HostBackend>(
    [mut logits]: [FloatTensor<B>; 1],
    labels: &[Option<u32>],
    weights: &LossWeights,
) -> (CrossEntropy<B>, FloatTensor<B>) {
    let [rows, _] = B::dims(&logits);
    assert_eq!(labels.len(), rows, "one label a row");
    let loss = to_gradient(B::elements_mut(&mut logits), labels, weights);
    let loss = B::tensor(vec![loss], [1], &logits);
    (CrossEntropy(logits), loss)
}

/// The loss of logits `[labels.len(), classes]`, which become its derivative by each of them.
pub fn to_gradient(logits: &mut [f32], labels: &[Option<u32>], weights: &LossWeights) -> f32 {
    let isa = Isa::detect();
    let width = logits.len() / labels.len().max(1);
    let total_weight = weights.total(labels);
    let (mut scores, mut target) = (vec![0.0; width], vec![0.0; width]);
    let mut sum = 0.0_f64;
    for (row, label) in logits.chunks_exact_mut(width.max(1)).zip(labels) {
        let Some(label) = label.map(|label| label as usize) else {
            row.fill(0.0);
            continue;
        };
        weights.target(label, &mut target);
        scores.copy_from_slice(row);
        let log_total = softmax_row(isa, row);
        let mass: f32 = target.iter().sum();
        for ((p, &score), &target) in row.iter_mut().zip(&scores).zip(&target) {
            if target > 0.0 {
                sum += f64::from(target * (log_total - score));
            }
            *p = (*p * mass - target) / total_weight;
        }
    }
    (sum / f64::from(total_weight)) as f32
}

impl<B: HostBackend> Saved<B, 1> for CrossEntropy<B> {
    fn backward(mut self, gradient: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        let factor = B::elements(&gradient)[0];
        B::elements_mut(&mut self.0)
            .iter_mut()
            .for_each(|g| *g *= factor);
        [Some(self.0)]
    }
}
