//! The curves of a run, from its logs.

use std::path::Path;

use anyhow::{Context, Result};
use ner_pages::{Curve, Panel, curves_svg};
use ner_train::Step;
use serde::de::DeserializeOwned;

use super::log_files::{EVAL_LOG, EvalRow, TRAIN_LOG};
use crate::output::write_file;

const FILE: &str = "curves.svg";

/// Loss and F1 over the steps of the run in this directory.
pub fn read(output_dir: &Path) -> Result<Vec<Panel>> {
    let steps: Vec<Step> = rows(&output_dir.join(TRAIN_LOG))?;
    let evaluations: Vec<EvalRow> = rows(&output_dir.join(EVAL_LOG))?;
    let training = steps.iter().map(|step| (step.step, step.loss));
    let of_dev = |value: fn(&EvalRow) -> f64| {
        let points = evaluations.iter().map(|row| (row.step, value(row)));
        curve("dev", points)
    };
    Ok(vec![
        Panel {
            title: "loss".to_owned(),
            curves: vec![curve("training", training), of_dev(|row| row.loss)],
        },
        Panel {
            title: "F1".to_owned(),
            curves: vec![of_dev(|row| row.f1)],
        },
    ])
}

/// A loss that was no number has no point.
fn curve(name: &str, points: impl Iterator<Item = (usize, f64)>) -> Curve {
    let points = points.filter(|(_, value)| value.is_finite());
    Curve {
        name: name.to_owned(),
        points: points.map(|(step, value)| (step as f64, value)).collect(),
    }
}

/// Draws them as an image in the run's directory.
pub fn write(output_dir: &Path, panels: &[Panel]) -> Result<()> {
    write_file(&output_dir.join(FILE), &curves_svg(panels))
}

fn rows<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>> {
    let in_file = || path.display().to_string();
    let mut reader = csv::Reader::from_path(path).with_context(in_file)?;
    reader
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(in_file)
}
