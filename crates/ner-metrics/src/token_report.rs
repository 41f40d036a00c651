//! Scores of single tags, as scikit-learn reports them.

use serde::Serialize;

use crate::Result;
use crate::intern::Interner;
use crate::scores::{Counts, Scores, macro_average, ratio, weighted_average};
use crate::tally::check_lengths;
use crate::text_report::{Table, csv_line};

/// Precision, recall and F1 of tags, `O` among them: each token is one decision.
///
/// Its JSON, through serde, is `{"per_tag": [...], "accuracy", "macro", "weighted"}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenReport {
    /// One row a tag of gold or prediction, sorted by name.
    pub per_tag: Vec<TagScores>,
    /// The share of tokens whose tags are equal, 0 to 1; 0 where there is no token.
    pub accuracy: f64,
    /// The plain mean over tags.
    #[serde(rename = "macro")]
    pub macro_avg: Scores,
    /// The mean over tags, weighted by support.
    pub weighted: Scores,
}

/// The scores of one tag.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TagScores {
    /// The tag, such as `B-PER`.
    pub tag: String,
    /// The scores.
    #[serde(flatten)]
    pub scores: Scores,
    /// Tokens with the tag in the prediction.
    pub predicted: usize,
    /// Tokens with the tag in both.
    pub correct: usize,
}

impl TokenReport {
    /// Compares the tags of sentences, which both sides must have in the same order.
    ///
    /// Takes one pass, linear in the tokens. The numbers are those of scikit-learn with its default
    /// `zero_division`, to the last bit. Tags are compared as they are; no scheme is needed.
    ///
    /// # Errors
    /// [`Error::SentenceCount`](crate::Error::SentenceCount) and
    /// [`Error::SentenceLength`](crate::Error::SentenceLength) where the sides do not match.
    pub fn new<G, P, S, T>(gold: &[G], predicted: &[P]) -> Result<Self>
    where
        G: AsRef<[S]>,
        P: AsRef<[T]>,
        S: AsRef<str>,
        T: AsRef<str>,
    {
        check_lengths(gold, predicted)?;
        let mut tags = Interner::new();
        let mut counts: Vec<Counts> = Vec::new();
        for (gold, predicted) in gold.iter().zip(predicted) {
            for (gold, predicted) in gold.as_ref().iter().zip(predicted.as_ref()) {
                let (gold, predicted) =
                    (tags.number(gold.as_ref()), tags.number(predicted.as_ref()));
                counts.resize(tags.names().len(), Counts::default());
                counts[gold].support += 1;
                counts[predicted].predicted += 1;
                counts[gold].correct += usize::from(gold == predicted);
            }
        }

        let all = Counts::sum(counts.iter().copied());
        let mut per_tag: Vec<TagScores> = tags
            .names()
            .iter()
            .zip(counts)
            .map(|(tag, counts)| TagScores {
                tag: (*tag).to_owned(),
                scores: counts.sklearn_scores(),
                predicted: counts.predicted,
                correct: counts.correct,
            })
            .collect();
        per_tag.sort_by(|a, b| a.tag.cmp(&b.tag));
        let rows: Vec<Scores> = per_tag.iter().map(|row| row.scores).collect();
        Ok(Self {
            per_tag,
            accuracy: ratio(all.correct as f64, all.support as f64),
            macro_avg: macro_average(&rows),
            weighted: weighted_average(&rows),
        })
    }

    /// The text of scikit-learn's `classification_report`, byte for byte, with `digits` decimals.
    ///
    /// Where not one token is right, scikit-learn counts in floats and writes supports as such (`3.0`); so does this.
    #[must_use]
    pub fn to_text(&self, digits: usize) -> String {
        let names = self.per_tag.iter().map(|row| row.tag.as_str());
        // `multilabel_confusion_matrix` starts from `zeros(labels)` in this case, and `bincount` otherwise.
        let nothing_right =
            !self.per_tag.is_empty() && self.per_tag.iter().all(|row| row.correct == 0);
        let mut table = Table::new(names, digits).with_float_supports(nothing_right);
        for row in &self.per_tag {
            table.row(&row.tag, &row.scores);
        }
        table.blank();
        table.accuracy(self.accuracy, self.macro_avg.support);
        table.row("macro avg", &self.macro_avg);
        table.row("weighted avg", &self.weighted);
        table.into_text()
    }

    /// CSV with a header line: `tag,precision,recall,f1,support`, a line a tag, then accuracy (as all three scores, which
    /// it equals when every tag counts) and the averages.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let Self {
            accuracy,
            macro_avg,
            weighted,
            ..
        } = *self;
        let accuracy = Scores {
            precision: accuracy,
            recall: accuracy,
            f1: accuracy,
            support: macro_avg.support,
        };
        let averages = [
            ("accuracy", accuracy),
            ("macro avg", macro_avg),
            ("weighted avg", weighted),
        ];
        std::iter::once("tag,precision,recall,f1,support\n".to_owned())
            .chain(
                self.per_tag
                    .iter()
                    .map(|row| csv_line(&row.tag, &row.scores)),
            )
            .chain(averages.iter().map(|(name, scores)| csv_line(name, scores)))
            .collect()
    }
}
