//! `/analyze`: what a model finds in texts, and what the rules of `ner-redact` do.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ner_redact::{Recognizers, Span, to_code_points};
use ner_tagger::EntitySpan;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{of_model, presidio_name, supported};
use crate::app::{App, Served};
use crate::body;
use crate::fields::{Fields, strings, wrong};
use crate::problem::{Problem, json_body};

const KNOWN: &str = "text, language, entities, score_threshold, allow_list, allow_list_match, return_decision_process, correlation_id, trace, \
    context, regex_flags, ad_hoc_recognizers and model";

/// What a client asks of the analyzer.
struct Analysis<'a> {
    texts: Arc<Vec<String>>,
    /// Whether there is one, given as a string.
    is_one: bool,
    model: &'a Served,
    recognizers: &'a Arc<Recognizers>,
    /// Types to find; all where none is given.
    entities: Option<Vec<String>>,
    threshold: f64,
    /// Words that are no findings.
    allowed: Vec<String>,
    explain: bool,
}

/// Something found, by Presidio's name of its type. Places count code points.
struct Finding {
    entity_type: String,
    start: usize,
    end: usize,
    score: f64,
    recognizer: String,
    /// Whether a checksum holds; none where there is none to hold.
    checksum: Option<bool>,
}

pub async fn analyze(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = body::read(body, &headers, &app.limits).await?;
    let analysis = Analysis::read(&body, &app)?;
    drop(body);
    let by_rule = analysis.by_rule().await?;
    let by_model = analysis.by_model(&app).await?;
    let found = analysis.texts.iter().zip(by_model).zip(by_rule);
    let mut results: Vec<Value> = found
        .map(|((text, by_model), by_rule)| analysis.results(text, &by_model, by_rule))
        .collect();
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
        let entities = entities(&mut fields, app, model)?;
        let threshold = fields.score("score_threshold")?.unwrap_or(0.0);
        let allowed = fields.texts("allow_list")?.unwrap_or_default();
        let matching = fields.text("allow_list_match")?;
        if matching.is_some_and(|matching| matching != "exact") && !allowed.is_empty() {
            return Err(Problem::field("allow_list_match", "only exact is served"));
        }
        let rules = fields.list("ad_hoc_recognizers")?;
        if rules.is_some_and(|rules| !rules.is_empty()) {
            let message =
                "only the recognizers that GET /recognizers lists find here; leave this field out";
            return Err(Problem::field("ad_hoc_recognizers", message));
        }
        let explain = fields.flag("return_decision_process")?.unwrap_or(false);
        // What these say acts on patterns and words around them, or on logs.
        for name in ["context", "correlation_id", "regex_flags", "trace"] {
            fields.take(name);
        }
        fields.end(KNOWN)?;
        app.check_texts(&texts, "text")?;
        Ok(Self {
            texts: Arc::new(texts),
            is_one,
            model,
            recognizers: &app.recognizers,
            entities,
            threshold,
            allowed,
            explain,
        })
    }

    fn wants(&self, entity_type: &str) -> bool {
        let wanted = self.entities.as_ref();
        wanted.is_none_or(|wanted| wanted.iter().any(|wanted| wanted == entity_type))
    }

    /// What the model finds in each text.
    async fn by_model(&self, app: &App) -> Result<Vec<Vec<EntitySpan>>, Problem> {
        if of_model(self.model)
            .into_iter()
            .any(|name| self.wants(name))
        {
            return app.tag(self.model, Arc::clone(&self.texts)).await;
        }
        Ok(vec![Vec::new(); self.texts.len()])
    }

    /// What the rules find in each text, beside those who speak with clients: megabytes take a part of a second.
    async fn by_rule(&self) -> Result<Vec<Vec<Span>>, Problem> {
        let types = self.recognizers.entity_types();
        if !types.into_iter().any(|name| self.wants(name)) {
            return Ok(vec![Vec::new(); self.texts.len()]);
        }
        let (texts, recognizers) = (Arc::clone(&self.texts), Arc::clone(self.recognizers));
        let find = move || {
            let of_text = |text: &String| to_code_points(text, recognizers.find(text));
            texts.iter().map(of_text).collect::<ner_redact::Result<_>>()
        };
        let failed = |message: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, message);
        let found = spawn_blocking(find).await;
        let found = found.map_err(|_| failed("the rules failed on these texts".to_owned()))?;
        found.map_err(|error| failed(error.to_string()))
    }

    /// The findings in a text, in its order.
    fn results(&self, text: &str, by_model: &[EntitySpan], by_rule: Vec<Span>) -> Value {
        let letters: Vec<char> = text.chars().collect();
        let model = &self.model.name;
        let mut found: Vec<Finding> = by_model
            .iter()
            .map(|entity| of_entity(entity, model))
            .collect();
        // Where the model finds a type that a rule finds too, one that holds another says the same.
        let types = self.recognizers.entity_types();
        let both = |known: &&Finding| types.contains(&known.entity_type.as_str());
        let both: Vec<&Finding> = found.iter().filter(both).collect();
        let by_rule = by_rule.into_iter().map(of_span);
        let new = by_rule.filter(|finding| !both.iter().any(|known| known.holds(finding)));
        let new: Vec<Finding> = new.collect();
        found.extend(new);
        found.sort_by_key(|finding| (finding.start, finding.end));
        let is_wanted = |finding: &&Finding| {
            let words = letters.get(finding.start..finding.end).unwrap_or_default();
            finding.score >= self.threshold
                && self.wants(&finding.entity_type)
                && !self.allowed.contains(&String::from_iter(words))
        };
        found
            .iter()
            .filter(is_wanted)
            .map(|finding| self.result(finding))
            .collect()
    }

    fn result(&self, finding: &Finding) -> Value {
        json!({
            "analysis_explanation": self.explain.then(|| finding.explanation()),
            "end": finding.end,
            "entity_type": finding.entity_type,
            "recognition_metadata": {"recognizer_identifier": finding.recognizer, "recognizer_name": finding.recognizer},
            "score": finding.score,
            "start": finding.start,
        })
    }
}

fn of_entity(entity: &EntitySpan, model: &str) -> Finding {
    Finding {
        entity_type: presidio_name(&entity.entity).to_owned(),
        start: entity.start,
        end: entity.end,
        score: entity.score.into(),
        recognizer: model.to_owned(),
        checksum: None,
    }
}

fn of_span(span: Span) -> Finding {
    Finding {
        entity_type: span.entity_type,
        start: span.start,
        end: span.end,
        score: span.score,
        recognizer: span.recognizer,
        checksum: span.checksum.then_some(true),
    }
}

impl Finding {
    /// Whether another of its type lies within it.
    fn holds(&self, other: &Self) -> bool {
        self.entity_type == other.entity_type && self.start <= other.start && other.end <= self.end
    }

    fn explanation(&self) -> Value {
        let Self {
            entity_type,
            recognizer,
            score,
            checksum,
            ..
        } = self;
        json!({
            "recognizer": recognizer,
            "pattern_name": null, "pattern": null, "validation_result": checksum,
            "original_score": score, "score": score,
            "textual_explanation": format!("Identified as {entity_type} by {recognizer}"),
            "score_context_improvement": 0, "supportive_context_word": "",
        })
    }
}

/// The types that are asked for. Those that nothing here finds are left to others, as long as one is found.
fn entities(
    fields: &mut Fields,
    app: &App,
    model: &Served,
) -> Result<Option<Vec<String>>, Problem> {
    let Some(wanted) = fields.texts("entities")?.filter(|list| !list.is_empty()) else {
        return Ok(None);
    };
    let wanted: Vec<String> = wanted
        .iter()
        .map(|name| presidio_name(name).to_owned())
        .collect();
    let known = supported(app, model);
    if wanted.iter().any(|name| known.contains(name.as_str())) {
        return Ok(Some(wanted));
    }
    let known: Vec<&str> = known.into_iter().collect();
    Err(Problem::field(
        "entities",
        format!("none of these is found here, only {}", known.join(", ")),
    ))
}
