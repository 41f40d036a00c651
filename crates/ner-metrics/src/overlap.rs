//! Reports that tell near misses from misses.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use serde::Serialize;

use crate::scores::ratio;
use crate::tally::check_sentences;
use crate::{Entity, Result};

/// What counts as a right prediction, by the schemes of SemEval-2013 task 9.1 (Segura-Bedmar et al. 2013, <https://aclanthology.org/S13-2056/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OverlapScheme {
    /// The same span and the same type.
    Strict,
    /// The same span, whatever the type.
    Exact,
    /// The same span is right, a span that overlaps half right, whatever the type.
    Partial,
    /// A span that overlaps, of the same type.
    EntType,
}

impl OverlapScheme {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Strict, Self::Exact, Self::Partial, Self::EntType];

    /// The name that nervaluate gives it: `strict`, `exact`, `partial` or `ent_type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Exact => "exact",
            Self::Partial => "partial",
            Self::EntType => "ent_type",
        }
    }
}

/// The five counts of one scheme, and the scores that they make.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct OverlapScores {
    /// Predictions that are right.
    pub correct: usize,
    /// Predictions that overlap a gold entity and are wrong.
    pub incorrect: usize,
    /// Predictions that are half right.
    pub partial: usize,
    /// Gold entities that no prediction was counted with.
    pub missed: usize,
    /// Predictions that overlap no gold entity.
    pub spurious: usize,
    /// Correct and half of partial over the predictions, 0 to 1.
    pub precision: f64,
    /// Correct and half of partial over the gold entities, 0 to 1.
    pub recall: f64,
    /// Harmonic mean of the two, 0 to 1.
    pub f1: f64,
}

/// The scores of all four schemes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct SchemeScores {
    /// By [`OverlapScheme::Strict`].
    pub strict: OverlapScores,
    /// By [`OverlapScheme::Exact`].
    pub exact: OverlapScores,
    /// By [`OverlapScheme::Partial`].
    pub partial: OverlapScores,
    /// By [`OverlapScheme::EntType`].
    pub ent_type: OverlapScores,
}

impl SchemeScores {
    /// Those of one scheme.
    #[must_use]
    pub fn get(&self, scheme: OverlapScheme) -> &OverlapScores {
        match scheme {
            OverlapScheme::Strict => &self.strict,
            OverlapScheme::Exact => &self.exact,
            OverlapScheme::Partial => &self.partial,
            OverlapScheme::EntType => &self.ent_type,
        }
    }

    fn get_mut(&mut self, scheme: OverlapScheme) -> &mut OverlapScores {
        match scheme {
            OverlapScheme::Strict => &mut self.strict,
            OverlapScheme::Exact => &mut self.exact,
            OverlapScheme::Partial => &mut self.partial,
            OverlapScheme::EntType => &mut self.ent_type,
        }
    }
}

/// The scores of the entities of one type, compared among themselves: a prediction of another type is not there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TypeOverlap {
    /// The type.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// Its scores.
    #[serde(flatten)]
    pub scores: SchemeScores,
}

/// How near the predictions come, as nervaluate 1.2 counts it.
///
/// ```
/// use ner_metrics::{Entity, OverlapReport};
///
/// let span = |entity_type, start, end| Entity { entity_type, start, end };
/// let gold = [vec![span("ORG", 0, 3), span("LOC", 5, 6)]];
/// let predicted = [vec![span("ORG", 1, 3), span("PER", 5, 6)]];
/// let report = OverlapReport::new(&gold, &predicted)?;
/// assert_eq!(report.overall.strict.correct, 0);
/// assert_eq!(report.overall.exact.correct, 1); // 5..6, of the wrong type
/// assert_eq!(report.overall.ent_type.correct, 1); // the ORG, cut short
/// assert_eq!(report.overall.partial.f1, 0.75);
/// # Ok::<(), ner_metrics::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OverlapReport {
    /// Of all entities.
    pub overall: SchemeScores,
    /// Of each type, sorted by name.
    pub per_type: Vec<TypeOverlap>,
}

impl OverlapReport {
    /// Compares the entities of sentences, which both sides must have in the same order. The entities of a sentence are taken in their order, and
    /// a prediction is counted with one gold entity: the right one, or else the first that it overlaps and that none before it took.
    ///
    /// # Errors
    /// [`Error::SentenceCount`](crate::Error::SentenceCount).
    pub fn new<'g, 'p, G, P>(gold: &[G], predicted: &[P]) -> Result<Self>
    where
        G: AsRef<[Entity<'g>]>,
        P: AsRef<[Entity<'p>]>,
    {
        check_sentences(gold, predicted)?;
        let all = |_: &str| true;
        let overall = scores(gold, predicted, all);
        let of_gold = gold.iter().flat_map(AsRef::as_ref);
        let mut types: BTreeSet<&str> = of_gold.map(|entity| entity.entity_type).collect();
        let of_predicted = predicted.iter().flat_map(AsRef::as_ref);
        types.extend(of_predicted.map(|entity| entity.entity_type));
        let per_type = types.into_iter().map(|entity_type| TypeOverlap {
            entity_type: entity_type.to_owned(),
            scores: scores(gold, predicted, |found| found == entity_type),
        });
        Ok(Self {
            overall,
            per_type: per_type.collect(),
        })
    }

    /// A table with a line for each scheme.
    #[must_use]
    pub fn to_text(&self, digits: usize) -> String {
        let mut text = format!("{:>8} ", "");
        for header in ["correct", "incorrect", "partial", "missed", "spurious"] {
            _ = write!(text, " {header:>9}");
        }
        for header in ["precision", "recall", "f1-score"] {
            _ = write!(text, " {header:>9}");
        }
        text.push_str("\n\n");
        for scheme in OverlapScheme::ALL {
            let scores = self.overall.get(scheme);
            _ = write!(text, "{:>8} ", scheme.name());
            for count in [
                scores.correct,
                scores.incorrect,
                scores.partial,
                scores.missed,
                scores.spurious,
            ] {
                _ = write!(text, " {count:>9}");
            }
            for score in [scores.precision, scores.recall, scores.f1] {
                _ = write!(text, " {score:>9.digits$}");
            }
            text.push('\n');
        }
        text
    }
}

/// Scores of the entities whose type is wanted.
fn scores<'g, 'p, G, P>(gold: &[G], predicted: &[P], wanted: impl Fn(&str) -> bool) -> SchemeScores
where
    G: AsRef<[Entity<'g>]>,
    P: AsRef<[Entity<'p>]>,
{
    fn of<'a>(entities: &[Entity<'a>], wanted: &impl Fn(&str) -> bool) -> Vec<Entity<'a>> {
        let wanted = entities.iter().filter(|entity| wanted(entity.entity_type));
        wanted.copied().collect()
    }
    let mut all = SchemeScores::default();
    for (gold, predicted) in gold.iter().zip(predicted) {
        let (gold, predicted) = (of(gold.as_ref(), &wanted), of(predicted.as_ref(), &wanted));
        for scheme in OverlapScheme::ALL {
            count(scheme, &gold, &predicted, all.get_mut(scheme));
        }
    }
    for scheme in OverlapScheme::ALL {
        let scores = all.get_mut(scheme);
        let right = scores.correct as f64 + 0.5 * scores.partial as f64;
        let counted = scores.correct + scores.incorrect + scores.partial;
        scores.precision = ratio(right, (counted + scores.spurious) as f64);
        scores.recall = ratio(right, (counted + scores.missed) as f64);
        let (precision, recall) = (scores.precision, scores.recall);
        scores.f1 = ratio(2.0 * (precision * recall), precision + recall);
    }
    all
}

/// Whether a prediction holds at least a hundredth of a gold entity, nervaluate's default.
fn overlaps(predicted: &Entity<'_>, gold: &Entity<'_>) -> bool {
    const LEAST_PERCENT: f64 = 1.0;
    let shared = predicted.end.min(gold.end) as f64 - predicted.start.max(gold.start) as f64;
    shared > 0.0 && shared / (gold.end - gold.start) as f64 * 100.0 >= LEAST_PERCENT
}

/// How far the ends of two spans lie apart, together.
fn distance(a: &Entity<'_>, b: &Entity<'_>) -> usize {
    a.start.abs_diff(b.start) + a.end.abs_diff(b.end)
}

fn same_span(a: &Entity<'_>, b: &Entity<'_>) -> bool {
    (a.start, a.end) == (b.start, b.end)
}

/// Adds the counts of one sentence.
fn count(
    scheme: OverlapScheme,
    gold: &[Entity<'_>],
    predicted: &[Entity<'_>],
    scores: &mut OverlapScores,
) {
    let mut open: Vec<&Entity<'_>> = gold.iter().collect();
    for entity in predicted {
        let right = match scheme {
            OverlapScheme::Strict => open.iter().position(|gold| *gold == entity),
            OverlapScheme::Exact | OverlapScheme::Partial => {
                open.iter().position(|gold| same_span(entity, gold))
            }
            OverlapScheme::EntType => {
                let alike = open.iter().enumerate().filter(|(_, gold)| {
                    gold.entity_type == entity.entity_type && overlaps(entity, gold)
                });
                let nearest = alike.min_by_key(|(_, gold)| distance(entity, gold));
                nearest.map(|(at, _)| at)
            }
        };
        let near = || open.iter().position(|gold| overlaps(entity, gold));
        let (counter, taken) = match (right, right.or_else(near)) {
            (Some(_), taken) => (&mut scores.correct, taken),
            (None, Some(at)) if scheme == OverlapScheme::Partial => (&mut scores.partial, Some(at)),
            (None, Some(at)) => (&mut scores.incorrect, Some(at)),
            (None, None) => (&mut scores.spurious, None),
        };
        *counter += 1;
        if let Some(at) = taken {
            open.remove(at);
        }
    }
    scores.missed += open.len();
}

/// What is wrong with a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntityErrorKind {
    /// The span is right, the type wrong.
    WrongType,
    /// The type is right, the span overlaps the right one.
    WrongBoundary,
    /// The span overlaps a gold entity of another type.
    WrongTypeAndBoundary,
    /// A gold entity that no prediction stands for.
    Missed,
    /// A prediction where there is no gold entity.
    Spurious,
}

impl EntityErrorKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::WrongType,
        Self::WrongBoundary,
        Self::WrongTypeAndBoundary,
        Self::Missed,
        Self::Spurious,
    ];
}

impl fmt::Display for EntityErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongType => "wrong type",
            Self::WrongBoundary => "wrong boundary",
            Self::WrongTypeAndBoundary => "wrong type and boundary",
            Self::Missed => "missed",
            Self::Spurious => "spurious",
        })
    }
}

/// One error: the gold entity, the prediction, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EntityError<'g, 'p> {
    /// What is wrong.
    pub kind: EntityErrorKind,
    /// The gold entity; none where the prediction is spurious.
    pub gold: Option<Entity<'g>>,
    /// The prediction; none where a gold entity was missed.
    pub predicted: Option<Entity<'p>>,
}

/// Whether a gold entity and a prediction make an error of a kind.
type Pairs = fn(&Entity<'_>, &Entity<'_>) -> bool;

/// The errors of one sentence, in the order of their places. Right predictions are set apart first; then each prediction is paired with the gold
/// entity of its span, else with the nearest of its type that it overlaps, else with the nearest that it overlaps. Each entity is in one error at
/// most.
///
/// ```
/// use ner_metrics::{Entity, EntityErrorKind, entity_errors};
///
/// let span = |entity_type, start, end| Entity { entity_type, start, end };
/// let errors = entity_errors(&[span("ORG", 0, 3), span("LOC", 5, 6)], &[span("ORG", 1, 3), span("PER", 8, 9)]);
/// let kinds: Vec<_> = errors.iter().map(|error| error.kind).collect();
/// assert_eq!(kinds, [EntityErrorKind::WrongBoundary, EntityErrorKind::Missed, EntityErrorKind::Spurious]);
/// ```
#[must_use]
pub fn entity_errors<'g, 'p>(
    gold: &[Entity<'g>],
    predicted: &[Entity<'p>],
) -> Vec<EntityError<'g, 'p>> {
    let mut missed: Vec<Entity<'g>> = Vec::new();
    let mut spurious: Vec<Entity<'p>> = predicted.to_vec();
    for entity in gold {
        match spurious.iter().position(|predicted| predicted == entity) {
            Some(at) => _ = spurious.remove(at),
            None => missed.push(*entity),
        }
    }
    let mut errors = Vec::new();
    let pairings: [(EntityErrorKind, Pairs); 3] = [
        (EntityErrorKind::WrongType, same_span),
        (EntityErrorKind::WrongBoundary, |gold, predicted| {
            gold.entity_type == predicted.entity_type && share_a_place(gold, predicted)
        }),
        (EntityErrorKind::WrongTypeAndBoundary, share_a_place),
    ];
    for (kind, pairs) in pairings {
        spurious.retain(|predicted| {
            let candidates = missed.iter().enumerate();
            let fitting = candidates.filter(|(_, gold)| pairs(gold, predicted));
            let Some((at, _)) = fitting.min_by_key(|(_, gold)| distance(gold, predicted)) else {
                return true;
            };
            errors.push(EntityError {
                kind,
                gold: Some(missed.remove(at)),
                predicted: Some(*predicted),
            });
            false
        });
    }
    errors.extend(missed.into_iter().map(|gold| EntityError {
        kind: EntityErrorKind::Missed,
        gold: Some(gold),
        predicted: None,
    }));
    errors.extend(spurious.into_iter().map(|predicted| EntityError {
        kind: EntityErrorKind::Spurious,
        gold: None,
        predicted: Some(predicted),
    }));
    errors.sort_by_key(|error| {
        let start = |entity: Option<Entity<'_>>| entity.map_or(usize::MAX, |entity| entity.start);
        start(error.gold).min(start(error.predicted))
    });
    errors
}

fn share_a_place(a: &Entity<'_>, b: &Entity<'_>) -> bool {
    a.start.max(b.start) < a.end.min(b.end)
}
