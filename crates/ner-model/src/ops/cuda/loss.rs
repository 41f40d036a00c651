//! A loss that the host has computed, with its gradient.

use std::sync::Arc;

use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::TILE;
use super::backend::Cuda;
use super::buffers::{Buffers, new_tensor, uploaded};
use super::gpu::{Arguments, Build, Grid, Numbers};
use crate::ops::fused::Saved;

/// The loss of a tensor's values and its derivative by each of them.
#[derive(Clone, Debug)]
pub struct HostLoss {
    pub loss: f32,
    pub gradient: Arc<Vec<f32>>,
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub struct Lost {
    shape: Vec<usize>,
    gradient: Arc<Vec<f32>>,
}

/// The loss, `[1]`.
pub fn forward(x: &CubeTensor, loss: HostLoss) -> (Lost, CubeTensor) {
    let shape = x.meta.shape().to_vec();
    let value = uploaded(&x.client, &[loss.loss]);
    let (client, device) = (x.client.clone(), x.device.clone());
    let y = CubeTensor::new_contiguous(client, device, [1].into(), value, DType::F32);
    let gradient = loss.gradient;
    (Lost { shape, gradient }, y)
}

impl Saved<Cuda, 1> for Lost {
    fn backward(self, gradient: CubeTensor, _: [bool; 1]) -> [Option<CubeTensor>; 1] {
        let gradient = into_contiguous(gradient);
        let count = self.gradient.len();
        let d_x = match self.shape[..] {
            [rows, columns] => new_tensor(&gradient, [rows, columns], DType::F32),
            _ => new_tensor(&gradient, [count], DType::F32),
        };
        let own = uploaded(&gradient.client, &self.gradient);
        let mut buffers = Buffers::new(&gradient.client);
        let [factor, to] = [&gradient, &d_x].map(|tensor| buffers.tensor(tensor));
        let own = buffers.held(&own);
        buffers.submit(move |gpu, at| {
            let build = Build {
                numbers: Numbers::F32,
                head_dim: TILE,
            };
            // x, factor, y, count
            let arguments = Arguments::default()
                .with(at[own])
                .with(at[factor])
                .with(at[to])
                .with(count as i64);
            gpu.launch(build, "scale", Grid::over(count), arguments)
        });
        [Some(d_x)]
    }
}
