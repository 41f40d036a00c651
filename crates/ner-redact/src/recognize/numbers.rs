//! Digits in groups.

use std::ops::Range;

use super::{is_hyphen, is_space, skip};

/// Groups of ASCII digits, with one space, hyphen or full stop between neighbors, and perhaps a closing bracket before it.
pub(super) struct Run {
    /// Bytes of each group.
    pub groups: Vec<Range<usize>>,
}

impl Run {
    /// What stands between a group and the next.
    pub fn separator<'a>(&self, text: &'a str, group: usize) -> &'a str {
        &text[self.groups[group].end..self.groups[group + 1].start]
    }

    /// Digits in each group.
    pub fn lengths(&self, groups: Range<usize>) -> Vec<usize> {
        self.groups[groups]
            .iter()
            .map(ExactSizeIterator::len)
            .collect()
    }
}

/// All runs of a text, in order.
pub(super) fn runs(text: &str) -> impl Iterator<Item = Run> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let run = next_run(text, at)?;
        at = run.groups.last()?.end;
        Some(run)
    })
}

fn next_run(text: &str, from: usize) -> Option<Run> {
    let bytes = text.as_bytes();
    let mut start = from + bytes[from..].iter().position(u8::is_ascii_digit)?;
    let mut groups = Vec::new();
    loop {
        let end = digits_end(text, start);
        groups.push(start..end);
        match after_separator(text, end) {
            Some(next) if bytes.get(next).is_some_and(u8::is_ascii_digit) => start = next,
            _ => return Some(Run { groups }),
        }
    }
}

/// One past the last of the digits that begin here.
pub(super) fn digits_end(text: &str, start: usize) -> usize {
    let digits = text.as_bytes()[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    start + digits.count()
}

fn after_separator(text: &str, at: usize) -> Option<usize> {
    let at = if text.as_bytes().get(at) == Some(&b')') {
        at + 1
    } else {
        at
    };
    skip(text, at, |c| is_space(c) || is_hyphen(c) || c == '.')
}

/// The digits of a text, as numbers.
pub(super) fn digits(text: &str) -> Vec<u8> {
    text.bytes()
        .filter(u8::is_ascii_digit)
        .map(|byte| byte - b'0')
        .collect()
}

/// Where digits follow something else.
pub(super) fn starts_of_digits(text: &str) -> impl Iterator<Item = usize> + '_ {
    let bytes = text.as_bytes();
    (0..bytes.len())
        .filter(|&at| bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit()))
}
