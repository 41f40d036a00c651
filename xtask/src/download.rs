//! Files from the web: several sources for one file, each tried in turn, and nothing kept that fails its checksum.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, IsTerminal},
    path::Path,
};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use ner_cli::http::{Client, Download, Event, Options};
use zip::ZipArchive;

use crate::log::Log;

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

/// Fetches files over one pool of connections; an archive is downloaded once, however many of its members are asked for.
pub struct Downloader<'a> {
    client: Client,
    log: &'a Log,
    archives: HashMap<String, File>,
}

impl<'a> Downloader<'a> {
    pub fn new(options: Options, log: &'a Log) -> Self {
        Self {
            client: Client::new(options),
            log,
            archives: HashMap::new(),
        }
    }

    /// Writes the file with this SHA-256 to `place`, from the first source that gives it.
    ///
    /// # Errors
    /// No source gave it; the error names each one with its reason. Nothing is left at `place` then.
    pub fn fetch(&mut self, sources: &[Source], place: &Path, sha256: &str) -> Result<()> {
        model_dir::make_parent(place)?;
        model_dir::write_by(place, |partial| {
            let mut reasons = String::new();
            for source in sources {
                match self.fetch_from(source, partial, sha256) {
                    Ok(()) => return Ok(()),
                    Err(error) => {
                        self.log.say(format_args!("  {source}: {error:#}"));
                        reasons.push_str(&format!("\n  {source}: {error:#}"));
                    }
                }
            }
            bail!("no source gave the right file; tried:{reasons}")
        })
    }

    fn fetch_from(&mut self, source: &Source, partial: &Path, sha256: &str) -> Result<()> {
        let mut file = File::create(partial).context("cannot empty the file in progress")?;
        match &source.member {
            None => self.download(&source.url, &mut file)?,
            Some(member) => self.extract(&source.url, member, &mut file)?,
        }
        let found = model_dir::sha256(partial)?;
        if found != sha256 {
            bail!("wrong content: its sha256 is {found}, expected {sha256}");
        }
        Ok(())
    }

    fn extract(&mut self, url: &str, member: &str, to: &mut File) -> Result<()> {
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
        io::copy(&mut member, to)?;
        Ok(())
    }

    /// Downloads one address into an empty file.
    fn download(&self, url: &str, to: &mut File) -> Result<()> {
        self.log.say(format_args!("  GET {url}"));
        let download = Download {
            url,
            size: None,
            most_bytes: MOST_BYTES,
        };
        let mut bar: Option<ProgressBar> = None;
        let received = self.client.receive(download, to, &mut |event| match event {
            Event::Received { done, total } => {
                bar.get_or_insert_with(|| progress(total))
                    .set_position(done);
            }
            Event::Retrying { error, pause } => self.log.say(format_args!(
                "  {error}; next attempt in {} s",
                pause.as_secs_f32()
            )),
            _ => {}
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        self.log.say(format_args!("  {} bytes", received?));
        Ok(())
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
