//! Files from the web: several sources for one file, each tried in turn, and nothing kept that fails its checksum.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, IsTerminal, Read, Seek, Write},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use ureq::Agent;
use zip::ZipArchive;

use crate::{
    files::{CHUNK, Checksum, PartFile, copy_with_checksum},
    log::Log,
};

/// Most bytes taken from one address, so that a broken or hostile server cannot fill the disk.
const MOST_BYTES: u64 = 4 << 30;

/// One place to get a file from.
#[derive(Clone, Debug)]
pub struct Source {
    pub url: String,
    /// The file's name inside the zip archive at `url`; without it, `url` is the file itself.
    pub member: Option<String>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)?;
        self.member
            .iter()
            .try_for_each(|member| write!(f, " (member {member})"))
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    /// Longest wait for a connection, for the head of an answer, and for the next bytes of its body.
    pub timeout: Duration,
    /// How often one address is tried before the next source.
    pub attempts: u32,
    /// Pause before the second attempt; doubled before each further one.
    pub back_off: Duration,
    /// Refuse plain http, in redirects too.
    pub https_only: bool,
    /// Honor `HTTPS_PROXY` and its like.
    pub proxy_from_env: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(20),
            attempts: 3,
            back_off: Duration::from_secs(1),
            https_only: true,
            proxy_from_env: true,
        }
    }
}

/// Fetches files over one pool of connections; an archive is downloaded once, however many of its members are asked for.
pub struct Downloader<'a> {
    agent: Agent,
    options: Options,
    log: &'a Log,
    archives: HashMap<String, File>,
}

impl<'a> Downloader<'a> {
    pub fn new(options: Options, log: &'a Log) -> Self {
        let mut config = Agent::config_builder()
            .https_only(options.https_only)
            .timeout_resolve(Some(options.timeout))
            .timeout_connect(Some(options.timeout))
            .timeout_recv_response(Some(options.timeout))
            .timeout_per_read(Some(options.timeout))
            // Sizes shown are then those of the files.
            .accept_encoding("identity");
        if !options.proxy_from_env {
            config = config.proxy(None);
        }
        Self {
            agent: config.build().into(),
            options,
            log,
            archives: HashMap::new(),
        }
    }

    /// Writes the file with this SHA-256 to `place`, from the first source that gives it.
    ///
    /// # Errors
    /// No source gave it; the error names each one with its reason. Nothing is left at `place` then.
    pub fn fetch(&mut self, sources: &[Source], place: &Path, sha256: &str) -> Result<()> {
        let mut part = PartFile::create(place)?;
        let mut reasons = String::new();
        for source in sources {
            match self.fetch_from(source, &mut part.file, sha256) {
                Ok(()) => return part.keep(),
                Err(error) => {
                    self.log.say(format_args!("  {source}: {error:#}"));
                    reasons.push_str(&format!("\n  {source}: {error:#}"));
                }
            }
        }
        bail!("no source gave the right file; tried:{reasons}")
    }

    fn fetch_from(&mut self, source: &Source, file: &mut File, sha256: &str) -> Result<()> {
        let found = match &source.member {
            None => self.download(&source.url, file)?,
            Some(member) => {
                empty(file)?;
                self.extract(&source.url, member, file)?
            }
        };
        if found != sha256 {
            bail!("wrong content: its sha256 is {found}, expected {sha256}");
        }
        Ok(())
    }

    fn extract(&mut self, url: &str, member: &str, to: &mut File) -> Result<String> {
        if !self.archives.contains_key(url) {
            let mut archive = tempfile::tempfile().context("cannot create a temporary file")?;
            self.download(url, &mut archive)?;
            self.archives.insert(url.to_owned(), archive);
        }
        let mut archive =
            ZipArchive::new(&self.archives[url]).context("not a readable zip archive")?;
        let mut member = archive
            .by_name(member)
            .with_context(|| format!("no readable member {member}"))?;
        Ok(copy_with_checksum(&mut member, to)?)
    }

    /// Downloads one address into an emptied file, with retries, and returns the checksum.
    fn download(&self, url: &str, to: &mut File) -> Result<String> {
        self.log.say(format_args!("  GET {url}"));
        let mut pause = self.options.back_off;
        for attempt in 1.. {
            empty(to)?;
            match self.attempt(url, to) {
                Ok(checksum) => return Ok(checksum),
                Err(Failure {
                    reason,
                    passing: true,
                }) if attempt < self.options.attempts => {
                    self.log.say(format_args!(
                        "  {reason:#}; next attempt in {} s",
                        pause.as_secs_f32()
                    ));
                    thread::sleep(pause);
                    pause *= 2;
                }
                Err(Failure { reason, .. }) if attempt == 1 => return Err(reason),
                Err(Failure { reason, .. }) => {
                    return Err(anyhow!("{reason:#} ({attempt} attempts)"));
                }
            }
        }
        bail!("no attempt was allowed")
    }

    fn attempt(&self, url: &str, to: &mut File) -> Result<String, Failure> {
        let mut response = self.agent.get(url).call()?;
        let bar = progress(response.body().content_length());
        let mut body = response.body_mut().with_config().limit(MOST_BYTES).reader();
        let mut checksum = Checksum::default();
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = body.read(&mut chunk).map_err(ureq::Error::from)?;
            if n == 0 {
                break;
            }
            checksum.update(&chunk[..n]);
            to.write_all(&chunk[..n]).map_err(|error| Failure {
                reason: error.into(),
                passing: false,
            })?;
            bar.inc(n as u64);
        }
        bar.finish_and_clear();
        self.log.say(format_args!("  {} bytes", bar.position()));
        Ok(checksum.finish())
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress(size: Option<u64>) -> ProgressBar {
    let Some(size) = size.filter(|_| io::stderr().is_terminal()) else {
        return ProgressBar::hidden();
    };
    let style = ProgressStyle::with_template(
        "  {bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    );
    ProgressBar::new(size).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn empty(file: &mut File) -> Result<()> {
    file.set_len(0)
        .and_then(|()| file.rewind())
        .context("cannot empty the file in progress")
}

/// Why one attempt failed, and whether another may fare better.
struct Failure {
    reason: anyhow::Error,
    passing: bool,
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        use ureq::Error::{ConnectionFailed, HostNotFound, Io, StatusCode, Timeout};
        let passing = match &error {
            // RFC 9110: request timeout, too many requests, and faults of the server.
            StatusCode(status) => matches!(status, 408 | 429 | 500..),
            Timeout(_) | Io(_) | ConnectionFailed | HostNotFound => true,
            _ => false,
        };
        Self {
            reason: error.into(),
            passing,
        }
    }
}
