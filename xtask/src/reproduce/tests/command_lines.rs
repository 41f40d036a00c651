//! From a recipe's numbers to the arguments of `ner-cli`.

#![allow(clippy::unwrap_used)]

use clap::Parser;

use crate::reproduce::{
    command_line::CommandLine,
    evaluate,
    folder::Folder,
    preprocess,
    recipe::{EMBEDDED, Recipe},
    train,
};

/// The tutorial's numbers, as they reach the trainer.
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
          --labels runs/s/data/labels.txt --output-dir runs/s/output --epochs 3 --batch-size 32 --max-length 128 --learning-rate 5e-5 \
          --weight-decay 0 --adam-epsilon 1e-8 --max-grad-norm 1 --warmup-steps 0 --seed 42 --logging-steps 100 --eval-batch-size 8 \
          --save-steps 100 --gradient-accumulation-steps 1 --word-boundary none --device auto --save-total-limit 2"
        ]
    );
    let evaluation = lines(evaluate::commands(&recipe, &folder, "auto"));
    assert_eq!(
        evaluation[7..9],
        [
            "ner-cli evaluate --model runs/s/output --data runs/s/data/test.txt --predictions runs/s/evaluation/test.predictions.txt \
             --report all --format json --output runs/s/evaluation/test.default.json --device auto",
            "ner-cli evaluate --gold runs/s/data/test.txt --pred runs/s/evaluation/test.predictions.txt --report entity \
             --output runs/s/evaluation/test.default.txt --quiet",
        ]
    );
    assert!(
        evaluation[11].contains("--mode strict --scheme iob2 --format json"),
        "{}",
        evaluation[11]
    );
    assert_eq!(
        evaluation[12],
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
        line.ends_with("--device flex --max-steps 20 --label-all-tokens --no-shuffle"),
        "{line}"
    );
}

#[test]
fn head_and_context_reach_the_trainer() {
    let settings = ["train.head=crf", "train.document_context=32"].map(str::to_owned);
    let recipe = Recipe::load("conll2002-small").unwrap().1;
    let folder = Folder::symbolic(&recipe.model);
    let line = |recipe: &Recipe| train::commands(recipe, &folder, "flex")[0].to_string();
    let changed = recipe.with_settings(&settings).unwrap();
    assert_eq!(
        line(&changed),
        line(&recipe) + " --head crf --document-context 32"
    );
    let error = recipe
        .with_settings(&["train.head=crff".to_owned()])
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("expected `linear` or `crf`"),
        "{error:#}"
    );
}
