//! A page with the entities of a text marked, on stdout: `mark_text "Ana vive en Lima" PER:0:3 LOC:12:16 > page.html`.
#![allow(clippy::print_stdout, reason = "an example shows what it makes")]

use std::error::Error;
use std::io::stdout;

use ner_pages::{Fact, Mark, MarkedText, TextsPage};

/// `TYPE:START:END`, in code points.
fn mark(argument: &str) -> Result<Mark, Box<dyn Error>> {
    let parts: Vec<&str> = argument.split(':').collect();
    let [label, start, end] = parts[..] else {
        return Err(format!("{argument}: expected TYPE:START:END").into());
    };
    let (start, end) = (start.parse()?, end.parse()?);
    Ok(Mark {
        label: label.to_owned(),
        start,
        end,
        score: None,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let text = arguments
        .next()
        .ok_or("usage: mark_text TEXT TYPE:START:END...")?;
    let predicted = arguments
        .map(|argument| mark(&argument))
        .collect::<Result<_, _>>()?;
    let mut page = TextsPage::new(
        stdout(),
        "Marked text",
        &[Fact::new("made by", "mark_text")],
    )?;
    page.write(&MarkedText {
        text,
        predicted,
        ..MarkedText::default()
    })?;
    page.finish()?;
    Ok(())
}
