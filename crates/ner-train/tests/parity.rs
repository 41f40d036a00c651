//! Forty steps beside PyTorch, whose figures `fixtures/goldens/models.py` wrote.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::ops::ControlFlow;

use common::golden;
use ner_model::ops::{Factors, Ops};
use ner_model::{DeviceChoice, ModelConfig, TokenClassifier};
use ner_train::{Corpus, Event, PretokenizedSentence, Step, TrainSettings, Trainer};
use serde_json::Value;
use subword_align::SubwordTokenizer;

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s.as_str().unwrap().to_owned())
        .collect()
}

/// A temporary folder with the WordPiece tokenizer that gives the goldens' words their ids.
fn folder_with_tokenizer() -> (tempfile::TempDir, SubwordTokenizer) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(golden("vocab.txt"), dir.path().join("vocab.txt")).unwrap();
    let tokenizer = SubwordTokenizer::from_dir(dir.path(), None).unwrap();
    (dir, tokenizer)
}

/// The relative distance, which is to be less than the tolerance.
fn assert_close(step: usize, what: &str, found: f64, expected: &Value, tolerance: f64) -> f64 {
    let expected = expected.as_f64().unwrap();
    let relative = (found - expected).abs() / expected.abs().max(1e-12);
    assert!(
        relative < tolerance,
        "step {step}: {what} is {found}, PyTorch's is {expected}"
    );
    relative
}

fn follows_pytorch(family: &str, device: DeviceChoice) {
    follows_pytorch_with(family, device, None);
}

/// With other operations than the device's own.
fn follows_pytorch_with(family: &str, device: DeviceChoice, ops: Option<Ops>) {
    let text = std::fs::read_to_string(golden(family).join("training.json")).unwrap();
    let run: Value = serde_json::from_str(&text).unwrap();
    let sentences: Vec<PretokenizedSentence> = std::iter::zip(
        run["words"].as_array().unwrap(),
        run["tags"].as_array().unwrap(),
    )
    .map(|(words, tags)| PretokenizedSentence {
        words: strings(words),
        tags: strings(tags),
        document: 0,
    })
    .collect();
    let number = |name: &str| run["settings"][name].as_f64().unwrap();
    let settings = TrainSettings::default().with(|settings| {
        settings.schedule.epochs = 1;
        settings.data.batch_size = number("batch_size") as usize;
        settings.data.max_length = 40;
        settings.optimizer.learning_rate = number("learning_rate");
        settings.schedule.warmup_steps = number("warmup_steps") as usize;
        settings.optimizer.weight_decay = number("weight_decay");
        settings.optimizer.adam_epsilon = number("adam_epsilon");
        settings.optimizer.max_grad_norm = number("max_grad_norm");
        settings.data.shuffle = false;
        settings.output.logging_steps = 1;
    });

    let (dir, tokenizer) = folder_with_tokenizer();
    let config = ModelConfig::from_dir(&golden(family)).unwrap();
    // A GPU may multiply in TF32, whose factors have 11 bits.
    let tolerance = match device {
        DeviceChoice::Cuda(_) => 3e-3,
        _ => 1e-3,
    };
    let name = device;
    let device = device.open().unwrap().autodiff();
    let (mut model, _) = TokenClassifier::load(&golden(family), &config, &device, 0).unwrap();
    if let Some(ops) = ops {
        model = model.with_ops(ops);
    }
    let mut steps: Vec<Step> = Vec::new();
    let corpus = Corpus {
        train: &sentences,
        dev: &[],
    };
    Trainer::new(model, tokenizer, dir.path())
        .settings(settings)
        .observer(|event| {
            if let Event::Logged(step) = event {
                steps.push(*step);
            }
            ControlFlow::Continue(())
        })
        .fit(corpus)
        .unwrap();

    assert_eq!(steps.len(), run["losses"].as_array().unwrap().len());
    let mut worst = 0.0_f64;
    for (index, step) in steps.iter().enumerate() {
        for (what, found, expected) in [
            ("loss", step.loss, "losses"),
            ("gradient norm", step.grad_norm, "grad_norms"),
            ("learning rate", step.learning_rate, "learning_rates"),
        ] {
            let expected = &run[expected][index];
            worst = worst.max(assert_close(step.step, what, found, expected, tolerance));
        }
    }
    println!("{family} on {name}: within {worst:.1e}");
}

/// A model drawn on the training device itself learns in every parameter, its position and word tables too.
#[test]
fn a_model_drawn_on_the_training_device_learns() {
    let (dir, tokenizer) = folder_with_tokenizer();
    let config = ModelConfig::from_dir(&golden("roberta")).unwrap();
    let device = DeviceChoice::Flex.open().unwrap().autodiff();
    let model = TokenClassifier::init(&config, &device, 1).with_sinusoidal_positions(0.1);
    std::fs::create_dir(dir.path().join("before")).unwrap();
    model.save(&dir.path().join("before")).unwrap();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect();
    let data = [PretokenizedSentence {
        words: words("a34xb187x a60x a9x"),
        tags: words("B-PER O B-LOC"),
        document: 0,
    }];
    let settings = TrainSettings::default().with(|settings| settings.data.max_length = 40);
    let corpus = Corpus {
        train: &data,
        dev: &[],
    };
    Trainer::new(model, tokenizer, dir.path())
        .settings(settings)
        .fit(corpus)
        .unwrap();
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let (before, after) = (read("before/model.safetensors"), read("model.safetensors"));
    let tensors = |bytes: &[u8]| -> Vec<(String, Vec<u8>)> {
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let mut all: Vec<_> = file
            .tensors()
            .into_iter()
            .map(|(name, tensor)| (name, tensor.data().to_vec()))
            .collect();
        all.sort();
        all
    };
    for ((name, before), (_, after)) in tensors(&before).into_iter().zip(tensors(&after)) {
        assert!(before != after, "{name} did not change");
    }
}

#[test]
fn bert_on_flex() {
    follows_pytorch("bert", DeviceChoice::Flex);
}

#[test]
fn roberta_on_flex() {
    follows_pytorch("roberta", DeviceChoice::Flex);
}

/// What a GPU computes with, its layout, optimizer and clipping too.
#[test]
fn both_with_the_plain_operations() {
    follows_pytorch_with("bert", DeviceChoice::Flex, Some(Ops::Plain(Factors::F32)));
    follows_pytorch_with(
        "roberta",
        DeviceChoice::Flex,
        Some(Ops::Plain(Factors::F32)),
    );
}

/// On a machine with a GPU.
#[cfg(feature = "cuda")]
#[test]
fn both_on_cuda() {
    let device = DeviceChoice::Cuda(0);
    if let Err(reason) = device.open() {
        println!("skipped: {reason}");
        return;
    }
    follows_pytorch("bert", device);
    follows_pytorch("roberta", device);
}

#[cfg(feature = "ndarray")]
#[test]
fn bert_on_ndarray() {
    follows_pytorch("bert", DeviceChoice::NdArray);
}

#[cfg(feature = "ndarray")]
#[test]
fn roberta_on_ndarray() {
    follows_pytorch("roberta", DeviceChoice::NdArray);
}
