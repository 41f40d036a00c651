//! The `ner-cli` program.
#![allow(clippy::print_stderr, reason = "the place where errors are said")]

use std::process::ExitCode;

fn main() -> ExitCode {
    ner_cli::tune_allocator();
    match ner_cli::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        // Wrong usage, with exit code 2, or what --help and --version print.
        Err(error) if error.is::<clap::Error>() => match error.downcast::<clap::Error>() {
            Ok(error) => error.exit(),
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) if ner_cli::is_broken_pipe(&error) => ExitCode::SUCCESS, // the reader has seen enough, as in `… | head`
        Err(error) if ner_cli::is_interruption(&error) => {
            eprintln!("{}", ner_cli::message(&error));
            ExitCode::from(ner_cli::exit_code(&error))
        }
        Err(error) => {
            eprintln!("error: {}", ner_cli::message(&error));
            ExitCode::from(ner_cli::exit_code(&error))
        }
    }
}
