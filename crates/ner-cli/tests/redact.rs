//! `redact`: nothing of what was found is left, and all of it comes back.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Folder, stdout};
use serde_json::{Value, json};

/// The message of a command that fails and writes nothing.
fn failure(arguments: &[&str]) -> String {
    common::failure(1, arguments)
}

const TRAIN: &str = "Ana B-PER\nPaz I-PER\nvive O\nen O\nLima B-LOC\n. O\n\nLlueve O\nen O\nLima B-LOC\n. O\n\nLlueve O\n. O\n";

#[test]
fn identifiers_are_taken_out_and_given_back_in_every_form() {
    let folder = Folder::new();
    let texts = [
        "Escriba a ana@gil.es o llame al 612 345 678.",
        "Pagó con 4111 1111 1111 1111, NIF 12345678Z; repito: 12345678Z.",
        "Llueve — 😀",
        "",
    ];
    let rows: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| json!({"n": n, "text": text, "more": {"x": [null, 1.5]}}))
        .collect();
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["n", "text"]).unwrap();
    for (n, text) in texts.iter().enumerate() {
        table.write_record([&n.to_string(), *text]).unwrap();
    }
    let table = String::from_utf8(table.into_inner().unwrap()).unwrap();
    let inputs = [
        ("a.txt", texts.join("\n") + "\n"),
        ("a.jsonl", lines.join("\n") + "\n"),
        ("a.csv", table),
    ];
    let [map, out, key, report] =
        ["map", "out", "key", "report.json"].map(|name| folder.path(name));
    fs::write(&key, "a key of some length").unwrap();
    for (name, text) in inputs {
        let input = folder.write(name, &text);
        let format = name.rsplit('.').next().unwrap().replace("txt", "text");
        for operator in [
            "replace",
            "number",
            "mask",
            "mask:#:2",
            "hash:16",
            "pseudonym",
            "redact",
        ] {
            let redact = [
                "redact",
                "--input",
                &input,
                "--operator",
                operator,
                "--key-file",
                &key,
                "--map",
                &map,
                "--output",
                &out,
                "--report",
                &report,
            ];
            stdout(&redact);
            let redacted = folder.read("out");
            for found in ["ana@gil.es", "612 345 678", "4111 1111", "12345678Z"] {
                assert!(!redacted.contains(found), "{name} {operator}: {redacted}");
            }
            assert!(redacted.contains("Llueve — 😀"));
            let counted: Value = serde_json::from_str(&folder.read("report.json")).unwrap();
            let wanted =
                json!({"CREDIT_CARD": 1, "EMAIL_ADDRESS": 1, "ES_NIF": 2, "PHONE_NUMBER": 1});
            assert_eq!(counted["found"], wanted);
            let undo = [
                "redact",
                "--undo",
                &map,
                "--input",
                &out,
                "--input-format",
                &format,
            ];
            assert_eq!(stdout(&undo), text, "{name} {operator}");
        }
    }
}

#[test]
fn what_a_model_found_is_taken_out_of_the_whole_record() {
    let folder = Folder::new();
    let model = folder.model(TRAIN, "");
    let record = json!({"id": 1, "title": "Ana Paz", "body": "Ana Paz vive en Lima .", "by": null});
    let input = folder.write("a.jsonl", format!("{record}\n"));
    let redact = [
        "redact",
        "--model",
        &model,
        "--input",
        &input,
        "--operator",
        "number",
    ];
    // A field that was not named holds the name: nothing is written.
    let body = [&redact[..], &["--text-field", "body"]].concat();
    let message = failure(&body);
    assert!(
        message.contains("record 1: field `title` holds an entity"),
        "{message}"
    );
    assert!(
        !message.contains("Ana") && !message.contains("Lima"),
        "{message}"
    );
    let both = [&redact[..], &["--text-field", "body", "title", "by"]].concat();
    let found: Value = serde_json::from_str(&stdout(&both)).unwrap();
    assert_eq!(found["body"], "<PER_1> vive en <LOC_1> .");
    assert_eq!(
        (&found["title"], &found["by"]),
        (&json!("<PER_1>"), &Value::Null)
    );
    let ignored = [&body[..], &["--ignore-field", "title"]].concat();
    assert!(stdout(&ignored).contains("\"Ana Paz\""));
    let kept = [&both[..], &["--operator", "number", "LOC=keep"]].concat();
    assert!(stdout(&kept).contains("vive en Lima"));
    let sure = [&both[..], &["--min-score", "PER=1"]].concat();
    assert!(
        stdout(&sure).contains("Ana Paz"),
        "below the threshold nothing is trusted"
    );
}

#[test]
fn an_error_writes_nothing_of_the_text() {
    let folder = Folder::new();
    let secret = "ana@gil.es";
    let input = folder.write(
        "a.jsonl",
        format!("{{\"text\": \"{secret}\"}}\n{{\"text\": \"{secret}\n"),
    );
    let [out, map] = ["out", "map"].map(|name| folder.path(name));
    let redact = ["redact", "--input", &input];
    let to_file = [&redact[..], &["--output", &out, "--map", &map]].concat();
    let message = failure(&to_file);
    assert!(
        message.contains("a.jsonl:2") && !message.contains(secret),
        "{message}"
    );
    assert!(!fs::exists(&out).unwrap() && !fs::exists(&map).unwrap());
    let message = failure(&redact);
    assert!(!message.contains(secret), "{message}");

    let good = folder.write("b.txt", format!("{secret}\nLlueve.\n"));
    for (more, reason) in [
        (&["--operator", "hash"][..], "key"),
        (&["--operator", "shred"], "shred"),
        (&["--without", "NAMES"], "NAMES"),
        (&["--pattern", "X=("], "X"),
        (&["--key-file", "/nowhere"], "/nowhere"),
    ] {
        let message = failure(&[&["redact", "--input", &good][..], more].concat());
        assert!(
            message.contains(reason) && !message.contains(secret),
            "{message}"
        );
    }
    // A map goes with its own results only.
    let other = folder.write("c.txt", "<EMAIL_ADDRESS>!\nLlueve.\n");
    stdout(&["redact", "--input", &good, "--output", &out, "--map", &map]);
    assert_eq!(folder.read("out"), "<EMAIL_ADDRESS>\nLlueve.\n");
    let message = failure(&["redact", "--undo", &map, "--input", &other]);
    assert!(message.contains("record 1"), "{message}");
    let short = folder.write("d.txt", "<EMAIL_ADDRESS>\n");
    let message = failure(&[
        "redact", "--undo", &map, "--input", &short, "--output", &out,
    ]);
    assert!(
        message.contains("goes on after the last record"),
        "{message}"
    );
}
