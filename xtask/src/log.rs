//! What a task says while it works: lines on stderr, kept in a file as well.

use std::{fmt::Display, fs::File, io::Write, path::Path};

use anyhow::{Context, Result};

pub struct Log {
    file: Option<File>,
}

impl Log {
    /// Lines go to stderr only.
    #[cfg(test)]
    pub fn to_stderr() -> Self {
        Self { file: None }
    }

    /// Lines go to stderr and to the end of `path`.
    pub fn to_file(path: &Path) -> Result<Self> {
        model_dir::make_parent(path)?;
        let file = File::options().append(true).create(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file: Some(file) })
    }

    pub fn say(&self, line: impl Display) {
        eprintln!("{line}");
        if let Some(mut file) = self.file.as_ref() {
            // A full disk shows itself in the stages' own files; talk must not end a run.
            _ = writeln!(file, "{line}");
        }
    }
}
