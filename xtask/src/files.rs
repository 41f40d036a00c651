//! Checksums, and files that are either whole or absent.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Checksums by the name under which a file is known.
pub type Checksums = BTreeMap<String, String>;

/// Bytes read at a time.
pub const CHUNK: usize = 64 * 1024;

/// SHA-256 of what went through it, in lower-case hexadecimal.
#[derive(Default)]
pub struct Checksum(Sha256);

impl Checksum {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> String {
        self.0
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Copies `from` to `to` and returns the checksum of what was copied.
pub fn copy_with_checksum(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut checksum = Checksum::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(checksum.finish()),
            n => {
                checksum.update(&chunk[..n]);
                to.write_all(&chunk[..n])?;
            }
        }
    }
}

pub fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    copy_with_checksum(&mut file, &mut io::sink())
        .with_context(|| format!("cannot read {}", path.display()))
}

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
            let sum = sha256(&root.join(&file))?;
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

/// Makes the folder that a file or folder is to lie in.
pub fn create_parent(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// A file being written beside its final place. It takes its name only when [`keep`](Self::keep) is called.
pub struct PartFile {
    pub file: File,
    part: PathBuf,
    place: PathBuf,
}

impl PartFile {
    pub fn create(place: &Path) -> Result<Self> {
        create_parent(place)?;
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = place.with_file_name(name);
        let file =
            File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
        Ok(Self {
            file,
            part,
            place: place.to_owned(),
        })
    }

    pub fn keep(self) -> Result<()> {
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.part, &self.place))
            .with_context(|| format!("cannot write {}", self.place.display()))
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        // After `keep` there is nothing under this name any more.
        _ = fs::remove_file(&self.part);
    }
}

/// Writes a file so that a reader, or a run after a crash, sees the old bytes or the new ones and nothing between.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut part = PartFile::create(path)?;
    part.file
        .write_all(bytes)
        .with_context(|| format!("cannot write {}", path.display()))?;
    part.keep()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::{PartFile, checksums, files_in, write_atomically};

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

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("manifest.json");
        write_atomically(&place, b"old").unwrap();
        let part = PartFile::create(&place).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"old");
        drop(part);
        assert_eq!(fs::read(&place).unwrap(), b"old");
        write_atomically(&place, b"new").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"new");
        assert_eq!(files_in(folder.path()).unwrap().len(), 1);
    }
}
