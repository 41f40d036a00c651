//! Tokenizers made smaller: what stays the same, and what cannot be done.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{fixtures, folder, tokenizer};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use subword_align::{Error, ShrinkOptions, Shrunk, SubwordCounts, SubwordTokenizer, WordBoundary};
use tokenizers::Tokenizer;
use tokenizers::models::wordlevel::WordLevel;

const KINDS: [&str; 5] = ["bpe", "bpe-json", "wordpiece", "wordpiece-json", "unigram"];
const WORDS: [&str; 8] = [
    "Marta", "vive", "en", "la", "Albolea", ".", "Ñandú", "12.450",
];

fn load(kind: &str) -> SubwordTokenizer {
    tokenizer(kind, WordBoundary::PrefixSpace)
}

fn counts<S: AsRef<str>>(tokenizer: &SubwordTokenizer, words: &[S]) -> SubwordCounts {
    let words = words.iter().map(|word| (word.as_ref(), 1));
    SubwordCounts::new(tokenizer, words).unwrap()
}

fn shrink<S: AsRef<str>>(tokenizer: &SubwordTokenizer, words: &[S]) -> Shrunk {
    let counts = counts(tokenizer, words);
    tokenizer
        .shrink(&counts, &ShrinkOptions::default())
        .unwrap()
}

fn limited(
    tokenizer: &SubwordTokenizer,
    words: &[&str],
    vocab_size: usize,
) -> Result<Shrunk, Error> {
    let options = ShrinkOptions {
        vocab_size: Some(vocab_size),
        ..ShrinkOptions::default()
    };
    tokenizer.shrink(&counts(tokenizer, words), &options)
}

/// Ids of a smaller tokenizer as those of the one that it was made of.
fn former(shrunk: &Shrunk, ids: &[u32]) -> Vec<u32> {
    ids.iter().map(|id| shrunk.kept[*id as usize]).collect()
}

/// The smallest vocabulary, from the error of one that is too small.
fn smallest(tokenizer: &SubwordTokenizer) -> usize {
    match limited(tokenizer, &WORDS, 1).unwrap_err() {
        Error::VocabularyTooSmall { asked: 1, smallest } => smallest,
        other => panic!("{other}"),
    }
}

/// Words of Spanish and of anything else.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-zñáéíóúüA-ZÑÁ]{1,12}",
        1 => "[a-c]{1,30}",
        1 => prop::sample::select(vec![
            "e\u{301}", "👩\u{200d}👧", "«", "12.450", "東京", "<s>", "[MASK]", "İ", "\u{fffd}", "▁", "aaaaaaa", "-----", "##a", "Ġ",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_words_of_a_text_are_cut_as_before(
        words in prop::collection::vec(word(), 1..20),
        others in prop::collection::vec(word(), 0..10),
    ) {
        for kind in KINDS {
            let whole = load(kind);
            let shrunk = shrink(&whole, &words);
            let (before, after) = (whole.encode_words(&words).unwrap(), shrunk.tokenizer.encode_words(&words).unwrap());
            prop_assert_eq!(&before.word_starts, &after.word_starts, "{}", kind);
            prop_assert_eq!(&before.ids, &former(&shrunk, &after.ids), "{}", kind);
            prop_assert!(shrunk.kept.is_sorted());
            // Words and texts that were not counted are cut somehow.
            let encoded = shrunk.tokenizer.encode_words(&others).unwrap();
            prop_assert!(encoded.ids.iter().all(|id| (*id as usize) < shrunk.kept.len()));
            shrunk.tokenizer.encode_text(&others.concat()).unwrap();
        }
    }

    #[test]
    fn every_limit_that_is_large_enough_holds(words in prop::collection::vec(word(), 1..20), room in 0_usize..60) {
        for kind in KINDS {
            let whole = load(kind);
            let limit = smallest(&whole) + room;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let shrunk = limited(&whole, &words, limit).unwrap();
            prop_assert!(shrunk.kept.len() <= limit);
            prop_assert_eq!(shrunk.tokenizer.vocab_size(), shrunk.kept.len());
            shrunk.tokenizer.encode_words(&words).unwrap();
        }
    }
}

#[test]
fn unused_subwords_go_and_the_special_tokens_stay() {
    for kind in KINDS {
        let whole = load(kind);
        let Shrunk {
            tokenizer: small,
            kept,
        } = shrink(&whole, &WORDS);
        assert!(kept.len() < whole.vocab_size(), "{kind}: {}", kept.len());
        assert_eq!(small.vocab_size(), kept.len(), "{kind}");
        let old = |id: u32| kept[id as usize];
        for (small, whole) in [
            (small.prefix_ids(), whole.prefix_ids()),
            (small.suffix_ids(), whole.suffix_ids()),
        ] {
            let former: Vec<u32> = small.iter().map(|id| old(*id)).collect();
            assert_eq!(former, whole, "{kind}");
        }
        assert_eq!(small.unk_id().map(old), whole.unk_id(), "{kind}");
        assert_eq!(small.pad_id().map(old), whole.pad_id(), "{kind}");
        assert_eq!(small.word_boundary(), whole.word_boundary());
        // Every character that could be written still can, by a word of its own or within one.
        for (token, id) in whole.tokenizer().get_vocab(true) {
            if token.chars().count() == 1 {
                assert!(kept.contains(&id), "{kind}: {token}");
            }
        }
    }
}

#[test]
fn a_saved_one_is_the_same_when_loaded_from_any_of_its_files() {
    for kind in KINDS {
        let small = shrink(&load(kind), &WORDS).tokenizer;
        let dir = tempfile::tempdir().unwrap();
        small.save(dir.path()).unwrap();
        let words: Vec<&str> = WORDS
            .into_iter()
            .chain(["Quetzal", "東京", "<s>"])
            .collect();
        let expected = small.encode_words(&words).unwrap();
        let check = |which: &str| {
            let loaded = SubwordTokenizer::from_dir(dir.path(), None).unwrap();
            assert_eq!(
                loaded.encode_words(&words).unwrap(),
                expected,
                "{kind} {which}"
            );
            assert_eq!(loaded.pad_id(), small.pad_id(), "{kind} {which}");
            assert_eq!(loaded.prefix_ids(), small.prefix_ids(), "{kind} {which}");
        };
        check("tokenizer.json");
        if ["bpe", "wordpiece"].contains(&kind) {
            fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
            check("vocabulary files");
        }
    }
}

#[test]
fn a_small_limit_keeps_the_most_frequent_and_cuts_the_others_smaller() {
    for kind in KINDS {
        let whole = load(kind);
        let words: Vec<(&str, u64)> = (WORDS.into_iter().zip([9, 8, 7, 6, 1, 5, 1, 1])).collect();
        let counts = SubwordCounts::new(&whole, words.clone()).unwrap();
        let options = ShrinkOptions {
            vocab_size: Some(smallest(&whole) + 4),
            ..ShrinkOptions::default()
        };
        let shrunk = whole.shrink(&counts, &options).unwrap();
        let after = SubwordCounts::new(&shrunk.tokenizer, words).unwrap();
        assert_eq!(after.word_count(), counts.word_count());
        assert!(
            after.subwords_per_word() > counts.subwords_per_word(),
            "{kind}"
        );
        let all = whole.shrink(
            &counts,
            &ShrinkOptions {
                vocab_size: Some(9999),
                ..options
            },
        );
        assert_eq!(
            all.unwrap().kept,
            shrink(&whole, &WORDS).kept,
            "{kind}: a limit beyond what is used is none"
        );
    }
}

#[test]
fn a_limit_that_is_too_small_names_the_smallest() {
    for kind in KINDS {
        let whole = load(kind);
        let smallest = smallest(&whole);
        assert_eq!(
            limited(&whole, &WORDS, smallest).unwrap().kept.len(),
            smallest,
            "{kind}"
        );
        let message = limited(&whole, &WORDS, smallest - 1)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(&format!("ask for at least {smallest}"))
                && message.contains("too small to write the language"),
            "{kind}: {message}"
        );
    }
}

#[test]
fn ids_that_a_model_names_stay_and_the_first_ones_keep_their_number() {
    for kind in KINDS {
        let whole = load(kind);
        let unused = (0..whole.vocab_size() as u32)
            .rev()
            .find(|id| !shrink(&whole, &WORDS).kept.contains(id));
        let unused = unused.unwrap();
        let options = ShrinkOptions {
            keep: vec![unused, 99_999],
            unmoved: 200,
            ..ShrinkOptions::default()
        };
        let kept = whole
            .shrink(&counts(&whole, &WORDS), &options)
            .unwrap()
            .kept;
        assert!(kept.contains(&unused), "{kind}");
        assert_eq!(kept[..200], (0..200).collect::<Vec<u32>>(), "{kind}");

        let beyond = ShrinkOptions {
            unmoved: whole.vocab_size() as u32 + 1,
            ..options
        };
        let error = whole.shrink(&counts(&whole, &WORDS), &beyond).unwrap_err();
        assert!(matches!(error, Error::Renumbering { .. }), "{kind}");
    }
}

#[test]
fn added_tokens_follow_wherever_their_ids_stand() {
    let json = |value: Value| value.as_object().unwrap().clone();
    for kind in KINDS {
        let first = load(kind).vocab_size();
        let added = |content: &str| json!({"content": content, "special": false, "normalized": false, "lstrip": false, "rstrip": false, "single_word": false});
        let path = fixtures().join(kind).join("tokenizer_config.json");
        let mut config: Map<String, Value> = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap(),
            Err(_) => Map::new(),
        };
        config.insert(
            "added_tokens_decoder".to_owned(),
            json!({first.to_string(): added("<fecha>"), (first + 1).to_string(): added("<lugar>")}),
        );
        let files = json!({
            "tokenizer_config.json": config,
            "added_tokens.json": {"<fecha>": first, "<lugar>": first + 1},
            "sentencepiece.bpe.model": "of the former vocabulary",
        });
        let source = folder(kind, &json(files));
        let whole = SubwordTokenizer::from_dir(source.path(), None).unwrap();
        let shrunk = shrink(&whole, &WORDS);
        let dir = tempfile::tempdir().unwrap();
        shrunk.tokenizer.save(dir.path()).unwrap();

        let loaded = SubwordTokenizer::from_dir(dir.path(), None).unwrap();
        let last = shrunk.kept.len() as u32 - 1;
        assert_eq!(
            loaded.tokenizer().token_to_id("<lugar>"),
            Some(last),
            "{kind}"
        );
        assert_eq!(shrunk.kept[last as usize] as usize, first + 1);
        let read = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(dir.path().join(name)).unwrap()).unwrap()
        };
        assert_eq!(
            read("added_tokens.json"),
            json!({"<fecha>": last - 1, "<lugar>": last})
        );
        let decoder: BTreeMap<String, Value> =
            serde_json::from_value(read("tokenizer_config.json")["added_tokens_decoder"].clone())
                .unwrap();
        let keys: Vec<&String> = decoder.keys().collect();
        assert!(
            keys.contains(&&last.to_string()) && !keys.contains(&&(first + 1).to_string()),
            "{kind}: {keys:?}"
        );
        assert!(
            !dir.path().join("sentencepiece.bpe.model").exists(),
            "a file that cannot follow must not stay as it was"
        );
    }
}

/// A tokenizer of these pieces and scores, `<unk>` first.
fn unigram(pieces: &[(String, f64)], byte_fallback: bool) -> SubwordTokenizer {
    let text = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": byte_fallback},
    })
    .to_string();
    let tokenizer: Tokenizer = text.parse().unwrap();
    SubwordTokenizer::from_tokenizer(tokenizer, WordBoundary::None).unwrap()
}

#[test]
fn byte_fallback_keeps_its_bytes() {
    let mut pieces = vec![("<unk>".to_owned(), 0.0)];
    pieces.extend((0..=255_u8).map(|byte| (format!("<0x{byte:02X}>"), -9.0)));
    pieces.extend(["▁", "a", "b", "▁ab", "▁ba"].map(|piece| (piece.to_owned(), -2.0)));
    let whole = unigram(&pieces, true);
    let shrunk = shrink(&whole, &["ab"]);
    assert_eq!(whole.vocab_size() - shrunk.kept.len(), 1, "▁ba alone goes");
    let before = whole.encode_words(&["東"]).unwrap();
    let after = shrunk.tokenizer.encode_words(&["東"]).unwrap();
    assert_eq!(before.ids.len(), 4, "the space and three bytes");
    assert_eq!(former(&shrunk, &after.ids), before.ids);
}

#[test]
fn an_unknown_character_costs_what_it_did() {
    // Ten less than the lowest score: at 40 instead of 110 `▁`, unknown, `ab` would win.
    let pieces = [
        ("<unk>", 0.0),
        ("▁", -1.0),
        ("▁qa", -30.0),
        ("b", -30.0),
        ("ab", -1.0),
        ("lowest", -100.0),
        ("unused", -2.0),
    ];
    let whole = unigram(
        &pieces.map(|(piece, score)| (piece.to_owned(), score)),
        false,
    );
    let words = ["qab", "ab"];
    assert_eq!(whole.encode_words(&words).unwrap().ids, [2, 3, 1, 4]);
    let shrunk = shrink(&whole, &words);
    assert_eq!(shrunk.kept, [0, 1, 2, 3, 4, 5]);
    let after = shrunk.tokenizer.encode_words(&words).unwrap();
    assert_eq!(after.ids, [2, 3, 1, 4]);
}

#[test]
fn another_model_is_refused() {
    let model = WordLevel::builder()
        .vocab([("<unk>".to_owned(), 0)].into())
        .unk_token("<unk>".to_owned())
        .build()
        .unwrap();
    let tokenizer =
        SubwordTokenizer::from_tokenizer(Tokenizer::new(model), WordBoundary::None).unwrap();
    let error = tokenizer.shrink(&SubwordCounts::default(), &ShrinkOptions::default());
    let message = error.unwrap_err().to_string();
    assert!(message.contains("WordLevel"), "{message}");
}
