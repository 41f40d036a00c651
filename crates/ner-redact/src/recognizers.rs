//! Recognizers by name, and what they find together.

use std::fmt;

use regex::Regex;

use crate::{
    Error, Result, Span,
    recognize::{Found, card, email, iban, ip, phone, spanish, url},
};

/// A user's own pattern is what the user means: as certain as Presidio's deny lists.
const PATTERN_SCORE: f64 = 1.0;

/// How a recognizer finds.
#[derive(Clone)]
enum Rule {
    Standard(fn(&str) -> Vec<Found>),
    Pattern(Regex, f64),
}

/// Finds identifiers of one type.
#[derive(Clone)]
pub struct Recognizer {
    name: String,
    entity_type: String,
    rule: Rule,
}

impl Recognizer {
    fn standard(name: &str, entity_type: &str, rule: fn(&str) -> Vec<Found>) -> Self {
        Self {
            name: name.to_owned(),
            entity_type: entity_type.to_owned(),
            rule: Rule::Standard(rule),
        }
    }

    /// One that finds what matches a regular expression of the [`regex`] crate's syntax.
    ///
    /// # Errors
    ///
    /// [`Error::Definition`] where the type or the pattern cannot be used, or the score is no number from 0 to 1.
    pub fn from_pattern(entity_type: &str, pattern: &str, score: f64) -> Result<Self> {
        let fail = |reason: String| Error::Definition {
            definition: format!("`{entity_type}`"),
            reason,
        };
        let in_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if entity_type.is_empty() || !entity_type.chars().all(in_name) {
            return Err(fail(
                "a type is made of letters, digits, `_` and `-`".to_owned(),
            ));
        }
        if !(0.0..=1.0).contains(&score) {
            return Err(fail(format!(
                "a score of {score}; give a number from 0 to 1"
            )));
        }
        let regex = Regex::new(pattern).map_err(|error| fail(in_one_line(&error)))?;
        if regex.is_match("") {
            return Err(fail(format!(
                "`{pattern}` matches the empty text, so it says nothing; ask for a character at least"
            )));
        }
        Ok(Self {
            name: format!("{entity_type} pattern"),
            entity_type: entity_type.to_owned(),
            rule: Rule::Pattern(regex, score),
        })
    }

    /// Its name, such as `IbanRecognizer`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type that it finds.
    #[must_use]
    pub fn entity_type(&self) -> &str {
        &self.entity_type
    }

    fn find(&self, text: &str, spans: &mut Vec<Span>) {
        let found = match &self.rule {
            Rule::Standard(rule) => rule(text),
            Rule::Pattern(regex, score) => regex
                .find_iter(text)
                .filter(|found| !found.is_empty())
                .map(|found| Found {
                    range: found.range(),
                    score: *score,
                    checksum: false,
                })
                .collect(),
        };
        spans.extend(found.into_iter().map(|found| Span {
            entity_type: self.entity_type.clone(),
            start: found.range.start,
            end: found.range.end,
            score: found.score,
            checksum: found.checksum,
            recognizer: self.name.clone(),
        }));
    }
}

impl fmt::Debug for Recognizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, entity_type, ..
        } = self;
        write!(f, "{name} ({entity_type})")
    }
}

/// A set of recognizers.
#[derive(Clone, Debug, Default)]
pub struct Recognizers {
    list: Vec<Recognizer>,
}

impl Recognizers {
    /// No recognizer at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The identifiers that have a form of their own, by the names that Presidio gives to type and recognizer.
    #[must_use]
    pub fn standard() -> Self {
        let list = [
            (
                "CreditCardRecognizer",
                "CREDIT_CARD",
                card::find as fn(&str) -> Vec<Found>,
            ),
            ("EmailRecognizer", "EMAIL_ADDRESS", email::find),
            ("EsNieRecognizer", "ES_NIE", spanish::find_nie),
            ("EsNifRecognizer", "ES_NIF", spanish::find_nif),
            ("IbanRecognizer", "IBAN_CODE", iban::find),
            ("IpRecognizer", "IP_ADDRESS", ip::find),
            ("PhoneRecognizer", "PHONE_NUMBER", phone::find),
            ("UrlRecognizer", "URL", url::find),
        ];
        let list =
            list.map(|(name, entity_type, rule)| Recognizer::standard(name, entity_type, rule));
        Self { list: list.into() }
    }

    /// One more recognizer.
    #[must_use]
    pub fn with(mut self, recognizer: Recognizer) -> Self {
        self.list.push(recognizer);
        self
    }

    /// One more for each `TYPE=REGEX` of a list. What they match has a score of 1.
    ///
    /// # Errors
    ///
    /// [`Error::Definition`] with the entry's number, counted from 1, where it has no `=`, or its type or pattern cannot be used.
    pub fn with_patterns<S: AsRef<str>>(mut self, list: &[S]) -> Result<Self> {
        for (number, entry) in (1..).zip(list) {
            let entry = entry.as_ref();
            let (entity_type, pattern) =
                entry.split_once('=').ok_or_else(|| Error::Definition {
                    definition: format!("{number} of the list"),
                    reason: format!(
                        "`{entry}` has no `=`; write TYPE=REGEX, such as `STAFF=E-[0-9]{{6}}`"
                    ),
                })?;
            let recognizer = Recognizer::from_pattern(entity_type, pattern, PATTERN_SCORE);
            self.list
                .push(recognizer.map_err(|error| numbered(error, number))?);
        }
        Ok(self)
    }

    /// All but those of a type.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownEntityType`] where none finds the type: a typing error must not leave a recognizer out of mind.
    pub fn without(mut self, entity_type: &str) -> Result<Self> {
        let known = self.entity_types();
        if !known.contains(&entity_type) {
            return Err(Error::unknown_type(entity_type, &known));
        }
        self.list
            .retain(|recognizer| recognizer.entity_type != entity_type);
        Ok(self)
    }

    /// The recognizers.
    #[must_use]
    pub fn list(&self) -> &[Recognizer] {
        &self.list
    }

    /// The types that are found, in alphabetical order.
    #[must_use]
    pub fn entity_types(&self) -> Vec<&str> {
        let mut types: Vec<&str> = self.list.iter().map(Recognizer::entity_type).collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    /// Every identifier in a text, in order. They can overlap: [`merge`](crate::merge()) settles that.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Span> {
        let mut spans = Vec::new();
        for recognizer in &self.list {
            recognizer.find(text, &mut spans);
        }
        spans.sort_by_key(|span| (span.start, span.end));
        spans
    }
}

/// Why an expression cannot be used: the last line of what the regex crate says, after a drawing of the place.
fn in_one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().next_back().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// The error with the entry's number in front of its name.
fn numbered(error: Error, number: usize) -> Error {
    match error {
        Error::Definition { definition, reason } => Error::Definition {
            definition: format!("{number} of the list, {definition}"),
            reason,
        },
        other => other,
    }
}
