//! The table layout that seqeval and scikit-learn share.

use std::fmt::Write;

use crate::scores::Scores;

const LONGEST_AVERAGE: &str = "weighted avg";

/// Decimals of the longest float, 2^-1074.
const DECIMALS: usize = 1074;

/// A table under construction.
pub(crate) struct Table {
    text: String,
    width: usize,
    digits: usize,
    /// Whether supports are written as Python writes a float: `3.0`.
    float_supports: bool,
}

impl Table {
    /// Starts with the header. The first column is as wide as its longest name, in code points, but not narrower than
    /// "weighted avg" nor, as in both references, than `digits`.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>, digits: usize) -> Self {
        let width = names
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0)
            .max(LONGEST_AVERAGE.len())
            .max(digits);
        let mut table = Self {
            text: String::new(),
            width,
            digits,
            float_supports: false,
        };
        let header = ["precision", "recall", "f1-score", "support"];
        table.line("", header.map(str::to_owned));
        table.blank();
        table
    }

    /// Writes the supports of the rows to come as floats.
    pub(crate) fn with_float_supports(mut self, float_supports: bool) -> Self {
        self.float_supports = float_supports;
        self
    }

    pub(crate) fn row(&mut self, name: &str, scores: &Scores) {
        let Scores {
            precision,
            recall,
            f1,
            support,
        } = *scores;
        self.line(
            name,
            [
                self.number(precision),
                self.number(recall),
                self.number(f1),
                self.support(support),
            ],
        );
    }

    /// scikit-learn's row of one number, in the column of F1.
    pub(crate) fn accuracy(&mut self, accuracy: f64, support: usize) {
        let cells = [
            String::new(),
            String::new(),
            self.number(accuracy),
            self.support(support),
        ];
        self.line("accuracy", cells);
    }

    /// A score with as many decimals as asked for. Rust formats 65,535 at most; past those of a float there are zeros only.
    fn number(&self, value: f64) -> String {
        let exact = self.digits.min(DECIMALS);
        let zeros = "0".repeat(self.digits - exact);
        format!("{value:.exact$}{zeros}")
    }

    fn support(&self, support: usize) -> String {
        let decimal = if self.float_supports { ".0" } else { "" };
        format!("{support}{decimal}")
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, name: &str, cells: [String; 4]) {
        let [a, b, c, d] = cells;
        // By hand, because Rust pads to 65,535 at most and panics beyond.
        let padding = " ".repeat(self.width.saturating_sub(name.chars().count()));
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{padding}{name}  {a:>9} {b:>9} {c:>9} {d:>9}");
    }
}

/// One line of CSV: the name, quoted where RFC 4180 asks for it, then the scores in full precision.
pub(crate) fn csv_line(name: &str, scores: &Scores) -> String {
    let name = if name.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    };
    let Scores {
        precision,
        recall,
        f1,
        support,
    } = *scores;
    format!("{name},{precision:?},{recall:?},{f1:?},{support}\n")
}
