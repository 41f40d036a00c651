//! `serve`: a tagger as an HTTP service.

use std::net::SocketAddr;
use std::panic;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use ner_serve::{Event, Limits, Model, Server, Settings};

use crate::card::model_name;
use crate::hub::HubArguments;
use crate::inference::InferenceArguments;
use crate::interrupt::Interrupted;
use crate::progress::Progress;

/// Find entities over HTTP, with a page to try it.
///
/// Runs until SIGINT or SIGTERM.
///
/// POST /predict takes {"text": "…"} or {"texts": […]}; POST /analyze and /anonymize what Presidio's services take; GET / is a page to try it,
/// /openapi.json says the rest, /metrics has figures for Prometheus. Requests that come while a model is busy go through it together. Texts are
/// neither kept nor logged.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Models: DIR, or NAME[@REVISION] of the hub; `ALIAS=MODEL` where requests should call it something else. The first one serves requests that name
    /// none.
    #[arg(long, required = true, value_name = "MODEL")]
    model: Vec<String>,
    /// Name or address to listen on. Other machines reach only what is not a loopback address: give a token then.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 for any that is free.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// What clients must send as `Authorization: Bearer TOKEN`; all but `/`, `/health` and `/openapi.json` need it then. On the command line, other users
    /// of the machine can read it.
    #[arg(long, env = "NER_CLI_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    inference: InferenceArguments,
    #[command(flatten)]
    hub: HubArguments,
}

/// What a request and a client may cost.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
struct LimitArguments {
    /// Bytes of a request's body; a larger one is answered with status 413.
    #[arg(long, default_value_t = Limits::default().body_bytes)]
    max_body_bytes: usize,
    /// Texts of a request.
    #[arg(long, default_value_t = Limits::default().texts)]
    max_texts: usize,
    /// Characters of a text.
    #[arg(long, default_value_t = Limits::default().text_chars)]
    max_text_chars: usize,
    /// Requests that wait for a model; the next one is answered with status 429.
    #[arg(long, default_value_t = Limits::default().queue)]
    max_queue: usize,
    /// Characters of the texts that go through a model together, about. More serve more texts a second, fewer let a short text wait less.
    #[arg(long, default_value_t = Limits::default().batch_chars)]
    max_batch_chars: usize,
    /// Connections at a time.
    #[arg(long, default_value_t = Limits::default().connections)]
    max_connections: usize,
    /// Seconds that a client has to send a request's head, its body, and to take some of an answer; an idle connection is closed after them.
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().client_time.as_secs())]
    client_timeout: u64,
    /// Seconds that requests in hand have to be answered after SIGINT or SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().end_time.as_secs())]
    end_timeout: u64,
}

impl LimitArguments {
    fn limits(&self) -> Limits {
        Limits {
            body_bytes: self.max_body_bytes,
            texts: self.max_texts,
            text_chars: self.max_text_chars,
            queue: self.max_queue,
            batch_chars: self.max_batch_chars,
            connections: self.max_connections,
            client_time: Duration::from_secs(self.client_timeout),
            end_time: Duration::from_secs(self.end_timeout),
        }
    }
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    panic::set_hook(Box::new(report_panic));
    let models = arguments.models(quiet)?;
    let settings = Settings {
        host: arguments.host.clone(),
        port: arguments.port,
        token: arguments.token.clone().filter(|token| !token.is_empty()),
        limits: arguments.limits.limits(),
    };
    let is_open = settings.token.is_none();
    let server = Server::bind(models, settings, Box::new(move |event| log(event, quiet)))?;
    server.stop_on_signals()?;
    let address = server.address();
    if is_open && !address.ip().is_loopback() {
        warn("no --token: whoever reaches this address is served");
    }
    announce(address);
    match server.run() {
        Ok(()) => Ok(()),
        Err(error @ ner_serve::Error::EndedAtOnce { .. }) => {
            Err(Interrupted(error.to_string()).into())
        }
        Err(error) => Err(error.into()),
    }
}

impl Arguments {
    /// Loads the models.
    fn models(&self, quiet: bool) -> Result<Vec<Model>> {
        let load = |given: &String| {
            let (alias, model) = named(given);
            let dir = self.hub.model(model, quiet);
            let dir: PathBuf = dir.with_context(|| format!("model {}", alias.unwrap_or(model)))?;
            let name = alias.map_or_else(|| name_of(model, &dir), str::to_owned);
            let tagger = self.inference.load(&dir, quiet);
            let tagger = tagger.with_context(|| format!("model {name}"))?;
            Ok(Model::new(name, tagger))
        };
        self.model.iter().map(load).collect()
    }
}

/// The alias of a model, where it has one, and its directory or name. A directory may have `=` in its name.
fn named(given: &str) -> (Option<&str>, &str) {
    match given.split_once('=') {
        Some((alias, model)) if !alias.contains('/') && !Path::new(given).is_dir() => {
            (Some(alias), model)
        }
        _ => (None, given),
    }
}

/// What a model without an alias is called: a directory by its last part, a model of the hub by its name there.
fn name_of(model: &str, dir: &Path) -> String {
    if Path::new(model).is_dir() {
        let whole = dir.canonicalize();
        model_name(whole.as_deref().unwrap_or(dir))
    } else {
        model.to_owned()
    }
}

/// Says where the service is, on stdout: a program that started it reads the line.
fn announce(address: SocketAddr) {
    println!("listening on http://{address}");
}

fn warn(message: &str) {
    eprintln!("warning: {message}");
}

/// Says where a panic was and not what it says, which may be a part of a text.
fn report_panic(panic: &panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    warn(&format!("panic at {}", place.unwrap_or_default()));
}

fn log(event: &Event, quiet: bool) {
    match event {
        Event::ModelFailed { model, reason } => warn(&format!("model {model} failed: {reason}")),
        Event::AcceptFailed { reason } => warn(&format!("no connection accepted: {reason}")),
        Event::Ending { connections } => Progress::new(quiet).say(&format!(
            "ending; connections that are open: {connections}; what they asked is answered first"
        )),
        _ => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_model_may_have_an_alias() {
        for (given, wanted) in [
            ("out", (None, "out")),
            ("es=out", (Some("es"), "out")),
            ("es=USER/NAME@main", (Some("es"), "USER/NAME@main")),
            ("runs/a=1/best", (None, "runs/a=1/best")),
            ("es=runs/a=1", (Some("es"), "runs/a=1")),
        ] {
            assert_eq!(named(given), wanted, "{given}");
        }
    }

    #[test]
    fn a_directory_with_an_equals_sign_is_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("lr=1");
        std::fs::create_dir(&dir).unwrap();
        let given = dir.to_str().unwrap();
        assert_eq!(named(given), (None, given));
        assert_eq!(name_of(given, &dir), "lr=1");
    }
}
