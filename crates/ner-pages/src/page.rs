//! What every page has.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::{Deserialize, Serialize};

/// The style of all pages: colors for light and dark, marks of entities by the classes `c0` to `c6`.
pub const STYLE: &str = include_str!("style.css");
/// Nothing is fetched and nothing runs, whatever a text holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A line under a page's title, or a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is, such as `model`.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Fact {
    /// A fact of two texts.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// All that stands before the body's content.
pub fn head(title: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en";
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta http-equiv="Content-Security-Policy" content=(POLICY);
            // Else a browser asks the server for one.
            link rel="icon" href="data:,";
            title { (title) }
            style { (PreEscaped(STYLE)) }
        }
    }
}

/// Title and facts.
pub fn header(title: &str, facts: &[Fact]) -> Markup {
    html! {
        header {
            h1 { bdi { (title) } }
            (fact_list(facts))
        }
    }
}

/// Facts as a list of names and values; nothing where there is none.
pub fn fact_list(facts: &[Fact]) -> Markup {
    html! {
        @if !facts.is_empty() {
            dl.facts {
                @for Fact { name, value } in facts {
                    div { dt { (name) } " " dd { bdi { (value) } } }
                }
            }
        }
    }
}
