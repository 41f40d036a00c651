//! Checkpoints with fewer sub-words or layers: what stays, bit for bit, and what is refused.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{FAMILIES, family, golden};
use ner_model::{
    Batch, DeviceChoice, Error, ForwardMode, ModelConfig, StoredModel, TokenClassifier,
};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

fn open(dir: &Path) -> StoredModel {
    StoredModel::open(dir).unwrap()
}

fn saved(model: &StoredModel) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    model.save(dir.path()).unwrap();
    dir
}

fn config(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("config.json")).unwrap()).unwrap()
}

/// Logits of one sequence of sub-words.
fn logits(dir: &Path, ids: &[u32]) -> Vec<f32> {
    let config = ModelConfig::from_dir(dir).unwrap();
    let device = DeviceChoice::Flex.open().unwrap();
    let (model, _) = TokenClassifier::load(dir, &config, &device, 0).unwrap();
    let batch = Batch::from_iter([ids.to_vec()]);
    let logits = model.forward(&batch, ForwardMode::Inference).unwrap();
    logits.into_data().as_slice::<f32>().unwrap().to_vec()
}

/// Names, types, shapes and bytes of a file of weights.
fn tensors(dir: &Path) -> Vec<(String, safetensors::Dtype, Vec<usize>, Vec<u8>)> {
    let bytes = fs::read(dir.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut found: Vec<_> = file
        .iter()
        .map(|(name, view)| {
            let (shape, data) = (view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), view.dtype(), shape, data)
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// A model's directory with a changed `config.json`.
fn altered(name: &str, change: impl Fn(&mut Value)) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let weights = family(name).join("model.safetensors");
    fs::copy(weights, dir.path().join("model.safetensors")).unwrap();
    let mut config = config(&family(name));
    change(&mut config);
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    dir
}

#[test]
fn all_subwords_and_all_layers_are_the_model_itself() {
    for name in FAMILIES {
        let model = open(&family(name));
        let (size, config_before) = (model.size(), config(&family(name)));
        let (rows, layers) = (model.config().vocab_size, model.config().num_hidden_layers);
        let model = model
            .keep_subwords(&(0..rows as u32).collect::<Vec<_>>())
            .unwrap()
            .keep_layers(&(0..layers).collect::<Vec<_>>())
            .unwrap();
        assert_eq!(model.size(), size, "{name}");
        let dir = saved(&model);
        assert_eq!(config(dir.path()), config_before, "{name}");
        assert_eq!(tensors(dir.path()), tensors(&family(name)), "{name}");
    }
}

#[test]
fn a_sequence_of_kept_subwords_has_the_same_logits() {
    for name in FAMILIES {
        let model = open(&family(name));
        let rows = model.config().vocab_size as u32;
        let kept: Vec<u32> = (0..rows).filter(|id| *id < 7 || id % 3 == 0).collect();
        let former: Vec<u32> = kept.iter().copied().step_by(4).take(12).collect();
        let new: Vec<u32> = (0..kept.len() as u32).step_by(4).take(12).collect();
        let before = model.size();
        let model = model.keep_subwords(&kept).unwrap();
        assert_eq!(model.config().vocab_size, kept.len());
        assert!(model.size().parameters < before.parameters, "{name}");
        assert_eq!(model.size().bytes, 4 * model.size().parameters, "{name}");
        let dir = saved(&model);
        assert_eq!(
            logits(dir.path(), &new),
            logits(&family(name), &former),
            "{name}"
        );
    }
}

#[test]
fn kept_layers_follow_each_other() {
    for name in FAMILIES {
        let model = open(&family(name)).keep_layers(&[1]).unwrap();
        assert_eq!(model.config().num_hidden_layers, 1);
        let dir = saved(&model);
        let key = if name == "distilbert" {
            "n_layers"
        } else {
            "num_hidden_layers"
        };
        assert_eq!(config(dir.path())[key], json!(1), "{name}");
        if name == "distilbert" {
            assert!(config(dir.path()).get("num_hidden_layers").is_none());
        }
        let number = |tensor: &str| tensor.replace("layer.1.", "layer.0.");
        let expected: Vec<_> = tensors(&family(name))
            .into_iter()
            .filter(|tensor| !tensor.0.contains("layer.0."))
            .map(|tensor| (number(&tensor.0), tensor.1, tensor.2, tensor.3))
            .collect();
        let mut expected = expected;
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(tensors(dir.path()), expected, "{name}");
        logits(dir.path(), &[0, 5, 9, 2]);
    }
}

#[test]
fn every_form_of_weights_keeps_its_type() {
    for (form, kind, bytes) in [
        ("safetensors-f16", safetensors::Dtype::F16, 2),
        ("safetensors-bf16", safetensors::Dtype::BF16, 2),
        ("safetensors-shards", safetensors::Dtype::F32, 4),
        ("zip", safetensors::Dtype::F32, 4),
        ("zip-f16", safetensors::Dtype::F16, 2),
        ("zip-shards", safetensors::Dtype::F32, 4),
        ("legacy", safetensors::Dtype::F32, 4),
        ("legacy-bf16", safetensors::Dtype::BF16, 2),
        ("views-zip", safetensors::Dtype::F32, 4),
    ] {
        let source = golden("formats").join(form);
        let model = open(&source);
        let kept: Vec<u32> = (0..model.config().vocab_size as u32)
            .filter(|id| *id < 4 || id % 2 == 0)
            .collect();
        let model = model.keep_subwords(&kept).unwrap();
        assert_eq!(
            model.size().bytes,
            bytes * model.size().parameters,
            "{form}"
        );
        let dir = saved(&model);
        assert!(tensors(dir.path()).iter().all(|tensor| tensor.1 == kind));
        let new: Vec<u32> = vec![0, 4, 6, 9, 2];
        let former: Vec<u32> = new.iter().map(|id| kept[*id as usize]).collect();
        assert_eq!(logits(dir.path(), &new), logits(&source, &former), "{form}");
    }
}

#[test]
fn an_encoder_keeps_its_language_model_head_and_gets_no_classifier() {
    let source = golden("formats/language-model");
    let model = open(&source);
    let kept: Vec<u32> = (0..20).collect();
    let dir = saved(&model.keep_subwords(&kept).unwrap());
    let found = tensors(dir.path());
    let shape = |name: &str| {
        let found = found.iter().find(|tensor| tensor.0 == name);
        found.map(|tensor| tensor.2.clone())
    };
    assert_eq!(shape("lm_head.decoder.weight"), Some(vec![20, 16]));
    assert_eq!(shape("lm_head.bias"), Some(vec![20]));
    assert_eq!(shape("lm_head.dense.weight"), Some(vec![16, 16]));
    assert_eq!(shape("classifier.weight"), None);
    assert_eq!(
        config(dir.path())["architectures"],
        json!(["RobertaForMaskedLM"])
    );
}

#[test]
fn the_ids_of_the_configuration_follow() {
    let dir = altered("bert", |config| {
        config["pad_token_id"] = json!(8);
        config["eos_token_id"] = json!([10, 12]);
        config["bos_token_id"] = json!(null);
        config["decoder_start_token_id"] = json!(11);
        config["kept_as_it_was"] = json!({"a": [1.5, "b"]});
    });
    let model = open(dir.path());
    let mut named = model.token_ids();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named, [8, 10, 11, 12]);
    let model = model.keep_subwords(&[2, 8, 10, 12]).unwrap();
    assert_eq!(model.config().pad_token_id(), 1);
    let saved = saved(&model);
    let config = config(saved.path());
    assert_eq!(config["pad_token_id"], json!(1));
    assert_eq!(config["eos_token_id"], json!([2, 3]));
    assert_eq!(config["bos_token_id"], json!(null));
    assert_eq!(config["kept_as_it_was"], json!({"a": [1.5, "b"]}));
    assert_eq!(config["vocab_size"], json!(4));
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let layers = |kept: &[usize]| {
        let error = open(&family("bert")).keep_layers(kept).unwrap_err();
        assert!(matches!(error, Error::KeptLayers { .. }), "{error}");
        error.to_string()
    };
    for kept in [&[0, 2][..], &[1, 0], &[1, 1], &[]] {
        assert!(layers(kept).contains("the model has 2, numbered from 0"));
    }
    let subwords = |name: &str, kept: &[u32]| {
        let error = open(&family(name)).keep_subwords(kept).unwrap_err();
        error.to_string()
    };
    let beyond = subwords("roberta", &[0, 1, 2, 500]);
    assert!(
        beyond.contains("sub-word 500 of the tokenizer has no row in tensor")
            && beyond.contains("word_embeddings.weight"),
        "{beyond}"
    );
    assert!(subwords("bert", &[3, 2]).contains("do not ascend"));
    assert!(subwords("roberta", &[0, 2, 3]).contains("positions are counted from 2"));
    assert!(subwords("roberta", &[0]).contains("positions are counted from 2"));
    assert!(open(&family("bert")).keep_subwords(&[2, 3]).is_ok());

    let dir = altered("bert", |config| config["vocab_size"] = json!(64));
    let error = StoredModel::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{error}");
    let nowhere = StoredModel::open(Path::new("nowhere")).unwrap_err();
    assert!(nowhere.to_string().contains("nowhere"), "{nowhere}");
}
