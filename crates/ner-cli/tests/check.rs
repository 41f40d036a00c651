//! `ner-cli check`: each kind of mistake is found where it is, and nothing where there is none.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../ner-tagger/tests/common/table_model.rs"]
mod table_model;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Sentences of the clean file, each with a person and a place, and the lines of each.
const SENTENCES: usize = 60;
const LINES: u64 = 6;
/// The first line behind the clean file.
const NEXT: u64 = SENTENCES as u64 * LINES + 1;

/// What a command said: exit code, stdout, stderr.
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    /// A model that knows a few words.
    fn with_model() -> Self {
        let folder = Self::new();
        let labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
        let table = [
            ("Eva", "B-PER"),
            ("Cuzco", "B-LOC"),
            ("canta", "O"),
            ("en", "O"),
            (".", "O"),
        ];
        let path = folder.0.path().join("model");
        table_model::write(&path, &labels, &table, &json!({"tagging_scheme": "iob2"}));
        folder
    }

    /// Runs `ner-cli check` in the folder. Arguments are separated by one space.
    fn check(&self, line: &str) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_ner-cli"))
            .arg("check")
            .args(line.split(' '))
            .current_dir(self.0.path())
            .stdin(Stdio::null())
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

    /// The report as JSON.
    fn report(&self, line: &str) -> Value {
        let said = self.check(&format!("{line} --format json"));
        serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {}", said.stderr))
    }

    /// The report on a clean file with these lines behind it.
    fn report_with(&self, lines: &str) -> Value {
        self.write("a.conll", clean() + lines);
        self.report("a.conll")
    }
}

/// A file without a mistake.
fn clean() -> String {
    let mut text = String::new();
    for number in 0..SENTENCES {
        // Names without digits, so that none looks like another.
        let name = ["Ana", "Eva", "Luz", "Noa"][number % 4];
        let place = ["Lugo", "Jaén", "Vigo", "León", "Soria"][number / 4 % 5];
        let hour = ["una", "dos", "tres"][number / 20];
        _ = write!(
            text,
            "{name} B-PER\nllega O\na O\n{place} B-LOC\na-las-{hour} O\n\n"
        );
    }
    text
}

/// File and line of each finding of a kind.
fn places(report: &Value, kind: &str) -> Vec<(String, Option<u64>)> {
    of_kind(report, kind)
        .iter()
        .map(|finding| {
            let file = finding["file"].as_str().unwrap().to_owned();
            (file, finding["line"].as_u64())
        })
        .collect()
}

fn of_kind<'a>(report: &'a Value, kind: &str) -> Vec<&'a Value> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["kind"] == kind).collect()
}

/// The one finding of a kind, which stands at this line of `a.conll`.
fn the<'a>(report: &'a Value, kind: &str, line: u64) -> &'a Value {
    assert_eq!(
        places(report, kind),
        [("a.conll".to_owned(), Some(line))],
        "{kind}: {report:#}"
    );
    of_kind(report, kind)[0]
}

#[test]
fn a_clean_file_gives_no_finding() {
    let folder = Folder::new();
    folder.write("a.conll", clean());
    let said = folder.check("a.conll --fail-on warning");
    assert_eq!((said.code, &*said.stderr), (0, ""));
    assert_eq!(
        said.stdout,
        "a.conll: 60 sentences, 300 words, 1 document, 60.0 % of the words O, iob2\n  \
         120 entities: LOC 60, PER 60\n  longest sentence: 5 words (line 1)\n\n0 errors, 0 warnings, 0 remarks\n"
    );
    let report = folder.report("a.conll");
    assert_eq!(report["findings"], json!([]));
    let file = &report["files"][0];
    assert_eq!(file["types"], json!({"LOC": 60, "PER": 60}));
    assert_eq!(file["tags"], json!({"B-LOC": 60, "B-PER": 60, "O": 180}));
    assert_eq!(file["longest_sentence"], json!({"words": 5, "line": 1}));
    assert_eq!(report["total"]["entities"], 120);
}

#[test]
fn documents_and_files_are_counted() {
    let folder = Folder::new();
    folder.write("a.conll", format!("-DOCSTART- O\n\n{}", clean()));
    folder.write(
        "b.conll",
        "-DOCSTART- O\n\nIris B-PER\n\n-DOCSTART- O\n\nÉibar B-LOC\n",
    );
    let report = folder.report("a.conll b.conll");
    assert_eq!(report["files"][1]["documents"], 2);
    assert_eq!(report["total"]["documents"], 3);
    assert_eq!(report["total"]["entities"], 122);
    assert_eq!(report["total"]["scheme"], "iob2");
}

#[test]
fn files_that_cannot_be_read_are_found_and_the_others_are_checked() {
    let folder = Folder::new();
    folder.write("a.conll", "Ana B-PER\nllega O\n\nsola\n\nLima I-LOC\n");
    folder.write("b.conll", clean() + "La O\nHabana I-LOC\n");
    folder.write("empty.conll", " \n\n");
    folder.write("words.conll", "\nAna\nllega\n");
    folder.write("bytes.conll", b"Ana B-PER\n\xff O\n");
    folder.write("nul.conll", b"Ana B-PER\n\0 O\n");
    let files = "a.conll no.conll empty.conll words.conll bytes.conll nul.conll b.conll";
    let report = folder.report(files);
    let expected = [
        ("a.conll", Some(4)),
        ("no.conll", None),
        ("empty.conll", None),
        ("words.conll", Some(2)),
        ("bytes.conll", Some(2)),
        ("nul.conll", Some(2)),
    ];
    let expected = expected.map(|(file, line)| (file.to_owned(), line));
    assert_eq!(places(&report, "unreadable"), expected);
    assert_eq!(
        places(&report, "ill-formed"),
        [("b.conll".to_owned(), Some(NEXT + 1))]
    );
    assert_eq!(
        report["files"][0]["sentences"], 1,
        "what stands before the fault"
    );
    let said = folder.check(files);
    assert_eq!(said.code, 1);
    assert!(
        said.stdout
            .contains("  a.conll:4: 1 column where line 1 has 2"),
        "{}",
        said.stdout
    );
    // Tokens alone, or columns that were not told apart: the message shows a word and names the options.
    for part in ["words.conll:2: ", "found one column, `Ana`", "--separator"] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
    assert!(
        said.stderr.contains("7 errors in the data"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_header_line_is_found_once_and_not_counted() {
    let folder = Folder::new();
    folder.write("clean.conll", clean());
    folder.write("a.conll", format!("Token POS Tag\n{}", with_pos(&clean())));
    let report = folder.report("a.conll");
    let found = the(&report, "header-line", 1);
    assert_eq!(
        found["what"],
        "`Token` with the tag `Tag` looks like the names of the columns; delete this line"
    );
    assert_eq!(
        report["findings"].as_array().unwrap().len(),
        1,
        "{report:#}"
    );
    let mut counts = report["files"][0].clone();
    let mut expected = folder.report("clean.conll")["files"][0].clone();
    for file in [&mut counts, &mut expected] {
        file.as_object_mut().unwrap().remove("file");
        file["longest_sentence"]
            .as_object_mut()
            .unwrap()
            .remove("line");
    }
    assert_eq!(counts, expected);
    let said = folder.check("a.conll");
    assert_eq!(said.code, 1);
    assert!(
        said.stdout
            .contains("error: header line (1)\n  a.conll:1: "),
        "{}",
        said.stdout
    );
    // A sentence of its own, and a file with nothing else.
    folder.write("a.conll", format!("word ner\n\n{}", clean()));
    let report = folder.report("a.conll");
    the(&report, "header-line", 1);
    assert_eq!(report["files"][0]["sentences"], SENTENCES);
    folder.write("a.conll", "word ner\n");
    let report = folder.report("a.conll");
    the(&report, "header-line", 1);
    assert_eq!(report["files"], json!([]));
}

/// A file of words and tags with a column between.
fn with_pos(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(' ') {
        Some((word, tag)) => format!("{word} NN {tag}\n"),
        None => "\n".to_owned(),
    });
    lines.collect()
}

#[test]
fn types_that_the_training_file_lacks_are_found() {
    let folder = Folder::new();
    folder.write("train.conll", clean());
    folder.write(
        "a.conll",
        "Iris B-PER\ncanta O\n\nSol B-ORG\nMar I-ORG\ny O\nSol B-ORG\nLiga B-MISC\n",
    );
    // Whichever comes first.
    for files in ["train.conll a.conll", "a.conll train.conll"] {
        let report = folder.report(files);
        let places = places(&report, "untrained-type");
        let lines: Vec<Option<u64>> = places.iter().map(|place| place.1).collect();
        assert_eq!(lines, [Some(8), Some(4)], "{report:#}");
        let found = of_kind(&report, "untrained-type")[1];
        assert_eq!(found["what"], "`ORG` (2 entities), which train.conll lacks");
        assert_eq!([&found["severity"], &found["type"]], ["warning", "ORG"]);
    }
    // Where no name tells, the first file is the one that is trained on.
    folder.write("b.conll", clean());
    let report = folder.report("a.conll b.conll");
    assert_eq!(of_kind(&report, "untrained-type")[0]["type"], "LOC");
    // A slip is found as one.
    folder.write("a.conll", "Iris B-Per\ncanta O\n");
    let report = folder.report("train.conll a.conll");
    assert!(places(&report, "untrained-type").is_empty());
}

#[test]
fn tags_of_no_scheme_are_found() {
    let folder = Folder::new();
    for (tag, meant) in [
        ("b-PER", Some("B-PER")),
        ("B_PER", Some("B-PER")),
        ("8-PER", Some("B-PER")),
        ("S-PER", None),
        ("PER", None),
    ] {
        let report = folder.report_with(&format!("Iris {tag}\ncanta O\n"));
        let found = the(&report, "foreign-tag", NEXT);
        assert_eq!(found["severity"], "error");
        assert_eq!(found["tag"], tag);
        assert_eq!(found["meant"].as_str(), meant, "{tag}");
    }
    let report = folder.report_with("Iris B-PER\ncanta 0\n");
    assert_eq!(the(&report, "foreign-tag", NEXT + 1)["meant"], "O");

    folder.write("a.conll", "Ana PER\nLima LOC\n\nEva PER\n");
    let report = folder.report("a.conll");
    let lines = places(&report, "foreign-tag")
        .into_iter()
        .map(|place| place.1);
    assert_eq!(lines.collect::<Vec<_>>(), [Some(2), Some(1)], "each once");
    assert!(places(&report, "no-scheme").is_empty());

    folder.write(
        "a.conll",
        "Ana I-PER\nSosa E-PER\nLima L-LOC\n\nEva U-PER\nRuiz S-PER\n",
    );
    the(&folder.report("a.conll"), "no-scheme", 1);
}

#[test]
fn tags_that_cannot_follow_are_found() {
    let folder = Folder::new();
    let report = folder.report_with("La O\nHabana I-LOC\nvieja I-PER\n");
    let lines = places(&report, "ill-formed")
        .into_iter()
        .map(|place| place.1);
    assert_eq!(lines.collect::<Vec<_>>(), [Some(NEXT + 1), Some(NEXT + 2)]);
    let first = of_kind(&report, "ill-formed")[0];
    assert_eq!([&first["previous"], &first["tag"]], ["O", "I-LOC"]);
    assert_eq!(
        first["what"],
        "`I-LOC` cannot follow `O` in iob2 (word `Habana`)"
    );

    // What the end of a sentence leaves open has the line of its last word.
    let bilou = clean().replace("B-", "U-");
    folder.write("a.conll", bilou + "Iris B-PER\nSosa I-PER\n");
    let report = folder.report("a.conll");
    let found = the(&report, "ill-formed", NEXT + 1);
    assert_eq!(found["tag"], Value::Null);
}

#[test]
fn files_of_different_schemes_are_found() {
    let folder = Folder::new();
    folder.write("train.conll", clean());
    folder.write("a.conll", "llega O\nIris S-PER\n\nIris B-PER\nSosa E-PER\n");
    let report = folder.report("train.conll a.conll");
    let found = the(&report, "mixed-schemes", 1);
    assert_eq!(
        [&found["scheme"], &found["other_scheme"]],
        ["iobes", "iob2"]
    );
    assert_eq!(report["total"]["scheme"], Value::Null);
}

#[test]
fn odd_types_and_tags_are_found() {
    let folder = Folder::new();
    for (tag, kind, meant) in [
        ("B-Per", "type-spelling", json!("PER")),
        ("B-L0C", "type-spelling", json!("LOC")),
        ("B-PRE", "type-misspelling", json!("PER")),
        ("B-EVENT", "rare-type", Value::Null),
    ] {
        let report = folder.report_with(&format!("Iris {tag}\ncanta O\n"));
        let found = the(&report, kind, NEXT);
        assert_eq!(found["type"], tag[2..], "{tag}");
        assert_eq!(found["meant"], meant, "{tag}");
        assert!(places(&report, "rare-tag").is_empty(), "said once");
    }
    let report = folder.report_with("Iris B-PER\nSosa I-PER\ncanta O\n");
    assert_eq!(the(&report, "rare-tag", NEXT + 1)["tag"], "I-PER");

    folder.write("a.conll", "Llueve O\n");
    the(&folder.report("a.conll"), "no-entity", 1);
}

#[test]
fn a_typo_in_one_file_is_measured_by_all() {
    let folder = Folder::new();
    folder.write("train.conll", clean());
    folder.write("a.conll", "Iris B-PER\n\nIris B-Per\ncanta O\n");
    the(&folder.report("train.conll a.conll"), "type-spelling", 3);
}

#[test]
fn sentences_that_occur_twice_are_found() {
    let folder = Folder::new();
    folder.write("train.conll", clean());
    folder.write(
        "a.conll",
        "Iris B-PER\ncanta O\n\nAna B-PER\nllega O\na O\nLugo B-LOC\na-las-una O\n\nIris B-PER\ncanta O\n",
    );
    // Whichever comes first.
    for files in ["train.conll a.conll", "a.conll train.conll"] {
        let report = folder.report(files);
        let across = the(&report, "sentence-in-two-files", 4);
        assert_eq!([&across["other_line"], &across["entities"]], [1, 2]);
        assert_eq!(the(&report, "repeated-sentence", 10)["other_line"], 1);
        assert!(places(&report, "inconsistent-tags").is_empty());
        assert_eq!(
            report["overlaps"],
            json!([{
                "file": "a.conll", "other_file": "train.conll",
                "sentences": 1, "of_sentences": 3, "entities": 2, "of_entities": 4,
            }])
        );
    }
}

#[test]
fn the_same_words_with_other_tags_are_found() {
    let folder = Folder::new();
    let twice = "El O\nSol B-ORG\nsale O\n\n";
    let report = folder.report_with(&format!("{twice}{twice}El O\nSol O\nsale O\n"));
    let found = the(&report, "inconsistent-tags", NEXT + 9);
    assert_eq!(
        [&found["word"], &found["tag"], &found["other_tag"]],
        ["Sol", "O", "B-ORG"]
    );
    assert_eq!([&found["count"], &found["other_count"]], [1, 2]);
    assert_eq!(found["other_line"], NEXT + 1);
}

#[test]
fn strings_with_several_types_are_found() {
    let folder = Folder::new();
    // Each place stands in twelve sentences.
    let report = folder
        .report_with("Lugo B-ORG\ngana O\n\nEl O\nVigo B-ORG\npierde O\n\nVigo B-ORG\ngana O\n");
    let found = the(&report, "type-conflict", NEXT);
    assert_eq!(
        [&found["text"], &found["type"], &found["usual_type"]],
        ["Lugo", "ORG", "LOC"]
    );
    assert_eq!(
        [&found["count"], &found["usual_count"], &found["usual_line"]],
        [1, 12, 4]
    );
    let found = the(&report, "ambiguous-entity", NEXT + 4);
    assert_eq!(
        [&found["text"], &found["count"]],
        [&json!("Vigo"), &json!(2)]
    );
}

#[test]
fn entities_that_are_outside_elsewhere_are_found() {
    let folder = Folder::new();
    let report = folder.report_with("En O\nLugo O\nllueve O\n");
    let found = the(&report, "sometimes-outside", NEXT + 1);
    assert_eq!([&found["outside"], &found["entities"]], [1, 12]);
    // A part of another entity is not outside.
    let report = folder.report_with("El O\nBanco B-ORG\nLugo I-ORG\n");
    assert!(places(&report, "sometimes-outside").is_empty());
}

#[test]
fn odd_words_and_long_sentences_are_found() {
    let folder = Folder::new();
    for (word, kind) in [
        ("\u{200b}", "empty-word"),
        ("\u{a0}", "empty-word"),
        ("Li\u{ad}ma", "odd-character"),
        ("\u{202a}Lima", "odd-character"),
        ("EspaÃ±a", "odd-character"),
        ("Espa\u{fffd}a", "odd-character"),
        ("Espan\u{303}a", "not-nfc"),
    ] {
        let report = folder.report_with(&format!("En O\n{word} O\n\n{word} O\n"));
        let found = the(&report, kind, NEXT + 1);
        assert_eq!([&found["word"], &found["count"]], [&json!(word), &json!(2)]);
    }
    let report = folder.report_with("España B-LOC\n東京 B-LOC\nمی\u{200c}خواهد O\n");
    assert!(
        report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .all(|finding| finding["kind"] != "odd-character")
    );

    folder.write("a.conll", clean() + &"ay O\n".repeat(12));
    assert_eq!(
        the(
            &folder.report("a.conll --long-sentence 11"),
            "long-sentence",
            NEXT
        )["words"],
        12
    );
    assert!(
        places(
            &folder.report("a.conll --long-sentence 12"),
            "long-sentence"
        )
        .is_empty()
    );
}

#[test]
fn a_tokenizer_tells_unknown_words_and_what_truncation_would_lose() {
    let folder = Folder::with_model();
    folder.write(
        "a.conll",
        "Eva B-PER\ncanta O\nen O\nCuzco B-LOC\n. O\n\nEva B-PER\nEva I-PER\ncanta O\nAna B-PER\n",
    );
    // Five sub-words, two of them special.
    let report = folder.report("a.conll --tokenizer model --max-length 5");
    assert_eq!(the(&report, "unknown-word", 10)["word"], "Ana");
    let subwords = &report["files"][0]["subwords"];
    assert_eq!(
        [
            &subwords["subwords"],
            &subwords["unknown_words"],
            &subwords["longer_sentences"]
        ],
        [9, 1, 2]
    );
    assert_eq!(
        [
            &subwords["lost_words"],
            &subwords["lost_entities"],
            &subwords["broken_entities"]
        ],
        [3, 2, 0]
    );
    assert_eq!(places(&report, "truncation").len(), 2);

    folder.write("a.conll", "canta O\ncanta O\nEva B-PER\nEva I-PER\n");
    let report = folder.report("a.conll --tokenizer model --max-length 5");
    let found = the(&report, "truncation", 1);
    assert_eq!(
        [
            &found["lost_words"],
            &found["lost_entities"],
            &found["broken_entities"]
        ],
        [1, 0, 1]
    );
    let said = folder.check("a.conll --tokenizer model --max-length 2");
    assert_eq!(said.code, 1);
    assert!(
        said.stderr.contains("--max-length 2 leaves no room"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_model_tells_labels_that_are_probably_wrong() {
    let folder = Folder::with_model();
    let sentence = "Eva B-PER\ncanta O\nen O\nCuzco B-LOC\n. O\n\n";
    let text = sentence.repeat(20)
        + "Eva B-PER\ncanta O\nen O\nCuzco O\n. O\n\n"
        + "canta O\nEva B-MISC\n";
    folder.write("a.conll", text);
    let report = folder.report("a.conll --model model");
    let found = the(&report, "label-issue", 124);
    assert_eq!(
        [&found["word"], &found["tag"], &found["suggested"]],
        ["Cuzco", "O", "B-LOC"]
    );
    assert_eq!(found["context"], "Eva canta en [Cuzco] .");
    assert_eq!(found["words"][0]["line"], 124);
    let [sure, doubt] = ["probability", "self_confidence"].map(|key| found[key].as_f64().unwrap());
    assert!(sure > 0.9 && doubt < 0.05, "{sure} {doubt}");
    assert_eq!(found["sentence_score"], found["self_confidence"]);
    assert_eq!(the(&report, "unknown-label", 128)["tag"], "B-MISC");
}

#[test]
fn the_exit_code_is_what_was_asked_for() {
    let folder = Folder::new();
    folder.write("warning.conll", clean() + "Iris B-PRE\ncanta O\n");
    folder.write("error.conll", clean() + "Iris I-PER\ncanta O\n");
    for (line, code) in [
        ("warning.conll", 0),
        ("warning.conll --fail-on warning", 1),
        ("error.conll", 1),
        ("error.conll --fail-on warning", 1),
        ("error.conll --format xml", 2),
        ("--format json", 2),
    ] {
        let said = folder.check(line);
        assert_eq!(said.code, code, "{line}: {}", said.stderr);
        assert_eq!(said.stdout.is_empty(), code == 2, "{line}");
    }
    // A report that fails the check is written all the same.
    let said = folder.check("error.conll --format json --output report.json");
    assert_eq!((said.code, &*said.stdout), (1, ""));
    let report = fs::read_to_string(folder.0.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!([&report["errors"], &report["warnings"]], [1, 0]);
}

#[test]
fn the_text_shows_some_and_counts_all() {
    let folder = Folder::new();
    folder.write("a.conll", clean() + &"Iris I-PER\ncanta O\n\n".repeat(4));
    let said = folder.check("a.conll --examples 2");
    let begin = said.stdout.find("error: ").unwrap();
    let expected = format!(
        "error: tag sequences that the scheme forbids (4)\n  a.conll:{NEXT}: `I-PER` cannot follow the start of the sentence in iob2 (word `Iris`)\n"
    );
    assert!(
        said.stdout[begin..].starts_with(&expected),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout
            .contains("  and 2 more (--examples N, --format json)\n  -> mend the tag"),
        "{}",
        said.stdout
    );
    let report = folder.report("a.conll --examples 2");
    assert_eq!(places(&report, "ill-formed").len(), 4);
    let kind = &report["kinds"][0];
    assert_eq!([&kind["kind"], &kind["severity"]], ["ill-formed", "error"]);
    assert_eq!(kind["count"], 4);
}

/// CoNLL-2002 is for research only and no part of this repository.
fn conll2002(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/conll2002-es");
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: no {name} in {}", folder.display());
    None
}

#[test]
fn the_spanish_corpus_repeats_itself() {
    let Some(train) = conll2002("esp.train") else {
        return;
    };
    let Some(test) = conll2002("esp.testb") else {
        return;
    };
    let folder = Folder::new();
    let report = folder.report(&format!("{} {}", train.display(), test.display()));
    let overlap = &report["overlaps"][0];
    assert_eq!(
        [&overlap["sentences"], &overlap["of_sentences"]],
        [309, 1_517]
    );
    assert_eq!(
        [&overlap["entities"], &overlap["of_entities"]],
        [336, 3_559]
    );
    assert_eq!(places(&report, "sentence-in-two-files").len(), 309);
    let ill_formed = places(&report, "ill-formed")
        .into_iter()
        .map(|place| place.1);
    assert_eq!(ill_formed.collect::<Vec<_>>(), [Some(221_619), Some(9_291)]);
    assert_eq!(report["errors"], 2);
    assert_eq!(report["total"]["entities"], 18_798 + 3_559);
}
