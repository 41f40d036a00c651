//! What holds of any text and any spans.

#![allow(clippy::unwrap_used)]

use ner_redact::{
    Anonymizer, Key, Operators, Recognizers, Span, merge, to_bytes, to_code_points, undo,
};
use proptest::prelude::*;

/// Spans between any two characters of a text.
fn spans_of(text: String) -> impl Strategy<Value = (String, Vec<Span>)> {
    let count = text.chars().count().max(1);
    let span = (
        0..count,
        1..=count,
        prop::sample::select(vec!["PER", "LOC", "ES_NIF"]),
        0..=4u8,
        any::<bool>(),
    );
    prop::collection::vec(span, 0..8).prop_map(move |spans| {
        let spans = spans
            .into_iter()
            .map(|(start, len, entity_type, score, checksum)| Span {
                checksum,
                ..Span::from_model(
                    entity_type,
                    start..(start + len).min(count),
                    f64::from(score) / 4.0,
                )
            });
        // An empty text has no span.
        let spans = if text.is_empty() {
            Vec::new()
        } else {
            spans.collect()
        };
        let spans = to_bytes(&text, spans).unwrap();
        (text.clone(), spans)
    })
}

fn text_and_spans() -> impl Strategy<Value = (String, Vec<Span>)> {
    "[aBñ7 .🙂א\u{301}]{0,24}".prop_flat_map(spans_of)
}

/// Marks and digits that identifiers are made of, in any order.
fn near_identifiers() -> impl Strategy<Value = String> {
    let pieces = vec![
        "0",
        "00",
        "6",
        "34",
        "612",
        "4111",
        "1111",
        "345.678",
        "ES",
        "91",
        "X",
        "Z",
        "L",
        "a",
        "fe80",
        "::",
        ":",
        ".",
        "..",
        "-",
        " ",
        "  ",
        "\u{a0}",
        "+",
        "(",
        ")",
        "/",
        "@",
        "www.",
        "://",
        "http",
        ".com",
        ".es",
        "%",
        "ñ",
        "e\u{301}",
        "🙂",
        "א",
        "电",
        "€",
        ",",
        "\n",
        "_",
        "12345678",
        "192.168.1.1",
        "«",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Every byte of every span stays covered, nothing else is, and no two overlap.
    #[test]
    fn merging_covers_the_same_bytes((text, spans) in text_and_spans()) {
        let merged = merge(&text, spans.clone()).unwrap();
        prop_assert!(merged.windows(2).all(|pair| pair[0].end <= pair[1].start));
        let covers = |spans: &[Span], byte| spans.iter().any(|span| (span.start..span.end).contains(&byte));
        for byte in 0..text.len() {
            prop_assert_eq!(covers(&spans, byte), covers(&merged, byte));
        }
        // Each byte has the type of one of the strongest spans that cover it.
        for part in &merged {
            let over = spans.iter().filter(|span| span.start <= part.start && part.end <= span.end);
            let strongest = over.clone().map(|span| (span.checksum, span.score)).fold((false, -1.0), |a, b| if b > a { b } else { a });
            prop_assert_eq!((part.checksum, part.score), strongest);
        }
        // The order in which spans come makes no difference.
        let backwards: Vec<Span> = spans.into_iter().rev().collect();
        prop_assert_eq!(merge(&text, backwards).unwrap(), merged.clone());
        prop_assert_eq!(merge(&text, merged.clone()).unwrap(), merged);
    }

    /// Whatever the operator, the original comes back to the byte.
    #[test]
    fn undo_gives_the_original_back((text, spans) in text_and_spans(), keyed: bool) {
        for operator in ["replace", "number", "mask:*:1", "redact", "hash:8", "pseudonym", "keep"] {
            let key = keyed.then(|| Key::new(b"0123456789abcdef").unwrap());
            let operators = Operators::from_list(&[operator]).unwrap();
            let Ok(anonymizer) = Anonymizer::new(operators, key) else { continue };
            let redacted = anonymizer.anonymize(&text, &spans).unwrap();
            prop_assert_eq!(undo(&redacted.text, &redacted.map).unwrap(), text.clone());
        }
    }

    /// Spans of any text fit it, in bytes and in code points, and are what `redact` covers.
    #[test]
    fn recognizers_find_what_fits(text in near_identifiers()) {
        let spans = Recognizers::standard().find(&text);
        let points = to_code_points(&text, spans.clone()).unwrap();
        prop_assert_eq!(to_bytes(&text, points).unwrap(), spans.clone());
        let redacted = Anonymizer::new(Operators::from_list(&["redact"]).unwrap(), None).unwrap().anonymize(&text, &spans).unwrap();
        prop_assert_eq!(undo(&redacted.text, &redacted.map).unwrap(), text);
    }

    /// Any characters at all.
    #[test]
    fn recognizers_take_any_text(text in any::<String>()) {
        prop_assert!(to_code_points(&text, Recognizers::standard().find(&text)).is_ok());
    }
}
