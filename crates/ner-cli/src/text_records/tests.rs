#![allow(clippy::unwrap_used)]

use std::io::Write;

use serde_json::json;

use super::*;

/// The texts of files with these names and bytes, or what is wrong with a record.
fn read(files: &[(&str, &[u8])], field: &str) -> Vec<Result<Record, String>> {
    let folder = tempfile::tempdir().unwrap();
    let paths = files.iter().map(|(name, bytes)| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    });
    let reader = RecordReader {
        format: None,
        field: field.to_owned(),
    };
    let mut records = reader.read(paths.collect()).unwrap();
    let found = records
        .by_ref()
        .map(|record| {
            record.map_err(|fault| match fault {
                Fault::Record(error) => format!("record: {error:#}"),
                Fault::End(error) => format!("end: {error:#}"),
            })
        })
        .collect();
    let (done, total) = records.progress();
    assert!(done <= total.unwrap());
    found
}

fn texts_of(found: &[Result<Record, String>]) -> Vec<&str> {
    found
        .iter()
        .map(|one| match one {
            Ok(record) => record.text.as_str(),
            Err(error) => error.as_str(),
        })
        .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn files_follow_each_other_packed_or_not() {
    let gz = [gzip(b"b\n"), gzip(b"c\n")].concat(); // two members, as `cat a.gz b.gz` makes
    let zst = [
        zstd::stream::encode_all(&b"d\n"[..], 1).unwrap(),
        zstd::stream::encode_all(&b"e"[..], 1).unwrap(),
    ]
    .concat();
    let found = read(&[("1.txt", b"a\n"), ("2.txt.gz", &gz), ("3", &zst)], "text");
    assert_eq!(texts_of(&found), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_damaged_archive_ends_the_reading() {
    let mut bytes = gzip("Ana vive en Lima.\n".repeat(1000).as_bytes());
    bytes.truncate(bytes.len() / 2);
    let found = read(&[("1.gz", &bytes), ("2", b"a\n")], "text");
    let last = found.last().unwrap().as_ref().unwrap_err();
    assert!(
        last.starts_with("end: ") && last.contains("1.gz:"),
        "{last}"
    );
}

#[test]
fn fields_are_kept() {
    let jsonl = b"{\"id\": 1, \"body\": \"Ana\\nLima\", \"x\": [null]}\n\n{\"body\": \"\"}\n";
    let found = read(&[("a.jsonl", jsonl)], "body");
    assert_eq!(texts_of(&found), ["Ana\nLima", ""]);
    let fields = Value::from(found[0].as_ref().unwrap().fields.clone());
    assert_eq!(fields, json!({"id": 1, "body": "Ana\nLima", "x": [null]}));
    let csv = b"id,body\n1,\"Ana, \"\"Lima\"\"\nx\"\n2,\n";
    let found = read(&[("a.csv", csv)], "body");
    assert_eq!(texts_of(&found), ["Ana, \"Lima\"\nx", ""]);
    let fields = Value::from(found[1].as_ref().unwrap().fields.clone());
    assert_eq!(fields, json!({"id": "2", "body": ""}));
    let found = read(&[("a.tsv.gz", &gzip(b"body\tid\nAna\t1\n"))], "body");
    assert_eq!(texts_of(&found), ["Ana"]);
}

#[test]
fn a_bad_record_is_one_record() {
    let jsonl: &[u8] =
        b"{\"text\": \"a\"}\n{\"text\n[1]\n{\"t\": 1}\n{\"text\": 3}\n\xff\n{\"text\": \"b\"}\n";
    let found = read(&[("a.jsonl", jsonl)], "text");
    let reasons = [
        "a.jsonl:2: is no JSON",
        "a.jsonl:3: expected a JSON object, found a list",
        "a.jsonl:4: has no field `text`, only t",
        "a.jsonl:5: field `text` is a number",
        "a.jsonl:6: ",
    ];
    for (one, reason) in found[1..6].iter().zip(reasons) {
        let error = one.as_ref().unwrap_err();
        assert!(
            error.starts_with("record: ") && error.contains(reason),
            "{error}"
        );
    }
    assert_eq!(found.len(), 7);
    assert_eq!(found[6].as_ref().unwrap().text, "b");
    let csv: &[u8] = b"text,n\na,1\nb\nc,\xff\nd,4\n";
    let found = read(&[("a.csv", csv)], "text");
    let kinds: Vec<bool> = found.iter().map(Result::is_ok).collect();
    assert_eq!(kinds, [true, false, false, true]);
    let error = found[1].as_ref().unwrap_err();
    assert!(
        error.contains("a.csv") && error.contains("line: 3"),
        "{error}"
    );
}

#[test]
fn a_file_without_the_field_ends_the_reading() {
    for (name, bytes, reason) in [
        (
            "a.csv",
            &b"id,body\n1,x\n"[..],
            "a.csv:1: has no column `text`, only id, body",
        ),
        ("a.csv", &b"text,text\n1,x\n"[..], "two columns `text`"),
        ("a.csv", &b""[..], "no column `text`"),
    ] {
        let found = read(&[(name, bytes)], "text");
        assert_eq!(found.len(), 1);
        let error = found[0].as_ref().unwrap_err();
        assert!(
            error.starts_with("end: ") && error.contains(reason),
            "{error}"
        );
    }
}
