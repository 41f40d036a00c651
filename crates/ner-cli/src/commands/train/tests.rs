#![allow(clippy::unwrap_used)]

use ner_train::TrainSettings;
use serde_json::{Map, Value, json};

use super::*;
use crate::Command;

const FILES: &str = "ner-cli train --model m --train t --dev d --output-dir o";

/// What a command line asks for.
fn arguments(flags: &[&str]) -> Result<Box<Arguments>> {
    let line = FILES.split(' ').chain(flags.iter().copied());
    match crate::parse(line.map(Into::into).collect())?.command {
        Command::Train(arguments) => Ok(arguments),
        _ => panic!("another command"),
    }
}

fn settings(flags: &[&str]) -> TrainSettings {
    arguments(flags).unwrap().run.settings
}

/// The settings that a file of `--config` asks for.
fn configured(text: &str) -> Result<Box<Arguments>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    arguments(&["--config", file.path().to_str().unwrap()])
}

/// A value as one types it.
fn typed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(pairs) => {
            let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

#[test]
fn every_setting_is_a_flag_and_a_key_of_a_file() {
    assert_eq!(settings(&[]), TrainSettings::default());
    let text = include_str!("../../../../../fixtures/settings/changed.json");
    let changed: Map<String, Value> = serde_json::from_str(text).unwrap();
    let defaults = serde_json::to_value(TrainSettings::default()).unwrap();
    let keys: Vec<&String> = defaults.as_object().unwrap().keys().collect();
    assert_eq!(changed.keys().collect::<Vec<_>>(), keys);
    for (key, value) in &changed {
        let expected: TrainSettings = serde_json::from_value(json!({ key: value })).unwrap();
        assert_ne!(expected, TrainSettings::default(), "{key}");
        let flag = format!("--{}", key.replace('_', "-"));
        let arguments = arguments(&[&flag, &typed(value)]).unwrap();
        assert_eq!(arguments.run.settings, expected, "{flag}");
        // The settings that a run leaves are a file of settings.
        let saved = arguments.run.effective.to_string();
        assert_eq!(
            configured(&saved).unwrap().run.settings,
            expected,
            "{saved}"
        );
        // Keys of a file are spelt in both ways.
        for key in [key.clone(), key.replace('_', "-")] {
            let file = toml::to_string(&json!({ key: value })).unwrap();
            assert_eq!(configured(&file).unwrap().run.settings, expected, "{file}");
        }
    }
}

#[test]
fn a_setting_that_is_true_or_false_is_a_flag_or_has_a_value() {
    for flag in [
        "--shuffle",
        "--group-by-length",
        "--label-all-tokens",
        "--freeze-embeddings",
    ] {
        assert_eq!(settings(&[flag]), settings(&[flag, "true"]), "{flag}");
        assert_ne!(
            settings(&[flag]),
            settings(&[flag, "false", "--seed", "42"])
        );
        assert!(arguments(&[flag, "3"]).is_err());
    }
    // What a file switches on, the command line switches off.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "label-all-tokens = true\n").unwrap();
    let config = ["--config", file.path().to_str().unwrap()];
    assert!(settings(&config).loss.label_all_tokens);
    let off = [&config[..], &["--label-all-tokens", "false"]].concat();
    assert!(!settings(&off).loss.label_all_tokens);
}

#[test]
fn a_wrong_value_names_its_flag() {
    for (flag, value, said) in [
        ("--decode", "viterbi", "expected constrained or argmax"),
        ("--decode-scheme", "iob3", "iob3"),
        ("--class-weights", "O", "`O` is not LABEL=WEIGHT"),
        ("--best-metric", "f2", "expected f1, precision"),
        ("--precision", "f8", "expected f32"),
        ("--epochs", "0.5", "invalid digit"),
    ] {
        let error = arguments(&[flag, value]).unwrap_err().to_string();
        assert!(error.contains(flag) && error.contains(said), "{error}");
    }
    for (text, said) in [
        ("learnin-rate = 1", "`learnin-rate` is no setting of train"),
        ("epochs = true", "--epochs"),
        ("seed = 1979-05-27", "`seed`: expected a string"),
    ] {
        let error = format!("{:#}", configured(text).unwrap_err());
        assert!(error.contains(said), "{error}");
    }
}
