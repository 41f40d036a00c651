//! Files of one repository, from the hub into the cache.
//!
//! Its own client rather than the `hf-hub` crate: release 0.5 sends the token on to the host that a large file is redirected to, knows no
//! timeout and verifies no checksum; 1.0 brings an asynchronous runtime and some 280 crates. The HTTP client is the one that this workspace
//! has for its other downloads.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use ureq::config::RedirectAuthHeaders;
use ureq::http::Response;
use ureq::{Agent, Body};

use super::{Hub, Name};
use crate::progress::Progress;

/// How often a request is made again, and a cut transfer taken up.
const RETRIES: usize = 4;
/// Longest wait for a connection, for the head of an answer, and for the next bytes of its body.
const TIMEOUT: Duration = Duration::from_secs(30);
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
    /// Follows redirects; the token goes to the first host only.
    following: Agent,
    /// Returns redirects as they are: the hub's own answer holds what it knows of the file.
    direct: Agent,
}

/// What the hub announces of a file.
struct Announced {
    /// Its SHA-256 or, for small files, its git SHA-1; the name of its blob in the cache.
    etag: String,
    size: Option<u64>,
}

impl<'a> Transfer<'a> {
    pub fn new(hub: &'a Hub, name: &'a Name, quiet: bool) -> Self {
        let agent = |redirects: u32| -> Agent {
            Agent::config_builder()
                .timeout_resolve(Some(TIMEOUT))
                .timeout_connect(Some(TIMEOUT))
                .timeout_recv_response(Some(TIMEOUT))
                .timeout_per_read(Some(TIMEOUT))
                // Sizes are then those of the files.
                .accept_encoding("identity")
                .redirect_auth_headers(RedirectAuthHeaders::SameHost)
                .max_redirects(redirects)
                .build()
                .into()
        };
        Self {
            hub,
            name,
            quiet,
            following: agent(10),
            direct: agent(0),
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
        let text = self.persistently(|| {
            let mut answer = self.authorized(self.following.get(&url)).call()?;
            answer.body_mut().read_to_string()
        })?;
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
            create_parent(&blob)?;
            let part = dir
                .join("blobs")
                .join(format!("{}.incomplete", announced.etag));
            self.persistently(|| self.receive(&url, &part, file, announced.size))?;
            verify(&part, &announced)?;
            fs::rename(&part, &blob).with_context(|| blob.display().to_string())?;
        }
        let place = self.hub.snapshot_dir(self.name, commit).join(file);
        create_parent(&place)?;
        link(&blob, &place).with_context(|| place.display().to_string())
    }

    /// What the hub says of a file, without its content.
    fn announced(&self, url: &str) -> Result<Announced> {
        let mut url = url.to_owned();
        for _ in 0..MOST_RENAMES {
            let answer = self.persistently(|| self.authorized_head(&url).call())?;
            let header = |name: &str| {
                let value = answer.headers().get(name)?;
                Some(value.to_str().ok()?.trim_matches('"').to_owned())
            };
            match header("location").filter(|_| answer.status().is_redirection()) {
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
                .or_else(|| header("content-length").filter(|_| !answer.status().is_redirection()));
            return Ok(Announced {
                etag,
                size: size.and_then(|size| size.parse().ok()),
            });
        }
        Err(anyhow!("{url}: redirected more than {MOST_RENAMES} times"))
    }

    /// Receives a file, after what an earlier transfer left of it.
    fn receive(
        &self,
        url: &str,
        part: &Path,
        name: &str,
        size: Option<u64>,
    ) -> Result<(), ureq::Error> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(part)?;
        let mut done = file.seek(SeekFrom::End(0))?;
        if size == Some(done) && done > 0 {
            return Ok(());
        }
        let request = self.authorized(self.following.get(url));
        let mut answer = if done > 0 {
            request.header("range", format!("bytes={done}-")).call()
        } else {
            request.call()
        };
        let past_the_end = matches!(answer, Err(ureq::Error::StatusCode(416)));
        if past_the_end {
            answer = self.authorized(self.following.get(url)).call();
        }
        let answer = answer?;
        if answer.status() != 206 {
            file.set_len(0)?;
            file.rewind()?;
            done = 0;
        }
        let mut progress = Progress::new(self.quiet);
        progress.start_bytes(name, size.unwrap_or(0) as usize);
        let received = copy(answer, &mut file, |now| {
            done += now as u64;
            progress.set(done as usize, String::new);
        });
        progress.end();
        received?;
        file.sync_all()?;
        match size {
            Some(size) if size != done => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{done} bytes came instead of {size}"),
            )
            .into()),
            _ => Ok(()),
        }
    }

    fn authorized(
        &self,
        request: ureq::RequestBuilder<ureq::typestate::WithoutBody>,
    ) -> ureq::RequestBuilder<ureq::typestate::WithoutBody> {
        match &self.hub.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn authorized_head(&self, url: &str) -> ureq::RequestBuilder<ureq::typestate::WithoutBody> {
        self.authorized(self.direct.head(url))
    }

    /// Makes a request again where another try may help: not where the hub has answered that it will not.
    fn persistently<T>(&self, request: impl Fn() -> Result<T, ureq::Error>) -> Result<T> {
        let mut pause = self.hub.back_off;
        for _ in 0..RETRIES {
            match request() {
                Err(error) if is_passing(&error) => {
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                answer => return answer.map_err(|error| self.explained(error)),
            }
        }
        request().map_err(|error| self.explained(error))
    }

    /// An error of the hub with what to do about it.
    fn explained(&self, error: ureq::Error) -> anyhow::Error {
        let Name {
            repository,
            revision,
        } = self.name;
        let endpoint = &self.hub.endpoint;
        let advice = match error {
            ureq::Error::StatusCode(401 | 403) => format!(
                "{repository}: {endpoint} denies access; it does not exist, is private, or asks to accept its terms: see \
                 {endpoint}/{repository}, and set HF_TOKEN"
            ),
            ureq::Error::StatusCode(404) => format!(
                "{repository}: no such directory here, and no such repository or revision ({revision}) on {endpoint}"
            ),
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
        create_parent(&path)?;
        let in_file = || path.display().to_string();
        let file = File::create(&path).with_context(in_file)?;
        file.lock().with_context(in_file)?;
        Ok(file)
    }
}

/// Whether the error may pass: the network's, or a server that is not well.
fn is_passing(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::StatusCode(code) => *code >= 500 || *code == 429,
        ureq::Error::BadUri(_) => false,
        _ => true,
    }
}

/// Why the hub could not be reached, if that is what went wrong.
pub fn unreachable_reason(error: &anyhow::Error) -> Option<String> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<ureq::Error>())
        .filter(|cause| is_passing(cause))
        .map(ToString::to_string)
}

fn copy(
    answer: Response<Body>,
    file: &mut File,
    mut received: impl FnMut(usize),
) -> io::Result<()> {
    let mut body = answer.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match body.read(&mut buffer)? {
            0 => return Ok(()),
            length => {
                file.write_all(&buffer[..length])?;
                received(length);
            }
        }
    }
}

/// Checks a file against the checksum that the hub announced; one that fails is removed.
fn verify(path: &Path, announced: &Announced) -> Result<()> {
    let in_file = || path.display().to_string();
    let found = match announced.etag.len() {
        64 => digest(Sha256::new(), path),
        40 => {
            // The name that git gives to a file's content.
            let size = fs::metadata(path).with_context(in_file)?.len();
            digest(Sha1::new().chain_update(format!("blob {size}\0")), path)
        }
        _ => return Ok(()),
    };
    let found = found.with_context(in_file)?;
    if found != announced.etag {
        fs::remove_file(path).with_context(in_file)?;
        anyhow::bail!(
            "the hub announced checksum {}, what came has {found}; it was not kept, run the command again",
            announced.etag
        );
    }
    Ok(())
}

fn digest(mut digest: impl Digest, path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => digest.update(&buffer[..length]),
        }
    }
    let bytes = digest.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn create_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| parent.display().to_string())
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
