//! What can go wrong between a model's files and its logits.

use std::path::PathBuf;

/// Errors of this crate. Each says what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A precision that is not known, or that the device does not have.
    #[error("precision: {0}")]
    Precision(String),
    /// A model that holds only what inference needs, asked for more.
    #[error(
        "this model was opened for inference and does not hold the weights {0}; load it with TokenClassifier::load"
    )]
    OpenedForInference(String),
    /// Weights that are 8-bit integers already.
    #[error("{}: the weights are 8-bit integers already", .0.display())]
    Quantized(PathBuf),
    /// The files of the model directory: one that cannot be read or written, an index that leads nowhere, no weights.
    #[error(transparent)]
    Files(#[from] model_dir::Error),
    /// `config.json` is not JSON, or lacks a field, or holds a value this crate does not implement.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A weight file could not be parsed.
    #[error("{}: not a readable weight file: {reason}", path.display())]
    WeightFile {
        /// The weight file.
        path: PathBuf,
        /// The parser's reason.
        reason: String,
    },
    /// `config.json` asks for more layers than the checkpoint has.
    #[error("{}: config.json asks for {expected} layers, the weights hold {found} (tensors `{name}N`)", path.display())]
    Layers {
        /// The weight file or the index of several.
        path: PathBuf,
        /// What the hub's names of a layer's tensors hold before its number.
        name: String,
        /// Layers that the configuration has.
        expected: usize,
        /// Layers of the checkpoint.
        found: usize,
    },
    /// The checkpoint lacks encoder tensors.
    #[error("{}: {} of the encoder's tensors are missing: {}", path.display(), names.len(), names.join(", "))]
    MissingTensors {
        /// The weight file or directory.
        path: PathBuf,
        /// The hub's names of the missing tensors.
        names: Vec<String>,
    },
    /// A tensor's shape does not follow from `config.json`.
    #[error("{}: tensor `{name}` has shape {found:?}, config.json asks for {expected:?}", path.display())]
    Shape {
        /// The weight file or directory.
        path: PathBuf,
        /// The hub's name of the tensor.
        name: String,
        /// The shape that the configuration implies (the hub's layout).
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A sub-word that is to be kept lies beyond a tensor.
    #[error("{}: sub-word {subword} of the tokenizer has no row in tensor `{name}`, which has {rows}", path.display())]
    NoRow {
        /// The weight file or the index of several.
        path: PathBuf,
        /// The hub's name of the tensor.
        name: String,
        /// Rows of the tensor.
        rows: usize,
        /// The sub-word's id.
        subword: u32,
    },
    /// Sub-words that cannot be kept without others.
    #[error("these sub-words cannot be kept: {0}")]
    KeptSubwords(String),
    /// Layers that cannot be kept.
    #[error(
        "layers {kept:?} cannot be kept: the model has {layers}, numbered from 0; name some of them in ascending order, each once"
    )]
    KeptLayers {
        /// The layers asked for.
        kept: Vec<usize>,
        /// Layers of the model.
        layers: usize,
    },
    /// A tensor's data could not be read.
    #[error("{}: tensor `{name}`: {reason}", path.display())]
    Tensor {
        /// The weight file or directory.
        path: PathBuf,
        /// The hub's name of the tensor.
        name: String,
        /// Why.
        reason: String,
    },
    /// The device asked for cannot be used.
    #[error("device `{device}` is not available: {reason}")]
    Device {
        /// The device as it was asked for.
        device: String,
        /// Why, and how to get it.
        reason: String,
    },
    /// A device did not compute what was asked of it.
    #[error("the device failed: {}", first_lines(.0))]
    Computation(String),
    /// Sizes that no model can have, or that this system has no room for.
    #[error("{0}")]
    Sizes(String),
    /// A dropout that is no probability.
    #[error("dropout is {0}, expected a probability in [0, 1)")]
    Dropout(f64),
    /// A batch does not fit the model.
    #[error("batch: {0}")]
    Batch(String),
}

/// The lines of a device's report that say something, or what can be done where its memory is full. A kernel that does not compile is reported
/// with all of its source.
fn first_lines(report: &str) -> String {
    const OUT_OF_MEMORY: &str = "out of device memory";
    const LINES: usize = 12;
    let lines = report.lines().map(str::trim);
    let said = lines.filter(|line| {
        !line.is_empty() && !matches!(*line, "Caused by:" | "No backtrace available" | "Asked at:")
    });
    let said: Vec<&str> = said.collect();
    match said.iter().find(|line| line.starts_with(OUT_OF_MEMORY)) {
        Some(line) => format!("{line}; use smaller batches or shorter sequences"),
        None => said[..said.len().min(LINES)].join(": "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_device_is_told_in_one_line() {
        let full = "An error happened during execution\nCaused by:\n  Several failures at once\nCaused by:\n  skipped `KernelBinop`\n  out of device memory allocating 8388608 bytes\nNo backtrace available\nAsked at:\nNo backtrace available";
        assert_eq!(
            Error::Computation(full.to_owned()).to_string(),
            "the device failed: out of device memory allocating 8388608 bytes; use smaller batches or shorter sequences"
        );
        let source = "float v = 0;\n".repeat(1000);
        let refused =
            format!("A launch error happened\nCaused by:\n  mma.h(55): cannot open\n{source}");
        let message = Error::Computation(refused).to_string();
        assert!(
            message.starts_with(
                "the device failed: A launch error happened: mma.h(55): cannot open: float"
            ),
            "{message}"
        );
        assert!(message.len() < 300 && !message.contains('\n'), "{message}");
    }
}
