//! The parts of an output, each in all its forms.

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::{Map, Value};

/// One report.
pub struct Section {
    name: &'static str,
    json: Value,
    text: String,
    csv: Option<String>,
}

impl Section {
    /// A report with its name in JSON. It has no CSV form until it is given one.
    pub fn new(name: &'static str, report: &impl Serialize, text: String) -> Result<Self> {
        Ok(Self {
            name,
            json: serde_json::to_value(report)?,
            text,
            csv: None,
        })
    }

    /// Gives it a CSV form.
    #[must_use]
    pub fn with_csv(mut self, csv: String) -> Self {
        self.csv = Some(csv);
        self
    }
}

/// All reports, a blank line between them.
pub fn to_text(sections: &[Section]) -> String {
    let texts: Vec<&str> = sections
        .iter()
        .map(|section| section.text.as_str())
        .collect();
    texts.join("\n")
}

/// All tables, a blank line between them.
pub fn to_csv(sections: &[Section]) -> Result<String> {
    let tables: Vec<&str> = sections
        .iter()
        .filter_map(|section| section.csv.as_deref())
        .collect();
    let without: Vec<&str> = sections
        .iter()
        .filter(|section| section.csv.is_none())
        .map(|section| section.name)
        .collect();
    ensure!(
        !tables.is_empty(),
        "{} has no CSV form; choose --format text or json",
        without.join(", ")
    );
    Ok(tables.join("\n"))
}

/// One object: what it is about, then each report under its name.
pub fn to_json(mut about: Map<String, Value>, sections: Vec<Section>) -> Value {
    about.extend(
        sections
            .into_iter()
            .map(|section| (section.name.to_owned(), section.json)),
    );
    about.into()
}
