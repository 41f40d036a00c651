//! Whether scores are probabilities, and what a threshold on them gives.

use serde::{Deserialize, Serialize};

use crate::scores::{Counts, Scores};

/// A prediction with its score, and whether it is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScoredPrediction {
    /// The score, 0 to 1.
    pub score: f64,
    /// Whether gold has the same.
    pub correct: bool,
}

/// The predictions whose scores lie in one range.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// The lower end of the range, itself in it only where it is 0.
    pub low: f64,
    /// The upper end, itself in it.
    pub high: f64,
    /// Predictions in it.
    pub count: usize,
    /// Their mean score; 0 where there is none.
    pub confidence: f64,
    /// The share of them that is right; 0 where there is none.
    pub accuracy: f64,
}

/// How far scores are from the share of right predictions.
///
/// ```
/// use ner_metrics::{Reliability, ScoredPrediction};
///
/// let prediction = |score, correct| ScoredPrediction { score, correct };
/// let report = Reliability::new(&[prediction(0.9, true), prediction(0.9, false), prediction(0.3, false)], 10);
/// assert!((report.expected_calibration_error - (2.0 / 3.0 * 0.4 + 1.0 / 3.0 * 0.3)).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reliability {
    /// Ranges of equal width from 0 to 1.
    pub bins: Vec<ReliabilityBin>,
    /// Predictions in all.
    pub count: usize,
    /// The mean distance of confidence and accuracy, bins weighted by their predictions, 0 to 1 (Naeini et al. 2015; Guo et al. 2017,
    /// <https://arxiv.org/abs/1706.04599>).
    pub expected_calibration_error: f64,
    /// The mean squared distance of a score from 1 where right, from 0 where wrong (Brier 1950).
    pub brier: f64,
}

impl Reliability {
    /// Of predictions, in `bins` ranges (at least one).
    #[must_use]
    pub fn new(predictions: &[ScoredPrediction], bins: usize) -> Self {
        let bins = bins.max(1);
        let mut sums = vec![(0_usize, 0.0, 0_usize); bins];
        for prediction in predictions {
            let sum = &mut sums[bin(prediction.score, bins)];
            sum.0 += 1;
            sum.1 += prediction.score;
            sum.2 += usize::from(prediction.correct);
        }
        let edge = |at: usize| edge(at, bins);
        let of_bin = |(at, &(count, score, correct)): (usize, &(usize, f64, usize))| {
            let mean = |sum: f64| if count == 0 { 0.0 } else { sum / count as f64 };
            ReliabilityBin {
                low: edge(at),
                high: edge(at + 1),
                count,
                confidence: mean(score),
                accuracy: mean(correct as f64),
            }
        };
        let bins: Vec<ReliabilityBin> = sums.iter().enumerate().map(of_bin).collect();
        let count = predictions.len();
        let distances = bins
            .iter()
            .map(|bin| bin.count as f64 * (bin.confidence - bin.accuracy).abs());
        let squares = predictions
            .iter()
            .map(|prediction| (prediction.score - f64::from(u8::from(prediction.correct))).powi(2));
        let mean = |sum: f64| if count == 0 { 0.0 } else { sum / count as f64 };
        Self {
            expected_calibration_error: mean(distances.sum()),
            brier: mean(squares.sum()),
            bins,
            count,
        }
    }

    /// A table with a line for each range that has a prediction.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{:>13} {:>11} {:>10} {:>8}\n",
            "score", "predictions", "mean score", "correct"
        );
        for bin in self.bins.iter().filter(|bin| bin.count > 0) {
            text.push_str(&format!(
                "{:>5.2} to {:.2} {:>11} {:>10.3} {:>8.3}\n",
                bin.low, bin.high, bin.count, bin.confidence, bin.accuracy
            ));
        }
        text
    }
}

/// Where a range begins, rounded as NumPy's `linspace` does.
fn edge(at: usize, bins: usize) -> f64 {
    at as f64 * (1.0 / bins as f64)
}

/// The range of a score, as scikit-learn's `calibration_curve` has it.
fn bin(score: f64, bins: usize) -> usize {
    (1..bins).filter(|&at| score > edge(at, bins)).count()
}

/// What is kept at one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ThresholdPoint {
    /// Predictions with at least this score are kept.
    pub threshold: f64,
    /// The scores of what is kept.
    #[serde(flatten)]
    pub scores: Scores,
    /// Predictions that are kept.
    pub kept: usize,
}

/// Precision, recall and F1 at every threshold that makes a difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThresholdCurve {
    /// A point for each distinct score, from the lowest (all is kept) up.
    pub points: Vec<ThresholdPoint>,
}

impl ThresholdCurve {
    /// Of the predictions of one type, or of all. `support` is the number of entities in gold.
    #[must_use]
    pub fn new(predictions: &[ScoredPrediction], support: usize) -> Self {
        let mut sorted = predictions.to_vec();
        sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut counts = Counts {
            support,
            ..Counts::default()
        };
        let mut points = Vec::new();
        for alike in sorted.chunk_by(|a, b| a.score == b.score) {
            counts.predicted += alike.len();
            counts.correct += alike.iter().filter(|prediction| prediction.correct).count();
            points.push(ThresholdPoint {
                threshold: alike[0].score,
                scores: counts.scores(),
                kept: counts.predicted,
            });
        }
        points.reverse();
        Self { points }
    }

    /// The point of the highest F1, the lowest threshold of equals.
    #[must_use]
    pub fn best_f1(&self) -> Option<&ThresholdPoint> {
        let best = |best: &&ThresholdPoint, point: &&ThresholdPoint| {
            best.scores.f1.total_cmp(&point.scores.f1)
        };
        // `max_by` keeps the last of equals.
        self.points.iter().rev().max_by(|a, b| best(a, b))
    }

    /// The lowest threshold that gives at least this precision: what keeps most.
    #[must_use]
    pub fn at_precision(&self, precision: f64) -> Option<&ThresholdPoint> {
        let mut points = self.points.iter();
        points.find(|point| point.scores.precision >= precision)
    }

    /// A point of this curve with the lowest threshold that keeps the same: 0 where all is kept, else a
    /// decimal of three digits, or of more where the score below is so near.
    #[must_use]
    pub fn lowered(&self, point: &ThresholdPoint) -> ThresholdPoint {
        /// Digits that are tried before the score itself is taken.
        const DIGITS: std::ops::RangeInclusive<i32> = 3..=12;
        let mut lower = self.points.iter().rev();
        let below = lower.find(|other| other.threshold < point.threshold);
        let threshold = below.map_or(0.0, |below| {
            let (below, score) = (below.threshold, point.threshold);
            let mut rounded = DIGITS.map(|digits| {
                let scale = 10_f64.powi(digits);
                ((below * scale).floor() + 1.0) / scale
            });
            rounded
                .find(|threshold| *threshold > below && *threshold <= score)
                .unwrap_or(score)
        });
        ThresholdPoint {
            threshold,
            ..*point
        }
    }
}
