//! What is measured, and the table of it.

use std::{fmt::Write, fs, path::Path, process::Command};

use serde::{Deserialize, Serialize};

use super::{Folder, Outcome};

/// Works whose sides are compared.
pub struct Group {
    pub name: &'static str,
    /// `base` or `small`.
    model: &'static str,
    pub sides: &'static [Side],
}

/// One side of a group: its name and its arguments, in which `{model}` stands for the group's model, `{model.EXTENSION}` for a file that belongs
/// to it, `{out}` for a file to write and `{data}/NAME` for one of the corpus.
pub struct Side {
    pub name: &'static str,
    arguments: &'static [&'static str],
    peer: bool,
}

const fn ours(name: &'static str, arguments: &'static [&'static str]) -> Side {
    Side {
        name,
        arguments,
        peer: false,
    }
}

const fn peer(name: &'static str, arguments: &'static [&'static str]) -> Side {
    Side {
        name,
        arguments,
        peer: true,
    }
}

impl Side {
    pub fn is_peer(&self) -> bool {
        self.peer
    }

    pub fn arguments(&self, group: &Group, folder: &Folder, data_dir: &Path) -> Vec<String> {
        let resolve = |argument: &&str| {
            if let Some(name) = argument.strip_prefix("{data}/") {
                return data_dir.join(name).display().to_string();
            }
            let name = argument
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            match name {
                Some(name) => folder.path(&name.replace("model", group.model)),
                None => (*argument).to_owned(),
            }
        };
        self.arguments.iter().map(resolve).collect()
    }
}

const OURS: &str = "ours";
const INT8: &str = "ours, --precision int8";
const TUTORIAL: &str = "PyTorch, rows padded to 128";
const BEST: &str = "PyTorch at its best";
const PIPELINE: &str = "pipeline('ner'), text by text";
const BATCHED: &str = "PyTorch, sorted batches of 32";
const ONNX: &str = "ONNX Runtime, sorted batches";
const SCRIPT: &str = "the Python script";
const SEQEVAL: &str = "seqeval";
const BF16: &str = "ours, --precision bf16";
const BEST_BF16: &str = "PyTorch at its best, autocast to bf16";
const BATCHED_BF16: &str = "PyTorch, sorted batches of 32, autocast to bf16";

const TEXT: &str = "El presidente del Banco de Lima , Juan Paz , viaja hoy a Madrid .";

/// `WORK --model MODEL --data FILE`, and what follows.
macro_rules! on_model {
    ($work:literal, $data:literal $(, $more:expr)*) => {
        &[$work, "--model", "{model}", "--data", $data $(, $more)*]
    };
}

const TRAINING: &[Side] = &[
    ours(OURS, on_model!("train", "{model.train}")),
    peer(
        TUTORIAL,
        on_model!("train", "{model.train}", "--pad", "128"),
    ),
    peer(BEST, on_model!("train", "{model.train}")),
];

const TAGGING: &[Side] = &[
    ours(OURS, on_model!("tag", "{model.test}")),
    ours(
        INT8,
        on_model!("tag", "{model.test}", "--precision", "int8"),
    ),
    peer(PIPELINE, on_model!("pipeline", "{model.test}")),
    peer(BATCHED, on_model!("batched", "{model.test}")),
    peer(
        ONNX,
        on_model!("onnx", "{model.test}", "--onnx", "{model.onnx}"),
    ),
];

pub const GROUPS: &[Group] = &[
    Group {
        name: "train-base",
        model: "base",
        sides: TRAINING,
    },
    Group {
        name: "train-small",
        model: "small",
        sides: TRAINING,
    },
    Group {
        name: "tag-base",
        model: "base",
        sides: TAGGING,
    },
    Group {
        name: "tag-small",
        model: "small",
        sides: TAGGING,
    },
    Group {
        name: "sentence",
        model: "base",
        sides: &[
            ours(
                OURS,
                &[
                    "cli", "--", "predict", "--model", "{model}", TEXT, "--output", "{out}",
                ],
            ),
            peer(
                PIPELINE,
                &["sentence", "--model", "{model}", "--text", TEXT],
            ),
        ],
    },
    Group {
        name: "preprocess",
        model: "small",
        sides: &[ours(OURS, PREPROCESS), peer(SCRIPT, PREPROCESS)],
    },
    Group {
        name: "report",
        model: "small",
        sides: &[ours(OURS, REPORT), peer(SEQEVAL, REPORT)],
    },
    Group {
        name: "read",
        model: "small",
        sides: &[ours(OURS, &["read", "{data}/esp.train"])],
    },
];

const PREPROCESS: &[&str] = &[
    "preprocess",
    "--model",
    "{model}",
    "{data}/esp.train",
    "{data}/esp.testa",
    "{data}/esp.testb",
];
const REPORT: &[&str] = &["report", "--data", "{model.train.all}"];

/// What `--device` measures in place of [`GROUPS`]; each side gets the device's name, and does the work once before it is timed.
pub const GPU_GROUPS: &[Group] = &[
    Group {
        name: "train-gpu",
        model: "base",
        sides: &[
            ours(OURS, on_model!("train", "{model.train}")),
            peer(BEST, on_model!("train", "{model.train}")),
            ours(
                BF16,
                on_model!("train", "{model.train}", "--precision", "bf16"),
            ),
            peer(
                BEST_BF16,
                on_model!("train", "{model.train}", "--precision", "bf16"),
            ),
        ],
    },
    Group {
        name: "tag-gpu",
        model: "base",
        sides: &[
            ours(OURS, on_model!("tag", "{model.test}")),
            peer(BATCHED, on_model!("batched", "{model.test}")),
            ours(
                BF16,
                on_model!("tag", "{model.test}", "--precision", "bf16"),
            ),
            peer(
                BATCHED_BF16,
                on_model!("batched", "{model.test}", "--precision", "bf16"),
            ),
        ],
    },
];

/// What the quotient of two sides is taken of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quantity {
    /// Things done a second: more is better.
    Rate,
    /// Sub-words read a second: more is better.
    SubWords,
    /// Seconds from the start of a process to its end: less is better.
    Seconds,
    /// Peak resident memory: less is better.
    Memory,
}

struct Row {
    work: &'static str,
    group: &'static str,
    ours: &'static str,
    peer: &'static str,
    quantity: Quantity,
    /// What the quotient should be; nothing where it is only to be known.
    target: Option<f64>,
}

const fn row(
    work: &'static str,
    group: &'static str,
    ours: &'static str,
    peer: &'static str,
    target: f64,
) -> Row {
    Row {
        work,
        group,
        ours,
        peer,
        quantity: Quantity::Rate,
        target: Some(target),
    }
}

const ROWS: &[Row] = &[
    row(
        "training, base, sentences/s",
        "train-base",
        OURS,
        TUTORIAL,
        2.5,
    ),
    row(
        "training, small, sentences/s",
        "train-small",
        OURS,
        TUTORIAL,
        3.5,
    ),
    row(
        "training, base, sentences/s",
        "train-base",
        OURS,
        BEST,
        1.25,
    ),
    row(
        "training, small, sentences/s",
        "train-small",
        OURS,
        BEST,
        1.25,
    ),
    row(
        "tagging, base, sentences/s",
        "tag-base",
        OURS,
        PIPELINE,
        2.0,
    ),
    row(
        "tagging, small, sentences/s",
        "tag-small",
        OURS,
        PIPELINE,
        4.0,
    ),
    row("tagging, base, sentences/s", "tag-base", OURS, BATCHED, 1.2),
    row(
        "tagging, small, sentences/s",
        "tag-small",
        OURS,
        BATCHED,
        1.2,
    ),
    row(
        "tagging, base, int8, sentences/s",
        "tag-base",
        INT8,
        BATCHED,
        2.0,
    ),
    row(
        "tagging, small, int8, sentences/s",
        "tag-small",
        INT8,
        BATCHED,
        2.0,
    ),
    row("tagging, base, sentences/s", "tag-base", OURS, ONNX, 1.0),
    row("tagging, small, sentences/s", "tag-small", OURS, ONNX, 1.0),
    row(
        "tagging, base, int8 beside f32, sentences/s",
        "tag-base",
        INT8,
        OURS,
        1.7,
    ),
    row(
        "tagging, small, int8 beside f32, sentences/s",
        "tag-small",
        INT8,
        OURS,
        1.7,
    ),
    Row {
        work: "one sentence from process start, base, s",
        group: "sentence",
        ours: OURS,
        peer: PIPELINE,
        quantity: Quantity::Seconds,
        target: Some(10.0),
    },
    Row {
        work: "preprocess, three files, from process start, s",
        group: "preprocess",
        ours: OURS,
        peer: SCRIPT,
        quantity: Quantity::Seconds,
        target: Some(30.0),
    },
    Row {
        work: "peak memory, training base, GB",
        group: "train-base",
        ours: OURS,
        peer: BEST,
        quantity: Quantity::Memory,
        target: Some(0.7),
    },
    row(
        "entity report of 10^6 tokens, tokens/s",
        "report",
        OURS,
        SEQEVAL,
        100.0,
    ),
];

const fn gpu_row(
    work: &'static str,
    group: &'static str,
    ours: &'static str,
    peer: &'static str,
) -> Row {
    Row {
        work,
        group,
        ours,
        peer,
        quantity: Quantity::SubWords,
        target: None,
    }
}

const GPU_ROWS: &[Row] = &[
    gpu_row("training, base, sub-words/s", "train-gpu", OURS, BEST),
    gpu_row(
        "training, base, bf16, sub-words/s",
        "train-gpu",
        BF16,
        BEST_BF16,
    ),
    gpu_row("tagging, base, sub-words/s", "tag-gpu", OURS, BATCHED),
    gpu_row(
        "tagging, base, bf16, sub-words/s",
        "tag-gpu",
        BF16,
        BATCHED_BF16,
    ),
];

/// Bytes a second that reading esp.train should reach.
const READING: f64 = 300e6;

/// The outcomes of one side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub group: String,
    pub side: String,
    pub outcomes: Vec<Outcome>,
}

impl Measured {
    /// The quantity in each round.
    fn rounds(&self, quantity: Quantity) -> Vec<f64> {
        let value = |outcome: &Outcome| match quantity {
            Quantity::Rate => outcome.items as f64 / outcome.seconds,
            Quantity::SubWords => outcome.sub_words as f64 / outcome.seconds,
            Quantity::Seconds => outcome.seconds,
            Quantity::Memory => outcome.peak_bytes as f64 / 1e9,
        };
        self.outcomes.iter().map(value).collect()
    }

    fn median(&self, quantity: Quantity) -> f64 {
        median(self.rounds(quantity))
    }

    /// Things that each round is about.
    fn items(&self) -> usize {
        self.outcomes.first().map_or(0, |outcome| outcome.items)
    }
}

/// The least and the most.
fn range(values: &[f64]) -> [f64; 2] {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [least, most]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

/// The file docs/benchmarks.md.
pub fn text(measured: &[Measured], threads: usize, versions: Option<&str>) -> String {
    let peers = versions.map_or_else(without_peers, |versions| {
        format!(
            "The peers are {versions}. PyTorch runs eagerly, ONNX Runtime with all of its own graph optimizations, both in f32 like this system where \
             int8 is not said. Training has dropout, clipping and fused AdamW on both sides, in steps of 32 sentences. This system puts sentences of like \
             length together, in training and in tagging; so does PyTorch \"at its best\"."
        )
    });
    let mut text = format!(
        "# Benchmarks\n\nMade by `cargo xtask bench --data-dir DIR`: each side does each work once a round, in turn, as a process of its own; \
         {}, beside the least and the most ratio of a round. Both sides have the same weights, the same sentences and {threads} threads. What each side does exactly: `fixtures/bench/peers.py`, \
         `xtask/src/bench`. Machine: {}.\n\n{peers} Base is 12 layers x 768, small 4 x 256, vocabulary 8,000, both with random weights. Sentences are those of \
         CoNLL-2002 Spanish, taken evenly from the whole: {}. int8 has 8-bit inputs and 6-bit weights in linear layers; what that does to F1 is in [results.md](results.md).\n\n{}",
        rounds(measured),
        machine(),
        samples(measured),
        table(ROWS, measured)
    );
    if let Some(reading) = find(measured, "read", OURS) {
        let rate = reading.median(Quantity::Rate);
        let missed = if rate >= READING { "" } else { " (missed)" };
        let [least, most] = range(&reading.rounds(Quantity::Rate));
        let [rate, least, most] = [rate, least, most].map(|rate| short(rate / 1e6));
        _ = writeln!(
            text,
            "| reading esp.train, MB/s | | {rate} | | | {least} to {most} MB/s | >= {}{missed} |",
            READING / 1e6
        );
    }
    text
}

/// The file docs/benchmarks-gpu.md.
pub fn gpu_text(measured: &[Measured], device: &str, versions: Option<&str>) -> String {
    let peers = versions.map_or_else(without_peers, |versions| {
        format!(
            "The peers are {versions}, their f32 products in TF32. Training has dropout, clipping and fused AdamW on both sides, in steps of 32 sentences of \
             like length."
        )
    });
    format!(
        "# Benchmarks on a GPU\n\nMade by `cargo run --release -p xtask --features cuda -- bench --device {device} --data-dir DIR`: each side does each work once a \
         round, in turn, as a process of its own that has done it before; {}, beside the least and the most ratio of a round. Both sides have the same weights and the same sentences, those of CoNLL-2002 \
         Spanish; 12 layers x 768, vocabulary 8,000. Machine: {}.\n\n{peers}\n\n{}",
        rounds(measured),
        gpus(),
        table(GPU_ROWS, measured)
    )
}

fn find<'a>(measured: &'a [Measured], group: &str, side: &str) -> Option<&'a Measured> {
    measured
        .iter()
        .find(|measured| measured.group == group && measured.side == side)
}

/// How many sentences each model reads in a round.
fn samples(measured: &[Measured]) -> String {
    let count = |group: &str| find(measured, group, OURS).map_or(0, Measured::items);
    let of = |model: &str| {
        let [to_train, to_tag] = ["train", "tag"].map(|work| count(&format!("{work}-{model}")));
        format!("{model} trains on {to_train} and tags {to_tag}")
    };
    format!("{}, {}", of("base"), of("small"))
}

fn without_peers() -> String {
    "The peers were not there: only this system was measured.".to_owned()
}

fn rounds(measured: &[Measured]) -> String {
    let rounds = measured.iter().map(|side| side.outcomes.len());
    match (rounds.clone().min().unwrap_or(0), rounds.max().unwrap_or(0)) {
        (1, 1) => "one round".to_owned(),
        (least, most) if least == most => format!("medians of {most} rounds"),
        (least, most) => format!("medians of {least} to {most} rounds"),
    }
}

fn table(rows: &[Row], measured: &[Measured]) -> String {
    let mut text =
        "| work | peer | ours | peer's | ratio | by round | aim |\n|---|---|---:|---:|---:|---:|---:|\n"
            .to_owned();
    for row in rows {
        let (Some(ours), Some(peer)) = (
            find(measured, row.group, row.ours),
            find(measured, row.group, row.peer),
        ) else {
            continue;
        };
        let quotient = |ours: f64, peer: f64| match row.quantity {
            Quantity::Seconds => peer / ours,
            _ => ours / peer,
        };
        let sign = match row.quantity {
            Quantity::Memory => "<=",
            _ => ">=",
        };
        let of_both = ours.rounds(row.quantity).into_iter();
        let of_both = of_both.zip(peer.rounds(row.quantity));
        let of_both: Vec<f64> = of_both.map(|(ours, peer)| quotient(ours, peer)).collect();
        let [least, most] = range(&of_both);
        let (ours, peer) = (ours.median(row.quantity), peer.median(row.quantity));
        let ratio = quotient(ours, peer);
        let aim = row.target.map_or_else(String::new, |target| {
            let reached = if sign == ">=" {
                ratio >= target
            } else {
                ratio <= target
            };
            let missed = if reached { "" } else { " (missed)" };
            format!("{sign} {target}{missed}")
        });
        let [ours, peer] = [ours, peer].map(short);
        _ = writeln!(
            text,
            "| {} | {} | {ours} | {peer} | {ratio:.2} | {least:.2} to {most:.2} | {aim} |",
            row.work, row.peer
        );
    }
    text
}

/// Three digits or all before the point; millions for short.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} million", short(value / 1e6)),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// The processor, and what matters of its instruction sets.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        info.lines()
            .find_map(|line| {
                Some(
                    line.strip_prefix(name)?
                        .split_once(':')?
                        .1
                        .trim()
                        .to_owned(),
                )
            })
            .unwrap_or_default()
    };
    let flags = field("flags");
    let has = |flag: &str| flags.split(' ').any(|known| known == flag);
    let sets: Vec<&str> = ["avx2", "avx512f", "avx512_vnni", "amx_int8"]
        .into_iter()
        .filter(|flag| has(flag))
        .collect();
    format!("{} ({})", field("model name"), sets.join(", "))
}

/// Names of the GPUs, as their driver tells them.
fn gpus() -> String {
    let names = Command::new("nvidia-smi")
        .args(["--query-gpu=name,driver_version", "--format=csv,noheader"])
        .output()
        .map(|output| {
            String::from_utf8_lossy(&output.stdout)
                .trim()
                .replace('\n', "; ")
        });
    match names {
        Ok(names) if !names.is_empty() => names,
        _ => "no GPU that `nvidia-smi` knows".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_a_group_and_its_sides() {
        for row in ROWS.iter().chain(GPU_ROWS) {
            let mut groups = GROUPS.iter().chain(GPU_GROUPS);
            let group = groups.find(|group| group.name == row.group);
            let sides = group.map_or(&[][..], |group| group.sides);
            for name in [row.ours, row.peer] {
                assert!(
                    sides.iter().any(|side| side.name == name),
                    "{}: {name}",
                    row.work
                );
            }
        }
    }

    #[test]
    fn ratios_are_of_medians() {
        let side = |side: &str, seconds: [f64; 3]| Measured {
            group: "report".to_owned(),
            side: side.to_owned(),
            outcomes: seconds
                .map(|seconds| Outcome {
                    seconds,
                    items: 100,
                    sub_words: 700,
                    peak_bytes: 0,
                })
                .to_vec(),
        };
        let measured = [
            side(OURS, [9.0, 1.0, 2.0]),
            side(SEQEVAL, [100.0, 500.0, 90.0]),
        ];
        let text = text(&measured, 2, None);
        assert!(
            text.contains("| seqeval | 50.0 | 1.00 | 50.00 | 11.11 to 500.00 | >= 100 (missed) |"),
            "{text}"
        );
        assert_eq!(median(vec![4.0, 1.0]), 2.5);

        let of = |group: &str, name: &str, seconds| Measured {
            group: group.to_owned(),
            ..side(name, [seconds; 3])
        };
        let measured = [of("tag-gpu", OURS, 2.0), of("tag-gpu", BATCHED, 7.0)];
        let text = gpu_text(&measured, "cuda", None);
        assert!(
            text.ends_with("| tagging, base, sub-words/s | PyTorch, sorted batches of 32 | 350 | 100 | 3.50 | 3.50 to 3.50 |  |\n"),
            "{text}"
        );
    }
}
