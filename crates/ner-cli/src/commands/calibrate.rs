//! `calibrate`: scores that are probabilities.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use ner_metrics::{Mode, Reliability, ScoredPrediction, ThresholdCurve, ThresholdPoint};
use ner_model::ModelConfig;
use ner_tagger::calibration::{fit_temperature, scored_entities};
use ner_tagger::{Decoder, ScoredSentence, TaggedSentence};
use rayon::prelude::*;
use serde::Serialize;

use crate::column_files::{ColumnArguments, TaggedFile};
use crate::hub::meant;
use crate::inference::InferenceArguments;
use crate::output::Output;
use crate::progress::Progress;
use crate::screen;
use crate::table::{Table, fitting};
use crate::wording::counted;

/// Entities below which a temperature says little of other texts.
const FEW_ENTITIES: usize = 100;

/// Temperatures at the ends of the range in which [`fit_temperature`] looks, 0.05 to 20, as near as it finds them.
const BOUNDS: (f64, f64) = (0.0505, 19.8);

/// Half of the last digit that is shown.
const SAME: f64 = 5e-5;

/// Turn a model's scores into probabilities.
///
/// Fits a temperature on held-out data, saves it with the model, and shows what each threshold keeps.
///
/// The temperature changes scores only, never which entities are found. It is written into the model's config.json, where `predict` and
/// `evaluate` read it. Data that the model was trained on makes it too sure: take the development file. Nothing is written where the calibration
/// error or the Brier score would rise, or where the temperature is at the end of the range that is looked at, and the reason is said.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Directory of a fine-tuned model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Column file with true tags that the model was not trained on.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Also show the lowest threshold that gives this precision.
    #[arg(long, value_name = "P")]
    precision_of: Option<f64>,
    /// Leave the model as it is.
    #[arg(long)]
    dry_run: bool,
    /// Ranges of the reliability table, from 0 to 1.
    #[arg(long, default_value_t = 10)]
    bins: usize,
    /// Form of the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// File to write instead of stdout.
    #[arg(long, short)]
    output: Option<PathBuf>,
    #[command(flatten)]
    inference: InferenceArguments,
    #[command(flatten)]
    layout: ColumnArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What calibration found.
#[derive(Debug, Serialize)]
struct Report {
    /// The temperature that the model had.
    temperature_before: f64,
    temperature: f64,
    before: Reliability,
    after: Reliability,
    /// Why the temperature is not saved, where that is not for --dry-run.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    /// Of all entities, then of each type; by the scores that the model had where the temperature is refused.
    thresholds: Vec<Thresholds>,
}

/// What thresholds keep of one type's entities.
#[derive(Debug, Serialize)]
struct Thresholds {
    #[serde(rename = "type")]
    name: String,
    /// Entities in gold.
    support: usize,
    /// At thresholds of whole tenths.
    at: Vec<ThresholdPoint>,
    best_f1: Option<ThresholdPoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wished_precision: Option<ThresholdPoint>,
}

/// Types and their predictions.
type Predictions = Vec<(String, ScoredPrediction)>;

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let Arguments { model, data, .. } = arguments;
    ensure!(
        model.is_dir(),
        "{}: is no directory{}; a temperature is written into a model of your own",
        model.display(),
        meant(model)
    );
    ensure!(
        arguments
            .precision_of
            .is_none_or(|wished| wished > 0.0 && wished <= 1.0),
        "--precision-of: expected a precision above 0 and at most 1"
    );
    let gold = TaggedFile::read(data, &arguments.layout)?;
    let tagger = arguments.inference.load(model, quiet)?;
    gold.check_tags(tagger.labels())?;
    let mut progress = Progress::new(quiet);
    progress.start("calibrate", gold.sentences.len());
    let scored = tagger.score(&gold.sentences, |done| progress.set(done, String::new))?;
    progress.end();

    let report = arguments.report(tagger.decoder(), &scored, &gold)?;
    let is_saved = !arguments.dry_run && report.refused.is_none();
    if is_saved {
        ModelConfig::record_temperature(model, report.temperature)?;
    }
    let path = arguments.output.as_deref();
    let mut output = Output::create(path)?;
    match arguments.format {
        Format::Text => {
            let columns = screen::columns(path);
            output.write_text(&report.to_text(arguments.precision_of, columns))?;
        }
        Format::Json => writeln!(output, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    output.finish()?;
    let found = report.after.count;
    if found < FEW_ENTITIES {
        progress.say(&format!(
            "note: only {} found: with fewer than about {FEW_ENTITIES} a temperature says little of other texts",
            counted(found, "entity was", "entities were")
        ));
    }
    if let Some(reason) = &report.refused {
        progress.warn(&format!("the temperature is not saved: {reason}"));
    }
    if is_saved {
        progress.say(&format!(
            "saved the temperature {:.4} in {}",
            report.temperature,
            Path::new(model).join(model_dir::CONFIG).display()
        ));
    }
    Ok(())
}

impl Arguments {
    fn report(
        &self,
        decoder: &Decoder,
        scored: &[ScoredSentence],
        gold: &TaggedFile,
    ) -> Result<Report> {
        let temperature = fit_temperature(decoder, scored, &gold.sentences)?;
        let found = |decoder: &Decoder| {
            let decode = |one: &ScoredSentence| decoder.decode(&one.logits);
            let tagged: Vec<TaggedSentence> = scored.par_iter().map(decode).collect();
            scored_entities(&tagged, &gold.sentences)
        };
        let before = found(decoder)?;
        let after = found(&decoder.clone().with_temperature(temperature))?;
        let reliability = |predictions: &Predictions| {
            let all: Vec<ScoredPrediction> = predictions.iter().map(|(_, one)| *one).collect();
            Reliability::new(&all, self.bins)
        };
        let reliabilities = (reliability(&before), reliability(&after));
        let refused = refusal(temperature, &reliabilities.0, &reliabilities.1);
        let of_model = if refused.is_some() { &before } else { &after };
        Ok(Report {
            temperature_before: decoder.temperature(),
            temperature,
            thresholds: self.thresholds(of_model, gold)?,
            before: reliabilities.0,
            after: reliabilities.1,
            refused,
        })
    }

    fn thresholds(&self, predictions: &Predictions, gold: &TaggedFile) -> Result<Vec<Thresholds>> {
        let mut types: BTreeMap<&str, (usize, Vec<ScoredPrediction>)> = BTreeMap::new();
        let mut all = (0, Vec::new());
        for sentence in &gold.sentences {
            for entity in Mode::Default.entities(&sentence.tags)? {
                types.entry(entity.entity_type).or_default().0 += 1;
                all.0 += 1;
            }
        }
        for (name, prediction) in predictions {
            types.entry(name).or_default().1.push(*prediction);
            all.1.push(*prediction);
        }
        let row = |(name, (support, predictions)): (&str, (usize, Vec<ScoredPrediction>))| {
            let curve = ThresholdCurve::new(&predictions, support);
            let tenths = (0..10).filter_map(|tenth| {
                let wanted = f64::from(tenth) / 10.0;
                let point = curve
                    .points
                    .iter()
                    .find(|point| point.threshold >= wanted)?;
                Some(ThresholdPoint {
                    threshold: wanted,
                    ..*point
                })
            });
            Thresholds {
                name: name.to_owned(),
                support,
                at: tenths.collect(),
                best_f1: curve.best_f1().map(|point| curve.lowered(point)),
                wished_precision: self
                    .precision_of
                    .and_then(|wished| curve.at_precision(wished))
                    .map(|point| curve.lowered(point)),
            }
        };
        let all = [("all", all)].into_iter();
        Ok(all.chain(types).map(row).collect())
    }
}

/// Why a temperature is not worth saving, if so.
fn refusal(temperature: f64, before: &Reliability, after: &Reliability) -> Option<String> {
    let (low, high) = BOUNDS;
    if temperature <= low {
        return Some("it is at its bound: was the model trained on this file?".to_owned());
    }
    if temperature >= high {
        return Some(
            "it is at its bound: has this file the tags that the model was trained for?".to_owned(),
        );
    }
    let figures = [
        (
            "expected calibration error",
            before.expected_calibration_error,
            after.expected_calibration_error,
        ),
        ("Brier score", before.brier, after.brier),
    ];
    let worse = figures
        .iter()
        .filter(|(_, before, after)| after - before > SAME)
        .map(|(name, before, after)| {
            format!("the {name} would rise from {before:.4} to {after:.4}")
        });
    let worse: Vec<String> = worse.collect();
    (!worse.is_empty()).then(|| worse.join(", "))
}

/// What the table of thresholds says of each.
const COLUMNS: [&str; 5] = ["threshold", "precision", "recall", "f1-score", "kept"];

/// A line of that table: the type, what the threshold keeps, and what is special about it.
type Line<'r> = (&'r str, Option<&'r ThresholdPoint>, String);

impl Report {
    fn to_text(&self, wished: Option<f64>, columns: Option<usize>) -> String {
        let mut text = format!("temperature {:.4}\n", self.temperature);
        for (name, table) in [("before", &self.before), ("after", &self.after)] {
            _ = write!(
                text,
                "\n{name}: expected calibration error {:.4}, Brier score {:.4}, {} found\n{}",
                table.expected_calibration_error,
                table.brier,
                counted(table.count, "entity", "entities"),
                fitting(table.to_text(), columns, || narrow_reliability(table))
            );
        }
        let whose = match self.refused {
            Some(_) => " as it was before",
            None => "",
        };
        _ = writeln!(
            text,
            "\nwhat a threshold on the score{whose} keeps (`predict --min-score`)"
        );
        let lines = self.lines(wished);
        text.push_str(&fitting(table(&lines), columns, || narrow_table(&lines)));
        text
    }

    /// The lines of the table of thresholds.
    fn lines(&self, wished: Option<f64>) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        for row in &self.thresholds {
            let name = row.name.as_str();
            let line = |point, note: &str| (name, Some(point), note.to_owned());
            lines.extend(row.at.iter().map(|point| line(point, "")));
            lines.extend(row.best_f1.iter().map(|point| line(point, "best F1")));
            if let Some(wished) = wished {
                let point = row.wished_precision.as_ref();
                let no = if point.is_none() {
                    "no threshold gives "
                } else {
                    ""
                };
                lines.push((name, point, format!("{no}precision {wished}")));
            }
        }
        lines
    }
}

fn table(lines: &[Line<'_>]) -> String {
    let names = lines.iter().map(|(name, ..)| name.chars().count());
    let width = names.max().unwrap_or(0).max(8);
    let [threshold, precision, recall, f1, kept] = COLUMNS;
    let mut text = format!(
        "{:>width$} {threshold:>10} {precision:>9} {recall:>9} {f1:>9} {kept:>7}\n",
        "type"
    );
    for (name, point, note) in lines {
        let Some(point) = point else {
            _ = writeln!(text, "{name:>width$} {note}");
            continue;
        };
        let [threshold, precision, recall, f1, kept] = cells(point);
        let gap = if note.is_empty() { "" } else { "  " };
        _ = writeln!(
            text,
            "{name:>width$} {threshold:>10} {precision:>9} {recall:>9} {f1:>9} {kept:>7}{gap}{note}"
        );
    }
    text
}

fn narrow_table(lines: &[Line<'_>]) -> Table {
    let mut table = Table::new(["type"].into_iter().chain(COLUMNS).chain(["note"]));
    for (name, point, note) in lines {
        let cells = point.map_or_else(<[String; 5]>::default, cells);
        table.row(name, cells.into_iter().chain([note.clone()]));
    }
    table
}

fn cells(point: &ThresholdPoint) -> [String; 5] {
    let scores = &point.scores;
    // All the digits that tell it from the next score.
    let exact = point.threshold.to_string();
    let shown = format!("{:.3}", point.threshold);
    [
        if exact.len() > shown.len() {
            exact
        } else {
            shown
        },
        format!("{:.4}", scores.precision),
        format!("{:.4}", scores.recall),
        format!("{:.4}", scores.f1),
        point.kept.to_string(),
    ]
}

fn narrow_reliability(reliability: &Reliability) -> Table {
    let mut table = Table::new(["score", "predictions", "mean score", "correct"]);
    for bin in reliability.bins.iter().filter(|bin| bin.count > 0) {
        let cells = [
            bin.count.to_string(),
            format!("{:.3}", bin.confidence),
            format!("{:.3}", bin.accuracy),
        ];
        table.row(&format!("{:.2} to {:.2}", bin.low, bin.high), cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reliability(predictions: &[(f64, bool)]) -> Reliability {
        let predictions = predictions.iter();
        let predictions = predictions.map(|&(score, correct)| ScoredPrediction { score, correct });
        Reliability::new(&predictions.collect::<Vec<_>>(), 10)
    }

    #[test]
    fn a_temperature_that_makes_scores_worse_is_refused() {
        let sure = reliability(&[(0.9, true), (0.9, true), (0.9, false), (0.9, false)]);
        let doubtful = reliability(&[(0.5, true), (0.5, true), (0.5, false), (0.5, false)]);
        assert_eq!(refusal(2.0, &sure, &doubtful), None);
        assert_eq!(refusal(2.0, &sure, &sure), None);
        let worse = "the expected calibration error would rise from 0.0000 to 0.4000, \
                     the Brier score would rise from 0.2500 to 0.4100";
        assert_eq!(refusal(2.0, &doubtful, &sure).as_deref(), Some(worse));
        // One of the two is enough.
        let apart = reliability(&[(0.9, true), (0.9, true), (0.1, false), (0.1, false)]);
        let worse = "the Brier score would rise from 0.0100 to 0.2500";
        assert_eq!(refusal(2.0, &apart, &doubtful).as_deref(), Some(worse));
        for (temperature, question) in [
            (0.05002, "was the model trained on this file?"),
            (19.995, "the tags that the model was trained for?"),
        ] {
            let reason = refusal(temperature, &sure, &doubtful).unwrap_or_default();
            assert!(reason.starts_with("it is at its bound: "), "{reason}");
            assert!(reason.ends_with(question), "{reason}");
        }
    }
}
