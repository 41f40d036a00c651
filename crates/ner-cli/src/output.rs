//! Files and streams that results go to.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

/// Stdout, or a file that appears under its name only when it is complete.
pub enum Output {
    /// Stdout.
    Stdout(BufWriter<io::Stdout>),
    /// A file beside its final name.
    File {
        /// What is written.
        writer: BufWriter<NamedTempFile>,
        /// The final name.
        path: PathBuf,
    },
}

impl Output {
    /// The file at `path`, or stdout.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout(BufWriter::new(io::stdout())));
        };
        let dir = path
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let file = tempfile::Builder::new()
            .permissions(permissions())
            .tempfile_in(dir)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        Ok(Self::File {
            writer: BufWriter::new(file),
            path: path.to_owned(),
        })
    }

    /// Ends the output: a file gets its name now.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Stdout(mut writer) => writer.flush()?,
            Self::File { writer, path } => {
                let in_path = || path.display().to_string();
                let file = writer
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)
                    .with_context(in_path)?;
                file.persist(&path).with_context(in_path)?;
            }
        }
        Ok(())
    }
}

/// Permissions of an ordinary new file, where temporary files would be readable by their owner only.
fn permissions() -> std::fs::Permissions {
    #[cfg(unix)]
    return std::os::unix::fs::PermissionsExt::from_mode(0o644);
    #[cfg(not(unix))]
    return std::fs::metadata(".")
        .map_or_else(|_| unreachable!(), |metadata| metadata.permissions());
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
    let mut output = Output::create(Some(path))?;
    output
        .write_all(text.as_bytes())
        .with_context(|| path.display().to_string())?;
    output.finish()
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
    let mut entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    ensure!(
        overwrite || entries.next().is_none(),
        "{}: is not empty; choose another directory or pass --overwrite-output-dir",
        dir.display()
    );
    Ok(())
}
