//! International bank account numbers.

use iban::Iban;

use super::{Found, free_after, free_before, is_hyphen, is_space, numbers::starts_of_digits, skip};

/// Letters and digits of an IBAN, at most and at least (ISO 13616).
const LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;

/// Numbers of a country's layout that hold their checksum (mod 97), in one piece or with a space or hyphen anywhere.
pub(crate) fn find(text: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for digits in starts_of_digits(text) {
        let taken = found.last().is_some_and(|iban| digits < iban.range.end);
        if let Some(start) = country_before(text, digits).filter(|_| !taken) {
            found.extend(iban_at(text, start).map(|end| Found::checked(start..end)));
        }
    }
    found
}

/// Where a country's two letters begin before check digits.
fn country_before(text: &str, digits: usize) -> Option<usize> {
    let before = &text[..digits];
    let country = before
        .strip_suffix(|c| is_space(c) || is_hyphen(c))
        .unwrap_or(before);
    let start = country.len().checked_sub(2)?;
    let letters = country.as_bytes()[start..]
        .iter()
        .all(u8::is_ascii_alphabetic);
    (letters && free_before(text, start)).then_some(start)
}

/// Where the IBAN that begins here ends.
fn iban_at(text: &str, start: usize) -> Option<usize> {
    let (mut compact, mut ends, mut at) = (String::new(), Vec::new(), start);
    while let Some(c) = char_after_separator(text, at, start) {
        compact.push(c.1.to_ascii_uppercase());
        at = c.0 + 1;
        ends.push(at);
        let check_digits = !(3..=4).contains(&ends.len()) || c.1.is_ascii_digit();
        if !check_digits || ends.len() == *LENGTHS.end() {
            break;
        }
    }
    LENGTHS
        .rev()
        .filter(|&length| length <= ends.len())
        .find(|&length| free_after(text, ends[length - 1]) && is_iban(&compact[..length]))
        .map(|length| ends[length - 1])
}

/// The next ASCII letter or digit and its byte; one space or hyphen may stand before it.
fn char_after_separator(text: &str, at: usize, start: usize) -> Option<(usize, char)> {
    let next = skip(text, at, |c| is_space(c) || is_hyphen(c)).filter(|_| at > start);
    let at = next.unwrap_or(at);
    super::char_after(text, at)
        .filter(char::is_ascii_alphanumeric)
        .map(|c| (at, c))
}

fn is_iban(compact: &str) -> bool {
    compact.parse::<Iban>().is_ok()
}

/// Whether the letters and digits of a text are an IBAN.
pub(crate) fn holds(text: &str) -> bool {
    let compact: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    is_iban(&compact)
}
