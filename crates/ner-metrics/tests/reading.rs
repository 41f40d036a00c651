//! How tags become entities where programs differ, the scheme of a corpus, and reports of entities.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ner_metrics::{Entity, EntityReport, Error, Mode, Result, Scheme, convert, read_entities};

fn tags(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// `PER 0..2, LOC 3..4`.
fn written(entities: Result<Vec<Entity<'_>>>) -> String {
    let entity = |e: &Entity<'_>| format!("{} {}..{}", e.entity_type, e.start, e.end);
    let entities: Vec<String> = entities.unwrap().iter().map(entity).collect();
    entities.join(", ")
}

#[test]
fn where_seqeval_reads_other_entities() {
    for (text, here, seqeval) in [
        // It knows no `U` and no `L`: they neither open nor close.
        ("U-X U-X", "X 0..1, X 1..2", "X 0..2"),
        ("U-X I-X", "X 0..1, X 1..2", "X 0..2"),
        ("B-X U-X", "X 0..1, X 1..2", "X 0..2"),
        ("B-X L-X L-X", "X 0..2, X 2..3", "X 0..3"),
        // What it does not see end is lost when the next begins, and a bare `U` is no start.
        ("B-X L-X B-X L-X", "X 0..2, X 2..4", "X 2..4"),
        ("U-X B-X", "X 0..1, X 1..2", "X 1..2"),
        ("O U O", "_ 1..2", ""),
        // It takes the first letter for the position, whatever it is.
        ("PER PER", "PER 0..2", "ER 0..2"),
        ("ORG ORG LOC", "ORG 0..2, LOC 2..3", "OC 2..3"),
        ("O-X O", "O-X 0..1", ""),
        ("BPER IPER", "BPER 0..1, IPER 1..2", "PER 0..2"),
        ("date-time date-time", "date-time 0..2", "time 0..2"),
        ("b-X i-X", "b-X 0..1, i-X 1..2", "X 0..2"),
    ] {
        let tags = tags(text);
        assert_eq!(written(read_entities(&tags)), here, "{text}");
        assert_eq!(written(Mode::Default.entities(&tags)), seqeval, "{text}");
    }
}

#[test]
fn ill_formed_tags_open_entities_and_lose_nothing() {
    for (text, entities) in [
        ("I-PER I-PER B-PER", "PER 0..2, PER 2..3"),
        ("I-X E-X E-X", "X 0..2, X 2..3"),
        ("O I-X I-Y", "X 1..2, Y 2..3"),
        ("B-X O I-X", "X 0..1, X 2..3"),
        ("E-X I-X S-X I-X", "X 0..1, X 1..2, X 2..3, X 3..4"),
        ("B-X I-X", "X 0..2"),
        ("B-X M-X M-X E-X S-X", "X 0..4, X 4..5"),
        ("B-O I-O O", "O 0..2"),
        (
            "B-tax-percent I-tax-percent I-tax-amount",
            "tax-percent 0..2, tax-amount 2..3",
        ),
        ("I-A-B I-B", "A-B 0..1, B 1..2"),
        ("B I O I", "_ 0..2, _ 3..4"),
        ("PER PER LOC O PER", "PER 0..2, LOC 2..3, PER 4..5"),
        ("PER I-PER B-PER", "PER 0..2, PER 2..3"),
        ("", ""),
    ] {
        assert_eq!(written(read_entities(&tags(text))), entities, "{text}");
    }
    let error = read_entities(&["B-X", ""]).unwrap_err();
    assert_eq!(error, Error::EmptyTag { token: 2 });
}

#[test]
fn schemes_refuse_what_seqeval_would_drop() {
    for tag in ["ORG", "O-X", "OO", "BPER", "PER", "M-X"] {
        for scheme in Scheme::ALL {
            assert!(!scheme.is_valid(&[tag]), "{scheme}: {tag}");
            assert!(
                scheme.legal_transitions(&["O", tag]).is_err(),
                "{scheme}: {tag}"
            );
            let error = convert(&[tag], scheme, Scheme::Iob2).unwrap_err();
            assert!(
                matches!(error, Error::ForeignTag { token: 1, .. }),
                "{scheme}: {error}"
            );
        }
    }
    // Hyphens at the ends of a type stay.
    let there = convert(&["B--X-", "I--X-"], Scheme::Iob2, Scheme::Bilou).unwrap();
    assert_eq!(there, ["B--X-", "L--X-"]);
}

/// Sentences of two entities, alternately of one type, which touch, and of two, which do not.
fn corpus(scheme: Scheme, sentences: usize) -> Vec<Vec<String>> {
    let at = |entity_type, start, end| Entity {
        entity_type,
        start,
        end,
    };
    let sentence = |i| match i % 2 {
        0 => scheme
            .encode(&[at("PER", 1, 3), at("PER", 3, 4)], 6)
            .unwrap(),
        _ => scheme
            .encode(&[at("LOC", 0, 1), at("date-time", 4, 6)], 6)
            .unwrap(),
    };
    (0..sentences).map(sentence).collect()
}

#[test]
fn the_scheme_of_a_corpus() {
    for scheme in Scheme::ALL {
        assert_eq!(Scheme::of_sentences(&corpus(scheme, 10)), Some(scheme));
    }
    for (text, scheme) in [
        ("O O", None),
        ("", None),
        ("PER PER O ORG", None),
        ("PER O B-X", None),
        ("b-X i-X", None),
        ("B-X M-X E-X", None),
        ("B-X I-X L-X S-X", None),
        ("I-X I-X O I-Y", Some(Scheme::Iob1)),
        ("B I O B", Some(Scheme::Iob2)),
        ("B-ORG I-ORG O", Some(Scheme::Iob2)),
    ] {
        assert_eq!(Scheme::of_sentences(&[tags(text)]), scheme, "{text}");
    }
    assert_eq!(Scheme::of_sentences::<Vec<&str>, _>(&[]), None);
}

#[test]
fn a_corpus_may_have_one_slip_in_a_hundred() {
    // Four transitions with an entity in a sentence of two that touch, five in one of two that do not.
    for scheme in Scheme::ALL {
        for slip in ["I-PER", "E-LOC", "PER", "O-X", ""] {
            // A foreign tag breaks two transitions, a misplaced one at least one.
            for (sentences, found) in [(100, Some(scheme)), (10, None)] {
                let mut corpus = corpus(scheme, sentences);
                // After `O`, at the end of a sentence.
                corpus[6][5] = slip.to_owned();
                if scheme.is_valid(&corpus[6]) {
                    continue;
                }
                assert_eq!(
                    Scheme::of_sentences(&corpus),
                    found,
                    "{scheme}: `{slip}` in {sentences}"
                );
            }
        }
    }
}

#[test]
fn entities_in_characters_are_compared_as_sets() {
    let at = |entity_type, start, end| Entity {
        entity_type,
        start,
        end,
    };
    let gold = [
        vec![at("PER", 0, 9), at("PER", 4, 9)],
        vec![at("LOC", 0, 4)],
        vec![],
    ];
    let twice = [
        vec![at("PER", 4, 9), at("PER", 4, 9)],
        vec![at("LOC", 0, 5)],
        vec![at("O", 3, 3)],
    ];
    let report = EntityReport::from_entities(&gold, &twice).unwrap();
    assert_eq!(
        report.to_text(2),
        "              precision    recall  f1-score   support\n\n         \
                  LOC       0.00      0.00      0.00         1\n           \
                    O       0.00      0.00      0.00         0\n         \
                  PER       1.00      0.50      0.67         2\n\n   \
            micro avg       0.33      0.33      0.33         3\n   \
            macro avg       0.33      0.17      0.22         3\n\
         weighted avg       0.67      0.33      0.44         3\n"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json.get("mode"), None);
    assert_eq!(json["per_type"][2]["predicted"], 1);

    let error = EntityReport::from_entities(&gold, &twice[..1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "gold has 3 sentences and the prediction 1: sentence 2 stands on one side only"
    );
    let nothing = EntityReport::from_entities::<Vec<_>, Vec<_>>(&[], &[]).unwrap();
    assert_eq!((nothing.micro.f1, nothing.per_type.len()), (0.0, 0));
}
