//! Where a trained model lies, and how it is written.

use std::fs;
use std::path::Path;

use ner_model::TokenClassifier;
use subword_align::SubwordTokenizer;

use crate::error::{Error, Result};

/// Directory under the output directory that holds the model with the best development figure.
pub const BEST: &str = "best";

/// Writes a model directory as the hub lays it out.
///
/// # Errors
/// A file cannot be written.
pub fn save(model: &TokenClassifier, tokenizer: &SubwordTokenizer, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(Error::io(dir))?;
    tokenizer.save(dir)?;
    model.save(dir)?;
    Ok(())
}
