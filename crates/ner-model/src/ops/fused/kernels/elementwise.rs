//! Kernels that treat every element alike.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};
use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::isa::vectorized;
use super::{Isa, rows_per_task};
use crate::ops::Dropout;

const FRAC_1_SQRT_2_PI: f32 = 0.398_942_3;

/// Elements that [`adamw`] looks at before it decides whether they need a step: less than a row of any embedding table that is worth it.
const PART: usize = 128;

/// `e^x`, within 2 units in the last place, flushing to the smallest normal number: Cephes' `expf`
/// (<https://www.netlib.org/cephes/>).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer, which the low bits then hold
    const LN_2_HIGH: f32 = 0.693_359_4; // short enough for an exact product with the integer
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0); // keeps NaN
    let rounded = x * LOG2_E + ROUND;
    let integer = rounded - ROUND;
    let r = x - integer * LN_2_HIGH - integer * LN_2_LOW;
    let mut p = 1.987_569_1e-4;
    for c in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_6e-1,
        0.5,
    ] {
        p = p * r + c;
    }
    let power_of_two = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    (p * r * r + r + 1.0) * power_of_two
}

/// The error function, within 3e-7: Eigen's rational minimax approximation (`generic_fast_erf_float` of
/// <https://gitlab.com/libeigen/eigen>, version 3.4).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0); // erf(4) = 1 in single precision; keeps NaN
    let z = x * x;
    let mut p = -2.726_142_4e-10;
    for c in [
        2.770_681_5e-8,
        -2.101_024e-6,
        -5.692_506_2e-5,
        -7.349_906_4e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ] {
        p = p * z + c;
    }
    let mut q = -1.456_607_15e-5;
    for c in [
        -2.133_740_5e-4,
        -1.682_827e-3,
        -7.373_329_3e-3,
        -1.426_473_9e-2,
    ] {
        q = q * z + c;
    }
    x * p / q
}

/// Φ(x), the normal distribution function.
#[inline(always)]
fn normal_cdf(x: f32) -> f32 {
    0.5 + 0.5 * erf(x * FRAC_1_SQRT_2)
}

/// Dropout of one forward pass at one place, by a hash of the element's row and column: nothing is stored, and neither the order of
/// computation nor the number of threads matters.
#[derive(Clone, Copy, Debug)]
pub struct Mask {
    seed: u32,
    threshold: u32,
    scale: f32,
}

impl Mask {
    /// Shift and multiplier of each round of MurmurHash3's 32-bit finalizer
    /// (<https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp>).
    pub const ROUNDS: [(u32, u32); 2] = [(16, 0x85eb_ca6b), (13, 0xc2b2_ae35)];
    /// Shift after the last round.
    pub const LAST_SHIFT: u32 = 16;

    /// `None` where nothing is dropped.
    pub fn new(dropout: Dropout) -> Option<Self> {
        let Dropout {
            probability, seed, ..
        } = dropout;
        let scale = if probability < 1.0 {
            1.0 / (1.0 - probability)
        } else {
            0.0
        };
        let threshold = (f64::from(probability) * 2.0_f64.powi(32)) as u32; // saturates
        (probability > 0.0).then_some(Self {
            seed,
            threshold,
            scale,
        })
    }

    /// Seed, threshold and scale.
    #[cfg(feature = "cuda")]
    pub fn parts(self) -> (u32, u32, f32) {
        (self.seed, self.threshold, self.scale)
    }

    /// An element is kept where its hash is not below this.
    pub fn threshold(self) -> u32 {
        self.threshold
    }

    /// What a column adds to the hash of its elements; each row mixes it with its [`key`](RowMask::key).
    #[inline(always)]
    pub fn column(column: usize) -> u32 {
        (column as u32).wrapping_mul(0x9e37_79b9)
    }

    /// The mask of one row of at most 2^32 elements; rows have independent masks.
    pub fn row(self, row: usize) -> RowMask {
        let mut h = row as u64 ^ (u64::from(self.seed) << 32 | u64::from(self.seed));
        for multiplier in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
            h = (h ^ (h >> 33)).wrapping_mul(multiplier); // MurmurHash3's 64-bit finalizer
        }
        RowMask {
            key: (h ^ (h >> 33)) as u32,
            threshold: self.threshold,
            scale: self.scale,
        }
    }
}

/// The [`Mask`] of one row.
#[derive(Clone, Copy, Debug)]
pub struct RowMask {
    key: u32,
    threshold: u32,
    scale: f32,
}

impl RowMask {
    /// What the row mixes with the number of each column.
    pub fn key(self) -> u32 {
        self.key
    }

    /// What the element of this column is multiplied with: 0 or `1 / (1 - probability)`.
    #[inline(always)]
    pub(super) fn factor(self, column: usize) -> f32 {
        let [first, second] = Mask::ROUNDS;
        let mut h = Mask::column(column) ^ self.key;
        h = (h ^ (h >> first.0)).wrapping_mul(first.1);
        h = (h ^ (h >> second.0)).wrapping_mul(second.1);
        if h ^ (h >> Mask::LAST_SHIFT) >= self.threshold {
            self.scale
        } else {
            0.0
        }
    }
}

/// Numbers of one [`adamw`] step, the same for all elements.
#[derive(Clone, Copy, Debug)]
pub struct AdamWFactors {
    /// Multiplies the gradient (gradient clipping).
    pub gradient: f32,
    /// Decay rates of the two moments.
    pub betas: [f32; 2],
    /// 1 less each decay rate, rounded after the subtraction.
    pub rest: [f32; 2],
    /// Multiplies the parameter: `1 - learning_rate * weight_decay`.
    pub decay: f32,
    /// Learning rate over the first moment's bias correction.
    pub step: f32,
    /// One over the square root of the second moment's bias correction.
    pub correction: f32,
    /// Added to the denominator.
    pub epsilon: f32,
}

/// Adds the bias to each row of `x`, and gives [`gelu`] of that in new memory, by all threads.
pub fn biased_gelu_rows(x: &mut [f32], bias: &[f32]) -> Vec<f32> {
    let isa = Isa::detect();
    let (len, columns) = (x.len(), bias.len());
    assert_eq!(len % columns, 0, "whole rows");
    let mut out = Vec::with_capacity(len);
    let per_task = rows_per_task(columns) * columns;
    x.par_chunks_mut(per_task)
        .zip(out.spare_capacity_mut()[..len].par_chunks_mut(per_task))
        .for_each(|(x, out)| {
            let rows = x
                .chunks_exact_mut(columns)
                .zip(out.chunks_exact_mut(columns));
            rows.for_each(|(x, out)| biased_gelu_to(isa, x, bias, out));
        });
    // SAFETY: every element of every row has been written.
    unsafe { out.set_len(len) };
    out
}

vectorized! {
    /// `x · Φ(x)`.
    fn gelu(x: &mut [f32]) {
        for x in x {
            *x *= normal_cdf(*x);
        }
    }

    /// [`gelu`] of `x + bias`.
    fn biased_gelu(x: &mut [f32], bias: &[f32]) {
        for (x, bias) in x.iter_mut().zip(bias) {
            *x += bias;
            *x *= normal_cdf(*x);
        }
    }

    /// `x` becomes `x + bias`, and `out` [`gelu`] of that.
    fn biased_gelu_to(x: &mut [f32], bias: &[f32], out: &mut [MaybeUninit<f32>]) {
        for ((x, bias), out) in x.iter_mut().zip(bias).zip(out) {
            *x += bias;
            out.write(*x * normal_cdf(*x));
        }
    }

    /// Multiplies `gradient` with the derivative of [`gelu`] at `x`: `Φ(x) + x · φ(x)`.
    fn gelu_backward(x: &[f32], gradient: &mut [f32]) {
        for (g, &x) in gradient.iter_mut().zip(x) {
            *g *= normal_cdf(x) + x * FRAC_1_SQRT_2_PI * exp(-0.5 * x * x);
        }
    }

    /// Drops elements of one row.
    fn drop_row(mask: RowMask, row: &mut [f32]) {
        for (column, x) in row.iter_mut().enumerate() {
            *x *= mask.factor(column);
        }
    }

    /// Adds each row of `x` to `sum`.
    fn add_rows(x: &[f32], sum: &mut [f32]) {
        for row in x.chunks_exact(sum.len()) {
            for (sum, &x) in sum.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }

    /// Sum of the squares.
    fn square_sum(x: &[f32]) -> f64 {
        let mut lanes = [0.0_f64; 8];
        let chunks = x.chunks_exact(8);
        let rest: f64 = chunks.remainder().iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane += f64::from(x) * f64::from(x);
            }
        }
        lanes.iter().sum::<f64>() + rest
    }

    /// One step of AdamW (Loshchilov & Hutter 2017, <https://arxiv.org/abs/1711.05101>) in the order of `torch.optim.AdamW`:
    /// `m` and `v` are the moments. Rows of an embedding table that no step has touched yet are only decayed, which is all that the
    /// step would do to them.
    fn adamw(factors: AdamWFactors, parameter: &mut [f32], gradient: &[f32], m: &mut [f32], v: &mut [f32]) {
        let f = factors;
        let parts = parameter.chunks_mut(PART).zip(gradient.chunks(PART)).zip(m.chunks_mut(PART)).zip(v.chunks_mut(PART));
        for (((parameter, gradient), m), v) in parts {
            let bits = gradient.iter().zip(&*m).zip(&*v);
            if bits.fold(0, |bits, ((g, m), v)| bits | g.to_bits() | m.to_bits() | v.to_bits()) == 0 {
                if f.decay != 1.0 {
                    parameter.iter_mut().for_each(|p| *p *= f.decay);
                }
                continue;
            }
            for (((p, &g), m), v) in parameter.iter_mut().zip(gradient).zip(m).zip(v) {
                let g = g * f.gradient;
                *m = f.betas[0] * *m + f.rest[0] * g;
                *v = f.betas[1] * *v + f.rest[1] * g * g;
                *p = *p * f.decay - f.step * *m / (v.sqrt() * f.correction + f.epsilon);
            }
        }
    }
}
