//! Every command of `docs/guide.md`, run in its order, with a shorter training.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Steps of training in place of the guide's epochs: enough to find entities.
const STEPS: &str = "60";

/// The command lines of `ner-cli` in a page.
fn command_lines(page: &str) -> Vec<String> {
    let mut blocks = page.split("```sh\n").skip(1);
    let blocks = blocks.by_ref().filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines);
    lines
        .filter_map(|line| line.strip_prefix("ner-cli "))
        .map(str::to_owned)
        .collect()
}

/// Words of a command line; double quotes hold some together.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(number, part)| {
            if number % 2 == 1 {
                vec![part.to_owned()]
            } else {
                part.split_whitespace().map(str::to_owned).collect()
            }
        })
        .collect()
}

#[test]
fn the_guide_works_from_its_first_command_to_its_last() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/guide.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let lines = command_lines(&page);
    assert!(lines.len() >= 12, "{lines:?}");
    for line in lines {
        let mut arguments: Vec<String> = words(&line)
            .into_iter()
            .map(|word| match word.strip_prefix("fixtures/") {
                Some(rest) => root
                    .join("fixtures")
                    .join(rest)
                    .to_str()
                    .unwrap()
                    .to_owned(),
                None => word,
            })
            .collect();
        if arguments[0] == "train" {
            arguments.extend(["--max-steps", STEPS].map(str::to_owned));
        }
        let output = Command::new(env!("CARGO_BIN_EXE_ner-cli"))
            .args(&arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ner-cli {line}\n{message}");
        let results = folder.path().join("out");
        if arguments[0] == "predict" && !arguments.iter().any(|word| word == "--output") {
            assert!(!output.stdout.is_empty(), "ner-cli {line}");
        }
        if arguments[0] == "train" {
            assert!(results.join("model.safetensors").is_file(), "{message}");
        }
    }
    for made in ["pred.conll", "page.html", "dev.tagged", "report.html"] {
        let path = folder.path().join("out").join(made);
        assert!(path.metadata().unwrap().len() > 0, "{}", path.display());
    }
}
