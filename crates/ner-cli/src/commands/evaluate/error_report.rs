//! `evaluate --errors`: what is wrong, counted and shown.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;

use anyhow::Result;
use ner_metrics::{
    ConfusionMatrix, Entity, EntityErrorKind, Mode, OverlapReport, OverlapScheme, entity_errors,
};
use ner_pages::{ConfusionCell, ErrorKind, MarkedText};
use serde::Serialize;

use super::tables::TextForm;
use crate::column_files::{TaggedFile, file_name, joined};
use crate::table::{Table, fitting};
use crate::wording::counted;

/// The errors of a file.
#[derive(Debug, Serialize)]
pub struct ErrorReport {
    /// Near misses, by nervaluate's schemes.
    schemes: OverlapReport,
    /// How often a gold type (or none) was predicted as a type (or none), entities that overlap taken together.
    confusion: Vec<ConfusionCell>,
    errors: Vec<Row>,
    #[serde(skip)]
    file: String,
}

/// One error.
#[derive(Debug, Serialize)]
struct Row {
    /// Line of the first word of either entity.
    line: u64,
    /// Number of the sentence, from 0.
    #[serde(skip)]
    sentence: usize,
    kind: EntityErrorKind,
    gold: Option<Span>,
    predicted: Option<Span>,
}

#[derive(Debug, Serialize)]
struct Span {
    #[serde(rename = "type")]
    entity_type: String,
    text: String,
    #[serde(skip)]
    words: Range<usize>,
}

impl ErrorReport {
    /// Compares the entities of a file with those of predicted tags of the same words.
    pub fn new(file: &TaggedFile, predicted: &[Vec<String>], mode: Mode) -> Result<Self> {
        let (mut all_gold, mut all_predicted, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        let mut confusion = ConfusionMatrix::default();
        for (number, (sentence, tags)) in file.sentences.iter().zip(predicted).enumerate() {
            let gold = mode.entities(&sentence.tags)?;
            let predicted = mode.entities(tags)?;
            let span = |entity: Entity<'_>| Span {
                entity_type: entity.entity_type.to_owned(),
                text: sentence.words[entity.start..entity.end].join(" "),
                words: entity.start..entity.end,
            };
            confusion.add(&gold, &predicted);
            for error in entity_errors(&gold, &predicted) {
                let places = error.gold.iter().chain(&error.predicted);
                let first = places.map(|entity| entity.start).min().unwrap_or(0);
                rows.push(Row {
                    line: file.line(number, first),
                    sentence: number,
                    kind: error.kind,
                    gold: error.gold.map(span),
                    predicted: error.predicted.map(span),
                });
            }
            all_gold.push(gold);
            all_predicted.push(predicted);
        }
        let confusion = confusion
            .cells()
            .map(|(gold, predicted, count)| ConfusionCell {
                gold: gold.map(str::to_owned),
                predicted: predicted.map(str::to_owned),
                count,
            });
        Ok(Self {
            schemes: OverlapReport::new(&all_gold, &all_predicted)?,
            confusion: confusion.collect(),
            errors: rows,
            file: file.path.display().to_string(),
        })
    }

    /// How often a gold type (or none) was predicted as a type (or none).
    pub fn confusion(&self) -> &[ConfusionCell] {
        &self.confusion
    }

    /// The errors by kind, with the sentences of the first of each. `file` is the one that they are of.
    pub fn examples(&self, file: &TaggedFile, most: usize) -> Vec<ErrorKind> {
        let name = file_name(&file.path);
        let example = |row: &Row| {
            let (text, mark) = joined(&file.sentences[row.sentence].words);
            let marks = |span: &Option<Span>| {
                let span = span.iter();
                span.map(|span| mark(&span.entity_type, span.words.clone()))
                    .collect()
            };
            MarkedText {
                place: Some(format!("{name}:{}", row.line)),
                gold: Some(marks(&row.gold)),
                predicted: marks(&row.predicted),
                text,
            }
        };
        let of_kind = |kind: EntityErrorKind| {
            let rows = self.errors.iter().filter(|row| row.kind == kind);
            ErrorKind {
                name: kind.to_string(),
                count: rows.clone().count(),
                examples: rows.take(most).map(example).collect(),
            }
        };
        EntityErrorKind::ALL.map(of_kind).into()
    }

    /// Tables, then a line for each error.
    pub fn to_text(&self, form: TextForm) -> String {
        let mut text = form.overlaps(&self.schemes);
        _ = writeln!(text, "\n{}", counted(self.errors.len(), "error", "errors"));
        for kind in EntityErrorKind::ALL {
            let count = self.errors.iter().filter(|row| row.kind == kind).count();
            _ = writeln!(text, "{count:>8} {kind}");
        }
        text.push_str("\ngold types (rows) as predicted (columns); `-` for no entity\n");
        text.push_str(&self.confusion_table(form.columns));
        text.push('\n');
        for row in &self.errors {
            let span = |span: &Option<Span>| {
                span.as_ref().map_or_else(
                    || "-".to_owned(),
                    |span| format!("{} `{}`", span.entity_type, span.text),
                )
            };
            let (gold, predicted) = (span(&row.gold), span(&row.predicted));
            let place = format!("{}:{}", self.file, row.line);
            _ = match row.kind {
                EntityErrorKind::Missed => writeln!(text, "{place}: missed {gold}"),
                EntityErrorKind::Spurious => writeln!(text, "{place}: spurious {predicted}"),
                kind => writeln!(text, "{place}: {kind}: {gold} predicted as {predicted}"),
            };
        }
        text
    }

    fn confusion_table(&self, columns: Option<usize>) -> String {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
        let mut names: BTreeSet<String> = BTreeSet::new();
        for cell in &self.confusion {
            names.extend([name(&cell.gold), name(&cell.predicted)]);
        }
        let width = names.iter().map(|name| name.chars().count()).max();
        let width = width.unwrap_or(0).max(6);
        let count = |gold: &str, predicted: &str| {
            let mut cells = self.confusion.iter();
            let cell =
                cells.find(|cell| name(&cell.gold) == gold && name(&cell.predicted) == predicted);
            cell.map_or(0, |cell| cell.count)
        };
        let mut text = format!("{:>width$}", "");
        for predicted in &names {
            _ = write!(text, " {predicted:>width$}");
        }
        text.push('\n');
        for gold in &names {
            _ = write!(text, "{gold:>width$}");
            for predicted in &names {
                _ = write!(text, " {:>width$}", count(gold, predicted));
            }
            text.push('\n');
        }
        fitting(text, columns, || {
            let header = ["".to_owned()].into_iter().chain(names.iter().cloned());
            let mut table = Table::new(header);
            for gold in &names {
                let counts = names
                    .iter()
                    .map(|predicted| count(gold, predicted).to_string());
                table.row(gold, counts);
            }
            table
        })
    }

    /// Three tables with a blank line between them: the schemes, which type was taken for which, and a line for each error.
    pub fn to_csv(&self) -> Result<String> {
        let tables = [
            self.schemes_csv(),
            self.confusion_csv()?,
            self.errors_csv()?,
        ];
        Ok(tables.join("\n"))
    }

    fn schemes_csv(&self) -> String {
        let mut text =
            "scheme,correct,incorrect,partial,missed,spurious,precision,recall,f1\n".to_owned();
        for scheme in OverlapScheme::ALL {
            let of = self.schemes.overall.get(scheme);
            _ = writeln!(
                text,
                "{},{},{},{},{},{},{},{},{}",
                scheme.name(),
                of.correct,
                of.incorrect,
                of.partial,
                of.missed,
                of.spurious,
                of.precision,
                of.recall,
                of.f1
            );
        }
        text
    }

    /// `gold,predicted,count`; an empty type is no entity.
    fn confusion_csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["gold", "predicted", "count"])?;
        for cell in &self.confusion {
            writer.serialize((&cell.gold, &cell.predicted, cell.count))?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }

    /// A line for each error under `line,kind,gold_type,gold_text,predicted_type,predicted_text`.
    fn errors_csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record([
            "line",
            "kind",
            "gold_type",
            "gold_text",
            "predicted_type",
            "predicted_text",
        ])?;
        for row in &self.errors {
            let of = |span: &Option<Span>| {
                span.as_ref().map_or_else(<[String; 2]>::default, |span| {
                    [span.entity_type.clone(), span.text.clone()]
                })
            };
            let [gold_type, gold_text] = of(&row.gold);
            let [predicted_type, predicted_text] = of(&row.predicted);
            writer.write_record([
                row.line.to_string(),
                row.kind.to_string(),
                gold_type,
                gold_text,
                predicted_type,
                predicted_text,
            ])?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}
