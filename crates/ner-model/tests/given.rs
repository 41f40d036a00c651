//! Model directories that the user names in `NER_PARITY_DIRS` (separated as in `PATH`), against `reference.json` in each, which
//! `fixtures/parity/logits.py` wrote: real weights, which are no part of this repository.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::env;

use ner_model::{Batch, DeviceChoice, ForwardMode, ModelConfig, TokenClassifier};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    sequences: Vec<Vec<u32>>,
    logits: Vec<Vec<f32>>,
    hidden_states: Vec<Vec<f32>>,
}

fn worst(found: &[f32], expected: &[Vec<f32>]) -> f32 {
    let expected = expected.concat();
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn given_models_give_the_values_of_transformers() {
    let Some(dirs) = env::var_os("NER_PARITY_DIRS") else {
        println!("skipped: NER_PARITY_DIRS names no model directory");
        return;
    };
    for dir in env::split_paths(&dirs) {
        let reference = std::fs::read_to_string(dir.join("reference.json")).unwrap();
        let reference: Reference = serde_json::from_str(&reference).unwrap();
        let batch: Batch = reference.sequences.iter().cloned().collect();
        let config = ModelConfig::from_dir(&dir).unwrap();
        for choice in [
            DeviceChoice::Flex,
            DeviceChoice::NdArray,
            DeviceChoice::Cuda(0),
        ] {
            let Ok(device) = choice.open() else { continue };
            let (model, report) = TokenClassifier::load(&dir, &config, &device, 0).unwrap();
            assert_eq!(report.new_classifier, None);
            let hidden = model.hidden_states(&batch, ForwardMode::Inference).unwrap();
            let hidden = hidden.into_data();
            let hidden = worst(hidden.as_slice().unwrap(), &reference.hidden_states);
            let logits = model
                .forward(&batch, ForwardMode::Inference)
                .unwrap()
                .into_data();
            let logits = worst(logits.as_slice().unwrap(), &reference.logits);
            println!(
                "{} on {choice}: hidden states within {hidden:.1e}, logits within {logits:.1e}",
                dir.display()
            );
            assert!(hidden < 1e-4 && logits < 1e-4);
        }
    }
}
