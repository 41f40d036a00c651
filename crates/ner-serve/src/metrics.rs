//! Figures for Prometheus.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the histograms of seconds.
const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Upper bounds of the histogram of texts in a pass.
const TEXTS: [f64; 11] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    model: String,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Figures of a service since it started.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Histograms<Route>,
    models: Models,
}

/// Figures of all models.
struct Models {
    queue: Family<Model, Gauge>,
    texts: Family<Model, Counter>,
    characters: Family<Model, Counter>,
    vanished: Family<Model, Counter>,
    pass_texts: Histograms<Model>,
    pass_seconds: Histograms<Model>,
}

/// Figures of one model.
pub struct ModelMetrics {
    queue: Gauge,
    texts: Counter,
    characters: Counter,
    vanished: Counter,
    pass_texts: Histogram,
    pass_seconds: Histogram,
}

fn histograms<L: Clone + std::hash::Hash + Eq>(new: fn() -> Histogram) -> Histograms<L> {
    Family::new_with_constructor(new)
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

fn texts() -> Histogram {
    Histogram::new(TEXTS)
}

impl Metrics {
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("ner"),
            requests: Family::default(),
            seconds: histograms(seconds),
            models: Models {
                queue: Family::default(),
                texts: Family::default(),
                characters: Family::default(),
                vanished: Family::default(),
                pass_texts: histograms(texts),
                pass_seconds: histograms(seconds),
            },
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let all = &mut self.registry;
        let models = &self.models;
        all.register(
            "http_requests",
            "Requests by route and status; 499 where the client left before its answer",
            self.requests.clone(),
        );
        all.register_with_unit(
            "http_request",
            "Time from a request's head to its answer",
            Unit::Seconds,
            self.seconds.clone(),
        );
        all.register("texts", "Texts tagged", models.texts.clone());
        all.register(
            "characters",
            "Characters of the texts tagged",
            models.characters.clone(),
        );
        all.register(
            "queue_requests",
            "Requests that wait for the model",
            models.queue.clone(),
        );
        all.register(
            "vanished_requests",
            "Requests whose clients left while they waited, which were not tagged to their end",
            models.vanished.clone(),
        );
        all.register(
            "batch_texts",
            "Texts that went through the model together",
            models.pass_texts.clone(),
        );
        all.register_with_unit(
            "batch",
            "Time that texts took together in the model",
            Unit::Seconds,
            models.pass_seconds.clone(),
        );
        self
    }

    /// The figures of a model, which are shown from now on.
    pub fn of_model(&self, name: &str) -> ModelMetrics {
        let model = Model {
            model: name.to_owned(),
        };
        let models = &self.models;
        ModelMetrics {
            queue: models.queue.get_or_create_owned(&model),
            texts: models.texts.get_or_create_owned(&model),
            characters: models.characters.get_or_create_owned(&model),
            vanished: models.vanished.get_or_create_owned(&model),
            pass_texts: models.pass_texts.get_or_create_owned(&model),
            pass_seconds: models.pass_seconds.get_or_create_owned(&model),
        }
    }

    /// Counts a request.
    pub fn answered(&self, route: &str, status: u16, time: Duration) {
        let route = route.to_owned();
        self.requests
            .get_or_create(&Request {
                route: route.clone(),
                status,
            })
            .inc();
        self.seconds
            .get_or_create(&Route { route })
            .observe(time.as_secs_f64());
    }

    /// All figures in the text format of OpenMetrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        _ = encode(&mut text, &self.registry);
        text
    }
}

impl ModelMetrics {
    /// Requests that wait.
    pub fn set_queue(&self, requests: usize) {
        self.queue.set(requests as i64);
    }

    /// Requests that were dropped unanswered.
    pub fn vanished(&self, requests: usize) {
        self.vanished.inc_by(requests as u64);
    }

    /// Texts that have their entities.
    pub fn tagged(&self, texts: usize, characters: usize) {
        self.texts.inc_by(texts as u64);
        self.characters.inc_by(characters as u64);
    }

    /// Texts that went through the model together.
    pub fn passed(&self, texts: usize, time: Duration) {
        self.pass_texts.observe(texts as f64);
        self.pass_seconds.observe(time.as_secs_f64());
    }
}
