//! Which type was taken for which.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// How often a gold type was predicted as a type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionCell {
    /// The gold type; none where there is no gold entity.
    pub gold: Option<String>,
    /// The predicted type; none where nothing was predicted.
    pub predicted: Option<String>,
    /// How often.
    pub count: usize,
}

/// Name of no entity.
const NONE: &str = "none";

fn name(of: Option<&str>) -> &str {
    of.unwrap_or(NONE)
}

/// A table whose cells are the darker, the larger their share of their row is.
pub fn heat_map(caption: &str, cells: &[ConfusionCell]) -> Markup {
    let sides = cells.iter().flat_map(|cell| [&cell.gold, &cell.predicted]);
    let mut types: Vec<Option<&str>> = sides.map(Option::as_deref).collect();
    // `None` comes last.
    types.sort_unstable_by_key(|name| (name.is_none(), *name));
    types.dedup();
    let count = |gold: Option<&str>, predicted: Option<&str>| -> usize {
        let fitting = cells
            .iter()
            .filter(|cell| cell.gold.as_deref() == gold && cell.predicted.as_deref() == predicted);
        fitting.map(|cell| cell.count).sum()
    };
    html! {
        div.box role="region" aria-label=(caption) tabindex="0" {
            table.heat {
                caption { (caption) }
                thead { tr {
                    th scope="col" { "gold ↓ predicted →" }
                    @for predicted in &types { th.number scope="col" { bdi { (name(*predicted)) } } }
                } }
                tbody {
                    @for gold in &types {
                        @let total: usize = types.iter().map(|predicted| count(*gold, *predicted)).sum();
                        tr {
                            th scope="row" { bdi { (name(*gold)) } }
                            @for predicted in &types { (cell(*gold, *predicted, count(*gold, *predicted), total)) }
                        }
                    }
                }
            }
        }
    }
}

fn cell(gold: Option<&str>, predicted: Option<&str>, count: usize, total: usize) -> Markup {
    if gold.is_none() && predicted.is_none() {
        return html! { td.number.empty { "–" } };
    }
    let share = count as f64 / total.max(1) as f64;
    let class = match (gold == predicted, count) {
        (true, _) => "number right",
        (false, 0) => "number zero",
        (false, _) => "number",
    };
    let told = format!(
        "{count} of {total} of gold {} predicted as {} ({:.1} %)",
        name(gold),
        name(predicted),
        share * 100.0
    );
    html! { td class=(class) style={ "--share:" (format!("{share:.3}")) } title=(told) { (count) } }
}
