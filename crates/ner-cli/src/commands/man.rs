//! `man`: the manual, made of the help texts.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::help::{examples, program};
use crate::output::{Output, make_dir, write_file};

/// Write the manual pages.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Command whose page is written to stdout; the program's own where not given.
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
    /// Directory to write all pages to, as ner-cli.1, ner-cli-train.1 and so on.
    #[arg(long, short, value_name = "DIR", conflicts_with = "command")]
    output: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let mut program = program().disable_help_subcommand(true);
    program.build();
    if let Some(dir) = &arguments.output {
        make_dir(dir)?;
        for command in std::iter::once(&program).chain(program.get_subcommands()) {
            let name = command.get_display_name().unwrap_or(command.get_name());
            write_file(&dir.join(format!("{name}.1")), &page(command)?)?;
        }
        return Ok(());
    }
    let command = match &arguments.command {
        None => &program,
        Some(name) => program
            .find_subcommand(name)
            .with_context(|| format!("`{name}` is no command; `ner-cli --help` lists them"))?,
    };
    let mut output = Output::create(None)?;
    output.write_all(page(command)?.as_bytes())?;
    output.finish()
}

/// The manual page of a command, for man to format.
fn page(command: &Command) -> Result<String> {
    let manual = Man::new(command.clone());
    let mut text = Vec::new();
    manual.render_title(&mut text)?;
    manual.render_name_section(&mut text)?;
    manual.render_synopsis_section(&mut text)?;
    manual.render_description_section(&mut text)?;
    if command.has_subcommands() {
        manual.render_subcommands_section(&mut text)?;
    }
    manual.render_options_section(&mut text)?;
    let examples = examples(command.get_name());
    let mut section = Roff::new();
    if !examples.is_empty() {
        section.control("SH", ["EXAMPLES"]);
    }
    for (what, line) in examples {
        section.control("PP", []);
        section.text([roman(*what)]);
        section.control("PP", []);
        section.control("nf", []);
        section.text([roman(format!("    {line}"))]);
        section.control("fi", []);
    }
    section.to_writer(&mut text)?;
    if command.get_version().is_some() {
        manual.render_version_section(&mut text)?;
    }
    Ok(String::from_utf8(text)?)
}
