//! The golden models.

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

/// The directory of a family's model.
pub fn family(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/goldens/models")
        .join(name)
}
