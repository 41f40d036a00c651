//! Tables of figures for terminals that are too narrow for the usual text of a report.

use crate::screen::fits;

/// Columns between two cells.
const GAP: usize = 2;

/// Columns that a name needs at least, to be cut rather than put above its figures.
const SHORTEST_NAME: usize = 8;

/// Decimals of the longest float, 2^-1074.
const DECIMALS: usize = 1074;

/// A table whose rows have a name and figures.
#[derive(Debug)]
pub struct Table {
    /// The header, then the rows; the names come first.
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table under its header, in which the column of the names comes first.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        let header = header.into_iter().map(Into::into);
        Self {
            rows: vec![header.collect()],
        }
    }

    /// Adds a row. An empty cell is a figure that the row does not have.
    pub fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        let name = [name.to_owned()].into_iter();
        self.rows.push(name.chain(cells).collect());
    }

    /// The table in so many columns: as it is, with shorter names, or with each figure in a line of its own. No figure is ever cut.
    pub fn in_columns(&self, columns: usize) -> String {
        let of_names = self.width(0);
        let of_figures: usize = (1..self.rows[0].len())
            .map(|column| self.width(column) + GAP)
            .sum();
        let room = columns.saturating_sub(of_figures);
        if of_names <= room || (room >= SHORTEST_NAME && self.tells_apart(room)) {
            self.beside_each_other(of_names.min(room))
        } else {
            self.below_each_other()
        }
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }

    /// Whether names that are cut remain different.
    fn tells_apart(&self, width: usize) -> bool {
        let names: Vec<&String> = self.rows.iter().filter_map(|row| row.first()).collect();
        names.iter().enumerate().all(|(at, name)| {
            let mut before = names[..at].iter();
            before.all(|other| other == name || cut(other, width) != cut(name, width))
        })
    }

    fn beside_each_other(&self, of_names: usize) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let (cell, width) = match column {
                    0 => (cut(cell, of_names), of_names),
                    _ => (cell.clone(), self.width(column) + GAP),
                };
                line.push_str(&format!("{cell:>width$}"));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn below_each_other(&self) -> String {
        let mut text = String::new();
        let [header, rows @ ..] = self.rows.as_slice() else {
            return text;
        };
        for row in rows {
            for (column, cell) in row.iter().enumerate() {
                match header.get(column).filter(|_| column > 0) {
                    None => text.push_str(&format!("{cell}\n")),
                    Some(_) if cell.is_empty() => {}
                    Some(of) => text.push_str(&format!("  {of}: {cell}\n")),
                }
            }
        }
        text
    }
}

/// A name in so many columns.
fn cut(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    let kept = name.chars().take(width.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// A report's usual text; the table in its place where that has longer lines than the terminal has columns.
pub fn fitting(usual: String, columns: Option<usize>, table: impl FnOnce() -> Table) -> String {
    match columns {
        Some(columns) if !fits(&usual, columns) => table().in_columns(columns),
        _ => usual,
    }
}

/// A figure with so many decimals. Rust formats 65,535 at most; past those of a float there are zeros only.
pub fn decimal(figure: f64, digits: usize) -> String {
    let exact = digits.min(DECIMALS);
    let zeros = "0".repeat(digits - exact);
    format!("{figure:.exact$}{zeros}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["type", "precision", "f1-score"]);
        table.row("ORGANIZATION", ["0.51".to_owned(), "0.62".to_owned()]);
        table.row("weighted avg", [String::new(), "0.7123456".to_owned()]);
        table
    }

    #[test]
    fn names_are_cut_and_figures_never_are() {
        let wide = "        type  precision   f1-score\nORGANIZATION       0.51       0.62\nweighted avg             0.7123456\n";
        assert_eq!(table().in_columns(34), wide);
        assert_eq!(table().in_columns(80), wide);
        let cut = "      type  precision   f1-score\nORGANIZAT…       0.51       0.62\nweighted …             0.7123456\n";
        assert_eq!(table().in_columns(32), cut);
        let below = "ORGANIZATION\n  precision: 0.51\n  f1-score: 0.62\nweighted avg\n  f1-score: 0.7123456\n";
        assert_eq!(table().in_columns(29), below);
        assert_eq!(table().in_columns(0), below);
        for columns in 25..40 {
            assert!(fits(&table().in_columns(columns), columns), "{columns}");
        }
    }

    #[test]
    fn names_that_a_cut_would_make_alike_are_not_cut() {
        let mut table = Table::new(["", "kept"]);
        table.row("PRODUCT-NAME-1", ["12".to_owned()]);
        table.row("PRODUCT-NAME-1", ["13".to_owned()]);
        assert_eq!(
            table.in_columns(16),
            "            kept\nPRODUCT-N…    12\nPRODUCT-N…    13\n"
        );
        table.row("PRODUCT-NAME-2", ["14".to_owned()]);
        assert!(
            table
                .in_columns(16)
                .contains("PRODUCT-NAME-2\n  kept: 14\n")
        );
    }

    #[test]
    fn the_usual_text_stays_where_it_fits_or_no_terminal_is() {
        let usual = || "0123456789\n".to_owned();
        for columns in [None, Some(10), Some(80)] {
            assert_eq!(fitting(usual(), columns, table), usual());
        }
        let narrow = fitting(usual(), Some(9), table);
        assert!(narrow.starts_with("ORGANIZATION\n"), "{narrow}");
    }

    #[test]
    fn figures_have_as_many_decimals_as_asked_for() {
        assert_eq!(decimal(0.5, 2), "0.50");
        assert_eq!(decimal(0.5, 70_000).len(), 70_002);
    }
}
