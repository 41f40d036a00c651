//! First stage: the corpus, from this repository, from a folder of the user, or from the web.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use ner_cli::http::Options;

use crate::{
    download::{Downloader, Source},
    log::Log,
    reproduce::{
        folder::{Folder, Split},
        manifest::{Stage, StageKey, version},
        pipeline::Plan,
        recipe::Corpus,
    },
    usage::UsageError,
};

/// One file of CoNLL-2002 Spanish: UTF-8, three columns (token, part of speech, tag). The sums are those of the files in
/// the first mirror below.
struct Conll2002File {
    split: Split,
    name: &'static str,
    sha256: &'static str,
}

const CONLL2002: [Conll2002File; 3] = [
    Conll2002File {
        split: Split::Train,
        name: "esp.train",
        sha256: "a20d95cab7d88a19a86f8c1ad6329325c99fbd9529ed978cbd7e31d4b01b4008",
    },
    Conll2002File {
        split: Split::Dev,
        name: "esp.testa",
        sha256: "85c17793b77881c53d19017d9d0f1e6fb98b7ddcab54a5f24b05ed1793103c87",
    },
    Conll2002File {
        split: Split::Test,
        name: "esp.testb",
        sha256: "1f8f7a392c6d4979a5592a5794eed43d7869b46da6851bbcde99714149f1d016",
    },
];

/// Folders down which `--data-dir` is searched.
const SEARCH_DEPTH: usize = 4;

const BY_HAND: &str = "Put esp.train, esp.testa and esp.testb (CoNLL-2002 Spanish, for research use) into a folder and pass it with --data-dir DIR.";

/// Public copies of one file, tried in this order.
fn conll2002_sources(name: &str) -> [Source; 2] {
    [
        Source { url: format!("https://raw.githubusercontent.com/teropa/nlp/master/resources/corpora/conll2002/{name}"), member: None },
        Source {
            url: "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora/conll2002.zip".to_owned(),
            member: Some(format!("conll2002/{name}")),
        },
    ]
}

/// One part of the corpus, before it is fetched.
pub struct CorpusFile {
    split: Split,
    sha256: String,
    origin: Origin,
}

enum Origin {
    Local(PathBuf),
    /// Name of the file in [`conll2002_sources`].
    Web(&'static str),
}

/// Finds where the three parts of the corpus come from.
///
/// # Errors
/// `data_dir` given for a corpus that needs none, or without the files in it.
pub fn locate(
    corpus: Corpus,
    data_dir: Option<&Path>,
    workspace: &Path,
    log: &Log,
) -> Result<Vec<CorpusFile>> {
    match (corpus, data_dir) {
        (Corpus::Embedded, Some(_)) => Err(UsageError::error(
            "this recipe brings its own data; --data-dir is for recipes on CoNLL-2002",
        )),
        (Corpus::Embedded, None) => {
            let local = |split: Split| {
                let path = workspace.join(format!("fixtures/quickstart/{}.conll", split.name()));
                Ok(CorpusFile {
                    split,
                    sha256: model_dir::sha256(&path)?,
                    origin: Origin::Local(path),
                })
            };
            Split::ALL.into_iter().map(local).collect()
        }
        (Corpus::Conll2002, Some(folder)) => CONLL2002
            .iter()
            .map(|file| file.find_in(folder, log))
            .collect(),
        (Corpus::Conll2002, None) => Ok(CONLL2002.iter().map(Conll2002File::on_the_web).collect()),
    }
}

impl Conll2002File {
    fn on_the_web(&self) -> CorpusFile {
        CorpusFile {
            split: self.split,
            sha256: self.sha256.to_owned(),
            origin: Origin::Web(self.name),
        }
    }

    /// Any layout will do: of several files of the name, the one with the known content, else the first from the top.
    fn find_in(&self, folder: &Path, log: &Log) -> Result<CorpusFile> {
        let mut paths = Vec::new();
        search(folder, self.name, SEARCH_DEPTH, &mut paths)?;
        let mut found = Vec::new();
        for path in paths {
            found.push((model_dir::sha256(&path)?, path));
        }
        let known = found.iter().find(|(sha256, _)| sha256 == self.sha256);
        let Some((sha256, path)) = known.or(found.first()) else {
            bail!("no file {} in {}. {BY_HAND}", self.name, folder.display());
        };
        if known.is_none() {
            log.say(format_args!(
                "warning: {} is another edition than the one that the published figures rest on (sha256 {sha256}, expected {})",
                path.display(),
                self.sha256
            ));
        }
        Ok(CorpusFile {
            split: self.split,
            sha256: sha256.clone(),
            origin: Origin::Local(path.clone()),
        })
    }
}

/// Files called `name` in `folder` and the folders below it, nearest first.
fn search(folder: &Path, name: &str, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read folder {}", folder.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    found.extend(
        paths
            .iter()
            .find(|path| path.file_name().is_some_and(|n| n == name) && path.is_file())
            .cloned(),
    );
    if depth > 0 {
        for path in paths.iter().filter(|path| path.is_dir()) {
            search(path, name, depth - 1, found)?;
        }
    }
    Ok(())
}

/// The same content is the same corpus, wherever it comes from.
pub fn plan(corpus: &[CorpusFile]) -> Plan {
    let folder = Folder::new(PathBuf::new(), None);
    Plan {
        stage: Stage::Download,
        key: StageKey {
            version: version().to_owned(),
            inputs: corpus
                .iter()
                .map(|file| (file.split.name().to_owned(), file.sha256.clone()))
                .collect(),
            commands: Vec::new(),
        },
        outputs: corpus.iter().map(|file| folder.raw(file.split)).collect(),
        can_go_on: false,
    }
}

/// Copies or downloads the corpus into the run's folder.
///
/// # Errors
/// No source gave a file, or a download is needed and `offline` forbids it.
pub fn run(corpus: &[CorpusFile], folder: &Folder, offline: bool, log: &Log) -> Result<()> {
    let mut downloader = Downloader::new(Options::default(), log);
    for file in corpus {
        let place = folder.raw(file.split);
        match &file.origin {
            Origin::Local(path) => {
                log.say(format_args!("  {}", path.display()));
                let bytes =
                    fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                model_dir::write(&place, bytes)?;
            }
            Origin::Web(name) if offline => {
                bail!("{name} would have to be downloaded, and --offline forbids it.\n{BY_HAND}")
            }
            Origin::Web(name) => {
                let fetched = downloader.fetch(&conll2002_sources(name), &place, &file.sha256);
                fetched.map_err(|error| anyhow!("{name}: {error:#}\n{BY_HAND}"))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, path::Path};

    use super::{CONLL2002, locate, plan};
    use crate::{log::Log, reproduce::recipe::Corpus, usage::UsageError};

    #[test]
    fn files_are_found_in_any_layout() {
        let folder = tempfile::tempdir().unwrap();
        let nested = folder.path().join("corpora/conll2002");
        fs::create_dir_all(&nested).unwrap();
        for file in &CONLL2002 {
            fs::write(nested.join(file.name), file.name).unwrap();
        }
        let log_file = folder.path().join("log");
        let log = Log::to_file(&log_file).unwrap();
        let corpus = locate(Corpus::Conll2002, Some(folder.path()), Path::new(""), &log).unwrap();
        assert_eq!(corpus.len(), 3);
        let said = fs::read_to_string(log_file).unwrap();
        assert_eq!(said.matches("warning: ").count(), 3, "{said}");

        fs::remove_file(nested.join("esp.testa")).unwrap();
        let error = locate(Corpus::Conll2002, Some(folder.path()), Path::new(""), &log)
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("no file esp.testa") && error.contains("--data-dir DIR"),
            "{error}"
        );
    }

    #[test]
    fn a_data_folder_for_embedded_data_is_wrong_usage() {
        let error = locate(
            Corpus::Embedded,
            Some(Path::new(".")),
            Path::new(""),
            &Log::to_stderr(),
        )
        .err()
        .unwrap();
        assert!(error.is::<UsageError>());
    }

    #[test]
    fn the_real_corpus_has_the_known_sums() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/conll2002-es");
        if !folder.is_dir() {
            println!("skipped: no CoNLL-2002 corpus at {}", folder.display());
            return;
        }
        let log = Log::to_stderr();
        let by_hand = plan(&locate(Corpus::Conll2002, Some(&folder), Path::new(""), &log).unwrap());
        let downloaded = plan(&locate(Corpus::Conll2002, None, Path::new(""), &log).unwrap());
        assert_eq!(by_hand.key, downloaded.key);
    }
}
