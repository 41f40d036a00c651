//! Whole runs with a stand-in for `ner-cli` that writes what each command would write.

#![allow(clippy::unwrap_used)]

use std::{
    cell::{Cell, RefCell},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    reproduce::{Args, Surroundings, command_line::CommandLine, folder::Folder, lock, reproduce},
    usage::UsageError,
};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// A workspace with a tiny corpus, and a record of the commands that were run in it.
struct Bench {
    workspace: TempDir,
    commands: RefCell<Vec<String>>,
    /// This command writes some of its files and fails.
    fails: Cell<Option<&'static str>>,
    /// Training could not write its page.
    leaves_no_page: Cell<bool>,
}

impl Bench {
    fn new() -> Self {
        let workspace = tempfile::tempdir().unwrap();
        let corpus = workspace.path().join("fixtures/quickstart");
        fs::create_dir_all(&corpus).unwrap();
        for split in ["train", "dev", "test"] {
            fs::write(
                corpus.join(split).with_extension("conll"),
                format!("Ana B-PER\n{split} O\n\n"),
            )
            .unwrap();
        }
        let encoder = workspace.path().join("fixtures/encoder");
        write_model(&encoder, "pretrained").unwrap();
        Self {
            workspace,
            commands: RefCell::default(),
            fails: Cell::default(),
            leaves_no_page: Cell::default(),
        }
    }

    /// Runs with these arguments; which commands of `ner-cli` ran is in the second part.
    fn run(&self, args: &[&str]) -> (Result<String>, Vec<String>) {
        self.commands.borrow_mut().clear();
        let args = Cli::parse_from([&["reproduce"], args].concat()).args;
        let surroundings = Surroundings {
            workspace: self.workspace.path().to_owned(),
            ner_cli: &|line| self.ner_cli(line),
            hub: ner_cli::hub::Hub {
                cache: self.workspace.path().join("cache"),
                endpoint: "http://127.0.0.1:1".to_owned(),
                token: None,
                offline: true,
                back_off: std::time::Duration::ZERO,
            },
        };
        let result = reproduce(&args, &surroundings);
        (result, self.commands.borrow().clone())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.workspace.path().join("runs/quickstart").join(path)
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path(path)).unwrap()).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("logs/reproduce.log")).unwrap()
    }

    fn ner_cli(&self, line: &CommandLine) -> Result<()> {
        let args: Vec<&str> = line
            .args()
            .iter()
            .map(|arg| arg.to_str().unwrap())
            .collect();
        let command = args[1];
        let goes_on = args.contains(&"--resume");
        let recorded = format!("{command}{}", if goes_on { " --resume" } else { "" });
        self.commands.borrow_mut().push(recorded);
        let option = |name: &str| {
            args.iter()
                .position(|arg| *arg == name)
                .map(|i| args[i + 1])
        };
        let path = |name: &str| {
            PathBuf::from(option(name).unwrap_or_else(|| panic!("{line} lacks {name}")))
        };
        match command {
            "preprocess" => {
                if !args.contains(&"--no-split") {
                    assert!(path("--tokenizer").join("tokenizer.json").is_file());
                }
                fs::copy(args[2], path("--output"))?;
            }
            "labels" => fs::write(path("--output"), "B-PER\nO\n")?,
            "new-model" => write_model(&path("--output"), option("--layers").unwrap())?,
            "train" => {
                let folder = path("--output-dir");
                if !goes_on {
                    write_model(&folder, option("--epochs").unwrap_or("3"))?;
                }
                let page =
                    json!({"title": "output", "facts": [{"name": "decoding", "value": "argmax"}]});
                if !self.leaves_no_page.get() {
                    fs::write(folder.join("report.json"), page.to_string())?;
                }
            }
            "evaluate" => {
                if args.contains(&"--as-text") {
                    assert!(option("--data").unwrap().contains("data/raw/"));
                } else if option("--model").is_some() {
                    fs::copy(path("--data"), path("--predictions"))?;
                } else {
                    assert!(path("--gold").is_file() && path("--pred").is_file());
                }
                let scores =
                    |f1: f64| json!({"precision": 0.5, "recall": 0.25, "f1": f1, "support": 4});
                let f1 = if option("--mode") == Some("strict") {
                    0.125
                } else if args.contains(&"--rejoin") {
                    assert!(option("--gold").unwrap().contains("data/raw/"));
                    0.625
                } else if args.contains(&"--as-text") {
                    0.6875
                } else {
                    0.75
                };
                let row = json!({"type": "PER", "precision": 0.5, "recall": 0.25, "f1": f1, "support": 4, "predicted": 2, "correct": 1});
                let report = json!({"entity": {"per_type": [row], "micro": scores(f1)}, "token": {"per_tag": [], "accuracy": 0.875},
                    "decoding": "constrained to iob2", "sentences": 3, "cut_alike": 2, "out_of_reach": 1});
                let text = if option("--format") == Some("json") {
                    report.to_string()
                } else {
                    format!("{} of {line}\n", option("--report").unwrap())
                };
                fs::write(path("--output"), text)?;
            }
            "predict" => {
                let entity = json!({"entity_group": "PER", "score": 0.5, "word": "Steven Mnuchin", "start": 0, "end": 14});
                fs::write(
                    path("--output"),
                    json!({"text": args[4], "entities": [entity]}).to_string(),
                )?;
            }
            _ => panic!("unknown command: {line}"),
        }
        if self.fails.get() == Some(command) {
            bail!("out of memory");
        }
        Ok(())
    }
}

fn write_model(folder: &Path, weights: &str) -> Result<()> {
    fs::create_dir(folder)?;
    fs::write(folder.join("config.json"), "{}")?;
    fs::write(folder.join("tokenizer.json"), "{}")?;
    fs::write(folder.join("train_log.csv"), "step\n")?;
    Ok(fs::write(folder.join("model.safetensors"), weights)?)
}

const PREPROCESS: [&str; 4] = ["preprocess", "preprocess", "preprocess", "labels"];
const EVALUATE: [&str; 16] = ["evaluate"; 16];

fn evaluation() -> Vec<&'static str> {
    [&EVALUATE[..], &["predict"]].concat()
}

#[test]
fn a_run_leaves_report_and_manifest() {
    let bench = Bench::new();
    let (result, commands) = bench.run(&["--device", "flex"]);
    let summary = result.unwrap();
    assert_eq!(
        commands,
        [&PREPROCESS[..], &["train"], &evaluation()].concat()
    );

    let report = bench.json("report.json");
    for split in ["dev", "test"] {
        for (key, value) in [("f1", 0.75), ("precision", 0.5), ("recall", 0.25)] {
            assert_eq!(report[split][key], value);
        }
        assert_eq!(
            report[split]["strict"],
            json!({"precision": 0.5, "recall": 0.25, "f1": 0.125, "support": 4})
        );
        assert_eq!(
            report[split]["per_type"],
            json!([{"type": "PER", "precision": 0.5, "recall": 0.25, "f1": 0.75, "support": 4}])
        );
        assert_eq!(report[split]["token"]["accuracy"], 0.875);
        assert_eq!(
            report[split]["as_text"],
            json!({"precision": 0.5, "recall": 0.25, "f1": 0.6875, "support": 4, "sentences": 3, "cut_alike": 2, "out_of_reach": 1})
        );
    }
    let seconds = report["seconds"].as_object().unwrap();
    assert_eq!(
        seconds.keys().collect::<Vec<_>>(),
        ["download", "preprocess", "train", "evaluate", "total"]
    );
    assert!(
        report["peak_memory_bytes"]
            .as_u64()
            .is_none_or(|bytes| bytes > 1 << 20)
    );

    let manifest = bench.json("manifest.json");
    assert_eq!(
        (&manifest["device"], &manifest["seed"]),
        (&json!("flex"), &json!(42))
    );
    assert_eq!(manifest["settings"]["train"]["max_steps"], Value::Null);
    assert!(
        manifest["versions"]["burn"]
            .as_str()
            .unwrap()
            .starts_with("0.")
    );
    assert_eq!(
        manifest["inputs"]["corpus/test"],
        manifest["stages"]["preprocess"]["inputs"]["data/raw/test.conll"]
    );
    assert!(manifest["stages"]["train"]["outputs"]["output/model.safetensors"].is_string());

    let text = fs::read_to_string(bench.path("report.txt")).unwrap();
    assert!(text.contains("test: tokens, scikit-learn's report") && text.ends_with(&summary));
    assert!(
        summary.contains("this run, as running text")
            && summary.contains("decoding: constrained to iob2")
            && summary.contains("Steven Mnuchin"),
        "{summary}"
    );
    assert!(
        bench
            .log()
            .contains("starts from the pretrained model multilingual-e5-small"),
        "{}",
        bench.log()
    );
}

#[test]
fn a_run_leaves_a_page_with_the_published_figures() {
    let bench = Bench::new();
    let published = "system = \"others\"\nsource = \"a paper\"\ntest = { f1 = 0.4321 }\n";
    let recipe = bench.workspace.path().join("mine.toml");
    let text = format!("base = \"quickstart\"\n[[published]]\n{published}");
    fs::write(&recipe, text).unwrap();
    let out = bench.workspace.path().join("out");
    let arguments = [recipe.to_str().unwrap(), "--out", out.to_str().unwrap()];
    bench.run(&arguments).0.unwrap();
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for part in [
        "<title>mine</title>",
        "<dd><bdi>argmax</bdi></dd>",
        "<bdi>this run, as running text</bdi></th><td class=\"number\">0.5000</td>",
        "<bdi>others</bdi></th>",
        "<td class=\"number\">0.4321</td><td><bdi>a paper</bdi></td>",
    ] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }

    // A page of an earlier run must not outlive what it shows.
    let again = [&arguments[..], &["--from", "evaluate"]].concat();
    bench.fails.set(Some("evaluate"));
    assert!(bench.run(&again).0.is_err());
    assert!(!out.join("report.html").exists());
}

#[test]
fn a_training_without_a_page_has_its_report() {
    let bench = Bench::new();
    bench.leaves_no_page.set(true);
    bench.run(&[]).0.unwrap();
    assert!(bench.path("report.txt").is_file() && !bench.path("report.html").exists());
    assert!(bench.log().contains("page: none"), "{}", bench.log());
}

#[test]
fn a_training_that_was_stopped_goes_on() {
    let bench = Bench::new();
    let stopped = |args: &[&str]| {
        bench.fails.set(Some("train"));
        assert!(bench.run(args).0.is_err());
        bench.fails.set(None);
        fs::create_dir(bench.path("output/checkpoint-3")).unwrap();
    };
    let all = |train| [&[train], &evaluation()[..]].concat();
    stopped(&[]);
    assert!(bench.json("manifest.json")["begun"]["seconds"].is_number());
    let (result, commands) = bench.run(&[]);
    result.unwrap();
    assert_eq!(commands, all("train --resume"));
    assert!(bench.path("output/checkpoint-3").is_dir());
    assert!(bench.json("manifest.json")["begun"].is_null());

    // Other settings, and --from, begin anew.
    stopped(&["--set", "train.epochs=1"]);
    let (_, commands) = bench.run(&["--set", "train.epochs=2"]);
    assert_eq!(commands, all("train"));
    stopped(&["--set", "train.epochs=1"]);
    let (_, commands) = bench.run(&["--set", "train.epochs=1", "--from", "train"]);
    assert_eq!(commands, all("train"));
    // A stop before the first checkpoint too.
    bench.fails.set(Some("train"));
    assert!(bench.run(&["--from", "train"]).0.is_err());
    bench.fails.set(None);
    assert_eq!(bench.run(&[]).1, all("train"));
}

#[test]
fn a_second_run_does_nothing_and_reports_the_same() {
    let bench = Bench::new();
    let first = bench.run(&[]).0.unwrap();
    let report = bench.json("report.json");
    let (second, commands) = bench.run(&[]);
    assert_eq!(second.unwrap(), first);
    assert!(commands.is_empty(), "{commands:?}");
    assert_eq!(bench.json("report.json"), report);
    assert_eq!(bench.log().matches("unchanged, skipped").count(), 4);
}

#[test]
fn a_changed_setting_runs_what_depends_on_it_and_no_more() {
    let bench = Bench::new();
    bench.run(&[]).0.unwrap();
    let (_, commands) = bench.run(&["--set", "train.epochs=1"]);
    assert_eq!(commands, [&["train"], &evaluation()[..]].concat());
    // The model comes out the same, so that its evaluation stands.
    let (_, commands) = bench.run(&["--set", "train.epochs=1", "--set", "train.logging_steps=7"]);
    assert_eq!(commands, ["train"]);
    let (_, commands) = bench.run(&[
        "--set",
        "train.epochs=1",
        "--set",
        "train.logging_steps=7",
        "--set",
        "evaluate.scheme=iobes",
    ]);
    assert_eq!(commands, evaluation());
}

#[test]
fn a_changed_corpus_runs_everything() {
    let bench = Bench::new();
    bench.run(&[]).0.unwrap();
    fs::write(
        bench
            .workspace
            .path()
            .join("fixtures/quickstart/train.conll"),
        "Eva B-PER\n\n",
    )
    .unwrap();
    let (_, commands) = bench.run(&[]);
    assert_eq!(commands[..5], [&PREPROCESS[..], &["train"]].concat());
    assert!(
        bench
            .log()
            .contains("preprocess: runs (data/raw/train.conll changed)"),
        "{}",
        bench.log()
    );
}

#[test]
fn from_runs_that_stage_and_those_after_it() {
    let bench = Bench::new();
    bench.run(&[]).0.unwrap();
    assert_eq!(bench.run(&["--from", "evaluate"]).1, evaluation());
    assert_eq!(
        bench.run(&["--from", "train"]).1,
        [&["train"], &evaluation()[..]].concat()
    );
}

#[test]
fn a_stage_that_failed_half_way_runs_again() {
    let bench = Bench::new();
    bench.run(&[]).0.unwrap();
    bench.fails.set(Some("train"));
    let (result, commands) = bench.run(&["--from", "train"]);
    let error = format!("{:#}", result.unwrap_err());
    assert!(
        error.starts_with("stage train: ner-cli train ") && error.ends_with(": out of memory"),
        "{error}"
    );
    assert_eq!(commands, ["train"]);
    assert!(
        bench.path("output/model.safetensors").is_file(),
        "the stand-in wrote its files before it failed"
    );
    assert!(
        !bench.path("report.json").exists() && !bench.path("report.txt").exists(),
        "the old report no longer holds"
    );

    bench.fails.set(None);
    let (result, commands) = bench.run(&[]);
    result.unwrap();
    assert_eq!(
        commands,
        ["train"],
        "the weights came out as before, so that their evaluation stands"
    );
    assert!(bench.path("report.json").is_file());
}

#[test]
fn results_that_were_touched_are_made_again() {
    let bench = Bench::new();
    bench.run(&[]).0.unwrap();
    fs::write(bench.path("output/model.safetensors"), "spoiled").unwrap();
    assert_eq!(bench.run(&[]).1, ["train"]);
    fs::remove_file(bench.path("data/labels.txt")).unwrap();
    assert_eq!(bench.run(&[]).1, PREPROCESS);
}

#[test]
fn a_folder_that_is_no_run_is_left_alone() {
    let bench = Bench::new();
    let own = bench.workspace.path().join("own");
    fs::create_dir_all(own.join("data")).unwrap();
    let (result, commands) = bench.run(&["--out", own.to_str().unwrap()]);
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("is not empty and holds no run")
    );
    assert!(commands.is_empty() && own.join("data").is_dir());
    assert_eq!(fs::read_dir(&own).unwrap().count(), 1);
}

#[test]
fn a_folder_of_another_recipe_is_left_alone() {
    let bench = Bench::new();
    bench.run(&[]).0.unwrap();
    let (result, _) = bench.run(&[
        "conll2002-small",
        "--offline",
        "--out",
        bench.path("").to_str().unwrap(),
    ]);
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("holds a run of recipe quickstart")
    );
    assert!(bench.path("report.json").is_file());
}

#[test]
fn two_runs_do_not_work_in_one_folder() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("")).unwrap();
    let held = lock(&Folder::new(bench.path(""), None)).unwrap();
    assert!(
        bench
            .run(&[])
            .0
            .unwrap_err()
            .to_string()
            .contains("another run is at work")
    );
    drop(held);
    bench.run(&[]).0.unwrap();
}

#[test]
fn offline_without_the_corpus_says_how_to_pass_it() {
    let bench = Bench::new();
    let (result, commands) = bench.run(&["conll2002-small", "--offline"]);
    let error = format!("{:#}", result.unwrap_err());
    assert!(
        error.contains("esp.train")
            && error.contains("--offline")
            && error.contains("--data-dir DIR"),
        "{error}"
    );
    assert!(commands.is_empty());
}

#[test]
fn a_pretrained_model_is_used_where_it_lies() {
    let bench = Bench::new();
    let model = bench.workspace.path().join("spanberta");
    write_model(&model, "pretrained").unwrap();
    let data = bench.workspace.path().join("corpus");
    fs::create_dir_all(&data).unwrap();
    for name in ["esp.train", "esp.testa", "esp.testb"] {
        fs::write(data.join(name), "Ana NP B-PER\n\n").unwrap();
    }
    let args = [
        "spanberta-conll2002",
        "--data-dir",
        data.to_str().unwrap(),
        "--model",
    ];
    let (result, commands) = bench.run(&[&args[..], &[model.to_str().unwrap()]].concat());
    let summary = result.unwrap();
    assert_eq!(commands[..5], [&PREPROCESS[..], &["train"]].concat());
    assert!(
        summary.contains("SpanBERTa, the tutorial") && summary.contains("0.8560"),
        "{summary}"
    );
    let run = bench.workspace.path().join("runs/spanberta-conll2002");
    assert!(!run.join("model").exists());
    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(run.join("manifest.json")).unwrap()).unwrap();
    assert!(manifest["inputs"]["model/model.safetensors"].is_string());

    let moved = bench.workspace.path().join("moved");
    fs::rename(&model, &moved).unwrap();
    let (result, commands) = bench.run(&[&args[..], &[moved.to_str().unwrap()]].concat());
    result.unwrap();
    assert!(
        commands.is_empty(),
        "the same model in another place is the same model: {commands:?}"
    );
}

#[test]
fn a_recipe_from_nothing_makes_its_model() {
    let bench = Bench::new();
    let data = bench.workspace.path().join("corpus");
    fs::create_dir_all(&data).unwrap();
    for name in ["esp.train", "esp.testa", "esp.testb"] {
        fs::write(data.join(name), "Ana NP B-PER\n\n").unwrap();
    }
    let (result, commands) = bench.run(&["conll2002-small", "--data-dir", data.to_str().unwrap()]);
    result.unwrap();
    assert_eq!(commands[0], "new-model");
    assert_eq!(commands[1..6], [&PREPROCESS[..], &["train"]].concat());
    let run = bench.workspace.path().join("runs/conll2002-small");
    assert!(run.join("model/config.json").is_file());
    let log = fs::read_to_string(run.join("logs/reproduce.log")).unwrap();
    assert!(log.contains("starts from nothing: random weights"), "{log}");
    assert!(
        log.contains("  $ ner-cli new-model --kind roberta"),
        "{log}"
    );
}

#[test]
fn a_recipe_file_of_the_users_own_runs() {
    let bench = Bench::new();
    let file = bench.workspace.path().join("mine.toml");
    fs::write(&file, "base = \"quickstart\"\n[train]\nepochs = 5\n").unwrap();
    bench.run(&[file.to_str().unwrap()]).0.unwrap();
    let log =
        fs::read_to_string(bench.workspace.path().join("runs/mine/logs/reproduce.log")).unwrap();
    assert!(log.contains(" --epochs 5 "), "{log}");
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    let bench = Bench::new();
    for args in [
        &["slowstart"][..],
        &["--set", "train.epoch=1"],
        &["--data-dir", "."],
    ] {
        let error = bench.run(args).0.unwrap_err();
        assert!(error.is::<UsageError>(), "{args:?}: {error:#}");
    }
}
