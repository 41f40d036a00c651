//! Files that are opened in the format that their extension names.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use conll_io::{
    Column, ColumnNames, Error, ErrorKind, FileFormat, ReaderBuilder, Sentence, Separator,
};

use FileFormat::{Columns, Jsonl, Table};

/// The format of a file, and its sentences as `token/tag token/tag | token/tag`; or the error
/// without the file's folder.
fn read(
    builder: &ReaderBuilder,
    name: &str,
    text: impl AsRef<[u8]>,
) -> Result<(FileFormat, String), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let show = |sentence: Sentence| {
        let word = |i| match sentence.tag(i) {
            Some(tag) => format!("{}/{tag}", sentence.token(i)),
            None => sentence.token(i).to_owned(),
        };
        (0..sentence.len()).map(word).collect::<Vec<_>>().join(" ")
    };
    let read = || -> Result<(FileFormat, String), Error> {
        let reader = builder.open(&path)?;
        let format = reader.format();
        let sentences = reader.into_sentences().collect::<Result<Vec<_>, _>>()?;
        let shown: Vec<String> = sentences.into_iter().map(show).collect();
        Ok((format, shown.join(" | ")))
    };
    let before = format!("{}/", folder.path().display());
    read().map_err(|error| error.to_string().replace(&before, ""))
}

fn ok(format: FileFormat, shown: &str) -> Result<(FileFormat, String), String> {
    Ok((format, shown.to_owned()))
}

#[test]
fn the_extension_says_how_a_file_is_read() {
    let builder = ReaderBuilder::new();
    let same = "Ana/B-PER vive/O | Llueve/O";
    let columns = "Ana B-PER\nvive O\n\nLlueve O\n";
    let jsonl = "{\"tokens\":[\"Ana\",\"vive\"],\"ner_tags\":[\"B-PER\",\"O\"]}\n{\"tokens\":[\"Llueve\"],\"ner_tags\":[\"O\"]}\n";
    let table = "sentence_id,word,tag\n1,Ana,B-PER\n1,vive,O\n2,Llueve,O\n";
    for (name, text, format) in [
        ("a.conll", columns.to_owned(), Columns),
        ("a", columns.to_owned(), Columns),
        ("a.txt", columns.to_owned(), Columns),
        ("a.jsonl", jsonl.to_owned(), Jsonl),
        ("a.NDJSON", jsonl.to_owned(), Jsonl),
        ("a.csv", table.to_owned(), Table),
        ("a.csv", table.replace(',', ";"), Table),
        ("a.csv", table.replace(',', "\t"), Table),
        ("a.CSV", table.replace('\n', "\r\n"), Table),
        ("a.csv", format!("\u{feff}\n{table}"), Table),
        ("a.tsv", table.replace(',', "\t"), Table),
        ("a.tsv", columns.replace(' ', "\t"), Columns),
        ("a.tsv", columns.to_owned(), Columns),
        (
            "a.tsv",
            "word\tner\nAna\tB-PER\nvive\tO\n\nLlueve\tO\n".to_owned(),
            Table,
        ),
    ] {
        assert_eq!(read(&builder, name, &text), ok(format, same), "{name}");
    }
    // Words alone are no header.
    assert_eq!(
        read(&builder, "a.tsv", "word\nAna\n"),
        ok(Columns, "word Ana")
    );
    assert_eq!(read(&builder, "a.conll", ""), ok(Columns, ""));
    assert_eq!(read(&builder, "a.jsonl", ""), ok(Jsonl, ""));
}

#[test]
fn a_long_file_is_read_whole() {
    let mut builder = ReaderBuilder::new();
    let long = "a".repeat(100_000);
    let text = format!("{long} O\n\n").repeat(3);
    let expected = [
        format!("{long}/O"),
        format!("{long}/O"),
        format!("{long}/O"),
    ]
    .join(" | ");
    assert_eq!(read(&builder, "a.conll", &text), ok(Columns, &expected));
    builder.tag_column(None);
    let text = format!("{{\"tokens\": [\"{long}\"], \"tags\": [1]}}\n");
    assert_eq!(read(&builder, "a.jsonl", text), ok(Jsonl, &long));
}

#[test]
fn settings_of_tables() {
    let mut builder = ReaderBuilder::new();
    let text = "Sentence #,Word,POS,Tag\n1,Ana,NP,B-per\n,vive,VB,O\n";
    builder.tag_column(Column::new(3));
    assert_eq!(read(&builder, "a.csv", text), ok(Table, "Ana/NP vive/VB"));
    builder.token_column(Column::new(-1).unwrap());
    assert_eq!(read(&builder, "a.csv", text), ok(Table, "B-per/NP O/VB"));
    builder.tag_column(Column::new(9));
    assert_eq!(
        read(&builder, "a.csv", text),
        Err("a.csv:1: no tag column 9: the line has 4 columns".to_owned())
    );
    // A first row of words is not lost as a header.
    let error = read(&builder, "a.csv", "1,Ana,NP,B-per\n1,vive,VB,O\n").unwrap_err();
    assert!(
        error.starts_with("a.csv:1: no column of tokens: the first line has `1`, `Ana`,"),
        "{error}"
    );

    let quoted = "token\ttag\tsent_id\n\"\"\"\"\tO\t1\na\tO\t1\n";
    let plain = "token\ttag\tsent_id\n\"\tO\t1\na\tO\t1\n";
    let mut builder = ReaderBuilder::new();
    assert_eq!(read(&builder, "a.tsv", quoted), ok(Table, "\"/O a/O"));
    let error = read(&builder, "a.tsv", plain).unwrap_err();
    assert!(error.starts_with("a.tsv:2: line break inside"), "{error}");
    builder.separator(Separator::Tab);
    assert_eq!(read(&builder, "a.tsv", plain), ok(Table, "\"/O a/O"));
}

#[test]
fn columns_are_found_by_names_of_their_own() {
    let mut builder = ReaderBuilder::new();
    builder.names(ColumnNames {
        token: Some("palabra".to_owned()),
        tag: Some("oro".to_owned()),
        sentence: Some("frase".to_owned()),
        document: Some("acta".to_owned()),
    });
    let same = "Ana/B-PER vive/O | Llueve/O";
    let table = "acta,frase,palabra,token,oro\n1,1,Ana,x,B-PER\n1,1,vive,x,O\n1,2,Llueve,x,O\n";
    let jsonl = "{\"acta\":1,\"palabra\":[\"Ana\",\"vive\"],\"oro\":[\"B-PER\",\"O\"]}\n\
                 {\"acta\":1,\"palabra\":[\"Llueve\"],\"oro\":[\"O\"]}\n";
    for (name, text, format) in [
        ("a.csv", table.to_owned(), Table),
        ("a.csv", table.replace(',', ";"), Table),
        ("a.tsv", table.replace(',', "\t"), Table),
        ("a.jsonl", jsonl.to_owned(), Jsonl),
    ] {
        assert_eq!(read(&builder, name, &text), ok(format, same), "{name}");
    }
    // A name that is not there is answered with those that are.
    for (name, text, expected) in [
        (
            "a.csv",
            table.replace("oro", "plata"),
            "a.csv:1: no column named `oro` for the tag: the header has `acta`, `frase`, `palabra`, `token`, `plata`;",
        ),
        (
            "a.jsonl",
            jsonl.replace("oro", "plata"),
            "a.jsonl:1: no field `oro` with the tags: the record has `acta`, `palabra`, `plata`;",
        ),
        (
            "a.tsv",
            "Ana\tB-PER\n".to_owned(),
            "a.tsv: no token column named `palabra`: the first line has `Ana`, `B-PER`, and a column file has no names;",
        ),
        (
            "a.conll",
            "Ana NP B-PER\n".to_owned(),
            "a.conll: no token column named `palabra`: the first line has `Ana`, `NP`, `B-PER`, and a column file has no names;",
        ),
    ] {
        let error = read(&builder, name, &text).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    // One name beside the usual ones, and beside a number.
    let mut builder = ReaderBuilder::new();
    builder.names(ColumnNames {
        tag: Some("oro".to_owned()),
        ..ColumnNames::default()
    });
    let text = "token\toro\tsent_id\nAna\tB-PER\t1\nvive\tO\t1\nLlueve\tO\t2\n";
    assert_eq!(read(&builder, "a.tsv", text), ok(Table, same));
    builder.token_column(Column::new(3).unwrap());
    assert_eq!(
        read(&builder, "a.tsv", text),
        ok(Table, "1/B-PER 1/O | 2/O")
    );
}

#[test]
fn columns_of_a_table_with_names_of_its_own_are_found_by_numbers() {
    let csv = "frase,palabra,clase,etiqueta\n1,Ana,NP,B-PER\n1,vive,VB,O\n2,Llueve,VB,O\n";
    let same = "Ana/B-PER vive/O | Llueve/O";
    let named = |token: Option<&str>, tag: Option<&str>| ColumnNames {
        token: token.map(str::to_owned),
        tag: tag.map(str::to_owned),
        sentence: Some("frase".to_owned()),
        document: None,
    };
    // A name and a number, the other way round, and two numbers, also from the end.
    for (token, tag, names) in [
        (None, Some(4), named(Some("palabra"), None)),
        (Some(2), None, named(None, Some("etiqueta"))),
        (Some(2), Some(4), named(None, None)),
        (Some(-3), Some(-1), named(None, None)),
    ] {
        let mut builder = ReaderBuilder::new();
        if let Some(column) = token.and_then(Column::new) {
            builder.token_column(column);
        }
        if tag.is_some() {
            builder.tag_column(tag.and_then(Column::new));
        }
        builder.names(names.clone());
        for (name, text) in [
            ("a.csv", csv.to_owned()),
            ("a.csv", csv.replace(',', ";")),
            ("a.tsv", csv.replace(',', "\t")),
        ] {
            let what = format!("{token:?} {tag:?} {names:?} {name}");
            assert_eq!(read(&builder, name, &text), ok(Table, same), "{what}");
        }
    }
    // The numbers that are the defaults of a column file are numbers too.
    let mut builder = ReaderBuilder::new();
    builder
        .token_column(Column::FIRST)
        .tag_column(Some(Column::LAST));
    for text in [
        "palabra,etiqueta\nAna,B-PER\nvive,O\n\nLlueve,O\n",
        "palabra;etiqueta\nAna;B-PER\nvive;O\n\nLlueve;O\n",
    ] {
        assert_eq!(read(&builder, "a.csv", text), ok(Table, same));
    }
    // A first row of words is not lost as a header.
    for text in [
        "Ana,B-PER\nvive,O\n\n",
        "Llueve,O\n\nAna,B-PER\n",
        "Ana,1,PER\nvive,1,O\n",
        "Ana,_\n\n",
    ] {
        let error = read(&builder, "a.csv", text).unwrap_err();
        assert!(
            error.starts_with("a.csv:1: no column of tokens: the first line has"),
            "{error}"
        );
    }
    // A name that is not there is what is said, not that none was given.
    builder.names(named(Some("forma"), None));
    let error = read(&builder, "a.csv", csv).unwrap_err();
    assert!(
        error
            .starts_with("a.csv:1: no column named `forma` for the token: the header has `frase`,"),
        "{error}"
    );
}

#[test]
fn json_under_another_name_is_pointed_out() {
    let builder = ReaderBuilder::new();
    for (text, line) in [
        ("{\"tokens\": [\"Ana\"], \"tags\": [\"O\"]}\n", 1),
        ("\n[\n  {\n    \"tokens\": [\"Ana\"]\n  }\n]\n", 2),
    ] {
        for name in ["a.json", "a.conll", "a.csv", "a.tsv", "a"] {
            let error = read(&builder, name, text).unwrap_err();
            let expected = format!("{name}:{line}: the file looks like JSONL");
            assert!(
                error.starts_with(&expected) && error.contains(".jsonl"),
                "{error}"
            );
        }
    }
    // What only begins so is a token.
    assert_eq!(
        read(&builder, "a.conll", "{ O\n[ O\n"),
        ok(Columns, "{/O [/O")
    );
}

#[test]
fn files_that_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["no.conll", "no.csv", "no.jsonl", ""] {
        let path = folder.path().join(name);
        let error = ReaderBuilder::new().open(&path).unwrap_err();
        assert_eq!(error.position().unwrap().path(), Some(path.as_path()));
        let is_dir = matches!(error.kind(), ErrorKind::IsDirectory);
        assert_eq!(is_dir, name.is_empty(), "{error}");
    }
}
