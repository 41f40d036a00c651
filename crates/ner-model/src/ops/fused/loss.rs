//! Cross-entropy.

use burn::backend::tensor::FloatTensor;

use super::autodiff::Saved;
use super::host::HostBackend;
use super::kernels::{Isa, softmax_row};

/// Gradient of the loss with respect to the logits.
#[derive(Clone, Debug)]
pub struct CrossEntropy<B: HostBackend>(FloatTensor<B>);

/// Mean cross-entropy of `[logits]` over the rows that have a label.
pub fn forward<B: HostBackend>(
    [mut logits]: [FloatTensor<B>; 1],
    labels: &[Option<u32>],
) -> (CrossEntropy<B>, FloatTensor<B>) {
    let isa = Isa::detect();
    let [rows, width] = B::dims(&logits);
    assert_eq!(labels.len(), rows, "one label a row");
    let count = labels.iter().flatten().count().max(1) as f32;
    let mut sum = 0.0_f64;
    for (row, label) in B::elements_mut(&mut logits)
        .chunks_exact_mut(width)
        .zip(labels)
    {
        let Some(label) = label.map(|label| label as usize) else {
            row.fill(0.0);
            continue;
        };
        let logit = row[label];
        let log_total = softmax_row(isa, row);
        sum += f64::from(log_total - logit);
        row[label] -= 1.0;
        row.iter_mut().for_each(|p| *p /= count);
    }
    let loss = B::tensor(vec![(sum / f64::from(count)) as f32], [1], &logits);
    (CrossEntropy(logits), loss)
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
