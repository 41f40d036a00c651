//! What can go wrong in training.

use std::path::{Path, PathBuf};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model's files or a batch.
    #[error(transparent)]
    Model(#[from] ner_model::Error),
    /// The tokenizer's files, or a word that it cannot encode.
    #[error(transparent)]
    Tokenizer(#[from] subword_align::Error),
    /// Settings of a tagger that do not fit its model.
    #[error(transparent)]
    Tagger(#[from] ner_tagger::Error),
    /// Tags that no report can be made of.
    #[error(transparent)]
    Metrics(#[from] ner_metrics::Error),
    /// The files of a model directory or of a checkpoint.
    #[error(transparent)]
    Files(#[from] model_dir::Error),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A tag of the data is not among the labels.
    #[error("sentence {sentence}, word {word}: tag `{tag}` is not among the model's labels ({})", labels.join(", "))]
    UnknownTag {
        /// Number of the sentence, from 1.
        sentence: usize,
        /// Number of the word in it, from 1.
        word: usize,
        /// The tag.
        tag: String,
        /// The labels.
        labels: Vec<String>,
    },
    /// A sentence has other numbers of words and tags.
    #[error("sentence {sentence} has {words} words and {tags} tags")]
    Lengths {
        /// Number of the sentence, from 1.
        sentence: usize,
        /// Its words.
        words: usize,
        /// Its tags.
        tags: usize,
    },
    /// A setting has a value that cannot work.
    #[error("{name}: {reason}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What is wrong with it, and what would do.
        reason: String,
    },
    /// Teachers, a student and sentences that do not go together.
    #[error("{0}")]
    Distillation(String),
    /// The observer stopped the run before its first step.
    #[error("the run was stopped before its first step")]
    NotBegun,
    /// The training data has no sentence.
    #[error("the training data holds no sentence")]
    NoData,
    /// The loss or the gradient norm is not a number any more.
    #[error(
        "the {figure} became {value} at step {step} (sentences {sentences:?} of the training data); a lower learning rate may help; {}",
        checkpoint.as_ref().map_or_else(|| "there is no checkpoint of an earlier step".to_owned(), |dir| format!("the last good checkpoint is {}", dir.display()))
    )]
    Diverged {
        /// The optimizer step, from 1.
        step: usize,
        /// What is no number: the loss or the gradient norm.
        figure: &'static str,
        /// What it became.
        value: f64,
        /// Numbers of the batch's sentences, from 1.
        sentences: Vec<usize>,
        /// The latest checkpoint of the run before the weights that this step failed with.
        checkpoint: Option<PathBuf>,
    },
    /// A checkpoint that cannot be taken up.
    #[error("{}: {reason}", dir.display())]
    Checkpoint {
        /// Its directory.
        dir: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A checkpoint of a run with other settings or other data.
    #[error("{}: made with {reason}", dir.display())]
    OtherRun {
        /// The checkpoint's directory.
        dir: PathBuf,
        /// What is other, and where it is a setting how.
        reason: String,
    },
    /// The caller asked to stop.
    #[error("stopped after step {step} as asked; the checkpoint is {}", checkpoint.display())]
    Stopped {
        /// The last step that was finished.
        step: usize,
        /// Where the run can be taken up.
        checkpoint: PathBuf,
    },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
