//! Against a server on this machine that misbehaves to order.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Cursor, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{Downloader, Options, Source};
use crate::log::Log;

const BODY: &[u8] = b"El DA O\nEjido NC B-LOC\n\n";

/// Answers every request with `answer(path, how many requests for this path came before)`, and remembers the paths.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(&str, usize, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::<String>::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let Some(Ok(request)) = lines.next() else {
                    continue;
                };
                lines
                    .take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()))
                    .for_each(drop);
                let path = request.split(' ').nth(1).unwrap().to_owned();
                let before = seen
                    .lock()
                    .unwrap()
                    .iter()
                    .filter(|seen| **seen == path)
                    .count();
                seen.lock().unwrap().push(path.clone());
                answer(&path, before, &mut stream);
            }
        });
        Self { address, requests }
    }

    fn source(&self, path: &str) -> Source {
        Source {
            url: format!("{}{path}", self.address),
            member: None,
        }
    }

    fn member(&self, path: &str, member: &str) -> Source {
        Source {
            member: Some(member.to_owned()),
            ..self.source(path)
        }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    );
    // The client may be gone already, which is its right.
    _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
}

fn options() -> Options {
    Options {
        timeout: Duration::from_secs(5),
        attempts: 3,
        back_off: Duration::from_millis(1),
        https_only: false,
        proxy_from_env: false,
    }
}

fn sha256(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    model_dir::sha256(file.path()).unwrap()
}

/// Fetches what should be `BODY`; the folder and the place of the file come back with the outcome.
fn fetch(sources: &[Source], options: Options) -> (TempDir, PathBuf, anyhow::Result<()>) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("data").join("esp.testb");
    let log = Log::to_stderr();
    let result = Downloader::new(options, &log).fetch(sources, &place, &sha256(BODY));
    (folder, place, result)
}

fn files_beside(place: &Path) -> Vec<String> {
    let entries = fs::read_dir(place.parent().unwrap()).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_good_answer_is_kept() {
    let server = Server::start(|_, _, stream| respond(stream, "200 OK", "", BODY));
    let (_folder, place, result) = fetch(&[server.source("/esp.testb")], options());
    result.unwrap();
    assert_eq!(fs::read(&place).unwrap(), BODY);
    assert_eq!(files_beside(&place), ["esp.testb"]);
}

#[test]
fn a_missing_file_sends_to_the_mirror_at_once() {
    let server = Server::start(|path, _, stream| match path {
        "/gone" => respond(stream, "404 Not Found", "", b"no"),
        _ => respond(stream, "200 OK", "", BODY),
    });
    let (_folder, place, result) = fetch(
        &[server.source("/gone"), server.source("/mirror")],
        options(),
    );
    result.unwrap();
    assert_eq!(fs::read(place).unwrap(), BODY);
    assert_eq!(server.requests(), ["/gone", "/mirror"]);
}

#[test]
fn a_cut_connection_is_tried_again_from_the_start() {
    let server = Server::start(|_, before, stream| match before {
        0 => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BODY.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&BODY[..7]).unwrap();
        }
        _ => respond(stream, "200 OK", "", BODY),
    });
    let (_folder, place, result) = fetch(&[server.source("/esp.testb")], options());
    result.unwrap();
    assert_eq!(fs::read(place).unwrap(), BODY);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_server_fault_is_tried_again_up_to_the_limit() {
    let server = Server::start(|_, _, stream| respond(stream, "503 Service Unavailable", "", b""));
    let (_folder, _, result) = fetch(&[server.source("/busy")], options());
    let error = result.unwrap_err().to_string();
    assert!(
        error.contains("503") && error.contains("3 attempts"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn wrong_content_sends_to_the_mirror_and_is_not_kept() {
    let server = Server::start(|path, _, stream| match path {
        "/stale" => respond(
            stream,
            "200 OK",
            "",
            b"another edition, and a longer one than the file that was asked for",
        ),
        _ => respond(stream, "200 OK", "", BODY),
    });
    let (_folder, place, result) = fetch(
        &[server.source("/stale"), server.source("/mirror")],
        options(),
    );
    result.unwrap();
    assert_eq!(fs::read(place).unwrap(), BODY);
    assert_eq!(server.requests(), ["/stale", "/mirror"]);
}

#[test]
fn a_server_that_stops_in_the_middle_is_left_after_the_timeout() {
    let server = Server::start(|path, _, stream| match path {
        "/slow" => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BODY.len());
            stream.write_all(head.as_bytes()).unwrap();
            // Keeps the connection open, silent, for longer than the client waits.
            let stream = stream.try_clone().unwrap();
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(30));
                drop(stream);
            });
        }
        _ => respond(stream, "200 OK", "", BODY),
    });
    let options = Options {
        timeout: Duration::from_millis(200),
        attempts: 1,
        ..options()
    };
    let start = Instant::now();
    let (_folder, place, result) =
        fetch(&[server.source("/slow"), server.source("/mirror")], options);
    result.unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(fs::read(place).unwrap(), BODY);
}

#[test]
fn redirects_are_followed() {
    let server = Server::start(|path, _, stream| match path {
        "/old" => respond(stream, "302 Found", "location: /new\r\n", b""),
        _ => respond(stream, "200 OK", "", BODY),
    });
    let (_folder, place, result) = fetch(&[server.source("/old")], options());
    result.unwrap();
    assert_eq!(fs::read(place).unwrap(), BODY);
    assert_eq!(server.requests(), ["/old", "/new"]);
}

#[test]
fn where_all_fail_each_source_is_named_with_its_reason_and_nothing_is_left() {
    let server = Server::start(|path, _, stream| match path {
        "/gone" => respond(stream, "404 Not Found", "", b"no"),
        _ => respond(stream, "200 OK", "", b"something else"),
    });
    // A port that was free a moment ago: nobody listens.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let refused = Source {
        url: format!("http://{closed}/esp.testb"),
        member: None,
    };
    let sources = [
        server.source("/gone"),
        server.source("/stale"),
        server.member("/page", "conll2002/esp.testb"),
        refused,
    ];
    let (_folder, place, result) = fetch(&sources, options());
    let error = result.unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines[0], "no source gave the right file; tried:");
    for (line, (source, reason)) in
        lines[1..].iter().zip(
            sources
                .iter()
                .zip(["404", "wrong content", "zip", "refused"]),
        )
    {
        assert!(
            line.contains(&source.to_string()) && line.contains(reason),
            "{line}"
        );
    }
    assert_eq!(lines.len(), 1 + sources.len());
    assert!(files_beside(&place).is_empty());
}

#[test]
fn plain_http_is_refused_by_default() {
    let server = Server::start(|_, _, stream| respond(stream, "200 OK", "", BODY));
    let options = Options {
        proxy_from_env: false,
        ..Options::default()
    };
    let (_folder, _, result) = fetch(&[server.source("/esp.testb")], options);
    assert!(result.unwrap_err().to_string().contains("https"));
    assert!(server.requests().is_empty());
}

#[test]
fn members_of_one_archive_come_from_one_download() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [
        ("conll2002/esp.testa", b"first".as_slice()),
        ("conll2002/esp.testb", BODY),
    ] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    let server = Server::start(move |_, _, stream| respond(stream, "200 OK", "", &zip));

    let folder = tempfile::tempdir().unwrap();
    let log = Log::to_stderr();
    let mut downloader = Downloader::new(options(), &log);
    for (name, bytes) in [("esp.testa", b"first".as_slice()), ("esp.testb", BODY)] {
        let place = folder.path().join(name);
        let source = server.member("/conll2002.zip", &format!("conll2002/{name}"));
        downloader.fetch(&[source], &place, &sha256(bytes)).unwrap();
        assert_eq!(fs::read(place).unwrap(), bytes);
    }
    assert_eq!(server.requests(), ["/conll2002.zip"]);

    let absent = server.member("/conll2002.zip", "conll2002/esp.train");
    let error = downloader
        .fetch(&[absent], &folder.path().join("esp.train"), &sha256(BODY))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no readable member conll2002/esp.train"),
        "{error}"
    );
}
