//! Files that are whole or absent: written under another name, synced, and renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};
use crate::paths::{parent, resolved};
use crate::sync;

/// Ends the name of a file that is not finished.
const PARTIAL: &str = ".partial";

/// A file being written beside its final place. It takes its name only when [`keep`](Self::keep) is called; dropped before, it leaves nothing.
///
/// It has the permissions of any new file, as the user's umask has them. A link is followed, a device or a pipe is written to as it is.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    place: PathBuf,
    /// None where the place is a device or a pipe.
    partial: Option<Partial>,
}

impl AtomicFile {
    /// Begins a file in a directory that is there.
    ///
    /// # Errors
    /// The directory is not there or cannot be written to, or `place` is a directory.
    pub fn create(place: &Path) -> Result<Self> {
        Self::begin(place, &new_file())
    }

    /// As [`create`](Self::create), for what is not for everybody: on Unix only the owner can read the file, from its first byte on.
    ///
    /// # Errors
    /// As [`create`](Self::create)'s.
    pub fn create_private(place: &Path) -> Result<Self> {
        Self::begin(place, &new_private_file())
    }

    fn begin(place: &Path, options: &OpenOptions) -> Result<Self> {
        if is_special(place) {
            let file = File::options().write(true).open(place);
            return Ok(Self {
                file: file.map_err(Error::io(place))?,
                place: place.to_owned(),
                partial: None,
            });
        }
        let place = destination(place)?;
        let (file, partial) = Partial::create(&place, options)?;
        Ok(Self {
            file,
            place,
            partial: Some(partial),
        })
    }

    /// Where the file lies until it has its name, and where a program that is ended at once leaves it; none for a device or a pipe.
    pub fn partial_path(&self) -> Option<&Path> {
        self.partial.as_ref().map(|partial| partial.path.as_path())
    }

    /// Ends the file and gives it its name, in place of a file that may have it.
    ///
    /// # Errors
    /// The system cannot write it to the disk or rename it; what was there before is as it was.
    pub fn keep(self) -> Result<()> {
        let Some(partial) = self.partial else {
            return Ok(());
        };
        self.file.sync_all().map_err(Error::io(&self.place))?;
        drop(self.file);
        partial.rename(&self.place)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a file so that a reader, or a run after a stop at any instant, sees the old bytes or the new ones and nothing between.
///
/// # Errors
/// As [`AtomicFile`]'s.
pub fn write(place: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let mut file = AtomicFile::create(place)?;
    file.write_all(bytes.as_ref()).map_err(Error::io(place))?;
    file.keep()
}

/// As [`write()`], for libraries that write to a path themselves: `fill` is given the path of an empty file, which it may write to or replace. Its
/// permissions are then set to those of any new file, whatever the library made of them.
///
/// # Errors
/// What `fill` says, `place` is no place for a file, or the system cannot write or rename the file.
pub fn write_by<E: From<Error>>(
    place: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    if is_special(place) {
        let source = io::Error::new(ErrorKind::InvalidInput, "is not a regular file");
        return Err(Error::io(place)(source).into());
    }
    let place = destination(place)?;
    let (file, partial) = Partial::create(&place, &new_file())?;
    let permissions = file.metadata().map(|found| found.permissions());
    let permissions = permissions.map_err(Error::io(&place))?;
    drop(file);
    fill(&partial.path)?;
    fs::set_permissions(&partial.path, permissions).map_err(Error::io(&partial.path))?;
    sync::file(&partial.path)?;
    Ok(partial.rename(&place)?)
}

/// Makes the directory that a file is to lie in.
///
/// # Errors
/// It cannot be made.
pub fn make_parent(path: &Path) -> Result<()> {
    let parent = parent(path);
    fs::create_dir_all(parent).map_err(Error::io(parent))
}

/// Whether a path leads to a device, a pipe or the like, which renaming would replace.
fn is_special(place: &Path) -> bool {
    fs::metadata(place).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Where a file is to lie.
fn destination(place: &Path) -> Result<PathBuf> {
    let place = resolved(place)?;
    if place.is_dir() || place.file_name().is_none() {
        let source = io::Error::new(ErrorKind::IsADirectory, "is a directory");
        return Err(Error::io(&place)(source));
    }
    Ok(place)
}

/// How a file is made that is not there yet.
fn new_file() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    options
}

/// The same for a file that only its owner can read, where the system has owners as Unix has them.
fn new_private_file() -> OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut options = new_file();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A file under its first name. Dropped, it is removed.
#[derive(Debug)]
struct Partial {
    path: PathBuf,
}

impl Partial {
    /// A new file beside `place`, locked for as long as it is open, so that another program can tell it from one that a kill left.
    fn create(place: &Path, options: &OpenOptions) -> Result<(File, Self)> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path = parent(place).join(format!(".{}-{number}{PARTIAL}", process::id()));
            match options.open(&path) {
                Ok(file) => {
                    _ = file.try_lock(); // not every file system knows locks
                    return Ok((file, Self { path }));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::io(place)(source)),
            }
        }
    }

    fn rename(self, place: &Path) -> Result<()> {
        fs::rename(&self.path, place).map_err(Error::io(place))?;
        sync::parent(place);
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Renamed, there is nothing under this name any more.
        _ = fs::remove_file(&self.path);
    }
}

/// Whether a file has the name of one that is not finished.
fn is_partial(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.strip_prefix('.')
        .and_then(|name| name.strip_suffix(PARTIAL))
        .and_then(|name| name.split_once('-'))
        .is_some_and(|(process, number)| is_number(process) && is_number(number))
}

/// Removes an unfinished file that nobody writes any more; anything else is left alone.
pub fn remove_if_left(path: &Path) -> Result<()> {
    let is_ours = path.is_file()
        && path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(is_partial);
    if !is_ours {
        return Ok(());
    }
    let nobody_writes = File::open(path).is_ok_and(|file| file.try_lock().is_ok());
    match nobody_writes.then(|| fs::remove_file(path)) {
        Some(Err(error)) if error.kind() != ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}
