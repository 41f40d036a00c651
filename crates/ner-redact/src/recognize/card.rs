//! Payment cards.

use std::ops::Range;

use super::{
    Found, free_after, free_before, is_hyphen, is_space,
    numbers::{Run, digits, runs},
};

/// First four digits, from and to, and lengths, from and to, of the numbers that networks give out (ISO/IEC 7812).
const NETWORKS: [(u16, u16, usize, usize); 23] = [
    (1000, 1999, 15, 15), // UATP
    (2131, 2131, 15, 15), // JCB
    (2200, 2204, 16, 19), // Mir
    (2221, 2720, 16, 16), // Mastercard
    (3000, 3059, 14, 19), // Diners Club
    (3095, 3095, 14, 19),
    (3400, 3499, 15, 15), // American Express
    (3528, 3589, 16, 19), // JCB
    (3600, 3699, 14, 19), // Diners Club
    (3700, 3799, 15, 15), // American Express
    (3800, 3999, 14, 19), // Diners Club
    (4000, 4999, 13, 13), // Visa
    (4000, 4999, 16, 16),
    (4000, 4999, 18, 19),
    (5000, 5099, 12, 19), // Maestro
    (5100, 5599, 16, 16), // Mastercard
    (5600, 5899, 12, 19), // Maestro
    (6000, 6999, 16, 19), // Discover, UnionPay, RuPay, Maestro
    (6304, 6304, 12, 15), // Maestro
    (6759, 6763, 12, 15),
    (8100, 8199, 16, 19), // UnionPay, RuPay
    (8200, 8299, 16, 16), // RuPay
    (9792, 9792, 16, 16), // Troy
];

/// Groups in which a number may be written, at most.
const MAX_GROUPS: usize = 5;

/// Numbers of a network's length that hold Luhn's checksum, whole or in groups with spaces or hyphens.
pub(crate) fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for run in runs(text) {
        let mut first = 0;
        while first < run.groups.len() {
            match card_at(text, &run, first) {
                Some(groups) => {
                    let (start, end) = (run.groups[first].start, run.groups[groups.end - 1].end);
                    found.push(Found::checked(start..end));
                    first = groups.end;
                }
                None => first += 1,
            }
        }
    }
    found
}

/// The most groups from this one on that are a card.
fn card_at(text: &str, run: &Run, first: usize) -> Option<Range<usize>> {
    let most = (first + MAX_GROUPS).min(run.groups.len());
    (first + 1..=most)
        .rev()
        .map(|end| first..end)
        .find(|groups| is_card(text, run, groups))
}

fn is_card(text: &str, run: &Run, groups: &Range<usize>) -> bool {
    let lengths = run.lengths(groups.clone());
    let total: usize = lengths.iter().sum();
    if !(12..=19).contains(&total) || !is_layout(&lengths) {
        return false;
    }
    let range = run.groups[groups.start].start..run.groups[groups.end - 1].end;
    let plain = (groups.start..groups.end - 1).all(|group| {
        run.separator(text, group)
            .chars()
            .all(|c| is_space(c) || is_hyphen(c))
    });
    plain && free_before(text, range.start) && free_after(text, range.end) && holds(&text[range])
}

/// In one piece, or in groups as on a card, the first of four.
fn is_layout(lengths: &[usize]) -> bool {
    lengths.len() == 1 || (lengths[0] == 4 && lengths.iter().all(|length| (3..=6).contains(length)))
}

/// Whether the digits of a text are a network's and hold Luhn's checksum.
pub(crate) fn holds(text: &str) -> bool {
    let digits = digits(text);
    let prefix = digits
        .iter()
        .take(4)
        .fold(0, |number, &digit| number * 10 + u16::from(digit));
    let known = NETWORKS.iter().any(|&(from, to, shortest, longest)| {
        (from..=to).contains(&prefix) && (shortest..=longest).contains(&digits.len())
    });
    known && luhn(&digits)
}

/// Luhn's checksum (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}
