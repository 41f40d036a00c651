//! Hidden states of a wide model as a narrower one has them.

use std::f64::consts::PI;

use burn::tensor::{Device, Tensor};

use super::components::principal_components;
use super::projection::matrix;
use crate::Error;
use crate::device::read;

/// What a narrow hidden state keeps of a wide one: its coordinates along orthonormal directions, as SliceGPT has them (Ashkboos et al. 2024,
/// <https://arxiv.org/abs/2401.15024>).
///
/// The coordinates of every state sum to zero, so that LayerNorm, which takes their mean away, takes nothing: the directions are at right angles
/// to the one that LayerNorm leaves out in the wide model.
#[derive(Clone, Debug)]
pub struct Basis {
    /// One direction a column, `[wide, narrow]`.
    directions: Tensor<2>,
}

impl Basis {
    /// The directions in which states of the given covariance differ most, mixed by a discrete cosine transform, whose rows but the first sum to
    /// zero. As many directions as there are coordinates are the coordinates themselves.
    ///
    /// # Shapes
    /// - covariance: `[wide, wide]`, row-major
    pub(super) fn of(covariance: Vec<f64>, wide: usize, narrow: usize, device: &Device) -> Self {
        if wide == narrow {
            let directions = Tensor::eye(wide, device);
            return Self { directions };
        }
        let components = principal_components(without_mean(covariance, wide), wide, narrow - 1);
        let components = matrix(components, [wide, narrow - 1], device);
        let cosine = |at: usize| {
            let (row, column) = (at / narrow, at % narrow);
            let angle = PI * (column as f64 + 0.5) * (row + 1) as f64 / narrow as f64;
            ((2.0 / narrow as f64).sqrt() * angle.cos()) as f32
        };
        let cosines = (0..(narrow - 1) * narrow).map(cosine).collect();
        let cosines = matrix(cosines, [narrow - 1, narrow], device);
        let directions = components.matmul(cosines);
        Self { directions }
    }

    /// Whether it leaves every state as it is.
    pub(super) fn is_whole(&self) -> bool {
        let [wide, narrow] = self.directions.dims();
        wide == narrow
    }

    /// The directions, `[wide, narrow]`.
    pub(super) fn directions(&self) -> Tensor<2> {
        self.directions.clone()
    }

    /// Coordinates of a state.
    #[must_use]
    pub fn width(&self) -> usize {
        self.directions.dims()[1]
    }

    /// Narrow states of wide ones.
    ///
    /// # Shapes
    /// - states: `[rows, wide]`, output: `[rows, narrow]`
    #[must_use]
    pub fn narrow(&self, states: Tensor<2>) -> Tensor<2> {
        let directions = self.directions.clone().to_device(&states.device());
        states.matmul(directions)
    }

    /// What narrow states lack of wide ones.
    ///
    /// # Shapes
    /// - states, output: `[rows, wide]`
    pub(super) fn lost(&self, states: Tensor<2>) -> Tensor<2> {
        let kept = self.narrow(states.clone());
        states - kept.matmul(self.directions().transpose())
    }

    /// The diagonal of a quadratic form seen along the directions.
    ///
    /// # Shapes
    /// - form: `[wide, wide]`, row-major, output: `[narrow]`
    pub(super) fn diagonal(&self, form: &[f64]) -> Result<Vec<f64>, Error> {
        let [wide, _] = self.directions.dims();
        let form = form.iter().map(|&x| x as f32).collect();
        let form = matrix(form, [wide, wide], &self.directions.device());
        let products = form.matmul(self.directions()) * self.directions();
        let diagonal = read(products.sum_dim(0))?;
        Ok(diagonal.into_iter().map(f64::from).collect())
    }
}

/// The covariance of vectors whose mean over the coordinates was taken away.
fn without_mean(mut covariance: Vec<f64>, width: usize) -> Vec<f64> {
    let means: Vec<f64> = covariance
        .chunks_exact(width)
        .map(|row| row.iter().sum::<f64>() / width as f64)
        .collect();
    let mean = means.iter().sum::<f64>() / width as f64;
    for (at, x) in covariance.iter_mut().enumerate() {
        *x += mean - means[at / width] - means[at % width];
    }
    covariance
}
