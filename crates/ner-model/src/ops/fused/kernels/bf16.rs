//! Matrix products of factors rounded to bf16, summed in `f32`.
//!
//! bf16 is the upper half of an `f32` (8 bits of significand). The product of two of them is exact in `f32`; only the sum rounds. Both factors
//! are packed in pairs along the dimension that is summed over, because one instruction of AVX512-BF16 (`vdpbf16ps`) multiplies two pairs for
//! each of sixteen sums. Each element is summed by one task and in one order, so the number of threads changes no bit.

use std::ops::Range;

use rayon::prelude::*;

use super::isa::vectorized;
use super::matrix::written;
use super::{Isa, Matrix, MatrixMut, SharedMut};

/// Columns that a tile computes at once: four registers of sixteen sums.
const PANEL: usize = 64;
/// Columns of a register.
const LANES: usize = 16;
/// Registers of a panel.
const VECTORS: usize = PANEL / LANES;
/// The most rows of a tile: their sums, the right factor's registers and one of the left fit in 32 registers.
const TILE: usize = 6;
/// Rows that lie side by side in a left factor that is packed from its transpose.
const BLOCK: usize = 8 * TILE;
/// Rows of the output that a parallel task computes.
const TASK_ROWS: usize = 4 * BLOCK;
/// Panels of the output that a parallel task computes.
const TASK_PANELS: usize = 3;

/// Two bf16 numbers, the first in the lower half.
pub type Pair = u32;

/// Sixteen pairs, one for each column of a register.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Line([Pair; LANES]);

/// Whether this processor has the instructions for it.
pub fn multiplies_bf16() -> bool {
    Kernel::detect() != Kernel::Portable
}

/// The left factor of a product.
pub struct Bf16Left {
    rows: usize,
    /// Of the dimension that is summed over; an odd one ends with half a pair of zero.
    depth: usize,
    pairs: Vec<Pair>,
    order: Order,
}

/// How the pairs of a left factor lie.
#[derive(Clone, Copy)]
enum Order {
    /// `[rows, pairs]`.
    Rows,
    /// `[blocks of rows, pairs, BLOCK]`.
    Blocks,
}

/// The right factor of a product.
pub struct Bf16Right {
    columns: usize,
    /// As of the left one.
    depth: usize,
    /// `[panels, pairs, VECTORS]`; columns beyond the factor's are zero.
    lines: Vec<Line>,
}

impl std::fmt::Debug for Bf16Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bf16Right[{}, {}]", self.depth, self.columns)
    }
}

/// What the sums start from.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    Zero,
    /// One number for each column.
    Bias(&'a [f32]),
    /// What is in the output.
    Output,
}

/// The nearest bf16 number, of two the even one. NaN stays NaN.
#[inline(always)]
fn round(x: f32) -> u32 {
    const QUIET_NAN: u32 = 0x7fc0;
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { QUIET_NAN } else { rounded }
}

/// The `f32` that a bf16 number is.
#[inline(always)]
fn widen(bits: u32) -> f32 {
    f32::from_bits(bits << 16)
}

vectorized! {
    /// Pairs of neighboring numbers of a row, times `scale`.
    fn pair_row(scale: f32, x: &[f32], out: &mut [Pair]) {
        let (whole, rest) = x.as_chunks::<2>();
        for (out, [low, high]) in out.iter_mut().zip(whole) {
            *out = round(scale * *low) | round(scale * *high) << 16;
        }
        if let ([low], Some(out)) = (rest, out.last_mut()) {
            *out = round(scale * *low);
        }
    }

    /// Pairs of the numbers that two rows have in the same column, times `scale`.
    fn pair_rows(scale: f32, low: &[f32], high: &[f32], out: &mut [Pair]) {
        for ((out, &low), &high) in out.iter_mut().zip(low).zip(high) {
            *out = round(scale * low) | round(scale * high) << 16;
        }
    }

    /// Values of a tile by `f32` arithmetic, in the order of the instruction: of each pair the higher half first.
    fn portable_tile(left: Rows<'_>, panel: &[Line], sums: &mut [[f32; PANEL]]) {
        for (row, sums) in sums.iter_mut().enumerate() {
            for (pair, lines) in panel.as_chunks::<VECTORS>().0.iter().enumerate() {
                let x = left.pair(row, pair);
                let columns = lines.iter().flat_map(|Line(line)| line);
                for (sum, w) in sums.iter_mut().zip(columns) {
                    *sum += widen(x >> 16) * widen(w >> 16);
                    *sum += widen(x & 0xffff) * widen(w & 0xffff);
                }
            }
        }
    }
}

/// How the numbers of a factor become pairs.
#[derive(Clone, Copy)]
pub struct Rounding {
    /// Multiplies each number before it is rounded.
    pub scale: f32,
    /// Whether all threads do it; a task of its own does without.
    pub parallel: bool,
}

impl Rounding {
    /// A factor as it is, by all threads.
    const WHOLE: Self = Self {
        scale: 1.0,
        parallel: true,
    };
}

/// The fewest items that rayon gives to one thread.
fn least(parallel: bool) -> usize {
    if parallel { 1 } else { usize::MAX }
}

/// Pairs of rows of a row-major matrix, `[blocks of columns, pairs, width]`, with zeros beyond the last column.
fn pack_blocks(source: Matrix<'_>, width: usize, rounding: Rounding, out: &mut [Pair]) {
    let isa = Isa::detect();
    let (depth, columns) = source.dims();
    if depth == 0 {
        return;
    }
    let zeros = [0.0; PANEL];
    out.par_chunks_mut(depth.div_ceil(2) * width)
        .with_min_len(least(rounding.parallel))
        .enumerate()
        .for_each(|(block, out)| {
            let columns = block * width..columns.min((block + 1) * width);
            for (pair, out) in out.chunks_exact_mut(width).enumerate() {
                let low = &source.row(2 * pair)[columns.clone()];
                let high = if 2 * pair + 1 < depth {
                    &source.row(2 * pair + 1)[columns.clone()]
                } else {
                    &zeros[..columns.len()]
                };
                pair_rows(isa, rounding.scale, low, high, out);
            }
        });
}

impl Bf16Left {
    /// Rounds a factor whose rows, or columns, lie in one piece.
    pub fn new(a: Matrix<'_>) -> Self {
        Self::packed(a, Rounding::WHOLE)
    }

    /// As [`new`](Self::new), rounded so.
    pub fn packed(a: Matrix<'_>, rounding: Rounding) -> Self {
        let (rows, depth) = a.dims();
        let pairs = depth.div_ceil(2);
        if a.has_whole_rows() {
            let isa = Isa::detect();
            let mut packed = vec![0; rows * pairs];
            packed
                .par_chunks_mut(BLOCK * pairs)
                .with_min_len(least(rounding.parallel))
                .enumerate()
                .for_each(|(block, out)| {
                    for (row, out) in (block * BLOCK..).zip(out.chunks_exact_mut(pairs)) {
                        pair_row(isa, rounding.scale, a.row(row), out);
                    }
                });
            return Self {
                rows,
                depth,
                pairs: packed,
                order: Order::Rows,
            };
        }
        let mut packed = vec![0; rows.div_ceil(BLOCK) * pairs * BLOCK];
        pack_blocks(a.transposed(), BLOCK, rounding, &mut packed);
        Self {
            rows,
            depth,
            pairs: packed,
            order: Order::Blocks,
        }
    }

    /// Rounds rows of so many numbers, by all threads, after `prepare` has changed each, while that is in the nearest cache.
    pub fn after(x: &mut [f32], depth: usize, prepare: impl Fn(&mut [f32]) + Sync) -> Self {
        let isa = Isa::detect();
        let (rows, pairs) = (x.len() / depth, depth.div_ceil(2));
        let mut packed = vec![0; rows * pairs];
        packed
            .par_chunks_mut(BLOCK * pairs)
            .zip(x.par_chunks_mut(BLOCK * depth))
            .for_each(|(out, x)| {
                let rows = x.chunks_exact_mut(depth).zip(out.chunks_exact_mut(pairs));
                for (x, out) in rows {
                    prepare(x);
                    pair_row(isa, 1.0, x, out);
                }
            });
        Self {
            rows,
            depth,
            pairs: packed,
            order: Order::Rows,
        }
    }

    /// The rows from this one on, as many as a tile has; a tile does not go beyond a block.
    fn tile(&self, first: usize) -> Rows<'_> {
        let pairs = self.depth.div_ceil(2);
        match self.order {
            Order::Rows => Rows {
                pairs: &self.pairs[first * pairs..],
                row_stride: pairs,
                pair_stride: 1,
            },
            Order::Blocks => Rows {
                pairs: &self.pairs[first / BLOCK * BLOCK * pairs + first % BLOCK..],
                row_stride: 1,
                pair_stride: BLOCK,
            },
        }
    }

    /// `self · right`, plus a number for each column where there are some, in new memory, by all threads.
    pub fn times(&self, right: &Bf16Right, bias: Option<&[f32]>) -> Vec<f32> {
        let start = bias.map_or(Start::Zero, Start::Bias);
        // SAFETY: every element is of one tile, which writes it, and reads none.
        unsafe {
            written(self.rows, right.columns, |out| {
                self.write(right, start, true, out);
            })
        }
    }

    /// `self · right` into `out`, by all threads or by this one.
    pub fn write(
        &self,
        right: &Bf16Right,
        start: Start<'_>,
        parallel: bool,
        out: &mut MatrixMut<'_>,
    ) {
        self.write_by(Kernel::detect(), right, start, parallel, out);
    }

    fn write_by(
        &self,
        kernel: Kernel,
        right: &Bf16Right,
        start: Start<'_>,
        parallel: bool,
        out: &mut MatrixMut<'_>,
    ) {
        assert_eq!(
            (self.rows, right.columns, self.depth),
            (out.dims().0, out.dims().1, right.depth),
            "shapes of a product"
        );
        let panels = right.columns.div_ceil(PANEL);
        let mut tasks = Vec::new();
        for rows in ranges(self.rows, TASK_ROWS) {
            tasks.extend(ranges(panels, TASK_PANELS).map(|panels| (rows.clone(), panels)));
        }
        let target = out.shared();
        let tasks = tasks.into_par_iter().with_min_len(least(parallel));
        tasks.for_each(|(rows, panels)| {
            for panel in panels {
                for first in rows.clone().step_by(TILE) {
                    let tile = first..rows.end.min(first + TILE);
                    // SAFETY: no other task has these columns of these rows.
                    unsafe { self.write_tile(kernel, right, start, tile, panel, &target) };
                }
            }
        });
    }

    /// # Safety
    /// Nothing else reads or writes these columns of these rows of `target`, which has room for the product.
    unsafe fn write_tile(
        &self,
        kernel: Kernel,
        right: &Bf16Right,
        start: Start<'_>,
        rows: Range<usize>,
        panel: usize,
        target: &SharedMut<'_>,
    ) {
        let lines = right.panel(panel);
        let columns = panel * PANEL..right.columns.min((panel + 1) * PANEL);
        let left = self.tile(rows.start);
        let (out, stride) = target.at(rows.start, columns.start);
        let bias = match start {
            Start::Bias(bias) => &bias[columns.clone()],
            _ => &[],
        };
        if columns.len() == PANEL {
            const ZEROS: [f32; PANEL] = [0.0; PANEL];
            let (initial, initial_stride) = match start {
                Start::Zero => (ZEROS.as_ptr(), 0),
                Start::Bias(_) => (bias.as_ptr(), 0),
                Start::Output => (out.cast_const(), stride),
            };
            // SAFETY: a whole panel lies in each row; the caller's promise.
            unsafe {
                kernel.values(
                    left,
                    rows.len(),
                    lines,
                    (initial, initial_stride),
                    (out, stride),
                );
            }
            return;
        }
        let mut sums = [[0.0; PANEL]; TILE];
        // SAFETY: so many columns of each row are there; the caller's promise.
        unsafe {
            for (row, sums) in sums[..rows.len()].iter_mut().enumerate() {
                match start {
                    Start::Zero => {}
                    Start::Bias(bias) => {
                        sums[..columns.len()].copy_from_slice(&bias[columns.clone()]);
                    }
                    Start::Output => {
                        let row = std::slice::from_raw_parts(out.add(row * stride), columns.len());
                        sums[..row.len()].copy_from_slice(row);
                    }
                }
            }
            let buffer = sums.as_mut_ptr().cast::<f32>();
            kernel.values(left, rows.len(), lines, (buffer, PANEL), (buffer, PANEL));
            for (row, sums) in sums[..rows.len()].iter().enumerate() {
                sums.as_ptr()
                    .copy_to_nonoverlapping(out.add(row * stride), columns.len());
            }
        }
    }
}

/// Neighboring ranges of so many, the last one shorter.
fn ranges(len: usize, each: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len)
        .step_by(each)
        .map(move |first| first..len.min(first + each))
}

impl Bf16Right {
    /// Rounds a factor whose rows, or columns, lie in one piece.
    pub fn new(b: Matrix<'_>) -> Self {
        Self::packed(b, Rounding::WHOLE)
    }

    /// As [`new`](Self::new), rounded so.
    pub fn packed(b: Matrix<'_>, rounding: Rounding) -> Self {
        let (depth, columns) = b.dims();
        let (pairs, panels) = (depth.div_ceil(2), columns.div_ceil(PANEL));
        let mut lines = vec![Line([0; LANES]); panels * pairs * VECTORS];
        // SAFETY: a line is so many pairs and nothing else.
        let (_, packed, _) = unsafe { lines.align_to_mut::<Pair>() };
        if b.has_whole_rows() {
            pack_blocks(b, PANEL, rounding, packed);
        } else {
            pack_transposed(b.transposed(), rounding, packed);
        }
        Self {
            columns,
            depth,
            lines,
        }
    }

    fn panel(&self, panel: usize) -> &[Line] {
        let len = self.depth.div_ceil(2) * VECTORS;
        &self.lines[panel * len..(panel + 1) * len]
    }
}

/// Packs `[columns, depth]` as the panels of its transpose.
fn pack_transposed(source: Matrix<'_>, rounding: Rounding, out: &mut [Pair]) {
    /// Pairs of a row that are written before the next row: their lines stay in the first cache.
    const STRIP: usize = 16;
    let isa = Isa::detect();
    let (columns, depth) = source.dims();
    let pairs = depth.div_ceil(2);
    if pairs == 0 {
        return;
    }
    out.par_chunks_mut(pairs * PANEL)
        .with_min_len(least(rounding.parallel))
        .enumerate()
        .for_each(|(panel, out)| {
            let rows = panel * PANEL..columns.min((panel + 1) * PANEL);
            for strip in ranges(pairs, STRIP) {
                let mut paired = [0; STRIP];
                for (column, row) in rows.clone().enumerate() {
                    let row = &source.row(row)[2 * strip.start..depth.min(2 * strip.end)];
                    pair_row(isa, rounding.scale, row, &mut paired[..strip.len()]);
                    for (pair, &value) in strip.clone().zip(&paired) {
                        out[pair * PANEL + column] = value;
                    }
                }
            }
        });
}

/// Rows of a left factor.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pairs: &'a [Pair],
    row_stride: usize,
    pair_stride: usize,
}

impl Rows<'_> {
    #[inline(always)]
    fn pair(self, row: usize, pair: usize) -> Pair {
        self.pairs[row * self.row_stride + pair * self.pair_stride]
    }
}

/// How values are computed on this processor. Only [`detect`](Self::detect) and [`all`](Self::all) make one, so that its instructions are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
}

impl Kernel {
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16") {
            return Self::Avx512Bf16;
        }
        Self::Portable
    }

    /// Writes the values of a tile of so many rows and one panel. Both places are a pointer and what lies between rows.
    ///
    /// # Safety
    /// A panel for each row can be read from `initial` and written to `out`, and nothing else refers to the latter.
    unsafe fn values(
        self,
        left: Rows<'_>,
        rows: usize,
        panel: &[Line],
        initial: (*const f32, usize),
        out: (*mut f32, usize),
    ) {
        assert!((1..=TILE).contains(&rows), "rows of a tile");
        let pairs = panel.len() / VECTORS;
        if pairs > 0 {
            let last = (rows - 1) * left.row_stride + (pairs - 1) * left.pair_stride;
            assert!(last < left.pairs.len(), "whole rows");
        }
        // SAFETY: the processor has the instructions, the left factor has so many rows and pairs, and the caller's promise.
        unsafe {
            match self {
                Self::Portable => {
                    let mut sums = [[0.0; PANEL]; TILE];
                    for (row, sums) in sums[..rows].iter_mut().enumerate() {
                        let initial = initial.0.add(row * initial.1);
                        initial.copy_to_nonoverlapping(sums.as_mut_ptr(), PANEL);
                    }
                    portable_tile(Isa::detect(), left, panel, &mut sums[..rows]);
                    for (row, sums) in sums[..rows].iter().enumerate() {
                        let out = out.0.add(row * out.1);
                        sums.as_ptr().copy_to_nonoverlapping(out, PANEL);
                    }
                }
                #[cfg(target_arch = "x86_64")]
                Self::Avx512Bf16 => match rows {
                    1 => avx512::values::<1>(left, panel, initial, out),
                    2 => avx512::values::<2>(left, panel, initial, out),
                    3 => avx512::values::<3>(left, panel, initial, out),
                    4 => avx512::values::<4>(left, panel, initial, out),
                    5 => avx512::values::<5>(left, panel, initial, out),
                    _ => avx512::values::<TILE>(left, panel, initial, out),
                },
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_load_si512, _mm512_loadu_ps, _mm512_set1_epi32,
        _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::{LANES, Line, Rows, VECTORS};

    /// # Safety
    /// As of `Kernel::values`; the processor has AVX512-BF16, and the left factor so many rows of as many pairs as the panel.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub unsafe fn values<const ROWS: usize>(
        left: Rows<'_>,
        panel: &[Line],
        (initial, initial_stride): (*const f32, usize),
        (out, stride): (*mut f32, usize),
    ) {
        let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
        for (row, sums) in sums.iter_mut().enumerate() {
            for (vector, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *sum =
                    unsafe { _mm512_loadu_ps(initial.add(row * initial_stride + vector * LANES)) };
            }
        }
        let rows: [_; ROWS] =
            std::array::from_fn(|row| left.pairs.as_ptr().wrapping_add(row * left.row_stride));
        for (pair, lines) in panel.as_chunks::<VECTORS>().0.iter().enumerate() {
            // SAFETY: a line is a register, aligned.
            let lines: [__m512bh; VECTORS] = std::array::from_fn(|vector| unsafe {
                of_bf16(_mm512_load_si512((&raw const lines[vector]).cast()))
            });
            for (row, sums) in rows.iter().zip(&mut sums) {
                // SAFETY: the row has the pair.
                let x = unsafe { *row.add(pair * left.pair_stride) };
                let x = of_bf16(_mm512_set1_epi32(x.cast_signed()));
                for (sum, line) in sums.iter_mut().zip(lines) {
                    *sum = _mm512_dpbf16_ps(*sum, x, line);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (vector, &sum) in sums.iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { _mm512_storeu_ps(out.add(row * stride + vector * LANES), sum) };
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    fn of_bf16(bits: __m512i) -> __m512bh {
        // SAFETY: both are 512 bits of any value.
        unsafe { std::mem::transmute::<__m512i, __m512bh>(bits) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Product;
    use super::*;
    use crate::ops::Factors;

    impl Kernel {
        fn all() -> Vec<Self> {
            let mut all = vec![Self::Portable];
            if Self::detect() != Self::Portable {
                all.push(Self::detect());
            }
            all
        }
    }

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let bits = |i| crate::ops::split_mix(seed << 32 | i as u64) >> 40;
        (0..count)
            .map(|i| bits(i) as f32 / (1 << 23) as f32 - 1.0)
            .collect()
    }

    fn rounded(x: f32) -> f64 {
        f64::from(widen(round(x)))
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest_and_ties_to_even() {
        for (x, wanted) in [
            (1.0, 1.0),
            (1.0 + 1.0 / 256.0, 1.0), // a tie: the even one is below
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0), // a tie: the even one is above
            (1.0 + 1.1 / 256.0, 1.0 + 2.0 / 256.0),
            (-1.0 - 2.9 / 256.0, -1.0 - 2.0 / 256.0),
            (f32::MAX, f64::INFINITY),
            (f32::NEG_INFINITY, f64::NEG_INFINITY),
        ] {
            assert_eq!(rounded(x), wanted, "{x}");
        }
        for nan in [
            f32::NAN,
            f32::from_bits(0x7fff_ffff),
            f32::from_bits(0xff80_0001),
        ] {
            assert!(rounded(nan).is_nan());
        }
    }

    /// `[rows, depth, columns]`: whole tiles and panels, and what is left of both.
    const SHAPES: [[usize; 3]; 6] = [
        [1, 1, 1],
        [2, 48, 9],
        [7, 31, 65],
        [48, 64, 64],
        [125, 101, 130],
        [193, 2, 200],
    ];

    #[test]
    fn products_are_those_of_rounded_factors_for_every_layout_and_kernel() {
        for [rows, depth, columns] in SHAPES {
            let (a, b) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
            let bias = numbers(columns, 3);
            let transposed = |x: &[f32], columns: usize| -> Vec<f32> {
                let rows = x.len() / columns;
                let place = |at: usize| x[at % rows * columns + at / rows];
                (0..x.len()).map(place).collect()
            };
            let (a_turned, b_turned) = (transposed(&a, depth), transposed(&b, columns));
            let lefts = [
                Bf16Left::new(Matrix::new(&a, depth)),
                Bf16Left::new(Matrix::new(&a_turned, rows).transposed()),
            ];
            let rights = [
                Bf16Right::new(Matrix::new(&b, columns)),
                Bf16Right::new(Matrix::new(&b_turned, depth).transposed()),
            ];
            for kernel in Kernel::all() {
                for (left, right) in lefts
                    .iter()
                    .flat_map(|left| rights.iter().map(move |right| (left, right)))
                {
                    for start in [Start::Zero, Start::Bias(&bias), Start::Output] {
                        let mut out = vec![0.5; rows * columns];
                        let target = &mut MatrixMut::new(&mut out, columns);
                        left.write_by(kernel, right, start, true, target);
                        for (at, found) in out.iter().enumerate() {
                            let (row, column) = (at / columns, at % columns);
                            let initial = match start {
                                Start::Zero => 0.0,
                                Start::Bias(bias) => f64::from(bias[column]),
                                Start::Output => 0.5,
                            };
                            let terms = (0..depth).map(|at| {
                                rounded(a[row * depth + at]) * rounded(b[at * columns + column])
                            });
                            let wanted = initial + terms.sum::<f64>();
                            assert!(
                                (f64::from(*found) - wanted).abs()
                                    < 1e-5 * (1.0 + depth as f64).sqrt(),
                                "{kernel:?} [{rows}, {depth}, {columns}] at {at}: {found}, not {wanted}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_product_of_one_task_is_scaled_and_added_to() {
        let (scale, [rows, depth, columns]) = (0.3, [50, 31, 70]);
        let (a, b) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
        for accumulate in [false, true] {
            let product = Product {
                scale,
                accumulate,
                parallel: false,
                factors: Factors::Bf16,
            };
            let mut out = vec![0.5; rows * columns];
            let target = &mut MatrixMut::new(&mut out, columns);
            product.compute(target, Matrix::new(&a, depth), Matrix::new(&b, columns));
            for (at, found) in out.iter().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let terms = (0..depth).map(|at| {
                    rounded(scale * a[row * depth + at]) * rounded(b[at * columns + column])
                });
                let wanted = terms.sum::<f64>() + if accumulate { 0.5 } else { 0.0 };
                assert!((f64::from(*found) - wanted).abs() < 1e-5, "{at}: {found}");
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (rows, depth, columns) = (400, 130, 500);
        let (a, b) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
        let by = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.map(|pool| {
                pool.install(|| {
                    let left = Bf16Left::new(Matrix::new(&a, depth));
                    left.times(&Bf16Right::new(Matrix::new(&b, columns)), None)
                })
            })
        };
        assert!(by(1).is_ok_and(|one| by(3).is_ok_and(|three| one == three)));
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let (depth, columns) = (40, 70);
        let (a, b) = (numbers(2 * depth, 8), numbers(depth * columns, 9));
        for bad in [f32::NAN, f32::INFINITY] {
            let mut spoilt = a.clone();
            spoilt[depth - 1] = bad; // of row 0
            let left = Bf16Left::new(Matrix::new(&spoilt, depth));
            let out = left.times(&Bf16Right::new(Matrix::new(&b, columns)), None);
            assert!(out[..columns].iter().all(|x| !x.is_finite()), "{bad}");
            assert!(out[columns..].iter().all(|x| x.is_finite()), "{bad}");
        }
    }
}
