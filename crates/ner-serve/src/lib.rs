//! Fine-tuned taggers as an HTTP service.
//!
//! Waiting requests go through the model together. Each model has a bounded queue and one thread. The thread takes the waiting requests, tags them in
//! one pass and answers each. A request whose client has left is dropped. A slow client is timed out. The service answers accepted requests before it ends.
//!
//! ```no_run
//! use ner_serve::{Model, Server, Settings};
//!
//! let tagger = ner_tagger::Tagger::from_dir("out").map_err(|error| error.to_string())?;
//! let server = Server::bind(vec![Model::new("out", tagger)], Settings::default(), Box::new(|_| {}))
//!     .map_err(|error| error.to_string())?;
//! println!("http://{}", server.address());
//! server.stop_on_signals().map_err(|error| error.to_string())?;
//! server.run().map_err(|error| error.to_string())?;
//! # Ok::<(), String>(())
//! ```
//!
//! | route | what |
//! |---|---|
//! | `POST /predict` | entities as `ner-cli predict --format jsonl` writes them |
//! | `POST /analyze`, `GET /supportedentities`, `GET /recognizers` | as Presidio's analyzer |
//! | `POST /anonymize`, `GET /anonymizers` | as Presidio's anonymizer |
//! | `GET /health`, `GET /metrics`, `GET /openapi.json` | for operators |
//! | `GET /` | a page to try it |
//!
//! The crate handles HTTP and a tagger. It prints nothing and reads no files.

mod anonymize;
mod app;
mod auth;
mod body;
mod error;
mod fields;
mod metrics;
mod page;
mod predict;
mod presidio;
mod problem;
mod queue;
mod server;
mod settings;
mod signals;
mod tagging;

pub use error::{Error, Result};
pub use server::{Server, Stopper};
pub use settings::{Limits, Settings};
pub use tagging::{Event, Listener, Model, TextTagger};

/// Runs the README's example as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
