#![allow(clippy::unwrap_used)]

use super::*;

const CLS: u32 = 2;
const SEP: u32 = 3;
/// The number of a piece's line is its id.
const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nMar\n##ta\nvive\nen\nAl\n##bo\n##lea\n.\nLlueve\nhoy\nEva\nduerme\n";

fn tokenizer() -> SubwordTokenizer {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("vocab.txt"), VOCABULARY).unwrap();
    SubwordTokenizer::from_dir(dir.path(), None).unwrap()
}

fn sentence(text: &str, document: usize) -> PretokenizedSentence {
    PretokenizedSentence {
        words: text.split_whitespace().map(str::to_owned).collect(),
        tags: Vec::new(),
        document,
    }
}

/// Three sentences in these documents, of the ids 4 5 6 11, 12 13 and 14 15 7 8 9 10 11.
fn sentences(documents: [usize; 3]) -> Vec<PretokenizedSentence> {
    let texts = ["Marta vive .", "Llueve hoy", "Eva duerme en Albolea ."];
    let sentences = texts.iter().zip(documents);
    sentences
        .map(|(text, document)| sentence(text, document))
        .collect()
}

fn labels() -> Vec<Vec<u32>> {
    vec![vec![1, 0, 0], vec![0, 0], vec![1, 0, 0, 2, 0]]
}

fn features(documents: [usize; 3], max_length: usize, context: usize) -> Vec<Feature> {
    let tokenizer = tokenizer();
    Featurizer::new(&tokenizer, max_length)
        .unwrap()
        .with_document_context(context)
        .features(&sentences(documents), Some(&labels()))
        .unwrap()
}

/// The ids of each feature, without the special tokens.
fn ids(documents: [usize; 3], max_length: usize, context: usize) -> Vec<Vec<u32>> {
    let features = features(documents, max_length, context);
    let inner = features.into_iter().map(|Feature { mut ids, .. }| {
        assert_eq!((ids.remove(0), ids.pop()), (CLS, Some(SEP)));
        ids
    });
    inner.collect()
}

#[test]
fn without_context_a_sentence_stands_alone() {
    assert_eq!(
        features([0; 3], 40, 0)[..2],
        [
            Feature {
                sentence: 0,
                ids: vec![CLS, 4, 5, 6, 11, SEP],
                words: 0..3,
                first_subwords: vec![1, 3, 4],
                labels: vec![None, Some(1), None, Some(0), Some(0), None],
            },
            Feature {
                sentence: 1,
                ids: vec![CLS, 12, 13, SEP],
                words: 0..2,
                first_subwords: vec![1, 2],
                labels: vec![None, Some(0), Some(0), None],
            },
        ]
    );
    let windows = [
        Feature {
            sentence: 2,
            ids: vec![CLS, 14, 15, 7, SEP],
            words: 0..2,
            first_subwords: vec![1, 2],
            labels: vec![None, Some(1), Some(0), None, None],
        },
        Feature {
            sentence: 2,
            ids: vec![CLS, 7, 8, 9, 10, SEP],
            words: 2..3,
            first_subwords: vec![1],
            labels: vec![None, Some(0), None, None, None, None],
        },
        Feature {
            sentence: 2,
            ids: vec![CLS, 8, 9, 10, 11, SEP],
            words: 3..5,
            first_subwords: vec![1, 4],
            labels: vec![None, Some(2), None, None, Some(0), None],
        },
    ];
    assert_eq!(features([0; 3], 6, 0)[2..], windows);
}

#[test]
fn context_on_both_sides_carries_no_label_and_decides_no_word() {
    let features = features([0; 3], 40, 3);
    assert_eq!(
        features[0],
        Feature {
            sentence: 0,
            ids: vec![CLS, 4, 5, 6, 11, 12, 13, 14, SEP],
            words: 0..3,
            first_subwords: vec![1, 3, 4],
            labels: [
                vec![None, Some(1), None, Some(0), Some(0)],
                vec![None; 3],
                vec![None]
            ]
            .concat(),
        }
    );
    assert_eq!(
        features[1],
        Feature {
            sentence: 1,
            ids: vec![CLS, 5, 6, 11, 12, 13, 14, 15, 7, SEP],
            words: 0..2,
            first_subwords: vec![4, 5],
            labels: [vec![None; 4], vec![Some(0); 2], vec![None; 4]].concat(),
        }
    );
    // As many sentences as it takes, the farthest cut.
    assert_eq!(ids([0; 3], 40, 3)[2], [11, 12, 13, 14, 15, 7, 8, 9, 10, 11]);
}

#[test]
fn labels_of_all_subwords_are_those_of_the_sentence_only() {
    let tokenizer = tokenizer();
    let featurizer = Featurizer::new(&tokenizer, 40).unwrap();
    let featurizer = featurizer
        .labelling_all(vec![0, 3, 4])
        .with_document_context(2);
    let features = featurizer
        .features(&sentences([0; 3]), Some(&labels()))
        .unwrap();
    assert_eq!(
        features[0].labels,
        [None, Some(1), Some(3), Some(0), Some(0), None, None, None]
    );
}

#[test]
fn context_ends_with_the_document() {
    let alone = ids([0; 3], 40, 0);
    assert_eq!(ids([0, 1, 2], 40, 9), alone);
    let last_two = ids([0, 1, 1], 40, 2);
    assert_eq!(last_two[0], alone[0]);
    assert_eq!(last_two[1], [12, 13, 14, 15]);
    assert_eq!(last_two[2], [12, 13, 14, 15, 7, 8, 9, 10, 11]);
    // A document that is interrupted is two.
    assert_eq!(ids([0, 1, 0], 40, 9), alone);
}

#[test]
fn context_shrinks_before_the_sentence_does() {
    // Room for 7: the first sentence has 4 and nothing before it, the second 2 and neighbors on both sides, the third 7.
    let found = ids([0; 3], 9, 10);
    assert_eq!(found[0], [4, 5, 6, 11, 12, 13, 14]);
    assert_eq!(found[1], [6, 11, 12, 13, 14, 15, 7]);
    assert_eq!(found[2], [14, 15, 7, 8, 9, 10, 11]);
    // Room for 12: what the side before does not need is the other's, and the other way.
    let found = ids([0; 3], 14, 10);
    assert_eq!(found[1], [4, 5, 6, 11, 12, 13, 14, 15, 7, 8, 9, 10]);
    let tokenizer = tokenizer();
    let featurizer = Featurizer::new(&tokenizer, 9).unwrap();
    let featurizer = featurizer.with_document_context(usize::MAX);
    let mut reversed = sentences([0; 3]);
    reversed.reverse();
    reversed[2] = sentence("hoy", 0);
    let found = featurizer.features(&reversed, None).unwrap();
    assert_eq!(found[1].ids, [CLS, 8, 9, 10, 11, 12, 13, 13, SEP]);
}

#[test]
fn only_the_outer_ends_of_windows_have_context() {
    let found = ids([0; 3], 6, 2);
    assert_eq!(found[2], [13, 14, 15, 7], "one place is free");
    assert_eq!(found[3..], [[7, 8, 9, 10], [8, 9, 10, 11]]);
    let mut more = sentences([0; 3]);
    more[2].words.extend(["hoy".to_owned(), "hoy".to_owned()]);
    more.push(sentence("Eva duerme", 0));
    let tokenizer = tokenizer();
    let featurizer = Featurizer::new(&tokenizer, 6).unwrap();
    let plain = featurizer.features(&more, None).unwrap();
    let wide = featurizer.with_document_context(2);
    let wide = wide.features(&more, None).unwrap();
    let last = plain.len() - 2;
    assert_eq!((plain[last].sentence, wide[last].sentence), (2, 2));
    assert_eq!(plain[last].ids, [CLS, 11, 13, 13, SEP]);
    assert_eq!(wide[last].ids, [CLS, 11, 13, 13, 14, SEP]);
}

/// Sentences of 0 to 9 words in documents of 2 and of 4 sentences.
fn many_sentences() -> Vec<PretokenizedSentence> {
    let words = ["Marta", "vive", "en", "Albolea", ".", "Zaragoza", "hoy"];
    (0..30)
        .map(|i| {
            let text: Vec<&str> = (0..(i * 7 + 3) % 10)
                .map(|j| words[(i * 5 + j * 3) % 7])
                .collect();
            sentence(&text.join(" "), i / 10 + i / 4)
        })
        .collect()
}

#[test]
fn every_word_is_decided_once_and_labelled_once_whatever_the_context() {
    let tokenizer = tokenizer();
    let sentences = many_sentences();
    // Each word has a label of its own.
    let mut next = 0..;
    let labels: Vec<Vec<u32>> = sentences
        .iter()
        .map(|sentence| next.by_ref().take(sentence.words.len()).collect())
        .collect();
    let all: Vec<u32> = labels.concat();
    let mut with_context = 0;
    for max_length in 3..30 {
        let plain = Featurizer::new(&tokenizer, max_length).unwrap();
        let plain = plain.features(&sentences, Some(&labels)).unwrap();
        for context in [0, 1, 2, 3, 5, 8, 13, 64, usize::MAX] {
            let featurizer = Featurizer::new(&tokenizer, max_length).unwrap();
            let featurizer = featurizer.with_document_context(context);
            let found = featurizer.features(&sentences, Some(&labels)).unwrap();
            let decided = found.iter().flat_map(|feature| {
                assert_eq!(feature.words.len(), feature.first_subwords.len());
                let places = feature.words.clone().zip(&feature.first_subwords);
                places.map(|(word, &place)| {
                    let label = labels[feature.sentence][word];
                    assert_eq!(feature.labels[place], Some(label));
                    label
                })
            });
            assert_eq!(decided.collect::<Vec<_>>(), all);
            let labelled = found.iter().flat_map(|feature| &feature.labels).flatten();
            assert!(labelled.eq(&all));

            assert_eq!(found.len(), plain.len());
            for (wide, plain) in found.iter().zip(&plain) {
                assert!(wide.ids.len() <= max_length);
                assert_eq!(wide.ids.len(), wide.labels.len());
                let shift = wide
                    .labels
                    .iter()
                    .position(Option::is_some)
                    .zip(plain.labels.iter().position(Option::is_some))
                    .map_or(0, |(wide, plain)| wide - plain);
                assert!(shift <= context);
                let inner = &plain.ids[1..plain.ids.len() - 1];
                assert_eq!(&wide.ids[1 + shift..][..inner.len()], inner);
                let more = wide.ids.len() - plain.ids.len();
                assert!(context > 0 || more == 0);
                with_context += usize::from(more > 0);
            }
        }
    }
    assert!(with_context > 1000, "only {with_context}");
}

#[test]
fn labels_of_another_number_are_refused() {
    let tokenizer = tokenizer();
    let featurizer = Featurizer::new(&tokenizer, 40).unwrap();
    let refused = |labels: &[Vec<u32>]| {
        featurizer
            .features(&sentences([0; 3]), Some(labels))
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&labels()[..2]).contains("5 words"));
    assert!(refused(&[vec![1, 0], vec![0, 0], vec![0; 5]]).contains("3 words"));
}

#[test]
fn targets_are_labelled_or_first_subwords() {
    let feature = |first_subwords: &[usize], labels: &[Option<u32>]| Feature {
        sentence: 0,
        ids: vec![9; labels.len()],
        words: 0..first_subwords.len(),
        first_subwords: first_subwords.to_vec(),
        labels: labels.to_vec(),
    };
    let none = [None; 5];
    assert_eq!(feature(&[1, 3], &none).targets(), [1, 3]);
    assert_eq!(
        feature(&[1], &[None, Some(0), Some(4), None]).targets(),
        [1, 2]
    );
    assert_eq!(feature(&[], &none).targets(), [0]);

    let (batch, labels) = pack(&[
        feature(&[1, 3], &none),
        feature(&[2], &[None, Some(7), None]),
    ]);
    assert_eq!(batch.targets(), [1, 3, 6, 7]);
    assert_eq!(labels, [None, None, Some(7), None]);
}
