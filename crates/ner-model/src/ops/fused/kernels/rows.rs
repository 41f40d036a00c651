//! Kernels that reduce a row.

use super::elementwise::{RowMask, exp};
use super::isa::vectorized;

/// Running sums of a reduction: as many as the widest registers hold, on every instruction set.
const LANES: usize = 16;

/// Sum of `term(a, b)` over both rows, in a fixed order.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = chunks_a
        .remainder()
        .iter()
        .zip(chunks_b.remainder())
        .map(|(&a, &b)| term(a, b))
        .sum();
    for (a, b) in chunks_a.zip(chunks_b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += term(a, b);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[inline(always)]
fn maximum(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks
        .remainder()
        .iter()
        .fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes.iter().fold(rest, |a, &b| a.max(b))
}

vectorized! {
    /// Layer normalisation of `dropout(x) + residual`. `x` becomes the normalised row, the residual becomes `x * gamma + beta`.
    /// Returns one over the standard deviation.
    fn residual_norm_row(
        mask: Option<RowMask>,
        x: &mut [f32],
        residual: &mut [f32],
        gamma: &[f32],
        beta: &[f32],
        epsilon: f32,
    ) -> f32 {
        if let Some(mask) = mask {
            for (column, (x, &mut residual)) in x.iter_mut().zip(&mut *residual).enumerate() {
                *x = *x * mask.factor(column) + residual;
            }
        } else {
            for (x, &mut residual) in x.iter_mut().zip(&mut *residual) {
                *x += residual;
            }
        }
        let width = x.len() as f32;
        let mean = sum(x, x, |x, _| x) / width;
        let variance = sum(x, x, |x, _| (x - mean) * (x - mean)) / width;
        let inverse_deviation = 1.0 / (variance + epsilon).sqrt();
        for (((x, y), &gamma), &beta) in x.iter_mut().zip(residual).zip(gamma).zip(beta) {
            *x = (*x - mean) * inverse_deviation;
            *y = *x * gamma + beta;
        }
        inverse_deviation
    }

    /// `gradient` becomes that of the row before normalisation; those of `gamma` and `beta` are added to `d_gamma` and `d_beta`.
    fn norm_backward_row(
        normalized: &[f32],
        inverse_deviation: f32,
        gamma: &[f32],
        gradient: &mut [f32],
        d_gamma: &mut [f32],
        d_beta: &mut [f32],
    ) {
        for ((((g, &x), &gamma), d_gamma), d_beta) in
            gradient.iter_mut().zip(normalized).zip(gamma).zip(d_gamma).zip(d_beta)
        {
            *d_gamma += *g * x;
            *d_beta += *g;
            *g *= gamma;
        }
        let width = normalized.len() as f32;
        let mean = sum(gradient, normalized, |g, _| g) / width;
        let projection = sum(gradient, normalized, |g, x| g * x) / width;
        for (g, &x) in gradient.iter_mut().zip(normalized) {
            *g = inverse_deviation * (*g - mean - x * projection);
        }
    }

    /// Softmax in place. Returns the logarithm of the sum of exponentials.
    fn softmax_row(x: &mut [f32]) -> f32 {
        let maximum = maximum(x);
        let mut chunks = x.chunks_exact_mut(LANES);
        for chunk in &mut chunks {
            for x in chunk {
                *x = exp(*x - maximum);
            }
        }
        // A whole chunk more, because one element alone takes as long.
        let rest = chunks.into_remainder();
        let mut last = [maximum; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for x in &mut last {
            *x = exp(*x - maximum);
        }
        rest.copy_from_slice(&last[..rest.len()]);
        let total = sum(x, x, |x, _| x);
        let factor = 1.0 / total;
        for x in x {
            *x *= factor;
        }
        maximum + total.ln()
    }

    /// `gradient` of the probabilities becomes `scale` times that of their logits.
    fn softmax_backward_row(probabilities: &[f32], gradient: &mut [f32], scale: f32) {
        let mean = sum(probabilities, gradient, |p, g| p * g);
        for (g, &p) in gradient.iter_mut().zip(probabilities) {
            *g = p * (*g - mean) * scale;
        }
    }
}
