//! What each recognizer finds, and what it leaves alone.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use ner_redact::{Error, Recognizer, Recognizers, Span};
use serde::Deserialize;

/// Texts of one type that are found in a text.
fn found<'a>(entity_type: &str, text: &'a str) -> Vec<&'a str> {
    let spans = Recognizers::standard().find(text);
    let spans = spans.iter().filter(|span| span.entity_type == entity_type);
    spans.map(|span| &text[span.start..span.end]).collect()
}

fn span(text: &str) -> Span {
    let mut spans = Recognizers::standard().find(text);
    assert_eq!(spans.len(), 1, "{text}: {spans:?}");
    spans.remove(0)
}

/// Each text is found whole in the middle of a sentence, at its start and at its end.
fn assert_whole(entity_type: &str, texts: &[&str]) {
    for text in texts {
        for sentence in [
            format!("{text} y más"),
            format!("Aquí {text}, dijo"),
            format!("«{text}»"),
            format!("({text})."),
            format!("Es {text}"),
        ] {
            assert_eq!(found(entity_type, &sentence), [*text], "{sentence}");
        }
    }
}

#[derive(Deserialize)]
struct Number {
    r#type: String,
    number: String,
    valid: bool,
}

/// python-stdnum is of the same mind on 800 numbers, half of them with one digit changed.
#[test]
fn checksums_agree_with_stdnum() {
    let golden = include_str!("../../../fixtures/goldens/redact/numbers.json");
    let numbers: Vec<Number> = serde_json::from_str(golden).unwrap();
    assert_eq!(numbers.len(), 800);
    for Number {
        r#type,
        number,
        valid,
    } in numbers
    {
        let text = format!("Número {number}.");
        let expected = if valid { vec![number.as_str()] } else { vec![] };
        assert_eq!(found(&r#type, &text), expected, "{text}");
    }
}

/// Every other check letter and every other check digit is refused.
#[test]
fn only_the_right_check_digit_is_taken() {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".chars();
    let letters: String = alphabet
        .filter(|letter| !found("ES_NIF", &format!("12345678{letter}")).is_empty())
        .collect();
    assert_eq!(letters, "Z");
    let digits: Vec<u8> = (0..10)
        .filter(|digit| !found("CREDIT_CARD", &format!("411111111111111{digit}")).is_empty())
        .collect();
    assert_eq!(digits, [1]);
    let checks: Vec<u8> = (0..100)
        .filter(|check| {
            !found("IBAN_CODE", &format!("ES{check:02}21000418450200051332")).is_empty()
        })
        .collect();
    assert_eq!(checks, [91]);
}

#[test]
fn scores_and_names_are_presidios() {
    let cases = [
        (
            "a@example.org",
            "EMAIL_ADDRESS",
            "EmailRecognizer",
            1.0,
            false,
        ),
        (
            "4111 1111 1111 1111",
            "CREDIT_CARD",
            "CreditCardRecognizer",
            1.0,
            true,
        ),
        (
            "ES9121000418450200051332",
            "IBAN_CODE",
            "IbanRecognizer",
            1.0,
            true,
        ),
        ("12345678Z", "ES_NIF", "EsNifRecognizer", 1.0, true),
        ("X1234567L", "ES_NIE", "EsNieRecognizer", 1.0, true),
        ("10.0.0.1", "IP_ADDRESS", "IpRecognizer", 0.6, false),
        ("https://example.org/a", "URL", "UrlRecognizer", 0.6, false),
        ("example.org", "URL", "UrlRecognizer", 0.5, false),
        (
            "+34 612 345 678",
            "PHONE_NUMBER",
            "PhoneRecognizer",
            0.6,
            false,
        ),
        ("612 345 678", "PHONE_NUMBER", "PhoneRecognizer", 0.4, false),
    ];
    for (text, entity_type, recognizer, score, checksum) in cases {
        let found = span(text);
        assert_eq!(found.entity_type, entity_type);
        assert_eq!(found.recognizer, recognizer);
        assert_eq!((found.start, found.end), (0, text.len()), "{text}");
        assert_eq!((found.score, found.checksum), (score, checksum), "{text}");
    }
}

#[test]
fn cards_are_found_in_every_usual_form() {
    assert_whole(
        "CREDIT_CARD",
        &[
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111\u{a0}1111\u{a0}1111\u{a0}1111",
            "5555 5555 5555 4444",
            "3782 822463 10005",
            "378282246310005",
            "3056 930902 5904",
        ],
    );
    // Other digits beside it do not hide a card.
    assert_eq!(
        found("CREDIT_CARD", "1 4111 1111 1111 1111 123 y 12/25"),
        ["4111 1111 1111 1111"]
    );
    assert_eq!(
        found("CREDIT_CARD", "4111-1111-1111-1111-5555-5555-5555-4444"),
        ["4111-1111-1111-1111", "5555-5555-5555-4444"]
    );
}

#[test]
fn accounts_are_found_in_every_usual_form() {
    assert_whole(
        "IBAN_CODE",
        &[
            "ES9121000418450200051332",
            "ES91 2100 0418 4502 0005 1332",
            "ES91-2100-0418-4502-0005-1332",
            "es91 2100 0418 4502 0005 1332",
            "DE89 3704 0044 0532 0130 00",
            "GB82 WEST 1234 5698 7654 32",
        ],
    );
    // Words and other numbers that follow are no part of it.
    assert_eq!(
        found(
            "IBAN_CODE",
            "AB12 ES91 2100 0418 4502 0005 1332 2024 por favor"
        ),
        ["ES91 2100 0418 4502 0005 1332"]
    );
}

#[test]
fn spanish_documents_are_found_in_every_usual_form() {
    let nif = [
        "12345678Z",
        "12345678-Z",
        "12.345.678-Z",
        "12.345.678Z",
        "12345678z",
        "12345678 Z",
        "ES12345678Z",
        "ES-12345678Z",
        "1234567L",
    ];
    assert_whole("ES_NIF", &nif);
    assert_whole(
        "ES_NIE",
        &[
            "X1234567L",
            "X-1234567-L",
            "x1234567l",
            "Y1234567X",
            "Z1234567R",
            "X-1.234.567-L",
            "X01234567L",
        ],
    );
    // The letter would be right, but it is a word, or the number a part of another.
    for text in [
        "1234567 l",
        "1234567 L",
        "12345678 z",
        "A12345678Z",
        "12345678Za",
        "1.12.345.678Z",
        "112345678Z",
        "0,12345678Z",
    ] {
        assert!(found("ES_NIF", text).is_empty(), "{text}");
    }
    // A NIE is no NIF besides.
    assert_eq!(span("X-1234567-L").entity_type, "ES_NIE");
}

#[test]
fn addresses_are_found() {
    let emails = [
        "ana@example.org",
        "ana.gil+caja@correo.example.org",
        "a_b-c%d@example.co.uk",
        "josé@ñandú.es",
        "jose\u{301}@example.org",
        "o'brien@example.org",
        "a@xn--e1afmkfd.xn--p1ai",
    ];
    assert_whole("EMAIL_ADDRESS", &emails);
    assert_eq!(
        found("EMAIL_ADDRESS", "<mailto:ana@example.org>"),
        ["ana@example.org"]
    );
    assert_eq!(
        found("EMAIL_ADDRESS", "Ana: 'ana@example.org'."),
        ["ana@example.org"]
    );
    for text in [
        "@ana",
        "ana@",
        "ana @ example.org",
        "ana@localhost",
        "a@b.1",
    ] {
        assert!(found("EMAIL_ADDRESS", text).is_empty(), "{text}");
    }
    assert_whole(
        "IP_ADDRESS",
        &[
            "192.168.1.10",
            "8.8.8.8",
            "2001:db8::ff00:42:8329",
            "fe80::1%eth0",
            "::1",
            "::ffff:c0a8:1",
            "2001:0db8:0000:0000:0000:ff00:0042:8329",
        ],
    );
    assert_eq!(found("IP_ADDRESS", "cabeza:fe80::1:"), ["fe80::1"]);
    assert_eq!(
        found("IP_ADDRESS", "http://[2001:db8::1]:443 y 10.0.0.1:80"),
        ["2001:db8::1", "10.0.0.1"]
    );
    for text in [
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "12:30:45",
        "std::fs",
        "::",
        "a1.2.3.4",
        "01.02.03.04",
    ] {
        assert!(found("IP_ADDRESS", text).is_empty(), "{text}");
    }
    assert_whole(
        "URL",
        &[
            "https://example.org/a?b=c#d",
            "http://example.org",
            "www.example.org/a",
            "example.com",
            "blog.ejemplo.es/2021/05",
            "ftp://example.org:21/a_(b)",
            "postgres://ana:clave@db/x",
        ],
    );
    for text in ["fin.El", "p.es", "1.250.000", "etc.es decir", "a.m."] {
        let expected: &[&str] = if text.starts_with("etc") {
            &["etc.es"]
        } else {
            &[]
        };
        assert_eq!(found("URL", text), expected, "{text}");
    }
}

#[test]
fn telephones_are_found_in_every_usual_form() {
    assert_whole(
        "PHONE_NUMBER",
        &[
            "612345678",
            "612 345 678",
            "612-345-678",
            "612 34 56 78",
            "612.34.56.78",
            "91 234 56 78",
            "(91) 234 56 78",
            "91-2345678",
            "912 345678",
            "+34 612 345 678",
            "+34612345678",
            "+34.612.345.678",
            "+34 612.345.678",
            "0034 612 345 678",
            "+1 (555) 123-4567",
            "+44 (0)20 7946 0018",
            "+52 55 1234 5678",
            "+49-30-901820",
            "612\u{a0}345\u{a0}678",
        ],
    );
    assert_eq!(
        found("PHONE_NUMBER", "Tel. +34 612 345 678 913 456 789"),
        ["+34 612 345 678", "913 456 789"]
    );
    assert_eq!(
        found("PHONE_NUMBER", "612345678/912345678,612 345 679"),
        ["612345678", "912345678", "612 345 679"]
    );
    assert_eq!(
        found("PHONE_NUMBER", "612345678-912345678, 912 345 678-79"),
        ["612345678", "912345678", "912 345 678"]
    );
    assert_eq!(
        found("PHONE_NUMBER", "Llame al 612 345 678 20 veces"),
        ["612 345 678"]
    );
    assert_eq!(
        found("PHONE_NUMBER", "ב612345678 电话612345679号"),
        ["612345678", "612345679"]
    );
}

/// What looks like a number of a person and is none.
#[test]
fn other_numbers_are_no_telephones_and_no_cards() {
    let texts = [
        "En 1998, 2004 y 2021",
        "2019-2020-2021 2022",
        "entre 1990 y 2000",
        "1936-1939",
        "612.345.678 euros",
        "912 345 678 €",
        "€ 912345678",
        "750 000 000 de discos",
        "900.000.000",
        "1.250.000,50 €",
        "3,99 $",
        "712345678,50",
        "612345678 habitantes",
        "912 345 678 de pesetas",
        "ISBN 978-84-376-0494-7",
        "ISBN 84-376-0494-X",
        "ISBN 9788437604947",
        "ISSN 1135-5174",
        "12/06/2021",
        "2021-06-12",
        "12.06.2021",
        "12-06-2021 18:30",
        "20210612183000",
        "2021-06-12T18:30:00.123456+02:00",
        "6-3, 7-6, 6-4",
        "3-1",
        "98-87",
        "101 a 99",
        "6-7 (3-7) 7-6",
        "600-700-801-900",
        "7.123.45.67.89",
        "BANCO 21.00 21022.70 21070.80 -1.00 174932 2313",
        "+1.25 34.10 35.20 120 1500",
        "00 21022.70 21070.80",
        "18:30",
        "7:45:12",
        "9.15 h",
        "de 9 a 14 y de 16 a 20",
        "versión 10.0.19041",
        "v7.12.3",
        "1.82.0-nightly",
        "6.1.0-18-amd64",
        "28001 Madrid",
        "artículo 612",
        "+12 grados",
        "-7",
        "100 %",
        "6 x 9",
        "+1.000.000",
        "B612345678",
        "61234567",
        "6123456789",
        "5123456789012",
        "1234567890123456",
    ];
    for text in texts {
        let found = Recognizers::standard().find(text);
        let wrong = found
            .iter()
            .find(|span| ["PHONE_NUMBER", "CREDIT_CARD"].contains(&span.entity_type.as_str()));
        assert_eq!(wrong, None, "{text}");
    }
}

/// A text of one piece over and over takes no longer than its length lets one expect: quadratic, each of these would take minutes.
#[test]
fn hostile_texts_take_linear_time() {
    let pieces = [
        "@", "a@", "a.", ".", ":", "::", "a:", "://", "a://", ")", "+1", "00", "0", "1 ", "1.",
        "612 345 ", "ES91", "A-", "X1", "www.", "(", " ", "é",
    ];
    let begun = Instant::now();
    for piece in pieces {
        for start in ["", "http://a", "www.a", "a@", "+"] {
            let text = format!("{start}{}", piece.repeat(300_000 / piece.len()));
            let found = Recognizers::standard().find(&text);
            assert!(found.iter().all(|span| span.end <= text.len()));
        }
    }
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_set_can_be_changed() {
    let standard = Recognizers::standard();
    assert_eq!(standard.list().len(), 8);
    let set = standard
        .without("URL")
        .unwrap()
        .with_patterns(&["STAFF=E-[0-9]{6}", "CODE=a=b+"])
        .unwrap();
    let text = "E-123456 a=bb example.org";
    let spans = set.find(text);
    let places = spans
        .iter()
        .map(|span| (span.entity_type.as_str(), span.start..span.end, span.score));
    assert_eq!(
        places.collect::<Vec<_>>(),
        [("STAFF", 0..8, 1.0), ("CODE", 9..13, 1.0)]
    );
    let pattern = Recognizer::from_pattern("TICKET", r"#\d+", 0.3).unwrap();
    let set = Recognizers::none().with(pattern);
    assert_eq!(
        (set.entity_types(), set.find("#12")[0].score),
        (vec!["TICKET"], 0.3)
    );
    assert_eq!(set.list()[0].name(), "TICKET pattern");
}

#[test]
fn errors_say_what_is_wrong_with_a_definition() {
    let error = |entry: &str| {
        Recognizers::none()
            .with_patterns(&["A=b", entry])
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("STAFF"),
        "recognizer 2 of the list: `STAFF` has no `=`; write TYPE=REGEX, such as `STAFF=E-[0-9]{6}`"
    );
    assert_eq!(
        error("=a"),
        "recognizer 2 of the list, ``: a type is made of letters, digits, `_` and `-`"
    );
    assert!(error("A B=a").ends_with("a type is made of letters, digits, `_` and `-`"));
    assert!(
        error("A=a*").starts_with("recognizer 2 of the list, `A`: `a*` matches the empty text")
    );
    let broken = error("A=(b");
    assert!(
        broken.starts_with("recognizer 2 of the list, `A`: ") && broken.contains("unclosed group"),
        "{broken}"
    );
    let unknown = Recognizers::standard().without("ES_DNI").unwrap_err();
    assert!(
        matches!(&unknown, Error::UnknownEntityType { entity_type, .. } if entity_type == "ES_DNI")
    );
    assert!(
        unknown
            .to_string()
            .contains("CREDIT_CARD, EMAIL_ADDRESS, ES_NIE, ES_NIF, IBAN_CODE")
    );
    let email = Recognizers::standard().without("EMAIL").unwrap_err();
    assert!(
        email.to_string().starts_with(
            "nothing finds a type `EMAIL`; did you mean `EMAIL_ADDRESS`? There are CREDIT_CARD, "
        ),
        "{email}"
    );
    assert!(Recognizer::from_pattern("A", "a", f64::NAN).is_err());
}
