//! The HTTP client, against a server on this machine that misbehaves to order.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ner_cli::http::{Client, Download, Error, Event, Options};

const BODY: &[u8] = b"0123456789";

/// Answers each request with `answer(its range, how many came before)`, and remembers the ranges that were asked for.
struct Server {
    address: String,
    ranges: Arc<Mutex<Vec<Option<String>>>>,
}

impl Server {
    fn start(answer: impl Fn(Option<&str>, usize, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&ranges);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> = lines
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                if head.is_empty() {
                    continue;
                }
                let range = head.iter().find_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("range: bytes=")
                        .map(str::to_owned)
                });
                let before = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(range.clone());
                    seen.len() - 1
                };
                answer(range.as_deref(), before, &mut stream);
            }
        });
        Self { address, ranges }
    }

    fn ranges(&self) -> Vec<Option<String>> {
        self.ranges.lock().unwrap().clone()
    }
}

/// An answer that announces a body and sends as much of it as is given.
fn respond(stream: &mut TcpStream, status: &str, headers: &str, length: usize, sent: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    );
    // The client may be gone already, which is its right.
    _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(sent));
}

fn whole(stream: &mut TcpStream) {
    respond(stream, "200 OK", "", BODY.len(), BODY);
}

fn client() -> Client {
    Client::new(Options {
        timeout: Duration::from_secs(5),
        attempts: 3,
        back_off: Duration::from_millis(1),
        https_only: false,
        proxy_from_env: false,
    })
}

/// What comes of a download whose file holds `before`: its content afterwards, the sizes that were told, and how often it was begun again.
fn receive(
    server: &Server,
    before: &[u8],
    size: Option<u64>,
    most_bytes: u64,
) -> (Result<u64, Error>, Vec<u8>, Vec<u64>, usize) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(before).unwrap();
    let (mut sizes, mut retries) = (Vec::new(), 0);
    let download = Download {
        url: &server.address,
        size,
        most_bytes,
    };
    let result = client().receive(download, &mut file, &mut |event| match event {
        Event::Received { done, .. } => sizes.push(done),
        Event::Retrying { .. } => retries += 1,
        _ => {}
    });
    (result, content(file), sizes, retries)
}

fn content(mut file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_may_pass_is_asked_for_again_and_nothing_else() {
    for (status, is_passing) in [
        ("400 Bad Request", false),
        ("401 Unauthorized", false),
        ("404 Not Found", false),
        ("408 Request Timeout", true),
        ("410 Gone", false),
        ("429 Too Many Requests", true),
        ("500 Internal Server Error", true),
        ("503 Service Unavailable", true),
        ("599 Unknown", true),
    ] {
        let server = Server::start(move |_, _, stream| respond(stream, status, "", 0, b""));
        let error = client().text(&server.address, &mut |_| {}).unwrap_err();
        assert_eq!(error.is_passing(), is_passing, "{status}");
        assert_eq!(error.status(), Some(status[..3].parse().unwrap()));
        let attempts = if is_passing { 3 } else { 1 };
        assert_eq!(server.ranges().len(), attempts, "{status}");
        assert_eq!(
            error.to_string().contains("(3 attempts)"),
            is_passing,
            "{error}"
        );
    }
    let server = Server::start(|_, before, stream| match before {
        0 | 1 => respond(stream, "408 Request Timeout", "", 0, b""),
        _ => whole(stream),
    });
    let mut pauses = Vec::new();
    let text = client().text(&server.address, &mut |event| {
        if let Event::Retrying { error, pause } = event {
            assert_eq!(error.status(), Some(408));
            pauses.push(pause);
        }
    });
    assert_eq!(text.unwrap().as_bytes(), BODY);
    assert_eq!(pauses, [1, 2].map(Duration::from_millis));
}

#[test]
fn nobody_listening_may_pass_and_no_address_may_not() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = client()
        .text(&format!("http://{closed}"), &mut |_| {})
        .unwrap_err();
    assert!(error.is_passing() && error.status().is_none(), "{error}");
    // A name without an address (RFC 2606, section 2) is soon given up.
    let error = client()
        .text("http://nobody.invalid", &mut |_| {})
        .unwrap_err();
    let text = error.to_string();
    assert!(
        error.is_passing() && text.contains("(2 attempts)"),
        "{text}"
    );
    let error = client().text("no address", &mut |_| {}).unwrap_err();
    assert!(!error.is_passing(), "{error}");
    let secure = Client::new(Options::default());
    let error = secure.text("http://127.0.0.1:1", &mut |_| {}).unwrap_err();
    assert!(
        !error.is_passing() && error.to_string().contains("https"),
        "{error}"
    );
}

#[test]
fn a_transfer_that_broke_off_is_taken_up_where_it_did() {
    let server = Server::start(|range, before, stream| match (range, before) {
        (None, 0) => respond(stream, "200 OK", "", 10, &BODY[..4]),
        (Some("4-"), 1) => respond(
            stream,
            "206 Partial Content",
            "content-range: bytes 4-9/10\r\n",
            6,
            &BODY[4..7],
        ),
        (Some("7-"), 2) => respond(
            stream,
            "206 Partial Content",
            "content-range: bytes 7-9/10\r\n",
            3,
            &BODY[7..],
        ),
        other => panic!("{other:?}"),
    });
    let (result, found, sizes, retries) = receive(&server, b"", None, 100);
    assert_eq!((result.unwrap(), found.as_slice(), retries), (10, BODY, 2));
    assert!(sizes.is_sorted(), "{sizes:?}");
}

#[test]
fn where_a_server_does_not_go_on_the_whole_comes_again() {
    // It knows no ranges; it gives another part than was asked for; there is nothing after what is there.
    let answers: [fn(Option<&str>, &mut TcpStream); 3] = [
        |_, stream| whole(stream),
        |range, stream| match range {
            Some(_) => respond(
                stream,
                "206 Partial Content",
                "content-range: bytes 2-9/10\r\n",
                8,
                &BODY[2..],
            ),
            None => whole(stream),
        },
        |range, stream| match range {
            Some(_) => respond(stream, "416 Range Not Satisfiable", "", 0, b""),
            None => whole(stream),
        },
    ];
    for answer in answers {
        for size in [None, Some(10)] {
            let server = Server::start(move |range, _, stream| answer(range, stream));
            let (result, found, _, retries) = receive(&server, b"stale", size, 100);
            assert_eq!((result.unwrap(), found.as_slice(), retries), (10, BODY, 0));
            assert_eq!(server.ranges()[0].as_deref(), Some("5-"));
        }
    }
}

#[test]
fn what_is_there_already_is_not_asked_for() {
    let server = Server::start(|_, _, stream| whole(stream));
    let (result, found, ..) = receive(&server, BODY, Some(10), 100);
    assert_eq!((result.unwrap(), found.as_slice()), (10, BODY));
    assert_eq!(server.ranges(), []);
    // More than the file has cannot be a part of it.
    let (result, found, ..) = receive(&server, b"more than ten bytes", Some(10), 100);
    assert_eq!((result.unwrap(), found.as_slice()), (10, BODY));
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn a_file_of_another_size_is_not_taken() {
    let server = Server::start(|range, _, stream| match range {
        Some("10-") => respond(stream, "416 Range Not Satisfiable", "", 0, b""),
        _ => whole(stream),
    });
    let (result, ..) = receive(&server, b"", Some(12), 100);
    let message = result.unwrap_err().to_string();
    assert!(
        message.contains("10 bytes came instead of 12 (3 attempts)"),
        "{message}"
    );
    for (size, most_bytes) in [(Some(7), 100), (None, 7)] {
        let server = Server::start(|_, _, stream| whole(stream));
        let (result, found, ..) = receive(&server, b"", size, most_bytes);
        let error = result.unwrap_err();
        assert!(
            error.to_string().contains("more than 7 bytes came") && !error.is_passing(),
            "{error}"
        );
        assert!(found.len() <= 7);
        assert_eq!(server.ranges().len(), 1);
    }
}

#[test]
fn a_disk_that_is_full_is_not_the_networks_fault() {
    let server = Server::start(|_, _, stream| whole(stream));
    // A file that is open for reading only stands for it.
    let path = tempfile::NamedTempFile::new().unwrap();
    let mut file = File::open(path.path()).unwrap();
    let download = Download {
        url: &server.address,
        size: None,
        most_bytes: 100,
    };
    let error = client()
        .receive(download, &mut file, &mut |_| {})
        .unwrap_err();
    assert!(
        !error.is_passing() && error.to_string().contains("cannot write"),
        "{error}"
    );
    assert_eq!(server.ranges().len(), 1);
}

#[test]
fn redirects_are_returned_to_those_who_ask_for_the_head() {
    let server = Server::start(|_, _, stream| {
        respond(
            stream,
            "302 Found",
            "location: /elsewhere\r\nx-linked-size: 7\r\n",
            0,
            b"",
        );
    });
    let (status, headers) = client().head(&server.address, &mut |_| {}).unwrap();
    assert_eq!(status, 302);
    assert_eq!(headers["location"], "/elsewhere");
    assert_eq!(headers["x-linked-size"], "7");
}
