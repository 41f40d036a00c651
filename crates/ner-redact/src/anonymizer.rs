//! Spans of a text, replaced.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::{
    Key, Operator, Operators, Recognizers, Replacement, Result, Span, UndoMap,
    merge::merge_with,
    pseudonym::{self, Source, pseudonym},
};

/// What stands in a redacted text in an entity's place, as in a response of Presidio's anonymizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedactedItem {
    /// Its first code point in the redacted text.
    pub start: usize,
    /// One past its last code point; equal to `start` where the entity was removed.
    pub end: usize,
    /// The entity's type.
    pub entity_type: String,
    /// The operator's name.
    pub operator: String,
    /// What was put in.
    pub text: String,
}

/// A redacted text. Serialized it has `text` and `items`, as Presidio's response, and not the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Redacted {
    /// The text without what was found.
    pub text: String,
    /// What was put in, in order of the text.
    pub items: Vec<RedactedItem>,
    /// The way back, to be kept apart.
    #[serde(skip)]
    pub map: UndoMap,
}

/// Replaces spans by operators. It knows nothing of how they were found, and keeps nothing of a document.
#[derive(Clone, Debug)]
pub struct Anonymizer {
    operators: Operators,
    key: Option<Key>,
}

impl Anonymizer {
    /// Operators, and the key that `hash` needs and with which `pseudonym` gives the same names in every document.
    ///
    /// # Errors
    ///
    /// Where `hash` has no key, or an operator's argument is out of bounds.
    pub fn new(operators: Operators, key: Option<Key>) -> Result<Self> {
        operators.check(key.is_some())?;
        Ok(Self { operators, key })
    }

    /// Redacts one document. Spans may overlap: see [`merge()`](crate::merge()). What is to be kept keeps nothing that another span covers.
    ///
    /// # Errors
    ///
    /// Where a span does not fit the text. Nothing is returned then.
    pub fn anonymize(&self, text: &str, spans: &[Span]) -> Result<Redacted> {
        let kept = |span: &Span| matches!(self.operators.get(&span.entity_type), Operator::Keep);
        let spans = merge_with(text, spans.to_vec(), kept)?;
        let mut document = Document::new(self, text, &spans);
        let mut redacted = Output::default();
        let mut from = 0;
        for span in &spans {
            redacted.keep(&text[from..span.start]);
            let original = &text[span.start..span.end];
            redacted.put(span, document.replacement(span, original), original, self);
            from = span.end;
        }
        redacted.keep(&text[from..]);
        Ok(redacted.finish())
    }
}

/// What equal texts of one document share.
struct Document<'a> {
    anonymizer: &'a Anonymizer,
    /// How many texts of a type have been numbered.
    counts: BTreeMap<String, usize>,
    /// What was put in for a type and a text.
    shared: BTreeMap<(String, String), String>,
    words: HashSet<String>,
    pseudonyms: HashSet<String>,
}

impl<'a> Document<'a> {
    fn new(anonymizer: &'a Anonymizer, text: &str, spans: &[Span]) -> Self {
        let originals = spans.iter().map(|span| &text[span.start..span.end]);
        Self {
            anonymizer,
            counts: BTreeMap::new(),
            shared: BTreeMap::new(),
            words: originals.flat_map(pseudonym::words).collect(),
            pseudonyms: HashSet::new(),
        }
    }

    fn replacement(&mut self, span: &Span, original: &str) -> String {
        let Anonymizer { operators, key } = self.anonymizer;
        match (operators.get(&span.entity_type), key) {
            (Operator::Hash(digits), Some(key)) => key.hex(original, *digits),
            (Operator::Number, _) => self.shared(span, original, Self::number),
            (Operator::Pseudonym, _) => self.shared(span, original, Self::pseudonym),
            // `Anonymizer::new` lets no hash without a key through; should it, nothing is shown.
            (operator, _) => {
                let replacement = operator.replacement(&span.entity_type, original);
                replacement.unwrap_or_default()
            }
        }
    }

    /// What was put in for this text before, else a new one.
    fn shared(
        &mut self,
        span: &Span,
        original: &str,
        new: fn(&mut Self, &str, &str) -> String,
    ) -> String {
        let entity = (span.entity_type.clone(), original.to_owned());
        if let Some(known) = self.shared.get(&entity) {
            return known.clone();
        }
        let new = new(self, &span.entity_type, original);
        self.shared.insert(entity, new.clone());
        new
    }

    fn number(&mut self, entity_type: &str, _: &str) -> String {
        let count = self.counts.entry(entity_type.to_owned()).or_default();
        *count += 1;
        format!("<{entity_type}_{count}>")
    }

    fn pseudonym(&mut self, entity_type: &str, original: &str) -> String {
        let source = match &self.anonymizer.key {
            Some(key) => Source::Key(key),
            None => Source::Document {
                ordinal: self.shared.len(),
                words: &self.words,
                given: &self.pseudonyms,
            },
        };
        let name = pseudonym(&source, entity_type, original);
        self.pseudonyms.insert(name.clone());
        name
    }
}

/// A redacted text in the making.
#[derive(Default)]
struct Output {
    text: String,
    code_points: usize,
    items: Vec<RedactedItem>,
    replacements: Vec<Replacement>,
}

impl Output {
    fn keep(&mut self, text: &str) {
        self.text.push_str(text);
        self.code_points += text.chars().count();
    }

    fn put(&mut self, span: &Span, new: String, original: &str, anonymizer: &Anonymizer) {
        let operator = anonymizer.operators.get(&span.entity_type);
        let (byte, start) = (self.text.len(), self.code_points);
        self.keep(&new);
        if !matches!(operator, Operator::Keep) {
            self.replacements.push(Replacement {
                start: byte,
                end: self.text.len(),
                original: original.to_owned(),
            });
        }
        self.items.push(RedactedItem {
            start,
            end: self.code_points,
            entity_type: span.entity_type.clone(),
            operator: operator.name().to_owned(),
            text: new,
        });
    }

    fn finish(self) -> Redacted {
        let map = UndoMap::new(&self.text, self.replacements);
        Redacted {
            text: self.text,
            items: self.items,
            map,
        }
    }
}

/// Recognizers and an anonymizer: a text and a model's entities in, a redacted text out.
#[derive(Clone, Debug)]
pub struct Redactor {
    /// What finds identifiers.
    pub recognizers: Recognizers,
    /// What replaces them.
    pub anonymizer: Anonymizer,
}

impl Redactor {
    /// Redacts one document: its entities, of which offsets are bytes, and the identifiers that the recognizers find.
    ///
    /// # Errors
    ///
    /// Where an entity does not fit the text. Nothing is returned then.
    pub fn redact(&self, text: &str, entities: &[Span]) -> Result<Redacted> {
        let mut spans = self.recognizers.find(text);
        // The caller's first, so that an error counts them as the caller does.
        spans.splice(0..0, entities.iter().cloned());
        self.anonymizer.anonymize(text, &spans)
    }
}
