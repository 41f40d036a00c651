//! What training does beside the forward pass: losses, clipping and AdamW.

use burn::tensor::{Device, Tensor};

#[cfg(feature = "cuda")]
use super::cuda;
use super::{Ops, fused, plain};
use crate::Error;
#[cfg(feature = "cuda")]
use crate::device::read;

impl Ops {
    /// Mean cross-entropy over the rows that have a label; `None` rows are ignored. Zero where no row has one. The mean is weighted as
    /// [`LossWeights`] says.
    ///
    /// # Shapes
    /// - logits: `[rows, labels]`; labels: one a row; output: `[1]`
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn cross_entropy(
        &self,
        logits: Tensor<2>,
        labels: &[Option<u32>],
        weights: &LossWeights,
    ) -> Result<Tensor<1>, Error> {
        Ok(match self {
            Self::Plain(_) => plain::cross_entropy(logits, labels, weights),
            Self::Fused(_) | Self::Packed(_) => fused::cross_entropy(logits, labels, weights),
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => {
                assert_eq!(labels.len(), logits.dims()[0], "one label a row");
                let mut gradient = read(logits.clone())?;
                let loss = fused::to_gradient(&mut gradient, labels, weights);
                self.with_gradient(logits, loss, gradient)
            }
        })
    }

    /// A loss that was computed on the host from the values of `x`, which are finite, `[1]`, and its derivative by each of them.
    pub(crate) fn with_gradient<const D: usize>(
        &self,
        x: Tensor<D>,
        loss: f32,
        gradient: Vec<f32>,
    ) -> Tensor<1> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => cuda::host_loss(x, loss, gradient),
            _ => plain::with_gradient(x, loss, gradient),
        }
    }

    /// Euclidean norm of all gradients together, as `torch.nn.utils.clip_grad_norm_` takes it.
    ///
    /// # Errors
    /// The device fails.
    pub fn global_norm(&self, gradients: &[Tensor<1>]) -> Result<f64, Error> {
        match self {
            Self::Plain(_) => plain::global_norm(gradients),
            Self::Fused(_) | Self::Packed(_) => Ok(fused::global_norm(gradients)),
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => plain::global_norm(gradients),
        }
    }

    /// Whether [`adamw`](Self::adamw) is faster on the parameters of a model end to end in one vector. A GPU's processor launches kernels one by
    /// one, a dozen for each vector; the CPU's form updates a parameter where it lies.
    pub fn prefers_one_vector(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// One step of AdamW (Loshchilov & Hutter 2017, <https://arxiv.org/abs/1711.05101>) on one parameter, as `torch.optim.AdamW` takes it.
    ///
    /// # Shapes
    /// - parameter, gradient and both moments: `[elements]`
    pub fn adamw(
        &self,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        moments: Moments,
        step: &AdamWStep,
    ) -> (Tensor<1>, Moments) {
        match self {
            Self::Plain(_) => plain::adamw(parameter, gradient, moments, step),
            Self::Fused(_) | Self::Packed(_) => fused::adamw(parameter, gradient, moments, step),
            #[cfg(feature = "cuda")]
            Self::Gpu(_) => plain::adamw(parameter, gradient, moments, step),
        }
    }

    /// Whether [`clipped_adamw`](Self::clipped_adamw) is faster than its parts: it launches few kernels and waits for none.
    pub fn updates_at_once(&self) -> bool {
        #[cfg(feature = "cuda")]
        if matches!(self, Self::Gpu(_)) {
            return true;
        }
        false
    }

    /// [`adamw`](Self::adamw) of several parameters, whose gradients are scaled down to a [norm](Self::global_norm) of `limit` where it is above
    /// that and `limit` above 0. Gives the norm, `[1]`, before; `gradient_scale` of the steps is not read.
    ///
    /// # Errors
    /// The device fails.
    pub fn clipped_adamw(
        &self,
        parameters: Vec<ParameterStep>,
        limit: f64,
    ) -> Result<(Tensor<1>, Vec<(Tensor<1>, Moments)>), Error> {
        let Some(device) = parameters.first().map(|first| first.value.device()) else {
            return Ok((Tensor::zeros([1], &Device::flex()), Vec::new()));
        };
        #[cfg(feature = "cuda")]
        if matches!(self, Self::Gpu(_)) {
            return Ok(cuda::clipped_adamw(parameters, limit));
        }
        let gradients = parameters.iter().map(|one| one.gradient.clone());
        let norm = self.global_norm(&gradients.collect::<Vec<_>>())?;
        let gradient_scale = clip(norm, limit);
        let stepped = parameters.into_iter().map(|one| {
            let step = AdamWStep {
                gradient_scale,
                ..one.step
            };
            self.adamw(one.value, one.gradient, one.moments, &step)
        });
        let stepped = stepped.collect();
        Ok((Tensor::from_data([norm as f32], &device), stepped))
    }
}

/// What the loss asks of each label, as in `torch.nn.CrossEntropyLoss`.
#[derive(Clone, Debug, PartialEq)]
pub struct LossWeights {
    /// Weight of each label.
    pub classes: Vec<f32>,
    /// Share of the target that goes to all labels alike (Szegedy et al. 2015, <https://arxiv.org/abs/1512.00567>, section 7).
    pub smoothing: f32,
}

impl LossWeights {
    /// Every label counts alike and is all of its target.
    pub fn uniform(labels: usize) -> Self {
        Self {
            classes: vec![1.0; labels],
            smoothing: 0.0,
        }
    }

    /// Writes what the probabilities of a row with this label should be, times the labels' weights.
    pub(crate) fn target(&self, label: usize, target: &mut [f32]) {
        let shared = self.smoothing / self.classes.len() as f32;
        for (target, weight) in target.iter_mut().zip(&self.classes) {
            *target = shared * weight;
        }
        target[label] += (1.0 - self.smoothing) * self.classes[label];
    }

    /// Sum of the weights of the labels that there are; 1 where there is none.
    pub(crate) fn total(&self, labels: &[Option<u32>]) -> f32 {
        let weights = labels
            .iter()
            .flatten()
            .map(|&label| self.classes[label as usize]);
        let total: f32 = weights.sum();
        if total > 0.0 { total } else { 1.0 }
    }
}

/// Added to the norm before it divides, as `torch.nn.utils.clip_grad_norm_` does.
const CLIP_EPSILON: f64 = 1e-6;

/// Factor on gradients whose norm together is to be `limit` at most; 0 switches clipping off.
pub fn clip(norm: f64, limit: f64) -> f64 {
    if limit > 0.0 && norm > limit {
        limit / (norm + CLIP_EPSILON)
    } else {
        1.0
    }
}

/// One parameter in [`Ops::clipped_adamw`], all `[elements]`.
#[derive(Clone, Debug)]
pub struct ParameterStep {
    /// The parameter.
    pub value: Tensor<1>,
    /// Its gradient.
    pub gradient: Tensor<1>,
    /// Its moments.
    pub moments: Moments,
    /// Its learning rate and decay; all else is that of the first.
    pub step: AdamWStep,
}

/// Running means of a parameter's gradient and of its square.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Mean of the gradient.
    pub first: Tensor<1>,
    /// Mean of the squared gradient.
    pub second: Tensor<1>,
}

/// The numbers of one AdamW step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Factor on the gradient: below 1 where the global norm is clipped.
    pub gradient_scale: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Number of this step, from 1.
    pub step: usize,
}

impl AdamWStep {
    /// `learning_rate / (1 - beta1^step)`.
    pub(crate) fn corrected_rate(&self) -> f64 {
        self.learning_rate / (1.0 - self.beta1.powi(self.step as i32))
    }

    /// Factor on the parameter: `1 - learning_rate * weight_decay`. It is all that a step does to an element that never had a gradient.
    pub fn decay_factor(&self) -> f64 {
        1.0 - self.learning_rate * self.weight_decay
    }

    /// `1 / sqrt(1 - beta2^step)`.
    pub(crate) fn root_correction(&self) -> f64 {
        1.0 / (1.0 - self.beta2.powi(self.step as i32)).sqrt()
    }
}
