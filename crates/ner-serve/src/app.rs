//! What all requests share, and which route leads where.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, extract::DefaultBodyLimit};
use ner_redact::Recognizers;
use ner_tagger::EntitySpan;
use serde_json::json;

use crate::auth::Token;
use crate::metrics::{self, Metrics};
use crate::page::{self, Page};
use crate::problem::{Problem, json_body};
use crate::queue::{Queue, Refusal};
use crate::settings::Limits;
use crate::{predict, presidio};

const OPENAPI: &str = include_str!("openapi.json");

/// The route of requests that no route takes, in the figures.
const NO_ROUTE: &str = "none";
/// The status of requests whose clients left, in the figures.
const CLIENT_LEFT: u16 = 499;

/// What all requests share.
pub struct App {
    /// The models; the first one serves who names none.
    pub models: Vec<Served>,
    /// The rules that find identifiers.
    pub recognizers: Arc<Recognizers>,
    /// What a request may cost.
    pub limits: Limits,
    /// What clients must show.
    pub token: Option<Token>,
    /// Figures.
    pub metrics: Metrics,
    /// The page at `/`.
    pub page: Page,
}

/// A model that is served.
pub struct Served {
    /// Its name.
    pub name: String,
    /// The types that it finds.
    pub entity_types: Vec<String>,
    /// Requests that wait for it.
    pub queue: Arc<Queue>,
}

impl Drop for Served {
    /// Lets the model's thread end.
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl App {
    /// The model of a name, or the first.
    pub fn model(&self, name: Option<&str>) -> Result<&Served, Problem> {
        let found = match name {
            None => self.models.first(),
            Some(name) => self.models.iter().find(|model| model.name == name),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self
                .models
                .iter()
                .map(|model| model.name.as_str())
                .collect();
            Problem::field(
                "model",
                format!("there is no such model; served are {}", names.join(", ")),
            )
        })
    }

    /// Fails for more texts than a request may have, or a longer one than a text may be. `place` is their field.
    pub fn check_texts(&self, texts: &[String], place: &str) -> Result<(), Problem> {
        let too_large = |message: String| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message);
        let Limits {
            texts: most_texts,
            text_chars: most,
            ..
        } = self.limits;
        if texts.len() > most_texts {
            let message = format!("{} texts are more than {most_texts}", texts.len());
            return Err(too_large(message).at(place));
        }
        let is_too_long = |text: &String| text.len() > most && text.chars().count() > most;
        match texts.iter().position(is_too_long) {
            None => Ok(()),
            Some(number) => {
                let message = format!("the text has more than {most} characters");
                let place = match place {
                    "texts" => format!("texts[{number}]"),
                    place => place.to_owned(),
                };
                Err(too_large(message).at(place))
            }
        }
    }

    /// The entities of each text, once the model has come to them. Who stops waiting withdraws the texts.
    pub async fn tag(
        &self,
        model: &Served,
        texts: Arc<Vec<String>>,
    ) -> Result<Vec<Vec<EntitySpan>>, Problem> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let answer = model.queue.push(texts).map_err(|refusal| match refusal {
            Refusal::Full => Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "as many requests wait as may; try again a little later",
            ),
            Refusal::Closed => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the service ends"),
        })?;
        match answer.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(_)) | Err(_) => Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the model failed on these texts; the service's log says why",
            )),
        }
    }

    /// Which route leads where.
    pub fn router(self: &Arc<Self>) -> Router {
        let guarded = Router::new()
            .route("/predict", post(predict::answer))
            .route("/analyze", post(presidio::analyze))
            .route("/anonymize", post(presidio::anonymize_text))
            .route("/supportedentities", get(presidio::supported_entities))
            .route("/recognizers", get(presidio::recognizers))
            .route("/anonymizers", get(presidio::anonymizers))
            .route("/metrics", get(figures))
            .route_layer(from_fn_with_state(Arc::clone(self), guard));
        Router::new()
            .route("/", get(page::answer))
            .route("/health", get(health))
            .route("/openapi.json", get(openapi))
            .merge(guarded)
            .fallback(no_route)
            .method_not_allowed_fallback(no_method)
            .layer(DefaultBodyLimit::disable()) // bodies are read by `body`
            .layer(from_fn_with_state(Arc::clone(self), count))
            .with_state(Arc::clone(self))
    }
}

/// Lets through who shows the token.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let outcome = match &app.token {
        None => Ok(()),
        Some(token) => token.check(request.headers()),
    };
    match outcome {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Counts a request, whether it is answered or its client leaves before.
async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or(NO_ROUTE, MatchedPath::as_str)
        .to_owned();
    let mut visit = Visit {
        app,
        route,
        status: CLIENT_LEFT,
        started: Instant::now(),
    };
    let response = next.run(request).await;
    visit.status = response.status().as_u16();
    response
}

/// A request that is counted when it ends.
struct Visit {
    app: Arc<App>,
    route: String,
    status: u16,
    started: Instant,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let time: Duration = self.started.elapsed();
        self.app.metrics.answered(&self.route, self.status, time);
    }
}

async fn health(State(app): State<Arc<App>>) -> Response {
    let model = |model: &Served| json!({"name": model.name, "entity_types": model.entity_types});
    let models: Vec<serde_json::Value> = app.models.iter().map(model).collect();
    json_body(&json!({"status": "ok", "models": models})).into_response()
}

async fn figures(State(app): State<Arc<App>>) -> Response {
    (
        [(header::CONTENT_TYPE, metrics::MEDIA_TYPE)],
        app.metrics.text(),
    )
        .into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn no_route() -> Problem {
    let message = "there is no such route; GET /openapi.json lists them";
    Problem::new(StatusCode::NOT_FOUND, message)
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let message = format!("{} takes no {method} request", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
