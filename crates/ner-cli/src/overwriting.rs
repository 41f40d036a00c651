//! What a command writes must not be what it reads, nor twice the same file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::ArgMatches;

use crate::paths::expand;

/// Arguments that name files to read, by their ids in clap.
const READ: [&str; 16] = [
    "input",
    "files",
    "data",
    "gold",
    "pred",
    "train",
    "dev",
    "test",
    "text",
    "undo",
    "key_file",
    "labels",
    "calibration",
    "config",
    "a",
    "b",
];
/// Arguments that name files to write.
const WRITTEN: [&str; 4] = ["output", "predictions", "map", "report"];

/// Fails where a file to write is also one to read, or one more to write.
///
/// # Errors
/// Both flags, and the file.
pub fn check(command: &str, matches: &ArgMatches) -> Result<()> {
    let mut seen: Vec<(String, PathBuf)> = Vec::new();
    for id in READ {
        for value in values(matches, id) {
            // What is no pattern that matches something is told of by the command itself.
            let paths = expand(std::slice::from_ref(&value)).unwrap_or_default();
            seen.extend(paths.into_iter().map(|path| (flag(id), path)));
        }
    }
    for id in WRITTEN {
        if (command, id) == ("evaluate", "report") {
            continue; // the kind of a report
        }
        for value in values(matches, id).iter().filter(|value| *value != "-") {
            let path = PathBuf::from(value);
            if let Some((other, _)) = seen.iter().find(|(_, other)| is_same(other, &path)) {
                bail!("--{id} {value}: is the file of {other} too; name another");
            }
            seen.push((flag(id), path));
        }
    }
    Ok(())
}

fn values(matches: &ArgMatches, id: &str) -> Vec<String> {
    let found = matches.try_get_raw(id).ok().flatten();
    let found = found.into_iter().flatten();
    found
        .map(|value| value.to_string_lossy().into_owned())
        .collect()
}

/// How one types it.
fn flag(id: &str) -> String {
    match id {
        "files" => "the files to read".to_owned(),
        _ => format!("--{}", id.replace('_', "-")),
    }
}

/// Whether two paths are one file, through links too; a file that is not there yet is known by its name.
fn is_same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b && a.is_file(),
        _ => std::path::absolute(a).ok() == std::path::absolute(b).ok(),
    }
}
