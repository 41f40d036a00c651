//! The way back from a redacted text.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result, key::hex};

/// What gives a redacted text's original back. It holds the personal data that the text no longer has: keep it apart from the text, as a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoMap {
    /// SHA-256 of the redacted text, in hexadecimal digits.
    pub sha256: String,
    /// What was put in, in order of the text.
    pub replacements: Vec<Replacement>,
}

/// A place of the redacted text and what stood there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// Its first byte in the redacted text.
    pub start: usize,
    /// One past its last byte; equal to `start` where the text was removed.
    pub end: usize,
    /// What stood there.
    pub original: String,
}

impl fmt::Debug for Replacement {
    /// Without the original.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end, .. } = self;
        write!(f, "Replacement({start}..{end})")
    }
}

impl UndoMap {
    pub(crate) fn new(redacted: &str, replacements: Vec<Replacement>) -> Self {
        Self {
            sha256: sha256(redacted),
            replacements,
        }
    }
}

/// The original of a redacted text, to the byte.
///
/// # Errors
///
/// [`Error::UndoChecksum`] where the text is not the one that the map was made with, [`Error::UndoMap`] where the map is damaged.
pub fn undo(redacted: &str, map: &UndoMap) -> Result<String> {
    if sha256(redacted) != map.sha256 {
        return Err(Error::UndoChecksum);
    }
    let mut original = String::with_capacity(redacted.len());
    let mut from = 0;
    for (number, replacement) in map.replacements.iter().enumerate() {
        let damaged = Error::UndoMap {
            replacement: number,
        };
        if replacement.end < replacement.start || !redacted.is_char_boundary(replacement.end) {
            return Err(damaged);
        }
        let kept = redacted.get(from..replacement.start).ok_or(damaged)?;
        original.push_str(kept);
        original.push_str(&replacement.original);
        from = replacement.end;
    }
    original.push_str(&redacted[from..]);
    Ok(original)
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}
