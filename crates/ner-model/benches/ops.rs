//! One encoder layer of base size and the optimizer: fused operations against those composed of Burn's, and the layer with 8-bit weights.
//!
//! `cargo bench --bench ops`, which compiles Burn with the features that the other commands use.

#![allow(clippy::unwrap_used, missing_docs)]

use burn::tensor::{Device, Distribution, Tensor};
use divan::Bencher;
use divan::counter::ItemsCount;
use ner_model::ops::{AdamWStep, Factors, Moments, Ops};
use ner_model::{Batch, ForwardMode, ModelConfig, Precision, TokenClassifier};

/// Sub-words of each sequence, about as in a batch of news sentences.
const LENGTHS: [u32; 16] = [
    7, 12, 16, 20, 23, 26, 29, 31, 34, 37, 41, 45, 50, 57, 66, 82,
];

#[cfg(feature = "ndarray")]
const DEVICES: &[&str] = &["flex", "ndarray"];
#[cfg(not(feature = "ndarray"))]
const DEVICES: &[&str] = &["flex"];

fn main() {
    divan::main();
}

fn device(name: &str) -> Device {
    name.parse::<ner_model::DeviceChoice>()
        .unwrap()
        .open()
        .unwrap()
}

/// A model with one layer of base size, and a batch for it.
fn layer(device: &Device, ops: Ops) -> (TokenClassifier, Batch) {
    let config: ModelConfig = serde_json::from_str(
        r#"{"model_type": "roberta", "vocab_size": 1000, "hidden_size": 768, "num_hidden_layers": 1, "num_attention_heads": 12,
            "intermediate_size": 3072, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}"#,
    )
    .unwrap();
    let batch = LENGTHS.iter().map(|&len| 5..5 + len).collect();
    (
        TokenClassifier::init(&config, device, 1).with_ops(ops),
        batch,
    )
}

#[divan::bench(args = DEVICES, consts = [true, false])]
fn inference<const FUSED: bool>(bencher: Bencher, name: &str) {
    let (model, batch) = layer(
        &device(name),
        if FUSED {
            Ops::Fused(Factors::F32)
        } else {
            Ops::Plain(Factors::F32)
        },
    );
    bencher
        .counter(ItemsCount::new(batch.ids().len()))
        .bench_local(|| {
            model
                .forward(&batch, ForwardMode::Inference)
                .unwrap()
                .into_data()
        });
}

#[divan::bench(args = DEVICES)]
fn inference_int8(bencher: Bencher, name: &str) {
    let (model, batch) = layer(&device(name), Ops::Fused(Factors::F32));
    let model = model.with_precision(Precision::Int8).unwrap();
    bencher
        .counter(ItemsCount::new(batch.ids().len()))
        .bench_local(|| {
            model
                .forward(&batch, ForwardMode::Inference)
                .unwrap()
                .into_data()
        });
}

#[divan::bench(args = DEVICES, consts = [true, false])]
fn forward_and_backward<const FUSED: bool>(bencher: Bencher, name: &str) {
    let (model, batch) = layer(
        &device(name).autodiff(),
        if FUSED {
            Ops::Fused(Factors::F32)
        } else {
            Ops::Plain(Factors::F32)
        },
    );
    bencher
        .counter(ItemsCount::new(batch.ids().len()))
        .bench_local(|| {
            model
                .forward(&batch, ForwardMode::Training { seed: 1 })
                .unwrap()
                .mean()
                .backward()
        });
}

#[divan::bench(args = DEVICES, consts = [true, false])]
fn adamw<const FUSED: bool>(bencher: Bencher, name: &str) {
    const ELEMENTS: usize = 768 * 3072;
    let device = device(name);
    let random = || Tensor::<1>::random([ELEMENTS], Distribution::Uniform(-1.0, 1.0), &device);
    let zeros = || Tensor::<1>::zeros([ELEMENTS], &device);
    let gradient = random();
    let mut state = Some((
        random(),
        Moments {
            first: zeros(),
            second: zeros(),
        },
    ));
    let ops = if FUSED {
        Ops::Fused(Factors::F32)
    } else {
        Ops::Plain(Factors::F32)
    };
    let mut step = AdamWStep {
        gradient_scale: 1.0,
        learning_rate: 1e-4,
        weight_decay: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        step: 0,
    };
    bencher.counter(ItemsCount::new(ELEMENTS)).bench_local(|| {
        step.step += 1;
        let (parameter, moments) = state.take().unwrap();
        state = Some(ops.adamw(parameter, gradient.clone(), moments, &step));
    });
}
