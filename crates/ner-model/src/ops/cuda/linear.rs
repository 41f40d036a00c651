//! A linear layer in f32: the classifier.

use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::TILE;
use super::backend::Cuda;
use super::buffers::{Buffers, new_tensor};
use super::gpu::{Arguments, Build, Grid, Matrix, Numbers, Product};
use crate::ops::fused::Saved;

const BUILD: Build = Build {
    numbers: Numbers::F32,
    head_dim: TILE,
};

/// Input and weight.
#[derive(Clone, Debug)]
pub struct Linear {
    x: CubeTensor,
    weight: CubeTensor,
}

fn product(sizes: [usize; 3], a: Matrix, b: Matrix, output: u64) -> Product {
    Product {
        sizes,
        a,
        b,
        output: Matrix::new(output, sizes[1]),
        factors: Numbers::F32,
        sums: Numbers::F32,
        accumulates: false,
        bias: None,
    }
}

/// `x · weight + bias`.
pub fn forward([x, weight, bias]: [CubeTensor; 3]) -> (Linear, CubeTensor) {
    let [x, weight, bias] = [x, weight, bias].map(into_contiguous);
    let [rows, inputs] = [x.meta.shape()[0], x.meta.shape()[1]];
    let outputs = weight.meta.shape()[1];
    let y = new_tensor(&x, [rows, outputs], DType::F32);
    let mut buffers = Buffers::new(&x.client);
    let [from, factor, added, to] = [&x, &weight, &bias, &y].map(|tensor| buffers.tensor(tensor));
    buffers.submit(move |gpu, at| {
        let (a, b) = (
            Matrix::new(at[from], inputs),
            Matrix::new(at[factor], outputs),
        );
        gpu.multiply(&product([rows, outputs, inputs], a, b, at[to]))?;
        // y, bias, count, width
        let arguments = Arguments::default()
            .with(at[to])
            .with(at[added])
            .with((rows * outputs) as i64)
            .with(outputs as i32);
        gpu.launch(BUILD, "add_bias", Grid::over(rows * outputs), arguments)
    });
    (Linear { x, weight }, y)
}

impl Saved<Cuda, 3> for Linear {
    fn backward(self, gradient: CubeTensor, wanted: [bool; 3]) -> [Option<CubeTensor>; 3] {
        let gradient = into_contiguous(gradient);
        let Self { x, weight } = self;
        let [rows, inputs] = [x.meta.shape()[0], x.meta.shape()[1]];
        let outputs = weight.meta.shape()[1];
        let d_x = wanted[0].then(|| new_tensor(&gradient, [rows, inputs], DType::F32));
        let d_weight = wanted[1].then(|| new_tensor(&gradient, [inputs, outputs], DType::F32));
        let d_bias = wanted[2].then(|| new_tensor(&gradient, [outputs], DType::F32));
        let mut buffers = Buffers::new(&gradient.client);
        let [dy, x, weight] = [&gradient, &x, &weight].map(|tensor| buffers.tensor(tensor));
        let made =
            [&d_x, &d_weight, &d_bias].map(|made| made.as_ref().map(|made| buffers.tensor(made)));
        buffers.submit(move |gpu, at| {
            let gradient = Matrix::new(at[dy], outputs);
            if let Some(to) = made[0] {
                let weight = Matrix::new(at[weight], outputs).transposed();
                gpu.multiply(&product([rows, inputs, outputs], gradient, weight, at[to]))?;
            }
            if let Some(to) = made[1] {
                let x = Matrix::new(at[x], inputs).transposed();
                gpu.multiply(&product([inputs, outputs, rows], x, gradient, at[to]))?;
            }
            let Some(to) = made[2] else { return Ok(()) };
            // x, sums, rows, width
            let arguments = Arguments::default()
                .with(at[dy])
                .with(at[to])
                .with(rows as i32)
                .with(outputs as i32);
            gpu.launch(
                BUILD,
                "narrow_column_sums",
                Grid::of(outputs, 256),
                arguments,
            )
        });
        [d_x, d_weight, d_bias]
    }
}
