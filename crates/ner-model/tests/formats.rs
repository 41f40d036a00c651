//! Every form in which the hub serves weights, against logits that `fixtures/goldens/formats.py` had torch compute.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ner_model::{
    Batch, DeviceChoice, Error, ForwardMode, LoadReport, ModelConfig, TokenClassifier,
};
use serde_json::Value;

fn formats() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/goldens/formats")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn load(dir: &Path) -> Result<(TokenClassifier, LoadReport), Error> {
    load_on(dir, &DeviceChoice::Flex.open()?)
}

fn load_on(dir: &Path, device: &Device) -> Result<(TokenClassifier, LoadReport), Error> {
    let config = ModelConfig::from_dir(dir)?;
    TokenClassifier::load(dir, &config, device, 0)
}

fn batch(sequences: &Value) -> Batch {
    let ids = |sequence: &Value| -> Vec<u32> { serde_json::from_value(sequence.clone()).unwrap() };
    sequences.as_array().unwrap().iter().map(ids).collect()
}

fn worst(found: &[f32], expected: &Value) -> f32 {
    let expected: Vec<Vec<f32>> = serde_json::from_value(expected.clone()).unwrap();
    let expected: Vec<f32> = expected.into_iter().flatten().collect();
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn every_form_gives_the_logits_of_the_reference() {
    let expected = json(&formats().join("expected.json"));
    let batch = batch(&expected["sequences"]);
    for (form, precision) in [
        ("safetensors-f16", "f16"),
        ("safetensors-bf16", "bf16"),
        ("safetensors-shards", "f32"),
        ("zip", "f32"),
        ("zip-f16", "f16"),
        ("zip-shards", "f32"),
        ("legacy", "f32"),
        ("legacy-f16", "f16"),
        ("legacy-bf16", "bf16"),
        ("views-zip", "f32"),
        ("views-legacy", "f32"),
    ] {
        for choice in [DeviceChoice::Flex, DeviceChoice::NdArray] {
            let Ok(device) = choice.open() else { continue };
            let (model, report) = load_on(&formats().join(form), &device).unwrap();
            assert_eq!(
                (report.new_classifier, report.unused),
                (None, vec![]),
                "{form}"
            );
            let logits = model
                .forward(&batch, ForwardMode::Inference)
                .unwrap()
                .into_data();
            let worst = worst(logits.as_slice().unwrap(), &expected[precision]);
            println!("{form} on {choice}: within {worst:.1e}");
            assert!(worst < 1e-4, "{form} on {choice}: differs by {worst}");
        }
    }
}

#[test]
fn a_language_model_of_2020_gives_its_encoder() {
    let dir = formats().join("language-model");
    let (model, report) = load(&dir).unwrap();
    assert!(report.new_classifier.unwrap().contains("no classifier"));
    for name in [
        "lm_head.decoder.weight",
        "lm_head.dense.bias",
        "roberta.pooler.dense.weight",
    ] {
        assert!(
            report.unused.contains(&name.to_owned()),
            "{name}: {:?}",
            report.unused
        );
    }
    assert!(model.config().has_placeholder_labels());

    let expected = json(&dir.join("hidden.json"));
    let hidden = model.hidden_states(&batch(&expected["sequences"]), ForwardMode::Inference);
    let hidden = hidden.unwrap().into_data();
    let worst = worst(hidden.as_slice().unwrap(), &expected["hidden_states"]);
    assert!(worst < 1e-4, "differs by {worst}");
}

#[test]
fn nothing_that_a_pickle_asks_for_is_run() {
    for form in ["hostile-zip", "hostile-legacy"] {
        let (_, report) = load(&formats().join(form)).unwrap();
        assert_eq!(report.unused, Vec::<String>::new(), "{form}");
        assert!(!Path::new("pwned").exists(), "{form} ran its command");
    }
}

/// A copy of one form with one file changed or, where the change gives nothing, left out.
fn altered(
    form: &str,
    file: &str,
    change: impl Fn(Vec<u8>) -> Option<Vec<u8>>,
) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(formats().join(form)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let bytes = std::fs::read(entry.path()).unwrap();
        let bytes = if name == file {
            change(bytes)
        } else {
            Some(bytes)
        };
        if let Some(bytes) = bytes {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
    }
    dir
}

#[test]
fn broken_files_say_what_is_wrong() {
    let index = "model.safetensors.index.json";
    let shard = "model-00002-of-00003.safetensors";
    let outside = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        Some(text.replace(shard, "../secret.safetensors").into_bytes())
    };
    let half = |bytes: Vec<u8>| Some(bytes[..bytes.len() / 2].to_vec());
    let cases = [
        (
            altered("safetensors-shards", shard, |_| None),
            "index.json: not a readable index of weights: it names model-00002-of-00003.safetensors, which is not there",
        ),
        (altered("safetensors-shards", shard, half), shard),
        (
            altered("safetensors-shards", index, outside),
            "is no file beside it",
        ),
        (
            altered("safetensors-shards", index, |_| Some(b"{}".to_vec())),
            "weight_map",
        ),
        (
            altered("zip", "pytorch_model.bin", half),
            "pytorch_model.bin: not a readable weight file",
        ),
        (
            altered("legacy", "pytorch_model.bin", half),
            "pytorch_model.bin: ",
        ),
        (
            altered("legacy", "pytorch_model.bin", |_| Some(b"PK".to_vec())),
            "pytorch_model.bin: not a readable weight file",
        ),
    ];
    for (dir, expected) in &cases {
        let message = load(dir.path()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

/// Half of a checkpoint: every tensor that is missing is named.
#[test]
fn a_shard_that_the_index_forgot_names_its_tensors() {
    let index = "model.safetensors.index.json";
    let dir = altered("safetensors-shards", index, |bytes| {
        let mut index: Value = serde_json::from_slice(&bytes).unwrap();
        let map = index["weight_map"].as_object_mut().unwrap();
        map.retain(|_, file| file != "model-00001-of-00003.safetensors");
        Some(index.to_string().into_bytes())
    });
    let whole = json(&formats().join("safetensors-shards").join(index));
    let message = load(dir.path()).map(|_| ()).unwrap_err().to_string();
    for (name, file) in whole["weight_map"].as_object().unwrap() {
        let forgotten =
            file == "model-00001-of-00003.safetensors" && !name.starts_with("classifier");
        assert_eq!(
            message.contains(name.as_str()),
            forgotten,
            "{name}: {message}"
        );
    }
}

#[test]
fn sixteen_bits_are_saved_as_the_32_they_were_loaded_to() {
    let dir = tempfile::tempdir().unwrap();
    load(&formats().join("safetensors-bf16"))
        .unwrap()
        .0
        .save(dir.path())
        .unwrap();
    let config = json(&dir.path().join("config.json"));
    let kept = config.get("dtype").or(config.get("torch_dtype"));
    assert!(kept.is_none_or(|dtype| dtype == "float32"), "{kept:?}");
    let bytes = std::fs::read(dir.path().join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert!(
        tensors
            .tensors()
            .iter()
            .all(|(_, tensor)| tensor.dtype() == safetensors::Dtype::F32)
    );
}
