//! Lists of labels and running text, one a line.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{self, BufRead, BufReader, Read};

use conll_io::{Error, ErrorKind, TextLines, read_labels};

/// The labels of a file as `line:label`.
fn labels(text: &[u8]) -> Result<Vec<String>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.txt");
    fs::write(&path, text).unwrap();
    let labels = read_labels(&path)?;
    let show = |label: &conll_io::Label| format!("{}:{}", label.line, label.text);
    Ok(labels.iter().map(show).collect())
}

#[test]
fn labels_of_any_editor() {
    let cases: &[(&str, &[&str])] = &[
        ("O\nB-PER\n", &["1:O", "2:B-PER"]),
        (
            "\u{feff}O\r\nB-PER\r\n\r\nI-PER \r\nB-LOC\r\n",
            &["1:O", "2:B-PER", "4:I-PER", "5:B-LOC"],
        ),
        ("O\rB-PER\r\rI-PER", &["1:O", "2:B-PER", "4:I-PER"]),
        (
            "O\n\u{feff}B-PER\u{a0}\n \t\u{3000}\u{200b}\n\u{200e}I-PER\t\n\x1a",
            &["1:O", "2:B-PER", "4:I-PER"],
        ),
        ("B-tax percent\nO\nO\n", &["1:B-tax percent", "2:O", "3:O"]),
        ("", &[]),
        ("\u{feff}\n\n", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(labels(text.as_bytes()).unwrap(), *expected, "{text:?}");
    }
}

#[test]
fn labels_that_cannot_be_read() {
    let cases: &[(&[u8], u64, &str)] = &[
        (
            b"O\r\rB-\xF1\n",
            3,
            "byte 0xF1 is not valid UTF-8: if the file is Latin-1 (ISO-8859-1), read it with that encoding, or convert it to UTF-8",
        ),
        (
            "O\nB-\u{feff}PER".as_bytes(),
            2,
            "the label \"B-\\u{feff}PER\" has U+FEFF inside, which cannot be seen: remove it",
        ),
        (
            b"O\0\n\0B\0",
            1,
            "a NUL byte: if the file is UTF-16, convert it to UTF-8; otherwise it is damaged or no text",
        ),
    ];
    for (text, line, expected) in cases {
        let error = labels(text).unwrap_err();
        assert_eq!(error.position().unwrap().line(), Some(*line));
        assert!(
            error
                .to_string()
                .ends_with(&format!("labels.txt:{line}: {expected}")),
            "{error}"
        );
    }
    let error = labels(b"\xFF\xFEO\0").unwrap_err();
    assert!(
        error.to_string().contains("labels.txt: the text is UTF-16"),
        "{error}"
    );
    let error = read_labels("/nowhere/labels.txt").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io(e) if e.kind() == io::ErrorKind::NotFound));
}

fn texts(text: &[u8]) -> Result<Vec<String>, Error> {
    TextLines::from_reader(text).collect()
}

#[test]
fn texts_end_at_line_feeds_only() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("\n", &[""]),
        ("a", &["a"]),
        ("a\nb", &["a", "b"]),
        (
            "\u{feff}Ana va\n\n   \t \n\u{a0}\u{3000}\nAna\u{2028}va\u{2029}a\r\nLima",
            &[
                "Ana va",
                "",
                "   \t ",
                "\u{a0}\u{3000}",
                "Ana\u{2028}va\u{2029}a",
                "Lima",
            ],
        ),
        (
            "a\rb\u{85}c\x0c\x0b\r\r\nd\r",
            &["a\rb\u{85}c\x0c\x0b\r", "d\r"],
        ),
        (
            "\u{feff}\u{feff}a\n\u{feff}b\n",
            &["\u{feff}a", "\u{feff}b"],
        ),
        ("\u{feff}", &[]),
        ("\u{feff}\n", &[""]),
        ("a\n\x1a", &["a"]),
        ("a\x1a\x1a", &["a"]),
        ("a\x1ab\x1a\n", &["a\x1ab\x1a"]),
        ("# a = b\n-DOCSTART-\n", &["# a = b", "-DOCSTART-"]),
    ];
    for (text, expected) in cases {
        assert_eq!(texts(text.as_bytes()).unwrap(), *expected, "{text:?}");
    }
}

#[test]
fn texts_that_cannot_be_read() {
    let mut lines = TextLines::from_reader(&b"a\n\n\xF1\nb\n"[..]);
    assert_eq!(
        lines
            .by_ref()
            .take(2)
            .collect::<Result<Vec<_>, _>>()
            .unwrap(),
        ["a", ""]
    );
    assert_eq!(lines.lines_read(), 2);
    assert_eq!(
        lines.next().unwrap().unwrap_err().to_string(),
        "line 3: byte 0xF1 is not valid UTF-8: if the file is Latin-1 (ISO-8859-1), read it with that encoding, or convert it to UTF-8"
    );
    // The lines after it can be read.
    assert_eq!(lines.next().unwrap().unwrap(), "b");
    assert_eq!(lines.lines_read(), 4);
    assert!(lines.next().is_none());
    let error = texts(b"\xFE\xFF\0a").unwrap_err();
    assert!(error.to_string().contains("the text is UTF-16"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("texts.txt");
    assert!(TextLines::from_path(&path).is_err());
    fs::write(&path, b"\xEF\xBB\xBFa\n\xF1").unwrap();
    let mut lines = TextLines::from_path(&path).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "a");
    let error = lines.next().unwrap().unwrap_err();
    let position = error.position().unwrap();
    assert_eq!(
        (position.path(), position.line()),
        (Some(path.as_path()), Some(2))
    );
}

/// Somebody who types: fails where a second line is asked for before the first was answered.
struct Typed {
    lines: Vec<&'static str>,
}

impl Read for Typed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let line = self
            .lines
            .pop()
            .ok_or_else(|| io::Error::other("asked too early"))?;
        out[..line.len()].copy_from_slice(line.as_bytes());
        Ok(line.len())
    }
}

#[test]
fn texts_are_given_as_soon_as_they_are_typed() {
    let reader: Box<dyn BufRead> = Box::new(BufReader::new(Typed {
        lines: vec!["b\n", "\u{feff}a\n"],
    }));
    let mut lines = TextLines::from_reader(reader);
    assert_eq!(lines.next().unwrap().unwrap(), "a");
    assert_eq!(lines.next().unwrap().unwrap(), "b");
    assert!(lines.next().unwrap().is_err());
    assert!(lines.next().is_none());
}

#[test]
fn verbatim_lines_together_are_the_file() {
    for text in [
        "",
        "\u{feff}",
        "\x1a",
        "\u{feff}a\r\n\r\nb\n\rc\r",
        "a\n\u{feff}b\r\n\x1a\x1a",
        "a\r\r\n",
    ] {
        let lines = TextLines::from_reader(text.as_bytes()).verbatim();
        let lines: Vec<String> = lines.collect::<Result<_, _>>().unwrap();
        assert_eq!(lines.concat(), text);
        assert_eq!(lines.len(), text.split_inclusive('\n').count(), "{text:?}");
    }
    let mut lines = TextLines::from_reader(&b"a\r\n\xF1\r\nb"[..]).verbatim();
    assert_eq!(lines.next().unwrap().unwrap(), "a\r\n");
    assert!(lines.next().unwrap().is_err());
    assert_eq!(lines.next().unwrap().unwrap(), "b");
}
