//! `redact` on a thousand texts with known identifiers and what a model finds: nothing of it is left in any form by any operator, and all comes back.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{Folder, stdout};
use rand::{Rng, RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde_json::{Value, json};

const TEXTS: usize = 1000;
const SEED: u64 = 20_180_525;

const TRAIN: &str = "Ardina B-PER Quelmer I-PER vive O en O Trasmuño B-LOC . O\nLlama O a O Ober B-PER Zuntal I-PER hoy O . O\n\
    El O recibo O de O Grisela B-PER está O en O Vado B-LOC Hondo I-LOC . O\nLlueve O . O\n";

const NAMES: [&str; 5] = [
    "Ardina Quelmer",
    "Ober Zuntal",
    "Grisela",
    "Trasmuño",
    "Vado Hondo",
];

const FILLERS: [&str; 6] = [
    "Llueve .",
    "El recibo está en",
    "Llama a",
    "vive en",
    "— 😀 \"sí\", dijo",
    "por 1.250,50 euros",
];

const OPERATORS: [&str; 8] = [
    "replace",
    "replace:[…]",
    "number",
    "mask",
    "mask:#:2",
    "hash:16",
    "pseudonym",
    "redact",
];

/// A number of `fixtures/goldens/redact`, whose check digits python-stdnum judged.
#[derive(Deserialize)]
struct Number {
    number: String,
    valid: bool,
}

/// A text and the identifiers in it.
struct Document {
    text: String,
    identifiers: Vec<String>,
    name: &'static str,
}

fn digits(rng: &mut impl Rng, count: usize) -> String {
    let digit = |_| char::from(rng.random_range(b'0'..=b'9'));
    (0..count).map(digit).collect()
}

/// IBANs, cards, DNI and NIE from the goldens, else an address or a telephone number.
fn identifier(rng: &mut impl Rng, numbers: &[String]) -> String {
    let n = digits(rng, 6);
    match rng.random_range(0..8) {
        0 => format!("kuvo.{n}@wexapi{n}.es"),
        1 => format!("6{} {} {}", digits(rng, 2), digits(rng, 3), digits(rng, 3)),
        2 => format!("+34 9{}{n}", digits(rng, 2)),
        3 => {
            let mut byte = || rng.random_range(100..=255);
            format!("{}.{}.{}.{}", byte(), byte(), byte(), byte())
        }
        _ => numbers.choose(rng).unwrap().clone(),
    }
}

fn documents() -> Vec<Document> {
    let golden = include_str!("../../../fixtures/goldens/redact/numbers.json");
    let numbers: Vec<Number> = serde_json::from_str(golden).unwrap();
    let numbers = numbers.into_iter().filter(|number| number.valid);
    let numbers: Vec<String> = numbers.map(|number| number.number).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let document = |_| {
        let mut parts = Vec::new();
        let mut identifiers = Vec::new();
        for _ in 0..rng.random_range(1..=4) {
            parts.push((*FILLERS.choose(&mut rng).unwrap()).to_owned());
            parts.push((*NAMES.choose(&mut rng).unwrap()).to_owned());
            let found = identifier(&mut rng, &numbers);
            parts.push(format!("({found}),"));
            identifiers.push(found);
        }
        Document {
            text: parts.join(" "),
            identifiers,
            name: NAMES.choose(&mut rng).unwrap(),
        }
    };
    (0..TEXTS).map(document).collect()
}

/// The documents in a form, with the name of the file.
fn written(documents: &[Document], name: &str) -> String {
    if name.ends_with("txt") {
        let lines = documents.iter().map(|one| one.text.clone() + "\n");
        return lines.collect();
    }
    let title = |one: &Document| format!("{}, {}", one.name, one.identifiers[0]);
    if name.ends_with("jsonl") {
        let rows = (0..).zip(documents).map(|(number, one)| {
            json!({"n": number, "title": title(one), "text": one.text, "more": {"x": [null, 1.5]}})
        });
        return rows.map(|row| row.to_string() + "\n").collect();
    }
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["n", "text", "title"]).unwrap();
    for (number, one) in (0..).zip(documents) {
        let number: i32 = number;
        table
            .write_record([&number.to_string(), &one.text, &title(one)])
            .unwrap();
    }
    String::from_utf8(table.into_inner().unwrap()).unwrap()
}

/// The texts of all fields of each record.
fn fields(text: &str, name: &str) -> Vec<String> {
    if name.ends_with("csv") {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows = reader.records().map(Result::unwrap);
        return rows
            .map(|row| row.iter().collect::<Vec<_>>().join("\n"))
            .collect();
    }
    text.lines().map(str::to_owned).collect()
}

/// Letters and digits only.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|letter| letter.is_alphanumeric())
        .collect()
}

/// Whether words stand in a text as words of their own.
fn has_words(text: &str, words: &str) -> bool {
    let is_inside = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    text.match_indices(words).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + words.len()..].chars().next();
        !is_inside(before) && !is_inside(after)
    })
}

/// What the model finds in a field of each document.
fn found_by(model: &str, folder: &Folder, documents: &[Document], field: &str) -> Vec<Vec<String>> {
    let input = folder.write("all.jsonl", written(documents, "jsonl"));
    let predict = [
        "predict",
        "--model",
        model,
        "--input",
        &input,
        "--format",
        "jsonl",
        "--text-field",
        field,
    ];
    let words = |line: &str| {
        let answer: Value = serde_json::from_str(line).unwrap();
        let entities = answer["entities"].as_array().unwrap().iter();
        entities
            .map(|entity| entity["word"].as_str().unwrap().to_owned())
            .collect()
    };
    stdout(&predict).lines().map(words).collect()
}

/// Fails where something of an identifier or of an entity is left in a record.
fn check<'a>(
    record: &str,
    document: &Document,
    found: impl Iterator<Item = &'a String>,
    place: &str,
) {
    let plain_record = plain(record);
    for identifier in &document.identifiers {
        let letters: Vec<char> = plain(identifier).chars().collect();
        let start: String = letters[..6].iter().collect();
        let end: String = letters[letters.len() - 6..].iter().collect();
        for part in [&start, &end] {
            assert!(
                !plain_record.contains(part),
                "{place}: {identifier} in {record}"
            );
        }
    }
    for words in found {
        let text = &document.text;
        assert!(
            !has_words(record, words),
            "{place}: {words} in {record} of {text}"
        );
    }
}

#[test]
fn nothing_is_left_of_a_thousand_texts_and_all_of_it_comes_back() {
    let folder = Folder::new();
    let corpus = TRAIN.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        words
            .chunks(2)
            .map(|pair| pair.join(" ") + "\n")
            .collect::<String>()
            + "\n"
    });
    let model = folder.model(&corpus.collect::<String>(), "");
    let documents = documents();
    let found = ["text", "title"].map(|field| found_by(&model, &folder, &documents, field));
    let count: usize = found.iter().flatten().map(Vec::len).sum();
    assert!(count > TEXTS, "the model finds names: {count}");
    let key = folder.write("key", "a key of some length");
    let [map, out, report] = ["map", "redacted", "report"].map(|name| folder.path(name));
    for name in ["a.txt", "a.jsonl", "a.csv"] {
        let text = written(&documents, name);
        let input = folder.write(name, &text);
        let columns: &[&str] = if name == "a.txt" {
            &["text"]
        } else {
            &["text", "title"]
        };
        for operator in OPERATORS {
            let place = format!("{name}, {operator}");
            // One character is no name; a pseudonym's few digits can be another number's by chance.
            let least = if operator == "pseudonym" { 6 } else { 2 };
            let files = [
                "--map",
                &map,
                "--output",
                &out,
                "--report",
                &report,
                "--key-file",
                &key,
            ];
            let redact = [
                "redact",
                "--model",
                &model,
                "--input",
                &input,
                "--operator",
                operator,
            ];
            stdout(&[&redact[..], &files, &["--text-field"], columns].concat());
            let redacted = folder.read("redacted");
            let records = fields(&redacted, name);
            assert_eq!(records.len(), TEXTS, "{place}");
            for (number, (record, document)) in records.iter().zip(&documents).enumerate() {
                let found = found[..columns.len()]
                    .iter()
                    .flat_map(|found| &found[number]);
                let found = found.filter(|words| plain(words).chars().count() >= least);
                check(record, document, found, &place);
            }
            let counts: BTreeMap<String, Value> =
                serde_json::from_str(&folder.read("report")).unwrap();
            assert!(
                counts["found"]["IBAN_CODE"].as_u64() > Some(100),
                "{counts:?}"
            );
            let format = name.replace("a.", "").replace("txt", "text");
            let undo = [
                "redact",
                "--undo",
                &map,
                "--input",
                &out,
                "--input-format",
                &format,
                "--text-field",
            ];
            let back = stdout(&[&undo[..], columns].concat());
            assert!(back == text, "{place}: not as it was");
            std::fs::remove_file(&map).unwrap();
        }
    }
}
