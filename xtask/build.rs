//! Tells the program which Burn and which compiler it was built with, for the manifest of a run.
#![allow(
    clippy::print_stdout,
    reason = "a build script speaks to cargo through stdout"
)]

use std::{env, fs, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../Cargo.lock");
    println!(
        "cargo::rustc-env=BURN_VERSION={}",
        burn_version().unwrap_or_default()
    );
    println!(
        "cargo::rustc-env=RUSTC_VERSION={}",
        rustc_version().unwrap_or_default()
    );
}

/// Version of the `burn` package in the lock file: the line after its name.
fn burn_version() -> Option<String> {
    let lock = fs::read_to_string("../Cargo.lock").ok()?;
    let mut lines = lock.lines().skip_while(|line| *line != "name = \"burn\"");
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    Some(version.trim_end_matches('"').to_owned())
}

fn rustc_version() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?)
        .arg("--version")
        .output()
        .ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
