//! Files by name and by pattern.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};

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

/// Fails at the first file of texts that cannot be opened; `-` is stdin. A pipe is left alone: it can be opened once.
pub fn check_files(paths: &[PathBuf]) -> Result<()> {
    for path in paths.iter().filter(|path| **path != Path::new("-")) {
        match path.metadata() {
            Ok(found) if !found.is_file() && !found.is_dir() => {}
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{}: no such file; for a text in its place, leave out --input",
                path.display()
            ),
            _ => _ = open(path)?,
        }
    }
    Ok(())
}

/// The name of a file in lower case, without `.gz` or `.zst`.
pub fn unpacked_name(path: &Path) -> PathBuf {
    let name = path.to_string_lossy().to_lowercase();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    name.into()
}

/// What to say of texts that are also the names of files.
pub fn notes_on_texts(texts: &[String]) -> impl Iterator<Item = String> {
    let named = texts.iter().filter(|text| Path::new(text).is_file());
    named.map(|text| {
        format!("note: `{text}` is taken as a text; for the file of this name give --input {text}")
    })
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
