//! JSONL files of tagged sentences.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::shown;
use conll_io::{Encoding, ErrorKind, JsonlReader, JsonlReaderBuilder};

fn read(builder: &JsonlReaderBuilder, text: &[u8]) -> Result<String, String> {
    shown(builder.from_reader(text))
}

#[test]
fn well_formed_files() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "as datasets writes it",
            "{\"id\":\"0\",\"tokens\":[\"a\",\"b\"],\"ner_tags\":[\"O\",\"B-X\"]}\n{\"id\":\"1\",\"tokens\":[\"c\"],\"ner_tags\":[\"O\"]}\n",
            "1:a/O 1:b/B-X | 2:c/O",
        ),
        (
            "other names",
            r#"{"labels": ["O"], "words": ["a"]}"#,
            "1:a/O",
        ),
        (
            "the first of the names counts",
            r#"{"labels": [1], "tags": [2], "ner_tags": ["O"], "words": "a", "tokens": ["a"]}"#,
            "1:a/O",
        ),
        (
            "no tags",
            "{\"tokens\": [\"a\", \"b\"]}\n{\"tokens\": [\"c\"]}\n",
            "1:a 1:b | 2:c",
        ),
        (
            "blank lines, and records without a token",
            "\n{\"tokens\": [], \"tags\": []}\n \t\r\n{\"tokens\": [\"a\"], \"tags\": [\"O\"]}",
            "4:a/O",
        ),
        (
            "byte-order mark, CRLF and Ctrl-Z",
            "\u{feff}{\"tokens\": [\"a\"]}\r\n{\"tokens\": [\"b\"]}\r\n\x1a",
            "1:a | 2:b",
        ),
        (
            "escapes",
            r#"{"tokens": ["\u00f1\ud83d\ude00", "\"", "a\tb"]}"#,
            "1:ñ😀 1:\" 1:a\tb",
        ),
        (
            "white space in a token, and around a tag",
            "{\"tokens\": [\"New York\", \" \"], \"tags\": [\" B-X\u{a0}\", \"O\"]}",
            "1:New York/B-X 1: /O",
        ),
        (
            "documents",
            "{\"tokens\": [\"a\"]}\n{\"tokens\": [\"b\"], \"document\": \"x\"}\n{\"tokens\": [\"c\"], \"document\": \"x\"}\n\
             {\"tokens\": [\"d\"], \"document\": null}\n{\"tokens\": [\"e\"], \"document\": \"y\"}\n",
            "1:a | # 2:b | 3:c | 4:d | # 5:e",
        ),
        (
            "documents by number, of which one has no token",
            "{\"tokens\": [\"a\"], \"doc_id\": 7}\n{\"tokens\": [], \"doc_id\": 8}\n{\"tokens\": [\"b\"], \"doc_id\": 8}\n",
            "# 1:a | # 3:b",
        ),
        ("empty file", "", ""),
    ];
    for (name, text, expected) in cases {
        let shown = read(&JsonlReaderBuilder::new(), text.as_bytes());
        assert_eq!(shown.as_deref(), Ok(*expected), "{name}");
    }
}

#[test]
fn malformed_files() {
    let object = "every line needs to be one object, such as {\"tokens\": [\"Ana\", \"vive\"], \"ner_tags\": [\"B-PER\", \"O\"]}";
    let same = "all records of a file need the same fields";
    let cases: &[(&str, &[u8], String)] = &[
        (
            "cut off",
            b"{\"tokens\": [\"a\"]}\n{\"tokens\": [\"a\"\n",
            format!("line 2: no JSON from byte 15 of the line on (EOF while parsing a list): {object}"),
        ),
        (
            "a row of columns",
            b"Ana B-PER\n",
            format!("line 1: no JSON from byte 1 of the line on (expected value): {object}"),
        ),
        ("a list", b"\n[{}]\n", "line 2: the record is a list, expected an object".to_owned()),
        (
            "no tokens",
            b"{\"text\": \"a b\", \"label\": 1}\n",
            "line 1: no field `tokens` or `words` with the tokens: the record has `text`, `label`; \
             give the name of the right one, or rename it"
                .to_owned(),
        ),
        (
            "nothing at all",
            b"{}\n",
            "line 1: no field `tokens` or `words` with the tokens: the record has none; \
             give the name of the right one, or rename it"
                .to_owned(),
        ),
        (
            "a text for tokens",
            b"{\"tokens\": \"a b\"}\n",
            "line 1: the field `tokens` is a string, expected a list of strings".to_owned(),
        ),
        (
            "a number for a token",
            b"{\"tokens\": [\"a\", 1999]}\n",
            "line 1: token 2 is a number, expected a string".to_owned(),
        ),
        (
            "a list for a tag",
            b"{\"tokens\": [\"a\"], \"tags\": [[\"O\"]]}\n",
            "line 1: tag 1 is a list, expected a string".to_owned(),
        ),
        (
            "no list of tags",
            b"{\"tokens\": [\"a\"], \"ner_tags\": null}\n",
            "line 1: the field `ner_tags` is null, expected a list of strings".to_owned(),
        ),
        (
            "tags that are numbers",
            b"{\"tokens\": [\"a\"], \"ner_tags\": [3]}\n",
            "line 1: the tags in `ner_tags` are numbers, and the file does not say which names they stand for: \
             write the names. In Python: names = ds.features['ner_tags'].feature.names; \
             ds = ds.map(lambda row: {'tags': [names[tag] for tag in row['ner_tags']]}, remove_columns='ner_tags')"
                .to_owned(),
        ),
        (
            "fewer tags than tokens",
            b"{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [\"O\"]}\n",
            "line 1: `tokens` has 2 and `ner_tags` has 1: every token needs one tag".to_owned(),
        ),
        (
            "tags of no token",
            b"{\"words\": [], \"tags\": [\"O\"]}\n",
            "line 1: `words` has 0 and `tags` has 1: every token needs one tag".to_owned(),
        ),
        (
            "tags end",
            b"{\"tokens\": [\"a\"], \"tags\": [\"O\"]}\n\n{\"tokens\": [\"b\"], \"labels\": [\"O\"]}\n",
            format!("line 3: the record has no field `tags`, unlike that of line 1: {same}"),
        ),
        (
            "tags begin",
            b"{\"tokens\": [\"a\"]}\n{\"tokens\": [\"b\"], \"tags\": [\"O\"]}\n",
            format!("line 2: the record has a field `tags`, unlike that of line 1: {same}"),
        ),
        (
            "an empty token",
            b"{\"tokens\": [\"a\", \"\"]}\n",
            "line 1: token 2 of the record, \"\", is empty".to_owned(),
        ),
        (
            "a line break in a token",
            b"{\"tokens\": [\"a\\nb\"]}\n",
            "line 1: token 1 of the record, \"a\\nb\", has a line break inside".to_owned(),
        ),
        (
            "a NUL in a token",
            b"{\"tokens\": [\"a\\u0000\"]}\n",
            "line 1: token 1 of the record, \"a\\0\", has a NUL inside".to_owned(),
        ),
        (
            "an empty tag",
            b"{\"tokens\": [\"a\"], \"tags\": [\" \"]}\n",
            "line 1: tag 1 of the record, \" \", is empty".to_owned(),
        ),
        (
            "an invisible character in a tag",
            b"{\"tokens\": [\"a\"], \"tags\": [\"B-\\u00a0X\"]}\n",
            "line 1: the tag \"B-\\u{a0}X\" has U+00A0 inside, which cannot be seen: remove it".to_owned(),
        ),
        (
            "Latin-1",
            b"{\"tokens\": [\"a\"]}\n{\"tokens\": [\"\xF1\"]}\n",
            "line 2: byte 0xF1 is not valid UTF-8: if the file is Latin-1 (ISO-8859-1), read it with that encoding, \
             or convert it to UTF-8"
                .to_owned(),
        ),
        (
            "NUL",
            b"{\"tokens\": [\"a\"]}\0\n",
            "line 1: a NUL byte: if the file is UTF-16, convert it to UTF-8; otherwise it is damaged or no text".to_owned(),
        ),
        (
            "UTF-16",
            b"\xFF\xFE{\0",
            "the text is UTF-16 (it starts with that encoding's byte-order mark): convert it to UTF-8".to_owned(),
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(
            read(&JsonlReaderBuilder::new(), text).as_ref(),
            Err(expected),
            "{name}"
        );
    }
}

#[test]
fn settings() {
    let mut builder = JsonlReaderBuilder::new();
    builder.tags(false).encoding(Encoding::Latin1);
    let text =
        b"{\"tokens\": [\"Espa\xF1a\"], \"tags\": [3, 4]}\n{\"tokens\": [\"a\"], \"labels\": 1}\n";
    assert_eq!(read(&builder, text).as_deref(), Ok("1:España | 2:a"));
}

#[test]
fn fields_with_names_of_their_own() {
    let mut builder = JsonlReaderBuilder::new();
    builder
        .token_field("palabras")
        .tag_field("oro")
        .document_field("acta");
    let line = |tokens: &str, tags: &str, document: &str| {
        format!(
            "{{\"tokens\": 1, \"palabras\": [\"{tokens}\"], \"tags\": [2], \"oro\": [\"{tags}\"], \"acta\": {document}}}\n"
        )
    };
    let text = line("Ana", "B-PER", "1") + &line("vive", "O", "1") + &line("Lima", "B-LOC", "2");
    assert_eq!(
        read(&builder, text.as_bytes()).as_deref(),
        Ok("# 1:Ana/B-PER | 2:vive/O | # 3:Lima/B-LOC")
    );
    // What is named has to be there, and the error says what is.
    for (absent, what) in [
        ("palabras", "tokens"),
        ("oro", "tags"),
        ("acta", "document"),
    ] {
        let text = text.replace(absent, "otro");
        let error = read(&builder, text.as_bytes()).unwrap_err();
        let expected =
            format!("line 1: no field `{absent}` with the {what}: the record has `tokens`,");
        assert!(
            error.starts_with(&expected) && error.contains("`otro`"),
            "{error}"
        );
    }
    // Tags that are not read need not be there.
    builder.tags(false);
    let text = text.replace("oro", "otro");
    assert_eq!(
        read(&builder, text.as_bytes()).as_deref(),
        Ok("# 1:Ana | 2:vive | # 3:Lima")
    );
}

#[test]
fn the_fields_of_the_first_record_are_known_once_it_is_read() {
    let text = "{\"id\": 1, \"tokens\": [\"a\"]}\n{\"tokens\": [\"b\"], \"x\": 1}\n";
    let mut sentences = JsonlReader::from_reader(text.as_bytes()).into_sentences();
    assert!(sentences.source().first_fields().is_empty());
    assert_eq!(sentences.by_ref().count(), 2);
    assert_eq!(sentences.source().first_fields(), ["id", "tokens"]);
}

#[test]
fn sentences_have_two_columns() {
    let text = r#"{"tokens": ["New York", "b"], "tags": ["B-X", "O"], "document": 1}"#;
    let mut reader = JsonlReader::from_reader(text.as_bytes());
    let sentence = reader.sentences().next().unwrap().unwrap();
    assert_eq!(sentence.fields(0).collect::<Vec<_>>(), ["New York", "B-X"]);
    assert_eq!(sentence.raw_line(1), "b\tO");
    assert_eq!(sentence.document_line(), Some("-DOCSTART-"));
}

#[test]
fn an_error_names_the_file_and_ends_the_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("words.jsonl");
    let error = JsonlReader::from_path(&path).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io(_)));
    std::fs::write(&path, "{\"tokens\": [\"a\"]}\n{}\n{\"tokens\": [\"b\"]}\n").unwrap();
    let mut sentences = JsonlReader::from_path(&path).unwrap().into_sentences();
    assert!(sentences.next().unwrap().is_ok());
    let error = sentences.next().unwrap().unwrap_err();
    let position = error.position().unwrap();
    assert_eq!(
        (position.path(), position.line()),
        (Some(path.as_path()), Some(2))
    );
    assert!(sentences.next().is_none());
}
