#![allow(clippy::unwrap_used)]

use ner_model::{DeviceChoice, Logits};

use super::*;

const LABELS: usize = 4;
const HIDDEN: usize = 3;
const LAYERS: usize = 2;
/// Numbers that a teacher's hidden states of a word have.
const STATES: usize = LAYERS * HIDDEN;

/// Numbers between -2 and 2.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 22) - 2.0
    };
    (0..count).map(|_| next()).collect()
}

fn floats(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

fn softmax(logits: &[f64], temperature: f64) -> Vec<f64> {
    let powers: Vec<f64> = logits.iter().map(|z| (z / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// Sentences of two, three and no words, the first with gold labels; each word is two sub-words, and the last sentence has a target that is none.
fn features() -> Vec<Feature> {
    let feature = |sentence: usize, words: usize, labels: &[u32]| {
        let mut on_subwords = vec![None; 2 * words + 1];
        for (word, &label) in labels.iter().enumerate() {
            on_subwords[1 + 2 * word] = Some(label);
        }
        Feature {
            sentence,
            ids: vec![5; 2 * words + 1],
            words: 0..words,
            first_subwords: (0..words).map(|word| 1 + 2 * word).collect(),
            labels: on_subwords,
        }
    };
    vec![
        feature(0, 2, &[1, 3]),
        feature(1, 3, &[]),
        feature(2, 0, &[]),
    ]
}

const ROWS: usize = 6; // five words and a target that is none

fn distillation(settings: DistillSettings, teacher: &[f64], states: &[f64]) -> Distillation {
    let labels = (0..LABELS).map(|label| format!("L{label}")).collect();
    let logits = |words: std::ops::Range<usize>| {
        let rows = &teacher[words.start * LABELS..words.end * LABELS];
        Logits::new(floats(rows), LABELS)
    };
    let targets = SoftTargets::new(labels, &[logits(0..2), logits(2..5), logits(5..5)]);
    Distillation {
        settings,
        targets: targets
            .unwrap()
            .holding_hidden_states(LAYERS, STATES, floats(states)),
    }
}

/// The teacher's part in the loss, counted out in 64 bits. `values`: the student's logits, then its hidden states, layer after layer.
fn counted(settings: DistillSettings, teacher: &[f64], states: &[f64], values: &[f64]) -> f64 {
    let temperature = settings.distillation_temperature;
    let (logits, hidden) = values.split_at(ROWS * LABELS);
    let row = |word: usize, width: usize| word * width..(word + 1) * width;
    let of_words = (0..5).map(|word| {
        let p = softmax(&teacher[row(word, LABELS)], temperature);
        let q = softmax(&logits[row(word, LABELS)], temperature);
        let divergence: f64 = p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum();
        let weight = if word < 2 {
            1.0 - settings.gold_weight
        } else {
            1.0
        };
        let own = hidden.chunks_exact(ROWS * HIDDEN);
        let own = own.flat_map(|layer| &layer[row(word, HIDDEN)]);
        let pairs = own.zip(&states[row(word, STATES)]);
        let squares: f64 = pairs.map(|(a, b)| (a - b) * (a - b)).sum();
        weight * temperature * temperature * divergence
            + settings.hidden_loss_weight * squares / STATES as f64
    });
    of_words.sum::<f64>() / 5.0
}

#[test]
fn loss_and_gradients_are_those_of_the_formula_and_of_finite_differences() {
    let device = DeviceChoice::Flex.open().unwrap().autodiff();
    let features = features();
    let features: Vec<&Feature> = features.iter().collect();
    let teacher = numbers(5 * LABELS, 1);
    let states = numbers(5 * STATES, 2);
    let values = numbers(ROWS * (LABELS + STATES), 3);
    let tensor =
        |values: &[f64], columns: usize| table(&floats(values), columns, &device).require_grad();
    for (temperature, gold_weight, hidden_loss_weight) in [
        (1.0, 0.5, 0.0),
        (2.0, 0.5, 0.0),
        (4.0, 0.0, 0.75),
        (0.5, 1.0, 2.0),
    ] {
        let settings = DistillSettings {
            distillation_temperature: temperature,
            gold_weight,
            hidden_loss_weight,
        };
        let distillation = distillation(settings, &teacher, &states);
        let part = distillation.part(&features, 1.0 / word_count(&features));
        let part = part.unwrap();
        let learns = hidden_loss_weight > 0.0;
        assert_eq!(
            part.layers(5),
            [[3, 4].as_slice(), &[]][usize::from(!learns)]
        );
        let logits = tensor(&values[..ROWS * LABELS], LABELS);
        let hidden = values[ROWS * LABELS..].chunks_exact(ROWS * HIDDEN);
        let hidden: Vec<Tensor<2>> = hidden.map(|layer| tensor(layer, HIDDEN)).collect();
        let loss = part.loss(logits.clone(), hidden.clone());
        let expected = counted(settings, &teacher, &states, &values);
        let found = f64::from(loss.clone().into_scalar::<f32>());
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");

        let gradients = loss.backward();
        let of = |x: &Tensor<2>, gradients: &burn::tensor::Gradients| {
            let gradient = x.grad(gradients);
            gradient.map(|x| x.into_data().iter::<f64>().collect::<Vec<f64>>())
        };
        let of_logits = of(&logits, &gradients).unwrap();
        // dKL/dz · T² = T · (softmax(z / T) - p_T), of each word a fifth.
        for word in 0..5 {
            let row = word * LABELS..(word + 1) * LABELS;
            let p = softmax(&teacher[row.clone()], temperature);
            let q = softmax(&values[row.clone()], temperature);
            let weight = if word < 2 { 1.0 - gold_weight } else { 1.0 };
            for ((p, q), found) in p.iter().zip(&q).zip(&of_logits[row]) {
                let expected = weight * temperature * (q - p) / 5.0;
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
        let of_hidden = hidden
            .iter()
            .flat_map(|layer| of(layer, &gradients).unwrap_or(vec![0.0; ROWS * HIDDEN]));
        for (index, found) in of_logits.into_iter().chain(of_hidden).enumerate() {
            let at = |change: f64| {
                let mut values = values.clone();
                values[index] += change;
                counted(settings, &teacher, &states, &values)
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (found - expected).abs() < 1e-5,
                "{index}: {found} {expected}"
            );
        }
    }
}

#[test]
fn gold_labels_count_by_their_share_of_the_words() {
    let teacher = numbers(5 * LABELS, 1);
    let states = numbers(5 * STATES, 2);
    let features = features();
    let all: Vec<&Feature> = features.iter().collect();
    let with_weight = |gold_weight: f64| {
        let settings = DistillSettings {
            gold_weight,
            ..DistillSettings::default()
        };
        distillation(settings, &teacher, &states)
    };
    assert_eq!(with_weight(0.5).gold_share(&all), 0.5 * (2.0 / 5.0));
    assert_eq!(with_weight(0.5).gold_share(&all[1..]), 0.0);
    assert_eq!(with_weight(1.0).gold_share(&all[..1]), 1.0);
    // Where gold labels are all that counts there is no part for the teacher.
    assert_eq!(with_weight(1.0).part(&all[..1], 0.5), None);
    assert!(with_weight(1.0).part(&all, 0.2).is_some());
    assert_eq!(word_count(&all[2..]), 1.0);
}

#[test]
fn a_probability_too_small_for_a_number_is_no_trouble() {
    let features = features();
    let features: Vec<&Feature> = features[..1].iter().collect();
    let teacher = [0.0, 900.0, -900.0, 0.0].repeat(5);
    let distillation = distillation(
        DistillSettings::default(),
        &teacher,
        &numbers(5 * STATES, 2),
    );
    let part = distillation.part(&features, 0.5).unwrap();
    let device = DeviceChoice::Flex.open().unwrap();
    let logits = table(
        &[3.0, -800.0, 900.0, 0.0, 1.0, 1.0, 1.0, 1.0],
        LABELS,
        &device,
    );
    let loss = part.loss(logits.clone(), vec![logits]).into_scalar::<f32>();
    assert!(loss.is_finite(), "{loss}");
}

#[test]
fn an_ensemble_is_the_mean_of_its_probabilities_by_name() {
    let labels = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    let of = |names: [&str; 2], probabilities: [f32; 4]| {
        let logs: Vec<f32> = probabilities.iter().map(|p| p.ln()).collect();
        let sentences = [Logits::new(logs, 2), Logits::new(vec![], 2)];
        SoftTargets::new(labels(names), &sentences).unwrap()
    };
    let first = of(["O", "B-X"], [0.9, 0.1, 0.5, 0.5]);
    let second = of(["B-X", "O"], [0.5, 0.5, 0.25, 0.75]);
    let mean = SoftTargets::mean(vec![first.clone(), second.clone()]).unwrap();
    assert_eq!(
        (mean.labels(), mean.word_count()),
        (&*labels(["O", "B-X"]), 2)
    );
    for (word, expected) in [(0, [0.7, 0.3]), (1, [0.625, 0.375])] {
        for (log, expected) in mean.word(0, word).iter().zip(expected) {
            assert!((log.exp() - expected).abs() < 1e-6);
        }
    }
    assert_eq!(SoftTargets::mean(vec![first.clone()]).unwrap(), first);
    let other = of(["O", "B-Y"], [0.5; 4]);
    for (teachers, said) in [
        (vec![], "there is no teacher"),
        (
            vec![first.clone(), other],
            "the teacher's labels are O, B-Y, the first teacher's are O, B-X",
        ),
        (
            vec![
                first,
                SoftTargets::new(labels(["O", "B-X"]), &[Logits::new(vec![0.0; 4], 2)]).unwrap(),
            ],
            "other sentences",
        ),
    ] {
        let error = SoftTargets::mean(teachers).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(SoftTargets::new(labels(["O", "B-X"]), &[Logits::new(vec![0.0; 3], 3)]).is_err());
}
