//! What a comparison found.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use ner_metrics::{Comparison, Counts, Entity, Mode, Resampling, RunScores, counts_of_units};
use serde::Serialize;

use super::System;
use crate::column_files::TaggedFile;
use crate::wording::counted;

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
    pub fn to_text(&self, examples: usize) -> String {
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
        _ = writeln!(text, "paired bootstrap: p = {:.4}", self.all.bootstrap_p);
        if let Some(p) = self.all.randomization_p {
            _ = writeln!(text, "approximate randomization: p = {p:.4}");
        }
        if let Some(p) = self.all.seeds_p {
            _ = writeln!(text, "Welch's t-test over the runs: p = {p:.4}");
        }
        text.push_str(&self.table());
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
        let mut text = format!(
            "\n{:>width$} {:>8} {:>8} {:>8} {:>20} {:>8} {:>7} {:>7}\n",
            "type", "F1 of a", "F1 of b", "b - a", "interval", "p", "only a", "only b"
        );
        for (name, comparison) in &self.per_type {
            let difference = &comparison.difference;
            let interval = format!("[{:+.4}, {:+.4}]", difference.low, difference.high);
            let only = |side: char| {
                let of_side = self.only.iter().filter(|one| one.side == side);
                of_side.filter(|one| one.entity_type == *name).count()
            };
            _ = writeln!(
                text,
                "{name:>width$} {:>8.4} {:>8.4} {:>+8.4} {interval:>20} {:>8.4} {:>7} {:>7}",
                comparison.a.mean,
                comparison.b.mean,
                difference.estimate,
                comparison.bootstrap_p,
                only('a'),
                only('b')
            );
        }
        text
    }
}

fn runs(side: &RunScores) -> String {
    match side.deviation {
        None => format!("{:.4}", side.mean),
        Some(deviation) => {
            let each: Vec<String> = side.f1.iter().map(|f1| format!("{f1:.4}")).collect();
            format!(
                "{:.4}, deviation {deviation:.4} ({} runs: {})",
                side.mean,
                side.f1.len(),
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
