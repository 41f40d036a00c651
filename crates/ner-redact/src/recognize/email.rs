//! E-mail addresses.

use std::ops::Range;

use memchr::memchr_iter;

use super::{Found, is_word_char};

/// No checksum, but nothing else is written so; Presidio gives it to addresses of known domains.
const SCORE: f64 = 1.0;

/// Marks that may stand in the local part (RFC 5322's `atext` without the slash) and the full stop.
const LOCAL_MARKS: &str = ".!#$%&'*+-=?^_`{|}~";

/// `local@domain.tld`, letters of any script (RFC 6531).
pub(crate) fn find(text: &str) -> Vec<Found> {
    memchr_iter(b'@', text.as_bytes())
        .filter_map(|at| {
            Some(Found::scored(
                local_start(text, at)?..domain_end(text, at + 1)?,
                SCORE,
            ))
        })
        .collect()
}

/// Where the local part begins: at a letter or digit, so that quotes and brackets around an address are no part of it.
fn local_start(text: &str, at: usize) -> Option<usize> {
    let local = text[..at]
        .char_indices()
        .rev()
        .take_while(|&(_, c)| is_word_char(c) || LOCAL_MARKS.contains(c));
    local
        .filter(|&(_, c)| c.is_alphanumeric() || c == '_')
        .last()
        .map(|(byte, _)| byte)
}

/// One past the last label that can be a top-level domain.
fn domain_end(text: &str, start: usize) -> Option<usize> {
    let mut end = None;
    for (number, label) in labels(text, start).enumerate() {
        let name = &text[label.clone()];
        let top_level = name.chars().count() >= 2 && name.starts_with(char::is_alphabetic);
        if number > 0 && top_level {
            end = Some(label.end);
        }
    }
    end
}

/// Labels of a domain name.
fn labels(text: &str, start: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut next = Some(start);
    std::iter::from_fn(move || {
        let start = next.take()?;
        let in_label = |c: char| is_word_char(c) || c == '-';
        let label: usize = text[start..]
            .chars()
            .take_while(|&c| in_label(c))
            .map(char::len_utf8)
            .sum();
        let end = start + text[start..start + label].trim_end_matches('-').len();
        if text.as_bytes().get(end) == Some(&b'.') {
            next = Some(end + 1);
        }
        (end > start).then_some(start..end)
    })
}
