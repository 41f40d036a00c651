//! A model of some sub-words of its vocabulary, and of all of them again.

use burn::tensor::Tensor;

use super::TokenClassifier;
use super::conversion::as_parameter;
use super::projection::matrix;
use crate::Error;
use crate::device::read;

impl TokenClassifier {
    /// The same model with the embeddings of these sub-words only: sub-word `n` of the result is `ids[n]` of this one. Also the whole table,
    /// `[vocabulary, width]`, one row after the other, from which [`with_table`](Self::with_table) makes the whole model again.
    ///
    /// # Errors
    /// An id that the model does not have, a model that was [opened](Self::open) for inference, or a device that fails.
    pub fn restricted_to(mut self, ids: &[u32]) -> Result<(Self, Vec<f32>), Error> {
        if self.is_opened() {
            return Err(Error::OpenedForInference("to be trained".to_owned()));
        }
        let known = self.config.vocab_size;
        if let Some(id) = ids.iter().find(|&&id| id as usize >= known) {
            return Err(Error::Sizes(format!(
                "sub-word {id} is asked for, the model knows {known}"
            )));
        }
        let width = self.config.embedding_size();
        let table = read(self.word_embeddings_table())?;
        let mut rows = Vec::with_capacity(ids.len() * width);
        for &id in ids {
            rows.extend_from_slice(&table[id as usize * width..][..width]);
        }
        self.set_words(rows, ids.len());
        Ok((self, table))
    }

    /// The whole model, of one that was [restricted](Self::restricted_to) to these sub-words: the rows of all others are the table's.
    ///
    /// # Errors
    /// A table that is not `[vocabulary, width]` with a row for each of the ids, or a device that fails.
    pub fn with_table(mut self, ids: &[u32], mut table: Vec<f32>) -> Result<Self, Error> {
        let width = self.config.embedding_size();
        let rows = read(self.word_embeddings_table())?;
        let count = table.len() / width;
        let is_whole = table.len() == count * width && rows.len() == ids.len() * width;
        if !is_whole || ids.iter().any(|&id| id as usize >= count) {
            return Err(Error::Sizes(format!(
                "a table of {} floats does not hold {} rows of {width}",
                table.len(),
                ids.len()
            )));
        }
        for (&id, row) in ids.iter().zip(rows.chunks_exact(width)) {
            table[id as usize * width..][..width].copy_from_slice(row);
        }
        self.set_words(table, count);
        Ok(self)
    }

    /// The word embeddings, `[vocabulary, width]`.
    pub(crate) fn word_embeddings_table(&self) -> Tensor<2> {
        self.embeddings.word_embeddings.weight.val()
    }

    fn set_words(&mut self, table: Vec<f32>, count: usize) {
        let shape = [count, self.config.embedding_size()];
        let weight = &mut self.embeddings.word_embeddings.weight;
        *weight = weight
            .clone()
            .map(|old| as_parameter(matrix(table, shape, &old.device())));
        self.config.vocab_size = count;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Batch, DeviceChoice, ForwardMode, ModelConfig};

    fn golden() -> TokenClassifier {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/goldens/models/bert");
        let config = ModelConfig::from_dir(&dir).unwrap();
        let device = DeviceChoice::Flex.open().unwrap();
        TokenClassifier::load(&dir, &config, &device, 0).unwrap().0
    }

    fn logits(model: &TokenClassifier, ids: [u32; 4]) -> Vec<f32> {
        let batch: Batch = [ids].into_iter().collect();
        read(model.forward(&batch, ForwardMode::Inference).unwrap()).unwrap()
    }

    #[test]
    fn the_restricted_model_computes_the_same_and_becomes_whole_again() {
        let whole = golden();
        let ids = [2, 3, 7, 20];
        let (restricted, table) = whole.clone().restricted_to(&ids).unwrap();
        assert_eq!(restricted.config().vocab_size, 4);
        let expected = logits(&whole, [2, 20, 7, 3]);
        assert_eq!(logits(&restricted, [0, 3, 2, 1]), expected);
        let unknown: Batch = [[4_u32]].into_iter().collect();
        assert!(
            restricted
                .forward(&unknown, ForwardMode::Inference)
                .is_err()
        );

        // Its own rows win over those of the table, which holds all others.
        let mut other = table.clone();
        let width = whole.config().embedding_size();
        other[2 * width..][..2 * width].fill(f32::NAN);
        let again = restricted.clone().with_table(&ids, other).unwrap();
        assert_eq!(again.config().vocab_size, whole.config().vocab_size);
        assert_eq!(logits(&again, [2, 20, 7, 3]), expected);
        assert_eq!(logits(&again, [5, 8, 9, 4]), logits(&whole, [5, 8, 9, 4]));
        let short = table[..3 * width].to_vec();
        let error = restricted.with_table(&ids, short).unwrap_err();
        assert!(
            error.to_string().contains("does not hold 4 rows"),
            "{error}"
        );
        let error = whole.restricted_to(&[1, 99_999]).unwrap_err();
        assert!(error.to_string().contains("sub-word 99999"), "{error}");
    }
}
