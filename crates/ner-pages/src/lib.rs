//! Self-contained HTML pages of tagged texts, and of the report of a training run.
//!
//! A page fetches nothing and needs no script. HTML in a text is escaped.
//!
//! ```
//! use ner_pages::{Mark, MarkedText, TextsPage};
//!
//! let mut page = TextsPage::new(Vec::new(), "Two cities", &[])?;
//! page.write(&MarkedText {
//!     text: "Ana vive en Lima".to_owned(),
//!     predicted: vec![Mark { label: "LOC".to_owned(), start: 12, end: 16, score: Some(0.98) }],
//!     ..MarkedText::default()
//! })?;
//! let html = String::from_utf8(page.finish()?).unwrap();
//! assert!(html.starts_with("<!DOCTYPE html>") && html.contains("Lima<span class=\"label\""));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! - [`TextsPage`]: texts with their entities marked, each written at once.
//! - [`RunPage`]: settings, data, curves, scores and errors of a run, with published figures beside them.
//! - [`curves_svg`]: the curves alone, as an image.
//!
//! The crate makes pages from plain data, without a model, a file or a terminal.

mod charts;
mod colors;
mod comparison;
mod confusion;
mod marks;
mod page;
mod plain;
mod reliability;
mod run_page;
mod scores;
mod tables;
mod texts_page;

pub use charts::{Curve, Panel, curves_svg};
pub use comparison::{ComparisonRow, Figures, TypeFigure};
pub use confusion::ConfusionCell;
pub use marks::{Mark, MarkedText};
pub use ner_metrics::{Interval, ReliabilityBin};
pub use page::{Fact, STYLE};
pub use reliability::Calibration;
pub use run_page::{DataPart, ErrorKind, Errors, RunPage, Split};
pub use scores::{ScoreInterval, ScoreRow, ScoreTable};
pub use tables::thousands;
pub use texts_page::TextsPage;

/// Runs the README's example as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
