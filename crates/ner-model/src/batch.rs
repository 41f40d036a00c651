//! A batch of sequences laid end to end.

use std::ops::Range;

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::{Error, ModelConfig};

/// Sequences of sub-word ids, packed end to end without padding, and which of the sub-words are to be classified.
///
/// Sequence `s` occupies `ids[boundaries[s]..boundaries[s + 1]]`; every per-sub-word tensor of the model has one row for each id here, until the
/// last layer drops those that nobody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    ids: Vec<u32>,
    boundaries: Vec<usize>,
    targets: Vec<usize>,
    target_boundaries: Vec<usize>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            boundaries: vec![0],
            targets: Vec::new(),
            target_boundaries: vec![0],
        }
    }
}

impl Batch {
    /// Appends one sequence, special tokens included, all of whose sub-words are to be classified.
    pub fn push(&mut self, sequence: impl IntoIterator<Item = u32>) {
        let start = self.ids.len();
        self.ids.extend(sequence);
        self.targets.extend(start..self.ids.len());
        self.boundaries.push(self.ids.len());
        self.target_boundaries.push(self.targets.len());
    }

    /// Appends one sequence, special tokens included, of which only the sub-words at the given places are to be classified: the others are
    /// context, and the last layer spares itself most of its work on them. Places are counted from the sequence's start and rise.
    pub fn push_with_targets(
        &mut self,
        sequence: impl IntoIterator<Item = u32>,
        places: impl IntoIterator<Item = usize>,
    ) {
        let start = self.ids.len();
        self.ids.extend(sequence);
        let places = places.into_iter().map(|place| start + place);
        self.targets.extend(places);
        self.boundaries.push(self.ids.len());
        self.target_boundaries.push(self.targets.len());
    }

    /// All sub-word ids, end to end.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Where sequences begin and end: 0, then the end of each sequence.
    pub fn boundaries(&self) -> &[usize] {
        &self.boundaries
    }

    /// Number of sequences.
    pub fn sequence_count(&self) -> usize {
        self.boundaries.len() - 1
    }

    /// Rows of each sequence.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.boundaries.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// The sub-words that are to be classified, by their place in `ids`, rising: what the rows of the logits belong to.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// Rows of the logits that belong to each sequence.
    pub fn target_ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.target_boundaries
            .windows(2)
            .map(|pair| pair[0]..pair[1])
    }

    /// Length of the longest sequence.
    pub fn longest(&self) -> usize {
        self.ranges().map(|range| range.len()).max().unwrap_or(0)
    }

    /// Checks that the model has a row for every id and position.
    pub(crate) fn check(&self, config: &ModelConfig) -> Result<(), Error> {
        if self.ids.is_empty() {
            return Err(Error::Batch("there is no sub-word in it".to_owned()));
        }
        if self.targets.is_empty() {
            return Err(Error::Batch(
                "no sub-word of it is to be classified".to_owned(),
            ));
        }
        for (sequence, (range, targets)) in self.ranges().zip(self.target_ranges()).enumerate() {
            let targets = &self.targets[targets];
            let rise = targets.windows(2).all(|pair| pair[0] < pair[1]);
            if !rise || targets.iter().any(|target| !range.contains(target)) {
                let places: Vec<usize> =
                    targets.iter().map(|target| target - range.start).collect();
                return Err(Error::Batch(format!(
                    "sequence {sequence} has {} sub-words, of which those at {places:?} are to be classified; places rise and are in the sequence",
                    range.len()
                )));
            }
            if range.is_empty() || range.len() > config.usable_positions() {
                return Err(Error::Batch(format!(
                    "sequence {sequence} has {} sub-words, the model takes 1 to {}; split or window it",
                    range.len(),
                    config.usable_positions()
                )));
            }
            if let Some(id) = self.ids[range]
                .iter()
                .find(|&&id| id as usize >= config.vocab_size)
            {
                return Err(Error::Batch(format!(
                    "sequence {sequence} holds sub-word {id}, the model knows {}; is the tokenizer this model's?",
                    config.vocab_size
                )));
            }
        }
        Ok(())
    }
}

/// How the sub-words of a batch lie in the rows of a hidden state.
#[derive(Clone, Debug)]
pub(crate) struct RowLayout<'a> {
    batch: &'a Batch,
    /// Rows of each sequence, those after its end being padding; nothing where sequences lie end to end, as in the batch.
    padded_to: Option<usize>,
    /// Which of them are padding, `[sequences, 1, 1, rows of each]`; nothing where none is. Every layer reads it.
    padding: Option<Tensor<4, Bool>>,
}

impl<'a> RowLayout<'a> {
    /// Sequences end to end.
    pub fn packed(batch: &'a Batch) -> Self {
        Self {
            batch,
            padded_to: None,
            padding: None,
        }
    }

    /// Every sequence in `length` rows, at least those of the longest one.
    pub fn padded(batch: &'a Batch, length: usize, device: &Device) -> Self {
        let is_padding = batch
            .ranges()
            .flat_map(|range| (0..length).map(move |row| row >= range.len()));
        let is_padding: Vec<bool> = is_padding.collect();
        let padding = is_padding.contains(&true).then(|| {
            let shape = [batch.sequence_count(), 1, 1, length];
            Tensor::from_data(TensorData::new(is_padding, shape), device)
        });
        Self {
            batch,
            padded_to: Some(length),
            padding,
        }
    }

    /// Which rows of each sequence are padding, `[sequences, 1, 1, rows of each]`; nothing where none is.
    pub fn padding(&self) -> Option<Tensor<4, Bool>> {
        self.padding.clone()
    }

    /// Rows of each sequence where they are padded.
    pub fn padded_to(&self) -> Option<usize> {
        self.padded_to
    }

    /// Where sequences begin and end in the batch.
    pub fn boundaries(&self) -> &'a [usize] {
        self.batch.boundaries()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self.padded_to {
            Some(length) => self.batch.sequence_count() * length,
            None => self.batch.ids.len(),
        }
    }

    /// Sub-word id of each row; `pad` in padding.
    pub fn ids(&self, pad: u32) -> Vec<i64> {
        let Some(length) = self.padded_to else {
            return self.batch.ids.iter().map(|&id| i64::from(id)).collect();
        };
        let mut ids = vec![i64::from(pad); self.rows()];
        for (range, row) in self.batch.ranges().zip(ids.chunks_exact_mut(length)) {
            for (slot, &id) in row.iter_mut().zip(&self.batch.ids[range]) {
                *slot = i64::from(id);
            }
        }
        ids
    }

    /// Position of each row in its sequence, counted from `first`.
    pub fn positions(&self, first: usize) -> Vec<i64> {
        let lengths = self.batch.ranges().map(|range| range.len());
        lengths
            .flat_map(|length| 0..self.padded_to.unwrap_or(length))
            .map(|position| (first + position) as i64)
            .collect()
    }

    /// Which of the batch's sub-words the row holds; of a row of padding, any number.
    pub fn subword(&self, row: usize) -> usize {
        match self.padded_to {
            Some(length) => self.batch.boundaries[row / length] + row % length,
            None => row,
        }
    }

    /// Rows of the sub-words that are to be classified; nothing where they are all rows.
    pub fn targets(&self) -> Option<Vec<i64>> {
        if self.batch.targets.len() == self.rows() {
            return None;
        }
        let Some(length) = self.padded_to else {
            return Some(self.batch.targets.iter().map(|&row| row as i64).collect());
        };
        let sequences = self.batch.ranges().zip(self.batch.target_ranges());
        let rows = sequences
            .enumerate()
            .flat_map(|(sequence, (range, targets))| {
                let targets = self.batch.targets[targets].iter();
                targets.map(move |target| (sequence * length + target - range.start) as i64)
            });
        Some(rows.collect())
    }
}

impl<S: IntoIterator<Item = u32>> FromIterator<S> for Batch {
    fn from_iter<I: IntoIterator<Item = S>>(sequences: I) -> Self {
        let mut batch = Self::default();
        for sequence in sequences {
            batch.push(sequence);
        }
        batch
    }
}
