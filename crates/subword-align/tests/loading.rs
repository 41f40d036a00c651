//! Loading, saving, and what is said when it fails.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{fixtures, folder, golden, tokenizer};
use serde_json::{Map, Value, json};
use subword_align::{Error, SubwordTokenizer, WordBoundary};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

const WORDS: [&str; 6] = ["Marta", "Ibáñez", "compró", "3,5", "kilos", "."];

fn files(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn error(base: &str, laid_over: &Value) -> String {
    let dir = folder(base, &files(laid_over));
    let error = SubwordTokenizer::from_dir(dir.path(), None)
        .unwrap_err()
        .to_string();
    error.replace(&*dir.path().to_string_lossy(), "DIR")
}

#[test]
fn a_missing_tokenizer_says_what_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let message = || {
        SubwordTokenizer::from_dir(dir.path(), None)
            .unwrap_err()
            .to_string()
    };
    assert!(
        message().ends_with("looked for tokenizer.json, vocab.json with merges.txt, vocab.txt"),
        "{}",
        message()
    );
    fs::write(dir.path().join("sentencepiece.bpe.model"), "").unwrap();
    assert!(message().contains("save_pretrained"), "{}", message());
    fs::write(dir.path().join("vocab.json"), "{}").unwrap();
    assert!(
        message().ends_with("vocab.json is there but merges.txt is missing"),
        "{}",
        message()
    );
}

#[test]
fn bad_files_are_named_with_place_and_remedy() {
    let config = |value: Value| json!({ "tokenizer_config.json": value });
    assert_eq!(
        error("wordpiece", &config(json!({"do_lower_case": "yes"}))),
        "DIR/tokenizer_config.json: `do_lower_case` is \"yes\", expected true, false or null"
    );
    assert_eq!(
        error("bpe", &config(json!({"word_boundary": "some"}))),
        "DIR/tokenizer_config.json: `word_boundary` is \"some\", expected \"prefix-space\" or \"none\""
    );
    assert!(error("bpe", &config(json!([]))).starts_with("DIR/tokenizer_config.json:1:"));
    assert!(
        error("bpe", &config(json!({"tokenizer_class": "CLIPTokenizer"})))
            .contains("save_pretrained")
    );
    assert!(
        error(
            "wordpiece",
            &config(json!({"tokenizer_class": "PhobertTokenizer"}))
        )
        .contains("from vocab.txt")
    );
    assert_eq!(
        error(
            "bpe",
            &config(json!({"tokenizer_class": "DebertaTokenizer"}))
        ),
        "DIR: unk_token `[UNK]` is not in the vocabulary; name the right one in tokenizer_config.json (`unk_token` or \
         `tokenizer_class`)"
    );
    assert_eq!(
        error("bpe", &json!({"added_tokens.json": {"<x>": 900}})),
        "DIR/added_tokens.json: added token `<x>` has id 900, but the vocabulary gives it 800"
    );
    assert!(
        error(
            "wordpiece-json",
            &json!({"tokenizer.json": {"version": "1.0"}})
        )
        .starts_with("DIR/tokenizer.json: not a")
    );
}

#[test]
fn bad_merges_are_named_by_line() {
    let dir = folder("bpe", &Map::new());
    let message = |merges: &str| {
        fs::write(dir.path().join("merges.txt"), merges).unwrap();
        let error = SubwordTokenizer::from_dir(dir.path(), None).unwrap_err();
        assert!(matches!(error, Error::Merges { .. }), "{error:?}");
        error.to_string()
    };
    assert!(message("#version: 0.2\nd e\nde\n").contains("merges.txt:3: `de` is not two symbols"));
    assert!(message("d e\nq q\n").contains("merges.txt:2: `qq` is not in vocab.json"));
}

#[test]
fn saved_truncation_and_padding_are_switched_off() {
    let mut inner = Tokenizer::from_file(fixtures().join("bpe-json/tokenizer.json")).unwrap();
    let truncation = TruncationParams {
        max_length: 5,
        ..TruncationParams::default()
    };
    inner.with_truncation(Some(truncation)).unwrap();
    inner.with_padding(Some(PaddingParams {
        pad_id: 1,
        ..PaddingParams::default()
    }));
    let dir = tempfile::tempdir().unwrap();
    inner
        .save(dir.path().join("tokenizer.json"), false)
        .unwrap();

    let loaded = SubwordTokenizer::from_dir(dir.path(), None).unwrap();
    let whole = tokenizer("bpe-json", WordBoundary::PrefixSpace);
    let text = "La Cooperativa Olivarera de Sierra Clara exportó aceite.";
    assert!(whole.encode_text(text).unwrap().len() > 5);
    assert_eq!(
        loaded.encode_text(text).unwrap(),
        whole.encode_text(text).unwrap()
    );
    assert_eq!(
        (
            loaded.special_token_count(),
            loaded.pad_id(),
            loaded.unk_id()
        ),
        (2, Some(1), Some(3))
    );
}

/// What of a tokenizer must survive being saved.
fn assert_same(a: &SubwordTokenizer, b: &SubwordTokenizer, context: &str) {
    assert_eq!(
        a.encode_words(&WORDS).unwrap(),
        b.encode_words(&WORDS).unwrap(),
        "{context}"
    );
    let texts: Vec<String> =
        serde_json::from_value(golden::<Value>("fast.json")["texts"].clone()).unwrap();
    for text in texts {
        assert_eq!(
            a.encode_text(&text).unwrap(),
            b.encode_text(&text).unwrap(),
            "{context}: {text:?}"
        );
    }
    let known = |t: &SubwordTokenizer| {
        (
            t.unk_id(),
            t.pad_id(),
            t.vocab_size(),
            t.model_max_length(),
            t.word_boundary(),
        )
    };
    assert_eq!(known(a), known(b), "{context}");
    assert_eq!(
        (a.prefix_ids(), a.suffix_ids()),
        (b.prefix_ids(), b.suffix_ids()),
        "{context}"
    );
}

#[test]
fn saving_keeps_everything() {
    let variants: Value = golden("fast.json");
    for variant in variants["tokenizers"].as_array().unwrap() {
        let (name, base) = (
            variant["name"].as_str().unwrap(),
            variant["folder"].as_str().unwrap(),
        );
        let dir = folder(base, &files(&variant["files"]));
        for boundary in [WordBoundary::None, WordBoundary::PrefixSpace] {
            let original = SubwordTokenizer::from_dir(dir.path(), Some(boundary)).unwrap();
            let saved = tempfile::tempdir().unwrap();
            let path = saved.path().join("new/folder");
            original.save(&path).unwrap();
            assert_same(
                &original,
                &SubwordTokenizer::from_dir(&path, None).unwrap(),
                name,
            );
            assert_eq!(path.join("merges.txt").exists(), base == "bpe", "{name}");
            assert_eq!(
                path.join("vocab.txt").exists(),
                base == "wordpiece",
                "{name}"
            );
            // Without its tokenizer.json the saved folder still means the same.
            if path.join("merges.txt").exists() || path.join("vocab.txt").exists() {
                fs::remove_file(path.join("tokenizer.json")).unwrap();
                assert_same(
                    &original,
                    &SubwordTokenizer::from_dir(&path, None).unwrap(),
                    name,
                );
            }
        }
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_explicit_boundary_wins_over_the_saved_one() {
    let dir = tempfile::tempdir().unwrap();
    let boundary_of = |given| {
        SubwordTokenizer::from_dir(dir.path(), given)
            .unwrap()
            .word_boundary()
    };
    tokenizer("bpe", WordBoundary::None)
        .save(dir.path())
        .unwrap();
    assert_eq!(
        read(&dir.path().join("tokenizer_config.json"))["word_boundary"],
        "none"
    );
    assert_eq!(boundary_of(None), WordBoundary::None);
    assert_eq!(
        boundary_of(Some(WordBoundary::PrefixSpace)),
        WordBoundary::PrefixSpace
    );
    let plain = SubwordTokenizer::from_dir(fixtures().join("bpe"), None).unwrap();
    assert_eq!(plain.word_boundary(), WordBoundary::PrefixSpace);
}

#[test]
fn the_configuration_saved_is_that_of_the_source() {
    let given = json!({"do_lower_case": true, "model_max_length": 384, "note": [1, 2], "tokenizer_class": "BertTokenizerFast"});
    let dir = folder(
        "wordpiece",
        &files(&json!({"tokenizer_config.json": given})),
    );
    let original = SubwordTokenizer::from_dir(dir.path(), None).unwrap();
    assert_eq!(original.model_max_length(), Some(384));
    original.save(dir.path()).unwrap();
    let saved = read(&dir.path().join("tokenizer_config.json"));
    for (key, value) in given.as_object().unwrap() {
        assert_eq!(&saved[key], value);
    }
    assert_eq!(saved["strip_accents"], Value::Null);
    let special = read(&dir.path().join("special_tokens_map.json"));
    assert_eq!(
        special,
        json!({"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"})
    );
}

#[test]
fn unknown_maximum_lengths_are_none() {
    for (value, expected) in [
        (json!(512), Some(512)),
        (json!(1e30), None),
        (json!(0), None),
        (Value::Null, None),
    ] {
        let dir = folder(
            "wordpiece",
            &files(&json!({"tokenizer_config.json": {"model_max_length": value}})),
        );
        assert_eq!(
            SubwordTokenizer::from_dir(dir.path(), None)
                .unwrap()
                .model_max_length(),
            expected
        );
    }
    assert_eq!(
        tokenizer("bpe-json", WordBoundary::None).model_max_length(),
        None
    );
}

#[test]
fn special_tokens_may_have_other_names() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("vocab.txt"), "<unk>\n<a>\n<z>\ncasa\n##s\n").unwrap();
    let map = json!({"cls_token": "<a>", "sep_token": {"content": "<z>", "lstrip": false}, "unk_token": "<unk>"});
    fs::write(dir.path().join("special_tokens_map.json"), map.to_string()).unwrap();
    let tokenizer = SubwordTokenizer::from_dir(dir.path(), None).unwrap();
    assert_eq!(
        (tokenizer.prefix_ids(), tokenizer.suffix_ids()),
        (&[1][..], &[2][..])
    );
    assert_eq!((tokenizer.unk_id(), tokenizer.pad_id()), (Some(0), None));
    assert_eq!(
        tokenizer
            .encode_words(&["casas", "<z>", "ñ", ""])
            .unwrap()
            .ids,
        [3, 4, 2, 0, 0]
    );
}

#[test]
fn accents_follow_either_name_of_the_setting() {
    let encode = |setting: Value| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("vocab.txt"),
            "[UNK]\n[CLS]\n[SEP]\ncafe\ncafé\n",
        )
        .unwrap();
        fs::write(
            dir.path().join("tokenizer_config.json"),
            setting.to_string(),
        )
        .unwrap();
        SubwordTokenizer::from_dir(dir.path(), None)
            .unwrap()
            .encode_words(&["Café", "café"])
            .unwrap()
            .ids
    };
    assert_eq!(encode(json!({})), [0, 4]);
    assert_eq!(encode(json!({"do_lower_case": true})), [3, 3]);
    assert_eq!(
        encode(json!({"do_lower_case": true, "keep_accents": true})),
        [4, 4]
    );
    assert_eq!(
        encode(json!({"do_lower_case": true, "strip_accents": false})),
        [4, 4]
    );
    assert_eq!(
        encode(json!({"do_lower_case": true, "strip_accents": null, "keep_accents": true})),
        [3, 3]
    );
    assert_eq!(encode(json!({"strip_accents": true})), [0, 3]);
}

#[test]
fn without_an_unknown_token_an_empty_word_is_an_error() {
    let mut inner = Tokenizer::from_file(fixtures().join("unigram/tokenizer.json")).unwrap();
    let model: Value =
        serde_json::from_str(r#"{"type": "BPE", "vocab": {"a": 0}, "merges": []}"#).unwrap();
    inner.with_model(serde_json::from_value::<tokenizers::ModelWrapper>(model).unwrap());
    inner = Tokenizer::new(inner.get_model().clone());
    let tokenizer = SubwordTokenizer::from_tokenizer(inner, WordBoundary::None).unwrap();
    assert_eq!(
        (tokenizer.special_token_count(), tokenizer.unk_id()),
        (0, None)
    );
    assert_eq!(tokenizer.subwords_per_word(&["aa", "b"]).unwrap(), [2, 0]);
    let error = tokenizer.encode_words(&["aa", "b"]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("word 1 (`b`) has no sub-words"),
        "{error}"
    );
}

#[test]
fn white_space_ends_words_even_without_a_pre_tokenizer() {
    let mut inner = Tokenizer::from_file(fixtures().join("unigram/tokenizer.json")).unwrap();
    inner.with_pre_tokenizer(Some(Metaspace::new('▁', PrependScheme::Always, false)));
    let tokenizer = SubwordTokenizer::from_tokenizer(inner, WordBoundary::PrefixSpace).unwrap();
    let text = "Marta vive  en Sierra Clara.";
    let encoded = tokenizer.encode_text(text).unwrap();
    let mut words: Vec<(usize, usize)> = Vec::new();
    for (at, &(start, end)) in encoded
        .offsets
        .iter()
        .enumerate()
        .filter(|(_, (start, end))| start < end)
    {
        if at == 0 || encoded.word_ids[at] != encoded.word_ids[at - 1] || words.is_empty() {
            words.push((start, end));
        } else if let Some(last) = words.last_mut() {
            last.1 = end;
        }
    }
    let words: Vec<&str> = words
        .iter()
        .map(|&(start, end)| &text[start..end])
        .collect();
    assert_eq!(words, ["Marta", "vive", "en", "Sierra", "Clara."]);
}

#[test]
fn a_byte_level_step_after_a_split_sees_the_space_once() {
    let mut inner = Tokenizer::from_file(fixtures().join("bpe-json/tokenizer.json")).unwrap();
    let steps = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": " ?[^\\s\\d]+| ?\\d"}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
    ]});
    inner.with_pre_tokenizer(Some(
        serde_json::from_value::<tokenizers::PreTokenizerWrapper>(steps).unwrap(),
    ));
    let encode = |boundary| {
        let tokenizer = SubwordTokenizer::from_tokenizer(inner.clone(), boundary).unwrap();
        let ids = tokenizer.encode_words(&["A12"]).unwrap().ids;
        ids.iter()
            .map(|&id| tokenizer.tokenizer().id_to_token(id).unwrap())
            .collect::<Vec<_>>()
            .concat()
    };
    assert_eq!(encode(WordBoundary::PrefixSpace), "ĠA12");
    assert_eq!(encode(WordBoundary::None), "A12");
}
