//! The table layout that seqeval and scikit-learn share.

use std::fmt::Write;

use crate::scores::Scores;

const LONGEST_AVERAGE: &str = "weighted avg";

/// A table under construction.
pub(crate) struct Table {
    text: String,
    width: usize,
    digits: usize,
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
        };
        let header = ["precision", "recall", "f1-score", "support"];
        table.line("", header.map(str::to_owned));
        table.blank();
        table
    }

    pub(crate) fn row(&mut self, name: &str, scores: &Scores) {
        let digits = self.digits;
        let number = |value: f64| format!("{value:.digits$}");
        let Scores {
            precision,
            recall,
            f1,
            support,
        } = *scores;
        self.line(
            name,
            [
                number(precision),
                number(recall),
                number(f1),
                support.to_string(),
            ],
        );
    }

    /// scikit-learn's row of one number, in the column of F1.
    pub(crate) fn accuracy(&mut self, accuracy: f64, support: usize) {
        let digits = self.digits;
        let number = format!("{accuracy:.digits$}");
        self.line(
            "accuracy",
            [String::new(), String::new(), number, support.to_string()],
        );
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, name: &str, cells: [String; 4]) {
        let [a, b, c, d] = cells;
        let width = self.width;
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{name:>width$}  {a:>9} {b:>9} {c:>9} {d:>9}");
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
