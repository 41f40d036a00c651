//! The examples of the crates, run as their users run them. `cargo test --release` builds them beside the tests; with `--test examples` alone,
//! `cargo build --release --examples` comes first.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Steps of fine-tuning, of eight sentences each: enough to find entities.
const STEPS: &str = "15";

/// Sentences of development data, which an evaluation goes through.
const DEV_SENTENCES: usize = 20;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn fixture(path: &str) -> String {
    let path = root().join("fixtures").join(path);
    path.to_str().unwrap().to_owned()
}

/// The program of an example, beside the folder that this test was built in.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().unwrap().parent().unwrap().join("examples");
    built.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// What an example prints.
fn run(name: &str, arguments: &[&str]) -> String {
    let program = program(name);
    assert!(
        program.is_file(),
        "{}: build it by `cargo build --release --examples`",
        program.display()
    );
    let output = Command::new(program).args(arguments).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

/// The crate that the plain commands do not compile. Its examples are a cluster that its own tests run.
const OPTIONAL: &str = "ner-datafusion";

/// Each example with its crate.
fn examples() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for room in fs::read_dir(root().join("crates")).unwrap() {
        let room = room.unwrap();
        if room.file_name() == OPTIONAL {
            continue;
        }
        for file in fs::read_dir(room.path().join("examples"))
            .into_iter()
            .flatten()
        {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            found.push((room.file_name().into_string().unwrap(), name));
        }
    }
    found
}

#[test]
fn every_example_is_run_here_and_named_in_its_readme() {
    let here = fs::read_to_string(root().join("xtask/tests/examples.rs")).unwrap();
    let examples = examples();
    assert!(examples.len() >= 9, "{examples:?}");
    for (room, name) in examples {
        assert!(here.contains(&format!("\"{name}\"")), "{name} is not run");
        let readme = root().join("crates").join(&room).join("README.md");
        let readme = fs::read_to_string(readme).unwrap();
        let link = format!("examples/{name}.rs");
        assert!(
            readme.contains(&link),
            "{room}/README.md does not link {link}"
        );
    }
}

#[test]
fn column_files_are_read_and_scored() {
    let dev = fixture("quickstart/dev.conll");
    let counts = run("read_columns", &[&dev]);
    let text = fs::read_to_string(&dev).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let first = counts.lines().next().unwrap();
    assert!(first.ends_with(&format!("{} words", rows.len())), "{first}");
    let persons = rows.iter().filter(|row| row.ends_with(" B-PER")).count();
    assert!(counts.contains(&format!("{persons:8} B-PER")), "{counts}");

    let folder = tempfile::tempdir().unwrap();
    let predicted = folder.path().join("predicted.conll");
    // Every person is called an organisation: the spans are right and the types are not.
    fs::write(&predicted, text.replace("-PER\n", "-ORG\n")).unwrap();
    let report = run("score_files", &[&dev, predicted.to_str().unwrap()]);
    assert!(
        report.contains("         PER     0.0000    0.0000    0.0000"),
        "{report}"
    );
    assert!(report.contains("exact     F1 1.0000"), "{report}");
    assert!(!report.contains("strict    F1 1.0000"), "{report}");
}

#[test]
fn words_meet_subwords() {
    let shown = run(
        "align_words",
        &[&fixture("encoder"), "Marta vive en Albolea."],
    );
    let words: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(word, _)| word)
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!(words, ["Marta", "vive", "en", "Albolea", "."]);
    assert_eq!(shown.matches("label ").count(), 5, "{shown}");
    assert!(shown.contains("no loss"), "{shown}"); // of a sub-word that is not its word's first
}

#[test]
fn texts_are_redacted_and_shown() {
    let text = "Escribe a ana@gil.es o llama al 612 345 678.";
    let redacted = run("redact_text", &[text]);
    let lines: Vec<&str> = redacted.lines().collect();
    assert_eq!(
        lines[0],
        "Escribe a <EMAIL_ADDRESS_1> o llama al <PHONE_NUMBER_1>."
    );
    assert_eq!(lines[1], "  EMAIL_ADDRESS at 10..27");
    assert_eq!(*lines.last().unwrap(), format!("undone: {text}"));

    let page = run("mark_text", &["Ana vive en Lima", "PER:0:3", "LOC:12:16"]);
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert_eq!(page.matches("<mark ").count(), 2);
}

#[test]
fn model_directories_are_listed() {
    let listed = run("list_model", &[&fixture("encoder")]);
    for name in ["config.json", "model.gguf", "tokenizer.json"] {
        assert!(listed.contains(&format!(" {name}\n")), "{listed}");
    }
    assert!(!listed.contains("missing"), "{listed}");
    let lacking = run("list_model", &[&fixture("quickstart")]);
    assert!(lacking.contains("missing: weights"), "{lacking}");
}

#[test]
fn a_model_is_fine_tuned_used_and_served() {
    let folder = tempfile::tempdir().unwrap();
    let dev = fs::read_to_string(fixture("quickstart/dev.conll")).unwrap();
    let few: Vec<&str> = dev.split("\n\n").take(DEV_SENTENCES).collect();
    let dev = folder.path().join("dev.conll");
    fs::write(&dev, few.join("\n\n") + "\n").unwrap();
    let out = folder.path().join("out");
    let (dev, out) = (dev.to_str().unwrap(), out.to_str().unwrap());
    let (encoder, train) = (fixture("encoder"), fixture("quickstart/train.conll"));
    let told = run("fine_tune", &[&encoder, &train, dev, out, STEPS]);
    assert!(told.contains(&format!("step {STEPS}: dev F1 0.")), "{told}");

    let text = "Ana Torres vive en Toledo.";
    let tagged = run("tag_text", &[out, text]);
    let entities: Vec<&str> = tagged.lines().skip(1).collect();
    assert!(
        entities.iter().any(|line| line.ends_with(" Ana Torres")),
        "{tagged}"
    );

    let answer = run("serve_text", &[out, text]);
    let entities: serde_json::Value = serde_json::from_str(answer.lines().next().unwrap()).unwrap();
    let served = entities["entities"].as_array().unwrap();
    assert!(
        served.iter().any(|entity| entity["word"] == "Ana Torres"),
        "{answer}"
    );
    assert_eq!(
        served.len(),
        tagged.lines().count() - 1,
        "{answer} {tagged}"
    );
}
