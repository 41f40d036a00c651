//! Telephone numbers.

use std::ops::Range;

use super::{
    Found, char_after, char_before, free_after, free_before, is_hyphen, is_space,
    numbers::{Run, digits_end, runs},
    skip,
};

/// With an international prefix; Presidio's own score of a number is 0.4.
const INTERNATIONAL: f64 = 0.6;
/// Without one: nine digits can be something else.
const NATIONAL: f64 = 0.4;

/// Digits of a number with its country's code (E.164), at most and at least.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;
/// After `00`, which begins other numbers too.
const MIN_AFTER_ZEROS: usize = 10;

/// Countries' codes whose numbers have one length, and that length with the code.
const LENGTHS: [(&str, usize); 4] = [("1", 11), ("33", 11), ("34", 11), ("351", 12)];

/// Digits in the groups of a Spanish number.
const LAYOUTS: [&[usize]; 6] = [
    &[9],
    &[3, 3, 3],
    &[3, 2, 2, 2],
    &[2, 3, 2, 2],
    &[3, 6],
    &[2, 7],
];

/// What stands after an amount.
const UNITS: [&str; 17] = [
    "euro",
    "euros",
    "eur",
    "dólar",
    "dólares",
    "dolares",
    "usd",
    "peseta",
    "pesetas",
    "pta",
    "ptas",
    "pts",
    "peso",
    "pesos",
    "libras",
    "habitantes",
    "personas",
];

/// Two forms. International: `+` and 8 to 15 digits (or `00` and 10 to 15, without full stops), grouped in any way by spaces, hyphens, full stops,
/// slashes or brackets.
/// Spanish: nine digits of which the first is 6 to 9, in one piece or grouped as usual, not grouped as thousands are (`612.345.678`), no round
/// number, not a part of longer rows of groups, and no amount of money or people.
pub(crate) fn find(text: &str) -> Vec<Found> {
    let international = international(text);
    let taken = |range: &Range<usize>| {
        let before = international.partition_point(|other| other.end <= range.start);
        international
            .get(before)
            .is_some_and(|other| other.start < range.end)
    };
    let national = national(text).into_iter().filter(|range| !taken(range));
    let mut found: Vec<Found> = national
        .map(|range| Found::scored(range, NATIONAL))
        .collect();
    found.extend(
        international
            .into_iter()
            .map(|range| Found::scored(range, INTERNATIONAL)),
    );
    found
}

fn international(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let end = match bytes[at] {
            b'+' => after_plus(text, at),
            b'0' => after_zeros(text, at),
            _ => None,
        };
        let end = end.filter(|&end| !is_amount(text, at..end));
        found.extend(end.map(|end| at..end));
        at = end.unwrap_or(at + 1);
    }
    found
}

fn after_plus(text: &str, at: usize) -> Option<usize> {
    let sum = char_before(text, at).is_some_and(|c| c.is_ascii_digit());
    let groups = groups(text, at + 1, Stops::Allowed);
    if sum {
        None
    } else {
        number_end(&groups, *DIGITS.start())
    }
}

/// Tables of prices are full of `.00` and full stops.
fn after_zeros(text: &str, at: usize) -> Option<usize> {
    let decimals = char_before(text, at).is_some_and(|c| matches!(c, '.' | ','));
    if decimals || !text[at..].starts_with("00") || !free_before(text, at) {
        return None;
    }
    number_end(&groups(text, at + 2, Stops::Refused), MIN_AFTER_ZEROS)
}

/// Whether full stops may stand between groups. Those that do, but for the one after the country's code, must stand between all.
#[derive(Clone, Copy, PartialEq)]
enum Stops {
    Allowed,
    Refused,
}

/// Digits so far and where they end, after each group; up to one group more than a number can have.
struct Groups {
    digits: String,
    ends: Vec<(usize, usize)>,
}

fn groups(text: &str, start: usize, stops: Stops) -> Groups {
    let (mut digits, mut ends, mut at) = (String::new(), Vec::new(), start);
    let mut stopped = None;
    while let Some(group) = next_group(text, at) {
        let stop = text[at..group].contains('.');
        if stop && stops == Stops::Refused {
            break;
        }
        // The gaps before the country's code and after it do not count.
        if ends.len() > 1 && *stopped.get_or_insert(stop) != stop {
            break;
        }
        let end = digits_end(text, group);
        digits.push_str(&text[group..end]);
        ends.push((digits.len(), end));
        at = end;
        if digits.len() > *DIGITS.end() {
            break;
        }
    }
    Groups { digits, ends }
}

/// Where a number ends: after its length where its country has one, else with the last group that it can have.
fn number_end(Groups { digits, ends }: &Groups, least: usize) -> Option<usize> {
    if digits.starts_with('0') {
        return None;
    }
    let known = LENGTHS
        .iter()
        .find(|(code, _)| digits.starts_with(code))
        .and_then(|&(_, length)| ends.iter().find(|&&(count, _)| count == length));
    let last = ends
        .iter()
        .rfind(|&&(count, _)| (least..=*DIGITS.end()).contains(&count));
    known.or(last).map(|&(_, end)| end)
}

/// Where the next digits begin, after up to two marks that group numbers.
fn next_group(text: &str, at: usize) -> Option<usize> {
    let mark = |c| is_space(c) || is_hyphen(c) || matches!(c, '.' | '/' | '(' | ')');
    let mut at = at;
    for _ in 0..3 {
        if char_after(text, at)?.is_ascii_digit() {
            return Some(at);
        }
        at = skip(text, at, mark)?;
    }
    None
}

fn national(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for run in runs(text) {
        let mut first = 0;
        while first < run.groups.len() {
            match national_at(text, &run, first) {
                Some((groups, range)) => {
                    found.push(range);
                    first = groups.end;
                }
                None => first += 1,
            }
        }
    }
    found
}

/// The number that begins with this group: its groups and its bytes.
fn national_at(text: &str, run: &Run, first: usize) -> Option<(Range<usize>, Range<usize>)> {
    let digit = text.as_bytes()[run.groups[first].start];
    if !(b'6'..=b'9').contains(&digit) {
        return None;
    }
    LAYOUTS
        .iter()
        .map(|layout| first..first + layout.len())
        .zip(LAYOUTS)
        .filter(|(groups, layout)| {
            groups.end <= run.groups.len() && run.lengths(groups.clone()) == *layout
        })
        .find_map(|(groups, layout)| {
            let range = national_range(text, run, &groups)?;
            let thousands = layout == [3, 3, 3] && text[range.clone()].contains('.');
            (!thousands).then_some((groups, range))
        })
}

/// The bytes of these groups and of a bracket before them, unless they are part of something longer.
fn national_range(text: &str, run: &Run, groups: &Range<usize>) -> Option<Range<usize>> {
    let hyphens = |group: usize| run.separator(text, group).contains(is_hyphen);
    let hyphenated = (groups.start..groups.end - 1).any(hyphens);
    let attached =
        |group: usize| run.separator(text, group).contains('.') || (hyphenated && hyphens(group));
    let longer = (groups.start > 0 && attached(groups.start - 1))
        || (groups.end < run.groups.len() && attached(groups.end - 1));
    let digits = run.groups[groups.start].start..run.groups[groups.end - 1].end;
    let bracket = text[digits.clone()].contains(')') && text[..digits.start].ends_with('(');
    let start = digits.start - usize::from(bracket);
    let round = text[digits.clone()]
        .bytes()
        .rev()
        .filter(u8::is_ascii_digit)
        .take(5)
        .all(|digit| digit == b'0');
    let range = start..digits.end;
    let free = free_before(text, range.start) && free_after(text, range.end);
    (free && !longer && !round && !has_decimals(text, range.end) && !is_amount(text, range.clone()))
        .then_some(range)
}

/// Whether a comma and one or two digits follow.
fn has_decimals(text: &str, end: usize) -> bool {
    text[end..].starts_with(',') && (1..=2).contains(&(digits_end(text, end + 1) - end - 1))
}

/// Whether a currency or another unit stands beside a number.
fn is_amount(text: &str, range: Range<usize>) -> bool {
    let sign = |c: char| "€$£¥%".contains(c);
    let before = text[..range.start].trim_end_matches(is_space);
    let after = text[range.end..].trim_start_matches(is_space);
    let after = after.strip_prefix("de ").unwrap_or(after);
    let word: String = after
        .chars()
        .take_while(|c| c.is_alphabetic())
        .take(12)
        .flat_map(char::to_lowercase)
        .collect();
    before.ends_with(sign) || after.starts_with(sign) || UNITS.contains(&word.as_str())
}
