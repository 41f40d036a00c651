//! Kinds of faults that users of taggers report, each mended as a kind: odd files, odd characters, odd labels.
#![allow(clippy::unwrap_used)]

#[path = "../../ner-tagger/tests/common/table_model.rs"]
mod table_model;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What a command said: exit code, stdout, stderr.
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

/// A folder with a table model of Spanish names in `model`.
struct Folder(TempDir);

const LABELS: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
const TABLE: [(&str, &str); 8] = [
    ("Eva", "B-PER"),
    ("Sosa", "I-PER"),
    ("Río", "B-LOC"),
    ("Hondo", "I-LOC"),
    ("Cuzco", "B-LOC"),
    ("canta", "O"),
    ("en", "O"),
    (".", "O"),
];

impl Folder {
    fn new() -> Self {
        Self::with(&LABELS, &TABLE, &json!({}))
    }

    fn with(labels: &[&str], table: &[(&str, &str)], more: &Value) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        table_model::write(&folder.0.path().join("model"), labels, table, more);
        folder
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// Runs `ner-cli` in the folder. Arguments are separated by one space.
    fn run(&self, line: &str) -> Said {
        self.run_with(&line.split(' ').collect::<Vec<_>>(), None)
    }

    fn run_with(&self, arguments: &[&str], stdin: Option<&str>) -> Said {
        let input = stdin.map_or_else(Stdio::null, |name| {
            fs::File::open(self.0.path().join(name)).unwrap().into()
        });
        let output = Command::new(env!("CARGO_BIN_EXE_ner-cli"))
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(input)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = Said {
            code: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
        said
    }

    /// The result of a command that must succeed.
    fn stdout(&self, line: &str) -> String {
        let said = self.run(line);
        assert_eq!(said.code, 0, "{line}: {}", said.stderr);
        said.stdout
    }

    /// The entities of a text as (type, word, start, end).
    fn entities(&self, text: &str) -> Vec<(String, String, u64, u64)> {
        let said = self.run_with(
            &["predict", "--model", "model", "--format", "jsonl", text],
            None,
        );
        assert_eq!(said.code, 0, "{text}: {}", said.stderr);
        entities(said.stdout.trim_end())
    }
}

fn entities(line: &str) -> Vec<(String, String, u64, u64)> {
    let line: Value = serde_json::from_str(line).unwrap();
    let entity = |e: &Value| {
        let text = |key: &str| e[key].as_str().unwrap().to_owned();
        let number = |key: &str| e[key].as_u64().unwrap();
        (
            text("entity_group"),
            text("word"),
            number("start"),
            number("end"),
        )
    };
    line["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(entity)
        .collect()
}

fn found(kind: &str, word: &str, start: u64) -> (String, String, u64, u64) {
    (
        kind.to_owned(),
        word.to_owned(),
        start,
        start + word.chars().count() as u64,
    )
}

#[test]
fn a_comment_with_as_many_columns_as_the_rows_is_no_row() {
    let folder = Folder::new();
    folder.write(
        "a.conll",
        "# doc_id = 7\nEva 0 3 B-PER\ncanta 4 9 O\n\n# doc_id = 8\n# 0 1 O\nCuzco 2 7 B-LOC\n",
    );
    assert_eq!(folder.stdout("labels a.conll"), "B-LOC\nB-PER\nO\n");
    folder.write(
        "b.conll",
        "# id 31-x domain=yy\nRío _ _ B-LOC\nHondo _ _ I-LOC\n",
    );
    assert_eq!(folder.stdout("labels b.conll"), "B-LOC\nI-LOC\n");
    // Four words: the `#` of the second sentence is one.
    let report = folder.stdout("evaluate --gold a.conll --pred a.conll --report conlleval");
    assert!(
        report.starts_with("processed 4 tokens with 2 phrases"),
        "{report}"
    );
}

#[test]
fn words_with_blanks_read_back_from_what_is_written() {
    let folder = Folder::with(
        &LABELS,
        &[TABLE.as_slice(), &[("Nuevo", "B-LOC"), ("León", "I-LOC")]].concat(),
        &json!({}),
    );
    folder.write(
        "gold.tsv",
        "Eva\tB-PER\ncanta\tO\nNuevo León\tB-LOC\n. \"\tO\n\nCuzco\tB-LOC\n",
    );
    let said = folder.run("labels gold.tsv");
    assert!(
        said.code == 1 && said.stderr.contains("gold.tsv:3"),
        "{}",
        said.stderr
    );
    let predict = "predict --model model --input gold.tsv --input-format conll --separator tab";
    let lines = folder.stdout(&format!("{predict} --format jsonl"));
    let first = entities(lines.lines().next().unwrap());
    assert_eq!(
        first,
        [found("PER", "Eva", 0), found("LOC", "Nuevo León", 10)]
    );
    folder.stdout(&format!("{predict} --format conll -o pred.tsv"));
    folder.stdout("evaluate --model model --data gold.tsv --separator tab --predictions again.tsv -o report.txt");
    for pred in ["pred.tsv", "again.tsv"] {
        let report = folder.stdout(&format!(
            "evaluate --gold gold.tsv --pred {pred} --separator tab --report conlleval"
        ));
        assert!(
            report.starts_with("processed 5 tokens with 3 phrases; found: 3 phrases; correct: 3."),
            "{report}"
        );
    }
}

#[test]
fn byte_order_marks_are_in_no_word_and_no_label() {
    let folder = Folder::new();
    folder.write("joined.conll", "\u{feff}-DOCSTART- O\n\nEva B-PER\n\n\u{feff}-DOCSTART- O\n\n\u{feff}Cuzco B-LOC\n\u{feff}");
    let report =
        folder.stdout("evaluate --gold joined.conll --pred joined.conll --report conlleval");
    assert!(
        report.starts_with("processed 2 tokens with 2 phrases"),
        "{report}"
    );
    folder.write("words.txt", "Eva\ncanta\n\n\u{feff}");
    let columns = folder
        .stdout("predict --model model --input words.txt --input-format conll --format conll");
    assert_eq!(columns, "Eva B-PER\ncanta O\n\n");
}

#[test]
fn line_ends_of_every_system_are_line_ends() {
    let folder = Folder::new();
    for end in ["\n", "\r\n", "\r"] {
        folder.write(
            "a.conll",
            ["Eva B-PER", "canta O", "", "Cuzco B-LOC", ""].join(end),
        );
        let said = folder.run("evaluate --gold a.conll --pred a.conll --report conlleval");
        assert_eq!(said.code, 0, "{end:?}: {}", said.stderr);
        assert!(
            said.stdout.starts_with("processed 3 tokens with 2 phrases"),
            "{end:?}: {}",
            said.stdout
        );
    }
}

#[test]
fn texts_are_lines_and_nothing_else_ends_one() {
    let folder = Folder::new();
    folder.write(
        "texts.txt",
        "\u{feff}Eva canta\n\n  \t \n\u{a0}\u{3000}\nEva\u{2028}canta\u{2028}en Cuzco\r\nCuzco",
    );
    let by_file = folder.run("predict --model model --input texts.txt --format jsonl");
    let by_pipe = folder.run_with(
        &["predict", "--model", "model", "--format", "jsonl"],
        Some("texts.txt"),
    );
    let one_by_one =
        folder.run("predict --model model --input texts.txt --format jsonl --batch-size 1");
    assert_eq!(by_file.stdout, by_pipe.stdout);
    assert_eq!(by_file.stdout, one_by_one.stdout);
    let lines: Vec<_> = by_file.stdout.lines().map(entities).collect();
    assert_eq!(lines.len(), 6, "{}", by_file.stdout);
    assert_eq!(lines[0], [found("PER", "Eva", 0)]);
    assert!(lines[1..4].iter().all(Vec::is_empty));
    assert_eq!(
        lines[4],
        [found("PER", "Eva", 0), found("LOC", "Cuzco", 13)]
    );
    assert!(!by_file.stdout.contains("\\r"), "{}", by_file.stdout);

    folder.write("bad.txt", b"Eva canta\n\xffEva\nEva\n");
    let said = folder.run("predict --model model --input bad.txt");
    assert_eq!((said.code, &*said.stdout), (1, "[PER Eva] canta\n"));
    assert!(
        said.stderr.contains("bad.txt:2: byte 0xFF"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_letter_keeps_its_marks() {
    let table = [
        ("jose", "B-PER"),
        ("bogota", "B-LOC"),
        ("izmir", "B-LOC"),
        ("en", "O"),
        (".", "O"),
        ("i", "O"),
    ];
    let folder = Folder::with(&LABELS, &table, &json!({}));
    folder.write(
        "model/tokenizer_config.json",
        r#"{"tokenizer_class": "BertTokenizer", "do_lower_case": true}"#,
    );
    assert_eq!(
        folder.entities("Jose\u{301} en Bogota\u{301}."),
        [
            found("PER", "Jose\u{301}", 0),
            found("LOC", "Bogota\u{301}", 9)
        ]
    );
    assert_eq!(
        folder.entities("İzmir en José"),
        [found("LOC", "İzmir", 0), found("PER", "José", 9)]
    );
    let said = folder.run_with(
        &[
            "predict",
            "--model",
            "model",
            "--format",
            "conll",
            "Jose\u{301} en Bogota\u{301}.",
        ],
        None,
    );
    assert_eq!(
        said.stdout,
        "Jose\u{301} B-PER\nen O\nBogota\u{301} B-LOC\n. O\n\n"
    );
}

#[test]
fn the_same_words_give_the_same_entities_in_every_form() {
    let table = [
        ("Galeona", "B-O"),
        ("Nereida", "I-O"),
        ("7", "B-tax-share"),
        ("%", "I-tax-share"),
        ("Banco", "ORG"),
        ("y", "O"),
    ];
    let labels = ["O", "B-O", "I-O", "B-tax-share", "I-tax-share", "ORG"];
    let folder = Folder::with(&labels, &table, &json!({}));
    let text = "Galeona Nereida y 7 % y Banco";
    let expected = [
        found("O", "Galeona Nereida", 0),
        found("tax-share", "7 %", 18),
        found("ORG", "Banco", 24),
    ];
    assert_eq!(folder.entities(text), expected);
    folder.write("words.txt", text.replace(' ', "\n") + "\n");
    let from_words = "predict --model model --input words.txt --input-format conll --format";
    assert_eq!(
        entities(folder.stdout(&format!("{from_words} jsonl")).trim_end()),
        expected
    );
    let csv = folder.stdout(&format!("{from_words} csv"));
    let of_text = folder.run_with(
        &["predict", "--model", "model", "--format", "csv", text],
        None,
    );
    assert_eq!(csv, of_text.stdout);
    assert_eq!(csv.lines().count(), 4, "{csv}");
    let marked = folder
        .run_with(&["predict", "--model", "model", text], None)
        .stdout;
    assert_eq!(
        marked,
        "[O Galeona Nereida] y [tax-share 7 %] y [ORG Banco]\n"
    );
    let columns = folder.stdout(&format!("{from_words} conll"));
    let of_text = folder.run_with(
        &["predict", "--model", "model", "--format", "conll", text],
        None,
    );
    assert_eq!(columns, of_text.stdout);
}

#[test]
fn figures_by_another_rule_than_was_asked_for_say_so() {
    let folder = Folder::new();
    folder.write("iob.conll", "Eva B-PER\ncanta O\n");
    let stderr = |more: &str| {
        let said = folder.run(&format!("evaluate --gold iob.conll --pred iob.conll{more}"));
        assert_eq!(said.code, 0, "{}", said.stderr);
        said.stderr
    };
    let note = "note: entities are counted by the default rule, which knows no scheme; --mode strict --scheme iob2 counts";
    assert!(stderr(" --scheme iob2").starts_with(note));
    assert_eq!(stderr(" --scheme iob2 --mode strict"), "");
    // So few samples say little, of one file and of two.
    let few = "note: 10 samples: intervals and p-values are rough; draw 1,000 or more\n";
    assert_eq!(stderr(" --bootstrap 10"), few);
    assert_eq!(stderr(" --bootstrap 1000"), "");
    let compared = folder.run("compare iob.conll iob.conll --gold iob.conll --samples 10");
    assert_eq!((compared.code, compared.stderr.as_str()), (0, few));
}

#[test]
fn a_report_that_drops_bare_types_says_so() {
    let folder = Folder::new();
    folder.write("org.conll", "Banco ORG\nNaval ORG\nabre O\n");
    let said = folder.run("evaluate --gold org.conll --pred org.conll");
    assert_eq!(said.code, 0);
    assert!(
        said.stderr.contains("without a position letter") && said.stderr.contains("ORG"),
        "{}",
        said.stderr
    );
    folder.write("iob.conll", "Eva B-PER\ncanta O\n");
    assert_eq!(
        folder
            .run("evaluate --gold iob.conll --pred iob.conll")
            .stderr,
        ""
    );
}

/// Trains one step with this label file and gives the labels of the model.
fn trained_labels(file: &[u8]) -> Value {
    let folder = Folder(tempfile::tempdir().unwrap());
    folder.write(
        "train.conll",
        "Eva B-PER\nSosa I-PER\ncanta O\nen O\nCuzco B-LOC\n",
    );
    folder.write("labels.txt", file);
    folder.stdout("-q new-model --train train.conll --layers 1 --hidden 16 --heads 2 --intermediate 32 --vocab-size 300 --output small");
    folder.stdout("-q train --model small --labels labels.txt --train train.conll --dev train.conll --output-dir out --max-steps 1 --device flex");
    assert!(Path::new(&folder.0.path().join("out/best")).is_dir());
    serde_json::from_str::<Value>(&folder.read("out/config.json")).unwrap()["id2label"].clone()
}

#[test]
fn a_label_file_of_any_editor_names_the_labels_that_one_sees() {
    let expected = json!({"0": "O", "1": "B-PER", "2": "I-PER", "3": "B-LOC"});
    assert_eq!(
        trained_labels("\u{feff}O\r\nB-PER\r\n\r\nI-PER \r\nB-LOC\u{a0}\r\n".as_bytes()),
        expected
    );
    let first = json!({"0": "B-LOC", "1": "B-PER", "2": "I-PER", "3": "O"});
    assert_eq!(
        trained_labels("\u{feff}B-LOC\rB-PER\rI-PER\rO".as_bytes()),
        first
    );
}

#[test]
fn label_lists_of_every_form_are_read() {
    let forms = [
        json!({"id2label": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]}),
        json!({"id2label": null, "label2id": {"I-LOC": 4, "B-LOC": 3, "I-PER": 2, "B-PER": 1, "O": 0}}),
        json!({"id2label": {"4": "I-LOC", "3": "B-LOC ", "2": "I-PER", "1": "\u{feff}B-PER", "0": "O"}}),
    ];
    for form in forms {
        let folder = Folder::with(&LABELS, &TABLE, &form);
        assert_eq!(
            folder.entities("Eva Sosa canta en Cuzco."),
            [found("PER", "Eva Sosa", 0), found("LOC", "Cuzco", 18)],
            "{form}"
        );
    }
}

#[test]
fn sizes_that_are_not_the_weights_are_refused_at_once() {
    for (key, value) in [
        ("num_hidden_layers", 9_999_999_u64),
        ("hidden_size", 999_999_928),
        ("vocab_size", u64::MAX),
    ] {
        let folder = Folder::with(&LABELS, &TABLE, &json!({ key: value }));
        let started = std::time::Instant::now();
        let said = folder.run("predict --model model Eva");
        assert_eq!(said.code, 1, "{key}: {}", said.stderr);
        assert!(started.elapsed().as_secs() < 30, "{key}");
        assert!(said.stderr.contains("model"), "{key}: {}", said.stderr);
    }
}

#[test]
fn a_directory_in_the_place_of_a_file_is_said_to_be_one() {
    let folder = Folder::new();
    let expected = ".: is a directory, expected a file: give the files in it by their names";
    for line in [
        "labels .",
        "evaluate --gold . --pred .",
        "evaluate --model model --data .",
        "preprocess . --no-split",
        "predict --model model --input .",
        "predict --model model --input . --input-format jsonl",
        "predict --model model --input . --input-format conll",
        "redact --input .",
    ] {
        let said = folder.run(line);
        assert_eq!(said.code, 1, "{line}");
        assert!(
            said.stderr.starts_with(&format!("error: {expected}")),
            "{line}: {}",
            said.stderr
        );
    }
    let said = folder.run("check .");
    assert_eq!(said.code, 1);
    assert!(
        said.stdout.contains(&format!("  {expected}\n")),
        "{}",
        said.stdout
    );
}

#[test]
fn texts_without_words_are_said_to_leave_no_sentence() {
    let folder = Folder::new();
    folder.write("texts.txt", "Eva canta\n\n  \nCuzco\n");
    let predict = "predict --model model --input texts.txt --format";
    let said = folder.run(&format!("{predict} conll"));
    assert_eq!(said.stdout, "Eva B-PER\ncanta O\n\nCuzco B-LOC\n\n");
    let note = "note: 2 texts have no words, and so no sentence in the result; the first is record 2; --format jsonl has a line for each text\n";
    assert!(said.stderr.contains(note), "{}", said.stderr);
    let arguments = [
        "predict", "--model", "model", "--format", "conll", "Eva", "",
    ];
    let said = folder.run_with(&arguments, None);
    let note =
        "note: 1 text has no words, and so no sentence in the result; the first is record 2;";
    assert!(said.stderr.contains(note), "{}", said.stderr);
    // The other forms lose none.
    for format in ["text", "jsonl", "csv"] {
        let said = folder.run(&format!("{predict} {format}"));
        assert!(!said.stderr.contains("note: "), "{format}: {}", said.stderr);
    }
}

#[test]
fn records_keep_their_numbers_where_others_are_left_out() {
    let folder = Folder::new();
    folder.write(
        "records.jsonl",
        "{\"text\": \"Eva\"}\n{\"text\": 3}\n{\"text\": \"Cuzco\"}\n{\"text\": \"canta\"}\n{\"text\": \"Eva\"}\n",
    );
    for size in ["1", "2", "1024"] {
        let said = folder.run(&format!(
            "predict --model model --input records.jsonl --format csv --on-error skip --batch-size {size}"
        ));
        assert_eq!(said.code, 0, "{}", said.stderr);
        let numbers: Vec<&str> = said
            .stdout
            .lines()
            .map(|line| line.split(',').next().unwrap())
            .collect();
        assert_eq!(numbers, ["record", "1", "3", "5"], "{size}");
        assert!(
            said.stderr.contains("\n1 of 5 records was left out\n"),
            "{}",
            said.stderr
        );
    }
}

#[test]
fn one_is_counted_as_one() {
    let folder = Folder::new();
    folder.write("one.conll", "Eva B-PER\n");
    folder.write("none.conll", "Eva O\n");
    let report = folder.stdout("check one.conll");
    assert!(
        report.starts_with(
            "one.conll: 1 sentence, 1 word, 1 document, 0.0 % of the words O, iob2\n  1 entity: PER 1\n  longest sentence: 1 word (line 1)\n"
        ),
        "{report}"
    );
    let report = folder.stdout("evaluate --gold one.conll --pred none.conll --errors");
    assert!(report.contains("\n1 error\n"), "{report}");
    folder.write("words.conll", "Eva O\nSosa O\n");
    let said = folder.run("evaluate --gold one.conll --pred words.conll");
    assert!(
        said.stderr
            .contains("has 1 word, the one at words.conll:1 has 2"),
        "{}",
        said.stderr
    );
}

/// What a line of the shell writes to a terminal, by util-linux's `script`; nothing where that is not here.
#[cfg(target_os = "linux")]
fn on_terminal(folder: &Folder, line: &str) -> Option<String> {
    let version = Command::new("script").arg("--version").output().ok()?;
    if !String::from_utf8_lossy(&version.stdout).contains("util-linux") {
        return None;
    }
    let line = format!(
        "exec timeout --foreground 60 '{}' {line}",
        env!("CARGO_BIN_EXE_ner-cli")
    );
    // Ctrl-D, for who reads from the terminal.
    folder.write("keys", "\u{4}");
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(folder.0.path())
        .stdin(fs::File::open(folder.0.path().join("keys")).unwrap())
        .output();
    Some(String::from_utf8(output.unwrap().stdout).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_text_does_not_steer_the_terminal() {
    let folder = Folder::new();
    let text = "Eva \u{1b}[31mcanta\u{1b}[0m \u{7}en Cuzco\n";
    folder.write("texts.txt", text);
    let seen = "\u{fffd}[31mcanta\u{fffd}[0m \u{fffd}en";
    for command in ["predict --model model", "redact"] {
        for form in ["text", "csv", "jsonl", "conll"] {
            let line = match command {
                "redact" => format!("-q {command} --input texts.txt"),
                _ => format!("-q {command} --input texts.txt --format {form}"),
            };
            let Some(found) = on_terminal(&folder, &line) else {
                return;
            };
            assert!(found.contains("Eva"), "{line}: {found}");
            for mark in ["\u{1b}[31m", "\u{7}"] {
                assert!(!found.contains(mark), "{line}: {found:?}");
            }
            if form == "text" {
                assert!(found.contains(seen), "{line}: {found:?}");
            }
        }
    }
    // Elsewhere each byte is as it was.
    assert_eq!(folder.stdout("redact --input texts.txt"), text);
    let marked = folder.stdout("predict --model model --input texts.txt");
    assert_eq!(
        marked
            .replace("[PER Eva]", "Eva")
            .replace("[LOC Cuzco]", "Cuzco"),
        text
    );
}

#[cfg(target_os = "linux")]
#[test]
fn who_is_waited_for_is_told_so() {
    let folder = Folder::new();
    for line in ["predict --model model", "redact", "redact --input -"] {
        let Some(said) = on_terminal(&folder, line) else {
            return;
        };
        let wanted = "reading from the terminal; Ctrl-D on a line of its own ends the input";
        assert!(said.contains(wanted), "{line}: {said}");
        let piped = folder.run(line);
        assert!(!piped.stderr.contains(wanted), "{line}: {}", piped.stderr);
    }
}
