//! Files and directories that are whole or absent, and how they may be read.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::Path;

use model_dir::{
    AtomicFile, Error, hex, make_parent, replace_dir, sha256, sha256_of_files,
    take_back_unfinished, write, write_by,
};

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("config.json");
    write(&place, "old").unwrap();
    let mut file = AtomicFile::create(&place).unwrap();
    file.write_all(b"half").unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"old");
    assert_eq!(names(dir.path()).len(), 2);
    drop(file);
    assert_eq!(fs::read(&place).unwrap(), b"old");
    write(&place, "new").unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"new");

    let failed = write_by(&place, |path| {
        fs::write(path, "half").map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        Err(Error::NoWeights {
            dir: path.to_owned(),
        })
    });
    assert!(matches!(failed, Err(Error::NoWeights { .. })));
    assert_eq!(fs::read(&place).unwrap(), b"new");
    assert_eq!(names(dir.path()), ["config.json"]);
}

#[test]
fn two_writers_of_one_file_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("report.json");
    let mut first = AtomicFile::create(&place).unwrap();
    let mut second = AtomicFile::create(&place).unwrap();
    first.write_all(b"first").unwrap();
    second.write_all(b"second, and longer").unwrap();
    second.keep().unwrap();
    first.keep().unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"first");
}

#[test]
fn where_a_file_cannot_be_the_path_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent/file");
    for place in [absent.as_path(), dir.path(), Path::new("/"), Path::new("")] {
        let error = write(place, "").unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{}:", place.display())),
            "{error}"
        );
    }
    make_parent(&absent).unwrap();
    write(&absent, "now").unwrap();
    make_parent(Path::new("file")).unwrap(); // the current directory is there
}

#[test]
fn a_name_of_the_greatest_length_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("n".repeat(255));
    write(&place, "text").unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"text");
}

#[test]
fn sums_are_those_of_the_standard() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("checkpoint-1")).unwrap();
    write(&dir.path().join("checkpoint-1/config.json"), "abc").unwrap();
    write(&dir.path().join("abc"), "abc").unwrap();
    write(&dir.path().join("empty"), "").unwrap();
    let long = dir.path().join("long");
    write(&long, "a".repeat(1_000_000)).unwrap();
    // FIPS 180-2, appendix B, and the sum of nothing.
    let expected = [
        (
            "abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            "empty",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            "long",
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        ),
    ];
    let sums = sha256_of_files(dir.path()).unwrap();
    assert_eq!(
        sums,
        expected
            .map(|(name, sum)| (name.to_owned(), sum.to_owned()))
            .into()
    );
    assert_eq!(sha256(&long).unwrap(), expected[2].1);
    assert_eq!(hex(&[0, 0x0a, 0xff]), "000aff");
    assert!(
        sha256(&dir.path().join("absent"))
            .unwrap_err()
            .to_string()
            .contains("absent")
    );
}

fn fill(text: &'static str) -> impl FnOnce(&Path) -> Result<(), Error> {
    move |dir| {
        fs::create_dir(dir.join("below")).unwrap();
        write(&dir.join("below/weights"), text)?;
        write(&dir.join("weights"), text)
    }
}

#[test]
fn a_directory_appears_whole_or_not_at_all() {
    let out = tempfile::tempdir().unwrap();
    let dir = out.path().join("deep/best");
    replace_dir(&dir, fill("old")).unwrap();
    fs::write(dir.join("stale"), "").unwrap();
    replace_dir(&dir, |partial| {
        assert_eq!(names(partial), [""; 0]);
        assert_eq!(fs::read(dir.join("weights")).unwrap(), b"old");
        fill("new")(partial)
    })
    .unwrap();
    assert_eq!(names(&dir), ["below", "weights"]);
    assert_eq!(fs::read(dir.join("below/weights")).unwrap(), b"new");

    // A filling that fails leaves the directory as it was and nothing beside it. Its error is the caller's own.
    let failed = replace_dir(&dir, |partial| {
        fs::write(partial.join("weights"), "half").unwrap();
        Err(Own("no room".to_owned()))
    });
    assert_eq!(failed, Err(Own("no room".to_owned())));
    assert_eq!(fs::read(dir.join("weights")).unwrap(), b"new");
    assert_eq!(names(dir.parent().unwrap()), ["best"]);
}

/// An error of a caller.
#[derive(Debug, PartialEq)]
struct Own(String);

impl From<Error> for Own {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

#[test]
fn what_cannot_be_replaced_is_left_alone() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("best");
    fs::write(&file, "a file").unwrap();
    for dir in [
        file.as_path(),
        Path::new("/"),
        Path::new(".."),
        Path::new(""),
    ] {
        replace_dir(dir, |_| -> Result<(), Error> { panic!("nothing to fill") }).unwrap_err();
    }
    assert_eq!(fs::read(&file).unwrap(), b"a file");
    assert_eq!(names(out.path()), ["best"]);
}

/// Every state that a stop in the middle of a replacement can leave, and some that it cannot.
#[test]
fn what_a_kill_left_half_done_is_taken_back() {
    for state in 0..8 {
        let out = tempfile::tempdir().unwrap();
        let make = |name: &str, bit: u8| {
            if state & bit != 0 {
                fs::create_dir(out.path().join(name)).unwrap();
                fs::write(out.path().join(name).join("weights"), name).unwrap();
            }
        };
        make("best", 1);
        make(".best.partial", 2);
        make(".best.old", 4);
        make(".mine.old", 4); // another's
        take_back_unfinished(out.path(), |name| name == "best").unwrap();
        let kept = match state {
            state if state & 1 != 0 => Some("best"),
            state if state & 4 != 0 => Some(".best.old"), // it was moved away and comes back
            _ => None,
        };
        let weights = fs::read_to_string(out.path().join("best/weights")).ok();
        assert_eq!(weights.as_deref(), kept, "state {state}");
        let left: Vec<String> = names(out.path())
            .into_iter()
            .filter(|name| name != ".mine.old")
            .collect();
        let expected: &[&str] = if kept.is_some() { &["best"] } else { &[] };
        assert_eq!(left, expected, "state {state}");
        assert_eq!(out.path().join(".mine.old").exists(), state & 4 != 0);

        // Replacing it clears the same, without being asked.
        let out = tempfile::tempdir().unwrap();
        let make = |name: &str, bit: u8| {
            if state & bit != 0 {
                fs::create_dir(out.path().join(name)).unwrap();
                fs::write(out.path().join(name).join("stale"), name).unwrap();
            }
        };
        make("best", 1);
        make(".best.partial", 2);
        make(".best.old", 4);
        replace_dir(&out.path().join("best"), fill("new")).unwrap();
        assert_eq!(names(out.path()), ["best"], "state {state}");
        assert_eq!(names(&out.path().join("best")), ["below", "weights"]);
    }
    let absent = Path::new("there/is/no/such/directory");
    take_back_unfinished(absent, |_| true).unwrap();
}

#[test]
fn files_that_a_kill_left_are_removed_and_those_in_the_making_are_not() {
    let out = tempfile::tempdir().unwrap();
    let place = out.path().join("model.safetensors");
    let mut in_the_making = AtomicFile::create(&place).unwrap();
    in_the_making.write_all(b"new").unwrap();
    let not_ours = [
        ".partial",
        ".1-x.partial",
        ".x-1.partial",
        "1-1.partial",
        ".1-1",
        ".-.partial",
    ];
    for name in not_ours
        .iter()
        .chain(&[".1-1.partial", ".4294967295-0.partial"])
    {
        fs::write(out.path().join(name), "").unwrap();
    }
    fs::create_dir(out.path().join(".2-2.partial")).unwrap();
    take_back_unfinished(out.path(), |name| name != "2-2").unwrap();
    let mut expected: Vec<&str> = not_ours.to_vec();
    expected.push(".2-2.partial");
    let left = names(out.path());
    assert_eq!(left.len(), expected.len() + 1, "{left:?}");
    assert!(
        expected
            .iter()
            .all(|name| left.iter().any(|found| found == name)),
        "{left:?}"
    );
    in_the_making.keep().unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"new");
}
