//! The hidden states of a teacher that a student learns.

use burn::tensor::Tensor;

use super::{Basis, ForwardMode, TokenClassifier};
use crate::{Batch, Error, ModelConfig};

/// Which hidden states of a model another one learns.
#[derive(Clone, Debug)]
pub struct LayerView {
    /// The layers after which they are, numbered from 0 and rising.
    pub layers: Vec<usize>,
    /// How they are narrowed, where the other model is narrower.
    pub basis: Option<Basis>,
}

impl LayerView {
    /// The last hidden states of a model, as they are.
    #[must_use]
    pub fn last(config: &ModelConfig) -> Self {
        Self {
            layers: config
                .num_hidden_layers
                .checked_sub(1)
                .into_iter()
                .collect(),
            basis: None,
        }
    }

    /// Numbers that one sub-word has in it, in a model of this width.
    #[must_use]
    pub fn width(&self, hidden_size: usize) -> usize {
        let width = self.basis.as_ref().map_or(hidden_size, Basis::width);
        self.layers.len() * width
    }
}

impl TokenClassifier {
    /// Logits of the sub-words that are to be classified, and behind them their hidden states, layer after layer.
    ///
    /// # Shapes
    /// - output: `[targets, labels + layers * width]`
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_with_states(
        &self,
        view: &LayerView,
        batch: &Batch,
        mode: ForwardMode,
    ) -> Result<Tensor<2>, Error> {
        let (states, last) = self.states_after(&view.layers, batch, mode)?;
        let states = states.into_iter().map(|state| match &view.basis {
            Some(basis) => basis.narrow(state),
            None => state,
        });
        let logits = self.classify(last, batch, mode);
        Ok(Tensor::cat([logits].into_iter().chain(states).collect(), 1))
    }
}
