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
mod forward;
#[cfg(feature = "cuda")]
mod forward_gpu;
mod layer_view;
mod projection;
mod student;
#[cfg(test)]
mod testing;
mod vocabulary;

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{
    Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
};
use burn::tensor::{Device, Tensor};

pub use self::basis::Basis;
pub(crate) use self::conversion::Form;
use self::conversion::without_row;
use self::forward::DropoutSite;
pub use self::layer_view::LayerView;
use crate::batch::RowLayout;
use crate::ops::{LossWeights, Ops};
use crate::weights::WordRows;
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
    /// The word embeddings where they stay outside of the model until they are asked for. The parameter is not read then: it is empty, or has
    /// some of the rows.
    #[module(skip)]
    words: Option<Arc<dyn WordRows>>,
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
        let dropout = self.dropout(
            mode,
            self.config.classifier_dropout(),
            DropoutSite::Classifier,
        );
        let dropped = self.ops.dropout(hidden, dropout, &RowLayout::packed(batch)); // one row a target
        self.ops.linear(dropped, &self.classifier)
    }

    /// Mean cross-entropy over the sub-words that carry a label; `None` ones are ignored. Zero where none carries one.
    ///
    /// # Shapes
    /// - logits: `[targets, labels]` of [`forward`](Self::forward); labels: one a row; output: `[1]`
    ///
    /// # Errors
    /// The device fails.
    pub fn loss(&self, logits: Tensor<2>, labels: &[Option<u32>]) -> Result<Tensor<1>, Error> {
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
        match &self.crf {
            Some(crf) => crf.loss(&self.ops, logits, batch, labels),
            None => self.ops.cross_entropy(logits, labels, weights),
        }
    }

    /// The learnt scores of which label follows which; none without a CRF.
    ///
    /// # Errors
    /// The device fails.
    pub fn transitions(&self) -> Result<Option<Transitions>, Error> {
        self.crf.as_ref().map(Crf::scores).transpose()
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

    /// Whether the model computes by Burn's operations on a GPU, which compiles and tunes a kernel for each of their shapes when it first occurs.
    pub fn tunes_kernels(&self) -> bool {
        matches!(self.ops, Ops::Plain(_))
            && matches!(Ops::for_device(&self.device()), Ops::Plain(_))
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
