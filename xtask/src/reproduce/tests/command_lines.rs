//! From a recipe's numbers to the arguments of `ner-cli`.

#![allow(clippy::unwrap_used)]

use clap::Parser;
use ner_train::{ClassWeights, TrainSettings};
use serde_json::{Map, Value, json};

use crate::reproduce::{
    command_line::CommandLine,
    evaluate,
    folder::Folder,
    preprocess,
    recipe::{EMBEDDED, Recipe},
    train,
};

/// The tutorial's numbers, as they reach the trainer: what is not named is the default of both programs.
#[test]
fn command_lines_of_the_tutorials_recipe() {
    let recipe = Recipe::load("spanberta-conll2002").unwrap().1;
    let folder = Folder::new("runs/s".into(), Some("spanberta".into()));
    let lines = |lines: Vec<CommandLine>| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        lines(preprocess::commands(&recipe, &folder)),
        [
            "ner-cli preprocess runs/s/data/raw/train.conll --tokenizer spanberta --max-length 120 --columns 1,3 --word-boundary none --output runs/s/data/train.txt",
            "ner-cli preprocess runs/s/data/raw/dev.conll --tokenizer spanberta --max-length 120 --columns 1,3 --word-boundary none --output runs/s/data/dev.txt",
            "ner-cli preprocess runs/s/data/raw/test.conll --tokenizer spanberta --max-length 120 --columns 1,3 --word-boundary none --output runs/s/data/test.txt",
            "ner-cli labels runs/s/data/train.txt runs/s/data/dev.txt runs/s/data/test.txt --output runs/s/data/labels.txt",
        ]
    );
    assert_eq!(
        lines(train::commands(&recipe, &folder, "auto")),
        [
            "ner-cli train --model spanberta --train runs/s/data/train.txt --dev runs/s/data/dev.txt --test runs/s/data/test.txt \
          --labels runs/s/data/labels.txt --output-dir runs/s/output --decode argmax --save-steps 100 --save-total-limit 2 \
          --word-boundary none --device auto"
        ]
    );
    let evaluation = lines(evaluate::commands(&recipe, &folder, "auto"));
    assert_eq!(
        [&evaluation[8], &evaluation[10]],
        [
            "ner-cli evaluate --model runs/s/output --data runs/s/data/test.txt --predictions runs/s/evaluation/test.predictions.txt \
             --report all --format json --output runs/s/evaluation/test.default.json --device auto --decode argmax",
            "ner-cli evaluate --gold runs/s/data/test.txt --pred runs/s/evaluation/test.predictions.txt --report entity \
             --output runs/s/evaluation/test.default.txt --quiet",
        ]
    );
    assert!(
        evaluation[13].contains("--mode strict --scheme iob2 --format json"),
        "{}",
        evaluation[13]
    );
    assert_eq!(
        evaluation[14],
        "ner-cli evaluate --gold runs/s/data/raw/test.conll --pred runs/s/evaluation/test.predictions.txt --rejoin --report entity \
         --output runs/s/evaluation/test.rejoined.txt --quiet",
    );
}

/// `ner-cli` itself takes every command line that a recipe makes.
#[test]
fn command_lines_are_those_of_the_program() {
    for (name, _) in EMBEDDED {
        let settings = [
            "train.max_steps=20".to_owned(),
            "train.shuffle=false".to_owned(),
        ];
        let recipe = Recipe::load(name)
            .unwrap()
            .1
            .with_settings(&settings)
            .unwrap();
        let folder = Folder::symbolic(&recipe.model);
        let lines = [
            preprocess::commands(&recipe, &folder),
            train::commands(&recipe, &folder, "auto"),
            evaluate::commands(&recipe, &folder, "auto"),
        ];
        for line in lines.iter().flatten() {
            let parsed = ner_cli::Cli::try_parse_from(line.args());
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn a_shortened_run_reaches_the_trainer() {
    let recipe = Recipe::load("quickstart")
        .unwrap()
        .1
        .with_settings(&[
            "train.max_steps=20".to_owned(),
            "train.shuffle=false".to_owned(),
        ])
        .unwrap();
    let line = train::commands(&recipe, &Folder::symbolic(&recipe.model), "flex")[0].to_string();
    assert!(
        line.contains(" --shuffle false ")
            && line.contains(" --max-steps 20 ")
            && line.contains(" --head crf "),
        "{line}"
    );
}

#[test]
fn head_context_and_dropout_reach_the_trainer() {
    let settings = [
        "train.head=crf",
        "train.document_context=32",
        "train.dropout=0.25",
    ]
    .map(str::to_owned);
    let recipe = Recipe::load("conll2002-small").unwrap().1;
    let folder = Folder::symbolic(&recipe.model);
    let line = |recipe: &Recipe| train::commands(recipe, &folder, "flex")[0].to_string();
    let changed = line(&recipe.with_settings(&settings).unwrap());
    for option in [" --head crf", " --document-context 32", " --dropout 0.25"] {
        assert!(changed.contains(option), "{changed}");
    }
    let count = |line: &str| line.split(" --").count();
    assert_eq!(count(&changed), count(&line(&recipe)) + 3);
    let error = recipe
        .with_settings(&["train.head=crff".to_owned()])
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("expected `linear` or `crf`"),
        "{error:#}"
    );
}

/// A file with every setting, each other than its default: see fixtures/settings.
fn changed() -> Map<String, Value> {
    serde_json::from_str(include_str!("../../../../fixtures/settings/changed.json")).unwrap()
}

/// The value as one types it.
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
fn every_setting_can_be_in_a_recipe_and_on_its_command_line() {
    let keys = |settings: &Value| -> Vec<String> {
        settings.as_object().unwrap().keys().cloned().collect()
    };
    let defaults = serde_json::to_value(TrainSettings::default()).unwrap();
    let changed = changed();
    assert_eq!(changed.keys().cloned().collect::<Vec<_>>(), keys(&defaults));
    let base = Recipe::load("conll2002-small").unwrap().1;
    let folder = Folder::symbolic(&base.model);
    for (key, value) in &changed {
        let train = toml::to_string(&json!({"train": { key: value }})).unwrap();
        let recipe = Recipe::parse(&format!("base = \"conll2002-small\"\n{train}")).unwrap();
        assert_eq!(serde_json::to_value(&recipe.train).unwrap()[key], *value);
        assert_ne!(recipe, base, "{key}");
        let setting = format!("train.{key}={}", typed(value));
        assert_eq!(base.with_settings(&[setting]).unwrap(), recipe, "{key}");

        let line = &train::commands(&recipe, &folder, "flex")[0];
        let flag = format!("--{}", key.replace('_', "-"));
        let expected = match value {
            Value::Bool(true) => flag,
            value => format!("{flag} {}", typed(value)),
        };
        assert!(
            format!("{line} ").contains(&format!(" {expected} ")),
            "{line}"
        );
        let parsed = ner_cli::Cli::try_parse_from(line.args());
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
    }
}

#[test]
fn weights_of_a_recipe_can_be_set_anew() {
    let text = "base = \"conll2002-small\"\n[train]\nclass_weights = { O = 0.5 }";
    let recipe = Recipe::parse(text).unwrap();
    for (setting, expected) in [
        ("train.class_weights=balanced", ClassWeights::Balanced),
        (
            "train.class_weights=B-PER=2",
            ClassWeights::Given([("B-PER".to_owned(), 2.0)].into()),
        ),
    ] {
        let changed = recipe.with_settings(&[setting.to_owned()]).unwrap();
        assert_eq!(changed.train.settings.loss.class_weights, expected);
    }
}
