//! Curves over the steps of a run.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// One line of a panel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What it is of, such as `training`.
    pub name: String,
    /// Steps and values, in the order of the steps. Values that are not finite are not drawn.
    pub points: Vec<(f64, f64)>,
}

/// Curves that share their axes, which begin at 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// What the values are, such as `loss`.
    pub title: String,
    /// Curves.
    pub curves: Vec<Curve>,
}

/// Size of a panel's plot, and the room around it for numbers, in the units of the picture.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 48.0;
const TOP: f64 = 34.0;
const RIGHT: f64 = 16.0;
const BOTTOM: f64 = 40.0;
/// Lines of a panel: color and dashes. After the last the first comes again.
const LINES: [(&str, Option<&str>); 4] = [
    ("#0072B2", None),
    ("#D55E00", Some("7 3")),
    ("#009E73", Some("2 3")),
    ("#CC79A7", Some("9 3 2 3")),
];
/// Above this many points a curve has no dots.
const DOTS: usize = 40;

/// The panels side by side, as an image of its own.
pub fn curves_svg(panels: &[Panel]) -> String {
    let (width, height) = (LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM);
    let all = width * panels.len() as f64;
    let names = names(panels);
    let markup = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (all) " " (height) } font-family="sans-serif" font-size="12" {
            rect width="100%" height="100%" fill="white" {}
            @for (number, panel) in panels.iter().enumerate() {
                g transform={ "translate(" (number as f64 * width + LEFT) " " (TOP) ")" } { (panel.plot(&names)) }
            }
        }
    };
    markup.into_string() + "\n"
}

/// The figures of a page.
pub fn figures(panels: &[Panel]) -> Markup {
    let names = names(panels);
    html! { div.plots { @for panel in panels { (panel.figure(&names)) } } }
}

/// The curves' names, each once: curves of one name look alike in all panels.
fn names(panels: &[Panel]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for curve in panels.iter().flat_map(|panel| &panel.curves) {
        if !names.contains(&curve.name.as_str()) {
            names.push(&curve.name);
        }
    }
    names
}

impl Panel {
    fn figure(&self, names: &[&str]) -> Markup {
        let size = format!(
            "{} {} {} {}",
            -LEFT,
            -TOP,
            LEFT + WIDTH + RIGHT,
            TOP + HEIGHT + BOTTOM
        );
        html! {
            figure {
                svg.chart viewBox=(size) role="img" aria-label=(self.in_words()) font-size="12" { (self.plot(names)) }
            }
        }
    }

    /// What the picture shows, for those who do not see it.
    fn in_words(&self) -> String {
        let curves = self.curves.iter().filter_map(|curve| {
            let (first, last) = (curve.points.first()?, curve.points.last()?);
            Some(format!(
                "{} from {} to {}",
                curve.name,
                rounded(first.1),
                rounded(last.1)
            ))
        });
        let curves: Vec<String> = curves.collect();
        format!("{} over the steps: {}", self.title, curves.join("; "))
    }

    /// Axes, lines and their names. Colors are attributes, which a style sheet may overrule.
    fn plot(&self, names: &[&str]) -> Markup {
        let points = || {
            let points = self.curves.iter().flat_map(|curve| &curve.points);
            points.filter(|(_, y)| y.is_finite())
        };
        let largest = |value: fn(&(f64, f64)) -> f64| points().map(value).fold(0.0, f64::max);
        let last = largest(|point| point.0).max(1.0);
        let top = ceiling(largest(|point| point.1));
        html! {
            text.title x="0" y="-14" font-size="14" font-weight="bold" fill="#222" { (self.title) }
            (axes(last, top))
            @for (number, curve) in self.curves.iter().enumerate() {
                @let style = names.iter().position(|name| *name == curve.name).unwrap_or(0) % LINES.len();
                (curve.line(style, last, top))
                @let (color, dashes) = LINES[style];
                @let x = WIDTH - 92.0 * (self.curves.len() - number) as f64;
                g.{ "s" (style) } {
                    line x1=(x) y1="-18" x2=(x + 24.0) y2="-18" stroke=(color) stroke-width="2" stroke-dasharray=[dashes] {}
                    text x=(x + 30.0) y="-14" fill="#222" { (curve.name) }
                }
            }
        }
    }
}

/// Four parts of each axis.
fn axes(last: f64, top: f64) -> Markup {
    html! {
        @for tick in 0..=4 {
            @let share = f64::from(tick) / 4.0;
            @let y = HEIGHT - share * HEIGHT;
            line.grid x1="0" y1=(y) x2=(WIDTH) y2=(y) stroke="#ddd" {}
            text x="-6" y=(y + 4.0) text-anchor="end" fill="#222" { (rounded(share * top)) }
            text x=(share * WIDTH) y=(HEIGHT + 16.0) text-anchor="middle" fill="#222" { ((share * last).round()) }
        }
        text x=(WIDTH / 2.0) y=(HEIGHT + 34.0) text-anchor="middle" fill="#222" { "step" }
    }
}

impl Curve {
    fn line(&self, style: usize, last: f64, top: f64) -> Markup {
        let points = self.points.iter().filter(|(_, y)| y.is_finite());
        let points = points.map(|(x, y)| (x / last * WIDTH, HEIGHT - y / top * HEIGHT));
        let points = thinned(points.collect());
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let (color, dashes) = LINES[style];
        html! {
            g.{ "s" (style) } {
                polyline points=(path.join(" ")) fill="none" stroke=(color) stroke-width="2" stroke-dasharray=[dashes] {}
                @if points.len() < DOTS {
                    @for (x, y) in &points { circle cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2.5" fill=(color) {} }
                }
            }
        }
    }
}

/// Of many points, the lowest and the highest of each unit of the axis, so that a long run draws as fast as a short one.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= 2 * WIDTH as usize {
        return points;
    }
    let same_column = |a: &(f64, f64), b: &(f64, f64)| a.0.floor() == b.0.floor();
    let columns = points.chunk_by(same_column);
    let ends = columns.flat_map(|column| {
        let mut ends: Vec<&(f64, f64)> = Vec::with_capacity(2);
        ends.extend(column.iter().min_by(|a, b| a.1.total_cmp(&b.1)));
        ends.extend(column.iter().max_by(|a, b| a.1.total_cmp(&b.1)));
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends.dedup();
        ends
    });
    ends.copied().collect()
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

    fn panel(points: Vec<(f64, f64)>) -> Panel {
        let name = "dev".to_owned();
        Panel {
            title: "F1".to_owned(),
            curves: vec![Curve { name, points }],
        }
    }

    #[test]
    fn points_lie_where_their_values_say() {
        let points = vec![(0.0, 0.0), (50.0, 0.5), (100.0, f64::NAN), (100.0, 1.0)];
        let svg = curves_svg(&[panel(points)]);
        assert!(
            svg.contains("points=\"0.0,220.0 180.0,110.0 360.0,0.0\""),
            "{svg}"
        );
    }

    #[test]
    fn a_long_run_keeps_its_peaks() {
        let of = |step: u32| (f64::from(step), if step == 70_001 { 9.0 } else { 1.0 });
        let points: Vec<(f64, f64)> = (0..100_000).map(of).collect();
        let scaled = points.iter().map(|(x, y)| (x / 100_000.0 * WIDTH, *y));
        let thin = thinned(scaled.collect());
        assert!(thin.len() <= 2 * WIDTH as usize, "{}", thin.len());
        assert_eq!(thin.iter().filter(|(_, y)| *y == 9.0).count(), 1);
        assert!(thin.is_sorted_by(|a, b| a.0 <= b.0));
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!(
            [0.0, 0.9, 1.0, 2.2, 30.0].map(ceiling),
            [1.0, 1.0, 1.0, 2.5, 50.0]
        );
        assert_eq!(
            [0.0, 0.25, 2.0, 20.0].map(rounded),
            ["0", "0.25", "2", "20"]
        );
    }
}
