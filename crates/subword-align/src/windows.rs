//! Long texts as overlapping windows that together decide every sub-word once.

use std::ops::Range;

use crate::error::{Error, Result};

/// A stretch of a text's sub-words that goes through the model at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The sub-words that the model sees.
    pub subwords: Range<usize>,
    /// Those of them whose prediction counts.
    pub owned: Range<usize>,
}

/// Covers the sub-words of a text with windows of at most `budget` sub-words, special tokens not counted.
///
/// `word_starts` is that of [`crate::EncodedWords`]: where each word begins, then the total.
///
/// - The owned ranges follow each other from 0 to the total without gap or overlap.
/// - Neighbors share at least `overlap` sub-words, except where a word that is too long to follow leaves less room; each
///   owns its half of them (the rule of rust-bert's token classification), so what counts is seen with context on both
///   sides.
/// - Windows and owned ranges begin and end between words. Only a word longer than `budget` is cut inside.
///
/// Everything that fits is one window; no sub-words are no window.
///
/// # Errors
/// [`Error::Window`] if the budget is 0 or the overlap not smaller, [`Error::WordStarts`] if the list does not begin with 0
/// or descends.
pub fn windows(word_starts: &[usize], budget: usize, overlap: usize) -> Result<Vec<Window>> {
    if overlap >= budget {
        return Err(Error::Window { budget, overlap });
    }
    if let Some(&value) = word_starts.first().filter(|&&start| start != 0) {
        return Err(Error::WordStarts { at: 0, value });
    }
    if let Some(at) = word_starts.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(Error::WordStarts {
            at: at + 1,
            value: word_starts[at + 1],
        });
    }
    let words = Words {
        starts: word_starts,
        budget,
    };
    let total = word_starts.last().copied().unwrap_or(0);

    let mut found: Vec<Window> = Vec::new();
    let (mut start, mut owned_from) = (0, 0);
    while owned_from < total {
        let end = words.end_after(start, total);
        let next = if end == total {
            total
        } else {
            words.start_after(start, end, overlap)
        };
        let owned_to = if end == total {
            total
        } else {
            words.middle(next, end).max(owned_from)
        };
        if owned_from < owned_to {
            found.push(Window {
                subwords: start..end,
                owned: owned_from..owned_to,
            });
        }
        (start, owned_from) = (next, owned_to);
    }
    Ok(found)
}

/// Where words begin, with the size of a window.
struct Words<'a> {
    starts: &'a [usize],
    budget: usize,
}

impl Words<'_> {
    /// The last boundary at or before `position`.
    fn boundary_before(&self, position: usize) -> usize {
        let at = self.starts.partition_point(|&start| start <= position);
        at.checked_sub(1).map_or(0, |at| self.starts[at])
    }

    /// The first boundary at or after `position`.
    fn boundary_after(&self, position: usize) -> usize {
        let at = self.starts.partition_point(|&start| start < position);
        self.starts.get(at).copied().unwrap_or(position)
    }

    /// The word around `position`, or the one that begins there.
    fn word_at(&self, position: usize) -> Range<usize> {
        self.boundary_before(position)..self.boundary_after(position + 1)
    }

    fn must_be_cut(&self, word: &Range<usize>) -> bool {
        word.len() > self.budget
    }

    /// Where a window that begins at `start` ends.
    fn end_after(&self, start: usize, total: usize) -> usize {
        let limit = start + self.budget;
        if limit >= total {
            return total;
        }
        let word = self.word_at(limit);
        if self.must_be_cut(&word) {
            limit
        } else {
            word.start
        }
    }

    /// Where the window after `start..end` begins: `overlap` before `end` or earlier, so that it still reaches beyond `end`.
    fn start_after(&self, start: usize, end: usize, overlap: usize) -> usize {
        let word = self.word_at(end);
        let reach = if self.must_be_cut(&word) {
            0
        } else {
            word.end.saturating_sub(self.budget)
        };
        let earliest = reach.max(start + 1);
        let wanted = end.saturating_sub(overlap);
        let word = self.word_at(wanted);
        if word.start >= earliest && !self.must_be_cut(&word) {
            return word.start;
        }
        let from = wanted.max(earliest);
        let word = self.word_at(from);
        if word.start == from || self.must_be_cut(&word) {
            from
        } else {
            word.end
        }
    }

    /// Where the ownership of an overlap changes hands.
    fn middle(&self, from: usize, to: usize) -> usize {
        let middle = from + (to - from) / 2;
        let word = self.word_at(middle);
        let (before, after) = (word.start, word.end);
        if before == middle || self.must_be_cut(&word) {
            return middle;
        }
        match (before >= from, after <= to) {
            (true, true) if middle - before <= after - middle => before,
            (true, false) => before,
            (_, true) => after,
            (false, false) => middle,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn starts(lengths: &[usize]) -> Vec<usize> {
        let mut starts = vec![0];
        starts.extend(lengths.iter().scan(0, |sum, &n| {
            *sum += n;
            Some(*sum)
        }));
        starts
    }

    #[test]
    fn overlaps_are_shared_evenly() {
        let found = windows(&starts(&[1; 10]), 5, 2).unwrap();
        let expected = [(0..5, 0..4), (3..8, 4..7), (6..10, 7..10)];
        let expected = expected.map(|(subwords, owned)| Window { subwords, owned });
        assert_eq!(found, expected);
    }

    #[test]
    fn everything_that_fits_is_one_window() {
        assert_eq!(
            windows(&starts(&[2, 3]), 5, 4).unwrap(),
            [Window {
                subwords: 0..5,
                owned: 0..5
            }]
        );
        assert_eq!(windows(&[0], 5, 4).unwrap(), []);
        assert_eq!(windows(&[], 5, 4).unwrap(), []);
    }

    #[test]
    fn a_word_longer_than_the_window_is_cut() {
        let found = windows(&starts(&[2, 9, 2]), 4, 0).unwrap();
        let covered: Vec<_> = found.iter().map(|window| window.subwords.clone()).collect();
        assert_eq!(covered, [0..4, 4..8, 8..11, 11..13]);
    }

    #[test]
    fn bad_arguments_are_errors() {
        assert!(matches!(windows(&[0, 9], 0, 0), Err(Error::Window { .. })));
        assert!(matches!(windows(&[0, 9], 4, 4), Err(Error::Window { .. })));
        assert!(matches!(
            windows(&[1, 9], 4, 2),
            Err(Error::WordStarts { at: 0, value: 1 })
        ));
        assert!(matches!(
            windows(&[0, 9, 8], 4, 2),
            Err(Error::WordStarts { at: 2, value: 8 })
        ));
    }

    #[test]
    fn a_window_that_would_decide_nothing_is_left_out() {
        let lengths = [1, 1, 1, 1, 1, 4, 3, 2, 4, 2, 3, 4, 3, 3, 4, 3, 1, 3, 4];
        let found = windows(&starts(&lengths), 24, 15).unwrap();
        let last: Vec<_> = found[found.len() - 2..]
            .iter()
            .map(|window| window.subwords.clone())
            .collect();
        assert_eq!(last, [18..41, 27..48], "23..44 between them owns no word");
    }

    /// Mostly short words, now and then one that no window holds; empty words too.
    fn lengths() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(prop_oneof![20 => 0usize..5, 1 => 5usize..40], 0..80)
    }

    proptest! {
        #[test]
        fn owned_ranges_partition_the_text(lengths in lengths(), budget in 1usize..24, overlap in 0usize..24) {
            prop_assume!(overlap < budget);
            let starts = starts(&lengths);
            let total = *starts.last().unwrap();
            let found = windows(&starts, budget, overlap).unwrap();
            let mut decided = 0;
            for window in &found {
                prop_assert_eq!(window.owned.start, decided);
                prop_assert!(!window.owned.is_empty());
                prop_assert!(window.subwords.len() <= budget);
                prop_assert!(window.subwords.start <= window.owned.start && window.owned.end <= window.subwords.end);
                decided = window.owned.end;
            }
            prop_assert_eq!(decided, total);
            prop_assert!(found.len() <= 1 || total > budget);
        }

        #[test]
        fn only_words_longer_than_the_window_are_cut(lengths in lengths(), budget in 1usize..24, overlap in 0usize..24) {
            prop_assume!(overlap < budget);
            let starts = starts(&lengths);
            for window in windows(&starts, budget, overlap).unwrap() {
                for edge in [window.subwords.start, window.subwords.end, window.owned.start, window.owned.end] {
                    let cut = starts.windows(2).find(|word| word[0] < edge && edge < word[1]);
                    prop_assert!(cut.is_none_or(|word| word[1] - word[0] > budget), "{window:?} cuts {cut:?}");
                }
            }
        }

        #[test]
        fn what_counts_has_half_an_overlap_of_context(n in 0usize..120, budget in 1usize..24, overlap in 0usize..24) {
            prop_assume!(overlap < budget);
            for window in windows(&starts(&vec![1; n]), budget, overlap).unwrap() {
                let (left, right) = (window.owned.start - window.subwords.start, window.subwords.end - window.owned.end);
                prop_assert!(window.subwords.start == 0 || left >= overlap / 2);
                prop_assert!(window.subwords.end == n || right >= overlap / 2);
            }
        }

        #[test]
        fn neighbors_share_the_overlap(lengths in prop::collection::vec(1usize..5, 0..80), overlap in 0usize..16) {
            // A word of 4 always fits beside the overlap and the word that it may be widened by.
            let found = windows(&starts(&lengths), 24, overlap).unwrap();
            for pair in found.windows(2) {
                // Less two words of 4, where a window between the two would have decided nothing.
                prop_assert!(pair[0].subwords.end - pair[1].subwords.start + 8 >= overlap);
            }
        }
    }
}
