//! The tokenizer back to files that this crate and transformers both load.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::SubwordTokenizer;
use super::config::{CONFIG, Role, SPECIAL_TOKENS_MAP};
use crate::error::{Error, Result};

impl SubwordTokenizer {
    /// Writes `tokenizer.json`, `tokenizer_config.json` (what the source's had, with the word boundary as `word_boundary`),
    /// `special_tokens_map.json`, and the vocabulary files that the source had. Creates the folder if need be.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).map_err(|source| Error::Io {
            path: dir.to_owned(),
            source,
        })?;

        let mut config = self.config.values().clone();
        config.insert(
            "word_boundary".to_owned(),
            self.word_boundary().name().into(),
        );
        let mut special = self.config.special_tokens_map().clone();
        for role in Role::ALL {
            let named = config
                .get(role.key())
                .filter(|value| !value.is_null())
                .cloned();
            let known = match role {
                Role::Unknown => self.unk_id(),
                Role::Padding => self.pad_id(),
                _ => None,
            };
            let known = || {
                known
                    .and_then(|id| self.tokenizer().id_to_token(id))
                    .map(Value::from)
            };
            if let Some(token) = named
                .or_else(|| special.get(role.key()).cloned())
                .or_else(known)
            {
                config.entry(role.key()).or_insert_with(|| token.clone());
                special.insert(role.key().to_owned(), token);
            }
        }
        write_json(&dir.join("tokenizer.json"), self.tokenizer())?;
        write_json(&dir.join(CONFIG), &config)?;
        write_json(&dir.join(SPECIAL_TOKENS_MAP), &special)?;
        for (name, bytes) in &self.files {
            write(&dir.join(name), bytes)?;
        }
        Ok(())
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|source| Error::Json {
        path: path.to_owned(),
        source,
    })?;
    bytes.push(b'\n');
    write(path, &bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}
