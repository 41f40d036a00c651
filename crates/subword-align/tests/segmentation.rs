//! The words of running text by the tokenizer's pre-tokenizer and by white space.
#![allow(clippy::unwrap_used)]

mod common;

use common::{folder, tokenizer};
use serde_json::{Map, Value, json};
use subword_align::{Segmentation, SubwordTokenizer, WordBoundary};

fn cut<'t>(tokenizer: &SubwordTokenizer, text: &'t str, how: Segmentation) -> Vec<&'t str> {
    let words = tokenizer.words(text, how).unwrap();
    words.into_iter().map(|word| &text[word]).collect()
}

/// BERT's uncased tokenizer, whose normalizer drops accents and control characters.
fn uncased() -> SubwordTokenizer {
    let files: Map<String, Value> = json!({"tokenizer_config.json": {"do_lower_case": true}})
        .as_object()
        .unwrap()
        .clone();
    SubwordTokenizer::from_dir(folder("wordpiece", &files).path(), None).unwrap()
}

#[test]
fn each_pre_tokenizer_has_its_own_words() {
    let text = " Inés,de EE.UU.\u{a0}pagó 12.450 €. ";
    let bert = [
        "Inés", ",", "de", "EE", ".", "UU", ".", "pagó", "12", ".", "450", "€", ".",
    ];
    let bytes = [
        "Inés", ",", "de", "EE", ".", "UU", ".", "pagó", "12", ".", "450", "€.",
    ];
    let white = ["Inés,de", "EE.UU.", "pagó", "12.450", "€."];
    for (kind, expected) in [
        ("wordpiece", &bert[..]),
        ("bpe", &bytes),
        ("unigram", &white),
    ] {
        let tokenizer = tokenizer(kind, WordBoundary::PrefixSpace);
        assert_eq!(
            cut(&tokenizer, text, Segmentation::PreTokenizer),
            expected,
            "{kind}"
        );
        assert_eq!(
            cut(&tokenizer, text, Segmentation::Whitespace),
            white,
            "{kind}"
        );
    }
}

#[test]
fn what_a_normalizer_drops_stays_with_the_word_before() {
    let words = |text| cut(&uncased(), text, Segmentation::PreTokenizer);
    assert_eq!(
        words("cafe\u{301} I\u{301}n\u{303}igo."),
        ["cafe\u{301}", "I\u{301}n\u{303}igo", "."]
    );
    assert_eq!(
        words("a\u{0}b, c\u{ad} \u{0}d"),
        ["a\u{0}b", ",", "c\u{ad}", "\u{0}d"]
    );
    assert_eq!(
        words("a \u{0} \u{301} b\u{200b}c"),
        ["a", "\u{0}", "\u{301}", "b", "c"]
    );
}

#[test]
fn no_pre_tokenizer_parts_a_letter_from_its_marks() {
    // GPT-2's expression for words has letters, but not the marks that follow them.
    let tokenizer = tokenizer("bpe", WordBoundary::PrefixSpace);
    assert_eq!(
        cut(
            &tokenizer,
            "cafe\u{301}s 1\u{fe0f}\u{20e3}2",
            Segmentation::PreTokenizer
        ),
        ["cafe\u{301}", "s", "1\u{fe0f}\u{20e3}", "2"]
    );
}

#[test]
fn words_of_a_text_are_encoded_as_words_of_a_corpus() {
    let text = "¿Vive el Sr. Ibáñez en EE.UU.? El 77% no.";
    let corpus = [
        "¿", "Vive", "el", "Sr.", "Ibáñez", "en", "EE.UU.", "?", "El", "77%", "no", ".",
    ];
    for kind in common::KINDS {
        let tokenizer = tokenizer(kind, WordBoundary::PrefixSpace);
        let words = cut(&tokenizer, text, Segmentation::default());
        assert_eq!(words, corpus);
        assert_eq!(
            tokenizer.encode_words(&words).unwrap(),
            tokenizer.encode_words(&corpus).unwrap()
        );
    }
}
