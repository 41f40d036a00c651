#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::testing::golden;
use crate::{DeviceChoice, ForwardMode};

fn cpu() -> Device {
    DeviceChoice::Flex.open().unwrap()
}

/// Sequences of ids, every one of which is to be classified.
fn text() -> Vec<Batch> {
    let mut batches = vec![Batch::default(); 3];
    for (number, batch) in batches.iter_mut().enumerate() {
        for length in [7, 3, 12, 9] {
            batch.push(
                (0..length).map(|at| 5 + (at * at + 31 * at + 17 * number as u32 + length) % 110),
            );
        }
    }
    batches
}

fn logits(model: &TokenClassifier) -> Vec<f32> {
    let of = |batch: &Batch| read(model.forward(batch, ForwardMode::Inference).unwrap()).unwrap();
    text().iter().flat_map(of).collect()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn all_of_a_model_is_the_model_to_the_bit() {
    for family in ["bert", "roberta", "xlm-roberta", "camembert", "distilbert"] {
        let model = golden(family);
        let config = model.config();
        let (hidden, neurons) = (config.hidden_size, config.intermediate_size);
        let layers: Vec<usize> = (0..config.num_hidden_layers).collect();
        let config = config.sliced(layers.len(), hidden, neurons).unwrap();
        let (cut, view) = model.sliced(&config, &layers, &text()).unwrap();
        assert!(logits(&cut) == logits(&model), "{family}");

        let batch = &text()[0];
        let seen = model
            .forward_with_states(&view, batch, ForwardMode::Inference)
            .unwrap();
        let [_, width] = seen.dims();
        assert_eq!(
            width,
            config.id2label.len() + view.width(hidden),
            "{family}"
        );
        let last = seen.narrow(1, width - hidden, hidden);
        let expected = model.hidden_states(batch, ForwardMode::Inference).unwrap();
        assert!(read(last).unwrap() == read(expected).unwrap(), "{family}");
    }
}

/// Sizes of a small model and of a wide one that computes the same in a part of its width.
const NARROW: usize = 24;
const WIDE: usize = 48;
const NEURONS: usize = 40;
const HEAD: usize = 12;

/// A model of random weights, whose biases are random too.
fn narrow() -> TokenClassifier {
    let mut config = golden("bert").config().clone();
    (
        config.hidden_size,
        config.num_attention_heads,
        config.intermediate_size,
    ) = (NARROW, NARROW / HEAD, NEURONS);
    config.initializer_range = 0.3;
    let mut model = TokenClassifier::init(&config, &cpu(), 3);
    for layer in &mut model.encoder.layer {
        let projections = &mut layer.attention.self_attention;
        for linear in [
            &mut projections.query,
            &mut projections.key,
            &mut projections.value,
            &mut layer.attention.output.dense,
            &mut layer.intermediate.dense,
            &mut layer.output.dense,
        ] {
            let biases = linear.bias.as_ref().unwrap().val();
            let biases = biases.random_like(burn::tensor::Distribution::Normal(0.0, 0.3));
            linear.bias = Some(Param::from_tensor(biases));
        }
    }
    model
}

/// The same model along some directions of a wider one, with heads and neurons that add nothing, and a constant at right angles to the directions.
struct Widening(Basis);

impl Widening {
    fn new() -> Self {
        let numbers = (0..WIDE * WIDE).map(|at| f64::from((at * 7919 % 1013) as u32) / 500.0 - 1.0);
        let numbers: Vec<f64> = numbers.collect();
        let element = |at: usize| {
            (0..WIDE)
                .map(|k| numbers[at / WIDE * WIDE + k] * numbers[at % WIDE * WIDE + k])
                .sum()
        };
        let covariance = (0..WIDE * WIDE).map(element).collect();
        Self(Basis::of(covariance, WIDE, NARROW, &cpu()))
    }

    fn widen(&self, states: Tensor<2>) -> Tensor<2> {
        states.matmul(self.0.directions().transpose())
    }

    /// With columns of zeros before the given ones.
    fn padded(x: Tensor<2>, columns: usize) -> Tensor<2> {
        let [rows, own] = x.dims();
        Tensor::cat(vec![Tensor::zeros([rows, columns - own], &cpu()), x], 1)
    }

    fn reading(&self, layer: &Linear, outputs: usize) -> Linear {
        let weight = self.0.directions().matmul(layer.weight.val());
        let bias = layer.bias.as_ref().unwrap().val().unsqueeze::<2>();
        Linear {
            weight: Param::from_tensor(Self::padded(weight, outputs)),
            bias: Some(Param::from_tensor(
                Self::padded(bias, outputs).squeeze::<1>(),
            )),
        }
    }

    fn writing(&self, layer: &Linear, inputs: usize) -> Linear {
        let weight = Self::padded(layer.weight.val().transpose(), inputs).transpose();
        let bias = layer.bias.as_ref().unwrap().val().unsqueeze::<2>();
        Linear {
            weight: Param::from_tensor(self.widen(weight)),
            bias: Some(Param::from_tensor(self.widen(bias).squeeze::<1>())),
        }
    }

    fn norm(&self, norm: &LayerNorm) -> LayerNorm {
        let mut wide = LayerNormConfig::new(WIDE).with_epsilon(1e-12).init(&cpu());
        assert!(
            read(norm.gamma.val())
                .unwrap()
                .iter()
                .all(|gain| *gain == 1.0)
        );
        wide.gamma = Param::from_tensor(Tensor::full(
            [WIDE],
            (NARROW as f64 / WIDE as f64).sqrt(),
            &cpu(),
        ));
        wide
    }

    fn model(&self, narrow: &TokenClassifier) -> TokenClassifier {
        let mut config = narrow.config().clone();
        (
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size,
        ) = (WIDE, WIDE / HEAD, 2 * NEURONS);
        let mut wide = TokenClassifier::init(&config, &cpu(), 0);
        let (own, tables) = (&narrow.embeddings, &mut wide.embeddings);
        let table = |table: &Embedding| Embedding {
            weight: Param::from_tensor(self.widen(table.weight.val())),
        };
        tables.word_embeddings = table(&own.word_embeddings);
        tables.position_embeddings = table(&own.position_embeddings);
        tables.token_type_embeddings = own.token_type_embeddings.as_ref().map(table);
        tables.LayerNorm = self.norm(&own.LayerNorm);
        for (layer, own) in wide.encoder.layer.iter_mut().zip(&narrow.encoder.layer) {
            let (projections, from) = (
                &mut layer.attention.self_attention,
                &own.attention.self_attention,
            );
            projections.query = self.reading(&from.query, WIDE);
            projections.key = self.reading(&from.key, WIDE);
            projections.value = self.reading(&from.value, WIDE);
            layer.attention.output.dense = self.writing(&own.attention.output.dense, WIDE);
            layer.attention.output.LayerNorm = self.norm(&own.attention.output.LayerNorm);
            layer.intermediate.dense = self.reading(&own.intermediate.dense, 2 * NEURONS);
            layer.output.dense = self.writing(&own.output.dense, 2 * NEURONS);
            layer.output.LayerNorm = self.norm(&own.output.LayerNorm);
        }
        wide.classifier = self.reading(&narrow.classifier, narrow.config().id2label.len());
        // What the last layer adds to every state, and only the classifier sees.
        let constant = self.0.lost(row(
            &(0..WIDE).map(|at| (at as f64).sin()).collect::<Vec<_>>(),
            &cpu(),
        ));
        if let Some(layer) = wide.encoder.layer.last_mut() {
            layer.output.LayerNorm.beta = Some(Param::from_tensor(constant.clone().squeeze::<1>()));
        }
        let seen = constant
            .transpose()
            .matmul(Tensor::ones([1, narrow.config().id2label.len()], &cpu()));
        wide.classifier.weight = wide
            .classifier
            .weight
            .map(|weight| weight + seen.clone() * 0.1);
        wide
    }
}

#[test]
fn what_a_model_does_not_use_is_cut_out_without_loss() {
    let narrow = narrow();
    let wide = Widening::new().model(&narrow);
    let batch = &text()[0];
    let read_all = |x: Tensor<2>| read(x).unwrap();
    let hidden = |model: &TokenClassifier| {
        read_all(model.hidden_states(batch, ForwardMode::Inference).unwrap())
    };
    let layers: Vec<usize> = (0..wide.config().num_hidden_layers).collect();
    let config = wide.config().sliced(layers.len(), NARROW, NEURONS).unwrap();
    let (cut, view) = wide.sliced(&config, &layers, &text()).unwrap();
    assert_eq!(cut.config().num_attention_heads, NARROW / HEAD);
    let apart = worst(&logits(&cut), &logits(&wide));
    assert!(apart < 1e-3, "{apart}");
    // The states of the cut model are those that the view says.
    let seen = wide
        .forward_with_states(&view, batch, ForwardMode::Inference)
        .unwrap();
    let [_, width] = seen.dims();
    let last = read_all(seen.narrow(1, width - NARROW, NARROW));
    let apart = worst(&hidden(&cut), &last);
    assert!(apart < 1e-3, "{apart}");
    // Narrower by a head, something is lost.
    let config = wide
        .config()
        .sliced(layers.len(), NARROW - HEAD, NEURONS)
        .unwrap();
    let (narrower, _) = wide.sliced(&config, &layers, &text()).unwrap();
    assert!(worst(&logits(&narrower), &logits(&wide)) > 1e-2);
}

#[test]
fn the_same_text_cuts_the_same_model_and_files_keep_it() {
    let model = golden("roberta");
    let mut config = model.config().sliced(1, 36, 50).unwrap();
    config.set_dropout(0.2).unwrap();
    let cut = || model.sliced(&config, &[1], &text()).unwrap().0;
    let (first, second) = (cut(), cut());
    assert!(logits(&first) == logits(&second));
    assert!(logits(&first).iter().all(|x| x.is_finite()));
    let dir = tempfile::tempdir().unwrap();
    first.save(dir.path()).unwrap();
    let config = ModelConfig::from_dir(dir.path()).unwrap();
    let (read, report) = TokenClassifier::load(dir.path(), &config, &cpu(), 0).unwrap();
    assert_eq!((report.new_classifier, report.unused), (None, vec![]));
    assert!(logits(&read) == logits(&first));
    let sizes = (
        config.num_hidden_layers,
        config.hidden_size,
        config.num_attention_heads,
        config.intermediate_size,
    );
    assert_eq!(sizes, (1, 36, 3, 50));
}

#[test]
fn a_text_of_one_subword_cuts_a_model_that_computes() {
    let model = golden("bert");
    let mut one = Batch::default();
    one.push([7]);
    let config = model.config().sliced(2, 36, 50).unwrap();
    let (cut, view) = model.sliced(&config, &[0, 1], &[one]).unwrap();
    let found = logits(&cut);
    assert!(found.iter().all(|x| x.is_finite()));
    assert!(
        found.iter().any(|x| *x != found[0]),
        "it does not tell sub-words apart"
    );
    // The directions are orthonormal all the same.
    let directions = view.basis.unwrap().directions();
    let products = read(directions.clone().transpose().matmul(directions)).unwrap();
    // But for the one that LayerNorm takes away: all coordinates alike.
    for (at, product) in products.iter().enumerate() {
        let expected = if at % 37 == 0 { 1.0 } else { 0.0 } - 1.0 / 36.0;
        assert!((product - expected).abs() < 1e-4, "{at}: {product}");
    }
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let model = golden("bert");
    let own = model.config();
    for (sizes, said) in [
        ((3, 48, 96), "3 layers are more than the 2 of the model"),
        ((2, 60, 96), "60 hidden units are more than the 48"),
        ((2, 48, 97), "97 feed-forward neurons are more than the 96"),
        (
            (2, 40, 96),
            "40 hidden units are no whole number of attention heads, which have 12 each",
        ),
        ((2, 0, 96), "0 hidden units are no whole number"),
        ((2, 48, 0), "intermediate_size is 0"),
    ] {
        let error = own
            .sliced(sizes.0, sizes.1, sizes.2)
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{error}");
    }
    let electra = golden("electra").config().sliced(1, 32, 1).unwrap_err();
    assert!(
        electra
            .to_string()
            .contains("embeddings of 16 that a projection widens to 32"),
        "{electra}"
    );
    let config = own.sliced(1, 24, 50).unwrap();
    let refused = |config: &ModelConfig, layers: &[usize], text: &[Batch]| {
        model.sliced(config, layers, text).unwrap_err().to_string()
    };
    let mut labels = config.clone();
    labels.id2label.pop();
    let mut heads = config.clone();
    heads.num_attention_heads = 4;
    let two = own.sliced(2, 24, 50).unwrap();
    let mut unknown = Batch::default();
    unknown.push([100_000]);
    for (said, config, layers, text) in [
        (
            "layers [2] cannot be kept: the model has 2",
            &config,
            &[2][..],
            &text()[..],
        ),
        ("layers [1, 0] cannot be kept", &two, &[1, 0], &text()),
        (
            "or has other sub-words, positions, heads, layers or labels",
            &labels,
            &[0],
            &text(),
        ),
        (
            "or has other sub-words, positions, heads, layers or labels",
            &heads,
            &[0],
            &text(),
        ),
        (
            "or has other sub-words, positions, heads, layers or labels",
            &two,
            &[0],
            &text(),
        ),
        ("no text to tell by", &config, &[0], &[]),
        ("100000", &config, &[0], &[unknown]),
    ] {
        let error = refused(config, layers, text);
        assert!(error.contains(said), "{error}");
    }
}
