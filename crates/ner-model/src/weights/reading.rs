//! Tensors of weight files, described but not yet read.

use std::collections::BTreeMap;
use std::path::Path;

use burn::store::{ModuleStore, PytorchStore};
use burn_pack::Tensor as StoredTensor;

use super::{gguf, mapped};
use crate::Error;

/// Tensors by the names that a checkpoint gives them.
pub type Stored = BTreeMap<String, StoredTensor>;

/// Names, shapes and not yet read data of every tensor in a file, or in the files of an index.
pub fn read_tensors(weights: &Path) -> Result<Stored, Error> {
    let mut tensors = Stored::new();
    for part in model_dir::weight_parts(weights)? {
        tensors.extend(read_file(&part)?);
    }
    Ok(tensors)
}

/// The tensors of one file.
fn read_file(path: &Path) -> Result<Stored, Error> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => mapped::read(path),
        Some(extension) if extension.eq_ignore_ascii_case("gguf") => gguf::read(path),
        _ => PytorchStore::from_file(path)
            .get_all_tensors()
            .cloned()
            .map_err(|e| Error::WeightFile {
                path: path.to_owned(),
                reason: e.to_string(),
            }),
    }
}
