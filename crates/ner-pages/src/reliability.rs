//! Whether scores are what they say.

use maud::{Markup, html};
use ner_metrics::ReliabilityBin;
use serde::{Deserialize, Serialize};

use crate::tables::{Cell, Row, Table, thousands};

/// How well scores and shares of right predictions agree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What is predicted, such as `entities`.
    pub of: String,
    /// The expected calibration error, 0 to 1, where it is known.
    pub error: Option<f64>,
    /// Ranges of scores, in order.
    pub bins: Vec<ReliabilityBin>,
}

/// Side of the plot in the units of the picture.
const SIDE: f64 = 220.0;

impl Calibration {
    pub(crate) fn markup(&self) -> Markup {
        let title = format!("Scores of {} and the share that is right", self.of);
        html! {
            div.tables {
                figure {
                    (diagram(&title, &self.bins))
                    figcaption {
                        "Bars: the share of " (self.of) " that is right, by their score. Dots: the mean score. On the dashed line both are the same."
                        @if let Some(error) = self.error { " Expected calibration error " (format!("{error:.4}")) "." }
                    }
                }
                (self.table(&title))
            }
        }
    }

    fn table(&self, title: &str) -> Markup {
        let mut table = Table::new(title, ["Scores", "Count", "Mean score", "Share right"]);
        table.rows = self
            .bins
            .iter()
            .map(|bin| Row {
                name: format!("{:.2} – {:.2}", bin.low, bin.high),
                class: "",
                cells: vec![
                    Cell::count(bin.count),
                    Cell::score((bin.count > 0).then_some(bin.confidence)),
                    Cell::score((bin.count > 0).then_some(bin.accuracy)),
                ],
            })
            .collect();
        table.markup()
    }
}

/// What a bar says of itself.
fn told(bin: &ReliabilityBin) -> String {
    let count = thousands(bin.count);
    let (low, high, right) = (bin.low, bin.high, bin.accuracy * 100.0);
    format!("{count} with scores from {low:.2} to {high:.2}, {right:.1} % right")
}

fn diagram(title: &str, bins: &[ReliabilityBin]) -> Markup {
    let x = |value: f64| value * SIDE;
    let y = |value: f64| SIDE - value * SIDE;
    html! {
        svg.chart.square viewBox="-36 -10 266 266" role="img" aria-label=(title) {
            @for tick in 0..=4 {
                @let share = f64::from(tick) / 4.0;
                line.grid x1="0" y1=(y(share)) x2=(SIDE) y2=(y(share)) {}
                text x="-6" y=(y(share) + 4.0) text-anchor="end" { (share) }
                text x=(x(share)) y=(SIDE + 16.0) text-anchor="middle" { (share) }
            }
            text x=(SIDE / 2.0) y=(SIDE + 32.0) text-anchor="middle" { "score" }
            @for bin in bins.iter().filter(|bin| bin.count > 0) {
                rect.bar x=(x(bin.low)) y=(y(bin.accuracy)) width=(x(bin.high - bin.low)) height=(x(bin.accuracy)) {
                    title { (told(bin)) }
                }
            }
            line.diagonal x1="0" y1=(SIDE) x2=(SIDE) y2="0" {}
            @for bin in bins.iter().filter(|bin| bin.count > 0) {
                circle.estimate cx=(format!("{:.1}", x(bin.confidence))) cy=(format!("{:.1}", y(bin.accuracy))) r="3.5" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ner_metrics::{Reliability, ScoredPrediction};

    use super::told;

    #[test]
    fn bars_say_where_they_begin_and_end_in_two_digits() {
        let prediction = |score| ScoredPrediction {
            score,
            correct: score > 0.65,
        };
        let predictions = [0.61, 0.66, 0.69, 1.0].map(prediction);
        let bins = Reliability::new(&predictions, 10).bins;
        // The ends themselves are sums of tenths, with their noise.
        assert!(bins[6].low.to_string().len() > 3);
        assert_eq!(
            told(&bins[6]),
            "3 with scores from 0.60 to 0.70, 66.7 % right"
        );
        assert_eq!(
            told(&bins[9]),
            "1 with scores from 0.90 to 1.00, 100.0 % right"
        );
    }
}
