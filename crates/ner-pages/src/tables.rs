//! Tables.

use maud::{Markup, html};

/// A table in a box of its own, which scrolls where it is too wide. The first column names the rows.
pub struct Table<'a> {
    pub caption: &'a str,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

/// A row: its name, and a cell for each further column.
#[derive(Default)]
pub struct Row {
    pub name: String,
    pub cells: Vec<Cell>,
    /// `total` or `own` or nothing.
    pub class: &'static str,
}

/// Numbers stand to the right, words to the left.
pub enum Cell {
    Number(String),
    Words(String),
}

/// Stands where there is no figure.
const DASH: &str = "–";

impl Cell {
    /// A score with four digits; a dash where there is none.
    pub fn score(value: impl Into<Option<f64>>) -> Self {
        let value = value.into();
        Self::Number(value.map_or_else(|| DASH.to_owned(), |value| format!("{value:.4}")))
    }

    /// A count; a dash where there is none.
    pub fn count(value: impl Into<Option<usize>>) -> Self {
        Self::Number(value.into().map_or_else(|| DASH.to_owned(), thousands))
    }
}

impl Table<'_> {
    pub fn new(caption: &str, columns: impl IntoIterator<Item = &'static str>) -> Table<'_> {
        Table {
            caption,
            columns: columns.into_iter().map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    pub fn markup(&self) -> Markup {
        html! {
            div.box role="region" aria-label=(self.caption) tabindex="0" {
                table {
                    caption { (self.caption) }
                    thead { tr {
                        @for (number, column) in self.columns.iter().enumerate() {
                            @let class = (number > 0 && is_number_column(&self.rows, number - 1)).then_some("number");
                            th scope="col" class=[class] { (column) }
                        }
                    } }
                    tbody { @for row in &self.rows { (row.markup()) } }
                }
            }
        }
    }
}

fn is_number_column(rows: &[Row], column: usize) -> bool {
    let mut cells = rows.iter().filter_map(|row| row.cells.get(column));
    cells.all(|cell| matches!(cell, Cell::Number(_)))
}

impl Row {
    fn markup(&self) -> Markup {
        let class = Some(self.class).filter(|class| !class.is_empty());
        html! {
            tr class=[class] {
                th scope="row" { bdi { (self.name) } }
                @for cell in &self.cells {
                    @match cell {
                        Cell::Number(text) => td.number { (text) },
                        Cell::Words(text) => td { bdi { (text) } },
                    }
                }
            }
        }
    }
}

/// A number with commas between groups of three digits.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn digits_come_in_groups_of_three() {
        let numbers = [0, 12, 999, 1000, 52_923, 1_234_567];
        let texts = ["0", "12", "999", "1,000", "52,923", "1,234,567"];
        assert_eq!(numbers.map(thousands), texts);
    }
}
