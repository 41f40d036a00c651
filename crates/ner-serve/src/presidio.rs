//! The routes of Presidio's analyzer and anonymizer, in their shapes.
//! <https://microsoft.github.io/presidio/api-docs/api-docs.html>

mod analyze;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ner_redact::Operator::{Keep, Mask, Redact, Replace, ReplaceWith, SaltedHash};
use ner_redact::{Digest, Masked, Recognizer};
use serde_json::{Value, json};

use crate::anonymize::{Finding, Item, Operator, anonymize};
use crate::app::{App, Served};
use crate::body;
use crate::fields::{Fields, wrong};
use crate::problem::{Problem, json_body};

pub use analyze::analyze;

/// Presidio's names of the types that taggers usually know; other types keep theirs.
const NAMES: [(&str, &str); 12] = [
    ("PER", "PERSON"),
    ("PERSON", "PERSON"),
    ("LOC", "LOCATION"),
    ("GPE", "LOCATION"),
    ("LOCATION", "LOCATION"),
    ("ORG", "ORGANIZATION"),
    ("ORGANIZATION", "ORGANIZATION"),
    ("NORP", "NRP"),
    ("DATE", "DATE_TIME"),
    ("TIME", "DATE_TIME"),
    ("EMAIL", "EMAIL_ADDRESS"),
    ("PHONE", "PHONE_NUMBER"),
];

/// Most bytes of what comes in an entity's place: an answer stays near its request in size.
const LONGEST_VALUE: usize = 1000;
/// Least bytes of a salt.
const SHORTEST_SALT: usize = 16;

const ANONYMIZE: &str = "text, anonymizers and analyzer_results";
const FINDING: &str =
    "start, end, score, entity_type, analysis_explanation and recognition_metadata";

/// The type by Presidio's name.
fn presidio_name(entity_type: &str) -> &str {
    let known = NAMES
        .iter()
        .find(|(ours, _)| entity_type.eq_ignore_ascii_case(ours));
    known.map_or(entity_type, |(_, name)| name)
}

/// The types that a model finds, by Presidio's names.
fn of_model(model: &Served) -> BTreeSet<&str> {
    let types = model.entity_types.iter();
    types.map(|name| presidio_name(name)).collect()
}

/// The types that a model or a rule finds.
fn supported<'a>(app: &'a App, model: &'a Served) -> BTreeSet<&'a str> {
    let mut types = of_model(model);
    types.extend(app.recognizers.entity_types());
    types
}

pub async fn anonymize_text(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = body::read(body, &headers, &app.limits).await?;
    let unprocessable = |message: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message);
    let mut fields = Fields::read(&body)?;
    drop(body);
    let text = fields.text("text")?;
    let text = fields.needed("text", text)?;
    let list = fields.list("analyzer_results")?;
    let list = fields.needed("analyzer_results", list);
    let list = list.map_err(|problem| problem.with_status(StatusCode::UNPROCESSABLE_ENTITY))?;
    let findings = list.into_iter().enumerate().map(finding);
    let findings = findings.collect::<Result<Vec<Finding>, Problem>>()?;
    let operators = operators(&mut fields)?;
    fields.end(ANONYMIZE)?;
    app.check_texts(std::slice::from_ref(&text), "text")?;
    let done = anonymize(&text, findings, &operators).map_err(unprocessable)?;
    let item = |item: Item| {
        json!({
            "start": item.start, "end": item.end, "entity_type": item.entity_type,
            "text": item.text, "operator": item.operator, "score": item.score,
        })
    };
    let items: Vec<Value> = done.items.into_iter().map(item).collect();
    Ok(json_body(&json!({"text": done.text, "items": items})).into_response())
}

fn finding((number, value): (usize, Value)) -> Result<Finding, Problem> {
    let mut fields = Fields::of(value, &format!("analyzer_results[{number}]"))?;
    let (start, end) = (fields.count("start")?, fields.count("end")?);
    let (score, entity_type) = (fields.score("score")?, fields.text("entity_type")?);
    fields.take("analysis_explanation");
    fields.take("recognition_metadata");
    let finding = (|| {
        Ok(Finding {
            start: fields.needed("start", start)?,
            end: fields.needed("end", end)?,
            score: fields.needed("score", score)?,
            entity_type: fields.needed("entity_type", entity_type)?,
        })
    })();
    let unprocessable = |problem: Problem| problem.with_status(StatusCode::UNPROCESSABLE_ENTITY);
    let finding = finding.map_err(unprocessable)?;
    fields.end(FINDING)?;
    Ok(finding)
}

/// What is to be done with each type.
fn operators(fields: &mut Fields) -> Result<BTreeMap<String, Operator>, Problem> {
    let Some(value) = fields.take("anonymizers") else {
        return Ok(BTreeMap::new());
    };
    let anonymizers = Fields::of(value, "anonymizers")?.rest();
    let operator = |(name, _, value): (String, String, Value)| {
        let operator = operator(value);
        let unprocessable =
            |problem: Problem| problem.with_status(StatusCode::UNPROCESSABLE_ENTITY);
        Ok((name, operator.map_err(unprocessable)?))
    };
    anonymizers.map(operator).collect()
}

fn operator(value: Value) -> Result<Operator, Problem> {
    let mut fields = Fields::of(value, "anonymizers.TYPE")?;
    let kind = fields.text("type")?;
    let (operator, known) = match fields.needed("type", kind)?.as_str() {
        "replace" => (replace(&mut fields)?, "type and new_value"),
        "redact" => (Operator::Known(Redact), "type"),
        "keep" => (Operator::Known(Keep), "type"),
        "mask" => (
            mask(&mut fields)?,
            "type, masking_char, chars_to_mask and from_end",
        ),
        "hash" => (hash(&mut fields)?, "type, hash_type and salt"),
        _ => {
            let message = format!("must be one of {}", Operator::NAMES.join(", "));
            return Err(Problem::field(fields.place("type"), message));
        }
    };
    fields.end(known)?;
    Ok(operator)
}

fn replace(fields: &mut Fields) -> Result<Operator, Problem> {
    let with = fields.text("new_value")?;
    if with.as_ref().is_some_and(|with| with.len() > LONGEST_VALUE) {
        let message = format!("must have {LONGEST_VALUE} bytes or less");
        return Err(Problem::field(fields.place("new_value"), message));
    }
    Ok(Operator::Known(
        match with.filter(|with| !with.is_empty()) {
            Some(with) => ReplaceWith(with),
            None => Replace,
        },
    ))
}

fn mask(fields: &mut Fields) -> Result<Operator, Problem> {
    let (with, characters) = (fields.text("masking_char")?, fields.take("chars_to_mask"));
    let from_end = fields.flag("from_end")?;
    let with = fields.needed("masking_char", with)?;
    let mut letters = with.chars();
    let (Some(with), None) = (letters.next(), letters.next()) else {
        let place = fields.place("masking_char");
        return Err(Problem::field(place, "must be one character"));
    };
    let characters = fields.needed("chars_to_mask", characters)?;
    let Some(count) = characters.as_i64() else {
        let place = fields.place("chars_to_mask");
        return Err(wrong(&place, "a whole number", &characters));
    };
    let count = usize::try_from(count).unwrap_or(0); // as for the reference, less than none is none
    let which = match fields.needed("from_end", from_end)? {
        true => Masked::Last(count),
        false => Masked::First(count),
    };
    Ok(Operator::Known(Mask(with, which)))
}

fn hash(fields: &mut Fields) -> Result<Operator, Problem> {
    let digest = match fields.text("hash_type")?.as_deref() {
        None | Some("sha256") => Digest::Sha256,
        Some("sha512") => Digest::Sha512,
        Some(_) => {
            let place = fields.place("hash_type");
            return Err(Problem::field(place, "must be sha256 or sha512"));
        }
    };
    match fields.text("salt")? {
        None => Ok(Operator::Hash(digest)),
        Some(salt) if salt.len() >= SHORTEST_SALT => {
            Ok(Operator::Known(SaltedHash(digest, salt.into_bytes())))
        }
        Some(_) => Err(Problem::field(
            fields.place("salt"),
            format!("must have {SHORTEST_SALT} bytes or more; left out, it is random"),
        )),
    }
}

/// `/supportedentities`
pub async fn supported_entities(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let model = app.model(None)?;
    let types: Vec<&str> = supported(&app, model).into_iter().collect();
    Ok(json_body(&json!(types)).into_response())
}

/// `/recognizers`
pub async fn recognizers(State(app): State<Arc<App>>) -> Response {
    let models = app.models.iter().map(|model| model.name.as_str());
    let rules = app.recognizers.list().iter().map(Recognizer::name);
    let names: Vec<&str> = models.chain(rules).collect();
    json_body(&json!(names)).into_response()
}

/// `/anonymizers`
pub async fn anonymizers() -> Response {
    json_body(&json!(Operator::NAMES)).into_response()
}
