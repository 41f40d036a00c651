//! Random weights.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use ner_model::{DeviceChoice, ModelConfig, TokenClassifier};

#[test]
fn random_weights_follow_transformers_rule_and_the_seed() {
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/goldens/models/roberta");
    let ndarray = cfg!(feature = "ndarray").then_some(DeviceChoice::NdArray);
    let mut config = ModelConfig::from_dir(&golden).unwrap();
    config.initializer_range = 0.02;
    for device in [DeviceChoice::Flex].into_iter().chain(ndarray) {
        let draw = |seed| {
            let dir = tempfile::tempdir().unwrap();
            TokenClassifier::init(&config, &device.open().unwrap(), seed)
                .save(dir.path())
                .unwrap();
            std::fs::read(dir.path().join("model.safetensors")).unwrap()
        };
        let bytes = draw(1);
        assert!(bytes == draw(1), "{device}: the seed decides the weights");
        assert!(bytes != draw(2), "{device}: another seed, other weights");
        std::thread::scope(|scope| {
            let draws: Vec<_> = (0..4).map(|_| scope.spawn(|| draw(1))).collect();
            let same = draws.into_iter().all(|draw| draw.join().unwrap() == bytes);
            assert!(same, "{device}: the seed decides it on several threads too");
        });

        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for (name, tensor) in tensors.tensors() {
            let values: Vec<f32> = tensor
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect();
            let count = values.len() as f32;
            let mean = values.iter().sum::<f32>() / count;
            let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count).sqrt();
            match name.as_str() {
                n if n.ends_with("bias") => assert!(values.iter().all(|&v| v == 0.0), "{n}"),
                n if n.contains("LayerNorm") => assert!(values.iter().all(|&v| v == 1.0), "{n}"),
                n => assert!(
                    mean.abs() < 3e-3 && (deviation - 0.02).abs() < 3e-3,
                    "{n}: {mean} ± {deviation}"
                ),
            }
            if name.ends_with("word_embeddings.weight") {
                assert!(
                    values[48..96].iter().all(|&v| v == 0.0),
                    "the padding row is zero"
                );
            }
        }
    }
}
