//! Which files make a model, and what a directory lacks.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use model_dir::{
    Error, FileSet, choose_weights, files, missing, read_text, shards, weight_file, weight_parts,
};
use proptest::prelude::*;
use tempfile::TempDir;

fn dir_with(files: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        fs::write(dir.path().join(file), "").unwrap();
    }
    dir
}

#[test]
fn weights_are_preferred_in_their_order() {
    let dir = dir_with(&["pytorch_model.bin", "model.safetensors"]);
    assert!(
        weight_file(dir.path())
            .unwrap()
            .ends_with("model.safetensors")
    );
    fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    // A directory of the name is no file.
    fs::create_dir(dir.path().join("model.safetensors")).unwrap();
    assert!(
        weight_file(dir.path())
            .unwrap()
            .ends_with("pytorch_model.bin")
    );
    fs::remove_file(dir.path().join("pytorch_model.bin")).unwrap();
    let error = weight_file(dir.path()).unwrap_err();
    assert!(matches!(&error, Error::NoWeights { .. }));
    assert!(
        error.to_string().contains("pytorch_model.bin.index.json"),
        "{error}"
    );
}

#[test]
fn a_gguf_file_is_taken_under_any_name_where_it_is_the_only_weights() {
    let dir = dir_with(&["e5-small.Q4_0.GGUF", "config.json"]);
    assert!(
        weight_file(dir.path())
            .unwrap()
            .ends_with("e5-small.Q4_0.GGUF")
    );
    assert_eq!(
        files(dir.path(), FileSet::Model).unwrap(),
        ["config.json", "e5-small.Q4_0.GGUF"]
    );
    fs::write(dir.path().join("e5-small.F16.gguf"), "").unwrap();
    let error = weight_file(dir.path()).unwrap_err();
    assert!(matches!(&error, Error::SeveralWeights { .. }));
    let message = error.to_string();
    assert!(
        message.contains("e5-small.F16.gguf, e5-small.Q4_0.GGUF; keep one"),
        "{message}"
    );
    fs::write(dir.path().join("pytorch_model.bin"), "").unwrap();
    assert!(
        weight_file(dir.path())
            .unwrap()
            .ends_with("pytorch_model.bin")
    );
    assert_eq!(
        choose_weights(["a.gguf", "b.txt"].into_iter()),
        Some("a.gguf")
    );
    assert_eq!(choose_weights(["a.gguf", "b.gguf"].into_iter()), None);
    assert_eq!(choose_weights([".gguf"].into_iter()), None);
}

#[test]
fn what_is_missing_is_said_in_words() {
    let cases: [(&[&str], FileSet, &[&str]); 7] = [
        (
            &["config.json", "tokenizer.json", "model.safetensors"],
            FileSet::Model,
            &[],
        ),
        (
            &["config.json", "vocab.json", "model.safetensors"],
            FileSet::Model,
            &["a tokenizer"],
        ),
        (
            &[
                "config.json",
                "vocab.json",
                "merges.txt",
                "pytorch_model.bin",
            ],
            FileSet::Model,
            &[],
        ),
        (
            &["vocab.txt", "tf_model.h5"],
            FileSet::Model,
            &["config.json", "weights (model.safetensors"],
        ),
        (
            &[
                "config.json",
                "vocab.txt",
                "model-00001-of-00002.safetensors",
            ],
            FileSet::Model,
            &["weights ("],
        ),
        (&["vocab.txt"], FileSet::Tokenizer, &[]),
        (
            &["spiece.model", "config.json"],
            FileSet::Tokenizer,
            &["a tokenizer"],
        ),
    ];
    for (names, wanted, expected) in cases {
        let dir = dir_with(names);
        let found = missing(dir.path(), wanted);
        assert_eq!(found.len(), expected.len(), "{names:?}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{names:?}: {found}");
        }
    }
}

#[test]
fn an_index_that_names_absent_files_is_no_weights() {
    let dir = dir_with(&[
        "config.json",
        "vocab.txt",
        "model-00001-of-00002.safetensors",
    ]);
    let index = dir.path().join("model.safetensors.index.json");
    let text = r#"{"weight_map": {"b": "model-00002-of-00002.safetensors", "a": "model-00001-of-00002.safetensors"}}"#;
    fs::write(&index, text).unwrap();
    let found = missing(dir.path(), FileSet::Model);
    let expected = "names model-00002-of-00002.safetensors, which is not there";
    assert!(found[0].contains(expected), "{found:?}");
    assert!(files(dir.path(), FileSet::Model).is_err());

    fs::write(dir.path().join("model-00002-of-00002.safetensors"), "").unwrap();
    assert_eq!(missing(dir.path(), FileSet::Model), [""; 0]);
    // Not what is loaded, and not a part of the model: torch's form of the same, and the optimizer.
    for beside in ["pytorch_model.bin", "optimizer.safetensors", "README.md"] {
        fs::write(dir.path().join(beside), "").unwrap();
    }
    assert_eq!(
        files(dir.path(), FileSet::Model).unwrap(),
        [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "vocab.txt"
        ]
    );
    assert_eq!(
        files(dir.path(), FileSet::Tokenizer).unwrap(),
        ["config.json", "vocab.txt"]
    );
}

#[test]
fn an_index_leads_nowhere_but_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("pytorch_model.bin.index.json");
    for (text, expected) in [
        (
            r#"{"weight_map": {"a": "../b.bin"}}"#,
            "`../b.bin` is no file beside it",
        ),
        (
            r#"{"weight_map": {"a": "/etc/b.bin"}}"#,
            "is no file beside it",
        ),
        (
            r#"{"weight_map": {"a": "x\\b.bin"}}"#,
            "is no file beside it",
        ),
        (
            r#"{"weight_map": {"a": "C:b.bin"}}"#,
            "is no file beside it",
        ),
        (r#"{"weight_map": {"a": "b.bin/"}}"#, "is no file beside it"),
        (r#"{"weight_map": {"a": ".."}}"#, "is no file beside it"),
        (r#"{"weight_map": {"a": "."}}"#, "is no file beside it"),
        (r#"{"weight_map": {"a": ""}}"#, "is no file beside it"),
        (
            r#"{"weight_map": {"a": "b\u0000.bin"}}"#,
            "is no file beside it",
        ),
        (
            r#"{"weight_map": {"a": "b.bin"}}"#,
            "names b.bin, which is not there",
        ),
        (r#"{"weight_map": {"a": 3}}"#, "invalid type"),
        (r#"{"weight_map": {}}"#, "names no file"),
        ("{}", "weight_map"),
        ("[]", "not a readable index"),
        ("", "not a readable index"),
    ] {
        fs::write(&index, text).unwrap();
        let message = weight_parts(&index).unwrap_err().to_string();
        assert!(
            message.contains(expected) && message.contains("pytorch_model.bin.index.json"),
            "{text}: {message}"
        );
    }
    fs::write(&index, b"{\"weight_map\": {\"\xff\": \"b.bin\"}}").unwrap();
    assert!(matches!(weight_parts(&index), Err(Error::Io { .. })));
}

#[test]
fn weights_in_one_file_are_their_own_part() {
    let path = Path::new("somewhere/model.safetensors");
    assert_eq!(shards(path).unwrap(), None);
    assert_eq!(weight_parts(path).unwrap(), [path]);
}

#[test]
fn a_byte_order_mark_is_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    for (bytes, expected) in [
        ("\u{feff}{}\r\n", "{}\r\n"),
        ("{}", "{}"),
        ("{\u{feff}}", "{\u{feff}}"),
        ("", ""),
    ] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(read_text(&path).unwrap(), expected);
    }
}

proptest! {
    /// Whatever an index names, every part lies directly in its directory.
    #[test]
    fn no_name_leads_out_of_the_directory(name in "[./\\\\:a-c\u{feff} ]{0,8}") {
        let dir = tempfile::tempdir().unwrap();
        let index = dir.path().join("model.safetensors.index.json");
        fs::write(&index, format!("{{\"weight_map\": {{\"t\": {name:?}}}}}")).unwrap();
        if let Ok(Some(names)) = shards(&index) {
            prop_assert_eq!(&names, &[name]);
            let path = index.with_file_name(&names[0]);
            prop_assert_eq!(path.parent(), Some(dir.path()));
            prop_assert!(path.file_name().is_some_and(|found| found == names[0].as_str()));
        }
    }
}
