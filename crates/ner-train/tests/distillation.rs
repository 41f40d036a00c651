//! A student learns what its teacher says.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use common::{golden, tokenizer};
use ner_model::{DeviceChoice, Head, LayerView, ModelConfig, TokenClassifier};
use ner_tagger::{Decode, Tagger};
use ner_train::{
    Checkpoint, Corpus, DataParallel, DistillSettings, Distillation, Error, Event,
    PretokenizedSentence, SoftTargets, TrainSettings, Trainer,
};

/// The golden BERT with dropout and this head.
fn config(head: Head) -> ModelConfig {
    let mut config = ModelConfig::from_dir(&golden("bert")).unwrap();
    config.set_dropout(0.1).unwrap();
    config.head = head;
    config
}

/// The golden BERT, with weights of its own where it has none.
fn teacher(head: Head) -> Tagger {
    let device = DeviceChoice::Flex.open().unwrap();
    let (model, _) = TokenClassifier::load(&golden("bert"), &config(head), &device, 0).unwrap();
    let builder = Tagger::builder().decode(Decode::Argmax);
    builder.build(model, tokenizer()).unwrap()
}

/// Another model of the same labels and as wide, with these dropout and head.
fn student_with(dropout: f64, head: Head) -> TokenClassifier {
    let device = DeviceChoice::Flex.open().unwrap().autodiff();
    let mut config = ModelConfig::from_dir(&golden("roberta")).unwrap();
    config.set_dropout(dropout).unwrap();
    config.head = head;
    TokenClassifier::load(&golden("roberta"), &config, &device, 0)
        .unwrap()
        .0
}

fn student() -> TokenClassifier {
    student_with(0.1, Head::Linear)
}

fn tagged() -> Vec<PretokenizedSentence> {
    common::sentences((0..23).map(|i| 3 + i % 5))
}

/// The same without tags, but for the first ones.
fn partly_tagged() -> Vec<PretokenizedSentence> {
    let mut sentences = tagged();
    for sentence in &mut sentences[9..] {
        sentence.tags.clear();
    }
    sentences
}

fn settings() -> TrainSettings {
    TrainSettings::default().with(|settings| {
        settings.schedule.epochs = 2;
        settings.data.batch_size = 4;
        settings.data.max_length = 40;
        settings.optimizer.learning_rate = 1e-3;
        settings.output.logging_steps = 1;
    })
}

/// What a student learns.
struct Lesson {
    sentences: Vec<PretokenizedSentence>,
    settings: TrainSettings,
    distillation: Option<Distillation>,
}

impl Lesson {
    fn new(sentences: Vec<PretokenizedSentence>, settings: DistillSettings) -> Self {
        let targets = SoftTargets::of(&teacher(Head::Linear), &sentences, |_| {}).unwrap();
        Self {
            sentences,
            settings: self::settings(),
            distillation: Some(Distillation { settings, targets }),
        }
    }

    /// Trains on until the end, or until `stop_at`; losses of the steps.
    fn learn(
        &self,
        model: impl Into<DataParallel>,
        out: &Path,
        resume: Option<&Checkpoint>,
        stop_at: Option<usize>,
    ) -> Result<Vec<f64>, Error> {
        let mut losses = Vec::new();
        let observer = |event: Event<'_>| match event {
            Event::Stepped(step) => {
                losses.push(step.loss);
                match stop_at == Some(step.step) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            }
            _ => ControlFlow::Continue(()),
        };
        let mut trainer = Trainer::new(model, tokenizer(), out)
            .settings(self.settings.clone())
            .observer(observer);
        if let Some(distillation) = self.distillation.clone() {
            trainer = trainer.distillation(distillation);
        }
        if let Some(checkpoint) = resume {
            trainer = trainer.from_checkpoint(checkpoint.clone());
        }
        let dev = tagged();
        trainer.fit(Corpus {
            train: &self.sentences,
            dev: &dev[..5],
        })?;
        Ok(losses)
    }

    /// As [`learn`](Self::learn), from a checkpoint's own model.
    fn go_on(&self, checkpoint: &Checkpoint, out: &Path) -> Result<Vec<f64>, Error> {
        let device = DeviceChoice::Flex.open().unwrap().autodiff();
        let config = ModelConfig::from_dir(&checkpoint.dir).unwrap();
        let (model, _) = TokenClassifier::load(&checkpoint.dir, &config, &device, 0).unwrap();
        self.learn(model, out, Some(checkpoint), None)
    }

    fn refused(&self, model: TokenClassifier) -> String {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let error = self.learn(model, &out, None, None).unwrap_err();
        assert!(!out.exists());
        error.to_string()
    }
}

fn weights(out: &Path) -> Vec<u8> {
    fs::read(out.join("model.safetensors")).unwrap()
}

#[test]
fn with_gold_labels_alone_it_is_plain_training_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let gold_alone = DistillSettings {
        gold_weight: 1.0,
        ..DistillSettings::default()
    };
    let mut lesson = Lesson::new(tagged(), gold_alone);
    lesson.settings.loss.label_smoothing = 0.1;
    lesson.settings.data.gradient_accumulation_steps = 2;
    let [plain, distilled] = ["plain", "distilled"].map(|name| dir.path().join(name));
    let losses = lesson.learn(student(), &distilled, None, None);
    lesson.distillation = None;
    let expected = lesson.learn(student(), &plain, None, None);
    assert_eq!(losses.unwrap(), expected.unwrap());
    assert!(weights(&plain) == weights(&distilled));
}

#[test]
fn stopping_anywhere_changes_no_bit_and_another_lesson_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let own = DistillSettings {
        hidden_loss_weight: 0.5,
        ..DistillSettings::default()
    };
    let mut lesson = Lesson::new(partly_tagged(), own);
    let teacher = teacher(Head::Linear);
    let view = LayerView::last(teacher.model().config());
    let targets = SoftTargets::with_states(&teacher, &lesson.sentences, &view, |_| {}).unwrap();
    let distillation = Distillation {
        settings: own,
        targets,
    };
    lesson.distillation = Some(distillation.clone());
    let whole = dir.path().join("whole");
    let losses = lesson.learn(student(), &whole, None, None).unwrap();
    assert_eq!(losses.len(), 12);
    for stop in [1, 6, 7, 12] {
        let out = dir.path().join(format!("stopped-{stop}"));
        let stopped = lesson.learn(student(), &out, None, Some(stop));
        assert!(matches!(stopped, Err(Error::Stopped { step, .. }) if step == stop));
        let checkpoint = Checkpoint::open(&out).unwrap();
        assert_eq!(checkpoint.state.distillation, Some(own));
        let rest = lesson.go_on(&checkpoint, &out).unwrap();
        assert_eq!(rest, losses[stop..], "stopped at {stop}");
        assert!(weights(&out) == weights(&whole), "stopped at {stop}");
        let best = [&out, &whole].map(|dir| weights(&dir.join("best")));
        assert!(best[0] == best[1], "stopped at {stop}");
    }

    let checkpoint = Checkpoint::open(&dir.path().join("stopped-6")).unwrap();
    let again = dir.path().join("again");
    let mut refused = |distillation: Option<Distillation>| {
        lesson.distillation = distillation;
        let error = lesson.go_on(&checkpoint, &again).unwrap_err();
        assert!(!again.exists());
        error.to_string()
    };
    let warmer = DistillSettings {
        distillation_temperature: 3.0,
        ..own
    };
    let error = refused(Some(Distillation {
        settings: warmer,
        ..distillation.clone()
    }));
    assert!(
        error.contains("distillation_temperature was 2.0, is 3.0"),
        "{error}"
    );
    // Another teacher, a part of whose words are other.
    let sentences = partly_tagged();
    let mut others = sentences.clone();
    others[3].words.reverse();
    let targets = SoftTargets::with_states(&teacher, &others, &view, |_| {}).unwrap();
    let error = refused(Some(Distillation {
        settings: own,
        targets,
    }));
    assert!(error.contains("made with other training data"), "{error}");
    // No teacher; without one the sentences would have to have tags.
    let error = refused(None);
    assert!(error.contains("and 0 tags"), "{error}");
}

#[cfg(feature = "ndarray")]
#[test]
fn two_devices_distil_as_one_with_accumulation() {
    let dir = tempfile::tempdir().unwrap();
    let mut lesson = Lesson::new(partly_tagged(), DistillSettings::default());
    lesson.settings.data.gradient_accumulation_steps = 2;
    let run = |others: Vec<ner_model::Device>| {
        let model = DataParallel::new(student_with(0.0, Head::Linear), others).unwrap();
        lesson.learn(model, dir.path(), None, None).unwrap()
    };
    let one = run(vec![]);
    let two = run(vec![DeviceChoice::NdArray.open().unwrap()]);
    let differences = one.iter().zip(&two).map(|(a, b)| (a - b).abs());
    assert!(differences.fold(0.0, f64::max) < 1e-4, "{one:?} {two:?}");
    assert!(one[5] < 0.9 * one[0], "it learns nothing: {one:?}");
}

/// `--decode argmax` with a CRF gives each word's probability by forward-backward.
#[test]
fn soft_targets_are_probabilities_with_a_crf_posterior_ones() {
    let sentences = partly_tagged();
    let dir = tempfile::tempdir().unwrap();
    let mut lesson = Lesson::new(tagged(), DistillSettings::default());
    lesson.distillation = None;
    lesson.settings.optimizer.learning_rate = 0.05;
    let with_crf = lesson.learn(student_with(0.1, Head::Crf), dir.path(), None, None);
    with_crf.unwrap();
    let device = DeviceChoice::Flex.open().unwrap();
    let crf = ModelConfig::from_dir(dir.path()).unwrap();
    let (crf, _) = TokenClassifier::load(dir.path(), &crf, &device, 0).unwrap();
    let builder = Tagger::builder().decode(Decode::Argmax);
    for teacher in [
        teacher(Head::Linear),
        builder.build(crf, tokenizer()).unwrap(),
    ] {
        let targets = SoftTargets::of(&teacher, &sentences, |_| {}).unwrap();
        assert_eq!(
            targets.word_count(),
            sentences.iter().map(|s| s.words.len()).sum::<usize>()
        );
        for (number, tagged) in teacher.tag(&sentences).unwrap().iter().enumerate() {
            for (word, tag) in tagged.tags.iter().enumerate() {
                let of_labels = targets.probabilities(number, word);
                assert!((of_labels.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                let label = targets.labels().iter().position(|label| *label == tag.tag);
                assert!((of_labels[label.unwrap()] - tag.score).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let lesson = || Lesson::new(partly_tagged(), DistillSettings::default());
    let error = lesson().refused(student_with(0.1, Head::Crf));
    assert!(
        error.starts_with("head: a teacher teaches words"),
        "{error}"
    );

    let device = DeviceChoice::Flex.open().unwrap().autodiff();
    let mut other = config(Head::Linear);
    other.id2label[0] = "B-CITY".to_owned();
    let error = lesson().refused(TokenClassifier::init(&other, &device, 5));
    assert!(
        error.contains("the teacher's labels are B-LOC, ")
            && error.contains("the student's are B-CITY, "),
        "{error}"
    );

    let mut fewer = lesson();
    fewer.sentences.pop();
    let error = fewer.refused(student());
    assert!(error.contains("has read other sentences"), "{error}");

    let mut all_tokens = lesson();
    all_tokens.settings.loss.label_all_tokens = true;
    let error = all_tokens.refused(student());
    assert!(error.starts_with("label_all_tokens: "), "{error}");

    let mut unknown = lesson();
    unknown.sentences[2].tags[1] = "B-CITY".to_owned();
    let error = unknown.refused(student());
    assert!(
        error.starts_with("sentence 3, word 2: tag `B-CITY`"),
        "{error}"
    );

    for (weight, said) in [
        (0.5, "hidden states are those of one teacher"),
        (-1.0, "-1"),
    ] {
        let settings = DistillSettings {
            hidden_loss_weight: weight,
            ..DistillSettings::default()
        };
        let error = Lesson::new(partly_tagged(), settings).refused(student());
        assert!(
            error.starts_with("hidden_loss_weight: ") && error.contains(said),
            "{error}"
        );
    }
    let mut wide = Lesson::new(
        partly_tagged(),
        DistillSettings {
            hidden_loss_weight: 1.0,
            ..DistillSettings::default()
        },
    );
    let distillation = wide.distillation.take().unwrap();
    let teacher = teacher(Head::Linear);
    let view = LayerView::last(teacher.model().config());
    let targets = SoftTargets::with_states(&teacher, &wide.sentences, &view, |_| {});
    wide.distillation = Some(Distillation {
        targets: targets.unwrap(),
        ..distillation
    });
    let mut narrow = config(Head::Linear);
    narrow.hidden_size = 32;
    let error = wide.refused(TokenClassifier::init(&narrow, &device, 5));
    assert!(error.contains("are 48 wide, the student's 32"), "{error}");
    let mut few = config(Head::Linear);
    few.num_hidden_layers = 1;
    let view = LayerView {
        layers: vec![0, 1],
        ..view
    };
    wide.distillation = Some(Distillation {
        settings: DistillSettings {
            hidden_loss_weight: 1.0,
            ..DistillSettings::default()
        },
        targets: SoftTargets::with_states(&teacher, &wide.sentences, &view, |_| {}).unwrap(),
    });
    let error = wide.refused(TokenClassifier::init(&few, &device, 5));
    assert!(
        error.contains("hidden states after 2 layers, of which the student has 1"),
        "{error}"
    );
}
