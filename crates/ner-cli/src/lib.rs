//! Train, evaluate and run named-entity taggers from the terminal.
//!
//! This is the program as a library: [`run`] takes the arguments of one command line. Results go to stdout, diagnostics to stderr.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this crate is the program's voice"
)]

mod allocator;
mod card;
mod column_files;
mod commands;
mod config;
mod help;
pub mod http;
pub mod hub;
mod inference;
mod interrupt;
mod last_words;
mod negative_numbers;
mod output;
mod overwriting;
mod paths;
mod progress;
mod screen;
mod table;
mod text_records;
mod wording;

use std::ffi::OsString;

use clap::{FromArgMatches, Parser, Subcommand};

pub use allocator::tune_allocator;

/// Train, evaluate and run named-entity taggers.
#[derive(Debug, Parser)]
#[command(name = "ner-cli", version, max_term_width = 120)]
pub struct Cli {
    /// Print results and errors only.
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Preprocess(commands::preprocess::Arguments),
    Labels(commands::labels::Arguments),
    NewModel(commands::new_model::Arguments),
    Train(Box<commands::train::Arguments>),
    Distill(Box<commands::distill::Arguments>),
    Evaluate(commands::evaluate::Arguments),
    Compare(Box<commands::compare::Arguments>),
    Calibrate(commands::calibrate::Arguments),
    Info(commands::info::Arguments),
    Predict(commands::predict::Arguments),
    Redact(Box<commands::redact::Arguments>),
    Serve(Box<commands::serve::Arguments>),
    Shrink(commands::shrink::Arguments),
    Check(Box<commands::check::Arguments>),
    WarmUp(commands::warm_up::Arguments),
    Completions(commands::completions::Arguments),
    Man(commands::man::Arguments),
}

/// Runs one command line, whose first argument is the program's name.
///
/// # Errors
/// Wrong usage (a [`clap::Error`]), or what the command could not do.
pub fn run<I, T>(arguments: I) -> anyhow::Result<()>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let line = arguments.into_iter().map(Into::into).collect();
    execute(parse(line)?)
}

/// What a command line asks for, the flags of its `--config` file included.
fn parse(mut line: Vec<OsString>) -> anyhow::Result<Cli> {
    if line.len() < 2 {
        help::first_page().try_get_matches_from(&line)?;
    }
    let mut program = help::program();
    program.build();
    line = negative_numbers::join(line, &program);
    let configurable = config::configurable(&line, &program);
    if let Some(command) = configurable {
        line = config::expand(line, command)?;
    }
    let matches = help::program().try_get_matches_from(&line);
    let matches = matches.map_err(|error| help::with_example(error, &line))?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let Some((command, matches)) = matches.subcommand() {
        overwriting::check(command, matches)?;
    }
    if let (Some(command), Some((_, matches))) = (configurable, matches.subcommand()) {
        let effective = config::effective(command, matches);
        match &mut cli.command {
            Command::Train(arguments) => arguments.run.effective = effective,
            Command::Distill(arguments) => arguments.run.effective = effective,
            _ => {}
        }
    }
    Ok(cli)
}

fn execute(cli: Cli) -> anyhow::Result<()> {
    let quiet = cli.quiet;
    match cli.command {
        Command::Preprocess(arguments) => commands::preprocess::run(&arguments, quiet),
        Command::Labels(arguments) => commands::labels::run(&arguments),
        Command::NewModel(arguments) => commands::new_model::run(&arguments, quiet),
        Command::Train(arguments) => commands::train::run(&arguments, quiet),
        Command::Distill(arguments) => commands::distill::run(&arguments, quiet),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments, quiet),
        Command::Compare(arguments) => commands::compare::run(&arguments, quiet),
        Command::Calibrate(arguments) => commands::calibrate::run(&arguments, quiet),
        Command::Info(arguments) => commands::info::run(&arguments, quiet),
        Command::Predict(arguments) => commands::predict::run(&arguments, quiet),
        Command::Redact(arguments) => commands::redact::run(&arguments, quiet),
        Command::Serve(arguments) => commands::serve::run(&arguments, quiet),
        Command::Shrink(arguments) => commands::shrink::run(&arguments, quiet),
        Command::Check(arguments) => commands::check::run(&arguments, quiet),
        Command::WarmUp(arguments) => commands::warm_up::run(&arguments, quiet),
        Command::Completions(arguments) => commands::completions::run(&arguments),
        Command::Man(arguments) => commands::man::run(&arguments),
    }
}

/// An error and its causes in one line. A cause that the error before it ends with, or has before a semicolon, is not told again.
pub fn message(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    let mut before = told.clone();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !before.ends_with(&cause) && !before.contains(&format!("{cause};")) {
            told.push_str(": ");
            told.push_str(&cause);
        }
        before = cause;
    }
    told
}

/// Whether a command ended because somebody asked it to, as with Ctrl-C.
pub fn is_interruption(error: &anyhow::Error) -> bool {
    error.is::<interrupt::Interrupted>()
}

/// The exit code that an error asks for: 130 after Ctrl-C, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if is_interruption(error) {
        interrupt::EXIT_CODE
    } else {
        1
    }
}

/// Whether an error is only that the reader of stdout went away.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error
        .chain()
        .any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(is_pipe))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::message;

    #[test]
    fn a_cause_is_told_once() {
        let cause = || anyhow!("address in use (98)");
        let told = |context: &'static str| message(&cause().context(context));
        assert_eq!(told("port 80"), "port 80: address in use (98)");
        assert_eq!(
            told("port 80: address in use (98)"),
            "port 80: address in use (98)"
        );
        let advice = "port 80: address in use (98); choose another";
        assert_eq!(told(advice), advice);
        // Only what the error before it says counts, and only the whole of it.
        assert_eq!(
            message(&anyhow!("line 1").context("line 10")),
            "line 10: line 1"
        );
    }
}
