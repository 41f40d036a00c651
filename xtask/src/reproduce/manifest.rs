//! `manifest.json`: what a run was made from, and which of its stages are complete.

use std::{collections::BTreeMap, fs, io, path::Path};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{files::Checksums, reproduce::recipe::Recipe};

/// Stages in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    Download,
    Preprocess,
    Train,
    Evaluate,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Preprocess => "preprocess",
            Self::Train => "train",
            Self::Evaluate => "evaluate",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub recipe: String,
    /// The recipe with what `--set` changed.
    pub settings: Recipe,
    pub device: String,
    /// Seed of the training.
    pub seed: u64,
    pub versions: BTreeMap<String, String>,
    /// SHA-256 of what came from outside: the corpus and, of a pretrained model, its files.
    pub inputs: Checksums,
    /// Complete stages only.
    pub stages: BTreeMap<Stage, StageRecord>,
    /// The stage that was begun and is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<BegunStage>,
}

/// A stage under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BegunStage {
    pub stage: Stage,
    #[serde(flatten)]
    pub key: StageKey,
    /// What it took until it was last stopped.
    pub seconds: f64,
}

/// A complete stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageRecord {
    #[serde(flatten)]
    pub key: StageKey,
    /// SHA-256 of the files it made.
    pub outputs: Checksums,
    pub seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// What decides a stage's result: as long as it is the same, the stage need not run again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageKey {
    /// Version of this program.
    pub version: String,
    /// SHA-256 of the files it reads.
    pub inputs: Checksums,
    /// Its command lines, with paths below the run's folder.
    pub commands: Vec<String>,
}

impl Manifest {
    /// `None` where there is none yet.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let manifest = serde_json::from_str(&text);
        manifest.map(Some).with_context(|| format!("{} is not a manifest of this version: remove its folder or choose another with --out", path.display()))
    }

    pub fn save(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(model_dir::write(path, text)?)
    }
}

/// Versions of what computes the result.
pub fn versions() -> BTreeMap<String, String> {
    let versions = [
        ("ner-cli", version()),
        ("burn", env!("BURN_VERSION")),
        ("rustc", env!("RUSTC_VERSION")),
    ];
    versions
        .into_iter()
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

/// One version for all crates of the workspace.
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
