//! What a browser would make of a page.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::BTreeMap;

use html5gum::{DefaultEmitter, Token, Tokenizer};
use proptest::prelude::*;

/// Elements that have no end tag.
const VOID: [&str; 3] = ["meta", "link", "br"];

/// An element or, where the name is empty, a text.
#[derive(Clone, Debug, Default)]
pub struct Node {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub children: Vec<Node>,
    pub text: String,
}

fn string(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The tree of a page; fails at a tag that is not closed where it should be.
pub fn parse(html: &str) -> Node {
    let mut emitter = DefaultEmitter::<()>::default();
    emitter.naively_switch_states(true);
    let mut open = vec![Node::default()];
    for token in Tokenizer::new_with_emitter(html, emitter) {
        match token.unwrap() {
            Token::StartTag(tag) => {
                let attributes = tag.attributes.iter();
                let node = Node {
                    name: string(&tag.name),
                    attributes: attributes
                        .map(|(name, value)| (string(name), string(&value.value)))
                        .collect(),
                    ..Node::default()
                };
                if VOID.contains(&node.name.as_str()) {
                    open.last_mut().unwrap().children.push(node);
                } else {
                    open.push(node);
                }
            }
            Token::EndTag(tag) => {
                let node = open.pop().unwrap();
                assert_eq!(node.name, string(&tag.name), "wrongly closed");
                open.last_mut().unwrap().children.push(node);
            }
            Token::String(text) => open.last_mut().unwrap().children.push(Node {
                text: string(&text.value),
                ..Node::default()
            }),
            Token::Comment(comment) => panic!("a comment: {comment:?}"),
            Token::Doctype(_) => {}
            // What browsers read all the same: control characters.
            Token::Error(_) => {}
        }
    }
    assert_eq!(open.len(), 1, "{} is not closed", open[1].name);
    open.pop().unwrap()
}

impl Node {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    pub fn has_class(&self, class: &str) -> bool {
        let classes = self.attribute("class").unwrap_or_default();
        classes.split(' ').any(|found| found == class)
    }

    /// This node and all below it.
    pub fn all(&self) -> Vec<&Node> {
        let below = self.children.iter().flat_map(Node::all);
        [self].into_iter().chain(below).collect()
    }

    pub fn named(&self, name: &str) -> Vec<&Node> {
        let mut found = self.all();
        found.retain(|node| node.name == name);
        found
    }

    pub fn with_class(&self, class: &str) -> Vec<&Node> {
        let mut found = self.all();
        found.retain(|node| node.has_class(class));
        found
    }

    /// All text below.
    pub fn text(&self) -> String {
        let texts = self.all().into_iter().map(|node| node.text.as_str());
        texts.collect()
    }
}

/// A mark as the page shows it: whose, label, and place in code points.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    pub whose: String,
    pub label: String,
    pub start: usize,
    pub end: usize,
}

/// A paragraph as its reader takes it: the text, and the marks in it.
pub fn read(paragraph: &Node) -> (String, Vec<Shown>) {
    let (mut text, mut marks) = (String::new(), Vec::new());
    read_into(paragraph, &mut text, &mut marks);
    marks.sort();
    (text, marks)
}

fn read_into(node: &Node, text: &mut String, marks: &mut Vec<Shown>) {
    text.push_str(&node.text);
    let start = text.chars().count();
    if node.has_class("stack") {
        let rows: Vec<String> = node
            .children
            .iter()
            .map(|row| {
                let mut line = text.clone();
                read_into(row, &mut line, marks);
                line
            })
            .collect();
        assert!(rows.iter().all(|row| *row == rows[0]), "{rows:?}");
        text.clone_from(&rows[0]);
        return;
    }
    let children = node.children.iter();
    for child in children.filter(|child| !child.has_class("label") && !child.has_class("side")) {
        read_into(child, text, marks);
    }
    if node.name == "mark" {
        let labels = node.with_class("label");
        let sides = ["gold", "predicted", "both"].into_iter();
        let mut sides = sides.filter(|side| node.has_class(side));
        marks.push(Shown {
            whose: sides.next().unwrap_or_default().to_owned(),
            label: labels[0].text().trim_start().to_owned(),
            start,
            end: text.chars().count(),
        });
    }
}

/// Nothing is fetched, nothing runs, and it can be read without seeing it.
pub fn check_page(page: &Node) {
    let all = page.all();
    for node in &all {
        assert_ne!(node.name, "script");
        for (name, value) in &node.attributes {
            match name.as_str() {
                "href" => assert!(value.starts_with('#') || value == "data:,", "{value}"),
                "style" => assert!(value.starts_with("--share:"), "{value}"),
                _ => assert!(
                    !["src", "srcset", "action", "data", "xlink:href"].contains(&name.as_str())
                        && !name.starts_with("on"),
                    "{name}"
                ),
            }
        }
    }
    let style = page.named("style")[0].text();
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert_eq!(page.named("html")[0].attribute("lang"), Some("en"));
    assert_eq!(page.named("h1").len(), 1);
    let mut level = 0;
    for node in &all {
        if let Some(next) = node.name.strip_prefix('h').and_then(|n| n.parse().ok()) {
            assert!(next <= level + 1, "h{next} after h{level}");
            level = next;
        }
    }
    let mut ids: Vec<&str> = all.iter().filter_map(|node| node.attribute("id")).collect();
    for link in page.named("a") {
        assert!(ids.contains(&&link.attribute("href").unwrap()[1..]));
    }
    for node in &all {
        let labels = node.attribute("aria-labelledby");
        assert!(labels.is_none_or(|id| ids.contains(&id)), "{labels:?}");
    }
    let number = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), number, "an id twice");
    for table in page.named("table") {
        assert!(!table.named("th").is_empty());
        for header in table.named("th") {
            assert!(["col", "row"].contains(&header.attribute("scope").unwrap()));
        }
        let columns = table.named("tr")[0].children.len();
        for row in table.named("tr") {
            assert_eq!(row.children.len(), columns, "{}", row.text());
        }
    }
    for picture in page.named("svg") {
        assert_eq!(picture.attribute("role"), Some("img"));
        assert!(!picture.attribute("aria-label").unwrap().is_empty());
    }
}

/// Texts that do their best to be something else.
pub fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<char>().prop_map(String::from),
        "[a-zñ ]{0,9}",
        "[\u{5d0}-\u{5ea}\u{621}-\u{64a} ]{1,6}",
        prop::sample::select(vec![
            "<script>alert(1)</script>",
            "</p></li><style>",
            "<!--",
            "-->",
            "]]>",
            "&lt;",
            "&amp;amp;",
            "&#0;",
            "\"'`",
            "\r\n",
            "\r",
            "\n\n",
            "\t",
            "👩‍👩‍👧",
            "\u{202e}",
            "e\u{301}",
            "\u{feff}",
            "https://example.org/?a=1&b=2",
        ])
        .prop_map(str::to_owned),
    ];
    let parts = prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat());
    parts.prop_map(|text| text.replace('\0', ""))
}
