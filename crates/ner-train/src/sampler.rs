//! Which sequences make which batch.

use std::cmp::Reverse;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Batches that sequences of like length are looked for among, at most: as in `transformers`' `LengthGroupedSampler`.
const POOL: usize = 50;

/// How an epoch's sequences are put in order.
#[derive(Clone, Copy, Debug)]
pub struct BatchSampler {
    /// Sequences an optimizer step.
    pub step_size: usize,
    /// Whether the order is random; else it is the data's.
    pub shuffle: bool,
    /// Whether a step's sequences are of like length.
    pub group_by_length: bool,
    /// Decides the order, with the epoch's number.
    pub seed: u64,
}

impl BatchSampler {
    /// The sequences of each step of an epoch, by number. Every sequence is in one of them, and only the last step may be short.
    ///
    /// Grouped by length, the sequences of a random pool are sorted, longest first, before they are cut into steps, and the steps are
    /// shuffled again: which sequences meet, and when, stays random.
    pub fn steps(self, lengths: &[usize], epoch: usize) -> Vec<Vec<usize>> {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(epoch as u64);
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        if self.shuffle {
            order.shuffle(&mut generator);
        }
        if self.group_by_length {
            let pool = (lengths.len() / (4 * self.step_size)).clamp(1, POOL) * self.step_size;
            for pool in order.chunks_mut(pool) {
                pool.sort_by_key(|&sequence| Reverse(lengths[sequence]));
            }
        }
        let mut steps: Vec<Vec<usize>> = order
            .chunks(self.step_size)
            .map(<[usize]>::to_vec)
            .collect();
        if self.group_by_length && self.shuffle {
            let full = lengths.len() / self.step_size;
            steps[..full].shuffle(&mut generator);
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: BatchSampler = BatchSampler {
        step_size: 8,
        shuffle: true,
        group_by_length: false,
        seed: 42,
    };

    /// Lengths without an order of their own.
    fn lengths(count: usize) -> Vec<usize> {
        (0..count).map(|number| 3 + number * 37 % 101).collect()
    }

    fn sorted(steps: &[Vec<usize>]) -> Vec<usize> {
        let mut all = steps.concat();
        all.sort_unstable();
        all
    }

    #[test]
    fn each_epoch_is_its_own_permutation() {
        let lengths = lengths(100);
        for group_by_length in [false, true] {
            let order = BatchSampler {
                group_by_length,
                ..ORDER
            };
            let first = order.steps(&lengths, 0);
            assert_eq!(first, order.steps(&lengths, 0));
            assert_ne!(first, order.steps(&lengths, 1));
            assert_ne!(first, BatchSampler { seed: 43, ..order }.steps(&lengths, 0));
            assert_eq!(sorted(&first), (0..100).collect::<Vec<_>>());
            let sizes: Vec<usize> = first.iter().map(Vec::len).collect();
            assert_eq!(sizes, [&[8; 12][..], &[4]].concat());
        }
        let in_order = BatchSampler {
            shuffle: false,
            ..ORDER
        };
        assert_eq!(in_order.steps(&[1, 9, 5], 5), [[0, 1, 2]]);
    }

    #[test]
    fn groups_are_of_like_length_and_come_in_random_order() {
        let lengths = lengths(2000);
        let padding = |steps: &[Vec<usize>]| -> usize {
            let padded = |step: &Vec<usize>| {
                let longest = step.iter().map(|&at| lengths[at]).max().unwrap_or(0);
                step.iter().map(|&at| longest - lengths[at]).sum::<usize>()
            };
            steps.iter().map(padded).sum()
        };
        let random = ORDER.steps(&lengths, 0);
        let grouped = BatchSampler {
            group_by_length: true,
            ..ORDER
        }
        .steps(&lengths, 0);
        assert!(10 * padding(&grouped) < padding(&random));
        let longest: Vec<usize> = grouped
            .iter()
            .map(|step| step.iter().map(|&at| lengths[at]).max().unwrap_or(0))
            .collect();
        let falls = longest.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!((100..150).contains(&falls), "{falls} of 249");
    }
}
