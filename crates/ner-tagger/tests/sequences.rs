//! Sentences to sequences, in one go and group by group.
#![allow(clippy::unwrap_used)]

use ner_tagger::{PretokenizedSentence, Sequence, Sequencer};
use subword_align::{EncodedWords, SubwordTokenizer};

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nMar\n##ta\nvive\nen\nAl\n##bo\n##lea\n.\nLlueve\nhoy\nEva\nduerme\n";

fn tokenizer() -> SubwordTokenizer {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("vocab.txt"), VOCABULARY).unwrap();
    SubwordTokenizer::from_dir(dir.path(), None).unwrap()
}

/// Forty sentences in documents of one to five.
fn sentences() -> Vec<PretokenizedSentence> {
    let texts = ["Marta vive .", "Llueve hoy", "Eva duerme en Albolea ."];
    (0..40)
        .map(|number| PretokenizedSentence {
            document: (number * 3 / 7) / (1 + number % 2),
            ..PretokenizedSentence::untagged(texts[number % 3].split(' '))
        })
        .collect()
}

fn sequences(sequencer: &Sequencer<'_>, sentences: &[PretokenizedSentence]) -> Vec<Sequence> {
    let tokenizer = sequencer.tokenizer();
    let encoded: Vec<EncodedWords> = sentences
        .iter()
        .map(|sentence| tokenizer.encode_words(&sentence.words).unwrap())
        .collect();
    let documents: Vec<usize> = sentences.iter().map(|sentence| sentence.document).collect();
    sequencer.sequences(&encoded, &documents).unwrap()
}

#[test]
fn groups_of_sentences_have_the_sequences_of_the_whole() {
    let tokenizer = tokenizer();
    let sentences = sentences();
    let document = |sentence: usize| sentences[sentence].document;
    for context in [0, 3, 30] {
        let sequencer = Sequencer::new(&tokenizer, 20)
            .unwrap()
            .with_document_context(context);
        let whole = sequences(&sequencer, &sentences);
        for size in [1, 4, 7, 100] {
            let groups = sequencer.groups(sentences.len(), size, document);
            assert_eq!(groups.len() > 1, size < 100, "{context}, {size}");
            assert!(groups.iter().rev().skip(1).all(|group| group.len() >= size));
            let mut parts = Vec::new();
            for group in groups {
                let start = group.start;
                for mut sequence in sequences(&sequencer, &sentences[group]) {
                    sequence.sentence += start;
                    parts.push(sequence);
                }
            }
            assert_eq!(parts, whole, "{context}, {size}");
        }
    }
    let sequencer = Sequencer::new(&tokenizer, 20).unwrap();
    assert!(sequencer.groups(0, 7, document).is_empty());
}

#[test]
fn words_and_subwords_are_owned_once_in_windows() {
    let tokenizer = tokenizer();
    let words = ["Marta", "vive", "en", "Albolea", "."].repeat(7);
    let sentence = [PretokenizedSentence::untagged(words)];
    let encoded = tokenizer.encode_words(&sentence[0].words).unwrap();
    for max_length in [4, 7, 16, 200] {
        let sequencer = Sequencer::new(&tokenizer, max_length).unwrap();
        let (mut words, mut owned) = (0, 0);
        for sequence in sequences(&sequencer, &sentence) {
            assert!(sequence.ids.len() <= max_length);
            assert_eq!((sequence.words.start, sequence.owned.start), (words, owned));
            (words, owned) = (sequence.words.end, sequence.owned.end);
            let places = sequence.owned_at..sequence.owned_at + sequence.owned.len();
            assert_eq!(sequence.ids[places], encoded.ids[sequence.owned]);
            for (word, place) in sequence.words.zip(sequence.first_subwords) {
                assert_eq!(sequence.ids[place], encoded.ids[encoded.word_starts[word]]);
            }
        }
        assert_eq!((words, owned), (encoded.word_count(), encoded.ids.len()));
    }
    let refused = Sequencer::new(&tokenizer, 2).unwrap_err().to_string();
    assert!(refused.contains("leaves no room"), "{refused}");
}
