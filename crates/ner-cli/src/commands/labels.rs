//! `labels`: the tags of files.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::column_files::{ColumnArguments, TaggedFile, sorted_tags};
use crate::output::Output;

/// Write the tags of column files, sorted, one a line.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Column files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// File to write instead of stdout.
    #[arg(long, short)]
    output: Option<PathBuf>,
    #[command(flatten)]
    layout: ColumnArguments,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let files = arguments
        .files
        .iter()
        .map(|path| TaggedFile::read(path, &arguments.layout))
        .collect::<Result<Vec<_>>>()?;
    let mut output = Output::create(arguments.output.as_deref())?;
    for tag in sorted_tags(&files) {
        writeln!(output, "{tag}")?;
    }
    output.finish()
}
