//! `redact`: nothing of what was found is left, and all of it comes back.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Folder, run, stdout};
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
            fs::remove_file(&map).unwrap();
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
    let slip = [&both[..], &["--operator", "keep", "PESRON=replace"]].concat();
    let message = failure(&slip);
    let wanted = "--operator: nothing finds a type `PESRON`; did you mean `PER`? There are ";
    assert!(message.contains(wanted), "{message}");
    assert!(!message.contains("need --model"), "{message}");
}

/// What a command says on stderr that must succeed.
fn said(arguments: &[&str]) -> String {
    let output = run(arguments, b"");
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {message}");
    message
}

#[test]
fn a_type_that_nothing_finds_has_no_operator() {
    let folder = Folder::new();
    let input = folder.write("a.txt", "ana@gil.es E-123456\n");
    let redact = ["redact", "--input", &input, "--operator", "keep"];
    let staff = ["--pattern", "STAFF=E-[0-9]{6}"];
    for (operator, wanted) in [
        ("EMAIL_ADDRES=mask", "did you mean `EMAIL_ADDRESS`?"),
        ("EMAIL=mask", "did you mean `EMAIL_ADDRESS`?"),
        ("STAF=mask", "did you mean `STAFF`?"),
        ("PER=mask", "types of names, such as PER, need --model"),
    ] {
        let message = failure(&[&redact[..], &[operator], &staff].concat());
        assert!(message.contains(wanted), "{operator}: {message}");
        assert!(!message.contains("ana@gil.es"), "{message}");
    }
    let message = failure(&["redact", "--input", &input, "--without", "EMAIL"]);
    let wanted = "--without: nothing finds a type `EMAIL`; did you mean `EMAIL_ADDRESS`?";
    assert!(message.contains(wanted), "{message}");
    let right = [&redact[..], &["STAFF=mask"], &staff].concat();
    assert_eq!(stdout(&right), "ana@gil.es ********\n");
    let line = "1 record, 2 entities found, 1 replaced: EMAIL_ADDRESS 1, STAFF 1";
    let message = said(&right);
    assert!(message.lines().any(|found| found == line), "{message}");
    let dry = folder.write("b.txt", "Llueve.\nLlueve.\n");
    let message = said(&["redact", "--input", &dry]);
    let line = "2 records, 0 entities found, 0 replaced";
    assert!(message.lines().any(|found| found == line), "{message}");
}

#[test]
fn the_guide_shows_what_rules_make_of_its_mail() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mail = root.join("fixtures/quickstart/mail.txt");
    let guide = fs::read_to_string(root.join("docs/guide.md")).unwrap();
    let redact = [
        "redact",
        "--operator",
        "number",
        "EMAIL_ADDRESS=mask",
        "--input",
        mail.to_str().unwrap(),
    ];
    let shown = stdout(&redact) + &said(&redact);
    assert!(shown.contains("Marta Ruiz"), "{shown}");
    assert!(guide.contains(&shown), "{shown}");
}

#[test]
fn a_map_that_is_there_is_not_overwritten() {
    let folder = Folder::new();
    let input = folder.write("a.txt", "ana@gil.es\n");
    let map = folder.path("map");
    let redact = ["redact", "--input", &input, "--map", &map];
    stdout(&redact);
    let first = folder.read("map");
    let message = failure(&redact);
    let wanted = "map: is there already and may be the only way back to earlier originals";
    assert!(message.contains(wanted), "{message}");
    assert_eq!(folder.read("map"), first);
    fs::remove_file(&map).unwrap();
    stdout(&redact);
}

#[test]
fn what_a_key_is_needed_for_is_said() {
    let folder = Folder::new();
    let input = folder.write("a.txt", "ana@gil.es\neva@gil.es\n");
    let key = folder.write("key", "a key of some length");
    let redact = ["redact", "--input", &input, "--operator"];
    let message = failure(&[&redact[..], &["hash"]].concat());
    assert!(message.contains("--key-file"), "{message}");
    let pseudonyms = [&redact[..], &["pseudonym"]].concat();
    let note = "note: without --key-file pseudonyms begin anew with each record";
    assert!(said(&pseudonyms).contains(note));
    let quiet = [&pseudonyms[..], &["--quiet"]].concat();
    assert_eq!(said(&quiet), "");
    let with_key = [&pseudonyms[..], &["--key-file", &key]].concat();
    assert!(!said(&with_key).contains("note: "));
    // The pattern is named by its text.
    let message = failure(&["redact", "--input", &input, "--pattern", "A=a", "B=(b"]);
    assert!(message.contains("--pattern `B=(b`: "), "{message}");
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
