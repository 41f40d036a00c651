//! What holds for all words, all texts and all predictions.
#![allow(clippy::unwrap_used)]

mod common;

use common::{KINDS, tokenizer};
use proptest::prelude::*;
use subword_align::{
    Aggregation, Segmentation, SubwordTokenizer, WordBoundary, aggregate, windows,
};

const LABELS: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
const STRATEGIES: [Aggregation; 5] = [
    Aggregation::None,
    Aggregation::Simple,
    Aggregation::First,
    Aggregation::Average,
    Aggregation::Max,
];

fn tokenizers() -> Vec<SubwordTokenizer> {
    KINDS
        .iter()
        .map(|kind| tokenizer(kind, WordBoundary::PrefixSpace))
        .collect()
}

/// Spanish, white space of all kinds, combining marks, joined emoji, control characters, special tokens, anything.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zñáéíóúüA-ZÑÁ]{1,9}",
        3 => Just(" ".to_owned()),
        1 => "[ \u{a0}\t\n\u{3000}]{1,3}",
        1 => prop::sample::select(vec![
            "e\u{301}", "n\u{303}", "\u{301}", "👩\u{200d}👧", "👋🏽", "☄\u{fe0f}", "🇪🇸", "\u{200b}", "\u{96}", "\u{0}",
            "«», ", "12.450", "東京", "<s>", "<mask>", "[MASK]", "ﬁ", "İ", "\u{fffd}", "▁",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_word_has_subwords(words in prop::collection::vec(text(), 0..8)) {
        for tokenizer in tokenizers() {
            let encoded = tokenizer.encode_words(&words).unwrap();
            prop_assert_eq!(encoded.word_count(), words.len());
            prop_assert_eq!(encoded.word_starts.first(), Some(&0));
            prop_assert_eq!(encoded.word_starts.last(), Some(&encoded.ids.len()));
            prop_assert!(encoded.ranges().all(|range| !range.is_empty()));
            let counts = tokenizer.subwords_per_word(&words).unwrap();
            prop_assert_eq!(counts.iter().filter(|count| **count == 0).count(), encoded.unknown_words);
            for (range, count) in encoded.ranges().zip(counts) {
                prop_assert_eq!(range.len(), count.max(1));
            }
        }
    }

    #[test]
    fn a_word_does_not_depend_on_its_neighbors(words in prop::collection::vec(text(), 0..8)) {
        for tokenizer in tokenizers() {
            let together = tokenizer.encode_words(&words).unwrap();
            let fresh = tokenizers().into_iter().find(|other| other.unk_id() == tokenizer.unk_id()
                && other.vocab_size() == tokenizer.vocab_size()).unwrap();
            for (word, range) in words.iter().zip(together.ranges()) {
                prop_assert_eq!(&fresh.encode_words(&[word]).unwrap().ids, &together.ids[range]);
            }
            prop_assert_eq!(tokenizer.encode_words(&words).unwrap(), together, "the second time, from memory");
        }
    }

    #[test]
    fn offsets_cut_the_text(text in text()) {
        let chars: Vec<char> = text.chars().collect();
        for tokenizer in tokenizers() {
            let encoded = tokenizer.encode_text(&text).unwrap();
            let n = encoded.len();
            prop_assert_eq!([encoded.offsets.len(), encoded.byte_offsets.len(), encoded.raw_offsets.len()], [n; 3]);
            prop_assert_eq!([encoded.word_ids.len(), encoded.continues.len()], [n; 2]);
            for i in 0..n {
                let ((start, end), (from, to)) = (encoded.offsets[i], encoded.byte_offsets[i]);
                let cut = text.get(from..to).unwrap();
                prop_assert_eq!(cut, chars[start..end].iter().collect::<String>());
                prop_assert_eq!(cut, cut.trim());
                let raw = encoded.raw_offsets[i];
                prop_assert!(raw.0 <= start && end <= raw.1);
            }
            prop_assert!(encoded.word_ids.is_sorted());
            let starts = encoded.word_starts();
            let owned: usize = windows(&starts, 7, 3).unwrap().iter().map(|window| window.owned.len()).sum();
            prop_assert_eq!(owned, n);
        }
    }

    #[test]
    fn words_of_a_text_leave_out_white_space_alone(text in text()) {
        // Beside that of Unicode: zero-width space and byte order mark.
        let is_space = |c: char| c.is_whitespace() || c == '\u{200b}' || c == '\u{feff}';
        for tokenizer in tokenizers() {
            for how in [Segmentation::Unicode, Segmentation::Whitespace, Segmentation::PreTokenizer] {
                let mut from = 0;
                for word in tokenizer.words(&text, how).unwrap() {
                    prop_assert!(from <= word.start && word.start < word.end, "{:?}", how);
                    prop_assert!(text[from..word.start].chars().all(is_space), "{:?} loses a character", how);
                    prop_assert!(!text[word.clone()].contains(is_space), "{:?}", how);
                    from = word.end;
                }
                prop_assert!(text[from..].chars().all(is_space), "{:?} loses a character", how);
            }
        }
    }

    #[test]
    fn entities_cut_the_text(text in text(), seed in prop::collection::vec(0.0f32..1.0, 5..60)) {
        for tokenizer in tokenizers() {
            let encoded = tokenizer.encode_text(&text).unwrap();
            let probabilities: Vec<f32> = seed.iter().copied().cycle().take(encoded.len() * LABELS.len()).collect();
            for how in STRATEGIES {
                let mut from = 0;
                for span in aggregate(&text, &encoded, &probabilities, &LABELS, how).unwrap() {
                    let cut: String = text.chars().skip(span.start).take(span.end - span.start).collect();
                    prop_assert_eq!(&cut, &span.word);
                    prop_assert_eq!(span.word.trim(), &span.word);
                    prop_assert!(!span.word.is_empty());
                    prop_assert!((0.0..=1.0).contains(&span.score));
                    prop_assert!(from <= span.start, "in the order of the text");
                    from = span.start;
                }
            }
        }
    }
}
