//! The same words give the same entities, as text and as words, in every tagging scheme.
#![allow(clippy::unwrap_used)]

#[path = "common/table_model.rs"]
mod table_model;

use ner_metrics::Scheme;
use ner_tagger::{Decode, EntitySpan, PretokenizedSentence, Tagger};

/// The entities of a text as (type, text), from the text itself and from its words.
fn both_ways(tagger: &Tagger, text: &str) -> [Vec<(String, String)>; 2] {
    let of_text = tagger.entities(text).unwrap();
    let sentence = PretokenizedSentence::untagged(text.split(' '));
    let tagged = &tagger.tag(std::slice::from_ref(&sentence)).unwrap()[0];
    let of_words = tagged.entities.iter().map(|found| {
        let words = sentence.words[found.words.clone()].join(" ");
        (found.entity.clone(), words)
    });
    for (span, entity) in of_text.iter().zip(&tagged.entities) {
        assert!(
            (span.score - entity.score).abs() < 1e-6,
            "{span:?} {entity:?}"
        );
    }
    [
        of_text
            .into_iter()
            .map(|span| (span.entity, span.word))
            .collect(),
        of_words.collect(),
    ]
}

#[test]
fn every_scheme_reads_the_same_from_text_and_from_words() {
    // Ana | Eva Ruiz | Lima, the first two next to each other and of one type.
    let schemes: [(&str, &[&str], [&str; 4]); 6] = [
        (
            "iob1",
            &["O", "B-PER", "I-PER", "I-LOC"],
            ["I-PER", "B-PER", "I-PER", "I-LOC"],
        ),
        (
            "iob2",
            &["O", "B-PER", "I-PER", "B-LOC"],
            ["B-PER", "B-PER", "I-PER", "B-LOC"],
        ),
        (
            "ioe1",
            &["O", "E-PER", "I-PER", "I-LOC"],
            ["E-PER", "I-PER", "I-PER", "I-LOC"],
        ),
        (
            "ioe2",
            &["O", "E-PER", "I-PER", "E-LOC"],
            ["E-PER", "I-PER", "E-PER", "E-LOC"],
        ),
        (
            "iobes",
            &["O", "S-PER", "B-PER", "E-PER", "S-LOC"],
            ["S-PER", "B-PER", "E-PER", "S-LOC"],
        ),
        (
            "bilou",
            &["O", "U-PER", "B-PER", "L-PER", "U-LOC"],
            ["U-PER", "B-PER", "L-PER", "U-LOC"],
        ),
    ];
    let expected = [("PER", "Ana"), ("PER", "Eva Ruiz"), ("LOC", "Lima")];
    let expected = expected.map(|(kind, word)| (kind.to_owned(), word.to_owned()));
    for (scheme, labels, tags) in schemes {
        let words = ["Ana", "Eva", "Ruiz", "Lima"];
        let table: Vec<(&str, &str)> = words.into_iter().zip(tags).chain([("en", "O")]).collect();
        let (_dir, dir) = table_model::new(labels, &table);
        for decode in [Decode::Argmax, Decode::Constrained] {
            let tagger = Tagger::builder()
                .decode(decode)
                .scheme(Some(scheme.parse().unwrap()))
                .from_dir(&dir)
                .unwrap();
            let [text, words] = both_ways(&tagger, "Ana Eva Ruiz en Lima");
            assert_eq!(text, expected, "{scheme}, {decode}");
            assert_eq!(words, expected, "{scheme}, {decode}");
        }
    }
}

#[test]
fn types_may_be_bare_have_hyphens_or_be_called_o() {
    let bare = [
        ("Ana", "PER"),
        ("Banco", "ORG"),
        ("Andino", "ORG"),
        ("en", "O"),
        ("Lima", "LOC"),
    ];
    let (_dir, dir) = table_model::new(&["O", "PER", "LOC", "ORG"], &bare);
    let tagger = Tagger::from_dir(&dir).unwrap();
    assert_eq!(tagger.decoder().to_string(), "argmax");
    let found = both_ways(&tagger, "Ana Banco Andino en Lima");
    let expected = [("PER", "Ana"), ("ORG", "Banco Andino"), ("LOC", "Lima")];
    assert_eq!(
        found,
        [(); 2].map(|()| expected.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec())
    );

    let odd = [
        ("Galeona", "B-O"),
        ("Nereida", "I-O"),
        ("lleva", "O"),
        ("10", "B-tax-percent"),
        ("%", "I-tax-percent"),
    ];
    let (_dir, dir) =
        table_model::new(&["O", "B-O", "I-O", "B-tax-percent", "I-tax-percent"], &odd);
    let tagger = Tagger::from_dir(&dir).unwrap();
    let found = both_ways(&tagger, "Galeona Nereida lleva 10 %");
    let expected = [("O", "Galeona Nereida"), ("tax-percent", "10 %")];
    assert_eq!(
        found,
        [(); 2].map(|()| expected.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec())
    );
}

#[test]
fn marks_at_the_end_of_a_word_are_words_of_their_own_and_offsets_count_code_points() {
    let table = [
        ("Ana", "B-PER"),
        ("Lima", "B-LOC"),
        (",", "O"),
        (".", "O"),
        ("¿", "O"),
        ("?", "O"),
    ];
    let (_dir, dir) = table_model::new(&["O", "B-PER", "B-LOC"], &table);
    let tagger = Tagger::from_dir(&dir).unwrap();
    let found = tagger.entities("😀 ¿Ana, en\u{a0}Lima?").unwrap();
    let short: Vec<(&str, &str, usize, usize)> = found
        .iter()
        .map(
            |EntitySpan {
                 entity,
                 word,
                 start,
                 end,
                 ..
             }| (&**entity, &**word, *start, *end),
        )
        .collect();
    assert_eq!(short, [("PER", "Ana", 3, 6), ("LOC", "Lima", 11, 15)]);
}

#[test]
fn a_score_is_the_probability_of_the_span_under_the_decoding() {
    // By itself each word is sure of its label; `I-PER` cannot be first in IOB2.
    let table = [("Ana", "I-PER"), ("Ruiz", "I-PER"), ("en", "O")];
    let (_dir, dir) = table_model::new(&["O", "B-PER", "I-PER"], &table);
    let free = Tagger::builder().decode(Decode::Argmax);
    let free = free.from_dir(&dir).unwrap();
    let bound = Tagger::builder().scheme(Some(Scheme::Iob2));
    let bound = bound.from_dir(&dir).unwrap();
    assert_eq!(bound.decoder().to_string(), "constrained to iob2");
    let one = |tagger: &Tagger, text: &str| {
        let found = tagger.entities(text).unwrap();
        assert!(found.len() <= 1, "{found:?}");
        found
            .into_iter()
            .next()
            .map(|found| (found.word, found.score))
    };

    // Two words: `B-PER I-PER` is the one sequence that keeps the second word's label.
    for tagger in [&free, &bound] {
        let (word, score) = one(tagger, "Ana Ruiz en").unwrap();
        assert_eq!(word, "Ana Ruiz");
        assert!(score > 0.99, "{score}");
    }
    // One word: its own label is out of reach, and `B-PER` and `O` share what it had.
    let (word, score) = one(&free, "Ana en").unwrap();
    assert_eq!(word, "Ana");
    assert!(score > 0.99, "{score}");
    let (word, score) = one(&bound, "Ana en").unwrap();
    assert_eq!(word, "Ana");
    assert!((0.6..0.9).contains(&score), "{score}");
}

/// `B` and `I` are letters of both, and published models follow either: what one is sure of must not be forbidden by the other.
#[test]
fn labels_that_do_not_tell_iob1_from_iob2_are_read_in_the_likelier() {
    let table = [
        ("Ana", "I-PER"),
        ("Eva", "B-PER"),
        ("Lima", "I-LOC"),
        ("Quito", "B-LOC"),
        ("en", "O"),
    ];
    let labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
    let (_dir, dir) = table_model::new(&labels, &table);
    let tagger = Tagger::from_dir(&dir).unwrap();
    assert_eq!(tagger.decoder().to_string(), "constrained to iob2 or iob1");
    let tags = |text: &str| -> Vec<String> {
        let sentence = PretokenizedSentence::untagged(text.split(' '));
        let tagged = tagger.tag(&[sentence]).unwrap().remove(0);
        tagged.tags.into_iter().map(|word| word.tag).collect()
    };
    for (text, expected) in [
        ("Ana en Lima", ["I-PER", "O", "I-LOC"]),
        ("Eva en Quito", ["B-PER", "O", "B-LOC"]),
        ("Ana Eva en", ["I-PER", "B-PER", "O"]),
        ("Quito Lima en", ["B-LOC", "I-LOC", "O"]),
    ] {
        assert_eq!(tags(text), expected, "{text}");
    }
    let found = tagger.entities("Ana en Quito").unwrap();
    assert!(!found.is_empty());
    for text in ["Ana en Quito", "Eva en Lima", "Eva Lima Eva en Ana"] {
        let tags = tags(text);
        let fits = |scheme: Scheme| scheme.is_valid(&tags);
        assert!(fits(Scheme::Iob1) || fits(Scheme::Iob2), "{text}: {tags:?}");
    }
    for entity in tagger.entities("Ana en Lima").unwrap() {
        assert!(entity.score > 0.99, "{entity:?}");
    }
}

#[test]
fn a_model_without_a_classifier_is_refused() {
    let (_dir, dir) = table_model::new(&["O", "B-PER"], &[("Ana", "B-PER")]);
    let config = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let three = config.replace("\"1\":\"B-PER\"", "\"1\":\"B-PER\",\"2\":\"I-PER\"");
    assert_ne!(config, three);
    std::fs::write(dir.join("config.json"), three).unwrap();
    let refused = Tagger::from_dir(&dir).unwrap_err().to_string();
    assert!(refused.contains("fine-tune the model first"), "{refused}");
    std::fs::write(dir.join("config.json"), config).unwrap();
    let long = Tagger::builder()
        .max_length(Some(513))
        .from_dir(&dir)
        .unwrap_err()
        .to_string();
    assert!(long.contains("512 positions"), "{long}");
}

#[test]
fn probabilities_of_labels_are_the_scores_of_tags() {
    let labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
    let (_dir, model) = table_model::new(&labels, &[("Ana", "B-PER"), ("Ruiz", "I-PER")]);
    let sentence = PretokenizedSentence::untagged(["Ruiz", "Ana", "Ruiz", "habla"]);
    for decode in [Decode::Constrained, Decode::Argmax] {
        let builder = Tagger::builder().decode(decode).scheme(Some(Scheme::Iob2));
        let tagger = builder.from_dir(&model).unwrap();
        let scored = tagger
            .score(std::slice::from_ref(&sentence), |_| {})
            .unwrap();
        let tagged = &tagger.decode(&scored)[0];
        let probabilities = tagger.decoder().label_probabilities(&scored[0].logits);
        assert_eq!(probabilities.len(), sentence.words.len() * labels.len());
        for (row, word) in probabilities.chunks(labels.len()).zip(&tagged.tags) {
            let label = labels.iter().position(|label| *label == word.tag).unwrap();
            assert_eq!(row[label] as f32, word.score);
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        }
        // `I-PER` cannot be first in a well-formed sequence.
        let first = probabilities[2];
        assert_eq!(first == 0.0, decode == Decode::Constrained, "{first}");
    }
}
