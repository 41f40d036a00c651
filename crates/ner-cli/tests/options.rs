//! What the options of `train` that are no settings of the training itself do.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Words outside ASCII, so that an encoding matters.
const CORPUS: &str = "Íñigo B-PER\nPérez I-PER\nvive O\nen O\nPerú B-LOC\n. O\n\nEl O\nBanco B-ORG\nde I-ORG\nPerú I-ORG\ncierra O\n. O\n\nLlovió O\n. O\n";

/// A folder with a small corpus and a small model with a byte-level tokenizer.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.path("train.conll"), CORPUS).unwrap();
        let sizes = "--layers 1 --hidden 16 --heads 2 --intermediate 32 --vocab-size 300";
        let [data, model] = ["train.conll", "model"].map(|name| folder.path(name));
        let made = Command::new(env!("CARGO_BIN_EXE_ner-cli"))
            .args(["new-model", "--quiet"])
            .args(sizes.split(' '))
            .args(["--train".as_ref(), data.as_os_str()])
            .args(["--output".as_ref(), model.as_os_str()])
            .status();
        assert!(made.unwrap().success());
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    fn weights(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name).join("model.safetensors")).unwrap()
    }

    /// Four steps on the corpus into `output`.
    fn train(&self, output: &str, more: &[&str]) -> Output {
        self.train_on("train.conll", output, more)
    }

    fn train_on(&self, data: &str, output: &str, more: &[&str]) -> Output {
        let steps = "--max-steps 4 --batch-size 2 --learning-rate 0.01 --device flex";
        let mut command = Command::new(env!("CARGO_BIN_EXE_ner-cli"));
        command.arg("train").args(steps.split(' '));
        for (flag, name) in [
            ("--model", "model"),
            ("--train", data),
            ("--dev", data),
            ("--test", data),
            ("--output-dir", output),
        ] {
            command.arg(flag).arg(self.path(name));
        }
        command.args(more).stdin(Stdio::null()).output().unwrap()
    }

    /// As [`train`](Self::train), but it must succeed. Returns what it said.
    fn trained(&self, output: &str, more: &[&str]) -> String {
        succeeded(&self.train(output, more))
    }
}

/// What a command that must have succeeded said.
fn succeeded(output: &Output) -> String {
    let talk = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(output.status.success(), "{talk}");
    talk
}

#[test]
fn labels_come_from_the_file_that_is_given() {
    let folder = Folder::new();
    let labels = "B-MISC\nB-PER\nI-PER\nB-LOC\nB-ORG\nI-ORG\n";
    let path = folder.path("labels.txt");
    fs::write(&path, labels).unwrap();
    folder.trained("own", &[]);
    folder.trained("given", &["--labels", path.to_str().unwrap()]);
    let labels_of = |model: &str| -> Vec<String> {
        let config = folder.json(&format!("{model}/config.json"));
        let names = config["id2label"].as_object().unwrap().values();
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        labels_of("own"),
        ["B-LOC", "B-ORG", "B-PER", "I-ORG", "I-PER", "O"],
        "the model's"
    );
    // O comes first where the file lacks it.
    let expected: Vec<&str> = ["O"].into_iter().chain(labels.lines()).collect();
    assert_eq!(labels_of("given"), expected);
    assert_eq!(labels_of("given/best"), expected);
}

#[test]
fn what_is_seldom_meant_is_noted_before_the_first_step() {
    let folder = Folder::new();
    let notes = |said: &str| -> Vec<String> {
        let begin = said.split("model: ").next().unwrap(); // what is said at the end is of another kind
        let notes = begin.lines().filter_map(|line| line.strip_prefix("note: "));
        notes.map(str::to_owned).collect()
    };
    // The same file three times, four steps of a new classifier, and a rate that no encoder survives.
    fs::write(
        folder.path("bare.conll"),
        CORPUS.replace("B-", "").replace("I-", ""),
    )
    .unwrap();
    let labels = folder.path("labels.txt");
    fs::write(&labels, "O\nPER\nLOC\nORG\nMISC\n").unwrap();
    let labels = ["--labels", labels.to_str().unwrap()];
    let said = succeeded(&folder.train_on("bare.conll", "odd", &labels));
    assert!(
        said.contains("no entity of the development data was found right"),
        "{said}"
    );
    let found = notes(&said);
    let expected = [
        "a learning rate of 0.01 is far above the usual",
        "4 steps are few: a new classifier learns little in fewer than about 100; raise --max-steps",
        "tags without a position letter such as B- or I-: LOC, ORG, PER",
        "3 of the 3 sentences of bare.conll stand word for word in the training data", // once, of development and test data
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
    // Other data and a usual rate, of a classifier that knows these labels.
    let other = CORPUS
        .replace("Pérez", "Soto")
        .replace("cierra", "abre")
        .replace("Llovió", "Nevó");
    fs::write(folder.path("other.conll"), other).unwrap();
    let other = folder.path("other.conll");
    let other = other.to_str().unwrap();
    let usual = ["--dev", other, "--test", other, "--lr", "1e-3"];
    assert_eq!(notes(&folder.trained("usual", &usual)), [""; 0]);
}

#[test]
fn slips_of_a_first_try_are_answered() {
    let folder = Folder::new();
    let refusal = |output: Output| {
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    fs::write(
        folder.path("header.conll"),
        format!("token\ttag\n{}", CORPUS.replace(' ', "\t")),
    )
    .unwrap();
    let said = refusal(folder.train_on("header.conll", "h", &[]));
    assert!(
        said.contains(
            "header.conll:1: `token` with the tag `tag` looks like the names of the columns"
        ),
        "{said}"
    );
    let check = Command::new(env!("CARGO_BIN_EXE_ner-cli"))
        .arg("check")
        .arg(folder.path("header.conll"))
        .output()
        .unwrap();
    let found = String::from_utf8(check.stdout).unwrap();
    assert!(
        found.contains("looks like the names of the columns"),
        "{found}"
    );
    // The words of CoNLL-U are in its second column.
    let numbers = "1 Ana B-PER\n2 vive O\n\n1 Llueve O\n";
    fs::write(folder.path("numbers.conll"), numbers).unwrap();
    let labels = folder.path("labels.txt");
    fs::write(&labels, "O\nB-PER\n").unwrap();
    let labels = ["--labels", labels.to_str().unwrap()];
    let said = succeeded(&folder.train_on("numbers.conll", "numbers", &labels));
    assert!(said.contains("note: the words are 1, 2, 3"), "{said}");
    let said = refusal(folder.train("new", &["--resume"]));
    assert!(
        said.contains("no run to go on with; leave out --resume"),
        "{said}"
    );
    let run = |arguments: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ner-cli"));
        command
            .current_dir(folder.path(""))
            .args(arguments)
            .output()
            .unwrap()
    };
    let said = refusal(run(&["info", "model/best"]));
    assert!(
        said.contains("model/best: no such directory, though model is one"),
        "{said}"
    );
    // A name of a column file is read as one, and a text that is a file's name is told.
    folder.trained("out", &[]);
    let tagged = run(&[
        "predict",
        "--model",
        "out",
        "--input",
        "train.conll",
        "--format",
        "conll",
    ]);
    succeeded(&tagged);
    let lines = String::from_utf8(tagged.stdout).unwrap();
    let words = |text: &str| -> Vec<String> {
        let words = text.lines().filter_map(|line| line.split(' ').next());
        words.map(str::to_owned).collect()
    };
    assert_eq!(words(lines.trim_end()), words(CORPUS.trim_end()));
    let said = succeeded(&run(&["predict", "--model", "out", "train.conll"]));
    assert!(said.contains("give --input train.conll"), "{said}");
}

#[test]
fn a_negative_number_is_refused_by_the_check_of_its_setting() {
    let folder = Folder::new();
    let refusal = |code: i32, more: &[&str]| {
        let output = folder.train("out", more);
        assert_eq!(output.status.code(), Some(code), "{more:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for (flag, number) in [
        ("--learning-rate", "-1"),
        ("--lr", "-5e-5"),
        ("--weight-decay", "-0.1"),
        ("--dropout", "-0.5"),
    ] {
        let [apart, joined] = [
            refusal(1, &[flag, number]),
            refusal(1, &[&format!("{flag}={number}")]),
        ];
        assert_eq!(apart, joined);
        assert!(!apart.contains("unexpected argument"), "{apart}");
    }
    let said = refusal(1, &["--learning-rate", "-1"]);
    assert!(said.starts_with("error: --learning-rate: "), "{said}");
    let said = refusal(2, &["--epochs", "-1"]);
    assert!(said.contains("invalid value '-1' for '--epochs"), "{said}");
}

#[test]
fn a_warm_up_runs_and_leaves_nothing() {
    let folder = Folder::new();
    let before = fs::read_dir(folder.path("model")).unwrap().count();
    let run = |more: &[&str]| -> Output {
        Command::new(env!("CARGO_BIN_EXE_ner-cli"))
            .args(["warm-up", "--device", "flex", "--model"])
            .arg(folder.path("model"))
            .args(more)
            .output()
            .unwrap()
    };
    let said = succeeded(&run(&[]));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "device flex");
    assert!(
        lines[1].starts_with("f32: two steps of training "),
        "{said}"
    );
    assert!(lines[2].starts_with("bf16: "), "{said}"); // times, or that this processor has none
    assert_eq!(lines.len(), 3, "{said}");
    let after = fs::read_dir(folder.path("model")).unwrap().count();
    assert_eq!(after, before, "the model's directory");
    assert!(
        !run(&["--precision", "int8"]).status.success(),
        "nothing trains in int8"
    );
}

#[test]
fn the_word_boundary_is_chosen_and_remembered() {
    let folder = Folder::new();
    let with = |output: &str, more: &[&str]| -> (u64, String) {
        let talk = folder.trained(output, &[&["--log-format", "json"], more].concat());
        let events = talk.lines().map(|line| serde_json::from_str(line).unwrap());
        let plan = events
            .into_iter()
            .find(|event: &Value| event["event"] == "plan");
        let saved = folder.json(&format!("{output}/tokenizer_config.json"));
        (
            plan.unwrap()["subwords"].as_u64().unwrap(),
            saved["word_boundary"].as_str().unwrap().to_owned(),
        )
    };
    let (spaced, saved) = with("spaced", &[]);
    assert_eq!(saved, "prefix-space", "the model's own choice");
    let (bare, saved) = with("bare", &["--word-boundary", "none"]);
    assert_eq!(saved, "none");
    // Most words are too rare to have a sub-word of their own with the space: without it they are one byte shorter.
    assert!(bare < spaced, "{bare} {spaced}");
    assert!(folder.weights("bare") != folder.weights("spaced"));
}

#[test]
fn a_full_directory_is_written_into_only_when_asked_for() {
    let folder = Folder::new();
    fs::create_dir(folder.path("out")).unwrap();
    fs::write(folder.path("out/note.txt"), "mine").unwrap();
    let refused = folder.train("out", &[]);
    assert_eq!(refused.status.code(), Some(1));
    let talk = String::from_utf8(refused.stderr).unwrap();
    assert!(talk.contains("is not empty"), "{talk}");
    assert!(!folder.path("out/model.safetensors").exists());

    folder.trained("out", &["--overwrite-output-dir"]);
    folder.trained("new", &[]);
    assert!(folder.weights("out") == folder.weights("new"));
    assert_eq!(folder.text("out/note.txt"), "mine");
}

#[test]
fn a_run_goes_on_at_the_checkpoint_that_is_named() {
    let folder = Folder::new();
    folder.trained("whole", &["--save-steps", "1"]);
    let checkpoint = folder.path("whole/checkpoint-2");
    // Into another directory, which has no checkpoint, and not from the latest of the first one.
    let talk = folder.trained("rest", &["--resume", checkpoint.to_str().unwrap()]);
    assert!(talk.contains("going on after step 2"), "{talk}");
    assert!(folder.weights("rest") == folder.weights("whole"));
    // The steps after it, and no others, are of the new run.
    let rows = folder.text("rest/eval_log.csv");
    let steps: Vec<&str> = rows
        .lines()
        .skip(1)
        .map(|row| row.split(',').next().unwrap())
        .collect();
    assert_eq!(steps, ["4"], "{rows}");
}

#[test]
fn quiet_says_nothing_and_changes_nothing() {
    let folder = Folder::new();
    let steps = ["--logging-steps", "1"];
    assert!(!folder.trained("loud", &steps).is_empty());
    for (output, format) in [("text", "text"), ("json", "json")] {
        let quiet = ["--quiet", "--log-format", format];
        let trained = folder.train(output, &[&steps[..], &quiet].concat());
        assert_eq!(succeeded(&trained), "");
        assert!(trained.stdout.is_empty());
        assert!(folder.weights(output) == folder.weights("loud"));
    }
    // Errors are said all the same.
    let refused = folder.train("loud", &["--quiet"]);
    assert!(!refused.status.success());
    assert!(refused.stderr.starts_with(b"error: "));
}

/// A file that needs all four options: tokens and tags in inner columns, a space within the first one, Latin-1.
#[test]
fn columns_separator_and_encoding_say_how_a_file_is_read() {
    let folder = Folder::new();
    let lines = CORPUS.lines().map(|line| match line.split_once(' ') {
        Some((token, tag)) => format!("w {}\t{token}\t{tag}\tx\n", token.len()),
        None => "\n".to_owned(),
    });
    let table: String = lines.collect();
    // Code points up to U+00FF are Latin-1's bytes.
    let bytes: Vec<u8> = table.chars().map(|c| u8::try_from(c).unwrap()).collect();
    fs::write(folder.path("table.tsv"), bytes).unwrap();

    folder.trained("plain", &[]);
    let layout = [
        ["--token-column", "2"],
        ["--tag-column", "3"],
        ["--separator", "tab"],
        ["--encoding", "iso-8859-1"],
    ];
    succeeded(&folder.train_on("table.tsv", "table", &layout.concat()));
    assert!(folder.weights("table") == folder.weights("plain"));
    for name in ["test_results.txt", "test_predictions.txt"] {
        let [table, plain] = ["table", "plain"].map(|run| folder.text(&format!("{run}/{name}")));
        // What is written has the separator of what was read.
        assert_eq!(table.replace('\t', " "), plain, "{name}");
    }
    // Each of them is needed.
    for left_out in 0..layout.len() {
        let mut fewer = layout.to_vec();
        fewer.remove(left_out);
        let output = format!("without-{left_out}");
        let trained = folder.train_on("table.tsv", &output, &fewer.concat());
        assert!(
            !trained.status.success() || folder.weights(&output) != folder.weights("plain"),
            "{:?}",
            layout[left_out]
        );
    }
}
