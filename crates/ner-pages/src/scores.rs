//! Scores, and how sure they are.

use maud::{Markup, html};
use ner_metrics::{EntityReport, Interval, Scores, TokenReport};
use serde::{Deserialize, Serialize};

use crate::tables::{Cell, Row, Table};

/// The scores of a type, a tag or an average.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// Its name.
    pub name: String,
    /// 0 to 1; none in the row of the accuracy.
    pub precision: Option<f64>,
    /// 0 to 1; none in the row of the accuracy.
    pub recall: Option<f64>,
    /// 0 to 1; the accuracy in its row.
    pub f1: f64,
    /// How many there are in gold.
    pub support: usize,
}

/// A report: rows, then averages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreTable {
    /// Types or tags.
    pub rows: Vec<ScoreRow>,
    /// Averages.
    pub averages: Vec<ScoreRow>,
}

impl ScoreRow {
    fn new(name: &str, scores: &Scores) -> Self {
        Self {
            name: name.to_owned(),
            precision: Some(scores.precision),
            recall: Some(scores.recall),
            f1: scores.f1,
            support: scores.support,
        }
    }
}

impl From<&EntityReport> for ScoreTable {
    fn from(report: &EntityReport) -> Self {
        let rows = report.per_type.iter();
        Self {
            rows: rows
                .map(|row| ScoreRow::new(&row.entity_type, &row.scores))
                .collect(),
            averages: vec![
                ScoreRow::new("micro avg", &report.micro),
                ScoreRow::new("macro avg", &report.macro_avg),
                ScoreRow::new("weighted avg", &report.weighted),
            ],
        }
    }
}

impl From<&TokenReport> for ScoreTable {
    fn from(report: &TokenReport) -> Self {
        let rows = report.per_tag.iter();
        Self {
            rows: rows
                .map(|row| ScoreRow::new(&row.tag, &row.scores))
                .collect(),
            averages: vec![
                ScoreRow {
                    name: "accuracy".to_owned(),
                    f1: report.accuracy,
                    support: report.macro_avg.support,
                    ..ScoreRow::default()
                },
                ScoreRow::new("macro avg", &report.macro_avg),
                ScoreRow::new("weighted avg", &report.weighted),
            ],
        }
    }
}

impl ScoreTable {
    pub(crate) fn markup(&self, caption: &str, of: &'static str) -> Markup {
        let mut table = Table::new(caption, [of, "Precision", "Recall", "F1", "Support"]);
        let row = |row: &ScoreRow, class| Row {
            name: row.name.clone(),
            class,
            cells: vec![
                Cell::score(row.precision),
                Cell::score(row.recall),
                Cell::score(row.f1),
                Cell::count(row.support),
            ],
        };
        table.rows.extend(self.rows.iter().map(|of| row(of, "")));
        table
            .rows
            .extend(self.averages.iter().map(|of| row(of, "total")));
        table.markup()
    }
}

/// A score and how sure it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreInterval {
    /// Name of the score, such as `micro F1` or `LOC F1`.
    pub name: String,
    /// Its interval.
    pub interval: Interval,
}

/// Intervals as a table with a picture in each row, all on one axis.
pub fn intervals(caption: &str, intervals: &[ScoreInterval]) -> Markup {
    let (first, last) = axis(intervals);
    html! {
        div.box role="region" aria-label=(caption) tabindex="0" {
            table.intervals {
                caption { (caption) }
                thead { tr {
                    th scope="col" { "Score" }
                    th.number scope="col" { "Estimate" }
                    th.number scope="col" { "Interval" }
                    th.picture scope="col" { span { (format!("{first:.2}")) } " " span { (format!("{last:.2}")) } }
                } }
                tbody {
                    @for score in intervals {
                        @let ScoreInterval { name, interval: Interval { estimate, low, high } } = score;
                        tr {
                            th scope="row" { bdi { (name) } }
                            td.number { (format!("{estimate:.4}")) }
                            td.number { (format!("{low:.4} – {high:.4}")) }
                            td.picture { (score.picture(first, last)) }
                        }
                    }
                }
            }
        }
    }
}

/// The ends of an axis that holds all intervals: twentieths, of which none is above 1.
fn axis(intervals: &[ScoreInterval]) -> (f64, f64) {
    let ends = |value: fn(&Interval) -> f64| intervals.iter().map(move |of| value(&of.interval));
    let low = ends(|of| of.low).fold(1.0, f64::min);
    let high = ends(|of| of.high).fold(0.0, f64::max);
    let (first, last) = ((low * 20.0).floor() / 20.0, (high * 20.0).ceil() / 20.0);
    let first = first.min(0.95);
    (first, last.max(first + 0.05))
}

impl ScoreInterval {
    /// The interval on an axis from `first` to `last`.
    fn picture(&self, first: f64, last: f64) -> Markup {
        let Self { name, interval } = self;
        let place = |value: f64| {
            let share = (value - first) / (last - first);
            format!("{:.2}%", share.clamp(0.0, 1.0) * 100.0)
        };
        let told = format!(
            "{name}: {:.4}, {:.4} to {:.4}",
            interval.estimate, interval.low, interval.high
        );
        html! {
            svg.chart width="100%" height="16" role="img" aria-label=(told) {
                line.grid x1="0" y1="8" x2="100%" y2="8" {}
                line.interval x1=(place(interval.low)) y1="8" x2=(place(interval.high)) y2="8" {}
                circle.estimate cx=(place(interval.estimate)) cy="8" r="4" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_of_scores_has_room_and_ends_at_1() {
        for (low, high, expected) in [
            (0.87, 0.93, (0.85, 0.95)),
            (0.97, 1.0, (0.95, 1.0)),
            (1.0, 1.0, (0.95, 1.0)),
            (0.0, 0.0, (0.0, 0.05)),
        ] {
            let name = "micro F1".to_owned();
            let interval = Interval {
                low,
                high,
                ..Interval::default()
            };
            let (first, last) = axis(&[ScoreInterval { name, interval }]);
            let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
            assert!(
                near(first, expected.0) && near(last, expected.1),
                "{low} to {high}: {first} to {last}"
            );
        }
    }
}
