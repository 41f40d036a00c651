//! The curves of a run as one SVG image.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use ner_train::Step;
use serde::de::DeserializeOwned;

use super::record::{EVAL_LOG, EvalRow, TRAIN_LOG};
use crate::output::write_file;

const FILE: &str = "curves.svg";
/// Size of one panel's plot, and the room around it for numbers.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 220.0;
const MARGIN: f64 = 50.0;

/// One line of a panel.
struct Curve {
    name: &'static str,
    color: &'static str,
    points: Vec<(f64, f64)>,
}

/// Draws loss and F1 over the steps of the run in this directory, from its logs.
pub fn write(output_dir: &Path) -> Result<()> {
    let steps: Vec<Step> = rows(&output_dir.join(TRAIN_LOG))?;
    let evaluations: Vec<EvalRow> = rows(&output_dir.join(EVAL_LOG))?;
    let of_dev = |value: fn(&EvalRow) -> f64| {
        evaluations
            .iter()
            .map(|row| (row.step as f64, value(row)))
            .collect()
    };
    let loss = [
        Curve {
            name: "training",
            color: "#1f77b4",
            points: steps
                .iter()
                .map(|step| (step.step as f64, step.loss))
                .collect(),
        },
        Curve {
            name: "dev",
            color: "#d62728",
            points: of_dev(|row| row.loss),
        },
    ];
    let f1 = [Curve {
        name: "dev",
        color: "#d62728",
        points: of_dev(|row| row.f1),
    }];
    write_file(
        &output_dir.join(FILE),
        &image(&[("loss", &loss), ("F1", &f1)]),
    )
}

fn rows<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>> {
    let in_file = || path.display().to_string();
    let mut reader = csv::Reader::from_path(path).with_context(in_file)?;
    reader
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(in_file)
}

fn image(panels: &[(&str, &[Curve])]) -> String {
    let [panel_width, panel_height] = [WIDTH + 2.0 * MARGIN, HEIGHT + 2.0 * MARGIN];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {panel_height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        panel_width * panels.len() as f64
    );
    for (number, (title, curves)) in panels.iter().enumerate() {
        let left = number as f64 * panel_width + MARGIN;
        _ = writeln!(svg, "<g transform=\"translate({left} {MARGIN})\">");
        panel(&mut svg, title, curves);
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

fn panel(svg: &mut String, title: &str, curves: &[Curve]) {
    let points = || {
        curves
            .iter()
            .flat_map(|curve| &curve.points)
            .filter(|(_, y)| y.is_finite())
    };
    let largest = |value: fn(&(f64, f64)) -> f64| points().map(value).fold(0.0, f64::max);
    let (last, highest) = (largest(|point| point.0).max(1.0), largest(|point| point.1));
    let top = ceiling(highest);
    let at = |(x, y): (f64, f64)| (x / last * WIDTH, HEIGHT - y / top * HEIGHT);

    _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"-14\" text-anchor=\"middle\" font-size=\"13\">{title}</text>",
        WIDTH / 2.0
    );
    for tick in 0..=4 {
        let share = f64::from(tick) / 4.0;
        let y = HEIGHT - share * HEIGHT;
        _ = writeln!(
            svg,
            "<path d=\"M0 {y}H{WIDTH}\" stroke=\"#ddd\"/><text x=\"-6\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            y + 4.0,
            rounded(share * top),
            share * WIDTH,
            HEIGHT + 16.0,
            (share * last).round()
        );
    }
    for (number, curve) in curves.iter().enumerate() {
        let Curve {
            name,
            color,
            points,
        } = curve;
        let points: Vec<(f64, f64)> = points
            .iter()
            .filter(|(_, y)| y.is_finite())
            .map(|&point| at(point))
            .collect();
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>",
            path.join(" ")
        );
        if points.len() < 40 {
            for (x, y) in &points {
                _ = writeln!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{color}\"/>"
                );
            }
        }
        _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" fill=\"{color}\">{name}</text>",
            WIDTH + 4.0,
            12.0 * (number + 1) as f64
        );
    }
    _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">step</text>",
        WIDTH / 2.0,
        HEIGHT + 32.0
    );
}

/// The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below the value.
fn ceiling(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step >= value)
        .unwrap_or(10.0 * power)
}

/// Four digits at most after the point, without idle zeros.
fn rounded(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_their_values_say() {
        let curve = [Curve {
            name: "dev",
            color: "red",
            points: vec![(0.0, 0.0), (50.0, 0.5), (100.0, f64::NAN), (100.0, 1.0)],
        }];
        let svg = image(&[("F1", &curve)]);
        assert!(
            svg.contains("points=\"0.0,220.0 180.0,110.0 360.0,0.0\""),
            "{svg}"
        );
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!(
            [0.0, 0.9, 1.0, 2.2, 30.0].map(ceiling),
            [1.0, 1.0, 1.0, 2.5, 50.0]
        );
        assert_eq!([0.0, 0.25, 2.0].map(rounded), ["0", "0.25", "2"]);
    }
}
