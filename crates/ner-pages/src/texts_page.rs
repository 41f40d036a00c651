//! A page of tagged texts.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use maud::{Markup, html};

use crate::colors::Palette;
use crate::marks::MarkedText;
use crate::page::{Fact, head, header};
use crate::plain::Plain;
use crate::tables::{Cell, Row, Table, thousands};

/// Rows of the list of entities that are open to see.
const SHOWN: usize = 100;

/// A page of texts with their entities marked, written to `W` as the texts come.
///
/// What it remembers is how often each entity came, for the lists at its end; a style sheet puts the types beside the texts.
pub struct TextsPage<W> {
    out: W,
    palette: Palette,
    /// By type, then by text.
    counts: BTreeMap<String, HashMap<String, Count>>,
    texts: usize,
    /// Whether some text has gold entities.
    has_gold: bool,
}

/// How often an entity came.
#[derive(Clone, Copy, Default)]
struct Count {
    predicted: usize,
    gold: usize,
}

impl<W: Write> TextsPage<W> {
    /// Begins a page: its title, and what is to be said of it.
    ///
    /// # Errors
    /// What `out` could not write; of the other functions too.
    pub fn new(mut out: W, title: &str, facts: &[Fact]) -> io::Result<Self> {
        let top = html! {
            (head(title))
            body;
            (header(title, facts))
            nav {
                a href="#types" { "Types" } " "
                a href="#entities" { "Entities by frequency" }
            }
            main.texts;
            section.list aria-labelledby="texts";
            h2 id="texts" { "Texts" }
            ol;
        };
        out.write_all(top.into_string().as_bytes())?;
        Ok(Self {
            out,
            palette: Palette::new(),
            counts: BTreeMap::new(),
            texts: 0,
            has_gold: false,
        })
    }

    /// Writes a text.
    ///
    /// # Errors
    /// As [`TextsPage::new`].
    pub fn write(&mut self, text: &MarkedText) -> io::Result<()> {
        self.texts += 1;
        self.has_gold |= text.gold.is_some();
        let [gold, predicted] = text.words();
        for (mark, words) in gold {
            self.count(&mark.label, words).gold += 1;
        }
        for (mark, words) in predicted {
            self.count(&mark.label, words).predicted += 1;
        }
        let markup = html! {
            li {
                @if text.place.is_none() { span.place { (self.texts) } }
                (marked(text, &mut self.palette))
            }
            "\n"
        };
        self.out.write_all(markup.into_string().as_bytes())
    }

    fn count(&mut self, label: &str, words: &str) -> &mut Count {
        if !self.counts.contains_key(label) {
            self.counts.insert(label.to_owned(), HashMap::new());
        }
        let of_type = self.counts.entry(label.to_owned()).or_default();
        of_type.entry(words.to_owned()).or_default()
    }

    /// Hands on what was written so far.
    ///
    /// # Errors
    /// As [`TextsPage::new`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the page and gives back what it was written to.
    ///
    /// # Errors
    /// As [`TextsPage::new`].
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(b"</ol></section>\n")?;
        let markup = html! { (self.types()) (self.entities()) };
        self.out.write_all(markup.into_string().as_bytes())?;
        self.out.write_all(b"</main></body></html>\n")?;
        Ok(self.out)
    }

    /// Types with their colors and counts.
    fn types(&mut self) -> Markup {
        let mut rows = Vec::new();
        for (label, of_type) in &self.counts {
            let sum = |value: fn(&Count) -> usize| of_type.values().map(value).sum::<usize>();
            let (predicted, gold) = (sum(|count| count.predicted), sum(|count| count.gold));
            rows.push((label, self.palette.class(label), predicted, gold));
        }
        html! {
            aside aria-labelledby="types" {
                h2 id="types" { "Types" }
                p { (thousands(self.texts)) @if self.texts == 1 { " text" } @else { " texts" } }
                @if rows.is_empty() { p { "No entity was found." } } @else {
                    table {
                        thead { tr {
                            th scope="col" { "Type" }
                            th.number scope="col" { "Predicted" }
                            @if self.has_gold { th.number scope="col" { "Gold" } }
                        } }
                        tbody { @for (label, class, predicted, gold) in &rows { tr {
                            th scope="row" { span.sample.(class) { (label) } }
                            td.number { (thousands(*predicted)) }
                            @if self.has_gold { td.number { (thousands(*gold)) } }
                        } } }
                    }
                }
                @if self.has_gold { (key()) }
            }
        }
    }

    /// Entities, the most frequent first.
    fn entities(&self) -> Markup {
        let mut all = Vec::new();
        for (label, of_type) in &self.counts {
            all.extend(of_type.iter().map(|(words, count)| (label, words, *count)));
        }
        all.sort_unstable_by_key(|(label, words, count)| {
            (
                std::cmp::Reverse(count.predicted.max(count.gold)),
                *label,
                *words,
            )
        });
        let (first, rest) = all.split_at(all.len().min(SHOWN));
        html! {
            section.entities aria-labelledby="entities" {
                h2 id="entities" { "Entities by frequency" }
                @if first.is_empty() { p { "None." } } @else { (self.list(first)) }
                @if !rest.is_empty() {
                    details { summary { (thousands(rest.len())) " more" } (self.list(rest)) }
                }
            }
        }
    }

    fn list(&self, entities: &[(&String, &String, Count)]) -> Markup {
        let mut table = Table::new("Entities by frequency", ["Text", "Type", "Predicted"]);
        if self.has_gold {
            table.columns.push("Gold".to_owned());
        }
        table.rows = entities
            .iter()
            .map(|(label, words, count)| {
                let mut cells = vec![Cell::Words((*label).clone()), Cell::count(count.predicted)];
                if self.has_gold {
                    cells.push(Cell::count(count.gold));
                }
                Row {
                    name: (*words).clone(),
                    cells,
                    class: "",
                }
            })
            .collect();
        table.markup()
    }
}

/// A text as a paragraph, with its place before it.
pub fn marked(text: &MarkedText, palette: &mut Palette) -> Markup {
    html! {
        @if let Some(place) = &text.place { div.place { bdi { (Plain(place)) } } }
        // The text's language is not known: `lang` is empty, and its first strong character decides its direction.
        p.text dir="auto" lang="" { (text.markup(palette)) }
    }
}

/// What the lines under the marks mean.
pub fn key() -> Markup {
    html! {
        ul.key {
            li { span.sample { "solid line" } " gold, or gold and predicted alike" }
            li { span.sample.predicted { "dashed line" } " predicted, and not as in gold" }
        }
    }
}
