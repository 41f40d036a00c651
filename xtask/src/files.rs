//! Checksums of a run's files, and folders.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Checksums by the name under which a file is known.
pub type Checksums = BTreeMap<String, String>;

/// Checksums of files and of the files directly inside folders, named by their paths below `root`.
///
/// # Errors
/// A path that does not exist or cannot be read.
pub fn checksums(root: &Path, paths: &[PathBuf]) -> Result<Checksums> {
    let mut sums = Checksums::new();
    for path in paths {
        let full = root.join(path);
        let files = if full.is_dir() {
            files_in(&full)?
                .into_iter()
                .map(|name| path.join(name))
                .collect()
        } else {
            vec![path.clone()]
        };
        for file in files {
            let sum = model_dir::sha256(&root.join(&file))?;
            sums.insert(file.to_string_lossy().replace('\\', "/"), sum);
        }
    }
    Ok(sums)
}

/// Names of the files directly inside a folder, sorted.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("cannot read folder {}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        if entry.path().is_file() {
            names.push(PathBuf::from(entry.file_name()));
        }
    }
    names.sort();
    Ok(names)
}

/// Removes a file or a whole folder; one that is not there is no error.
pub fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::checksums;

    #[test]
    fn checksums_go_one_folder_deep_and_name_files_from_the_root() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("output/checkpoint-1")).unwrap();
        for file in [
            "labels.txt",
            "output/config.json",
            "output/checkpoint-1/config.json",
        ] {
            fs::write(root.path().join(file), "abc").unwrap();
        }
        let sums = checksums(root.path(), &["labels.txt".into(), "output".into()]).unwrap();
        // FIPS 180-2, appendix B.1: the digest of "abc".
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
        let expected =
            ["labels.txt", "output/config.json"].map(|name| (name.to_owned(), abc.clone()));
        assert_eq!(sums, expected.into());
        assert!(checksums(root.path(), &["absent".into()]).is_err());
    }
}
