//! A request's body, within its bounds of size and time.

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::problem::Problem;
use crate::settings::Limits;

/// How many times what a body may have is read and forgotten, so that a client that sends all before it listens gets its answer.
const FORGOTTEN: usize = 8;

/// Reads a whole body.
pub async fn read(body: Body, headers: &HeaderMap, limits: &Limits) -> Result<Bytes, Problem> {
    let too_slow = || {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not come within {:?}", limits.client_time),
        )
    };
    timeout(limits.client_time, read_within(body, headers, limits))
        .await
        .unwrap_or_else(|_| Err(too_slow()))
}

async fn read_within(
    mut body: Body,
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<Bytes, Problem> {
    let most = limits.body_bytes;
    let announced = body.size_hint().lower();
    let too_large = announced > most as u64;
    // It asked before it sends.
    if too_large && headers.contains_key(header::EXPECT) {
        return Err(is_too_large(most));
    }
    let mut bytes = BytesMut::new();
    let mut forgotten = 0;
    while let Some(frame) = body.frame().await {
        let broken = |_| Problem::new(StatusCode::BAD_REQUEST, "the body broke off");
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue; // trailers
        };
        if too_large || forgotten > 0 || bytes.len() + data.len() > most {
            forgotten += data.len();
            if forgotten > FORGOTTEN * most {
                break;
            }
        } else {
            bytes.extend_from_slice(&data);
        }
    }
    if too_large || forgotten > 0 {
        Err(is_too_large(most))
    } else {
        Ok(bytes.freeze())
    }
}

fn is_too_large(most: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body has more than {most} bytes; send the texts in several requests"),
    )
}
