//! Matrix products and transposition.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::bf16::{Bf16Left, Bf16Right, Rounding, Start};
use super::rows_per_task;
use crate::ops::Factors;

/// A view of a matrix; a transposed view copies nothing.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    start: *const f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
    data: PhantomData<&'a [f32]>,
}

/// A mutable view of some rows and columns of a row-major matrix, disjoint from all other views of it.
pub struct MatrixMut<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    data: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a `&[f32]` with strides.
unsafe impl Send for Matrix<'_> {}
// SAFETY: as above.
unsafe impl Sync for Matrix<'_> {}
// SAFETY: it is a `&mut [f32]` with strides, and no two of them overlap.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> Matrix<'a> {
    /// Row-major data of so many columns.
    pub fn new(data: &'a [f32], columns: usize) -> Self {
        assert_eq!(data.len() % columns, 0, "whole rows");
        Self {
            start: data.as_ptr(),
            rows: data.len() / columns,
            columns,
            row_stride: columns,
            column_stride: 1,
            data: PhantomData,
        }
    }

    /// Some rows and columns of it.
    pub fn block(self, rows: Range<usize>, columns: Range<usize>) -> Self {
        assert!(
            rows.start <= rows.end && rows.end <= self.rows,
            "rows {rows:?} of {}",
            self.rows
        );
        assert!(
            columns.start <= columns.end && columns.end <= self.columns,
            "columns {columns:?} of {}",
            self.columns
        );
        let offset = rows.start * self.row_stride + columns.start * self.column_stride;
        Self {
            start: self.start.wrapping_add(offset),
            rows: rows.len(),
            columns: columns.len(),
            ..self
        }
    }

    /// Rows and columns.
    pub fn dims(self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Whether each row lies in one piece.
    pub fn has_whole_rows(self) -> bool {
        self.column_stride == 1
    }

    /// A row that lies in one piece.
    pub fn row(self, row: usize) -> &'a [f32] {
        assert!(self.has_whole_rows(), "rows in one piece");
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let start = self.start.wrapping_add(row * self.row_stride);
        // SAFETY: the view reaches its own data only, of which this is a row.
        unsafe { std::slice::from_raw_parts(start, self.columns) }
    }

    /// Rows become columns.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

impl<'a> MatrixMut<'a> {
    /// Row-major data of so many columns.
    pub fn new(data: &'a mut [f32], columns: usize) -> Self {
        assert_eq!(data.len() % columns, 0, "whole rows");
        Self {
            start: data.as_mut_ptr(),
            rows: data.len() / columns,
            columns,
            row_stride: columns,
            data: PhantomData,
        }
    }

    /// Rows and columns.
    pub fn dims(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The same view for several tasks, which have to keep to disjoint parts of it.
    pub fn shared(&mut self) -> SharedMut<'_> {
        SharedMut(MatrixMut {
            data: PhantomData,
            ..*self
        })
    }

    /// Blocks in row-major order: one row of blocks for each pair of neighboring boundaries, each of `across` blocks of equal width.
    pub fn blocks(self, boundaries: &[usize], across: usize) -> Vec<Self> {
        assert!(
            boundaries.is_sorted() && boundaries.last().is_none_or(|&end| end <= self.rows),
            "boundaries within rows"
        );
        assert_eq!(self.columns % across, 0, "blocks of equal width");
        let width = self.columns / across;
        let block = |first: usize, rows: usize, column: usize| Self {
            start: self
                .start
                .wrapping_add(first * self.row_stride + column * width),
            rows,
            columns: width,
            ..self
        };
        boundaries
            .windows(2)
            .flat_map(|pair| (0..across).map(move |column| (pair[0], pair[1] - pair[0], column)))
            .map(|(first, rows, column)| block(first, rows, column))
            .collect()
    }
}

/// A mutable view that parallel tasks write disjoint parts of.
pub struct SharedMut<'a>(MatrixMut<'a>);

// SAFETY: it gives out pointers only; whoever writes through one promises that no other task does.
unsafe impl Sync for SharedMut<'_> {}

impl SharedMut<'_> {
    /// The place of an element, and what lies between it and the one below it.
    pub fn at(&self, row: usize, column: usize) -> (*mut f32, usize) {
        let view = &self.0;
        assert!(
            row < view.rows && column < view.columns,
            "[{row}, {column}] of [{}, {}]",
            view.rows,
            view.columns
        );
        let place = row * view.row_stride + column;
        (view.start.wrapping_add(place), view.row_stride)
    }
}

/// A new row-major matrix.
///
/// # Safety
/// `write` writes every element of its argument, and reads none before that.
pub(super) unsafe fn written(
    rows: usize,
    columns: usize,
    write: impl FnOnce(&mut MatrixMut<'_>),
) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows * columns);
    write(&mut MatrixMut {
        start: out.as_mut_ptr(),
        rows,
        columns,
        row_stride: columns,
        data: PhantomData,
    });
    // SAFETY: the caller's promise.
    unsafe { out.set_len(rows * columns) };
    out
}

/// How a product is computed and stored.
#[derive(Clone, Copy)]
pub struct Product {
    /// Multiplies the product.
    pub scale: f32,
    /// Adds to what is there, rather than overwriting it.
    pub accumulate: bool,
    /// Uses all threads.
    pub parallel: bool,
    /// The numbers that are multiplied.
    pub factors: Factors,
}

impl Product {
    /// A large product, by all threads.
    pub const PARALLEL: Self = Self {
        scale: 1.0,
        accumulate: false,
        parallel: true,
        factors: Factors::F32,
    };
    /// A small product within a parallel task.
    pub const SERIAL: Self = Self {
        scale: 1.0,
        accumulate: false,
        parallel: false,
        factors: Factors::F32,
    };

    /// `scale · a · b` in new memory.
    pub fn compute_new(self, a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
        let overwrite = Self {
            accumulate: false,
            ..self
        };
        // SAFETY: the product writes every element, and reads none.
        unsafe { written(a.rows, b.columns, |out| overwrite.compute(out, a, b)) }
    }

    /// `out = scale · a · b`, or `out += …`. The result does not depend on the number of threads.
    pub fn compute(self, out: &mut MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>) {
        assert_eq!(
            (out.rows, out.columns, a.columns),
            (a.rows, b.columns, b.rows),
            "shapes of a product"
        );
        if self.factors == Factors::Bf16 {
            return self.compute_bf16(out, a, b);
        }
        let parallelism = if self.parallel {
            gemm::Parallelism::Rayon(0)
        } else {
            gemm::Parallelism::None
        };
        // SAFETY: views reach only their own data, `out` is exclusive, and the shapes agree.
        unsafe {
            gemm::gemm(
                out.rows,
                out.columns,
                a.columns,
                out.start,
                1,
                out.row_stride as isize,
                self.accumulate,
                a.start,
                a.column_stride as isize,
                a.row_stride as isize,
                b.start,
                b.column_stride as isize,
                b.row_stride as isize,
                1.0,
                self.scale,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}

impl Product {
    /// As [`compute`](Self::compute), of factors rounded to bf16; each has its rows or its columns in one piece.
    fn compute_bf16(self, out: &mut MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>) {
        let Self {
            scale, parallel, ..
        } = self;
        let left = Bf16Left::packed(a, Rounding { scale, parallel });
        let scale = 1.0;
        let right = Bf16Right::packed(b, Rounding { scale, parallel });
        let start = if self.accumulate {
            Start::Output
        } else {
            Start::Zero
        };
        left.write(&right, start, parallel, out);
    }
}

/// The left factor of large products, all of which are computed by all threads.
pub enum Factor<'a> {
    F32(Matrix<'a>),
    Bf16(Bf16Left),
}

impl<'a> Factor<'a> {
    pub fn new(matrix: Matrix<'a>, numbers: Factors) -> Self {
        match numbers {
            Factors::F32 => Self::F32(matrix),
            Factors::Bf16 => Self::Bf16(Bf16Left::new(matrix)),
        }
    }

    /// `self · right` in new memory.
    pub fn times(&self, right: Matrix<'_>) -> Vec<f32> {
        match self {
            Self::F32(left) => Product::PARALLEL.compute_new(*left, right),
            Self::Bf16(left) => left.times(&Bf16Right::new(right), None),
        }
    }

    /// `self · rightᵀ` in new memory, of row-major data of so many columns.
    pub fn times_transposed(&self, right: &[f32], columns: usize) -> Vec<f32> {
        match self {
            Self::F32(left) => {
                let turned = transpose(right, columns);
                let right = Matrix::new(&turned, right.len() / columns);
                Product::PARALLEL.compute_new(*left, right)
            }
            Self::Bf16(_) => self.times(Matrix::new(right, columns).transposed()),
        }
    }

    /// Adds `self · rightᵀ` to `out`; `right` as in [`times_transposed`](Self::times_transposed).
    pub fn add_times_transposed(&self, right: &[f32], columns: usize, out: &mut MatrixMut<'_>) {
        match self {
            Self::F32(left) => {
                let turned = transpose(right, columns);
                let right = Matrix::new(&turned, right.len() / columns);
                let add = Product {
                    accumulate: true,
                    ..Product::PARALLEL
                };
                add.compute(out, *left, right);
            }
            Self::Bf16(left) => {
                let right = Bf16Right::new(Matrix::new(right, columns).transposed());
                left.write(&right, Start::Output, true, out);
            }
        }
    }

    /// `self · weight + bias` in new memory.
    pub fn affine(&self, weight: Matrix<'_>, bias: &[f32]) -> Vec<f32> {
        match self {
            Self::F32(x) => affine(*x, weight, bias),
            Self::Bf16(x) => x.times(&Bf16Right::new(weight), Some(bias)),
        }
    }
}

/// `x · weight + bias` in new memory, by all threads.
fn affine(x: Matrix<'_>, weight: Matrix<'_>, bias: &[f32]) -> Vec<f32> {
    let columns = bias.len();
    let len = x.rows * columns;
    let mut out = Vec::with_capacity(len);
    out.spare_capacity_mut()[..len]
        .par_chunks_mut(rows_per_task(columns) * columns)
        .for_each(|rows| {
            for row in rows.chunks_exact_mut(columns) {
                row.write_copy_of_slice(bias);
            }
        });
    // SAFETY: every row has been written, and there are no elements but theirs.
    unsafe { out.set_len(len) };
    Product {
        accumulate: true,
        ..Product::PARALLEL
    }
    .compute(&mut MatrixMut::new(&mut out, columns), x, weight);
    out
}

/// The transpose of row-major data of so many columns.
pub fn transpose(source: &[f32], columns: usize) -> Vec<f32> {
    const ROWS: usize = 16; // a cache line of the target
    const COLUMNS: usize = 64; // four cache lines of the source
    let rows = source.len() / columns;
    assert_eq!(rows * columns, source.len(), "whole rows");
    let mut out = Vec::with_capacity(source.len());
    out.spare_capacity_mut()[..source.len()]
        .par_chunks_mut(COLUMNS * rows)
        .enumerate()
        .for_each(|(task, target)| {
            let source = &source[task * COLUMNS..];
            for first in (0..rows).step_by(ROWS) {
                let last = rows.min(first + ROWS);
                for (column, target) in target.chunks_exact_mut(rows).enumerate() {
                    for (row, target) in (first..last).zip(&mut target[first..last]) {
                        target.write(source[row * columns + column]);
                    }
                }
            }
        });
    // SAFETY: each of the `columns` rows of `rows` elements has been written.
    unsafe { out.set_len(source.len()) };
    out
}
