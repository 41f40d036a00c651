//! The `ner-cli` program.
#![allow(clippy::print_stderr, reason = "the place where errors are said")]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    ner_cli::tune_allocator();
    let cli = ner_cli::Cli::parse(); // wrong usage ends here, with exit code 2
    match ner_cli::execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if ner_cli::is_broken_pipe(&error) => ExitCode::SUCCESS, // the reader has seen enough, as in `… | head`
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(ner_cli::exit_code(&error))
        }
    }
}
