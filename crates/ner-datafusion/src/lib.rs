//! Named-entity recognition as a scalar function of [Apache DataFusion](https://datafusion.apache.org): `ner(text)` in SQL and in data frames, and on
//! as many machines as [Ballista](https://datafusion.apache.org/ballista/) has executors.
//!
//! ```no_run
//! use datafusion::logical_expr::ScalarUDF;
//! use datafusion::prelude::SessionContext;
//! use ner_datafusion::Ner;
//! use ner_tagger::Tagger;
//!
//! let session = SessionContext::new();
//! session.register_udf(ScalarUDF::from(Ner::new(Tagger::from_dir("out")?)));
//! // SELECT id, unnest(ner(text)) FROM documents
//! # Ok::<(), ner_tagger::Error>(())
//! ```
//!
//! [`Ner`] is the function, [`entities_type`] the type of its values.

mod entities;
mod function;
mod texts;

pub use entities::entities_type;
pub use function::Ner;

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
