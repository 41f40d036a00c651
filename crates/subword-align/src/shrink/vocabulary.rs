//! The sub-words of a tokenizer: which any text may need, and which depend on each other.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use tokenizers::Tokenizer;
use tokenizers::models::ModelWrapper;

use crate::error::{Error, Result};
use crate::loading::Merge;

/// What SentencePiece writes for the space before a word.
const WORD_START: char = '▁';

/// Sub-words by id.
pub(super) struct Vocabulary {
    tokens: HashMap<u32, String>,
    /// Those that every text may need, beside special tokens.
    indispensable: Vec<u32>,
    /// BPE: the two parts of each merge that makes a sub-word.
    parts: HashMap<u32, Vec<[u32; 2]>>,
}

impl Vocabulary {
    /// Reads the vocabulary of a tokenizer; `json` is the tokenizer as `tokenizer.json` has it.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`].
    pub fn new(tokenizer: &Tokenizer, json: &Value) -> Result<Self> {
        let mut vocabulary = Self {
            tokens: by_id(tokenizer.get_vocab(true)),
            indispensable: Vec::new(),
            parts: HashMap::new(),
        };
        match tokenizer.get_model() {
            ModelWrapper::BPE(model) => {
                let prefix = model.continuing_subword_prefix.as_deref().unwrap_or("");
                let suffix = model.end_of_word_suffix.as_deref().unwrap_or("");
                vocabulary.keep_characters(|token| {
                    let token = token.strip_prefix(prefix).unwrap_or(token);
                    token.strip_suffix(suffix).unwrap_or(token)
                });
                vocabulary.parts = parts(&json["model"]["merges"], &model.get_vocab(), prefix);
            }
            ModelWrapper::WordPiece(model) => {
                let prefix = model.continuing_subword_prefix.as_str();
                vocabulary.keep_characters(|token| token.strip_prefix(prefix).unwrap_or(token));
            }
            ModelWrapper::Unigram(model) => {
                // A piece that stands in the list twice has two ids, and the list decides what the lowest score is.
                let pieces = || (0_u32..).zip(model.iter());
                vocabulary
                    .tokens
                    .extend(pieces().map(|(id, piece)| (id, piece.0.clone())));
                vocabulary.keep_characters(|token| token.strip_prefix(WORD_START).unwrap_or(token));
                let lowest = pieces().find(|(_, piece)| piece.1 == model.min_score);
                vocabulary.indispensable.extend(lowest.map(|(id, _)| id));
            }
            ModelWrapper::WordLevel(_) => {
                return Err(Error::UnsupportedModel { kind: "WordLevel" });
            }
        }
        Ok(vocabulary)
    }

    /// Marks the sub-words that are one character or none without their mark, and those that stand for a byte.
    fn keep_characters(&mut self, unmarked: impl Fn(&str) -> &str) {
        let is_one = |token: &str| token.chars().nth(1).is_none();
        let needed = self
            .tokens
            .iter()
            .filter(|(_, token)| is_one(token) || is_one(unmarked(token)) || is_byte(token));
        self.indispensable.extend(needed.map(|(id, _)| *id));
    }

    /// The sub-words that any text may need, beside special tokens.
    pub fn indispensable(&self) -> impl Iterator<Item = u32> + '_ {
        self.indispensable.iter().copied()
    }

    /// What has to be added to `kept`, which lacks no part of its sub-words, so that `id` can stay: the sub-word itself and in BPE all that
    /// it can be merged from. Nothing for an id that is no sub-word.
    pub fn missing_parts(&self, id: u32, kept: &BTreeSet<u32>) -> BTreeSet<u32> {
        let mut missing = BTreeSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if self.tokens.contains_key(&id) && !kept.contains(&id) && missing.insert(id) {
                open.extend(self.parts.get(&id).into_iter().flatten().flatten());
            }
        }
        missing
    }
}

fn by_id(vocabulary: HashMap<String, u32>) -> HashMap<u32, String> {
    vocabulary
        .into_iter()
        .map(|(token, id)| (id, token))
        .collect()
}

/// Whether a sub-word stands for a byte of a character that is in no vocabulary, as in SentencePiece's byte fallback.
fn is_byte(token: &str) -> bool {
    token
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'))
        .is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// The parts of each sub-word that merges make.
fn parts(
    merges: &Value,
    vocabulary: &HashMap<String, u32>,
    prefix: &str,
) -> HashMap<u32, Vec<[u32; 2]>> {
    let mut parts: HashMap<u32, Vec<[u32; 2]>> = HashMap::new();
    let id = |token: &str| vocabulary.get(token).copied();
    for merge in merges.as_array().into_iter().flatten() {
        if let Some(Merge {
            left,
            right,
            merged,
        }) = Merge::new(merge, prefix)
            && let (Some(left), Some(right), Some(merged)) = (id(left), id(right), id(&merged))
        {
            parts.entry(merged).or_default().push([left, right]);
        }
    }
    parts
}
