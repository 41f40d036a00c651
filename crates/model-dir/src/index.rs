//! Weights in several files, and the index that says in which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::layout::read_text;

/// `model.safetensors.index.json` and `pytorch_model.bin.index.json`.
#[derive(serde::Deserialize)]
struct Index {
    /// File of each tensor, beside the index.
    weight_map: BTreeMap<String, String>,
}

/// Names of the files that an index of weights names, in alphabetical order, whether they are there or not; `None` where the weights are in one
/// file.
///
/// # Errors
/// The index cannot be read, has no `weight_map`, or names something else than a file beside it.
pub fn shards(weights: &Path) -> Result<Option<Vec<String>>> {
    if weights
        .extension()
        .is_none_or(|extension| extension != "json")
    {
        return Ok(None);
    }
    let wrong = |reason: String| Error::Index {
        path: weights.to_owned(),
        reason,
    };
    let text = read_text(weights)?;
    let index: Index = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    if let Some(name) = names.iter().find(|name| !is_beside(name)) {
        return Err(wrong(format!("`{name}` is no file beside it")));
    }
    if names.is_empty() {
        return Err(wrong("its weight_map names no file".to_owned()));
    }
    Ok(Some(names.into_iter().collect()))
}

/// The files that weights are in: the file itself, or those that it names as an index.
///
/// # Errors
/// As [`shards`], or a file that is named and not there.
pub fn weight_parts(weights: &Path) -> Result<Vec<PathBuf>> {
    let Some(names) = shards(weights)? else {
        return Ok(vec![weights.to_owned()]);
    };
    let parts = names.into_iter().map(|name| {
        let path = weights.with_file_name(&name);
        if path.is_file() {
            Ok(path)
        } else {
            Err(Error::Index {
                path: weights.to_owned(),
                reason: format!("it names {name}, which is not there"),
            })
        }
    });
    parts.collect()
}

/// Whether a name leads to the directory that it stands in, and nowhere else on any system.
fn is_beside(name: &str) -> bool {
    Path::new(name).file_name() == Some(name.as_ref()) && !name.contains(['/', '\\', ':', '\0'])
}
