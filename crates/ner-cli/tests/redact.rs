//! `redact`: nothing of what was found is left, and all of it comes back.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Folder, run, stdout};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
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
    let message = failure(&["redact", "--input", &input, "--pattern", "X=["]);
    let wanted = "error: --pattern `X=[`: unclosed character class\n";
    assert_eq!(message, wanted);
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

/// Redacts bytes into `out` with its map in `map`, and gives what --undo makes of both.
fn there_and_back(folder: &Folder, bytes: &[u8], operator: &str) -> Vec<u8> {
    let input = folder.write("in.txt", bytes);
    let [out, map, back] = ["out", "map", "back"].map(|name| folder.path(name));
    _ = fs::remove_file(&map);
    let redact = ["redact", "--input", &input, "--operator", operator];
    stdout(&[&redact[..], &["--output", &out, "--map", &map]].concat());
    stdout(&["redact", "--undo", &map, "--input", &out, "--output", &back]);
    fs::read(back).unwrap()
}

#[test]
fn undo_gives_the_very_bytes() {
    const SEED: u64 = 6;
    const PIECES: [&str; 11] = [
        "ana@gil.es",
        "612 345 678",
        "Llueve",
        " ",
        "ñ",
        "\n",
        "\n",
        "\r\n",
        "\r",
        "\u{feff}",
        "\x1a",
    ];
    let folder = Folder::new();
    let there_and_back = |text: &str, operator: &str| {
        let back = there_and_back(&folder, text.as_bytes(), operator);
        let back = String::from_utf8(back).unwrap();
        assert_eq!(back, text, "{operator}");
        folder.read("out")
    };
    let windows = "ana@gil.es\r\nLlueve.\r\n";
    let redacted = there_and_back(windows, "replace");
    assert_eq!(redacted, "<EMAIL_ADDRESS>\r\nLlueve.\r\n");
    assert_eq!(there_and_back("Soy\nana@gil.es", "redact"), "Soy\n");
    let mut texts: Vec<String> = ["", "ana@gil.es", "Soy\rana@gil.es\r\n", "\u{feff}", "\x1a"]
        .map(str::to_owned)
        .into();
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    for _ in 0..60 {
        let count = rng.random_range(1..12);
        let pieces = (0..count).map(|_| *PIECES.choose(&mut rng).unwrap());
        texts.push(pieces.collect());
    }
    for text in &texts {
        for operator in ["replace", "redact"] {
            there_and_back(text, operator);
        }
    }
}

#[test]
fn a_last_line_without_an_end_gets_one_where_another_file_follows() {
    let folder = Folder::new();
    let [one, two] = [
        folder.write("1.txt", "\u{feff}Soy ana@gil.es\x1a"),
        folder.write("2.txt", "\u{feff}Llueve."),
    ];
    let found = stdout(&["redact", "--input", &one, &two]);
    assert_eq!(found, "\u{feff}Soy <EMAIL_ADDRESS>\nLlueve.");
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_what_holds_originals() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    there_and_back(&folder, b"ana@gil.es\n", "number");
    let mode = |name: &str| {
        let found = fs::metadata(folder.path(name)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!((mode("map"), mode("back")), (0o600, 0o600));
    assert_eq!(mode("out"), mode("in.txt"), "as any file");
}

#[test]
fn a_column_file_is_no_running_text() {
    let folder = Folder::new();
    let out = folder.path("out");
    for name in ["dev.conll", "dev.IOB2", "dev.bio.gz"] {
        let input = folder.write(name, "ana@gil.es O\nAna B-PER\n");
        let message = failure(&["redact", "--input", &input, "--output", &out]);
        let wanted = format!("{name}: a column file, by its name");
        assert!(message.contains(&wanted), "{message}");
        assert!(!fs::exists(&out).unwrap());
    }
    let input = folder.path("dev.conll");
    let as_text = ["redact", "--input-format", "text", "--input", &input];
    assert_eq!(stdout(&as_text), "<EMAIL_ADDRESS> O\nAna B-PER\n");
    let missing = folder.path("missing.txt");
    let message = failure(&["redact", "--input", &missing]);
    assert!(message.contains("missing.txt: no such file"), "{message}");
}

#[test]
fn texts_stand_on_the_command_line() {
    let folder = Folder::new();
    let text = "Soy ana@gil.es";
    let (map, name) = (folder.path("map"), folder.write("a.txt", "x"));
    let redact = ["redact", text, "Llueve.", "--operator", "number"];
    let line = [&redact[..], &["--map", &map]].concat();
    let redacted = "Soy <EMAIL_ADDRESS_1>\nLlueve.\n";
    assert_eq!(stdout(&line), redacted);
    let back = ["redact", "Soy <EMAIL_ADDRESS_1>", "Llueve.", "--undo", &map];
    assert_eq!(stdout(&back), format!("{text}\nLlueve.\n"));
    let message = said(&["redact", &name]);
    let note = format!("is taken as a text; for the file of this name give --input {name}");
    assert!(message.contains(&note), "{message}");
    // An option that takes several values takes a text that follows it, too.
    let message = failure(&["redact", "--operator", "number", text]);
    assert!(
        message.contains("a text stands before the options"),
        "{message}"
    );
    let map = folder.path("map2");
    let message = failure(&["redact", "a\nb", "--map", &map]);
    assert!(message.contains("a text has several lines"), "{message}");
    common::failure(2, &["redact", text, "--input", &name]);
}

#[test]
fn a_record_that_cannot_be_read_is_left_out_where_asked_for() {
    let folder = Folder::new();
    let input = folder.write("a.txt", b"ana@gil.es\n\xff\nLlueve.");
    let [map, out] = ["map", "out"].map(|name| folder.path(name));
    let redact = ["redact", "--input", &input, "--map", &map, "--output", &out];
    let message = failure(&redact);
    let wanted = "record 2 cannot be read; --on-error skip leaves such ones out";
    assert!(message.contains(wanted), "{message}");
    assert!(message.contains("a.txt:2: byte 0xFF"), "{message}");
    let message = said(&[&redact[..], &["--on-error", "skip"]].concat());
    assert!(message.contains("left out: "), "{message}");
    assert!(message.contains("1 of 3 records was left out"), "{message}");
    assert_eq!(folder.read("out"), "<EMAIL_ADDRESS>\nLlueve.");
    let undo = ["redact", "--undo", &map, "--input", &out];
    assert_eq!(stdout(&undo), "ana@gil.es\nLlueve.");
}

#[test]
fn a_table_keeps_its_semicolons() {
    let folder = Folder::new();
    let table = "id;text\n7;ana@gil.es, hola\n8;\"a;b\"\n";
    let input = folder.write("a.csv", table);
    let [map, out] = [folder.path("map"), folder.path("out.csv")];
    let redact = ["redact", "--input", &input, "--map", &map];
    let redacted = "id;text\n7;<EMAIL_ADDRESS>, hola\n8;\"a;b\"\n";
    stdout(&[&redact[..], &["--output", &out]].concat());
    assert_eq!(folder.read("out.csv"), redacted);
    assert_eq!(stdout(&["redact", "--undo", &map, "--input", &out]), table);
}
