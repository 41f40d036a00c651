//! Scores of entities, as seqeval reports them.

use serde::Serialize;

use crate::breakdown::grouped;
use crate::scores::{Counts, Scores, macro_average, weighted_average};
use crate::tag::Affix;
use crate::tally::{Tally, check_sentences};
use crate::text_report::{Table, csv_line};
use crate::{Entity, Mode, Result};

/// Precision, recall and F1 of entities: an entity is correct where type and both ends are.
///
/// Its JSON, through serde, is `{"mode", "scheme", "per_type": [...], "micro", "macro", "weighted"}`; the first two only
/// where entities were read from tags.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntityReport {
    /// How entities were read from tags; `None` where they were given as such.
    #[serde(flatten)]
    pub mode: Option<Mode>,
    /// One row a type that gold or prediction has an entity of, sorted by name.
    pub per_type: Vec<TypeScores>,
    /// Scores of all entities together.
    pub micro: Scores,
    /// The plain mean over types.
    #[serde(rename = "macro")]
    pub macro_avg: Scores,
    /// The mean over types, weighted by support.
    pub weighted: Scores,
}

/// The scores of one type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TypeScores {
    /// The type, such as `PER`.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// The scores.
    #[serde(flatten)]
    pub scores: Scores,
    /// Entities of the type in the prediction.
    pub predicted: usize,
    /// Entities of the type that gold and prediction share.
    pub correct: usize,
}

impl EntityReport {
    /// Compares the tags of sentences, which both sides must have in the same order.
    ///
    /// Takes one pass, linear in the tokens. The numbers are those of seqeval 1.2.2 with its default
    /// `zero_division`, to the last bit. Where there is no entity at all, seqeval fails; here all scores are 0.
    ///
    /// # Errors
    /// [`Error::SentenceCount`](crate::Error::SentenceCount) and
    /// [`Error::SentenceLength`](crate::Error::SentenceLength) where the sides do not match;
    /// [`Error::InSentence`](crate::Error::InSentence) for a tag that is empty or, in strict mode, none of the scheme's.
    pub fn new<G, P, S, T>(gold: &[G], predicted: &[P], mode: Mode) -> Result<Self>
    where
        G: AsRef<[S]>,
        P: AsRef<[T]>,
        S: AsRef<str>,
        T: AsRef<str>,
    {
        Self::with_affix(gold, predicted, mode, Affix::Prefix)
    }

    /// [`EntityReport::new`] for tags whose position letter may stand at the end (`PER-B`).
    ///
    /// # Errors
    /// As [`EntityReport::new`].
    pub fn with_affix<G, P, S, T>(
        gold: &[G],
        predicted: &[P],
        mode: Mode,
        affix: Affix,
    ) -> Result<Self>
    where
        G: AsRef<[S]>,
        P: AsRef<[T]>,
        S: AsRef<str>,
        T: AsRef<str>,
    {
        let tally = Tally::new(gold, predicted, mode, affix)?;
        Ok(Self::of_counts(Some(mode), tally.types))
    }

    /// Compares the entities of sentences, which both sides must have in the same order: spans of tokens, of characters or
    /// of any other unit, as long as it is the same on both sides.
    ///
    /// Each side of a sentence is a set, as in seqeval: the order does not matter, and an entity that is listed twice counts
    /// once. Entities may overlap. The numbers are those of [`EntityReport::new`] where the entities are.
    ///
    /// ```
    /// use ner_metrics::{Entity, EntityReport};
    ///
    /// let span = |entity_type, start, end| Entity { entity_type, start, end };
    /// let gold = [vec![span("PER", 0, 9), span("LOC", 20, 24)]];
    /// let predicted = [vec![span("PER", 0, 9), span("LOC", 17, 24)]];
    /// assert_eq!(EntityReport::from_entities(&gold, &predicted)?.micro.f1, 0.5);
    /// # Ok::<(), ner_metrics::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::SentenceCount`](crate::Error::SentenceCount).
    pub fn from_entities<'g, 'p, G, P>(gold: &[G], predicted: &[P]) -> Result<Self>
    where
        G: AsRef<[Entity<'g>]>,
        P: AsRef<[Entity<'p>]>,
    {
        check_sentences(gold, predicted)?;
        let counts = grouped(gold, predicted, |_, entity| entity.entity_type.to_owned());
        Ok(Self::of_counts(None, counts.into_iter().collect()))
    }

    /// `types` are sorted by name.
    fn of_counts(mode: Option<Mode>, types: Vec<(String, Counts)>) -> Self {
        let all = Counts::sum(types.iter().map(|(_, counts)| *counts));
        let per_type: Vec<TypeScores> = types
            .into_iter()
            .map(|(entity_type, counts)| TypeScores {
                entity_type,
                scores: counts.scores(),
                predicted: counts.predicted,
                correct: counts.correct,
            })
            .collect();
        let rows: Vec<Scores> = per_type.iter().map(|row| row.scores).collect();
        Self {
            mode,
            micro: all.scores(),
            macro_avg: macro_average(&rows),
            weighted: weighted_average(&rows),
            per_type,
        }
    }

    /// The text of seqeval's `classification_report`, byte for byte, with `digits` decimals.
    #[must_use]
    pub fn to_text(&self, digits: usize) -> String {
        let mut table = Table::new(
            self.per_type.iter().map(|row| row.entity_type.as_str()),
            digits,
        );
        for row in &self.per_type {
            table.row(&row.entity_type, &row.scores);
        }
        table.blank();
        for (name, scores) in self.averages() {
            table.row(name, scores);
        }
        table.into_text()
    }

    /// CSV with a header line: `type,precision,recall,f1,support`, a line a type, then the averages.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let types = self
            .per_type
            .iter()
            .map(|row| csv_line(&row.entity_type, &row.scores));
        let averages = self.averages().map(|(name, scores)| csv_line(name, scores));
        std::iter::once("type,precision,recall,f1,support\n".to_owned())
            .chain(types)
            .chain(averages)
            .collect()
    }

    fn averages(&self) -> [(&'static str, &Scores); 3] {
        [
            ("micro avg", &self.micro),
            ("macro avg", &self.macro_avg),
            ("weighted avg", &self.weighted),
        ]
    }
}
