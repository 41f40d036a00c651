//! `predict` on files and pipes of every form.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write;
use std::sync::OnceLock;

use common::{Folder, run, stdout_of};
use serde_json::{Value, json};

const TRAIN: &str = "Ana B-PER\nPaz I-PER\nvive O\nen O\nLima B-LOC\n. O\n\nEl O\nBanco B-ORG\nde I-ORG\nLima I-ORG\ncierra O\n. O\n\nLlueve O\n. O\n";

/// A model that knows [`TRAIN`] by heart, made once.
fn model() -> &'static str {
    static MODEL: OnceLock<(Folder, String)> = OnceLock::new();
    let (_, path) = MODEL.get_or_init(|| {
        let folder = Folder::new();
        let path = folder.model(TRAIN, "");
        (folder, path)
    });
    path
}

/// What a command answers before it fails, and why it does.
fn failure(arguments: &[&str], input: &[u8]) -> (String, String) {
    let output = run(arguments, input);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let [out, error] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (out, error)
}

fn jsonl(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Types and words of the entities of each record.
fn entities(records: &[Value]) -> Vec<Vec<(String, String)>> {
    let name = |entity: &Value, field: &str| entity[field].as_str().unwrap().to_owned();
    let of_record = |record: &Value| {
        let found = record["entities"].as_array().unwrap().iter();
        found
            .map(|entity| (name(entity, "entity_group"), name(entity, "word")))
            .collect()
    };
    records.iter().map(of_record).collect()
}

#[test]
fn fields_of_records_are_kept() {
    let folder = Folder::new();
    let records = folder.write(
        "a.jsonl",
        "{\"id\": 7, \"body\": \"Ana Paz vive en Lima .\", \"more\": {\"x\": [1.50]}}\n{\"body\": \"Llueve .\", \"id\": null}\n",
    );
    let predict = [
        "predict",
        "--model",
        model(),
        "--format",
        "jsonl",
        "--text-field",
        "body",
    ];
    let found = jsonl(&stdout_of(
        &[&predict[..], &["--input", &records]].concat(),
        b"",
    ));
    assert_eq!(
        (&found[0]["id"], &found[0]["more"]),
        (&json!(7), &json!({"x": [1.5]}))
    );
    let names: Vec<&String> = found[0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "body", "more", "entities"]);
    let wanted = [("PER", "Ana Paz"), ("LOC", "Lima")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(entities(&found), [wanted.to_vec(), vec![]]);

    // The same from columns, and from a pipe whose form is named.
    let table = "id\tbody\n7\tAna Paz vive en Lima .\n8\tLlueve .\n";
    let file = folder.write("a.tsv", table);
    let by_name = stdout_of(&[&predict[..], &["--input", &file]].concat(), b"");
    let piped = stdout_of(
        &[&predict[..], &["--input-format", "tsv"]].concat(),
        table.as_bytes(),
    );
    assert_eq!(by_name, piped);
    let rows = jsonl(&by_name);
    assert_eq!(rows[1]["id"], "8");
    assert_eq!(entities(&rows), entities(&found));

    let taken = [
        &predict[..],
        &["--input", &records, "--entities-field", "id"],
    ]
    .concat();
    let (_, message) = failure(&taken, b"");
    assert!(message.contains("has a field `id` already"), "{message}");
    let other = [
        &predict[..],
        &["--input", &records, "--entities-field", "ner"],
    ]
    .concat();
    assert!(jsonl(&stdout_of(&other, b""))[0]["ner"].is_array());
}

#[test]
fn files_are_found_by_pattern_and_unpacked() {
    let folder = Folder::new();
    folder.write("1.txt", "Ana vive .\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all("Llueve .\n".as_bytes()).unwrap();
    folder.write("2.txt.gz", packed.finish().unwrap());
    folder.write(
        "3.txt.zst",
        zstd::stream::encode_all(&b"En Lima .\n"[..], 1).unwrap(),
    );
    let pattern = folder.path("*.txt*");
    let predict = ["predict", "--model", model(), "--format", "jsonl"];
    let found = jsonl(&stdout_of(
        &[&predict[..], &["--input", &pattern]].concat(),
        b"",
    ));
    let texts: Vec<&str> = found
        .iter()
        .map(|one| one["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["Ana vive .", "Llueve .", "En Lima ."]);
    let none = folder.path("*.nothing");
    let (_, message) = failure(&[&predict[..], &["--input", &none]].concat(), b"");
    assert!(
        message.contains("no file or directory matches it"),
        "{message}"
    );
}

#[cfg(not(feature = "arrow"))]
#[test]
fn without_the_feature_a_table_is_refused() {
    let folder = Folder::new();
    let table = folder.write("a.parquet", "PAR1");
    let predict = ["predict", "--model", model(), "--input", &table];
    let to_table = [&predict[..], &["--format", "parquet"]].concat();
    let as_arrow = [&predict[..], &["--input-format", "arrow"]].concat();
    for line in [&predict[..], &to_table, &as_arrow] {
        let (_, message) = failure(line, b"");
        assert!(message.contains("-p ner-cli --features arrow"), "{message}");
    }
}

#[test]
fn a_bad_record_ends_the_run_or_is_left_out() {
    let input = b"{\"text\": \"Ana vive .\"}\n{\"text\": 3}\n{\"text\": \"Llueve .\"}\n";
    let predict = [
        "predict",
        "--model",
        model(),
        "--format",
        "jsonl",
        "--input-format",
        "jsonl",
    ];
    let (answered, message) = failure(&predict, input);
    assert_eq!(jsonl(&answered).len(), 1, "texts before it are answered");
    assert!(
        message.contains("stdin:2: field `text` is a number"),
        "{message}"
    );
    assert!(message.contains("--on-error skip"), "{message}");
    let skip = [&predict[..], &["--on-error", "skip"]].concat();
    let output = run(&skip, input);
    assert!(output.status.success());
    let found = jsonl(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(found.len(), 2);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("left out: stdin:2: field `text` is a number"),
        "{message}"
    );
    assert!(message.contains("1 of 3 records was left out"), "{message}");
}

#[test]
fn places_are_counted_as_asked() {
    let text = "😀 Ana Paz vive en Lima .";
    let place = |offsets: &str| -> (u64, u64) {
        let predict = [
            "predict",
            "--model",
            model(),
            "--format",
            "jsonl",
            "--offsets",
            offsets,
            text,
        ];
        let found = jsonl(&stdout_of(&predict, b""));
        let entity = found[0]["entities"].as_array().unwrap();
        let lima = entity.iter().find(|one| one["word"] == "Lima").unwrap();
        (
            lima["start"].as_u64().unwrap(),
            lima["end"].as_u64().unwrap(),
        )
    };
    let bytes = text.find("Lima").unwrap() as u64;
    assert_eq!(place("bytes"), (bytes, bytes + 4));
    assert_eq!(place("code-points"), (bytes - 3, bytes + 1));
    assert_eq!(place("utf-16"), (bytes - 2, bytes + 2));
}

#[test]
fn a_killed_run_goes_on() {
    let folder = Folder::new();
    let texts: Vec<String> = (0..40)
        .map(|number| format!("{{\"n\": {number}, \"text\": \"Ana {number} vive en Lima .\"}}"))
        .collect();
    let whole = folder.write("texts.jsonl", texts.join("\n"));
    let [out, twice] = ["out.jsonl", "twice.jsonl"].map(|name| folder.path(name));
    let command = |input: &str, output: &str| -> Vec<String> {
        let line = format!(
            "predict --model {} --input {input} --format jsonl --output {output} --batch-size 8 --resume",
            model()
        );
        line.split(' ').map(str::to_owned).collect()
    };
    let call = |words: &[String], input: &[u8]| {
        run(&words.iter().map(String::as_str).collect::<Vec<_>>(), input)
    };
    assert!(call(&command(&whole, &out), b"").status.success());
    let wanted = fs::read_to_string(&out).unwrap();
    assert_eq!(wanted.lines().count(), 40);

    // A pipe that ends in the middle of a record: what stands before is answered, and kept.
    let cut = texts[..21].join("\n") + "\n{\"n\": 21, \"te";
    let line = [
        command("-", &twice),
        vec!["--input-format".into(), "jsonl".into()],
    ]
    .concat();
    assert_eq!(call(&line, cut.as_bytes()).status.code(), Some(1));
    assert!(!fs::exists(&twice).unwrap());
    let part = fs::read_to_string(format!("{twice}.part")).unwrap();
    assert_eq!(part.lines().count(), 21);
    // As a kill leaves it: with the beginning of a batch after what is answered for.
    fs::write(format!("{twice}.part"), format!("{part}{{\"n\": 21, \"te")).unwrap();
    let other = [line.clone(), vec!["--offsets".into(), "bytes".into()]].concat();
    let message = String::from_utf8(call(&other, b"").stderr).unwrap();
    assert!(message.contains("other settings"), "{message}");
    let short = String::from_utf8(call(&line, texts[..3].join("\n").as_bytes()).stderr).unwrap();
    assert!(short.contains("is it the same input?"), "{short}");
    assert!(call(&line, texts.join("\n").as_bytes()).status.success());
    assert_eq!(fs::read_to_string(&twice).unwrap(), wanted);
    assert!(!fs::exists(format!("{twice}.part.json")).unwrap());
    // Nothing is left to do, and a loop over the same command ends well.
    let again = call(&line, texts.join("\n").as_bytes());
    let message = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.success(), "{message}");
    let note = format!("note: {twice} is there already and is left as it is");
    assert!(message.contains(&note), "{message}");
    assert_eq!(fs::read_to_string(&twice).unwrap(), wanted);
}

#[cfg(unix)]
#[test]
#[allow(unsafe_code, reason = "a test that sends signals")]
fn ctrl_c_says_what_it_leaves() {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    let folder = Folder::new();
    let out = folder.path("out");
    let files = || fs::read_dir(folder.path("")).unwrap().count();
    for (more, said) in [
        (&["--format", "jsonl"][..], ". With --resume a run keeps"),
        (&["--format", "html"], "\n"),
        (
            &["--format", "jsonl", "--resume"],
            ".part: give the same command again to go on\n",
        ),
    ] {
        let line = ["predict", "--model", model(), "--batch-size", "1"];
        let line = [&line[..], &["--output", &out], more].concat();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ner-cli"));
        command
            .args(&line)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: signal(2) may be called between fork and exec. Tests may run where signals are ignored, as under `nohup`.
        unsafe {
            command.pre_exec(|| {
                for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                Ok(())
            });
        }
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap(); // open: the run waits for more
        stdin.write_all(b"Ana vive .\n").unwrap();
        let start = Instant::now();
        while files() == 0 {
            assert!(start.elapsed().as_secs() < 60, "no file is begun");
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_millis(300));
        // SAFETY: the child has not been waited for, so that its number is its own.
        let sent = unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
        assert_eq!(sent, 0);
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{more:?}: {message}");
        assert!(message.contains("interrupted; "), "{message}");
        assert!(message.contains(&format!("{out}{said}")), "{message}");
        assert!(!fs::exists(&out).unwrap());
        if !more.contains(&"--resume") {
            assert_eq!(files(), 0, "{more:?}");
            continue;
        }
        stdout_of(&line, b"Ana vive .\nLlueve .\n");
        assert_eq!(folder.read("out").lines().count(), 2);
    }
}

#[test]
fn files_that_do_not_go_together_are_refused_before_anything_is_tagged() {
    let folder = Folder::new();
    let [texts, columns, packed] = [
        folder.write("a.txt", "Ana vive .\n"),
        folder.write("b.conll", TRAIN),
        folder.write("c.conll.gz", "packed"),
    ];
    let missing = folder.path("missing.txt");
    let kinds = format!("{columns} is a column file and {texts} holds lines of text");
    for (files, wanted) in [
        ([&*texts, &*columns], &*kinds),
        ([&*columns, &*texts], &*kinds),
        ([&*columns, "-"], "and - holds lines of text"),
        ([&*texts, &*missing], "missing.txt: no such file"),
        (
            [&*columns, "Ana"],
            "Ana: no such file; for a text in its place, leave out --input",
        ),
        (
            [&*columns, &*packed],
            "c.conll.gz: a column file is read as it is",
        ),
    ] {
        let predict = ["predict", "--model", model(), "--input"];
        let line = [&predict[..], &files].concat();
        let (answered, message) = failure(&line, b"Llueve .\n");
        assert_eq!(answered, "", "{files:?}");
        assert!(message.contains(wanted), "{files:?}: {message}");
    }
    // What all of them hold may be said.
    let line = ["predict", "--model", model(), "--input-format", "text"];
    let line = [&line[..], &["--input", &texts, &columns]].concat();
    assert_eq!(
        stdout_of(&line, b"").lines().count(),
        1 + TRAIN.lines().count()
    );
    // The names count that a pattern stands for.
    folder.write("columns/a.conll", format!("{TRAIN}\n"));
    let pattern = folder.path("columns/*");
    let line = ["predict", "--model", model(), "--format", "conll"];
    let line = [&line[..], &["--input", &pattern]].concat();
    assert_eq!(stdout_of(&line, b""), format!("{TRAIN}\n"));
}

#[test]
fn the_name_of_the_output_chooses_the_form() {
    let folder = Folder::new();
    let predict = ["predict", "--model", model(), "Ana Paz vive en Lima ."];
    let written = |name: &str, more: &[&str]| {
        let out = folder.path(name);
        let line = [&predict[..], &["--output", &out], more].concat();
        assert_eq!(stdout_of(&line, b""), "");
        folder.read(name)
    };
    let marked = "[PER Ana Paz] vive en [LOC Lima] .\n";
    assert_eq!(written("a.txt", &[]), marked);
    assert_eq!(written("a", &[]), marked);
    assert_eq!(jsonl(&written("a.jsonl", &[]))[0]["text"], predict[3]);
    assert!(written("a.CSV", &[]).starts_with("record,entity_group,"));
    assert!(written("a.conll", &[]).starts_with("Ana B-PER\nPaz I-PER\n"));
    assert!(written("a.html", &[]).ends_with("</html>\n"));
    // What is given counts more.
    assert_eq!(written("b.jsonl", &["--format", "text"]), marked);
}

#[test]
fn a_text_that_is_not_utf_8_is_answered_with_advice_that_helps() {
    let folder = Folder::new();
    for (name, bytes) in [
        ("a.txt", &b"Espa\xf1a\n"[..]),
        ("a.jsonl", b"{\"text\": \"Espa\xf1a\"}\n"),
        ("a.csv", b"text\nEspa\xf1a\n"),
    ] {
        let input = folder.write(name, bytes);
        let predict = ["predict", "--model", model(), "--input", &input];
        for more in [&[] as &[&str], &["--encoding", "iso-8859-1"]] {
            let (_, message) = failure(&[&predict[..], more].concat(), b"");
            let advice = "convert the file, as with iconv -f ISO-8859-1 -t UTF-8";
            assert!(message.contains(advice), "{name}: {message}");
            assert!(!message.contains("with that encoding"), "{message}");
        }
    }
}

#[test]
fn semicolons_part_the_columns_of_a_table_too() {
    let folder = Folder::new();
    let table = folder.write(
        "a.csv",
        "id;text\n7;\"Ana Paz; vive en Lima .\"\n8;Llueve, mucho .\n",
    );
    let predict = ["predict", "--model", model(), "--format", "jsonl"];
    let line = [&predict[..], &["--input", &table]].concat();
    let found = jsonl(&stdout_of(&line, b""));
    assert_eq!(found[0]["id"], "7");
    assert_eq!(found[0]["text"], "Ana Paz; vive en Lima .");
    assert_eq!(found[1]["text"], "Llueve, mucho .");
    let (_, message) = failure(&[&line[..], &["--text-field", "body"]].concat(), b"");
    let wanted = "a.csv:1: has no column `body`, only id, text;";
    assert!(message.contains(wanted), "{message}");
}

#[test]
fn a_batch_holds_one_text_at_least() {
    for command in [&["predict", "--model", "m"][..], &["redact"]] {
        let line = [command, &["--batch-size", "0", "--input", "a.txt"]].concat();
        let message = common::failure(2, &line);
        assert!(message.contains("'--batch-size"), "{message}");
    }
}

#[test]
fn a_column_file_is_tagged_part_by_part() {
    let folder = Folder::new();
    let file = folder.write("a.conll", format!("{TRAIN}\n").repeat(5));
    let predict = [
        "predict",
        "--model",
        model(),
        "--input",
        &file,
        "--input-format",
        "conll",
        "--format",
        "conll",
    ];
    let whole = stdout_of(&predict, b"");
    assert_eq!(whole, format!("{TRAIN}\n").repeat(5));
    assert_eq!(
        whole,
        stdout_of(&[&predict[..], &["--batch-size", "2"]].concat(), b"")
    );
    let bad = folder.write("bad.conll", format!("{TRAIN}\nAna B-PER extra\n"));
    let line = [
        "predict",
        "--model",
        model(),
        "--input",
        &bad,
        "--input-format",
        "conll",
        "--batch-size",
        "1",
    ];
    let (answered, message) = failure(&line, b"");
    assert_eq!(answered.lines().count(), 3);
    assert!(message.contains("bad.conll:18"), "{message}");
}
