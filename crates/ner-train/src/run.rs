//! A run under way: its steps, evaluations and checkpoints.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use model_dir::{hex, replace_dir};
use ner_model::ops::LossWeights;
use ner_model::{TokenClassifier, WORD_EMBEDDINGS};
use ner_tagger::PretokenizedSentence;
use sha2::{Digest, Sha256};
use subword_align::SubwordTokenizer;

use crate::average::WeightAverage;
use crate::checkpoint::{Checkpoint, Contents, OptimizerValues, TrainerState};
use crate::distillation::Distillation;
use crate::error::{Error, Result};
use crate::evaluation::evaluate;
use crate::event::{Event, Plan, Step};
use crate::features::Feature;
use crate::micro_batch::{StepBatch, StepResult, forward_backward};
use crate::optimizer::AdamW;
use crate::save_model::{BEST, save};
use crate::schedule::LinearSchedule;
use crate::settings::{DistillSettings, TrainSettings};
use crate::unread_rows::{UnreadRows, Which};

/// SHA-256 of what the model learns from.
pub(crate) fn digest(features: &[Feature], distillation: Option<&Distillation>) -> String {
    let mut digest = Sha256::new();
    for feature in features {
        digest.update((feature.ids.len() as u64).to_le_bytes());
        for (id, label) in feature.ids.iter().zip(&feature.labels) {
            digest.update(id.to_le_bytes());
            digest.update(label.map_or(u32::MAX, |label| label).to_le_bytes());
        }
    }
    if let Some(distillation) = distillation {
        distillation.targets.add_to(&mut digest);
    }
    hex(&digest.finalize())
}

/// SHA-256 of what the model is measured on while it learns.
pub(crate) fn digest_of_sentences(sentences: &[PretokenizedSentence]) -> String {
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

/// A run: its model and where it stands.
pub(crate) struct Run<'a> {
    /// Digest of what it learns from.
    pub data: String,
    /// Digest of what it is evaluated on.
    pub dev: String,
    /// The model, of the sub-words that the run reads where it changes their embeddings.
    pub model: TokenClassifier,
    /// The rest of its word embeddings.
    pub unread: UnreadRows,
    /// Devices that compute beside the model's.
    pub others: Vec<Device>,
    pub tokenizer: Arc<SubwordTokenizer>,
    pub settings: TrainSettings,
    pub distillation: Option<DistillSettings>,
    pub output_dir: PathBuf,
    pub observer: Box<dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a>,
    pub plan: Plan,
    pub optimizer: AdamW,
    pub average: WeightAverage,
    pub schedule: LinearSchedule,
    pub log: LogWindow,
    /// The best figure so far.
    pub best: Option<f64>,
    pub evaluations_without_gain: usize,
    /// The step after which the last evaluation was.
    pub evaluated: usize,
    pub step: usize,
}

impl Run<'_> {
    /// One optimizer step: forward and backward on each part of the batch, then AdamW.
    pub fn step(mut self, batch: &StepBatch, loss_weights: &LossWeights) -> Result<Self> {
        let started = Instant::now();
        let StepResult {
            losses,
            subwords,
            gradients,
        } = forward_backward(&self.model, &self.others, batch, loss_weights)?;
        let learning_rate = self.schedule.at(self.step);
        let ops = self.model.ops();
        let (model, grad_norm) = self
            .optimizer
            .step(self.model, gradients, learning_rate, &ops)?;
        self.model = model;
        let loss = StepResult::loss(losses)?;
        if !loss.is_finite() {
            return Err(self.diverged("loss", loss, batch));
        }
        if !grad_norm.is_finite() {
            return Err(self.diverged("gradient norm", grad_norm, batch));
        }
        self.step += 1;
        self.average.add(self.step, || self.model.valid());
        let decay = self.optimizer.decay_factor(WORD_EMBEDDINGS, learning_rate);
        self.unread.step(decay, self.average.share(self.step));

        let step = Step {
            step: self.step,
            epoch: self.step as f64 / self.plan.steps_per_epoch as f64,
            loss,
            learning_rate,
            grad_norm,
            tokens_per_second: subwords as f64 / started.elapsed().as_secs_f64(),
        };
        let mut stop = (self.observer)(Event::Stepped(&step)).is_break();
        self.log.add(loss, subwords);
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
    pub fn save_if_due(&mut self) -> Result<()> {
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
        let all = Checkpoint::all(&self.output_dir).ok()?;
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
        let dir = Checkpoint::dir(&self.output_dir, self.step);
        let state = TrainerState {
            step: self.step,
            best: self.best,
            evaluations_without_gain: self.evaluations_without_gain,
            evaluated: self.evaluated,
            losses: self.log.losses.clone(),
            settings: self.settings.clone(),
            distillation: self.distillation,
            data: self.data.clone(),
            dev: self.dev.clone(),
            files: std::collections::BTreeMap::new(),
        };
        let mean = match self.average.model() {
            Some(mean) => Some(self.unread.whole(mean.clone(), Which::Mean)?),
            None => None,
        };
        let contents = Contents {
            model: &self.unread.whole(self.model.valid(), Which::Last)?,
            tokenizer: &self.tokenizer,
            moments: &self.optimizer.moments()?,
            mean: mean.as_ref(),
            state,
        };
        Checkpoint::write(&dir, contents)?;
        if let Some(count) = self.settings.output.save_total_limit {
            Checkpoint::keep_latest(&dir, count)?;
        }
        let _ = (self.observer)(Event::Saved { dir: &dir });
        Ok(dir)
    }

    /// Goes back to where a checkpoint was made.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let TrainerState {
            step,
            best,
            evaluations_without_gain,
            evaluated,
            losses,
            settings,
            distillation,
            data,
            dev,
            ..
        } = checkpoint.state.clone();
        let refused = |reason: String| Error::OtherRun {
            dir: checkpoint.dir.clone(),
            reason,
        };
        let mut different = settings.differences(&self.settings);
        different.extend(DistillSettings::differences(
            distillation,
            self.distillation,
        ));
        if !different.is_empty() {
            return Err(refused(format!("other settings: {}", different.join(", "))));
        }
        if data != self.data {
            return Err(refused("other training data".to_owned()));
        }
        if dev != self.dev {
            return Err(refused("other development data".to_owned()));
        }
        let model = self.model.valid();
        let mut found = checkpoint.optimizer()?;
        self.unread.restore(&mut found)?;
        let OptimizerValues { moments, average } = found;
        self.optimizer.restore(step, moments, &model.device());
        self.average.restore(average, model);
        self.step = step;
        self.best = best;
        (self.evaluations_without_gain, self.evaluated) = (evaluations_without_gain, evaluated);
        self.log.losses = losses;
        Ok(())
    }

    /// The [whole](UnreadRows::whole) model that the run would end with now, without autodiff: the mean of the weights over the steps that count, or
    /// the last ones.
    pub fn result(&mut self) -> Result<TokenClassifier> {
        match self.average.model() {
            Some(mean) => self.unread.whole(mean.clone(), Which::Mean),
            None => self.unread.whole(self.model.valid(), Which::Last),
        }
    }

    /// Ends the run: writes the model and lets go of all else.
    pub fn end(mut self) -> Result<TokenClassifier> {
        let model = self.result()?;
        let Self {
            tokenizer,
            output_dir,
            mut observer,
            model: last,
            optimizer,
            average,
            ..
        } = self;
        drop((last, optimizer, average)); // may be large, as the whole model
        save(&model, &tokenizer, &output_dir)?;
        let _ = observer(Event::Saved { dir: &output_dir });
        Ok(model.in_memory()?)
    }

    pub fn has_lost_patience(&self) -> bool {
        let patience = self.settings.evaluation.early_stopping_patience;
        patience.is_some_and(|patience| self.evaluations_without_gain >= patience)
    }

    /// Evaluates where the settings ask for it after this step, unless that has been done.
    pub fn evaluate_if_due(&mut self, dev: &[PretokenizedSentence]) -> Result<()> {
        let every = match self.settings.evaluation.eval_steps {
            0 => self.plan.steps_per_epoch,
            steps => steps,
        };
        let is_due = self.step.is_multiple_of(every) || self.step == self.plan.total_steps;
        if dev.is_empty() || !is_due || self.evaluated == self.step {
            return Ok(());
        }
        let total = dev.len();
        let _ = (self.observer)(Event::Evaluating { done: 0, total });
        let model = self.result()?;
        let evaluation = {
            let tagger = self
                .settings
                .tagger(model.clone(), Arc::clone(&self.tokenizer))?;
            let batch_size = self.settings.evaluation.eval_batch_size;
            evaluate(&tagger, dev, batch_size, |done| {
                let _ = (self.observer)(Event::Evaluating { done, total });
            })?
        };
        self.evaluated = self.step;
        let gain = self.settings.evaluation.best_metric.gain(&evaluation);
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
            replace_dir(&dir, |partial| save(&model, &self.tokenizer, partial))?;
            let _ = (self.observer)(Event::Saved { dir: &dir });
        }
        self.log.restart();
        Ok(())
    }
}

/// What has happened since the last log row.
pub(crate) struct LogWindow {
    losses: Vec<f64>,
    subwords: usize,
    /// Training time since the last row, evaluation left out.
    seconds: f64,
    since: Instant,
}

impl LogWindow {
    pub fn new() -> Self {
        Self {
            losses: Vec::new(),
            subwords: 0,
            seconds: 0.0,
            since: Instant::now(),
        }
    }

    fn add(&mut self, loss: f64, subwords: usize) {
        self.losses.push(loss);
        self.subwords += subwords;
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
            tokens_per_second: window.subwords as f64 / window.seconds,
            ..last
        }
    }
}
