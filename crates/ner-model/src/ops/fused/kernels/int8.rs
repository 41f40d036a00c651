//! Matrix products of 8-bit integers.
//!
//! Weights have a scale for each output, inputs one for each row that is found when the row is seen ("dynamic quantization"). Products of
//! integers are exact, so of the same integers all instruction sets make the same bits.
//!
//! Inputs and weights take all of their 8 bits, but for the weights with AVX2, which take a quarter of that range: AVX2 multiplies bytes and sums
//! pairs of products in 16 bits, saturating, and with weights so small not even two such sums together can saturate. ONNX Runtime reduces the range
//! of weights for the same reason (<https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html>), by less, and cannot sum two.

use std::mem::MaybeUninit;
use std::slice::ChunksExactMut;

use rayon::prelude::*;

use super::isa::vectorized;
use super::{Isa, rows_per_task};

/// Outputs that a tile computes at once: with AVX-512, four registers of sixteen 32-bit sums.
const PANEL: usize = 64;
/// Outputs that lie side by side in the packed weights.
const BLOCK: usize = 16;
/// Inputs that lie side by side for each output: as many as one instruction of VNNI multiplies and sums.
const GROUP: usize = 4;
/// The most rows of a tile.
const TILE: usize = 6;
/// Rows that a parallel task takes through one panel of weights: a multiple of every kernel's tile.
const TASK_ROWS: usize = 120;
/// The largest magnitude of an integer; −128 is left out, so that both signs are alike.
const LARGEST: f32 = 127.0;
/// The largest magnitude of a weight with AVX2: 4 · 255 · 31 is less than 2^15.
#[cfg(target_arch = "x86_64")]
const LARGEST_WITH_AVX2: f32 = 31.0;
/// Added to inputs, because the instructions multiply unsigned with signed values.
const OFFSET: i32 = 128;

/// Added to a float of small magnitude, it leaves no bits below the point, and the rounded value in the last ones.
const ROUNDING: f32 = 12_582_912.0; // 1.5 * 2^23

/// What makes values of the sums of one panel.
pub struct Scaling {
    offsets: [i32; PANEL],
    scales: [f32; PANEL],
    bias: [f32; PANEL],
}

/// The elements from `start` on, and zeros where there are none.
fn padded<T: Copy + Default>(values: &[T], start: usize) -> [T; PANEL] {
    std::array::from_fn(|at| values.get(start + at).copied().unwrap_or_default())
}

/// Weights of the outputs of a block for a group of inputs: a cache line, so that no load touches two.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Line([[i8; GROUP]; BLOCK]);

/// Rows of 8-bit integers.
#[derive(Clone, Debug, Default)]
pub struct QuantizedRows {
    /// Row-major.
    pub values: Vec<i8>,
    /// Of each row: what 1 stands for.
    pub scales: Vec<f32>,
}

impl QuantizedRows {
    /// Quantizes each row of a table of embeddings, or of the weights of a linear layer, `[outputs, inputs]`.
    pub fn new(x: &[f32], width: usize) -> Self {
        Self::in_range(x, width, LARGEST)
    }

    fn in_range(x: &[f32], width: usize, largest: f32) -> Self {
        let isa = Isa::detect();
        let mut rows = Self {
            values: vec![0; x.len()],
            scales: vec![0.0; x.len() / width.max(1)],
        };
        let per_task = rows_per_task(width);
        x.par_chunks(per_task * width)
            .zip(rows.values.par_chunks_mut(per_task * width))
            .zip(rows.scales.par_chunks_mut(per_task))
            .for_each(|((x, values), scales)| {
                let rows = x.chunks_exact(width).zip(values.chunks_exact_mut(width));
                for ((x, values), scale) in rows.zip(scales) {
                    *scale = quantize_weights(isa, x, largest, values);
                }
            });
        rows
    }
}

/// Weights of a linear layer, quantized for each output.
pub struct Int8Matrix {
    inputs: usize,
    outputs: usize,
    /// `[panels, PANEL / BLOCK, groups]`; what lies beyond the matrix is zero.
    packed: Vec<Line>,
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
    /// Bytes of a row: `inputs` in whole groups.
    width: usize,
    /// `[rows, groups, GROUP]`, with the offset.
    values: Vec<u8>,
    scales: Vec<f32>,
}

/// The bits of the absolute value, in the order of the values; those of NaN above all others.
#[inline(always)]
fn magnitude(x: f32) -> u32 {
    x.to_bits() & !(1 << 31)
}

vectorized! {
    /// Quantizes one row. Returns what 1 stands for.
    fn quantize_row(x: &[f32], out: &mut [MaybeUninit<u8>]) -> f32 {
        // With a NaN, which no comparison holds for, the scale is one, and so is all that is made of the row.
        let largest = f32::from_bits(x.iter().fold(0, |a, &x| a.max(magnitude(x))));
        let inverse = if largest > 0.0 { LARGEST / largest } else { 0.0 };
        let (of_row, beyond) = out.split_at_mut(x.len());
        beyond.iter_mut().for_each(|out| _ = out.write(0));
        for (out, &x) in of_row.iter_mut().zip(x) {
            // The sum's last bits are the rounded value, and flipping the highest of eight adds 128.
            out.write((x * inverse + ROUNDING).to_bits() as u8 ^ 0x80);
        }
        largest / LARGEST
    }

    /// Quantizes one row to integers of at most that magnitude. Returns what 1 stands for.
    fn quantize_weights(x: &[f32], largest: f32, out: &mut [i8]) -> f32 {
        let scale = f32::from_bits(x.iter().fold(0, |a, &x| a.max(magnitude(x)))) / largest;
        if scale > 0.0 {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = (x / scale).round_ties_even() as i8;
            }
        }
        scale
    }

    /// Values of one row and the outputs of one panel.
    fn portable_row(x: &[u8], panel: &[Line], row_scale: f32, scaling: &Scaling, out: &mut [f32; PANEL]) {
        let groups = panel.len() / (PANEL / BLOCK);
        for (number, block) in panel.chunks_exact(groups).enumerate() {
            let mut sums = [0_i32; BLOCK];
            for (x, Line(weights)) in x.chunks_exact(GROUP).zip(block) {
                let x = [x[0], x[1], x[2], x[3]].map(i16::from);
                for (sum, w) in sums.iter_mut().zip(weights) {
                    *sum += i32::from(x[0] * i16::from(w[0])) + i32::from(x[1] * i16::from(w[1]))
                        + i32::from(x[2] * i16::from(w[2])) + i32::from(x[3] * i16::from(w[3]));
                }
            }
            for (at, sum) in (number * BLOCK..).zip(sums) {
                out[at] = (sum - scaling.offsets[at]) as f32 * (row_scale * scaling.scales[at]) + scaling.bias[at];
            }
        }
    }
}

impl Int8Matrix {
    /// Quantizes weights `[outputs, inputs]`.
    pub fn new(weights: &[f32], inputs: usize) -> Self {
        Self::for_kernel(Kernel::detect(), weights, inputs)
    }

    fn for_kernel(kernel: Kernel, weights: &[f32], inputs: usize) -> Self {
        let rows = QuantizedRows::in_range(weights, inputs, kernel.largest_weight());
        Self::of_integers(&rows.values, rows.scales, inputs)
    }

    /// Packs weights `[outputs, inputs]` that are quantized already; `None` where this processor takes smaller ones only.
    pub fn packed(values: &[i8], scales: Vec<f32>, inputs: usize) -> Option<Self> {
        let largest = Kernel::detect().largest_weight() as u8;
        let fits = values.iter().all(|value| value.unsigned_abs() <= largest);
        fits.then(|| Self::of_integers(values, scales, inputs))
    }

    fn of_integers(values: &[i8], scales: Vec<f32>, inputs: usize) -> Self {
        let outputs = scales.len();
        let (groups, panels) = (inputs.div_ceil(GROUP), outputs.div_ceil(PANEL));
        let mut packed = vec![Line([[0; GROUP]; BLOCK]); panels * groups * (PANEL / BLOCK)];
        let mut offsets = vec![0; outputs];
        for (output, row) in values.chunks_exact(inputs).enumerate() {
            let lines = &mut packed[output / BLOCK * groups..][..groups];
            for (Line(weights), group) in lines.iter_mut().zip(row.chunks(GROUP)) {
                weights[output % BLOCK][..group.len()].copy_from_slice(group);
            }
            let sum: i32 = row.iter().map(|&value| i32::from(value)).sum();
            offsets[output] = OFFSET * sum;
        }
        Self {
            inputs,
            outputs,
            packed,
            scales,
            offsets,
        }
    }

    /// `x · weights + bias`, row-major, by all threads.
    pub fn affine(&self, x: &Int8Rows, bias: &[f32]) -> Vec<f32> {
        self.affine_by(Kernel::detect(), x, bias)
    }

    /// As [`affine`](Self::affine), over what `out` holds.
    pub fn affine_to(&self, x: &Int8Rows, bias: &[f32], out: &mut [f32]) {
        // SAFETY: a place that may hold no number yet takes one like any other; only numbers are written.
        let out = unsafe { &mut *(std::ptr::from_mut(out) as *mut [MaybeUninit<f32>]) };
        self.write_affine(Kernel::detect(), x, bias, out);
    }

    fn affine_by(&self, kernel: Kernel, x: &Int8Rows, bias: &[f32]) -> Vec<f32> {
        let len = x.scales.len() * self.outputs;
        let mut out = Vec::with_capacity(len);
        self.write_affine(kernel, x, bias, &mut out.spare_capacity_mut()[..len]);
        // SAFETY: every value has been written.
        unsafe { out.set_len(len) };
        out
    }

    /// Writes every value.
    fn write_affine(
        &self,
        kernel: Kernel,
        x: &Int8Rows,
        bias: &[f32],
        out: &mut [MaybeUninit<f32>],
    ) {
        let rows = x.scales.len();
        assert_eq!(
            (x.inputs, bias.len(), out.len()),
            (self.inputs, self.outputs, rows * self.outputs),
            "shapes of a product"
        );
        let width = x.width;
        let target = Target(out.as_mut_ptr().cast());
        let panel_lines = width / GROUP * (PANEL / BLOCK);
        let panels = self.packed.chunks_exact(panel_lines).enumerate();
        let tasks: Vec<_> = (0..rows)
            .step_by(TASK_ROWS)
            .flat_map(|first| {
                panels
                    .clone()
                    .map(move |(number, panel)| (first, number, panel))
            })
            .collect();
        tasks.into_par_iter().for_each(|(first, number, panel)| {
            let column = number * PANEL;
            let columns = PANEL.min(self.outputs - column);
            let scaling = Scaling {
                offsets: padded(&self.offsets, column),
                scales: padded(&self.scales, column),
                bias: padded(bias, column),
            };
            let last = rows.min(first + TASK_ROWS);
            for first in (first..last).step_by(kernel.tile()) {
                let tile = first..last.min(first + kernel.tile());
                let tile = Tile {
                    x: &x.values[tile.start * width..tile.end * width],
                    row_scales: &x.scales[tile],
                    panel,
                    scaling: &scaling,
                };
                // SAFETY: no other task has these columns of these rows, and they lie within the buffer.
                unsafe {
                    let out = target.at(first * self.outputs + column);
                    if columns == PANEL {
                        kernel.values(&tile, out, self.outputs);
                    } else {
                        let mut whole = [0.0; TILE * PANEL];
                        kernel.values(&tile, whole.as_mut_ptr(), PANEL);
                        for row in 0..tile.row_scales.len() {
                            let values = whole.as_ptr().add(row * PANEL);
                            values.copy_to_nonoverlapping(out.add(row * self.outputs), columns);
                        }
                    }
                }
            }
        });
    }
}

impl Int8Rows {
    /// Quantizes row-major rows of so many inputs, by all threads.
    pub fn new(x: &[f32], inputs: usize) -> Self {
        let isa = Isa::detect();
        let tasks = x.par_chunks(rows_per_task(inputs) * inputs);
        Self::of_tasks(tasks, x.len() / inputs, inputs, |x, values, scales| {
            for ((x, values), scale) in x.chunks_exact(inputs).zip(values).zip(scales) {
                *scale = quantize_row(isa, x, values);
            }
        })
    }

    /// The same after `prepare` has changed each row, while that is in the nearest cache.
    pub fn after(x: &mut [f32], inputs: usize, prepare: impl Fn(&mut [f32]) + Sync) -> Self {
        let (isa, rows) = (Isa::detect(), x.len() / inputs);
        let tasks = x.par_chunks_mut(rows_per_task(inputs) * inputs);
        Self::of_tasks(tasks, rows, inputs, |x, values, scales| {
            for ((x, values), scale) in x.chunks_exact_mut(inputs).zip(values).zip(scales) {
                prepare(x);
                *scale = quantize_row(isa, x, values);
            }
        })
    }

    /// Tasks of [`rows_per_task`] rows each, which write all bytes and the scale of each of their rows.
    fn of_tasks<T: Send>(
        tasks: impl IndexedParallelIterator<Item = T>,
        rows: usize,
        inputs: usize,
        quantize: impl Fn(T, ChunksExactMut<'_, MaybeUninit<u8>>, &mut [f32]) + Sync,
    ) -> Self {
        let width = inputs.div_ceil(GROUP) * GROUP;
        let per_task = rows_per_task(inputs);
        let mut values = Vec::with_capacity(rows * width);
        let mut scales = vec![0.0; rows];
        tasks
            .zip(values.spare_capacity_mut()[..rows * width].par_chunks_mut(per_task * width))
            .zip(scales.par_chunks_mut(per_task))
            .for_each(|((task, values), scales)| {
                quantize(task, values.chunks_exact_mut(width), scales);
            });
        // SAFETY: every byte of every row has been written.
        unsafe { values.set_len(rows * width) };
        Self {
            inputs,
            width,
            values,
            scales,
        }
    }
}

/// The buffer that parallel tasks write disjoint parts of.
struct Target(*mut f32);
// SAFETY: tasks write disjoint parts.
unsafe impl Sync for Target {}

impl Target {
    /// # Safety
    /// The place lies within the buffer's capacity.
    unsafe fn at(&self, place: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(place) }
    }
}

/// A few rows and one panel of weights.
struct Tile<'a> {
    /// As many rows as there are scales, one after the other.
    x: &'a [u8],
    row_scales: &'a [f32],
    panel: &'a [Line],
    scaling: &'a Scaling,
}

impl Tile<'_> {
    /// Groups of each row and of the panel.
    fn groups(&self) -> usize {
        self.panel.len() / (PANEL / BLOCK)
    }
}

/// How values are computed on this processor. Only [`detect`](Self::detect) and [`all`](Self::all) make one, so that its instructions are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

impl Kernel {
    /// The fastest.
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
                return Self::Vnni;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// All that this processor has.
    #[cfg(test)]
    fn all() -> Vec<Self> {
        match Self::detect() {
            Self::Portable => vec![Self::Portable],
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => vec![Self::Portable, Self::Avx2],
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => vec![Self::Portable, Self::Avx2, Self::Vnni],
        }
    }

    /// The largest magnitude of a weight.
    fn largest_weight(self) -> f32 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => LARGEST_WITH_AVX2,
            _ => LARGEST,
        }
    }

    /// Rows of a tile: as many as leave their sums, the weights and an input in registers.
    fn tile(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 4,
            _ => TILE,
        }
    }

    /// Writes the tile's values, a panel for each row, rows `stride` apart.
    ///
    /// # Safety
    /// `out` takes so many values, and nothing else refers to them.
    unsafe fn values(self, tile: &Tile<'_>, out: *mut f32, stride: usize) {
        let rows = tile.row_scales.len();
        assert!((1..=self.tile()).contains(&rows), "rows of a tile");
        assert_eq!(tile.x.len(), rows * tile.groups() * GROUP, "whole rows");
        // SAFETY: the processor has the instructions, the tile has so many rows, and the caller's promise.
        unsafe {
            match self {
                Self::Portable => {
                    let isa = Isa::detect();
                    let inputs = tile.x.chunks_exact(tile.groups() * GROUP);
                    for (row, (x, &scale)) in inputs.zip(tile.row_scales).enumerate() {
                        let mut values = [0.0; PANEL];
                        portable_row(isa, x, tile.panel, scale, tile.scaling, &mut values);
                        let out = out.add(row * stride);
                        values.as_ptr().copy_to_nonoverlapping(out, PANEL);
                    }
                }
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => match rows {
                    1 => avx2::values::<1>(tile, out, stride),
                    2 => avx2::values::<2>(tile, out, stride),
                    3 => avx2::values::<3>(tile, out, stride),
                    _ => avx2::values::<4>(tile, out, stride),
                },
                #[cfg(target_arch = "x86_64")]
                Self::Vnni => match rows {
                    1 => vnni::values::<1>(tile, out, stride),
                    2 => vnni::values::<2>(tile, out, stride),
                    3 => vnni::values::<3>(tile, out, stride),
                    4 => vnni::values::<4>(tile, out, stride),
                    5 => vnni::values::<5>(tile, out, stride),
                    _ => vnni::values::<TILE>(tile, out, stride),
                },
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_cvtepi32_ps,
        _mm256_load_si256, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16,
        _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
        _mm256_setzero_si256, _mm256_storeu_ps, _mm256_sub_epi32,
    };

    use super::{BLOCK, GROUP, Line, PANEL, Tile};

    /// Registers of a block.
    const VECTORS: usize = BLOCK / 8;

    /// # Safety
    /// The processor has AVX2; the tile has `ROWS` whole rows; `out` takes a panel for each, `stride` apart.
    #[target_feature(enable = "avx2")]
    pub unsafe fn values<const ROWS: usize>(tile: &Tile<'_>, out: *mut f32, stride: usize) {
        let groups = tile.groups();
        let rows: [*const u8; ROWS] =
            std::array::from_fn(|row| tile.x[row * groups * GROUP..].as_ptr());
        // As many as is known here, or else the sums would not stay in registers.
        let row_scales: [f32; ROWS] = std::array::from_fn(|row| tile.row_scales[row]);
        for first in (0..PANEL).step_by(BLOCK) {
            let block = &tile.panel[first / BLOCK * groups..];
            // SAFETY: the caller's promise, of one block.
            let of_block = unsafe { block_sums::<ROWS>(rows, block, groups) };
            for vector in 0..VECTORS {
                let place = first + vector * 8;
                // SAFETY: eight outputs from here are within the panel.
                let (offsets, scales, bias) = unsafe {
                    (
                        _mm256_loadu_si256(tile.scaling.offsets.as_ptr().add(place).cast()),
                        _mm256_loadu_ps(tile.scaling.scales.as_ptr().add(place)),
                        _mm256_loadu_ps(tile.scaling.bias.as_ptr().add(place)),
                    )
                };
                for (row, (of_row, row_scale)) in of_block.iter().zip(row_scales).enumerate() {
                    // The operations of `portable_row`, in its order.
                    let sums = _mm256_cvtepi32_ps(_mm256_sub_epi32(of_row[vector], offsets));
                    let scale = _mm256_mul_ps(_mm256_set1_ps(row_scale), scales);
                    let values = _mm256_add_ps(_mm256_mul_ps(sums, scale), bias);
                    // SAFETY: the caller's promise.
                    unsafe { _mm256_storeu_ps(out.add(row * stride + place), values) };
                }
            }
        }
    }

    /// Sums of the outputs of one block, for each row.
    ///
    /// # Safety
    /// The processor has AVX2; every row and the block hold `groups` groups.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn block_sums<const ROWS: usize>(
        rows: [*const u8; ROWS],
        block: &[Line],
        groups: usize,
    ) -> [[__m256i; VECTORS]; ROWS] {
        let ones = _mm256_set1_epi16(1);
        let block = block.as_ptr();
        let mut accumulators = [[_mm256_setzero_si256(); VECTORS]; ROWS];
        for group in (0..groups / 2 * 2).step_by(2) {
            // SAFETY: both groups are within the block and the rows.
            unsafe {
                let weights = [load(block, group), load(block, group + 1)];
                for (&row, accumulators) in rows.iter().zip(&mut accumulators) {
                    let x = [broadcast(row, group), broadcast(row, group + 1)];
                    for (vector, accumulator) in accumulators.iter_mut().enumerate() {
                        let pairs = _mm256_add_epi16(
                            _mm256_maddubs_epi16(x[0], weights[0][vector]),
                            _mm256_maddubs_epi16(x[1], weights[1][vector]),
                        );
                        let of_outputs = _mm256_madd_epi16(pairs, ones);
                        *accumulator = _mm256_add_epi32(*accumulator, of_outputs);
                    }
                }
            }
        }
        if groups % 2 == 1 {
            // SAFETY: as above.
            unsafe {
                let weights = load(block, groups - 1);
                for (&row, accumulators) in rows.iter().zip(&mut accumulators) {
                    let x = broadcast(row, groups - 1);
                    for (accumulator, weights) in accumulators.iter_mut().zip(weights) {
                        let of_outputs = _mm256_madd_epi16(_mm256_maddubs_epi16(x, weights), ones);
                        *accumulator = _mm256_add_epi32(*accumulator, of_outputs);
                    }
                }
            }
        }
        accumulators
    }

    /// # Safety
    /// The block holds the group.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn load(block: *const Line, group: usize) -> [__m256i; VECTORS] {
        // SAFETY: the caller's promise.
        let line = unsafe { block.add(group) }.cast::<__m256i>();
        // SAFETY: a line is so many registers, aligned.
        std::array::from_fn(|vector| unsafe { _mm256_load_si256(line.add(vector)) })
    }

    /// The four inputs of a group, eight times.
    ///
    /// # Safety
    /// The row holds the group.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn broadcast(row: *const u8, group: usize) -> __m256i {
        // SAFETY: the caller's promise.
        let inputs = unsafe { row.add(group * GROUP).cast::<i32>().read_unaligned() };
        _mm256_set1_epi32(inputs)
    }
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::{
        _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_load_si512, _mm512_loadu_ps,
        _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512,
        _mm512_storeu_ps, _mm512_sub_epi32,
    };

    use super::{BLOCK, GROUP, PANEL, Tile};

    /// Registers of a panel.
    const VECTORS: usize = PANEL / BLOCK;

    /// # Safety
    /// The processor has AVX-512 VNNI; the tile has `ROWS` whole rows; `out` takes a panel for each, `stride` apart.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub unsafe fn values<const ROWS: usize>(tile: &Tile<'_>, out: *mut f32, stride: usize) {
        let groups = tile.groups();
        let panel = tile.panel.as_ptr();
        let rows: [*const u8; ROWS] =
            std::array::from_fn(|row| tile.x[row * groups * GROUP..].as_ptr());
        // As many as is known here, or else the sums would not stay in registers.
        let row_scales: [f32; ROWS] = std::array::from_fn(|row| tile.row_scales[row]);
        let mut accumulators = [[_mm512_setzero_si512(); VECTORS]; ROWS];
        for group in 0..groups {
            // SAFETY: the group is within the panel and the rows.
            unsafe {
                let mut weights = [_mm512_setzero_si512(); VECTORS];
                for (vector, weights) in weights.iter_mut().enumerate() {
                    *weights = _mm512_load_si512(panel.add(vector * groups + group).cast());
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
        for vector in 0..VECTORS {
            let place = vector * BLOCK;
            // SAFETY: sixteen outputs from here are within the panel.
            let (offsets, scales, bias) = unsafe {
                (
                    _mm512_loadu_si512(tile.scaling.offsets.as_ptr().add(place).cast()),
                    _mm512_loadu_ps(tile.scaling.scales.as_ptr().add(place)),
                    _mm512_loadu_ps(tile.scaling.bias.as_ptr().add(place)),
                )
            };
            for (row, (of_row, row_scale)) in accumulators.iter().zip(row_scales).enumerate() {
                // The operations of `portable_row`, in its order.
                let sums = _mm512_cvtepi32_ps(_mm512_sub_epi32(of_row[vector], offsets));
                let scale = _mm512_mul_ps(_mm512_set1_ps(row_scale), scales);
                let values = _mm512_add_ps(_mm512_mul_ps(sums, scale), bias);
                // SAFETY: the caller's promise.
                unsafe { _mm512_storeu_ps(out.add(row * stride + place), values) };
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
            for kernel in Kernel::all() {
                let matrix = Int8Matrix::for_kernel(kernel, &weights, inputs);
                let y = matrix.affine_by(kernel, &Int8Rows::new(&x, inputs), &bias);
                for row in 0..rows {
                    for output in 0..outputs {
                        let terms = (0..inputs).map(|input| {
                            x[row * inputs + input] * weights[output * inputs + input]
                        });
                        let exact = terms.sum::<f32>() + bias[output];
                        // Each factor is off by half a step at most.
                        let steps = 1.0 / LARGEST + 1.1 / kernel.largest_weight();
                        let bound = inputs as f32 * 0.5 * steps + 1e-5;
                        assert!((y[row * outputs + output] - exact).abs() < bound);
                    }
                }
            }
        }
    }

    #[test]
    fn every_kernel_gives_the_same_bits() {
        for (inputs, outputs) in [(52, 70), (56, 64), (30, 192)] {
            let (weights, bias) = (values(inputs * outputs, 5), values(outputs, 7));
            for rows in (1..=2 * TILE).chain([TASK_ROWS + 7]) {
                let x = Int8Rows::new(&values(rows * inputs, 6), inputs);
                for kernel in Kernel::all() {
                    let matrix = Int8Matrix::for_kernel(kernel, &weights, inputs);
                    let wanted = matrix.affine_by(Kernel::Portable, &x, &bias);
                    let found = matrix.affine_by(kernel, &x, &bias);
                    assert_eq!(found, wanted, "{kernel:?}, {rows} rows of {inputs}");
                }
            }
        }
    }

    #[test]
    fn extreme_weights_and_inputs_do_not_saturate() {
        let inputs = 64;
        for sign in [1.0, -1.0] {
            let rows = Int8Rows::new(&vec![1.0; inputs], inputs);
            for kernel in Kernel::all() {
                let matrix = Int8Matrix::for_kernel(kernel, &vec![sign; inputs], inputs);
                let y = matrix.affine_by(kernel, &rows, &[0.0])[0];
                assert!((y - sign * inputs as f32).abs() < 1e-3, "{kernel:?}: {y}");
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let inputs = 40;
        let (weights, x) = (values(2 * inputs, 8), values(2 * inputs, 9));
        let affine = |weights: &[f32], x: &[f32]| {
            Int8Matrix::new(weights, inputs).affine(&Int8Rows::new(x, inputs), &[0.0; 2])
        };
        let is_nan = |y: Vec<f32>| y.into_iter().map(f32::is_nan).collect::<Vec<_>>();
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY] {
            for at in [0, inputs - 1] {
                let mut spoilt = weights.clone();
                spoilt[at] = bad; // of output 0
                assert_eq!(is_nan(affine(&spoilt, &x)), [true, false, true, false]);
                let mut spoilt = x.clone();
                spoilt[at] = bad; // of row 0
                assert_eq!(
                    is_nan(affine(&weights, &spoilt)),
                    [true, true, false, false]
                );
            }
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        let matrix = Int8Matrix::new(&[0.0, 0.0, 1.0, -2.0], 2);
        assert_eq!(
            matrix.affine(&Int8Rows::new(&[0.0; 4], 2), &[0.5, 0.0]),
            [0.5, 0.0, 0.5, 0.0]
        );
        let y = matrix.affine(&Int8Rows::new(&[1.0, -1.0], 2), &[0.0, 0.0]);
        assert_eq!(y[0], 0.0);
        assert!((y[1] - 3.0).abs() < 0.06, "{y:?}");
    }
}
