//! Entities marked in running text.

use std::ops::Range;

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::colors::Palette;
use crate::plain::Plain;

/// An entity of a text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Its type or tag, such as `PER`.
    pub label: String,
    /// The first character, in Unicode code points from 0.
    pub start: usize,
    /// One past the last character, in Unicode code points.
    pub end: usize,
    /// Its probability, 0 to 1, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
}

/// A text and its entities.
///
/// Entities may overlap. What reaches over the end of the text is cut there, and an entity without characters is not shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MarkedText {
    /// Where it stands, such as `test.conll:12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The text.
    pub text: String,
    /// The gold entities; none where they are not known, and an empty list where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gold: Option<Vec<Mark>>,
    /// The predicted ones.
    pub predicted: Vec<Mark>,
}

/// Class of a mark that gold and prediction share.
const BOTH: &str = "both";

/// Whose word a mark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Gold,
    Predicted,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Gold => "gold",
            Self::Predicted => "predicted",
        }
    }
}

/// A mark at its place in the text.
#[derive(Clone)]
struct Placed<'t> {
    side: Side,
    mark: &'t Mark,
    /// Bytes of the text.
    range: Range<usize>,
}

impl Placed<'_> {
    fn agrees(&self, other: &Self) -> bool {
        self.mark.label == other.mark.label && self.range == other.range
    }
}

impl MarkedText {
    /// The words of each mark that is shown: gold ones, then predicted ones.
    pub(crate) fn words(&self) -> [Vec<(&Mark, &str)>; 2] {
        let words = |side| {
            let placed = self.placed().into_iter();
            let placed = placed.filter(|placed| placed.side == side);
            placed
                .map(|placed| (placed.mark, &self.text[placed.range]))
                .collect()
        };
        [words(Side::Gold), words(Side::Predicted)]
    }

    /// The text with its marks, one line where gold and prediction are alike and one for each where they differ.
    pub(crate) fn markup(&self, palette: &mut Palette) -> Markup {
        let mut at = 0;
        let mut parts = Vec::new();
        for cluster in clusters(self.placed()) {
            let start = cluster.first().map_or(at, |placed| placed.range.start);
            let end = cluster.iter().map(|placed| placed.range.end).max();
            let end = end.unwrap_or(start);
            parts.push(html! { (Plain(&self.text[at..start])) });
            parts.push(self.cluster(&cluster, start..end, palette));
            at = end;
        }
        html! {
            @for part in &parts { (part) }
            (Plain(&self.text[at..]))
        }
    }

    /// All marks, by their first character.
    fn placed(&self) -> Vec<Placed<'_>> {
        let bytes = self.text.char_indices().map(|(at, _)| at);
        let bytes: Vec<usize> = bytes.chain([self.text.len()]).collect();
        let byte = |character: usize| bytes[character.min(bytes.len() - 1)];
        let gold = self.gold.iter().flatten().map(|mark| (Side::Gold, mark));
        let predicted = self.predicted.iter().map(|mark| (Side::Predicted, mark));
        let placed = gold.chain(predicted).map(|(side, mark)| Placed {
            side,
            mark,
            range: byte(mark.start)..byte(mark.end),
        });
        let mut placed: Vec<Placed<'_>> =
            placed.filter(|placed| !placed.range.is_empty()).collect();
        placed.sort_by_key(|placed| (placed.range.start, placed.side));
        placed
    }

    /// Marks that share characters.
    fn cluster(
        &self,
        cluster: &[Placed<'_>],
        range: Range<usize>,
        palette: &mut Palette,
    ) -> Markup {
        match cluster {
            [one] if self.gold.is_none() => self.mark(one, "", palette),
            [gold, predicted] if gold.side != predicted.side && gold.agrees(predicted) => {
                self.mark(predicted, BOTH, palette)
            }
            _ => {
                let mut rows = Vec::new();
                if self.gold.is_some() {
                    rows.extend(self.rows(Side::Gold, cluster, &range, palette));
                }
                rows.extend(self.rows(Side::Predicted, cluster, &range, palette));
                html! { span.stack { @for row in &rows { (row) } } }
            }
        }
    }

    /// The lines of one side: one, or several where its own marks overlap.
    fn rows(
        &self,
        side: Side,
        cluster: &[Placed<'_>],
        range: &Range<usize>,
        palette: &mut Palette,
    ) -> Vec<Markup> {
        let marks = cluster.iter().filter(|placed| placed.side == side);
        let mut rows = layers(marks.cloned());
        if rows.is_empty() {
            rows.push(Vec::new());
        }
        let whose = if self.gold.is_some() { side.name() } else { "" };
        let row = |row: Vec<Placed<'_>>| {
            let mut at = range.start;
            let mut parts = Vec::new();
            for placed in &row {
                parts.push(html! { (Plain(&self.text[at..placed.range.start])) });
                parts.push(self.mark(placed, whose, palette));
                at = placed.range.end;
            }
            html! {
                span.row.(side.name()) {
                    span.side dir="ltr" { (side.name()) " " }
                    span.words { @for part in &parts { (part) } (Plain(&self.text[at..range.end])) }
                }
            }
        };
        rows.into_iter().map(row).collect()
    }

    fn mark(&self, placed: &Placed<'_>, whose: &str, palette: &mut Palette) -> Markup {
        let Placed { mark, range, .. } = placed;
        let class = match whose {
            "" => palette.class(&mark.label),
            whose => format!("{} {whose}", palette.class(&mark.label)),
        };
        let whose = match whose {
            "" => String::new(),
            BOTH => "gold and predicted ".to_owned(),
            side => format!("{side} "),
        };
        let score = mark.score.map(|score| format!(", score {score:.3}"));
        html! {
            mark class=(class) title={ (whose) (mark.label) (score.unwrap_or_default()) } {
                (Plain(&self.text[range.clone()]))
                span.label dir="ltr" { " " (mark.label) }
            }
        }
    }
}

/// Marks in groups that share no character with each other.
fn clusters(placed: Vec<Placed<'_>>) -> Vec<Vec<Placed<'_>>> {
    let mut clusters: Vec<Vec<Placed<'_>>> = Vec::new();
    let mut end = 0;
    for placed in placed {
        let begun = clusters.last_mut().filter(|_| placed.range.start < end);
        end = end.max(placed.range.end);
        match begun {
            Some(cluster) => cluster.push(placed),
            None => clusters.push(vec![placed]),
        }
    }
    clusters
}

/// Marks, ordered by their start, in as few lines as hold them without overlap.
fn layers<'t>(marks: impl Iterator<Item = Placed<'t>>) -> Vec<Vec<Placed<'t>>> {
    let mut layers: Vec<Vec<Placed<'t>>> = Vec::new();
    for mark in marks {
        let is_free = |layer: &&mut Vec<Placed<'t>>| {
            layer
                .last()
                .is_none_or(|last| last.range.end <= mark.range.start)
        };
        match layers.iter_mut().find(is_free) {
            Some(layer) => layer.push(mark),
            None => layers.push(vec![mark]),
        }
    }
    layers
}
