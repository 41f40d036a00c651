//! A model of some sub-words of its vocabulary, and of all of them again.

use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::TokenClassifier;
use super::conversion::as_parameter;
use super::forward::integers;
use super::projection::matrix;
use crate::Error;
use crate::device::read;
use crate::ops::Ops;
use crate::weights::WordRows;

/// Floats of a part of the word embeddings, about: 4 MB.
const PART: usize = 1 << 20;

impl TokenClassifier {
    /// The same model with the embeddings of these sub-words only: sub-word `n` of the result is `ids[n]` of this one.
    /// [`with_other_rows`](Self::with_other_rows) makes the whole model again.
    ///
    /// # Errors
    /// An id that the model does not have, a model that was [opened](Self::open) for inference, or a device that fails.
    pub fn restricted_to(self, ids: &[u32]) -> Result<Self, Error> {
        let mut model = self.in_memory()?;
        let known = model.config.vocab_size;
        if let Some(id) = ids.iter().find(|&&id| id as usize >= known) {
            return Err(Error::Sizes(format!(
                "sub-word {id} is asked for, the model knows {known}"
            )));
        }
        let table = model.word_embeddings_table();
        let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
        let (count, ids) = (ids.len(), integers(ids, &table.device()));
        let rows = read(table.select(0, ids))?;
        model.set_words(rows, count);
        Ok(model)
    }

    /// The whole model, of one that was [restricted](Self::restricted_to) to these sub-words, rising, of so many. On a CPU the rows of the others
    /// stay where they are and are read when a text has the sub-words; such a model is for inference and to be saved, and
    /// [`in_memory`](Self::in_memory) makes one of it that is for anything. On a GPU it is that one.
    ///
    /// # Errors
    /// Sub-words that are not those of the model, or a device that fails; on a GPU rows that cannot be read.
    pub fn with_other_rows(
        mut self,
        ids: &[u32],
        vocabulary: usize,
        others: Arc<dyn WordRows>,
    ) -> Result<Self, Error> {
        let width = self.config.embedding_size();
        let own = read(self.word_embeddings_table())?;
        let rise = ids.windows(2).all(|pair| pair[0] < pair[1]);
        let are_known = ids.iter().all(|&id| (id as usize) < vocabulary);
        if own.len() != ids.len() * width || !rise || !are_known {
            return Err(Error::Sizes(format!(
                "the model of {} sub-words was not restricted to these {}, rising, of {vocabulary}",
                self.config.vocab_size,
                ids.len()
            )));
        }
        self.words = Some(Arc::new(Restored {
            ids: ids.to_vec(),
            own,
            width,
            others,
        }));
        self.config.vocab_size = vocabulary;
        match Ops::for_device(&self.device()) {
            Ops::Fused(_) => Ok(self),
            _ => self.in_memory(),
        }
    }

    /// The same model with word embeddings that are its own, where they are [elsewhere](Self::with_other_rows).
    ///
    /// # Errors
    /// A model that was [opened](Self::open) for inference, rows that cannot be read.
    pub fn in_memory(mut self) -> Result<Self, Error> {
        if self.is_opened() {
            return Err(Error::OpenedForInference("to be trained".to_owned()));
        }
        if self.words.is_none() {
            return Ok(self);
        }
        let count = self.config.vocab_size;
        let mut table = Vec::with_capacity(count * self.config.embedding_size());
        for part in self.word_embedding_parts() {
            table.extend(part?);
        }
        self.words = None;
        self.set_words(table, count);
        Ok(self)
    }

    /// The word embeddings, `[vocabulary, width]`, some rows at a time, so that those of a large vocabulary need not be in memory twice.
    ///
    /// # Errors
    /// Of a part: rows that cannot be read, or a device that fails.
    pub fn word_embedding_parts(&self) -> impl Iterator<Item = Result<Vec<f32>, Error>> {
        self.parts_of_rows((PART / self.config.embedding_size().max(1)).max(1))
    }

    /// So many rows of the word embeddings at a time.
    fn parts_of_rows(&self, rows: usize) -> impl Iterator<Item = Result<Vec<f32>, Error>> {
        let count = self.config.vocab_size;
        (0..count).step_by(rows).map(move |start| {
            let end = (start + rows).min(count);
            match &self.words {
                Some(table) => table.rows(&(start as u32..end as u32).collect::<Vec<u32>>()),
                None => read(self.word_embeddings_table().narrow(0, start, end - start)),
            }
        })
    }

    /// The word embeddings that are the model's own, `[rows, width]`.
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

/// The word embeddings of a model that was restricted: its own rows, and the place of all others.
struct Restored {
    /// Sub-words of its own rows, rising.
    ids: Vec<u32>,
    own: Vec<f32>,
    width: usize,
    others: Arc<dyn WordRows>,
}

impl fmt::Debug for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (own, width) = (self.ids.len(), self.width);
        write!(f, "Restored[{own} and {:?}, {width}]", self.others)
    }
}

impl WordRows for Restored {
    fn rows(&self, ids: &[u32]) -> Result<Vec<f32>, Error> {
        let place = |id: &u32| self.ids.binary_search(id).ok();
        let others: Vec<u32> = ids
            .iter()
            .copied()
            .filter(|id| place(id).is_none())
            .collect();
        let others = self.others.rows(&others)?;
        let mut others = others.chunks_exact(self.width);
        let mut out = Vec::with_capacity(ids.len() * self.width);
        for id in ids {
            let row = match place(id) {
                Some(at) => Some(&self.own[at * self.width..][..self.width]),
                None => others.next(),
            };
            out.extend_from_slice(row.unwrap_or_default());
        }
        Ok(out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::testing::golden;
    use crate::{Batch, ForwardMode};

    /// A table in memory.
    #[derive(Debug)]
    struct Table {
        values: Vec<f32>,
        width: usize,
    }

    impl WordRows for Table {
        fn rows(&self, ids: &[u32]) -> Result<Vec<f32>, Error> {
            let row = |&id: &u32| &self.values[id as usize * self.width..][..self.width];
            Ok(ids.iter().flat_map(row).copied().collect())
        }
    }

    fn logits(model: &TokenClassifier, ids: [u32; 4]) -> Vec<f32> {
        let batch: Batch = [ids].into_iter().collect();
        read(model.forward(&batch, ForwardMode::Inference).unwrap()).unwrap()
    }

    /// What is written of a model.
    fn saved(model: &TokenClassifier) -> [Vec<u8>; 2] {
        let dir = tempfile::tempdir().unwrap();
        model.save(dir.path()).unwrap();
        ["config.json", "model.safetensors"]
            .map(|name| std::fs::read(dir.path().join(name)).unwrap())
    }

    #[test]
    fn the_restricted_model_computes_the_same_and_becomes_whole_again() {
        let whole = golden("bert");
        let ids = [2, 3, 7, 20];
        let restricted = whole.clone().restricted_to(&ids).unwrap();
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
        let (count, width) = (whole.config().vocab_size, whole.config().embedding_size());
        let mut values = read(whole.word_embeddings_table()).unwrap();
        values[2 * width..][..2 * width].fill(f32::NAN);
        let others = Arc::new(Table { values, width });
        let again = restricted.clone();
        let again = again.with_other_rows(&ids, count, others.clone()).unwrap();
        for again in [again.clone(), again.in_memory().unwrap()] {
            assert_eq!(again.config().vocab_size, count);
            assert_eq!(logits(&again, [2, 20, 7, 3]), expected);
            assert_eq!(logits(&again, [5, 8, 9, 4]), logits(&whole, [5, 8, 9, 4]));
            assert!(saved(&again) == saved(&whole));
        }
        for (ids, count) in [
            (&ids[..3], count),
            (&ids[..], 20),
            (&[2, 3, 20, 7][..], count),
        ] {
            let again = restricted.clone();
            let error = again
                .with_other_rows(ids, count, others.clone())
                .unwrap_err();
            assert!(error.to_string().contains("was not restricted"), "{error}");
        }
        let error = whole.restricted_to(&[1, 99_999]).unwrap_err();
        assert!(error.to_string().contains("sub-word 99999"), "{error}");
    }

    #[test]
    fn parts_of_any_size_are_the_table() {
        let whole = golden("bert");
        let (count, width) = (whole.config().vocab_size, whole.config().embedding_size());
        let values = read(whole.word_embeddings_table()).unwrap();
        let ids = [2, 3, 7, 20];
        let restricted = whole.clone().restricted_to(&ids).unwrap();
        let others = Arc::new(Table {
            values: values.clone(),
            width,
        });
        let restored = restricted.with_other_rows(&ids, count, others).unwrap();
        for model in [whole, restored] {
            for rows in [1, 7, count - 1, count, count + 1] {
                let parts: Vec<Vec<f32>> = model.parts_of_rows(rows).map(Result::unwrap).collect();
                assert_eq!(parts.len(), count.div_ceil(rows));
                assert_eq!(parts.concat(), values);
            }
        }
    }
}
