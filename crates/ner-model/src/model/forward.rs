//! From a batch to hidden states.

use burn::nn::Embedding;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{ForwardMode, TokenClassifier};
use crate::batch::RowLayout;
use crate::ops::Dropout;
#[cfg(feature = "cuda")]
use crate::ops::Ops;
use crate::{Batch, Error};

impl TokenClassifier {
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
        #[cfg(feature = "cuda")]
        if let Ops::Gpu(factors) = self.ops {
            return Ok(self.states_on_gpu(factors, layers, batch, mode));
        }
        let device = self.device();
        let layout = self
            .ops
            .layout(batch, self.config.usable_positions(), &device);
        let mut x = self.embed(&layout, mode)?; // [rows, hidden]
        let at_targets = |x: Tensor<2>| match layout.targets() {
            Some(rows) => x.select(0, integers(rows, &device)),
            None => x,
        };
        let mut states = Vec::with_capacity(layers.len());
        let Some(last) = self.encoder.layer.len().checked_sub(1) else {
            return Ok((states, at_targets(x)));
        };
        for number in 0..last {
            x = self.layer(number, x, &layout, mode, |x| x);
            if layers.contains(&number) {
                states.push(at_targets(x.clone()));
            }
        }
        // The last layer's attention has seen every sub-word; nothing reads the rest of those that are not to be classified.
        let x = match layout.padded_to() {
            None => self.layer(last, x, &layout, mode, at_targets),
            Some(_) => at_targets(self.layer(last, x, &layout, mode, |x| x)),
        };
        if layers.contains(&last) {
            states.push(x.clone());
        }
        Ok((states, x))
    }

    /// Embeddings of each row, `[rows, hidden]`.
    ///
    /// # Errors
    /// Word embeddings outside of the model cannot be read.
    pub(super) fn embed(
        &self,
        layout: &RowLayout<'_>,
        mode: ForwardMode,
    ) -> Result<Tensor<2>, Error> {
        let sum = self.ops.residual_layer_norm(
            self.word_embeddings(layout)?,
            self.position_and_type_embeddings(layout),
            &self.embeddings.LayerNorm,
            self.config.layer_norm_eps,
            Dropout::OFF,
            layout,
        );
        let dropout = self.dropout(
            mode,
            self.config.hidden_dropout_prob,
            DropoutSite::Embeddings,
        );
        let dropped = self.ops.dropout(sum, dropout, layout);
        Ok(match &self.embeddings_project {
            Some(projection) => self.ops.linear(dropped, projection),
            None => dropped,
        })
    }

    fn word_embeddings(&self, layout: &RowLayout<'_>) -> Result<Tensor<2>, Error> {
        let pad = self.config.pad_token_id() as usize;
        let pad = pad.min(self.config.vocab_size.saturating_sub(1)) as u32;
        let ids = layout.ids(pad);
        Ok(match &self.words {
            Some(table) => {
                let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
                let shape = [layout.rows(), self.config.embedding_size()];
                Tensor::from_data(TensorData::new(table.rows(&ids)?, shape), &self.device())
            }
            None => lookup(&self.embeddings.word_embeddings, ids),
        })
    }

    fn position_and_type_embeddings(&self, layout: &RowLayout<'_>) -> Tensor<2> {
        let table = &self.embeddings.position_embeddings;
        let (rows, width) = (layout.rows(), self.config.embedding_size());
        let first = self.config.first_position();
        let positions = match layout.padded_to() {
            // The same rows for every sequence: no look-up, whose backward pass a GPU takes row after row.
            Some(length) => {
                let one = table.weight.val().narrow(0, first, length).unsqueeze::<3>();
                one.expand([rows / length, length, width])
                    .reshape([rows, width])
            }
            None => lookup(table, layout.positions(first)),
        };
        match &self.embeddings.token_type_embeddings {
            Some(types) => positions + types.weight.val().narrow(0, 0, 1), // [1, embedding] to each row
            None => positions,
        }
    }

    /// One encoder layer. `narrow` says with which rows it goes on after its attention.
    pub(super) fn layer(
        &self,
        number: usize,
        x: Tensor<2>,
        layout: &RowLayout<'_>,
        mode: ForwardMode,
        narrow: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let (ops, epsilon) = (&self.ops, self.config.layer_norm_eps);
        let layer = &self.encoder.layer[number];
        let [attention_dropout, output_dropout, hidden_dropout] = self.layer_dropouts(mode, number);
        let projections = &layer.attention.self_attention;
        let context = ops.self_attention(
            x.clone(),
            [&projections.query, &projections.key, &projections.value],
            layout,
            self.config.num_attention_heads,
            attention_dropout,
        );
        let (context, x) = (narrow(context), narrow(x));

        let output = &layer.attention.output;
        let x = ops.residual_layer_norm(
            ops.linear(context, &output.dense),
            x,
            &output.LayerNorm,
            epsilon,
            output_dropout,
            layout,
        );
        let output = &layer.output;
        ops.residual_layer_norm(
            ops.feed_forward(x.clone(), [&layer.intermediate.dense, &output.dense]),
            x,
            &output.LayerNorm,
            epsilon,
            hidden_dropout,
            layout,
        )
    }

    /// Dropout of a layer's attention probabilities, of the attention's output and of the feed-forward half's.
    pub(super) fn layer_dropouts(&self, mode: ForwardMode, layer: usize) -> [Dropout; 3] {
        let config = &self.config;
        let attention = DropoutSite::AttentionProbabilities(layer);
        let output = DropoutSite::AttentionOutput(layer);
        let drops_output = config.model_type.drops_attention_output();
        [
            self.dropout(mode, config.attention_probs_dropout_prob, attention),
            if drops_output {
                self.dropout(mode, config.hidden_dropout_prob, output)
            } else {
                Dropout::OFF
            },
            self.dropout(mode, config.hidden_dropout_prob, DropoutSite::Output(layer)),
        ]
    }

    pub(super) fn dropout(
        &self,
        mode: ForwardMode,
        probability: f64,
        site: DropoutSite,
    ) -> Dropout {
        match mode {
            ForwardMode::Inference => Dropout::OFF,
            ForwardMode::Training { seed } => Dropout::new(probability, seed, site.number()),
            ForwardMode::ParallelTraining { seed } => Dropout {
                draws: false,
                ..Dropout::new(probability, seed, site.number())
            },
        }
    }
}

/// Rows of a table, `[ids, width]`.
fn lookup(table: &Embedding, ids: Vec<i64>) -> Tensor<2> {
    let [_, width] = table.weight.dims();
    let rows = ids.len();
    let ids = integers(ids, &table.weight.device()).unsqueeze::<2>(); // [1, rows]
    table.forward(ids).reshape([rows, width])
}

pub(super) fn integers(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// A place in the model where dropout acts.
pub(super) enum DropoutSite {
    Embeddings,
    AttentionProbabilities(usize),
    AttentionOutput(usize),
    Output(usize),
    Classifier,
}

impl DropoutSite {
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
