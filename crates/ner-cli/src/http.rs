//! Files and answers over HTTP: one client, and one rule for what is asked for again.
//!
//! A request is made again after the network's errors and after what a server may get over: 408, 429 and its own faults (RFC 9110, sections
//! 15.5.9 and 15.6; RFC 6585, section 4). Any other answer is final. A file that broke off is taken up where it did.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::thread;
use std::time::Duration;

use ureq::config::RedirectAuthHeaders;
use ureq::http::{HeaderMap, Response};
use ureq::typestate::WithoutBody;
use ureq::{Agent, Body, RequestBuilder};

use crate::wording::counted;

/// Redirects that are followed.
const MOST_REDIRECTS: u32 = 10;
/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// How requests are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Longest wait for a connection, for the head of an answer, and for the next bytes of its body. Default: 30 s.
    pub timeout: Duration,
    /// How often a request is made. Default: 5.
    pub attempts: u32,
    /// Pause before the second attempt; doubled before each further one. Default: 1 s.
    pub back_off: Duration,
    /// Refuse plain http, in redirects too. Default: yes.
    pub https_only: bool,
    /// Honor `HTTPS_PROXY` and its like. Default: yes.
    pub proxy_from_env: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            attempts: 5,
            back_off: Duration::from_secs(1),
            https_only: true,
            proxy_from_env: true,
        }
    }
}

/// What happens while a request is under way, for the caller to show.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A file grows, or has begun again.
    Received {
        /// Bytes that are there, those of earlier attempts included.
        done: u64,
        /// Bytes of the whole file, where the server says so.
        total: Option<u64>,
    },
    /// The request is made again after a pause.
    Retrying {
        /// Why.
        error: &'a Error,
        /// For how long nothing happens.
        pause: Duration,
    },
}

/// A file at an address.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    /// The address.
    pub url: &'a str,
    /// Its size, where that is known before; a file of another size is not taken.
    pub size: Option<u64>,
    /// Most bytes that are taken, so that a broken or hostile server cannot fill the disk.
    pub most_bytes: u64,
}

/// One pool of connections.
#[derive(Debug)]
pub struct Client {
    /// Follows redirects; the token goes to the first host only.
    following: Agent,
    /// Returns redirects as they are.
    direct: Agent,
    options: Options,
    token: Option<String>,
}

impl Client {
    /// A client without a token.
    pub fn new(options: Options) -> Self {
        let agent = |redirects: u32| -> Agent {
            let mut config = Agent::config_builder()
                .https_only(options.https_only)
                .timeout_resolve(Some(options.timeout))
                .timeout_connect(Some(options.timeout))
                .timeout_recv_response(Some(options.timeout))
                .timeout_per_read(Some(options.timeout))
                // Sizes are then those of the files.
                .accept_encoding("identity")
                .redirect_auth_headers(RedirectAuthHeaders::SameHost)
                .max_redirects(redirects);
            if !options.proxy_from_env {
                config = config.proxy(None);
            }
            config.build().into()
        };
        Self {
            following: agent(MOST_REDIRECTS),
            direct: agent(0),
            options,
            token: None,
        }
    }

    /// The same client with a token that goes to the host of each address, and to no other that it redirects to.
    #[must_use]
    pub fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    /// The text at an address.
    ///
    /// # Errors
    /// No answer, or another than success.
    pub fn text(&self, url: &str, tell: &mut dyn FnMut(Event<'_>)) -> Result<String, Error> {
        self.persistently(tell, |_| {
            let mut answer = self.authorized(self.following.get(url)).call()?;
            Ok(answer.body_mut().read_to_string()?)
        })
    }

    /// Status and headers of the answer to a request for an address, which is no other's answer where it is a redirect.
    ///
    /// # Errors
    /// No answer, or another than success or a redirect.
    pub fn head(
        &self,
        url: &str,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(u16, HeaderMap), Error> {
        self.persistently(tell, |_| {
            let answer = self.authorized(self.direct.head(url)).call()?;
            Ok((answer.status().as_u16(), answer.headers().clone()))
        })
    }

    /// Receives a file after what an earlier transfer left of it in `file`, and gives its size.
    ///
    /// # Errors
    /// No answer, another than success, another size than was announced, or no room on the disk. What came stays in `file`.
    pub fn receive(
        &self,
        download: Download<'_>,
        file: &mut File,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<u64, Error> {
        self.persistently(tell, |tell| self.try_receive(download, file, tell))
    }

    fn try_receive(
        &self,
        download: Download<'_>,
        file: &mut File,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<u64, Reason> {
        let mut done = file.seek(SeekFrom::End(0)).map_err(Reason::File)?;
        if download.size == Some(done) {
            return Ok(done);
        }
        if download.size.is_some_and(|size| done > size) {
            done = empty(file)?;
        }
        let answer = match self.rest_of(download.url, done)? {
            Some(answer) => answer,
            None => self.authorized(self.following.get(download.url)).call()?,
        };
        let mut total = answer.body().content_length();
        if answer.status() == 206 {
            total = total.map(|rest| done + rest);
        } else {
            done = empty(file)?;
        }
        let total = download.size.or(total);
        let most_bytes = download.most_bytes.min(download.size.unwrap_or(u64::MAX));
        tell(Event::Received { done, total });
        let mut body = answer.into_body().into_reader();
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = body.read(&mut chunk).map_err(ureq::Error::from)?;
            if length == 0 {
                break;
            }
            if done + length as u64 > most_bytes {
                return Err(Reason::TooLarge(most_bytes));
            }
            file.write_all(&chunk[..length]).map_err(Reason::File)?;
            done += length as u64;
            tell(Event::Received { done, total });
        }
        file.sync_all().map_err(Reason::File)?;
        match total {
            Some(total) if total != done => Err(Reason::Short { done, total }),
            _ => Ok(done),
        }
    }

    /// The answer with what comes after the first `done` bytes of a file; `None` where the server has none, and the whole must be asked for.
    fn rest_of(&self, url: &str, done: u64) -> Result<Option<Response<Body>>, Reason> {
        if done == 0 {
            return Ok(None);
        }
        let request = self
            .authorized(self.following.get(url))
            .header("range", format!("bytes={done}-"));
        match request.call() {
            Err(ureq::Error::StatusCode(416)) => Ok(None), // nothing comes after them
            Err(error) => Err(error.into()),
            Ok(answer) if begins_at(&answer).is_some_and(|start| start != done) => Ok(None),
            Ok(answer) => Ok(Some(answer)),
        }
    }

    fn authorized(&self, request: RequestBuilder<WithoutBody>) -> RequestBuilder<WithoutBody> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// Makes a request again where another try may help.
    fn persistently<T>(
        &self,
        tell: &mut dyn FnMut(Event<'_>),
        mut request: impl FnMut(&mut dyn FnMut(Event<'_>)) -> Result<T, Reason>,
    ) -> Result<T, Error> {
        let mut pause = self.options.back_off;
        let mut attempts = 1;
        loop {
            let error = match request(tell) {
                Ok(answer) => return Ok(answer),
                Err(reason) => Error { reason, attempts },
            };
            let most = match error.is_of_a_name() {
                true => self.options.attempts.min(ATTEMPTS_FOR_A_NAME),
                false => self.options.attempts,
            };
            if attempts >= most || !error.is_passing() {
                return Err(error);
            }
            tell(Event::Retrying {
                error: &error,
                pause,
            });
            thread::sleep(pause);
            pause *= 2;
            attempts += 1;
        }
    }
}

/// How often a server is asked for whose name has no address: without a network the answer does not change.
const ATTEMPTS_FOR_A_NAME: u32 = 2;

/// The first byte in an answer that says of what part of a file it is (RFC 9110, section 14.4).
fn begins_at(answer: &Response<Body>) -> Option<u64> {
    let range = answer.headers().get("content-range")?.to_str().ok()?;
    let (start, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    start.trim().parse().ok()
}

/// Empties a file; its length is what comes back.
fn empty(file: &mut File) -> Result<u64, Reason> {
    file.set_len(0)
        .and_then(|()| file.rewind())
        .map_err(Reason::File)?;
    Ok(0)
}

/// Why a request came to nothing.
#[derive(Debug)]
pub struct Error {
    reason: Reason,
    attempts: u32,
}

#[derive(Debug)]
enum Reason {
    Request(ureq::Error),
    /// Less came than was announced.
    Short {
        done: u64,
        total: u64,
    },
    /// More comes than is taken.
    TooLarge(u64),
    /// The file cannot be written to.
    File(io::Error),
}

impl From<ureq::Error> for Reason {
    fn from(error: ureq::Error) -> Self {
        Self::Request(error)
    }
}

impl Error {
    /// The status of an answer that was no success.
    pub fn status(&self) -> Option<u16> {
        match self.reason {
            Reason::Request(ureq::Error::StatusCode(status)) => Some(status),
            _ => None,
        }
    }

    /// Whether the server's name has no address. The library that resolves names has tried several times then, and says so in words alone.
    fn is_of_a_name(&self) -> bool {
        match &self.reason {
            Reason::Request(ureq::Error::HostNotFound) => true,
            Reason::Request(ureq::Error::Io(error)) => {
                error.to_string().starts_with("failed to lookup address")
            }
            _ => false,
        }
    }

    /// Whether it may pass: the network's, or a server that is not well.
    pub fn is_passing(&self) -> bool {
        use ureq::Error::{
            BodyStalled, ConnectProxyFailed, ConnectionFailed, HostNotFound, Io, Protocol, Rustls,
            StatusCode, Timeout, Tls,
        };
        match &self.reason {
            Reason::Request(StatusCode(status)) => matches!(status, 408 | 429 | 500..),
            Reason::Request(error) => matches!(
                error,
                Timeout(_)
                    | Io(_)
                    | Protocol(_)
                    | Tls(_)
                    | Rustls(_)
                    | ConnectionFailed
                    | ConnectProxyFailed(_)
                    | HostNotFound
                    | BodyStalled
            ),
            Reason::Short { .. } => true,
            Reason::TooLarge(_) | Reason::File(_) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Request(error) => write!(f, "{error}"),
            Reason::Short { done, total } => {
                let came = counted(*done, "byte", "bytes");
                write!(f, "{came} came instead of {total}")
            }
            Reason::TooLarge(most) => {
                write!(f, "more than {} came", counted(*most, "byte", "bytes"))
            }
            Reason::File(error) => write!(f, "cannot write to the file in progress: {error}"),
        }?;
        match self.attempts {
            1 => Ok(()),
            attempts => write!(f, " ({attempts} attempts)"),
        }
    }
}

impl std::error::Error for Error {}
