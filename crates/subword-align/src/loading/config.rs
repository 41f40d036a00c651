//! What stands beside the vocabulary: `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::read_if_present;
use crate::boundary::WordBoundary;
use crate::error::{Error, Result};

pub(super) const CONFIG: &str = "tokenizer_config.json";
pub(super) const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
pub(super) const ADDED_TOKENS: &str = "added_tokens.json";
/// In [`CONFIG`]: added tokens by their ids.
const ADDED_TOKENS_DECODER: &str = "added_tokens_decoder";
const WORD_BOUNDARY: &str = "word_boundary";

/// What a special token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Begin,
    End,
    Unknown,
    Separator,
    Padding,
    Class,
    Mask,
}

impl Role {
    pub const ALL: [Self; 7] = [
        Self::Begin,
        Self::End,
        Self::Unknown,
        Self::Separator,
        Self::Padding,
        Self::Class,
        Self::Mask,
    ];

    /// The key in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Self::Begin => "bos_token",
            Self::End => "eos_token",
            Self::Unknown => "unk_token",
            Self::Separator => "sep_token",
            Self::Padding => "pad_token",
            Self::Class => "cls_token",
            Self::Mask => "mask_token",
        }
    }
}

/// A token added to the vocabulary.
pub(super) struct Added {
    pub id: u32,
    pub token: AddedToken,
    /// Whether the file says how the token is to be matched, or only its id.
    pub flags_given: bool,
    /// The file that declares it.
    pub path: PathBuf,
}

/// The files' contents; those that are absent are empty.
#[derive(Debug, Default)]
pub(super) struct Config {
    dir: PathBuf,
    values: Map<String, Value>,
    special_tokens_map: Map<String, Value>,
    added_tokens: Map<String, Value>,
}

impl Config {
    pub fn read(dir: &Path) -> Result<Self> {
        let object = |name: &str| {
            let path = dir.join(name);
            match read_if_present(&path)? {
                Some(bytes) => {
                    serde_json::from_slice(&bytes).map_err(|source| Error::Json { path, source })
                }
                None => Ok(Map::new()),
            }
        };
        Ok(Self {
            dir: dir.to_owned(),
            values: object(CONFIG)?,
            special_tokens_map: object(SPECIAL_TOKENS_MAP)?,
            added_tokens: object(ADDED_TOKENS)?,
        })
    }

    /// The folder that the files lie in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    pub fn special_tokens_map(&self) -> &Map<String, Value> {
        &self.special_tokens_map
    }

    /// The same with other ids for the added tokens; those without a new id are left out.
    pub fn renumbered(&self, new_id: impl Fn(u32) -> Option<u32>) -> Self {
        let mut values = self.values.clone();
        if let Some(Value::Object(tokens)) = values.get_mut(ADDED_TOKENS_DECODER) {
            *tokens = std::mem::take(tokens)
                .into_iter()
                .filter_map(|(id, token)| Some((new_id(id.parse().ok()?)?.to_string(), token)))
                .collect();
        }
        let added_tokens = self.added_tokens.iter().filter_map(|(token, id)| {
            let id = u32::try_from(id.as_u64()?).ok()?;
            Some((token.clone(), new_id(id)?.into()))
        });
        Self {
            dir: self.dir.clone(),
            values,
            special_tokens_map: self.special_tokens_map.clone(),
            added_tokens: added_tokens.collect(),
        }
    }

    /// The content of `added_tokens.json`.
    pub fn added_tokens_file(&self) -> &Map<String, Value> {
        &self.added_tokens
    }

    /// Sets what the files left open.
    pub fn default_to(&mut self, key: &str, value: impl Into<Value>) {
        self.values.entry(key).or_insert_with(|| value.into());
    }

    /// Sets the name of a special token that the files left open.
    pub fn default_special_token(&mut self, role: Role, token: &AddedToken) {
        if !self.special_tokens_map.contains_key(role.key()) {
            self.default_to(role.key(), token.content.as_str());
        }
    }

    /// The class without `Fast`.
    pub fn class(&self) -> Option<&str> {
        let class = self.values.get("tokenizer_class")?.as_str()?;
        Some(class.strip_suffix("Fast").unwrap_or(class))
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(self.wrong(CONFIG, key, other, "true, false or null")),
        }
    }

    /// `strip_accents`, where null means "as `do_lower_case`"; its older name is `keep_accents`, with the sense reversed.
    pub fn strip_accents(&self) -> Result<Option<Option<bool>>> {
        if self.values.contains_key("strip_accents") {
            return Ok(Some(self.flag("strip_accents")?));
        }
        Ok(self.flag("keep_accents")?.map(|keep| Some(!keep)))
    }

    pub fn word_boundary(&self) -> Result<Option<WordBoundary>> {
        match self.values.get(WORD_BOUNDARY) {
            None => Ok(None),
            Some(value) => serde_json::from_value(value.clone())
                .map(Some)
                .map_err(|_| {
                    self.wrong(CONFIG, WORD_BOUNDARY, value, "\"prefix-space\" or \"none\"")
                }),
        }
    }

    /// `model_max_length`, in files of 2020 `max_len`. What does not fit 64 bits stands for "not known".
    pub fn model_max_length(&self) -> Option<usize> {
        let value = ["model_max_length", "max_len"]
            .iter()
            .find_map(|key| self.values.get(*key))?;
        usize::try_from(value.as_u64()?)
            .ok()
            .filter(|&length| length > 0)
    }

    pub fn special_token(&self, role: Role) -> Result<Option<AddedToken>> {
        let files = [
            (CONFIG, &self.values),
            (SPECIAL_TOKENS_MAP, &self.special_tokens_map),
        ];
        for (file, values) in files {
            if let Some(value) = values.get(role.key()).filter(|value| !value.is_null()) {
                let token = token_of(value, true);
                return match token {
                    Some(token) => Ok(Some(token)),
                    None => Err(self.wrong(
                        file,
                        role.key(),
                        value,
                        "a token or an object with `content`",
                    )),
                };
            }
        }
        Ok(None)
    }

    /// The tokens of `added_tokens_decoder` and `added_tokens.json`, in the order of their ids.
    pub fn added_tokens(&self) -> Result<Vec<Added>> {
        const KEY: &str = ADDED_TOKENS_DECODER;
        let mut found = Vec::new();
        match self.values.get(KEY) {
            None | Some(Value::Null) => {}
            Some(Value::Object(tokens)) => {
                for (id, value) in tokens {
                    let (Ok(id), Some(token)) = (id.parse(), token_of(value, false)) else {
                        return Err(self.wrong(
                            CONFIG,
                            KEY,
                            value,
                            "ids with objects that have `content`",
                        ));
                    };
                    found.push(Added {
                        id,
                        token,
                        flags_given: true,
                        path: self.dir.join(CONFIG),
                    });
                }
            }
            Some(other) => {
                return Err(self.wrong(CONFIG, KEY, other, "ids with objects that have `content`"));
            }
        }
        let mut special = Vec::new();
        for role in Role::ALL {
            special.extend(self.special_token(role)?.map(|token| token.content));
        }
        for (content, value) in &self.added_tokens {
            let Some(id) = value.as_u64().and_then(|id| u32::try_from(id).ok()) else {
                return Err(self.wrong(ADDED_TOKENS, content, value, "an id"));
            };
            if found.iter().all(|added| added.token.content != *content) {
                let token = AddedToken::from(content.as_str(), special.contains(content));
                found.push(Added {
                    id,
                    token,
                    flags_given: false,
                    path: self.dir.join(ADDED_TOKENS),
                });
            }
        }
        found.sort_by_key(|added| added.id);
        Ok(found)
    }

    fn wrong(&self, file: &str, key: &str, found: &Value, expected: &'static str) -> Error {
        Error::Setting {
            path: self.dir.join(file),
            key: key.to_owned(),
            found: found.to_string(),
            expected,
        }
    }
}

/// A token given by its text or as an object with `content` and flags.
fn token_of(value: &Value, special: bool) -> Option<AddedToken> {
    if let Some(content) = value.as_str() {
        return Some(AddedToken::from(content, special));
    }
    let flag =
        |key: &str, otherwise: bool| value.get(key).and_then(Value::as_bool).unwrap_or(otherwise);
    let special = flag("special", special);
    Some(
        AddedToken::from(value.get("content")?.as_str()?, special)
            .single_word(flag("single_word", false))
            .lstrip(flag("lstrip", false))
            .rstrip(flag("rstrip", false))
            .normalized(flag("normalized", !special)),
    )
}
