//! Reading and writing speed. `cargo bench -p conll-io` shows bytes a second.

#![allow(clippy::expect_used)]

use std::fmt;
use std::fs;
use std::hint::black_box;
use std::io::sink;

use conll_io::{
    CsvReader, CsvWriter, Reader, ReaderBuilder, Sentence, SentenceSource, Separator, Writer,
};
use divan::Bencher;
use divan::counter::BytesCount;

/// Sentences of the made file; it is then about as large as a training file of the CoNLL-2002 task.
const SENTENCES: usize = 8_000;

fn main() {
    divan::main();
}

/// A made file in three columns: token, part of speech, tag.
fn made() -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "La NC O",
        "niña NC O",
        "camina VMI O",
        "hasta SP O",
        "Villa NC B-LOC",
        "Río NC I-LOC",
        "con SP O",
        "el DA O",
        "extraordinariamente RG O",
        "amable AQ O",
        "José NC B-PER",
        ". Fp O",
    ];
    let mut text = String::new();
    let mut state = 42_u32;
    for _ in 0..SENTENCES {
        // A linear congruential generator (Numerical Recipes' constants): the same file on every
        // machine.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        for _ in 0..8 + state % 48 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(WORDS[(state >> 16) as usize % WORDS.len()]);
            text.push('\n');
        }
        text.push('\n');
    }
    text.into_bytes()
}

struct Input {
    name: &'static str,
    text: Vec<u8>,
    separator: Separator,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.separator)
    }
}

/// The made file and, where it is there, the CoNLL-2002 Spanish training file.
fn inputs() -> Vec<Input> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/conll2002-es"
    );
    let corpus = fs::read(format!("{folder}/esp.train")).ok();
    let texts = [("made", Some(made())), ("esp.train", corpus)];
    let mut inputs = Vec::new();
    for (name, text) in texts {
        for separator in [Separator::Whitespace, Separator::Space] {
            inputs.extend(text.clone().map(|text| Input {
                name,
                text,
                separator,
            }));
        }
    }
    inputs
}

/// Number of tokens, read into one sentence.
fn count(mut source: impl SentenceSource) -> usize {
    let mut sentence = Sentence::new();
    let mut tokens = 0;
    while source
        .read_sentence(&mut sentence)
        .expect("a well-formed file")
    {
        tokens += sentence.len();
    }
    tokens
}

#[divan::bench(args = inputs())]
fn read_sentence(bencher: Bencher, input: &Input) {
    bencher
        .counter(BytesCount::new(input.text.len()))
        .bench(|| {
            count(
                ReaderBuilder::new()
                    .separator(input.separator)
                    .from_reader(black_box(&input.text[..])),
            )
        });
}

#[divan::bench(args = inputs())]
fn read_all_owned(bencher: Bencher, input: &Input) {
    bencher
        .counter(BytesCount::new(input.text.len()))
        .bench(|| {
            let reader = ReaderBuilder::new()
                .separator(input.separator)
                .from_reader(black_box(&input.text[..]));
            let sentences: Result<Vec<Sentence>, _> = reader.into_sentences().collect();
            sentences.expect("a well-formed file")
        });
}

/// The made file's sentences.
fn sentences() -> Vec<Sentence> {
    let sentences: Result<_, _> = Reader::from_reader(&made()[..]).sentences().collect();
    sentences.expect("a well-formed file")
}

#[divan::bench]
fn write_sentence(bencher: Bencher) {
    let sentences = sentences();
    bencher.counter(BytesCount::new(made().len())).bench(|| {
        let mut writer = Writer::from_writer(sink());
        for sentence in black_box(&sentences) {
            writer.write_sentence(sentence).expect("a sink takes all");
        }
    });
}

#[divan::bench]
fn read_csv(bencher: Bencher) {
    let mut writer = CsvWriter::from_writer(Vec::new());
    for sentence in sentences() {
        writer.write_sentence(&sentence).expect("no line breaks");
    }
    let text = writer.into_inner().expect("a vector takes all");
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| count(CsvReader::from_reader(black_box(&text[..]))));
}
