//! The program as its users call it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const CORPUS: &str = "Ana B-PER\nPaz I-PER\nvive O\nen O\nLima B-LOC\n. O\n\nEl O\nBanco B-ORG\nde I-ORG\nLima I-ORG\ncierra O\n. O\n\nLlueve O\n. O\n";

fn ner_cli(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ner-cli"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = ner_cli(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The message of a command that must fail with the given exit code and say nothing on stdout.
fn failure(code: i32, arguments: &[&str]) -> String {
    let output = ner_cli(arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A folder with a small corpus and a small model.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self::with(CORPUS)
    }

    fn with(corpus: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("train.conll", corpus);
        let sizes = "--layers 1 --hidden 16 --heads 2 --intermediate 32 --vocab-size 300";
        let [train, model] = ["train.conll", "model"].map(|name| folder.path(name));
        let mut arguments = vec!["new-model", "--train", &train, "--output", &model];
        arguments.extend(sizes.split(' '));
        stdout(&arguments);
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.0.path().join(name), text).unwrap();
        self.path(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn train(&self, output: &str, more: &[&str]) -> Output {
        let [model, data, output] = ["model", "train.conll", output].map(|name| self.path(name));
        let mut arguments = vec![
            "train", "--model", &model, "--train", &data, "--dev", &data, "--test", &data,
        ];
        arguments.extend([
            "--output-dir",
            &output,
            "--learning-rate",
            "0.01",
            "--batch-size",
            "2",
        ]);
        arguments.extend(more);
        ner_cli(&arguments)
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn from_a_column_file_to_a_tagger() {
    let folder = Folder::new();
    let trained = folder.train(
        "out",
        &[
            "--epochs",
            "40",
            "--logging-steps",
            "10",
            "--save-steps",
            "50",
        ],
    );
    let talk = String::from_utf8(trained.stderr).unwrap();
    assert!(trained.status.success(), "{talk}");
    assert!(
        trained.stdout.is_empty(),
        "results go to files, talk to stderr"
    );
    assert!(talk.contains("14 words read, 14 carry loss"), "{talk}");
    // Without a terminal a line of the log says how far the run is, and how long it will take.
    assert!(talk.contains("step 20/80 (25 %, "), "{talk}");
    assert!(talk.contains(" left): loss "), "{talk}");

    let out = PathBuf::from(folder.path("out"));
    let files = names(&out);
    for name in [
        "README.md",
        "best",
        "checkpoint-50",
        "config.json",
        "curves.svg",
        "eval_log.csv",
        "eval_results.txt",
        "model.safetensors",
        "report.html",
        "report.json",
        "settings.toml",
        "tensorboard",
        "test_predictions.txt",
        "test_results.txt",
        "tokenizer.json",
        "train_log.csv",
    ] {
        assert!(
            files.contains(&name.to_owned()),
            "{name} is missing in {files:?}"
        );
    }
    let card = folder.read("out/README.md");
    for part in [
        "pipeline_tag: token-classification",
        "| test | seqeval, default | 1.0000 | 1.0000 | 1.0000 | 3 |",
        "| test | seqeval, strict IOB2 | 1.0000 |",
        "| PER | 1.0000 | 1.0000 | 1.0000 | 1 |",
        "| train | train.conll | 3 | 14 |",
        "| learning_rate | 0.01 |",
        "ner-cli predict --model out ",
        "aggregation_strategy",
        "(curves.svg)",
    ] {
        assert!(card.contains(part), "{part} is missing in {card}");
    }
    assert!(!card.contains(folder.0.path().to_str().unwrap()), "{card}");
    let log = folder.read("out/train_log.csv");
    let rows: Vec<&str> = log.lines().collect();
    assert_eq!(
        rows[0],
        "step,epoch,loss,learning_rate,grad_norm,tokens_per_second"
    );
    assert_eq!(
        rows.len(),
        1 + 8,
        "two steps an epoch, forty epochs, a row every ten steps"
    );
    let results = folder.read("out/test_results.txt");
    let keys: Vec<&str> = results
        .lines()
        .map(|line| line.split(" = ").next().unwrap())
        .collect();
    assert_eq!(keys, ["f1", "loss", "precision", "recall"]);
    assert!(
        results.starts_with("f1 = 1"),
        "a corpus of three sentences can be learnt by heart: {results}"
    );
    assert_eq!(
        folder.read("out/test_predictions.txt"),
        format!("{CORPUS}\n")
    );

    // The trained model reports on itself, from the model and from the predictions.
    let [out, data, predictions] =
        ["out", "train.conll", "out/test_predictions.txt"].map(|name| folder.path(name));
    let by_model = stdout(&["evaluate", "--model", &out, "--data", &data]);
    assert_eq!(
        by_model,
        stdout(&["evaluate", "--gold", &data, "--pred", &predictions])
    );
    assert!(
        by_model.ends_with("weighted avg       1.00      1.00      1.00         3\n"),
        "{by_model}"
    );
    let json = stdout(&[
        "evaluate",
        "--gold",
        &data,
        "--pred",
        &predictions,
        "--report",
        "all",
        "--format",
        "json",
    ]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["entity"]["micro"]["f1"], 1.0);
    assert_eq!(json["entity"]["per_type"][2]["type"], "PER");

    // Text in, entities out, with places in code points.
    let line = stdout(&[
        "predict",
        "--model",
        &out,
        "--format",
        "jsonl",
        "Ana Paz vive en Lima .",
    ]);
    let found: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(found["text"], "Ana Paz vive en Lima .");
    let person = &found["entities"][0];
    assert_eq!(
        (person["entity_group"].as_str(), person["word"].as_str()),
        (Some("PER"), Some("Ana Paz"))
    );
    assert_eq!(
        (person["start"].as_u64(), person["end"].as_u64()),
        (Some(0), Some(7))
    );
    assert_eq!(
        stdout(&["predict", "--model", &out, "Ana Paz vive en Lima ."]),
        "[PER Ana Paz] vive en [LOC Lima] .\n"
    );
    let predict = ["predict", "--model", &out];
    let as_conll = ["--input-format", "conll", "--format", "conll"];
    for precision in ["f32", "int8"] {
        let how = ["--input", &data, "--precision", precision];
        let conll = stdout(&[&predict[..], &how, &as_conll].concat());
        assert_eq!(conll, format!("{CORPUS}\n"), "{precision}");
    }
    let of_int8 = ["--precision", "int8", "--format", "jsonl"];
    let rounded = stdout(&[&predict[..], &of_int8, &["Ana Paz vive en Lima ."]].concat());
    assert_ne!(rounded, line, "int8 has scores of its own");
    let rounded: Value = serde_json::from_str(&rounded).unwrap();
    assert_eq!(rounded["entities"][0]["word"], "Ana Paz");
    let evaluated = stdout(&[
        "evaluate",
        "--model",
        &out,
        "--data",
        &data,
        "--precision",
        "int8",
    ]);
    assert!(evaluated.contains("micro avg       1.00"), "{evaluated}");
    let csv = stdout(&[
        "predict",
        "--model",
        &out,
        "--format",
        "csv",
        "Ana Paz vive en Lima .",
    ]);
    assert!(
        csv.starts_with("record,entity_group,score,word,start,end\n1,PER,0."),
        "{csv}"
    );
    for aggregation in ["none", "simple", "first", "average", "max"] {
        let line = stdout(&[
            "predict",
            "--model",
            &out,
            "--format",
            "jsonl",
            "--aggregation",
            aggregation,
            "Ana Paz vive en Lima .",
        ]);
        let found: Value = serde_json::from_str(&line).unwrap();
        let field = if aggregation == "none" {
            "entity"
        } else {
            "entity_group"
        };
        assert!(
            found["entities"][0][field].is_string(),
            "{aggregation}: {line}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let folder = Folder::new();
    let weights = |name: &str, more: &[&str]| {
        let trained = folder.train(
            name,
            &[&["--epochs", "2", "--device", "flex"], more].concat(),
        );
        assert!(
            trained.status.success(),
            "{}",
            String::from_utf8_lossy(&trained.stderr)
        );
        fs::read(folder.path(&format!("{name}/model.safetensors"))).unwrap()
    };
    let first = weights("a", &[]);
    assert!(first == weights("b", &[]));
    assert!(first != weights("c", &["--seed", "7"]));
    let accumulated = weights(
        "d",
        &[
            "--batch-size",
            "1",
            "--gradient-accumulation-steps",
            "2",
            "--shuffle",
            "false",
        ],
    );
    assert!(first != accumulated);
}

#[test]
fn constrained_decoding_predicts_well_formed_sequences_only() {
    let folder = Folder::new();
    // A model that has hardly learnt: its tags are wild.
    let trained = folder.train("out", &["--max-steps", "3"]);
    assert!(trained.status.success());
    let (out, data) = (folder.path("out"), folder.path("train.conll"));
    let invalid = |decode: &str| {
        let predictions = folder.path(&format!("{decode}.conll"));
        let from_model = ["evaluate", "--model", &out, "--data", &data, "--quiet"];
        let options = ["--decode", decode, "--predictions", &predictions];
        let report = stdout(&[&from_model[..], &options, &["--format", "json"]].concat());
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let text = folder.read(&format!("{decode}.conll"));
        let tags = |sentence: &str| -> Vec<String> {
            let tag = |line: &str| line.split(' ').next_back().unwrap().to_owned();
            sentence.lines().map(tag).collect()
        };
        let sentences = text.trim_end().split("\n\n").map(tags);
        let scheme = ner_metrics::Scheme::Iob2;
        let invalid = sentences.map(|tags| scheme.invalid_transitions(&tags).unwrap());
        let ill_formed = invalid.filter(|&transitions| transitions > 0).count();
        assert_eq!(report["ill_formed_sentences"], ill_formed);
        ill_formed
    };
    assert!(invalid("argmax") > 0);
    assert_eq!(invalid("constrained"), 0);

    // In running text, every entity begins with a B-, without asking for it.
    let words = stdout(&[
        "predict",
        "--model",
        &out,
        "--format",
        "conll",
        "Ana Paz vive en Lima.",
        "El Banco de Lima cierra.",
    ]);
    for sentence in words.trim_end().split("\n\n") {
        let tags: Vec<&str> = sentence
            .lines()
            .map(|line| line.split(' ').next_back().unwrap())
            .collect();
        assert_eq!(
            ner_metrics::Scheme::Iob2
                .invalid_transitions(&tags)
                .unwrap(),
            0,
            "{tags:?}"
        );
    }

    // Training's own evaluation decodes so too: in a scheme whose entities end with tags that the model lacks there can be none.
    let iobes = ["--decode-scheme", "iobes"];
    for (output, decode, f1) in [
        ("default", &[][..], "f1 = 1"),
        ("free", &["--decode", "argmax"][..], "f1 = 1"),
        ("bound", &iobes[..], "f1 = 0\n"),
    ] {
        let trained = folder.train(output, &[&["--epochs", "40"], decode].concat());
        assert!(trained.status.success());
        let results = folder.read(&format!("{output}/eval_results.txt"));
        assert!(results.starts_with(f1), "{output}: {results}");
    }
    let refused = folder.train("scheme", &["--decode-scheme", "iob1000"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn dropout_can_be_set_for_a_run() {
    let folder = Folder::new();
    let of = |output: &str| {
        let trained = folder.train(output, &["--max-steps", "2", "--dropout", "0"]);
        assert!(trained.status.success());
        let config: Value =
            serde_json::from_str(&folder.read(&format!("{output}/config.json"))).unwrap();
        assert_eq!(
            (
                &config["hidden_dropout_prob"],
                &config["classifier_dropout"]
            ),
            (&0.0.into(), &0.0.into())
        );
        folder.read(&format!("{output}/eval_results.txt"))
    };
    assert_eq!(of("a"), of("b"));
    let plain = folder.train("c", &["--max-steps", "2"]);
    assert!(plain.status.success());
    assert_ne!(
        of("d"),
        folder.read("c/eval_results.txt"),
        "dropout acts where it is not switched off"
    );
    let refused = folder.train("e", &["--dropout", "1"]);
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("dropout is 1")
    );
}

#[test]
fn stdin_is_read_and_long_text_is_not_cut() {
    let folder = Folder::new();
    assert!(folder.train("out", &["--epochs", "40"]).status.success());
    let long = "Ana Paz vive en Lima . ".repeat(400);
    let mut child = Command::new(env!("CARGO_BIN_EXE_ner-cli"))
        .args([
            "predict",
            "--model",
            &folder.path("out"),
            "--format",
            "jsonl",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(format!("{long}\n\nAna Paz vive en Lima .\n").as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3, "one line a text, the empty one included");
    let entities = lines[0]["entities"].as_array().unwrap();
    let last = entities.last().unwrap()["end"].as_u64().unwrap();
    assert!(
        last > 22 * 399,
        "entities are found to the end of the text, the last at {last}"
    );
    assert_eq!(lines[1]["entities"].as_array().unwrap().len(), 0);
}

#[test]
fn preprocess_splits_and_keeps_columns() {
    let folder = Folder::new();
    let long = folder.write("long.conll", &"Ana NP B-PER\n".repeat(12));
    let model = folder.path("model");
    let split = stdout(&[
        "preprocess",
        &long,
        "--tokenizer",
        &model,
        "--max-length",
        "10",
        "--columns",
        "1,-1",
        "--word-boundary",
        "none",
    ]);
    let sentences: Vec<&str> = split.trim_end().split("\n\n").collect();
    assert!(sentences.len() > 1, "{split}");
    assert_eq!(
        split
            .lines()
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>(),
        ["Ana B-PER"; 12]
    );
    let message = failure(
        1,
        &[
            "preprocess",
            &long,
            "--tokenizer",
            &model,
            "--max-length",
            "2",
        ],
    );
    assert!(message.contains('2'), "{message}");
}

#[test]
fn errors_are_shown_with_their_lines() {
    let folder = Folder::new();
    let gold = folder.write(
        "gold.conll",
        "El O\nBanco B-ORG\nde I-ORG\nLima I-ORG\n\nAna B-PER\nvive O\nen O\nCruz B-LOC\n",
    );
    let pred = folder.write(
        "pred.conll",
        "El O\nBanco B-ORG\nde O\nLima B-LOC\n\nAna B-PER\nvive O\nen B-MISC\nCruz B-PER\n",
    );
    let evaluate = ["evaluate", "--gold", &gold, "--pred", &pred, "--errors"];
    let text = stdout(&evaluate);
    for line in [
        "  strict          1         2         0         0         2      0.20      0.33      0.25",
        "4 errors",
        "       1 wrong type",
        "       1 wrong boundary",
        "       2 spurious",
        "   LOC      0      0      0      0      1",
        &format!("{gold}:2: wrong boundary: ORG `Banco de Lima` predicted as ORG `Banco`"),
        &format!("{gold}:4: spurious LOC `Lima`"),
        &format!("{gold}:8: spurious MISC `en`"),
        &format!("{gold}:9: wrong type: LOC `Cruz` predicted as PER `Cruz`"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let csv = stdout(&[&evaluate[..], &["--format", "csv"]].concat());
    assert!(csv.contains("9,wrong type,LOC,Cruz,PER,Cruz\n"), "{csv}");
    for line in [
        "strict,1,2,0,0,2,0.2,0.3333333333333333,0.25",
        "LOC,PER,1",
        "length,3 tokens,0.0,0.0,0.0,1",
    ] {
        assert!(csv.lines().any(|found| found == line), "{line}\n{csv}");
    }
    let json = stdout(&[&evaluate[..], &["--format", "json"]].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["errors"]["errors"][3]["kind"], "wrong-type");
    assert_eq!(json["errors"]["schemes"]["overall"]["exact"]["correct"], 2);
}

#[test]
fn sentences_that_were_cut_are_scored_as_they_were() {
    let folder = Folder::new();
    // The second word has no sub-word, and the cut falls into the entity.
    let gold = folder.write(
        "gold.conll",
        "Banco B-ORG\n\u{200b} I-ORG\nde I-ORG\nLima I-ORG\n\nEva B-PER\n",
    );
    let cut = folder.write(
        "cut.conll",
        "Banco B-ORG\nde I-ORG\n\nLima I-ORG\n\nEva O\n",
    );
    let report = stdout(&[
        "evaluate", "--gold", &gold, "--pred", &cut, "--rejoin", "--format", "json",
    ]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let micro = &report["entity"]["micro"];
    assert_eq!(
        (&micro["support"], &micro["recall"]),
        (&2.into(), &0.0.into())
    );

    let whole = folder.write(
        "whole.conll",
        "Banco B-ORG\nde I-ORG\nLima I-ORG\n\nEva B-PER\n",
    );
    let report = stdout(&[
        "evaluate", "--gold", &whole, "--pred", &cut, "--rejoin", "--format", "json",
    ]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["entity"]["micro"]["recall"], 0.5);

    for (pred, expected) in [
        (
            "Banco B-ORG\nde I-ORG\nLima I-ORG\nEva O\n",
            "pred.conll:4 has the word `Eva`, which does not follow in the sentence at ",
        ),
        (
            "Banco B-ORG\n\nRíos O\n",
            "pred.conll:3 has the word `Ríos`, which is not where it should be in ",
        ),
    ] {
        let pred = folder.write("pred.conll", pred);
        let message = failure(
            1,
            &["evaluate", "--gold", &whole, "--pred", &pred, "--rejoin"],
        );
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn preprocess_without_splitting_only_chooses_columns() {
    let folder = Folder::new();
    let long = folder.write("long.conll", &"Ana NP B-PER\n".repeat(300));
    let output = stdout(&["preprocess", &long, "--no-split", "--columns", "1,3"]);
    assert_eq!(output, "Ana B-PER\n".repeat(300) + "\n");
    failure(2, &["preprocess", &long]);
}

#[test]
fn labels_are_sorted_and_unique() {
    let folder = Folder::new();
    let data = folder.path("train.conll");
    assert_eq!(
        stdout(&["labels", &data, &data]),
        "B-LOC\nB-ORG\nB-PER\nI-ORG\nI-PER\nO\n"
    );
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [
        &["train"][..],
        &["nonsense"],
        &["evaluate", "--gold", "a"],
        &["predict", "--aggregation", "mean"],
    ] {
        failure(2, arguments);
    }
    let message = failure(2, &["predict", "--model", "m", "--device", "tpu", "text"]);
    assert!(
        message.contains("expected auto, cuda, cuda:N, flex (also cpu) or ndarray"),
        "{message}"
    );
}

#[test]
fn bad_input_is_one_clear_error() {
    let folder = Folder::new();
    let [model, data, out] = ["model", "train.conll", "out"].map(|name| folder.path(name));
    let empty = folder.write("empty.conll", "");
    let ragged = folder.write("ragged.conll", "Ana B-PER\nvive\n");
    let foreign = folder.write("foreign.conll", "Ana B-PER\n\nLima B-CITY\n");
    let untagged = folder.write("untagged.conll", "Ana\nvive\n");
    let other = folder.write("other.conll", "Eva B-PER\n");
    let no_tokenizer = folder.path("none");
    fs::create_dir(&no_tokenizer).unwrap();
    let full = folder.path("full");
    fs::create_dir(&full).unwrap();
    folder.write("full/file", "");

    let train = |data: &str, output: &str| {
        failure(
            1,
            &[
                "train",
                "--model",
                &model,
                "--train",
                data,
                "--dev",
                data,
                "--output-dir",
                output,
            ],
        )
    };
    let train_with = |name: &str, value: &str| {
        let files = ["--train", &data, "--dev", &data, "--output-dir", &out];
        let model = ["train", "--model", &model, "--device", "flex", name, value];
        failure(1, &[&model[..], &files].concat())
    };
    for (message, expected) in [
        (train(&empty, &out), "empty.conll: holds no sentence"),
        (train_with("--precision", "int8"), "int8 is for inference"),
        (train(&folder.path("missing.conll"), &out), "missing.conll"),
        (train(&ragged, &out), "ragged.conll:2"),
        (
            train(&foreign, &out),
            "foreign.conll:3: tag `B-CITY` is not among the labels B-LOC, B-ORG, B-PER, I-ORG, I-PER, O; this file's tags are B-CITY, B-PER.",
        ),
        (
            train(&untagged, &out),
            "untagged.conll:1: expected a token and a tag",
        ),
        (train(&data, &full), "full: is not empty"),
        (
            failure(1, &["predict", "--model", &no_tokenizer, "text"]),
            "tokenizer.json",
        ),
        (
            failure(1, &["evaluate", "--gold", &data, "--pred", &other]),
            "train.conll:1 has the word `Ana`",
        ),
        (
            failure(1, &["evaluate", "--gold", &other, "--pred", &data]),
            "other.conll:1",
        ),
        (
            failure(
                1,
                &["predict", "--model", &model, "--device", "cuda", "text"],
            ),
            "--features cuda",
        ),
        (
            failure(
                1,
                &["predict", "--model", &model, "--max-length", "600", "text"],
            ),
            "512 positions",
        ),
    ] {
        assert!(
            message.starts_with("error: ") && message.contains(expected),
            "{message}"
        );
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    }
    assert!(
        !Path::new(&out).exists(),
        "a run that cannot start leaves nothing behind"
    );
}

#[test]
fn a_closed_pipe_is_no_error() {
    let folder = Folder::new();
    let data = folder.path("train.conll");
    let mut child = Command::new(env!("CARGO_BIN_EXE_ner-cli"))
        .args(["labels", &data])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn settings_come_from_a_file_and_flags_win() {
    let folder = Folder::new();
    let config = |text: &str| {
        fs::write(folder.path("run.toml"), text).unwrap();
        folder.path("run.toml")
    };
    let path = config(
        "max_steps = 4\nlabel-smoothing = 0.1\nfreeze-embeddings = true\nwarmup-ratio = 0.5\ndecode = \"argmax\"\n",
    );
    let trained = folder.train(
        "a",
        &["--config", &path, "--max-steps", "2", "--warmup-steps", "1"],
    );
    assert!(
        trained.status.success(),
        "{}",
        String::from_utf8_lossy(&trained.stderr)
    );
    let saved: toml::Table = folder.read("a/settings.toml").parse().unwrap();
    assert_eq!(saved["max-steps"].as_integer(), Some(2));
    assert_eq!(saved["label-smoothing"].as_float(), Some(0.1));
    assert_eq!(saved["freeze-embeddings"].as_bool(), Some(true));
    assert_eq!(saved["shuffle"].as_bool(), Some(true));
    assert_eq!(saved["decode"].as_str(), Some("argmax"));
    assert_eq!(
        saved["warmup-steps"].as_integer(),
        Some(1),
        "what the flag excludes is left out"
    );
    assert!(!saved.contains_key("warmup-ratio"));
    let talk = String::from_utf8(trained.stderr).unwrap();
    let named = format!("settings: {}\n", folder.path("a/settings.toml"));
    assert!(talk.contains(&named), "{talk}");

    // The saved settings are a file of settings themselves, and give the same weights.
    let weights = |name: &str| fs::read(folder.path(&format!("{name}/model.safetensors"))).unwrap();
    let again = ner_cli(&[
        "train",
        "--config",
        &folder.path("a/settings.toml"),
        "--output-dir",
        &folder.path("b"),
    ]);
    assert!(
        again.status.success(),
        "{}",
        String::from_utf8_lossy(&again.stderr)
    );
    assert!(weights("a") == weights("b"));
    let ratio = ["--max-steps", "2", "--warmup-ratio", "0.5"];
    assert!(folder.train("r", &ratio).status.success());
    let again = ["--config", &folder.path("r/settings.toml")];
    assert!(folder.train("s", &again).status.success());
    assert!(weights("r") == weights("s"));
    assert!(folder.train("c", &["--max-steps", "2"]).status.success());
    assert!(weights("a") != weights("c"));

    for (text, said) in [
        ("learning_rat = 1.0", "`learning_rat` is no setting"),
        ("config = \"x\"", "`config` is no setting"),
        ("overwrite-output-dir = 3", "true or false"),
        ("shuffle = 3", "--shuffle"),
        ("epochs = ", "run.toml"),
        ("epochs = \"many\"", "--epochs"),
    ] {
        let refused = folder.train("d", &["--config", &config(text)]);
        assert!(!refused.status.success());
        let talk = String::from_utf8(refused.stderr).unwrap();
        assert!(talk.contains(said), "{text}: {talk}");
    }
}

#[test]
fn several_devices_share_a_training() {
    let folder = Folder::new();
    let trained = folder.train("a", &["--devices", "flex,ndarray", "--max-steps", "3"]);
    let talk = String::from_utf8(trained.stderr).unwrap();
    assert!(trained.status.success(), "{talk}");
    assert!(talk.contains("device flex, ndarray"), "{talk}");
    let weights = |name: &str| fs::read(folder.path(&format!("{name}/model.safetensors"))).unwrap();
    assert!(folder.train("b", &["--max-steps", "3"]).status.success());
    assert!(
        weights("a") != weights("b"),
        "each device has a dropout of its own"
    );

    // The saved settings name the devices and not the default of --device, and give the same weights.
    let settings = folder.path("a/settings.toml");
    let again = ner_cli(&[
        "train",
        "--config",
        &settings,
        "--output-dir",
        &folder.path("c"),
    ]);
    let talk = String::from_utf8(again.stderr).unwrap();
    assert!(talk.contains("device flex, ndarray"), "{talk}");
    assert!(weights("a") == weights("c"));
    let table: toml::Table = folder.read("a/settings.toml").parse().unwrap();
    assert_eq!(table["devices"].as_str(), Some("flex,ndarray"));
    assert!(!table.contains_key("device"));

    for (arguments, said) in [
        (
            &["--devices", "flex,tpu"][..],
            "`tpu` is not available: expected auto, cuda, cuda:N, flex (also cpu) or ndarray",
        ),
        (
            &["--devices", "flex,ndarray,flex"],
            "flex is there twice; name each device once",
        ),
        (&["--devices", ""], "expected auto"),
        (
            &["--devices", "flex,ndarray", "--device", "flex"],
            "cannot be used with",
        ),
    ] {
        let refused = folder.train("d", arguments);
        let talk = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{talk}");
        assert!(talk.contains(said), "{arguments:?}: {talk}");
    }
    assert!(!Path::new(&folder.path("d")).exists());
}

#[test]
fn a_run_tells_machines_what_it_tells_people() {
    let folder = Folder::new();
    let flags = [
        "--max-steps",
        "4",
        "--logging-steps",
        "1",
        "--save-steps",
        "2",
        "--eval-all-checkpoints",
    ];
    let trained = folder.train(
        "out",
        &[
            &flags[..],
            &["--log-format", "json", "--class-weights", "balanced"],
        ]
        .concat(),
    );
    let talk = String::from_utf8(trained.stderr).unwrap();
    assert!(trained.status.success(), "{talk}");
    let events: Vec<Value> = talk
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &str| {
        events
            .iter()
            .filter(|event| event["event"] == kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("plan")[0]["words"], 14);
    let steps: Vec<u64> = of("step")
        .iter()
        .map(|event| event["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [1, 2, 3, 4]);
    let [first, .., last] = of("step")[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (&first["total_steps"], &last["seconds_left"]),
        (&json!(4), &json!(0))
    );
    assert!(first["seconds_left"].is_null(), "nothing can be told yet");
    assert_eq!(of("evaluation").len(), 2);
    assert!(of("evaluation")[0]["f1"].is_f64());
    assert!(!of("saved").is_empty());

    let results = folder.read("out/eval_results.txt");
    for line in ["\n2_f1 = ", "\n2_loss = ", "\n4_f1 = "] {
        assert!(results.contains(line), "{line:?} is missing in {results}");
    }
    let rows = folder.read("out/eval_log.csv");
    assert_eq!(rows.lines().count(), 1 + 2, "{rows}");
    let svg = folder.read("out/curves.svg");
    assert_eq!(svg.matches("<polyline").count(), 3, "{svg}");
    let events = names(Path::new(&folder.path("out/tensorboard")));
    assert!(events[0].starts_with("events.out.tfevents."), "{events:?}");

    let loss = |name: &str, more: &[&str]| {
        let trained = folder.train(
            name,
            &[
                &[
                    "--max-steps",
                    "1",
                    "--logging-steps",
                    "1",
                    "--shuffle",
                    "false",
                ],
                more,
            ]
            .concat(),
        );
        assert!(
            trained.status.success(),
            "{}",
            String::from_utf8_lossy(&trained.stderr)
        );
        let log = folder.read(&format!("{name}/train_log.csv"));
        log.lines()
            .nth(1)
            .unwrap()
            .split(',')
            .nth(2)
            .unwrap()
            .to_owned()
    };
    let plain = loss("plain", &[]);
    assert_ne!(loss("balanced", &["--class-weights", "balanced"]), plain);
    assert_ne!(loss("given", &["--class-weights", "O=0.5,B-PER=3"]), plain);
    let refused = folder.train("refused", &["--class-weights", "B-XYZ=2"]);
    let talk = String::from_utf8(refused.stderr).unwrap();
    assert!(talk.contains("`B-XYZ` is not among the labels"), "{talk}");
}

#[test]
fn document_context_is_learnt_remembered_and_ends_with_the_document() {
    // Whether Paz is a person or a place, only the sentence before it tells.
    let person = "-DOCSTART- O\n\nCanta O\nsiempre O\n\nPaz B-PER\n\n";
    let place = "-DOCSTART- O\n\nLlueve O\nallí O\n\nPaz B-LOC\n\n";
    let corpus = [person, place].concat();
    let folder = Folder::with(&corpus);
    let flags = ["--epochs", "80", "--dropout", "0", "--device", "flex"];
    let train = |output: &str, more: &[&str]| {
        let trained = folder.train(output, &[&flags[..], more].concat());
        let talk = String::from_utf8(trained.stderr).unwrap();
        assert!(trained.status.success(), "{talk}");
        (
            folder.read(&format!("{output}/test_results.txt")),
            fs::read(folder.path(&format!("{output}/model.safetensors"))).unwrap(),
        )
    };
    let context = ["--document-context", "16"];
    let (results, weights) = train("out", &context);
    assert!(results.starts_with("f1 = 1\n"), "{results}");
    let (results, alone) = train("alone", &[]);
    assert!(!results.starts_with("f1 = 1\n"), "{results}");
    assert!(weights != alone);

    let config = |output: &str| -> Value {
        serde_json::from_str(&folder.read(&format!("{output}/config.json"))).unwrap()
    };
    assert_eq!(config("out")["document_context"], 16);
    assert!(config("alone").get("document_context").is_none());
    assert_eq!(
        config("out/best")["document_context"],
        16,
        "the best model is one of the run"
    );

    // Use takes it from the model, unless it is told otherwise.
    let (out, data) = (folder.path("out"), folder.path("train.conll"));
    let f1 = |more: &[&str]| {
        let command = [
            "evaluate", "--model", &out, "--data", &data, "--format", "json",
        ];
        let report: Value = serde_json::from_str(&stdout(&[&command[..], more].concat())).unwrap();
        report["entity"]["micro"]["f1"].as_f64().unwrap()
    };
    assert_eq!(f1(&[]), 1.0);
    assert_eq!(f1(&context), 1.0);
    assert!(f1(&["--document-context", "0"]) < 1.0);

    // Without its marks the file is one document, and with more of them each sentence stands alone.
    let bare = folder.write("bare.conll", &corpus.replace("-DOCSTART- O\n\n", ""));
    let split = corpus.replace("\n\nPaz", "\n\n-DOCSTART- O\n\nPaz");
    let split = folder.write("split.conll", &split);
    let predict = |data: &str, more: &[&str]| {
        let command = [
            "predict", "--model", &out, "--input", data, "--format", "jsonl",
        ];
        stdout(&[&command[..], &["--input-format", "conll"], more].concat())
    };
    let marked = predict(&data, &[]);
    assert!(marked.contains("PER") && marked.contains("LOC"), "{marked}");
    assert_ne!(predict(&bare, &[]), marked);
    assert_ne!(predict(&split, &[]), marked);
    let none = ["--document-context", "0"];
    assert_eq!(predict(&split, &[]), predict(&data, &none));
    let trained_bare = train("bare", &[&context[..], &["--train", &bare]].concat());
    assert!(trained_bare.1 != weights);

    // A plain text stands alone.
    let text = |more: &[&str]| {
        let command = ["predict", "--model", &out, "--format", "jsonl"];
        stdout(&[&command[..], more, &["Canta siempre", "Paz"]].concat())
    };
    assert_eq!(text(&[]), text(&none));
}

#[test]
fn what_is_written_is_none_of_what_is_read() {
    let folder = Folder::new();
    let (train, model) = (folder.path("train.conll"), folder.path("model"));
    let texts = folder.path("texts.txt");
    folder.write("texts.txt", "Ana Paz: ana@ejemplo.es\n");
    let before = (fs::read(&train).unwrap(), fs::read(&texts).unwrap());
    let link = folder.path("link.conll");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&train, &link).unwrap();
    #[cfg(not(unix))]
    fs::copy(&train, &link).unwrap();
    let pattern = folder.path("te?ts.txt");
    let new = folder.path("new");
    let cases: [&[&str]; 7] = [
        &[
            "evaluate",
            "--model",
            &model,
            "--data",
            &train,
            "--predictions",
            &train,
        ],
        &[
            "evaluate", "--gold", &train, "--pred", &train, "--output", &train,
        ],
        &[
            "labels",
            &train,
            "-o",
            if cfg!(unix) { &link } else { &train },
        ],
        &[
            "predict", "--model", &model, "--input", &pattern, "-o", &texts,
        ],
        &["redact", "--input", &texts, "--output", &texts],
        &[
            "redact", "--input", &texts, "--map", &texts, "--output", &new,
        ],
        &["redact", "--input", &texts, "--map", &new, "--output", &new],
    ];
    for arguments in cases {
        let message = failure(1, arguments);
        assert!(
            message.contains("is the file of") && message.contains("name another"),
            "{arguments:?}: {message}"
        );
    }
    assert_eq!(
        before,
        (fs::read(&train).unwrap(), fs::read(&texts).unwrap())
    );
    assert!(!Path::new(&new).exists());
    // Nor is a device, or stdout, one file with itself.
    stdout(&["labels", &train, "-o", "-"]);
    stdout(&["labels", &train, "-o", "/dev/null"]);
}
