//! Words: what cannot be seen in them, how they are encoded, and how many make a sentence.

use std::collections::BTreeMap;

use conll_io::is_invisible;
use serde_json::json;
use unicode_normalization_alignments::UnicodeNormalization;

use super::corpus::View;
use super::finding::{Findings, Kind, Place};
use crate::wording::counted;

/// Joiners that Persian and Indic words, and emoji, are spelt with.
const JOINERS: [char; 2] = ['\u{200C}', '\u{200D}'];

pub fn check(views: &[View<'_>], long_sentence: usize, findings: &mut Findings) {
    for view in views {
        check_lengths(view, long_sentence, findings);
        // A word that occurs often is found once a file.
        let mut words: BTreeMap<&str, (usize, Place<'_>)> = BTreeMap::new();
        let plain = |word: &str| word.bytes().all(|byte| byte.is_ascii_graphic());
        for (sentence, at, word) in view.words().filter(|(.., word)| !plain(word)) {
            let place = || (0, view.place(sentence, at));
            words.entry(word).or_insert_with(place).0 += 1;
        }
        let mut found: Vec<_> = words.into_iter().collect();
        found.sort_by_key(|(_, (_, place))| place.line);
        for (word, (count, place)) in found {
            check_word(word, count, place, findings);
        }
    }
}

/// Finds the sentences that are longer than most ever are, the longest first.
fn check_lengths(view: &View<'_>, long_sentence: usize, findings: &mut Findings) {
    let lengths = view.sentences().iter().map(|sentence| sentence.words.len());
    let mut long: Vec<(usize, usize)> = lengths
        .enumerate()
        .filter(|(_, words)| *words > long_sentence)
        .collect();
    long.sort_by_key(|(_, words)| std::cmp::Reverse(*words));
    for (number, words) in long {
        let what = counted(words, "word", "words");
        let details = json!({"words": words});
        findings.add(Kind::LongSentence, view.place(number, 0), what, details);
    }
}

fn check_word(word: &str, count: usize, place: Place<'_>, findings: &mut Findings) {
    let times = counted(count, "time", "times");
    let details = json!({"word": word, "count": count});
    if word.chars().all(is_invisible) {
        let what = format!("{word:?}, {times}");
        findings.add(Kind::EmptyWord, place, what, details);
        return;
    }
    if let Some(oddity) = oddity(word) {
        let what = format!("{word:?} {oddity}, {times}");
        findings.add(Kind::OddCharacter, place, what, details.clone());
    }
    if !word.nfc().map(|(c, _)| c).eq(word.chars()) {
        let normal: String = word.nfc().map(|(c, _)| c).collect();
        let what = format!(
            "`{word}` has {} where `{normal}` has {}, {times}",
            counted(word.chars().count(), "code point", "code points"),
            normal.chars().count()
        );
        findings.add(Kind::NotNfc, place, what, details);
    }
}

/// What is odd about a word that can be seen.
fn oddity(word: &str) -> Option<String> {
    let unseen = |c: &char| is_invisible(*c) && *c != ' ' && !JOINERS.contains(c);
    if let Some(c) = word.chars().find(unseen) {
        return Some(format!("has U+{:04X}, which cannot be seen", u32::from(c)));
    }
    if word.trim() != word {
        return Some("has white space at an end".to_owned());
    }
    if word.contains('\u{FFFD}') {
        return Some("has U+FFFD, which stands for text that was lost".to_owned());
    }
    is_twice_encoded(word).then(|| "looks like UTF-8 that was read as Latin-1".to_owned())
}

/// Whether the characters are the bytes of UTF-8 text: `Ã±` for `ñ`.
fn is_twice_encoded(word: &str) -> bool {
    let bytes: Option<Vec<u8>> = word.chars().map(|c| u8::try_from(c).ok()).collect();
    bytes.is_some_and(|bytes| !bytes.is_ascii() && str::from_utf8(&bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd() {
        for (word, odd) in [
            ("España", false),
            ("東京", false),
            ("می\u{200c}خواهد", false),
            ("Nuevo León", false),
            ("Ã", false),
            ("EspaÃ±a", true),
            ("Espa\u{FFFD}a", true),
            ("Li\u{AD}ma", true),
            ("Lima ", true),
            ("Nuevo\u{A0}León", true),
        ] {
            assert_eq!(oddity(word).is_some(), odd, "{word:?}");
        }
    }
}
