//! Arithmetic on slices of `f32`: everything here is safe to call, and all unsafe code of the fused operations is inside.
#![allow(
    unsafe_code,
    reason = "instruction sets chosen at run time, and views of disjoint blocks of one matrix"
)]

mod bf16;
mod elementwise;
mod int8;
mod isa;
mod matrix;
mod rows;
#[cfg(test)]
mod tests;

pub use bf16::{Bf16Left, Bf16Right, Start, multiplies_bf16};
pub use elementwise::*;
pub use int8::{Int8Matrix, Int8Rows, QuantizedRows};
pub use isa::Isa;
pub use matrix::{Factor, Matrix, MatrixMut, Product, SharedMut, transpose};
pub use rows::*;

/// Elements that a parallel task should have at least, so that starting it does not cost more than its work.
pub const TASK: usize = 16 * 1024;

/// How many rows of this width make one parallel task. It does not depend on the number of threads, nor do, therefore, the sums of tasks.
pub fn rows_per_task(width: usize) -> usize {
    TASK.div_ceil(width.max(1))
}
