//! Addresses of the Internet Protocol.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use super::{Found, around, free_after, free_before};

/// Presidio's score.
const SCORE: f64 = 0.6;
/// Parts that may be cut from the start of what looks like an IPv6 address.
const CUTS: usize = 9;

/// Addresses of both versions that the standard library reads, IPv6 with its zone.
pub(crate) fn find(text: &str) -> Vec<Found> {
    let mut found: Vec<Range<usize>> = v6(text);
    found.extend(v4(text));
    found
        .into_iter()
        .map(|range| Found::scored(range, SCORE))
        .collect()
}

fn v4(text: &str) -> Vec<Range<usize>> {
    let belongs = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    around(text, b'.', belongs)
        .into_iter()
        .filter_map(|run| {
            let trimmed = trim(text, run, '.');
            let address = text[trimmed.clone()].parse::<Ipv4Addr>().is_ok();
            (address && is_free(text, &trimmed)).then_some(trimmed)
        })
        .collect()
}

fn v6(text: &str) -> Vec<Range<usize>> {
    let belongs = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    around(text, b':', belongs)
        .into_iter()
        .filter_map(|run| v6_in(text, run))
        .collect()
}

/// The address in a run of its characters. A word and a colon may stand before it, as in `IP:fe80::1`.
fn v6_in(text: &str, run: Range<usize>) -> Option<Range<usize>> {
    let mut rest = trim(text, run, '.');
    if text[rest.clone()].ends_with(':') && !text[rest.clone()].ends_with("::") {
        rest.end -= 1;
    }
    for _ in 0..CUTS {
        let candidate = &text[rest.clone()];
        let address = candidate.len() > 2 && candidate.parse::<Ipv6Addr>().is_ok();
        if address && is_free(text, &rest) {
            return Some(rest.start..zone_end(text, rest.end));
        }
        rest.start += candidate.find(':')? + 1;
    }
    None
}

/// One past `%eth0`.
fn zone_end(text: &str, end: usize) -> usize {
    let zone = text[end..].strip_prefix('%').map_or(0, |zone| {
        zone.bytes().take_while(u8::is_ascii_alphanumeric).count()
    });
    if zone == 0 { end } else { end + 1 + zone }
}

fn trim(text: &str, range: Range<usize>, c: char) -> Range<usize> {
    let start = range.end - text[range.clone()].trim_start_matches(c).len();
    let kept = text[start..range.end].trim_end_matches(c).len();
    start..start + kept
}

fn is_free(text: &str, range: &Range<usize>) -> bool {
    free_before(text, range.start) && free_after(text, range.end)
}
