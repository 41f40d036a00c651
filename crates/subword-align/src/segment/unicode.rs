//! Words by the word boundaries of Unicode and the exceptions that treebanks make.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::clusters::Clusters;
use super::rules::{Piece, Run};
use super::table;

/// Bytes of a word and the space after it, for the memory to reserve.
const BYTES_PER_WORD: usize = 5;

/// The words of a text as ranges of bytes, cut as corpora cut them; no tokenizer is needed.
/// [`Segmentation::Unicode`](super::Segmentation::Unicode) gives the rules.
///
/// The ranges are in order, do not overlap, and none is empty. White space is in none of them, every other character is in
/// exactly one. The time is linear in the text.
///
/// ```
/// let text = "El Sr. Ruiz (EE.UU.) pagó 3.500,50 euros, un 77% más...";
/// let words: Vec<&str> = subword_align::words(text).into_iter().map(|word| &text[word]).collect();
/// assert_eq!(
///     words,
///     ["El", "Sr.", "Ruiz", "(", "EE.UU.", ")", "pagó", "3.500,50", "euros", ",", "un", "77%", "más", "..."]
/// );
/// ```
#[must_use]
pub fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::with_capacity(text.len() / BYTES_PER_WORD);
    let mut pieces = Vec::new();
    let mut at = skip_spaces(text, 0);
    while at < text.len() {
        if let Some(end) = plain_words(text.as_bytes(), at, &mut words) {
            at = skip_spaces(text, end);
            continue;
        }
        let end = run_end(text, at);
        let next = skip_spaces(text, end);
        split_pieces(text, at..end, &mut pieces);
        let run = Run {
            text,
            pieces: &pieces,
            next: &text[next..],
            ends_paragraph: next == text.len() || has_blank_line(&text[end..next]),
        };
        let mut first = 0;
        while first < pieces.len() {
            let end = run.word_end(first);
            words.push(pieces[first].start..pieces[end - 1].end);
            first = end;
        }
        at = next;
    }
    words
}

/// The runs of a text without white space.
pub(super) fn runs(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = skip_spaces(text, at);
        at = run_end(text, start);
        (start < at).then_some(start..at)
    })
}

/// The first byte from `at` on that is not white space.
fn skip_spaces(text: &str, at: usize) -> usize {
    match text[at..].find(|c| !table::is_space(c)) {
        Some(offset) => at + offset,
        None => text.len(),
    }
}

/// The first byte from `at` on that is white space.
fn run_end(text: &str, at: usize) -> usize {
    match text[at..].find(table::is_space) {
        Some(offset) => at + offset,
        None => text.len(),
    }
}

fn has_blank_line(spaces: &str) -> bool {
    spaces
        .bytes()
        .filter(|&byte| byte == b'\n')
        .nth(1)
        .is_some()
}

/// The way of most of a text: a run of Latin letters and digits, alone or with one mark after it. Adds its words and returns
/// where the run ends, or does nothing where the run needs the rules.
fn plain_words(text: &[u8], start: usize, words: &mut Vec<Range<usize>>) -> Option<usize> {
    let end = plain_end(text, start);
    if end == start {
        return None;
    }
    let ends_run = |at: usize| {
        text.get(at)
            .is_none_or(|&b| matches!(b, b' ' | b'\t'..=b'\r'))
    };
    if ends_run(end) {
        words.push(start..end);
        return Some(end);
    }
    let is_separate = match text[end] {
        b',' | b';' | b':' | b'!' | b'?' | b')' | b']' | b'"' => true,
        b'.' => end - start > table::LONGEST_ABBREVIATION,
        _ => false,
    };
    if !is_separate || !ends_run(end + 1) {
        return None;
    }
    words.push(start..end);
    words.push(end..end + 1);
    Some(end + 1)
}

/// Where the ASCII and accented Latin letters (U+00C0 to U+024F) and the ASCII digits from `at` on end.
fn plain_end(text: &[u8], mut at: usize) -> usize {
    loop {
        match text.get(at) {
            Some(byte) if byte.is_ascii_alphanumeric() => at += 1,
            // Multiplication and division sign, U+00D7 and U+00F7, are 0xc3 0x97 and 0xc3 0xb7.
            Some(0xc3) if !matches!(text[at + 1], 0x97 | 0xb7) => at += 2,
            Some(0xc4..=0xc8) => at += 2,
            Some(0xc9) if text[at + 1] < 0x90 => at += 2,
            _ => return at,
        }
    }
}

/// Cuts a run at the word boundaries of UAX #29, unless they lie inside a grapheme cluster, and around the full stop of a
/// sentence that lacks the space after it (`fin.El`).
fn split_pieces(text: &str, run: Range<usize>, pieces: &mut Vec<Piece>) {
    pieces.clear();
    let slice = &text[run.clone()];
    let mut clusters = Clusters::new(slice);
    for (offset, piece) in slice.split_word_bound_indices() {
        let (mut start, end) = (run.start + offset, run.start + offset + piece.len());
        if let Some(last) = pieces.last_mut()
            && !clusters.begins_at(offset)
        {
            *last = Piece::new(text, last.start, end);
            continue;
        }
        while let Some(dot) = missing_space(&text[start..end]) {
            pieces.push(Piece::new(text, start, start + dot));
            pieces.push(Piece::new(text, start + dot, start + dot + 1));
            start += dot + 1;
        }
        pieces.push(Piece::new(text, start, end));
    }
}

/// The full stop between a word in lower case, or an abbreviation, and a capital letter: `fin.El`, `Sr.Ruiz`; not in `B.King` or
/// `Ph.D`.
fn missing_space(piece: &str) -> Option<usize> {
    let dots = piece.match_indices('.').map(|(at, _)| at);
    let mut start = 0;
    for dot in dots {
        let (before, after) = (&piece[start..dot], &piece[dot + 1..]);
        let is_long = before.chars().nth(2).is_some() || table::is_abbreviation(before, false);
        if is_long && before.ends_with(char::is_lowercase) && after.starts_with(char::is_uppercase)
        {
            return Some(dot);
        }
        start = dot + 1;
    }
    None
}
