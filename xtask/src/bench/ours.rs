//! This system's side: one work a process.

use std::{
    fs,
    hint::black_box,
    ops::ControlFlow,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use anyhow::Result;
use ner_metrics::{EntityReport, Mode};
use ner_model::{DeviceChoice, ModelConfig, Precision, TokenClassifier};
use ner_tagger::{Decode, PretokenizedSentence, Tagger};
use ner_train::{Corpus, Event, TrainSettings, Trainer};
use subword_align::SubwordTokenizer;

use super::{Outcome, registers};
use crate::peak_memory;

/// Sequences of a training step.
const BATCH: usize = 32;

/// One work of this system; prints its outcome.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Worker {
    /// Steps of 32 sentences with dropout, in the order of their lengths
    Train {
        #[arg(long)]
        model: PathBuf,
        #[arg(long)]
        data: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Entities of running text
    Tag {
        #[arg(long)]
        model: PathBuf,
        #[arg(long)]
        data: PathBuf,
        #[command(flatten)]
        place: Place,
        /// File for the tag of each word of --scored: the likeliest label of its first sub-word
        #[arg(long, requires = "scored")]
        predictions: Option<PathBuf>,
        /// Sentences to tag for a score, when the time has been taken
        #[arg(long)]
        scored: Option<PathBuf>,
    },
    /// Splitting of long sentences, from file to file
    Preprocess {
        #[arg(long)]
        model: PathBuf,
        files: Vec<PathBuf>,
    },
    /// The entity report
    Report {
        #[arg(long)]
        data: PathBuf,
        #[arg(long, default_value_t = 1_000_000)]
        tokens: usize,
    },
    /// Multiply-adds in registers, by all threads; items are operations
    Registers {
        #[arg(long)]
        precision: Precision,
    },
    /// Reading a column file; items are bytes
    Read { file: PathBuf },
    /// A command of ner-cli, whose process the caller times
    Cli {
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

/// Where and in what numbers a model computes.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Place {
    #[arg(long, default_value_t = DeviceChoice::Flex)]
    device: DeviceChoice,
    #[arg(long, default_value_t = Precision::F32)]
    precision: Precision,
    /// Do the whole work once before it is timed
    #[arg(long)]
    warm_up: bool,
}

pub fn work(worker: &Worker) -> Result<()> {
    let outcome = match worker {
        Worker::Train { model, data, place } => train(model, data, *place)?,
        Worker::Tag {
            model,
            data,
            place,
            predictions,
            scored,
        } => tag(
            model,
            data,
            *place,
            scored.as_deref().zip(predictions.as_deref()),
        )?,
        Worker::Preprocess { model, files } => return preprocess(model, files),
        Worker::Report { data, tokens } => report(data, *tokens)?,
        Worker::Registers { precision } => {
            let threads = thread::available_parallelism().map_or(1, usize::from);
            registers::rate(*precision, threads)?
        }
        Worker::Read { file } => read(file)?,
        Worker::Cli { arguments } => {
            return ner_cli::run([&["ner-cli".to_owned()], arguments.as_slice()].concat());
        }
    };
    let outcome = Outcome {
        peak_bytes: peak_memory::bytes().unwrap_or(0),
        device_bytes: super::table::gpu_memory(),
        ..outcome
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

fn sentences(path: &Path) -> Result<Vec<PretokenizedSentence>> {
    let read = conll_io::Reader::from_path(path)?.into_sentences();
    Ok(PretokenizedSentence::from_reader(read)?)
}

fn train(model: &Path, data: &Path, place: Place) -> Result<Outcome> {
    let tokenizer = SubwordTokenizer::from_dir(model, None)?;
    let config = ModelConfig::from_dir(model)?;
    let device = place.device.open()?.autodiff();
    let (model, _) = TokenClassifier::load(model, &config, &device, 0)?;
    // The steps of the peer that groups by length: the longest sequences, which decide the peak of the memory, are together.
    let mut by_length = Vec::new();
    for sentence in sentences(data)? {
        by_length.push((tokenizer.encode_words(&sentence.words)?.ids.len(), sentence));
    }
    by_length.sort_by_key(|(length, _)| *length);
    let lengths = by_length
        .iter()
        .map(|(length, _)| length + tokenizer.special_token_count());
    let subwords = lengths.sum();
    let data: Vec<PretokenizedSentence> = by_length
        .into_iter()
        .map(|(_, sentence)| sentence)
        .collect();
    let count = data.len();
    // What comes before the steps that are timed: one step, because the first is slow, or all.
    let first = &data[count.saturating_sub(BATCH)..];
    let (train, epochs, steps_before) = if place.warm_up {
        (data, 2, count.div_ceil(BATCH))
    } else {
        ([first, &data].concat(), 1, 1)
    };
    let settings = TrainSettings::default().with(|settings| {
        settings.schedule.epochs = epochs;
        settings.data.batch_size = BATCH;
        settings.optimizer.learning_rate = 1e-5;
        settings.data.shuffle = false;
        settings.precision = place.precision;
    });
    let out = tempfile::tempdir()?;
    let mut steps = Vec::new();
    let observer = |event: Event<'_>| {
        if matches!(event, Event::Stepped(_)) {
            steps.push(Instant::now());
        }
        ControlFlow::Continue(())
    };
    let corpus = Corpus {
        train: &train,
        dev: &[],
    };
    Trainer::new(model, tokenizer, out.path())
        .settings(settings)
        .observer(observer)
        .fit(corpus)?;
    let timed = steps[steps.len() - 1] - steps[steps_before - 1];
    Ok(Outcome {
        subwords,
        ..Outcome::of(timed, count)
    })
}

fn tag(model: &Path, data: &Path, place: Place, scored: Option<(&Path, &Path)>) -> Result<Outcome> {
    let builder = Tagger::builder()
        .device(place.device)
        .precision(place.precision);
    let tagger = builder.clone().from_dir(model)?;
    let texts: Vec<String> = sentences(data)?
        .iter()
        .map(|sentence| sentence.words.join(" "))
        .collect();
    let tokenizer = tagger.tokenizer();
    let mut subwords = 0;
    for text in &texts {
        let words: Vec<&str> = text.split(' ').collect();
        subwords += tokenizer.encode_words(&words)?.ids.len() + tokenizer.special_token_count();
    }
    let before = if place.warm_up { texts.len() } else { BATCH };
    tagger.entities_of(&texts[..before.min(texts.len())])?;
    let started = Instant::now();
    black_box(tagger.entities_of(&texts)?);
    let time = started.elapsed();
    if let Some((scored, path)) = scored {
        let tagged = builder
            .decode(Decode::Argmax)
            .from_dir(model)?
            .tag(&sentences(scored)?)?;
        let mut lines = String::new();
        for sentence in tagged {
            for tag in sentence.tags {
                lines.push_str(&tag.tag);
                lines.push('\n');
            }
            lines.push('\n');
        }
        fs::write(path, lines)?;
    }
    Ok(Outcome {
        subwords,
        numbers: place.precision.to_string(),
        ..Outcome::of(time, texts.len())
    })
}

/// Whole runs of the command, which loads the tokenizer for each file; the caller times the process.
fn preprocess(model: &Path, files: &[PathBuf]) -> Result<()> {
    let out = tempfile::tempdir()?;
    for (number, file) in files.iter().enumerate() {
        let output = out.path().join(number.to_string());
        let [model, file, output] = [model, file, &output].map(|path| path.display().to_string());
        let limits = ["--max-length", "128", "--output", &output];
        let line = [
            "ner-cli",
            "--quiet",
            "preprocess",
            &file,
            "--tokenizer",
            &model,
        ];
        ner_cli::run([&line[..], &limits].concat())?;
    }
    Ok(())
}

/// Each sentence's tags beside those of the sentence before it, in its place.
fn report(data: &Path, tokens: usize) -> Result<Outcome> {
    let data = sentences(data)?;
    let (mut gold, mut predicted, mut count) = (Vec::new(), Vec::new(), 0);
    for number in (0..data.len()).cycle() {
        if count >= tokens {
            break;
        }
        let tags = &data[number].tags;
        let before = &data[(number + data.len() - 1) % data.len()].tags;
        let shared = before.len().min(tags.len());
        predicted.push([&before[..shared], &tags[shared..]].concat());
        gold.push(tags.clone());
        count += tags.len();
    }
    let started = Instant::now();
    let report = EntityReport::new(&gold, &predicted, Mode::Default)?;
    black_box(report.to_text(4));
    Ok(Outcome::of(started.elapsed(), count))
}

/// As often as makes a time that can be measured; the first pass, which is slow, is one more.
fn read(file: &Path) -> Result<Outcome> {
    const TIMES: usize = 20;
    let pass = || {
        let mut reader = conll_io::Reader::from_path(file)?;
        let mut sentence = conll_io::Sentence::new();
        let mut tokens = 0;
        while reader.read_sentence(&mut sentence)? {
            tokens += sentence.len();
        }
        black_box(tokens);
        Ok::<(), conll_io::Error>(())
    };
    pass()?;
    let started = Instant::now();
    for _ in 0..TIMES {
        pass()?;
    }
    let bytes = TIMES * std::fs::metadata(file)?.len() as usize;
    Ok(Outcome::of(started.elapsed(), bytes))
}
