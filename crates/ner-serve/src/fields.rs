//! The JSON object of a request, taken apart field by field, so that an error says where and never repeats a value.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// Longest name of a field that an error repeats.
const LONGEST_NAME: usize = 40;

/// The fields of an object that have not been taken yet.
pub struct Fields {
    /// Where the object stands, with its point; nothing for a request's own.
    place: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Reads a request's body.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        let value = serde_json::from_slice(body).map_err(|error| {
            // What serde_json says of syntax repeats nothing of the text, and ends with the place.
            let message = error.to_string();
            let place = format!("line {}, column {}", error.line(), error.column());
            let what = message
                .rsplit_once(" at line ")
                .map_or(message.as_str(), |(what, _)| what);
            Problem::field(place, format!("the body is no JSON: {what}"))
        })?;
        Self::of(value, "")
    }

    /// The fields of a value that must be an object.
    pub fn of(value: Value, place: &str) -> Result<Self, Problem> {
        match value {
            Value::Object(map) => Ok(Self {
                place: if place.is_empty() {
                    String::new()
                } else {
                    format!("{place}.")
                },
                map,
            }),
            other if place.is_empty() => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                format!("the body must be an object, and is {}", kind(&other)),
            )),
            other => Err(wrong(place, "an object", &other)),
        }
    }

    /// Where a field stands.
    pub fn place(&self, name: &str) -> String {
        format!("{}{name}", self.place)
    }

    /// A field that is there and not null.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.map.swap_remove(name).filter(|value| !value.is_null())
    }

    /// A string.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(&self.place(name), "a string", &other)),
        }
    }

    /// A list of strings.
    pub fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, Problem> {
        let list = self.list(name)?;
        list.map(|list| strings(list, &self.place(name)))
            .transpose()
    }

    /// A list.
    pub fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(wrong(&self.place(name), "a list", &other)),
        }
    }

    /// A number from 0 to 1.
    pub fn score(&mut self, name: &str) -> Result<Option<f64>, Problem> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let score = value.as_f64().filter(|score| (0.0..=1.0).contains(score));
        match score {
            Some(score) => Ok(Some(score)),
            None => Err(wrong(&self.place(name), "a number from 0 to 1", &value)),
        }
    }

    /// A whole number that is not negative.
    pub fn count(&mut self, name: &str) -> Result<Option<usize>, Problem> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        match count {
            Some(count) => Ok(Some(count)),
            None => Err(wrong(
                &self.place(name),
                "a whole number that is not negative",
                &value,
            )),
        }
    }

    /// True or false.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(&self.place(name), "true or false", &other)),
        }
    }

    /// A field that must be there.
    pub fn needed<T>(&self, name: &str, value: Option<T>) -> Result<T, Problem> {
        value.ok_or_else(|| Problem::field(self.place(name), "this field is missing"))
    }

    /// The fields that are left, with their places.
    pub fn rest(self) -> impl Iterator<Item = (String, String, Value)> {
        let Self { place, map } = self;
        map.into_iter().map(move |(name, value)| {
            let place = format!("{place}{name}");
            (name, place, value)
        })
    }

    /// Fails for a field that was not taken: a misspelt one would do nothing.
    pub fn end(self, known: &str) -> Result<(), Problem> {
        let Some(name) = self.map.keys().next() else {
            return Ok(());
        };
        let looks_like_one =
            |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        let message = format!("there is no such field; known are {known}");
        if name.len() <= LONGEST_NAME && name.chars().all(looks_like_one) {
            Err(Problem::field(self.place(name), message))
        } else {
            Err(Problem::new(StatusCode::BAD_REQUEST, message))
        }
    }
}

/// The strings of the list at `place`.
pub fn strings(list: Vec<Value>, place: &str) -> Result<Vec<String>, Problem> {
    let string = |(number, value)| match value {
        Value::String(text) => Ok(text),
        other => Err(wrong(&format!("{place}[{number}]"), "a string", &other)),
    };
    list.into_iter().enumerate().map(string).collect()
}

/// A value of another kind than it must be.
pub fn wrong(place: &str, wanted: &str, value: &Value) -> Problem {
    Problem::field(
        place,
        format!("must be {wanted}, and is {}", described(wanted, value)),
    )
}

fn described(wanted: &str, value: &Value) -> &'static str {
    match value {
        Value::Number(_) if wanted.contains("number") => "another number",
        value => kind(value),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
