//! Tasks of this repository, run as `cargo xtask TASK`. One module a task; the parts that are not a task's own beside them.
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a terminal program: results to stdout, talk to stderr"
)]

mod bench;
mod download;
mod files;
mod log;
mod peak_memory;
mod reproduce;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::usage::UsageError;

/// Tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Xtask {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Reproduce(reproduce::Args),
    Bench(bench::Args),
    /// This system's side of `bench`
    #[command(subcommand, hide = true)]
    BenchWorker(bench::Worker),
}

fn main() -> ExitCode {
    ner_cli::tune_allocator();
    let result = match Xtask::parse().task {
        Task::Reproduce(args) => reproduce::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::BenchWorker(worker) => bench::work(&worker),
    };
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error:#}");
    ExitCode::from(if error.is::<UsageError>() {
        2
    } else {
        ner_cli::exit_code(&error)
    })
}
