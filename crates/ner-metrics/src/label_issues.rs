//! Labels that a model's probabilities speak against: confident learning (Northcutt, Jiang & Chuang 2021,
//! <https://doi.org/10.1613/jair.1.12125>) token by token (Wang & Mueller 2022, <https://arxiv.org/abs/2210.03920>).

use crate::scores::numpy_sum;
use crate::{Error, Result};

/// Tolerance of comparisons with a threshold, and the least threshold, as in cleanlab 2.9.
const TOLERANCE: f64 = 1e-6;
/// The threshold of a label that no token has: nothing is confident of it.
const NEVER: f64 = 2.0;
/// Tokens that each label keeps.
const KEPT: f64 = 1.0;

/// A token whose given label is probably wrong.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct LabelIssue {
    /// The sentence, counted from 0.
    pub sentence: usize,
    /// The token in it, counted from 0.
    pub token: usize,
    /// The label given.
    pub given: usize,
    /// The model's likeliest label.
    pub suggested: usize,
    /// Probability of the label given, from 0 to 1: how sure the model is of it.
    pub self_confidence: f64,
    /// Probability of the label suggested.
    pub probability: f64,
}

/// What a model's probabilities say of the labels of a corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelIssues {
    /// The probability from which a token counts as confidently of each label: the mean self-confidence of the tokens that have it; 2 for a
    /// label without tokens.
    pub thresholds: Vec<f64>,
    /// Estimated tokens by label given and true label, `[labels, labels]`, row-major. Rows sum to the tokens of each given label.
    pub joint: Vec<usize>,
    /// The tokens that are probably mislabeled, the least self-confident first.
    pub issues: Vec<LabelIssue>,
    /// The quality of each sentence: its least self-confidence, 1 for a sentence without tokens.
    pub sentence_scores: Vec<f64>,
}

impl LabelIssues {
    /// Finds the labels that are probably wrong. `given` has the labels of each sentence, `probabilities` those of each label of each of its
    /// tokens, `[tokens, labels]`, row-major. Best of a model that was not trained on these sentences: one that was has learnt their errors.
    ///
    /// The method is that of `cleanlab.token_classification.filter.find_label_issues` with its defaults: tokens are counted by given label and
    /// by the label that the model is confident of, the counts calibrated to the labels given; then for each pair as many tokens as were
    /// counted are issues, those with the widest margin, unless the model's likeliest label is the given one.
    ///
    /// ```
    /// use ner_metrics::LabelIssues;
    ///
    /// let given = [vec![0, 0, 1], vec![0, 1]];
    /// let probabilities = [vec![0.9, 0.1, 0.7, 0.3, 0.05, 0.95], vec![0.8, 0.2, 0.8, 0.2]];
    /// let found = LabelIssues::find(&given, &probabilities, 2)?;
    /// let places: Vec<_> = found.issues.iter().map(|issue| (issue.sentence, issue.token)).collect();
    /// assert_eq!(places, [(1, 1)]);
    /// assert_eq!(found.sentence_scores, [0.7, 0.2]);
    /// # Ok::<(), ner_metrics::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Probabilities`], and [`Error::UnknownLabel`] for a label that is not less than `labels`.
    pub fn find<G, P>(given: &[G], probabilities: &[P], labels: usize) -> Result<Self>
    where
        G: AsRef<[usize]>,
        P: AsRef<[f64]>,
    {
        let tokens = Tokens::new(given, probabilities, labels)?;
        let thresholds = tokens.thresholds();
        let joint = tokens.joint(&thresholds);
        let is_issue = tokens.prune(&joint);
        let rows = tokens.rows.iter().zip(is_issue);
        let suspects = rows.filter(|(row, is_issue)| *is_issue && !row.agrees());
        let mut issues: Vec<LabelIssue> = suspects.map(|(row, _)| row.issue()).collect();
        issues.sort_by(|a, b| a.self_confidence.total_cmp(&b.self_confidence));
        let mut sentence_scores = vec![1.0_f64; given.len()];
        for row in &tokens.rows {
            let score = &mut sentence_scores[row.sentence];
            *score = score.min(row.self_confidence());
        }
        Ok(Self {
            thresholds,
            joint,
            issues,
            sentence_scores,
        })
    }
}

/// A token: where it stands, its label, and the probability of each label.
struct Row<'a> {
    sentence: usize,
    token: usize,
    given: usize,
    probabilities: &'a [f64],
}

impl Row<'_> {
    fn self_confidence(&self) -> f64 {
        self.probabilities[self.given]
    }

    /// The likeliest label, the first of equals.
    fn likeliest(&self) -> usize {
        first_greatest(self.probabilities.iter().copied())
    }

    /// Whether the given label is the likeliest, or as good as.
    fn agrees(&self) -> bool {
        let favored = self.probabilities.iter().enumerate();
        let favored = favored.map(|(label, p)| {
            if label == self.given {
                p + TOLERANCE
            } else {
                *p
            }
        });
        first_greatest(favored) == self.given
    }

    /// The label that the model is confident of.
    fn confident(&self, thresholds: &[f64]) -> Option<usize> {
        let pairs = self.probabilities.iter().zip(thresholds);
        let mut above = pairs
            .enumerate()
            .filter(|(_, (p, threshold))| **p >= **threshold - TOLERANCE);
        match (above.next(), above.next()) {
            (Some(_), Some(_)) => Some(self.likeliest()),
            (only, _) => only.map(|(label, _)| label),
        }
    }

    fn issue(&self) -> LabelIssue {
        let suggested = self.likeliest();
        LabelIssue {
            sentence: self.sentence,
            token: self.token,
            given: self.given,
            suggested,
            self_confidence: self.self_confidence(),
            probability: self.probabilities[suggested],
        }
    }
}

/// The tokens of all sentences.
struct Tokens<'a> {
    rows: Vec<Row<'a>>,
    labels: usize,
}

impl<'a> Tokens<'a> {
    fn new<G, P>(given: &[G], probabilities: &'a [P], labels: usize) -> Result<Self>
    where
        G: AsRef<[usize]>,
        P: AsRef<[f64]>,
    {
        let mut rows = Vec::new();
        if given.len() != probabilities.len() {
            return Err(Error::Probabilities {
                sentence: given.len().min(probabilities.len()) + 1,
                expected: given
                    .get(probabilities.len())
                    .map_or(0, |s| s.as_ref().len())
                    * labels,
                found: probabilities
                    .get(given.len())
                    .map_or(0, |p| p.as_ref().len()),
            });
        }
        for (sentence, (given, probabilities)) in given.iter().zip(probabilities).enumerate() {
            let (given, probabilities) = (given.as_ref(), probabilities.as_ref());
            if probabilities.len() != given.len() * labels {
                return Err(Error::Probabilities {
                    sentence: sentence + 1,
                    expected: given.len() * labels,
                    found: probabilities.len(),
                });
            }
            if let Some(&label) = given.iter().find(|label| **label >= labels) {
                return Err(Error::UnknownLabel { label, labels });
            }
            let of_tokens = probabilities.chunks(labels.max(1)).zip(given).enumerate();
            rows.extend(of_tokens.map(|(token, (probabilities, &given))| Row {
                sentence,
                token,
                given,
                probabilities,
            }));
        }
        Ok(Self { rows, labels })
    }

    fn of_label(&self, label: usize) -> impl Iterator<Item = (usize, &Row<'a>)> {
        let rows = self.rows.iter().enumerate();
        rows.filter(move |(_, row)| row.given == label)
    }

    /// The mean self-confidence of each label.
    fn thresholds(&self) -> Vec<f64> {
        let threshold = |label| {
            let own = self.of_label(label).map(|(_, row)| row.self_confidence());
            let own: Vec<f64> = own.collect();
            let mean = if own.is_empty() {
                NEVER
            } else {
                numpy_sum(&own) / own.len() as f64
            };
            mean.max(2.0 * TOLERANCE)
        };
        (0..self.labels).map(threshold).collect()
    }

    /// The confident joint, calibrated to the numbers of the labels given.
    fn joint(&self, thresholds: &[f64]) -> Vec<usize> {
        let count = self.labels;
        let mut counts = vec![0_usize; count * count];
        let mut tokens = vec![0_usize; count];
        for row in &self.rows {
            tokens[row.given] += 1;
            if let Some(label) = row.confident(thresholds) {
                counts[row.given * count + label] += 1;
            }
        }
        let mut joint = Vec::with_capacity(count * count);
        for given in 0..count {
            let row = &mut counts[given * count..(given + 1) * count];
            row[given] = row[given].max(1);
            let sum = row.iter().sum::<usize>() as f64;
            joint.extend(row.iter().map(|&n| n as f64 / sum * tokens[given] as f64));
        }
        let total = numpy_sum(&joint).max(f64::MIN_POSITIVE);
        for value in &mut joint {
            *value = *value / total * self.rows.len() as f64;
        }
        let rows = joint.chunks(count.max(1));
        rows.flat_map(round_preserving_sum).collect()
    }

    /// Whether each token is among the least plausible of its label, as many as the joint counts off its diagonal.
    fn prune(&self, joint: &[usize]) -> Vec<bool> {
        let count = self.labels;
        let mut is_issue = vec![false; self.rows.len()];
        for given in 0..count {
            let own: Vec<(usize, &Row<'a>)> = self.of_label(given).collect();
            if own.len() as f64 <= KEPT {
                continue;
            }
            let to_prune = prune_counts(&joint[given * count..(given + 1) * count], given);
            for (label, &number) in to_prune.iter().enumerate() {
                if label == given || number == 0 {
                    continue;
                }
                let margin = |row: &Row<'_>| row.probabilities[label] - row.probabilities[given];
                let mut order = own.clone();
                order.sort_by(|(_, a), (_, b)| margin(b).total_cmp(&margin(a)));
                for (at, _) in order.iter().take(number) {
                    is_issue[*at] = true;
                }
            }
        }
        is_issue
    }
}

/// How many tokens of a given label to take for each true one, from its row of the joint: the row, where its diagonal is raised to what is
/// kept at the cost of the others.
fn prune_counts(row: &[usize], given: usize) -> Vec<usize> {
    let diagonal = row[given] as f64;
    let raised = diagonal.max(KEPT) - diagonal;
    let filled = row.iter().filter(|&&number| number > 0).count();
    let shares = filled.saturating_sub(1).max(1) as f64;
    let lowered = row.iter().map(|&number| number as f64 - raised / shares);
    lowered.map(|number| number.max(0.0) as usize).collect()
}

/// The place of the greatest value, the first of equals.
fn first_greatest(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (at, value) in values.enumerate() {
        if value > best.1 {
            best = (at, value);
        }
    }
    best.0
}

/// Whole numbers near the given ones, with the sum of these, rounded: those that rounding moved farthest give way.
fn round_preserving_sum(values: &[f64]) -> Vec<usize> {
    let mut rounded: Vec<f64> = values.iter().map(|value| value.round_ties_even()).collect();
    let wanted = numpy_sum(values).round_ties_even();
    loop {
        let missing = (wanted - numpy_sum(&rounded)).round_ties_even();
        if missing.abs() <= TOLERANCE || values.is_empty() {
            return rounded.into_iter().map(|value| value as usize).collect();
        }
        let moved = |at: usize| values[at] - rounded[at];
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| moved(a).total_cmp(&moved(b)));
        if missing > 0.0 {
            order.reverse();
        }
        for &at in order.iter().take(missing.abs() as usize) {
            rounded[at] += missing.signum();
        }
    }
}
