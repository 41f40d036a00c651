//! Matrix products of 8-bit integers.
//!
//! Weights have a scale for each output, inputs one for each row that is found when the row is seen ("dynamic quantization"). Products of
//! integers are exact, so all instruction sets give the same bits.

use rayon::prelude::*;

use super::isa::vectorized;
use super::{Isa, rows_per_task};

/// Outputs that a tile computes at once: four registers of sixteen 32-bit sums.
const PANEL: usize = 64;
/// Inputs that one instruction multiplies and sums for each output.
const GROUP: usize = 4;
/// Rows of a tile: with four sums each they fill 24 of the 32 registers.
const TILE: usize = 6;
/// Rows that a parallel task takes through one panel of weights.
const TASK_ROWS: usize = 20 * TILE;
/// The largest magnitude of an 8-bit value; −128 is left out, so that both signs are alike.
const LARGEST: f32 = 127.0;
/// Added to inputs, because the instruction multiplies unsigned with signed values.
const OFFSET: i32 = 128;

/// Added to a float of small magnitude, it leaves no bits below the point, and the rounded value in the last ones.
const ROUNDING: f32 = 12_582_912.0; // 1.5 * 2^23

/// Weights of a linear layer, quantized for each output.
pub struct Int8Matrix {
    inputs: usize,
    outputs: usize,
    /// `[panels, groups, PANEL, GROUP]`; what lies beyond the matrix is zero.
    packed: Vec<i8>,
    /// Of each output: what 1 stands for.
    scales: Vec<f32>,
    /// Of each output: what the inputs' offset adds to its sum.
    offsets: Vec<i32>,
}

impl std::fmt::Debug for Int8Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Int8Matrix[{}, {}]", self.inputs, self.outputs)
    }
}

/// Rows quantized each with its own scale.
pub struct Int8Rows {
    inputs: usize,
    /// `[rows, groups, GROUP]`, with the offset.
    values: Vec<u8>,
    scales: Vec<f32>,
}

vectorized! {
    /// Quantizes one row. Returns what 1 stands for.
    fn quantize_row(x: &[f32], out: &mut [u8]) -> f32 {
        let mut lanes = [0.0_f32; 16];
        let chunks = x.chunks_exact(16);
        let rest = chunks.remainder().iter().fold(0.0_f32, |a, x| a.max(x.abs()));
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane = if x.abs() > *lane { x.abs() } else { *lane };
            }
        }
        let largest = lanes.iter().fold(rest, |a, &b| a.max(b));
        let inverse = if largest > 0.0 { LARGEST / largest } else { 0.0 };
        for (out, &x) in out.iter_mut().zip(x) {
            // The sum's last bits are the rounded value, and flipping the highest of eight adds 128.
            *out = (x * inverse + ROUNDING).to_bits() as u8 ^ 0x80;
        }
        largest / LARGEST
    }

    /// Sums of products of some rows with one panel.
    fn tile_sums(x: &[&[u8]], panel: &[i8], sums: &mut [[i32; PANEL]; TILE]) {
        for (x, sums) in x.iter().zip(sums) {
            *sums = [0; PANEL];
            for (x, panel) in x.chunks_exact(GROUP).zip(panel.chunks_exact(PANEL * GROUP)) {
                let x = [x[0], x[1], x[2], x[3]].map(i16::from);
                for (sum, w) in sums.iter_mut().zip(panel.chunks_exact(GROUP)) {
                    *sum += i32::from(x[0] * i16::from(w[0])) + i32::from(x[1] * i16::from(w[1]))
                        + i32::from(x[2] * i16::from(w[2])) + i32::from(x[3] * i16::from(w[3]));
                }
            }
        }
    }
}

impl Int8Matrix {
    /// Quantizes a row-major `[inputs, outputs]` matrix.
    pub fn new(weights: &[f32], outputs: usize) -> Self {
        let inputs = weights.len() / outputs;
        let (groups, panels) = (inputs.div_ceil(GROUP), outputs.div_ceil(PANEL));
        let mut scales = vec![0.0_f32; outputs];
        for row in weights.chunks_exact(outputs) {
            for (scale, weight) in scales.iter_mut().zip(row) {
                *scale = scale.max(weight.abs() / LARGEST);
            }
        }
        let mut packed = vec![0; panels * groups * PANEL * GROUP];
        let mut offsets = vec![0; outputs];
        for (input, row) in weights.chunks_exact(outputs).enumerate() {
            for (output, &weight) in row.iter().enumerate() {
                let scale = scales[output];
                let value = if scale > 0.0 {
                    (weight / scale).round_ties_even() as i32
                } else {
                    0
                };
                let (panel, column) = (output / PANEL, output % PANEL);
                let at = ((panel * groups + input / GROUP) * PANEL + column) * GROUP;
                packed[at + input % GROUP] = value as i8;
                offsets[output] += OFFSET * value;
            }
        }
        Self {
            inputs,
            outputs,
            packed,
            scales,
            offsets,
        }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `x · weights + bias`, row-major, by all threads.
    pub fn affine(&self, x: &Int8Rows, bias: &[f32]) -> Vec<f32> {
        assert_eq!(
            (x.inputs, bias.len()),
            (self.inputs, self.outputs),
            "shapes of a product"
        );
        let rows = x.scales.len();
        let panel_bytes = self.inputs.div_ceil(GROUP) * PANEL * GROUP;
        let row_bytes = self.inputs.div_ceil(GROUP) * GROUP;
        let kernel = Kernel::detect();
        let mut out = Vec::with_capacity(rows * self.outputs);
        let target = Target(out.as_mut_ptr());
        let panels = self.packed.chunks_exact(panel_bytes).enumerate();
        let tasks: Vec<_> = (0..rows)
            .step_by(TASK_ROWS)
            .flat_map(|first| {
                panels
                    .clone()
                    .map(move |(number, panel)| (first, number, panel))
            })
            .collect();
        tasks.into_par_iter().for_each(|(first, number, panel)| {
            let columns = number * PANEL..self.outputs.min((number + 1) * PANEL);
            let mut sums = [[0; PANEL]; TILE];
            for first in (first..rows.min(first + TASK_ROWS)).step_by(TILE) {
                let tile = first..rows.min(first + TILE);
                let mut inputs: [&[u8]; TILE] = [&[]; TILE];
                for (input, row) in inputs.iter_mut().zip(tile.clone()) {
                    *input = &x.values[row * row_bytes..(row + 1) * row_bytes];
                }
                kernel.sums(&inputs[..tile.len()], panel, &mut sums);
                for (row, sums) in tile.zip(&sums) {
                    // SAFETY: no other task has these columns of this row, and they lie within the buffer.
                    let out =
                        unsafe { target.slice(row * self.outputs + columns.start, columns.len()) };
                    scale_row(
                        kernel.isa,
                        sums,
                        &self.offsets[columns.clone()],
                        &self.scales[columns.clone()],
                        x.scales[row],
                        &bias[columns.clone()],
                        out,
                    );
                }
            }
        });
        // SAFETY: the tasks have written every column of every row.
        unsafe { out.set_len(rows * self.outputs) };
        out
    }
}

impl Int8Rows {
    /// Quantizes row-major rows of so many inputs, by all threads.
    pub fn new(x: &[f32], inputs: usize) -> Self {
        let isa = Isa::detect();
        let rows = x.len() / inputs;
        let row_bytes = inputs.div_ceil(GROUP) * GROUP;
        let per_task = rows_per_task(inputs);
        let mut values = vec![0; rows * row_bytes];
        let mut scales = vec![0.0; rows];
        x.par_chunks(per_task * inputs)
            .zip(values.par_chunks_mut(per_task * row_bytes))
            .zip(scales.par_chunks_mut(per_task))
            .for_each(|((x, values), scales)| {
                let rows = x
                    .chunks_exact(inputs)
                    .zip(values.chunks_exact_mut(row_bytes));
                for ((x, values), scale) in rows.zip(scales) {
                    *scale = quantize_row(isa, x, values);
                }
            });
        Self {
            inputs,
            values,
            scales,
        }
    }
}

vectorized! {
    /// From sums of one row to values.
    fn scale_row(sums: &[i32; PANEL], offsets: &[i32], scales: &[f32], scale: f32, bias: &[f32], out: &mut [f32]) {
        for ((((out, sum), offset), weight_scale), bias) in out.iter_mut().zip(sums).zip(offsets).zip(scales).zip(bias) {
            *out = (sum - offset) as f32 * (scale * weight_scale) + bias;
        }
    }
}

/// The buffer that parallel tasks write disjoint parts of.
struct Target(*mut f32);
// SAFETY: tasks write disjoint parts.
unsafe impl Sync for Target {}

impl Target {
    /// # Safety
    /// The part lies within the buffer's capacity, and nothing else refers to it.
    #[allow(clippy::mut_from_ref, reason = "parts are disjoint")]
    unsafe fn slice(&self, start: usize, len: usize) -> &mut [f32] {
        // SAFETY: the caller's promise; any bits are an f32, and each is written before it is read.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

/// How sums are computed on this processor.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    isa: Isa,
    /// Whether it has AVX-512's multiply-and-sum of bytes.
    vnni: bool,
}

impl Kernel {
    fn detect() -> Self {
        Self {
            isa: Isa::detect(),
            #[cfg(target_arch = "x86_64")]
            vnni: is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni"),
            #[cfg(not(target_arch = "x86_64"))]
            vnni: false,
        }
    }

    /// All that this processor has.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        let plain = Isa::all().into_iter().map(|isa| Self { isa, vnni: false });
        plain.chain([Self::detect()]).collect()
    }

    pub(super) fn sums(self, x: &[&[u8]], panel: &[i8], sums: &mut [[i32; PANEL]; TILE]) {
        #[cfg(target_arch = "x86_64")]
        if self.vnni {
            let groups = panel.len() / (PANEL * GROUP);
            assert!(x.iter().all(|x| x.len() >= groups * GROUP), "whole rows");
            // SAFETY: the processor has the instructions, and every row and the panel hold so many groups.
            unsafe {
                match x.len() {
                    0 => {}
                    1 => vnni::sums::<1>(x, panel, groups, sums),
                    2 => vnni::sums::<2>(x, panel, groups, sums),
                    3 => vnni::sums::<3>(x, panel, groups, sums),
                    4 => vnni::sums::<4>(x, panel, groups, sums),
                    5 => vnni::sums::<5>(x, panel, groups, sums),
                    _ => vnni::sums::<TILE>(x, panel, groups, sums),
                }
            }
            return;
        }
        tile_sums(self.isa, x, panel, sums);
    }
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::{
        _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
        _mm512_storeu_si512,
    };

    use super::{GROUP, PANEL, TILE};

    /// # Safety
    /// The processor has AVX-512 VNNI; the first `ROWS` of `x` hold `groups` groups, the panel as many.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub unsafe fn sums<const ROWS: usize>(
        x: &[&[u8]],
        panel: &[i8],
        groups: usize,
        sums: &mut [[i32; PANEL]; TILE],
    ) {
        const VECTORS: usize = PANEL / 16;
        let mut accumulators = [[_mm512_setzero_si512(); VECTORS]; ROWS];
        let mut rows = [std::ptr::null::<u8>(); ROWS];
        for (row, x) in rows.iter_mut().zip(x) {
            *row = x.as_ptr();
        }
        for group in 0..groups {
            // SAFETY: the group is within the panel and the rows.
            unsafe {
                let panel = panel.as_ptr().add(group * PANEL * GROUP);
                let mut weights = [_mm512_setzero_si512(); VECTORS];
                for (vector, weights) in weights.iter_mut().enumerate() {
                    *weights = _mm512_loadu_si512(panel.add(vector * 64).cast());
                }
                for (row, accumulators) in rows.iter().zip(&mut accumulators) {
                    let x =
                        _mm512_set1_epi32(row.add(group * GROUP).cast::<i32>().read_unaligned());
                    for (accumulator, &weights) in accumulators.iter_mut().zip(&weights) {
                        *accumulator = _mm512_dpbusd_epi32(*accumulator, x, weights);
                    }
                }
            }
        }
        for (accumulators, sums) in accumulators.iter().zip(sums) {
            for (accumulator, sums) in accumulators.iter().zip(sums.chunks_exact_mut(16)) {
                // SAFETY: sixteen sums are 64 bytes.
                unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), *accumulator) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn near_the_product_of_floats() {
        for (rows, inputs, outputs) in [(1, 4, 1), (7, 30, 65), (13, 64, 64), (125, 101, 130)] {
            let (x, weights, bias) = (
                values(rows * inputs, 1),
                values(inputs * outputs, 2),
                values(outputs, 3),
            );
            let y = Int8Matrix::new(&weights, outputs).affine(&Int8Rows::new(&x, inputs), &bias);
            for row in 0..rows {
                for output in 0..outputs {
                    let exact: f32 = (0..inputs)
                        .map(|input| x[row * inputs + input] * weights[input * outputs + output])
                        .sum::<f32>()
                        + bias[output];
                    // Each factor is off by half a step of 1/127 at most.
                    let bound = inputs as f32 / LARGEST + 1e-5;
                    assert!((y[row * outputs + output] - exact).abs() < bound);
                }
            }
            let error: f32 = y.iter().sum();
            assert!(error.is_finite());
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_sums() {
        let (inputs, outputs) = (52, 64);
        let matrix = Int8Matrix::new(&values(inputs * outputs, 5), outputs);
        let rows = Int8Rows::new(&values(TILE * inputs, 6), inputs);
        for count in 1..=TILE {
            let x: Vec<&[u8]> = rows.values.chunks_exact(inputs).take(count).collect();
            let mut expected = [[0; PANEL]; TILE];
            for (x, expected) in x.iter().zip(&mut expected) {
                for (column, sum) in expected.iter_mut().enumerate() {
                    let weight = |input: usize| {
                        matrix.packed[(input / GROUP * PANEL + column) * GROUP + input % GROUP]
                    };
                    *sum = (0..inputs)
                        .map(|input| i32::from(x[input]) * i32::from(weight(input)))
                        .sum();
                }
            }
            for kernel in Kernel::all() {
                let mut sums = [[0; PANEL]; TILE];
                kernel.sums(&x, &matrix.packed, &mut sums);
                assert_eq!(sums[..count], expected[..count]);
            }
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        let matrix = Int8Matrix::new(&[0.0, 1.0, 0.0, -2.0], 2);
        assert_eq!(
            matrix.affine(&Int8Rows::new(&[0.0; 4], 2), &[0.5, 0.0]),
            [0.5, 0.0, 0.5, 0.0]
        );
        let y = matrix.affine(&Int8Rows::new(&[1.0, -1.0], 2), &[0.0, 0.0]);
        assert_eq!(y[0], 0.0);
        assert!((y[1] - 3.0).abs() < 0.03, "{y:?}");
    }
}
