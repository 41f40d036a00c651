//! `serve`: the program as a service, with a model that is a table.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "../../ner-tagger/tests/common/table_model.rs"]
mod table_model;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

const TABLE: [(&str, &str); 7] = [
    ("Ana", "B-PER"),
    ("Paz", "I-PER"),
    ("vive", "O"),
    ("en", "O"),
    ("Lima", "B-LOC"),
    ("y", "O"),
    (".", "O"),
];

fn model() -> (TempDir, String) {
    let (folder, path) = table_model::new(&["O", "B-PER", "I-PER", "B-LOC"], &TABLE);
    (folder, path.to_str().unwrap().to_owned())
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ner-cli"));
    command.env_remove("NER_CLI_TOKEN");
    command
}

/// The program while it serves.
struct Service {
    /// Until its end was waited for.
    child: Option<Child>,
    address: String,
    /// What its first line promised, and what it printed after.
    stdout: BufReader<std::process::ChildStdout>,
}

impl Service {
    fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on http://").map(str::trim_end);
        let Some(address) = address.map(str::to_owned) else {
            panic!("{:?}", child.wait_with_output());
        };
        Self {
            child: Some(child),
            address,
            stdout,
        }
    }

    fn of(model: &str) -> Self {
        Self::start(program().args(["serve", "--port", "0", "--model", model]))
    }

    /// Status and body of an answer.
    fn ask(&self, line: &str, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }

    fn predict(&self, body: &Value) -> Value {
        let (status, answer) = self.ask("POST /predict", "", &body.to_string());
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str(&answer).unwrap()
    }

    fn signal(&self, name: &str) {
        let process = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args(["-s", name, &process]).status();
        assert!(status.unwrap().success());
    }

    fn end(mut self, signal: &str) -> Output {
        self.signal(signal);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        self.child.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Service {
    /// A test that fails leaves no program behind.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

#[test]
fn it_finds_what_predict_finds() {
    let (_folder, model) = model();
    let texts = [
        "Ana Paz vive en Lima.",
        "",
        "¿Ana 😀 y Lima?",
        "Lima . Ana Ana Paz",
        "  \n ",
    ];
    let long = "Ana Paz vive en Lima y ".repeat(200);
    let texts: Vec<&str> = texts.into_iter().chain([long.as_str()]).collect();
    for offsets in ["code-points", "bytes", "utf-16"] {
        let flags = [
            "predict",
            "--model",
            &model,
            "--format",
            "jsonl",
            "--min-score",
            "0.2",
            "--offsets",
            offsets,
        ];
        let mut command = program();
        let output = command.args(flags).args(&texts).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["entities"].clone();
        let wanted: Vec<Value> = lines.lines().map(line).collect();
        let found: usize = wanted
            .iter()
            .map(|list| list.as_array().unwrap().len())
            .sum();
        assert!(found > 400, "{found}");
        let service = Service::of(&model);
        let all = service.predict(&json!({"texts": texts, "min_score": 0.2, "offsets": offsets}));
        assert_eq!(all, json!({"model": "model", "entities": wanted}));
        for (text, wanted) in texts.iter().zip(&wanted) {
            let one = service.predict(&json!({"text": text, "min_score": 0.2, "offsets": offsets}));
            assert_eq!(&one["entities"], wanted);
        }
        assert!(service.end("TERM").status.success());
    }
}

#[test]
fn sixty_four_clients_are_served_without_an_error() {
    let (_folder, model) = model();
    let service = Service::of(&model);
    thread::scope(|scope| {
        for client in 0..64 {
            let service = &service;
            scope.spawn(move || {
                for round in 0..5 {
                    let people = (client + round) % 7;
                    let text = "Ana Paz vive en Lima . ".repeat(people);
                    let found = service.predict(&json!({"text": text}));
                    assert_eq!(found["entities"].as_array().unwrap().len(), 2 * people);
                }
            });
        }
    });
    let (_, figures) = service.ask("GET /metrics", "", "");
    let line = "ner_http_requests_total{route=\"/predict\",status=\"200\"} 320\n";
    assert!(figures.contains(line), "{figures}");
    let output = service.end("INT");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("ending;") && !said.contains("Ana"),
        "{said}"
    );
}

#[test]
fn several_models_have_names_of_their_own() {
    let (_folder, model) = model();
    let alias = format!("es={model}");
    let flags = [
        "--quiet", "serve", "--port", "0", "--model", &model, "--model", &alias,
    ];
    let service = Service::start(program().args(flags));
    for (asked, name) in [
        (json!(null), "model"),
        (json!("es"), "es"),
        (json!("model"), "model"),
    ] {
        let found = service.predict(&json!({"text": "Ana", "model": asked}));
        assert_eq!(
            (&found["model"], &found["entities"][0]["word"]),
            (&json!(name), &json!("Ana"))
        );
    }
    let output = service.end("TERM");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn a_token_comes_from_the_environment_and_is_not_shown() {
    let (_folder, model) = model();
    let mut command = program();
    command
        .args(["serve", "--port", "0", "--model", &model])
        .env("NER_CLI_TOKEN", "s3cret");
    let service = Service::start(&mut command);
    let ask = |head: &str| service.ask("POST /predict", head, "{\"text\": \"Ana\"}").0;
    assert_eq!(ask(""), 401);
    assert_eq!(ask("Authorization: Bearer s3cret\r\n"), 200);
    let output = service.end("TERM");
    assert!(!String::from_utf8(output.stderr).unwrap().contains("s3cret"));
    let mut help = program();
    let help = help
        .args(["serve", "--help"])
        .env("NER_CLI_TOKEN", "s3cret")
        .output()
        .unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains("s3cret"));
}

#[test]
fn an_open_service_for_other_machines_is_warned_of() {
    let (_folder, model) = model();
    let said = |flags: &[&str]| {
        let mut command = program();
        let service = Service::start(
            command
                .args(["serve", "--port", "0", "--model", &model])
                .args(flags),
        );
        String::from_utf8(service.end("TERM").stderr).unwrap()
    };
    assert!(said(&["--host", "0.0.0.0"]).contains("no --token"));
    assert!(!said(&["--host", "0.0.0.0", "--token", "x"]).contains("no --token"));
    assert!(!said(&[]).contains("no --token"));
}

#[test]
fn what_cannot_be_served_is_said() {
    let (folder, model) = model();
    let failure = |flags: &[&str]| {
        let output = program()
            .args(["serve", "--port", "0", "--offline"])
            .args(flags)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(
        failure(&["--model", &model, "--model", &model]).contains("two models are called model")
    );
    assert!(
        failure(&["--model", &model, "--host", "no such host"])
            .contains("no such host:0 cannot be listened on")
    );
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let empty = format!("e={}", empty.to_str().unwrap());
    assert!(failure(&["--model", &empty]).contains("model e"));
}
