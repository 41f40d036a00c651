//! What is written is read back, and what is read is written back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use conll_io::{
    Column, Comments, CsvReader, CsvReaderBuilder, CsvWriter, CsvWriterBuilder, Encoding, Error,
    ErrorKind, JsonlReader, JsonlReaderBuilder, Position, Reader, ReaderBuilder, Sentence,
    SentenceSource, Sentences, Separator, Writer, WriterBuilder,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

/// Document boundary and rows of each sentence.
type Rows = Vec<(Option<Vec<String>>, Vec<Vec<String>>)>;

fn comments() -> impl Strategy<Value = Comments> {
    let prefix = |prefix: &str| Comments::Prefix(prefix.to_owned());
    let choices = [
        Comments::KeyValue,
        Comments::None,
        prefix("#"),
        prefix("# "),
        prefix("#\t"),
        prefix("a"),
    ];
    select(choices.to_vec())
}

fn rows(source: impl SentenceSource) -> Result<Rows, Error> {
    let owned =
        |fields: &mut dyn Iterator<Item = &str>| fields.map(str::to_owned).collect::<Vec<_>>();
    Sentences::new(source)
        .map(|sentence| {
            let sentence = sentence?;
            let document = sentence
                .document_fields()
                .map(|mut fields| owned(&mut fields));
            let rows = (0..sentence.len())
                .map(|i| owned(&mut sentence.fields(i)))
                .collect();
            Ok((document, rows))
        })
        .collect()
}

/// What the reader cuts at, and text that looks like it.
const PIECES: [&str; 33] = [
    "a",
    "B",
    "ñ",
    "東",
    " ",
    "\t",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "\x0b",
    "\x0c",
    "\0",
    "\u{a0}",
    "\u{3000}",
    "\u{feff}",
    "\u{85}",
    "-DOCSTART-",
    "-",
    "\"",
    ",",
    "O",
    "#",
    "# ",
    "=",
    " = ",
    "a=b",
    "id",
    "\x1a",
    "\u{200b}",
    "\u{2028}",
    "\u{feff}# ",
    "\u{ad}",
];

/// What JSONL files are made of.
const JSON_PIECES: [&str; 18] = [
    "{\"tokens\":",
    "{",
    "}",
    "}\n",
    "[",
    "]",
    ",\"ner_tags\":",
    ",\"document\":",
    "[\"a\"]",
    "[\"O\"]",
    "[\"a\",\"b\"]",
    "\"\\n\"",
    ",",
    "1",
    "null",
    "\n",
    "\u{feff}",
    "\"",
];

fn text(pieces: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = String> {
    vec(select(&PIECES[..]), pieces).prop_map(|pieces| pieces.concat())
}

/// Lines of two columns for the most part, so that many such files are well-formed.
fn file() -> impl Strategy<Value = String> {
    let word = || prop_oneof![4 => "[a-c\"]{1,2}", 1 => text(1..3)];
    let gap = select(&[" ", " ", "\t", "\t", "  "][..]);
    let line = prop_oneof![
        8 => (word(), gap, word()).prop_map(|(token, gap, tag)| [&token, gap, &tag].concat()),
        2 => select(&["", " ", "\t \t"][..]).prop_map(str::to_owned),
        1 => select(&["# a = b", "# id 1 a=b", "#", "# O", "#\ta=b\tO", "#a O", " # a = b", "\u{feff}", "\x1a"][..])
            .prop_map(str::to_owned),
        1 => select(&["-DOCSTART-", "-DOCSTART- O", "-DOCSTART-\t-X-\tO"][..]).prop_map(str::to_owned),
    ];
    let end = select(&["\n", "\n", "\r\n", "\r"][..]);
    let start = select(&["", "", "\u{feff}"][..]);
    (start, vec((line, end), 0..8)).prop_map(|(start, lines)| {
        lines
            .into_iter()
            .fold(start.to_owned(), |text, (line, end)| text + &line + end)
    })
}

fn separator() -> impl Strategy<Value = Separator> {
    select(&[Separator::Whitespace, Separator::Space, Separator::Tab][..])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(42),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Rows that the writer takes are read back exactly, whatever text they hold.
    #[test]
    fn written_rows_are_read_back(
        separator in separator(),
        comments in comments(),
        sentences in vec((any::<bool>(), vec(vec(prop_oneof![text(1..2), text(0..5)], 2), 1..4)), 0..4),
    ) {
        let mut writer =
            WriterBuilder::new().separator(separator).comments(comments.clone()).from_writer(Vec::new());
        let mut expected: Rows = Vec::new();
        for (starts_document, rows) in sentences {
            let mut written = Vec::new();
            let document = starts_document.then(|| vec!["-DOCSTART-".to_owned(), "O".to_owned()]);
            if starts_document {
                writer.start_document();
            }
            for row in rows {
                // Only the reader has roles for columns, and refuses an empty token.
                if row[0].is_empty() {
                    continue;
                }
                match writer.write_row(&row) {
                    Ok(()) => written.push(row),
                    Err(error) => prop_assert!(matches!(error.kind(), ErrorKind::Unwritable { .. }), "{error}"),
                }
            }
            writer.end_sentence().unwrap();
            if !written.is_empty() {
                expected.push((document, written));
            } else if starts_document {
                // The boundary waits for the next row: none may come.
                writer.write_row(["b", "O"]).unwrap();
                writer.end_sentence().unwrap();
                expected.push((document, vec![vec!["b".to_owned(), "O".to_owned()]]));
            }
        }
        let text = writer.into_inner().unwrap();
        let mut builder = ReaderBuilder::new();
        builder.separator(separator).comments(comments);
        match rows(builder.from_reader(&text[..])) {
            Ok(read) => prop_assert_eq!(&read, &expected, "{:?}", String::from_utf8_lossy(&text)),
            // No tag, for the reader.
            Err(error) => prop_assert!(
                matches!(error.kind(), ErrorKind::EmptyField { role: "tag", .. } | ErrorKind::InvisibleCharacter { .. }),
                "{error}"
            ),
        }
        let read = rows(builder.tag_column(None).from_reader(&text[..]));
        prop_assert_eq!(read.unwrap(), expected, "{:?}", String::from_utf8(text));
    }

    /// Whatever the reader takes, the writer writes, to be read back with the same columns,
    /// documents and comments.
    #[test]
    fn read_sentences_are_written_back(separator in separator(), comments in comments(), text in file()) {
        let mut builder = ReaderBuilder::new();
        builder.separator(separator).comments(comments.clone());
        let parts = |text: &[u8]| {
            let sentences = builder.from_reader(text).sentences().collect::<Result<Vec<_>, _>>()?;
            let owned = |sentence: &Sentence| sentence.comments().map(str::to_owned).collect::<Vec<_>>();
            let comments: Vec<_> = sentences.iter().map(owned).collect();
            Ok::<_, Error>((sentences, comments, rows(builder.from_reader(text))?))
        };
        let Ok((sentences, comment_lines, expected)) = parts(text.as_bytes()) else {
            return Ok(());
        };
        let mut writer =
            WriterBuilder::new().separator(separator).comments(comments).from_writer(Vec::new());
        for sentence in &sentences {
            writer.write_sentence(sentence).unwrap();
        }
        let (again, again_comments, found) = parts(&writer.into_inner().unwrap()).unwrap();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(again_comments, comment_lines);
        for (again, sentence) in again.iter().zip(&sentences) {
            prop_assert_eq!(again.tags().map(Vec::from_iter), sentence.tags().map(Vec::from_iter));
        }
    }

    /// Any bytes give sentences or an error with a line, in all readers and encodings.
    #[test]
    fn no_bytes_panic(
        separator in separator(),
        bytes in vec(any::<u8>(), 0..200),
        text in file(),
        json in vec(select(&JSON_PIECES[..]), 0..12),
    ) {
        let (header, pairs) = (&b"token,tag,sentence_id\n"[..], &b"token,tag\n"[..]);
        for bytes in [
            &bytes[..],
            text.as_bytes(),
            &[header, &bytes[..]].concat(),
            &[pairs, &bytes[..]].concat(),
            json.concat().as_bytes(),
        ] {
            for encoding in [Encoding::Utf8, Encoding::Latin1] {
                let columns = ReaderBuilder::new().separator(separator).encoding(encoding).from_reader(bytes);
                let table = CsvReaderBuilder::new().encoding(encoding).from_reader(bytes);
                let usual = CsvReaderBuilder::new().usual_names().encoding(encoding).from_reader(bytes);
                let records = JsonlReaderBuilder::new().encoding(encoding).from_reader(bytes);
                for outcome in [rows(columns), rows(table), rows(usual), rows(records)] {
                    if let Err(error) = outcome {
                        // An error of the file as a whole: UTF-16.
                        let whole = matches!(error.kind(), ErrorKind::Io(_));
                        let line = error.position().and_then(Position::line);
                        prop_assert!(whole || line.is_some_and(|line| line >= 1), "{error}");
                    }
                }
            }
        }
    }

    /// Tokens, tags and sentence bounds pass through a table with either delimiter.
    #[test]
    fn tables_keep_tokens_and_tags(tab in any::<bool>(), text in file()) {
        let delimiter = if tab { b'\t' } else { b',' };
        let mut builder = ReaderBuilder::new();
        // Both separators leave white space in tokens.
        builder.separator(if tab { Separator::Space } else { Separator::Tab });
        let Ok(sentences) = builder.from_reader(text.as_bytes()).sentences().collect::<Result<Vec<_>, _>>() else {
            return Ok(());
        };
        let mut writer = CsvWriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        for sentence in &sentences {
            if let Err(error) = writer.write_sentence(sentence) {
                prop_assert!(matches!(error.kind(), ErrorKind::Unwritable { .. }), "{error}");
                return Ok(());
            }
        }
        let table = writer.into_inner().unwrap();
        let mut reader = CsvReaderBuilder::new().delimiter(delimiter).from_reader(&table[..]);
        let read = reader.sentences().collect::<Result<Vec<_>, _>>().unwrap();
        prop_assert_eq!(read.len(), sentences.len());
        for (read, sentence) in read.iter().zip(&sentences) {
            prop_assert!(read.tokens().eq(sentence.tokens()));
            prop_assert_eq!(read.tags().map(Vec::from_iter), sentence.tags().map(Vec::from_iter));
        }
    }

    /// The sentences that a column file has are read from JSONL as well.
    #[test]
    fn jsonl_has_what_columns_have(separator in separator(), text in file()) {
        let mut builder = ReaderBuilder::new();
        builder.separator(separator);
        let Ok(sentences) = builder.from_reader(text.as_bytes()).sentences().collect::<Result<Vec<_>, _>>() else {
            return Ok(());
        };
        let mut writer = WriterBuilder::new().separator(separator).from_writer(Vec::new());
        let (mut records, mut document) = (String::new(), 0);
        for sentence in &sentences {
            writer.write_sentence(sentence).unwrap();
            let mut record = serde_json::json!({"tokens": sentence.tokens().collect::<Vec<_>>()});
            if let Some(tags) = sentence.tags() {
                record["ner_tags"] = tags.collect::<Vec<_>>().into();
            }
            document += usize::from(sentence.starts_document());
            if document > 0 {
                record["document"] = document.into();
            }
            records += &format!("{record}\n");
        }
        let written = writer.into_inner().unwrap();
        let columns = builder.from_reader(&written[..]).sentences().collect::<Result<Vec<_>, _>>().unwrap();
        let read = JsonlReader::from_reader(records.as_bytes()).sentences().collect::<Result<Vec<_>, _>>().unwrap();
        prop_assert_eq!(read.len(), columns.len());
        for (line, (read, sentence)) in (1..).zip(read.iter().zip(&columns)) {
            prop_assert!(read.tokens().eq(sentence.tokens()));
            prop_assert_eq!(read.tags().map(Vec::from_iter), sentence.tags().map(Vec::from_iter));
            prop_assert_eq!(read.starts_document(), sentence.starts_document());
            prop_assert!((0..read.len()).all(|i| read.line(i) == line));
        }
    }
}

fn sentence(text: &str) -> Sentence {
    Reader::from_reader(text.as_bytes())
        .sentences()
        .next()
        .unwrap()
        .unwrap()
}

#[test]
fn chosen_and_extra_columns() {
    let sentence = sentence("-DOCSTART- -X- O\n\na NC B-X\nb VM O\n");
    type Case = (
        Option<&'static [i32]>,
        &'static [&'static [&'static str]],
        &'static str,
    );
    let cases: [Case; 5] = [
        (None, &[], "-DOCSTART- -X- O\n\na NC B-X\nb VM O\n\n"),
        (
            None,
            &[&["B-Y", "I-Y"]],
            "-DOCSTART- -X- O O\n\na NC B-X B-Y\nb VM O I-Y\n\n",
        ),
        (Some(&[1]), &[], "-DOCSTART-\n\na\nb\n\n"),
        (
            Some(&[-1, 1]),
            &[],
            "-DOCSTART- -DOCSTART-\n\nB-X a\nO b\n\n",
        ),
        (Some(&[]), &[&["B-Y", "I-Y"]], "-DOCSTART-\n\nB-Y\nI-Y\n\n"),
    ];
    for (columns, extra, expected) in cases {
        let mut builder = WriterBuilder::new();
        if let Some(columns) = columns {
            builder.columns(columns.iter().map(|&number| Column::new(number).unwrap()));
        }
        let mut writer = builder.from_writer(Vec::new());
        writer.write_sentence_with(&sentence, extra).unwrap();
        assert_eq!(
            String::from_utf8(writer.into_inner().unwrap()).unwrap(),
            *expected
        );
    }
    let mut writer = WriterBuilder::new()
        .document_boundaries(false)
        .from_writer(Vec::new());
    writer.write_sentence(&sentence).unwrap();
    assert_eq!(writer.into_inner().unwrap(), b"a NC B-X\nb VM O\n\n");
}

#[test]
fn boundaries_of_fewer_columns_than_the_rows() {
    let sentence = sentence("-DOCSTART-\n\na NC O\n");
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_sentence(&sentence).unwrap();
    assert_eq!(writer.into_inner().unwrap(), b"-DOCSTART-\n\na NC O\n\n");
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_sentence_with(&sentence, &[&["O"]]).unwrap();
    assert_eq!(
        writer.into_inner().unwrap(),
        b"-DOCSTART- O O O\n\na NC O O\n\n"
    );
}

#[test]
fn documents_begin_after_a_blank_line() {
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_row(["a", "O"]).unwrap();
    writer.start_document();
    writer.write_row(["b", "O"]).unwrap();
    assert_eq!(
        writer.into_inner().unwrap(),
        b"a O\n\n-DOCSTART- O\n\nb O\n\n"
    );
}

#[test]
fn what_cannot_be_written() {
    let cases: &[(Separator, &[&str], &str)] = &[
        (
            Separator::Whitespace,
            &["a b", "O"],
            "it contains white space",
        ),
        (Separator::Whitespace, &["a", ""], "it is empty"),
        (
            Separator::Space,
            &["a b", "O"],
            "it contains a space, the separator",
        ),
        (
            Separator::Tab,
            &["a\tb", "O"],
            "it contains a tab, the separator",
        ),
        (Separator::Tab, &["a\nb", "O"], "it contains a line break"),
        (Separator::Tab, &["a", "O\r"], "it contains a line break"),
        (Separator::Space, &["a\rb", "O"], "it contains a line break"),
        (Separator::Tab, &["a\0", "O"], "it contains a NUL byte"),
        (
            Separator::Whitespace,
            &["\u{feff}a", "O"],
            "it begins with a byte-order mark (U+FEFF), which readers drop",
        ),
        (
            Separator::Space,
            &["\t\u{feff}a", "O"],
            "it begins with a byte-order mark (U+FEFF), which readers drop",
        ),
        (
            Separator::Tab,
            &["\x1a", "O"],
            "it begins with Ctrl-Z (U+001A), which readers drop",
        ),
        (Separator::Tab, &["# a = b"], "it would be a comment"),
        (
            Separator::Whitespace,
            &["#", "a=b"],
            "it would be a comment",
        ),
        (
            Separator::Space,
            &["#", "SYM", "a=b", "O"],
            "it could be a comment",
        ),
        (Separator::Tab, &[" ", ""], "it would be a blank line"),
        (Separator::Tab, &["", ""], "it would be a blank line"),
        (Separator::Space, &[], "it would be a blank line"),
        (
            Separator::Space,
            &["-DOCSTART-", "O"],
            "it would be a document boundary",
        ),
    ];
    for (separator, row, expected) in cases {
        let mut writer = WriterBuilder::new()
            .separator(*separator)
            .from_writer(Vec::new());
        let error = writer.write_row(row.iter()).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Unwritable { reason, .. } if reason == expected),
            "{error}"
        );
        assert_eq!(error.position().unwrap().line(), Some(1));
        assert_eq!(writer.into_inner().unwrap(), b"");
    }
    // An odd token is no reason to refuse it.
    for token in [
        "Nueva York",
        " ",
        "\u{a0}",
        "a\u{feff}",
        "#",
        "\u{2028}",
        "\x0b",
    ] {
        let mut writer = WriterBuilder::new()
            .separator(Separator::Tab)
            .from_writer(Vec::new());
        writer.write_row([token, "O"]).unwrap();
        let text = writer.into_inner().unwrap();
        let mut reader = ReaderBuilder::new()
            .separator(Separator::Tab)
            .from_reader(&text[..]);
        assert_eq!(reader.sentences().next().unwrap().unwrap().token(0), token);
    }
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_row(["a", "O"]).unwrap();
    let error = writer.write_row(["b"]).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::Ragged {
            found: 1,
            expected: 2,
            first_line: 1
        }
    ));
    let error = writer
        .write_sentence_with(&sentence("a O\nb O\n"), &[&["x"]])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2: extra column 1 has 1 values for a sentence of 2 tokens"
    );
}

#[test]
fn comments_that_would_not_be_read_back() {
    let mut reader = ReaderBuilder::new()
        .comments(Comments::Prefix("%".to_owned()))
        .from_reader(&b"% x\na O\n"[..]);
    let sentence = reader.sentences().next().unwrap().unwrap();
    let mut writer = Writer::from_writer(Vec::new());
    let error = writer.write_sentence(&sentence).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1: cannot write \"% x\" as a comment: it would not be read back as one"
    );
    let mut writer = WriterBuilder::new()
        .comments(Comments::None)
        .from_writer(Vec::new());
    writer.write_sentence(&sentence).unwrap();
    assert_eq!(writer.into_inner().unwrap(), b"a O\n\n");
}

#[test]
fn tables_whose_row_would_be_the_header() {
    let mut writer = CsvWriterBuilder::new()
        .sentence_column("1")
        .token_column("a")
        .tag_column(Some("O"))
        .from_writer(Vec::new());
    let error = writer.write_sentence(&sentence("a O\n")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2: cannot write \"1,a,O\" as a line: it would be taken for the header"
    );
}

#[test]
fn tables_with_extra_columns() {
    let sentence = sentence("a O\n\" B-X\n");
    let mut writer = CsvWriterBuilder::new()
        .sentence_column("Sentence #")
        .token_column("Word")
        .tag_column(None)
        .extra_columns(["Guess"])
        .from_writer(Vec::new());
    writer
        .write_sentence_with(&sentence, &[&["B-Y", "O"]])
        .unwrap();
    let error = writer.write_sentence(&sentence).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Ragged {
                found: 2,
                expected: 3,
                first_line: 1
            }
        ),
        "{error}"
    );
    assert_eq!(
        writer.into_inner().unwrap(),
        b"Sentence #,Word,Guess\n1,a,B-Y\n1,\"\"\"\",O\n"
    );
}

#[test]
fn tables_without_tags() {
    let mut writer = CsvWriter::from_writer(Vec::new());
    writer.write_sentence(&sentence("a\nb\n")).unwrap();
    let text = writer.into_inner().unwrap();
    assert_eq!(text, b"sentence_id,token\n1,a\n1,b\n");
    let source: Box<dyn SentenceSource> = Box::new(CsvReader::from_reader(&text[..]));
    let read = rows(source).unwrap();
    assert_eq!(
        read,
        [(
            None,
            vec![
                vec!["1".to_owned(), "a".to_owned()],
                vec!["1".to_owned(), "b".to_owned()]
            ]
        )]
    );
}

#[test]
fn nothing_written_is_nothing_read() {
    assert_eq!(Writer::from_writer(Vec::new()).into_inner().unwrap(), b"");
    assert_eq!(
        CsvWriter::from_writer(Vec::new()).into_inner().unwrap(),
        b""
    );
    assert!(rows(CsvReader::from_reader(&b""[..])).unwrap().is_empty());
}
