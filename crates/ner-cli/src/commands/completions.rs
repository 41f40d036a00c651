//! `completions`: what a shell needs to complete command lines.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use clap_complete::{Shell, generate};

use crate::help::program;
use crate::output::Output;

/// Write the completion script of a shell.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Shell that is to complete command lines.
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    // Generators panic where their writer fails, as a closed pipe does.
    let mut script = Vec::new();
    generate(arguments.shell, &mut program(), "ner-cli", &mut script);
    let mut output = Output::create(None)?;
    output.write_all(&script)?;
    output.finish()
}
