//! The trainer: what a run is made of, and its loop.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use burn::module::Module;
use burn::tensor::Device;
use ner_metrics::{Scheme, TagSet};
use ner_model::ops::LossWeights;
use ner_model::{ModelConfig, Precision, TokenClassifier};
use ner_tagger::prefetch::prefetch;
use ner_tagger::{Decoder, PretokenizedSentence};
use subword_align::SubwordTokenizer;

use crate::average::WeightAverage;
use crate::checkpoint::{Checkpoint, take_back_unfinished};
use crate::distillation::Distillation;
use crate::error::{Error, Result};
use crate::event::{Event, Plan};
use crate::features::{Feature, known_label_ids, label_ids};
use crate::micro_batch::{DataParallel, MicroBatching, StepBatch};
use crate::optimizer::{AdamW, LayerRates};
use crate::run::{LogWindow, Run, digest, digest_of_sentences};
use crate::sampler::BatchSampler;
use crate::save_model::BEST;
use crate::schedule::LinearSchedule;
use crate::settings::{DecodeSettings, TrainSettings};
use crate::unread_rows::UnreadRows;

/// Training and development data.
#[derive(Clone, Copy, Debug)]
pub struct Corpus<'a> {
    /// Sentences to learn from. Where a teacher speaks of them, those without tags count too.
    pub train: &'a [PretokenizedSentence],
    /// Sentences to evaluate on; may be none.
    pub dev: &'a [PretokenizedSentence],
}

/// What hears of everything that happens in a run, and may stop it before its first step or after a step.
type Observer<'a> = Box<dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a>;

/// Fine-tunes a model.
///
/// ```no_run
/// use ner_model::{DeviceChoice, ModelConfig, TokenClassifier};
/// use ner_train::{Corpus, PretokenizedSentence, TrainSettings, Trainer};
/// use subword_align::SubwordTokenizer;
///
/// let data = [PretokenizedSentence::tagged(["Ana", "vive", "en", "Lima"], ["B-PER", "O", "O", "B-LOC"])];
/// let device = DeviceChoice::Auto.open()?.autodiff();
/// let (model, _) = TokenClassifier::load("model".as_ref(), &ModelConfig::from_dir("model".as_ref())?, &device, 42)?;
/// let tokenizer = SubwordTokenizer::from_dir("model", None)?;
/// Trainer::new(model, tokenizer, "out")
///     .settings(TrainSettings::default().with(|settings| settings.schedule.epochs = 5))
///     .fit(Corpus { train: &data, dev: &data })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Trainer<'a> {
    model: DataParallel,
    tokenizer: Arc<SubwordTokenizer>,
    settings: TrainSettings,
    distillation: Option<Distillation>,
    output_dir: PathBuf,
    checkpoint: Option<Checkpoint>,
    observer: Observer<'a>,
}

impl<'a> Trainer<'a> {
    /// Of a model that lives on an autodiff device, or of a [`DataParallel`] one, which is trained on several devices.
    ///
    /// The output directory gets the last model, the one with the best development figure in `best/`, and checkpoints in `checkpoint-N/`.
    pub fn new(
        model: impl Into<DataParallel>,
        tokenizer: impl Into<Arc<SubwordTokenizer>>,
        output_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            model: model.into(),
            tokenizer: tokenizer.into(),
            settings: TrainSettings::default(),
            distillation: None,
            output_dir: output_dir.into(),
            checkpoint: None,
            observer: Box::new(|_| ControlFlow::Continue(())),
        }
    }

    /// Takes up a run at a checkpoint, or at the latest sound one in a run's output directory: model, tokenizer and settings are the
    /// checkpoint's. On a CPU device the weights come out as if the run had never stopped, bit for bit. What a teacher says is not in a checkpoint;
    /// such a run needs it again ([`distillation`](Self::distillation)).
    ///
    /// # Errors
    /// No sound checkpoint there; the message names those that are damaged.
    pub fn resume(dir: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let checkpoint = Checkpoint::open(dir.as_ref())?;
        let tokenizer = SubwordTokenizer::from_dir(&checkpoint.dir, None)?;
        let config = ModelConfig::from_dir(&checkpoint.dir)?;
        let device = device.clone().autodiff();
        let (model, _) = TokenClassifier::load(&checkpoint.dir, &config, &device, 0)?;
        let output_dir = checkpoint.dir.parent().unwrap_or(Path::new(".")).to_owned();
        let settings = checkpoint.state.settings.clone();
        let trainer = Self::new(model, tokenizer, output_dir).settings(settings);
        Ok(trainer.from_checkpoint(checkpoint))
    }

    /// The settings of the run. Default: those of the tutorial's script.
    #[must_use]
    pub fn settings(mut self, settings: TrainSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Learns what a teacher says of the sentences to learn from, and their tags where they have some. The model must have the teacher's labels,
    /// in any order, and the linear head; what it is made of, and its tokenizer, may be other than the teacher's.
    ///
    /// ```no_run
    /// use ner_train::{Corpus, DistillSettings, Distillation, PretokenizedSentence, SoftTargets, Trainer};
    /// # fn student() -> Result<(ner_model::TokenClassifier, subword_align::SubwordTokenizer), Box<dyn std::error::Error>> { unimplemented!() }
    ///
    /// let teacher = ner_tagger::Tagger::from_dir("teacher")?;
    /// let sentences = [PretokenizedSentence::untagged(["Ana", "vive", "en", "Lima"])];
    /// let targets = SoftTargets::of(&teacher, &sentences, |_| {})?;
    /// let (model, tokenizer) = student()?;
    /// Trainer::new(model, tokenizer, "out")
    ///     .distillation(Distillation { settings: DistillSettings::default(), targets })
    ///     .fit(Corpus { train: &sentences, dev: &[] })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn distillation(mut self, distillation: Distillation) -> Self {
        self.distillation = Some(distillation);
        self
    }

    /// Goes on where this checkpoint was made; the model and the tokenizer are then the checkpoint's.
    #[must_use]
    pub fn from_checkpoint(mut self, checkpoint: Checkpoint) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    /// Hears of everything that happens. It may stop the run before its first step, or after a step, which leaves a checkpoint.
    #[must_use]
    pub fn observer(mut self, observer: impl FnMut(Event<'_>) -> ControlFlow<()> + 'a) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Trains. Returns the model, without autodiff, after its last step.
    ///
    /// # Errors
    /// Settings that cannot work, tags that are not labels, a teacher who does not go with the model, a checkpoint of other data or settings, a
    /// loss that is no number, files that cannot be written, or a stop.
    pub fn fit(self, corpus: Corpus<'_>) -> Result<TokenClassifier> {
        let Self {
            model: DataParallel { model, others },
            tokenizer,
            settings,
            distillation,
            output_dir,
            checkpoint,
            observer,
        } = self;
        settings.check()?;
        let distillation = distillation
            .map(|teacher| teacher.prepared(model.config(), &settings, corpus.train))
            .transpose()?;
        let distillation = distillation.as_ref();
        let has_teacher = distillation.is_some();
        let model = prepare_model(model, &settings, corpus, has_teacher)?;
        let (mut features, plan) =
            prepare_data(&model, &tokenizer, corpus.train, &settings, has_teacher)?;
        let labels = &model.config().id2label;
        label_ids(corpus.dev, labels)?;
        let loss_weights = settings.loss.weights(labels, corpus.train)?;
        let data = digest(&features, distillation);
        let (model, unread) = if settings.optimizer.freeze_embeddings {
            (model, UnreadRows::default())
        } else {
            let decays = settings.optimizer.weight_decay > 0.0;
            UnreadRows::take_out(model, &mut features, decays, &output_dir)?
        };
        let mut run = Run {
            data,
            dev: digest_of_sentences(corpus.dev),
            optimizer: optimizer(&model, &settings),
            average: WeightAverage::new(
                settings.schedule.averaged(plan.total_steps),
                plan.total_steps,
            ),
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
            unread,
            others,
            tokenizer,
            settings,
            distillation: distillation.map(|distillation| distillation.settings),
            output_dir,
            observer,
            plan,
        };
        if let Some(checkpoint) = &checkpoint {
            run.restore(checkpoint)?;
        }
        run.begin()?;
        let passes = MicroBatching {
            batch_size: run.settings.data.batch_size,
            devices: 1 + run.others.len(),
            head: run.model.config().head,
            loss_weights: &loss_weights,
            distillation,
        };
        let batches = batches(&features, order(&run.settings), passes, &run.plan, run.step);
        run.steps(batches, &loss_weights, corpus.dev)?.end()
    }
}

impl Run<'_> {
    /// Every step, with what is due after it.
    fn steps(
        mut self,
        batches: impl Iterator<Item = StepBatch> + Send,
        loss_weights: &LossWeights,
        dev: &[PretokenizedSentence],
    ) -> Result<Self> {
        self.evaluate_if_due(dev)?; // the run may have stopped before that
        thread::scope(|scope| {
            for batch in prefetch(scope, batches) {
                if self.has_lost_patience() {
                    break;
                }
                self = self.step(&batch, loss_weights)?;
                self.evaluate_if_due(dev)?;
                self.save_if_due()?;
            }
            Ok(self)
        })
    }

    /// Tells the plan, and clears what a kill in an earlier run left half done.
    fn begin(&mut self) -> Result<()> {
        if (self.observer)(Event::Planned(&self.plan)).is_break() {
            return Err(Error::NotBegun);
        }
        take_back_unfinished(&self.output_dir)?;
        // In another output directory than the checkpoint's there is no best model yet.
        let has_best = self.output_dir.join(BEST).is_dir();
        self.best = self.best.filter(|_| has_best);
        Ok(())
    }
}

/// The model as the settings want it, with what those who use it have to know in its configuration.
fn prepare_model(
    model: TokenClassifier,
    settings: &TrainSettings,
    corpus: Corpus<'_>,
    has_teacher: bool,
) -> Result<TokenClassifier> {
    let model = match settings.precision {
        Precision::F32 => model,
        precision => model.with_precision(precision)?,
    };
    settings.check_head(model.config().head)?;
    let tags: Vec<&Vec<String>> = corpus.train.iter().map(|sentence| &sentence.tags).collect();
    let mut model = model
        .with_frozen(
            settings.optimizer.freeze_embeddings,
            settings.optimizer.freeze_layers,
        )
        .with_document_context(settings.data.document_context)
        .without_temperature();
    let scheme = settings.decoding.decode_scheme;
    // A teacher has given the labels, and their scheme where it is known.
    if !has_teacher || scheme.is_some() {
        let scheme = scheme.or(Scheme::of_sentences(&tags));
        model = model.with_tagging_scheme(scheme.map_or(Decoder::NO_SCHEME, Scheme::name));
    }
    let DecodeSettings {
        decode,
        decode_scheme,
    } = settings.decoding;
    Decoder::new(&model.valid(), decode, decode_scheme)?;
    Ok(model)
}

fn optimizer(model: &TokenClassifier, settings: &TrainSettings) -> AdamW {
    let settings = &settings.optimizer;
    let mut optimizer = AdamW::new(
        settings.weight_decay,
        settings.adam_epsilon,
        settings.max_grad_norm,
    );
    optimizer.layer_rates = LayerRates {
        decay: settings.layer_decay,
        layers: model.config().num_hidden_layers,
        head: settings
            .head_learning_rate
            .map_or(1.0, |rate| rate / settings.learning_rate),
    };
    optimizer
}

fn order(settings: &TrainSettings) -> BatchSampler {
    BatchSampler {
        step_size: settings.data.batch_size * settings.data.gradient_accumulation_steps,
        shuffle: settings.data.shuffle,
        group_by_length: settings.data.group_by_length,
        seed: settings.seed,
    }
}

/// What each step learns from, packed as it is asked for, from the step after `done` to the last.
fn batches<'a>(
    features: &'a [Feature],
    order: BatchSampler,
    passes: MicroBatching<'a>,
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

/// What the model learns from.
fn prepare_data(
    model: &TokenClassifier,
    tokenizer: &SubwordTokenizer,
    sentences: &[PretokenizedSentence],
    settings: &TrainSettings,
    has_teacher: bool,
) -> Result<(Vec<Feature>, Plan)> {
    check_max_length(model, settings)?;
    let labels = &model.config().id2label;
    let gold = if has_teacher {
        known_label_ids(sentences, labels)?
    } else {
        label_ids(sentences, labels)?
    };
    let mut featurizer = settings.featurizer(tokenizer)?;
    if settings.loss.label_all_tokens {
        featurizer = featurizer.labelling_all(continuations(labels)?);
    }
    let features = featurizer.features(sentences, Some(&gold))?;
    if features.is_empty() {
        return Err(Error::NoData);
    }
    let unknown = tokenizer.unk_id();
    // Each word, as the feature that decides it and the place of its first sub-word there.
    let words = || {
        let features = features.iter();
        features.flat_map(|feature| feature.first_subwords.iter().map(move |&at| (feature, at)))
    };
    let carries_loss = |feature: &Feature, at: usize| has_teacher || feature.labels[at].is_some();
    let steps_per_epoch = features
        .len()
        .div_ceil(settings.data.batch_size * settings.data.gradient_accumulation_steps);
    let plan = Plan {
        sentences: sentences.len(),
        words: sentences.iter().map(|sentence| sentence.words.len()).sum(),
        labelled_words: words()
            .filter(|(feature, at)| carries_loss(feature, *at))
            .count(),
        sequences: features.len(),
        subwords: features.iter().map(|feature| feature.ids.len()).sum(),
        unknown_words: words()
            .filter(|(feature, at)| Some(feature.ids[*at]) == unknown)
            .count(),
        steps_per_epoch,
        total_steps: settings
            .schedule
            .max_steps
            .unwrap_or(settings.schedule.epochs * steps_per_epoch),
    };
    Ok((features, plan))
}

fn check_max_length(model: &TokenClassifier, settings: &TrainSettings) -> Result<()> {
    let (asked, usable) = (settings.data.max_length, model.config().usable_positions());
    if asked <= usable {
        return Ok(());
    }
    Err(Error::Setting {
        name: "max_length",
        reason: format!("{asked} is more than the model's {usable} positions"),
    })
}

/// The label of a word's further sub-words for each label of its first one.
fn continuations(labels: &[String]) -> Result<Vec<u32>> {
    let tags = TagSet::new(labels)?;
    let continuation = |label| tags.continuation(label) as u32;
    Ok((0..labels.len()).map(continuation).collect())
}
