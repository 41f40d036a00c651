//! Precision, recall and F1 from counts, and their averages.

use std::collections::HashSet;

use serde::Serialize;

use crate::Entity;

/// Precision, recall and F1, each 0 where its denominator is 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Scores {
    /// Correct over predicted, 0 to 1.
    pub precision: f64,
    /// Correct over gold, 0 to 1.
    pub recall: f64,
    /// Harmonic mean of the two, 0 to 1.
    pub f1: f64,
    /// How many there are in gold.
    pub support: usize,
}

/// What scores are made of: of a whole file, of one type, or of one sentence or document that is drawn as a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// How many there are in gold.
    pub support: usize,
    /// How many there are in the prediction.
    pub predicted: usize,
    /// How many of them gold and prediction share.
    pub correct: usize,
}

impl Counts {
    /// Of the entities of one sentence, each side a set.
    #[must_use]
    pub fn of_entities(gold: &[Entity<'_>], predicted: &[Entity<'_>]) -> Self {
        let [gold, predicted] = [gold, predicted].map(|side| side.iter().collect::<HashSet<_>>());
        Self {
            support: gold.len(),
            predicted: predicted.len(),
            correct: gold.intersection(&predicted).count(),
        }
    }

    /// Those of several together.
    #[must_use]
    pub fn sum(all: impl IntoIterator<Item = Counts>) -> Self {
        all.into_iter().fold(Self::default(), |sum, one| Self {
            support: sum.support + one.support,
            predicted: sum.predicted + one.predicted,
            correct: sum.correct + one.correct,
        })
    }

    /// Precision, recall and F1, rounded as seqeval does, whose F1 is `2 p r / (p + r)`.
    #[must_use]
    pub fn scores(self) -> Scores {
        let precision = ratio(self.correct as f64, self.predicted as f64);
        let recall = ratio(self.correct as f64, self.support as f64);
        let f1 = ratio(2.0 * precision * recall, precision + recall);
        Scores {
            precision,
            recall,
            f1,
            support: self.support,
        }
    }

    /// Rounds as scikit-learn does, whose F1 is `2 correct / (support + predicted)`.
    pub(crate) fn sklearn_scores(self) -> Scores {
        Scores {
            precision: ratio(self.correct as f64, self.predicted as f64),
            recall: ratio(self.correct as f64, self.support as f64),
            f1: ratio(
                2.0 * self.correct as f64,
                self.support as f64 + self.predicted as f64,
            ),
            support: self.support,
        }
    }
}

/// The quotient, or 0 where the denominator is 0.
pub(crate) fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator == 0.0 {
        0.0
    } else {
        numerator / denominator
    }
}

/// The plain mean of each score; the support is the sum.
pub(crate) fn macro_average(rows: &[Scores]) -> Scores {
    average(rows, |_| 1.0)
}

/// The mean of each score weighted by support; the support is the sum.
pub(crate) fn weighted_average(rows: &[Scores]) -> Scores {
    average(rows, |row| row.support as f64)
}

fn average(rows: &[Scores], weight: impl Fn(&Scores) -> f64) -> Scores {
    let sum = |value: &dyn Fn(&Scores) -> f64| {
        numpy_sum(
            &rows
                .iter()
                .map(|row| value(row) * weight(row))
                .collect::<Vec<_>>(),
        )
    };
    let total = sum(&|_| 1.0);
    Scores {
        precision: ratio(sum(&|row| row.precision), total),
        recall: ratio(sum(&|row| row.recall), total),
        f1: ratio(sum(&|row| row.f1), total),
        support: rows.iter().map(|row| row.support).sum(),
    }
}

/// Sums in the order of numpy's pairwise summation, because a report must not differ from the reference in its last
/// digit. Source: `pairwise_sum` of numpy 2, `numpy/_core/src/umath/loops_utils.h.src`.
pub(crate) fn numpy_sum(values: &[f64]) -> f64 {
    const LANES: usize = 8;
    const BLOCK: usize = 128;
    if values.len() > BLOCK {
        let half = values.len() / 2;
        let (left, right) = values.split_at(half - half % LANES);
        return numpy_sum(left) + numpy_sum(right);
    }
    let mut chunks = values.chunks_exact(LANES);
    let head = match chunks.next() {
        None => 0.0,
        Some(first) => {
            let mut lanes = [0.0; LANES];
            lanes.copy_from_slice(first);
            for chunk in chunks.by_ref() {
                for (lane, value) in lanes.iter_mut().zip(chunk) {
                    *lane += value;
                }
            }
            ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
                + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
        }
    };
    chunks
        .remainder()
        .iter()
        .fold(head, |sum, value| sum + value)
}
