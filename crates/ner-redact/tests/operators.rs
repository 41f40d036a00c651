//! What operators put in, how they are named, and what fails.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use ner_redact::{
    Anonymizer, Digest, Error, Key, Masked, Operator, Operators, Recognizers, Redacted,
    RedactedItem, Redactor, Replacement, Span, UndoMap, merge, to_bytes, to_code_points, undo,
};
use serde::Deserialize;

const SECRET: &[u8] = b"sixteen bytes or more";

fn key() -> Key {
    Key::new(SECRET).unwrap()
}

fn anonymize(operator: &str, text: &str, spans: &[Span]) -> Redacted {
    let operators = Operators::from_list(&[operator]).unwrap();
    Anonymizer::new(operators, Some(key()))
        .unwrap()
        .anonymize(text, spans)
        .unwrap()
}

/// Spans of every place of these texts, with their types.
fn spans(text: &str, entities: &[(&str, &str)]) -> Vec<Span> {
    let places = entities.iter().flat_map(|(entity_type, entity)| {
        text.match_indices(entity)
            .map(|(at, entity)| Span::from_model(entity_type, at..at + entity.len(), 0.9))
    });
    places.collect()
}

#[test]
fn each_operator_puts_in_what_it_says() {
    let text = "Íñigo Ruiz y Eva. Eva vio a Íñigo Ruiz en Lugo.";
    let spans = spans(
        text,
        &[("PER", "Íñigo Ruiz"), ("PER", "Eva"), ("LOC", "Lugo")],
    );
    let cases = [
        ("replace", "<PER> y <PER>. <PER> vio a <PER> en <LOC>."),
        ("replace:…=:", "…=: y …=:. …=: vio a …=: en …=:."),
        (
            "number",
            "<PER_1> y <PER_2>. <PER_2> vio a <PER_1> en <LOC_1>.",
        ),
        ("mask", "********** y ***. *** vio a ********** en ****."),
        (
            "mask:█:4",
            "██████Ruiz y ███. ███ vio a ██████Ruiz en ████.",
        ),
        ("redact", " y .  vio a  en ."),
        ("keep", text),
    ];
    for (operator, expected) in cases {
        let redacted = anonymize(operator, text, &spans);
        assert_eq!(redacted.text, expected, "{operator}");
        assert_eq!(undo(&redacted.text, &redacted.map).unwrap(), text);
    }
}

#[test]
fn masks_count_from_either_end() {
    let spans = [Span::from_model("X", 0..6, 1.0)];
    let masked = |which| {
        let operators = Operators::new(Operator::Mask('#', which));
        Anonymizer::new(operators, None)
            .unwrap()
            .anonymize("añ123", &spans)
            .unwrap()
            .text
    };
    assert_eq!(masked(Masked::First(2)), "##123");
    assert_eq!(masked(Masked::Last(2)), "añ1##");
    assert_eq!(masked(Masked::First(9)), "#####");
    assert_eq!(masked(Masked::Last(9)), "#####");
    assert_eq!(masked(Masked::AllButLast(4)), "#ñ123");
    assert_eq!(masked(Masked::AllButLast(5)), "#####");
}

#[test]
fn an_operator_that_needs_only_the_text_acts_alone() {
    let salted = Operator::SaltedHash(Digest::Sha256, b"0123456789abcdef".to_vec());
    // As `printf 'Eva0123456789abcdef' | sha256sum` has it.
    let digest = "ecf0dd21aec3b11eddd416596201c312d00bab7167a6cd6ac438a679741fcf92";
    assert_eq!(salted.replacement("PER", "Eva").unwrap(), digest);
    let mask = Operator::Mask('#', Masked::Last(0));
    assert_eq!(mask.replacement("PER", "Eva").unwrap(), "Eva");
    for operator in [Operator::Number, Operator::Pseudonym, Operator::Hash(64)] {
        assert_eq!(operator.replacement("PER", "Eva"), None);
    }
    let short = Operators::new(Operator::SaltedHash(Digest::Sha512, b"salt".to_vec()));
    let message = Anonymizer::new(short, None).unwrap_err().to_string();
    assert!(message.contains("a salt of 4 bytes"), "{message}");
}

#[derive(Deserialize)]
struct Hash {
    key: String,
    text: String,
    hex: String,
}

#[test]
fn hashes_are_those_of_pythons_hmac() {
    let golden = include_str!("../../../fixtures/goldens/redact/hashes.json");
    let hashes: Vec<Hash> = serde_json::from_str(golden).unwrap();
    for Hash { key, text, hex } in hashes {
        for digits in [8, 16, 64] {
            let operators = Operators::new(Operator::Hash(digits));
            let anonymizer =
                Anonymizer::new(operators, Some(Key::new(key.as_bytes()).unwrap())).unwrap();
            let redacted = anonymizer
                .anonymize(&text, &[Span::from_model("X", 0..text.len(), 1.0)])
                .unwrap();
            assert_eq!(redacted.text, hex[..digits], "{text}");
        }
    }
}

#[test]
fn types_have_operators_of_their_own() {
    let operators =
        Operators::from_list(&["redact", "PER=replace:A=B", "LOC=keep", "PER=number"]).unwrap();
    assert_eq!(operators.get("PER"), &Operator::Number);
    assert_eq!(operators.get("LOC"), &Operator::Keep);
    assert_eq!(operators.get("ORG"), &Operator::Redact);
    let built = Operators::new(Operator::Redact)
        .with("PER", Operator::Number)
        .with("LOC", Operator::Keep);
    assert_eq!(operators, built);
}

#[test]
fn a_type_that_nothing_finds_has_no_operator() {
    let known = ["PER", "EMAIL_ADDRESS", "LOC", "PER"];
    let check = |list: &[&str]| Operators::from_list(list).unwrap().check_types(&known);
    assert_eq!(
        check(&["keep", "PER=replace", "EMAIL_ADDRESS=mask"]),
        Ok(())
    );
    assert_eq!(check(&["keep"]), Ok(()));
    for (slip, meant) in [
        ("PRE", "PER"),
        ("PERSON", "PER"),
        ("per", "PER"),
        ("EMAIL_ADDRES", "EMAIL_ADDRESS"),
        ("EMAIL", "EMAIL_ADDRESS"),
    ] {
        let own = format!("{slip}=replace");
        let error = check(&["keep", own.as_str()]).unwrap_err();
        let message = format!(
            "nothing finds a type `{slip}`; did you mean `{meant}`? There are EMAIL_ADDRESS, LOC, PER"
        );
        assert_eq!(error.to_string(), message);
    }
    let error = check(&["QUX=mask"]).unwrap_err().to_string();
    let message = "nothing finds a type `QUX`; there are EMAIL_ADDRESS, LOC, PER";
    assert_eq!(error, message);
    let nothing = Operators::from_list(&["PER=mask"]).unwrap();
    let error = nothing.check_types(&[]).unwrap_err().to_string();
    assert_eq!(error, "nothing finds a type `PER`; there are none");
    let kinds: Vec<&str> = Operators::from_list(&["keep", "PER=mask"])
        .unwrap()
        .all()
        .map(Operator::name)
        .collect();
    assert_eq!(kinds, ["mask", "keep"]);
}

#[test]
fn items_are_those_of_presidio() {
    let text = "🙂 Eva y 10.0.0.1";
    let operators = Operators::from_list(&["IP_ADDRESS=redact"]).unwrap();
    let redactor = Redactor {
        recognizers: Recognizers::standard(),
        anonymizer: Anonymizer::new(operators, None).unwrap(),
    };
    let redacted = redactor
        .redact(text, &spans(text, &[("PER", "Eva")]))
        .unwrap();
    let json = serde_json::to_string(&redacted).unwrap();
    let expected = r#"{"text":"🙂 <PER> y ","items":[{"start":2,"end":7,"entity_type":"PER","operator":"replace","text":"<PER>"},{"start":10,"end":10,"entity_type":"IP_ADDRESS","operator":"redact","text":""}]}"#;
    assert_eq!(json, expected);
    let item: RedactedItem = serde_json::from_str(
        r#"{"start":2,"end":7,"entity_type":"PER","operator":"replace","text":"<PER>"}"#,
    )
    .unwrap();
    assert_eq!(item, redacted.items[0]);
}

#[test]
fn pseudonyms_are_of_the_same_kind() {
    let text = "EVA RUIZ, eva@example.com, 10.0.0.1, ::1, https://example.com/1, 4111 1111 1111 1111, +34 612 345 678, Premio Ñ-7";
    let mut all = Recognizers::standard().find(text);
    all.extend(spans(text, &[("PER", "EVA RUIZ"), ("MISC", "Premio Ñ-7")]));
    for key in [None, Some(key())] {
        let anonymizer = Anonymizer::new(Operators::new(Operator::Pseudonym), key).unwrap();
        let redacted = anonymizer.anonymize(text, &all).unwrap();
        let put: Vec<&str> = redacted
            .items
            .iter()
            .map(|item| item.text.as_str())
            .collect();
        let [name, email, v4, v6, url, card, phone, award] = put[..] else {
            panic!("{put:?}")
        };
        assert!(
            name.split(' ').count() == 3 && name == name.to_uppercase(),
            "{name}"
        );
        assert!(
            email.ends_with("@example.com") && email.is_ascii(),
            "{email}"
        );
        assert!(
            ["192.0.2.", "198.51.100.", "203.0.113."]
                .iter()
                .any(|net| v4.starts_with(net)),
            "{v4}"
        );
        assert!(v6.starts_with("2001:db8::"), "{v6}");
        assert!(url.starts_with("https://example.com/"), "{url}");
        assert_eq!(shape(card), "9999 9999 9999 9999");
        assert!(
            Recognizers::standard()
                .find(card)
                .iter()
                .all(|span| span.entity_type != "CREDIT_CARD")
        );
        assert_eq!(shape(phone), "+99 999 999 999");
        assert_eq!(shape(award), "Aaaaaa A-9");
        assert_eq!(undo(&redacted.text, &redacted.map).unwrap(), text);
    }
}

fn shape(text: &str) -> String {
    let class = |c: char| match c {
        c if c.is_ascii_digit() => '9',
        c if c.is_ascii_uppercase() => 'A',
        c if c.is_ascii_lowercase() => 'a',
        c => c,
    };
    text.chars().map(class).collect()
}

/// With a key a name is the same in every document; without one it follows from the place, and equal texts share it.
#[test]
fn pseudonyms_are_consistent() {
    let (one, other) = ("Eva vio a Sancho. Eva calló.", "Sancho. Eva, Sancho.");
    let entities = [("PER", "Eva"), ("PER", "Sancho")];
    let put = |key: Option<Key>, text: &str| -> Vec<String> {
        let anonymizer = Anonymizer::new(Operators::new(Operator::Pseudonym), key).unwrap();
        let redacted = anonymizer.anonymize(text, &spans(text, &entities)).unwrap();
        redacted.items.into_iter().map(|item| item.text).collect()
    };
    let (a, b) = (put(Some(key()), one), put(Some(key()), other));
    assert_eq!((&a[0], &a[1], &a[0]), (&a[2], &b[0], &b[1]));
    assert_ne!(a[0], a[1]);
    let another = Key::new(b"another sixteen bytes").unwrap();
    assert_ne!(a, put(Some(another), one));
    let (a, b) = (put(None, one), put(None, other));
    assert_eq!((&a[0], &a[0], &a[1]), (&a[2], &b[0], &b[1]));
    assert_ne!(a[0], a[1]);
}

/// No pseudonym is its original or holds a word of it, whatever the original; what has nothing to change gets its type.
#[test]
fn pseudonyms_differ_from_their_originals() {
    let anonymizer = Anonymizer::new(Operators::new(Operator::Pseudonym), Some(key())).unwrap();
    let put = |entity_type: &str, text: &str| {
        let span = Span::from_model(entity_type, 0..text.len(), 1.0);
        anonymizer.anonymize(text, &[span]).unwrap().text
    };
    for name in [
        "Adela",
        "Grupo",
        "ALTO",
        "de",
        "Adela Alonso Amparo Andrés Asunción Aurora Beltrán Benito Blanca Camilo",
    ] {
        for entity_type in ["PER", "LOC", "ORG"] {
            let other = put(entity_type, name).to_lowercase();
            assert!(
                name.to_lowercase()
                    .split(' ')
                    .all(|word| other.split(' ').all(|w| w != word)),
                "{name}: {other}"
            );
        }
    }
    for digit in '0'..='9' {
        assert_ne!(put("AGE", &digit.to_string()), digit.to_string());
    }
    assert_eq!(put("MISC", "--"), "<MISC>");
    assert_eq!(put("--", "<-->"), "[--]");
    assert_ne!(put("MISC", "🙂"), "🙂");
}

/// Of four hundred right numbers, whose pseudonyms would hold a checksum one time in ten or so.
#[test]
fn pseudonyms_of_checked_numbers_fail_their_check() {
    #[derive(Deserialize)]
    struct Number {
        number: String,
        valid: bool,
    }
    let golden = include_str!("../../../fixtures/goldens/redact/numbers.json");
    let numbers: Vec<Number> = serde_json::from_str(golden).unwrap();
    let redactor = Redactor {
        recognizers: Recognizers::standard(),
        anonymizer: Anonymizer::new(Operators::new(Operator::Pseudonym), Some(key())).unwrap(),
    };
    let valid = numbers.iter().filter(|number| number.valid);
    for Number { number, .. } in valid {
        let other = redactor.redact(number, &[]).unwrap().text;
        assert_eq!(shape(&other), shape(number));
        let spans = redactor.recognizers.find(&other);
        assert!(spans.iter().all(|span| !span.checksum), "{number}: {other}");
    }
}

/// Without a key no two entities of a document share a name, though there are 3,456 names of places only.
#[test]
fn pseudonyms_of_one_document_differ() {
    let text: Vec<String> = (0..300).map(|number| format!("Lugar{number:03}")).collect();
    let text = text.concat();
    let spans: Vec<Span> = (0..300)
        .map(|number| Span::from_model("LOC", number * 8..number * 8 + 8, 0.9))
        .collect();
    let anonymizer = Anonymizer::new(Operators::new(Operator::Pseudonym), None).unwrap();
    let redacted = anonymizer.anonymize(&text, &spans).unwrap();
    let names: BTreeSet<&str> = redacted
        .items
        .iter()
        .map(|item| item.text.as_str())
        .collect();
    assert_eq!(names.len(), 300);
}

#[test]
fn the_stronger_span_wins_and_the_rest_stays_covered() {
    let text = "0123456789";
    let span = |entity_type: &str, start: usize, end: usize, score: f64, checksum: bool| Span {
        checksum,
        ..Span::from_model(entity_type, start..end, score)
    };
    let merged = |spans: Vec<Span>| -> Vec<(String, usize, usize)> {
        merge(text, spans)
            .unwrap()
            .into_iter()
            .map(|span| (span.entity_type, span.start, span.end))
            .collect()
    };
    let expect = |list: &[(&str, usize, usize)]| -> Vec<(String, usize, usize)> {
        list.iter().map(|&(t, s, e)| (t.to_owned(), s, e)).collect()
    };
    // A checksum beats a model, both sides of which stick out.
    assert_eq!(
        merged(vec![
            span("PER", 0, 10, 1.0, false),
            span("NIF", 3, 6, 1.0, true)
        ]),
        expect(&[("PER", 0, 3), ("NIF", 3, 6), ("PER", 6, 10)])
    );
    // Then the score, then the length.
    assert_eq!(
        merged(vec![
            span("A", 0, 6, 0.5, false),
            span("B", 4, 8, 0.6, false)
        ]),
        expect(&[("A", 0, 4), ("B", 4, 8)])
    );
    assert_eq!(
        merged(vec![
            span("A", 0, 4, 0.5, false),
            span("B", 3, 9, 0.5, false)
        ]),
        expect(&[("A", 0, 3), ("B", 3, 9)])
    );
    // The same twice is one; neighbors stay two.
    assert_eq!(
        merged(vec![
            span("A", 0, 4, 0.5, false),
            span("A", 0, 4, 0.4, false),
            span("A", 4, 5, 0.5, false)
        ]),
        expect(&[("A", 0, 4), ("A", 4, 5)])
    );
}

/// A name that is kept shields no number in it, however sure the model is.
#[test]
fn keep_shows_nothing_that_another_span_covers() {
    let text = "Calle 612345678 Sur";
    let operators = Operators::from_list(&["LOC=keep"]).unwrap();
    let redactor = Redactor {
        recognizers: Recognizers::standard(),
        anonymizer: Anonymizer::new(operators, None).unwrap(),
    };
    let entities = [Span::from_model("LOC", 0..text.len(), 1.0)];
    let redacted = redactor.redact(text, &entities).unwrap();
    assert_eq!(redacted.text, "Calle <PHONE_NUMBER> Sur");
    assert_eq!(undo(&redacted.text, &redacted.map).unwrap(), text);
}

#[test]
fn operators_that_would_hide_too_little_are_refused() {
    let error = |text: &str| text.parse::<Operator>().unwrap_err().to_string();
    assert!(error("encrypt").starts_with("unknown operator `encrypt`; choose replace, "));
    assert!(Operators::from_list(&["=keep"]).is_err());
    assert!(error("keep:1").starts_with("unknown operator `keep:1`"));
    assert_eq!(error("hash:7"), "operator `hash`: 7 digits; give 8 to 64");
    assert_eq!(error("hash:x"), "operator `hash`: `x` is no whole number");
    assert_eq!(
        error("mask:ab"),
        "operator `mask`: `ab` is no single character; write `mask:*` or `mask:*:4`"
    );
    assert_eq!(
        error("mask:"),
        "operator `mask`: `` is no single character; write `mask:*` or `mask:*:4`"
    );
    assert_eq!(error("mask:*:x"), "operator `mask`: `x` is no whole number");
    let none = Operators::new(Operator::Mask('*', Masked::Last(0)));
    assert!(Anonymizer::new(none, None).is_err());
    let hash = Operators::default().with("PER", Operator::Hash(16));
    assert_eq!(
        Anonymizer::new(hash, None).unwrap_err(),
        Error::NoKey { operator: "hash" }
    );
    assert_eq!(
        Key::new(b"short").unwrap_err(),
        Error::ShortKey { bytes: 5 }
    );
    assert_eq!(format!("{:?}", key()), "Key(..)");
}

/// Whatever is wrong with a document's spans or map: an error, no text in it, and no redacted text.
#[test]
fn no_error_holds_text_of_the_document() {
    let text = "Señora Confidencial";
    let anonymizer = Anonymizer::new(Operators::default(), None).unwrap();
    let wrong = [
        Span::from_model("PER", 0..99, 0.5),
        Span::from_model("PER", 5..5, 0.5),
        Span {
            start: 9,
            ..Span::from_model("PER", 0..8, 0.5)
        },
        Span::from_model("PER", 3..8, 0.5),
        Span::from_model("PER", 0..3, 0.5),
        Span::from_model("PER", 0..6, f64::NAN),
        Span::from_model("PER", 0..6, 1.5),
        Span::from_model("", 0..6, 0.5),
        Span::from_model("PER", usize::MAX - 1..usize::MAX, 0.5),
    ];
    let mut errors = Vec::new();
    for wrong in wrong {
        let spans = vec![Span::from_model("PER", 0..2, 0.5), wrong];
        let error = anonymizer.anonymize(text, &spans).unwrap_err();
        assert_eq!(
            error.to_string(),
            merge(text, spans.clone()).unwrap_err().to_string()
        );
        assert!(error.to_string().starts_with("span 1"), "{error}");
        errors.push(error);
        errors.extend(to_code_points(text, spans).err());
    }
    errors.push(to_bytes(text, vec![Span::from_model("PER", 0..20, 0.5)]).unwrap_err());
    let redacted = anonymizer
        .anonymize(text, &[Span::from_model("PER", 8..20, 0.5)])
        .unwrap();
    errors.push(undo(text, &redacted.map).unwrap_err());
    let damages: [fn(&mut Replacement); 4] = [
        |damaged| damaged.end = 99,
        |damaged| damaged.start = 3,
        |damaged| (damaged.start, damaged.end) = (9, 8),
        |damaged| (damaged.start, damaged.end) = (3, 3),
    ];
    for damage in damages {
        let mut map = redacted.map.clone();
        map.replacements[0].original = "Confidencial".to_owned();
        damage(&mut map.replacements[0]);
        errors.push(undo(&redacted.text, &map).unwrap_err());
    }
    assert_eq!(errors.len(), 24);
    errors.sort_by_key(ToString::to_string);
    for error in errors {
        let talk = format!("{error} {error:?}");
        assert!(
            !["Señora", "Confidencial", "Se"]
                .iter()
                .any(|word| talk.contains(word)),
            "{talk}"
        );
    }
    assert!(!format!("{redacted:?}").contains("Confidencial"));
}

#[test]
fn undo_takes_the_text_and_the_map_of_one_redaction() {
    let text = "Eva y Eva";
    let redacted = anonymize("redact", text, &spans(text, &[("PER", "Eva")]));
    let json = serde_json::to_string(&redacted.map).unwrap();
    let map: UndoMap = serde_json::from_str(&json).unwrap();
    assert_eq!(undo(&redacted.text, &map).unwrap(), text);
    assert_eq!(
        undo(&format!("{} ", redacted.text), &map),
        Err(Error::UndoChecksum)
    );
    let mut swapped = map.clone();
    swapped.replacements.swap(0, 1);
    assert_eq!(
        undo(&redacted.text, &swapped),
        Err(Error::UndoMap { replacement: 1 })
    );
}
