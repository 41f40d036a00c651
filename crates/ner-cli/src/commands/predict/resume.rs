//! An output that a killed run leaves so that the next one can go on with it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::wording::counted;

/// What has been answered, kept beside the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Journal {
    /// What the run was asked to do.
    command: String,
    /// Records of the input that are answered or left out.
    records: u64,
    /// Bytes of the output that hold the answers.
    bytes: u64,
}

/// An output under way: `OUTPUT.part` has the answers, `OUTPUT.part.json` says how many.
pub struct Resumable {
    writer: BufWriter<File>,
    place: PathBuf,
    part: PathBuf,
    journal_path: PathBuf,
    journal: Journal,
}

/// Ends the name of the answers.
const PART: &str = ".part";
/// Ends the name of the file that says how many they are.
const JOURNAL: &str = ".part.json";

fn beside(place: &Path, end: &str) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Whether an output is there and no run that goes on with it is under way.
pub fn is_complete(place: &Path) -> bool {
    place.exists() && !beside(place, JOURNAL).exists()
}

impl Resumable {
    /// Goes on with an output, or begins it. `command` tells runs apart that do not go on with each other.
    pub fn open(place: &Path, command: String) -> Result<Self> {
        let (part, journal_path) = (beside(place, PART), beside(place, JOURNAL));
        let journal = match fs::read_to_string(&journal_path) {
            Ok(text) => {
                let in_journal = || journal_path.display().to_string();
                let found: Journal = serde_json::from_str(&text).with_context(in_journal)?;
                if found.command != command {
                    bail!(
                        "{} is of a run with other settings ({}); delete it and {} to begin anew",
                        journal_path.display(),
                        found.command,
                        part.display()
                    );
                }
                found
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Journal {
                command,
                records: 0,
                bytes: 0,
            },
            Err(error) => return Err(error).with_context(|| journal_path.display().to_string()),
        };
        let in_part = || part.display().to_string();
        let options = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&part);
        let mut file = options.with_context(in_part)?;
        let length = file.metadata().with_context(in_part)?.len();
        if length < journal.bytes {
            bail!(
                "{} has {} and {} says {}; delete both to begin anew",
                part.display(),
                counted(length, "byte", "bytes"),
                journal_path.display(),
                journal.bytes
            );
        }
        // What was written after the last whole batch is written again.
        file.set_len(journal.bytes).with_context(in_part)?;
        file.seek(SeekFrom::End(0)).with_context(in_part)?;
        Ok(Self {
            writer: BufWriter::new(file),
            place: place.to_owned(),
            part,
            journal_path,
            journal,
        })
    }

    /// Records that are answered.
    pub fn records(&self) -> u64 {
        self.journal.records
    }

    /// Keeps what is written so far as the answers to so many records.
    pub fn answered(&mut self, records: u64) -> Result<()> {
        let in_part = || self.part.display().to_string();
        self.writer.flush().with_context(in_part)?;
        self.journal.records = records;
        self.journal.bytes = self.writer.stream_position().with_context(in_part)?;
        let text = serde_json::to_string(&self.journal)?;
        Ok(model_dir::write(&self.journal_path, text + "\n")?)
    }

    /// Gives the output its name.
    pub fn finish(self) -> Result<()> {
        let in_part = || self.part.display().to_string();
        let file = self
            .writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error);
        file.with_context(in_part)?
            .sync_all()
            .with_context(in_part)?;
        fs::rename(&self.part, &self.place).with_context(in_part)?;
        let in_journal = || self.journal_path.display().to_string();
        fs::remove_file(&self.journal_path).with_context(in_journal)
    }
}

impl Write for Resumable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_was_not_answered_for_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out");
        let open = |command: &str| Resumable::open(&place, command.to_owned());
        let mut killed = open("a").unwrap();
        killed.write_all(b"1\n2\n").unwrap();
        killed.answered(2).unwrap();
        killed.write_all(b"3\n4").unwrap();
        killed.flush().unwrap();
        drop(killed);
        assert!(!place.exists());
        let message = open("b").err().unwrap().to_string();
        assert!(message.contains("other settings"), "{message}");
        let mut next = open("a").unwrap();
        assert_eq!(next.records(), 2);
        next.write_all(b"3\n").unwrap();
        next.answered(3).unwrap();
        next.finish().unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "1\n2\n3\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(is_complete(&place));
        fs::remove_file(&place).unwrap();
        assert!(!is_complete(&place));
        // A part that is shorter than its journal says is no answer.
        let mut killed = open("a").unwrap();
        killed.write_all(b"1\n").unwrap();
        killed.answered(1).unwrap();
        drop(killed);
        fs::write(&place, "of an earlier run").unwrap();
        assert!(!is_complete(&place));
        fs::write(folder.path().join("out.part"), "").unwrap();
        let message = open("a").err().unwrap().to_string();
        assert!(message.contains("delete both"), "{message}");
    }
}
