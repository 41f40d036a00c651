//! A checkpoint's tokenizer: from its files, what is to be known about it, and back to files.

mod build;
mod config;
mod renumber;
mod save;
mod settings;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde::de::IgnoredAny;
use tokenizers::models::ModelWrapper;
use tokenizers::{Encoding, Token, Tokenizer};

use crate::boundary::{WordBoundary, WordForm};
use crate::encode::WordCache;
use crate::error::{Cause, Error, Result};
use config::{Config, Role};
pub(crate) use renumber::Merge;
use settings::override_settings;

const LOOKED_FOR: &str = "tokenizer.json, vocab.json with merges.txt, vocab.txt";
/// Models of the SentencePiece library, which this crate does not read.
const SENTENCEPIECE_MODELS: [&str; 3] = ["sentencepiece.bpe.model", "spiece.model", "spm.model"];
/// Vocabulary files that a saved tokenizer takes along.
const VOCABULARY_FILES: [&str; 4] = ["vocab.json", "merges.txt", "vocab.txt", "added_tokens.json"];
/// Names of the unknown and the padding token where nothing says which they are.
const USUAL_UNKNOWN: [&str; 2] = ["<unk>", "[UNK]"];
const USUAL_PADDING: [&str; 2] = ["<pad>", "[PAD]"];

/// The tokenizer of a checkpoint, for words given one by one and for running text.
///
/// It can be shared between threads; words once encoded are remembered.
#[derive(Debug)]
pub struct SubwordTokenizer {
    tokenizer: Tokenizer,
    boundary: WordBoundary,
    pub(crate) word_form: WordForm,
    prefix_ids: Vec<u32>,
    suffix_ids: Vec<u32>,
    unk_id: Option<u32>,
    pad_id: Option<u32>,
    config: Config,
    /// The vocabulary files of the source, to be saved along.
    files: Vec<(&'static str, Vec<u8>)>,
    pub(crate) cache: WordCache,
}

impl SubwordTokenizer {
    /// Loads the tokenizer in a checkpoint's folder from the first of these that is there: `tokenizer.json`; `vocab.json` with
    /// `merges.txt` (byte-level BPE, RoBERTa's unless `tokenizer_class` says otherwise); `vocab.txt` (WordPiece, a cased
    /// BERT's). What `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` say wins. Truncation and
    /// padding are switched off.
    ///
    /// Without `boundary`, the choice saved in the folder holds, else the default.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the folder has no tokenizer; otherwise what is wrong with its files.
    pub fn from_dir(dir: impl AsRef<Path>, boundary: Option<WordBoundary>) -> Result<Self> {
        let dir = dir.as_ref();
        let config = Config::read(dir)?;
        let mut files = Vec::new();
        for name in VOCABULARY_FILES.into_iter().chain(SENTENCEPIECE_MODELS) {
            if let Some(bytes) = read_if_present(&dir.join(name))? {
                files.push((name, bytes));
            }
        }
        let file = |wanted: &str| {
            files
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, bytes)| bytes.as_slice())
        };

        let json = dir.join("tokenizer.json");
        let (tokenizer, config) = if let Some(bytes) = read_if_present(&json)? {
            let tokenizer = parse(&bytes, &json)?;
            (override_settings(tokenizer, &config, dir)?, config)
        } else if let (Some(vocab), Some(merges)) = (file("vocab.json"), file("merges.txt")) {
            build::byte_level_bpe(dir, vocab, merges, config)?
        } else if let Some(vocab) = file("vocab.txt") {
            build::wordpiece(dir, vocab, config)?
        } else {
            let hint = if file("vocab.json").is_some() {
                Some("vocab.json is there but merges.txt is missing")
            } else if SENTENCEPIECE_MODELS
                .into_iter()
                .any(|name| file(name).is_some())
            {
                Some(
                    "a bare SentencePiece model must first be saved as tokenizer.json, with `save_pretrained` of its fast tokenizer",
                )
            } else {
                None
            };
            return Err(Error::NotFound {
                dir: dir.to_owned(),
                looked_for: LOOKED_FOR,
                hint,
            });
        };
        let boundary = match boundary {
            Some(boundary) => boundary,
            None => config.word_boundary()?.unwrap_or_default(),
        };
        Self::assemble(tokenizer, boundary, config, files, dir)
    }

    /// Wraps a tokenizer made elsewhere. Its truncation and padding are switched off.
    ///
    /// # Errors
    /// [`Error::PostProcessor`] if a single sequence does not come out of its post-processor in one piece.
    pub fn from_tokenizer(tokenizer: Tokenizer, boundary: WordBoundary) -> Result<Self> {
        let mut config = Config::default();
        config.default_to("tokenizer_class", "PreTrainedTokenizerFast");
        Self::assemble(tokenizer, boundary, config, Vec::new(), Path::new(""))
    }

    fn assemble(
        mut tokenizer: Tokenizer,
        boundary: WordBoundary,
        config: Config,
        files: Vec<(&'static str, Vec<u8>)>,
        dir: &Path,
    ) -> Result<Self> {
        let saved_pad = tokenizer.get_padding().map(|padding| padding.pad_id);
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|source| Error::Tokenizer {
                path: dir.to_owned(),
                source,
            })?;

        let id_of = |token: &str| tokenizer.token_to_id(token);
        let named = |role| {
            Ok(config
                .special_token(role)?
                .and_then(|token| id_of(&token.content)))
        };
        let usual = |names: [&str; 2]| names.into_iter().find_map(id_of);
        let unk_id = named(Role::Unknown)?
            .or_else(|| model_unknown(tokenizer.get_model()).and_then(id_of))
            .or_else(|| usual(USUAL_UNKNOWN));
        let pad_id = named(Role::Padding)?
            .or(saved_pad)
            .or_else(|| usual(USUAL_PADDING));
        let (prefix_ids, suffix_ids) = special_ids(&tokenizer)?;
        let word_form = WordForm::new(tokenizer.get_pre_tokenizer(), boundary);
        let cache = WordCache::default();
        Ok(Self {
            tokenizer,
            boundary,
            word_form,
            prefix_ids,
            suffix_ids,
            unk_id,
            pad_id,
            config,
            files,
            cache,
        })
    }

    /// The tokenizer for running text, as the checkpoint has it.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// How words given one by one are encoded.
    #[must_use]
    pub fn word_boundary(&self) -> WordBoundary {
        self.boundary
    }

    /// The special tokens before a sequence (`<s>`, `[CLS]`).
    #[must_use]
    pub fn prefix_ids(&self) -> &[u32] {
        &self.prefix_ids
    }

    /// The special tokens after a sequence (`</s>`, `[SEP]`).
    #[must_use]
    pub fn suffix_ids(&self) -> &[u32] {
        &self.suffix_ids
    }

    /// How many special tokens a single sequence gets.
    #[must_use]
    pub fn special_token_count(&self) -> usize {
        self.prefix_ids.len() + self.suffix_ids.len()
    }

    /// The unknown token.
    #[must_use]
    pub fn unk_id(&self) -> Option<u32> {
        self.unk_id
    }

    /// The padding token. GPT-2, for one, has none.
    #[must_use]
    pub fn pad_id(&self) -> Option<u32> {
        self.pad_id
    }

    /// The number of ids, those of added tokens included.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The longest sequence the checkpoint was made for, special tokens included, where `tokenizer_config.json` gives one.
    /// The 10^30 that transformers writes for "not known" is none.
    #[must_use]
    pub fn model_max_length(&self) -> Option<usize> {
        self.config.model_max_length()
    }

    /// What marks a sub-word that continues a word (`##`), where the vocabulary has such a mark.
    pub(crate) fn continuing_prefix(&self) -> Option<&str> {
        let prefix = match self.tokenizer.get_model() {
            ModelWrapper::WordPiece(model) => Some(model.continuing_subword_prefix.as_str()),
            ModelWrapper::BPE(model) => model.continuing_subword_prefix.as_deref(),
            ModelWrapper::WordLevel(_) | ModelWrapper::Unigram(_) => None,
        };
        prefix.filter(|prefix| !prefix.is_empty())
    }
}

/// The file's bytes, or `None` if there is no such file.
fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The tokenizer that `tokenizer.json` describes.
fn parse(bytes: &[u8], path: &Path) -> Result<Tokenizer> {
    // Some parts of the `tokenizers` crate panic on JSON that is none; this also gives line and column.
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|source| Error::Json {
        path: path.to_owned(),
        source,
    })?;
    caught(|| Tokenizer::from_bytes(bytes)).map_err(|source| Error::Tokenizer {
        path: path.to_owned(),
        source,
    })
}

/// The result of a call into the `tokenizers` crate, which panics on some values that it cannot use. The message of the panic
/// hook still appears: a hook belongs to the whole program.
fn caught<T>(
    call: impl FnOnce() -> std::result::Result<T, Cause>,
) -> std::result::Result<T, Cause> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message = match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => panic
                .downcast_ref::<&str>()
                .map_or_else(String::new, |&message| message.to_owned()),
        };
        Err(format!("the `tokenizers` crate gave up: {message}").into())
    })
}

/// The unknown token that the model itself names.
fn model_unknown(model: &ModelWrapper) -> Option<&str> {
    match model {
        ModelWrapper::WordPiece(model) => Some(&model.unk_token),
        ModelWrapper::WordLevel(model) => Some(&model.unk_token),
        ModelWrapper::BPE(model) => model.unk_token.as_deref(),
        ModelWrapper::Unigram(_) => None,
    }
}

/// The special tokens before and after a single sequence: what the post-processor puts around a sequence of one token that
/// is in no vocabulary.
fn special_ids(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>)> {
    const CONTENT: u32 = u32::MAX;
    let content = Encoding::from_tokens(vec![Token::new(CONTENT, "content".to_owned(), (0, 1))], 0);
    let encoding = caught(|| tokenizer.post_process(content, None, true)).map_err(|source| {
        Error::PostProcessor {
            problem: source.to_string(),
        }
    })?;
    let ids = encoding.get_ids();
    let mut places = ids
        .iter()
        .enumerate()
        .filter(|(_, id)| **id == CONTENT)
        .map(|(at, _)| at);
    match (places.next(), places.next()) {
        (Some(at), None) => Ok((ids[..at].to_vec(), ids[at + 1..].to_vec())),
        (None, _) => Err(Error::PostProcessor {
            problem: "it leaves the sequence out".to_owned(),
        }),
        (Some(_), Some(_)) => Err(Error::PostProcessor {
            problem: "it repeats the sequence".to_owned(),
        }),
    }
}
