//! The token that clients must show.

use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};
use crate::problem::Problem;

/// A token, as its digest: two digests are compared in the same time whatever a client sends, its length included.
pub struct Token([u8; 32]);

impl Token {
    pub fn new(token: &str) -> Result<Self> {
        let is_sendable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if is_sendable {
            Ok(Self(digest(token.as_bytes())))
        } else {
            Err(Error::Token)
        }
    }

    /// Fails where a request does not show the token.
    pub fn check(&self, headers: &HeaderMap) -> std::result::Result<(), Problem> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
        });
        let is_known = shown.is_some_and(|token| digest(token).ct_eq(&self.0).into());
        if is_known {
            Ok(())
        } else {
            Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "a token is needed: send the header Authorization: Bearer TOKEN",
            ))
        }
    }
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}
