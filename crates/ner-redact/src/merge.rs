//! Overlapping spans to disjoint ones.

use std::{cmp::Ordering, collections::BTreeMap, ops::Range};

use crate::{Result, Span, span::check};

/// Spans without overlap, in order of the text, that cover every byte of those given.
///
/// Where two overlap, the one with a checksum wins, then the one with the higher score, then the longer one. What sticks out of the winner stays
/// covered, as the loser's type: a doubtful byte is never left in the open.
///
/// # Errors
///
/// Where a span does not fit the text.
pub fn merge(text: &str, spans: Vec<Span>) -> Result<Vec<Span>> {
    merge_with(text, spans, |_| false)
}

/// The same, but spans that yield win over none that do not.
pub(crate) fn merge_with(
    text: &str,
    mut spans: Vec<Span>,
    yields: impl Fn(&Span) -> bool,
) -> Result<Vec<Span>> {
    check(text, &spans)?;
    spans.sort_by(|a, b| yields(a).cmp(&yields(b)).then_with(|| stronger_first(a, b)));
    let mut placed: BTreeMap<usize, Span> = BTreeMap::new();
    for span in spans {
        for free in gaps(&placed, span.start..span.end) {
            let part = Span {
                start: free.start,
                end: free.end,
                ..span.clone()
            };
            placed.insert(free.start, part);
        }
    }
    Ok(placed.into_values().collect())
}

/// The winner first. The last three keys only make the order total.
fn stronger_first(a: &Span, b: &Span) -> Ordering {
    b.checksum
        .cmp(&a.checksum)
        .then(b.score.total_cmp(&a.score))
        .then(b.len().cmp(&a.len()))
        .then(a.start.cmp(&b.start))
        .then_with(|| a.entity_type.cmp(&b.entity_type))
        .then_with(|| a.recognizer.cmp(&b.recognizer))
}

/// The parts of a range that nothing placed covers.
fn gaps(placed: &BTreeMap<usize, Span>, range: Range<usize>) -> Vec<Range<usize>> {
    let before = placed.range(..=range.start).next_back();
    let mut from = before.map_or(range.start, |(_, span)| span.end.max(range.start));
    let mut gaps = Vec::new();
    if from < range.end {
        for (&start, span) in placed.range(from..range.end) {
            if from < start {
                gaps.push(from..start);
            }
            from = span.end;
        }
    }
    if from < range.end {
        gaps.push(from..range.end);
    }
    gaps
}
