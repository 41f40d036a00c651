#![allow(clippy::unwrap_used)]

use clap::CommandFactory;
use ner_train::TrainSettings;
use serde_json::{Map, Value, json};

use super::*;
use crate::{Cli, Command};

const FILES: &str =
    "ner-cli distill --teacher a --teacher b --student s --text t u --output-dir train";

/// What a command line asks for.
fn arguments(flags: &[&str]) -> Result<Box<Arguments>> {
    let line = FILES.split(' ').chain(flags.iter().copied());
    match crate::parse(line.map(Into::into).collect())?.command {
        Command::Distill(arguments) => Ok(arguments),
        _ => panic!("another command"),
    }
}

/// The settings that a file of `--config` asks for.
fn configured(text: &str) -> Result<Box<Arguments>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    arguments(&["--config", file.path().to_str().unwrap()])
}

/// What a test compares.
fn settings(arguments: &Arguments) -> (TrainSettings, DistillSettings) {
    (arguments.run.settings.clone(), arguments.distillation)
}

#[test]
fn every_setting_is_a_flag_and_a_key_of_a_file() {
    let default = arguments(&[]).unwrap();
    assert_eq!(
        settings(&default),
        (TrainSettings::default(), DistillSettings::default())
    );
    let text = include_str!("../../../../../fixtures/settings/changed-distillation.json");
    let changed: Map<String, Value> = serde_json::from_str(text).unwrap();
    let mut program = Cli::command();
    program.build();
    let train = program.find_subcommand("train").unwrap();
    for (key, value) in &changed {
        let expected: DistillSettings = serde_json::from_value(json!({ key: value })).unwrap();
        let expected = (TrainSettings::default(), expected);
        assert_ne!(expected, settings(&default), "{key}");
        let flag = format!("--{}", key.replace('_', "-"));
        let given = arguments(&[&flag, &value.to_string()]).unwrap();
        assert_eq!(settings(&given), expected, "{flag}");
        let saved = given.run.effective.to_string();
        assert_eq!(settings(&configured(&saved).unwrap()), expected, "{saved}");
        for key in [key.clone(), key.replace('_', "-")] {
            let file = toml::to_string(&json!({ key: value })).unwrap();
            assert_eq!(settings(&configured(&file).unwrap()), expected, "{file}");
        }
        // It would do nothing without a teacher.
        let long = flag.trim_start_matches("--");
        assert!(
            train
                .get_arguments()
                .all(|argument| argument.get_long() != Some(long))
        );
    }
}

#[test]
fn lists_of_files_and_teachers_come_back_from_the_settings_of_a_run() {
    let line = "--text v,w --layers 2 --student-layers 0,3";
    let given = arguments(&line.split(' ').collect::<Vec<_>>()).unwrap();
    let texts = ["t", "u", "v,w"].map(PathBuf::from);
    assert_eq!(
        (&given.teacher[..], &given.text[..]),
        (&["a", "b"].map(str::to_owned)[..], &texts[..])
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, given.run.effective.to_string()).unwrap();
    let line = [
        "ner-cli",
        "distill",
        "--config",
        file.path().to_str().unwrap(),
    ];
    let Command::Distill(again) = crate::parse(line.map(Into::into).to_vec()).unwrap().command
    else {
        panic!("another command");
    };
    assert_eq!((&again.teacher, &again.text), (&given.teacher, &given.text));
    assert_eq!(again.sizes, given.sizes);
    assert_eq!(again.student_layers, StudentLayers::These(vec![0, 3]));
    assert_eq!(again.run.output_dir, PathBuf::from("train"));
}

#[test]
fn texts_or_gold_labels_are_enough() {
    let parse = |more: &str| {
        let line = format!("ner-cli distill --teacher a --student s --output-dir out {more}");
        crate::parse(line.split_whitespace().map(Into::into).collect())
    };
    for more in ["--text t", "--train t.conll", "--text t --train t.conll"] {
        assert!(parse(more).is_ok(), "{more}");
    }
    let error = parse("").unwrap_err().to_string();
    assert!(
        error.contains("--text <FILE>") && error.contains("--train <TRAIN>"),
        "{error}"
    );
}

#[test]
fn flags_that_would_do_nothing_are_refused() {
    for (flags, said) in [
        (&["--layers", "2"][..], "are for --student new"),
        (&["--student-tokenizer", "teacher"], "are for --student new"),
        (
            &[
                "--student",
                "new",
                "--student-tokenizer",
                "teacher",
                "--kind",
                "bert",
            ],
            "--kind and --vocab-size are for a tokenizer that is trained",
        ),
        (&["--student-layers", "random"], "are for --student new"),
        (
            &["--student", "new", "--student-layers", "0,3"],
            "--student-layers 0,3 needs --student-tokenizer teacher",
        ),
        (&["--early-stopping-patience", "2"], "needs --dev"),
        (&["--hidden-loss-weight", "1"], "needs one teacher"),
        (&["--epochs", "0"], "epochs: must be at least 1"),
    ] {
        let error = arguments(flags).unwrap().check().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    for flags in [
        &["--eval-all-checkpoints"][..],
        &["--head", "crf"],
        &["--student-layers", "0,two"],
        &["--distillation-temperature", "hot"],
    ] {
        assert!(arguments(flags).is_err(), "{flags:?}");
    }
}
