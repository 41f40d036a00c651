//! From logits to labels.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::Error;
use crate::device::read;

/// Logits of one batch, on the host: a row for each of its [targets](crate::Batch::targets).
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    values: Vec<f32>,
    labels: usize,
}

impl Logits {
    /// Reads the logits back from their device.
    ///
    /// # Shapes
    /// - logits: `[targets, labels]`
    ///
    /// # Errors
    /// The device fails.
    pub fn read(logits: Tensor<2>) -> Result<Self, Error> {
        let [_, labels] = logits.dims();
        let values = read(logits)?;
        Ok(Self { values, labels })
    }

    /// Of rows that are on the host already.
    ///
    /// # Shapes
    /// - values: `[rows, labels]`, row-major
    ///
    /// # Panics
    /// The values are no whole rows.
    pub fn new(values: Vec<f32>, labels: usize) -> Self {
        assert!(values.len().is_multiple_of(labels.max(1)), "whole rows");
        Self { values, labels }
    }

    /// Number of labels of a row.
    pub fn label_count(&self) -> usize {
        self.labels
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.labels.max(1)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Puts the rows of another one in place of those from `row` on.
    ///
    /// # Panics
    /// There are fewer rows.
    pub fn set_rows(&mut self, row: usize, other: &[f32]) {
        let start = row * self.labels;
        self.values[start..start + other.len()].copy_from_slice(other);
    }

    /// Logits of consecutive rows, end to end.
    ///
    /// # Panics
    /// There are fewer rows.
    pub fn rows(&self, rows: Range<usize>) -> &[f32] {
        &self.values[rows.start * self.labels..rows.end * self.labels]
    }

    /// Logits of one row.
    ///
    /// # Panics
    /// There is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.labels..(row + 1) * self.labels]
    }

    /// Number and probability of the label with the highest logit; the first of equals, as NumPy's `argmax`.
    ///
    /// # Panics
    /// There is no such row.
    pub fn best(&self, row: usize) -> (usize, f32) {
        let row = self.row(row);
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

    /// Cross-entropy of one row: the negative logarithm of the probability of its label.
    ///
    /// # Panics
    /// There is no such row, or no such label.
    pub fn cross_entropy(&self, row: usize, label: usize) -> f64 {
        let row = self.row(row);
        let max = row.iter().copied().fold(f32::MIN, f32::max);
        let sum: f64 = row.iter().map(|logit| f64::from(logit - max).exp()).sum();
        sum.ln() - f64::from(row[label] - max)
    }

    /// Probability of each label of one row: the softmax of its logits.
    ///
    /// # Panics
    /// There is no such row.
    pub fn probabilities(&self, row: usize) -> impl Iterator<Item = f32> + '_ {
        self.tempered_probabilities(row, 1.0)
    }

    /// The softmax of one row's logits divided by a temperature: above 1 it is less sure than the model, below 1 surer.
    ///
    /// # Panics
    /// There is no such row.
    pub fn tempered_probabilities(
        &self,
        row: usize,
        temperature: f32,
    ) -> impl Iterator<Item = f32> + '_ {
        let row = self.row(row);
        let max = row.iter().copied().fold(f32::MIN, f32::max);
        let weight = move |logit: &f32| ((logit - max) / temperature).exp();
        let sum: f32 = row.iter().map(weight).sum();
        row.iter().map(move |logit| weight(logit) / sum)
    }
}

/// Scores of labels that begin, end and follow one another in a sequence; minus infinity for what may not be.
#[derive(Clone, Debug, PartialEq)]
pub struct Transitions {
    start: Vec<f64>,
    end: Vec<f64>,
    between: Vec<f64>,
}

impl Transitions {
    /// From three tables of what may be.
    ///
    /// # Shapes
    /// - start, end: `[labels]`; between: `[labels (from), labels (to)]`, row-major
    ///
    /// # Errors
    /// The tables are not of these sizes.
    pub fn new(start: Vec<bool>, end: Vec<bool>, between: Vec<bool>) -> Result<Self, Error> {
        let labels = start.len();
        if end.len() != labels || between.len() != labels * labels {
            return Err(Error::Batch(format!(
                "transitions of {labels} labels to start with, {} to end with and {} between them",
                end.len(),
                between.len()
            )));
        }
        let scores = |allowed: Vec<bool>| {
            let score = |allowed| if allowed { 0.0 } else { f64::NEG_INFINITY };
            allowed.into_iter().map(score).collect()
        };
        Ok(Self::scored(scores(start), scores(end), scores(between)))
    }

    /// From three tables of scores, in the shapes of [`new`](Self::new).
    pub(crate) fn scored(start: Vec<f64>, end: Vec<f64>, between: Vec<f64>) -> Self {
        Self {
            start,
            end,
            between,
        }
    }

    /// The scores to begin with, to end with and between labels, in the shapes of [`new`](Self::new).
    pub fn scores(&self) -> (&[f64], &[f64], &[f64]) {
        (&self.start, &self.end, &self.between)
    }

    /// Scores of both together: what one of them forbids is forbidden.
    ///
    /// # Panics
    /// They are of different numbers of labels.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        assert_eq!(self.start.len(), other.start.len(), "numbers of labels");
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect();
        Self {
            start: sum(&self.start, &other.start),
            end: sum(&self.end, &other.end),
            between: sum(&self.between, &other.between),
        }
    }

    /// The scores divided by a temperature. What is forbidden stays so.
    #[must_use]
    pub fn tempered(&self, temperature: f64) -> Self {
        let divide = |scores: &[f64]| scores.iter().map(|score| score / temperature).collect();
        Self {
            start: divide(&self.start),
            end: divide(&self.end),
            between: divide(&self.between),
        }
    }

    /// Negative logarithm of the probability of the labels among all sequences, by the forward algorithm.
    ///
    /// # Shapes
    /// - logits: one row of `[labels]` for each word
    ///
    /// # Panics
    /// A label that is none of these, or a row of another length.
    pub fn negative_log_likelihood(&self, logits: &[&[f32]], labels: &[u32]) -> f64 {
        match self.forward(logits).chunks_exact(self.start.len()).last() {
            Some(last) => self.log_partition(last) - self.score(logits, labels),
            None => 0.0,
        }
    }

    /// The same with its derivatives: of each label and link, how often the model expects it less how often it is there. By the
    /// forward-backward algorithm in logarithms, so that scores of any size are right.
    ///
    /// # Panics
    /// As [`negative_log_likelihood`](Self::negative_log_likelihood).
    pub(crate) fn likelihood(&self, logits: &[&[f32]], labels: &[u32]) -> Likelihood {
        let count = self.start.len();
        let mut found = Likelihood::zero(count);
        if labels.is_empty() {
            return found;
        }
        let (forward, backward) = (self.forward(logits), self.backward(logits));
        let all = self.log_partition(&forward[forward.len() - count..]);
        found.negative_log = all - self.score(logits, labels);
        let expected = forward.iter().zip(&backward);
        found.words = expected.map(|(f, b)| (f + b - all).exp()).collect();
        for (row, &label) in found.words.chunks_exact_mut(count).zip(labels) {
            row[label as usize] -= 1.0;
        }
        found.start.copy_from_slice(&found.words[..count]);
        found
            .end
            .copy_from_slice(&found.words[found.words.len() - count..]);
        for (word, pair) in labels.windows(2).enumerate() {
            let (here, next) = (word * count, (word + 1) * count);
            for from in 0..count {
                for to in 0..count {
                    let link = from * count + to;
                    let onwards = f64::from(logits[word + 1][to]) + backward[next + to];
                    let log = forward[here + from] + self.between[link] + onwards - all;
                    found.between[link] += log.exp();
                }
            }
            found.between[pair[0] as usize * count + pair[1] as usize] -= 1.0;
        }
        found
    }

    /// Of each word and label, the logarithm of the weight of all beginnings that end with it, `[words, labels]`.
    fn forward(&self, logits: &[&[f32]]) -> Vec<f64> {
        let count = self.start.len();
        let mut all: Vec<f64> = Vec::with_capacity(logits.len() * count);
        for (word, row) in logits.iter().enumerate() {
            for to in 0..count {
                let into =
                    match word.checked_sub(1) {
                        None => self.start[to],
                        Some(before) => log_sum_exp((0..count).map(|from| {
                            all[before * count + from] + self.between[from * count + to]
                        })),
                    };
                all.push(into + f64::from(row[to]));
            }
        }
        all
    }

    /// Of each word and label, the logarithm of the weight of all ends after it, `[words, labels]`.
    fn backward(&self, logits: &[&[f32]]) -> Vec<f64> {
        let count = self.start.len();
        let mut all = vec![0.0; logits.len() * count];
        for word in (0..logits.len()).rev() {
            for from in 0..count {
                all[word * count + from] = match logits.get(word + 1) {
                    None => self.end[from],
                    Some(next) => log_sum_exp((0..count).map(|to| {
                        let onwards = f64::from(next[to]) + all[(word + 1) * count + to];
                        self.between[from * count + to] + onwards
                    })),
                };
            }
        }
        all
    }

    /// Logarithm of the weight of all sequences, from the last row of [`forward`](Self::forward).
    fn log_partition(&self, last: &[f64]) -> f64 {
        log_sum_exp(last.iter().zip(&self.end).map(|(a, b)| a + b))
    }

    /// Sum of the scores and logits of a sequence of at least one label.
    fn score(&self, logits: &[&[f32]], labels: &[u32]) -> f64 {
        let count = self.start.len();
        let at = |label: &u32| *label as usize;
        let ends = labels.first().map_or(0.0, |first| self.start[at(first)])
            + labels.last().map_or(0.0, |last| self.end[at(last)]);
        let words = logits.iter().zip(labels);
        let words: f64 = words.map(|(row, label)| f64::from(row[at(label)])).sum();
        let links = labels.windows(2);
        let links: f64 = links
            .map(|pair| self.between[at(&pair[0]) * count + at(&pair[1])])
            .sum();
        ends + words + links
    }

    /// Sum of a sequence's scores and of the logarithms of its labels' probabilities: what [`best_sequence`](Self::best_sequence) maximizes.
    ///
    /// # Shapes
    /// - probabilities: `[words, labels]`, row-major; sequence: `[words]`
    ///
    /// # Panics
    /// A label that is none of these.
    pub fn sequence_score(&self, probabilities: &[f32], sequence: &[usize]) -> f64 {
        let labels = self.start.len();
        let (Some(&first), Some(&last)) = (sequence.first(), sequence.last()) else {
            return 0.0;
        };
        let rows = probabilities.chunks_exact(labels.max(1));
        let words = rows.zip(sequence).map(|(row, &label)| log(row[label]));
        let pairs = sequence
            .windows(2)
            .map(|pair| self.between[pair[0] * labels + pair[1]]);
        self.start[first] + words.sum::<f64>() + pairs.sum::<f64>() + self.end[last]
    }

    /// The sequence of labels with the highest sum of scores and of logarithms of probabilities (Viterbi 1967,
    /// <https://doi.org/10.1109/TIT.1967.1054010>), ties going to the label that comes first. Nothing where no sequence is allowed.
    ///
    /// # Shapes
    /// - probabilities: `[words, labels]`, row-major; output: `[words]`
    pub fn best_sequence(&self, probabilities: &[f32]) -> Option<Vec<usize>> {
        let labels = self.start.len();
        let mut rows = probabilities
            .chunks_exact(labels.max(1))
            .map(|row| row.iter().map(|&probability| log(probability)));
        let Some(first) = rows.next() else {
            return Some(Vec::new());
        };
        let mut scores: Vec<f64> = first
            .zip(&self.start)
            .map(|(score, start)| score + start)
            .collect();
        let mut came_from = Vec::new(); // [words - 1, labels]
        for row in rows {
            let step = row.enumerate().map(|(to, score)| {
                let from = highest(
                    (0..labels).map(|from| scores[from] + self.between[from * labels + to]),
                );
                (from.0, from.1 + score)
            });
            let (from, next): (Vec<usize>, Vec<f64>) = step.unzip();
            came_from.push(from);
            scores = next;
        }
        let (last, score) = highest(scores.iter().zip(&self.end).map(|(score, end)| score + end));
        if score == f64::NEG_INFINITY {
            return None;
        }
        let mut sequence = vec![last];
        for from in came_from.iter().rev() {
            sequence.push(from[sequence[sequence.len() - 1]]);
        }
        sequence.reverse();
        Some(sequence)
    }
}

/// Negative logarithm of the probability of a chain of labels, and its derivatives.
#[derive(Clone, Debug)]
pub(crate) struct Likelihood {
    pub(crate) negative_log: f64,
    /// By the logits, `[words, labels]`.
    pub(crate) words: Vec<f64>,
    /// By the scores between labels, `[labels (from), labels (to)]`.
    pub(crate) between: Vec<f64>,
    /// By the scores to begin with, `[labels]`.
    pub(crate) start: Vec<f64>,
    /// By the scores to end with, `[labels]`.
    pub(crate) end: Vec<f64>,
}

impl Likelihood {
    /// Of a chain without words.
    pub(crate) fn zero(labels: usize) -> Self {
        Self {
            negative_log: 0.0,
            words: Vec::new(),
            between: vec![0.0; labels * labels],
            start: vec![0.0; labels],
            end: vec![0.0; labels],
        }
    }

    /// Adds another chain's, but for its words'.
    pub(crate) fn add(&mut self, other: &Self) {
        self.negative_log += other.negative_log;
        let pairs = [
            (&mut self.between, &other.between),
            (&mut self.start, &other.start),
            (&mut self.end, &other.end),
        ];
        for (sum, values) in pairs {
            sum.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
        }
    }
}

/// A probability that is too small for f32 is still better than what is not allowed.
fn log(probability: f32) -> f64 {
    f64::from(probability.max(f32::MIN_POSITIVE)).ln()
}

fn log_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + terms.map(|term| (term - largest).exp()).sum::<f64>().ln()
}

/// The first highest value and where it stands.
fn highest(values: impl Iterator<Item = f64>) -> (usize, f64) {
    values
        .enumerate()
        .reduce(|best, value| if value.1 > best.1 { value } else { best })
        .unwrap_or((0, f64::NEG_INFINITY))
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    /// Every sequence, by brute force.
    fn brute_force(transitions: &Transitions, probabilities: &[f32], labels: usize) -> Option<f64> {
        let words = probabilities.len() / labels;
        let mut best: Option<f64> = None;
        for number in 0..labels.pow(words as u32) {
            let sequence: Vec<usize> = (0..words)
                .map(|word| number / labels.pow(word as u32) % labels)
                .collect();
            let score = score(transitions, &sequence, probabilities, labels);
            if score > f64::NEG_INFINITY && best.is_none_or(|best| score > best) {
                best = Some(score);
            }
        }
        best
    }

    fn score(
        transitions: &Transitions,
        sequence: &[usize],
        probabilities: &[f32],
        labels: usize,
    ) -> f64 {
        let chosen = sequence
            .iter()
            .enumerate()
            .map(|(word, label)| probabilities[word * labels + label]);
        let links = sequence
            .windows(2)
            .map(|pair| transitions.between[pair[0] * labels + pair[1]]);
        chosen.map(|p| f64::from(p).ln()).sum::<f64>()
            + links.sum::<f64>()
            + transitions.start[sequence[0]]
            + transitions.end[sequence[sequence.len() - 1]]
    }

    #[test]
    fn viterbi_finds_what_brute_force_finds() {
        let mut state = 7_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 24) as f32
        };
        let (mut found, mut none) = (0, 0);
        for case in 0..300 {
            let (labels, words) = (2 + case % 3, 1 + case % 5);
            let mut table =
                |count: usize| (0..count).map(|_| random() < 0.6).collect::<Vec<bool>>();
            let (start, end, between) = (table(labels), table(labels), table(labels * labels));
            let mut transitions = Transitions::new(start, end, between).expect("sizes agree");
            if case % 2 == 1 {
                let mut scores = |count: usize| {
                    (0..count)
                        .map(|_| 4.0 * f64::from(random()) - 2.0)
                        .collect()
                };
                let learnt =
                    Transitions::scored(scores(labels), scores(labels), scores(labels * labels));
                transitions = transitions.and(&learnt);
            }
            let probabilities: Vec<f32> = (0..words * labels).map(|_| 0.01 + random()).collect();
            let expected = brute_force(&transitions, &probabilities, labels);
            match transitions.best_sequence(&probabilities) {
                Some(sequence) => {
                    let score = score(&transitions, &sequence, &probabilities, labels);
                    assert!((score - expected.expect("one is allowed")).abs() < 1e-9);
                    let ours = transitions.sequence_score(&probabilities, &sequence);
                    assert!((ours - score).abs() < 1e-9);
                    found += 1;
                }
                None => {
                    assert_eq!(expected, None);
                    none += 1;
                }
            }
        }
        assert!(found > 100 && none > 10, "{found} {none}");
    }

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
        assert!((logits.cross_entropy(0, 1) + f64::from(probabilities[1]).ln()).abs() < 1e-6);
        assert_eq!(logits.cross_entropy(1, 1), 2e4);
    }

    #[test]
    fn likelihoods_of_extreme_scores_are_right() {
        // Two labels, A and B. Which transitions act, the logits of each word, and the probability that the first word is A.
        let free = [0.0; 4];
        let parted = [0.0, -1e4, -1e4, 0.0]; // A after A and B after B only
        let words = |a: usize, b: usize| [vec![[60.0, 0.0]; a], vec![[0.0, 60.0]; b]].concat();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let cases = [
            ([-95.0, 0.0], free, vec![[100.0, 0.0]], sigmoid(5.0)),
            ([-1e4, -10_005.0], free, vec![[0.0, 0.0]], sigmoid(5.0)),
            ([800.0, 795.0], free, vec![[0.0, 0.0]], sigmoid(5.0)),
            ([0.0, -1e4], parted, vec![[0.0, 30.0]; 30], 1.0),
            ([0.0, 0.0], parted, words(15, 16), sigmoid(-60.0)),
            ([0.0, f64::NEG_INFINITY], free, vec![[0.0, 9.0]], 1.0),
        ];
        for (start, between, logits, expected) in cases {
            let scores = Transitions::scored(start.to_vec(), vec![0.0; 2], between.to_vec());
            let rows: Vec<&[f32]> = logits.iter().map(|row| &row[..]).collect();
            let labels = vec![0; rows.len()];
            let found = scores.likelihood(&rows, &labels);
            let case = format!("{start:?} {between:?}");
            assert!(
                (found.words[0] - (expected - 1.0)).abs() < 1e-9,
                "{case}: {}",
                found.words[0]
            );
            assert!((found.words[0] + found.words[1]).abs() < 1e-9, "{case}");
            assert!(found.between.iter().all(|x| x.is_finite()), "{case}");
            let loss = scores.negative_log_likelihood(&rows, &labels);
            assert_eq!(found.negative_log, loss, "{case}");
        }
    }
}
