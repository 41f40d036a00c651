//! What the program says of itself: first page, help, examples, completions, manual, and errors of usage.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that skips says so"
)]

mod common;

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use clap::CommandFactory;

use self::common::{failure, stdout};

/// Columns of a terminal that everything must fit.
const COLUMNS: usize = 80;

/// Lines of a screen that `-h` must fit.
const LINES: usize = 40;

/// The program's output at a width.
fn at_width(columns: usize, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ner-cli"))
        .args(arguments)
        .env("COLUMNS", columns.to_string())
        .output()
        .unwrap()
}

fn help(arguments: &[&str]) -> String {
    let output = at_width(COLUMNS, arguments);
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn commands() -> Vec<String> {
    let program = ner_cli::Cli::command();
    let names = program
        .get_subcommands()
        .map(|command| command.get_name().to_owned());
    names.collect()
}

/// The words of a line for a shell, without what it is redirected or piped to.
fn words(line: &str) -> Vec<String> {
    let line = line
        .split(" > ")
        .next()
        .unwrap()
        .split(" | ")
        .next()
        .unwrap();
    let parts = line.split(['"', '\'']).enumerate();
    parts
        .flat_map(|(place, part)| match place % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// Command lines in a text are ones that the program takes.
fn assert_parses(text: &str) {
    let text = text.replace(" \\\n", "");
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("ner-cli "))
        .collect();
    assert!(!lines.is_empty(), "{text}");
    for line in lines {
        let given = ner_cli::Cli::command().try_get_matches_from(words(line));
        // A --config file has the rest.
        assert!(
            given.is_ok() || line.contains("--config"),
            "{line}: {}",
            given.unwrap_err()
        );
    }
}

#[test]
fn nothing_at_all_is_answered_with_three_commands() {
    let output = at_width(COLUMNS, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let page = String::from_utf8(output.stderr).unwrap();
    for command in ["train", "evaluate", "predict"] {
        assert!(
            page.contains(&format!("\n  ner-cli {command} --model ")),
            "{page}"
        );
    }
    assert!(
        page.contains("ner-cli --help") && page.contains("docs/guide.md"),
        "{page}"
    );
    assert!(page.lines().count() <= 16, "{page}");
    assert_parses(
        &page
            .lines()
            .filter(|line| line.starts_with("  "))
            .collect::<Vec<_>>()
            .join("\n"),
    );
}

#[test]
fn the_help_groups_every_command() {
    let help = help(&["--help"]);
    for name in commands() {
        let listed = help
            .lines()
            .filter(|line| line.starts_with(&format!("  {name} ")));
        assert_eq!(listed.count(), 1, "{name}\n{help}");
    }
    for line in help.lines() {
        assert!(line.chars().count() <= COLUMNS, "{line}");
    }
    assert!(help.lines().count() <= LINES, "{help}");
}

#[test]
fn short_help_fits_a_screen_and_long_help_has_examples() {
    for name in commands() {
        let (short, long) = (help(&[&name, "-h"]), help(&[&name, "--help"]));
        assert!(
            short.lines().count() <= LINES,
            "{name}: {} lines",
            short.lines().count()
        );
        let examples = long.split_once("Examples:").unwrap().1;
        assert_parses(examples);
        let first = format!("ner-cli {name}");
        assert!(examples.contains(&first), "{examples}");
        for flag in ner_cli::Cli::command()
            .find_subcommand(&name)
            .unwrap()
            .get_arguments()
        {
            let flag = flag.get_long().map(|long| format!("--{long}"));
            assert!(flag.is_none_or(|flag| long.contains(&flag)), "{name}");
        }
    }
}

#[test]
fn a_missing_argument_is_answered_with_an_example() {
    let message = failure(2, &["train", "--model", "m"]);
    assert!(message.contains("--train <TRAIN>"), "{message}");
    assert!(
        message.contains("tip: for example: ner-cli train --model MODEL --train "),
        "{message}"
    );
    let message = failure(2, &["predict", "Ana vive en Lima."]);
    assert!(
        message.contains("tip: for example: ner-cli predict --model out "),
        "{message}"
    );
    // A slip has a tip of its own.
    let message = failure(2, &["predict", "--modle", "out"]);
    assert!(
        message.contains("'--model'") && !message.contains("for example"),
        "{message}"
    );
}

#[test]
fn shells_complete_commands_and_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout(&["completions", shell]);
        for word in ["ner-cli", "new-model", "output-dir"] {
            assert!(script.contains(word), "{shell} knows no {word}");
        }
    }
    assert!(failure(2, &["completions", "tcsh"]).contains("bash"));
}

/// The script is one that bash runs, and it completes the beginning of a command.
#[test]
fn bash_completes_by_the_script() {
    let shell = Command::new("bash")
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut shell) = shell else {
        println!("skipped: no bash here");
        return;
    };
    let script = stdout(&["completions", "bash"]);
    let (_, function) = script.split_once("complete -F ").unwrap();
    let function = function.split_whitespace().next().unwrap();
    let ask = format!(
        "COMP_WORDS=(ner-cli pre); COMP_CWORD=1; {function} ner-cli pre ner-cli; printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    );
    let mut stdin = shell.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    stdin.write_all(b"\n").unwrap();
    stdin.write_all(ask.as_bytes()).unwrap();
    drop(stdin);
    let output = shell.wait_with_output().unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<&str> = found.split_whitespace().collect();
    found.sort_unstable();
    assert_eq!(found, ["predict", "preprocess"]);
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    stdout(&["man", "--output", dir.to_str().unwrap()]);
    let names = commands().into_iter().map(|name| format!("ner-cli-{name}"));
    for name in names.chain(["ner-cli".to_owned()]) {
        let page = fs::read_to_string(dir.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{name}: {page}");
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
    let page = stdout(&["man", "train"]);
    assert!(
        page.contains("output\\-dir") && page.contains(".SH EXAMPLES"),
        "{page}"
    );
    assert!(failure(1, &["man", "trian"]).contains("`trian` is no command"));
    assert!(stdout(&["man"]).contains("ner\\-cli\\-predict"));
}

#[test]
fn a_model_without_its_flag_is_answered_with_the_flag() {
    for command in ["evaluate", "calibrate", "serve"] {
        let said = failure(2, &[command, "q"]);
        assert!(
            said.contains("if this is the model: --model q"),
            "{command}: {said}"
        );
    }
    // A flag that there is not is answered as before.
    let said = failure(2, &["evaluate", "--modle", "q"]);
    assert!(!said.contains("if this is the model"), "{said}");
    // `info` takes it in both ways, and one of them.
    let said = |arguments: &[&str]| failure(1, &[&["info"][..], arguments].concat());
    assert_eq!(said(&["./nowhere"]), said(&["--model", "./nowhere"]));
    failure(2, &["info"]);
    failure(2, &["info", "a", "--model", "b"]);
}
