#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::*;

fn cut(text: &str) -> Vec<&str> {
    words(text).into_iter().map(|word| &text[word]).collect()
}

/// Checks texts that are written with a `|` between words that no white space parts.
#[track_caller]
fn check(cases: &[&str]) {
    for case in cases {
        let words = case.split(|c: char| c == '|' || c.is_whitespace());
        let expected: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let text = case.replace('|', "");
        assert_eq!(cut(&text), expected, "{text:?}");
    }
}

#[test]
fn names_round_trip() {
    for how in [
        Segmentation::Unicode,
        Segmentation::Whitespace,
        Segmentation::PreTokenizer,
    ] {
        assert_eq!(how.name().parse::<Segmentation>().unwrap(), how);
        assert_eq!(serde_json::to_string(&how).unwrap(), format!("\"{how}\""));
    }
    let error = "words".parse::<Segmentation>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`words` is no segmentation; choose one of unicode, whitespace, pre-tokenizer"
    );
}

#[test]
fn punctuation_is_cut_off() {
    check(&[
        "Hola|, Marta|.",
        "¿|Vienes|?",
        "(|ayer|)|, «|no|»|.",
        "\"|Kiko|\" y '|Hamlet|'|.",
        "“|bien|” ‘|mal|’",
        "dijo|—|que 1995|–|2003",
        "$|500 y 500|€",
        "(|(|a|)|)",
    ]);
}

#[test]
fn numbers_stay_whole() {
    check(&[
        "3.500 25,3 1.234.567,89|, 10:30|: 1:15.63",
        "+7,76 -12 −3 ±2 (|-0.04|) -.5 a|=|-1",
        ".520|, (|.1|)",
        "77% 1,5‰ 20° 30%|. % VAR %|VAR",
        "'92 ’68|, (|'2006|) '|92|' '|abc",
        "km² 1½ m³|.",
        "98/99 6-3|, 4-4-2 0-1",
        "sub'21 0'7 3.er 1.º 2.ª m.83",
        "5|- 3|+ (|a|)|-|3",
    ]);
}

#[test]
fn joined_words_stay_whole() {
    check(&[
        "franco-belga d'Or L’Espluga Moody's",
        "km/h R&B I+D y/o AC/DC|.",
        "ana.ruiz+x@correo.es|, @ana_r|: #Lima2|!",
        "viajes.com|. www.viajes.com|,",
        "J.-P. Ruiz",
        "C|++ R|& -|a a|- a|/|/|b 東|/|京",
    ]);
}

#[test]
fn internet_addresses_stay_whole() {
    check(&[
        "https://a.es/b-c_d?e=1&f=%20#g|.",
        "(|http://a.es/b_(c)|)|, WWW.A.es/b/",
        "<|a href|=|\"|ftp://x.es/y|\"|>",
        "«|https://a.es/ñandú|»",
        "http|:|/|/ x|:|/|/",
    ]);
}

#[test]
fn abbreviations_keep_their_stop() {
    check(&[
        "J. Ruiz y M. A. P.|, de 30",
        "el Sr. Ruiz|, la DRA|. Sanz (|59 kg.|) etc.|, Núm. 3",
        "EE.UU. y (|S.A.|) a las 3 p.m.",
        "No. 5 y no|. Cinco|, art. 3",
        "el Secr./Tes y 3|.|/|4",
        "vive en Lima|. Come",
        "BM. CUZCO|, CDB. QUITO y FC. ÑU|. PP|. Por FC|. Lima|, LA|. LIMA",
    ]);
}

#[test]
fn a_sentence_may_lack_the_space_after_it() {
    check(&[
        "al fin|.|El Sr.|Ruiz en 1999|.|El B.King Ph.D. EE.UU",
        "¿|Si|?|No",
    ]);
}

#[test]
fn a_stop_at_the_end_ends_the_sentence() {
    check(&[
        "la vitamina C|.",
        "de 59 kg|.",
        "Ruiz|, Sanz|, etc|.|»",
        "(|plan B|.|)",
        "(|plan B.|)|.",
        "¿|Es él|, J.|?",
        "3 m|.\n\n Fin|.",
        "3 m.\n Fin|.",
        // An abbreviation's stop and the sentence's.
        "de Ruiz S.A.|. Luego etc.|. M.|.",
        "de Ruiz S.A|... etc|.... C.A|.|.|B",
    ]);
}

#[test]
fn repeated_marks_are_one_word() {
    check(&[
        "Y|...",
        "(|...|)",
        "--|no|-- a|--|b",
        "¿¿|Qué|?? ====",
        ".|. fin|.|.",
        "no|…",
    ]);
}

#[test]
fn what_belongs_together_is_never_parted() {
    check(&[
        "👩\u{200d}👧|👋🏽|🇪🇸|🇵🇪",
        "1\u{fe0f}\u{20e3}|, #\u{fe0f}\u{20e3}",
        "cafe\u{301}|, I\u{301}n\u{303}igo",
        "\u{301}|a",
        "co\u{ad}sa",
        "ก\u{e33}|ก",
    ]);
}

#[test]
fn every_kind_of_white_space_separates() {
    for space in [
        " ", "\t", "\n", "\r\n", "\u{b}", "\u{85}", "\u{a0}", "\u{1680}", "\u{2003}", "\u{2028}",
        "\u{202f}", "\u{3000}", "\u{200b}", "\u{feff}",
    ] {
        let text = format!("{space}Ana{space}{space}Ruiz,{space}");
        assert_eq!(cut(&text), ["Ana", "Ruiz", ","], "{space:?}");
    }
    assert!(words(" \u{a0}\n").is_empty() && words("").is_empty());
}

#[test]
fn scripts_without_spaces_are_cut_into_characters() {
    check(&["東|京|。", "Москва|, Нью-Йорк|.", "القاهرة|، العربية"]);
}

/// Letters of all kinds, and what the rules look at.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zñA-ZÁ]{1,4}",
        2 => "[ \u{a0}\n\u{200b}]{1,2}",
        4 => "[-.,:;/'’\"()+@#&%!?_=]{1,2}",
        2 => "[0-9]{1,3}",
        2 => prop::sample::select(vec![
            "e\u{301}", "\u{301}", "👩\u{200d}👧", "👋🏽", "🇪🇸", "\u{200d}", "ก\u{e33}", "東", "ア", "ш", "²", "http://", "www.", "EE.UU.",
            "Sr.", "\u{600}", "\u{1f3fb}", "\u{20e3}", "ª", "«", "…", "\r", "क\u{94d}",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn words_partition_what_is_not_white_space(text in text()) {
        let mut words = words(&text).into_iter().peekable();
        for run in unicode::runs(&text) {
            let slice = &text[run.clone()];
            prop_assert!(!slice.contains(table::is_space));
            let clusters: Vec<usize> = slice.grapheme_indices(true).map(|(at, _)| run.start + at).collect();
            let mut at = run.start;
            while let Some(word) = words.next_if(|word| word.end <= run.end) {
                prop_assert!(word.start == at && at < word.end);
                prop_assert!(clusters.binary_search(&at).is_ok(), "{:?} parted", slice);
                at = word.end;
            }
            prop_assert_eq!(at, run.end);
        }
        prop_assert!(words.next().is_none());
        let covered: usize = unicode::runs(&text).map(|run| text[run].chars().count()).sum();
        prop_assert_eq!(covered, text.chars().filter(|c| !table::is_space(*c)).count());
    }

    #[test]
    fn white_space_does_not_change_words(text in text(), space in "[ \t\u{3000}]{1,3}") {
        // Blank lines apart: they end a sentence.
        let text = text.replace('\n', " ");
        let spaced: String = unicode::runs(&text).map(|run| format!("{space}{}", &text[run])).collect();
        prop_assert_eq!(cut(&text), cut(&spaced));
    }
}

/// The fast way of plain words gives what the rules give.
#[test]
fn plain_words_are_those_of_the_rules() {
    let marks = ["", ",", ";", ":", "!", "?", ")", "]", "\"", "."];
    for word in [
        "Lima",
        "ñandú",
        "Ǻb3",
        "2000",
        "Größe",
        "constitución",
        "x",
        "Sr",
        "messrs",
    ] {
        for mark in marks {
            let plain = format!("{word}{mark} fin");
            // A joined emoji at the front sends the whole run through the rules.
            let ruled = format!("👋🏽{word}{mark} fin");
            assert_eq!(cut(&plain), cut(&ruled)[1..], "{plain}");
        }
    }
}
