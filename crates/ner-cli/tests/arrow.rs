//! `predict` on tables: Parquet and Arrow, as pyarrow writes them and as this program does.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::sync::OnceLock;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, SchemaRef};
use common::{Folder, failure, run, stdout, stdout_of};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value, json};

const TRAIN: &str = "Ana B-PER\nPaz I-PER\nvive O\nen O\nLima B-LOC\n. O\n\nEl O\nBanco B-ORG\nde I-ORG\nLima I-ORG\ncierra O\n. O\n\nLlueve O\n. O\n";

/// As `fixtures/goldens/tables.py` has them.
const TEXTS: [Option<&str>; 6] = [
    Some("Ana Paz vive en Lima ."),
    None,
    Some(""),
    Some("El Banco de Lima cierra ."),
    Some("😀 Ana Paz vive en Lima ."),
    Some("Llueve ."),
];

const TABLES: [&str; 4] = ["zstd.parquet", "gzip.parquet", "lz4.arrow", "stream.arrows"];

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

fn golden(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/goldens/tables");
    folder.join(name).to_str().unwrap().to_owned()
}

/// A table row by row, whatever its batches are.
fn read(path: &str) -> (SchemaRef, Vec<RecordBatch>) {
    let file = File::open(path).unwrap();
    let (schema, batches): (_, Vec<RecordBatch>) = if path.ends_with("parquet") {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let schema = builder.schema().clone();
        let batches = builder.build().unwrap();
        (schema, batches.map(Result::unwrap).collect())
    } else if path.ends_with("arrows") {
        let reader = StreamReader::try_new(file, None).unwrap();
        (reader.schema(), reader.map(Result::unwrap).collect())
    } else {
        let reader = FileReader::try_new(file, None).unwrap();
        (reader.schema(), reader.map(Result::unwrap).collect())
    };
    let rows = |batch: &RecordBatch| {
        let batch = batch.clone();
        (0..batch.num_rows()).map(move |row| batch.slice(row, 1))
    };
    (schema, batches.iter().flat_map(rows).collect())
}

/// Type, text, score, start and end of the entities of each row; none for a null.
fn entities(rows: &[RecordBatch]) -> Vec<Option<Vec<Value>>> {
    let of_row = |row: &RecordBatch| {
        let lists = row.column(row.num_columns() - 1).as_list::<i32>();
        if lists.is_null(0) {
            return None;
        }
        let list = lists.value(0);
        let fields = list.as_struct();
        let [types, texts] = [0, 1].map(|number| fields.column(number).as_string::<i32>().clone());
        let scores = fields.column(2).as_primitive::<Float32Type>().clone();
        let [starts, ends] =
            [3, 4].map(|number| fields.column(number).as_primitive::<Int64Type>().clone());
        let entity = |n: usize| {
            json!({
                "entity_group": types.value(n), "score": scores.value(n), "word": texts.value(n),
                "start": starts.value(n), "end": ends.value(n),
            })
        };
        Some((0..fields.len()).map(entity).collect())
    };
    rows.iter().map(of_row).collect()
}

fn predict<'a>(input: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["predict", "--model", model(), "--input", input], more].concat()
}

/// The entities of texts by way of JSONL.
fn by_jsonl(folder: &Folder, offsets: &str) -> Vec<Option<Vec<Value>>> {
    let lines = TEXTS.map(|text| json!({"text": text.unwrap_or_default()}).to_string() + "\n");
    let input = folder.write("texts.jsonl", lines.concat());
    let answers = stdout(&predict(
        &input,
        &["--format", "jsonl", "--offsets", offsets],
    ));
    let found = answers.lines().zip(TEXTS).map(|(line, text)| {
        let answer: Value = serde_json::from_str(line).unwrap();
        text.map(|_| answer["entities"].as_array().unwrap().clone())
    });
    found.collect()
}

fn assert_same(found: &[Option<Vec<Value>>], wanted: &[Option<Vec<Value>>], place: &str) {
    assert_eq!(found.len(), wanted.len(), "{place}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(found.is_some(), wanted.is_some(), "{place}");
        let (found, wanted) = (found.iter().flatten(), wanted.iter().flatten());
        assert_eq!(found.clone().count(), wanted.clone().count(), "{place}");
        for (found, wanted) in found.zip(wanted) {
            for field in ["entity_group", "word", "start", "end"] {
                assert_eq!(found[field], wanted[field], "{place}");
            }
            let scores = [found, wanted].map(|one| one["score"].as_f64().unwrap());
            assert!((scores[0] - scores[1]).abs() < 1e-5, "{place}: {scores:?}");
        }
    }
}

#[test]
fn all_columns_are_kept_and_entities_are_those_of_jsonl() {
    let folder = Folder::new();
    let wanted = by_jsonl(&folder, "code-points");
    assert_eq!(wanted[0].as_ref().unwrap().len(), 2);
    for name in TABLES {
        let input = golden(name);
        let (schema, rows) = read(&input);
        for format in ["parquet", "arrow"] {
            let place = format!("{name} to {format}");
            let output = folder.path(&format!("out.{format}"));
            let more = ["--format", format, "--output", &output, "--batch-size", "2"];
            stdout(&predict(&input, &more));
            let (found_schema, found) = read(&output);
            let width = schema.fields().len();
            assert_eq!(
                found_schema.fields()[..width],
                schema.fields()[..],
                "{place}"
            );
            assert_eq!(found_schema.metadata(), schema.metadata(), "{place}");
            let of_input = |row: &RecordBatch| row.columns()[..width].to_vec();
            let found_columns: Vec<_> = found.iter().map(of_input).collect();
            let columns: Vec<_> = rows.iter().map(|row| row.columns().to_vec()).collect();
            assert_eq!(found_columns, columns, "{place}");
            assert_eq!(found_schema.field(width).name(), "entities");
            assert_same(&entities(&found), &wanted, &place);
        }
    }
}

#[test]
fn texts_of_every_type_are_read_and_places_are_counted_as_asked() {
    let folder = Folder::new();
    let wanted = by_jsonl(&folder, "bytes");
    let output = folder.path("out.arrow");
    for field in ["text", "large", "view", "dictionary"] {
        for name in TABLES {
            let input = golden(name);
            let more = [
                "--format",
                "arrow",
                "--output",
                &output,
                "--text-field",
                field,
                "--offsets",
                "bytes",
                "--entities-field",
                "ner",
            ];
            stdout(&predict(&input, &more));
            let (schema, rows) = read(&output);
            assert_eq!(schema.fields().last().unwrap().name(), "ner");
            assert_same(&entities(&rows), &wanted, &format!("{field} of {name}"));
        }
    }
}

#[test]
fn single_subwords_have_their_number() {
    let folder = Folder::new();
    let output = folder.path("out.parquet");
    let input = golden("zstd.parquet");
    stdout(&predict(
        &input,
        &[
            "--format",
            "parquet",
            "--output",
            &output,
            "--aggregation",
            "none",
        ],
    ));
    let (schema, _) = read(&output);
    let DataType::List(item) = schema.fields().last().unwrap().data_type() else {
        panic!("a list")
    };
    let DataType::Struct(fields) = item.data_type() else {
        panic!("a struct")
    };
    assert_eq!(fields.last().unwrap().name(), "index");
}

#[test]
fn tables_become_lines_of_json() {
    let folder = Folder::new();
    let wanted = by_jsonl(&folder, "code-points");
    for name in TABLES {
        let input = golden(name);
        let answers = stdout(&predict(
            &input,
            &["--format", "jsonl", "--batch-size", "2"],
        ));
        let rows: Vec<Map<String, Value>> = answers
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let names: Vec<&str> = rows[1].keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "id",
                "text",
                "large",
                "view",
                "dictionary",
                "tags",
                "place",
                "when",
                "price",
                "bytes",
                "good",
                "entities"
            ]
        );
        assert_eq!(rows[1]["id"], json!(9_007_199_254_740_993_u64));
        assert_eq!(
            (&rows[1]["text"], &rows[1]["tags"]),
            (&Value::Null, &json!([1, null]))
        );
        assert_eq!(rows[1]["place"], json!({"line": 1, "file": "f1"}));
        assert_eq!(rows[4]["dictionary"], json!(TEXTS[4]));
        let found = rows.iter().map(|row| row["entities"].as_array().cloned());
        assert_same(&found.collect::<Vec<_>>(), &wanted, name);
    }
    // A run that was killed goes on, as from any other input.
    let out = folder.path("out.jsonl");
    let input = golden("zstd.parquet");
    let more = [
        "--format",
        "jsonl",
        "--output",
        &out,
        "--batch-size",
        "2",
        "--resume",
    ];
    stdout(&predict(&input, &more));
    assert_eq!(
        folder.read("out.jsonl"),
        stdout(&predict(&input, &["--format", "jsonl"]))
    );
}

#[test]
fn files_follow_each_other_and_streams_are_piped() {
    let folder = Folder::new();
    for name in ["a", "b"] {
        fs::copy(
            golden("zstd.parquet"),
            folder.path(&format!("{name}.parquet")),
        )
        .unwrap();
    }
    let (pattern, output) = (folder.path("?.parquet"), folder.path("out.arrow"));
    let more = ["--format", "parquet", "--output", &output];
    stdout(&predict(&pattern, &more));
    fs::rename(&output, folder.path("out.parquet")).unwrap();
    let (_, rows) = read(&folder.path("out.parquet"));
    let once = by_jsonl(&folder, "code-points");
    assert_same(&entities(&rows), &[&once[..], &once].concat(), "two files");

    let bytes = fs::read(golden("stream.arrows")).unwrap();
    let line = predict("-", &["--input-format", "arrow", "--format", "jsonl"]);
    let piped = stdout_of(&line, &bytes);
    let named = stdout(&predict(&golden("stream.arrows"), &["--format", "jsonl"]));
    assert_eq!(piped, named);
    // Bytes go to a pipe as to a file.
    let output = run(
        &predict("-", &["--input-format", "arrow", "--format", "arrow"]),
        &bytes,
    );
    assert!(output.status.success());
    let piped = folder.write("piped.arrow", output.stdout);
    assert_same(&entities(&read(&piped).1), &once, "piped");
}

#[test]
fn what_cannot_be_done_is_told() {
    let folder = Folder::new();
    let lines = folder.write("a.jsonl", "{\"text\": \"Ana\"}\n");
    let out = folder.path("out.parquet");
    let [table, gzip, arrow] = ["zstd.parquet", "gzip.parquet", "lz4.arrow"].map(golden);
    let to_table = ["--format", "parquet", "--output", &out];
    let cases: [(&str, &[&str], &str); 9] = [
        (
            &table,
            &["--text-field", "body"],
            "zstd.parquet: has no column `body`, only id, text, large",
        ),
        (
            &table,
            &["--text-field", "price"],
            "column `price` is of type Decimal128(9, 2)",
        ),
        (&table, &["--text-field", "tags"], "texts are of type Utf8"),
        (
            &table,
            &["--entities-field", "id"],
            "has a column `id` already",
        ),
        (
            &table,
            &["--resume"],
            "--resume goes with a format that has lines",
        ),
        (
            &lines,
            &[],
            "a.jsonl: --format parquet keeps the columns of a Parquet or Arrow file",
        ),
        (&lines, &["--input-format", "parquet"], "a.jsonl: "),
        ("-", &["--input-format", "parquet"], "read from its end"),
        (&arrow, &["--input-format", "parquet"], "lz4.arrow: "),
    ];
    for (input, more, reason) in cases {
        let message = failure(1, &predict(input, &[&to_table, more].concat()));
        assert!(message.contains(reason), "{more:?}: {message}");
    }
    let other = [&to_table[..], &["--input", &gzip]].concat();
    let message = failure(1, &[&predict(&table, &[]), &other[..]].concat());
    assert!(
        message.contains("gzip.parquet: has the columns"),
        "{message}"
    );
    let message = failure(
        1,
        &[&["predict", "--model", model(), "Ana"], &to_table[..]].concat(),
    );
    assert!(message.contains("needs --input FILE"), "{message}");
    let message = failure(1, &["redact", "--input", &table]);
    assert!(message.contains("redact writes no Parquet"), "{message}");
    let left = fs::read_dir(Path::new(&out).parent().unwrap()).unwrap();
    assert_eq!(left.count(), 1, "nothing is left of outputs that failed");
}

#[test]
fn damaged_files_are_errors() {
    let folder = Folder::new();
    let out = folder.path("out.parquet");
    let mut refused = 0;
    for name in TABLES {
        let bytes = fs::read(golden(name)).unwrap();
        let damaged = |damage: &[u8], number: usize| {
            let input = folder.write(name, damage);
            let more = ["--format", "parquet", "--output", &out];
            let line = [&["ner-cli", "--quiet"], &predict(&input, &more)[..]].concat();
            let outcome = ner_cli::run(line);
            if let Err(error) = &outcome {
                assert!(format!("{error:#}").contains(name), "{number}: {error:#}");
            }
            outcome.is_err()
        };
        for part in 0..20 {
            let cut = &bytes[..bytes.len() * part / 20];
            assert!(damaged(cut, part), "{name}, {part}/20 of it");
        }
        // A bit turned over here and there: some of them change a text, and are no damage.
        for at in (0..bytes.len()).step_by(37) {
            let mut other = bytes.clone();
            other[at] ^= 1 << (at % 8);
            refused += usize::from(damaged(&other, at));
        }
    }
    assert!(refused > 50, "{refused}");
}
