//! Directories that are whole or absent: filled under another name, synced, and renamed.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::atomic::remove_if_left;
use crate::error::{Error, Result};
use crate::paths::resolved;
use crate::sync;

/// Endings of the names of the new and the old directory while one replaces the other.
const ENDINGS: [&str; 2] = [".partial", ".old"];

/// Fills a directory beside its final name and renames it, in place of one that may have the name. A stop at any instant leaves the old one, the
/// new one, or none of that name, but never half of one; what else it leaves, the next call or [`take_back_unfinished`] clears.
///
/// `fill` is given the path of an empty directory. Where it fails, the old directory is as it was.
///
/// # Errors
/// What `fill` says, `dir` is no place for a directory, or the system cannot write, sync or rename.
pub fn replace_dir<E: From<Error>>(
    dir: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let dir = &resolved(dir)?;
    let [partial, old] = beside(dir)?;
    take_back(dir)?;
    if dir.exists() && !dir.is_dir() {
        let source = io::Error::new(ErrorKind::NotADirectory, "is a file, not a directory");
        return Err(Error::io(dir)(source).into());
    }
    fs::create_dir_all(&partial).map_err(Error::io(&partial))?;
    if let Err(error) = fill(&partial) {
        _ = fs::remove_dir_all(&partial); // what went wrong matters more
        return Err(error);
    }
    Ok(swap(dir, &partial, &old)?)
}

fn swap(dir: &Path, partial: &Path, old: &Path) -> Result<()> {
    sync::tree(partial)?;
    if dir.exists() {
        fs::rename(dir, old).map_err(Error::io(dir))?;
    }
    fs::rename(partial, dir).map_err(Error::io(dir))?;
    sync::parent(dir);
    remove_dir(old)
}

/// Clears what a kill in the middle of writing left directly in `parent`: of [`replace_dir`], for the directories whose names are `ours`, and of
/// [`write`](crate::write) and its like. A directory that had been moved away is put back. A `parent` that is not there holds nothing.
///
/// Nothing must be replacing a directory of these names at the time. Files that another program is still writing are left alone.
///
/// # Errors
/// The system cannot read the directory, rename or remove.
pub fn take_back_unfinished(parent: &Path, ours: impl Fn(&str) -> bool) -> Result<()> {
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io(parent))?,
    };
    for entry in entries {
        let entry = entry.map_err(Error::io(parent))?;
        let name = entry.file_name();
        let replaced = name.to_str().and_then(|name| {
            let name = name.strip_prefix('.')?;
            ENDINGS
                .iter()
                .find_map(|ending| name.strip_suffix(ending))
                .filter(|name| ours(name))
        });
        let path = entry.path();
        match replaced {
            Some(name) if path.is_dir() => take_back(&parent.join(name))?,
            _ => remove_if_left(&path)?,
        }
    }
    Ok(())
}

/// Where the new and the old directory are while one replaces the other.
fn beside(dir: &Path) -> Result<[PathBuf; 2]> {
    let Some(name) = dir.file_name() else {
        let source = io::Error::new(ErrorKind::InvalidInput, "has no name of its own");
        return Err(Error::io(dir)(source));
    };
    Ok(ENDINGS.map(|ending| {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(ending);
        dir.with_file_name(hidden)
    }))
}

/// Clears what a stop in the middle of [`replace_dir`] left; the old directory is back where it had been moved away.
fn take_back(dir: &Path) -> Result<()> {
    let [partial, old] = beside(dir)?;
    if old.is_dir() && !dir.exists() {
        fs::rename(&old, dir).map_err(Error::io(dir))?;
    }
    remove_dir(&partial)?;
    remove_dir(&old)
}

/// Removes a directory that may not be there.
fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(dir)(error)),
        _ => Ok(()),
    }
}
