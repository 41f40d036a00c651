//! GGUF files, against what `fixtures/goldens/gguf_files.py` had torch compute from them, and damaged ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::fs;
use std::path::{Path, PathBuf};

use ner_model::{
    Batch, DeviceChoice, Error, ForwardMode, LoadReport, ModelConfig, TokenClassifier,
};
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn load(dir: &Path) -> Result<(TokenClassifier, LoadReport), Error> {
    let config = ModelConfig::from_dir(dir)?;
    TokenClassifier::load(dir, &config, &DeviceChoice::Flex.open()?, 0)
}

fn batch(sequences: &[Value]) -> Batch {
    let ids = |sequence: &Value| -> Vec<u32> { serde_json::from_value(sequence.clone()).unwrap() };
    sequences.iter().map(ids).collect()
}

fn worst(found: &[f32], expected: &Value) -> f32 {
    let expected: Vec<Vec<f32>> = serde_json::from_value(expected.clone()).unwrap();
    let expected = expected.concat();
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn every_form_of_values_gives_the_logits_of_the_reference() {
    let dir = fixtures().join("goldens/gguf");
    let expected = json(&dir.join("logits.json"));
    let (model, report) = load(&dir).unwrap();
    assert_eq!((report.new_classifier, report.unused), (None, vec![]));
    let batch = batch(expected["sequences"].as_array().unwrap());
    let logits = model
        .forward(&batch, ForwardMode::Inference)
        .unwrap()
        .into_data();
    let worst = worst(logits.as_slice().unwrap(), &expected["logits"]);
    println!("within {worst:.1e}");
    assert!(worst < 1e-4, "differs by {worst}");
}

#[test]
fn the_embedded_encoder_has_the_hidden_states_of_transformers() {
    let expected = json(&fixtures().join("goldens/encoder.json"));
    let (model, report) = load(&fixtures().join("encoder")).unwrap();
    assert!(report.new_classifier.unwrap().contains("no classifier"));
    let batch = batch(&[expected["ids"].clone()]);
    let hidden = model.hidden_states(&batch, ForwardMode::Inference).unwrap();
    let worst = worst(hidden.into_data().as_slice().unwrap(), &expected["hidden"]);
    println!("within {worst:.1e}");
    assert!(worst < 1e-4, "differs by {worst}");
}

/// A copy of the small model whose file has these bytes.
fn with_bytes(bytes: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(
        fixtures().join("goldens/gguf/config.json"),
        dir.path().join("config.json"),
    )
    .unwrap();
    fs::write(dir.path().join("model.gguf"), bytes).unwrap();
    dir
}

fn small() -> Vec<u8> {
    fs::read(fixtures().join("goldens/gguf/model.gguf")).unwrap()
}

fn message(bytes: &[u8]) -> String {
    let error = load(with_bytes(bytes).path()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::WeightFile { .. }), "{error}");
    error.to_string()
}

/// The file with other bytes behind the first place where `name` stands.
fn changed(name: &str, skip: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = small();
    let start = bytes
        .windows(name.len())
        .position(|part| part == name.as_bytes());
    let start = start.unwrap() + name.len() + skip;
    bytes[start..start + new.len()].copy_from_slice(new);
    bytes
}

#[test]
fn a_foreign_or_damaged_file_is_told_by_what_is_wrong_with_it() {
    let whole = small();
    for (bytes, said) in [
        (
            b"PK\x03\x04 and more".to_vec(),
            "does not begin with `GGUF`",
        ),
        (Vec::new(), "ends within its header"),
        (whole[..100].to_vec(), "ends within its header"),
        (
            whole[..whole.len() - 64].to_vec(),
            "ends before the data of tensor",
        ),
        (
            [b"GGUF", &1_u32.to_le_bytes()[..], &[0; 16]].concat(),
            "GGUF of version 1",
        ),
        // In big-endian files the version's bytes are the other way round.
        (
            [b"GGUF", &3_u32.to_be_bytes()[..], &[0; 16]].concat(),
            "little-endian",
        ),
        (
            changed("general.architecture", 4 + 8, b"qwen"),
            "architecture `qwen`; `bert` is what can be read",
        ),
        (
            changed("token_embd.weight", 4 + 16, &12_u32.to_le_bytes()),
            "tensor `token_embd.weight` is stored as Q4_K, which is not read (F32,",
        ),
        (
            changed("token_embd.weight", 4 + 16, &99_u32.to_le_bytes()),
            "is stored as type 99",
        ),
        (
            changed("token_embd.weight", 4 + 8, &u64::MAX.to_le_bytes()),
            "is larger than the file",
        ),
        (
            changed("token_embd.weight", 4 + 8, &(u64::MAX / 64).to_le_bytes()),
            "is larger than the file",
        ),
        (
            changed("blk.0.attn_q.weight", 4, &33_u64.to_le_bytes()),
            "have 33 weights, which are no whole blocks of 32",
        ),
        (
            changed("token_embd.weight", 0, &7_u32.to_le_bytes()),
            "has 7 dimensions",
        ),
        (
            changed("token_embd.weight", 4 + 16 + 4, &u64::MAX.to_le_bytes()),
            "ends before the data of tensor `token_embd.weight`",
        ),
        (
            changed("test.numbers", 4 + 4, &u64::MAX.to_le_bytes()),
            "more than the file has",
        ),
        (
            changed("test.truth", 0, &77_u32.to_le_bytes()),
            "unknown type 77",
        ),
    ] {
        let message = message(&bytes);
        assert!(message.contains(said), "{said}: {message}");
        assert!(
            message.contains("model.gguf: not a readable weight file"),
            "{message}"
        );
    }
}

#[test]
fn a_file_of_other_sizes_than_the_configuration_is_refused_by_the_tensor() {
    let dir = with_bytes(&small());
    let path = dir.path().join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("\"vocab_size\": 60", "\"vocab_size\": 61"),
    )
    .unwrap();
    let error = load(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("word_embeddings.weight` has shape [60, 32], config.json asks for [61, 32]"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever stands in the header, the answer is a model or an error that names the file.
    #[test]
    fn no_header_makes_it_panic_or_take_memory(changes in prop::collection::vec((0_usize..3000, any::<u8>()), 1..4)) {
        let mut bytes = small();
        for (place, byte) in changes {
            bytes[place] = byte;
        }
        if let Err(error) = load(with_bytes(&bytes).path()) {
            prop_assert!(error.to_string().contains("model.gguf"), "{error}");
        }
    }
}
