//! A record whose texts are redacted together.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use ner_redact::{Anonymizer, Operator, Operators, Recognizers, Redacted, RedactedItem, Span};
use serde_json::Value;

use super::MapLine;
use crate::text_records::Record;

/// What texts are redacted by.
pub struct Redactor {
    pub recognizers: Recognizers,
    pub anonymizer: Anonymizer,
    /// Those of the anonymizer.
    pub operators: Operators,
    /// Fields that may hold what was found in others.
    pub ignored: Vec<String>,
}

/// One text of a record.
struct Text {
    /// Its field; none where the record is a line.
    field: Option<String>,
    text: String,
    /// What a model found in it, in bytes.
    entities: Vec<Span>,
}

/// A record and its texts.
pub struct Document {
    record: Record,
    texts: Vec<Text>,
}

/// A record without what was found.
pub struct RedactedDocument {
    pub record: Record,
    texts: Vec<(Option<String>, Redacted)>,
}

impl Document {
    /// Of the fields of a record.
    pub fn new(record: Record, fields: &[String]) -> Result<Self> {
        let text = |field: Option<String>, text: &str| Text {
            field,
            text: text.to_owned(),
            entities: Vec::new(),
        };
        let texts = if record.fields.is_empty() {
            vec![text(None, &record.text)]
        } else {
            let mut texts = Vec::new();
            for field in fields {
                match record.fields.get(field) {
                    Some(Value::String(value)) => texts.push(text(Some(field.clone()), value)),
                    Some(Value::Null) => {}
                    Some(_) => bail!("field `{field}` is no string"),
                    None => bail!("a record has no field `{field}`"),
                }
            }
            texts
        };
        Ok(Self { record, texts })
    }

    /// Its texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| text.text.as_str())
    }

    /// Its texts with their fields, to be changed.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = (Option<&str>, &mut String)> {
        let texts = self.texts.iter_mut();
        texts.map(|text| (text.field.as_deref(), &mut text.text))
    }

    /// Adds what `find` finds in each text.
    pub fn add_entities(&mut self, mut find: impl FnMut(&str) -> Result<Vec<Span>>) -> Result<()> {
        for text in &mut self.texts {
            text.entities = find(&text.text)?;
        }
        Ok(())
    }

    /// The record with its texts as they are now.
    pub fn into_record(self) -> Record {
        let mut record = self.record;
        for text in self.texts {
            put(&mut record, text.field.as_deref(), text.text);
        }
        record
    }

    /// Takes out what was found, wherever it stands in the texts.
    pub fn redact(self, redactor: &Redactor) -> Result<RedactedDocument> {
        let mut spans: Vec<Vec<Span>> = Vec::new();
        for text in &self.texts {
            let mut found = redactor.recognizers.find(&text.text);
            found.extend(text.entities.iter().cloned());
            spans.push(found);
        }
        let found = self.found(&spans, redactor);
        let mut record = self.record;
        let mut texts = Vec::new();
        for (text, mut spans) in self.texts.into_iter().zip(spans) {
            for (entity, (entity_type, score)) in &found {
                spans.extend(places(&text.text, entity).map(|place| {
                    Span::from_model(entity_type, place..place + entity.len(), *score)
                }));
            }
            let redacted = redactor.anonymizer.anonymize(&text.text, &spans)?;
            put(&mut record, text.field.as_deref(), redacted.text.clone());
            texts.push((text.field, redacted));
        }
        check_others(&record, &texts, &found, &redactor.ignored)?;
        Ok(RedactedDocument { record, texts })
    }

    /// What is not to be kept, with its type and the highest score.
    fn found(&self, spans: &[Vec<Span>], redactor: &Redactor) -> BTreeMap<String, (String, f64)> {
        let mut found: BTreeMap<String, (String, f64)> = BTreeMap::new();
        for (text, spans) in self.texts.iter().zip(spans) {
            for span in spans {
                let words = text.text[span.start..span.end].trim();
                let is_kept = *redactor.operators.get(&span.entity_type) == Operator::Keep;
                if is_kept
                    || words
                        .chars()
                        .filter(|letter| letter.is_alphanumeric())
                        .count()
                        < 2
                {
                    continue;
                }
                let known = found.entry(words.to_owned()).or_default();
                if known.0.is_empty() || span.score > known.1 {
                    *known = (span.entity_type.clone(), span.score);
                }
            }
        }
        found
    }
}

impl RedactedDocument {
    /// What stands in the place of what was found, or is kept of it.
    pub fn items(&self) -> impl Iterator<Item = &RedactedItem> {
        self.texts.iter().flat_map(|(_, redacted)| &redacted.items)
    }

    /// The way back of each of its texts.
    pub fn map_lines(&self, record: usize) -> impl Iterator<Item = MapLine> {
        self.texts.iter().map(move |(field, redacted)| MapLine {
            record,
            field: field.clone(),
            map: redacted.map.clone(),
        })
    }
}

/// Puts a text in its place in a record.
fn put(record: &mut Record, field: Option<&str>, text: String) {
    match field {
        None => record.text = text,
        Some(field) => _ = record.fields.insert(field.to_owned(), text.into()),
    }
}

/// Where words stand in a text, as words of their own.
fn places<'a>(text: &'a str, words: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_inside = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    let begins = words.chars().next().is_some_and(char::is_alphanumeric);
    let ends = words.chars().next_back().is_some_and(char::is_alphanumeric);
    text.match_indices(words).filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + words.len()..].chars().next();
        let is_part = (begins && is_inside(before)) || (ends && is_inside(after));
        (!is_part).then_some(at)
    })
}

/// Fails where a field that is not redacted holds what was found in one that is.
fn check_others(
    record: &Record,
    texts: &[(Option<String>, Redacted)],
    found: &BTreeMap<String, (String, f64)>,
    ignored: &[String],
) -> Result<()> {
    for (name, value) in &record.fields {
        let is_redacted = texts.iter().any(|(field, _)| field.as_ref() == Some(name));
        if is_redacted || ignored.contains(name) {
            continue;
        }
        if found.keys().any(|words| holds(value, words)) {
            bail!(
                "field `{name}` holds an entity that was found in another field; redact it too (--text-field), or let it be (--ignore-field)"
            );
        }
    }
    Ok(())
}

/// Whether some text in a value, at any depth, holds these words.
fn holds(value: &Value, words: &str) -> bool {
    match value {
        Value::String(text) => places(text, words).next().is_some(),
        Value::Number(number) => number.to_string() == words,
        Value::Array(values) => values.iter().any(|value| holds(value, words)),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| holds(&Value::from(name.as_str()), words) || holds(value, words)),
        Value::Null | Value::Bool(_) => false,
    }
}
