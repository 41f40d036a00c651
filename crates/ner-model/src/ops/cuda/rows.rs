//! Rows taken out of the hidden states, and dropout of them.

use std::sync::Arc;

use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl_runtime::server::Handle;

use super::backend::Cuda;
use super::buffers::{Buffers, new_tensor, uploaded};
use super::gpu::{Arguments, Build, Grid, Numbers};
use super::{DropoutArguments, TILE, dtype, numbers_of};
use crate::ops::Dropout;
use crate::ops::fused::Saved;

/// What the backward pass of [`gather`] needs.
#[derive(Clone, Debug)]
pub struct Gathered {
    shape: [usize; 2],
    numbers: Numbers,
    index: Handle,
    count: usize,
}

fn build(numbers: Numbers) -> Build {
    Build {
        numbers,
        head_dim: TILE,
    }
}

/// The rows of `x` with these numbers, none twice, in f32.
pub fn gather(x: CubeTensor, index: &Arc<Vec<i32>>) -> (Gathered, CubeTensor) {
    let x = into_contiguous(x);
    let shape = [x.meta.shape()[0], x.meta.shape()[1]];
    let (numbers, count, width) = (numbers_of(x.dtype), index.len(), shape[1]);
    let y = new_tensor(&x, [count, width], DType::F32);
    let index = uploaded(&x.client, index);
    let saved = Gathered {
        shape,
        numbers,
        index: index.clone(),
        count,
    };
    let mut buffers = Buffers::new(&x.client);
    let [from, to] = [&x, &y].map(|tensor| buffers.tensor(tensor));
    let index = buffers.held(&index);
    buffers.submit(move |gpu, at| {
        // x, index, y, count, width
        let arguments = Arguments::default()
            .with(at[from])
            .with(at[index])
            .with(at[to])
            .with(count as i32)
            .with(width as i32);
        gpu.launch(
            build(numbers),
            "gather_rows",
            Grid::over(count * width / 4),
            arguments,
        )
    });
    (saved, y)
}

impl Saved<Cuda, 1> for Gathered {
    fn backward(self, gradient: CubeTensor, _: [bool; 1]) -> [Option<CubeTensor>; 1] {
        let gradient = into_contiguous(gradient);
        let Self {
            shape: shape @ [rows, width],
            numbers,
            index,
            count,
        } = self;
        let d_x = new_tensor(&gradient, shape, dtype(numbers));
        let mut buffers = Buffers::new(&gradient.client);
        let [from, to] = [&gradient, &d_x].map(|tensor| buffers.tensor(tensor));
        let index = buffers.held(&index);
        buffers.submit(move |gpu, at| {
            gpu.clear(at[to], rows * width * numbers.bytes())?;
            // gradient, index, d_x, count, width
            let arguments = Arguments::default()
                .with(at[from])
                .with(at[index])
                .with(at[to])
                .with(count as i32)
                .with(width as i32);
            gpu.launch(
                build(numbers),
                "scatter_rows",
                Grid::over(count * width / 4),
                arguments,
            )
        });
        [Some(d_x)]
    }
}

/// What the backward pass of [`dropout`] needs.
#[derive(Clone, Debug)]
pub struct Dropped(Dropout);

/// Dropout of independent elements of f32.
pub fn dropout(x: CubeTensor, dropout: Dropout) -> (Dropped, CubeTensor) {
    (Dropped(dropout), apply(x, dropout))
}

fn apply(x: CubeTensor, dropout: Dropout) -> CubeTensor {
    let x = into_contiguous(x);
    let [rows, width] = [x.meta.shape()[0], x.meta.shape()[1]];
    let y = new_tensor(&x, [rows, width], DType::F32);
    let mut buffers = Buffers::new(&x.client);
    let [from, to] = [&x, &y].map(|tensor| buffers.tensor(tensor));
    buffers.submit(move |gpu, at| {
        // x, y, rows, width, dropout
        let arguments = Arguments::default()
            .with(at[from])
            .with(at[to])
            .with(rows as i32)
            .with(width as i32)
            .with(DropoutArguments::from(dropout));
        gpu.launch(
            build(Numbers::F32),
            "dropout_rows",
            Grid::over(rows * width),
            arguments,
        )
    });
    y
}

impl Saved<Cuda, 1> for Dropped {
    fn backward(self, gradient: CubeTensor, _: [bool; 1]) -> [Option<CubeTensor>; 1] {
        [Some(apply(gradient, self.0))]
    }
}
