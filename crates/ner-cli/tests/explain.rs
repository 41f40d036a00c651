//! What explains a score: intervals, comparisons, calibration, and what a model is.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Folder, failure, json, run, stdout};
use serde_json::Value;

const TRAIN: &str = "Ana B-PER\nPaz I-PER\nvive O\nen O\nLima B-LOC\n. O\n\nEl O\nBanco B-ORG\nde I-ORG\nLima I-ORG\ncierra O\n. O\n\nLlueve O\n. O\n";
/// The second sentence stands in [`TRAIN`].
const GOLD: &str = "Eva B-PER\nva O\na O\nLima B-LOC\n\nEl O\nBanco B-ORG\nde I-ORG\nLima I-ORG\ncierra O\n. O\n\nAna B-LOC\nPaz I-LOC\n\nRosa B-PER\n";

#[test]
fn a_training_file_tells_what_is_new() {
    let folder = Folder::new();
    let train = folder.write("train.conll", TRAIN);
    let gold = folder.write("gold.conll", GOLD);
    let pred = folder.write(
        "pred.conll",
        GOLD.replace("B-LOC\nPaz I-LOC", "B-PER\nPaz I-PER"),
    );
    let evaluate = [
        "evaluate", "--gold", &gold, "--pred", &pred, "--train", &train,
    ];
    let found = json(&[&evaluate[..], &["--unique", "--errors"]].concat());
    assert_eq!(found["unique"]["sentences_left_out"], 1);
    assert_eq!(found["unique"]["entities_left_out"], 1);
    assert_eq!(found["unique"]["entity"]["micro"]["support"], 4);
    let breakdown = |by: &str| {
        let breakdowns = found["breakdowns"].as_array().unwrap();
        let is_it = |one: &&Value| one["by"].as_str().unwrap().starts_with(by);
        breakdowns.iter().find(is_it).unwrap()["rows"].clone()
    };
    let row = |by: &str, group: &str| {
        let rows = breakdown(by);
        let rows = rows.as_array().unwrap().iter();
        rows.clone()
            .find(|row| row["group"] == group)
            .unwrap_or_else(|| panic!("{by}: {group}"))
            .clone()
    };
    assert_eq!(row("length", "1 token")["support"], 3);
    assert_eq!(row("length", "2 tokens")["correct"], 0);
    assert_eq!(row("position", "first token")["support"], 3);
    // Eva and Rosa are new; `Ana Paz` was a PER, as predicted, and is a LOC.
    assert_eq!(row("what", "unseen")["f1"], 1.0);
    assert_eq!(row("what", "seen with another type")["support"], 1);
    assert_eq!(row("what", "seen with this type")["support"], 2);
    assert_eq!(row("what", "seen with this type")["predicted"], 3);
    assert_eq!(row("entities of", "0")["support"], 2);
    let text = stdout(&[&evaluate[..], &["--unique", "--errors"]].concat());
    let wanted = format!("without 1 of 4 sentences, with 1 of 5 entities, that stand in {train}");
    assert!(text.lines().any(|line| line == wanted), "{text}");
    let message = failure(1, &evaluate);
    assert!(message.contains("--errors and --unique"), "{message}");
    failure(
        2,
        &["evaluate", "--gold", &gold, "--pred", &pred, "--unique"],
    );
}

#[test]
fn intervals_hold_the_score_and_depend_on_the_seed_alone() {
    let folder = Folder::new();
    let gold = folder.write(
        "gold.conll",
        GOLD.repeat(30).replace("Rosa B-PER\n", "Rosa B-PER\n\n"),
    );
    let pred = GOLD.repeat(30).replace("Rosa B-PER\n", "Rosa O\n\n");
    let pred = folder.write("pred.conll", &pred);
    let evaluate = [
        "evaluate",
        "--gold",
        &gold,
        "--pred",
        &pred,
        "--bootstrap",
        "500",
    ];
    let found = json(&evaluate);
    let recall = &found["intervals"]["micro"]["recall"];
    assert_eq!(recall["estimate"], 0.8);
    let [low, high] = ["low", "high"].map(|end| recall[end].as_f64().unwrap());
    assert!(
        0.7 < low && low < 0.8 && 0.8 < high && high < 0.9,
        "{low} {high}"
    );
    assert_eq!(found["intervals"]["units"], 120);
    assert_eq!(found, json(&evaluate));
    assert_ne!(found, json(&[&evaluate[..], &["--seed", "1"]].concat()));
    let csv = stdout(&[&evaluate[..], &["--format", "csv"]].concat());
    assert!(csv.contains("\nmicro avg,recall,0.8,"), "{csv}");
    // Sentences of a document stand and fall together.
    let documents = |text: &str| format!("-DOCSTART- O\n\n{text}\n").repeat(3);
    let [gold, pred] = [&gold, &pred].map(|path| {
        let text = documents(&fs::read_to_string(path).unwrap());
        folder.write(&format!("{}.docs", path.rsplit('/').next().unwrap()), &text)
    });
    let found = json(&[
        "evaluate",
        "--gold",
        &gold,
        "--pred",
        &pred,
        "--bootstrap",
        "100",
    ]);
    assert_eq!(found["intervals"]["units"], 3);
    let none = failure(
        1,
        &[
            "evaluate",
            "--gold",
            &gold,
            "--pred",
            &pred,
            "--bootstrap",
            "0",
        ],
    );
    assert!(none.contains("0 samples"), "{none}");
}

#[test]
fn two_systems_are_compared() {
    let folder = Folder::new();
    let gold = GOLD.repeat(20).replace("Rosa B-PER\n", "Rosa B-PER\n\n");
    let gold_path = folder.write("gold.conll", &gold);
    // Of every run of `a` another of the twenty Rosas is right, none of `b`'s.
    let wrong = gold
        .replace("Rosa B-PER", "Rosa O")
        .replace("Eva B-PER", "Eva B-LOC");
    for run in 0..3 {
        let some = wrong.replacen("Rosa O", "Rosa B-PER", 8 + run);
        folder.write(&format!("a{run}/pred.conll"), &some);
        folder.write(
            &format!("b{run}/pred.conll"),
            gold.replacen("Lima B-LOC", "Lima O", 1 + run),
        );
    }
    let (a, b) = (folder.path("a0/pred.conll"), folder.path("b0/pred.conll"));
    let one = json(&["compare", &a, &b, "--gold", &gold_path, "--samples", "999"]);
    let difference = one["all"]["difference"]["estimate"].as_f64().unwrap();
    assert!(difference > 0.2, "{difference}");
    assert!(one["all"]["bootstrap_p"].as_f64().unwrap() < 0.01);
    assert!(one["all"]["randomization_p"].as_f64().unwrap() < 0.01);
    assert_eq!(one["all"]["seeds_p"], Value::Null);
    let only = one["only"].as_array().unwrap();
    let of = |side: &str| only.iter().filter(|one| one["side"] == side).count();
    assert_eq!((of("a"), of("b")), (1, 32)); // a Lima; 12 Rosas and 20 Evas
    assert_eq!(
        (only[0]["line"].as_u64(), only[0]["text"].as_str()),
        (Some(1), Some("Eva"))
    );

    let [a, b] = ["a*/pred.conll", "b*/pred.conll"].map(|pattern| folder.path(pattern));
    let compare = [
        "compare",
        "--a",
        &a,
        "--b",
        &b,
        "--gold",
        &gold_path,
        "--samples",
        "200",
    ];
    let several = json(&compare);
    assert_eq!(several["all"]["a"]["f1"].as_array().unwrap().len(), 3);
    assert!(several["all"]["seeds_p"].as_f64().unwrap() < 0.01);
    let text = stdout(&[&compare[..], &["--examples", "2"]].concat());
    assert!(text.contains("F1 of a: 0."), "{text}");
    assert!(text.contains("(3 runs: "), "{text}");
    assert!(
        text.contains("entities that only b finds\n  line 1: PER `Eva`\n"),
        "{text}"
    );
    assert!(text.contains(" more (--examples)"), "{text}");

    let same = json(&[
        "compare",
        &gold_path,
        &gold_path,
        "--gold",
        &gold_path,
        "--samples",
        "99",
    ]);
    assert_eq!(same["all"]["bootstrap_p"], 1.0);
    let nothing = folder.path("c*/pred.conll");
    let message = failure(
        1,
        &["compare", "--a", &nothing, "--b", &b, "--gold", &gold_path],
    );
    assert!(
        message.contains("no file or directory matches it"),
        "{message}"
    );
    let other = folder.write("other.conll", "Eva B-PER\n");
    let message = failure(1, &["compare", &other, &gold_path, "--gold", &gold_path]);
    assert!(message.contains("sentence"), "{message}");
    failure(2, &["compare", &a, "--gold", &gold_path]);
}

#[test]
fn a_comparison_says_what_its_table_does_not_show() {
    let folder = Folder::new();
    let gold = GOLD.replace("ORG", "ORGANIZATION");
    let all = folder.write("all.conll", &gold);
    let less = folder.write("less.conll", gold.replace("Rosa B-PER", "Rosa O"));
    let text = stdout(&["compare", &all, &less, "--gold", &all, "--samples", "99"]);
    assert!(text.contains("(99 samples of 4 units)"), "{text}");
    assert!(text.contains("\n1 entity that only a finds\n"), "{text}");
    assert!(text.contains("\n0 entities that only b finds\n"), "{text}");
    // The longest type makes room for itself.
    let table: Vec<usize> = text
        .lines()
        .skip_while(|line| !line.trim_start().starts_with("type "))
        .take_while(|line| !line.is_empty())
        .map(|line| line.chars().count())
        .collect();
    assert_eq!(table.len(), 4, "{text}");
    assert!(table.iter().all(|width| *width == table[0]), "{text}");

    let bare = GOLD.replace("B-", "").replace("I-", "");
    let bare = folder.write("bare.conll", bare);
    let compare = ["compare", &bare, &bare, "--gold", &bare, "--samples", "99"];
    let output = run(&compare, b"");
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    let note = "tags without a position letter such as B- or I-: LOC, ORG, PER; seqeval's rule";
    assert!(message.contains(note), "{message}");

    for nowhere in ["nowhere.conll".to_owned(), folder.path("out/nowhere")] {
        let message = failure(1, &["compare", &nowhere, &all, "--gold", &all]);
        let said = format!("{nowhere}: neither a file nor a model directory has this name");
        assert!(message.contains(&said), "{message}");
    }
}

#[test]
fn scores_are_calibrated_and_thresholds_act() {
    let folder = Folder::new();
    let model = folder.model(TRAIN, "--head crf --seed 3");
    let dev = folder.write(
        "dev.conll",
        format!("{GOLD}\n{TRAIN}").replace("I-LOC", "O"),
    );
    let predict = |more: &[&str]| -> Value {
        let base = [
            "predict",
            "--model",
            &model,
            "--format",
            "jsonl",
            "Ana Paz vive en Lima .",
        ];
        serde_json::from_str(&stdout(&[&base[..], more].concat())).unwrap()
    };
    let before = predict(&[]);
    let config = || fs::read_to_string(folder.path("out/config.json")).unwrap();
    let untouched = config();
    // A few entities in ten ranges say nothing of calibration.
    let calibrate = [
        "calibrate",
        "--model",
        &model,
        "--data",
        &dev,
        "--bins",
        "1",
    ];
    let dry = json(&[&calibrate[..], &["--dry-run"]].concat());
    assert_eq!(config(), untouched);

    let report = json(&[&calibrate[..], &["--precision-of", "0.9"]].concat());
    assert_eq!(report["temperature"], dry["temperature"]);
    let temperature = report["temperature"].as_f64().unwrap();
    assert!((temperature - 1.0).abs() > 0.01, "{temperature}");
    let error = |when: &str| report[when]["brier"].as_f64().unwrap();
    assert!(error("after") < error("before"), "{report}");
    let all = &report["thresholds"][0];
    assert_eq!((&all["type"], &all["support"]), (&"all".into(), &8.into()));
    assert!(all["wished_precision"]["precision"].as_f64().unwrap() >= 0.9);
    let written: Value = serde_json::from_str(&config()).unwrap();
    assert_eq!(written["calibration_temperature"], report["temperature"]);
    // Nothing else of the file has changed.
    let mut without = written.as_object().unwrap().clone();
    without.remove("calibration_temperature");
    assert_eq!(
        Value::from(without),
        serde_json::from_str::<Value>(&untouched).unwrap()
    );

    // The same entities with other scores.
    let after = predict(&[]);
    let column = |found: &Value, name: &str| -> Vec<Value> {
        let entities = found["entities"].as_array().unwrap().iter();
        entities.map(|entity| entity[name].clone()).collect()
    };
    for name in ["entity_group", "word", "start"] {
        assert_eq!(column(&before, name), column(&after, name));
    }
    assert_ne!(column(&before, "score"), column(&after, "score"));
    // Calibrated twice is calibrated once.
    let again = json(&calibrate);
    assert_eq!(again["temperature"], report["temperature"]);
    assert_eq!(again["before"], report["after"]);

    // A threshold takes out, and the words are then tagged O.
    assert_eq!(
        column(&predict(&["--min-score", "1,LOC=0"]), "word"),
        ["Lima"]
    );
    let as_conll = [
        "predict",
        "--model",
        &model,
        "--format",
        "conll",
        "--min-score",
        "1",
        "Ana vive",
    ];
    assert_eq!(stdout(&as_conll), "Ana O\nvive O\n\n");
    let simple = predict(&["--aggregation", "simple", "--min-score", "1,PER=0"]);
    let types = column(&simple, "entity_group");
    assert!(
        !types.is_empty() && types.iter().all(|name| name == "PER"),
        "{types:?}"
    );
    for (score, reason) in [
        ("2", "from 0 to 1"),
        ("PER=x", "from 0 to 1"),
        ("0.1,0.2", "second score"),
    ] {
        let arguments = ["predict", "--model", &model, "--min-score", score, "Ana"];
        let message = failure(2, &arguments);
        assert!(message.contains(reason), "{score}: {message}");
    }
    let unknown = failure(
        1,
        &[
            "predict",
            "--model",
            &model,
            "--min-score",
            "PRE=0.5",
            "Ana",
        ],
    );
    assert!(
        unknown.contains("no type `PRE`, only LOC, ORG, PER"),
        "{unknown}"
    );

    // Training anew forgets a temperature that other weights had.
    let [train, next] = ["train.conll", "next"].map(|name| folder.path(name));
    stdout(&[
        "train",
        "--model",
        &model,
        "--train",
        &train,
        "--dev",
        &train,
        "--output-dir",
        &next,
        "--max-steps",
        "1",
    ]);
    let next = fs::read_to_string(folder.path("next/config.json")).unwrap();
    assert!(!next.contains("calibration_temperature"), "{next}");

    let text = stdout(&["info", &model]);
    let has = |line: &str| {
        text.lines()
            .any(|found| found.split_whitespace().eq(line.split_whitespace()))
    };
    assert!(
        has("layers 1") && has("hidden size 16") && has("head CRF"),
        "{text}"
    );
    assert!(has(&format!("temperature {temperature}")), "{text}");
    assert!(text.contains("B-LOC B-ORG B-PER"), "{text}");
    let facts = json(&["info", &model]);
    let parameters = facts["parameters"].as_u64().unwrap();
    assert!(parameters > 300 * 16, "{facts}");
}

#[test]
fn what_cannot_be_calibrated_is_said() {
    let folder = Folder::new();
    let model = folder.model(TRAIN, "--head crf --seed 3");
    let data = folder.path("train.conll");
    let message = failure(1, &["calibrate", "--model", "some/model", "--data", &data]);
    assert!(message.contains("is no directory"), "{message}");
    let foreign = folder.write("foreign.conll", "Ana B-GPE\n");
    let message = failure(1, &["calibrate", "--model", &model, "--data", &foreign]);
    assert!(message.contains("foreign.conll:1"), "{message}");
    let message = failure(1, &["info", &folder.path("nowhere")]);
    assert!(message.contains("nowhere"), "{message}");

    // What the model predicts is all right, so that no temperature is low enough.
    let predict = ["predict", "--model", &model, "--format", "conll"];
    let own = stdout(&[&predict[..], &["Ana Paz vive en Lima ."]].concat());
    let own = folder.write("own.conll", own);
    let config = || fs::read_to_string(folder.path("out/config.json")).unwrap();
    let before = config();
    let calibrate = ["calibrate", "--model", &model, "--data", &own];
    let output = run(&calibrate, b"");
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    for wanted in [
        "with fewer than about 100 a temperature says little of other texts",
        "the temperature is not saved: it is at its bound: was the model trained on this file?",
    ] {
        assert!(message.contains(wanted), "{message}");
    }
    assert!(!message.contains("saved the temperature"), "{message}");
    let report = String::from_utf8(output.stdout).unwrap();
    let heading = "what a threshold on the score as it was before keeps";
    assert!(report.contains(heading), "{report}");
    assert_eq!(config(), before);
    // That is said where notes are not.
    let quiet = run(&[&calibrate[..], &["--quiet"]].concat(), b"");
    let message = String::from_utf8(quiet.stderr).unwrap();
    assert!(
        message.starts_with("the temperature is not saved: "),
        "{message}"
    );
}
