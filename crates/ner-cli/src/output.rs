//! Files and streams that results go to.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use model_dir::AtomicFile;

use crate::last_words;
use crate::screen::{stdout_columns, wrapped};

/// Stdout, or a file that appears under its name only when it is complete.
pub enum Output {
    /// Stdout.
    Stdout(BufWriter<io::Stdout>),
    /// A file beside its final name.
    File {
        /// What is written.
        writer: BufWriter<AtomicFile>,
        /// The final name.
        path: PathBuf,
    },
}

impl Output {
    /// The file at `path`, or stdout.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        Self::begin(path, AtomicFile::create)
    }

    /// The same, for what holds personal data that other files have no longer: only its owner can read the file.
    pub fn create_private(path: Option<&Path>) -> Result<Self> {
        Self::begin(path, AtomicFile::create_private)
    }

    fn begin(
        path: Option<&Path>,
        create: fn(&Path) -> model_dir::Result<AtomicFile>,
    ) -> Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout(BufWriter::new(io::stdout())));
        };
        let file = create(path).context("the output cannot be written")?;
        if let Some(partial) = file.partial_path() {
            last_words::leaves(partial);
        }
        Ok(Self::File {
            writer: BufWriter::new(file),
            path: path.to_owned(),
        })
    }

    /// Whether it is seen at once.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout(_)) && io::stdout().is_terminal()
    }

    /// Writes a text for people: on a terminal, lines that are longer than it is wide go on in the next one.
    pub fn write_text(&mut self, text: &str) -> io::Result<()> {
        let columns = match self {
            Self::Stdout(_) => stdout_columns(),
            Self::File { .. } => None,
        };
        match columns {
            Some(columns) => self.write_all(wrapped(text, columns).as_bytes()),
            None => self.write_all(text.as_bytes()),
        }
    }

    /// Ends the output: a file gets its name now.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Stdout(mut writer) => writer.flush()?,
            Self::File { writer, path } => {
                let file = writer
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)
                    .with_context(|| path.display().to_string())?;
                file.keep()?;
            }
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(writer) => writer.write(bytes),
            Self::File { writer, .. } => writer.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(writer) => writer.flush(),
            Self::File { writer, .. } => writer.flush(),
        }
    }
}

/// Writes a whole file at once.
pub fn write_file(path: &Path, text: &str) -> Result<()> {
    Ok(model_dir::write(path, text)?)
}

/// Makes an output directory.
pub fn make_dir(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("{}: cannot be made", dir.display()))
}

/// An output directory that is there must be empty unless `overwrite`.
pub fn check_dir(dir: &Path, overwrite: bool) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    ensure!(
        dir.is_dir(),
        "{}: is a file, expected a directory to write into; choose another name",
        dir.display()
    );
    let mut entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    ensure!(
        overwrite || entries.next().is_none(),
        "{}: is not empty; choose another directory or pass --overwrite-output-dir",
        dir.display()
    );
    Ok(())
}
