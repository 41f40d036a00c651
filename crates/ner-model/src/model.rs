//! BERT and its kin with a token-classification head.
//!
//! The encoder is BERT's (Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>, section 3); [`ModelType`](crate::ModelType) says in what the
//! other families differ. It mirrors `modeling_bert.py` and its like of `transformers`; fields carry BERT's tensor names, but for `self`, which
//! is `self_attention` here.
//!
//! A hidden state is `[rows, hidden]`. On a CPU the sequences of a batch lie in it end to end, one row a sub-word, and no padding is ever
//! computed; after its attention the last layer goes on with the sub-words that are to be classified, `[targets, hidden]`. On an NVIDIA GPU a
//! layer is one operation on all of them. Composed of Burn's operations, every sequence has the same number of rows. [`RowLayout`] says which.
#![allow(non_snake_case, reason = "LayerNorm is the hub's name of the tensor")]

mod basis;
mod components;
mod conversion;
#[cfg(feature = "cuda")]
mod host_loss;
mod projection;
mod student;

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{
    Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
};
use burn::tensor::{Device, Int, Tensor, TensorData};

pub use self::basis::{Basis, LayerView};
pub(crate) use self::conversion::Form;
use self::conversion::without_row;
use crate::batch::RowLayout;
#[cfg(feature = "cuda")]
use crate::ops::cuda;
use crate::ops::{Dropout, LossWeights, Ops};
use crate::weights::RowTable;
use crate::{Batch, Crf, Error, Head, ModelConfig, Transitions};

/// Whether dropout acts, and what decides which elements it drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardMode {
    /// No dropout.
    Inference,
    /// Dropout with the configuration's probabilities. The same seed drops the same elements.
    Training {
        /// Seed of this forward pass; give each step its own.
        seed: u64,
    },
    /// As [`Training`](Self::Training), where several devices compute at the same time. Nothing is drawn from a device's generator, which is
    /// one for all GPUs of a process: what is dropped depends on the seed alone.
    ParallelTraining {
        /// Seed of this forward pass; give each step and device its own.
        seed: u64,
    },
}

/// Word, position and (but for DistilBERT) token-type embeddings, summed and normalised.
#[derive(Module, Debug)]
pub struct Embeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Option<Embedding>,
    LayerNorm: LayerNorm,
}

/// Projections of multi-head self-attention.
#[derive(Module, Debug)]
pub struct SelfAttention {
    query: Linear,
    key: Linear,
    value: Linear,
}

/// Projection, dropout, residual connection and normalisation: the end of both halves of a layer.
#[derive(Module, Debug)]
pub struct Output {
    dense: Linear,
    LayerNorm: LayerNorm,
}

/// First half of a layer.
#[derive(Module, Debug)]
pub struct Attention {
    self_attention: SelfAttention,
    output: Output,
}

/// Widening projection of the feed-forward half, followed by GELU.
#[derive(Module, Debug)]
pub struct Intermediate {
    dense: Linear,
}

/// One encoder layer.
#[derive(Module, Debug)]
pub struct Layer {
    attention: Attention,
    intermediate: Intermediate,
    output: Output,
}

/// The stack of layers.
#[derive(Module, Debug)]
pub struct Encoder {
    layer: Vec<Layer>,
}

/// Encoder with a linear classifier on every sub-word.
#[derive(Module, Debug)]
pub struct TokenClassifier {
    embeddings: Embeddings,
    /// From the embeddings' width to the encoder's, where they differ (ELECTRA).
    embeddings_project: Option<Linear>,
    encoder: Encoder,
    classifier: Linear,
    crf: Option<Crf>,
    #[module(skip)]
    config: ModelConfig,
    #[module(skip)]
    ops: Ops,
    /// The rows of the word embeddings where they stay in the file until they are asked for; the parameter is empty then.
    #[module(skip)]
    words: Option<Arc<RowTable>>,
}

impl TokenClassifier {
    /// Random weights as `transformers` draws them: normal(0, `initializer_range`) for projections and tables, zero for biases and the
    /// padding rows, one and zero for LayerNorm. The same seed gives the same weights on the same device. There must be room for them:
    /// [`ModelConfig::check_new_weights`].
    pub fn init(config: &ModelConfig, device: &Device, seed: u64) -> Self {
        let mut model = Self::uninitialized(config, device).drawn(device, seed);
        let pad = config.pad_token_id() as usize;
        let tables = &mut model.embeddings;
        tables.word_embeddings = without_row(tables.word_embeddings.clone(), pad);
        if config.first_position() > 0 {
            tables.position_embeddings = without_row(tables.position_embeddings.clone(), pad);
        }
        model
    }

    /// The same model with its missing weights drawn.
    pub(crate) fn drawn(self, device: &Device, seed: u64) -> Self {
        // A device has one generator for all threads of the process.
        static GENERATOR: Mutex<()> = Mutex::new(());
        let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
        device.seed(seed);
        self.visit(&mut Draw);
        self
    }

    /// A model whose weights are drawn when they are first read, and take no room before.
    pub(crate) fn uninitialized(config: &ModelConfig, device: &Device) -> Self {
        let hidden = config.hidden_size;
        let embedding = config.embedding_size();
        let family = config.model_type;
        let normal = || Initializer::Normal {
            mean: 0.0,
            std: config.initializer_range,
        };
        let linear = |inputs: usize, outputs: usize| {
            let mut linear = LinearConfig::new(inputs, outputs)
                .with_initializer(normal())
                .init(device);
            linear.bias = Some(Initializer::Zeros.init([outputs], device));
            linear
        };
        let table = |rows: usize| {
            EmbeddingConfig::new(rows, embedding)
                .with_initializer(normal())
                .init(device)
        };
        let layer_norm = |width: usize| {
            LayerNormConfig::new(width)
                .with_epsilon(config.layer_norm_eps)
                .init(device)
        };
        let output = |inputs: usize| Output {
            dense: linear(inputs, hidden),
            LayerNorm: layer_norm(hidden),
        };

        let layers = (0..config.num_hidden_layers).map(|_| Layer {
            attention: Attention {
                self_attention: SelfAttention {
                    query: linear(hidden, hidden),
                    key: linear(hidden, hidden),
                    value: linear(hidden, hidden),
                },
                output: output(hidden),
            },
            intermediate: Intermediate {
                dense: linear(hidden, config.intermediate_size),
            },
            output: output(config.intermediate_size),
        });
        Self {
            embeddings: Embeddings {
                word_embeddings: table(config.vocab_size),
                position_embeddings: table(config.max_position_embeddings),
                token_type_embeddings: family
                    .has_token_types()
                    .then(|| table(config.type_vocab_size)),
                LayerNorm: layer_norm(embedding),
            },
            embeddings_project: (embedding != hidden).then(|| linear(embedding, hidden)),
            encoder: Encoder {
                layer: layers.collect(),
            },
            classifier: linear(hidden, config.id2label.len()),
            crf: (config.head == Head::Crf).then(|| Crf::init(config.id2label.len(), device)),
            config: config.clone(),
            ops: Ops::for_device(device).for_model(device, config),
            words: None,
        }
    }

    /// Logits of the sub-words that are to be classified.
    ///
    /// # Shapes
    /// - output: `[targets, labels]`, one row for each of the batch's [`targets`](Batch::targets): all sub-words, or fewer
    ///
    /// # Errors
    /// The batch is empty, has no or impossible targets, or holds an id or a length that the model has no row for.
    pub fn forward(&self, batch: &Batch, mode: ForwardMode) -> Result<Tensor<2>, Error> {
        let hidden = self.hidden_states(batch, mode)?;
        Ok(self.classify(hidden, batch, mode))
    }

    /// The second half of [`forward`](Self::forward): logits of [`hidden_states`](Self::hidden_states) of the same batch and mode.
    ///
    /// # Shapes
    /// - hidden: `[targets, hidden]`, output: `[targets, labels]`
    pub fn classify(&self, hidden: Tensor<2>, batch: &Batch, mode: ForwardMode) -> Tensor<2> {
        let dropout = self.dropout(mode, self.config.classifier_dropout(), Site::Classifier);
        let dropped = self.ops.dropout(hidden, dropout, &RowLayout::packed(batch)); // one row a target
        self.ops.linear(dropped, &self.classifier)
    }

    /// Mean cross-entropy over the sub-words that carry a label; `None` ones are ignored. Zero where none carries one.
    ///
    /// # Shapes
    /// - logits: `[targets, labels]` of [`forward`](Self::forward); labels: one a row; output: `[1]`
    pub fn loss(&self, logits: Tensor<2>, labels: &[Option<u32>]) -> Tensor<1> {
        let weights = LossWeights::uniform(self.config.id2label.len());
        self.ops.cross_entropy(logits, labels, &weights)
    }

    /// What training makes smaller: the mean cross-entropy as the weights have it, or with a CRF the negative logarithm of the probability
    /// of each sequence's labels over their number, which knows no weights.
    ///
    /// # Shapes
    /// - as [`loss`](Self::loss)
    ///
    /// # Errors
    /// The device fails.
    pub fn training_loss(
        &self,
        logits: Tensor<2>,
        batch: &Batch,
        labels: &[Option<u32>],
        weights: &LossWeights,
    ) -> Result<Tensor<1>, Error> {
        #[cfg(feature = "cuda")]
        if matches!(self.ops, Ops::Gpu(_)) {
            return host_loss::training_loss(self.crf.as_ref(), logits, batch, labels, weights);
        }
        Ok(match &self.crf {
            Some(crf) => crf.loss(logits, batch, labels),
            None => self.ops.cross_entropy(logits, labels, weights),
        })
    }

    /// The learnt scores of which label follows which; none without a CRF.
    ///
    /// # Errors
    /// The device fails.
    pub fn transitions(&self) -> Result<Option<Transitions>, Error> {
        self.crf.as_ref().map(Crf::scores).transpose()
    }

    /// Last hidden state of the sub-words that are to be classified, before the classifier.
    ///
    /// # Shapes
    /// - output: `[targets, hidden]`
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn hidden_states(&self, batch: &Batch, mode: ForwardMode) -> Result<Tensor<2>, Error> {
        Ok(self.states_after(&[], batch, mode)?.1)
    }

    /// Hidden states of the sub-words that are to be classified: after each of some layers, numbered from 0 and rising, and the
    /// [last](Self::hidden_states) one.
    ///
    /// # Shapes
    /// - outputs: `[targets, hidden]` each
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn states_after(
        &self,
        layers: &[usize],
        batch: &Batch,
        mode: ForwardMode,
    ) -> Result<(Vec<Tensor<2>>, Tensor<2>), Error> {
        batch.check(&self.config)?;
        if let ForwardMode::Training { seed } = mode {
            self.device().seed(seed);
        }
        let device = self.device();
        let layout = self
            .ops
            .layout(batch, self.config.usable_positions(), &device);
        #[cfg(feature = "cuda")]
        let layout = match self.ops {
            Ops::Gpu(_) => layout.on_gpu(self.config.num_attention_heads, &device),
            _ => layout,
        };
        let mut x = self.embed(&layout, mode); // [rows, hidden]
        #[cfg(feature = "cuda")]
        let gathers = matches!(self.ops, Ops::Gpu(_));
        let at_targets = |x: Tensor<2>| match layout.targets() {
            #[cfg(feature = "cuda")]
            rows if gathers => {
                let all = || (0..layout.rows() as i64).collect();
                let rows = rows.unwrap_or_else(all).into_iter().map(|row| row as i32);
                cuda::gather(x, rows.collect())
            }
            Some(rows) => x.select(0, integers(rows, &device)),
            None => x,
        };
        let mut states = Vec::with_capacity(layers.len());
        let Some((last, others)) = self.encoder.layer.split_last() else {
            return Ok((states, at_targets(x)));
        };
        for (number, layer) in others.iter().enumerate() {
            x = self.layer(layer, x, &layout, mode, number, |x| x);
            if layers.contains(&number) {
                states.push(at_targets(x.clone()));
            }
        }
        // Its attention has seen every sub-word; nothing reads the rest of those that are not to be classified. On a GPU, rows left out
        // save less than leaving them out takes, which the backward pass of `select` does one after the other.
        let number = others.len();
        let x = match layout.padded_to() {
            #[cfg(feature = "cuda")]
            None if gathers => at_targets(self.layer(last, x, &layout, mode, number, |x| x)),
            None => self.layer(last, x, &layout, mode, number, at_targets),
            Some(_) => at_targets(self.layer(last, x, &layout, mode, number, |x| x)),
        };
        if layers.contains(&number) {
            states.push(x.clone());
        }
        Ok((states, x))
    }

    fn embed(&self, layout: &RowLayout<'_>, mode: ForwardMode) -> Tensor<2> {
        let tables = &self.embeddings;
        #[cfg(feature = "cuda")]
        if let Ops::Gpu(factors) = self.ops {
            let settings = cuda::EmbeddingSettings {
                ids: layout.ids(0).iter().map(|&id| id as i32).collect(),
                positions: layout
                    .positions(self.config.first_position())
                    .iter()
                    .map(|&position| position as i32)
                    .collect(),
                has_types: tables.token_type_embeddings.is_some(),
                epsilon: self.config.layer_norm_eps as f32,
                numbers: factors.into(),
                dropout: self.dropout(mode, self.config.hidden_dropout_prob, Site::Embeddings),
            };
            let lookups = [&tables.word_embeddings, &tables.position_embeddings];
            let types = tables.token_type_embeddings.as_ref();
            return cuda::embed(lookups, types, &tables.LayerNorm, settings);
        }
        let (rows, width) = (layout.rows(), self.config.embedding_size());
        let lookup = |table: &Embedding, ids: Vec<i64>| {
            let ids = integers(ids, &self.device()).unsqueeze::<2>(); // [1, rows]
            table.forward(ids).reshape([rows, width])
        };
        let pad = self.config.pad_token_id() as usize;
        let pad = pad.min(self.config.vocab_size.saturating_sub(1)) as u32;
        let ids = layout.ids(pad);
        let words = match &self.words {
            Some(table) => Tensor::from_data(
                TensorData::new(table.rows(&ids), [rows, width]),
                &self.device(),
            ),
            None => lookup(&tables.word_embeddings, ids),
        };
        let first = self.config.first_position();
        let positions = match layout.padded_to() {
            // The same rows for every sequence: no look-up, whose backward pass a GPU takes row after row.
            Some(length) => {
                let table = tables.position_embeddings.weight.val();
                let positions = table.narrow(0, first, length).unsqueeze::<3>();
                positions
                    .expand([rows / length, length, width])
                    .reshape([rows, width])
            }
            None => lookup(&tables.position_embeddings, layout.positions(first)),
        };
        let positions = match &tables.token_type_embeddings {
            Some(types) => positions + types.weight.val().narrow(0, 0, 1), // [1, embedding] to each row
            None => positions,
        };
        let sum = self.ops.residual_layer_norm(
            words,
            positions,
            &tables.LayerNorm,
            self.config.layer_norm_eps,
            Dropout::OFF,
            layout,
        );
        let dropped = self.ops.dropout(
            sum,
            self.dropout(mode, self.config.hidden_dropout_prob, Site::Embeddings),
            layout,
        );
        match &self.embeddings_project {
            Some(projection) => self.ops.linear(dropped, projection),
            None => dropped,
        }
    }

    /// `narrow` says with which rows the layer goes on after its attention.
    fn layer(
        &self,
        layer: &Layer,
        x: Tensor<2>,
        layout: &RowLayout<'_>,
        mode: ForwardMode,
        number: usize,
        narrow: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let ops = &self.ops;
        let epsilon = self.config.layer_norm_eps;
        let hidden_dropout = |site| self.dropout(mode, self.config.hidden_dropout_prob, site);
        let attention_dropout = self.dropout(
            mode,
            self.config.attention_probs_dropout_prob,
            Site::AttentionProbabilities(number),
        );

        let output_dropout = if self.config.model_type.drops_attention_output() {
            hidden_dropout(Site::AttentionOutput(number))
        } else {
            Dropout::OFF
        };

        let projections = &layer.attention.self_attention;
        #[cfg(feature = "cuda")]
        if let (Ops::Gpu(factors), Some(sequences)) = (ops, layout.sequences()) {
            let parameters = cuda::LayerParameters {
                query_key_value: [&projections.query, &projections.key, &projections.value],
                output: &layer.attention.output.dense,
                widen: &layer.intermediate.dense,
                narrow: &layer.output.dense,
                norms: [&layer.attention.output.LayerNorm, &layer.output.LayerNorm],
            };
            let settings = cuda::LayerSettings {
                sequences: sequences.clone(),
                heads: self.config.num_attention_heads,
                epsilon: epsilon as f32,
                numbers: (*factors).into(),
                dropouts: [
                    attention_dropout,
                    output_dropout,
                    hidden_dropout(Site::Output(number)),
                ],
            };
            return cuda::layer(x, &parameters, settings);
        }
        let context = ops.self_attention(
            x.clone(),
            [&projections.query, &projections.key, &projections.value],
            layout,
            self.config.num_attention_heads,
            attention_dropout,
        );
        let (context, x) = (narrow(context), narrow(x));
        let output = &layer.attention.output;
        let projected = ops.linear(context, &output.dense);
        let x = ops.residual_layer_norm(
            projected,
            x,
            &output.LayerNorm,
            epsilon,
            output_dropout,
            layout,
        );

        let feed_forward = [&layer.intermediate.dense, &layer.output.dense];
        let projected = ops.feed_forward(x.clone(), feed_forward);
        ops.residual_layer_norm(
            projected,
            x,
            &layer.output.LayerNorm,
            epsilon,
            hidden_dropout(Site::Output(number)),
            layout,
        )
    }

    fn dropout(&self, mode: ForwardMode, probability: f64, site: Site) -> Dropout {
        match mode {
            ForwardMode::Inference => Dropout::OFF,
            ForwardMode::Training { seed } => Dropout::new(probability, seed, site.number()),
            ForwardMode::ParallelTraining { seed } => Dropout {
                draws: false,
                ..Dropout::new(probability, seed, site.number())
            },
        }
    }

    /// The configuration this model was made with.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The device that holds the weights.
    pub fn device(&self) -> Device {
        self.classifier.weight.val().device()
    }

    /// Sub-words of a forward pass in inference that suit the model's device, each sequence counted as long as the longest.
    pub fn batch_tokens(&self) -> usize {
        self.ops.batch_tokens()
    }

    /// How many passes of inference suit the device at a time.
    pub fn passes_at_once(&self) -> usize {
        self.ops.passes_at_once()
    }

    /// The operations that this model computes with.
    pub fn ops(&self) -> Ops {
        self.ops.clone()
    }
}

/// Has parameters drawn, which otherwise wait until they are read.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}

fn integers(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// A place in the model where dropout acts.
enum Site {
    Embeddings,
    AttentionProbabilities(usize),
    AttentionOutput(usize),
    Output(usize),
    Classifier,
}

impl Site {
    /// A number that no other place has.
    fn number(self) -> u32 {
        match self {
            Self::Embeddings => 0,
            Self::Classifier => 1,
            Self::AttentionProbabilities(layer) => 2 + 3 * layer as u32,
            Self::AttentionOutput(layer) => 3 + 3 * layer as u32,
            Self::Output(layer) => 4 + 3 * layer as u32,
        }
    }
}
