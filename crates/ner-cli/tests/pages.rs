//! The pages that the program writes. What a page looks like is tested in `ner-pages`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ner_pages::RunPage;
use tempfile::TempDir;

const CORPUS: &str = "Ana B-PER\nPaz I-PER\nvive O\nen O\nLima B-LOC\n. O\n\nEl O\nBanco B-ORG\nde I-ORG\nLima I-ORG\ncierra O\n. O\n";

/// A folder with a corpus and a model, and the program running in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("train.conll", CORPUS);
        let sizes = "--layers 1 --hidden 16 --heads 2 --intermediate 32 --vocab-size 300";
        folder.said(&format!(
            "new-model --train train.conll --output model {sizes}"
        ));
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn exists(&self, name: &str) -> bool {
        self.0.path().join(name).exists()
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ner-cli"));
        command.current_dir(self.0.path()).args(line.split(' '));
        command.output().unwrap()
    }

    /// What a command that succeeds says, on both streams.
    fn said(&self, line: &str) -> String {
        let output = self.run(line);
        let [said, talk] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{line}: {talk}");
        said + &talk
    }

    fn train(&self, more: &str) -> String {
        self.said(&format!(
            "train --model model --train train.conll --learning-rate 0.01 --batch-size 2 --output-dir out {more}"
        ))
    }
}

#[test]
fn a_run_leaves_its_report() {
    let folder = Folder::new();
    folder.train("--dev train.conll --test train.conll --epochs 2 --logging-steps 1");
    let page: RunPage = serde_json::from_str(&folder.read("out/report.json")).unwrap();
    assert_eq!(folder.read("out/report.html"), page.to_html());

    assert_eq!(page.title, "out");
    let names: Vec<&str> = page
        .splits
        .iter()
        .map(|split| split.name.as_str())
        .collect();
    assert_eq!(names, ["dev", "test"]);
    let results = folder.read("out/test_results.txt");
    let f1 = page.splits[1].entities.as_ref().unwrap().averages[0].f1;
    assert!(results.contains(&format!("f1 = {f1}\n")), "{results}");
    assert_eq!(page.curves[0].curves[0].points.len(), 2, "a step an epoch");
    let train = &page.data[0];
    assert_eq!(
        (
            train.name.as_str(),
            train.file.as_str(),
            train.sentences,
            train.words
        ),
        ("train", "train.conll", 2, 12)
    );
    assert!(train.subwords >= Some(12));
    let entities = ["LOC", "ORG", "PER"].map(|name| (name.to_owned(), 1));
    assert_eq!(train.entities, entities);
    assert!(page.labels.contains(&"B-PER".to_owned()));
    let rate = page
        .settings
        .iter()
        .find(|fact| fact.name == "learning_rate");
    assert_eq!(rate.unwrap().value, "0.01");

    // What was not learnt in two epochs stands in its sentence.
    let errors = page.errors.unwrap();
    assert_eq!(errors.split, "test");
    let counted: usize = errors.kinds.iter().map(|kind| kind.count).sum();
    let said = folder.said("evaluate --gold train.conll --pred out/test_predictions.txt --errors");
    assert!(said.contains(&format!("\n{counted} errors\n")), "{said}");
    for example in errors.kinds.iter().flat_map(|kind| &kind.examples) {
        let place = example.place.as_ref().unwrap();
        let line: usize = place.strip_prefix("train.conll:").unwrap().parse().unwrap();
        let line = CORPUS.lines().nth(line - 1).unwrap();
        let word = line.split(' ').next().unwrap();
        let marks = example.gold.iter().flatten().chain(&example.predicted);
        let first = marks.map(|mark| mark.start).min().unwrap();
        let rest: String = example.text.chars().skip(first).collect();
        assert!(rest.starts_with(word), "{place}: {rest}");
    }
}

#[test]
fn a_report_that_cannot_be_written_costs_nothing_else() {
    let folder = Folder::new();
    fs::create_dir_all(folder.0.path().join("out/report.html")).unwrap();
    let talk = folder.train("--dev train.conll --epochs 1 --overwrite-output-dir --quiet");
    assert!(
        talk.starts_with("report.html could not be written: "),
        "{talk}"
    );
    for name in [
        "model.safetensors",
        "README.md",
        "curves.svg",
        "eval_results.txt",
    ] {
        assert!(folder.exists(&format!("out/{name}")), "{name}");
    }
}

#[test]
fn an_earlier_report_does_not_pass_for_that_of_a_new_run() {
    let folder = Folder::new();
    let out = folder.0.path().join("out");
    fs::create_dir_all(&out).unwrap();
    folder.write("out/report.html", "of an earlier run");
    folder.train("--dev train.conll --epochs 1 --overwrite-output-dir");
    assert!(
        folder
            .read("out/report.html")
            .starts_with("<!DOCTYPE html>")
    );
}

#[test]
fn tagged_texts_are_a_page() {
    let folder = Folder::new();
    folder.train("--dev train.conll --epochs 40");
    let predict = "predict --model out --quiet --format html";

    folder.write(
        "texts.txt",
        "Ana Paz vive en Lima .\n<script>alert(1)</script> 👩‍👧\n\n",
    );
    let page = folder.said(&format!("{predict} --input texts.txt"));
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert_eq!(page.matches("class=\"text\"").count(), 3);
    assert!(page.contains("Entities in texts.txt") && !page.contains("<script"));
    // Marks may stand between the letters.
    assert!(page.matches("&lt;").count() >= 2, "{page}");
    assert!(
        page.contains(">Ana Paz<span class=\"label\" dir=\"ltr\"> PER</span></mark> vive en <mark")
    );
    assert!(page.contains("title=\"PER, score 0."));
    assert!(!page.contains("class=\"stack\""));

    // Gold tags stand beside what differs from them.
    folder.write("gold.conll", &CORPUS.replace("Ana B-PER", "Ana O"));
    let page = folder.said(&format!(
        "{predict} --input gold.conll --input-format conll"
    ));
    assert_eq!(page.matches("class=\"stack\"").count(), 1, "{page}");
    assert!(page.contains("title=\"gold PER\">Paz<"));
    assert!(page.contains(">Ana Paz<"));
    assert!(page.contains("<bdi>gold.conll:1</bdi>") && page.contains("<bdi>gold.conll:8</bdi>"));
    folder.write("words.conll", "Ana\nPaz\nvive\nen\nLima\n");
    let page = folder.said(&format!(
        "{predict} --input words.conll --input-format conll"
    ));
    assert!(
        page.contains("Paz<span") && !page.contains("gold and predicted"),
        "{page}"
    );

    // A file has its name when it is complete.
    folder.said(&format!("{predict} --input texts.txt --output page.html"));
    assert!(folder.read("page.html").ends_with("</html>\n"));
    folder.write("broken.txt", "");
    fs::write(folder.0.path().join("broken.txt"), b"Ana\n\xff\n").unwrap();
    let failed = folder.run(&format!(
        "{predict} --input broken.txt --output broken.html"
    ));
    assert_eq!(failed.status.code(), Some(1));
    assert!(!Path::new(&folder.0.path().join("broken.html")).exists());
}
