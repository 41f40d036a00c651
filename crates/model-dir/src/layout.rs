//! The names of a model's files, and which of them a directory has.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::index::weight_parts;

/// The model's configuration.
pub const CONFIG: &str = "config.json";

/// Weights in one file, the form that is written.
pub const SAFETENSORS: &str = "model.safetensors";

/// Files of weights in the order in which they are preferred: safetensors, torch's pickled weights, each in one file or as the index of several.
/// After them comes a GGUF file, whose name is free: [`choose_weights`].
pub const WEIGHT_FILES: [&str; 4] = [
    SAFETENSORS,
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Files beside the weights: the configuration and the tokenizer.
pub const SETTINGS_FILES: [&str; 8] = [
    CONFIG,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
];

/// Models of the SentencePiece library. They travel with a tokenizer, but none can be loaded from them alone.
pub const SENTENCEPIECE_FILES: [&str; 3] = ["sentencepiece.bpe.model", "spiece.model", "spm.model"];

/// What is wanted of a model directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSet {
    /// Configuration, tokenizer and weights.
    Model,
    /// All but the weights; only the tokenizer has to be there.
    Tokenizer,
}

/// The file that weights are loaded from, of files with these names: the first of [`WEIGHT_FILES`], else the only one that ends in `.gguf`.
pub fn choose_weights<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Option<&'n str> {
    let known = |file: &&str| names.clone().find(|name| name == file);
    if let Some(name) = WEIGHT_FILES.iter().find_map(known) {
        return Some(name);
    }
    let mut gguf = names.filter(|name| has_extension(name, "gguf"));
    gguf.next().filter(|_| gguf.next().is_none())
}

/// The file of a directory that its weights are loaded from: see [`choose_weights`].
///
/// # Errors
/// [`Error::NoWeights`] where there is none, [`Error::SeveralWeights`] where several GGUF files stand side by side and nothing else.
pub fn weight_file(dir: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    if let Some(name) = choose_weights(names.iter().map(String::as_str)) {
        return Ok(dir.join(name));
    }
    names.retain(|name| has_extension(name, "gguf"));
    names.sort();
    let dir = dir.to_owned();
    Err(if names.is_empty() {
        Error::NoWeights { dir }
    } else {
        Error::SeveralWeights { dir, names }
    })
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// Names of the files in a directory that make the model, in alphabetical order: those that are loaded, and nothing that lies beside them.
///
/// # Errors
/// No weights where they are wanted, or an index that cannot be read or names files that are not there.
pub fn files(dir: &Path, wanted: FileSet) -> Result<Vec<String>> {
    let mut names: Vec<String> = SETTINGS_FILES
        .iter()
        .chain(&SENTENCEPIECE_FILES)
        .filter(|name| dir.join(name).is_file())
        .map(|&name| name.to_owned())
        .collect();
    if wanted == FileSet::Model {
        let weights = weight_file(dir)?;
        let mut paths = weight_parts(&weights)?;
        paths.push(weights);
        names.extend(
            paths
                .iter()
                .filter_map(|path| path.file_name()?.to_str().map(str::to_owned)),
        );
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// What a model's directory lacks, in words; nothing of one that is complete.
pub fn missing(dir: &Path, wanted: FileSet) -> Vec<String> {
    let has = |name: &str| dir.join(name).is_file();
    let mut missing = Vec::new();
    if !(has("tokenizer.json") || has("vocab.txt") || has("vocab.json") && has("merges.txt")) {
        missing.push(
            "a tokenizer (tokenizer.json, vocab.json with merges.txt, or vocab.txt)".to_owned(),
        );
    }
    if wanted == FileSet::Tokenizer {
        return missing;
    }
    if !has(CONFIG) {
        missing.push(CONFIG.to_owned());
    }
    match weight_file(dir).and_then(|weights| weight_parts(&weights)) {
        Ok(_) => {}
        Err(Error::NoWeights { .. }) => {
            missing.push(format!(
                "weights ({}, or a .gguf file)",
                WEIGHT_FILES.join(", ")
            ));
        }
        Err(error) => missing.push(format!("weights ({error})")),
    }
    missing
}

/// A text file of a model directory, without the byte-order mark that some editors put before it.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    match text.strip_prefix('\u{feff}') {
        Some(text) => Ok(text.to_owned()),
        None => Ok(text),
    }
}
