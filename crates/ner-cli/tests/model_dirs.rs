//! Model directories that the program makes: who may read them, and sizes that none can have.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const CORPUS: &str =
    "Ana B-PER\nvive O\nen O\nLima B-LOC\n. O\n\nEl O\nBanco B-ORG\ncierra O\n. O\n";
const SIZES: &str = "--layers 1 --hidden 16 --heads 2 --intermediate 32 --vocab-size 300";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.conll"), CORPUS).unwrap();
    folder
}

/// Runs a line of the program in a folder, under a umask.
fn ner_cli(folder: &Path, umask: &str, line: &str) -> Output {
    Command::new("sh")
        .args(["-c", "umask \"$0\" && exec \"$@\"", umask])
        .arg(env!("CARGO_BIN_EXE_ner-cli"))
        .args(line.split(' '))
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn the_umask_decides_who_may_read_a_model() {
    use std::os::unix::fs::PermissionsExt;

    fn check(path: &Path, umask: u32, seen: &mut usize) {
        let found = fs::metadata(path).unwrap();
        let expected = if found.is_dir() { 0o777 } else { 0o666 } & !umask;
        let mode = found.permissions().mode() & 0o777;
        assert_eq!(
            mode,
            expected,
            "{}: {mode:o}, not {expected:o}",
            path.display()
        );
        *seen += 1;
        if found.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                check(&entry.unwrap().path(), umask, seen);
            }
        }
    }

    for (name, umask) in [("022", 0o022), ("077", 0o077), ("002", 0o002)] {
        let folder = folder();
        for line in [
            format!("new-model --train train.conll --output model {SIZES}"),
            "train --model model --train train.conll --dev train.conll --test train.conll --output-dir out --epochs 1 --save-steps 1".to_owned(),
            "predict --model out --input train.conll --input-format conll --output out/predicted.conll --format conll".to_owned(),
        ] {
            let output = ner_cli(folder.path(), name, &line);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line}: {said}");
        }
        let mut seen = 0;
        for dir in ["model", "out"] {
            check(&folder.path().join(dir), umask, &mut seen);
        }
        for file in [
            "model/model.safetensors",
            "out/best/model.safetensors",
            "out/checkpoint-1/optimizer.safetensors",
            "out/predicted.conll",
        ] {
            assert!(folder.path().join(file).is_file(), "{file}");
        }
        assert!(seen > 30, "only {seen} files and directories");
    }
}

#[test]
fn sizes_that_no_model_can_have_are_refused_at_once() {
    let folder = folder();
    for (sizes, expected) in [
        ("--layers 9999999", "num_hidden_layers is 9999999"),
        ("--hidden 1073741824 --heads 4", "more than this system has"),
        ("--hidden 1099511627776", "more than a tensor can hold"),
        (
            "--intermediate 1125899906842624",
            "more than this system has",
        ),
        ("--hidden 0", "hidden_size is 0"),
        ("--intermediate 0", "intermediate_size is 0"),
        ("--initializer-range -1", "initializer_range is -1"),
    ] {
        let line = format!("new-model --train train.conll --output model {SIZES} {sizes}");
        let started = Instant::now();
        let output = ner_cli(folder.path(), "022", &line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{sizes}: {said}");
        assert!(said.contains(expected), "{sizes}: {said}");
        assert!(started.elapsed() < Duration::from_secs(30), "{sizes}");
        assert!(!folder.path().join("model").exists(), "{sizes}");
    }
}

#[test]
fn a_damaged_configuration_ends_in_an_error_at_once() {
    let folder = folder();
    let line = format!("new-model --train train.conll --output model {SIZES}");
    assert!(ner_cli(folder.path(), "022", &line).status.success());
    let path = folder.path().join("model/config.json");
    let sound: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (key, value, expected) in [
        (
            "num_hidden_layers",
            9_999_999,
            "config.json asks for 9999999 layers, the weights hold 1",
        ),
        ("hidden_size", 999_999_928, "config.json asks for ["),
        (
            "vocab_size",
            999_999_999_999_i64,
            "config.json asks for [999999999999, 16]",
        ),
    ] {
        let mut damaged = sound.clone();
        damaged[key] = json!(value);
        fs::write(&path, damaged.to_string()).unwrap();
        let started = Instant::now();
        let output = ner_cli(folder.path(), "022", "predict --model model Ana");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{key}: {said}");
        assert!(said.contains(expected), "{key}: {said}");
        assert!(started.elapsed() < Duration::from_secs(30), "{key}");
    }
}

/// A tokenizer has no more sub-words than its text gives; room for those that were asked for is not made.
#[test]
fn a_vocabulary_larger_than_the_text_gives_is_what_the_text_gives() {
    let folder = folder();
    for kind in ["roberta", "bert"] {
        let vocabulary = |size: &str| {
            let line = format!(
                "new-model --kind {kind} --train train.conll --output {kind}-{size} {SIZES} --vocab-size {size}"
            );
            let output = ner_cli(folder.path(), "022", &line);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line}: {said}");
            let text = fs::read(folder.path().join(format!("{kind}-{size}/tokenizer.json")));
            let tokenizer: Value = serde_json::from_slice(&text.unwrap()).unwrap();
            let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap();
            let mut subwords: Vec<String> = vocabulary.keys().cloned().collect();
            subwords.sort();
            subwords
        };
        let enough = vocabulary("5000");
        assert!(enough.len() < 5000);
        assert_eq!(vocabulary("9999999999999"), enough, "{kind}");
    }
}
