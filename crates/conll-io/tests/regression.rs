//! Edge cases of column files, one row a case.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{self, Read};

use conll_io::{
    Column, Comments, Encoding, Error, ErrorKind, Reader, ReaderBuilder, Sentence, Separator,
    Writer, read_path,
};

/// Sentences as `token/tag token/tag | token/tag`, `#` before a sentence that starts a document.
fn show(sentences: &[Sentence]) -> String {
    let show_one = |sentence: &Sentence| {
        let mut words: Vec<String> = Vec::new();
        if sentence.starts_document() {
            words.push("#".to_owned());
        }
        for i in 0..sentence.len() {
            words.push(match sentence.tag(i) {
                Some(tag) => format!("{}/{tag}", sentence.token(i)),
                None => sentence.token(i).to_owned(),
            });
        }
        words.join(" ")
    };
    sentences
        .iter()
        .map(show_one)
        .collect::<Vec<_>>()
        .join(" | ")
}

fn read_with(builder: &ReaderBuilder, text: &[u8]) -> Result<Vec<Sentence>, Error> {
    builder.from_reader(text).sentences().collect()
}

fn read(text: impl AsRef<[u8]>) -> Result<Vec<Sentence>, Error> {
    read_with(&ReaderBuilder::new(), text.as_ref())
}

#[test]
fn well_formed_files() {
    let cases: &[(&str, &str, &str)] = &[
        ("two sentences", "a O\nb B-X\n\nc O\n\n", "a/O b/B-X | c/O"),
        ("no final newline", "a O\n\nb O", "a/O | b/O"),
        (
            "no final newline after a carriage return",
            "a O\r\nb O\r",
            "a/O b/O",
        ),
        (
            "several blank lines",
            "\n\na O\n\n\n\nb O\n\n\n",
            "a/O | b/O",
        ),
        (
            "white-space-only lines",
            "a O\n \t \nb O\n\r\n\x0c\nc O\n",
            "a/O | b/O | c/O",
        ),
        ("CRLF", "a O\r\nb O\r\n\r\nc O\r\n", "a/O b/O | c/O"),
        (
            "CRLF converted twice",
            "a O\r\r\n\r\r\nb O\r\r\n",
            "a/O | b/O",
        ),
        ("byte-order mark", "\u{feff}a O\n", "a/O"),
        ("byte-order mark twice", "\u{feff}\u{feff}a O\n", "a/O"),
        (
            "byte-order mark before a boundary",
            "\u{feff}-DOCSTART- O\n\na O\n",
            "# a/O",
        ),
        ("byte-order mark alone", "\u{feff}", ""),
        ("empty file", "", ""),
        ("only blank lines", "\n \n\r\n\n", ""),
        (
            "only document boundaries",
            "-DOCSTART- O\n\n-DOCSTART- O\n",
            "",
        ),
        ("one column", "a\nb\n\nc\n", "a b | c"),
        ("runs of white space", "  a \t NC\t\tO  \n", "a/O"),
        (
            "no-break space in a token",
            "10\u{a0}000 O\n",
            "10\u{a0}000/O",
        ),
        ("no-break space as a token", "\u{a0} O\n", "\u{a0}/O"),
        (
            "ideographic space in a token",
            "東\u{3000}京 O\n",
            "東\u{3000}京/O",
        ),
        (
            "next line and line separator in a token",
            "a\u{85}b\u{2028}c O\n",
            "a\u{85}b\u{2028}c/O",
        ),
        (
            "control characters in a token",
            "a\x01\x0b\x1b\x7f O\n",
            "a\x01\x0b\x1b\x7f/O",
        ),
        ("number sign as a token", "# O\n", "#/O"),
        ("boundary of one column", "-DOCSTART-\n\na O\n", "# a/O"),
        (
            "boundary with columns",
            "-DOCSTART- -X- -X- O\n\na NN I O\n",
            "# a/O",
        ),
        (
            "boundary in all columns",
            "-DOCSTART- -DOCSTART- O\na N O\n\nb N O\n",
            "# a/O | b/O",
        ),
        ("boundary with a number", "-DOCSTART-17 O\n\na O\n", "# a/O"),
        (
            "boundary after white space",
            " \t-DOCSTART- O\n\na O\n",
            "# a/O",
        ),
        (
            "boundary ends a sentence",
            "a O\n-DOCSTART- O\nb O\n",
            "a/O | # b/O",
        ),
        ("boundary as last line", "a O\n\n-DOCSTART-", "a/O"),
        (
            "two boundaries",
            "-DOCSTART- O\n\n-DOCSTART- O\n\na O\n",
            "# a/O",
        ),
        (
            "no boundary: not at the start",
            "x-DOCSTART- O\n",
            "x-DOCSTART-/O",
        ),
        ("no boundary: not complete", "-DOCSTART O\n", "-DOCSTART/O"),
        (
            "no boundary: another column",
            "a -DOCSTART-\n",
            "a/-DOCSTART-",
        ),
    ];
    for (name, text, expected) in cases {
        match read(text) {
            Ok(sentences) => assert_eq!(show(&sentences), *expected, "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn malformed_files() {
    let cases: &[(&str, &[u8], &str)] = &[
        (
            "missing column",
            b"a NC O\n\n\nb O\n",
            "line 4: 2 columns where line 1 has 3: every line needs the same number of columns \
             (is one missing, does a token contain the separator, or is one of the lines a comment?)",
        ),
        (
            "extra column",
            b"-DOCSTART- -X- O\n\na O\nb c O\n",
            "line 4: 3 columns where line 3 has 2: every line needs the same number of columns \
             (is one missing, does a token contain the separator, or is one of the lines a comment?)",
        ),
        (
            "no-break space alone on a line is a token",
            b"a O\n\xC2\xA0\n",
            "line 2: 1 column where line 1 has 2: every line needs the same number of columns \
             (is one missing, does a token contain the separator, or is one of the lines a comment?)",
        ),
        (
            "Latin-1",
            b"a O\n\nb O\nEspa\xF1a B-LOC\nc O\n",
            "line 4: byte 0xF1 is not valid UTF-8: \
             if the file is Latin-1 (ISO-8859-1), read it with that encoding, or convert it to UTF-8",
        ),
        (
            "invalid UTF-8 in a document boundary",
            b"\n-DOCSTART- \xFF\n\na O\n",
            "line 2: byte 0xFF is not valid UTF-8: \
             if the file is Latin-1 (ISO-8859-1), read it with that encoding, or convert it to UTF-8",
        ),
        (
            "invalid UTF-8 before a ragged line",
            b"a O\n\xF1 O\nb\n",
            "line 2: byte 0xF1 is not valid UTF-8: \
             if the file is Latin-1 (ISO-8859-1), read it with that encoding, or convert it to UTF-8",
        ),
        (
            "character cut by the end of the file",
            b"a O\nb O\xC3",
            "line 2: byte 0xC3 is not valid UTF-8: \
             if the file is Latin-1 (ISO-8859-1), read it with that encoding, or convert it to UTF-8",
        ),
        (
            "character cut by a separator",
            b"a\xC3 \xB1 O\n",
            "line 1: byte 0xC3 is not valid UTF-8: \
             if the file is Latin-1 (ISO-8859-1), read it with that encoding, or convert it to UTF-8",
        ),
        (
            "UTF-16",
            b"\xFF\xFEa\0 \0O\0\n\0",
            "the text is UTF-16 (it starts with that encoding's byte-order mark): convert it to UTF-8",
        ),
    ];
    for (name, text, expected) in cases {
        let error = read(text).expect_err(name);
        assert_eq!(error.to_string(), *expected, "{name}");
    }
}

#[test]
fn exact_separators() {
    let cases: &[(Separator, &str, Result<&str, &str>)] = &[
        (
            Separator::Space,
            "a NC O\n\nb\tc NC O\n",
            Ok("a/O | b\tc/O"),
        ),
        (Separator::Space, "a  O\n", Ok("a/O")),
        (Separator::Space, "a O\n \t \nb O\n", Ok("a/O | b/O")),
        (Separator::Space, "a O\r\n\r\nb O\r\n", Ok("a/O | b/O")),
        (
            Separator::Space,
            "a O \n",
            Err("line 1: the tag (column 3) is empty"),
        ),
        (
            Separator::Space,
            " a O\n",
            Err("line 1: the token (column 1) is empty"),
        ),
        (
            Separator::Tab,
            "New York\tNC\tB-LOC\n",
            Ok("New York/B-LOC"),
        ),
        (Separator::Tab, "a\t\tO\n\t\t\nb\t\tO\n", Ok("a/O | b/O")),
        (Separator::Tab, "a O\nb O\n", Ok("a O b O")),
        (
            Separator::Tab,
            "a\tO\nb\t\r\n",
            Err("line 2: the tag (column 2) is empty"),
        ),
    ];
    for (separator, text, expected) in cases {
        let outcome = read_with(ReaderBuilder::new().separator(*separator), text.as_bytes());
        let shown = outcome.as_deref().map(show).map_err(Error::to_string);
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(shown, expected, "{separator:?} {text:?}");
    }
}

#[test]
fn chosen_columns() {
    let text = b"1 a NC O x\n2 b NC B-X y\n";
    let column = |number| Column::new(number).unwrap();
    let cases: &[(i32, Option<i32>, Result<&str, &str>)] = &[
        (2, Some(4), Ok("a/O b/B-X")),
        (2, Some(-2), Ok("a/O b/B-X")),
        (-4, None, Ok("a b")),
        (2, Some(2), Ok("a b")),
        (
            6,
            Some(1),
            Err("line 1: no token column 6: the line has 5 columns"),
        ),
        (
            1,
            Some(-6),
            Err("line 1: no tag column -6: the line has 5 columns"),
        ),
        (
            i32::MIN,
            None,
            Err("line 1: no token column -2147483648: the line has 5 columns"),
        ),
    ];
    for &(token, tag, expected) in cases {
        let mut builder = ReaderBuilder::new();
        builder
            .token_column(column(token))
            .tag_column(tag.map(column));
        let shown = read_with(&builder, text)
            .as_deref()
            .map(show)
            .map_err(Error::to_string);
        assert_eq!(
            shown,
            expected.map(str::to_owned).map_err(str::to_owned),
            "{token} {tag:?}"
        );
    }
}

#[test]
fn columns_as_users_write_them() {
    for (text, number) in [("1", 1), ("-1", -1), (" 3 ", 3), ("+2", 2)] {
        let column: Column = text.parse().unwrap();
        assert_eq!(column.number(), number);
        assert_eq!(column.to_string(), number.to_string());
    }
    for text in ["", "0", "-0", "a", "1,2", "1.0", "99999999999"] {
        let error = text.parse::<Column>().unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::InvalidColumn(t) if t == text),
            "{text}"
        );
        assert!(error.position().is_none());
    }
}

#[test]
fn latin_1() {
    let all: Vec<u8> = (0x80..=0xFF).collect();
    let mut text = b"Espa\xF1a B-LOC\n".to_vec();
    text.extend_from_slice(&all);
    text.extend_from_slice(b" O");
    let sentences = read_with(ReaderBuilder::new().encoding(Encoding::Latin1), &text).unwrap();
    let expected: String = ('\u{80}'..='\u{FF}').collect();
    assert_eq!(show(&sentences), format!("España/B-LOC {expected}/O"));
}

#[test]
fn byte_order_mark_wins_over_latin_1() {
    let text = "\u{feff}España B-LOC\n";
    let sentences = read_with(
        ReaderBuilder::new().encoding(Encoding::Latin1),
        text.as_bytes(),
    )
    .unwrap();
    assert_eq!(show(&sentences), "España/B-LOC");
}

#[test]
fn very_long_lines_and_sentences() {
    // Longer than several blocks, and so that every place in a block falls on every part of a line
    // once.
    let token = "ñ".repeat(300_000);
    let sentences = read(format!("{token} O\nb {token}\n\nc O")).unwrap();
    assert_eq!(show(&sentences), format!("{token}/O b/{token} | c/O"));
    let rows: String = (0..50_000).map(|i| format!("{i} O\r\n")).collect();
    let sentences = read(format!("{rows}\r\n{rows}")).unwrap();
    assert_eq!(sentences.len(), 2);
    for sentence in &sentences {
        assert_eq!(sentence.len(), 50_000);
        assert!(
            sentence
                .tokens()
                .enumerate()
                .all(|(i, token)| token == i.to_string())
        );
    }
    assert_eq!(sentences[1].line(49_999), 100_001);
}

/// Gives one byte at a time, and an interruption before each.
struct Trickle<'a> {
    text: &'a [u8],
    interrupt: bool,
}

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = self.text.len().min(1).min(out.len());
        out[..count].copy_from_slice(&self.text[..count]);
        self.text = &self.text[count..];
        Ok(count)
    }
}

#[test]
fn readers_that_give_one_byte_at_a_time() {
    let text = "\u{feff}-DOCSTART- O\r\n\r\nEspaña B-LOC\r\nb O\r\n\r\nc O";
    let mut reader = Reader::from_reader(Trickle {
        text: text.as_bytes(),
        interrupt: false,
    });
    let sentences: Vec<Sentence> = reader.sentences().collect::<Result<_, _>>().unwrap();
    assert_eq!(show(&sentences), "# España/B-LOC b/O | c/O");
}

#[test]
fn what_a_sentence_tells() {
    let text = "-DOCSTART-  -X- O\n\n\n a  NC O \r\nb\tVM B-X\n";
    let sentences = read(text).unwrap();
    let sentence = &sentences[0];
    assert_eq!(
        (sentence.len(), sentence.columns(), sentence.has_tags()),
        (2, 3, true)
    );
    assert_eq!(sentence.tokens().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(
        sentence.tags().unwrap().rev().collect::<Vec<_>>(),
        ["B-X", "O"]
    );
    assert_eq!(sentence.fields(1).collect::<Vec<_>>(), ["b", "VM", "B-X"]);
    assert_eq!(
        (sentence.raw_line(0), sentence.raw_line(1)),
        (" a  NC O ", "b\tVM B-X")
    );
    assert_eq!((sentence.line(0), sentence.line(1)), (4, 5));
    assert_eq!(sentence.document_line(), Some("-DOCSTART-  -X- O"));
    assert_eq!(
        sentence.document_fields().unwrap().collect::<Vec<_>>(),
        ["-DOCSTART-", "-X-", "O"]
    );
    assert_eq!(
        format!("{sentence:?}"),
        r#"Sentence { line: Some(4), document: Some("-DOCSTART-  -X- O"), rows: [["a", "NC", "O"], ["b", "VM", "B-X"]] }"#
    );
}

#[test]
fn a_sentence_read_into_again_keeps_nothing() {
    let mut sentence = Sentence::new();
    let mut first = Reader::from_reader(&b"-DOCSTART- O\n\na NC O\nb NC O\n"[..]);
    assert!(first.read_sentence(&mut sentence).unwrap());
    let mut second = Reader::from_reader(&b"c\n"[..]);
    assert!(second.read_sentence(&mut sentence).unwrap());
    assert_eq!(show(std::slice::from_ref(&sentence)), "c");
    assert!(sentence.tags().is_none());
    assert!(!second.read_sentence(&mut sentence).unwrap());
    assert_eq!((sentence.len(), sentence.columns()), (0, 0));
}

#[test]
fn an_error_ends_the_reading() {
    let mut reader = Reader::from_reader(&b"a O\n\nb\n\nc O\n"[..]);
    let outcomes: Vec<bool> = reader.sentences().map(|outcome| outcome.is_ok()).collect();
    assert_eq!(outcomes, [true, false]);
    assert!(!reader.read_sentence(&mut Sentence::new()).unwrap());
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("words.conll");
    let error = read_path(&path).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io(e) if e.kind() == io::ErrorKind::NotFound));
    assert_eq!(error.position().unwrap().path(), Some(path.as_path()));
    assert_eq!(error.position().unwrap().line(), None);
    fs::write(&path, "a O\nb\n").unwrap();
    let error = read_path(&path).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::Ragged {
            found: 1,
            expected: 2,
            first_line: 1
        }
    ));
    assert_eq!(error.position().unwrap().line(), Some(2));
    let message = error.to_string();
    assert!(
        message.starts_with(&format!("{}:2: 1 column where", path.display())),
        "{message}"
    );
    fs::write(&path, "a O\nb O\n").unwrap();
    assert_eq!(show(&read_path(&path).unwrap()), "a/O b/O");
}

const SEPARATORS: [Separator; 3] = [Separator::Whitespace, Separator::Space, Separator::Tab];

/// What the reader makes of a text, or its error.
fn outcome(builder: &ReaderBuilder, text: &str) -> Result<String, String> {
    let sentences = read_with(builder, text.as_bytes());
    sentences.as_deref().map(show).map_err(ToString::to_string)
}

/// The same with each separator, with which the columns of `text` are joined instead of by `|`.
fn with_separators(text: &str, expected: Result<&str, &str>) {
    for separator in SEPARATORS {
        let text = text.replace('|', &separator.as_char().to_string());
        let found = outcome(ReaderBuilder::new().separator(separator), &text);
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(found, expected, "{separator:?} {text:?}");
    }
}

#[test]
fn comments_with_as_many_columns_as_the_rows() {
    let cases = [
        "# doc_id = 90211\nAna 0 3 B-PER\nva 4 6 O\n\n# doc_id = 90212\nLima 7 11 B-LOC\n",
        "# id 5f0c2a domain=xx\nAna _ _ B-PER\nva _ _ O\n\n# id 5f0c2b domain=xx\nLima _ _ B-LOC\n",
    ];
    for text in cases {
        assert_eq!(
            read(text).map(|s| show(&s)).unwrap(),
            "Ana/B-PER va/O | Lima/B-LOC"
        );
    }
}

#[test]
fn comments_do_not_say_how_many_columns_there_are() {
    with_separators(
        "# a = b\n\n# newdoc\n# newpar id = 1\n-DOCSTART-|O\n\n# text = x y z\na|O\n",
        Ok("# a/O"),
    );
    with_separators("\u{feff}# a=b\r\na|O\r\n", Ok("a/O"));
    with_separators("# a = b\n", Ok(""));
    assert_eq!(read("  # a = b\na O\n").map(|s| show(&s)).unwrap(), "a/O");
}

#[test]
fn number_signs_that_are_tokens() {
    with_separators("#|O\nuno|O\n", Ok("#/O uno/O"));
    with_separators("#|NN|O\n#|=|O\n\n#|=|O\n", Ok("#/O #/O | #/O"));
    with_separators("#Lima|B-LOC\n\n#a=b|O\n", Ok("#Lima/B-LOC | #a=b/O"));
    with_separators("a|O\n#|O\n##|O\n", Ok("a/O #/O ##/O"));
    assert_eq!(
        outcome(&ReaderBuilder::new(), "#\n\n#\nO\n").unwrap(),
        "# | # O"
    );
}

#[test]
fn comments_inside_a_sentence() {
    with_separators(
        "a|O\n# doc_id = 5\nb|O\n",
        Err(
            "line 2: a comment inside a sentence: put a blank line before it, or, if it is the row \
             of a token, read the file without comments",
        ),
    );
    // What could be either can only be a row there.
    with_separators("a|N|O\n#|Num=Sing|O\n", Ok("a/O #/O"));
}

#[test]
fn rows_that_could_be_comments() {
    with_separators(
        "\n#|SYM|Num=Sing|O\n",
        Err(
            "line 2: this line could be a comment or the row of a token `#`: read the file without \
             comments, or with the text that comments start with",
        ),
    );
    let mut builder = ReaderBuilder::new();
    builder.comments(Comments::None);
    assert_eq!(
        outcome(&builder, "# SYM Num=Sing O\n# a = b\n").unwrap(),
        "#/O #/b"
    );
}

#[test]
fn comments_by_their_start() {
    let mut builder = ReaderBuilder::new();
    builder
        .comments(Comments::Prefix("#\t".to_owned()))
        .separator(Separator::Tab)
        .token_column(Column::new(2).unwrap());
    let text = "#\thttp://example.org [2009-10-17]\n1\tAna\tB-PER\n2\t#\tO\n\n#\tx\n1\tva\tO\n";
    assert_eq!(outcome(&builder, text).unwrap(), "Ana/B-PER #/O | va/O");
    builder.comments(Comments::Prefix(String::new()));
    assert!(outcome(&builder, "#\ta\tO\n").unwrap().ends_with("a/O"));
    builder.comments(Comments::Prefix("-".to_owned()));
    assert_eq!(
        outcome(&builder, "-DOCSTART-\n-\tx\n1\ta\tO\n").unwrap(),
        "# a/O"
    );
}

#[test]
fn comments_are_kept() {
    let text = "# newdoc\n-DOCSTART- O\n\n# a = ñ\na O\n\nb O\n\n# c = d\nc O\n\n# e = f\n";
    let sentences = read(text).unwrap();
    let comments: Vec<Vec<&str>> = sentences.iter().map(|s| s.comments().collect()).collect();
    assert_eq!(
        comments,
        [vec!["# newdoc", "# a = ñ"], vec![], vec!["# c = d"]]
    );
    assert_eq!(sentences[0].line(0), 5);
    let mut writer = Writer::from_writer(Vec::new());
    for sentence in &sentences {
        writer.write_sentence(sentence).unwrap();
    }
    let expected = "-DOCSTART- O\n\n# newdoc\n# a = ñ\na O\n\nb O\n\n# c = d\nc O\n\n";
    assert_eq!(
        String::from_utf8(writer.into_inner().unwrap()).unwrap(),
        expected
    );
}

#[test]
fn byte_order_marks_of_joined_files() {
    with_separators(
        "\u{feff}-DOCSTART-|O\n\nAna|B-PER\n\n\u{feff}-DOCSTART-|O\n\nLima|B-LOC\n",
        Ok("# Ana/B-PER | # Lima/B-LOC"),
    );
    with_separators(
        "a|O\n\u{feff}b|O\n\n\u{feff}# a = b\n\u{feff}\u{feff}c|O\n",
        Ok("a/O b/O | c/O"),
    );
}

#[test]
fn byte_order_marks_alone_on_a_line() {
    for mark in ["\u{feff}", " \u{feff} ", "\u{feff}\u{feff}\t", "\u{feff}\r"] {
        with_separators(&format!("a|O\n{mark}\nb|O\n{mark}"), Ok("a/O | b/O"));
        with_separators(&format!("a\n{mark}\nb\n{mark}"), Ok("a | b"));
    }
}

#[test]
fn byte_order_marks_inside_a_line() {
    // Part of a token, never of a tag.
    with_separators(
        "a\u{feff}b|\u{feff}O\u{feff}\na|O\n",
        Ok("a\u{feff}b/O a/O"),
    );
    with_separators(
        "a|O\nb|B-\u{feff}PER\n",
        Err(
            "line 2: the tag \"B-\\u{feff}PER\" has U+FEFF inside, which cannot be seen: remove it",
        ),
    );
}

#[test]
fn line_ends_of_old_macs() {
    with_separators("a|O\rb|B-X\r\rc|O\r", Ok("a/O b/B-X | c/O"));
    with_separators(
        "-DOCSTART-|O\r\ra|O\n\nb|O\r\n\r\nc|O\r\rd|O",
        Ok("# a/O | b/O | c/O | d/O"),
    );
    with_separators("a\rb\r\rc", Ok("a b | c"));
    with_separators(
        "a|O\rb\rc|O\n",
        Err(
            "line 2: 1 column where line 1 has 2: every line needs the same number of columns \
             (is one missing, does a token contain the separator, or is one of the lines a comment?)",
        ),
    );
    let mut text = "a O\rb O\r\r".repeat(100_000).into_bytes();
    text.extend_from_slice(b"\xFF O");
    let error = read(&text).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::InvalidUtf8 { byte: 0xFF }
    ));
    assert_eq!(error.position().unwrap().line(), Some(300_001));
}

#[test]
fn invisible_characters_at_the_ends_of_tags() {
    for odd in [
        "\u{a0}",
        "\u{200b}",
        "\u{85}",
        "\u{2028}",
        "\u{3000}",
        "\x1a",
        "\x0b",
        "\x7f",
        "\u{2060}\u{ad}",
    ] {
        with_separators(&format!("a|B-X{odd}\nb|{odd}B-X\n"), Ok("a/B-X b/B-X"));
        let text = format!("a|O\nb|{odd}\n");
        with_separators(&text, Err("line 2: the tag (column 2) is empty"));
        // Tokens keep theirs.
        if odd != "\x1a" {
            with_separators(
                &format!("{odd}|O\nb{odd}|O\n"),
                Ok(&format!("{odd}/O b{odd}/O")),
            );
        }
    }
    let mut builder = ReaderBuilder::new();
    builder.separator(Separator::Tab);
    assert_eq!(
        outcome(&builder, "a\tB-X \nb\t\x0cB-X\n").unwrap(),
        "a/B-X b/B-X"
    );
    assert_eq!(outcome(&builder, "a \tO\n \tO\n").unwrap(), "a /O  /O");
    assert_eq!(
        outcome(&builder, "a\tO\nb\t \n").unwrap_err(),
        "line 2: the tag (column 2) is empty"
    );
}

#[test]
fn invisible_characters_inside_tags() {
    for odd in [
        '\u{a0}', '\u{200b}', '\u{2028}', '\u{85}', '\u{7f}', '\u{1}', '\u{202e}',
    ] {
        let error = read(format!("a O\nb B-{odd}X\nc\n")).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::InvisibleCharacter { role: "tag", character, .. } if *character == odd),
            "{error}"
        );
        assert_eq!(error.position().unwrap().line(), Some(2));
    }
    let text = "a B-tax percent\n".replace("a ", "a\t");
    let sentences = read_with(
        ReaderBuilder::new().separator(Separator::Tab),
        text.as_bytes(),
    );
    assert_eq!(sentences.unwrap()[0].tag(0), Some("B-tax percent"));
}

#[test]
fn tags_are_trimmed_and_columns_are_not() {
    let sentences = read("a O\u{a0}\n").unwrap();
    let sentence = &sentences[0];
    assert_eq!(sentence.tag(0), Some("O"));
    assert!(sentence.tags().unwrap().eq(["O"]));
    assert!(sentence.fields(0).eq(["a", "O\u{a0}"]));
    assert_eq!(sentence.raw_line(0), "a O\u{a0}");
}

#[test]
fn line_separators_of_unicode_end_no_line() {
    for odd in ["\u{85}", "\u{2028}", "\u{2029}", "\x0b"] {
        with_separators(&format!("a{odd}b|O\n"), Ok(&format!("a{odd}b/O")));
    }
}

#[test]
fn nul_bytes() {
    let nul = "a NUL byte: if the file is UTF-16, convert it to UTF-8; otherwise it is damaged or no text";
    with_separators("a|O\n\nb\0|O\n", Err(&format!("line 3: {nul}")));
    with_separators("a|O\nb|O\0\nc\n", Err(&format!("line 2: {nul}")));
    with_separators("-DOCSTART-\0\n\na|O\n", Err(&format!("line 1: {nul}")));
    with_separators("\0\0\0\0", Err(&format!("line 1: {nul}")));
    // UTF-16 without a byte-order mark.
    let text: Vec<u8> = "a O\nb O\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(
        read(&text).unwrap_err().to_string(),
        format!("line 1: {nul}")
    );
}

#[test]
fn control_z_at_the_end_of_the_file() {
    for end in [
        "\x1a",
        "\x1a\x1a\x1a",
        "\n\x1a",
        "\r\n\x1a\n",
        "\n\n\x1a\u{feff}",
    ] {
        with_separators(&format!("a|O\nb|O{end}"), Ok("a/O b/O"));
        with_separators(&format!("a\nb{end}"), Ok("a b"));
    }
    with_separators("a|O\n\n\x1a-DOCSTART-|O\nb|O", Ok("a/O | # b/O"));
    with_separators("a\x1ab|O\n", Ok("a\x1ab/O"));
}
