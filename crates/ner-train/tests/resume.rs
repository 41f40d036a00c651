//! A run that stops and goes on ends with the weights of one that never stopped.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use common::golden;
use ner_model::{DeviceChoice, ModelConfig, Precision, TokenClassifier};
use ner_train::{Checkpoint, Corpus, Error, Event, PretokenizedSentence, TrainSettings, Trainer};
use subword_align::SubwordTokenizer;

/// The golden BERT with dropout and its tokenizer.
fn initial(dir: &Path) -> PathBuf {
    let model = dir.join("initial");
    fs::create_dir(&model).unwrap();
    fs::copy(golden("vocab.txt"), model.join("vocab.txt")).unwrap();
    let weights = "model.safetensors";
    fs::copy(golden("bert").join(weights), model.join(weights)).unwrap();
    let mut config = ModelConfig::from_dir(&golden("bert")).unwrap();
    config.set_dropout(0.1).unwrap();
    config.save(&model).unwrap();
    model
}

fn sentences() -> Vec<PretokenizedSentence> {
    common::sentences((0..23).map(|i| 3 + i % 5))
}

fn settings() -> TrainSettings {
    TrainSettings::default().with(|settings| {
        settings.schedule.epochs = 4;
        settings.data.batch_size = 4;
        settings.data.max_length = 40;
        settings.optimizer.learning_rate = 1e-3;
        settings.schedule.warmup_steps = 3;
        settings.optimizer.weight_decay = 0.01;
        settings.output.logging_steps = 2;
    })
}

/// Trains until `stop_at`, or to the end; returns the logged rows.
fn run(
    model_dir: &Path,
    out: &Path,
    settings: &TrainSettings,
    resume: Option<&Checkpoint>,
    stop_at: Option<usize>,
) -> Result<BTreeMap<usize, f64>, Error> {
    let device = DeviceChoice::Flex.open().unwrap().autodiff();
    let tokenizer = SubwordTokenizer::from_dir(model_dir, None).unwrap();
    let config = ModelConfig::from_dir(model_dir).unwrap();
    let (model, _) = TokenClassifier::load(model_dir, &config, &device, 0).unwrap();
    let data = sentences();
    let corpus = Corpus {
        train: &data,
        dev: &data[..5],
    };
    let mut rows = BTreeMap::new();
    let observer = |event: Event<'_>| match event {
        Event::Logged(step) => {
            rows.insert(step.step, step.loss);
            ControlFlow::Continue(())
        }
        Event::Stepped(step) if Some(step.step) == stop_at => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let mut trainer = Trainer::new(model, tokenizer, out)
        .settings(settings.clone())
        .observer(observer);
    if let Some(checkpoint) = resume {
        trainer = trainer.from_checkpoint(checkpoint.clone());
    }
    trainer.fit(corpus)?;
    Ok(rows)
}

fn weights(out: &Path) -> Vec<u8> {
    fs::read(out.join("model.safetensors")).unwrap()
}

#[test]
fn stopping_anywhere_changes_no_bit() {
    stop_and_go_on(&settings(), &[1, 5, 6, 7, 12, 17, 24]);
}

#[test]
fn stopping_anywhere_changes_no_bit_of_averaged_weights() {
    // The last eight of 24 steps.
    let averaged = settings().with(|settings| settings.schedule.average_weights = 0.33);
    stop_and_go_on(&averaged, &[3, 16, 17, 21, 24]);
}

#[test]
fn stopping_anywhere_changes_no_bit_in_bf16() {
    let device = DeviceChoice::Flex.open().unwrap();
    let config = ModelConfig::from_dir(&golden("bert")).unwrap();
    let model = TokenClassifier::init(&config, &device, 0);
    if model.with_precision(Precision::Bf16).is_err() {
        return; // this processor does not multiply bf16
    }
    let bf16 = settings().with(|settings| settings.precision = Precision::Bf16);
    stop_and_go_on(&bf16, &[5, 12, 17]);
}

fn stop_and_go_on(settings: &TrainSettings, stops: &[usize]) {
    let dir = tempfile::tempdir().unwrap();
    let initial = initial(dir.path());
    let whole = dir.path().join("whole");
    let rows = run(&initial, &whole, settings, None, None).unwrap();
    let steps = 24; // 23 sentences in batches of 4, four times
    assert_eq!(rows.len(), steps / 2);
    // In the middle of an epoch, at the ends of epochs, between rows of the log, and at the last step.
    for &stop in stops {
        let out = dir.path().join(format!("stopped-{stop}"));
        let stopped = run(&initial, &out, settings, None, Some(stop)).unwrap_err();
        assert!(
            matches!(stopped, Error::Stopped { step, .. } if step == stop),
            "{stopped}"
        );
        let checkpoint = Checkpoint::open(&out).unwrap();
        assert_eq!(checkpoint.state.step, stop);
        let more = run(&checkpoint.dir, &out, settings, Some(&checkpoint), None).unwrap();
        assert_eq!(weights(&out), weights(&whole), "stopped at {stop}");
        assert_eq!(
            weights(&out.join("best")),
            weights(&whole.join("best")),
            "stopped at {stop}"
        );
        for (step, loss) in more {
            assert_eq!(
                loss.to_bits(),
                rows[&step].to_bits(),
                "row {step}, stopped at {stop}"
            );
        }
    }
}

#[test]
fn the_latest_sound_checkpoint_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let initial = initial(dir.path());
    let out = dir.path().join("out");
    let saving = settings().with(|settings| settings.output.save_steps = 5);
    run(&initial, &out, &saving, None, None).unwrap();
    assert_eq!(Checkpoint::open(&out).unwrap().state.step, 20);
    assert_eq!(
        Checkpoint::open(&out.join("checkpoint-10"))
            .unwrap()
            .state
            .step,
        10
    );

    // One file damaged, one missing, one never finished.
    let optimizer = out.join("checkpoint-20/optimizer.safetensors");
    let mut bytes = fs::read(&optimizer).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&optimizer, bytes).unwrap();
    fs::remove_file(out.join("checkpoint-15/model.safetensors")).unwrap();
    fs::create_dir(out.join("checkpoint-99")).unwrap();
    assert_eq!(Checkpoint::open(&out).unwrap().state.step, 10);

    for step in [5, 10] {
        fs::remove_dir_all(out.join(format!("checkpoint-{step}"))).unwrap();
    }
    let message = Checkpoint::open(&out).unwrap_err().to_string();
    for part in [
        "no sound checkpoint",
        "optimizer.safetensors is not as it was written",
        "model.safetensors is missing",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let initial = initial(dir.path());
    let out = dir.path().join("out");
    run(&initial, &out, &settings(), None, Some(3)).unwrap_err();
    let checkpoint = Checkpoint::open(&out).unwrap();
    let other = settings().with(|settings| settings.optimizer.learning_rate = 2e-3);
    let message = run(&checkpoint.dir, &out, &other, Some(&checkpoint), None)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("learning_rate was 0.001, is 0.002"),
        "{message}"
    );
    let mut foreign = checkpoint.clone();
    foreign.state.data = String::new();
    let message = run(&checkpoint.dir, &out, &settings(), Some(&foreign), None)
        .unwrap_err()
        .to_string();
    assert!(message.contains("other training data"), "{message}");
    // What only decides what is said may differ.
    let quieter = settings().with(|settings| settings.output.logging_steps = 7);
    run(&checkpoint.dir, &out, &quieter, Some(&checkpoint), None).unwrap();
}

#[test]
fn only_the_latest_checkpoints_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let initial = initial(dir.path());
    let out = dir.path().join("out");
    let saving = settings().with(|settings| {
        settings.output.save_steps = 4;
        settings.output.save_total_limit = Some(2);
    });
    run(&initial, &out, &saving, None, None).unwrap();
    let kept: Vec<bool> = [4, 8, 12, 16, 20, 24]
        .map(|step| out.join(format!("checkpoint-{step}")).exists())
        .to_vec();
    assert_eq!(kept, [false, false, false, false, true, true]);
}

/// A run that learns nothing has its best evaluation first, and ends when patience does; taken up in between, it ends at the same place.
#[test]
fn patience_ends_a_run_that_gains_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let initial = initial(dir.path());
    let idle = settings().with(|settings| {
        settings.optimizer.learning_rate = 0.0;
        settings.schedule.epochs = 9;
        settings.output.logging_steps = 6;
        settings.evaluation.early_stopping_patience = Some(2);
    });
    let out = dir.path().join("out");
    let rows = run(&initial, &out, &idle, None, None).unwrap();
    assert_eq!(
        rows.into_keys().collect::<Vec<_>>(),
        [6, 12, 18],
        "three epochs of six steps"
    );

    let out = dir.path().join("stopped");
    run(&initial, &out, &idle, None, Some(13)).unwrap_err();
    let checkpoint = Checkpoint::open(&out).unwrap();
    let rows = run(&checkpoint.dir, &out, &idle, Some(&checkpoint), None).unwrap();
    assert_eq!(rows.into_keys().collect::<Vec<_>>(), [18]);

    // In the middle of an epoch: evaluations after steps 4, 8 and 12 end the run at 12 wherever it is taken up, that step included.
    let often = idle.with(|settings| {
        settings.evaluation.eval_steps = 4;
        settings.output.save_steps = 4;
        settings.output.logging_steps = 1;
    });
    let out = dir.path().join("often");
    let rows = run(&initial, &out, &often, None, None).unwrap();
    assert_eq!(rows.into_keys().max(), Some(12));
    let last = Checkpoint::open(&out.join("checkpoint-12")).unwrap();
    let rows = run(&last.dir, &out, &often, Some(&last), None).unwrap();
    assert!(rows.is_empty(), "{rows:?}");
    let out = dir.path().join("often-stopped");
    run(&initial, &out, &often, None, Some(12)).unwrap_err();
    let stopped = Checkpoint::open(&out).unwrap();
    let rows = run(&stopped.dir, &out, &often, Some(&stopped), None).unwrap();
    assert!(rows.is_empty(), "{rows:?}");
}

#[test]
fn a_share_of_warm_up_is_that_of_all_steps() {
    let dir = tempfile::tempdir().unwrap();
    let initial = initial(dir.path());
    let with = |name: &str, settings: &TrainSettings| {
        let out = dir.path().join(name);
        run(&initial, &out, settings, None, None).unwrap();
        weights(&out)
    };
    let ratio = settings().with(|settings| settings.schedule.warmup_ratio = Some(0.11));
    let steps = settings().with(|settings| settings.schedule.warmup_steps = 3); // 2.64 of 24, rounded up
    let none = settings().with(|settings| settings.schedule.warmup_steps = 0);
    assert_eq!(with("ratio", &ratio), with("steps", &steps));
    assert_ne!(with("ratio-again", &ratio), with("none", &none));
}

#[test]
fn a_loss_that_is_no_number_names_step_sentences_and_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let initial = initial(dir.path());
    let wild = settings().with(|settings| {
        settings.optimizer.learning_rate = 1e38;
        settings.schedule.warmup_steps = 3; // the first step changes nothing, the second everything
        settings.optimizer.max_grad_norm = 0.0;
        settings.output.save_steps = 1;
        settings.data.shuffle = false;
    });
    let out = dir.path().join("out");
    let error = run(&initial, &out, &wild, None, None).unwrap_err();
    let Error::Diverged {
        step,
        ref sentences,
        ref checkpoint,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(step, 3);
    let first = 4 * (step - 1) + 1;
    assert_eq!(*sentences, (first..first + 4).collect::<Vec<_>>());
    assert_eq!(*checkpoint, Some(out.join("checkpoint-1")));
    assert!(
        error.to_string().contains("the last good checkpoint is"),
        "{error}"
    );
}
