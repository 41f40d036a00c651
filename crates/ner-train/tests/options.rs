//! Each number of a run decides what its documentation says; a setting that were read and forgotten would fail here.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use common::{golden, tokenizer};
use ner_model::{DeviceChoice, ModelConfig, TokenClassifier};
use ner_train::{
    BestMetric, Corpus, Event, Plan, PretokenizedSentence, Step, TrainSettings, Trainer, evaluate,
};

type Weights = BTreeMap<String, Vec<f32>>;

/// Word `number`, which is one sub-word.
fn word(number: usize) -> String {
    format!("a{}x", 5 + number % 175)
}

/// Word `number`, which is two sub-words.
fn long_word(number: usize) -> String {
    format!("{}b{}x", word(number), 180 + number % 120)
}

fn sentence(
    words: Vec<String>,
    tags: impl IntoIterator<Item = &'static str>,
) -> PretokenizedSentence {
    PretokenizedSentence {
        tags: tags.into_iter().map(str::to_owned).collect(),
        words,
        document: 0,
    }
}

/// Sentences of these lengths, whose words are all others.
fn sentences(lengths: &[usize]) -> Vec<PretokenizedSentence> {
    let mut words = 0..;
    let one = |&length: &usize| {
        let numbers: Vec<usize> = words.by_ref().take(length).collect();
        let tags = numbers
            .iter()
            .map(|number| ["O", "B-PER", "I-PER", "O", "B-LOC"][number % 5]);
        sentence(numbers.iter().copied().map(word).collect(), tags)
    };
    lengths.iter().map(one).collect()
}

/// In the data's order. With this epsilon AdamW's change grows with the gradient, where with the usual one it is nearly the learning rate
/// whatever the gradient is, be it rounding noise.
fn settings() -> TrainSettings {
    TrainSettings::default().with(|settings| {
        settings.data.batch_size = 4;
        settings.data.max_length = 40;
        settings.optimizer.learning_rate = RATE;
        settings.optimizer.adam_epsilon = EPSILON;
        settings.data.shuffle = false;
    })
}

const RATE: f64 = 0.01;
const EPSILON: f64 = 0.01;

/// What a run told and left. The golden model has no dropout.
struct Told {
    plan: Plan,
    steps: Vec<Step>,
    evaluations: Vec<Figures>,
    weights: Weights,
    model: TokenClassifier,
}

struct Figures {
    f1: f64,
    precision: f64,
    recall: f64,
    loss: f64,
    best: bool,
}

fn run(data: &[PretokenizedSentence], settings: &TrainSettings) -> Told {
    run_with_dev(data, &[], settings)
}

fn run_with_dev(
    data: &[PretokenizedSentence],
    dev: &[PretokenizedSentence],
    settings: &TrainSettings,
) -> Told {
    let out = tempfile::tempdir().unwrap();
    let config = ModelConfig::from_dir(&golden("bert")).unwrap();
    let device = DeviceChoice::Flex.open().unwrap().autodiff();
    let (model, _) = TokenClassifier::load(&golden("bert"), &config, &device, 0).unwrap();
    let (mut plan, mut steps, mut evaluations) = (None, Vec::new(), Vec::new());
    let observer = |event: Event<'_>| {
        match event {
            Event::Planned(told) => plan = Some(told.clone()),
            Event::Stepped(step) => steps.push(*step),
            Event::Evaluated {
                evaluation, best, ..
            } => {
                let micro = &evaluation.report.micro;
                evaluations.push(Figures {
                    f1: micro.f1,
                    precision: micro.precision,
                    recall: micro.recall,
                    loss: evaluation.loss,
                    best,
                });
            }
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let corpus = Corpus { train: data, dev };
    let model = Trainer::new(model, tokenizer(), out.path())
        .settings(settings.clone())
        .observer(observer)
        .fit(corpus);
    Told {
        model: model.unwrap(),
        plan: plan.unwrap(),
        steps,
        evaluations,
        weights: weights(out.path()),
    }
}

/// The tensors of a model directory.
fn weights(dir: &Path) -> Weights {
    let bytes = std::fs::read(dir.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| {
        data.chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect()
    };
    file.tensors()
        .into_iter()
        .map(|(name, view)| (name, values(view.data())))
        .collect()
}

/// Both values of every element.
fn pairs<'w>(a: &'w Weights, b: &'w Weights) -> impl Iterator<Item = (f32, f32)> + 'w {
    assert!(a.keys().eq(b.keys()));
    let tensors = a.values().zip(b.values());
    tensors.flat_map(|(a, b)| a.iter().copied().zip(b.iter().copied()))
}

/// The largest difference of any element.
fn distance(a: &Weights, b: &Weights) -> f64 {
    pairs(a, b).fold(0.0, |largest, (a, b)| {
        largest.max((f64::from(a) - f64::from(b)).abs())
    })
}

fn losses(told: &Told) -> Vec<f64> {
    told.steps.iter().map(|step| step.loss).collect()
}

#[test]
fn two_accumulated_passes_are_one_of_twice_the_size() {
    // All sentences have four words: the mean of two halves' means is the mean of the whole.
    let data = sentences(&[4; 8]);
    let with = |batch_size, gradient_accumulation_steps| {
        let settings = settings().with(|settings| {
            settings.schedule.max_steps = Some(3);
            settings.data.batch_size = batch_size;
            settings.data.gradient_accumulation_steps = gradient_accumulation_steps;
        });
        run(&data, &settings)
    };
    let (whole, halves, half) = (with(8, 1), with(4, 2), with(4, 1));
    assert_eq!(whole.plan, halves.plan);
    assert_eq!(
        [halves.plan.steps_per_epoch, half.plan.steps_per_epoch],
        [1, 2]
    );
    // Sums in another order differ in f32's last digits only; a step moves weights by up to the learning rate.
    for (a, b) in losses(&whole).into_iter().zip(losses(&halves)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let same = distance(&whole.weights, &halves.weights);
    assert!(same < 1e-5, "{same}");
    let other = distance(&whole.weights, &half.weights);
    assert!(other > RATE / 10.0, "{other}");
}

#[test]
fn grouping_by_length_decides_which_sequences_share_a_step() {
    let lengths: Vec<usize> = (0..32).map(|i| 2 + 5 * i % 32).collect();
    let data = sentences(&lengths);
    let random = settings().with(|settings| {
        settings.schedule.epochs = 1;
        settings.data.batch_size = 2;
        settings.data.shuffle = true;
    });
    let grouped = random
        .clone()
        .with(|settings| settings.data.group_by_length = true);
    let trained = [&random, &grouped].map(|settings| run(&data, settings));
    assert_eq!(trained[0].plan, trained[1].plan);
    assert!(distance(&trained[0].weights, &trained[1].weights) > RATE / 10.0);

    // A model that does not move has one loss for each sequence, and that of a step tells which two are in it.
    let idle = |settings: &TrainSettings| {
        settings
            .clone()
            .with(|settings| settings.optimizer.learning_rate = 0.0)
    };
    let alone = idle(&settings()).with(|settings| {
        settings.schedule.epochs = 1;
        settings.data.batch_size = 1;
    });
    let alone = losses(&run(&data, &alone));
    let steps = |settings: &TrainSettings| -> Vec<[usize; 2]> {
        let two = |loss: f64| {
            let all = (0..32).flat_map(|a| (0..a).map(move |b| [b, a]));
            let mut found = all.filter(|&[a, b]| {
                let (words_a, words_b) = (lengths[a] as f64, lengths[b] as f64);
                let mean = (alone[a] * words_a + alone[b] * words_b) / (words_a + words_b);
                (mean - loss).abs() < 3e-6 // a few of f32's last digits
            });
            let pair = found.next().unwrap();
            assert_eq!(found.next(), None, "two pairs have this loss");
            pair
        };
        losses(&run(&data, &idle(settings)))
            .into_iter()
            .map(two)
            .collect()
    };
    let [random, grouped] = [&random, &grouped].map(steps);
    let gap = |steps: &[[usize; 2]]| -> usize {
        let gaps = steps.iter().map(|&[a, b]| lengths[a].abs_diff(lengths[b]));
        gaps.sum()
    };
    for steps in [&random, &grouped] {
        let mut seen = steps.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..32).collect::<Vec<_>>(), "each sequence once");
    }
    // Pools of eight, sorted, have a third of the gaps of pairs by chance.
    assert!(2 * gap(&grouped) < gap(&random), "{grouped:?} {random:?}");
}

#[test]
fn further_subwords_carry_labels_when_asked_to() {
    let with = |data: &[PretokenizedSentence], label_all_tokens| {
        let settings = settings().with(|settings| {
            settings.schedule.epochs = 1;
            settings.loss.label_all_tokens = label_all_tokens;
        });
        run(data, &settings)
    };
    let tags = ["B-PER", "O", "B-LOC"];
    let of = |word: fn(usize) -> String| -> Vec<PretokenizedSentence> {
        let numbers = (0..8).map(|i| (3 * i..3 * i + 3).map(word).collect());
        numbers.map(|words| sentence(words, tags)).collect()
    };
    let long = of(long_word);
    let [first, all] = [false, true].map(|all| with(&long, all));
    assert_eq!(
        first.plan, all.plan,
        "a word counts once, whatever it is of"
    );
    assert_eq!(first.plan.subwords, 8 * (2 + 2 * 3));
    // The mean is over twice as many labels, half of them others.
    let (a, b) = (first.steps[0].loss, all.steps[0].loss);
    assert!((a - b).abs() > 1e-2, "{a} {b}");
    assert!(distance(&first.weights, &all.weights) > RATE / 10.0);

    let short = of(word);
    let [first, all] = [false, true].map(|all| with(&short, all));
    assert_eq!(losses(&first), losses(&all));
    assert_eq!(first.weights, all.weights);
}

#[test]
fn max_length_decides_how_many_sequences_sentences_make() {
    let data = sentences(&[20; 4]);
    let plan = |max_length| {
        let settings = settings().with(|settings| {
            settings.schedule.max_steps = Some(1);
            settings.data.max_length = max_length;
        });
        run(&data, &settings).plan
    };
    // 22 is 20 words of one sub-word each and the two special tokens.
    let lengths = [40, 22, 21, 12, 7];
    let plans = lengths.map(plan);
    let sequences = plans.clone().map(|plan| plan.sequences);
    assert_eq!(sequences[..3], [4, 4, 8]);
    assert!(sequences[2..].is_sorted_by(|a, b| a < b), "{sequences:?}");
    for (plan, max_length) in plans.iter().zip(lengths) {
        assert_eq!((plan.words, plan.labelled_words), (80, 80));
        assert!(plan.subwords <= plan.sequences * max_length, "{plan:?}");
        assert_eq!(plan.steps_per_epoch, plan.sequences.div_ceil(4));
    }
}

#[test]
fn gradients_are_scaled_down_to_the_norm_that_is_allowed() {
    const BOUND: f64 = 1e-3;
    let data = sentences(&[4; 8]);
    let with = |max_grad_norm, steps| {
        let settings = settings().with(|settings| {
            settings.schedule.max_steps = Some(steps);
            settings.optimizer.max_grad_norm = max_grad_norm;
        });
        run(&data, &settings)
    };
    let before = weights(&golden("bert"));
    let (free, clipped) = (with(0.0, 1), with(BOUND, 1));
    // What is told is the norm before clipping.
    let norm = free.steps[0].grad_norm;
    assert!(norm > 100.0 * BOUND, "{norm}");
    assert_eq!(clipped.steps[0].grad_norm, norm);
    // AdamW's first step moves an element by `rate * g / (g + epsilon)`, and no element is larger than the norm.
    let most = RATE * BOUND / (BOUND + EPSILON);
    let moved = distance(&before, &clipped.weights);
    assert!(moved < 1.01 * most && moved > most / 100.0, "{moved}");
    assert!(distance(&before, &free.weights) > 5.0 * most);

    // A bound that no norm reaches changes nothing, one that each exceeds changes all the way.
    let (free, clipped, loose) = (with(0.0, 3), with(BOUND, 3), with(1e3, 3));
    assert!(free.steps.iter().all(|step| step.grad_norm < 1e3));
    assert_eq!(free.weights, loose.weights);
    assert!(distance(&free.weights, &clipped.weights) > RATE);
    assert!(free.steps[2].loss < clipped.steps[2].loss);
}

#[test]
fn epsilon_is_added_to_what_divides_the_gradient() {
    const LARGER: f64 = 0.1;
    let data = sentences(&[4; 4]);
    let before = weights(&golden("bert"));
    let after = |adam_epsilon| {
        let settings = settings().with(|settings| {
            settings.schedule.max_steps = Some(1);
            settings.optimizer.adam_epsilon = adam_epsilon;
        });
        run(&data, &settings).weights
    };
    let (usual, small, large) = (after(1e-8), after(EPSILON), after(LARGER));
    // Without epsilon the first step moves an element by the learning rate.
    let most = distance(&before, &usual);
    assert!((most / RATE - 1.0).abs() < 1e-2, "{most}");
    // With it, by `rate * g / (g + epsilon)`: from one epsilon's change follow the gradient, and another's change.
    let all = pairs(&before, &small).zip(pairs(&before, &large));
    for ((old, small), (_, large)) in all {
        let [small, large] = [small, large].map(|new| f64::from(new - old).abs());
        let gradient = small * EPSILON / (RATE - small);
        let expected = RATE * gradient / (gradient + LARGER);
        // Weights of about 1 are exact to 1e-7, which is 1e-5 of the learning rate.
        assert!((large - expected).abs() < 1e-3 * RATE, "{large} {expected}");
        assert!(large <= small + 1e-6, "{large} {small}");
    }
    assert!(distance(&before, &large) < 0.95 * distance(&before, &small));
}

#[test]
fn weight_decay_shrinks_weights_but_no_bias_and_no_layer_norm() {
    const DECAY: f64 = 10.0;
    let data = sentences(&[4; 4]);
    let before = weights(&golden("bert"));
    let after = |weight_decay| {
        let settings = settings().with(|settings| {
            settings.schedule.max_steps = Some(1);
            settings.optimizer.weight_decay = weight_decay;
        });
        run(&data, &settings).weights
    };
    let (plain, decayed) = (after(0.0), after(DECAY));
    let mut tensors = [0, 0];
    for (name, plain) in &plain {
        let (before, decayed) = (&before[name], &decayed[name]);
        let is_spared = name.ends_with(".bias") || name.contains("LayerNorm");
        tensors[usize::from(is_spared)] += 1;
        if is_spared {
            assert!(plain == decayed, "{name}");
            continue;
        }
        for ((before, plain), decayed) in before.iter().zip(plain).zip(decayed) {
            // Decoupled: the same change, and a tenth of the old value less. f32 rounds values of about 1 to 1e-7.
            let lost = f64::from(plain - decayed);
            let expected = RATE * DECAY * f64::from(*before);
            assert!((lost - expected).abs() < 1e-6, "{name}: {lost} {expected}");
        }
    }
    // Three embeddings, six matrices in each of two layers, the classifier; a bias beside each matrix, and five norms of two.
    assert_eq!(tensors, [3 + 2 * 6 + 1, 2 * 6 + 1 + 5 * 2]);
}

#[test]
fn eval_batch_size_decides_the_reported_loss_alone() {
    let data = sentences(&[4; 8]);
    // Of other lengths, so that means over batches are not the mean over all words, and with words that the training has not seen.
    let dev = sentences(&[7, 1, 2, 12, 3, 9, 5]);
    let told = |eval_batch_size| {
        let settings = settings().with(|settings| {
            settings.schedule.max_steps = Some(20);
            settings.evaluation.eval_steps = 20;
            settings.evaluation.eval_batch_size = eval_batch_size;
        });
        run_with_dev(&data, &dev, &settings)
    };
    let sizes = [1, 2, 3, 8];
    let told = sizes.map(told);

    let tagger = settings().tagger(told[0].model.clone(), tokenizer());
    let tagger = tagger.unwrap();
    let loss_of = |sentence: &PretokenizedSentence| {
        let alone = std::slice::from_ref(sentence);
        evaluate(&tagger, alone, 1, |_| {}).unwrap().loss
    };
    let sums: Vec<(f64, f64)> = dev
        .iter()
        .map(|sentence| {
            let words = sentence.words.len() as f64;
            (words * loss_of(sentence), words)
        })
        .collect();
    let mut seen: Vec<f64> = Vec::new();
    for (told, size) in told.iter().zip(sizes) {
        let means: Vec<f64> = sums
            .chunks(size)
            .map(|batch| {
                let total = |of: fn(&(f64, f64)) -> f64| batch.iter().map(of).sum::<f64>();
                total(|(loss, _)| *loss) / total(|(_, words)| *words)
            })
            .collect();
        let expected = means.iter().sum::<f64>() / means.len() as f64;
        let [found] = &told.evaluations[..] else {
            panic!("one evaluation")
        };
        // A sentence by itself and among others are rounded alike to f32's last digits.
        assert!((found.loss - expected).abs() < 1e-5, "{size}: {expected}");
        assert!(seen.iter().all(|other| (other - found.loss).abs() > 1e-3));
        seen.push(found.loss);
        assert_eq!(found.f1, told.evaluations[0].f1);
        assert!(found.f1 > 0.0 && found.f1 < 1.0, "{}", found.f1);
    }
}

#[test]
fn the_best_is_that_of_the_figure_asked_for() {
    const PHASE: usize = 60;
    let words: Vec<String> = (0..12).map(word).collect();
    let people = |count: usize| {
        let tags = (0..12).map(|i| if i < count { "B-PER" } else { "O" });
        sentence(words.clone(), tags)
    };
    // Of six people among twelve words the run is taught to see twelve, then one, then five.
    let phases = [12, 1, 5].map(|count| vec![people(count); PHASE]);
    let data = phases.concat();
    let dev = [people(6)];
    let told = |best_metric| {
        let settings = settings().with(|settings| {
            settings.schedule.epochs = 1;
            settings.data.batch_size = 1;
            settings.evaluation.eval_steps = PHASE;
            settings.evaluation.best_metric = best_metric;
            settings.optimizer.learning_rate = 0.05;
            settings.optimizer.adam_epsilon = 1e-8;
            // Only the classifier learns: twelve points of 48 numbers can be parted in any way, and the loss has no other minimum.
            settings.optimizer.freeze_embeddings = true;
            settings.optimizer.freeze_layers = 2;
        });
        run_with_dev(&data, &dev, &settings)
    };
    let bests = |metric, figure: fn(&Figures) -> f64, expected: [f64; 3]| -> Vec<bool> {
        let told = told(metric);
        for (found, expected) in told.evaluations.iter().map(figure).zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{metric}: {found}");
        }
        told.evaluations.iter().map(|found| found.best).collect()
    };
    let sixth = 1.0 / 6.0;
    let precision = bests(
        BestMetric::Precision,
        |found| found.precision,
        [0.5, 1.0, 1.0],
    );
    assert_eq!(
        precision,
        [true, true, false],
        "the same again is no better"
    );
    let recall = bests(
        BestMetric::Recall,
        |found| found.recall,
        [1.0, sixth, 5.0 * sixth],
    );
    assert_eq!(recall, [true, false, false]);
    let f1 = bests(
        BestMetric::F1,
        |found| found.f1,
        [2.0 / 3.0, 2.0 / 7.0, 10.0 / 11.0],
    );
    assert_eq!(f1, [true, false, true]);
    // Each phase leaves fewer words wrong, and a later one is less sure of them.
    let told = told(BestMetric::Loss);
    let losses: Vec<f64> = told.evaluations.iter().map(|found| found.loss).collect();
    assert!(losses.is_sorted_by(|a, b| a > b), "{losses:?}");
    assert!(told.evaluations.iter().all(|found| found.best));
}

#[test]
fn the_learning_rate_follows_its_schedule() {
    let data = sentences(&[4; 4]);
    let with = |learning_rate, warmup_steps, steps| {
        let settings = settings().with(|settings| {
            settings.schedule.max_steps = Some(steps);
            settings.optimizer.learning_rate = learning_rate;
            settings.schedule.warmup_steps = warmup_steps;
        });
        run(&data, &settings)
    };
    // Up in two steps, down to zero in the three that are left.
    for peak in [0.006, 0.012] {
        let rates = with(peak, 2, 5).steps;
        let shares = [0.0, 1.0 / 2.0, 1.0, 2.0 / 3.0, 1.0 / 3.0];
        assert_eq!(rates.len(), shares.len());
        for (step, share) in rates.iter().zip(shares) {
            let error = step.learning_rate - peak * share;
            assert!(error.abs() < 1e-12, "{step:?}, not {share} of {peak}");
        }
    }
    // The rates are those that weights move by.
    let before = weights(&golden("bert"));
    let still = with(0.006, 2, 1);
    assert_eq!(distance(&before, &still.weights), 0.0);
    let [once, twice] = [0.006, 0.012].map(|rate| distance(&before, &with(rate, 0, 1).weights));
    assert!((twice / once - 2.0).abs() < 1e-3, "{once} {twice}");
}
