//! A tokenizer with some of its sub-words, under new ids.
//!
//! Ids stand in many places of a tokenizer's files. They are changed in the tokenizer's own JSON form, which is then loaded as any other.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::config::ADDED_TOKENS;
use super::{SubwordTokenizer, parse};
use crate::error::{Error, Result};

/// First line of the `merges.txt` that today's tools write.
const MERGES_VERSION: &str = "#version: 0.2";

/// A merge of BPE, by the texts of its sub-words.
pub(crate) struct Merge<'j> {
    pub left: &'j str,
    pub right: &'j str,
    /// What they become: the right one is joined without the mark of continuing sub-words.
    pub merged: String,
}

impl<'j> Merge<'j> {
    /// Of a pair in `tokenizer.json`; nothing where it is none.
    pub fn new(pair: &'j Value, continuing_prefix: &str) -> Option<Self> {
        let (left, right) = (pair.get(0)?.as_str()?, pair.get(1)?.as_str()?);
        let merged = format!("{left}{}", right.get(continuing_prefix.len()..)?);
        Some(Self {
            left,
            right,
            merged,
        })
    }
}

/// New ids by the old ones.
struct NewIds(BTreeMap<u32, u32>);

impl NewIds {
    fn of(&self, old: u32) -> Option<u32> {
        self.0.get(&old).copied()
    }

    fn of_json(&self, old: &Value) -> Option<u32> {
        self.of(old.as_u64()?.try_into().ok()?)
    }

    /// Puts the new id in the place of an old one.
    fn replace(&self, place: &mut Value) -> Result<()> {
        match self.of_json(place) {
            Some(new) => *place = new.into(),
            None => return Err(contradiction(&format!("{place} is the id of no sub-word"))),
        }
        Ok(())
    }
}

impl SubwordTokenizer {
    /// The tokenizer as `tokenizer.json` has it.
    ///
    /// # Errors
    /// It has no JSON form.
    pub(crate) fn to_json(&self) -> Result<Value> {
        serde_json::to_value(&self.tokenizer).map_err(|source| self.unreadable(source))
    }

    /// Ids of special and added tokens, and those that `json` puts around sequences.
    pub(crate) fn special_token_ids(&self, json: &Value) -> Vec<u32> {
        let model = &json["model"];
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let added = self.tokenizer.get_added_vocabulary().get_vocab();
        let mut ids: Vec<u32> = added.values().copied().collect();
        ids.extend(self.unk_id.into_iter().chain(self.pad_id));
        // The model's own unknown token need not be the configuration's.
        let unknown = model["unk_token"].as_str();
        ids.extend(unknown.and_then(|token| self.tokenizer.token_to_id(token)));
        ids.extend(id(&model["unk_id"]));
        let mut post_processor = json["post_processor"].clone();
        let around = ids_of_post_processor(&mut post_processor);
        ids.extend(around.into_iter().filter_map(|place| id(place)));
        ids
    }

    /// The same tokenizer with the sub-words of `kept`, ascending ids; each gets its place there as its new id. `json` is its JSON form.
    ///
    /// # Errors
    /// [`Error::Renumbering`] if the ids contradict each other.
    pub(crate) fn renumbered(&self, mut json: Value, kept: &[u32]) -> Result<Self> {
        let new_ids = NewIds(kept.iter().copied().zip(0..).collect());
        renumber_model(&mut json["model"], &new_ids)?;
        for token in json["added_tokens"].as_array_mut().into_iter().flatten() {
            new_ids.replace(&mut token["id"])?;
        }
        for place in ids_of_post_processor(&mut json["post_processor"]) {
            new_ids.replace(place)?;
        }
        let path = self.config.dir().join("tokenizer.json");
        let bytes = serde_json::to_vec(&json).map_err(|source| self.unreadable(source))?;
        let config = self.config.renumbered(|id| new_ids.of(id));
        let mut files = Vec::new();
        for (name, _) in &self.files {
            let content = match *name {
                ADDED_TOKENS => serde_json::to_string(config.added_tokens_file()).ok(),
                name => vocabulary_file(name, &json["model"]),
            };
            files.extend(content.map(|text| (*name, (text + "\n").into_bytes())));
        }
        let tokenizer = parse(&bytes, &path)?;
        let mut smaller =
            Self::assemble(tokenizer, self.boundary, config, files, self.config.dir())?;
        let new = |id: Option<u32>| id.and_then(|id| new_ids.of(id));
        (smaller.unk_id, smaller.pad_id) = (new(self.unk_id), new(self.pad_id));
        self.check_ids(&smaller, &new_ids)?;
        Ok(smaller)
    }

    /// Holds the ids of a renumbered tokenizer against those that it was to get: added tokens that are not in the model's vocabulary are
    /// numbered anew whenever a tokenizer is loaded.
    fn check_ids(&self, smaller: &Self, new_ids: &NewIds) -> Result<()> {
        for (token, old) in self.tokenizer.get_vocab(true) {
            let (found, expected) = (smaller.tokenizer.token_to_id(&token), new_ids.of(old));
            if found != expected {
                return Err(contradiction(&format!(
                    "`{token}`, {old} so far, got {found:?} instead of {expected:?}"
                )));
            }
        }
        Ok(())
    }

    fn unreadable(&self, source: serde_json::Error) -> Error {
        Error::Json {
            path: self.config.dir().join("tokenizer.json"),
            source,
        }
    }
}

fn contradiction(problem: &str) -> Error {
    Error::Renumbering {
        problem: problem.to_owned(),
    }
}

/// Leaves the kept sub-words in a model, and the merges between them.
fn renumber_model(model: &mut Value, new_ids: &NewIds) -> Result<()> {
    match &mut model["vocab"] {
        Value::Object(vocabulary) => {
            let kept = std::mem::take(vocabulary).into_iter();
            *vocabulary = kept
                .filter_map(|(token, id)| Some((token, new_ids.of_json(&id)?.into())))
                .collect();
        }
        Value::Array(pieces) => {
            let mut ids = 0..;
            pieces.retain(|_| ids.next().is_some_and(|id| new_ids.of(id).is_some()));
        }
        _ => return Err(contradiction("the model has no vocabulary")),
    }
    if !model["unk_id"].is_null() {
        new_ids.replace(&mut model["unk_id"])?;
    }
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or("");
    let prefix = prefix.to_owned();
    if let Some(Value::Array(mut merges)) = model.get_mut("merges").map(Value::take) {
        let vocabulary = &model["vocab"];
        let is_kept = |token: &str| vocabulary.get(token).is_some();
        merges.retain(|pair| {
            Merge::new(pair, &prefix).is_some_and(|merge| {
                is_kept(merge.left) && is_kept(merge.right) && is_kept(&merge.merged)
            })
        });
        model["merges"] = merges.into();
    }
    Ok(())
}

/// The places of a post-processor where ids stand.
fn ids_of_post_processor(json: &mut Value) -> Vec<&mut Value> {
    let Value::Object(fields) = json else {
        return Vec::new();
    };
    let mut places = Vec::new();
    for (key, value) in fields {
        match (key.as_str(), value) {
            // BERT's and RoBERTa's own: a token and its id.
            ("sep" | "cls", pair) => places.extend(pair.get_mut(1)),
            ("special_tokens", Value::Object(tokens)) => {
                let lists = tokens.values_mut().filter_map(|token| {
                    let ids = token.get_mut("ids")?;
                    ids.as_array_mut()
                });
                places.extend(lists.flatten());
            }
            ("processors", Value::Array(steps)) => {
                places.extend(steps.iter_mut().flat_map(ids_of_post_processor));
            }
            _ => {}
        }
    }
    places
}

/// The text of a vocabulary file without its last line end; nothing where the model has no such file, or this crate cannot write it (those of
/// the SentencePiece library).
fn vocabulary_file(name: &str, model: &Value) -> Option<String> {
    let kind = model["type"].as_str()?;
    let vocabulary = model["vocab"].as_object();
    match (name, kind) {
        ("vocab.json", "BPE") => serde_json::to_string(vocabulary?).ok(),
        ("merges.txt", "BPE") => {
            let merges = model["merges"].as_array()?.iter();
            let lines = merges.filter_map(|pair| {
                let merge = Merge::new(pair, "")?;
                Some(format!("\n{} {}", merge.left, merge.right))
            });
            Some(MERGES_VERSION.to_owned() + &lines.collect::<String>())
        }
        ("vocab.txt", "WordPiece") => {
            let tokens = by_id(vocabulary?);
            Some(tokens.into_values().collect::<Vec<_>>().join("\n"))
        }
        _ => None,
    }
}

fn by_id(vocabulary: &Map<String, Value>) -> BTreeMap<u64, &str> {
    let ids = vocabulary.iter();
    ids.filter_map(|(token, id)| Some((id.as_u64()?, token.as_str())))
        .collect()
}
