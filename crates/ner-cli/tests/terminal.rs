//! Results on terminals of few and of many columns, and where there is none.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that skips says so"
)]

#[path = "../../ner-tagger/tests/common/table_model.rs"]
mod table_model;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ner-cli");

const GOLD: &str = "Eva B-PER\nSosa I-PER\ncanta O\nen O\nCuzco B-LOC\n\nBanco B-ORGANIZATION\nNaval I-ORGANIZATION\nabre O\n";
const A: &str = "Eva B-PER\nSosa O\ncanta O\nen O\nCuzco B-LOC\n\nBanco B-ORGANIZATION\nNaval I-ORGANIZATION\nabre O\n";
const B: &str = "Eva B-PER\nSosa I-PER\ncanta O\nen O\nCuzco B-PER\n\nBanco O\nNaval O\nabre O\n";

/// Command lines whose results are texts for people.
const LINES: [&str; 4] = [
    "evaluate --gold gold.conll --pred a.conll --report all --errors --bootstrap 100",
    "compare a.conll b.conll --gold gold.conll --samples 100",
    "check gold.conll a.conll",
    "info model",
];

fn run(command: &mut Command, folder: &Path) -> Output {
    let command = command.current_dir(folder).stdin(Stdio::null());
    command.output().unwrap()
}

/// What the program writes to a terminal of so many columns.
fn on_terminal(columns: usize, line: &str, folder: &Path) -> String {
    let line = format!("stty rows 30 cols {columns}; exec '{PROGRAM}' -q {line}");
    in_script(&line, folder)
}

/// What a line of the shell writes to a terminal.
fn in_script(line: &str, folder: &Path) -> String {
    let output = run(
        Command::new("script").args(["-qec", line, "/dev/null"]),
        folder,
    );
    String::from_utf8(output.stdout).unwrap().replace('\r', "")
}

/// Whether there are terminals to test on.
fn has_script() -> bool {
    let version = Command::new("script").arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let is_here = version.is_ok_and(|version| version.contains("util-linux"));
    if !is_here {
        println!("skipped: the terminals are those of util-linux's `script`, which is not here");
    }
    is_here
}

#[test]
fn a_terminal_that_can_draw_no_bar_gets_the_lines_of_a_log() {
    if !has_script() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("gold.conll"), GOLD).unwrap();
    let new = "new-model -q --train gold.conll --output new --layers 1 --hidden 16 --heads 2 --intermediate 32 --vocab-size 300";
    let made = run(Command::new(PROGRAM).args(new.split(' ')), folder);
    assert!(made.status.success());
    for (number, (terminal, has_lines)) in [
        ("export TERM=dumb", true),
        ("unset TERM", true),
        ("export TERM=xterm", false),
    ]
    .into_iter()
    .enumerate()
    {
        let line = format!(
            "stty rows 30 cols 100; {terminal}; exec '{PROGRAM}' train --model new --train gold.conll --dev gold.conll \
             --output-dir out-{number} --max-steps 4 --batch-size 1 --logging-steps 1 --device flex"
        );
        let said = in_script(&line, folder);
        assert!(said.contains("dev: precision"), "{terminal}: {said}");
        assert_eq!(
            said.contains("step 1/4 (25 %"),
            has_lines,
            "{terminal}: {said}"
        );
        assert_eq!(
            said.contains("step 4/4 (100 %"),
            has_lines,
            "{terminal}: {said}"
        );
    }
}

#[test]
fn results_fit_a_narrow_terminal_and_no_other_output_changes() {
    if !has_script() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, text) in [("gold.conll", GOLD), ("a.conll", A), ("b.conll", B)] {
        fs::write(folder.join(name), text).unwrap();
    }
    let labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
    table_model::write(
        &folder.join("model"),
        &labels,
        &[("Eva", "B-PER")],
        &json!({}),
    );
    for line in LINES {
        let piped = run(
            Command::new(PROGRAM).arg("-q").args(line.split(' ')),
            folder,
        );
        let piped = String::from_utf8(piped.stdout).unwrap();
        assert!(piped.lines().count() > 5, "{line}: {piped}");
        assert!(
            piped.lines().any(|line| line.chars().count() > 40),
            "{line}"
        );
        assert!(on_terminal(300, line, folder).starts_with(&piped), "{line}");
        for columns in [59, 40, 30] {
            let narrow = on_terminal(columns, line, folder);
            for row in narrow.lines() {
                let is_error = row.starts_with("error: "); // what `check` found, on stderr
                assert!(
                    is_error || row.chars().count() <= columns,
                    "{line}, {columns} columns: {row}"
                );
            }
        }
    }
    let narrow = on_terminal(30, LINES[0], folder);
    assert!(
        narrow.contains("ORGANIZATION\n  precision: 1.00\n  recall: 1.00\n"),
        "{narrow}"
    );
    assert!(on_terminal(30, LINES[3], folder).contains("layers: 0\n"));
}
