//! Probabilities of labels and of spans in a chain of words, by the forward–backward algorithm (Rabiner 1989,
//! <https://doi.org/10.1109/5.18626>, section III.A).

use std::ops::Range;

use crate::Transitions;

/// How probable each label of each word is, and each span of words, among all label sequences of a chain.
///
/// A sequence weighs the product of its words' label probabilities and, with transitions, of the exponentials of their scores. Without
/// transitions the words are independent of each other.
///
/// ```
/// use ner_model::{Posterior, Transitions};
///
/// // Labels: O, B, I. `I` follows `B` or `I` only.
/// let allowed = Transitions::new(vec![true, true, false], vec![true; 3], vec![true, true, false, true, true, true, true, true, true])?;
/// let probabilities = [0.1, 0.5, 0.4, 0.2, 0.1, 0.7];
/// let free = Posterior::new(None, &probabilities, 3);
/// let bound = Posterior::new(Some(&allowed), &probabilities, 3);
/// assert_eq!(free.label(0, 1), 0.5);
/// assert!(bound.label(0, 1) > 0.8); // `I` cannot be first
/// # Ok::<(), ner_model::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Posterior {
    labels: usize,
    /// `[words, labels]`: probability of each label of each word by itself, never quite zero.
    emissions: Vec<f64>,
    factors: Option<Factors>,
    /// `[words, labels]`: weight of all beginnings that end with the label, each row summing to 1.
    forward: Vec<f64>,
    /// `[words, labels]`: weight of all continuations after the label, in the scale of `forward`.
    backward: Vec<f64>,
    /// `[words]`: what each row of `forward` was divided by.
    scales: Vec<f64>,
}

/// Exponentials of transition scores.
#[derive(Clone, Debug)]
struct Factors {
    start: Vec<f64>,
    end: Vec<f64>,
    between: Vec<f64>,
}

impl Posterior {
    /// Of a chain of words. Where the transitions allow no sequence at all, they do not act.
    ///
    /// # Shapes
    /// - probabilities: `[words, labels]`, row-major
    ///
    /// # Panics
    /// The transitions are of another number of labels.
    pub fn new(transitions: Option<&Transitions>, probabilities: &[f32], labels: usize) -> Self {
        let emission = |p: &f32| f64::from(p.max(f32::MIN_POSITIVE));
        let emissions: Vec<f64> = probabilities.iter().map(emission).collect();
        let words = emissions.len() / labels.max(1);
        let free = |emissions: Vec<f64>| Self {
            labels,
            factors: None,
            forward: emissions.clone(),
            backward: vec![1.0; emissions.len()],
            scales: vec![1.0; words],
            emissions,
        };
        let Some(transitions) = transitions.filter(|_| words > 0) else {
            return free(emissions);
        };
        let exp = |scores: &[f64]| scores.iter().map(|score| score.exp()).collect();
        let (start, end, between) = transitions.scores();
        assert_eq!(start.len(), labels, "numbers of labels");
        let factors = Factors {
            start: exp(start),
            end: exp(end),
            between: exp(between),
        };
        match Self::passes(&emissions, &factors, labels) {
            Some((forward, backward, scales)) => Self {
                labels,
                emissions,
                factors: Some(factors),
                forward,
                backward,
                scales,
            },
            None => free(emissions),
        }
    }

    /// The forward and the backward pass; nothing where no sequence is allowed.
    fn passes(
        emissions: &[f64],
        factors: &Factors,
        labels: usize,
    ) -> Option<(Vec<f64>, Vec<f64>, Vec<f64>)> {
        let words = emissions.len() / labels;
        let mut forward = Vec::with_capacity(emissions.len());
        let mut scales = Vec::with_capacity(words);
        for word in 0..words {
            let emission = &emissions[word * labels..(word + 1) * labels];
            let before = word.checked_sub(1).map(|before| before * labels);
            let row: Vec<f64> = (0..labels)
                .map(|to| {
                    let into = match before {
                        None => factors.start[to],
                        Some(before) => (0..labels)
                            .map(|from| {
                                forward[before + from] * factors.between[from * labels + to]
                            })
                            .sum(),
                    };
                    into * emission[to]
                })
                .collect();
            let scale: f64 = row.iter().sum();
            if scale.is_nan() || scale <= 0.0 {
                return None;
            }
            forward.extend(row.into_iter().map(|weight| weight / scale));
            scales.push(scale);
        }
        let last = (words - 1) * labels;
        let ends = forward[last..].iter().zip(&factors.end);
        let whole: f64 = ends.map(|(weight, end)| weight * end).sum();
        if whole.is_nan() || whole <= 0.0 {
            return None;
        }
        let mut backward = vec![0.0; emissions.len()];
        for (slot, end) in backward[last..].iter_mut().zip(&factors.end) {
            *slot = end / whole;
        }
        for word in (0..words - 1).rev() {
            let next = (word + 1) * labels;
            for from in 0..labels {
                let onwards = (0..labels).map(|to| {
                    factors.between[from * labels + to] * emissions[next + to] * backward[next + to]
                });
                backward[word * labels + from] = onwards.sum::<f64>() / scales[word + 1];
            }
        }
        Some((forward, backward, scales))
    }

    /// Probability that a word has a label.
    ///
    /// # Panics
    /// There is no such word or label.
    pub fn label(&self, word: usize, label: usize) -> f64 {
        let at = word * self.labels + label;
        self.forward[at] * self.backward[at]
    }

    /// Probability that these words, and neither the word before nor the word after with them, are one span: each has a label of the span
    /// (`is_member`), each after the first is linked to the one before it (`is_linked(from, to)`), and neither end is linked outwards.
    ///
    /// It is the sum over all label sequences with that span, not only over the likeliest one.
    ///
    /// # Panics
    /// The range is empty or ends after the last word.
    pub fn span(
        &self,
        words: Range<usize>,
        is_member: impl Fn(usize) -> bool,
        is_linked: impl Fn(usize, usize) -> bool,
    ) -> f64 {
        let count = self.labels;
        let members: Vec<usize> = (0..count).filter(|&label| is_member(label)).collect();
        let factor = |from: usize, to: usize| match &self.factors {
            Some(factors) => factors.between[from * count + to],
            None => 1.0,
        };
        let emission =
            |word: usize, label: usize| self.emissions[word * count + label] / self.scales[word];
        let first = words.start;
        let mut inside: Vec<f64> = members
            .iter()
            .map(|&to| {
                let into: f64 = match first.checked_sub(1) {
                    None => self
                        .factors
                        .as_ref()
                        .map_or(1.0, |factors| factors.start[to]),
                    Some(before) => (0..count)
                        .filter(|&from| !is_linked(from, to))
                        .map(|from| self.forward[before * count + from] * factor(from, to))
                        .sum(),
                };
                into * emission(first, to)
            })
            .collect();
        for word in first + 1..words.end {
            let next = members.iter().map(|&to| {
                let linked = members.iter().zip(&inside);
                let linked = linked.filter(|(from, _)| is_linked(**from, to));
                let into: f64 = linked
                    .map(|(&from, weight)| weight * factor(from, to))
                    .sum();
                into * emission(word, to)
            });
            inside = next.collect();
        }
        let out = |from: usize| -> f64 {
            if words.end * count == self.emissions.len() {
                return self.backward[(words.end - 1) * count + from];
            }
            let next = (0..count).filter(|&to| !is_linked(from, to));
            next.map(|to| {
                factor(from, to) * emission(words.end, to) * self.backward[words.end * count + to]
            })
            .sum()
        };
        let ends = members.iter().zip(&inside);
        ends.map(|(&from, weight)| weight * out(from)).sum()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// O, B-X, I-X, B-Y, I-Y
    const LABELS: usize = 5;

    fn entity_type(label: usize) -> Option<usize> {
        (label > 0).then(|| (label - 1) / 2)
    }

    /// The conlleval rule.
    fn is_linked(from: usize, to: usize) -> bool {
        let is_inside = to > 0 && to.is_multiple_of(2);
        is_inside && entity_type(from) == entity_type(to)
    }

    /// The spans of a sequence, as (type, range).
    fn spans(sequence: &[usize]) -> Vec<(usize, Range<usize>)> {
        let mut found: Vec<(usize, Range<usize>)> = Vec::new();
        for (word, &label) in sequence.iter().enumerate() {
            let Some(kind) = entity_type(label) else {
                continue;
            };
            match found.last_mut() {
                Some(last) if word > 0 && is_linked(sequence[word - 1], label) => {
                    last.1.end = word + 1;
                }
                _ => found.push((kind, word..word + 1)),
            }
        }
        found
    }

    struct Random(u64);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f64 / (1_u64 << 24) as f64
        }
    }

    /// All sequences of so many words, each with its weight.
    fn sequences(
        transitions: Option<&Transitions>,
        probabilities: &[f32],
    ) -> Vec<(Vec<usize>, f64)> {
        let words = probabilities.len() / LABELS;
        let all = (0..LABELS.pow(words as u32)).map(|number| {
            let sequence: Vec<usize> = (0..words as u32)
                .map(|word| number / LABELS.pow(word) % LABELS)
                .collect();
            let own = sequence.iter().enumerate();
            let mut weight: f64 = own
                .map(|(word, label)| f64::from(probabilities[word * LABELS + label]))
                .product();
            if let Some(transitions) = transitions {
                let (start, end, between) = transitions.scores();
                let links = sequence
                    .windows(2)
                    .map(|pair| between[pair[0] * LABELS + pair[1]]);
                weight *=
                    (start[sequence[0]] + end[sequence[words - 1]] + links.sum::<f64>()).exp();
            }
            (sequence, weight)
        });
        all.collect()
    }

    #[test]
    fn labels_and_spans_are_as_probable_as_brute_force_says() {
        let mut random = Random(5);
        let legal = {
            let may_follow = |from: usize, to: usize| is_linked(from, to) || to % 2 == 1 || to == 0;
            let between = (0..LABELS * LABELS).map(|at| may_follow(at / LABELS, at % LABELS));
            let start = (0..LABELS).map(|to| to % 2 == 1 || to == 0);
            Transitions::new(start.collect(), vec![true; LABELS], between.collect()).unwrap()
        };
        let mut compared = 0;
        for case in 0..60 {
            let words = 1 + case % 4;
            let mut probabilities = Vec::new();
            for _ in 0..words {
                let row: Vec<f64> = (0..LABELS).map(|_| random.next() + 1e-3).collect();
                let sum: f64 = row.iter().sum();
                probabilities.extend(row.iter().map(|p| (p / sum) as f32));
            }
            let mut scores = |count: usize| {
                (0..count)
                    .map(|_| 6.0 * random.next() - 3.0)
                    .collect::<Vec<f64>>()
            };
            let learnt =
                Transitions::scored(scores(LABELS), scores(LABELS), scores(LABELS * LABELS));
            let both = learnt.and(&legal);
            for transitions in [None, Some(&legal), Some(&learnt), Some(&both)] {
                let posterior = Posterior::new(transitions, &probabilities, LABELS);
                let all = sequences(transitions, &probabilities);
                let whole: f64 = all.iter().map(|(_, weight)| weight).sum();
                let of = |holds: &dyn Fn(&[usize]) -> bool| {
                    let those = all.iter().filter(|(sequence, _)| holds(sequence));
                    those.map(|(_, weight)| weight).sum::<f64>() / whole
                };
                for word in 0..words {
                    for label in 0..LABELS {
                        let expected = of(&|sequence| sequence[word] == label);
                        assert!((posterior.label(word, label) - expected).abs() < 1e-6);
                    }
                    for end in word + 1..=words {
                        for kind in [0, 1] {
                            let expected =
                                of(&|sequence| spans(sequence).contains(&(kind, word..end)));
                            let member = |label| entity_type(label) == Some(kind);
                            let found = posterior.span(word..end, member, is_linked);
                            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
                            compared += 1;
                        }
                    }
                }
            }
        }
        assert!(compared > 2000, "{compared}");
    }

    #[test]
    fn long_chains_neither_overflow_nor_vanish() {
        let words = 20_000;
        let probabilities = [0.2_f32, 0.3, 0.1, 0.3, 0.1].repeat(words);
        let scores = |count: usize| (0..count).map(|at| (at % 7) as f64 * 3.0 - 9.0).collect();
        let learnt = Transitions::scored(scores(LABELS), scores(LABELS), scores(LABELS * LABELS));
        let posterior = Posterior::new(Some(&learnt), &probabilities, LABELS);
        for word in [0, words / 2, words - 1] {
            let sum: f64 = (0..LABELS).map(|label| posterior.label(word, label)).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }
    }

    #[test]
    fn where_nothing_is_allowed_words_stand_alone() {
        let never = Transitions::new(vec![false; 2], vec![true; 2], vec![true; 4]).unwrap();
        let posterior = Posterior::new(Some(&never), &[0.25, 0.75], 2);
        assert_eq!(posterior.label(0, 1), 0.75);
        assert_eq!(Posterior::new(Some(&never), &[], 2).scales, [0.0; 0]);
    }
}
