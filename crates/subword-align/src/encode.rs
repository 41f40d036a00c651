//! Words and texts to sub-words.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use tokenizers::{OffsetType, PreTokenizer};

use crate::error::{Cause, Error, Result};
use crate::loading::SubwordTokenizer;

/// Words that [`SubwordTokenizer`] remembers. The frequent words of a language come early, so none is ever evicted.
const CACHED_WORDS: usize = 1 << 16;
/// Bytes beyond which a word is not worth remembering.
const CACHED_WORD_BYTES: usize = 64;
/// Characters of a text that an error quotes.
const QUOTED_CHARS: usize = 40;

/// The sub-words of a sentence given as words, without special tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncodedWords {
    /// The sub-words' ids, word after word.
    pub ids: Vec<u32>,
    /// Where each word begins in `ids`, then `ids.len()`: one more entry than words, never descending.
    pub word_starts: Vec<usize>,
    /// How many words have no sub-words of their own and became the unknown token.
    pub unknown_words: usize,
}

impl EncodedWords {
    /// The number of words.
    #[must_use]
    pub fn word_count(&self) -> usize {
        self.word_starts.len().saturating_sub(1)
    }

    /// The sub-words of each word, as ranges of `ids`; none is empty.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        self.word_starts.windows(2).map(|pair| pair[0]..pair[1])
    }
}

/// The sub-words of a text, without special tokens. All lists are of one length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncodedText {
    /// The sub-words' ids.
    pub ids: Vec<u32>,
    /// Where each sub-word stands in the text, in Unicode code points, without white space at its ends. Sub-words that are
    /// parts of one character all have that character's place; one of white space alone has an empty one.
    pub offsets: Vec<(usize, usize)>,
    /// `offsets` in bytes: `&text[start..end]` is the sub-word's text.
    pub byte_offsets: Vec<(usize, usize)>,
    /// What `return_offsets_mapping` of transformers gives: code points, with the leading space where the tokenizer does
    /// not trim it.
    pub raw_offsets: Vec<(usize, usize)>,
    /// The pre-tokenizer's word of each sub-word, counted from 0 and never descending. White space always ends a word, even
    /// for a tokenizer without a pre-tokenizer.
    pub word_ids: Vec<u32>,
    /// Whether the sub-word continues the word of the one before it by the rule of transformers' pipeline: `##` for
    /// WordPiece, no space before it for all others.
    pub continues: Vec<bool>,
}

impl EncodedText {
    /// The number of sub-words.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the text has no sub-words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Where each word of `word_ids` begins, then the number of sub-words: what [`crate::windows()`] takes.
    #[must_use]
    pub fn word_starts(&self) -> Vec<usize> {
        let mut starts: Vec<usize> = Vec::new();
        starts.extend(
            (0..self.len()).filter(|&i| i == 0 || self.word_ids[i] != self.word_ids[i - 1]),
        );
        starts.push(self.len());
        starts
    }
}

impl SubwordTokenizer {
    /// Encodes a sentence given as words, each independent of its neighbors, as [`crate::WordBoundary`] says. A word without
    /// sub-words becomes the unknown token, so that every word has a prediction.
    ///
    /// # Errors
    /// [`Error::Encode`] if the tokenizer fails, [`Error::NoUnknownToken`] if it needs an unknown token and has none.
    pub fn encode_words<S: AsRef<str>>(&self, words: &[S]) -> Result<EncodedWords> {
        let mut encoded = EncodedWords {
            word_starts: vec![0],
            ..EncodedWords::default()
        };
        encoded.word_starts.reserve(words.len());
        self.for_each_word(words, |word, ids| {
            if ids.is_empty() {
                let no_unknown = || Error::NoUnknownToken {
                    word,
                    text: quote(words[word].as_ref()),
                };
                encoded.ids.push(self.unk_id().ok_or_else(no_unknown)?);
                encoded.unknown_words += 1;
            }
            encoded.ids.extend_from_slice(ids);
            encoded.word_starts.push(encoded.ids.len());
            Ok(())
        })?;
        Ok(encoded)
    }

    /// How many sub-words each word has of its own: 0 where [`Self::encode_words`] puts the unknown token.
    ///
    /// # Errors
    /// [`Error::Encode`] if the tokenizer fails.
    pub fn subwords_per_word<S: AsRef<str>>(&self, words: &[S]) -> Result<Vec<usize>> {
        let mut counts = Vec::with_capacity(words.len());
        self.for_each_word(words, |_, ids| {
            counts.push(ids.len());
            Ok(())
        })?;
        Ok(counts)
    }

    /// Encodes a text as it is, with the checkpoint's own settings: no space is added or removed but by the tokenizer.
    ///
    /// # Errors
    /// [`Error::Encode`] if the tokenizer fails.
    pub fn encode_text(&self, text: &str) -> Result<EncodedText> {
        let encoding = self
            .tokenizer()
            .encode_char_offsets(text, false)
            .map_err(|source| failed(text, source))?;
        // Where each code point begins in bytes, then the text's length.
        let bytes: Vec<usize> = text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .collect();
        let chars = bytes.len() - 1;
        let tokens = encoding.len();

        let mut encoded = EncodedText {
            ids: encoding.get_ids().to_vec(),
            ..EncodedText::default()
        };
        encoded.word_ids.reserve(tokens);
        // The end of the word so far, once it has more than white space, and the words split off from pre-tokens.
        let (mut word, mut word_end, mut split_off) = (0, None, 0);
        for i in 0..tokens {
            let (start, end) = encoding.get_offsets()[i];
            let end = end.min(chars);
            let raw = (start.min(end), end);
            let tight = trim(&text[bytes[raw.0]..bytes[raw.1]], raw);

            let pre_token = encoding.get_word_ids()[i].unwrap_or(word);
            let same_pre_token = i > 0 && pre_token == word;
            if !same_pre_token {
                (word, word_end) = (pre_token, None);
            }
            if tight.0 < tight.1 {
                let from = word_end.unwrap_or(tight.0).min(tight.0);
                split_off +=
                    u32::from(text[bytes[from]..bytes[tight.0]].contains(char::is_whitespace));
                word_end = word_end.max(Some(tight.1));
            }

            let unknown = Some(encoded.ids[i]) == self.unk_id();
            let continues = !unknown
                && match self.continuing_prefix() {
                    Some(prefix) => same_pre_token && encoding.get_tokens()[i].starts_with(prefix),
                    None => {
                        raw.0 > 0
                            && !text[bytes[raw.0 - 1]..bytes[(raw.0 + 1).min(chars)]].contains(' ')
                    }
                };

            encoded.raw_offsets.push(raw);
            encoded.offsets.push(tight);
            encoded.byte_offsets.push((bytes[tight.0], bytes[tight.1]));
            encoded.word_ids.push(word + split_off);
            encoded.continues.push(continues);
        }
        Ok(encoded)
    }

    /// Calls `visit` with each word's position and sub-words.
    fn for_each_word<S: AsRef<str>>(
        &self,
        words: &[S],
        mut visit: impl FnMut(usize, &[u32]) -> Result<()>,
    ) -> Result<()> {
        let known = self
            .cache
            .words
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut met: HashMap<&str, Box<[u32]>> = HashMap::new();
        for (at, word) in words.iter().map(AsRef::as_ref).enumerate() {
            if let Some(ids) = known.get(word).or_else(|| met.get(word)) {
                visit(at, ids)?;
                continue;
            }
            let ids = self.encode_word(word)?;
            visit(at, &ids)?;
            if word.len() <= CACHED_WORD_BYTES && known.len() + met.len() < CACHED_WORDS {
                met.insert(word, ids);
            }
        }
        drop(known);
        self.cache.remember(met);
        Ok(())
    }

    /// The sub-words of one word under the chosen boundary. Runs the tokenizer's steps itself, because only the
    /// pre-tokenizer differs from that of running text.
    fn encode_word(&self, word: &str) -> Result<Box<[u32]>> {
        let spaced = if self.word_form.leading_space {
            format!(" {word}")
        } else {
            String::new()
        };
        let input = if self.word_form.leading_space {
            &spaced
        } else {
            word
        };
        let tokenizer = self.tokenizer();
        let mut pieces = tokenizer
            .get_added_vocabulary()
            .extract_and_normalize(tokenizer.get_normalizer(), input);
        if let Some(pre_tokenizer) = &self.word_form.pre_tokenizer {
            pre_tokenizer
                .pre_tokenize(&mut pieces)
                .map_err(|source| failed(word, source))?;
        }
        let encoding = pieces
            .tokenize(|piece| tokenizers::Model::tokenize(tokenizer.get_model(), piece.get()))
            .and_then(|()| pieces.into_encoding(None, 0, OffsetType::None))
            .map_err(|source| failed(word, source))?;
        Ok(encoding.get_ids().into())
    }
}

/// Sub-words of words met before.
#[derive(Debug, Default)]
pub(crate) struct WordCache {
    words: RwLock<HashMap<Box<str>, Box<[u32]>>>,
}

impl WordCache {
    fn remember(&self, met: HashMap<&str, Box<[u32]>>) {
        if met.is_empty() {
            return;
        }
        let mut words = self.words.write().unwrap_or_else(PoisonError::into_inner);
        let room = CACHED_WORDS.saturating_sub(words.len());
        words.extend(
            met.into_iter()
                .take(room)
                .map(|(word, ids)| (word.into(), ids)),
        );
    }
}

/// `range`, a range of code points that covers `slice`, without white space at its ends.
fn trim(slice: &str, range: (usize, usize)) -> (usize, usize) {
    let trailing = slice
        .chars()
        .rev()
        .take_while(|c| c.is_whitespace())
        .count();
    let leading = slice.chars().take_while(|c| c.is_whitespace()).count();
    if leading == range.1 - range.0 {
        (range.1, range.1)
    } else {
        (range.0 + leading, range.1 - trailing)
    }
}

fn quote(text: &str) -> String {
    text.chars().take(QUOTED_CHARS).collect()
}

fn failed(text: &str, source: Cause) -> Error {
    Error::Encode {
        text: quote(text),
        source,
    }
}
