//! The secret behind hashes and lasting pseudonyms.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Error, Result};

/// Shorter keys can be guessed.
const MIN_BYTES: usize = 16;

/// A secret of at least 16 bytes. Whoever has it can test guesses at what was hashed.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Takes the secret. It wants to be random: a word that people know can be guessed.
    ///
    /// # Errors
    ///
    /// [`Error::ShortKey`] for less than 16 bytes.
    pub fn new(secret: &[u8]) -> Result<Self> {
        let short = Error::ShortKey {
            bytes: secret.len(),
        };
        if secret.len() < MIN_BYTES {
            return Err(short);
        }
        Hmac::new_from_slice(secret).map(Self).map_err(|_| short)
    }

    /// A key that is no secret, for draws that depend on none.
    pub(crate) fn public() -> Self {
        Self(Hmac::new(&Default::default()))
    }

    /// HMAC-SHA-256 of the parts, which cannot run into each other.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// HMAC-SHA-256 of a text as hexadecimal digits, the first so many of 64.
    pub(crate) fn hex(&self, text: &str, digits: usize) -> String {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        let mut hex = hex(&mac.finalize().into_bytes());
        hex.truncate(digits);
        hex
    }
}

/// Two hexadecimal digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}
