//! Spanish identity numbers: DNI (as NIF) and NIE.

use super::{
    Found, char_after, char_before, free_after, free_before, is_hyphen, is_space,
    numbers::{digits_end, starts_of_digits},
    skip,
};

/// The check letter of a number is the one at the number's remainder by 23 (Real Decreto 1553/2005; Orden INT/2058/2008 for NIE).
const CHECK_LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// The digits of an identity number.
struct Number {
    value: usize,
    digits: usize,
    /// One past its last byte.
    end: usize,
}

/// Seven or eight digits and their check letter, with full stops between thousands or without: `12345678Z`, `12.345.678-Z`, `ES12345678Z`. Before a
/// letter that stands alone there must be eight digits, and it must be a capital.
pub(crate) fn find_nif(text: &str) -> Vec<Found> {
    starts_of_digits(text)
        .filter_map(|at| {
            let start = nif_start(text, at)?;
            let number = number(text, at).filter(|number| number.digits >= 7)?;
            let end = check_letter(text, &number, number.value)?;
            Some(Found::checked(start..end))
        })
        .collect()
}

/// `X`, `Y` or `Z`, seven digits (or eight that begin with a 0) and their check letter: `X1234567L`, `Y-1.234.567-X`.
pub(crate) fn find_nie(text: &str) -> Vec<Found> {
    starts_of_digits(text)
        .filter_map(|at| {
            let (start, first) = nie_letter(text, at)?;
            let number = number(text, at)?;
            let leading_zero = number.digits == 8 && number.value < 10_000_000;
            if number.digits != 7 && !leading_zero {
                return None;
            }
            let end = check_letter(text, &number, number.value + first * 10_000_000)?;
            Some(Found::checked(start..end))
        })
        .collect()
}

/// Where a NIF with these digits begins, which may have the country's code before them; none where they belong to a longer number or a NIE.
fn nif_start(text: &str, digits: usize) -> Option<usize> {
    let before = &text[..digits];
    let unhyphenated = before.strip_suffix(|c| is_hyphen(c) || is_space(c));
    let bare = unhyphenated.unwrap_or(before);
    if let Some(country) = bare
        .strip_suffix("ES")
        .filter(|before| free_before(before, before.len()))
    {
        return Some(country.len());
    }
    let decimal = before
        .strip_suffix(['.', ','])
        .is_some_and(|before| before.ends_with(|c: char| c.is_ascii_digit()));
    let nie = nie_letter(text, digits).is_some();
    (free_before(text, digits) && !decimal && !nie).then_some(digits)
}

/// The letter of a NIE before its digits: its byte, and the digit that it stands for.
fn nie_letter(text: &str, digits: usize) -> Option<(usize, usize)> {
    let before = &text[..digits];
    let before = before
        .strip_suffix(|c| is_hyphen(c) || is_space(c))
        .unwrap_or(before);
    let letter = char_before(before, before.len())?;
    let first = "XYZ".find(letter.to_ascii_uppercase())?;
    let start = before.len() - 1;
    free_before(text, start).then_some((start, first))
}

/// Digits in one piece, or in thousands: `1234567`, `1.234.567`.
fn number(text: &str, start: usize) -> Option<Number> {
    let mut end = digits_end(text, start);
    if end - start <= 2 {
        for _ in 0..2 {
            let group = end + 1;
            let dotted = text.as_bytes().get(end) == Some(&b'.');
            if !dotted || digits_end(text, group) != group + 3 {
                return None;
            }
            end = group + 3;
        }
    }
    let plain: String = text[start..end]
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let digits = plain.len();
    let value = plain.parse().ok().filter(|_| digits <= 8)?;
    Some(Number { value, digits, end })
}

/// Where the number's check letter ends, if it has the right one.
fn check_letter(text: &str, number: &Number, value: usize) -> Option<usize> {
    let hyphen = skip(text, number.end, is_hyphen);
    let space = skip(text, number.end, is_space).filter(|_| number.digits == 8);
    let at = hyphen.or(space).unwrap_or(number.end);
    let letter = char_after(text, at).filter(char::is_ascii_alphabetic)?;
    let right = u32::from(letter.to_ascii_uppercase()) == u32::from(CHECK_LETTERS[value % 23]);
    let lonely = space.is_some() && letter.is_ascii_lowercase();
    (right && !lonely && free_after(text, at + 1)).then_some(at + 1)
}

/// Whether the whole text is a NIF or NIE.
pub(crate) fn holds(text: &str) -> bool {
    let whole = |found: Vec<Found>| found.iter().any(|found| found.range == (0..text.len()));
    whole(find_nif(text)) || whole(find_nie(text))
}
