//! Edge cases of CSV and TSV files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::shown;
use conll_io::{CsvReaderBuilder, Encoding, ErrorKind};

fn read(builder: &CsvReaderBuilder, text: &[u8]) -> Result<String, String> {
    shown(builder.from_reader(text))
}

#[test]
fn well_formed_files() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "new ids",
            "token,tag,sentence_id\na,O,1\nb,B-X,1\nc,O,2\n",
            "2:a/O 3:b/B-X | 4:c/O",
        ),
        (
            "other order",
            "sentence_id,pos,tag,token\nx,NC,O,a\ny,NC,O,b\n",
            "2:a/O | 3:b/O",
        ),
        (
            "ids need not be in order",
            "token,tag,sentence_id\na,O,2\nb,O,1\nc,O,2\n",
            "2:a/O | 3:b/O | 4:c/O",
        ),
        (
            "id in the first row only",
            "sentence_id,token,tag\ns1,a,O\n,b,O\ns2,c,O\n,d,O\n",
            "2:a/O 3:b/O | 4:c/O 5:d/O",
        ),
        (
            "no ids at all",
            "sentence_id,token,tag\n,a,O\n,b,O\n",
            "2:a/O 3:b/O",
        ),
        ("no tags", "sentence_id,token\n1,a\n2,b\n", "2:a | 3:b"),
        (
            "quotes",
            "token,tag,sentence_id\n\"New, \"\"York\"\"\",\"O\",\"1\"\n",
            "2:New, \"York\"/O",
        ),
        (
            "CRLF",
            "token,tag,sentence_id\r\na,O,1\r\nb,O,2\r\n",
            "2:a/O | 3:b/O",
        ),
        (
            "CRLF after quotes",
            "token,tag,sentence_id\r\n\"a\",\"O\",\"1\"\r\nb,O,\"1\"\r\n",
            "2:a/O 3:b/O",
        ),
        (
            "blank lines",
            "\n\ntoken,tag,sentence_id\n\na,O,1\n\n\r\nb,O,1\n\n",
            "5:a/O 8:b/O",
        ),
        (
            "byte-order mark",
            "\u{feff}token,tag,sentence_id\na,O,1",
            "2:a/O",
        ),
        (
            "white space in a token",
            "token,tag,sentence_id\n New\tYork\u{a0},O,1\n",
            "2: New\tYork\u{a0}/O",
        ),
        ("empty file", "", ""),
        ("header alone", "token,tag,sentence_id\n", ""),
    ];
    for (name, text, expected) in cases {
        let shown = read(&CsvReaderBuilder::new(), text.as_bytes());
        assert_eq!(shown.as_deref(), Ok(*expected), "{name}");
    }
}

#[test]
fn malformed_files() {
    let line_break = "line break inside column 1: is a double quote unpaired? \
                      If quotes are plain characters in this file, turn quoting off";
    let utf8 = "is not valid UTF-8: if the file is Latin-1 (ISO-8859-1), read it with that encoding, or convert it to UTF-8";
    let cases: &[(&str, &[u8], String)] = &[
        (
            "no token column",
            b"word,tag,sentence_id\na,O,1\n",
            "line 1: no column named `token` for the token: the header has `word`, `tag`, `sentence_id`; \
             give the name of the token column"
                .to_owned(),
        ),
        (
            "no id column",
            b"\ntoken,tag\na,O\n",
            "line 2: no column named `sentence_id` for the sentence id: the header has `token`, `tag`; \
             give the name of the sentence id column"
                .to_owned(),
        ),
        (
            "two tag columns",
            b"token,tag,tag,sentence_id\na,O,O,1\n",
            "line 1: more than one column is named `tag`: rename all but the tag column".to_owned(),
        ),
        (
            "no tag column, but one that may be it",
            b"token,label,sentence_id\na,O,1\n",
            "line 1: no column named `tag` for the tag: the header has `token`, `label`, `sentence_id`; \
             give the name of the tag column"
                .to_owned(),
        ),
        (
            "ragged",
            b"token,tag,sentence_id\r\n\r\na,O,1\r\nb,O\r\n",
            "line 4: 2 columns where line 1 has 3: every line needs the same number of columns \
             (is one missing, does a token contain the separator, or is one of the lines a comment?)"
                .to_owned(),
        ),
        ("empty token", b"token,tag,sentence_id\n,O,1\n", "line 2: the token (column 1) is empty".to_owned()),
        ("empty tag", b"token,tag,sentence_id\na,,1\n", "line 2: the tag (column 2) is empty".to_owned()),
        ("unpaired quote", b"token,tag,sentence_id\na,O,1\n\",O,1\nb,O,1\n", format!("line 3: {line_break}")),
        ("two unpaired quotes", b"token,tag,sentence_id\n\",O,1\n\",O,1\n", format!("line 2: {line_break}")),
        ("unpaired quote in the header", b"\"token,tag,sentence_id", format!("line 1: {line_break}")),
        (
            "Latin-1",
            b"token,tag,sentence_id\na,O,1\nEspa\xF1a,O,1\n",
            format!("line 3: byte 0xF1 {utf8}"),
        ),
        (
            "character cut by a comma",
            b"token,tag,sentence_id\na\xC3,\xB1,1\n",
            format!("line 2: byte 0xC3 {utf8}"),
        ),
        (
            "UTF-16",
            b"\xFE\xFF\0a",
            "the text is UTF-16 (it starts with that encoding's byte-order mark): convert it to UTF-8".to_owned(),
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(
            read(&CsvReaderBuilder::new(), text).as_ref(),
            Err(expected),
            "{name}"
        );
    }
}

#[test]
fn joined_files() {
    let cases = [
        "\u{feff}token,tag,sentence_id\na,O,1\n\u{feff}token,tag,sentence_id\nb,O,1\n",
        "token,tag,sentence_id\r\na,O,1\r\ntoken,tag,sentence_id\nb,O,\n",
        "token,tag,sentence_id\r\na,O,1\r\n\"token\",tag,sentence_id\nb,O,\n\x1a",
    ];
    for text in cases {
        let shown = read(&CsvReaderBuilder::new(), text.as_bytes());
        assert_eq!(shown.as_deref(), Ok("2:a/O | 4:b/O"), "{text:?}");
    }
    let text = "\u{feff}sentence_id,token,tag\n1,a,O\n\u{feff}\"1\",\"b,c\",O\n \u{feff}\n2,c,O\n";
    let shown = read(&CsvReaderBuilder::new(), text.as_bytes());
    assert_eq!(shown.as_deref(), Ok("2:a/O 3:b,c/O | 5:c/O"));
}

#[test]
fn line_ends_of_old_macs() {
    for text in [
        "token,tag,sentence_id\ra,O,1\r\rb,O,2\r",
        "token,tag,sentence_id\r\na,O,1\r\n\rb,O,2",
        "token,tag,sentence_id\r\r\na,O,1\r\r\n\r\nb,O,2\r\r\n",
    ] {
        let shown = read(&CsvReaderBuilder::new(), text.as_bytes());
        assert_eq!(shown.as_deref(), Ok("2:a/O | 4:b/O"), "{text:?}");
    }
}

#[test]
fn invisible_characters() {
    let text = "\u{a0}token , tag\u{200b},sentence_id \na\u{a0}, B-X\u{a0},1\u{a0}\nb,B-X,1 \nc,O,\u{200b}\n";
    let shown = read(&CsvReaderBuilder::new(), text.as_bytes());
    assert_eq!(shown.as_deref(), Ok("2:a\u{a0}/B-X 3:b/B-X 4:c/O"));
    for (tag, expected) in [
        ("\u{a0}", "line 2: the tag (column 2) is empty"),
        (
            "B-\u{a0}X",
            "line 2: the tag \"B-\\u{a0}X\" has U+00A0 inside, which cannot be seen: remove it",
        ),
        (
            "O\0",
            "line 2: a NUL byte: if the file is UTF-16, convert it to UTF-8; otherwise it is damaged or no text",
        ),
    ] {
        let text = format!("token,tag,sentence_id\na,{tag},1\n");
        let shown = read(&CsvReaderBuilder::new(), text.as_bytes());
        assert_eq!(shown, Err(expected.to_owned()));
    }
}

#[test]
fn settings() {
    let mut builder = CsvReaderBuilder::new();
    builder
        .token_column("Word")
        .tag_column(Some("Tag"))
        .sentence_column("Sentence #")
        .encoding(Encoding::Latin1);
    let text = b"Sentence #,Word,POS,Tag\nSentence: 1,Espa\xF1a,NP,B-geo\n,y,CC,O\n";
    assert_eq!(read(&builder, text).as_deref(), Ok("2:España/B-geo 3:y/O"));

    let text = b"token\ttag\tsentence_id\n\"\tO\t1\na,b\tO\t1\n\"\tO\t1\n";
    let mut builder = CsvReaderBuilder::new();
    builder.delimiter(b'\t').quoting(false);
    assert_eq!(read(&builder, text).as_deref(), Ok("2:\"/O 3:a,b/O 4:\"/O"));
    builder.tag_column(None);
    assert_eq!(read(&builder, text).as_deref(), Ok("2:\" 3:a,b 4:\""));
}

#[test]
fn raw_lines_are_fields_joined_by_tabs() {
    let mut reader =
        CsvReaderBuilder::new().from_reader(&b"token,tag,sentence_id\n\"a,b\",O,1\nc,O,1\n"[..]);
    let sentence = reader.sentences().next().unwrap().unwrap();
    assert_eq!(
        (sentence.raw_line(0), sentence.raw_line(1)),
        ("a,b\tO\t1", "c\tO\t1")
    );
    assert_eq!(sentence.fields(0).collect::<Vec<_>>(), ["a,b", "O", "1"]);
    assert!(!sentence.starts_document());
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("words.csv");
    let error = CsvReaderBuilder::new().from_path(&path).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io(_)));
    std::fs::write(&path, "token,tag,sentence_id\na,O\n").unwrap();
    let error = CsvReaderBuilder::new()
        .from_path(&path)
        .unwrap()
        .sentences()
        .next()
        .unwrap()
        .unwrap_err();
    let position = error.position().unwrap();
    assert_eq!(
        (position.path(), position.line()),
        (Some(path.as_path()), Some(2))
    );
}

/// The usual names of columns, whatever the file has.
fn usual() -> CsvReaderBuilder {
    let mut builder = CsvReaderBuilder::new();
    builder.usual_names();
    builder
}

#[test]
fn columns_with_usual_names() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "the defaults",
            "sentence_id,token,tag\n1,a,O\n2,b,B-X\n",
            "2:a/O | 3:b/B-X",
        ),
        (
            "id in the first row only",
            "Sentence #,Word,POS,Tag\nSentence: 1,a,NN,O\n,b,NN,B-X\nSentence: 2,c,NN,O\n",
            "2:a/O 3:b/B-X | 4:c/O",
        ),
        (
            "the tag that is most surely one",
            "sent_id,text,label,ner\n1,a,x,O\n1,b,x,B-X\n",
            "2:a/O 3:b/B-X",
        ),
        (
            "numbers of rows",
            ",Unnamed: 0,word,Sentence ID\n0,0,a,1\n1,1,b,2\n",
            "2:a | 3:b",
        ),
        (
            "blank lines",
            "token,tag\na,O\nb,B-X\n\nc,O\n\n\nd,O\n",
            "2:a/O 3:b/B-X | 5:c/O | 8:d/O",
        ),
        (
            "empty rows",
            "\ntoken,tag\n\na,O\nb,B-X\n,\nc,O\n, \n",
            "4:a/O 5:b/B-X | 7:c/O",
        ),
        (
            "blank lines with CRLF and white space",
            "token,tag\r\na,O\r\n\r\nb,O\r\n \t\r\nc,O\r\n",
            "2:a/O | 4:b/O | 6:c/O",
        ),
        ("a blank line at the end", "token,tag\na,O\n\n", "2:a/O"),
        (
            "joined files",
            "token,tag\na,O\ntoken,tag\nb,O\n",
            "2:a/O | 4:b/O",
        ),
        ("words alone", "word\na\nb\n\nc\n", "2:a 3:b | 5:c"),
        ("header alone", "token,tag\n", ""),
        ("empty file", "", ""),
    ];
    for (name, text, expected) in cases {
        let shown = read(&usual(), text.as_bytes());
        assert_eq!(shown.as_deref(), Ok(*expected), "{name}");
    }
}

#[test]
fn tables_without_what_is_needed() {
    let tokens = "expected a header with `token`, `tokens`, `word`, `words`, `form` or `text` among its names, \
                  such as `sentence_id,token,tag`: add a header, rename the column, or give the name of the token column";
    let tags = "expected a header with `ner_tag`, `ner_tags`, `ner`, `tag`, `tags`, `label` or `labels` among its names, \
                such as `sentence_id,token,tag`: add a header, rename the column, or give the name of the tag column";
    let end = "and no row is empty; add a column `sentence_id` with the number of each word's sentence, \
               or an empty row after each sentence";
    let cases = [
        (
            "no header",
            "0,a,O\n0,b,B-X\n",
            format!("line 1: no column of tokens: the first line has `0`, `a`, `O`, {tokens}"),
        ),
        (
            "another name for tags",
            "sentence_id,token,gold\n1,a,O\n",
            format!(
                "line 1: no column of tags: the first line has `sentence_id`, `token`, `gold`, {tags}"
            ),
        ),
        (
            "two columns of one name",
            "token,Tag,tag\na,O,O\n\n",
            "line 1: more than one column is named `Tag`: rename all but the tag column".to_owned(),
        ),
        (
            "no end of a sentence",
            "\ntoken,tag\na,O\nb,O\n",
            format!(
                "line 2: nothing says where a sentence ends: the header has `token`, `tag`, {end}"
            ),
        ),
        (
            "ragged",
            "token,tag\na,O\n\nb\n",
            "line 4: 1 column where line 1 has 2: every line needs the same number of columns \
             (is one missing, does a token contain the separator, or is one of the lines a comment?)"
                .to_owned(),
        ),
        (
            "no token",
            "token,tag\na,O\n,O\n",
            "line 3: the token (column 1) is empty".to_owned(),
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(read(&usual(), text.as_bytes()), Err(expected), "{name}");
    }
}

#[test]
fn documents_are_told_by_a_column() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "with sentence ids",
            "doc_id,sentence_id,token,tag\nx,1,a,O\nx,1,b,O\nx,2,c,O\ny,3,d,O\n",
            "# 2:a/O 3:b/O | 4:c/O | # 5:d/O",
        ),
        (
            "sentence ids begin anew in each document",
            "document,sentence_id,token,tag\nx,1,a,O\ny,1,b,O\ny,1,c,O\n",
            "# 2:a/O | # 3:b/O 4:c/O",
        ),
        (
            "named in the first row only",
            "Document,sentence_id,token,tag\nx,1,a,O\n,2,b,O\ny,3,c,O\n,,d,O\n",
            "# 2:a/O | 3:b/O | # 4:c/O 5:d/O",
        ),
        (
            "with empty rows",
            "token,tag,document\na,O,x\nb,O,x\n\nc,O,x\n,,\nd,O,y\ne,O,z\n",
            "# 2:a/O 3:b/O | 5:c/O | # 7:d/O | # 8:e/O",
        ),
        (
            "joined files",
            "document,sentence_id,token\n1,1,a\ndocument,sentence_id,token\n1,1,b\n",
            "# 2:a | # 4:b",
        ),
        (
            "joined files without sentence ids",
            "document,token\n1,a\ndocument,token\n1,b\n",
            "# 2:a | # 4:b",
        ),
        (
            "a column of tokens, and one of documents",
            "word,doc_id\na,1\n\nb,2\n",
            "# 2:a | # 4:b",
        ),
    ];
    for (name, text, expected) in cases {
        let shown = read(&usual(), text.as_bytes());
        assert_eq!(shown.as_deref(), Ok(*expected), "{name}");
    }
    // Only where it is asked for.
    let text = "acta,token,tag,sentence_id\n7,a,O,1\n8,b,O,1\n";
    let mut builder = CsvReaderBuilder::new();
    assert_eq!(
        read(&builder, text.as_bytes()).as_deref(),
        Ok("2:a/O 3:b/O")
    );
    builder.document_column("acta");
    assert_eq!(
        read(&builder, text.as_bytes()).as_deref(),
        Ok("# 2:a/O | # 3:b/O")
    );
    builder.document_column("documento");
    assert_eq!(
        read(&builder, text.as_bytes()),
        Err(
            "line 1: no column named `documento` for the document: the header has `acta`, `token`, `tag`, `sentence_id`; \
             give the name of the document column"
                .to_owned()
        )
    );
    // A usual name that is that of the tags is not that of the documents.
    let mut builder = usual();
    builder.tag_column(Some("document"));
    let text = "token,document\na,O\n\nb,B-X\n";
    assert_eq!(
        read(&builder, text.as_bytes()).as_deref(),
        Ok("2:a/O | 4:b/B-X")
    );
}
