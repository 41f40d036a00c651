//! Where a service listens, and what it takes.

use std::time::Duration;

/// How a service runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name or address to listen on.
    pub host: String,
    /// Port; 0 for any that is free.
    pub port: u16,
    /// What a client must send as `Authorization: Bearer TOKEN`. None: everybody is served.
    pub token: Option<String>,
    /// What a request and a client may cost.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8080,
            token: None,
            limits: Limits::default(),
        }
    }
}

/// What a request and a client may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Texts of a request.
    pub texts: usize,
    /// Characters of a text, in Unicode code points.
    pub text_chars: usize,
    /// Requests that wait for one model.
    pub queue: usize,
    /// Characters of the texts that go through a model together, about: texts are taken until this is reached, and always one.
    pub batch_chars: usize,
    /// Connections at a time; a client beyond them waits until one ends.
    pub connections: usize,
    /// Time that a client has to send a request's head, its body, and to take some of an answer. An idle connection is closed after it.
    pub client_time: Duration,
    /// Time that accepted requests have to be answered once the service is to end.
    pub end_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            texts: 1024,
            text_chars: 100_000,
            queue: 256,
            batch_chars: 16_384,
            connections: 1024,
            client_time: Duration::from_secs(30),
            end_time: Duration::from_secs(60),
        }
    }
}
