//! Answers to requests that cannot be served.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Seconds after which a client may try again where the queue is full.
const RETRY_AFTER: &str = "1";

/// Why a request is not served. No field repeats a value of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// What is wrong, and what to do.
    pub message: String,
    /// The field, or line and column.
    pub place: Option<String>,
}

impl Problem {
    /// A problem of the request as a whole.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            place: None,
        }
    }

    /// A field that is not as it must be.
    pub fn field(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message).at(place)
    }

    /// Says where.
    pub fn at(self, place: impl Into<String>) -> Self {
        Self {
            place: Some(place.into()),
            ..self
        }
    }

    /// The same with another status.
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = match &self.place {
            Some(place) => json!({"error": self.message, "where": place}),
            None => json!({"error": self.message}),
        };
        let more: Option<(HeaderName, &str)> = match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Some((header::RETRY_AFTER, RETRY_AFTER))
            }
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            // What was not read cannot be told from the next request.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                Some((header::CONNECTION, "close"))
            }
            _ => None,
        };
        let mut response = (self.status, json_body(&body)).into_response();
        if let Some((name, value)) = more
            && let Ok(value) = value.parse()
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// A JSON value as a body with its media type.
pub fn json_body(value: &serde_json::Value) -> impl IntoResponse + use<> {
    (
        [(header::CONTENT_TYPE, "application/json")],
        value.to_string(),
    )
}
