//! A thousand documents with known identifiers and names in many surroundings: nothing of what was found is left, and all comes back.

#![allow(clippy::unwrap_used)]

use std::ops::Range;

use ner_redact::{
    Anonymizer, Key, Operators, Recognizers, Redacted, Redactor, Span, merge, to_bytes,
    to_code_points, undo,
};
use rand::{Rng, RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

const DOCUMENTS: u64 = 1000;

/// What stands right before and after an entity.
const SURROUNDINGS: [(&str, &str); 18] = [
    (" ", " "),
    (" ", "."),
    ("(", ")"),
    ("«", "»"),
    ("\"", "\""),
    ("“", "”"),
    ("'", "'"),
    ("[", "]"),
    ("🙂", "🙂"),
    ("\n", "\n"),
    ("\t", "\t"),
    (": ", "; "),
    (":", ", "),
    ("¿", "?"),
    ("电话", " 号"),
    ("שלום ", " עולם"),
    ("\u{200f}مرحبا ", "، "),
    ("<b>", "</b>"),
];

const FILLERS: [&str; 8] = [
    "Por la presente",
    "hemos visto que",
    "el 12/06/2021 a las 18:30 ganaron 3-1",
    "👩‍👩‍👧 niños",
    "por 1.250,50 euros",
    "e\u{301}l dijo",
    "المدينة القديمة",
    "пришли вчера",
];

const NAMES: [(&str, &str); 10] = [
    ("PER", "Iñaki Zubeldía"),
    ("PER", "Μαρία Παπαδοπούλου"),
    ("PER", "عمر الخطيب"),
    ("PER", "O'Donnell-Ruiz"),
    ("PER", "Jose\u{301} Peña"),
    ("PER", "李小龙"),
    ("LOC", "Villarrubia"),
    ("LOC", "Sant Cugat"),
    ("ORG", "Suministros Ebro, S. L."),
    ("MISC", "Trofeo 🏆 2ª edición"),
];

#[derive(Deserialize)]
struct Number {
    r#type: String,
    number: String,
    valid: bool,
}

fn digits(rng: &mut impl Rng, count: usize) -> String {
    (0..count)
        .map(|_| char::from(rng.random_range(b'0'..=b'9')))
        .collect()
}

/// In groups of four with a separator.
fn grouped(number: &str, separator: &str) -> String {
    let characters: Vec<char> = number.chars().collect();
    let groups: Vec<String> = characters
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join(separator)
}

fn phone(rng: &mut impl Rng) -> String {
    let first = rng.random_range(6..=9);
    let (a, b, c) = (digits(rng, 2), digits(rng, 3), digits(rng, 2));
    // Not round.
    let d = rng.random_range(11..=99);
    match rng.random_range(0..8) {
        0 => format!("{first}{a}{b}{c}{d}1").chars().take(9).collect(),
        1 => format!("{first}{a} {b} {d}1"),
        2 => format!("{first}{a}-{b}-{d}1"),
        3 => format!("{first}{a} {c} {d} {d}"),
        4 => format!("({first}1) {b} {c} {d}"),
        5 => format!("+34 {first}{a} {b} {d}2"),
        6 => format!("+44 (0)20 7{b} {c}{d}"),
        _ => format!("0034{first}{a}{b}{d}3"),
    }
}

fn address(rng: &mut impl Rng) -> (&'static str, String) {
    let n = digits(rng, 3);
    let mut byte = || rng.random_range(1..=255);
    match byte() % 9 {
        0 => ("EMAIL_ADDRESS", format!("zoe.{n}@correo.example.org")),
        1 => ("EMAIL_ADDRESS", format!("señor_{n}+x@ñandú{n}.es")),
        2 => ("EMAIL_ADDRESS", format!("{n}@a{n}.museum")),
        3 => (
            "IP_ADDRESS",
            format!("{}.{}.{}.{}", byte(), byte(), byte(), byte()),
        ),
        4 => ("IP_ADDRESS", format!("2001:db8::{n}:{:x}", byte())),
        5 => ("IP_ADDRESS", format!("fe80::{n}:abcd%eth0")),
        6 => ("URL", format!("https://ejemplo.org/p/{n}?q=(a)&r={n}")),
        7 => ("URL", format!("www.ejemplo{n}.test/a")),
        _ => ("URL", format!("ejemplo{n}.es")),
    }
}

/// An identifier and its type.
fn identifier(rng: &mut impl Rng, numbers: &[Number]) -> (String, String) {
    match rng.random_range(0..4) {
        0 => {
            let (entity_type, address) = address(rng);
            (entity_type.to_owned(), address)
        }
        1 => ("PHONE_NUMBER".to_owned(), phone(rng)),
        _ => {
            let Number { r#type, number, .. } = numbers.choose(rng).unwrap();
            let written = match (r#type.as_str(), rng.random_range(0..3)) {
                ("CREDIT_CARD", 1) if number.len() == 16 => grouped(number, "-"),
                ("CREDIT_CARD", 2) if number.len() == 16 => grouped(number, " "),
                ("IBAN_CODE", 1) => grouped(number, " "),
                ("IBAN_CODE", 2) => number.to_lowercase(),
                ("ES_NIF" | "ES_NIE", 1) => {
                    let (digits, letter) = number.split_at(number.len() - 1);
                    format!("{digits}-{letter}")
                }
                _ => number.clone(),
            };
            (r#type.clone(), written)
        }
    }
}

struct Document {
    text: String,
    /// What a model found.
    names: Vec<Span>,
    /// What rules are to find.
    identifiers: Vec<(String, Range<usize>)>,
}

fn document(rng: &mut impl Rng, numbers: &[Number]) -> Document {
    let mut document = Document {
        text: String::new(),
        names: Vec::new(),
        identifiers: Vec::new(),
    };
    let entities = rng.random_range(1..=8);
    for number in 0..entities {
        let (before, after) = *SURROUNDINGS.choose(rng).unwrap();
        // The first may begin the text, and the last end it.
        if number > 0 || rng.random_bool(0.5) {
            // Without a filler two entities stand side by side.
            if rng.random_bool(0.7) {
                document.text.push_str(FILLERS.choose(rng).unwrap());
            }
            document.text.push_str(before);
        }
        let start = document.text.len();
        if rng.random_bool(0.4) {
            let (entity_type, name) = NAMES.choose(rng).unwrap();
            document.text.push_str(name);
            let score = rng.random_range(0.3..1.0);
            document.names.push(Span::from_model(
                entity_type,
                start..document.text.len(),
                score,
            ));
        } else {
            let (entity_type, written) = identifier(rng, numbers);
            document.text.push_str(&written);
            document
                .identifiers
                .push((entity_type, start..document.text.len()));
        }
        if number + 1 < entities || rng.random_bool(0.5) {
            document.text.push_str(after);
        }
    }
    document
}

fn numbers() -> Vec<Number> {
    let golden = include_str!("../../../fixtures/goldens/redact/numbers.json");
    let mut numbers: Vec<Number> = serde_json::from_str(golden).unwrap();
    numbers.retain(|number| number.valid);
    numbers
}

fn redactors() -> Vec<(&'static str, Redactor)> {
    let operators = [
        "replace",
        "replace:X",
        "number",
        "mask",
        "mask:*:3",
        "redact",
        "hash",
        "hash:12",
        "pseudonym",
    ];
    let made = operators.iter().flat_map(|&operator| {
        let list = Operators::from_list(&[operator]).unwrap();
        let keys = [None, Some(Key::new(b"0123456789abcdef").unwrap())];
        keys.into_iter().filter_map(move |key| {
            Anonymizer::new(list.clone(), key)
                .ok()
                .map(|anonymizer| (operator, anonymizer))
        })
    });
    made.map(|(operator, anonymizer)| {
        (
            operator,
            Redactor {
                recognizers: Recognizers::standard(),
                anonymizer,
            },
        )
    })
    .collect()
}

#[test]
fn nothing_found_is_left_and_everything_comes_back() {
    let (numbers, redactors) = (numbers(), redactors());
    assert_eq!(redactors.len(), 16);
    let mut entities = 0;
    for seed in 0..DOCUMENTS {
        let Document {
            text,
            names,
            identifiers,
        } = document(&mut ChaCha8Rng::seed_from_u64(seed), &numbers);
        assert_found(&text, &identifiers);
        let mut originals: Vec<&str> = names
            .iter()
            .map(|span| &text[span.start..span.end])
            .collect();
        originals.extend(identifiers.iter().map(|(_, range)| &text[range.clone()]));
        entities += originals.len();
        let spans = merge(
            &text,
            [Recognizers::standard().find(&text), names.clone()].concat(),
        )
        .unwrap();
        for (operator, redactor) in &redactors {
            let redacted = redactor.redact(&text, &names).unwrap();
            for original in &originals {
                assert!(
                    !redacted.text.contains(original),
                    "{operator}: {original} in {}",
                    redacted.text
                );
            }
            assert_items(&text, &spans, &redacted);
            assert_eq!(
                undo(&redacted.text, &redacted.map).unwrap(),
                text,
                "{operator}"
            );
        }
        let round = to_bytes(&text, to_code_points(&text, spans.clone()).unwrap()).unwrap();
        assert_eq!(round, spans);
    }
    assert!(entities > 4000, "{entities}");
}

/// Every identifier is found under its type, whole.
fn assert_found(text: &str, identifiers: &[(String, Range<usize>)]) {
    let spans = Recognizers::standard().find(text);
    for (entity_type, range) in identifiers {
        let whole = |span: &Span| {
            &span.entity_type == entity_type && span.start <= range.start && range.end <= span.end
        };
        assert!(
            spans.iter().any(whole),
            "{entity_type} {} in {text}: {spans:?}",
            &text[range.clone()]
        );
    }
}

/// Items stand where they say, and between them is the text that no span covers, and nothing else.
fn assert_items(text: &str, spans: &[Span], redacted: &Redacted) {
    assert_eq!(spans.len(), redacted.items.len());
    let characters: Vec<char> = redacted.text.chars().collect();
    let (mut from, mut at) = (0, 0);
    for (span, item) in spans.iter().zip(&redacted.items) {
        let between: String = characters[at..item.start].iter().collect();
        assert_eq!(between, text[from..span.start]);
        let put: String = characters[item.start..item.end].iter().collect();
        assert_eq!(
            (put, &span.entity_type),
            (item.text.clone(), &item.entity_type)
        );
        (from, at) = (span.end, item.end);
    }
    let rest: String = characters[at..].iter().collect();
    assert_eq!(rest, text[from..]);
}
