//! What can go wrong between a model's directory and its entities.

use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model's files, its device, or a batch.
    #[error(transparent)]
    Model(#[from] ner_model::Error),
    /// The tokenizer's files, or a text that it cannot encode.
    #[error(transparent)]
    Tokenizer(#[from] subword_align::Error),
    /// Labels that cannot be read as tags of a scheme.
    #[error(transparent)]
    Metrics(#[from] ner_metrics::Error),
    /// The weights hold no classifier for the labels of `config.json`.
    #[error("{}: {reason}; fine-tune the model first, with `ner-cli train`", dir.display())]
    NotFineTuned {
        /// The model's directory.
        dir: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A setting has a value that cannot work.
    #[error("{name}: {reason}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What is wrong with it, and what would do.
        reason: String,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
