//! What cannot be written, because it would not be read back as it is.

use crate::comments::Shape;
use crate::plain_lines::SUBSTITUTE;
use crate::{Comments, DOCUMENT_START, ErrorKind, Sentence, Separator};

const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Why a field cannot be written in a column file.
pub(crate) fn unwritable_field(separator: Separator, field: &str) -> Option<&'static str> {
    let bytes = field.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(|&byte| byte > b' ') {
        return None;
    }
    let has = |byte| bytes.contains(&byte);
    match separator {
        Separator::Whitespace if field.is_empty() => Some("it is empty"),
        Separator::Whitespace if bytes.iter().any(u8::is_ascii_whitespace) => {
            Some("it contains white space")
        }
        Separator::Space if has(b' ') => Some("it contains a space, the separator"),
        Separator::Tab if has(b'\t') => Some("it contains a tab, the separator"),
        _ if has(b'\n') || has(b'\r') => Some("it contains a line break"),
        _ if has(0) => Some("it contains a NUL byte"),
        _ => None,
    }
}

/// Why a line of a column file cannot be written, as the first row of a sentence or a later one.
pub(crate) fn unwritable_line(
    separator: Separator,
    line: &str,
    comments: &Comments,
    first: bool,
) -> Option<&'static str> {
    let begin = line.trim_ascii_start();
    if begin.is_empty() {
        return Some("it would be a blank line");
    }
    if begin.starts_with(BYTE_ORDER_MARK) {
        return Some("it begins with a byte-order mark (U+FEFF), which readers drop");
    }
    if begin.as_bytes()[0] == SUBSTITUTE {
        return Some("it begins with Ctrl-Z (U+001A), which readers drop");
    }
    if line.starts_with(DOCUMENT_START) {
        return Some("it would be a document boundary");
    }
    match comments.shape(line.as_bytes(), separator) {
        Shape::Comment => Some("it would be a comment"),
        Shape::Either if first => Some("it could be a comment"),
        _ => None,
    }
}

/// Checks that each extra column has one value a token.
pub(crate) fn check_extra_columns<S>(sentence: &Sentence, extra: &[&[S]]) -> Result<(), ErrorKind> {
    let expected = sentence.len();
    match extra.iter().position(|values| values.len() != expected) {
        Some(i) => Err(ErrorKind::ExtraColumnLength {
            column: i + 1,
            found: extra[i].len(),
            expected,
        }),
        None => Ok(()),
    }
}
