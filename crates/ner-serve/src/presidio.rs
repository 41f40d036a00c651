//! The routes of Presidio's analyzer and anonymizer, in their shapes.
//! <https://microsoft.github.io/presidio/api-docs/api-docs.html>

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ner_tagger::EntitySpan;
use serde_json::{Value, json};

use crate::anonymize::{Finding, Item, Operator, anonymize};
use crate::app::{App, Served};
use crate::body;
use crate::fields::{Fields, strings, wrong};
use crate::problem::{Problem, json_body};

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

const ANALYZE: &str = "text, language, entities, score_threshold, allow_list, allow_list_match, return_decision_process, correlation_id, trace, \
    context, regex_flags, ad_hoc_recognizers and model";
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

/// The types of a model by Presidio's names.
fn supported(model: &Served) -> BTreeSet<&str> {
    let types = model.entity_types.iter();
    types.map(|name| presidio_name(name)).collect()
}

/// What a client asks of the analyzer.
struct Analysis<'a> {
    texts: Arc<Vec<String>>,
    /// Whether there is one, given as a string.
    is_one: bool,
    model: &'a Served,
    /// Types to find; all where none is given.
    entities: Option<Vec<String>>,
    threshold: f64,
    /// Words that are no findings.
    allowed: Vec<String>,
    explain: bool,
}

pub async fn analyze(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = body::read(body, &headers, &app.limits).await?;
    let analysis = Analysis::read(&body, &app)?;
    drop(body);
    let found = app
        .tag(analysis.model, Arc::clone(&analysis.texts))
        .await?
        .into_iter();
    let mut results: Vec<Value> = found.map(|found| analysis.results(&found)).collect();
    let answer = match results.pop() {
        Some(only) if analysis.is_one => only,
        last => Value::Array(results.into_iter().chain(last).collect()),
    };
    Ok(json_body(&answer).into_response())
}

impl<'a> Analysis<'a> {
    fn read(body: &[u8], app: &'a App) -> Result<Self, Problem> {
        let mut fields = Fields::read(body)?;
        let text = fields.take("text");
        let is_one = matches!(text, Some(Value::String(_)));
        let texts = match fields.needed("text", text)? {
            Value::String(text) => vec![text],
            Value::Array(list) => strings(list, "text")?,
            other => return Err(wrong("text", "a string or a list of strings", &other)),
        };
        let model = app.model(fields.text("model")?.as_deref())?;
        fields.text("language")?;
        let entities = entities(&mut fields, model)?;
        let threshold = fields.score("score_threshold")?.unwrap_or(0.0);
        let allowed = fields.texts("allow_list")?.unwrap_or_default();
        let matching = fields.text("allow_list_match")?;
        if matching.is_some_and(|matching| matching != "exact") && !allowed.is_empty() {
            return Err(Problem::field("allow_list_match", "only exact is served"));
        }
        let rules = fields.list("ad_hoc_recognizers")?;
        if rules.is_some_and(|rules| !rules.is_empty()) {
            let message = "only the model's entities are found here; leave this field out";
            return Err(Problem::field("ad_hoc_recognizers", message));
        }
        let explain = fields.flag("return_decision_process")?.unwrap_or(false);
        // What these say acts on recognizers by rule, or on logs.
        for name in ["context", "correlation_id", "regex_flags", "trace"] {
            fields.take(name);
        }
        fields.end(ANALYZE)?;
        app.check_texts(&texts, "text")?;
        Ok(Self {
            texts: Arc::new(texts),
            is_one,
            model,
            entities,
            threshold,
            allowed,
            explain,
        })
    }

    /// The findings in a text.
    fn results(&self, found: &[EntitySpan]) -> Value {
        let is_wanted = |entity: &&EntitySpan| {
            let name = presidio_name(&entity.entity);
            let wanted = self.entities.as_ref();
            f64::from(entity.score) >= self.threshold
                && wanted.is_none_or(|wanted| wanted.iter().any(|wanted| wanted == name))
                && !self.allowed.contains(&entity.word)
        };
        let result = |entity: &EntitySpan| {
            json!({
                "analysis_explanation": self.explain.then(|| self.explanation(entity)),
                "end": entity.end,
                "entity_type": presidio_name(&entity.entity),
                "recognition_metadata": {"recognizer_identifier": self.model.name, "recognizer_name": self.model.name},
                "score": entity.score,
                "start": entity.start,
            })
        };
        found.iter().filter(is_wanted).map(result).collect()
    }

    fn explanation(&self, entity: &EntitySpan) -> Value {
        let model = &self.model.name;
        json!({
            "recognizer": model,
            "pattern_name": null, "pattern": null, "validation_result": null,
            "original_score": entity.score, "score": entity.score,
            "textual_explanation": format!("Identified as {} by {model}", entity.entity),
            "score_context_improvement": 0, "supportive_context_word": "",
        })
    }
}

/// The types that are asked for. Those that the model does not find are left to others, as long as it finds one.
fn entities(fields: &mut Fields, model: &Served) -> Result<Option<Vec<String>>, Problem> {
    let Some(wanted) = fields.texts("entities")?.filter(|list| !list.is_empty()) else {
        return Ok(None);
    };
    let wanted: Vec<String> = wanted
        .iter()
        .map(|name| presidio_name(name).to_owned())
        .collect();
    let known = supported(model);
    if wanted.iter().any(|name| known.contains(name.as_str())) {
        return Ok(Some(wanted));
    }
    let known: Vec<&str> = known.into_iter().collect();
    Err(Problem::field(
        "entities",
        format!(
            "the model finds none of these; it finds {}",
            known.join(", ")
        ),
    ))
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
        "redact" => (Operator::Redact, "type"),
        "keep" => (Operator::Keep, "type"),
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
    Ok(Operator::Replace(with))
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
    Ok(Operator::Mask {
        with,
        characters: usize::try_from(count).unwrap_or(0), // as for the reference, less than none is none
        from_end: fields.needed("from_end", from_end)?,
    })
}

fn hash(fields: &mut Fields) -> Result<Operator, Problem> {
    let long = match fields.text("hash_type")?.as_deref() {
        None | Some("sha256") => false,
        Some("sha512") => true,
        Some(_) => {
            let place = fields.place("hash_type");
            return Err(Problem::field(place, "must be sha256 or sha512"));
        }
    };
    let salt = fields.text("salt")?;
    if salt.as_deref().is_some_and(|salt| !Operator::is_salt(salt)) {
        let place = fields.place("salt");
        return Err(Problem::field(
            place,
            "must have 16 bytes or more; left out, it is random",
        ));
    }
    Ok(Operator::Hash { long, salt })
}

/// `/supportedentities`
pub async fn supported_entities(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let model = app.model(None)?;
    let types: Vec<&str> = supported(model).into_iter().collect();
    Ok(json_body(&json!(types)).into_response())
}

/// `/recognizers`
pub async fn recognizers(State(app): State<Arc<App>>) -> Response {
    let names: Vec<&str> = app.models.iter().map(|model| model.name.as_str()).collect();
    json_body(&json!(names)).into_response()
}

/// `/anonymizers`
pub async fn anonymizers() -> Response {
    json_body(&json!(Operator::NAMES)).into_response()
}
