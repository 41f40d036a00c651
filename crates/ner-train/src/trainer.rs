//! The training loop.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use model_dir::{hex, replace_dir};
use ner_model::ops::LossWeights;
use ner_model::{Precision, TokenClassifier};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subword_align::SubwordTokenizer;

use crate::ahead::ahead;
use crate::checkpoint::{Checkpoint, TrainerState, take_back_unfinished};
use crate::error::{Error, Result};
use crate::evaluate::{Evaluation, evaluate};
use crate::features::{Feature, Sentence, continuations, label_ids};
use crate::optimizer::{AdamW, LayerRates};
use crate::order::EpochOrder;
use crate::parallel::{DataParallel, Passed, Passes, StepBatch, forward_backward};
use crate::saved::{BEST, save};
use crate::schedule::LinearSchedule;
use crate::settings::TrainSettings;

/// What a run will do, known before its first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Sentences of the training data.
    pub sentences: usize,
    /// Their words.
    pub words: usize,
    /// Words that carry loss: all of them, or the run would be lossy.
    pub labelled_words: usize,
    /// Sequences that the sentences make: more than sentences where some are too long and become windows.
    pub sequences: usize,
    /// Their sub-words, special tokens and context included.
    pub sub_words: usize,
    /// Words that the tokenizer has no sub-word for.
    pub unknown_words: usize,
    /// Optimizer steps an epoch.
    pub steps_per_epoch: usize,
    /// Optimizer steps of the run.
    pub total_steps: usize,
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Number of the step, from 1.
    pub step: usize,
    /// Epochs done, fractions included.
    pub epoch: f64,
    /// Loss of the step; in a log row, the mean since the last row.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
    /// Sub-words trained on a second; in a log row, since the last row.
    pub tokens_per_second: f64,
}

/// What happens in a run, for the caller to show or write.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Nothing can refuse the run any more, and nothing has been written yet.
    Planned(&'a Plan),
    /// A step is done.
    Stepped(&'a Step),
    /// A log row is due.
    Logged(&'a Step),
    /// Evaluation has seen so many sentences.
    Evaluating {
        /// Sentences seen.
        done: usize,
        /// Sentences in all.
        total: usize,
    },
    /// The development data is evaluated.
    Evaluated {
        /// Steps done.
        step: usize,
        /// Epochs done, fractions included.
        epoch: f64,
        /// What was found.
        evaluation: &'a Evaluation,
        /// Whether no earlier evaluation was as good.
        best: bool,
    },
    /// A model is saved.
    Saved {
        /// Its directory.
        dir: &'a Path,
    },
}

/// Training and development data.
#[derive(Clone, Copy, Debug)]
pub struct Corpus<'a> {
    /// Sentences to learn from.
    pub train: &'a [Sentence],
    /// Sentences to evaluate on.
    pub dev: &'a [Sentence],
}

/// Trains a model that lives on an autodiff device. Returns it, without autodiff, after its last step. A [`DataParallel`] model is trained on
/// several devices.
///
/// Saves the model with the best development figure to `output_dir/best`, a checkpoint every `save_steps` steps to `output_dir/checkpoint-N`, and
/// the last model to `output_dir`. `observer` hears of everything that happens and may stop the run before its first step, or after a
/// step, which leaves a checkpoint.
///
/// With `resume`, the run goes on where the checkpoint was made; `model` is then the checkpoint's. On a CPU device the weights come out as if
/// it had never stopped, bit for bit.
///
/// # Errors
/// Settings that cannot work, tags that are not labels, a checkpoint of other data or settings, a loss that is no number, files that cannot
/// be written, or a stop.
pub fn train(
    model: impl Into<DataParallel>,
    tokenizer: &SubwordTokenizer,
    corpus: Corpus<'_>,
    settings: &TrainSettings,
    output_dir: &Path,
    resume: Option<&Checkpoint>,
    observer: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<TokenClassifier> {
    settings.check()?;
    let DataParallel { mut model, others } = model.into();
    if settings.precision != Precision::F32 {
        model = model.with_precision(settings.precision)?;
    }
    let (features, plan) = prepare(&model, tokenizer, corpus.train, settings)?;
    label_ids(corpus.dev, &model.config().id2label)?;
    settings.check_head(model.config().head)?;
    settings.decoding.decoding(&model.valid())?;
    let loss_weights = settings
        .loss
        .weights(&model.config().id2label, corpus.train)?;
    let model = model
        .with_frozen(
            settings.optimizer.freeze_embeddings,
            settings.optimizer.freeze_layers,
        )
        .with_document_context(settings.data.document_context);
    let mut optimizer = AdamW::new(
        settings.optimizer.weight_decay,
        settings.optimizer.adam_epsilon,
        settings.optimizer.max_grad_norm,
    );
    optimizer.layer_rates = LayerRates {
        decay: settings.optimizer.layer_decay,
        layers: model.config().num_hidden_layers,
    };
    let mut run = Run {
        data: digest(&features),
        dev: digest_of_sentences(corpus.dev),
        optimizer,
        schedule: LinearSchedule {
            peak: settings.optimizer.learning_rate,
            warmup_steps: settings.schedule.warmup(plan.total_steps),
            total_steps: plan.total_steps,
        },
        log: LogWindow::new(),
        best: None,
        evaluations_without_gain: 0,
        evaluated: 0,
        step: 0,
        model,
        others,
        tokenizer,
        settings,
        output_dir,
        observer,
        plan,
    };
    if let Some(checkpoint) = resume {
        run.restore(checkpoint)?;
    }
    if (run.observer)(Event::Planned(&run.plan)).is_break() {
        return Err(Error::NotBegun);
    }
    take_back_unfinished(output_dir)?;
    // In another output directory than the checkpoint's there is no best model yet.
    run.best = run.best.filter(|_| output_dir.join(BEST).is_dir());
    let order = EpochOrder {
        step_size: settings.data.batch_size * settings.data.gradient_accumulation_steps,
        shuffle: settings.data.shuffle,
        group_by_length: settings.data.group_by_length,
        seed: settings.seed,
    };
    let passes = Passes {
        batch_size: settings.data.batch_size,
        devices: 1 + run.others.len(),
        head: run.model.config().head,
        loss_weights: &loss_weights,
    };
    let batches = batches(&features, order, passes, &run.plan, run.step);
    run.evaluate_if_due(corpus.dev)?; // the run may have stopped before that
    let run = thread::scope(|scope| -> Result<Run<'_>> {
        for batch in ahead(scope, batches) {
            if run.has_lost_patience() {
                break;
            }
            run = run.step(&batch, &loss_weights)?;
            run.evaluate_if_due(corpus.dev)?;
            run.save_if_due()?;
        }
        Ok(run)
    })?;
    let model = run.model.valid();
    save(&model, tokenizer, output_dir)?;
    let _ = (run.observer)(Event::Saved { dir: output_dir });
    Ok(model)
}

/// What each step learns from, packed as it is asked for, from the step after `done` to the last.
fn batches<'a>(
    features: &'a [Feature],
    order: EpochOrder,
    passes: Passes<'a>,
    plan: &Plan,
    done: usize,
) -> impl Iterator<Item = StepBatch> + Send + use<'a> {
    let lengths: Vec<usize> = features.iter().map(|feature| feature.ids.len()).collect();
    let (steps_per_epoch, last) = (plan.steps_per_epoch, plan.total_steps);
    let of_epochs = (done / steps_per_epoch..).flat_map(move |epoch| order.steps(&lengths, epoch));
    let steps = of_epochs.skip(done % steps_per_epoch);
    (done..last).zip(steps).map(move |(step, sequences)| {
        let sequences: Vec<&Feature> = sequences.iter().map(|&number| &features[number]).collect();
        passes.pack(&sequences, order.seed ^ ((step as u64) << 16))
    })
}

fn prepare(
    model: &TokenClassifier,
    tokenizer: &SubwordTokenizer,
    sentences: &[Sentence],
    settings: &TrainSettings,
) -> Result<(Vec<Feature>, Plan)> {
    let usable = model.config().usable_positions();
    if settings.data.max_length > usable {
        let reason = format!(
            "{} is more than the model's {usable} positions",
            settings.data.max_length
        );
        return Err(Error::Setting {
            name: "max_length",
            reason,
        });
    }
    let labels = label_ids(sentences, &model.config().id2label)?;
    let mut featurizer = settings.featurizer(tokenizer)?;
    if settings.loss.label_all_tokens {
        featurizer = featurizer.labelling_all(continuations(&model.config().id2label));
    }
    let features = featurizer.features(sentences, Some(&labels))?;
    if features.is_empty() {
        return Err(Error::NoData);
    }
    let unknown = tokenizer.unk_id();
    let steps_per_epoch = features
        .len()
        .div_ceil(settings.data.batch_size * settings.data.gradient_accumulation_steps);
    let plan = Plan {
        sentences: sentences.len(),
        words: sentences.iter().map(|sentence| sentence.words.len()).sum(),
        labelled_words: features
            .iter()
            .flat_map(|feature| {
                feature
                    .first_subwords
                    .iter()
                    .filter_map(|&place| feature.labels[place])
            })
            .count(),
        sequences: features.len(),
        sub_words: features.iter().map(|feature| feature.ids.len()).sum(),
        unknown_words: features
            .iter()
            .flat_map(|feature| {
                feature
                    .first_subwords
                    .iter()
                    .map(|&place| feature.ids[place])
            })
            .filter(|&id| Some(id) == unknown)
            .count(),
        steps_per_epoch,
        total_steps: settings
            .schedule
            .max_steps
            .unwrap_or(settings.schedule.epochs * steps_per_epoch),
    };
    Ok((features, plan))
}

/// SHA-256 of what the model learns from.
fn digest(features: &[Feature]) -> String {
    let mut digest = Sha256::new();
    for feature in features {
        digest.update((feature.ids.len() as u64).to_le_bytes());
        for (id, label) in feature.ids.iter().zip(&feature.labels) {
            digest.update(id.to_le_bytes());
            digest.update(label.map_or(u32::MAX, |label| label).to_le_bytes());
        }
    }
    hex(&digest.finalize())
}

/// SHA-256 of what the model is measured on while it learns.
fn digest_of_sentences(sentences: &[Sentence]) -> String {
    let mut digest = Sha256::new();
    for sentence in sentences {
        digest.update((sentence.words.len() as u64).to_le_bytes());
        digest.update((sentence.document as u64).to_le_bytes());
        for text in sentence.words.iter().chain(&sentence.tags) {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
    }
    hex(&digest.finalize())
}

struct Run<'a> {
    data: String,
    dev: String,
    model: TokenClassifier,
    /// Devices that compute beside the model's.
    others: Vec<Device>,
    tokenizer: &'a SubwordTokenizer,
    settings: &'a TrainSettings,
    output_dir: &'a Path,
    observer: &'a mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    plan: Plan,
    optimizer: AdamW,
    schedule: LinearSchedule,
    log: LogWindow,
    /// The best figure so far.
    best: Option<f64>,
    evaluations_without_gain: usize,
    /// The step after which the last evaluation was.
    evaluated: usize,
    step: usize,
}

impl Run<'_> {
    /// One optimizer step: forward and backward on each part of the batch, then AdamW.
    fn step(mut self, batch: &StepBatch, loss_weights: &LossWeights) -> Result<Self> {
        let started = Instant::now();
        let Passed {
            losses,
            sub_words,
            gradients,
        } = forward_backward(&self.model, &self.others, batch, loss_weights)?;
        let learning_rate = self.schedule.at(self.step);
        let ops = self.model.ops();
        let (model, grad_norm) = self
            .optimizer
            .step(self.model, gradients, learning_rate, &ops)?;
        self.model = model;
        let loss = Passed::loss(losses)?;
        if !loss.is_finite() {
            return Err(self.diverged("loss", loss, batch));
        }
        if !grad_norm.is_finite() {
            return Err(self.diverged("gradient norm", grad_norm, batch));
        }
        self.step += 1;

        let step = Step {
            step: self.step,
            epoch: self.step as f64 / self.plan.steps_per_epoch as f64,
            loss,
            learning_rate,
            grad_norm,
            tokens_per_second: sub_words as f64 / started.elapsed().as_secs_f64(),
        };
        let mut stop = (self.observer)(Event::Stepped(&step)).is_break();
        self.log.add(loss, sub_words);
        if self.step.is_multiple_of(self.settings.output.logging_steps) {
            stop |= (self.observer)(Event::Logged(&self.log.row(step))).is_break();
        }
        if stop {
            return Err(Error::Stopped {
                step: self.step,
                checkpoint: self.checkpoint()?,
            });
        }
        Ok(self)
    }

    /// Writes a checkpoint where the settings ask for one after this step.
    fn save_if_due(&mut self) -> Result<()> {
        let every = self.settings.output.save_steps;
        if every > 0 && self.step.is_multiple_of(every) {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// The step that is under way has made a figure that is no number.
    fn diverged(&self, figure: &'static str, value: f64, batch: &StepBatch) -> Error {
        let sentences = batch.sentences.iter().map(|sentence| sentence + 1);
        Error::Diverged {
            step: self.step + 1,
            figure,
            value,
            sentences: sentences.collect(),
            checkpoint: self.last_good_checkpoint(),
        }
    }

    /// The latest checkpoint of this run whose weights are not those that the present step fails with.
    fn last_good_checkpoint(&self) -> Option<PathBuf> {
        let all = Checkpoint::all(self.output_dir).ok()?;
        let mut sound = all
            .iter()
            .rev()
            .filter_map(|dir| Checkpoint::open(dir).ok());
        sound
            .find(|found| found.state.step < self.step && found.state.data == self.data)
            .map(|found| found.dir)
    }

    /// Writes a checkpoint of the present step.
    fn checkpoint(&mut self) -> Result<PathBuf> {
        let dir = Checkpoint::dir(self.output_dir, self.step);
        let state = TrainerState {
            step: self.step,
            best: self.best,
            evaluations_without_gain: self.evaluations_without_gain,
            evaluated: self.evaluated,
            losses: self.log.losses.clone(),
            settings: self.settings.clone(),
            data: self.data.clone(),
            dev: self.dev.clone(),
            files: std::collections::BTreeMap::new(),
        };
        let model = self.model.valid();
        let moments = self.optimizer.moments()?;
        Checkpoint::write(&dir, &model, self.tokenizer, &moments, state)?;
        if let Some(count) = self.settings.output.save_total_limit {
            Checkpoint::keep_latest(&dir, count)?;
        }
        let _ = (self.observer)(Event::Saved { dir: &dir });
        Ok(dir)
    }

    /// Goes back to where a checkpoint was made.
    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let TrainerState {
            step,
            best,
            evaluations_without_gain,
            evaluated,
            losses,
            settings,
            data,
            dev,
            ..
        } = checkpoint.state.clone();
        let refused = |reason: String| Error::Checkpoint {
            dir: checkpoint.dir.clone(),
            reason,
        };
        let different = settings.differences(self.settings);
        if !different.is_empty() {
            return Err(refused(format!(
                "made with other settings: {}",
                different.join(", ")
            )));
        }
        if data != self.data {
            return Err(refused("made with other training data".to_owned()));
        }
        if dev != self.dev {
            return Err(refused("made with other development data".to_owned()));
        }
        let device = self.model.valid().device();
        self.optimizer.restore(step, checkpoint.moments()?, &device);
        self.step = step;
        self.best = best;
        (self.evaluations_without_gain, self.evaluated) = (evaluations_without_gain, evaluated);
        self.log.losses = losses;
        Ok(())
    }

    fn has_lost_patience(&self) -> bool {
        let patience = self.settings.evaluation.early_stopping_patience;
        patience.is_some_and(|patience| self.evaluations_without_gain >= patience)
    }

    /// Evaluates where the settings ask for it after this step, unless that has been done.
    fn evaluate_if_due(&mut self, dev: &[Sentence]) -> Result<()> {
        let every = match self.settings.evaluation.eval_steps {
            0 => self.plan.steps_per_epoch,
            steps => steps,
        };
        let is_due = self.step.is_multiple_of(every) || self.step == self.plan.total_steps;
        if dev.is_empty() || !is_due || self.evaluated == self.step {
            return Ok(());
        }
        let settings = self.settings;
        let model = self.model.valid();
        let evaluation = evaluate(
            &model,
            &settings.featurizer(self.tokenizer)?,
            dev,
            &settings.decoding.decoding(&model)?,
            settings.evaluation.eval_batch_size,
            |done, total| {
                let _ = (self.observer)(Event::Evaluating { done, total });
            },
        )?;
        self.evaluated = self.step;
        let gain = settings.evaluation.best_metric.gain(&evaluation);
        let best = self.best.is_none_or(|best| gain > best);
        self.evaluations_without_gain = if best {
            0
        } else {
            self.evaluations_without_gain + 1
        };
        let _ = (self.observer)(Event::Evaluated {
            step: self.step,
            epoch: self.step as f64 / self.plan.steps_per_epoch as f64,
            evaluation: &evaluation,
            best,
        });
        if best {
            self.best = Some(gain);
            let dir = self.output_dir.join(BEST);
            replace_dir(&dir, |partial| save(&model, self.tokenizer, partial))?;
            let _ = (self.observer)(Event::Saved { dir: &dir });
        }
        self.log.restart();
        Ok(())
    }
}

/// What has happened since the last log row.
struct LogWindow {
    losses: Vec<f64>,
    sub_words: usize,
    /// Training time since the last row, evaluation left out.
    seconds: f64,
    since: Instant,
}

impl LogWindow {
    fn new() -> Self {
        Self {
            losses: Vec::new(),
            sub_words: 0,
            seconds: 0.0,
            since: Instant::now(),
        }
    }

    fn add(&mut self, loss: f64, sub_words: usize) {
        self.losses.push(loss);
        self.sub_words += sub_words;
        self.seconds += self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
    }

    /// Leaves out the time since the last step.
    fn restart(&mut self) {
        self.since = Instant::now();
    }

    fn row(&mut self, last: Step) -> Step {
        let window = std::mem::replace(self, Self::new());
        let loss = window.losses.iter().sum::<f64>() / window.losses.len().max(1) as f64;
        Step {
            loss,
            tokens_per_second: window.sub_words as f64 / window.seconds,
            ..last
        }
    }
}
