//! What the system is told to write to the disk now.

use std::fs::{self, OpenOptions};
use std::path::Path;

use crate::error::{Error, Result};
use crate::paths::parent as parent_of;

/// A file's content.
pub fn file(path: &Path) -> Result<()> {
    // Windows syncs only what is open for writing; elsewhere reading will do, which a file without permission to write allows.
    OpenOptions::new()
        .read(true)
        .write(cfg!(windows))
        .open(path)
        .and_then(|file| file.sync_all())
        .map_err(Error::io(path))
}

/// The names in a directory. Not every file system can, and those that cannot need not: a failure is none.
pub fn dir(path: &Path) {
    if cfg!(unix) {
        _ = fs::File::open(path).and_then(|dir| dir.sync_all());
    }
}

/// A directory and everything below it.
pub fn tree(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).map_err(Error::io(path))? {
        let entry = entry.map_err(Error::io(path))?;
        let kind = entry.file_type().map_err(Error::io(path))?;
        if kind.is_dir() {
            tree(&entry.path())?;
        } else if kind.is_file() {
            file(&entry.path())?;
        }
    }
    dir(path);
    Ok(())
}

/// The directory that a file or directory lies in.
pub fn parent(path: &Path) {
    dir(parent_of(path));
}
