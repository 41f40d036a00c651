//! Connections, the threads of the models, and the end of both.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ner_redact::Recognizers;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::app::{App, Served};
use crate::auth::Token;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::page::Page;
use crate::queue::Queue;
use crate::settings::Settings;
use crate::signals;
use crate::tagging::{Event, Listener, Model};

/// Threads that speak with clients. The work is done by those of the models.
const IO_THREADS: usize = 2;
/// Pause after a connection that could not be accepted: it fails where files run out, and would fail again at once.
const PAUSE: Duration = Duration::from_millis(200);

/// How far a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// It answers what it has taken.
    Ending,
    /// It does not even do that.
    EndingAtOnce,
}

/// A service that listens, and serves once it runs.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    workers: Vec<JoinHandle<()>>,
    phase: watch::Sender<Phase>,
    events: Arc<Listener>,
}

/// Ends a service from another thread.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<Phase>);

impl Stopper {
    /// The first call has the service end once it has answered what it took; the second has it end at once.
    pub fn stop(&self) {
        self.0.send_modify(|phase| {
            *phase = match phase {
                Phase::Serving => Phase::Ending,
                Phase::Ending | Phase::EndingAtOnce => Phase::EndingAtOnce,
            }
        });
    }
}

impl Server {
    /// Listens, and starts a thread for each model. `events` hears what the operator should know.
    ///
    /// # Errors
    /// An address that cannot be listened on; no model, or two of one name; a token that no header holds; no threads to be had.
    pub fn bind(models: Vec<Model>, settings: Settings, events: Listener) -> Result<Self> {
        check_names(&models)?;
        let token = settings.token.as_deref().map(Token::new).transpose()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .enable_all()
            .build()
            .map_err(Error::Start)?;
        let (listener, address) = listen(&runtime, &settings)?;
        let metrics = Metrics::new();
        let events = Arc::new(events);
        let mut served = Vec::new();
        let mut workers = Vec::new();
        for model in models {
            let queue = Queue::new(&settings.limits, metrics.of_model(&model.name));
            let queue = Arc::new(queue);
            served.push(Served {
                name: model.name.clone(),
                entity_types: model.tagger.entity_types(),
                queue: Arc::clone(&queue),
            });
            workers.push(start_worker(model, queue, Arc::clone(&events))?);
        }
        let names: Vec<&str> = served.iter().map(|model| model.name.as_str()).collect();
        let page = Page::new(&names, token.is_some(), settings.limits.text_chars);
        Ok(Self {
            runtime,
            listener,
            address,
            app: Arc::new(App {
                models: served,
                recognizers: Arc::new(Recognizers::standard()),
                limits: settings.limits,
                token,
                metrics,
                page,
            }),
            workers,
            phase: watch::channel(Phase::Serving).0,
            events,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.phase.clone())
    }

    /// Has SIGINT and SIGTERM end it, as [`Stopper::stop`] does.
    ///
    /// # Errors
    /// Signals that cannot be listened to.
    pub fn stop_on_signals(&self) -> Result<()> {
        signals::listen(self.runtime.handle(), &self.stopper()).map_err(Error::Start)
    }

    /// Serves until it is stopped, then answers what it has taken.
    ///
    /// # Errors
    /// Connections that were not done in [`crate::Limits::end_time`], or when the end was asked for again.
    pub fn run(self) -> Result<()> {
        let Self {
            runtime,
            listener,
            app,
            workers,
            phase,
            events,
            ..
        } = self;
        let phase = phase.subscribe();
        let outcome = runtime.block_on(serve(listener, &app, phase, &events));
        for model in &app.models {
            model.queue.close();
        }
        // Where clients were cut off, a model may be at work for long: it ends with the program.
        if outcome.is_ok() {
            for worker in workers {
                _ = worker.join();
            }
        }
        runtime.shutdown_background();
        outcome
    }
}

fn check_names(models: &[Model]) -> Result<()> {
    if models.is_empty() {
        return Err(Error::Models("a service needs a model".to_owned()));
    }
    for (number, model) in models.iter().enumerate() {
        if models[..number]
            .iter()
            .any(|other| other.name == model.name)
        {
            return Err(Error::Models(format!(
                "two models are called {}; give them names",
                model.name
            )));
        }
    }
    Ok(())
}

fn listen(runtime: &Runtime, settings: &Settings) -> Result<(TcpListener, SocketAddr)> {
    let listener = || {
        let listener = StdListener::bind((settings.host.as_str(), settings.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let _inside = runtime.enter();
        Ok((TcpListener::from_std(listener)?, address))
    };
    listener().map_err(|source| Error::Listen {
        host: settings.host.clone(),
        port: settings.port,
        source,
    })
}

fn start_worker(model: Model, queue: Arc<Queue>, events: Arc<Listener>) -> Result<JoinHandle<()>> {
    let Model { name, tagger } = model;
    let work = move || {
        queue.work(tagger.as_ref(), |reason| {
            events(&Event::ModelFailed {
                model: name.clone(),
                reason,
            });
        });
    };
    let thread = thread::Builder::new().name("tagger".to_owned());
    thread.spawn(work).map_err(Error::Start)
}

/// Accepts connections until the end, then waits for those that have something to be answered.
async fn serve(
    listener: TcpListener,
    app: &Arc<App>,
    mut phase: watch::Receiver<Phase>,
    events: &Listener,
) -> Result<()> {
    let mut connections = JoinSet::new();
    accept(listener, app, &mut phase, (&mut connections, events)).await;
    while connections.try_join_next().is_some() {}
    events(&Event::Ending {
        connections: connections.len(),
    });
    let waited = app.limits.end_time;
    let all_done = async { while connections.join_next().await.is_some() {} };
    let in_time = tokio::select! {
        done = timeout(waited, all_done) => done.map_err(|_| ()),
        () = reached(&mut phase, Phase::EndingAtOnce) => Err(()),
    };
    if in_time.is_ok() {
        return Ok(());
    }
    let ended_at_once = *phase.borrow() == Phase::EndingAtOnce;
    let connections = connections.len();
    Err(if ended_at_once {
        Error::EndedAtOnce { connections }
    } else {
        Error::CutOff {
            connections,
            waited,
        }
    })
}

/// Accepts connections until the end. Beyond the most that there may be, the next waits for one to end.
async fn accept(
    listener: TcpListener,
    app: &Arc<App>,
    phase: &mut watch::Receiver<Phase>,
    (connections, events): (&mut JoinSet<()>, &Listener),
) {
    let router = app.router();
    let places = Arc::new(Semaphore::new(app.limits.connections.max(1)));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = reached(phase, Phase::Ending) => return,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let router = router.clone();
                let (phase, time) = (phase.clone(), app.limits.client_time);
                connections.spawn(async move {
                    converse(stream, router, phase, time).await;
                    drop(place);
                });
            }
            Err(error) => {
                let reason = error.to_string();
                events(&Event::AcceptFailed { reason });
                sleep(PAUSE).await;
            }
        }
    }
}

/// Waits for a phase, or a later one.
async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // The sender is gone only when the service is.
    _ = phase.wait_for(|phase| *phase >= wanted).await;
}

/// Serves one connection until it ends, or until the service does and all its requests are answered.
async fn converse(
    stream: TcpStream,
    router: Router,
    mut phase: watch::Receiver<Phase>,
    client_time: Duration,
) {
    _ = stream.set_nodelay(true); // without it answers are only slower
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(client_time)); // who does not read its answer
    let routes = TowerToHyperService::new(router);
    let has_begun = AtomicBool::new(false);
    let service = service_fn(|request| {
        has_begun.store(true, Ordering::Relaxed);
        routes.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(client_time);
    let stream = TokioIo::new(Box::pin(stream));
    let mut connection = std::pin::pin!(http.serve_connection(stream, service));
    // An error is one of the client: it left, or sent what is no HTTP.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = reached(&mut phase, Phase::Ending) => {}
    }
    if has_begun.load(Ordering::Relaxed) {
        connection.as_mut().graceful_shutdown();
        _ = connection.await;
    }
}
