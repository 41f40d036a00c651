//! The invariants of `docs/architecture.md`, held against the dependency tables and the sources.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::CommandFactory;
use serde::Deserialize;

/// What a crate of the workspace may know.
struct Room {
    name: &'static str,
    /// Crates of the workspace that it may use.
    uses: &'static [&'static str],
    /// Crates from elsewhere that it must not use; a trailing `*` stands for any ending.
    avoids: &'static [&'static str],
    /// Those of them that it may use behind a feature, as an optional dependency.
    optional: &'static [&'static str],
}

/// What only the programs that own a terminal may use.
const TERMINAL: [&str; 3] = ["anyhow", "clap", "indicatif"];

const ROOMS: [Room; 13] = [
    Room {
        name: "conll-io",
        uses: &[],
        avoids: &["burn*", "tokenizers", "anyhow", "clap", "indicatif"],
        optional: &[],
    },
    Room {
        name: "subword-align",
        uses: &[],
        avoids: &["burn*", "csv", "anyhow", "clap", "indicatif"],
        optional: &[],
    },
    Room {
        name: "ner-metrics",
        uses: &[],
        avoids: &["burn*", "tokenizers", "csv", "anyhow", "clap", "indicatif"],
        optional: &[],
    },
    Room {
        name: "ner-pages",
        uses: &["ner-metrics"],
        avoids: &["burn*", "tokenizers", "csv", "anyhow", "clap", "indicatif"],
        optional: &[],
    },
    Room {
        name: "model-dir",
        uses: &[],
        avoids: &["burn*", "tokenizers", "csv", "anyhow", "clap", "indicatif"],
        optional: &[],
    },
    Room {
        name: "ner-redact",
        // Spans of text come in and go out, whoever found them.
        uses: &[],
        avoids: &["burn*", "tokenizers", "csv", "anyhow", "clap", "indicatif"],
        optional: &[],
    },
    Room {
        name: "ner-model",
        uses: &["model-dir"],
        avoids: &["tokenizers", "csv", "anyhow", "clap", "indicatif"],
        optional: &[],
    },
    Room {
        name: "ner-tagger",
        // The sentences of a column file go in as they are; it reads none.
        uses: &["conll-io", "ner-metrics", "ner-model", "subword-align"],
        avoids: &["burn*", "tokenizers", "csv", "anyhow", "clap", "indicatif"],
        optional: &[],
    },
    Room {
        name: "ner-serve",
        uses: &["ner-pages", "ner-redact", "ner-tagger"],
        avoids: &["burn*", "tokenizers", "csv", "anyhow", "clap", "indicatif"],
        optional: &[],
    },
    Room {
        name: "ner-datafusion",
        uses: &["ner-tagger"],
        avoids: &["burn*", "tokenizers", "csv", "anyhow", "clap", "indicatif"],
        optional: &[],
    },
    Room {
        name: "ner-train",
        uses: &[
            "conll-io",
            "model-dir",
            "ner-metrics",
            "ner-model",
            "ner-tagger",
            "subword-align",
        ],
        avoids: &["tokenizers", "csv", "anyhow", "clap", "indicatif"],
        // Settings are written once: the structs that it trains by are the flags of a program too. Without the feature there is no
        // clap in it.
        optional: &["clap"],
    },
    Room {
        name: "ner-cli",
        uses: &[
            "conll-io",
            "model-dir",
            "ner-metrics",
            "ner-model",
            "ner-pages",
            "ner-redact",
            "ner-serve",
            "ner-tagger",
            "ner-train",
            "subword-align",
        ],
        avoids: &[],
        optional: &[],
    },
    Room {
        name: "xtask",
        // The benchmark calls what it measures.
        uses: &[
            "conll-io",
            "model-dir",
            "ner-cli",
            "ner-metrics",
            "ner-model",
            "ner-pages",
            "ner-tagger",
            "ner-train",
            "subword-align",
        ],
        avoids: &["burn*", "tokenizers"],
        optional: &[],
    },
];

/// Tasks of `cargo xtask`.
const XTASK: [&str; 3] = ["bench", "help", "reproduce"];

/// The parts used here of what `cargo metadata` writes.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_default_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
    /// Of every kind: normal, build and dev.
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    optional: bool,
}

fn root() -> PathBuf {
    // At run time, so that the test can be pointed at another checkout.
    let manifest_dir = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest_dir.parent().unwrap().to_owned()
}

fn metadata() -> Metadata {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root());
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Commands of `ner-cli`.
fn ner_cli_commands() -> Vec<String> {
    let program = ner_cli::Cli::command();
    let names = program
        .get_subcommands()
        .map(|command| command.get_name().to_owned());
    names.chain(["help".to_owned()]).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |start| name.starts_with(start))
}

#[test]
fn every_crate_has_its_invariants() {
    let metadata = metadata();
    let mut packages: Vec<&str> = metadata
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut rooms: Vec<&str> = ROOMS.iter().map(|room| room.name).collect();
    packages.sort_unstable();
    rooms.sort_unstable();
    assert_eq!(packages, rooms);
}

#[test]
fn crates_use_only_what_they_may_know() {
    let metadata = metadata();
    for package in &metadata.packages {
        let room = ROOMS.iter().find(|room| room.name == package.name).unwrap();
        for Dependency { name, optional } in &package.dependencies {
            let ours = ROOMS.iter().any(|room| room.name == name);
            let allowed = !ours || room.uses.contains(&name.as_str());
            let avoided = room.avoids.iter().any(|pattern| matches(pattern, name));
            let excused = *optional && room.optional.contains(&name.as_str());
            assert!(
                allowed && (!avoided || excused),
                "{} must not use {name}",
                room.name
            );
        }
    }
}

/// Every package that a selection of packages compiles, with its features. What is not on this machine yet, cargo fetches: the crates of a feature
/// that nobody has compiled.
fn compiled(selection: &[&str]) -> BTreeSet<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "tree", "--locked", "--prefix", "none", "--format", "{p} {f}",
        ])
        .args(selection)
        .current_dir(root())
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{talk}");
    let tree = String::from_utf8(output.stdout).unwrap();
    tree.lines()
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect()
}

/// Cargo unifies features over the packages it is asked for: where two commands disagree, Burn is compiled twice.
#[test]
fn the_commands_share_one_compilation() {
    let tests = compiled(&["--edges", "normal,build,dev"]);
    for package in ["xtask", "ner-cli"] {
        let program = compiled(&["--package", package, "--edges", "normal,build"]);
        let alone: Vec<&String> = program.difference(&tests).collect();
        assert!(
            alone.is_empty(),
            "{package} compiles what the tests do not: {alone:?}"
        );
    }
}

/// Features of `ner-cli` add crates, and leave those that everybody compiles as they are.
#[test]
fn the_feature_for_tables_leaves_burn_as_it_is() {
    let tests = compiled(&["--edges", "normal,build,dev"]);
    let with = compiled(&[
        "-p",
        "ner-cli",
        "--features",
        "arrow",
        "--edges",
        "normal,build",
    ]);
    let crate_of = |line: &str| line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ");
    let known: BTreeSet<String> = tests.iter().map(|line| crate_of(line)).collect();
    let new: Vec<&String> = with.difference(&tests).collect();
    assert!(
        new.iter().any(|line| line.starts_with("parquet ")),
        "{new:?}"
    );
    let changed = new
        .into_iter()
        .filter(|line| known.contains(&crate_of(line)));
    let changed: Vec<&String> = changed
        .filter(|line| !line.starts_with("ner-cli "))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}

/// The commands without a package are about every crate but the one that needs an engine, and they compile none.
#[test]
fn the_engine_is_compiled_for_who_asks_only() {
    let metadata = metadata();
    let mut others: Vec<&str> = metadata
        .packages
        .iter()
        .filter(|package| !metadata.workspace_default_members.contains(&package.id))
        .map(|package| package.name.as_str())
        .collect();
    others.sort_unstable();
    assert_eq!(others, ["ner-datafusion"]);
    let tests = compiled(&["--edges", "normal,build,dev"]);
    let engine = |line: &&String| line.starts_with("datafusion") || line.starts_with("ballista");
    assert_eq!(tests.iter().find(engine), None);
}

/// Who takes the tagger into a program of their own takes no training and no command line with it.
#[test]
fn the_tagger_brings_no_training_and_no_command_line() {
    let others = [
        "ner-train",
        "ner-cli",
        "ner-pages",
        "ner-redact",
        "burn-optim",
        "burn-train",
        "clap",
        "indicatif",
        "ctrlc",
        "anyhow",
        "ureq",
        "tokio",
    ];
    let compiled = compiled(&["--package", "ner-tagger", "--edges", "normal"]);
    let names: BTreeSet<&str> = compiled
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(
        names.contains("ner-model") && names.contains("burn"),
        "{names:?}"
    );
    let found: Vec<&&str> = others
        .iter()
        .filter(|name| names.contains(**name))
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn only_the_programs_own_the_terminal() {
    for room in ROOMS
        .iter()
        .filter(|room| !["ner-cli", "xtask"].contains(&room.name))
    {
        assert!(
            TERMINAL.iter().all(|name| room.avoids.contains(name)),
            "{}",
            room.name
        );
    }
}

/// Everything else is threads: one crate has clients to wait for, and one is called by an engine that has.
#[test]
fn the_asynchronous_runtime_lives_in_two_crates() {
    for package in &metadata().packages {
        let mut names = package.dependencies.iter().map(|one| one.name.as_str());
        let has = names.any(|name| name == "tokio" || name == "axum" || matches("hyper*", name));
        let may = ["ner-serve", "ner-datafusion"].contains(&package.name.as_str());
        assert_eq!(has, may, "{}", package.name);
    }
}

#[test]
fn every_crate_inherits_the_lints_of_the_workspace() {
    for package in &metadata().packages {
        let text = fs::read_to_string(&package.manifest_path).unwrap();
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        let inherits = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        assert_eq!(inherits, Some(true), "{}", package.manifest_path.display());
    }
}

#[test]
fn libraries_do_not_print() {
    for room in ROOMS
        .iter()
        .filter(|room| !["ner-cli", "xtask"].contains(&room.name))
    {
        let sources = files(&root().join("crates").join(room.name).join("src"), "rs");
        assert!(!sources.is_empty());
        for source in sources {
            let text = fs::read_to_string(&source).unwrap();
            for (number, line) in text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim_start().starts_with("//"))
            {
                let prints = ["print!(", "println!(", "dbg!("]
                    .iter()
                    .any(|call| line.contains(call));
                assert!(!prints, "{}:{}: {line}", source.display(), number + 1);
            }
        }
    }
}

#[test]
fn the_code_map_names_every_crate() {
    let map = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for room in &ROOMS {
        assert!(
            map.contains(&format!("`{}`", room.name)),
            "docs/architecture.md does not name `{}`",
            room.name
        );
    }
}

#[test]
fn documents_name_commands_that_exist() {
    let recipes = files(&root().join("xtask/recipes"), "toml");
    let is_recipe = |word: &str| {
        recipes
            .iter()
            .any(|path| path.file_stem().is_some_and(|stem| stem == word))
    };
    let ner_cli = ner_cli_commands();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (line, code) in code(&text) {
            let words: Vec<&str> = code
                .split_whitespace()
                .filter(|word| *word != "--")
                .collect();
            for (i, word) in words.iter().enumerate() {
                let next = words.get(i + 1).copied().filter(|next| is_command(next));
                let known = match (*word, next) {
                    ("xtask", Some(next)) => XTASK.contains(&next),
                    ("reproduce", Some(next)) => is_recipe(next),
                    (word, Some(next)) if word == "ner-cli" || word.ends_with("/ner-cli") => {
                        ner_cli.iter().any(|name| name == next)
                    }
                    _ => true,
                };
                assert!(
                    known,
                    "{}:{line}: nothing of this name: {code}",
                    document.display()
                );
            }
        }
    }
}

/// A word that could be a command, rather than an option, an operator, a path or a place-holder.
fn is_command(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// README.md, those of the crates, CONTRIBUTING.md, and everything in docs/.
fn documents() -> Vec<PathBuf> {
    let root = root();
    let crates = ROOMS
        .iter()
        .map(|room| root.join("crates").join(room.name).join("README.md"));
    let mut documents: Vec<PathBuf> = crates
        .chain(["README.md", "CONTRIBUTING.md", "xtask/README.md"].map(|name| root.join(name)))
        .filter(|path| path.is_file())
        .collect();
    documents.extend(files(&root.join("docs"), "md"));
    documents
}

/// Code of a Markdown text with its line numbers: lines of fenced blocks, and spans between back-ticks.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut code = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            code.push((number, line.to_owned()));
        } else {
            code.extend(
                line.split('`')
                    .skip(1)
                    .step_by(2)
                    .map(|span| (number, span.to_owned())),
            );
        }
    }
    code
}

/// Files with this extension in a folder and below it.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

#[test]
fn code_is_found_in_blocks_and_spans() {
    let text = "Run `ner-cli train` or `x`.\n```sh\nner-cli predict\n```\nner-cli is a program.\n";
    let found: Vec<(usize, String)> = [(1, "ner-cli train"), (1, "x"), (3, "ner-cli predict")]
        .map(|(line, code)| (line, code.to_owned()))
        .into();
    assert_eq!(code(text), found);
    assert!(
        is_command("new-model")
            && !is_command("--quiet")
            && !is_command("RECIPE")
            && !is_command("&&")
    );
}
