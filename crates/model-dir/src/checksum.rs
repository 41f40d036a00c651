//! Checksums of files, in lower-case hexadecimal.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// Two digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a file.
///
/// # Errors
/// It cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    checksum(Sha256::new(), path)
}

/// Checksum of a file by any algorithm, which may have taken in something before it.
///
/// # Errors
/// It cannot be read.
pub fn checksum(mut digest: impl Digest, path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).map_err(Error::io(path))? {
            0 => return Ok(hex(&digest.finalize())),
            length => digest.update(&chunk[..length]),
        }
    }
}

/// SHA-256 of each file directly in a directory, by its name.
///
/// # Errors
/// The directory or a file cannot be read.
pub fn sha256_of_files(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut sums = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            sums.insert(name.to_string_lossy().into_owned(), sha256(&path)?);
        }
    }
    Ok(sums)
}
