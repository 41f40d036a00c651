//! Reports over a million tokens: `cargo bench -p ner-metrics`. `fixtures/goldens/metrics.py --time` times the reference
//! programs on the same tags.
#![allow(missing_docs)]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ner_metrics::{ConllevalSummary, EntityReport, Mode, Scheme, TokenReport};

const TOKENS: usize = 1_000_000;
const SENTENCE: usize = 25;
const TYPES: [&str; 4] = ["LOC", "MISC", "ORG", "PER"];

type Sentences = Vec<Vec<String>>;

/// Knuth's 64-bit linear congruential generator (MMIX), so that Python can draw the same corpus.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn entity_type(&mut self) -> &'static str {
        TYPES[usize::try_from(self.below(4)).unwrap_or_default()]
    }

    fn tag(&mut self, previous: &str) -> String {
        let draw = self.below(100);
        match previous.split_once('-') {
            Some((_, entity_type)) if draw < 60 => format!("I-{entity_type}"),
            _ if draw >= 88 => format!("B-{}", self.entity_type()),
            _ => "O".to_owned(),
        }
    }
}

/// Gold, with entities of 2.5 tokens on average, and a prediction with an error in every twentieth tag.
fn corpus() -> (Sentences, Sentences) {
    let mut random = Lcg(20_020_527);
    let (mut gold, mut predicted) = (Vec::new(), Vec::new());
    for _ in 0..TOKENS / SENTENCE {
        let mut tags: Vec<String> = Vec::with_capacity(SENTENCE);
        for _ in 0..SENTENCE {
            tags.push(random.tag(tags.last().map_or("O", String::as_str)));
        }
        let wrong = |tag: &String| match random.below(20) {
            0 => format!("I-{}", random.entity_type()),
            _ => tag.clone(),
        };
        predicted.push(tags.iter().map(wrong).collect());
        gold.push(tags);
    }
    (gold, predicted)
}

fn measure<R>(bencher: Bencher<'_, '_>, report: impl Fn(&Sentences, &Sentences) -> R) {
    let (gold, predicted) = corpus();
    bencher
        .counter(ItemsCount::new(TOKENS))
        .bench_local(|| report(black_box(&gold), black_box(&predicted)));
}

#[divan::bench]
fn entity_report_default(bencher: Bencher<'_, '_>) {
    measure(bencher, |gold, predicted| {
        EntityReport::new(gold, predicted, Mode::Default)
    });
}

#[divan::bench]
fn entity_report_strict(bencher: Bencher<'_, '_>) {
    measure(bencher, |gold, predicted| {
        EntityReport::new(gold, predicted, Mode::Strict(Scheme::Iob2))
    });
}

#[divan::bench]
fn token_report(bencher: Bencher<'_, '_>) {
    measure(bencher, |gold, predicted| TokenReport::new(gold, predicted));
}

#[divan::bench]
fn conlleval_summary(bencher: Bencher<'_, '_>) {
    measure(bencher, |gold, predicted| {
        ConllevalSummary::new(gold, predicted)
    });
}

fn main() {
    // `metrics.py --time` prints the same supports: both draw one corpus.
    let (gold, predicted) = corpus();
    let entities =
        EntityReport::new(&gold, &predicted, Mode::Default).map(|report| report.micro.support);
    assert_eq!(entities, Ok(120_191));
    divan::main();
}
