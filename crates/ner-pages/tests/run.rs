//! The report of a run, read as a browser reads it.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Node, check_page, parse, read, texts};
use ner_metrics::{EntityReport, Mode, TokenReport};
use ner_pages::{
    Calibration, ComparisonRow, ConfusionCell, Curve, DataPart, ErrorKind, Errors, Fact, Figures,
    Interval, Mark, MarkedText, Panel, ReliabilityBin, RunPage, ScoreInterval, Split, TypeFigure,
    curves_svg,
};
use proptest::prelude::*;

const GOLD: [[&str; 4]; 2] = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG", "O", "O"]];
const PREDICTED: [[&str; 4]; 2] = [["B-PER", "I-PER", "O", "B-ORG"], ["O", "O", "O", "O"]];

fn curve(name: &str, points: &[(f64, f64)]) -> Curve {
    Curve {
        name: name.to_owned(),
        points: points.to_vec(),
    }
}

fn confusion(gold: Option<&str>, predicted: Option<&str>, count: usize) -> ConfusionCell {
    ConfusionCell {
        gold: gold.map(str::to_owned),
        predicted: predicted.map(str::to_owned),
        count,
    }
}

fn split() -> Split {
    Split {
        name: "test".to_owned(),
        entities: Some((&EntityReport::new(&GOLD, &PREDICTED, Mode::Default).unwrap()).into()),
        tokens: Some((&TokenReport::new(&GOLD, &PREDICTED).unwrap()).into()),
        intervals: vec![ScoreInterval {
            name: "micro F1".to_owned(),
            interval: Interval {
                estimate: 0.4,
                low: 0.25,
                high: 0.5,
            },
        }],
        level: Some(0.95),
        confusion: vec![
            confusion(Some("LOC"), Some("ORG"), 1),
            confusion(Some("PER"), Some("PER"), 3),
            confusion(Some("PER"), None, 1),
        ],
        calibration: vec![Calibration {
            of: "entities".to_owned(),
            error: Some(0.125),
            bins: vec![
                ReliabilityBin {
                    low: 0.5,
                    high: 1.0,
                    count: 8,
                    confidence: 0.75,
                    accuracy: 0.5,
                },
                ReliabilityBin::default(),
            ],
        }],
    }
}

fn full() -> RunPage {
    let panel = |title: &str, curves: Vec<Curve>| Panel {
        title: title.to_owned(),
        curves,
    };
    RunPage {
        title: "A <model>".to_owned(),
        facts: vec![Fact::new("decoding", "constrained to iob2")],
        comparison: vec![
            ComparisonRow {
                name: "this run".to_owned(),
                own: true,
                test: Some(Figures {
                    precision: Some(0.5),
                    recall: None,
                    f1: 0.75,
                }),
                ..ComparisonRow::default()
            },
            ComparisonRow {
                name: "others".to_owned(),
                source: Some("https://example.org/paper".to_owned()),
                per_type: vec![TypeFigure {
                    entity_type: "PER".to_owned(),
                    f1: 0.9,
                }],
                ..ComparisonRow::default()
            },
        ],
        curves: vec![
            panel(
                "loss",
                vec![
                    curve("training", &[(10.0, 2.0), (20.0, 1.0)]),
                    curve("dev", &[(20.0, 1.5)]),
                ],
            ),
            panel("F1", vec![curve("dev", &[(20.0, 0.5)])]),
        ],
        data: vec![
            DataPart {
                name: "train".to_owned(),
                file: "train.conll".to_owned(),
                sentences: 2,
                words: 12_345,
                subwords: Some(10),
                entities: vec![("PER".to_owned(), 7)],
            },
            DataPart {
                name: "text".to_owned(),
                ..DataPart::default()
            },
        ],
        data_facts: vec![Fact::new("sequences", "2")],
        labels: ["O", "B-PER"].map(str::to_owned).into(),
        splits: vec![split()],
        errors: Some(Errors {
            split: "test".to_owned(),
            kinds: vec![ErrorKind {
                name: "wrong type".to_owned(),
                count: 3,
                examples: vec![example("en Lima <b>")],
            }],
        }),
        settings: vec![Fact::new("epochs", "3")],
    }
}

fn example(text: &str) -> MarkedText {
    let mark = |label: &str| Mark {
        label: label.to_owned(),
        start: 3,
        end: 7,
        score: None,
    };
    MarkedText {
        place: Some("test.conll:12".to_owned()),
        text: text.to_owned(),
        gold: Some(vec![mark("LOC")]),
        predicted: vec![mark("ORG")],
    }
}

fn page(of: &RunPage) -> Node {
    let page = parse(&of.to_html());
    check_page(&page);
    page
}

/// Cells of the table with this caption, row by row.
fn table(page: &Node, caption: &str) -> Vec<Vec<String>> {
    let has_caption = |table: &&&Node| {
        let captions = table.named("caption");
        captions
            .iter()
            .any(|found| found.text().starts_with(caption))
    };
    let tables = page.named("table");
    let table = tables.iter().find(has_caption).unwrap();
    let rows = table.named("tr").into_iter();
    rows.map(|row| row.children.iter().map(Node::text).collect())
        .collect()
}

#[test]
fn a_full_page_has_all_its_sections() {
    let page = page(&full());
    let headings: Vec<String> = page.named("h2").iter().map(|h| h.text()).collect();
    assert_eq!(
        headings,
        [
            "Comparison",
            "Scores on test",
            "Curves",
            "Data",
            "Settings",
            "Errors on test"
        ]
    );
    assert_eq!(page.named("h1")[0].text(), "A <model>");
    assert_eq!(page.named("title")[0].text(), "A <model>");
    assert_eq!(page.named("nav")[0].named("a").len(), headings.len());
    assert_eq!(
        table(&page, "Settings"),
        [["Setting", "Value"], ["epochs", "3"]]
    );
}

#[test]
fn sections_without_data_are_left_out() {
    let empty = page(&RunPage::default());
    assert!(empty.named("h2").is_empty() && empty.named("table").is_empty());
    let named = Split {
        name: "dev".to_owned(),
        level: Some(0.95),
        ..Split::default()
    };
    let named = page(&RunPage {
        splits: vec![named],
        ..RunPage::default()
    });
    assert!(named.named("h2").is_empty());
    let only = page(&RunPage {
        labels: vec!["O".to_owned()],
        ..RunPage::default()
    });
    let headings: Vec<String> = only.named("h2").iter().map(|h| h.text()).collect();
    assert_eq!(headings, ["Data"]);
}

#[test]
fn tables_hold_the_figures_of_the_reports() {
    let page = page(&full());
    let entities = table(&page, "Entities, as seqeval");
    assert_eq!(entities[3], ["PER", "1.0000", "1.0000", "1.0000", "1"]);
    assert_eq!(
        entities[4],
        ["micro avg", "0.5000", "0.3333", "0.4000", "3"]
    );
    let tokens = table(&page, "Tags of words");
    assert!(
        tokens.contains(
            &["accuracy", "–", "–", "0.7500", "8"]
                .map(str::to_owned)
                .into()
        )
    );
    let comparison = table(&page, "Scores of this run");
    assert_eq!(
        comparison[0],
        ["System", "Test P", "Test R", "Test F1", "Source"]
    );
    assert_eq!(comparison[1], ["this run", "0.5000", "–", "0.7500", ""]);
    assert_eq!(comparison[2][4], "https://example.org/paper");
    assert_eq!(
        table(&page, "F1 by type"),
        [["System", "PER"], ["others", "0.9000"]]
    );
    assert_eq!(
        table(&page, "Sizes")[1],
        ["train", "train.conll", "2", "12,345", "10", "7"]
    );
    assert_eq!(
        table(&page, "Confidence intervals at 95 %")[1][..3],
        ["micro F1", "0.4000", "0.2500 – 0.5000"]
    );
    let reliability = table(&page, "Scores of entities");
    assert_eq!(reliability[1], ["0.50 – 1.00", "8", "0.7500", "0.5000"]);
    assert_eq!(reliability[2][1..], ["0", "–", "–"]);
    assert!(page.text().contains("Expected calibration error 0.1250."));
}

#[test]
fn a_run_without_published_figures_names_no_source() {
    let mut alone = full();
    alone.comparison.truncate(1);
    let page = page(&alone);
    let comparison = table(&page, "Scores of this run");
    assert_eq!(comparison[0], ["System", "Test P", "Test R", "Test F1"]);
}

#[test]
fn confusion_is_counted_by_row_and_column() {
    let page = page(&full());
    assert_eq!(
        table(&page, "Types of entities"),
        [
            ["gold ↓ predicted →", "LOC", "ORG", "PER", "none"],
            ["LOC", "0", "1", "0", "0"],
            ["ORG", "0", "0", "0", "0"],
            ["PER", "0", "0", "3", "1"],
            ["none", "0", "0", "0", "–"],
        ]
    );
    let right = page.with_class("right");
    let shares: Vec<Option<&str>> = right.iter().map(|cell| cell.attribute("style")).collect();
    assert_eq!(shares[2], Some("--share:0.750"));
    assert_eq!(
        right[2].attribute("title"),
        Some("3 of 4 of gold PER predicted as PER (75.0 %)")
    );
}

#[test]
fn an_error_is_marked_at_its_place() {
    let page = page(&full());
    let errors = page.with_class("errors")[0];
    let (text, marks) = read(errors.with_class("text")[0]);
    assert_eq!(text, "en Lima <b>");
    let marks: Vec<(&str, &str, usize, usize)> = marks
        .iter()
        .map(|mark| {
            (
                mark.whose.as_str(),
                mark.label.as_str(),
                mark.start,
                mark.end,
            )
        })
        .collect();
    assert_eq!(marks, [("gold", "LOC", 3, 7), ("predicted", "ORG", 3, 7)]);
    assert_eq!(errors.with_class("place")[0].text(), "test.conll:12");
    let headings: Vec<String> = page.named("h3").iter().map(|h| h.text()).collect();
    assert_eq!(headings, ["2 labels", "wrong type: 3"]);
    assert!(page.text().contains("The first 1:"));
}

#[test]
fn bars_and_dots_lie_where_their_values_say() {
    let page = page(&full());
    let bar = page.with_class("bar")[0];
    let side = |name: &str| bar.attribute(name).unwrap().parse::<f64>().unwrap();
    assert_eq!(["x", "y", "width", "height"].map(side), [110.0; 4]);
    let interval = page.with_class("interval")[0];
    // The axis ends at the twentieths around all intervals: 0.25 and 0.5.
    assert_eq!(interval.attribute("x1"), Some("0.00%"));
    assert_eq!(interval.attribute("x2"), Some("100.00%"));
}

#[test]
fn curves_are_on_the_page_and_an_image_of_their_own() {
    let full = full();
    let lines = |node: &Node| -> Vec<String> {
        let lines = node.named("polyline").into_iter();
        lines
            .map(|line| line.attribute("points").unwrap().to_owned())
            .collect()
    };
    let svg = curves_svg(&full.curves);
    assert!(
        svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""),
        "{svg}"
    );
    let lines_of = |node: &Node| -> Vec<usize> {
        let numbers = 0..4;
        let counts = numbers.map(|number| node.with_class(&format!("s{number}")).len());
        counts.collect()
    };
    // A line and its name in the legend: `dev` looks the same in both panels.
    assert_eq!(lines_of(&parse(&svg)), [2, 4, 0, 0]);
    let points = ["180.0,0.0 360.0,110.0", "360.0,55.0", "360.0,0.0"];
    assert_eq!(lines(&parse(&svg)), points);
    let page = page(&full);
    assert_eq!(lines(&page), points);
    let pictures = page.named("svg");
    let told = pictures
        .iter()
        .filter_map(|picture| picture.attribute("aria-label"));
    let told: Vec<&str> = told.collect();
    assert_eq!(
        told.into_iter().find(|told| told.starts_with("loss")),
        Some("loss over the steps: training from 2 to 1; dev from 1.5 to 1.5")
    );
}

#[test]
fn a_page_is_plain_data() {
    let full = full();
    let json = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<RunPage>(&json).unwrap(), full);
    assert_eq!(
        serde_json::from_str::<RunPage>("{}").unwrap(),
        RunPage::default()
    );
}

proptest! {
    #[test]
    fn text_from_elsewhere_is_text(words in texts(), name in texts()) {
        let mut full = full();
        full.title.clone_from(&name);
        full.settings = vec![Fact::new(name.clone(), words.clone())];
        full.labels = vec![words.clone()];
        full.comparison[1].name.clone_from(&words);
        full.splits[0].name.clone_from(&name);
        full.splits[0].confusion[0].gold = Some(words.clone());
        full.errors = Some(Errors {
            split: name.clone(),
            kinds: vec![ErrorKind { name, count: 1, examples: vec![example(&words)] }],
        });
        let page = page(&full);
        prop_assert_eq!(read(page.with_class("text")[0]).0, words.clone());
        // Line ends apart, which mean nothing there.
        let code = page.named("code")[0].text();
        prop_assert_eq!(code, words.replace("\r\n", "\n").replace('\r', "\n"));
    }
}
