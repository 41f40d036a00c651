//! The files that make a model directory, their checksums, and what is missing: `list_model MODEL_DIR`.
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use std::error::Error;
use std::path::PathBuf;

use model_dir::{FileSet, files, missing, sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(
        std::env::args()
            .nth(1)
            .ok_or("usage: list_model MODEL_DIR")?,
    );
    let missing = missing(&dir, FileSet::Model);
    for what in &missing {
        println!("missing: {what}");
    }
    if missing.is_empty() {
        for name in files(&dir, FileSet::Model)? {
            println!("{} {name}", &sha256(&dir.join(&name))?[..12]);
        }
    }
    Ok(())
}
