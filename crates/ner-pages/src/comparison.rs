//! This run beside the figures of others.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::tables::{Cell, Row, Table};

/// Scores of one part of the data, 0 to 1; what was not published is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Precision.
    pub precision: Option<f64>,
    /// Recall.
    pub recall: Option<f64>,
    /// F1.
    pub f1: f64,
}

/// F1 of one type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TypeFigure {
    /// The type.
    pub entity_type: String,
    /// Its F1, 0 to 1.
    pub f1: f64,
}

/// A system and its figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// The system.
    pub name: String,
    /// Whether the figures are this run's.
    pub own: bool,
    /// Where the figures stand.
    pub source: Option<String>,
    /// Of the development data.
    pub dev: Option<Figures>,
    /// Of the test data.
    pub test: Option<Figures>,
    /// F1 by type, of the test data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_type: Vec<TypeFigure>,
}

/// Scores, and F1 by type where it is known.
pub fn tables(rows: &[ComparisonRow]) -> Markup {
    html! {
        (scores(rows))
        @if rows.iter().any(|row| !row.per_type.is_empty()) { (per_type(rows)) }
    }
}

fn row(of: &ComparisonRow, cells: Vec<Cell>) -> Row {
    Row {
        name: of.name.clone(),
        class: if of.own { "own" } else { "" },
        cells,
    }
}

fn scores(rows: &[ComparisonRow]) -> Markup {
    let has_dev = rows.iter().any(|row| row.dev.is_some());
    let mut columns = vec!["System"];
    if has_dev {
        columns.extend(["Dev P", "Dev R", "Dev F1"]);
    }
    columns.extend(["Test P", "Test R", "Test F1"]);
    let has_source = rows.iter().any(|row| row.source.is_some());
    let mut caption = "Scores of this run";
    if has_source {
        columns.push("Source");
        caption = "Scores of this run and published ones";
    }
    let mut table = Table::new(caption, columns);
    let figures = |figures: Option<Figures>| {
        let of = |value: fn(Figures) -> Option<f64>| Cell::score(figures.and_then(value));
        [
            of(|figures| figures.precision),
            of(|figures| figures.recall),
            of(|figures| Some(figures.f1)),
        ]
    };
    for of in rows {
        let mut cells = Vec::new();
        if has_dev {
            cells.extend(figures(of.dev));
        }
        cells.extend(figures(of.test));
        if has_source {
            cells.push(Cell::Words(of.source.clone().unwrap_or_default()));
        }
        table.rows.push(row(of, cells));
    }
    table.markup()
}

fn per_type(rows: &[ComparisonRow]) -> Markup {
    let mut types: Vec<&String> = Vec::new();
    for figure in rows.iter().flat_map(|row| &row.per_type) {
        if !types.contains(&&figure.entity_type) {
            types.push(&figure.entity_type);
        }
    }
    let mut table = Table::new("F1 by type, on the test data", ["System"]);
    table.columns.extend(types.iter().copied().cloned());
    for of in rows.iter().filter(|row| !row.per_type.is_empty()) {
        let figure = |name: &&String| {
            let mut figures = of.per_type.iter();
            let figure = figures.find(|figure| figure.entity_type == **name);
            Cell::score(figure.map(|figure| figure.f1))
        };
        let cells = types.iter().map(figure).collect();
        table.rows.push(row(of, cells));
    }
    table.markup()
}
