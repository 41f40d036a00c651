//! Where a path leads, and what it lies in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The directory that a path lies in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Where a link leads; any other path as it is.
pub fn resolved(path: &Path) -> Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() && path.exists() => {
            fs::canonicalize(path).map_err(Error::io(path))
        }
        _ => Ok(path.to_owned()),
    }
}
