//! GELU.

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::autodiff::Saved;
use super::host::HostBackend;
use super::kernels::{Isa, TASK, gelu, gelu_backward};

#[derive(Clone, Debug)]
pub struct Gelu<B: HostBackend>(FloatTensor<B>);

/// GELU of `[x]`.
pub fn forward<B: HostBackend>([x]: [FloatTensor<B>; 1]) -> (Gelu<B>, FloatTensor<B>) {
    (Gelu(x.clone()), apply::<B>(x))
}

/// GELU, in place where nothing else reads `x`.
pub fn apply<B: HostBackend>(mut x: FloatTensor<B>) -> FloatTensor<B> {
    let isa = Isa::detect();
    B::elements_mut(&mut x)
        .par_chunks_mut(TASK)
        .for_each(|x| gelu(isa, x));
    x
}

impl<B: HostBackend> Saved<B, 1> for Gelu<B> {
    fn backward(self, mut gradient: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        let isa = Isa::detect();
        let d_x = B::elements_mut(&mut gradient).par_chunks_mut(TASK);
        d_x.zip(B::elements(&self.0).par_chunks(TASK))
            .for_each(|(d_x, x)| gelu_backward(isa, x, d_x));
        [Some(gradient)]
    }
}
