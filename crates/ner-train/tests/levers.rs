//! Each setting of a run does what it says.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use common::{golden, tokenizer};
use ner_model::{DeviceChoice, Head, ModelConfig, TokenClassifier};
use ner_train::{
    BestMetric, Checkpoint, ClassWeights, Corpus, Event, PretokenizedSentence, TrainSettings,
    Trainer,
};

fn sentences() -> Vec<PretokenizedSentence> {
    common::sentences((0..20).map(|i| 3 + i % 5))
}

/// Two steps an epoch.
fn settings() -> TrainSettings {
    TrainSettings::default().with(|settings| {
        settings.schedule.max_steps = Some(1);
        settings.data.batch_size = 10;
        settings.data.max_length = 40;
        settings.optimizer.learning_rate = 1e-3;
    })
}

/// What a run told.
#[derive(Debug, Default, PartialEq)]
struct Told {
    losses: Vec<f64>,
    /// Step, figures (F1 and loss), and whether it was the best.
    evaluations: Vec<(usize, [f64; 2], bool)>,
}

fn run(out: &Path, settings: &TrainSettings, resume: Option<&Checkpoint>) -> Told {
    run_with(out, settings, resume, None).unwrap()
}

/// As [`run`], with another head on the model.
fn run_with(
    out: &Path,
    settings: &TrainSettings,
    resume: Option<&Checkpoint>,
    head: Option<Head>,
) -> Result<Told, ner_train::Error> {
    let data = sentences();
    let corpus = Corpus {
        train: &data,
        dev: &data[..7],
    };
    run_on(corpus, out, settings, resume, head)
}

/// As [`run_with`], on other data.
fn run_on(
    corpus: Corpus<'_>,
    out: &Path,
    settings: &TrainSettings,
    resume: Option<&Checkpoint>,
    head: Option<Head>,
) -> Result<Told, ner_train::Error> {
    let tokenizer = tokenizer();
    let device = DeviceChoice::Flex.open().unwrap().autodiff();
    let dir = resume.map_or(golden("bert"), |checkpoint| checkpoint.dir.clone());
    let mut config = ModelConfig::from_dir(&dir).unwrap();
    config.head = head.unwrap_or(config.head);
    let (model, _) = TokenClassifier::load(&dir, &config, &device, 0).unwrap();
    let mut told = Told::default();
    let observer = |event: Event<'_>| {
        match event {
            Event::Stepped(step) => told.losses.push(step.loss),
            Event::Evaluated {
                step,
                evaluation,
                best,
                ..
            } => told
                .evaluations
                .push((step, [evaluation.report.micro.f1, evaluation.loss], best)),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let mut trainer = Trainer::new(model, tokenizer, out)
        .settings(settings.clone())
        .observer(observer);
    if let Some(checkpoint) = resume {
        trainer = trainer.from_checkpoint(checkpoint.clone());
    }
    trainer.fit(corpus)?;
    Ok(told)
}

/// The tensors of a model directory.
fn tensors(dir: &Path) -> BTreeMap<String, Vec<f32>> {
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

/// The largest change of any element of the tensors whose name contains `part`.
fn largest_change(
    before: &BTreeMap<String, Vec<f32>>,
    after: &BTreeMap<String, Vec<f32>>,
    part: &str,
) -> f32 {
    let changes = after
        .iter()
        .filter(|(name, _)| name.contains(part))
        .flat_map(|(name, values)| values.iter().zip(&before[name]))
        .map(|(a, b)| (a - b).abs());
    changes.fold(0.0, f32::max)
}

const PARTS: [&str; 4] = ["embeddings", "layer.0.", "layer.1.", "classifier"];

/// The largest change of each of [`PARTS`] in one step.
fn changes(settings: &TrainSettings) -> [f32; 4] {
    let out = tempfile::tempdir().unwrap();
    run(out.path(), settings, None);
    let (before, after) = (tensors(&golden("bert")), tensors(out.path()));
    PARTS.map(|part| largest_change(&before, &after, part))
}

#[test]
fn the_head_has_a_learning_rate_of_its_own() {
    let equal = settings().with(|settings| settings.optimizer.head_learning_rate = Some(1e-3));
    assert_eq!(changes(&equal), changes(&settings()));
    let faster = settings().with(|settings| settings.optimizer.head_learning_rate = Some(4e-3));
    let (plain, faster) = (changes(&settings()), changes(&faster));
    // AdamW's first step moves each weight by its learning rate.
    assert_eq!(faster[..3], plain[..3]);
    assert!(
        (faster[3] / plain[3] - 4.0).abs() < 1e-2,
        "{faster:?} {plain:?}"
    );

    let impossible = settings().with(|settings| {
        settings.optimizer.learning_rate = 0.0;
        settings.optimizer.head_learning_rate = Some(1e-3);
    });
    let out = tempfile::tempdir().unwrap();
    let error = run_with(out.path(), &impossible, None, None).unwrap_err();
    assert!(error.to_string().contains("learning_rate"), "{error}");
}

#[test]
fn the_weights_of_the_last_steps_are_averaged() {
    let out = tempfile::tempdir().unwrap();
    let every_step = settings().with(|settings| {
        settings.schedule.max_steps = Some(5);
        settings.output.save_steps = 1;
    });
    run(out.path(), &every_step, None);
    let of_step = |step: usize| tensors(&out.path().join(format!("checkpoint-{step}")));
    // Three of five: half of them, rounded up.
    let last = [3, 4, 5].map(of_step);
    let averaged = tempfile::tempdir().unwrap();
    let half = settings().with(|settings| {
        settings.schedule.max_steps = Some(5);
        settings.schedule.average_weights = 0.5;
    });
    let told = run(averaged.path(), &half, None);
    for (name, values) in tensors(averaged.path()) {
        for (place, value) in values.iter().enumerate() {
            let mean = last.iter().map(|step| step[&name][place]).sum::<f32>() / 3.0;
            assert!((value - mean).abs() < 1e-6, "{name}: {value}, {mean}");
        }
    }
    // The mean is what evaluation sees, and training goes on from the last weights.
    let plain = tempfile::tempdir().unwrap();
    let plain_told = run(plain.path(), &every_step.clone(), None);
    assert_eq!(told.losses, plain_told.losses);
    let differs = |told: &Told| told.evaluations.last().unwrap().1[1].to_bits();
    assert_ne!(differs(&told), differs(&plain_told));
}

#[test]
fn frozen_parts_stay_and_the_others_move() {
    let moved = |settings| changes(&settings).map(|change| change > 0.0);
    assert_eq!(moved(settings()), [true; 4]);
    let embeddings = settings().with(|settings| settings.optimizer.freeze_embeddings = true);
    assert_eq!(moved(embeddings.clone()), [false, true, true, true]);
    let lower_half = embeddings.with(|settings| settings.optimizer.freeze_layers = 1);
    assert_eq!(moved(lower_half.clone()), [false, false, true, true]);
    let all_layers = lower_half.with(|settings| settings.optimizer.freeze_layers = 9);
    assert_eq!(moved(all_layers), [false, false, false, true]);
}

#[test]
fn the_learning_rate_falls_from_layer_to_layer() {
    // AdamW's first step moves an element by the learning rate.
    let decayed = changes(&settings().with(|settings| settings.optimizer.layer_decay = 0.5));
    for (change, factor) in decayed.into_iter().zip([0.125, 0.25, 0.5, 1.0]) {
        assert!((change / (1e-3 * factor) - 1.0).abs() < 0.01, "{decayed:?}");
    }
}

#[test]
fn smoothing_and_weights_change_the_loss() {
    let loss = |settings: &TrainSettings| {
        let out = tempfile::tempdir().unwrap();
        run(out.path(), settings, None).losses[0]
    };
    let plain = loss(&settings());
    let smoothed = settings().with(|settings| settings.loss.label_smoothing = 0.2);
    assert!((loss(&smoothed) - plain).abs() > 1e-3);
    let weighted = |labels: &[&str]| {
        settings().with(|settings| {
            let weights = labels.iter().map(|label| ((*label).to_owned(), 3.0));
            settings.loss.class_weights = ClassWeights::Given(weights.collect());
        })
    };
    assert!((loss(&weighted(&["O"])) - plain).abs() > 1e-3);
    // The mean is over the weights: where all labels of the data have the same, it is as without.
    let all = loss(&weighted(&["O", "B-PER", "I-PER", "B-LOC"]));
    assert!((all - plain).abs() < 1e-5, "{all} {plain}");
}

#[test]
fn evaluation_comes_when_asked_for_and_marks_the_best() {
    let every_three = settings().with(|settings| {
        settings.schedule.max_steps = Some(8);
        settings.evaluation.eval_steps = 3;
        settings.output.save_steps = 3;
        settings.optimizer.learning_rate = 0.02;
    });
    let out = tempfile::tempdir().unwrap();
    for metric in [BestMetric::F1, BestMetric::Loss] {
        let settings = every_three
            .clone()
            .with(|settings| settings.evaluation.best_metric = metric);
        let told = run(out.path(), &settings, None);
        let steps: Vec<usize> = told.evaluations.iter().map(|found| found.0).collect();
        assert_eq!(steps, [3, 6, 8]);
        let mut best = f64::NEG_INFINITY;
        for (_, [f1, loss], is_best) in &told.evaluations {
            let gain = if metric == BestMetric::F1 { *f1 } else { -loss };
            assert_eq!(*is_best, gain > best, "{told:?}");
            best = best.max(gain);
        }
        // A run that goes on after step 3 does not repeat its evaluation, and knows how good it was.
        let whole = tensors(out.path());
        let checkpoint = Checkpoint::open(&out.path().join("checkpoint-3")).unwrap();
        let resumed = run(out.path(), &settings, Some(&checkpoint));
        assert_eq!(resumed.evaluations, told.evaluations[1..]);
        assert_eq!(resumed.losses, told.losses[3..]);
        assert_eq!(tensors(out.path()), whole);
    }
    let each_epoch = settings().with(|settings| settings.schedule.max_steps = Some(5));
    let steps = run(out.path(), &each_epoch, None).evaluations;
    assert_eq!(
        steps.iter().map(|found| found.0).collect::<Vec<_>>(),
        [2, 4, 5]
    );
}

#[test]
fn a_crf_learns_which_label_follows_which() {
    let out = tempfile::tempdir().unwrap();
    let settings = settings().with(|settings| {
        settings.schedule.max_steps = Some(60);
        settings.optimizer.learning_rate = 0.01;
        settings.output.save_steps = 30;
    });
    let crf = |resume| run_with(out.path(), &settings, resume, Some(Head::Crf)).unwrap();
    let told = crf(None);
    let (_, [f1, loss], _) = told.evaluations[told.evaluations.len() - 1];
    assert!(f1 > 0.9 && loss < told.evaluations[0].1[1], "{told:?}");

    // In the data O is followed by B-PER, and never by itself.
    let config = ModelConfig::from_dir(out.path()).unwrap();
    assert_eq!(config.head, Head::Crf);
    let label = |name: &str| {
        config
            .id2label
            .iter()
            .position(|label| label == name)
            .unwrap()
    };
    let scores = &tensors(out.path())["crf.transitions"];
    let score = |from, to| scores[label(from) * config.id2label.len() + label(to)];
    assert!(score("O", "B-PER") > score("O", "O") + 0.1, "{scores:?}");

    // It is saved and resumed like the rest, to the same bits.
    let whole = tensors(out.path());
    let checkpoint = Checkpoint::open(&out.path().join("checkpoint-30")).unwrap();
    assert_eq!(crf(Some(&checkpoint)).losses, told.losses[30..]);
    assert_eq!(tensors(out.path()), whole);

    // What knows single words only is refused.
    let smoothed = settings
        .clone()
        .with(|settings| settings.loss.label_smoothing = 0.1);
    let refused = run_with(out.path(), &smoothed, None, Some(Head::Crf)).unwrap_err();
    assert!(
        refused.to_string().contains("linear head only"),
        "{refused}"
    );
}

/// Documents of two sentences: what the second one's word is, only the first one tells.
fn documents() -> Vec<PretokenizedSentence> {
    let sentence = |word: &str, tag: &str, document| PretokenizedSentence {
        words: vec![word.to_owned()],
        tags: vec![tag.to_owned()],
        document,
    };
    (0..10)
        .flat_map(|document| {
            let (first, tag) = [("a5x", "B-PER"), ("a6x", "B-LOC")][document % 2];
            [
                sentence(first, "O", document),
                sentence("a9x", tag, document),
            ]
        })
        .collect()
}

#[test]
fn document_context_tells_what_a_sentence_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings().with(|settings| {
        settings.schedule.max_steps = Some(60);
        settings.optimizer.learning_rate = 0.01;
        settings.output.save_steps = 30;
        settings.data.document_context = 4;
    });
    let train = |name: &str, data: &[PretokenizedSentence], settings: &TrainSettings| {
        let corpus = Corpus {
            train: data,
            dev: data,
        };
        let out = dir.path().join(name);
        let told = run_on(corpus, &out, settings, None, None).unwrap();
        (
            told.evaluations[told.evaluations.len() - 1].1[0],
            tensors(&out),
        )
    };
    let data = documents();
    let (f1, _) = train("context", &data, &settings);
    assert!(f1 > 0.99, "{f1}");
    let without = settings
        .clone()
        .with(|settings| settings.data.document_context = 0);
    let (f1, alone) = train("alone", &data, &without);
    assert!(f1 < 0.7, "{f1}");

    // Where every sentence is a document of its own there is no context to be had.
    let mut single = data.clone();
    (0..)
        .zip(&mut single)
        .for_each(|(number, sentence)| sentence.document = number);
    let (_, weights) = train("single", &single, &settings);
    assert_eq!(weights, alone);

    // The model says what it needs, and needs it.
    let out = dir.path().join("context");
    let config = ModelConfig::from_dir(&out).unwrap();
    assert_eq!(config.document_context, 4);
    let untold = ModelConfig::from_dir(&dir.path().join("alone")).unwrap();
    assert_eq!(untold.document_context, 0);
    let device = DeviceChoice::Flex.open().unwrap();
    let (model, _) = TokenClassifier::load(&out, &config, &device, 0).unwrap();
    let tags = |settings: &TrainSettings| -> Vec<String> {
        let tagger = settings.tagger(model.clone(), tokenizer()).unwrap();
        let tagged = tagger.tag(&data).unwrap().into_iter();
        let words = tagged.flat_map(|sentence| sentence.tags);
        words.map(|word| word.tag).collect()
    };
    let gold: Vec<String> = data
        .iter()
        .flat_map(|sentence| sentence.tags.clone())
        .collect();
    assert_eq!(tags(&settings), gold);
    assert_ne!(tags(&without), gold);

    // A run goes on with the context that it was begun with.
    let checkpoint = Checkpoint::open(&out.join("checkpoint-30")).unwrap();
    let corpus = Corpus {
        train: &data,
        dev: &data,
    };
    let whole = tensors(&out);
    let refused = run_on(corpus, &out, &without, Some(&checkpoint), None).unwrap_err();
    assert!(
        refused.to_string().contains("document_context was 4, is 0"),
        "{refused}"
    );
    run_on(corpus, &out, &settings, Some(&checkpoint), None).unwrap();
    assert_eq!(tensors(&out), whole);
}
