//! Model directories that may be meant by a path that leads to none.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use model_dir::CONFIG;
use strsim::osa_distance;

/// Entries of a folder that are looked at.
const MOST_ENTRIES: usize = 1000;

/// Folders in which a name without a folder is looked for.
const MOST_FOLDERS: usize = 100;

/// Directories that are named.
const MOST_NAMED: usize = 3;

/// Where a training puts its best model.
const BEST: &str = "best";

/// Before the step in the name of a training's checkpoint.
const CHECKPOINT: &str = "checkpoint-";

/// Folders below each other in which models are looked for, as `best` is below a run's `output`.
const DEPTH: usize = 2;

/// A model directory, and how far its path is from the one that was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Near {
    /// Letters that are wrong, missing, too many or in the wrong order; more where a part of the path is missing or too many.
    pub slips: usize,
    /// The directory.
    pub path: PathBuf,
}

/// The model directories that may be meant, the nearest first.
pub fn near(path: &Path) -> Vec<Near> {
    near_in(Path::new(""), path)
}

/// ` (did you mean out/best?)`, or nothing.
pub fn meant(path: &Path) -> String {
    let names = near(path).into_iter();
    let names: Vec<String> = names.map(|near| near.path.display().to_string()).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => format!(" (did you mean {only}?)"),
        [before @ .., last] => format!(" (did you mean {} or {last}?)", before.join(", ")),
    }
}

/// The models below a directory that is none, those that are least deep first; of a run's checkpoints the latest.
pub fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut level = vec![dir.to_owned()];
    for _ in 0..DEPTH {
        let folders = level.iter().take(MOST_FOLDERS);
        let next: Vec<PathBuf> = folders.flat_map(|folder| likely(folder)).collect();
        found.extend(next.iter().filter(|dir| is_model(dir)).cloned());
        level = next;
    }
    found.truncate(MOST_NAMED);
    found
}

/// The folders in a folder that may be or hold models, sorted, without those that are hidden.
fn likely(folder: &Path) -> Vec<PathBuf> {
    let step = |name: &str| name.strip_prefix(CHECKPOINT)?.parse::<usize>().ok();
    let mut names = folders(folder);
    let latest = names.iter().filter_map(|name| step(name)).max();
    names.retain(|name| {
        let is_passed = step(name).is_some_and(|step| Some(step) < latest);
        !name.starts_with('.') && !is_passed
    });
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// What is [`near`] a path from a folder; the folder of the process where it is empty.
fn near_in(folder: &Path, path: &Path) -> Vec<Near> {
    let mut base = folder.to_owned();
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            other if names.is_empty() => base.push(other),
            _ => return Vec::new(), // `a/../b` is nothing that is mistyped
        }
    }
    let mut found = Vec::new();
    search(&base, &names, 0, &mut found);
    if let [name] = names.as_slice() {
        // The folder before the name is missing, as that of a training.
        for folder in folders(&base).into_iter().take(MOST_FOLDERS) {
            search(&base.join(folder), &[name], 2, &mut found);
        }
    }
    let parent = folder.join(path).parent().map(Path::to_owned);
    let model = parent.filter(|parent| names.len() > 1 && is_model(parent));
    found.extend(model.map(|path| Near { slips: 2, path }));
    found.sort();
    let mut named: Vec<Near> = Vec::new();
    for near in found {
        if named.len() < MOST_NAMED && named.iter().all(|known| known.path != near.path) {
            named.push(near);
        }
    }
    named
}

/// Adds the models below `base` whose paths are nearly these names.
fn search(base: &Path, names: &[&OsStr], slips: usize, found: &mut Vec<Near>) {
    let [name, rest @ ..] = names else {
        let best = base.join(BEST);
        let model = [base.to_owned(), best]
            .into_iter()
            .find(|dir| is_model(dir));
        found.extend(model.map(|path| Near { slips, path }));
        return;
    };
    for folder in folders(base) {
        if let Some(more) = distance(&name.to_string_lossy(), &folder) {
            search(&base.join(folder), rest, slips + more, found);
        }
    }
}

/// Slips between two names, where they are so few that one may be meant by the other.
fn distance(given: &str, known: &str) -> Option<usize> {
    if given == known {
        return Some(0);
    }
    let slips = osa_distance(&given.to_lowercase(), &known.to_lowercase()).max(1);
    let length = given.chars().count().min(known.chars().count());
    let most = (length / 4).clamp(1, 3).min(length / 2);
    (slips <= most).then_some(slips)
}

/// Names of the folders in a folder; none where it cannot be read.
fn folders(base: &Path) -> Vec<String> {
    let here = Path::new(".");
    let base = if base.as_os_str().is_empty() {
        here
    } else {
        base
    };
    let entries = fs::read_dir(base).into_iter().flatten().take(MOST_ENTRIES);
    let is_folder = |entry: &fs::DirEntry| {
        let kind = entry.file_type();
        kind.is_ok_and(|kind| kind.is_dir() || kind.is_symlink())
    };
    entries
        .flatten()
        .filter(is_folder)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn is_model(dir: &Path) -> bool {
    dir.join(CONFIG).is_file()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A folder with models in these directories.
    fn models(dirs: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for dir in dirs {
            let dir = folder.path().join(dir);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(CONFIG), "{}").unwrap();
        }
        folder
    }

    /// What is near a path, each with its slips.
    fn found(folder: &tempfile::TempDir, path: &str) -> Vec<(String, usize)> {
        let near = near_in(folder.path(), Path::new(path)).into_iter();
        let relative = |near: Near| {
            let path = near.path.strip_prefix(folder.path()).unwrap().to_owned();
            (path.to_str().unwrap().replace('\\', "/"), near.slips)
        };
        near.map(relative).collect()
    }

    fn one(path: &str, slips: usize) -> Vec<(String, usize)> {
        vec![(path.to_owned(), slips)]
    }

    #[test]
    fn a_mistyped_path_is_near_the_right_one() {
        let folder = models(&["my-model", "out/best", "runs/es-crf", "Small"]);
        for (path, right, slips) in [
            ("my-modle", "my-model", 1),
            ("mymodel", "my-model", 1),
            ("my-model2", "my-model", 1),
            ("out/besst", "out/best", 1),
            ("otu/best", "out/best", 1),
            ("otu/bset", "out/best", 2),
            ("./out/bst", "out/best", 1),
            ("runs/es-cfr", "runs/es-crf", 1),
            ("small", "Small", 1),
            // The directory of a training, which has its best model alone.
            ("oud", "out/best", 1),
            // A part of the path is missing or too many.
            ("best", "out/best", 2),
            ("es-crf", "runs/es-crf", 2),
            ("my-model/best", "my-model", 2),
        ] {
            assert_eq!(found(&folder, path), one(right, slips), "{path}");
        }
        let absolute = folder.path().join("my-modle");
        let near = near_in(Path::new(""), &absolute);
        assert_eq!(near[0].path, folder.path().join("my-model"));
    }

    #[test]
    fn models_below_a_directory_are_found() {
        let folder = models(&[
            "quickstart/output",
            "quickstart/output/best",
            "stopped/checkpoint-5",
            "stopped/checkpoint-11",
            "stopped/.checkpoint-12.partial",
            "deep/a/b/c",
            "many/a",
            "many/b",
            "many/c",
            "many/d",
        ]);
        for (dir, expected) in [
            ("quickstart", &["output", "output/best"][..]),
            ("stopped", &["checkpoint-11"]),
            ("deep", &[]),
            ("many", &["a", "b", "c"]),
            ("nowhere", &[]),
        ] {
            let dir = folder.path().join(dir);
            let expected: Vec<PathBuf> = expected.iter().map(|name| dir.join(name)).collect();
            assert_eq!(below(&dir), expected);
        }
    }

    #[test]
    fn names_that_are_far_are_not_near() {
        let folder = models(&["bert", "a", "out/best"]);
        fs::create_dir(folder.path().join("empty")).unwrap();
        for path in [
            "bert-base-multilingual-cased",
            "roberta-base",
            "b",
            "emtpy",
            "out/other",
            "nowhere/at/all",
            "../x/y",
            "",
        ] {
            assert_eq!(found(&folder, path), [], "{path}");
        }
    }

    #[test]
    fn the_nearest_come_first_and_not_all_are_named() {
        let folder = models(&["model-aa", "model-ab", "model-ac", "model-zz"]);
        let names: Vec<String> = found(&folder, "model-aaa")
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["model-aa", "model-ab", "model-ac"]);
    }
}
