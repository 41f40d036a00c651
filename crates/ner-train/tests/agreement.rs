//! A small student learns to decide as its teacher. Alone in its file: its weights are drawn from the device's generator, which tests that
//! run at the same time share.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{golden, tokenizer};
use ner_model::{DeviceChoice, EncoderSizes, ModelConfig, ModelType, TokenClassifier};
use ner_tagger::{Decode, Tagger};
use ner_train::{
    Corpus, DistillSettings, Distillation, PretokenizedSentence, SoftTargets, TrainSettings,
    Trainer,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use subword_align::SubwordTokenizer;

/// Different words of the sentences.
const WORDS: usize = 40;

/// The golden BERT, after a training in which the word decides the tag.
fn teacher() -> Tagger {
    let out = tempfile::tempdir().unwrap();
    let device = DeviceChoice::Flex.open().unwrap().autodiff();
    let config = ModelConfig::from_dir(&golden("bert")).unwrap();
    let (model, _) = TokenClassifier::load(&golden("bert"), &config, &device, 0).unwrap();
    let mut tagged = unlabelled(200, 1);
    for sentence in &mut tagged {
        let number = |word: &String| word[1..word.len() - 1].parse::<usize>().unwrap();
        let tag = |word: &String| ["O", "B-PER", "B-ORG", "B-LOC"][number(word) % 4].to_owned();
        sentence.tags = sentence.words.iter().map(tag).collect();
    }
    let trained = Trainer::new(model, tokenizer(), out.path())
        .settings(settings(40, 10))
        .fit(Corpus {
            train: &tagged,
            dev: &[],
        });
    let builder = Tagger::builder().decode(Decode::Argmax);
    builder.build(trained.unwrap(), tokenizer()).unwrap()
}

fn settings(max_length: usize, epochs: usize) -> TrainSettings {
    TrainSettings::default().with(|settings| {
        settings.schedule.epochs = epochs;
        settings.data.batch_size = 16;
        settings.data.max_length = max_length;
        settings.optimizer.learning_rate = 3e-3;
    })
}

/// Sentences of words without an order.
fn unlabelled(count: usize, seed: u64) -> Vec<PretokenizedSentence> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut word = || format!("a{}x", 5 + generator.random_range(0..WORDS));
    let sentence = |i: usize| {
        PretokenizedSentence::untagged((0..4 + i % 7).map(|_| word()).collect::<Vec<_>>())
    };
    (0..count).map(sentence).collect()
}

/// Of each tag that a model gives, the share of the words that get it.
fn shares(tagger: &Tagger, sentences: &[PretokenizedSentence]) -> BTreeMap<String, f64> {
    let tagged = tagger.tag(sentences).unwrap().into_iter();
    let tags: Vec<String> = tagged
        .flat_map(|sentence| sentence.tags.into_iter().map(|tag| tag.tag))
        .collect();
    let mut shares = BTreeMap::new();
    for tag in &tags {
        *shares.entry(tag.clone()).or_default() += 1.0 / tags.len() as f64;
    }
    shares
}

/// The share of words to which two models give the same tag.
fn agreement(a: &Tagger, b: &Tagger, sentences: &[PretokenizedSentence]) -> f64 {
    let tags = |tagger: &Tagger| {
        let tagged = tagger.tag(sentences).unwrap().into_iter();
        let tags = tagged.flat_map(|sentence| sentence.tags);
        tags.map(|tag| tag.tag).collect::<Vec<String>>()
    };
    let (a, b) = (tags(a), tags(b));
    let equal = a.iter().zip(&b).filter(|(a, b)| a == b).count();
    equal as f64 / a.len() as f64
}

/// A student of one narrow layer, whose tokenizer makes two sub-words of each word, in other numbers.
fn small_student(labels: &[String]) -> (TokenClassifier, SubwordTokenizer) {
    let dir = tempfile::tempdir().unwrap();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##x"].map(str::to_owned);
    let vocabulary: Vec<String> = (0..WORDS)
        .map(|number| format!("a{}", 5 + number))
        .chain(special)
        .collect();
    std::fs::write(dir.path().join("vocab.txt"), vocabulary.join("\n")).unwrap();
    std::fs::copy(golden("bert/config.json"), dir.path().join("config.json")).unwrap();
    let tokenizer = SubwordTokenizer::from_dir(dir.path(), None).unwrap();
    let sizes = EncoderSizes {
        vocab_size: vocabulary.len(),
        hidden_size: 32,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 64,
        usable_positions: 80,
    };
    let mut config = ModelConfig::new(ModelType::Bert, &sizes, labels.to_vec());
    config.id2label.reverse(); // matched by name
    config.initializer_range = 0.1;
    config.set_dropout(0.0).unwrap();
    let device = DeviceChoice::Flex.open().unwrap().autodiff();
    (TokenClassifier::init(&config, &device, 3), tokenizer)
}

#[test]
fn a_small_student_with_another_tokenizer_learns_to_decide_as_its_teacher() {
    let teacher = teacher();
    let (train, test) = (unlabelled(400, 0), unlabelled(60, 3));
    let targets = SoftTargets::of(&teacher, &train, |_| {}).unwrap();
    let settings = settings(80, 10);
    let distil = || {
        let out = tempfile::tempdir().unwrap();
        let (model, tokenizer) = small_student(teacher.labels());
        let trained = Trainer::new(model, tokenizer, out.path())
            .settings(settings.clone())
            .distillation(Distillation {
                settings: DistillSettings::default(),
                targets: targets.clone(),
            })
            .fit(Corpus {
                train: &train,
                dev: &[],
            });
        let bits = std::fs::read(out.path().join("model.safetensors"));
        (trained.unwrap(), bits.unwrap())
    };
    let as_tagger = |model: TokenClassifier| {
        let (_, tokenizer) = small_student(teacher.labels());
        let builder = Tagger::builder().decode(Decode::Argmax);
        builder.build(model, tokenizer).unwrap()
    };
    let (distilled, bits) = distil();
    let before = agreement(
        &teacher,
        &as_tagger(small_student(teacher.labels()).0),
        &test,
    );
    let after = agreement(&teacher, &as_tagger(distilled), &test);
    let chance = shares(&teacher, &test).into_values().fold(0.0, f64::max);
    assert!(
        chance < 0.5 && before < 0.5 && after > 0.8,
        "{chance} {before} {after}"
    );
    assert!(distil().1 == bits, "it is not deterministic");
}
