//! The golden models.
#![allow(dead_code, reason = "each test target compiles this and uses a part")]

use std::path::{Path, PathBuf};

/// A directory of `fixtures/goldens/models` for each model family.
pub const FAMILIES: [&str; 6] = [
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "distilbert",
    "electra",
];

/// A file or folder of `fixtures/goldens`.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/goldens")
        .join(name)
}

/// The directory of a family's model.
pub fn family(name: &str) -> PathBuf {
    golden("models").join(name)
}
