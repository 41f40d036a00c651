//! Files by name and by pattern.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, ensure};

/// Opens a file to read it. A directory, which Unix opens and then cannot read, is none.
pub fn open(path: &Path) -> Result<File> {
    let file = if path.is_dir() {
        Err(anyhow!(
            "is a directory, expected a file: give the files in it by their names, or as in '{}'",
            path.join("*").display()
        ))
    } else {
        File::open(path).map_err(Error::from)
    };
    file.with_context(|| path.display().to_string())
}

/// The files and directories that patterns with `*`, `?` or `[…]` stand for, sorted; what is no pattern, or is the name of a file, stands for itself.
pub fn expand(patterns: &[String]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for pattern in patterns {
        let literal = PathBuf::from(pattern);
        if !pattern.contains(['*', '?', '[']) || literal.exists() {
            found.push(literal);
            continue;
        }
        let paths = glob::glob(pattern).with_context(|| format!("pattern `{pattern}`"))?;
        let before = found.len();
        for path in paths {
            found.push(path?);
        }
        ensure!(
            found.len() > before,
            "pattern `{pattern}`: no file or directory matches it"
        );
    }
    Ok(found)
}
