//! What keeps a service from starting or from ending well.

use std::io;
use std::time::Duration;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("{host}:{port} cannot be listened on: {source}; choose another with --host and --port")]
    Listen {
        /// The host that was asked for.
        host: String,
        /// The port that was asked for.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// Threads or signal handlers cannot be had of the operating system.
    #[error("the service cannot be started: {0}")]
    Start(#[source] io::Error),
    /// No model, or two of one name.
    #[error("{0}")]
    Models(String),
    /// A token that is empty, or that a header cannot hold.
    #[error("the token must be of visible ASCII characters, and at least one")]
    Token,
    /// Some clients had no answer when the time for the end was over.
    #[error(
        "{connections} connections were cut off: they were not done {waited:?} after the end was asked for"
    )]
    CutOff {
        /// Connections that were still open.
        connections: usize,
        /// The time that they had.
        waited: Duration,
    },
    /// The end was asked for a second time before all answers were given.
    #[error("ended at once: {connections} connections were cut off")]
    EndedAtOnce {
        /// Connections that were still open.
        connections: usize,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
