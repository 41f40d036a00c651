//! A model that is a table: each sub-word of its vocabulary has one label, whatever stands around it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test target compiles this and uses a part"
)]

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

const SPECIAL: [&str; 4] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
const HIDDEN: usize = 64;
const POSITIONS: usize = 512;
/// Logit of a sub-word's label beside 0 for the others, about.
const SHARPNESS: f32 = 8.0;

/// A BERT without layers: the embedding of sub-word `i` is the unit vector `i`, and the classifier reads its label off it. Sub-words without a
/// label, special and unknown ones among them, have label 0. `more` is added to `config.json`, which gets `id2label` of `labels` unless
/// `more` has one.
pub fn write(dir: &Path, labels: &[&str], table: &[(&str, &str)], more: &serde_json::Value) {
    let subwords: Vec<&str> = SPECIAL
        .into_iter()
        .chain(table.iter().map(|row| row.0))
        .collect();
    let vocabulary = subwords.len();
    assert!(vocabulary <= HIDDEN, "{vocabulary} sub-words");
    let number: serde_json::Map<String, serde_json::Value> = labels
        .iter()
        .enumerate()
        .map(|(id, label)| (id.to_string(), (*label).into()))
        .collect();
    let mut config = serde_json::json!({
        "model_type": "bert", "vocab_size": vocabulary, "hidden_size": HIDDEN, "num_hidden_layers": 0, "num_attention_heads": 1,
        "intermediate_size": 4, "max_position_embeddings": POSITIONS, "type_vocab_size": 1, "id2label": number,
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    std::fs::write(dir.join("vocab.txt"), subwords.join("\n") + "\n").unwrap();

    let mut words = vec![0.0_f32; vocabulary * HIDDEN];
    let mut classifier = vec![0.0_f32; labels.len() * HIDDEN];
    for subword in 0..vocabulary {
        words[subword * HIDDEN + subword] = 1.0;
        let row = subword.checked_sub(SPECIAL.len()).map(|row| table[row].1);
        let label = row.map_or(0, |label| {
            labels.iter().position(|known| *known == label).unwrap()
        });
        // LayerNorm stretches a unit vector by about the root of its length.
        classifier[label * HIDDEN + subword] = 2.0 * SHARPNESS / (HIDDEN as f32).sqrt();
    }
    let ones = vec![1.0_f32; HIDDEN];
    let zeros = vec![0.0_f32; POSITIONS * HIDDEN];
    let tensors = [
        (
            "bert.embeddings.word_embeddings.weight",
            vec![vocabulary, HIDDEN],
            &words[..],
        ),
        (
            "bert.embeddings.position_embeddings.weight",
            vec![POSITIONS, HIDDEN],
            &zeros[..],
        ),
        (
            "bert.embeddings.token_type_embeddings.weight",
            vec![1, HIDDEN],
            &zeros[..HIDDEN],
        ),
        ("bert.embeddings.LayerNorm.weight", vec![HIDDEN], &ones[..]),
        (
            "bert.embeddings.LayerNorm.bias",
            vec![HIDDEN],
            &zeros[..HIDDEN],
        ),
        (
            "classifier.weight",
            vec![labels.len(), HIDDEN],
            &classifier[..],
        ),
        (
            "classifier.bias",
            vec![labels.len()],
            &zeros[..labels.len()],
        ),
    ];
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| {
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        })
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (
            *name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    let file = safetensors::serialize(views, None).unwrap();
    std::fs::write(dir.join("model.safetensors"), file).unwrap();
}

/// Such a model in a directory of its own.
pub fn new(labels: &[&str], table: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model");
    write(&path, labels, table, &serde_json::json!({}));
    (dir, path)
}
