//! The forms that one model can be computed in give one result.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use ner_model::ops::{Factors, LossWeights, Ops};
use ner_model::{
    Batch, DeviceChoice, ForwardMode, Head, Logits, ModelConfig, Precision, TokenClassifier,
};

fn config() -> ModelConfig {
    serde_json::from_str(
        r#"{"model_type": "roberta", "vocab_size": 200, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
            "intermediate_size": 160, "max_position_embeddings": 202, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
            "initializer_range": 0.1, "id2label": {"0": "O", "1": "B-PER", "2": "I-PER", "3": "B-LOC", "4": "I-LOC"}}"#,
    )
    .unwrap()
}

fn devices() -> Vec<Device> {
    let names = if cfg!(feature = "ndarray") {
        &["flex", "ndarray"][..]
    } else {
        &["flex"]
    };
    names
        .iter()
        .map(|name| name.parse::<DeviceChoice>().unwrap().open().unwrap())
        .collect()
}

fn batch(lengths: &[u32]) -> Batch {
    lengths
        .iter()
        .enumerate()
        .map(|(sequence, &len)| (0..len).map(move |at| 3 + (sequence as u32 * 61 + at * 7) % 190))
        .collect()
}

fn values(logits: &Logits, rows: usize) -> Vec<f32> {
    (0..rows).flat_map(|row| logits.row(row).to_vec()).collect()
}

fn logits(model: &TokenClassifier, batch: &Batch) -> Vec<f32> {
    let logits = model.forward(batch, ForwardMode::Inference).unwrap();
    values(&Logits::read(logits).unwrap(), batch.ids().len())
}

/// Mixes of lengths: alone, all alike, one long among short ones, every length at once, and random ones.
fn mixes() -> Vec<Vec<u32>> {
    let mut mixes = vec![
        vec![1],
        vec![64],
        vec![1, 1, 1],
        vec![16; 7],
        vec![64, 1, 2, 3],
        vec![1, 64, 1],
        (1..=64).collect(),
        (1..=64).rev().collect(),
    ];
    let mut state = 9_u32;
    for count in 1..25 {
        let mut length = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            1 + (state >> 16) % 64
        };
        mixes.push((0..count).map(|_| length()).collect());
    }
    mixes
}

#[test]
fn packed_and_padded_forms_agree_for_every_mix_of_lengths() {
    for device in devices() {
        let fused = TokenClassifier::init(&config(), &device, 3);
        assert!(matches!(fused.ops(), Ops::Fused(Factors::F32)));
        let plain = fused.clone().with_ops(Ops::Plain(Factors::F32));
        for mix in mixes() {
            let batch = batch(&mix);
            let (packed, padded) = (logits(&fused, &batch), logits(&plain, &batch));
            assert_eq!(packed.len(), padded.len());
            for (packed, padded) in packed.iter().zip(&padded) {
                assert!((packed - padded).abs() < 1e-5, "{mix:?}: {packed} {padded}");
            }
        }
    }
}

/// Of each sequence some places, or none.
fn some_places(sequence: usize, length: u32) -> Vec<usize> {
    let chosen = |place: &usize| match sequence % 4 {
        0 => place % 3 == 1,
        1 => place + 1 == length as usize,
        2 => *place == 0,
        _ => false,
    };
    (0..length as usize).filter(chosen).collect()
}

/// The sequences of [`batch`] of which only [`some_places`] are to be classified.
fn narrow_batch(lengths: &[u32]) -> Batch {
    let whole = batch(lengths);
    let mut narrow = Batch::default();
    for ((sequence, range), &length) in whole.ranges().enumerate().zip(lengths) {
        let ids = whole.ids()[range].iter().copied();
        narrow.push_with_targets(ids, some_places(sequence, length));
    }
    narrow
}

#[test]
fn sub_words_that_nobody_asks_for_change_no_other_logits() {
    for device in devices() {
        let fused = TokenClassifier::init(&config(), &device, 3);
        let models = [
            fused.clone(),
            fused.clone().with_ops(Ops::Plain(Factors::F32)),
            fused.with_precision(Precision::Int8).unwrap(),
        ];
        let mut compared = 0;
        for mix in mixes() {
            let (all, narrow) = (batch(&mix), narrow_batch(&mix));
            if narrow.targets().is_empty() {
                continue;
            }
            let ranges = narrow.target_ranges().zip(&mix).enumerate();
            for (sequence, (rows, &length)) in ranges {
                assert_eq!(rows.len(), some_places(sequence, length).len());
            }
            for model in &models {
                let of_all =
                    Logits::read(model.forward(&all, ForwardMode::Inference).unwrap()).unwrap();
                let of_some = model.forward(&narrow, ForwardMode::Inference).unwrap();
                assert_eq!(of_some.dims(), [narrow.targets().len(), 5]);
                let of_some = Logits::read(of_some).unwrap();
                for (row, &target) in narrow.targets().iter().enumerate() {
                    for (a, b) in of_some.row(row).iter().zip(of_all.row(target)) {
                        assert!((a - b).abs() < 1e-5, "{mix:?}, {target}: {a} {b}");
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 1000, "{compared}");
    }
}

#[test]
fn sub_words_that_nobody_asks_for_change_no_gradient() {
    let mix = [5, 19, 2, 33, 64];
    let (all, narrow) = (batch(&mix), narrow_batch(&mix));
    let labels: Vec<Option<u32>> = (0..narrow.targets().len() as u32)
        .map(|row| (row % 4 > 0).then_some(row % 5))
        .collect();
    let mut labels_of_all = vec![None; all.ids().len()];
    for (&target, label) in narrow.targets().iter().zip(&labels) {
        labels_of_all[target] = *label;
    }
    for device in devices() {
        for head in [Head::Linear, Head::Crf] {
            let mut config = config();
            config.head = head;
            config.set_dropout(0.0).unwrap();
            let fused = TokenClassifier::init(&config, &device.clone().autodiff(), 3);
            let mut of_forms = Vec::new();
            for model in [fused.clone(), fused.with_ops(Ops::Plain(Factors::F32))] {
                let weights = LossWeights::uniform(5);
                let gradients = |batch: &Batch, labels: &[Option<u32>]| {
                    let logits = model
                        .forward(batch, ForwardMode::Training { seed: 1 })
                        .unwrap();
                    let loss = model
                        .training_loss(logits, batch, labels, &weights)
                        .unwrap();
                    let gradients = GradientsParams::from_grads(loss.backward(), &model);
                    let mut found = Gradients(gradients, Vec::new());
                    model.visit(&mut found);
                    found.1
                };
                let (of_all, of_some) =
                    (gradients(&all, &labels_of_all), gradients(&narrow, &labels));
                assert!(of_all.iter().any(|gradient| gradient.abs() > 1e-3));
                for (a, b) in of_some.iter().zip(&of_all) {
                    assert!((a - b).abs() < 1e-5, "{head:?}: {a} {b}");
                }
                of_forms.push(of_all);
            }
            assert_eq!(of_forms[0].len(), of_forms[1].len());
            for (packed, padded) in of_forms[0].iter().zip(&of_forms[1]) {
                assert!(
                    (packed - padded).abs() < 1e-5,
                    "{head:?}: {packed} {padded}"
                );
            }
        }
    }
}

#[test]
fn impossible_targets_are_refused() {
    let model = TokenClassifier::init(&config(), &Device::flex(), 3);
    let message = |places: &[usize]| {
        let mut batch = Batch::default();
        batch.push([5, 6, 7]);
        batch.push_with_targets([8, 9], places.iter().copied());
        let refused = model.forward(&batch, ForwardMode::Inference).unwrap_err();
        refused.to_string()
    };
    for places in [&[2][..], &[1, 0], &[0, 0]] {
        let message = message(places);
        assert!(
            message.contains(&format!(
                "sequence 1 has 2 sub-words, of which those at {places:?}"
            )),
            "{message}"
        );
    }
    let mut batch = Batch::default();
    batch.push_with_targets([8, 9], []);
    let message = model
        .forward(&batch, ForwardMode::Inference)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("no sub-word of it is to be classified"),
        "{message}"
    );
}

#[test]
fn losses_with_dropout_are_of_one_distribution() {
    const SEEDS: u64 = 200;
    // The F distribution of 199 and 199 degrees of freedom lies outside but once in 10,000.
    const ALIKE: std::ops::Range<f64> = 0.57..1.75;
    let batch = batch(&[5, 19, 2, 33]);
    let labels: Vec<Option<u32>> = (0..batch.ids().len() as u32)
        .map(|at| (at % 3 > 0).then_some(at % 5))
        .collect();
    // One set of weights: the generator that draws them is shared with the other tests.
    let dir = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let initial = TokenClassifier::init(&config(), &device, 3);
    initial.save(dir.path()).unwrap();
    // Mean and variance.
    let losses = |dropout: f64, ops: Option<Ops>| {
        let mut config = config();
        config.set_dropout(dropout).unwrap();
        let (model, _) = TokenClassifier::load(dir.path(), &config, &device, 0).unwrap();
        let ops = ops.unwrap_or(model.ops());
        let model = model.with_ops(ops);
        let loss = |seed| {
            let logits = model
                .forward(&batch, ForwardMode::Training { seed })
                .unwrap();
            f64::from(model.loss(logits, &labels).unwrap().into_scalar::<f32>())
        };
        let losses: Vec<f64> = (0..SEEDS).map(loss).collect();
        let mean = losses.iter().sum::<f64>() / SEEDS as f64;
        let squares = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>();
        (mean, squares / (SEEDS - 1) as f64)
    };
    let (fused, plain) = (
        losses(0.3, None),
        losses(0.3, Some(Ops::Plain(Factors::F32))),
    );
    let error = ((fused.1 + plain.1) / SEEDS as f64).sqrt();
    assert!(
        (fused.0 - plain.0).abs() < 4.0 * error,
        "{fused:?} {plain:?}"
    );
    assert!(ALIKE.contains(&(fused.1 / plain.1)), "{fused:?} {plain:?}");
    // Another dropout would not pass.
    let other = losses(0.1, None);
    assert!(!ALIKE.contains(&(other.1 / plain.1)), "{other:?} {plain:?}");
}

#[test]
fn int8_is_near_f32_and_for_inference_only() {
    for device in devices() {
        let model = TokenClassifier::init(&config(), &device, 3);
        let int8 = model.clone().with_precision(Precision::Int8).unwrap();
        let batch = batch(&[5, 19, 2, 33, 64]);
        let (exact, rounded) = (logits(&model, &batch), logits(&int8, &batch));
        let norm =
            |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>().sqrt();
        let error = norm(&mut exact.iter().zip(&rounded).map(|(a, b)| a - b));
        let relative = error / norm(&mut exact.iter().copied());
        assert!((1e-4..8e-2).contains(&relative), "{relative}");
        let back = int8.with_precision(Precision::F32).unwrap();
        assert_eq!(logits(&back, &batch), exact);
        let auto = model.with_precision(Precision::Auto).unwrap();
        assert_eq!(logits(&auto, &batch), rounded);
    }
    let training = TokenClassifier::init(&config(), &Device::flex().autodiff(), 3);
    for precision in [Precision::Int8, Precision::Auto] {
        let refused = training.clone().with_precision(precision).unwrap_err();
        assert!(refused.to_string().contains("for inference"), "{refused}");
    }
    let message = "int4".parse::<Precision>().unwrap_err().to_string();
    assert!(
        message.contains("expected f32, int8, bf16 or auto"),
        "{message}"
    );
}

/// Both forms; the plain one is a GPU's, and `ndarray` does not have it in bf16. On a processor without the instructions the fused one computes
/// the same with others, and users are refused it.
#[test]
fn bf16_is_near_f32_in_inference_and_in_training() {
    // A factor is off by 2^-9 at most; a product of two of them, and what comes of it in two layers, by a few times that.
    const NEAR: std::ops::Range<f32> = 5e-4..3e-2;
    let batch = batch(&[5, 19, 140, 33, 64]); // long attention multiplies bf16 too
    let labels: Vec<Option<u32>> = (0..batch.ids().len() as u32)
        .map(|at| Some(at % 5))
        .collect();
    let norm = |values: &[f32]| values.iter().map(|x| x * x).sum::<f32>().sqrt();
    let relative = |exact: &[f32], rounded: &[f32]| {
        let differences = exact.iter().zip(rounded).map(|(a, b)| a - b);
        norm(&differences.collect::<Vec<f32>>()) / norm(exact)
    };
    let model = |device: &Device, ops: Ops| {
        let mut config = config();
        config.set_dropout(0.0).unwrap();
        TokenClassifier::init(&config, device, 3).with_ops(ops)
    };
    let gradients = |model: &TokenClassifier| {
        let logits = model
            .forward(&batch, ForwardMode::Training { seed: 1 })
            .unwrap();
        let gradients = model.loss(logits, &labels).unwrap().backward();
        let gradients = GradientsParams::from_grads(gradients, model);
        let mut found = Gradients(gradients, Vec::new());
        model.visit(&mut found);
        found.1
    };
    let mut forms = vec![(Device::flex(), Ops::Plain as fn(Factors) -> Ops)];
    forms.extend(
        devices()
            .into_iter()
            .map(|device| (device, Ops::Fused as _)),
    );
    for (device, form) in forms {
        let exact = model(&device, form(Factors::F32));
        let rounded = exact.clone().with_ops(form(Factors::Bf16));
        let difference = relative(&logits(&exact, &batch), &logits(&rounded, &batch));
        assert!(NEAR.contains(&difference), "{difference}");

        let exact = model(&device.autodiff(), form(Factors::F32));
        let rounded = exact.clone().with_ops(form(Factors::Bf16));
        let (exact, rounded) = (gradients(&exact), gradients(&rounded));
        let difference = relative(&exact, &rounded);
        assert!(NEAR.contains(&difference), "{difference}");
    }
}

/// Weights that are packed once give the bits of weights that are packed in each pass.
#[test]
fn bf16_is_the_same_packed_beforehand_and_refused_where_the_processor_lacks_it() {
    for device in devices() {
        let exact = TokenClassifier::init(&config(), &device, 3);
        let batch = batch(&[64, 19, 2, 140, 5]);
        match exact.clone().with_precision(Precision::Bf16) {
            Ok(packed) => {
                assert!(matches!(packed.ops(), Ops::Packed(_)));
                let fused = exact.with_ops(Ops::Fused(Factors::Bf16));
                assert_eq!(logits(&packed, &batch), logits(&fused, &batch));
            }
            Err(refused) => assert!(refused.to_string().contains("AVX512-BF16"), "{refused}"),
        }
    }
}

/// All gradients of a module, one after the other.
struct Gradients(GradientsParams, Vec<f32>);

impl burn::module::ModuleVisitor for Gradients {
    fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<burn::Tensor<D>>) {
        let gradient = self.0.get::<D>(param.id).unwrap().into_data();
        self.1.extend(gradient.iter::<f32>());
    }
}
