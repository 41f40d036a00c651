//! The tables of what was measured.

mod rows;

use std::{fmt::Write, fs, process::Command};

use serde::{Deserialize, Serialize};

use super::Outcome;
use super::groups::{
    BATCHED, BATCHED_BF16, BATCHED_COMPILED, BF16, INT8, ONNX, ONNX_FUSED, ONNX_INT8, OPENVINO,
    OPENVINO_BF16, OPENVINO_INT8, OURS, REGISTERS, TAG_GIVEN,
};
use rows::{Quantity, Row, gpu_rows, rows};

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
            Quantity::Subwords => outcome.subwords as f64 / outcome.seconds,
            Quantity::Seconds => outcome.seconds,
            Quantity::Memory => outcome.peak_bytes as f64 / 1e9,
            Quantity::DeviceMemory => outcome.device_bytes as f64 / 1e9,
        };
        self.outcomes.iter().map(value).collect()
    }

    /// Of the tags in the first round; each round has the same.
    fn f1(&self) -> Option<f64> {
        self.outcomes.first()?.f1
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
            "The peers are {versions}. PyTorch runs eagerly where `torch.compile` is not said, ONNX Runtime with all of its own graph optimizations and, where \
             that is said, those of its optimizer for transformers; all compute in f32 where nothing else is said. PyTorch's bf16 is autocast, its compiled \
             tagging has frozen weights; it, ONNX Runtime and OpenVINO do all of their work once before it is timed, so that every shape has been seen. ONNX Runtime's int8 is dynamic with weights \
             quantized by channel, OpenVINO's is static, by nncf on 300 training sentences. Training has dropout, clipping and fused AdamW on both sides, in steps of 32 sentences. This system puts sentences of like \
             length together, in training and in tagging; so does PyTorch \"at its best\"."
        )
    });
    let mut text = format!(
        "# Benchmarks\n\nMade by `cargo xtask bench --data-dir DIR`: each side does each work once a round, in turn, as a process of its own; \
         {}, beside the least and the most ratio of a round. Both sides have the same weights, the same sentences and {threads} threads. What each side does exactly: `fixtures/bench/peers.py`, \
         `xtask/src/bench`. Machine: {}.\n\n{peers} Base is 12 layers x 768, small 4 x 256, vocabulary 8,000, both with random weights. Sentences are those of \
         CoNLL-2002 Spanish, taken evenly from the whole: {}. int8 has 8-bit inputs and weights in linear layers (6-bit weights where there is AVX2 but no AVX512-VNNI); what that does to F1 is in [results.md](results.md).{}\n\n{}",
        rounds(measured),
        machine(),
        samples(measured),
        left_out(measured),
        table(&rows(), measured)
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
    text + &scores(measured) + &bounds(measured)
}

/// Operations of the linear layers of 12 layers x 768 for each sub-word, in tagging: four projections and two halves of a feed-forward network, a
/// multiplication and an addition for each weight.
const BASE_OPERATIONS: f64 = 2.0 * 12.0 * (4.0 * 768.0 * 768.0 + 2.0 * 768.0 * 3072.0);

/// How near the base-sized model comes to what the processor can do.
fn bounds(measured: &[Measured]) -> String {
    let works = [
        ("tagging, f32", "tag-base", OURS, 1.0),
        ("tagging, bf16", "tag-base", BF16, 1.0),
        ("tagging, int8", "tag-base", INT8, 1.0),
        // A product forward is two backward.
        ("training, f32", "train-base", OURS, 3.0),
        ("training, bf16", "train-base", BF16, 3.0),
    ];
    let mut rows = String::new();
    for (work, group, side, products) in works {
        let (Some(registers), Some(ours)) =
            (find(measured, REGISTERS, side), find(measured, group, side))
        else {
            continue;
        };
        let possible = registers.median(Quantity::Rate);
        let done = ours.median(Quantity::Subwords) * products * BASE_OPERATIONS;
        let [possible_rate, done_rate] = [possible, done].map(|rate| short(rate / 1e9));
        let share = 100.0 * done / possible;
        _ = writeln!(
            rows,
            "| {work} | {possible_rate} | {done_rate} | {share:.0} % |"
        );
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "\n## The bound\n\nThe rate of multiply-adds whose operands stay in registers, by all threads, beside that of the linear layers of the base-sized model as if nothing else took \
         time: the rest of a share is attention, softmax, GELU, LayerNorm, and what brings numbers from memory. A multiply-add is two operations. The last layer's feed-forward half, which skips sub-words that nobody asks \
         for, counts as a whole.\n\n| base | registers, 10^9/s | linear layers, 10^9/s | share |\n|---|---:|---:|---:|\n{rows}"
    )
}

/// How far below ours the F1 of a peer may be that it is compared with.
const F1_MARGIN: f64 = 0.003;

/// What the sides that tag with a trained model give, and who is ahead at equal F1.
fn scores(measured: &[Measured]) -> String {
    let scored = |side: &&Measured| side.group == TAG_GIVEN && side.f1().is_some();
    let sides: Vec<&Measured> = measured.iter().filter(scored).collect();
    if sides.is_empty() {
        return String::new();
    }
    let mut text = "\n## Speed and F1\n\nThe given model, a trained one. F1 is that of the likeliest label of each word's first \
        sub-word, on all words of esp.testb; numbers are what a side's matrix products were computed in, as its library tells.\n\n\
        | side | numbers | sentences/s | F1 |\n|---|---|---:|---:|\n"
        .to_owned();
    for side in &sides {
        let numbers = side.outcomes.first().map_or("", |first| &first.numbers);
        let (rate, f1) = (short(side.median(Quantity::Rate)), side.f1().unwrap_or(0.0));
        _ = writeln!(text, "| {} | {numbers} | {rate} | {f1:.4} |", side.side);
    }
    text.push('\n');
    for (numbers, ours, peers) in [
        ("f32", OURS, &[BATCHED, ONNX, ONNX_FUSED, OPENVINO][..]),
        (
            "bf16",
            BF16,
            &[BATCHED_BF16, BATCHED_COMPILED, OPENVINO_BF16],
        ),
        ("int8", INT8, &[ONNX_INT8, OPENVINO_INT8]),
    ] {
        let find = |name: &str| sides.iter().find(|side| side.side == name);
        let Some((ours, f1)) = find(ours).and_then(|side| Some((*side, side.f1()?))) else {
            continue;
        };
        let rate = |side: &Measured| side.median(Quantity::Rate);
        let there: Vec<&&Measured> = peers.iter().filter_map(|name| find(name)).collect();
        let alike = there
            .iter()
            .filter(|peer| peer.f1().is_some_and(|its| its > f1 - F1_MARGIN));
        let best = alike.max_by(|a, b| rate(a).total_cmp(&rate(b)));
        _ = match best {
            Some(peer) => {
                let above = peer.f1().unwrap_or(f1) - f1;
                let unequal = if above > F1_MARGIN {
                    format!(" Not at equal F1: this system's is {above:.4} lower.")
                } else {
                    String::new()
                };
                writeln!(
                    text,
                    "- {numbers}: this system tags {:.2} times as many sentences a second as {}, the fastest peer whose F1 is at most {F1_MARGIN} below.{unequal}",
                    rate(ours) / rate(peer),
                    peer.side
                )
            }
            None => writeln!(
                text,
                "- {numbers}: no peer's F1 comes within {F1_MARGIN} of this system's."
            ),
        };
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
        table(&gpu_rows(), measured)
    )
}

fn find<'a>(measured: &'a [Measured], group: &str, side: &str) -> Option<&'a Measured> {
    measured.iter().find(|measured| {
        measured.group == group && measured.side == side && !measured.outcomes.is_empty()
    })
}

/// The sides that failed.
fn left_out(measured: &[Measured]) -> String {
    let failed = measured.iter().filter(|side| side.outcomes.is_empty());
    let names: Vec<String> = failed
        .map(|side| format!("{} in {}", side.side, side.group))
        .collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "\n\nLeft out, because they failed here: {}.",
        names.join(", ")
    )
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
    let rounds = rounds.filter(|rounds| *rounds > 0);
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
            find(measured, &row.group, row.ours),
            find(measured, &row.group, row.peer),
        ) else {
            continue;
        };
        let quotient = |ours: f64, peer: f64| match row.quantity {
            Quantity::Seconds => peer / ours,
            _ => ours / peer,
        };
        let sign = match row.quantity {
            Quantity::Memory | Quantity::DeviceMemory => "<=",
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
    let sets: Vec<&str> = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8"]
        .into_iter()
        .filter(|flag| has(flag))
        .collect();
    format!("{} ({})", field("model name"), sets.join(", "))
}

/// Memory in use on the first GPU, in bytes; 0 where nothing tells.
pub fn gpu_memory() -> u64 {
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=memory.used", "--format=csv,noheader,nounits"])
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    let first = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok());
    first.map_or(0, |mebibytes: u64| mebibytes << 20)
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
    use std::time::Duration;

    use super::super::groups::{GPU_GROUPS, GROUPS, SEQEVAL};
    use super::*;

    #[test]
    fn every_row_names_a_group_and_its_sides() {
        for row in rows().into_iter().chain(gpu_rows()) {
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
                    subwords: 700,
                    f1: Some(0.8),
                    ..Outcome::of(Duration::from_secs_f64(seconds), 100)
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

        let tagged = |name: &str, seconds, f1| {
            let mut side = side(name, [seconds; 3]);
            side.group = TAG_GIVEN.to_owned();
            side.outcomes[0].f1 = Some(f1);
            side
        };
        let measured = [
            tagged(INT8, 1.0, 0.85),
            tagged(ONNX_INT8, 0.5, 0.84),
            tagged(OPENVINO_INT8, 2.0, 0.849),
            tagged(BF16, 1.0, 0.85),
            tagged(OPENVINO_BF16, 1.0, 0.84),
        ];
        let text = scores(&measured);
        assert!(!text.contains("Not at equal F1"), "{text}");
        let better = [tagged(INT8, 1.0, 0.85), tagged(OPENVINO_INT8, 2.0, 0.86)];
        let unequal = scores(&better);
        assert!(
            unequal.contains("Not at equal F1: this system's is 0.0100 lower"),
            "{unequal}"
        );
        assert!(
            text.contains(
                "int8: this system tags 2.00 times as many sentences a second as OpenVINO, int8"
            ),
            "{text}"
        );
        assert!(
            text.contains("bf16: no peer's F1 comes within 0.003"),
            "{text}"
        );

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
