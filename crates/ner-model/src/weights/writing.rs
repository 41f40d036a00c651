//! Files of weights, out. Unlike the `safetensors` crate's writer, which wants every tensor as one slice, this one asks for a tensor's numbers when its
//! turn comes, and part by part: no table has to be in memory a second time.

use std::io::{BufWriter, IntoInnerError, Write};
use std::iter;
use std::path::Path;

use burn::tensor::{Bytes, DType};
use burn_pack::Tensor as StoredTensor;
use model_dir::AtomicFile;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::Error;

/// The length of the header is a multiple of this.
const ALIGNMENT: usize = 8;
/// Bytes that are written at a time, where tensors are small.
const BUFFER: usize = 1 << 20;

/// A tensor that is to be written.
pub struct NewTensor<'a> {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    parts: Box<dyn Iterator<Item = Result<Bytes, Error>> + 'a>,
}

impl<'a> NewTensor<'a> {
    /// A tensor of f32, whose numbers come in parts, row-major. Each is asked for when the one before is written.
    pub fn of_floats(
        name: String,
        shape: Vec<usize>,
        parts: impl Iterator<Item = Result<Vec<f32>, Error>> + 'a,
    ) -> Self {
        Self {
            name,
            dtype: DType::F32,
            shape,
            parts: Box::new(parts.map(|part| part.map(Bytes::from_elems))),
        }
    }

    /// A tensor as it is stored, in a file or a model, under another name; errors tell where.
    pub(super) fn of_stored(name: String, tensor: StoredTensor, path: &'a Path) -> Self {
        let (dtype, shape) = (tensor.dtype, tensor.shape.to_vec());
        let stored_name = name.clone();
        let read = move || {
            tensor.into_bytes().map_err(|e| Error::Tensor {
                path: path.to_owned(),
                name: stored_name,
                reason: format!("{e:?}"),
            })
        };
        Self {
            name,
            dtype,
            shape,
            parts: Box::new(iter::once_with(read)),
        }
    }
}

/// Writes a safetensors file of these tensors, in the order and with the bytes of the `safetensors` crate, and a table of text about them where there
/// is some. The file is written beside its final name and renamed.
///
/// # Errors
/// The file cannot be written, numbers cannot be read or are of a type that the format lacks, or a tensor has more or fewer than its shape asks for.
pub fn write_safetensors(
    path: &Path,
    metadata: &[(&str, &str)],
    tensors: Vec<NewTensor<'_>>,
) -> Result<(), Error> {
    let mut typed = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let dtype = stored_type(tensor.dtype).ok_or_else(|| {
            let reason = format!("safetensors has no {:?}", tensor.dtype);
            wrong(path, &tensor.name, reason)
        })?;
        typed.push((dtype, tensor));
    }
    // So that each begins at a multiple of its numbers' size.
    typed.sort_by(|(left_type, left), (right_type, right)| {
        let by_size = right_type.cmp(left_type);
        by_size.then_with(|| left.name.cmp(&right.name))
    });
    let mut file = BufWriter::with_capacity(BUFFER, AtomicFile::create(path)?);
    let header = header(path, metadata, &typed)?;
    let length = (header.len() as u64).to_le_bytes();
    let mut write = |bytes: &[u8]| file.write_all(bytes).map_err(model_dir::Error::io(path));
    write(&length)?;
    write(&header)?;
    for (dtype, tensor) in typed {
        let expected = byte_count(dtype, &tensor.shape);
        let mut found = 0;
        for part in tensor.parts {
            let part = part?;
            found += part.len();
            write(&part)?;
        }
        if found != expected {
            let reason = format!("has {found} bytes, its shape asks for {expected}");
            return Err(wrong(path, &tensor.name, reason));
        }
    }
    let file = file.into_inner().map_err(IntoInnerError::into_error);
    Ok(file.map_err(model_dir::Error::io(path))?.keep()?)
}

/// What stands before the numbers: names, types, shapes and places of all tensors, as JSON.
fn header(
    path: &Path,
    metadata: &[(&str, &str)],
    tensors: &[(Dtype, NewTensor<'_>)],
) -> Result<Vec<u8>, Error> {
    let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
    let metadata = (!metadata.is_empty()).then(|| metadata.iter().map(owned).collect());
    let mut end = 0;
    let places = tensors.iter().map(|(dtype, tensor)| {
        let start = end;
        end += byte_count(*dtype, &tensor.shape);
        let info = TensorInfo {
            dtype: *dtype,
            shape: tensor.shape.clone(),
            data_offsets: (start, end),
        };
        (tensor.name.clone(), info)
    });
    let failed = |reason: String| model_dir::Error::io(path)(std::io::Error::other(reason));
    let header = Metadata::new(metadata, places.collect()).map_err(|e| failed(e.to_string()))?;
    let mut header = serde_json::to_vec(&header).map_err(|e| failed(e.to_string()))?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    Ok(header)
}

fn wrong(path: &Path, name: &str, reason: String) -> Error {
    Error::Tensor {
        path: path.to_owned(),
        name: name.to_owned(),
        reason,
    }
}

fn byte_count(dtype: Dtype, shape: &[usize]) -> usize {
    shape.iter().product::<usize>() * dtype.bitsize() / 8
}

/// The name of Burn's type of numbers in a safetensors file, where it has one.
fn stored_type(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool(_) => Dtype::BOOL,
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;
    use std::fs;

    use safetensors::tensor::{TensorView, serialize};

    use super::*;

    /// Numbers in parts of four.
    fn floats(count: usize) -> impl Iterator<Item = Result<Vec<f32>, Error>> {
        let values: Vec<f32> = (0..count).map(|at| at as f32 / 7.0).collect();
        let parts: Vec<Vec<f32>> = values.chunks(4).map(<[f32]>::to_vec).collect();
        parts.into_iter().map(Ok)
    }

    #[test]
    fn a_file_has_the_bytes_that_the_safetensors_crate_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let source = Path::new("source");
        let stored = [
            ("b", DType::U8, Dtype::U8, 1),
            ("a", DType::I64, Dtype::I64, 8),
            ("d", DType::BF16, Dtype::BF16, 2),
            ("c", DType::I8, Dtype::I8, 1),
        ];
        let bytes = |size: usize| -> Vec<u8> { (0..3 * size as u8).collect() };
        const NONE: &[(&str, &str)] = &[];
        for metadata in [NONE, &[("format", "pt")]] {
            let mut tensors = vec![
                NewTensor::of_floats("z".to_owned(), vec![2, 3], floats(6)),
                NewTensor::of_floats("e".to_owned(), vec![6], floats(6)),
            ];
            tensors.extend(stored.map(|(name, dtype, _, size)| {
                let bytes = Bytes::from_bytes_vec(bytes(size));
                let tensor = StoredTensor::new("other".to_owned(), dtype, vec![3], None, bytes);
                NewTensor::of_stored(name.to_owned(), tensor, source)
            }));
            write_safetensors(&path, metadata, tensors).unwrap();

            let numbers: Vec<f32> = floats(6).flat_map(Result::unwrap).collect();
            let numbers: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            let stored = stored.map(|(name, _, dtype, size)| (name, dtype, vec![3], bytes(size)));
            let mut expected = vec![
                ("z", Dtype::F32, vec![2, 3], numbers.clone()),
                ("e", Dtype::F32, vec![6], numbers),
            ];
            expected.extend(stored);
            let views = expected.iter().map(|(name, dtype, shape, bytes)| {
                let view = TensorView::new(*dtype, shape.clone(), bytes).unwrap();
                (*name, view)
            });
            let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
            let about: HashMap<String, String> = metadata.iter().map(owned).collect();
            let expected = serialize(views, Some(about).filter(|about| !about.is_empty()));
            assert!(fs::read(&path).unwrap() == expected.unwrap());
        }
    }

    #[test]
    fn what_cannot_be_written_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let of_shape = |count: usize| NewTensor::of_floats("x".to_owned(), vec![count], floats(6));
        let unread = iter::once(Err(Error::Computation("unread".to_owned())));
        for (tensor, said) in [
            (
                of_shape(7),
                "tensor `x`: has 24 bytes, its shape asks for 28",
            ),
            (
                of_shape(5),
                "tensor `x`: has 24 bytes, its shape asks for 20",
            ),
            (
                NewTensor::of_floats("x".to_owned(), vec![6], unread),
                "unread",
            ),
        ] {
            let error = write_safetensors(&path, &[], vec![tensor]).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{said}");
        }
    }
}
