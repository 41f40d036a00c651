//! Pages of tagged texts, read as a browser reads them.
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use common::{Node, Shown, check_page, parse, read, texts};
use ner_pages::{Fact, Mark, MarkedText, TextsPage};
use proptest::prelude::*;

fn mark(label: &str, start: usize, end: usize) -> Mark {
    Mark {
        label: label.to_owned(),
        start,
        end,
        score: None,
    }
}

fn text(text: &str, gold: Option<&[Mark]>, predicted: &[Mark]) -> MarkedText {
    MarkedText {
        place: None,
        text: text.to_owned(),
        gold: gold.map(<[Mark]>::to_vec),
        predicted: predicted.to_vec(),
    }
}

fn page(texts: &[MarkedText]) -> Node {
    let mut page =
        TextsPage::new(Vec::new(), "Texts & <tags>", &[Fact::new("model", "<m>")]).unwrap();
    for text in texts {
        page.write(text).unwrap();
    }
    let page = parse(std::str::from_utf8(&page.finish().unwrap()).unwrap());
    check_page(&page);
    page
}

fn shown(whose: &str, label: &str, start: usize, end: usize) -> Shown {
    Shown {
        whose: whose.to_owned(),
        label: label.to_owned(),
        start,
        end,
    }
}

/// What must be shown of a text with these marks.
fn expected(text: &MarkedText) -> Vec<Shown> {
    let length = text.text.chars().count();
    let cut = |marks: &[Mark], whose: &str| -> Vec<Shown> {
        let marks = marks
            .iter()
            .filter(|mark| mark.start < mark.end.min(length));
        marks
            .map(|mark| shown(whose, &mark.label, mark.start, mark.end.min(length)))
            .collect()
    };
    let Some(gold) = &text.gold else {
        return sorted(cut(&text.predicted, ""));
    };
    let (gold, predicted) = (cut(gold, "gold"), cut(&text.predicted, "predicted"));
    let place = |mark: &Shown| (mark.label.clone(), mark.start, mark.end);
    let all = || gold.iter().chain(&predicted);
    // Alike, and no other shares a character with them.
    let alone = |mark: &&Shown| {
        let near = all().filter(|other| other.start < mark.end && mark.start < other.end);
        near.clone().count() == 2
            && near.clone().all(|other| place(other) == place(mark))
            && near
                .map(|other| &other.whose)
                .collect::<std::collections::BTreeSet<_>>()
                .len()
                == 2
    };
    let both = gold.iter().filter(alone);
    let both = both.map(|mark| shown("both", &mark.label, mark.start, mark.end));
    let apart = all().filter(|mark| !alone(mark)).cloned();
    sorted(both.chain(apart).collect())
}

fn sorted(mut marks: Vec<Shown>) -> Vec<Shown> {
    marks.sort();
    marks
}

fn marks() -> impl Strategy<Value = Vec<Mark>> {
    let label = prop::sample::select(vec!["PER", "B-LOC", "<b>&\"", "שם"]);
    let one = (label, 0..40_usize, 0..12_usize);
    let one = one.prop_map(|(label, start, length)| mark(label, start, start + length));
    prop::collection::vec(one, 0..6)
}

proptest! {
    #[test]
    fn texts_and_marks_come_out_as_they_went_in(
        all in prop::collection::vec((texts(), prop::option::of(marks()), marks()), 1..4)
    ) {
        let all: Vec<MarkedText> = all
            .into_iter()
            .map(|(body, gold, predicted)| text(&body, gold.as_deref(), &predicted))
            .collect();
        let page = page(&all);
        let paragraphs = page.with_class("text");
        prop_assert_eq!(paragraphs.len(), all.len());
        for (paragraph, text) in paragraphs.into_iter().zip(&all) {
            let (read, marks) = read(paragraph);
            prop_assert_eq!(&read, &text.text);
            prop_assert_eq!(marks, expected(text));
        }
    }
}

#[test]
fn each_entity_has_its_label_and_its_score() {
    let scored = Mark {
        score: Some(0.9876),
        ..mark("PER", 0, 3)
    };
    let page = page(&[text(
        "Ana vive en Lima",
        None,
        &[scored, mark("LOC", 12, 16)],
    )]);
    let marks = page.named("mark");
    let told = |node: &&Node| (node.text(), node.attribute("title").unwrap().to_owned());
    let told: Vec<(String, String)> = marks.iter().map(told).collect();
    assert_eq!(
        told,
        [
            ("Ana PER".to_owned(), "PER, score 0.988".to_owned()),
            ("Lima LOC".to_owned(), "LOC".to_owned())
        ]
    );
    assert!(page.with_class("stack").is_empty());
}

#[test]
fn gold_and_predicted_stand_one_under_the_other_where_they_differ() {
    let gold = [mark("PER", 0, 3), mark("ORG", 8, 15)];
    let predicted = [mark("PER", 0, 3), mark("LOC", 11, 15), mark("MISC", 16, 20)];
    let page = page(&[text("Ana, en La Liga ayer", Some(&gold), &predicted)]);
    let (text, marks) = read(page.with_class("text")[0]);
    assert_eq!(text, "Ana, en La Liga ayer");
    assert_eq!(
        marks,
        [
            shown("both", "PER", 0, 3),
            shown("gold", "ORG", 8, 15),
            shown("predicted", "LOC", 11, 15),
            shown("predicted", "MISC", 16, 20),
        ]
    );
    let rows: Vec<Vec<String>> = page
        .with_class("stack")
        .iter()
        .map(|stack| stack.children.iter().map(Node::text).collect())
        .collect();
    assert_eq!(
        rows,
        [
            ["gold La Liga ORG", "predicted La Liga LOC"],
            ["gold ayer", "predicted ayer MISC"]
        ]
    );
}

#[test]
fn a_text_decides_its_own_direction() {
    let hebrew = "דוד בן גוריון נולד בפולין";
    let page = page(&[text(hebrew, Some(&[]), &[mark("PER", 0, 13)])]);
    let paragraph = page.with_class("text")[0];
    assert_eq!(paragraph.attribute("dir"), Some("auto"));
    assert_eq!(paragraph.attribute("lang"), Some(""));
    // What the page adds has a direction of its own, so that its letters do not decide.
    for class in ["label", "side"] {
        let added = paragraph.with_class(class);
        assert!(!added.is_empty());
        assert!(
            added
                .iter()
                .all(|node| node.attribute("dir") == Some("ltr"))
        );
    }
    assert_eq!(read(paragraph).0, hebrew);
}

#[test]
fn emoji_count_as_their_code_points() {
    let page = page(&[text(
        "👩‍👩‍👧 Ana 🇵🇪",
        None,
        &[mark("PER", 6, 9), mark("LOC", 10, 12)],
    )]);
    let texts: Vec<String> = page.named("mark").iter().map(|mark| mark.text()).collect();
    assert_eq!(texts, ["Ana PER", "🇵🇪 LOC"]);
}

#[test]
fn the_character_nul_is_replaced() {
    let page = page(&[text("a\0b", None, &[])]);
    assert_eq!(read(page.with_class("text")[0]).0, "a\u{fffd}b");
}

#[test]
fn types_and_entities_are_counted() {
    let ana = || text("Ana", Some(&[mark("PER", 0, 3)]), &[mark("PER", 0, 3)]);
    let lima = text("Lima", Some(&[mark("LOC", 0, 4)]), &[mark("ORG", 0, 4)]);
    let page = page(&[ana(), lima, ana(), text("", None, &[])]);
    let rows = |node: &Node| -> Vec<Vec<String>> {
        let rows = node.named("tr").into_iter();
        rows.map(|row| row.children.iter().map(Node::text).collect())
            .collect()
    };
    assert_eq!(
        rows(page.named("aside")[0]),
        [
            ["Type", "Predicted", "Gold"],
            ["LOC", "0", "1"],
            ["ORG", "1", "0"],
            ["PER", "2", "2"]
        ]
    );
    assert_eq!(
        rows(page.with_class("entities")[0]),
        [
            ["Text", "Type", "Predicted", "Gold"],
            ["Ana", "PER", "2", "2"],
            ["Lima", "LOC", "0", "1"],
            ["Lima", "ORG", "1", "0"]
        ]
    );
    assert!(page.named("aside")[0].text().contains("4 texts"));
}

#[test]
fn many_entities_are_all_there() {
    let name = |number: usize| format!("Name{number}");
    let all: Vec<MarkedText> = (0..1234)
        .map(|number| text(&name(number), None, &[mark("PER", 0, 9)]))
        .collect();
    let page = page(&all);
    assert_eq!(page.named("summary")[0].text(), "1,134 more");
    let list = page.with_class("entities")[0];
    let names: std::collections::BTreeSet<String> = list
        .named("tr")
        .iter()
        .map(|row| row.children[0].text())
        .collect();
    assert!((0..1234).all(|number| names.contains(&name(number))));
}

/// A writer that others can look into.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn texts_are_written_as_they_come() {
    let out = Shared::default();
    let mut page = TextsPage::new(out.clone(), "t", &[]).unwrap();
    page.write(&text("Ana vive", None, &[mark("PER", 0, 3)]))
        .unwrap();
    let so_far = String::from_utf8(out.0.borrow().clone()).unwrap();
    assert!(so_far.ends_with("vive</p></li>\n"), "{so_far}");
}
