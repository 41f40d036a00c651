//! Addresses of the web and of other services.

use std::ops::Range;

use memchr::memmem;

use super::{Found, around, binds, char_before, free_after};

/// Presidio's scores, with a scheme (or `www.`) and without.
const SCORE: f64 = 0.6;
const BARE_SCORE: f64 = 0.5;

/// Top-level domains by which a name without a scheme is known.
const TOP_LEVEL: [&str; 31] = [
    "com", "org", "net", "info", "edu", "gov", "gob", "int", "io", "app", "dev", "tv", "eu", "es",
    "cat", "gal", "eus", "pt", "fr", "it", "de", "uk", "us", "ar", "cl", "mx", "pe", "uy", "ve",
    "br", "biz",
];

/// `scheme://…`, `www.…`, and names in small letters under common top-level domains, each with what follows up to a space, without punctuation at
/// its end.
pub(crate) fn find(text: &str) -> Vec<Found> {
    let with_scheme = with_scheme(text);
    let mut found = Vec::new();
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    for name in around(text, b'.', in_name) {
        let next = with_scheme.partition_point(|url| url.end <= name.start);
        let inside = with_scheme
            .get(next)
            .is_some_and(|url| url.start < name.end);
        if inside {
            continue;
        }
        found.extend(without_scheme(text, name));
    }
    let with_scheme = with_scheme.into_iter();
    found.extend(with_scheme.map(|range| Found::scored(range, SCORE)));
    found
}

/// Disjoint, in order of the text.
fn with_scheme(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for at in memmem::find_iter(text.as_bytes(), "://") {
        let from = found.last().map_or(0, |url| url.end);
        if at < from {
            continue;
        }
        let scheme = text.as_bytes()[from..at]
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
        let start = at - scheme.count();
        if start == at {
            continue;
        }
        let end = body_end(text, at + 3);
        if end > at + 3 {
            found.push(start..end);
        }
    }
    found
}

/// The address that begins with a name, where the name is known without a scheme.
fn without_scheme(text: &str, name: Range<usize>) -> Option<Found> {
    let trimmed = text[name.clone()].trim_start_matches(['-', '.']);
    let start = name.end - trimmed.len();
    let trimmed = trimmed.trim_end_matches(['-', '.']);
    let whole = start + trimmed.len();
    let before = char_before(text, start);
    if before.is_some_and(|c| binds(c) || c == '@') || !free_after(text, whole) {
        return None;
    }
    let www = trimmed
        .get(..4)
        .is_some_and(|www| www.eq_ignore_ascii_case("www."));
    let (end, score) = if www {
        (whole, SCORE)
    } else {
        (start + known_end(trimmed)?, BARE_SCORE)
    };
    let goes_on = text[end..].starts_with(['/', ':', '?', '#']);
    let end = if goes_on { body_end(text, end) } else { end };
    Some(Found::scored(start..end, score))
}

/// Where a name ends that has a common top-level domain; a sentence that follows without a space is no part of it.
fn known_end(name: &str) -> Option<usize> {
    let mut rest = name;
    while let Some((labels, top)) = rest.rsplit_once('.') {
        let label = labels.rsplit('.').next().unwrap_or_default();
        let is_name = label.len() > 1 && label.bytes().any(|byte| byte.is_ascii_lowercase());
        if is_name && TOP_LEVEL.contains(&top) {
            return Some(rest.len());
        }
        rest = labels;
    }
    None
}

/// Where the address ends that has got here: before a space, a quote, or punctuation that belongs to the sentence.
fn body_end(text: &str, from: usize) -> usize {
    let body = text[from..]
        .split(|c: char| c.is_whitespace() || c.is_control() || "<>\"«»“”".contains(c))
        .next()
        .unwrap_or_default();
    // Brackets that close more than were opened.
    let spare = |open: char, close: char| {
        let opened = body.matches(open).count();
        body.matches(close).count().saturating_sub(opened)
    };
    let (mut round, mut square) = (spare('(', ')'), spare('[', ']'));
    let mut kept = body;
    while let Some(last) = kept.chars().next_back() {
        let closes = match last {
            ')' if round > 0 => {
                round -= 1;
                true
            }
            ']' if square > 0 => {
                square -= 1;
                true
            }
            _ => ".,;:!?¡¿'’…*}".contains(last),
        };
        if !closes {
            break;
        }
        kept = &kept[..kept.len() - last.len_utf8()];
    }
    from + kept.len()
}
