//! Tagged data as users of `datasets` and pandas have it: JSONL and tables in the place of column files.
#![allow(clippy::unwrap_used)]

mod common;

use self::common::{Folder, failure, json, run, stdout};

/// Sentences of two documents, and what a tagger made of them.
const GOLD: [(&str, &str, &str); 3] = [
    ("x", "Ana Torres vive en Lima", "B-PER I-PER O O B-LOC"),
    ("x", "Llueve", "O"),
    ("y", "Lima espera", "B-LOC O"),
];
const PREDICTED: [(&str, &str, &str); 3] = [
    ("x", "Ana Torres vive en Lima", "B-PER O O O B-LOC"),
    ("x", "Llueve", "O"),
    ("y", "Lima espera", "B-LOC O"),
];

fn columns(sentences: &[(&str, &str, &str)]) -> String {
    let mut text = String::new();
    let mut before = "";
    for (document, words, tags) in sentences {
        if *document != before {
            text.push_str("-DOCSTART- O\n\n");
            before = document;
        }
        for (word, tag) in words.split(' ').zip(tags.split(' ')) {
            text.push_str(&format!("{word} {tag}\n"));
        }
        text.push('\n');
    }
    text
}

fn jsonl(sentences: &[(&str, &str, &str)]) -> String {
    let records = sentences.iter().map(|(document, words, tags)| {
        let [tokens, tags] = [words, tags].map(|text| text.split(' ').collect::<Vec<_>>());
        let record =
            serde_json::json!({"document": document, "tokens": tokens, "ner_tags": tags, "id": 1});
        format!("{record}\n")
    });
    records.collect()
}

/// One word a row; the number of the sentence in its first row only.
fn table(sentences: &[(&str, &str, &str)], delimiter: char) -> String {
    let mut text = "Sentence #,Word,POS,Tag\n".to_owned();
    for (number, (_, words, tags)) in sentences.iter().enumerate() {
        for (at, (word, tag)) in words.split(' ').zip(tags.split(' ')).enumerate() {
            let id = if at == 0 {
                format!("Sentence: {number}")
            } else {
                String::new()
            };
            text.push_str(&format!("{id},{word},NN,{tag}\n"));
        }
    }
    text.replace(',', &delimiter.to_string())
}

/// Word and tag alone, and an empty row after each sentence.
fn pairs(sentences: &[(&str, &str, &str)]) -> String {
    let columns = columns(sentences).replace("-DOCSTART- O\n\n", "");
    format!("token,ner_tag\n{}", columns.replace(' ', ","))
}

/// A file in every form, and the form of columns last.
fn forms(folder: &Folder, name: &str, sentences: &[(&str, &str, &str)]) -> Vec<String> {
    let forms = [
        ("jsonl", jsonl(sentences)),
        ("csv", table(sentences, ',')),
        ("tsv", table(sentences, '\t')),
        ("pairs.csv", pairs(sentences)),
        ("conll", columns(sentences)),
    ];
    let forms = forms.map(|(end, text)| folder.write(&format!("{name}.{end}"), text));
    forms.into()
}

#[test]
fn every_form_is_read_alike() {
    let folder = Folder::new();
    let gold = forms(&folder, "gold", &GOLD);
    let pred = forms(&folder, "pred", &PREDICTED);
    let report = |gold: &str, pred: &str| {
        stdout(&[
            "evaluate", "--gold", gold, "--pred", pred, "--report", "all",
        ])
    };
    let expected = report(&gold[4], &pred[4]);
    assert!(expected.contains("PER"), "{expected}");
    let columns = json(&["check", &gold[4]]);
    for (gold_file, pred_file) in gold.iter().zip(&pred) {
        assert_eq!(report(gold_file, pred_file), expected, "{gold_file}");
        assert_eq!(report(gold_file, &pred[4]), expected, "{gold_file}");
        assert_eq!(
            stdout(&["labels", gold_file]),
            "B-LOC\nB-PER\nI-PER\nO\n",
            "{gold_file}"
        );
        let checked = json(&["check", gold_file]);
        for count in ["sentences", "words", "entities", "tags", "types", "scheme"] {
            assert_eq!(
                checked["files"][0][count], columns["files"][0][count],
                "{gold_file}: {count}"
            );
        }
        assert_eq!(checked["errors"], 0, "{checked:#}");
    }
    // JSONL names documents as columns do; a table does in a column, which these lack.
    let documents = |file: &str| json(&["check", file])["files"][0]["documents"].clone();
    assert_eq!(documents(&gold[0]), documents(&gold[4]));
    // An error names the line of the record.
    let other = folder.write("other.jsonl", jsonl(&PREDICTED).replace("Llueve", "Nieva"));
    let said = failure(1, &["evaluate", "--gold", &gold[4], "--pred", &other]);
    assert!(
        said.contains("other.jsonl:2 has `Nieva`") && said.contains("gold.conll:9 has the word"),
        "{said}"
    );
}

#[test]
fn columns_are_made_of_every_form() {
    let folder = Folder::new();
    let files = forms(&folder, "train", &GOLD);
    let expected = columns(&GOLD);
    let made = |file: &str| stdout(&["preprocess", file, "--no-split"]);
    assert_eq!(made(&files[4]), expected);
    assert_eq!(
        made(&files[0]),
        expected.replace("-DOCSTART- O", "-DOCSTART-")
    );
    for file in &files[1..4] {
        let without = expected.replace("-DOCSTART- O\n\n", "");
        assert_eq!(made(file), without, "{file}");
    }
    let chosen = ["preprocess", &files[1], "--no-split", "--columns", "2,3"];
    assert!(stdout(&chosen).starts_with("Ana NN\nTorres NN\n"));
    let spaced = folder.write(
        "spaced.jsonl",
        "{\"tokens\": [\"Nueva York\"], \"tags\": [\"B-LOC\"]}\n",
    );
    let said = failure(1, &["preprocess", &spaced, "--no-split"]);
    assert!(
        said.contains("spaced.jsonl:1: cannot write \"Nueva York\" as a column"),
        "{said}"
    );
    let tabs = ["preprocess", &spaced, "--no-split", "--separator", "tab"];
    assert_eq!(stdout(&tabs), "Nueva York\tB-LOC\n\n");
}

#[test]
fn what_cannot_be_read_is_refused_in_the_same_words_by_all() {
    let folder = Folder::new();
    let cases = [
        (
            folder.write(
                "numbers.jsonl",
                "{\"tokens\": [\"Ana\"], \"ner_tags\": [1]}\n",
            ),
            "numbers.jsonl:1: the tags in `ner_tags` are numbers",
        ),
        (
            folder.write("bare.csv", "0,cebolla,B-INGREDIENT\n0,picada,O\n"),
            "bare.csv:1: no column of tokens: the first line has `0`, `cebolla`, `B-INGREDIENT`",
        ),
        (
            folder.write("parted.csv", "token,tag\nAna,B-PER\nvive,O\n"),
            "parted.csv:1: nothing says where a sentence ends",
        ),
        (
            folder.write("records.json", jsonl(&GOLD)),
            "records.json:1: the file looks like JSONL",
        ),
        (
            folder.write("texts.jsonl", "{\"text\": \"Ana vive\"}\n"),
            "texts.jsonl:1: no field `tokens` or `words`",
        ),
        (
            folder.write("words.jsonl", "{\"tokens\": [\"Ana\"]}\n"),
            "words.jsonl:1: expected tokens and tags, found no tags beside the token `Ana`",
        ),
        (
            folder.write("words.csv", "word\nAna\n\nLlueve\n"),
            "words.csv:2: expected a token and a tag, found no column of tags",
        ),
        (
            folder.write("commas.txt", "0,cebolla,B-INGREDIENT\n"),
            "commas.txt:1: expected a token and a tag, found one column, `0,cebolla,B-INGREDIENT`",
        ),
        (
            folder.write("header.conll", "token tag\nAna B-PER\n"),
            "header.conll:1: `token` with the tag `tag` looks like the names of the columns",
        ),
    ];
    for (file, expected) in &cases {
        for arguments in [
            &["labels", file][..],
            &["evaluate", "--gold", file, "--pred", file],
            &["preprocess", file, "--no-split"],
        ] {
            let said = failure(1, arguments);
            assert!(said.contains(expected), "{arguments:?}: {said}");
        }
        let checked = run(&["check", file], b"");
        let found = String::from_utf8(checked.stdout).unwrap();
        assert_eq!(checked.status.code(), Some(1));
        assert!(found.contains(expected), "{found}");
    }
    // Words alone are what --columns asks for.
    let words = folder.write("words.txt", "Ana\n\nLlueve\n");
    let said = failure(1, &["preprocess", &words, "--no-split"]);
    assert!(
        said.contains("for words without tags give --columns 1"),
        "{said}"
    );
    let chosen = ["preprocess", &words, "--no-split", "--columns", "1"];
    assert_eq!(stdout(&chosen), "Ana\n\nLlueve\n\n");
}

#[test]
fn a_model_learns_from_jsonl_and_reads_it() {
    let folder = Folder::new();
    let train = folder.write("train.jsonl", jsonl(&GOLD));
    let foreign = [
        ("z", "El Sol gana", "O B-ORG O"),
        ("z", "Ana juega la Liga", "B-PER O O B-MISC"),
    ];
    let dev = folder.write("dev.conll", columns(&foreign));
    let labels = folder.write("labels.txt", "O\nB-PER\nI-PER\nB-LOC\nB-ORG\nB-MISC\n");
    let [new, out] = ["new", "out"].map(|name| folder.path(name));
    stdout(&[
        "new-model",
        "--train",
        &train,
        "--output",
        &new,
        "--layers",
        "1",
        "--hidden",
        "16",
        "--heads",
        "2",
        "--intermediate",
        "32",
        "--vocab-size",
        "300",
    ]);
    let trained = run(
        &[
            "train",
            "--model",
            &new,
            "--train",
            &train,
            "--dev",
            &dev,
            "--labels",
            &labels,
            "--output-dir",
            &out,
            "--max-steps",
            "1",
            "--device",
            "flex",
        ],
        b"",
    );
    let said = String::from_utf8(trained.stderr).unwrap();
    assert!(trained.status.success(), "{said}");
    assert!(
        said.contains("note: dev.conll has types that train.jsonl lacks: MISC, ORG\n"),
        "{said}"
    );
    let predict = |file: &str| {
        stdout(&[
            "predict",
            "--model",
            &out,
            "--input",
            file,
            "--input-format",
            "conll",
            "--format",
            "jsonl",
        ])
    };
    let same = folder.write("same.conll", columns(&GOLD));
    assert_eq!(predict(&train), predict(&same));
    let untagged = folder.write("words.jsonl", "{\"words\": [\"Ana\", \"vive\"]}\n");
    assert_eq!(predict(&untagged).lines().count(), 1);
}

#[test]
fn columns_and_fields_may_have_names_of_their_own() {
    let folder = Folder::new();
    let columns = folder.write("gold.conll", columns(&GOLD));
    let records = jsonl(&GOLD)
        .replace("\"document\"", "\"acta\"")
        .replace("\"tokens\"", "\"palabras\"")
        .replace("\"ner_tags\"", "\"oro\"");
    let records = folder.write("gold.jsonl", records);
    let mut table = "acta,frase,palabras,oro\n".to_owned();
    for (number, (document, words, tags)) in GOLD.iter().enumerate() {
        for (word, tag) in words.split(' ').zip(tags.split(' ')) {
            table.push_str(&format!("{document},{number},{word},{tag}\n"));
        }
    }
    let table = folder.write("gold.csv", table);
    let names = ["--token-column", "palabras", "--tag-column", "oro"];
    let numbers = ["--token-column", "3", "--tag-column", "-1"];
    let mixed = ["--token-column", "palabras", "--tag-column", "4"];
    let documents = ["--document-column", "acta"];
    let sentences = ["--sentence-column", "frase"];
    let expected = json(&["check", &columns]);
    for (file, flags) in [
        (&records, [&names[..], &documents].concat()),
        (&table, [&names[..], &documents, &sentences].concat()),
        (&table, [&numbers[..], &documents, &sentences].concat()),
        (&table, [&mixed[..], &documents, &sentences].concat()),
    ] {
        let found = json(&[&["check", file][..], &flags].concat());
        for count in ["documents", "sentences", "words", "entities", "tags"] {
            let [found, expected] = [&found, &expected].map(|report| &report["files"][0][count]);
            assert_eq!(found, expected, "{file}: {count}");
        }
        let labels = stdout(&[&["labels", file][..], &flags].concat());
        assert_eq!(labels, "B-LOC\nB-PER\nI-PER\nO\n", "{file}");
    }
    // What is named and not there is answered with what is.
    let plain = folder.write("plain.jsonl", jsonl(&GOLD));
    let unnamed = folder.write(
        "unnamed.jsonl",
        "{\"id\": 1, \"tokens\": [\"Ana\"], \"etiquetas\": [\"B-PER\"]}\n",
    );
    for (code, file, flags, expected) in [
        (
            1,
            &plain,
            &["--tag-column", "gold"][..],
            "plain.jsonl:1: no field `gold` with the tags: the record has `document`, `tokens`, `ner_tags`, `id`; give the name",
        ),
        (
            1,
            &table,
            &["--tag-column", "gold"][..],
            "gold.csv:1: no column of tokens: the first line has `acta`, `frase`, `palabras`, `oro`,",
        ),
        (
            1,
            &table,
            &["--token-column", "palabras", "--tag-column", "gold"][..],
            "gold.csv:1: no column named `gold` for the tag: the header has `acta`, `frase`, `palabras`, `oro`; give the name",
        ),
        (
            1,
            &columns,
            &["--tag-column", "oro"][..],
            "gold.conll: no tag column named `oro`: the first line has `-DOCSTART-`, `O`, and a column file has no names; give the number",
        ),
        (
            1,
            &unnamed,
            &[""; 0][..],
            "found no tags beside the token `Ana`; their field may be ner_tags, tags or labels, or the one that --tag-column gives; \
             the first record has id, tokens, etiquetas",
        ),
        (
            2,
            &plain,
            &["--token-column", "--tag-column", "oro"][..],
            "`--tag-column` is no column",
        ),
    ] {
        let said = failure(code, &[&["labels", file][..], flags].concat());
        assert!(said.contains(expected), "{said}");
    }
}
