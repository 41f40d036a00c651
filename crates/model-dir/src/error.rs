//! What can go wrong with the files of a model directory.

use std::path::PathBuf;

/// Errors of this crate. Each says what was wrong and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or a directory could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An index of weights in several files is none, or names files that are not there.
    #[error("{}: not a readable index of weights: {reason}", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A directory holds no weights under any known name.
    #[error("{}: no weights found (looked for {} or a .gguf file)", dir.display(), crate::WEIGHT_FILES.join(", "))]
    NoWeights {
        /// The model directory.
        dir: PathBuf,
    },
    /// A directory holds several GGUF files, of which one has to be chosen.
    #[error("{}: several files of weights: {}; keep one of them in the directory", dir.display(), names.join(", "))]
    SeveralWeights {
        /// The model directory.
        dir: PathBuf,
        /// The files.
        names: Vec<String>,
    },
}

impl Error {
    /// What makes an error of the system's reason, for `map_err`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
