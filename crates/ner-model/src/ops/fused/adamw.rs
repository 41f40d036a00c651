//! The optimizer's passes over parameters and gradients.

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::host_backend::HostBackend;
use super::kernels::{self, AdamWFactors, Isa, TASK};
use crate::ops::AdamWStep;

fn factors(step: &AdamWStep) -> AdamWFactors {
    AdamWFactors {
        gradient: step.gradient_scale as f32,
        betas: [step.beta1 as f32, step.beta2 as f32],
        rest: [(1.0 - step.beta1) as f32, (1.0 - step.beta2) as f32],
        decay: step.decay_factor() as f32,
        step: step.corrected_rate() as f32,
        correction: step.root_correction() as f32,
        epsilon: step.epsilon as f32,
    }
}

/// The parameter and its moments after a step; in place where nothing else reads them.
pub fn step<B: HostBackend>(
    mut parameter: FloatTensor<B>,
    gradient: &FloatTensor<B>,
    mut m: FloatTensor<B>,
    mut v: FloatTensor<B>,
    step: &AdamWStep,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let isa = Isa::detect();
    let factors = factors(step);
    let moments = B::elements_mut(&mut m)
        .par_chunks_mut(TASK)
        .zip(B::elements_mut(&mut v).par_chunks_mut(TASK));
    B::elements_mut(&mut parameter)
        .par_chunks_mut(TASK)
        .zip(B::elements(gradient).par_chunks(TASK))
        .zip(moments)
        .for_each(|((p, g), (m, v))| kernels::adamw(isa, factors, p, g, m, v));
    (parameter, m, v)
}

/// Sum of the squares; it does not depend on the number of threads.
pub fn square_sum(x: &[f32]) -> f64 {
    let isa = Isa::detect();
    let parts: Vec<f64> = x
        .par_chunks(TASK)
        .map(|x| kernels::square_sum(isa, x))
        .collect();
    parts.iter().sum()
}
