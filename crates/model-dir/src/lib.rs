//! Directories of transformer models as the model hub lays them out.
//!
//! - Contents: [`WEIGHT_FILES`], [`SETTINGS_FILES`], [`files`], [`missing`], [`weight_file`].
//! - Weights in several files: [`shards`] reads their index, [`weight_parts`] finds them all.
//! - Writing that a kill at any moment cannot spoil: [`write()`], [`write_by`], [`AtomicFile`], [`replace_dir`], [`take_back_unfinished`].
//! - Checksums: [`sha256`], [`sha256_of_files`].
//!
//! The crate handles names and bytes of files: no tensors, no tokenizers, no terminal.

mod atomic;
mod checksum;
mod error;
mod index;
mod layout;
mod paths;
mod replace;
mod sync;

pub use atomic::{AtomicFile, make_parent, write, write_by};
pub use checksum::{checksum, hex, sha256, sha256_of_files};
pub use error::{Error, Result};
pub use index::{shards, weight_parts};
pub use layout::{
    CONFIG, FileSet, SAFETENSORS, SENTENCEPIECE_FILES, SETTINGS_FILES, WEIGHT_FILES,
    choose_weights, files, missing, read_text, weight_file,
};
pub use replace::{replace_dir, take_back_unfinished};

/// Compiles and runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
