//! Access to the elements of tensors that lie in the host's memory.

use std::borrow::Cow;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, TensorMetadata};
use burn::tensor::TensorData;
use burn_flex::FlexTensor;

/// A backend whose `f32` tensors lie in the host's memory.
pub trait HostBackend: Backend {
    /// The elements in row-major order; copied only where they do not lie so.
    fn elements(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]>;

    /// The elements in row-major order, after a copy where they do not lie so or are shared with another tensor.
    fn elements_mut(tensor: &mut FloatTensor<Self>) -> &mut [f32];

    /// A tensor of these elements on the device of `like`.
    fn tensor<const D: usize>(
        elements: Vec<f32>,
        shape: [usize; D],
        like: &FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::float_from_data(TensorData::new(elements, shape), &like.device())
    }

    /// Rows and columns of a matrix.
    fn dims(tensor: &FloatTensor<Self>) -> [usize; 2] {
        let shape = tensor.shape();
        [shape[0], shape[1]]
    }
}

fn fills_its_buffer(tensor: &FlexTensor) -> bool {
    tensor
        .as_slice::<f32>()
        .is_some_and(|elements| size_of_val(elements) == tensor.bytes().len())
}

impl HostBackend for Flex {
    fn elements(tensor: &FlexTensor) -> Cow<'_, [f32]> {
        match tensor.as_slice() {
            Some(elements) => Cow::Borrowed(elements),
            None => Cow::Owned(tensor.to_contiguous().storage().to_vec()),
        }
    }

    fn elements_mut(tensor: &mut FlexTensor) -> &mut [f32] {
        if !fills_its_buffer(tensor) {
            *tensor = tensor.to_contiguous();
        }
        tensor.storage_mut()
    }
}
