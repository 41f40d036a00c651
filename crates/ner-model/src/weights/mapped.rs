//! Safetensors files, mapped into memory: a tensor's bytes are read from the disk when they are looked at, and are never copied as a whole.
#![allow(unsafe_code, reason = "a mapped file")]

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use burn::tensor::{BoolStore, Bytes, DType};
use burn_pack::Tensor as StoredTensor;
use burn_std::AllocationProperty;
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use crate::Error;

/// The tensors of a file by their names.
///
/// # Errors
/// The file cannot be opened, is damaged, or holds numbers of a type that Burn lacks.
pub fn read(path: &Path) -> Result<BTreeMap<String, StoredTensor>, Error> {
    let file = File::open(path).map_err(model_dir::Error::io(path))?;
    let wrong = |reason: String| Error::WeightFile {
        path: path.to_owned(),
        reason,
    };
    // SAFETY: model directories are replaced by renaming, which leaves what is mapped as it was. A file that another program writes into
    // while it is mapped gives other numbers, and these are checked wherever they are used.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| wrong(e.to_string()))?;
    let found = SafeTensors::deserialize(&map).map_err(|e| wrong(e.to_string()))?;
    let start = map.as_ptr().addr();
    let places = found.iter().map(|(name, view)| {
        let dtype = burn_type(view.dtype())
            .ok_or_else(|| wrong(format!("tensor `{name}` is of {:?}", view.dtype())))?;
        let first = view.data().as_ptr().addr() - start;
        let bytes = first..first + view.data().len();
        Ok((name.to_owned(), dtype, view.shape().to_vec(), bytes))
    });
    let places: Vec<(String, DType, Vec<usize>, Range<usize>)> =
        places.collect::<Result<_, Error>>()?;
    let file = bytes::Bytes::from_owner(map);
    let tensors = places.into_iter().map(|(name, dtype, shape, place)| {
        let (length, bytes) = (place.len(), file.slice(place));
        let read = move || Ok(Bytes::from_shared(bytes.clone(), AllocationProperty::File));
        let tensor = StoredTensor::deferred(name.clone(), dtype, shape, None, length, read);
        (name, tensor)
    });
    Ok(tensors.collect())
}

/// Burn's name of a type of numbers.
fn burn_type(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool(BoolStore::Native),
        _ => return None,
    })
}
