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
use crate::inference::InferenceArguments;
use crate::output::Output;
use crate::progress::Progress;

/// Turn a model's scores into probabilities.
///
/// Fits a temperature on held-out data, saves it with the model, and shows what each threshold keeps.
///
/// The temperature changes scores only, never which entities are found. It is written into the model's config.json, where `predict` and
/// `evaluate` read it. Data that the model was trained on makes it too sure: take the development file.
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
    /// Of all entities, then of each type.
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
        "{}: is no directory; a temperature is written into a model of your own",
        model.display()
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
    if !arguments.dry_run {
        ModelConfig::record_temperature(model, report.temperature)?;
    }
    let text = match arguments.format {
        Format::Text => report.to_text(arguments.precision_of),
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    let mut output = Output::create(arguments.output.as_deref())?;
    write!(output, "{text}")?;
    output.finish()?;
    if !arguments.dry_run {
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
        Ok(Report {
            temperature_before: decoder.temperature(),
            temperature,
            before: reliability(&before),
            after: reliability(&after),
            thresholds: self.thresholds(&after, gold)?,
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
                best_f1: curve.best_f1().copied(),
                wished_precision: self
                    .precision_of
                    .and_then(|wished| curve.at_precision(wished).copied()),
            }
        };
        let all = [("all", all)].into_iter();
        Ok(all.chain(types).map(row).collect())
    }
}

impl Report {
    fn to_text(&self, wished: Option<f64>) -> String {
        let mut text = format!("temperature {:.4}\n", self.temperature);
        for (name, table) in [("before", &self.before), ("after", &self.after)] {
            _ = write!(
                text,
                "\n{name}: expected calibration error {:.4}, Brier score {:.4}, {} entities found\n{}",
                table.expected_calibration_error,
                table.brier,
                table.count,
                table.to_text()
            );
        }
        text.push_str("\nwhat a threshold on the score keeps (`predict --min-score`)\n");
        _ = writeln!(
            text,
            "{:>8} {:>10} {:>9} {:>9} {:>9} {:>7}",
            "type", "threshold", "precision", "recall", "f1-score", "kept"
        );
        for row in &self.thresholds {
            for point in &row.at {
                line(&mut text, &row.name, point, "");
            }
            if let Some(point) = &row.best_f1 {
                line(&mut text, &row.name, point, "  best F1");
            }
            match (&row.wished_precision, wished) {
                (Some(point), Some(wished)) => {
                    line(
                        &mut text,
                        &row.name,
                        point,
                        &format!("  precision {wished}"),
                    );
                }
                (None, Some(wished)) => {
                    _ = writeln!(
                        text,
                        "{:>8} no threshold gives precision {wished}",
                        row.name
                    );
                }
                _ => {}
            }
        }
        text
    }
}

fn line(text: &mut String, name: &str, point: &ThresholdPoint, note: &str) {
    let scores = &point.scores;
    _ = writeln!(
        text,
        "{name:>8} {:>10.3} {:>9.4} {:>9.4} {:>9.4} {:>7}{note}",
        point.threshold, scores.precision, scores.recall, scores.f1, point.kept
    );
}
