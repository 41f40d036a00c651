//! Access to the elements of `ndarray` tensors.

use std::borrow::Cow;

use burn::backend::{NdArray, TensorMetadata};
use burn_ndarray::NdArrayTensor;

use super::host_backend::HostBackend;

impl HostBackend for NdArray {
    fn elements(tensor: &NdArrayTensor) -> Cow<'_, [f32]> {
        let NdArrayTensor::F32(storage) = tensor else {
            panic!("expected an f32 tensor, got {:?}", tensor.dtype())
        };
        match storage.view().to_slice() {
            Some(elements) => Cow::Borrowed(elements),
            None => Cow::Owned(storage.view().iter().copied().collect()),
        }
    }

    fn elements_mut(tensor: &mut NdArrayTensor) -> &mut [f32] {
        let NdArrayTensor::F32(storage) = tensor else {
            panic!("expected an f32 tensor, got {:?}", tensor.dtype())
        };
        let array = storage.ensure_owned();
        if !array.is_standard_layout() {
            *array = array.as_standard_layout().into_owned().into_shared();
        }
        let Some(elements) = array.as_slice_mut() else {
            unreachable!("the layout is standard")
        };
        elements
    }
}
