//! From a batch to hidden states on an NVIDIA GPU, where embeddings and layers are one operation each.

use burn::tensor::Tensor;

use super::forward::DropoutSite;
use super::{ForwardMode, Layer, TokenClassifier};
use crate::Batch;
use crate::ops::{Factors, cuda};

impl TokenClassifier {
    /// As [`states_after`](Self::states_after). The last layer computes all rows: picking those that are needed takes longer than computing the rest.
    pub(super) fn states_on_gpu(
        &self,
        factors: Factors,
        layers: &[usize],
        batch: &Batch,
        mode: ForwardMode,
    ) -> (Vec<Tensor<2>>, Tensor<2>) {
        let heads = self.config.num_attention_heads;
        let sequences = cuda::Sequences::new(batch.boundaries(), heads, &self.device());
        let targets: Vec<i32> = batch.targets().iter().map(|&row| row as i32).collect();
        let mut states = Vec::with_capacity(layers.len());
        let number_of_last = self.encoder.layer.len().saturating_sub(1);
        let mut x = self.embed_on_gpu(factors, batch, mode);
        for (number, layer) in self.encoder.layer.iter().enumerate() {
            let settings = cuda::LayerSettings {
                sequences: sequences.clone(),
                heads,
                epsilon: self.config.layer_norm_eps as f32,
                numbers: factors.into(),
                dropouts: self.layer_dropouts(mode, number),
            };
            x = cuda::layer(x, &parameters(layer), settings);
            if layers.contains(&number) && number != number_of_last {
                states.push(cuda::gather(x.clone(), targets.clone()));
            }
        }
        let last = cuda::gather(x, targets);
        if layers.last() == Some(&number_of_last) {
            states.push(last.clone());
        }
        (states, last)
    }

    fn embed_on_gpu(&self, factors: Factors, batch: &Batch, mode: ForwardMode) -> Tensor<2> {
        let tables = &self.embeddings;
        let settings = cuda::EmbeddingSettings {
            ids: batch.ids().iter().map(|&id| id as i32).collect(),
            positions: batch
                .ranges()
                .flat_map(|range| 0..range.len())
                .map(|position| (self.config.first_position() + position) as i32)
                .collect(),
            has_types: tables.token_type_embeddings.is_some(),
            epsilon: self.config.layer_norm_eps as f32,
            numbers: factors.into(),
            dropout: self.dropout(
                mode,
                self.config.hidden_dropout_prob,
                DropoutSite::Embeddings,
            ),
        };
        let lookups = [&tables.word_embeddings, &tables.position_embeddings];
        let types = tables.token_type_embeddings.as_ref();
        cuda::embed(lookups, types, &tables.LayerNorm, settings)
    }
}

fn parameters(layer: &Layer) -> cuda::LayerParameters<'_> {
    let projections = &layer.attention.self_attention;
    cuda::LayerParameters {
        query_key_value: [&projections.query, &projections.key, &projections.value],
        output: &layer.attention.output.dense,
        widen: &layer.intermediate.dense,
        narrow: &layer.output.dense,
        norms: [&layer.attention.output.LayerNorm, &layer.output.LayerNorm],
    }
}
