//! From logits to labels.

use burn::tensor::Tensor;

use crate::Error;

/// Logits of one batch, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    values: Vec<f32>,
    labels: usize,
}

impl Logits {
    /// Reads the logits back from their device.
    ///
    /// # Shapes
    /// - logits: `[sub_words, labels]`
    ///
    /// # Errors
    /// The device fails, or the logits are no 32-bit floats.
    pub fn read(logits: Tensor<2>) -> Result<Self, Error> {
        let [_, labels] = logits.dims();
        let data = logits
            .try_into_data()
            .map_err(|e| Error::Batch(format!("cannot read the logits back: {e:?}")))?;
        let values = data
            .as_slice::<f32>()
            .map_err(|e| Error::Batch(format!("logits are no f32: {e:?}")))?
            .to_vec();
        Ok(Self { values, labels })
    }

    /// Logits of one sub-word.
    ///
    /// # Panics
    /// There is no such sub-word in the batch.
    pub fn row(&self, sub_word: usize) -> &[f32] {
        &self.values[sub_word * self.labels..(sub_word + 1) * self.labels]
    }

    /// Number and probability of the label with the highest logit; the first of equals, as NumPy's `argmax`.
    ///
    /// # Panics
    /// There is no such sub-word in the batch.
    pub fn best(&self, sub_word: usize) -> (usize, f32) {
        let row = self.row(sub_word);
        let best = (1..row.len()).fold(
            0,
            |best, label| if row[label] > row[best] { label } else { best },
        );
        (
            best,
            1.0 / row
                .iter()
                .map(|logit| (logit - row[best]).exp())
                .sum::<f32>(),
        )
    }

    /// Probability of each label of one sub-word: the softmax of its logits.
    ///
    /// # Panics
    /// There is no such sub-word in the batch.
    pub fn probabilities(&self, sub_word: usize) -> impl Iterator<Item = f32> + '_ {
        let row = self.row(sub_word);
        let max = row.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = row.iter().map(|logit| (logit - max).exp()).sum();
        row.iter().map(move |logit| (logit - max).exp() / sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_label_and_probabilities() {
        let logits = Logits {
            values: vec![0.0, 2.0, 2.0, 1e4, -1e4, 0.0],
            labels: 3,
        };
        let probabilities: Vec<f32> = logits.probabilities(0).collect();
        assert_eq!(
            (logits.best(0), logits.best(1)),
            ((1, probabilities[1]), (0, 1.0))
        );
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((probabilities[1] / probabilities[0] - 2_f32.exp()).abs() < 1e-4);
        assert_eq!(logits.probabilities(1).collect::<Vec<_>>(), [1.0, 0.0, 0.0]);
    }
}
