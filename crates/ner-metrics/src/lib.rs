//! Scores of sequence labeling: entities as seqeval and conlleval count them, tags as scikit-learn counts them.
//!
//! ```
//! use ner_metrics::{EntityReport, Mode, Scheme};
//!
//! let gold = [["B-PER", "I-PER", "O", "B-LOC"]];
//! let predicted = [["B-PER", "I-PER", "O", "I-LOC"]];
//!
//! // The conlleval rule: an `I-LOC` after `O` opens an entity.
//! let report = EntityReport::new(&gold, &predicted, Mode::Default)?;
//! assert_eq!(report.micro.f1, 1.0);
//!
//! // Strict: it is not well-formed under IOB2, so it is no entity.
//! let report = EntityReport::new(&gold, &predicted, Mode::Strict(Scheme::Iob2))?;
//! assert_eq!(
//!     report.to_text(2),
//!     "              precision    recall  f1-score   support
//!
//!          LOC       0.00      0.00      0.00         1
//!          PER       1.00      1.00      1.00         1
//!
//!    micro avg       1.00      0.50      0.67         2
//!    macro avg       0.50      0.50      0.50         2
//! weighted avg       0.50      0.50      0.50         2
//! "
//! );
//! # Ok::<(), ner_metrics::Error>(())
//! ```
//!
//! To get entities rather than scores, make a [`TagSet`] from a model's labels:
//!
//! ```
//! use ner_metrics::TagSet;
//!
//! let tags = TagSet::new(&["O", "B-PER", "I-PER", "LOC"])?;
//! let entities = tags.entities(&[1, 2, 1, 0, 2, 3, 3]);
//! let found: Vec<String> =
//!     entities.iter().map(|e| format!("{} {}..{}", e.entity_type, e.start, e.end)).collect();
//! assert_eq!(found, ["PER 0..2", "PER 2..3", "PER 4..5", "LOC 5..7"]);
//! # Ok::<(), ner_metrics::Error>(())
//! ```
//!
//! - [`TagSet`], [`read_entities`]: the entities of tags, well-formed or not.
//! - [`EntityReport`]: seqeval's `classification_report`, as text, JSON and CSV.
//! - [`TokenReport`]: scikit-learn's `classification_report` over tags.
//! - [`ConllevalSummary`]: the text of conlleval.pl.
//! - [`OverlapReport`]: nervaluate's four schemes, which separate near misses from misses; [`entity_errors`]: each wrong entity, by kind.
//! - [`Breakdown`]: entities by length, by position, or by a group of your own.
//! - [`IntervalReport`]: bootstrap intervals; [`Comparison`]: whether one system is better than another, also over seeds.
//! - [`Reliability`], [`ThresholdCurve`]: whether scores are probabilities, and what each threshold keeps.
//! - [`Scheme`]: IOB1, IOB2, IOE1, IOE2, IOBES and BILOU: entities, conversion, legal transitions, and the scheme of a corpus.
//! - [`tags_without_position`]: tags that the reports would misread.
//! - [`foreign_tags`], [`odd_types`], [`rare_tags`]: slips in the tags of a corpus; [`LabelIssues`]: labels that a model's probabilities
//!   contradict, as cleanlab finds them.
//!
//! The crate handles sequences of tags only: no files, no sub-words, no tensors.

mod breakdown;
mod calibration;
mod comparison;
mod confusion;
mod conlleval;
mod convert;
mod default_rule;
mod detect_scheme;
mod entity;
mod entity_report;
mod error;
mod intern;
mod label_issues;
mod lint;
mod mode;
mod overlap;
mod read_entities;
mod resampling;
mod scheme;
mod scores;
mod tag;
mod tag_patterns;
mod tag_set;
mod tally;
mod text_report;
mod token_report;
mod transition;

pub use breakdown::{Breakdown, GroupScores};
pub use calibration::{
    Reliability, ReliabilityBin, ScoredPrediction, ThresholdCurve, ThresholdPoint,
};
pub use comparison::{Comparison, RunScores};
pub use confusion::ConfusionMatrix;
pub use conlleval::{ConllevalSummary, Percent, PercentByType};
pub use convert::convert;
pub use detect_scheme::SchemeFit;
pub use entity::Entity;
pub use entity_report::{EntityReport, TypeScores};
pub use error::{Error, Result, Side};
pub use label_issues::{LabelIssue, LabelIssues};
pub use lint::{
    ForeignTag, IllegalTransition, OddType, Oddity, foreign_tags, odd_types, rare_tags,
};
pub use mode::Mode;
pub use overlap::{
    EntityError, EntityErrorKind, OverlapReport, OverlapScheme, OverlapScores, SchemeScores,
    TypeOverlap, entity_errors,
};
pub use read_entities::read_entities;
pub use resampling::{
    Interval, IntervalReport, Resampling, ScoreIntervals, TypeIntervals, counts_of_units,
};
pub use scheme::Scheme;
pub use scores::{Counts, Scores};
pub use tag::{Affix, tags_without_position};
pub use tag_set::TagSet;
pub use token_report::{TagScores, TokenReport};
pub use transition::TransitionTable;

/// Runs the README's example as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
