//! The tables of reports: as their crate writes them, or in the columns of a narrow terminal.

use ner_metrics::{
    Breakdown, EntityReport, Interval, IntervalReport, OverlapReport, OverlapScheme, Scores,
    TokenReport,
};

use crate::table::{Table, decimal, fitting};

/// How the text of a report is written.
#[derive(Clone, Copy, Debug)]
pub struct TextForm {
    /// Decimals of scores.
    pub digits: usize,
    /// Columns of the terminal; none where the text goes to a file or a pipe.
    pub columns: Option<usize>,
}

impl TextForm {
    /// seqeval's report.
    pub fn entities(self, report: &EntityReport) -> String {
        let types = report.per_type.iter();
        let types = types.map(|row| (row.entity_type.as_str(), &row.scores));
        let averages = [
            ("micro avg", &report.micro),
            ("macro avg", &report.macro_avg),
            ("weighted avg", &report.weighted),
        ];
        let table = || self.scores(types.chain(averages));
        fitting(report.to_text(self.digits), self.columns, table)
    }

    /// scikit-learn's report.
    pub fn tokens(self, report: &TokenReport) -> String {
        let tags = report.per_tag.iter();
        let tags = tags.map(|row| (row.tag.as_str(), &row.scores));
        let table = || {
            let mut table = self.scores(tags);
            let accuracy = [
                String::new(),
                String::new(),
                decimal(report.accuracy, self.digits),
                report.macro_avg.support.to_string(),
            ];
            table.row("accuracy", accuracy);
            table.row("macro avg", self.cells(&report.macro_avg));
            table.row("weighted avg", self.cells(&report.weighted));
            table
        };
        fitting(report.to_text(self.digits), self.columns, table)
    }

    /// Scores by groups of entities.
    pub fn breakdown(self, breakdown: &Breakdown) -> String {
        let usual = breakdown.to_text(self.digits);
        let Some((title, table)) = usual.split_once('\n') else {
            return usual;
        };
        let rows = breakdown.rows.iter();
        let rows = rows.map(|row| (row.group.as_str(), &row.scores));
        let table = fitting(table.to_owned(), self.columns, || self.scores(rows));
        format!("{title}\n{table}")
    }

    /// Intervals of scores.
    pub fn intervals(self, report: &IntervalReport) -> String {
        let usual = report.to_text(self.digits);
        let Some((title, table)) = usual.split_once('\n') else {
            return usual;
        };
        let rows = report.per_type.iter();
        let rows = rows.map(|row| (row.entity_type.as_str(), &row.scores));
        let cell = |interval: &Interval| {
            let [estimate, low, high] = [interval.estimate, interval.low, interval.high]
                .map(|figure| decimal(figure, self.digits));
            format!("{estimate} [{low}, {high}]")
        };
        let narrow = || {
            let mut table = Table::new(["", "precision", "recall", "f1-score"]);
            for (name, scores) in rows.chain([("micro avg", &report.micro)]) {
                let cells = [&scores.precision, &scores.recall, &scores.f1].map(cell);
                table.row(name, cells);
            }
            table
        };
        let table = fitting(table.to_owned(), self.columns, narrow);
        format!("{title}\n{table}")
    }

    /// Near misses by scheme.
    pub fn overlaps(self, report: &OverlapReport) -> String {
        let narrow = || {
            let mut table = Table::new([
                "",
                "correct",
                "incorrect",
                "partial",
                "missed",
                "spurious",
                "precision",
                "recall",
                "f1-score",
            ]);
            for scheme in OverlapScheme::ALL {
                let of = report.overall.get(scheme);
                let counts = [of.correct, of.incorrect, of.partial, of.missed, of.spurious];
                let scores = [of.precision, of.recall, of.f1];
                let scores = scores.map(|score| decimal(score, self.digits));
                let counts = counts.map(|count| count.to_string());
                table.row(scheme.name(), counts.into_iter().chain(scores));
            }
            table
        };
        fitting(report.to_text(self.digits), self.columns, narrow)
    }

    fn scores<'r>(self, rows: impl IntoIterator<Item = (&'r str, &'r Scores)>) -> Table {
        let mut table = Table::new(["", "precision", "recall", "f1-score", "support"]);
        for (name, scores) in rows {
            table.row(name, self.cells(scores));
        }
        table
    }

    fn cells(self, scores: &Scores) -> [String; 4] {
        let [precision, recall, f1] =
            [scores.precision, scores.recall, scores.f1].map(|score| decimal(score, self.digits));
        [precision, recall, f1, scores.support.to_string()]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ner_metrics::{Mode, Resampling};

    use super::*;
    use crate::screen::fits;

    const GOLD: [[&str; 4]; 2] = [
        ["B-ORGANIZATION", "I-ORGANIZATION", "O", "B-LOC"],
        ["O", "B-LOC", "O", "B-PER"],
    ];
    const PREDICTED: [[&str; 4]; 2] = [
        ["B-ORGANIZATION", "O", "O", "B-LOC"],
        ["O", "B-LOC", "B-PER", "O"],
    ];

    /// The texts of all reports.
    fn texts(form: TextForm) -> [String; 5] {
        let mode = Mode::Default;
        let [gold, predicted] = [&GOLD, &PREDICTED].map(|side| {
            let entities = side.iter().map(|tags| mode.entities(tags).unwrap());
            entities.collect::<Vec<_>>()
        });
        let resampling = Resampling {
            samples: 10,
            level: 0.95,
            seed: 0,
        };
        let intervals = IntervalReport::new(&gold, &predicted, &[0, 1], &resampling).unwrap();
        [
            form.entities(&EntityReport::new(&GOLD, &PREDICTED, mode).unwrap()),
            form.tokens(&TokenReport::new(&GOLD, &PREDICTED).unwrap()),
            form.breakdown(&Breakdown::by_length(&gold, &predicted).unwrap()),
            form.intervals(&intervals),
            form.overlaps(&OverlapReport::new(&gold, &predicted).unwrap()),
        ]
    }

    /// The figures of a text, sorted.
    fn figures(text: &str) -> Vec<String> {
        let words = text.split_whitespace();
        let figures = words.map(|word| word.trim_matches(['[', ']', ',']));
        let is_figure = |word: &&str| word.parse::<f64>().is_ok();
        let mut figures: Vec<String> = figures.filter(is_figure).map(str::to_owned).collect();
        figures.sort();
        figures
    }

    #[test]
    fn tables_fit_every_terminal_with_all_their_figures() {
        let form = |columns| TextForm { digits: 3, columns };
        let usual = texts(form(None));
        assert_eq!(texts(form(Some(200))), usual);
        for columns in [100, 80, 60, 50, 40, 36] {
            for (narrow, usual) in texts(form(Some(columns))).iter().zip(&usual) {
                let table = narrow.trim_start_matches(|c| c != '\n'); // a title is wrapped later
                assert!(fits(table, columns), "{columns}\n{narrow}");
                assert_eq!(figures(narrow), figures(usual), "{columns}\n{narrow}");
            }
        }
    }
}
