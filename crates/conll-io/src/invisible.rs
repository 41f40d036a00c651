//! Characters that cannot be seen at the ends of a tag and inside it.

use crate::ErrorKind;

const ZERO_WIDTH_NON_JOINER: char = '\u{200C}';
const ZERO_WIDTH_JOINER: char = '\u{200D}';

/// Bytes that are looked at at once.
const LANES: usize = 32;

/// Whether `c` is white space, a control character, or of no width.
///
/// Of no width are the format characters (Unicode's category Cf) that are not shown as a sign, and
/// the Hangul fillers.
pub fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}')
}

/// Whether UTF-8 text may hold an invisible character, the controls up to U+001F and ASCII's white
/// space aside. Quick, and false for most text in Latin, Greek and Cyrillic script.
pub(crate) fn may_hold_invisible(text: &[u8]) -> bool {
    // The first bytes of all invisible characters, and of others from U+0600 on.
    let begins = |byte| (byte == 0x7F) | (byte == 0xC2) | (byte >= 0xD8);
    // Without an early end, so that many bytes are looked at at once.
    let any = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(false, |found, &byte| found | begins(byte))
    };
    let Some(last) = text.last_chunk::<LANES>() else {
        return any(text);
    };
    any(last) || text.as_chunks::<LANES>().0.iter().any(|chunk| any(chunk))
}

/// `text` without the invisible characters at both ends.
pub(crate) fn trim(text: &str) -> &str {
    let visible = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if visible(bytes.first()) && visible(bytes.last()) {
        return text;
    }
    text.trim_matches(is_invisible)
}

/// Checks that something of a tag or label is left without the invisible characters at its ends
/// (an error without kind), and that there is none inside, where two could look the same.
///
/// A space may stand inside, and so may the joiners that Persian and Indic words are spelt with.
#[inline]
pub(crate) fn check_tag(role: &'static str, tag: &str) -> Result<(), Option<ErrorKind>> {
    // Most tags are `O`.
    match tag.as_bytes() {
        [byte] if byte.is_ascii_graphic() => Ok(()),
        bytes if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic) => Ok(()),
        _ => check_odd_tag(role, tag),
    }
}

#[cold]
fn check_odd_tag(role: &'static str, tag: &str) -> Result<(), Option<ErrorKind>> {
    let text = trim(tag);
    if text.is_empty() {
        return Err(None);
    }
    let allowed = [' ', ZERO_WIDTH_NON_JOINER, ZERO_WIDTH_JOINER];
    let unseen = |&c: &char| is_invisible(c) && !allowed.contains(&c);
    match text.chars().find(unseen) {
        Some(character) => Err(Some(ErrorKind::InvisibleCharacter {
            role,
            text: text.to_owned(),
            character,
        })),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_tag() {
        let ends =
            "\t \u{a0}\u{ad}\u{85}\u{200b}\u{200d}\u{200e}\u{2028}\u{2060}\u{3000}\u{feff}\x1a\0";
        for tag in ["O", "B-PER", "B-tax percent", "ñ", "東京", "\u{1f600}"] {
            assert_eq!(trim(tag), tag);
            assert_eq!(trim(&format!("{ends}{tag}{ends}")), tag);
        }
        assert_eq!(trim(ends), "");
        assert_eq!(trim(""), "");
    }

    #[test]
    fn every_invisible_character_is_looked_for() {
        for c in ('\x21'..=char::MAX).filter(|&c| is_invisible(c)) {
            for length in [0, 5, LANES, 3 * LANES] {
                let text = format!("{}{c}{}", "a".repeat(length), "é".repeat(length));
                assert!(may_hold_invisible(text.as_bytes()), "{c:?}");
            }
        }
        assert!(!may_hold_invisible(
            "Ñandú Žluťoučký Ωμέγα Москва ".repeat(9).as_bytes()
        ));
    }

    #[test]
    fn what_may_stand_inside_a_tag() {
        let check = |tag: &str| check_tag("tag", tag);
        for tag in [
            "O",
            "B-tax percent",
            "B-می\u{200c}خواهد",
            "I-क\u{94d}\u{200d}ष",
        ] {
            assert!(check(tag).is_ok(), "{tag:?}");
        }
        for character in [
            '\t', '\x0b', '\x7f', '\u{a0}', '\u{ad}', '\u{200b}', '\u{200f}', '\u{feff}',
        ] {
            let error = check(&format!("\u{feff}B-{character}PER "));
            let text = format!("B-{character}PER");
            assert!(
                matches!(&error, Err(Some(ErrorKind::InvisibleCharacter { text: t, character: c, .. })) if *t == text && *c == character),
                "{error:?}"
            );
        }
        for tag in ["", " ", "\u{a0}\u{feff}"] {
            assert!(matches!(check(tag), Err(None)), "{tag:?}");
        }
    }
}
