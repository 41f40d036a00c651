//! Matrix products and transposition.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::rows_per_task;

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

    /// Blocks in row-major order: one row of blocks for each pair of neighbouring boundaries, each of `across` blocks of equal width.
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

/// How a product is computed and stored.
#[derive(Clone, Copy)]
pub struct Product {
    /// Multiplies the product.
    pub scale: f32,
    /// Adds to what is there, rather than overwriting it.
    pub accumulate: bool,
    /// Uses all threads.
    pub parallel: bool,
}

impl Product {
    /// A large product, by all threads.
    pub const PARALLEL: Self = Self {
        scale: 1.0,
        accumulate: false,
        parallel: true,
    };
    /// A small product within a parallel task.
    pub const SERIAL: Self = Self {
        scale: 1.0,
        accumulate: false,
        parallel: false,
    };

    /// `scale · a · b` in new memory.
    pub fn compute_new(self, a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
        let (rows, columns) = (a.rows, b.columns);
        let mut out = Vec::with_capacity(rows * columns);
        let mut view = MatrixMut {
            start: out.as_mut_ptr(),
            rows,
            columns,
            row_stride: columns,
            data: PhantomData,
        };
        let overwrite = Self {
            accumulate: false,
            ..self
        };
        overwrite.compute(&mut view, a, b);
        // SAFETY: the product has written every element, and read none.
        unsafe { out.set_len(rows * columns) };
        out
    }

    /// `out = scale · a · b`, or `out += …`. The result does not depend on the number of threads.
    pub fn compute(self, out: &mut MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>) {
        assert_eq!(
            (out.rows, out.columns, a.columns),
            (a.rows, b.columns, b.rows),
            "shapes of a product"
        );
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

/// `a · b` in new memory, by all threads.
pub fn product(a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    Product::PARALLEL.compute_new(a, b)
}

/// `x · weight + bias` in new memory, by all threads.
pub fn affine(x: Matrix<'_>, weight: Matrix<'_>, bias: &[f32]) -> Vec<f32> {
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
