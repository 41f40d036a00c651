//! Which sequences make which pass of inference.

use std::cmp::Reverse;

/// Batches for inference, by number: sequences of like length together, the longest first, each batch of at most `budget` sub-words
/// were it padded. A sequence longer than that is a batch by itself.
pub fn batches_by_length(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&sequence| Reverse(lengths[sequence]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for sequence in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * lengths[batch[0]] <= budget => batch.push(sequence),
            _ => batches.push(vec![sequence]),
        }
    }
    batches
}

/// [`batches_by_length`] where `at_once` batches are computed at a time: a multiple of that many, of about equal sub-words, so that the last
/// ones are done together. A batch may exceed the budget by less than a sequence; few sub-words stay in few batches.
pub fn even_batches_by_length(lengths: &[usize], budget: usize, at_once: usize) -> Vec<Vec<usize>> {
    const LEAST: usize = 256; // sub-words that are worth a thread to themselves
    let batches = batches_by_length(lengths, budget);
    let total: usize = lengths.iter().sum();
    if at_once < 2 || total < at_once * LEAST {
        return batches;
    }
    let count = batches.len().next_multiple_of(at_once);
    let mut even = vec![Vec::new(); count];
    let mut before = 0;
    for sequence in batches.into_iter().flatten() {
        let middle = before + lengths[sequence] / 2;
        even[middle * count / total].push(sequence);
        before += lengths[sequence];
    }
    even.retain(|batch| !batch.is_empty());
    even
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_budget_bounds_padded_batches() {
        let lengths = lengths(300);
        let batches = batches_by_length(&lengths, 256);
        assert_eq!(sorted(&batches), (0..300).collect::<Vec<_>>());
        for batch in &batches {
            assert!(batch.len() * lengths[batch[0]] <= 256);
            assert!(batch.iter().all(|&at| lengths[at] <= lengths[batch[0]]));
        }
        assert_eq!(batches_by_length(&[3, 9, 4], 8), [vec![1], vec![2, 0]]);
        assert_eq!(batches_by_length(&[], 8), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn even_batches_hold_every_sequence_once_and_end_together() {
        let lengths = lengths(300);
        let total: usize = lengths.iter().sum();
        for (budget, at_once) in [(256, 2), (1024, 2), (1024, 3), (100_000, 4)] {
            let batches = even_batches_by_length(&lengths, budget, at_once);
            assert_eq!(sorted(&batches), (0..300).collect::<Vec<_>>());
            assert_eq!(batches.len() % at_once, 0);
            let longest = lengths.iter().copied().max().unwrap_or(0);
            for batch in &batches {
                let subwords: usize = batch.iter().map(|&number| lengths[number]).sum();
                assert!(subwords < total / batches.len() + longest, "{subwords}");
                assert!(subwords < budget + longest, "{subwords}");
            }
            let in_order = batches.concat();
            assert!(in_order.is_sorted_by_key(|&number| Reverse(lengths[number])));
        }
    }

    #[test]
    fn few_subwords_stay_together() {
        let alone = |lengths: &[usize]| even_batches_by_length(lengths, 1024, 2).len();
        assert_eq!(alone(&[20, 30, 40]), 1);
        assert_eq!(alone(&[]), 0);
        assert_eq!(alone(&[600]), 1); // one cannot be divided
    }
}
