//! Permissions, links, devices: what Unix systems have beside plain files.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::{env, thread};

use model_dir::{AtomicFile, Error, replace_dir, write, write_by};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// As libraries that use temporary files write: for their owner only, and in place of what was there.
fn for_the_owner_only(path: &Path) -> Result<(), Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    fs::remove_file(path).map_err(io)?;
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    file.write_all(b"weights").map_err(io)
}

/// Under the umask of this process, whatever it is.
#[test]
fn new_files_and_directories_have_the_permissions_of_any() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("plain"), "").unwrap();
    fs::create_dir(at("plain-dir")).unwrap();
    let (file_mode, dir_mode) = (mode(&at("plain")), mode(&at("plain-dir")));
    if let Ok(umask) = env::var("MODEL_DIR_UMASK") {
        let umask = u32::from_str_radix(&umask, 8).unwrap();
        assert_eq!((file_mode, dir_mode), (0o666 & !umask, 0o777 & !umask));
    }

    write(&at("written"), "").unwrap();
    write_by(&at("written-by"), for_the_owner_only).unwrap();
    AtomicFile::create(&at("kept")).unwrap().keep().unwrap();
    for name in ["written", "written-by", "kept"] {
        assert_eq!(mode(&at(name)), file_mode, "{name}");
    }
    replace_dir(&at("replaced"), |new| {
        write_by(&new.join("weights"), for_the_owner_only)
    })
    .unwrap();
    assert_eq!(mode(&at("replaced")), dir_mode);
    assert_eq!(mode(&at("replaced/weights")), file_mode);
}

#[test]
fn the_umask_decides_permissions() {
    for umask in ["022", "077", "002", "000"] {
        let test = "new_files_and_directories_have_the_permissions_of_any";
        let output = Command::new("sh")
            .args(["-c", "umask \"$0\" && exec \"$@\"", umask])
            .arg(env::current_exe().unwrap())
            .args([test, "--exact"])
            .env("MODEL_DIR_UMASK", umask)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "umask {umask}: {said}"
        );
    }
}

#[test]
fn a_link_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let [elsewhere, link] = ["elsewhere", "link"].map(|name| dir.path().join(name));
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("file"), "old").unwrap();
    symlink(elsewhere.join("file"), &link).unwrap();
    write(&link, "new").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(elsewhere.join("file")).unwrap(), b"new");
    write_by(&link, for_the_owner_only).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());

    let best = dir.path().join("best");
    symlink(&elsewhere, &best).unwrap();
    replace_dir(&best, |new| write(&new.join("weights"), "new")).unwrap();
    assert!(fs::symlink_metadata(&best).unwrap().is_symlink());
    assert_eq!(fs::read(elsewhere.join("weights")).unwrap(), b"new");
    assert!(!elsewhere.join("file").exists());

    // One that leads nowhere gives way to the file.
    let dangling = dir.path().join("dangling");
    symlink("nowhere", &dangling).unwrap();
    write(&dangling, "new").unwrap();
    assert_eq!(fs::read(&dangling).unwrap(), b"new");
}

/// As `/dev/stdout` and `/dev/null` are: they must never be replaced by a file.
#[test]
fn a_pipe_is_written_to_and_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let reader = thread::spawn({
        let pipe = pipe.clone();
        move || {
            let mut text = String::new();
            File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
            text
        }
    });
    write(&pipe, "text").unwrap();
    assert_eq!(reader.join().unwrap(), "text");
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    write_by(&pipe, for_the_owner_only).unwrap_err();
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_private_file_is_its_owners_from_its_first_byte_on() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("map");
    write(&place, "old, and for all").unwrap();
    let mut file = AtomicFile::create_private(&place).unwrap();
    file.write_all(b"new").unwrap();
    let partial = file.partial_path().unwrap().to_owned();
    assert_eq!(mode(&partial), 0o600);
    file.keep().unwrap();
    assert!(!partial.exists());
    assert_eq!(
        (mode(&place), fs::read(&place).unwrap()),
        (0o600, b"new".to_vec())
    );
}
