//! Serves a model on a free port, asks it once as a client would, and stops: `serve_text MODEL_DIR "Ana vive en Lima."`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use ner_serve::{Model, Server, Settings};
use ner_tagger::Tagger;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(text)) = (arguments.next(), arguments.next()) else {
        return Err("usage: serve_text MODEL_DIR TEXT".into());
    };
    let models = vec![Model::new("example", Tagger::from_dir(dir)?)];
    let settings = Settings {
        port: 0,
        ..Settings::default()
    };
    let server = Server::bind(models, settings, Box::new(|event| println!("{event:?}")))?;
    let (address, stopper) = (server.address(), server.stopper());
    let service = thread::spawn(move || server.run());

    let body = serde_json::json!({"text": text}).to_string();
    let mut client = TcpStream::connect(address)?;
    write!(
        client,
        "POST /predict HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    println!("{}", answer.split("\r\n\r\n").nth(1).unwrap_or(&answer));

    stopper.stop(); // what was accepted is answered first
    service.join().map_err(|_| "the service failed")??;
    Ok(())
}
