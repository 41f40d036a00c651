//! `/predict`: entities as `ner-cli predict --format jsonl` writes them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use ner_tagger::{EntitySpan, MinScores, Offsets};
use serde_json::{Value, json};

use crate::app::{App, Served};
use crate::body;
use crate::fields::{Fields, wrong};
use crate::problem::{Problem, json_body};

const KNOWN: &str = "text, texts, model, min_score and offsets";

/// What a client asks for.
struct Request<'a> {
    texts: Arc<Vec<String>>,
    /// Whether there is one, given as `text`.
    is_one: bool,
    model: &'a Served,
    min_scores: MinScores,
    offsets: Offsets,
}

pub async fn answer(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = body::read(body, &headers, &app.limits).await?;
    let request = Request::read(&body, &app)?;
    drop(body);
    let found = app
        .tag(request.model, Arc::clone(&request.texts))
        .await?
        .into_iter();
    let entities = |(text, found): (&String, Vec<EntitySpan>)| request.entities(text, found);
    let mut entities: Vec<Value> = request.texts.iter().zip(found).map(entities).collect();
    let entities = match entities.pop() {
        Some(only) if request.is_one => only,
        last => Value::Array(entities.into_iter().chain(last).collect()),
    };
    let answer = json!({"model": request.model.name, "entities": entities});
    Ok(json_body(&answer).into_response())
}

impl<'a> Request<'a> {
    fn read(body: &[u8], app: &'a App) -> Result<Self, Problem> {
        let mut fields = Fields::read(body)?;
        let one = fields.text("text")?;
        let several = fields.texts("texts")?;
        let is_one = one.is_some();
        let texts = match (one, several) {
            (Some(text), None) => vec![text],
            (None, Some(texts)) => texts,
            (None, None) => {
                return Err(Problem::field(
                    "text",
                    "give text, a string, or texts, a list of strings",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(Problem::field("texts", "give either text or texts"));
            }
        };
        let model = app.model(fields.text("model")?.as_deref())?;
        let min_scores = min_scores(&mut fields, model)?;
        let offsets = match fields.text("offsets")? {
            None => Offsets::default(),
            Some(name) => name.parse().map_err(|_| {
                Problem::field("offsets", format!("must be one of {}", Offsets::CHOICES))
            })?,
        };
        fields.end(KNOWN)?;
        app.check_texts(&texts, if is_one { "text" } else { "texts" })?;
        Ok(Self {
            texts: Arc::new(texts),
            is_one,
            model,
            min_scores,
            offsets,
        })
    }

    /// The entities of a text as JSON.
    fn entities(&self, text: &str, mut found: Vec<EntitySpan>) -> Value {
        found.retain(|entity| self.min_scores.keeps(&entity.entity, entity.score));
        let found = self.offsets.of(text, &found).into_iter();
        let entity = |entity: EntitySpan| {
            json!({
                "entity_group": entity.entity, "score": entity.score, "word": entity.word,
                "start": entity.start, "end": entity.end,
            })
        };
        found.map(entity).collect()
    }
}

/// A number for all types, or an object with one for each.
fn min_scores(fields: &mut Fields, model: &Served) -> Result<MinScores, Problem> {
    const NAME: &str = "min_score";
    let as_flag = match fields.take(NAME) {
        None => return Ok(MinScores::default()),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Object(types)) => {
            let known = &model.entity_types;
            if !types.keys().all(|name| known.contains(name)) {
                let known = known.join(", ");
                return Err(Problem::field(
                    NAME,
                    format!("a type that the model does not find; it finds {known}"),
                ));
            }
            let part = |(name, score): (String, Value)| format!("{name}={score}");
            let parts: Vec<String> = types.into_iter().map(part).collect();
            if parts.is_empty() {
                return Ok(MinScores::default());
            }
            parts.join(",")
        }
        Some(other) => return Err(wrong(NAME, "a number or an object of numbers", &other)),
    };
    // Its error repeats what it was given.
    as_flag.parse().map_err(|_| {
        Problem::field(
            NAME,
            "must be a number from 0 to 1, or an object of such numbers by type",
        )
    })
}
