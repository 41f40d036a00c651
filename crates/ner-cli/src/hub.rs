//! Models by name: a local directory, the shared cache of the model hub, or the hub itself.
//!
//! The cache has the layout and the environment variables of Python's `huggingface_hub`, so that one cache serves both.

mod near;
mod transfer;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
pub use model_dir::FileSet;
use model_dir::{CONFIG, SETTINGS_FILES, WEIGHT_FILES, choose_weights, missing, shards};

pub(crate) use self::near::meant;
use self::near::{below, near};
use self::transfer::Transfer;
use crate::progress::Progress;

/// Where models that are no local directory come from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Model hub")]
pub struct HubArguments {
    /// Never touch the network: take models from local directories and the cache.
    #[arg(long)]
    offline: bool,
}

impl HubArguments {
    /// The directory of a model given as `DIR` or as `NAME[@REVISION]`.
    ///
    /// # Errors
    /// As [`Hub::directory`], or a directory without a model.
    pub fn model(&self, model: &str, quiet: bool) -> Result<PathBuf> {
        let dir = self.hub().directory(model, FileSet::Model, quiet)?;
        check_is_model(&dir)?;
        Ok(dir)
    }

    /// The directory of a tokenizer, likewise.
    ///
    /// # Errors
    /// As [`Hub::directory`].
    pub fn tokenizer(&self, model: &str, quiet: bool) -> Result<PathBuf> {
        self.hub().directory(model, FileSet::Tokenizer, quiet)
    }

    fn hub(&self) -> Hub {
        let hub = Hub::from_env();
        let offline = self.offline || hub.offline;
        Hub { offline, ..hub }
    }
}

/// The hub, and the cache before it.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Folder of the cache.
    pub cache: PathBuf,
    /// Address of the hub.
    pub endpoint: String,
    /// For private repositories.
    pub token: Option<String>,
    /// Whether the network is out of bounds.
    pub offline: bool,
    /// Pause before a request that failed is made again; doubled each time.
    pub back_off: Duration,
}

/// A repository at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    repository: String,
    revision: String,
}

impl Hub {
    /// The settings that Python's tools take from the environment: `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`, `HF_ENDPOINT`, `HF_TOKEN`,
    /// `HF_TOKEN_PATH`, `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// As [`Self::from_env`], with another source of variables.
    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let user_cache = || {
            let home = variable("HOME").or_else(|| variable("USERPROFILE"));
            variable("XDG_CACHE_HOME").map_or_else(
                || PathBuf::from(home.unwrap_or_default()).join(".cache"),
                PathBuf::from,
            )
        };
        let home =
            variable("HF_HOME").map_or_else(|| user_cache().join("huggingface"), PathBuf::from);
        let token_file =
            variable("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
        let is_on = |name| {
            variable(name).is_some_and(|value| {
                ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())
            })
        };
        Self {
            cache: variable("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from),
            endpoint: variable("HF_ENDPOINT").map_or_else(
                || "https://huggingface.co".to_owned(),
                |endpoint| endpoint.trim_end_matches('/').to_owned(),
            ),
            token: variable("HF_TOKEN")
                .or_else(|| fs::read_to_string(token_file).ok())
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty()),
            offline: is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE"),
            back_off: Duration::from_secs(1),
        }
    }

    /// The directory that holds a model, fetched where need be.
    ///
    /// A local directory comes first. Of a repository, a revision that is a commit is taken from the cache without asking; for a branch, the
    /// hub is asked which commit it is at, and where the hub does not answer, the cached one serves.
    ///
    /// A name without a revision may be a path with a slip. It is not asked of the hub where its parent is a directory here, nor where a model
    /// directory here has nearly this name.
    ///
    /// # Errors
    /// No directory and no valid name, no such repository or revision, no access, files missing from the repository, a transfer that fails
    /// for good or gives other bytes than the hub announced, or `offline` and nothing in the cache.
    pub fn directory(&self, model: &str, wanted: FileSet, quiet: bool) -> Result<PathBuf> {
        let path = Path::new(model);
        if path.is_dir() {
            return Ok(path.to_owned());
        }
        ensure!(
            !path.is_file(),
            "{model}: is a file, not a directory; give the one that it is in"
        );
        let name = Name::parse(model)?;
        let cached = self.cached(&name).filter(|dir| is_complete(dir, wanted));
        if cached.is_none() && !model.contains('@') {
            check_is_no_slip(model)?;
        }
        if let (Some(dir), true) = (&cached, self.offline || name.is_commit()) {
            return Ok(dir.clone());
        }
        ensure!(
            !self.offline,
            "{model}: no such directory{}, and not in the cache {}; without --offline it would be downloaded",
            meant(path),
            self.cache.display()
        );
        match self.download(model, &name, wanted, quiet) {
            Ok(dir) => Ok(dir),
            Err(error) => match (cached, transfer::unreachable_reason(&error)) {
                (Some(dir), Some(reason)) => {
                    Progress::new(quiet).say(&format!(
                        "{}: {reason}; the copy in the cache serves",
                        self.endpoint
                    ));
                    Ok(dir)
                }
                _ => Err(error),
            },
        }
    }

    /// The snapshot of a revision in the cache.
    fn cached(&self, name: &Name) -> Option<PathBuf> {
        let repository = self.repository_dir(name);
        let commit = if name.is_commit() {
            name.revision.clone()
        } else {
            fs::read_to_string(repository.join("refs").join(&name.revision)).ok()?
        };
        let dir = self.snapshot_dir(name, commit.trim());
        dir.is_dir().then_some(dir)
    }

    fn snapshot_dir(&self, name: &Name, commit: &str) -> PathBuf {
        self.repository_dir(name).join("snapshots").join(commit)
    }

    fn repository_dir(&self, name: &Name) -> PathBuf {
        let folder = format!("models--{}", name.repository.replace('/', "--"));
        self.cache.join(folder)
    }

    /// Downloads the model that is given as `model`.
    fn download(&self, model: &str, name: &Name, wanted: FileSet, quiet: bool) -> Result<PathBuf> {
        let transfer = Transfer::new(self, name, quiet);
        let repository = transfer.repository();
        let repository = repository.map_err(|error| neither_here_nor_there(model, error))?;
        let has = |file: &str| repository.files.iter().any(|known| known == file);
        let snapshot = self.snapshot_dir(name, &repository.commit);
        let fetch = |file: &str| -> Result<PathBuf> {
            let path = snapshot.join(file);
            if !path.is_file() {
                transfer.fetch(file, &repository.commit)?;
            }
            Ok(path)
        };

        for file in SETTINGS_FILES.iter().filter(|file| has(file)) {
            fetch(file)?;
        }
        if wanted == FileSet::Model {
            let weights = choose_weights(repository.files.iter().map(String::as_str));
            let weights = weights.with_context(|| {
                format!(
                    "{}: the repository holds none of {}, nor one .gguf file alone; weights of other frameworks cannot be read",
                    name.repository,
                    WEIGHT_FILES.join(", ")
                )
            })?;
            let path = fetch(weights)?;
            for shard in shards(&path)?.unwrap_or_default() {
                ensure!(
                    has(&shard),
                    "{}: {weights} names {shard}, which the repository does not hold",
                    name.repository
                );
                fetch(&shard)?;
            }
        }
        ensure!(
            is_complete(&snapshot, wanted),
            "{}: the repository lacks {}",
            name.repository,
            missing(&snapshot, wanted).join(" and ")
        );
        if !name.is_commit() {
            let reference = self.repository_dir(name).join("refs").join(&name.revision);
            model_dir::make_parent(&reference)?;
            model_dir::write(&reference, &repository.commit)?;
        }
        Ok(snapshot)
    }
}

impl Name {
    fn parse(model: &str) -> Result<Self> {
        let (repository, revision) = model.split_once('@').unwrap_or((model, "main"));
        let part = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && !part.ends_with('.')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let parts: Vec<&str> = repository.split('/').collect();
        let is_name = parts.len() <= 2 && parts.into_iter().all(part);
        ensure!(
            is_name && revision.split('/').all(part),
            "{model}: no such directory{}, and no model's name either (NAME, USER/NAME or USER/NAME@REVISION)",
            meant(Path::new(model))
        );
        Ok(Self {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// Whether the revision can never change.
    fn is_commit(&self) -> bool {
        self.revision.len() == 40 && self.revision.chars().all(|c| c.is_ascii_hexdigit())
    }
}

/// Refuses a directory that has no model, and names those below it.
pub(crate) fn check_is_model(dir: &Path) -> Result<()> {
    if dir.join(CONFIG).is_file() {
        return Ok(());
    }
    let below = below(dir).into_iter();
    let below: Vec<String> = below.map(|model| model.display().to_string()).collect();
    let below = if below.is_empty() {
        String::new()
    } else {
        format!("; below it there are {}", below.join(", "))
    };
    bail!(
        "{}: no model is here; missing are {}{below}",
        dir.display(),
        missing(dir, FileSet::Model).join(", ")
    );
}

/// Refuses a name that is a path with a slip more often than a model of the hub: its parent is a directory here, or a model here has nearly
/// this name.
fn check_is_no_slip(model: &str) -> Result<()> {
    let path = Path::new(model);
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let though = match parent.filter(|parent| parent.is_dir()) {
        Some(parent) => format!(", though {} is one", parent.display()),
        None if near(path).iter().any(|near| near.slips == 1) => String::new(),
        None => return Ok(()),
    };
    bail!(
        "{model}: no such directory{though}{}; for a model of this name on the hub write {model}@main",
        meant(path)
    );
}

/// What the hub says of a name that may have been meant as a directory.
fn neither_here_nor_there(model: &str, error: anyhow::Error) -> anyhow::Error {
    if model.contains('@') {
        return error;
    }
    let hub = match transfer::unreachable_reason(&error) {
        Some(_) => "the hub could not be asked for a model of this name",
        None => "the hub gives no model of this name",
    };
    let meant = meant(Path::new(model));
    error.context(format!("{model}: no such directory here{meant}, and {hub}"))
}

fn is_complete(dir: &Path, wanted: FileSet) -> bool {
    missing(dir, wanted).is_empty()
}

#[cfg(test)]
mod tests {
    use super::{Hub, Path, PathBuf};

    fn from(variables: &[(&str, &str)]) -> Hub {
        Hub::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_is_read_as_pythons_tools_read_it() {
        let cache = |variables: &[(&str, &str)]| from(variables).cache;
        assert_eq!(
            cache(&[("HOME", "/h")]),
            Path::new("/h/.cache/huggingface/hub")
        );
        assert_eq!(
            cache(&[("XDG_CACHE_HOME", "/x")]),
            Path::new("/x/huggingface/hub")
        );
        assert_eq!(
            cache(&[("HF_HOME", "/f"), ("XDG_CACHE_HOME", "/x")]),
            Path::new("/f/hub")
        );
        assert_eq!(
            cache(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/f")]),
            PathBuf::from("/c")
        );
        assert_eq!(from(&[]).endpoint, "https://huggingface.co");
        assert_eq!(from(&[("HF_ENDPOINT", "http://m/")]).endpoint, "http://m");
        assert_eq!(from(&[("HF_TOKEN", " t\n")]).token.as_deref(), Some("t"));
        for (value, offline) in [("1", true), ("true", true), ("0", false)] {
            assert_eq!(
                from(&[("HF_HUB_OFFLINE", value)]).offline,
                offline,
                "{value}"
            );
        }
    }
}
