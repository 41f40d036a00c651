//! A service on a port of its own, a client, and taggers that tests hold back.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test target compiles this and uses a part"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ner_serve::{Event, Limits, Model, Server, Settings, Stopper, TextTagger};
use ner_tagger::EntitySpan;
use serde_json::Value;

/// Nothing here takes this long; what does, hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a figure that has not come yet.
pub const PAUSE: Duration = Duration::from_millis(1);

/// Finds words with a capital letter, and fails on some others.
pub struct Capitals;

impl TextTagger for Capitals {
    fn tag(&self, texts: &[&str]) -> Result<Vec<Vec<EntitySpan>>, String> {
        if texts.contains(&"fail") {
            return Err("it was asked to".to_owned());
        }
        assert!(!texts.contains(&"panic"), "it was asked to");
        Ok(texts.iter().map(|text| capitals(text)).collect())
    }

    fn entity_types(&self) -> Vec<String> {
        ["PER", "MISC"].map(str::to_owned).into()
    }
}

/// Words with a capital letter: `PER` with score 0.75, or `MISC` with 0.25 where there is one letter.
fn capitals(text: &str) -> Vec<EntitySpan> {
    let mut found = Vec::new();
    let mut start = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if word.starts_with(char::is_uppercase) {
            let (entity, score) = if length > 1 {
                ("PER", 0.75)
            } else {
                ("MISC", 0.25)
            };
            found.push(EntitySpan {
                entity: entity.to_owned(),
                score,
                word: word.to_owned(),
                start,
                end: start + length,
                index: None,
            });
        }
        start += length + 1;
    }
    found
}

/// As [`Capitals`], but each pass waits until it is let through.
pub struct Gated {
    seen: Sender<Vec<String>>,
    /// Once its other end is gone, all pass.
    go: Mutex<Receiver<()>>,
}

/// The other side of [`Gated`].
pub struct Gate {
    seen: Receiver<Vec<String>>,
    go: Sender<()>,
}

pub fn gated() -> (Gated, Gate) {
    let (seen, of_gate) = channel();
    let (go, of_tagger) = channel();
    let tagger = Gated {
        seen,
        go: Mutex::new(of_tagger),
    };
    (tagger, Gate { seen: of_gate, go })
}

impl TextTagger for Gated {
    fn tag(&self, texts: &[&str]) -> Result<Vec<Vec<EntitySpan>>, String> {
        _ = self
            .seen
            .send(texts.iter().map(|text| (*text).to_owned()).collect());
        _ = self.go.lock().unwrap().recv();
        Capitals.tag(texts)
    }

    fn entity_types(&self) -> Vec<String> {
        Capitals.entity_types()
    }
}

impl Gate {
    /// The texts of the next pass, which then waits.
    pub fn next(&self) -> Vec<String> {
        self.seen.recv_timeout(PATIENCE).unwrap()
    }

    /// Lets one pass through.
    pub fn pass(&self) {
        self.go.send(()).unwrap();
    }

    /// Lets all through, and tells what the passes after this held.
    pub fn open(self) -> Receiver<Vec<String>> {
        self.seen
    }
}

/// A service that runs.
pub struct Service {
    pub address: SocketAddr,
    pub stopper: Stopper,
    pub events: Arc<Mutex<Vec<Event>>>,
    runs: Option<JoinHandle<ner_serve::Result<()>>>,
}

pub fn serve_all(models: Vec<Model>, settings: Settings) -> Service {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let listener = Box::new(move |event: &Event| heard.lock().unwrap().push(event.clone()));
    let settings = Settings {
        port: 0,
        ..settings
    };
    let server = Server::bind(models, settings, listener).unwrap();
    Service {
        address: server.address(),
        stopper: server.stopper(),
        events,
        runs: Some(thread::spawn(|| server.run())),
    }
}

pub fn serve(tagger: impl TextTagger + 'static, limits: Limits) -> Service {
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    serve_all(vec![Model::new("m", tagger)], settings)
}

impl Service {
    /// Ends it; what its run came to.
    pub fn end(mut self) -> ner_serve::Result<()> {
        self.stopper.stop();
        self.wait()
    }

    /// Waits for the end that was asked for.
    pub fn wait(&mut self) -> ner_serve::Result<()> {
        self.runs.take().unwrap().join().unwrap()
    }

    pub fn get(&self, route: &str) -> Answer {
        self.send(&format!("GET {route} HTTP/1.1\r\n"), "", b"")
    }

    pub fn post(&self, route: &str, body: &Value) -> Answer {
        self.post_bytes(route, body.to_string().as_bytes())
    }

    pub fn post_bytes(&self, route: &str, body: &[u8]) -> Answer {
        self.send(&format!("POST {route} HTTP/1.1\r\n"), "", body)
    }

    /// Sends a request with more lines in its head.
    pub fn send(&self, line: &str, head: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(&request(line, head, body)).unwrap();
        read_answer(stream)
    }

    /// Sends a request whose answer is read later.
    pub fn begin(&self, body: &Value) -> TcpStream {
        let mut stream = self.connect();
        let line = "POST /predict HTTP/1.1\r\n";
        let bytes = request(line, "", body.to_string().as_bytes());
        stream.write_all(&bytes).unwrap();
        stream
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A figure of `/metrics`, by its name and labels; 0 where it is not there yet.
    pub fn figure(&self, name: &str) -> f64 {
        let figures = self.get("/metrics").text;
        let value = figures.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// Waits until a figure has a value.
    pub fn await_figure(&self, name: &str, value: f64) {
        let started = Instant::now();
        while self.figure(name) != value {
            assert!(
                started.elapsed() < PATIENCE,
                "{name} is {}",
                self.figure(name)
            );
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stopper.stop();
    }
}

pub fn request(line: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("{line}Host: test\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n");
    [head.as_bytes(), body].concat()
}

/// What a service answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// A line of the head.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Reads an answer to the end of its connection.
pub fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        text: body.to_owned(),
    }
}
