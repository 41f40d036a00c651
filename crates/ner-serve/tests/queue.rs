//! Many clients at once, slow ones and gone ones, and the end.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use common::{Capitals, PATIENCE, PAUSE, Service, gated, read_answer, serve};
use ner_serve::{Error, Event, Limits, TextTagger};
use ner_tagger::EntitySpan;
use serde_json::{Value, json};

const WAITING: &str = r#"ner_queue_requests{model="m"}"#;
const SERVED: &str = r#"ner_http_requests_total{route="/predict",status="200"}"#;
const LEFT: &str = r#"ner_http_requests_total{route="/predict",status="499"}"#;
const VANISHED: &str = r#"ner_vanished_requests_total{model="m"}"#;

/// A time that no test waits for.
const LONG: Duration = Duration::from_secs(3600);

fn text(text: &str) -> Value {
    json!({"text": text})
}

fn words(answer: &common::Answer) -> Vec<String> {
    let found = answer.json()["entities"].clone();
    let words = found.as_array().unwrap().iter();
    words
        .map(|found| found["word"].as_str().unwrap().to_owned())
        .collect()
}

/// A request in the model, so that others wait.
fn occupy(service: &Service, gate: &common::Gate) -> TcpStream {
    let first = service.begin(&text("First"));
    assert_eq!(gate.next(), ["First"]);
    first
}

#[test]
fn what_waits_goes_through_the_model_together() {
    let (tagger, gate) = gated();
    let service = serve(tagger, Limits::default());
    let first = occupy(&service, &gate);
    let names = ["Ana", "Eva", "Leo", "Noa", "Paz"];
    let mut waiting = Vec::new();
    for (number, name) in (1..).zip(names) {
        waiting.push(service.begin(&text(name)));
        service.await_figure(WAITING, f64::from(number));
    }
    gate.pass();
    assert_eq!(gate.next(), names);
    gate.pass();
    assert_eq!(words(&read_answer(first)), ["First"]);
    for (stream, name) in waiting.into_iter().zip(names) {
        assert_eq!(words(&read_answer(stream)), [name]);
    }
    assert_eq!(service.figure(r#"ner_batch_texts_sum{model="m"}"#), 6.0);
    assert_eq!(service.figure(r#"ner_batch_texts_count{model="m"}"#), 2.0);
    assert_eq!(service.figure(r#"ner_texts_total{model="m"}"#), 6.0);
    assert_eq!(service.figure(r#"ner_characters_total{model="m"}"#), 20.0);
    assert_eq!(service.figure(SERVED), 6.0);
    assert_eq!(service.figure(WAITING), 0.0);
}

#[test]
fn a_pass_has_a_bound_and_long_requests_take_turns() {
    let (tagger, gate) = gated();
    let limits = Limits {
        batch_chars: 6,
        ..Limits::default()
    };
    let service = serve(tagger, limits);
    let first = occupy(&service, &gate);
    let long =
        service.begin(&json!({"texts": ["Abc", "Def", "Ghi", "Long beyond the bound", "J"]}));
    service.await_figure(WAITING, 1.0);
    let short = service.begin(&text("Kim"));
    service.await_figure(WAITING, 2.0);
    let mut passes = Vec::new();
    for _ in 0..4 {
        gate.pass();
        passes.push(gate.next());
    }
    // The long request fills a pass and goes to the end; the short one leaves it some room; a text beyond the bound goes alone.
    let wanted = [
        vec!["Abc", "Def"],
        vec!["Kim", "Ghi"],
        vec!["Long beyond the bound"],
        vec!["J"],
    ];
    assert_eq!(passes, wanted);
    gate.pass();
    let words_of_lists: Vec<Value> = read_answer(long).json()["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found[0]["word"].clone())
        .collect();
    assert_eq!(words_of_lists, ["Abc", "Def", "Ghi", "Long", "J"]);
    assert_eq!(words(&read_answer(short)), ["Kim"]);
    assert_eq!(read_answer(first).status, 200);
}

#[test]
fn a_full_queue_is_told_to_come_again() {
    let (tagger, gate) = gated();
    let limits = Limits {
        queue: 2,
        ..Limits::default()
    };
    let service = serve(tagger, limits);
    let mut taken = vec![occupy(&service, &gate)];
    for number in [1.0, 2.0] {
        taken.push(service.begin(&text("Ana")));
        service.await_figure(WAITING, number);
    }
    for _ in 0..3 {
        let refused = service.post("/predict", &text("Eva"));
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (429, Some("1"))
        );
    }
    _ = gate.open();
    for stream in taken {
        assert_eq!(read_answer(stream).status, 200);
    }
    assert_eq!(service.post("/predict", &text("Eva")).status, 200);
}

#[test]
fn the_texts_of_a_client_that_left_are_not_tagged() {
    let (tagger, gate) = gated();
    let limits = Limits {
        queue: 2,
        ..Limits::default()
    };
    let service = serve(tagger, limits);
    let first = occupy(&service, &gate);
    let gone = service.begin(&text("Gone"));
    service.await_figure(WAITING, 1.0);
    drop(gone);
    service.await_figure(LEFT, 1.0);
    let second = service.begin(&text("Ana"));
    service.await_figure(WAITING, 2.0);
    // The queue is full, but for the one that left.
    let third = service.begin(&text("Eva"));
    service.await_figure(VANISHED, 1.0);
    gate.pass();
    assert_eq!(gate.next(), ["Ana", "Eva"]);
    _ = gate.open();
    for stream in [first, second, third] {
        assert_eq!(read_answer(stream).status, 200);
    }
}

#[test]
fn slow_clients_are_left_behind() {
    let limits = Limits {
        client_time: Duration::from_millis(500),
        ..Limits::default()
    };
    let service = serve(Capitals, limits);
    let mut slow_body = service.connect();
    let head = "POST /predict HTTP/1.1\r\nHost: test\r\nContent-Length: 50\r\n\r\n{\"text\"";
    slow_body.write_all(head.as_bytes()).unwrap();
    let mut slow_head = service.connect();
    slow_head.write_all(b"POST /pre").unwrap();
    let mut silent = service.connect();
    assert_eq!(read_answer(slow_body).status, 408);
    for stream in [&mut slow_head, &mut silent] {
        let mut bytes = Vec::new();
        _ = stream.read_to_end(&mut bytes).unwrap();
        assert!(!bytes.starts_with(b"HTTP/1.1 200"));
    }
}

/// Finds a thousand entities in whatever it reads.
struct Many;

impl TextTagger for Many {
    fn tag(&self, texts: &[&str]) -> Result<Vec<Vec<EntitySpan>>, String> {
        let entity = EntitySpan {
            entity: "PER".to_owned(),
            score: 0.5,
            word: "A".repeat(1000),
            start: 0,
            end: 1,
            index: None,
        };
        Ok(texts.iter().map(|_| vec![entity.clone(); 1000]).collect())
    }

    fn entity_types(&self) -> Vec<String> {
        vec!["PER".to_owned()]
    }
}

#[test]
fn who_does_not_read_the_answer_holds_nothing_up() {
    let limits = Limits {
        client_time: Duration::from_millis(300),
        end_time: PATIENCE,
        ..Limits::default()
    };
    let service = serve(Many, limits);
    // Some 30 MB, more than a socket holds.
    let deaf = service.begin(&json!({"texts": vec!["A"; 30]}));
    service.await_figure(SERVED, 1.0);
    assert!(service.end().is_ok());
    drop(deaf);
}

#[test]
fn one_connection_serves_many_requests() {
    let service = serve(Capitals, Limits::default());
    let mut stream = service.connect();
    let body = text("Ana").to_string();
    let request = format!(
        "POST /predict HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let last = request.replace("Host: test\r\n", "Host: test\r\nConnection: close\r\n");
    stream
        .write_all((request.repeat(3) + &last).as_bytes())
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 4);
}

#[test]
fn sixty_four_clients_at_once_have_their_own_answers() {
    let service = serve(Capitals, Limits::default());
    thread::scope(|scope| {
        for client in 0..64 {
            let service = &service;
            scope.spawn(move || {
                for round in 0..10 {
                    let name = format!("Name{client}x{round}");
                    let answer = service.post("/predict", &text(&format!("de {name}")));
                    assert_eq!((answer.status, words(&answer)), (200, vec![name]));
                }
            });
        }
    });
    assert_eq!(service.figure(SERVED), 640.0);
}

#[test]
fn connections_have_a_bound() {
    let limits = Limits {
        connections: 2,
        client_time: LONG,
        ..Limits::default()
    };
    let service = serve(Capitals, limits);
    let idle = service.connect();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(service.post("/predict", &text("Ana")).status, 200));
        }
    });
    drop(idle);
}

/// Waits until the service is about to end; it then listens no more.
fn await_ending(service: &Service) {
    let started = Instant::now();
    while service.events.lock().unwrap().is_empty() {
        assert!(started.elapsed() < PATIENCE);
        thread::sleep(PAUSE);
    }
    assert!(TcpStream::connect(service.address).is_err());
}

#[test]
fn what_was_taken_is_answered_before_the_end() {
    let (tagger, gate) = gated();
    let limits = Limits {
        batch_chars: 9,
        client_time: LONG,
        ..Limits::default()
    };
    let mut service = serve(tagger, limits);
    let mut taken = vec![occupy(&service, &gate)];
    for number in 1..=20 {
        taken.push(service.begin(&text("Ana")));
        service.await_figure(WAITING, f64::from(number));
    }
    service.stopper.stop();
    await_ending(&service);
    _ = gate.open();
    for stream in taken {
        let answer = read_answer(stream);
        assert_eq!((answer.status, words(&answer).len()), (200, 1));
    }
    assert!(service.wait().is_ok());
    let events = service.events.lock().unwrap().clone();
    // Those that asked for figures may not be gone yet.
    let is_one = matches!(events[..], [Event::Ending { connections: 21.. }]);
    assert!(is_one, "{events:?}");
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let limits = Limits {
        client_time: LONG,
        end_time: LONG,
        ..Limits::default()
    };
    let service = serve(Capitals, limits);
    let silent = service.connect();
    let mut half = service.connect();
    half.write_all(b"GET / HT").unwrap();
    let mut kept = service.connect();
    kept.write_all(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    let mut byte = [0];
    kept.read_exact(&mut byte).unwrap();
    assert!(service.end().is_ok());
    drop((silent, half, kept));
}

#[test]
fn the_second_request_to_end_is_obeyed_at_once() {
    let (tagger, gate) = gated();
    let limits = Limits {
        end_time: LONG,
        ..Limits::default()
    };
    let mut service = serve(tagger, limits);
    let first = occupy(&service, &gate);
    service.stopper.stop();
    await_ending(&service);
    service.stopper.stop();
    let outcome = service.wait();
    assert!(
        matches!(outcome, Err(Error::EndedAtOnce { connections: 1.. })),
        "{outcome:?}"
    );
    drop((first, gate));
}

#[test]
fn the_end_does_not_wait_forever() {
    let (tagger, gate) = gated();
    let limits = Limits {
        end_time: Duration::from_millis(50),
        ..Limits::default()
    };
    let service = serve(tagger, limits);
    let first = occupy(&service, &gate);
    let outcome = service.end();
    assert!(
        matches!(
            outcome,
            Err(Error::CutOff {
                connections: 1..,
                ..
            })
        ),
        "{outcome:?}"
    );
    drop((first, gate));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let service = serve(Capitals, Limits::default());
    let settings = ner_serve::Settings {
        port: service.address.port(),
        ..ner_serve::Settings::default()
    };
    let models = vec![ner_serve::Model::new("m", Capitals)];
    let error = ner_serve::Server::bind(models, settings, Box::new(|_| {}))
        .err()
        .unwrap();
    assert!(
        error.to_string().contains(&service.address.to_string()),
        "{error}"
    );
}
