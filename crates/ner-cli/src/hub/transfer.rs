//! Files of one repository, from the hub into the cache.
//!
//! Its own client rather than the `hf-hub` crate: release 0.5 sends the token on to the host that a large file is redirected to, knows no
//! timeout and verifies no checksum; 1.0 brings an asynchronous runtime and some 280 crates. The HTTP client is [`crate::http`].

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use model_dir::make_parent;
use serde::Deserialize;
use sha1::{Digest, Sha1};

use super::{Hub, Name};
use crate::http::{self, Client, Download, Event, Options};
use crate::progress::Progress;

/// Relative redirects, by which the hub follows a renamed repository.
const MOST_RENAMES: usize = 4;

/// What the hub says of a repository.
pub struct Repository {
    pub commit: String,
    pub files: Vec<String>,
}

/// Transfers of one repository.
pub struct Transfer<'a> {
    hub: &'a Hub,
    name: &'a Name,
    quiet: bool,
    client: Client,
}

/// What the hub announces of a file.
struct Announced {
    /// Its SHA-256 or, for small files, its git SHA-1; the name of its blob in the cache.
    etag: String,
    size: Option<u64>,
}

impl<'a> Transfer<'a> {
    pub fn new(hub: &'a Hub, name: &'a Name, quiet: bool) -> Self {
        let options = Options {
            back_off: hub.back_off,
            https_only: hub.endpoint.starts_with("https:"),
            ..Options::default()
        };
        Self {
            hub,
            name,
            quiet,
            client: Client::new(options).with_token(hub.token.clone()),
        }
    }

    /// The commit that the revision stands for, and the files in it.
    pub fn repository(&self) -> Result<Repository> {
        #[derive(Deserialize)]
        struct Info {
            sha: String,
            #[serde(default)]
            siblings: Vec<Sibling>,
        }
        #[derive(Deserialize)]
        struct Sibling {
            rfilename: String,
        }
        let Name {
            repository,
            revision,
        } = self.name;
        let revision = revision.replace('/', "%2F");
        let url = format!(
            "{}/api/models/{repository}/revision/{revision}",
            self.hub.endpoint
        );
        let progress = Progress::new(self.quiet);
        let text = self
            .client
            .text(&url, &mut |event| self.say(&progress, &event));
        let text = text.map_err(|error| self.explained(error))?;
        let info: Info = serde_json::from_str(&text)
            .with_context(|| format!("{url}: not the answer of a model hub"))?;
        let commit_is_plain = info.sha.chars().all(|c| c.is_ascii_hexdigit());
        ensure!(
            commit_is_plain && !info.sha.is_empty(),
            "{url}: `{}` is no commit",
            info.sha
        );
        Ok(Repository {
            commit: info.sha,
            files: info
                .siblings
                .into_iter()
                .map(|file| file.rfilename)
                .collect(),
        })
    }

    /// Downloads a file of a commit into the cache, verified.
    pub fn fetch(&self, file: &str, commit: &str) -> Result<()> {
        let repository = &self.name.repository;
        self.try_fetch(file, commit)
            .with_context(|| format!("{repository}, file {file}"))
    }

    fn try_fetch(&self, file: &str, commit: &str) -> Result<()> {
        let url = format!(
            "{}/{}/resolve/{commit}/{file}",
            self.hub.endpoint, self.name.repository
        );
        let announced = self.announced(&url)?;
        let dir = self.hub.repository_dir(self.name);
        let blob = dir.join("blobs").join(&announced.etag);
        let _lock = self.lock(&announced.etag)?;
        if !blob.is_file() {
            make_parent(&blob)?;
            let part = dir
                .join("blobs")
                .join(format!("{}.incomplete", announced.etag));
            self.receive(&url, &part, file, announced.size)?;
            verify(&part, &announced)?;
            fs::rename(&part, &blob).with_context(|| blob.display().to_string())?;
        }
        let place = self.hub.snapshot_dir(self.name, commit).join(file);
        make_parent(&place)?;
        link(&blob, &place).with_context(|| place.display().to_string())
    }

    /// What the hub says of a file, without its content.
    fn announced(&self, url: &str) -> Result<Announced> {
        let mut url = url.to_owned();
        let progress = Progress::new(self.quiet);
        for _ in 0..MOST_RENAMES {
            let answer = self
                .client
                .head(&url, &mut |event| self.say(&progress, &event));
            let (status, headers) = answer.map_err(|error| self.explained(error))?;
            let is_redirect = (300..400).contains(&status);
            let header = |name: &str| {
                let value = headers.get(name)?;
                Some(value.to_str().ok()?.trim_matches('"').to_owned())
            };
            match header("location").filter(|_| is_redirect) {
                Some(path) if path.starts_with('/') => {
                    url = format!("{}{path}", self.hub.endpoint);
                    continue;
                }
                _ => {}
            }
            let etag = header("x-linked-etag").or_else(|| header("etag"));
            let etag = etag
                .map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_owned())
                .filter(|etag| {
                    !etag.is_empty() && etag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                })
                .with_context(|| format!("{url}: the answer has no ETag; is this a model hub?"))?;
            let size = header("x-linked-size")
                .or_else(|| header("content-length").filter(|_| !is_redirect));
            return Ok(Announced {
                etag,
                size: size.and_then(|size| size.parse().ok()),
            });
        }
        Err(anyhow!("{url}: redirected more than {MOST_RENAMES} times"))
    }

    /// Receives a file, after what an earlier transfer left of it.
    fn receive(&self, url: &str, part: &Path, name: &str, size: Option<u64>) -> Result<()> {
        let in_file = || part.display().to_string();
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(part)
            .with_context(in_file)?;
        let download = Download {
            url,
            size,
            most_bytes: u64::MAX,
        };
        let mut progress = Progress::new(self.quiet);
        let received = self
            .client
            .receive(download, &mut file, &mut |event| match event {
                Event::Received { done, total } => {
                    progress.set_bytes(name, done, total.unwrap_or(0));
                }
                event => self.say(&progress, &event),
            });
        progress.end();
        received.map_err(|error| self.explained(error))?;
        Ok(())
    }

    /// Says why a request takes its time.
    fn say(&self, progress: &Progress, event: &Event<'_>) {
        if let Event::Retrying { error, pause } = event {
            let endpoint = &self.hub.endpoint;
            let seconds = pause.as_secs_f32();
            progress.say(&format!("{endpoint}: {error}; next attempt in {seconds} s"));
        }
    }

    /// An error of the hub with what to do about it.
    fn explained(&self, error: http::Error) -> anyhow::Error {
        let Name {
            repository,
            revision,
        } = self.name;
        let endpoint = &self.hub.endpoint;
        let advice = match error.status() {
            Some(401 | 403) => format!(
                "{repository}: {endpoint} denies access; it does not exist, is private, or asks to accept its terms: see \
                 {endpoint}/{repository}, and set HF_TOKEN"
            ),
            Some(404) => {
                format!("{repository}: no such repository or revision ({revision}) on {endpoint}")
            }
            _ => format!("{repository}: {endpoint}"),
        };
        anyhow::Error::new(error).context(advice)
    }

    /// Keeps other programs, Python's among them, from writing the same blob.
    fn lock(&self, etag: &str) -> Result<File> {
        let folder = self.hub.repository_dir(self.name);
        let path: PathBuf = self
            .hub
            .cache
            .join(".locks")
            .join(folder.file_name().unwrap_or_default())
            .join(format!("{etag}.lock"));
        make_parent(&path)?;
        let in_file = || path.display().to_string();
        let file = File::create(&path).with_context(in_file)?;
        file.lock().with_context(in_file)?;
        Ok(file)
    }
}

/// Why the hub could not be reached, if that is what went wrong.
pub fn unreachable_reason(error: &anyhow::Error) -> Option<String> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<http::Error>())
        .filter(|cause| cause.is_passing())
        .map(ToString::to_string)
}

/// Checks a file against the checksum that the hub announced; one that fails is removed.
fn verify(path: &Path, announced: &Announced) -> Result<()> {
    let in_file = || path.display().to_string();
    let found = match announced.etag.len() {
        64 => model_dir::sha256(path)?,
        40 => {
            // The name that git gives to a file's content.
            let size = fs::metadata(path).with_context(in_file)?.len();
            model_dir::checksum(Sha1::new().chain_update(format!("blob {size}\0")), path)?
        }
        _ => return Ok(()),
    };
    if found != announced.etag {
        fs::remove_file(path).with_context(in_file)?;
        anyhow::bail!(
            "the hub announced checksum {}, what came has {found}; it was not kept, run the command again",
            announced.etag
        );
    }
    Ok(())
}

/// A relative link from a snapshot to its blob; a copy where there are no links.
fn link(blob: &Path, place: &Path) -> io::Result<()> {
    let name = blob.file_name().unwrap_or_default();
    let target = Path::new("../../blobs").join(name);
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(&target, place);
    #[cfg(windows)]
    let linked = std::os::windows::fs::symlink_file(&target, place);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && place.is_file() => Ok(()),
        Err(_) => fs::copy(blob, place).map(drop),
        Ok(()) => Ok(()),
    }
}
