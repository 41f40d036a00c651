//! Whole layers on an NVIDIA GPU compute what the CPU does, dropout included. Without a GPU the emulator of `fixtures/cuda/emulator` stands in.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use ner_model::ops::{Factors, LossWeights, Ops};
use ner_model::{Batch, DeviceChoice, ForwardMode, Head, ModelConfig, TokenClassifier, read};

/// A GPU, or nothing with a line that says so.
fn gpu() -> Option<Device> {
    match DeviceChoice::Cuda(0).open() {
        Ok(device) => Some(device),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn config(model_type: &str, head_dim: usize) -> ModelConfig {
    let hidden = 2 * head_dim;
    let positions = if model_type == "roberta" { 514 } else { 512 };
    serde_json::from_str(&format!(
        r#"{{"model_type": "{model_type}", "vocab_size": 200, "hidden_size": {hidden}, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 160, "max_position_embeddings": {positions}, "type_vocab_size": 2, "layer_norm_eps": 1e-5,
            "initializer_range": 0.1, "id2label": {{"0": "O", "1": "B-PER", "2": "I-PER", "3": "B-LOC", "4": "I-LOC"}}}}"#,
    ))
    .unwrap()
}

/// Every second sub-word is asked for where `sparse`.
fn batch(lengths: &[u32], sparse: bool) -> Batch {
    let mut batch = Batch::default();
    for (number, &len) in (0_u32..).zip(lengths) {
        let ids = (0..len).map(|at| 3 + (number * 61 + at * 7) % 190);
        if sparse {
            batch.push_with_targets(ids, (0..len as usize).step_by(2));
        } else {
            batch.push(ids);
        }
    }
    batch
}

/// The gradient of each parameter, by its path.
struct Gradients {
    path: Vec<String>,
    gradients: GradientsParams,
    found: Vec<(String, Vec<f32>)>,
}

impl ModuleVisitor for Gradients {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.found
                .push((self.path.join("."), read(gradient).unwrap()));
        }
    }
}

type Computed = (Vec<f32>, Vec<f32>, Vec<(String, Vec<f32>)>);

/// Logits without dropout, logits with it, and the gradients of a step with it.
fn computed(model: &TokenClassifier, batch: &Batch) -> Computed {
    let weights = LossWeights::uniform(5);
    let labels: Vec<Option<u32>> = (0..batch.targets().len() as u32)
        .map(|at| (at % 3 > 0).then_some(at % 5))
        .collect();
    let inference = model.forward(batch, ForwardMode::Inference).unwrap();
    let mode = ForwardMode::Training { seed: 5 };
    let logits = model.forward(batch, mode).unwrap();
    let loss = model
        .training_loss(logits.clone(), batch, &labels, &weights)
        .unwrap();
    let mut gradients = Gradients {
        path: Vec::new(),
        gradients: GradientsParams::from_grads(loss.backward(), model),
        found: Vec::new(),
    };
    model.visit(&mut gradients);
    (
        read(inference).unwrap(),
        read(logits).unwrap(),
        gradients.found,
    )
}

fn relative(exact: &[f32], other: &[f32]) -> f32 {
    assert_eq!(exact.len(), other.len());
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>().sqrt();
    let difference = norm(&mut exact.iter().zip(other).map(|(a, b)| a - b));
    difference / norm(&mut exact.iter().copied()).max(1e-6)
}

#[test]
fn layers_on_a_gpu_compute_what_the_cpu_does() {
    let Some(gpu) = gpu() else { return };
    let dir = tempfile::tempdir().unwrap();
    for (model_type, head_dim, head, lengths, sparse) in [
        (
            "bert",
            16,
            Head::Linear,
            &[1_u32, 15, 16, 17, 3, 64][..],
            false,
        ),
        ("roberta", 32, Head::Crf, &[5, 1, 40, 33], true),
        ("bert", 64, Head::Linear, &[512, 2, 129], false),
    ] {
        let mut config = config(model_type, head_dim);
        config.head = head;
        // Of the sub-words that are not asked for, the last layer on a CPU keeps no rows, whose numbers decide what is dropped.
        config.set_dropout(if sparse { 0.0 } else { 0.2 }).unwrap();
        let cpu = TokenClassifier::init(&config, &Device::flex().autodiff(), 3);
        cpu.save(dir.path()).unwrap();
        let batch = batch(lengths, sparse);
        let exact = computed(&cpu, &batch);
        for (factors, tolerance) in [(Factors::F32, 1e-2), (Factors::Bf16, 6e-2)] {
            let (model, _) =
                TokenClassifier::load(dir.path(), &config, &gpu.clone().autodiff(), 0).unwrap();
            assert!(matches!(model.ops(), Ops::Gpu(Factors::F32)));
            let model = model.with_ops(Ops::Gpu(factors));
            let found = computed(&model, &batch);
            let what = format!("{model_type}, head size {head_dim}, {factors:?}");
            for (name, exact, found) in [
                ("logits", &exact.0, &found.0),
                ("logits with dropout", &exact.1, &found.1),
            ] {
                let distance = relative(exact, found);
                assert!(distance < tolerance, "{what}: {name} {distance}");
            }
            assert_eq!(exact.2.len(), found.2.len(), "{what}");
            for ((path, exact), (found_path, found)) in exact.2.iter().zip(&found.2) {
                assert_eq!(path, found_path);
                // Softmax is blind to the bias of keys, whose gradient is rounding.
                if path.contains("key.bias") {
                    continue;
                }
                let distance = relative(exact, found);
                assert!(
                    distance < tolerance,
                    "{what}: gradient of {path} {distance}"
                );
            }
        }
    }
}

#[test]
fn what_the_kernels_do_not_take_is_computed_by_burn() {
    let Some(gpu) = gpu() else { return };
    for head_dim in [12, 24] {
        let model = TokenClassifier::init(&config("bert", head_dim), &gpu, 3);
        assert!(
            matches!(model.ops(), Ops::Plain(Factors::F32)),
            "{head_dim}"
        );
    }
}
