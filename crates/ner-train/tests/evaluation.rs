//! Evaluation on words, over many passes and groups, and on running text.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../ner-tagger/tests/common/table_model.rs"]
mod table_model;

use ner_model::{DeviceChoice, ModelConfig, TokenClassifier};
use ner_tagger::{Decode, Tagger};
use ner_train::{PretokenizedSentence, evaluate, evaluate_as_text};

#[test]
fn many_sentences_come_out_in_order_and_as_each_does_alone() {
    const COUNT: usize = 1100; // more than two groups
    let tokenizer = common::tokenizer();
    let dir = common::golden("bert");
    let config = ModelConfig::from_dir(&dir).unwrap();
    let device = DeviceChoice::Flex.open().unwrap();
    let (model, _) = TokenClassifier::load(&dir, &config, &device, 0).unwrap();
    // Neighbors differ in length, and some are longer than the model.
    let longest = config.usable_positions() + 20;
    let sentences = common::sentences((0..COUNT).map(|i| 1 + (i * 37) % longest));
    let tagger = Tagger::builder()
        .decode(Decode::Argmax)
        .batch_tokens(Some(200));
    let tagger = tagger.build(model, tokenizer).unwrap();
    let tags = |sentences: &[PretokenizedSentence]| tagger.tag(sentences).unwrap();
    let together = tags(&sentences);
    assert_eq!(together.len(), COUNT);
    for (number, (sentence, found)) in sentences.iter().zip(&together).enumerate() {
        let alone = &tags(std::slice::from_ref(sentence))[0];
        assert_eq!(found.tags.len(), sentence.words.len());
        for (found, alone) in found.tags.iter().zip(&alone.tags) {
            assert_eq!(found.tag, alone.tag, "sentence {number}");
            assert!(
                (found.score - alone.score).abs() < 1e-5,
                "sentence {number}"
            );
        }
    }

    // The loss is the mean over batches of sequences in the data's order, in whatever passes they were read.
    const BATCH: usize = 7;
    // Two special tokens stand around the words, each of which is one sub-word.
    let fits =
        |sentence: &PretokenizedSentence| sentence.words.len() + 2 <= config.usable_positions();
    let tagged: Vec<PretokenizedSentence> = sentences.into_iter().filter(fits).take(600).collect();
    let loss = |sentences: &[PretokenizedSentence]| {
        evaluate(&tagger, sentences, BATCH, |_| {}).unwrap().loss
    };
    assert_eq!(tagged.len(), 600);
    let of_batches = tagged.chunks(BATCH).map(|batch| {
        let words = |sentence: &PretokenizedSentence| sentence.words.len() as f64;
        let sum: f64 = batch
            .iter()
            .map(|one| loss(std::slice::from_ref(one)) * words(one))
            .sum();
        sum / batch.iter().map(words).sum::<f64>()
    });
    let mean = of_batches.sum::<f64>() / tagged.chunks(BATCH).len() as f64;
    assert!((loss(&tagged) - mean).abs() < 1e-6 * mean);
    let mut reversed = tagged.clone();
    reversed.reverse();
    assert!(
        (loss(&reversed) - mean).abs() > 1e-5 * mean,
        "order matters"
    );
}

#[test]
fn running_text_is_scored_by_characters_and_says_what_no_cut_could_give() {
    let table = [
        ("Ana", "B-PER"),
        ("Lima", "B-LOC"),
        ("Paz", "B-PER"),
        ("vive", "O"),
        ("en", "O"),
        (".", "O"),
        ("¿", "O"),
        ("77", "B-LOC"),
        ("%", "O"),
        ("?", "O"),
    ];
    let labels = ["O", "B-PER", "I-PER", "B-LOC"];
    let (_dir, dir) = table_model::new(&labels, &table);
    let tagger = Tagger::builder().device(DeviceChoice::Flex);
    let tagger = tagger.from_dir(dir).unwrap();
    let tagged =
        |text: &str, tags: &str| PretokenizedSentence::tagged(text.split(' '), tags.split(' '));
    let sentences = [
        tagged("¿ Ana vive en Lima ?", "O B-PER O O B-LOC O"),
        // The two are printed as one, `77%`, and so they are one word.
        tagged("Ana vive en 77 %", "B-PER O O B-LOC O"),
        // The model takes this one for somebody.
        tagged("Paz en Lima .", "O O B-LOC O"),
    ];
    let found = evaluate_as_text(&tagger, &sentences).unwrap();
    assert_eq!(
        (found.out_of_reach, found.cut_alike, found.sentences),
        (1, 2, 3)
    );
    assert_eq!(found.decoding, "constrained to iob2 or iob1");
    let rows: Vec<(&str, usize, usize, usize)> = found
        .report
        .per_type
        .iter()
        .map(|row| {
            (
                &*row.entity_type,
                row.scores.support,
                row.predicted,
                row.correct,
            )
        })
        .collect();
    assert_eq!(rows, [("LOC", 3, 3, 2), ("PER", 2, 3, 2)]);

    // On the words as they are given, the same model finds everything but what it does not know.
    let given = evaluate(&tagger, &sentences, 8, |_| {}).unwrap();
    assert_eq!(given.decoding, "constrained to iob2 or iob1");
    assert!(given.report.micro.f1 > found.report.micro.f1);
    let refused = evaluate_as_text(&tagger, &[tagged("Ana", "B-ORG")]).unwrap_err();
    assert!(refused.to_string().contains("B-ORG"), "{refused}");
}
