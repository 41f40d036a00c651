//! A text table: a label to the left, numbers to the right.

use std::fmt;

pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<'a>(header: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            rows: vec![header.into_iter().map(str::to_owned).collect()],
        }
    }

    /// Adds a row; it may have fewer cells than the header.
    pub fn row(&mut self, label: &str, mut cells: Vec<String>) {
        cells.insert(0, label.to_owned());
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        for row in &self.rows {
            write!(f, "{:<width$}", row[0], width = widths[0])?;
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_line_up_by_characters() {
        let mut table = Table::new(["", "F1", "support"]);
        table.row("tarea española", vec!["0.9".to_owned(), "7".to_owned()]);
        table.row("b", vec!["-".to_owned()]);
        assert_eq!(
            table.to_string(),
            "                 F1  support\ntarea española  0.9        7\nb                 -\n"
        );
    }
}
