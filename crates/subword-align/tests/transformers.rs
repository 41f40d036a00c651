//! Sub-words against transformers: the fast tokenizers of version 5, the slow ones of version 4.
#![allow(clippy::unwrap_used)]

mod common;

use common::{folder, golden, tokenizer};
use serde::Deserialize;
use serde_json::{Map, Value};
use subword_align::{SubwordTokenizer, WordBoundary};

#[derive(Deserialize)]
struct Fast {
    words: Vec<Vec<String>>,
    texts: Vec<String>,
    tokenizers: Vec<Variant>,
}

#[derive(Deserialize)]
struct Variant {
    name: String,
    folder: String,
    files: Map<String, Value>,
    prefix_ids: Vec<u32>,
    suffix_ids: Vec<u32>,
    special_tokens: usize,
    unk_id: u32,
    pad_id: u32,
    vocab_size: usize,
    words: Vec<Vec<Vec<u32>>>,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    ids: Vec<u32>,
    offsets: Vec<(usize, usize)>,
    word_ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Slow {
    words: Vec<Vec<String>>,
    bpe: Vec<Vec<Vec<u32>>>,
    wordpiece: Vec<Vec<Vec<u32>>>,
}

/// Compares each word's sub-words; where the reference has none there must be the unknown token.
fn assert_words(
    tokenizer: &SubwordTokenizer,
    words: &[String],
    expected: &[Vec<u32>],
    context: &str,
) {
    let encoded = tokenizer.encode_words(words).unwrap();
    let counts = tokenizer.subwords_per_word(words).unwrap();
    assert_eq!(encoded.word_count(), words.len(), "{context}");
    for (i, range) in encoded.ranges().enumerate() {
        assert_eq!(counts[i], expected[i].len(), "{context}: {:?}", words[i]);
        let unknown = [tokenizer.unk_id().unwrap()];
        let ids = if expected[i].is_empty() {
            &unknown[..]
        } else {
            &expected[i]
        };
        assert_eq!(&encoded.ids[range], ids, "{context}: {:?}", words[i]);
    }
    assert_eq!(
        encoded.unknown_words,
        expected.iter().filter(|ids| ids.is_empty()).count(),
        "{context}"
    );
}

#[test]
fn fast_tokenizers_agree() {
    let fast: Fast = golden("fast.json");
    for variant in &fast.tokenizers {
        let name = &variant.name;
        let dir = folder(&variant.folder, &variant.files);
        let tokenizer =
            SubwordTokenizer::from_dir(dir.path(), Some(WordBoundary::PrefixSpace)).unwrap();
        assert_eq!(tokenizer.prefix_ids(), variant.prefix_ids, "{name}");
        assert_eq!(tokenizer.suffix_ids(), variant.suffix_ids, "{name}");
        assert_eq!(
            tokenizer.special_token_count(),
            variant.special_tokens,
            "{name}"
        );
        assert_eq!(tokenizer.unk_id(), Some(variant.unk_id), "{name}");
        assert_eq!(tokenizer.pad_id(), Some(variant.pad_id), "{name}");
        assert_eq!(tokenizer.vocab_size(), variant.vocab_size, "{name}");
        for (words, expected) in fast.words.iter().zip(&variant.words) {
            assert_words(&tokenizer, words, expected, name);
        }
        for (text, expected) in fast.texts.iter().zip(&variant.texts) {
            let encoded = tokenizer.encode_text(text).unwrap();
            assert_eq!(encoded.ids, expected.ids, "{name}: {text:?}");
            assert_eq!(encoded.raw_offsets, expected.offsets, "{name}: {text:?}");
            assert_eq!(encoded.word_ids, expected.word_ids, "{name}: {text:?}");
        }
    }
}

#[test]
fn slow_tokenizers_agree_word_by_word() {
    let slow: Slow = golden("slow.json");
    for (kind, expected) in [("bpe", &slow.bpe), ("wordpiece", &slow.wordpiece)] {
        let tokenizer = tokenizer(kind, WordBoundary::None);
        for (words, expected) in slow.words.iter().zip(expected) {
            // The slow BertTokenizer composes accents (NFC) first, which no fast tokenizer does.
            let kept: Vec<_> = words
                .iter()
                .zip(expected)
                .filter(|(word, _)| !has_combining_mark(word))
                .collect();
            let words: Vec<String> = kept.iter().map(|(word, _)| (*word).clone()).collect();
            let expected: Vec<Vec<u32>> = kept.iter().map(|(_, ids)| (*ids).clone()).collect();
            assert_words(&tokenizer, &words, &expected, kind);
        }
    }
}

fn has_combining_mark(word: &str) -> bool {
    word.chars().any(|c| ('\u{300}'..='\u{36f}').contains(&c))
}

#[test]
fn boundaries_differ_for_byte_level_bpe_only() {
    let words = ["Sierra", "Clara", "nieve", "."];
    for (kind, differs) in [
        ("bpe", true),
        ("bpe-json", true),
        ("wordpiece", false),
        ("unigram", false),
    ] {
        let encode = |boundary| tokenizer(kind, boundary).encode_words(&words).unwrap();
        let same = encode(WordBoundary::PrefixSpace) == encode(WordBoundary::None);
        assert_eq!(same, !differs, "{kind}");
    }
}
