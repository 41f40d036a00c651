//! The loss of a GPU's logits, computed on the host.
//!
//! Logits are few numbers; a CRF, though, takes some kernels for each word of the longest sequence, and each of them a GPU's whole latency.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::device::read;
use crate::ops::{Factors, LossWeights, Ops, cuda};
use crate::{Batch, Crf, Error};

/// As [`TokenClassifier::training_loss`](super::TokenClassifier::training_loss), on the device of the logits.
pub(super) fn training_loss(
    crf: Option<&Crf>,
    logits: Tensor<2>,
    batch: &Batch,
    labels: &[Option<u32>],
    weights: &LossWeights,
) -> Result<Tensor<1>, Error> {
    let host = Device::flex().autodiff();
    let values = TensorData::new(read(logits.clone())?, logits.dims());
    let leaf = Tensor::<2>::from_data(values, &host).require_grad();
    let on_host = crf.map(|crf| crf.clone().fork(&host));
    let loss = match &on_host {
        Some(crf) => crf.loss(leaf.clone(), batch, labels),
        None => Ops::Fused(Factors::F32).cross_entropy(leaf.clone(), labels, weights),
    };
    let value = read(loss.clone())?.iter().sum();
    let gradients = loss.backward();
    let mut total = match leaf.grad(&gradients) {
        Some(gradient) => cuda::host_loss(logits, value, read(gradient)?),
        None => logits.sum() * 0.0 + value, // no label
    };
    if let (Some(crf), Some(on_host)) = (crf, on_host) {
        let (own, theirs) = (crf.parameters(), on_host.parameters());
        if let Some(gradient) = theirs.0.grad(&gradients) {
            total = total + cuda::host_loss(own.0, 0.0, read(gradient)?);
        }
        for (own, theirs) in own.1.into_iter().zip(theirs.1) {
            if let Some(gradient) = theirs.grad(&gradients) {
                total = total + cuda::host_loss(own, 0.0, read(gradient)?);
            }
        }
    }
    Ok(total)
}
