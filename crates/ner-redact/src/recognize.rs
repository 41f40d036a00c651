//! The standard recognizers: each reads a text once and says where an identifier stands.

use std::ops::Range;

use memchr::memchr_iter;

pub(crate) mod card;
pub(crate) mod email;
pub(crate) mod iban;
pub(crate) mod ip;
pub(crate) mod phone;
pub(crate) mod spanish;
pub(crate) mod url;

mod numbers;

/// An identifier in a text.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    /// Its bytes.
    pub range: Range<usize>,
    /// From 0 to 1.
    pub score: f64,
    /// Whether a checksum holds.
    pub checksum: bool,
}

impl Found {
    fn checked(range: Range<usize>) -> Self {
        Self {
            range,
            score: 1.0,
            checksum: true,
        }
    }

    fn scored(range: Range<usize>, score: f64) -> Self {
        Self {
            range,
            score,
            checksum: false,
        }
    }
}

/// Whether a letter or digit at the edge of an identifier makes it part of a longer word. Letters from U+0590 on do not: Hebrew and Arabic attach
/// prefixes to numbers, and Chinese, Japanese and Thai write no spaces.
fn binds(c: char) -> bool {
    c == '_' || (c.is_alphanumeric() && c < '\u{590}')
}

fn char_before(text: &str, at: usize) -> Option<char> {
    text[..at].chars().next_back()
}

fn char_after(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

fn free_before(text: &str, at: usize) -> bool {
    !char_before(text, at).is_some_and(binds)
}

fn free_after(text: &str, at: usize) -> bool {
    !char_after(text, at).is_some_and(binds)
}

/// Spaces that stand inside of numbers: plain, no-break, narrow no-break, thin.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// Hyphens that stand inside of numbers: plain, the character of that name, no-break.
fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}' | '\u{2011}')
}

/// The byte after a character of this kind, where one stands.
fn skip(text: &str, at: usize, kind: fn(char) -> bool) -> Option<usize> {
    char_after(text, at)
        .filter(|&c| kind(c))
        .map(|c| at + c.len_utf8())
}

/// Whether the character belongs to a word of any script; combining accents do.
fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c)
}

/// The runs of bytes of a kind that hold this one.
fn around(text: &str, byte: u8, belongs: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut runs: Vec<Range<usize>> = Vec::new();
    for at in memchr_iter(byte, bytes) {
        let from = runs.last().map_or(0, |run| run.end);
        if at < from {
            continue;
        }
        let before = bytes[from..at].iter().rev().take_while(|&&b| belongs(b));
        let start = at - before.count();
        let after = bytes[at..].iter().take_while(|&&b| belongs(b));
        runs.push(start..at + after.count());
    }
    runs
}
