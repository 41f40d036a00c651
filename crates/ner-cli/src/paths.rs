//! Files by name and by pattern.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// The files and directories that patterns with `*`, `?` or `[…]` stand for, sorted; what is no pattern, or is the name of a file, stands for itself.
pub fn expand(patterns: &[String]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for pattern in patterns {
        let literal = PathBuf::from(pattern);
        if !pattern.contains(['*', '?', '[']) || literal.exists() {
            found.push(literal);
            continue;
        }
        let paths = glob::glob(pattern).with_context(|| format!("pattern `{pattern}`"))?;
        let before = found.len();
        for path in paths {
            found.push(path?);
        }
        ensure!(
            found.len() > before,
            "pattern `{pattern}`: no file or directory matches it"
        );
    }
    Ok(found)
}
