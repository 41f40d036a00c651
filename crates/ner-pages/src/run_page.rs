//! The report of a training run.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::charts::{self, Panel};
use crate::colors::Palette;
use crate::comparison::{self, ComparisonRow};
use crate::confusion::{ConfusionCell, heat_map};
use crate::marks::MarkedText;
use crate::page::{Fact, fact_list, head, header};
use crate::reliability::Calibration;
use crate::scores::{ScoreInterval, ScoreTable, intervals};
use crate::tables::{Cell, Row, Table, thousands};
use crate::texts_page::{key, marked};

/// Examples of a kind of error that are open to see.
const SHOWN: usize = 10;

/// All that a run's page shows. What is empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunPage {
    /// Its title, such as the name of the model.
    pub title: String,
    /// What is to be said first: base model, decoding, the main figures.
    pub facts: Vec<Fact>,
    /// This run beside the figures of others.
    pub comparison: Vec<ComparisonRow>,
    /// Loss and F1 over the steps.
    pub curves: Vec<Panel>,
    /// What the run learnt from and was measured on.
    pub data: Vec<DataPart>,
    /// What is to be said of the data, such as the number of sub-words.
    pub data_facts: Vec<Fact>,
    /// Labels of the model.
    pub labels: Vec<String>,
    /// Scores of the parts that were scored.
    pub splits: Vec<Split>,
    /// What is wrong, by examples.
    pub errors: Option<Errors>,
    /// Settings.
    pub settings: Vec<Fact>,
}

/// A part of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataPart {
    /// What it is, such as `train`.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Sentences.
    pub sentences: usize,
    /// Words.
    pub words: usize,
    /// Sub-words, without special tokens and context.
    pub subwords: Option<usize>,
    /// Entities by type; none where the part has no tags.
    pub entities: Vec<(String, usize)>,
}

/// The scores of one part of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Split {
    /// What it is, such as `test`.
    pub name: String,
    /// The entity report.
    pub entities: Option<ScoreTable>,
    /// Confidence intervals of some of its scores.
    pub intervals: Vec<ScoreInterval>,
    /// Their level, 0 to 1, such as 0.95.
    pub level: Option<f64>,
    /// The token report.
    pub tokens: Option<ScoreTable>,
    /// Which type was taken for which.
    pub confusion: Vec<ConfusionCell>,
    /// Whether the scores are what they say.
    pub calibration: Vec<Calibration>,
}

/// The errors of one part of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// The part, such as `test`.
    pub split: String,
    /// Errors by kind.
    pub kinds: Vec<ErrorKind>,
}

/// Errors of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorKind {
    /// Its name, such as `wrong type`.
    pub name: String,
    /// How many there are.
    pub count: usize,
    /// Some of them, each with the place and the sentence that it is in.
    pub examples: Vec<MarkedText>,
}

/// A part of the page: what its link is called, its heading and its content.
struct Section {
    id: String,
    heading: String,
    content: Markup,
}

impl RunPage {
    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let sections = self.sections();
        let page = html! {
            (head(&self.title))
            body {
                (header(&self.title, &self.facts))
                nav aria-label="Sections" {
                    @for section in &sections { a href={ "#" (section.id) } { (section.heading) } " " }
                }
                main.run {
                    @for section in &sections {
                        section aria-labelledby=(section.id) {
                            h2 id=(section.id) { (section.heading) }
                            (section.content)
                        }
                    }
                }
            }
            (maud::PreEscaped("</html>\n"))
        };
        page.into_string()
    }

    fn sections(&self) -> Vec<Section> {
        let mut sections = Vec::new();
        let mut add = |id: &str, heading: String, wanted: bool, content: &dyn Fn() -> Markup| {
            if wanted {
                sections.push(Section {
                    id: id.to_owned(),
                    heading,
                    content: content(),
                });
            }
        };
        let named = str::to_owned;
        add(
            "comparison",
            named("Comparison"),
            !self.comparison.is_empty(),
            &|| comparison::tables(&self.comparison),
        );
        for (number, split) in self.splits.iter().enumerate() {
            let id = format!("scores-{number}");
            let heading = format!("Scores on {}", split.name);
            add(&id, heading, !split.is_empty(), &|| split.markup());
        }
        add("curves", named("Curves"), !self.curves.is_empty(), &|| {
            charts::figures(&self.curves)
        });
        let has_data =
            !(self.data.is_empty() && self.data_facts.is_empty() && self.labels.is_empty());
        add("data", named("Data"), has_data, &|| self.data());
        add(
            "settings",
            named("Settings"),
            !self.settings.is_empty(),
            &|| self.settings(),
        );
        if let Some(errors) = &self.errors {
            let heading = format!("Errors on {}", errors.split);
            add("errors", heading, true, &|| errors.markup());
        }
        sections
    }

    fn data(&self) -> Markup {
        html! {
            div.tables {
                @if !self.data.is_empty() { (sizes(&self.data)) }
                @if self.data.iter().any(|part| !part.entities.is_empty()) { (entities(&self.data)) }
            }
            (fact_list(&self.data_facts))
            @if !self.labels.is_empty() {
                h3 { (self.labels.len()) " labels" }
                p.labels { @for label in &self.labels { code { (label) } " " } }
            }
        }
    }

    fn settings(&self) -> Markup {
        let mut table = Table::new("Settings of the run", ["Setting", "Value"]);
        let row = |fact: &Fact| Row {
            name: fact.name.clone(),
            class: "",
            cells: vec![Cell::Words(fact.value.clone())],
        };
        table.rows = self.settings.iter().map(row).collect();
        table.markup()
    }
}

fn sizes(parts: &[DataPart]) -> Markup {
    let mut table = Table::new(
        "Sizes",
        [
            "Part",
            "File",
            "Sentences",
            "Words",
            "Sub-words",
            "Entities",
        ],
    );
    let row = |part: &DataPart| {
        let entities: usize = part.entities.iter().map(|(_, count)| count).sum();
        Row {
            name: part.name.clone(),
            class: "",
            cells: vec![
                Cell::Words(part.file.clone()),
                Cell::count(part.sentences),
                Cell::count(part.words),
                Cell::count(part.subwords),
                Cell::count(Some(entities).filter(|count| *count > 0)),
            ],
        }
    };
    table.rows = parts.iter().map(row).collect();
    table.markup()
}

/// Entities by type, a column for each part that has some.
fn entities(parts: &[DataPart]) -> Markup {
    let parts: Vec<&DataPart> = parts
        .iter()
        .filter(|part| !part.entities.is_empty())
        .collect();
    let mut types: Vec<&String> = Vec::new();
    for (name, _) in parts.iter().flat_map(|part| &part.entities) {
        if !types.contains(&name) {
            types.push(name);
        }
    }
    types.sort_unstable();
    let mut table = Table::new("Entities by type", ["Type"]);
    table
        .columns
        .extend(parts.iter().map(|part| part.name.clone()));
    let row = |name: &String| {
        let count = |part: &&DataPart| {
            let found = part.entities.iter().find(|(other, _)| other == name);
            Cell::count(found.map_or(0, |(_, count)| *count))
        };
        Row {
            name: name.clone(),
            class: "",
            cells: parts.iter().map(count).collect(),
        }
    };
    table.rows = types.into_iter().map(row).collect();
    table.markup()
}

impl Split {
    fn is_empty(&self) -> bool {
        *self
            == Self {
                name: self.name.clone(),
                level: self.level,
                ..Self::default()
            }
    }

    fn markup(&self) -> Markup {
        let level = self
            .level
            .map(|level| format!(" at {:.0} %", level * 100.0));
        let level = level.unwrap_or_default();
        html! {
            div.tables {
                @if let Some(report) = &self.entities { (report.markup("Entities, as seqeval counts them", "Type")) }
                @if let Some(report) = &self.tokens { (report.markup("Tags of words, as scikit-learn counts them", "Tag")) }
                @if !self.confusion.is_empty() {
                    (heat_map("Types of entities that share a word; the color is the share of the row", &self.confusion))
                }
                @if !self.intervals.is_empty() { (intervals(&format!("Confidence intervals{level}"), &self.intervals)) }
            }
            @for calibration in &self.calibration { (calibration.markup()) }
        }
    }
}

impl Errors {
    fn markup(&self) -> Markup {
        let mut palette = Palette::new();
        let total: usize = self.kinds.iter().map(|kind| kind.count).sum();
        html! {
            p { (thousands(total)) @if total == 1 { " error." } @else { " errors." } " Each sentence is shown with one error marked." }
            (key())
            @for kind in self.kinds.iter().filter(|kind| kind.count > 0) {
                h3 { (kind.name) ": " (thousands(kind.count)) }
                @if kind.examples.len() < kind.count {
                    p { "The first " (kind.examples.len()) ":" }
                }
                @let (first, rest) = kind.examples.split_at(kind.examples.len().min(SHOWN));
                @if !first.is_empty() { (examples(first, 1, &mut palette)) }
                @if !rest.is_empty() {
                    details { summary { (rest.len()) " more" } (examples(rest, first.len() + 1, &mut palette)) }
                }
            }
        }
    }
}

/// Examples, numbered from `start`.
fn examples(examples: &[MarkedText], start: usize, palette: &mut Palette) -> Markup {
    html! { ol.errors start=(start) { @for example in examples { li { (marked(example, palette)) } } } }
}
