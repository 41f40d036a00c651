//! Identifiers out of a text by rule, and back: `redact_text "Escribe a ana@gil.es o llama al 612 345 678."`.
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use std::error::Error;

use ner_redact::{Anonymizer, Operators, Recognizers, Redactor, undo};

fn main() -> Result<(), Box<dyn Error>> {
    let text = std::env::args().nth(1).ok_or("usage: redact_text TEXT")?;
    let redactor = Redactor {
        recognizers: Recognizers::standard(),
        anonymizer: Anonymizer::new(Operators::from_list(&["number"])?, None)?,
    };
    // The entities of a model would be the second argument: `Span::from_model`.
    let redacted = redactor.redact(&text, &[])?;
    println!("{}", redacted.text);
    for item in &redacted.items {
        println!("  {} at {}..{}", item.entity_type, item.start, item.end);
    }
    println!("undone: {}", undo(&redacted.text, &redacted.map)?);
    Ok(())
}
