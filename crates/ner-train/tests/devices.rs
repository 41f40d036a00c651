//! Several devices that share each batch train as one does.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "ndarray")]

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::{golden, tokenizer};
use ner_model::{DeviceChoice, Head, ModelConfig, TokenClassifier};
use ner_train::{
    Checkpoint, ClassWeights, Corpus, DataParallel, Error, Event, PretokenizedSentence,
    TrainSettings, Trainer,
};

const FLEX: &[DeviceChoice] = &[DeviceChoice::Flex];
const BOTH: &[DeviceChoice] = &[DeviceChoice::Flex, DeviceChoice::NdArray];

/// Sentences of 1 to 14 words: the last batch of 10 has one of them, fewer than there are devices.
fn sentences() -> Vec<PretokenizedSentence> {
    common::sentences((0..21).map(|i| 1 + (i * i + 3 * i) % 14))
}

fn settings() -> TrainSettings {
    TrainSettings::default().with(|settings| {
        settings.schedule.max_steps = Some(20);
        settings.data.batch_size = 10;
        settings.data.max_length = 12;
        settings.optimizer.learning_rate = 1e-3;
        settings.optimizer.weight_decay = 0.01;
    })
}

struct Run<'a> {
    out: &'a Path,
    settings: TrainSettings,
    devices: &'a [DeviceChoice],
    dropout: f64,
    head: Head,
    resume: Option<Checkpoint>,
    stop_at: Option<usize>,
}

impl<'a> Run<'a> {
    fn new(out: &'a Path, settings: TrainSettings, devices: &'a [DeviceChoice]) -> Self {
        Self {
            out,
            settings,
            devices,
            dropout: 0.0,
            head: Head::Linear,
            resume: None,
            stop_at: None,
        }
    }

    /// Loss and gradient norm of each step until the end or the stop.
    fn steps(&self) -> Vec<[f64; 2]> {
        let tokenizer = tokenizer();
        let dir = match &self.resume {
            Some(checkpoint) => checkpoint.dir.clone(),
            None => golden("bert"),
        };
        let mut config = ModelConfig::from_dir(&dir).unwrap();
        config.head = self.head;
        config.set_dropout(self.dropout).unwrap();
        let mut devices = self.devices.iter().map(|device| device.open().unwrap());
        let device = devices.next().unwrap().autodiff();
        let (model, _) = TokenClassifier::load(&dir, &config, &device, 0).unwrap();
        let model = DataParallel::new(model, devices.collect()).unwrap();
        let data = sentences();
        let corpus = Corpus {
            train: &data,
            dev: &data[..3],
        };
        let mut steps = Vec::new();
        let observer = |event: Event<'_>| match event {
            Event::Stepped(step) => {
                steps.push([step.loss, step.grad_norm]);
                if Some(step.step) == self.stop_at {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            }
            _ => ControlFlow::Continue(()),
        };
        let mut trainer = Trainer::new(model, tokenizer, self.out)
            .settings(self.settings.clone())
            .observer(observer);
        if let Some(checkpoint) = self.resume.clone() {
            trainer = trainer.from_checkpoint(checkpoint);
        }
        let trained = trainer.fit(corpus);
        assert!(
            matches!(&trained, Ok(_) | Err(Error::Stopped { .. })),
            "{trained:?}"
        );
        steps
    }
}

/// Two devices and one take the same steps.
fn assert_alike(settings: &TrainSettings, head: Head) {
    let out = tempfile::tempdir().unwrap();
    let steps = |devices| {
        let run = Run::new(out.path(), settings.clone(), devices);
        Run { head, ..run }.steps()
    };
    let (one, two) = (steps(FLEX), steps(BOTH));
    assert_eq!((one.len(), two.len()), (20, 20));
    let differences = one.iter().flatten().zip(two.iter().flatten());
    let largest = differences.fold(0.0, |largest: f64, (a, b)| largest.max((a - b).abs()));
    assert!(largest < 1e-4, "{largest}: {one:?} {two:?}");
    assert_ne!(one, two, "sums of parts are rounded elsewhere");
    assert!(one[19][0] < 0.9 * one[0][0], "it learns nothing: {one:?}");
}

fn class_weights(weights: &[(&str, f64)]) -> TrainSettings {
    let weights = weights.iter().map(|(label, x)| ((*label).to_owned(), *x));
    settings().with(|settings| settings.loss.class_weights = ClassWeights::Given(weights.collect()))
}

#[test]
fn two_devices_train_as_one() {
    assert_alike(&settings(), Head::Linear);
}

#[test]
fn two_devices_train_as_one_with_accumulation() {
    let accumulating = settings().with(|settings| {
        settings.data.batch_size = 4;
        settings.data.gradient_accumulation_steps = 3;
    });
    assert_alike(&accumulating, Head::Linear);
}

#[test]
fn two_devices_train_as_one_with_class_weights() {
    let weighted = class_weights(&[("O", 0.2), ("B-PER", 3.0), ("B-LOC", 0.0)]);
    assert_alike(&weighted, Head::Linear);
    // A sentence of one word, on a device by itself, whose label counts for nothing but in what smoothing gives the others.
    let smoothed = class_weights(&[("O", 0.0), ("B-LOC", 2.0)]).with(|settings| {
        settings.loss.label_smoothing = 0.2;
        settings.data.batch_size = 2;
        settings.data.group_by_length = true;
    });
    assert_alike(&smoothed, Head::Linear);
}

#[test]
fn two_devices_train_as_one_with_frozen_parts_and_every_subword_labelled() {
    let frozen = settings().with(|settings| {
        settings.optimizer.freeze_embeddings = true;
        settings.optimizer.freeze_layers = 1;
        settings.loss.label_all_tokens = true;
    });
    assert_alike(&frozen, Head::Linear);
}

#[test]
fn two_devices_train_a_crf_as_one() {
    assert_alike(&settings(), Head::Crf);
}

#[test]
fn a_run_on_two_devices_resumes_to_the_same_bits() {
    let out = tempfile::tempdir().unwrap();
    let weights = |name: &str| {
        let path = out.path().join(name).join("model.safetensors");
        std::fs::read(path).unwrap()
    };
    let run = |dir: &Path, devices, resume, stop_at| {
        let run = Run::new(dir, settings(), devices);
        let run = Run {
            dropout: 0.1,
            resume,
            stop_at,
            ..run
        };
        run.steps()
    };
    let [whole, stopped, one] = ["whole", "stopped", "one"].map(|name| out.path().join(name));
    let steps = run(&whole, BOTH, None, None);
    assert_eq!(run(&stopped, BOTH, None, Some(11)), steps[..11]);
    let checkpoint = Checkpoint::open(&stopped).unwrap();
    let rest = run(&stopped, BOTH, Some(checkpoint.clone()), None);
    assert_eq!(rest, steps[11..]);
    assert!(weights("whole") == weights("stopped"));

    // Dropout of the second device is another than that of one device; a checkpoint may go on with either.
    let first = run(&one, FLEX, None, Some(1))[0];
    assert!((first[0] - steps[0][0]).abs() > 1e-4, "{first:?} {steps:?}");
    let on_one = run(&one, FLEX, Some(checkpoint), None);
    assert_eq!(on_one.len(), 9);
    assert!(
        (on_one[0][0] - steps[11][0]).abs() > 1e-4,
        "{on_one:?} {steps:?}"
    );
}
