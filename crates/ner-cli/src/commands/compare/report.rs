//! What a comparison found.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use ner_metrics::{Comparison, Counts, Entity, Mode, Resampling, RunScores, counts_of_units};
use serde::Serialize;

use super::System;
use crate::column_files::TaggedFile;
use crate::table::{Table, fitting};
use crate::wording::counted;

/// What the table says of each type.
const COLUMNS: [&str; 7] = [
    "F1 of a", "F1 of b", "b - a", "interval", "p", "only a", "only b",
];

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    a: String,
    b: String,
    /// Sentences, or documents, that were drawn.
    units: usize,
    #[serde(flatten)]
    resampling: Resampling,
    all: Comparison,
    per_type: BTreeMap<String, Comparison>,
    /// Gold entities that one side finds and the other does not.
    only: Vec<OnlyOne>,
}

/// A gold entity that most runs of one side find, and not most of the other.
#[derive(Debug, Serialize)]
struct OnlyOne {
    side: char,
    line: u64,
    #[serde(rename = "type")]
    entity_type: String,
    text: String,
}

impl Report {
    /// Compares two sides.
    pub fn new(
        file: &TaggedFile,
        mode: Mode,
        sides: &[System; 2],
        resampling: &Resampling,
    ) -> Result<Self> {
        let gold: Vec<Vec<Entity<'_>>> = file
            .sentences
            .iter()
            .map(|sentence| mode.entities(&sentence.tags))
            .collect::<Result<_, _>>()?;
        let units = file.units();
        let compare = |entity_type: Option<&str>| -> Result<Comparison> {
            let [a, b] = sides;
            let (a, b) = (
                counts(a, &gold, &units, entity_type)?,
                counts(b, &gold, &units, entity_type)?,
            );
            Ok(Comparison::new(&a, &b, resampling)?)
        };
        let mut per_type = BTreeMap::new();
        for entity in gold.iter().flatten() {
            if !per_type.contains_key(entity.entity_type) {
                let comparison = compare(Some(entity.entity_type))?;
                per_type.insert(entity.entity_type.to_owned(), comparison);
            }
        }
        let [a, b] = sides.each_ref().map(|side| side.name.clone());
        let mut distinct = units.clone();
        distinct.dedup();
        Ok(Self {
            a,
            b,
            units: distinct.len(),
            resampling: *resampling,
            all: compare(None)?,
            per_type,
            only: only(file, &gold, sides),
        })
    }

    /// Figures, a line for each type, and examples.
    pub fn to_text(&self, examples: usize, columns: Option<usize>) -> String {
        let mut text = format!("a: {}\nb: {}\n\n", self.a, self.b);
        for (name, side) in [("a", &self.all.a), ("b", &self.all.b)] {
            _ = writeln!(text, "F1 of {name}: {}", runs(side));
        }
        let difference = &self.all.difference;
        let percent = self.resampling.level * 100.0;
        _ = writeln!(
            text,
            "b - a: {:+.4}, {percent}% interval [{:+.4}, {:+.4}] ({} of {})",
            difference.estimate,
            difference.low,
            difference.high,
            counted(self.resampling.samples, "sample", "samples"),
            counted(self.units, "unit", "units")
        );
        _ = writeln!(
            text,
            "paired bootstrap, two-sided: p = {:.4}",
            self.all.bootstrap_p
        );
        if let Some(p) = self.all.randomization_p {
            _ = writeln!(text, "approximate randomization, two-sided: p = {p:.4}");
        }
        if let Some(p) = self.all.seeds_p {
            _ = writeln!(text, "Welch's t-test over the runs, two-sided: p = {p:.4}");
        }
        text.push('\n');
        text.push_str(&fitting(self.table(), columns, || self.narrow_table()));
        for side in ['a', 'b'] {
            let found: Vec<&OnlyOne> = self.only.iter().filter(|one| one.side == side).collect();
            let entities = counted(found.len(), "entity", "entities");
            _ = writeln!(text, "\n{entities} that only {side} finds");
            for one in found.iter().take(examples) {
                _ = writeln!(
                    text,
                    "  line {}: {} `{}`",
                    one.line, one.entity_type, one.text
                );
            }
            if found.len() > examples {
                _ = writeln!(text, "  and {} more (--examples)", found.len() - examples);
            }
        }
        text
    }

    fn table(&self) -> String {
        let width = self.per_type.keys().map(|name| name.chars().count()).max();
        let width = width.unwrap_or(0).max(8);
        let [a, b, difference, interval, p, only_a, only_b] = COLUMNS;
        let mut text = format!(
            "{:>width$} {a:>8} {b:>8} {difference:>8} {interval:>20} {p:>8} {only_a:>7} {only_b:>7}\n",
            "type"
        );
        for (name, comparison) in &self.per_type {
            let [a, b, difference, interval, p, only_a, only_b] = self.cells(name, comparison);
            _ = writeln!(
                text,
                "{name:>width$} {a:>8} {b:>8} {difference:>8} {interval:>20} {p:>8} {only_a:>7} {only_b:>7}"
            );
        }
        text
    }

    fn narrow_table(&self) -> Table {
        let mut table = Table::new(["type"].into_iter().chain(COLUMNS));
        for (name, comparison) in &self.per_type {
            table.row(name, self.cells(name, comparison));
        }
        table
    }

    /// The figures of a type.
    fn cells(&self, name: &str, comparison: &Comparison) -> [String; 7] {
        let difference = &comparison.difference;
        let only = |side: char| {
            let of_side = self.only.iter().filter(|one| one.side == side);
            of_side.filter(|one| one.entity_type == name).count()
        };
        [
            format!("{:.4}", comparison.a.mean),
            format!("{:.4}", comparison.b.mean),
            format!("{:+.4}", difference.estimate),
            format!("[{:+.4}, {:+.4}]", difference.low, difference.high),
            format!("{:.4}", comparison.bootstrap_p),
            only('a').to_string(),
            only('b').to_string(),
        ]
    }
}

fn runs(side: &RunScores) -> String {
    match side.deviation {
        None => format!("{:.4}", side.mean),
        Some(deviation) => {
            let each: Vec<String> = side.f1.iter().map(|f1| format!("{f1:.4}")).collect();
            format!(
                "{:.4}, deviation {deviation:.4} ({}: {})",
                side.mean,
                counted(side.f1.len(), "run", "runs"),
                each.join(", ")
            )
        }
    }
}

/// The counts of a side's runs.
fn counts(
    side: &System,
    gold: &[Vec<Entity<'_>>],
    units: &[usize],
    entity_type: Option<&str>,
) -> Result<Vec<Vec<Counts>>> {
    let of_run = |run: &Vec<Vec<super::OwnedEntity>>| {
        let predicted: Vec<Vec<Entity<'_>>> = run
            .iter()
            .map(|sentence| sentence.iter().map(super::OwnedEntity::as_entity).collect())
            .collect();
        Ok(counts_of_units(gold, &predicted, units, entity_type)?)
    };
    side.runs.iter().map(of_run).collect()
}

fn only(file: &TaggedFile, gold: &[Vec<Entity<'_>>], sides: &[System; 2]) -> Vec<OnlyOne> {
    let mut found = Vec::new();
    for (number, entities) in gold.iter().enumerate() {
        for entity in entities {
            let finds = |side: &System| {
                let finds = |run: &&Vec<Vec<super::OwnedEntity>>| {
                    run[number].iter().any(|one| one.as_entity() == *entity)
                };
                2 * side.runs.iter().filter(finds).count() > side.runs.len()
            };
            let side = match sides.each_ref().map(finds) {
                [true, false] => 'a',
                [false, true] => 'b',
                _ => continue,
            };
            found.push(OnlyOne {
                side,
                line: file.line(number, entity.start),
                entity_type: entity.entity_type.to_owned(),
                text: file.sentences[number].words[entity.start..entity.end].join(" "),
            });
        }
    }
    found
}
