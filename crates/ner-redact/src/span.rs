//! Spans of text that hold personal data.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Where an entity stands in a text, and who says so. It holds no text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The type, such as `PER` or `EMAIL_ADDRESS`.
    pub entity_type: String,
    /// Its first byte.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// How sure its finder is, from 0 to 1.
    pub score: f64,
    /// Whether a checksum holds.
    #[serde(default)]
    pub checksum: bool,
    /// The name of what found it.
    #[serde(default)]
    pub recognizer: String,
}

impl Span {
    /// An entity that a model found: bytes of the text, and a probability from 0 to 1.
    #[must_use]
    pub fn from_model(entity_type: &str, bytes: Range<usize>, score: f64) -> Self {
        Self {
            entity_type: entity_type.to_owned(),
            start: bytes.start,
            end: bytes.end,
            score,
            checksum: false,
            recognizer: "model".to_owned(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }
}

/// Fails where a span does not fit its text.
pub(crate) fn check(text: &str, spans: &[Span]) -> Result<()> {
    for (number, span) in spans.iter().enumerate() {
        check_range(number, span, text.len())?;
        if let Some(&offset) = [span.start, span.end]
            .iter()
            .find(|&&offset| !text.is_char_boundary(offset))
        {
            return Err(Error::SpanBoundary {
                span: number,
                offset,
            });
        }
        if !(0.0..=1.0).contains(&span.score) {
            return Err(Error::SpanScore {
                span: number,
                score: span.score,
            });
        }
        if span.entity_type.is_empty() {
            return Err(Error::SpanType { span: number });
        }
    }
    Ok(())
}

fn check_range(number: usize, span: &Span, len: usize) -> Result<()> {
    if span.start < span.end && span.end <= len {
        return Ok(());
    }
    Err(Error::SpanRange {
        span: number,
        start: span.start,
        end: span.end,
        len,
    })
}

/// Spans whose offsets count code points, as Presidio's and `ner-tagger`'s do, with offsets of bytes instead.
///
/// # Errors
///
/// [`Error::SpanRange`] where one is empty or leaves the text.
pub fn to_bytes(text: &str, mut spans: Vec<Span>) -> Result<Vec<Span>> {
    let starts: Vec<usize> = text
        .char_indices()
        .map(|(byte, _)| byte)
        .chain([text.len()])
        .collect();
    for (number, span) in spans.iter_mut().enumerate() {
        check_range(number, span, starts.len() - 1)?;
        (span.start, span.end) = (starts[span.start], starts[span.end]);
    }
    Ok(spans)
}

/// Spans with offsets that count code points in place of bytes.
///
/// # Errors
///
/// Where a span does not fit the text.
pub fn to_code_points(text: &str, mut spans: Vec<Span>) -> Result<Vec<Span>> {
    check(text, &spans)?;
    let starts: Vec<usize> = text.char_indices().map(|(byte, _)| byte).collect();
    let code_point = |byte: usize| starts.partition_point(|&start| start < byte);
    for span in &mut spans {
        (span.start, span.end) = (code_point(span.start), code_point(span.end));
    }
    Ok(spans)
}
