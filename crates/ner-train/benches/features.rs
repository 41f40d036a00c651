//! What training does beside the model: sentences to sequences, sequences to steps.
//!
//! `cargo bench --bench features`
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use divan::Bencher;
use divan::counter::ItemsCount;
use ner_train::{BatchSampler, Featurizer, PretokenizedSentence};
use subword_align::SubwordTokenizer;

/// About as many sentences as CoNLL-2002's training file has.
const SENTENCES: usize = 8_000;

fn main() {
    divan::main();
}

/// Sentences of 1 to 60 words.
fn sentences() -> Vec<PretokenizedSentence> {
    let sentence = |number: usize| PretokenizedSentence {
        words: (0..1 + number * 37 % 60)
            .map(|word| format!("palabra{}", (number * 13 + word * 7) % 997))
            .collect(),
        tags: Vec::new(),
        document: number / 20,
    };
    (0..SENTENCES).map(sentence).collect()
}

#[divan::bench(args = [0, 32])]
fn features(bencher: Bencher, document_context: usize) {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/goldens");
    let tokenizer = SubwordTokenizer::from_dir(goldens.join("subwords/bpe"), None).unwrap();
    let featurizer = Featurizer::new(&tokenizer, 128)
        .unwrap()
        .with_document_context(document_context);
    let sentences = sentences();
    bencher
        .counter(ItemsCount::new(SENTENCES))
        .bench(|| featurizer.features(&sentences, None).unwrap());
}

#[divan::bench(args = [false, true])]
fn order_of_an_epoch(bencher: Bencher, group_by_length: bool) {
    let order = BatchSampler {
        step_size: 32,
        shuffle: true,
        group_by_length,
        seed: 42,
    };
    let lengths: Vec<usize> = (0..SENTENCES).map(|number| 3 + number * 37 % 101).collect();
    bencher
        .counter(ItemsCount::new(SENTENCES))
        .bench(|| order.steps(&lengths, 3));
}
