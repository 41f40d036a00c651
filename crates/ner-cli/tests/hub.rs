//! Models by name, against a server on this machine that speaks the hub's routes and misbehaves to order.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ner_cli::hub::{FileSet, Hub};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const NAME: &str = "ana/tagger";

/// What the server does with the request for a file.
#[derive(Clone, Debug, Default)]
struct Behaviour {
    /// Status of every answer, in place of the right one.
    status: Option<&'static str>,
    /// How many requests the status is given to; all where `None`.
    only_first: Option<usize>,
    /// How many transfers break off half-way.
    cuts: usize,
    /// Announce another checksum than the content's.
    wrong_checksum: bool,
    /// Announce more bytes than come.
    wrong_size: bool,
    /// Files are on another host, as large ones are on the hub.
    redirect_to: Option<String>,
}

#[derive(Clone, Debug)]
struct Request {
    head: bool,
    path: String,
    range: Option<String>,
    token: Option<String>,
}

struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(files: &[(&'static str, Vec<u8>)], behaviour: Behaviour) -> Self {
        let files: BTreeMap<&'static str, Vec<u8>> = files.iter().cloned().collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else {
                    continue;
                };
                let before = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request.clone());
                    seen.len() - 1
                };
                answer(&files, &behaviour, &request, before, &mut stream);
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next()?.ok()?;
    let mut request = Request {
        head: first.starts_with("HEAD "),
        path: first.split(' ').nth(1)?.to_owned(),
        range: None,
        token: None,
    };
    for line in lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
    {
        let (name, value) = line.split_once(": ")?;
        match name.to_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "authorization" => request.token = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(request)
}

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8], sent: usize) {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    );
    // The client may be gone already, which is its right.
    _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body[..sent]));
}

fn answer(
    files: &BTreeMap<&str, Vec<u8>>,
    behaviour: &Behaviour,
    request: &Request,
    before: usize,
    stream: &mut TcpStream,
) {
    if let Some(status) = behaviour
        .status
        .filter(|_| behaviour.only_first.is_none_or(|n| before < n))
    {
        return respond(stream, status, "", b"", 0);
    }
    if request.path.starts_with("/api/models/") {
        let known = request.path == format!("/api/models/{NAME}/revision/main")
            || request.path == format!("/api/models/{NAME}/revision/{COMMIT}");
        if !known {
            return respond(stream, "404 Not Found", "", b"", 0);
        }
        let siblings: Vec<_> = files
            .keys()
            .map(|name| serde_json::json!({"rfilename": name}))
            .collect();
        let info = serde_json::json!({"sha": COMMIT, "siblings": siblings}).to_string();
        return respond(stream, "200 OK", "", info.as_bytes(), info.len());
    }
    let file = request.path.rsplit('/').next().unwrap();
    let Some(content) = files.get(file) else {
        return respond(stream, "404 Not Found", "", b"", 0);
    };
    let large = file.ends_with(".safetensors") || file.ends_with(".bin");
    let mut etag = if large {
        sha256(content)
    } else {
        git_sha1(content)
    };
    if behaviour.wrong_checksum && large {
        etag = sha256(b"something else");
    }
    let headers =
        format!("x-repo-commit: {COMMIT}\r\nx-linked-etag: \"{etag}\"\r\netag: \"{etag}\"\r\n");
    let headers = if behaviour.wrong_size && large {
        format!("{headers}x-linked-size: {}\r\n", content.len() + 5)
    } else {
        headers
    };
    if let (Some(host), true) = (&behaviour.redirect_to, large) {
        let headers = format!(
            "{headers}location: {host}/cdn/{file}\r\nx-linked-size: {}\r\n",
            content.len()
        );
        return respond(stream, "302 Found", &headers, b"", 0);
    }
    if request.head {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
            content.len()
        );
        _ = stream.write_all(head.as_bytes());
        return;
    }
    let range = request
        .range
        .as_deref()
        .map(|range| range.trim_start_matches("bytes=").trim_end_matches('-'));
    let start: usize = range.map_or(0, |start| start.parse().unwrap());
    let body = &content[start..];
    let cut = large && body.len() > 1 && before < behaviour.cuts;
    let sent = if cut { body.len() / 2 } else { body.len() };
    let status = if range.is_some() {
        "206 Partial Content"
    } else {
        "200 OK"
    };
    respond(stream, status, &headers, body, sent);
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn sha256(content: &[u8]) -> String {
    hex(Sha256::digest(content))
}

fn git_sha1(content: &[u8]) -> String {
    hex(Sha1::new()
        .chain_update(format!("blob {}\0", content.len()))
        .chain_update(content)
        .finalize())
}

fn model() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", b"{\"a\": 1}".to_vec()),
        (
            "model.safetensors",
            (0..200_000u32).map(|i| (i % 251) as u8).collect(),
        ),
        ("pytorch_model.bin", b"the same in another form".to_vec()),
        ("tf_model.h5", b"another framework's".to_vec()),
    ]
}

fn hub(address: &str) -> (TempDir, Hub) {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub {
        cache: cache.path().join("hub"),
        endpoint: address.to_owned(),
        token: None,
        offline: false,
        back_off: Duration::from_millis(1),
    };
    (cache, hub)
}

fn fetch(hub: &Hub, name: &str) -> Result<PathBuf, String> {
    hub.directory(name, FileSet::Model, true)
        .map_err(|error| format!("{error:#}"))
}

#[test]
fn a_model_is_downloaded_once_and_then_taken_from_the_cache() {
    let server = Server::start(&model(), Behaviour::default());
    let (_guard, hub) = hub(&server.address);
    let dir = fetch(&hub, NAME).unwrap();
    assert!(
        dir.ends_with(format!("hub/models--ana--tagger/snapshots/{COMMIT}")),
        "{}",
        dir.display()
    );
    for (name, content) in model() {
        let wanted = !["pytorch_model.bin", "tf_model.h5"].contains(&name);
        assert_eq!(
            fs::read(dir.join(name)).ok(),
            wanted.then_some(content),
            "{name}"
        );
    }
    let reference = hub.cache.join("models--ana--tagger/refs/main");
    assert_eq!(fs::read_to_string(reference).unwrap(), COMMIT);

    // The same branch: only its commit is asked for. The same commit: nothing is.
    let before = server.requests().len();
    assert_eq!(fetch(&hub, NAME).unwrap(), dir);
    assert_eq!(server.requests().len(), before + 1);
    assert_eq!(fetch(&hub, &format!("{NAME}@{COMMIT}")).unwrap(), dir);
    assert_eq!(server.requests().len(), before + 1);

    let offline = Hub {
        offline: true,
        endpoint: "http://127.0.0.1:1".to_owned(),
        ..hub.clone()
    };
    assert_eq!(fetch(&offline, NAME).unwrap(), dir);
    // The hub does not answer: the copy serves.
    let unreachable = Hub {
        offline: false,
        ..offline
    };
    assert_eq!(fetch(&unreachable, NAME).unwrap(), dir);
}

#[test]
fn a_revision_is_asked_for_by_name() {
    let server = Server::start(&model(), Behaviour::default());
    let (_guard, hub) = hub(&server.address);
    assert!(fetch(&hub, &format!("{NAME}@{COMMIT}")).is_ok());
    let message = fetch(&hub, &format!("{NAME}@v2")).unwrap_err();
    assert!(
        message.contains("no such repository or revision (v2)"),
        "{message}"
    );
}

#[test]
fn a_tokenizer_alone_leaves_the_weights_where_they_are() {
    let server = Server::start(&model(), Behaviour::default());
    let (_guard, hub) = hub(&server.address);
    let dir = hub.directory(NAME, FileSet::Tokenizer, true).unwrap();
    assert!(dir.join("tokenizer.json").is_file() && !dir.join("model.safetensors").exists());
    assert!(
        fetch(&hub, NAME)
            .unwrap()
            .join("model.safetensors")
            .is_file()
    );
}

#[test]
fn cut_transfers_are_taken_up_where_they_broke_off() {
    let server = Server::start(
        &model(),
        Behaviour {
            cuts: 8,
            ..Behaviour::default()
        },
    );
    let (_guard, hub) = hub(&server.address);
    let dir = fetch(&hub, NAME).unwrap();
    assert_eq!(
        fs::read(dir.join("model.safetensors")).unwrap(),
        model()[2].1
    );
    let resumed = server
        .requests()
        .into_iter()
        .filter(|request| request.range.is_some());
    assert!(resumed.count() > 1);
}

#[test]
fn a_busy_server_is_asked_again() {
    for status in ["500 Internal Server Error", "503 Service Unavailable"] {
        let server = Server::start(
            &model(),
            Behaviour {
                status: Some(status),
                only_first: Some(2),
                ..Behaviour::default()
            },
        );
        let (_guard, hub) = hub(&server.address);
        assert!(fetch(&hub, NAME).is_ok());
    }
    let server = Server::start(
        &model(),
        Behaviour {
            status: Some("503 Service Unavailable"),
            ..Behaviour::default()
        },
    );
    let (_guard, hub) = hub(&server.address);
    let message = fetch(&hub, NAME).unwrap_err();
    assert!(
        message.contains("503") && message.contains(&server.address),
        "{message}"
    );
}

#[test]
fn what_fails_its_checksum_is_not_kept() {
    let server = Server::start(
        &model(),
        Behaviour {
            wrong_checksum: true,
            ..Behaviour::default()
        },
    );
    let (_guard, hub) = hub(&server.address);
    let message = fetch(&hub, NAME).unwrap_err();
    assert!(
        message.contains("model.safetensors") && message.contains(&sha256(b"something else")),
        "{message}"
    );
    let snapshot = hub
        .cache
        .join(format!("models--ana--tagger/snapshots/{COMMIT}"));
    assert!(
        snapshot.join("config.json").is_file()
            && fs::symlink_metadata(snapshot.join("model.safetensors")).is_err()
    );
    assert!(
        !hub.cache
            .join("models--ana--tagger/blobs")
            .join(sha256(b"something else"))
            .exists()
    );
}

#[test]
fn what_has_another_size_than_announced_is_not_taken() {
    let behaviour = Behaviour {
        wrong_size: true,
        ..Behaviour::default()
    };
    let server = Server::start(&model(), behaviour);
    let (_guard, hub) = hub(&server.address);
    let message = fetch(&hub, NAME).unwrap_err();
    assert!(message.contains("model.safetensors"), "{message}");
    let snapshot = hub
        .cache
        .join(format!("models--ana--tagger/snapshots/{COMMIT}"));
    assert!(fs::symlink_metadata(snapshot.join("model.safetensors")).is_err());
}

#[test]
fn no_access_says_what_to_do() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let server = Server::start(
            &model(),
            Behaviour {
                status: Some(status),
                ..Behaviour::default()
            },
        );
        let (_guard, hub) = hub(&server.address);
        let message = fetch(&hub, NAME).unwrap_err();
        assert!(
            message.contains("HF_TOKEN") && message.contains(NAME),
            "{message}"
        );
        assert_eq!(
            server.requests().len(),
            1,
            "an answer is not asked for again"
        );
    }
}

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let elsewhere = Server::start(&model(), Behaviour::default());
    // Another name of this machine is another host.
    let other = elsewhere.address.replace("127.0.0.1", "localhost");
    let server = Server::start(
        &model(),
        Behaviour {
            redirect_to: Some(other),
            ..Behaviour::default()
        },
    );
    let (_guard, hub) = hub(&server.address);
    let hub = Hub {
        token: Some("secret".to_owned()),
        ..hub
    };
    match fetch(&hub, NAME) {
        Ok(dir) => assert_eq!(
            fs::read(dir.join("model.safetensors")).unwrap(),
            model()[2].1
        ),
        Err(message) => panic!("{message}"),
    }
    let [here, there] = [&server, &elsewhere].map(Server::requests);
    assert!(
        here.iter()
            .all(|request| request.token.as_deref() == Some("Bearer secret")),
        "{here:?}"
    );
    assert!(!there.is_empty());
    let leaked = there
        .iter()
        .filter(|request| request.token.is_some())
        .count();
    assert_eq!(leaked, 0, "{there:?}");
}

#[test]
fn weights_in_several_files_come_with_all_of_them() {
    let index = br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    let mut files = vec![
        ("config.json", b"{}".to_vec()),
        ("vocab.txt", b"[PAD]\n".to_vec()),
        ("model.safetensors.index.json", index.to_vec()),
        ("model-00001-of-00002.safetensors", b"one".to_vec()),
        ("model-00002-of-00002.safetensors", b"two".to_vec()),
    ];
    let server = Server::start(&files, Behaviour::default());
    let (_guard, whole) = hub(&server.address);
    let dir = fetch(&whole, NAME).unwrap();
    assert!(dir.join("model-00002-of-00002.safetensors").is_file());

    files.pop();
    let server = Server::start(&files, Behaviour::default());
    let (_guard, lacking) = hub(&server.address);
    let message = fetch(&lacking, NAME).unwrap_err();
    assert!(
        message.contains("names model-00002-of-00002.safetensors"),
        "{message}"
    );
}

#[test]
fn a_repository_without_a_models_files_is_refused() {
    for (files, expected) in [
        (
            vec![
                ("config.json", b"{}".to_vec()),
                ("tokenizer.json", b"{}".to_vec()),
                ("tf_model.h5", vec![1]),
            ],
            "model.safetensors, model.safetensors.index.json",
        ),
        (
            vec![
                ("config.json", b"{}".to_vec()),
                ("model.safetensors", vec![1, 2]),
            ],
            "lacks a tokenizer",
        ),
    ] {
        let server = Server::start(&files, Behaviour::default());
        let (_guard, hub) = hub(&server.address);
        let message = fetch(&hub, NAME).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn paths_and_nonsense_are_never_asked_for() {
    let server = Server::start(&model(), Behaviour::default());
    let (guard, hub) = hub(&server.address);
    for name in [
        "./model",
        "/absent/model",
        "a/b/c",
        "../b",
        "a b",
        "",
        "ana/tagger@",
        "ana/tagger@../x",
        "ana//tagger",
    ] {
        let message = fetch(&hub, name).unwrap_err();
        assert!(message.contains("no such directory"), "{name}: {message}");
    }
    assert!(server.requests().is_empty());
    let here = guard.path().join("model");
    fs::create_dir(&here).unwrap();
    assert_eq!(fetch(&hub, here.to_str().unwrap()).unwrap(), here);
}

/// What `info` says of a name in a folder with the models `my-model` and `out/best`, and how often the hub was asked.
fn refusal(name: &str, more: &[&str]) -> (String, usize) {
    let server = Server::start(&model(), Behaviour::default());
    let folder = tempfile::tempdir().unwrap();
    for dir in ["my-model", "out/best"] {
        let dir = folder.path().join(dir);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("config.json"), "{}").unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_ner-cli"))
        .args(["info", name])
        .args(more)
        .current_dir(folder.path())
        .env("HF_ENDPOINT", &server.address)
        .env("HF_HUB_CACHE", folder.path().join("cache"))
        .env_remove("HF_HUB_OFFLINE")
        .env_remove("TRANSFORMERS_OFFLINE")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{name}");
    let said = String::from_utf8(output.stderr).unwrap();
    (said, server.requests().len())
}

#[test]
fn a_mistyped_directory_is_answered_with_the_right_one() {
    for (name, expected) in [
        (
            "my-modle",
            "my-modle: no such directory (did you mean my-model?); for a model of this name on the hub write my-modle@main",
        ),
        (
            "otu/best",
            "otu/best: no such directory (did you mean out/best?); for a model of this name on the hub write otu/best@main",
        ),
        (
            "out/bset",
            "out/bset: no such directory, though out is one (did you mean out/best?); for a model of this name on the hub",
        ),
        (
            "./my_model",
            "./my_model: no such directory (did you mean my-model?), and no model's name either",
        ),
        (
            "out/best/config.json",
            "out/best/config.json: is a file, not a directory",
        ),
        // The directory of a run that was stopped.
        (
            "out",
            "out: no model is here; missing are a tokenizer (tokenizer.json, vocab.json with merges.txt, or vocab.txt), config.json, weights (",
        ),
    ] {
        let (said, asked) = refusal(name, &[]);
        assert!(said.starts_with(&format!("error: {expected}")), "{said}");
        assert_eq!(asked, 0, "{name} was asked of the hub");
    }
    let (said, _) = refusal("out", &[]);
    assert!(said.ends_with("; below it there are out/best\n"), "{said}");
}

#[test]
fn what_the_hub_does_not_have_is_first_said_not_to_be_here() {
    for (name, expected) in [
        (
            "roberta-base",
            "roberta-base: no such directory here, and the hub gives no model of this name: roberta-base: no such repository",
        ),
        (
            "best",
            "best: no such directory here (did you mean out/best?), and the hub gives no model of this name: best: no such repository",
        ),
        // With a revision it is no path.
        ("my-modle@main", "my-modle: no such repository or revision"),
    ] {
        let (said, asked) = refusal(name, &[]);
        assert!(said.starts_with(&format!("error: {expected}")), "{said}");
        assert_eq!(asked, 1, "{name}");
    }
    let (said, asked) = refusal("best", &["--offline"]);
    assert!(
        said.starts_with(
            "error: best: no such directory (did you mean out/best?), and not in the cache "
        ),
        "{said}"
    );
    assert_eq!(asked, 0);
}

#[test]
fn an_unreachable_hub_is_said_last() {
    let (_guard, hub) = hub("http://127.0.0.1:1");
    let message = fetch(&hub, NAME).unwrap_err();
    assert!(
        message.starts_with(
            "ana/tagger: no such directory here, and the hub could not be asked for a model of this name: "
        ),
        "{message}"
    );
}

#[test]
fn offline_without_a_copy_names_the_cache() {
    let (_guard, hub) = hub("http://127.0.0.1:1");
    let hub = Hub {
        offline: true,
        ..hub
    };
    let message = fetch(&hub, NAME).unwrap_err();
    assert!(
        message.contains(hub.cache.to_str().unwrap()) && message.contains("--offline"),
        "{message}"
    );
}
