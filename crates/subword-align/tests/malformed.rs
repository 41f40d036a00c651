//! `tokenizer.json` that is broken: an error that names the file, never a panic.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::fixtures;
use proptest::prelude::*;
use serde_json::{Value, json};
use subword_align::{Error, Result, SubwordTokenizer};

const FOLDERS: [&str; 3] = ["bpe-json", "wordpiece-json", "unigram"];

fn json_of(folder: &str) -> Vec<u8> {
    fs::read(fixtures().join(folder).join("tokenizer.json")).unwrap()
}

fn load(json: &[u8]) -> Result<SubwordTokenizer> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tokenizer.json"), json).unwrap();
    SubwordTokenizer::from_dir(dir.path(), None)
}

/// The error after a part of a good file has been replaced.
fn error_with(part: &str, value: Value) -> Error {
    let mut json: Value = serde_json::from_slice(&json_of("wordpiece-json")).unwrap();
    json[part] = value;
    load(json.to_string().as_bytes()).unwrap_err()
}

#[test]
fn what_is_no_json_is_named_by_line_and_column() {
    let text = String::from_utf8(json_of("wordpiece-json")).unwrap();
    let decoder = text.find("\"decoder\"").unwrap();
    let prefix = decoder + text[decoder..].find("##").unwrap();
    // A raw control character in the decoder makes the `tokenizers` crate panic.
    for control in ["\u{1}", "\n", "\u{1f}"] {
        let broken = format!("{}{control}{}", &text[..prefix], &text[prefix..]);
        let error = load(broken.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Json { .. }), "{error:?}");
        assert!(error.to_string().contains("tokenizer.json:"), "{error}");
        assert!(error.to_string().contains("control character"), "{error}");
    }
    for length in [0, 1, decoder, prefix, text.trim_end().len() - 1] {
        let error = load(&text.as_bytes()[..length]).unwrap_err();
        assert!(matches!(error, Error::Json { .. }), "{error:?}");
        assert!(error.to_string().contains("EOF"), "{error}");
    }
}

#[test]
fn a_character_map_that_is_none_is_an_error() {
    for map in [json!("AAA="), json!("no base64"), json!(7), Value::Null] {
        let error = error_with(
            "normalizer",
            json!({"type": "Precompiled", "precompiled_charsmap": map}),
        );
        assert!(matches!(error, Error::Tokenizer { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains("tokenizer.json: not a usable tokenizer: the `tokenizers` crate gave up: Precompiled"), "{message}");
    }
}

#[test]
fn parts_of_the_wrong_kind_are_errors() {
    for part in [
        "decoder",
        "normalizer",
        "pre_tokenizer",
        "post_processor",
        "model",
    ] {
        for value in [json!("x"), json!(1), json!([]), json!({"type": "Nothing"})] {
            let error = error_with(part, value);
            assert!(matches!(error, Error::Tokenizer { .. }), "{error:?}");
            assert!(
                error
                    .to_string()
                    .contains("tokenizer.json: not a usable tokenizer"),
                "{error}"
            );
        }
    }
}

#[test]
fn a_template_without_its_special_token_is_an_error() {
    let single = json!([{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]);
    let error = error_with(
        "post_processor",
        json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}}),
    );
    assert!(matches!(error, Error::PostProcessor { .. }), "{error:?}");
}

/// Replaces one of the values of a document, counted in its order.
fn replace(json: &mut Value, at: &mut usize, with: &Value) {
    if *at == 0 {
        *json = with.clone();
    }
    *at = at.wrapping_sub(1);
    match json {
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, at, with)),
        Value::Object(values) => values
            .values_mut()
            .for_each(|value| replace(value, at, with)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn changed_bytes_never_panic(folder in prop::sample::select(&FOLDERS[..]), at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..3), cut in 0usize..3) {
        let mut json = json_of(folder);
        // Mostly before the model, where all other parts stand.
        let model = json.windows(7).position(|bytes| bytes == b"\"model\"").unwrap();
        let start = at.index(model);
        json.splice(start..start + cut, with);
        let _ = load(&json);
    }

    #[test]
    fn changed_values_never_panic(folder in prop::sample::select(&FOLDERS[..]), at in 0usize..120, with in prop::sample::select(vec![
        Value::Null, json!(true), json!(-1), json!(u64::MAX), json!(1e300), json!(""), json!("[X]"), json!([]), json!({}), json!([[]]),
    ])) {
        let mut json: Value = serde_json::from_slice(&json_of(folder)).unwrap();
        replace(&mut json, &mut at.clone(), &with);
        let _ = load(json.to_string().as_bytes());
    }
}
