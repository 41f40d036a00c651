//! Wrong use of a task that only the task itself can see; ends the program with exit code 2, as clap's own errors do.

use std::fmt;

#[derive(Debug)]
pub struct UsageError(String);

impl UsageError {
    pub fn error(message: impl Into<String>) -> anyhow::Error {
        Self(message.into()).into()
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
