//! Logits against `transformers`, whose figures `fixtures/goldens/models.py` wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::path::Path;

use common::{FAMILIES, family as golden};
use ner_model::{Batch, DeviceChoice, Error, ForwardMode, ModelConfig, TokenClassifier};
use serde_json::Value;

/// The devices of this build; a GPU where there is one.
fn devices() -> Vec<DeviceChoice> {
    let ndarray = cfg!(feature = "ndarray").then_some(DeviceChoice::NdArray);
    let cuda = DeviceChoice::Cuda(0);
    let cuda = cuda.open().is_ok().then_some(cuda);
    [DeviceChoice::Flex]
        .into_iter()
        .chain(ndarray)
        .chain(cuda)
        .collect()
}

/// How far results may lie from the reference: a GPU may multiply in TF32, whose factors have 11 bits.
fn tolerance(device: DeviceChoice, on_host: f32) -> f32 {
    match device {
        DeviceChoice::Cuda(_) => 5e-3,
        _ => on_host,
    }
}

fn load(dir: &Path, device: DeviceChoice) -> TokenClassifier {
    let config = ModelConfig::from_dir(dir).unwrap();
    let (model, report) = TokenClassifier::load(dir, &config, &device.open().unwrap(), 0).unwrap();
    assert_eq!((report.new_classifier, report.unused.len()), (None, 0));
    model
}

fn batch(golden: &Value) -> Batch {
    let sequences = golden["sequences"].as_array().unwrap();
    let ids = |sequence: &Value| -> Vec<u32> {
        sequence
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_u64().unwrap() as u32)
            .collect()
    };
    sequences.iter().map(ids).collect()
}

fn rows(values: &Value) -> Vec<f32> {
    let rows = values.as_array().unwrap();
    rows.iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|x| x.as_f64().unwrap() as f32)
        .collect()
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    println!("{what}: within {worst:.1e}");
    assert!(worst < tolerance, "{what}: differs by {worst}");
}

#[test]
fn logits_and_hidden_states_equal_those_of_transformers() {
    for family in FAMILIES {
        let text = std::fs::read_to_string(golden(family).join("logits.json")).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        let batch = batch(&expected);
        for device in devices() {
            let model = load(&golden(family), device);
            let logits = model
                .forward(&batch, ForwardMode::Inference)
                .unwrap()
                .into_data();
            assert_close(
                logits.as_slice().unwrap(),
                &rows(&expected["logits"]),
                tolerance(device, 1e-4),
                &format!("{family} on {device}"),
            );

            let hidden = model
                .hidden_states(&batch, ForwardMode::Inference)
                .unwrap()
                .into_data();
            let expected = rows(&expected["hidden_states_of_first_two"]);
            assert_close(
                &hidden.as_slice().unwrap()[..expected.len()],
                &expected,
                tolerance(device, 1e-4),
                &format!("{family} on {device}"),
            );
        }
    }
}

#[test]
fn a_sequence_has_the_same_logits_alone_as_in_a_batch() {
    for device in devices() {
        let model = load(&golden("roberta"), device);
        let sequences = [vec![7, 8, 9, 10], vec![5; 30], vec![11]];
        let together = model
            .forward(&sequences.iter().cloned().collect(), ForwardMode::Inference)
            .unwrap()
            .into_data();
        let mut alone = Vec::new();
        for sequence in &sequences {
            let logits = model
                .forward(
                    &Batch::from_iter([sequence.clone()]),
                    ForwardMode::Inference,
                )
                .unwrap()
                .into_data();
            alone.extend_from_slice(logits.as_slice::<f32>().unwrap());
        }
        assert_close(
            together.as_slice().unwrap(),
            &alone,
            tolerance(device, 1e-5),
            &device.to_string(),
        );
    }
}

#[test]
fn saving_and_loading_keeps_every_bit() {
    for family in FAMILIES {
        let dir = tempfile::tempdir().unwrap();
        load(&golden(family), DeviceChoice::Flex)
            .save(dir.path())
            .unwrap();
        let read = |path: &Path| {
            let bytes = std::fs::read(path.join("model.safetensors")).unwrap();
            let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let mut tensors: Vec<_> = tensors
                .tensors()
                .into_iter()
                .map(|(n, t)| (n, t.shape().to_vec(), t.data().to_vec()))
                .collect();
            tensors.sort();
            tensors
        };
        assert_eq!(read(dir.path()), read(&golden(family)), "{family}");

        let config = |path: &Path| -> Value {
            serde_json::from_str(&std::fs::read_to_string(path.join("config.json")).unwrap())
                .unwrap()
        };
        let (written, original) = (config(dir.path()), config(&golden(family)));
        for (key, value) in original.as_object().unwrap() {
            // Defaults that the reference spells out as nothing.
            assert!(
                written.get(key) == Some(value) || value.is_null(),
                "{family}: {key} was {value}, is {:?}",
                written.get(key)
            );
        }
    }
}

#[test]
fn dropout_acts_in_training_only_and_follows_the_seed() {
    let mut config = ModelConfig::from_dir(&golden("bert")).unwrap();
    config.hidden_dropout_prob = 0.1;
    config.attention_probs_dropout_prob = 0.1;
    for device in devices() {
        let (model, _) =
            TokenClassifier::load(&golden("bert"), &config, &device.open().unwrap(), 0).unwrap();
        let batch = Batch::from_iter([vec![5, 6, 7, 8], vec![9, 10]]);
        let run = |mode| {
            model
                .forward(&batch, mode)
                .unwrap()
                .into_data()
                .as_slice::<f32>()
                .unwrap()
                .to_vec()
        };
        assert_eq!(
            run(ForwardMode::Training { seed: 1 }),
            run(ForwardMode::Training { seed: 1 }),
            "{device}"
        );
        assert_ne!(
            run(ForwardMode::Training { seed: 1 }),
            run(ForwardMode::Training { seed: 2 }),
            "{device}"
        );
        assert_ne!(
            run(ForwardMode::Training { seed: 1 }),
            run(ForwardMode::Inference),
            "{device}"
        );
    }
}

/// A copy of the golden BERT with one file changed.
fn altered(file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        let bytes = std::fs::read(golden("bert").join(name)).unwrap();
        std::fs::write(
            dir.path().join(name),
            if name == file { change(bytes) } else { bytes },
        )
        .unwrap();
    }
    dir
}

/// Rewrites a safetensors file, renaming or leaving out tensors.
fn renamed(bytes: &[u8], rename: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let tensors = safetensors::SafeTensors::deserialize(bytes).unwrap();
    let kept = tensors
        .tensors()
        .into_iter()
        .filter_map(|(name, tensor)| rename(&name).map(|name| (name, tensor)));
    safetensors::serialize(kept, None).unwrap()
}

fn load_result(dir: &Path) -> Result<(TokenClassifier, ner_model::LoadReport), Error> {
    let config = ModelConfig::from_dir(dir)?;
    TokenClassifier::load(dir, &config, &DeviceChoice::Flex.open()?, 0)
}

#[test]
fn checkpoints_without_prefix_or_with_old_names_load() {
    let dir = altered("model.safetensors", |bytes| {
        renamed(&bytes, |name| {
            let name = name
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta");
            Some(name.trim_start_matches("bert.").to_owned())
        })
    });
    let (_, report) = load_result(dir.path()).unwrap();
    assert_eq!((report.new_classifier, report.unused), (None, vec![]));
}

#[test]
fn a_language_model_gets_a_new_classifier_and_its_head_is_listed() {
    let dir = altered("model.safetensors", |bytes| {
        renamed(&bytes, |name| {
            Some(name.replace("classifier.", "cls.predictions.decoder."))
        })
    });
    let (_, report) = load_result(dir.path()).unwrap();
    assert!(report.new_classifier.unwrap().contains("no classifier"));
    assert_eq!(
        report.unused,
        [
            "cls.predictions.decoder.bias",
            "cls.predictions.decoder.weight"
        ]
    );
}

#[test]
fn a_crf_begins_with_the_classifier_of_a_model_without_one() {
    let dir = altered("config.json", |bytes| bytes);
    let (linear, _) = load_result(dir.path()).unwrap();
    let mut config = ModelConfig::from_dir(dir.path()).unwrap();
    config.head = ner_model::Head::Crf;
    let device = linear.device();
    let (crf, report) = TokenClassifier::load(dir.path(), &config, &device, 0).unwrap();
    assert_eq!((report.new_classifier, report.new_crf), (None, true));
    let batch = Batch::from_iter([vec![5, 6, 7]]);
    let logits = |model: &TokenClassifier| {
        let logits = model.forward(&batch, ForwardMode::Inference).unwrap();
        logits.into_data().iter::<f32>().collect::<Vec<f32>>()
    };
    assert_eq!(logits(&crf), logits(&linear));
}

#[test]
fn a_classifier_for_other_labels_is_drawn_anew() {
    let dir = altered("config.json", |bytes| {
        let mut config: Value = serde_json::from_slice(&bytes).unwrap();
        config["id2label"] = serde_json::json!({"0": "O", "1": "B-X", "2": "I-X"});
        config.to_string().into_bytes()
    });
    let (model, report) = load_result(dir.path()).unwrap();
    assert!(report.new_classifier.unwrap().contains("[9, 48]"));
    assert_eq!(
        model
            .forward(&Batch::from_iter([vec![5, 6]]), ForwardMode::Inference)
            .unwrap()
            .dims(),
        [2, 3]
    );
}

#[test]
fn broken_checkpoints_say_what_is_wrong() {
    let missing = altered("model.safetensors", |bytes| {
        renamed(&bytes, |n| {
            (!n.contains("layer.1.output.dense")).then(|| n.into())
        })
    });
    let shape = altered("config.json", |b| {
        String::from_utf8(b)
            .unwrap()
            .replace("\"vocab_size\": 300", "\"vocab_size\": 299")
            .into_bytes()
    });
    let cut = altered("model.safetensors", |bytes| {
        bytes[..bytes.len() / 2].to_vec()
    });
    let garbage = altered("model.safetensors", |_| b"not weights".to_vec());
    let none = tempfile::tempdir().unwrap();
    std::fs::copy(
        golden("bert").join("config.json"),
        none.path().join("config.json"),
    )
    .unwrap();
    for (dir, expected) in [
        (
            missing.path(),
            "bert.encoder.layer.1.output.dense.weight, bert.encoder.layer.1.output.dense.bias",
        ),
        (
            shape.path(),
            "`bert.embeddings.word_embeddings.weight` has shape [300, 48], config.json asks for [299, 48]",
        ),
        (cut.path(), "model.safetensors"),
        (garbage.path(), "model.safetensors"),
        (none.path(), "pytorch_model.bin"),
    ] {
        let message = load_result(dir).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let model = load(&golden("bert"), DeviceChoice::Flex);
    for (sequence, expected) in [
        (vec![], "no sub-word"),
        (vec![5; 41], "1 to 40"),
        (vec![300], "the model knows 300"),
    ] {
        let message = model
            .forward(&Batch::from_iter([sequence]), ForwardMode::Inference)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(message.contains(expected), "{message}");
    }
}
