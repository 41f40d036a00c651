//! Configurations that ask for what the weights do not hold, or for more than any system has: an error within seconds, never a hang or an end
//! for want of memory.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::golden;
use ner_model::{DeviceChoice, EncoderSizes, Error, Head, ModelConfig, ModelType, TokenClassifier};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Many times what reading these small files takes.
const LIMIT: Duration = Duration::from_secs(20);

/// A copy of a golden model whose configuration has other values.
fn altered(model: &str, fields: &Value) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden(model)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = dir.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let fields = fields.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(fields);
    std::fs::write(&path, config.to_string()).unwrap();
    dir
}

/// What loading a directory comes to, or a panic where it takes too long.
fn loaded(dir: &Path) -> Result<(), Error> {
    let (sender, receiver) = mpsc::channel();
    let dir = dir.to_owned();
    thread::spawn(move || {
        let load = || {
            let config = ModelConfig::from_dir(&dir)?;
            TokenClassifier::load(&dir, &config, &DeviceChoice::Flex.open()?, 0).map(drop)
        };
        sender.send(load())
    });
    receiver.recv_timeout(LIMIT).unwrap()
}

#[test]
fn weights_are_held_against_the_configuration_before_anything_is_made() {
    let word_embeddings =
        "`bert.embeddings.word_embeddings.weight` has shape [300, 48], config.json asks for";
    for (model, fields, expected) in [
        (
            "models/bert",
            json!({"num_hidden_layers": 9_999_999}),
            "config.json asks for 9999999 layers, the weights hold 2 (tensors `encoder.layer.N`)".to_owned(),
        ),
        (
            "models/bert",
            json!({"num_hidden_layers": 3}),
            "config.json asks for 3 layers, the weights hold 2".to_owned(),
        ),
        (
            "models/distilbert",
            json!({"n_layers": 9_999_999}),
            "config.json asks for 9999999 layers, the weights hold 2 (tensors `transformer.layer.N`)".to_owned(),
        ),
        (
            "models/bert",
            json!({"hidden_size": 999_999_928}),
            format!("{word_embeddings} [300, 999999928]"),
        ),
        (
            "models/bert",
            json!({"vocab_size": 99_999_999_999_u64}),
            format!("{word_embeddings} [99999999999, 48]"),
        ),
        (
            "models/bert",
            json!({"max_position_embeddings": 999_999_999_999_u64}),
            "`bert.embeddings.position_embeddings.weight` has shape [40, 48], config.json asks for [999999999999, 48]".to_owned(),
        ),
        (
            "models/bert",
            json!({"type_vocab_size": 999_999_999_999_u64}),
            "`bert.embeddings.token_type_embeddings.weight` has shape [2, 48], config.json asks for [999999999999, 48]".to_owned(),
        ),
        (
            "models/bert",
            json!({"intermediate_size": 999_999_999_999_u64}),
            "`bert.encoder.layer.0.intermediate.dense.weight` has shape [96, 48], config.json asks for [999999999999, 48]".to_owned(),
        ),
        (
            "formats/legacy",
            json!({"num_hidden_layers": 9_999_999}),
            "pytorch_model.bin: config.json asks for 9999999 layers".to_owned(),
        ),
        (
            "formats/safetensors-shards",
            json!({"num_hidden_layers": 9_999_999}),
            "model.safetensors.index.json: config.json asks for 9999999 layers".to_owned(),
        ),
    ] {
        let dir = altered(model, &fields);
        let message = loaded(dir.path()).unwrap_err().to_string();
        assert!(message.contains(&expected), "{fields}: {message}");
    }
}

#[test]
fn fewer_layers_than_the_weights_hold_are_taken() {
    loaded(altered("models/bert", &json!({"num_hidden_layers": 1})).path()).unwrap();
}

/// A name with an absurd number is no layer that anybody has.
#[test]
fn layers_are_counted_by_their_tensors() {
    let dir = altered("models/bert", &json!({"num_hidden_layers": 9_999_999}));
    let path = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let renamed = tensors
        .tensors()
        .into_iter()
        .map(|(name, tensor)| (name.replace("layer.1.", "layer.9999998."), tensor));
    std::fs::write(&path, safetensors::serialize(renamed, None).unwrap()).unwrap();
    let message = loaded(dir.path()).unwrap_err().to_string();
    assert!(message.contains("the weights hold 2"), "{message}");
}

#[test]
fn sizes_that_no_tensor_can_have_are_refused_where_the_configuration_is_read() {
    let most = u64::MAX;
    for (fields, expected) in [
        (json!({"hidden_size": most - 3}), "times hidden_size"),
        (
            json!({"hidden_size": 1_u64 << 40}),
            "hidden_size 1099511627776 times hidden_size 1099511627776 is more than a tensor can hold",
        ),
        (
            json!({"vocab_size": most}),
            "vocab_size 18446744073709551615 times hidden_size 48",
        ),
        (
            json!({"intermediate_size": most}),
            "intermediate_size 18446744073709551615 times",
        ),
        (
            json!({"max_position_embeddings": most}),
            "max_position_embeddings",
        ),
        (json!({"type_vocab_size": most}), "type_vocab_size"),
        (
            json!({"num_labels": 100_000, "id2label": null, "label2id": null}),
            "num_labels is 100000",
        ),
        (json!({"vocab_size": 0}), "vocab_size is 0"),
        (json!({"hidden_size": 0}), "hidden_size is 0"),
        (
            json!({"num_attention_heads": 0}),
            "num_attention_heads is 0",
        ),
        (json!({"type_vocab_size": 0}), "type_vocab_size is 0"),
        (
            json!({"initializer_range": -0.02}),
            "initializer_range is -0.02",
        ),
        (json!({"hidden_size": -48}), "invalid value"),
    ] {
        let dir = altered("models/bert", &fields);
        let error = ModelConfig::from_dir(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{fields}");
        assert!(error.to_string().contains(expected), "{fields}: {error}");
    }
}

#[test]
fn new_weights_that_cannot_be_are_refused() {
    let sizes = EncoderSizes {
        vocab_size: 300,
        hidden_size: 48,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 96,
        usable_positions: 40,
    };
    let check = |sizes: EncoderSizes, head| {
        let labels = vec!["O".to_owned()];
        let mut config = ModelConfig::new(ModelType::Roberta, &sizes, labels);
        config.head = head;
        config
            .check_new_weights()
            .map_err(|error| error.to_string())
    };
    assert_eq!(check(sizes, Head::Linear), Ok(()));
    assert_eq!(check(sizes, Head::Crf), Ok(()));
    // More than any address space has, so that the test does not depend on the system.
    let most = 1 << 30;
    for (sizes, expected) in [
        (
            EncoderSizes {
                num_hidden_layers: 9_999_999,
                ..sizes
            },
            "num_hidden_layers is 9999999",
        ),
        (
            EncoderSizes {
                hidden_size: most,
                ..sizes
            },
            "more than this system has",
        ),
        (
            EncoderSizes {
                vocab_size: 1 << 50,
                ..sizes
            },
            "more than this system has",
        ),
        (
            EncoderSizes {
                intermediate_size: 1 << 50,
                ..sizes
            },
            "more than this system has",
        ),
        (
            EncoderSizes {
                usable_positions: usize::MAX / 2,
                ..sizes
            },
            "more than a tensor can hold",
        ),
        (
            EncoderSizes {
                hidden_size: 49,
                ..sizes
            },
            "not a multiple",
        ),
    ] {
        let message = check(sizes, Head::Linear).unwrap_err();
        assert!(message.contains(expected), "{sizes:?}: {message}");
    }
}
