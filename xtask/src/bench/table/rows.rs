//! What the tables compare.

use super::super::groups::{
    BATCHED, BATCHED_BF16, BATCHED_COMPILED, BEST, BEST_BF16, BEST_COMPILED, BF16, INT8, ONNX,
    ONNX_FUSED, ONNX_INT8, OPENVINO, OPENVINO_BF16, OPENVINO_INT8, OURS, PIPELINE, SCRIPT, SEQEVAL,
    TUTORIAL,
};

/// What the quotient of two sides is taken of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Things done a second: more is better.
    Rate,
    /// Sub-words read a second: more is better.
    Subwords,
    /// Seconds from the start of a process to its end: less is better.
    Seconds,
    /// Peak resident memory: less is better.
    Memory,
    /// Memory of the GPU: less is better.
    DeviceMemory,
}

pub(super) struct Row {
    pub work: String,
    pub group: String,
    pub ours: &'static str,
    pub peer: &'static str,
    pub quantity: Quantity,
    /// What the quotient should be; nothing where it is only to be known.
    pub target: Option<f64>,
}

/// The rows of docs/benchmarks.md.
pub(super) fn rows() -> Vec<Row> {
    // What, the numbers in which this side computes, this side, the peer, and the aims for the base-sized model, the small one and the given one.
    let on_models: &[(&str, &str, &'static str, &'static str, [f64; 2])] = &[
        ("training", "", OURS, TUTORIAL, [2.5, 3.5]),
        ("training", "", OURS, BEST, [1.25, 1.25]),
        ("training", ", bf16", BF16, BEST_BF16, [1.5, 1.5]),
        ("training", ", bf16", BF16, BEST_COMPILED, [1.5, 1.5]),
        ("training", ", bf16 beside f32", BF16, OURS, [1.6, 1.6]),
        ("tagging", "", OURS, PIPELINE, [2.0, 4.0]),
        ("tagging", "", OURS, BATCHED, [1.5, 1.5]),
        ("tagging", "", OURS, ONNX, [1.5, 1.5]),
        ("tagging", "", OURS, ONNX_FUSED, [1.5, 1.5]),
        ("tagging", "", OURS, OPENVINO, [1.5, 1.5]),
        ("tagging", ", bf16", BF16, BATCHED_BF16, [1.3, 1.3]),
        ("tagging", ", bf16", BF16, BATCHED_COMPILED, [1.3, 1.3]),
        ("tagging", ", bf16", BF16, OPENVINO_BF16, [1.3, 1.3]),
        ("tagging", ", int8", INT8, ONNX_INT8, [1.5, 1.5]),
        ("tagging", ", int8", INT8, OPENVINO_INT8, [1.5, 1.5]),
        ("tagging", ", bf16 beside f32", BF16, OURS, [1.6, 1.6]),
        ("tagging", ", int8 beside f32", INT8, OURS, [1.7, 1.7]),
    ];
    let mut rows = Vec::new();
    for (what, numbers, ours, peer, targets) in on_models {
        let targets = [targets[0], targets[1], targets[1]];
        for (model, target) in ["base", "small", "given"].into_iter().zip(targets) {
            let short = if *what == "training" { "train" } else { "tag" };
            rows.push(Row {
                work: format!("{what}, {model}{numbers}, sentences/s"),
                group: format!("{short}-{model}"),
                ours,
                peer,
                quantity: Quantity::Rate,
                target: Some(target),
            });
        }
    }
    let others = [
        (
            "one sentence from process start, base, s",
            "sentence",
            PIPELINE,
            Quantity::Seconds,
            10.0,
        ),
        (
            "preprocess, three files, from process start, s",
            "preprocess",
            SCRIPT,
            Quantity::Seconds,
            30.0,
        ),
        (
            "peak memory, training base, GB",
            "train-base",
            BEST,
            Quantity::Memory,
            0.7,
        ),
        (
            "entity report of 10^6 tokens, tokens/s",
            "report",
            SEQEVAL,
            Quantity::Rate,
            100.0,
        ),
    ];
    rows.extend(others.map(|(work, group, peer, quantity, target)| Row {
        work: work.to_owned(),
        group: group.to_owned(),
        ours: OURS,
        peer,
        quantity,
        target: Some(target),
    }));
    rows
}

/// The rows of docs/benchmarks-gpu.md.
pub(super) fn gpu_rows() -> Vec<Row> {
    use Quantity::{DeviceMemory, Subwords};
    let rows = [
        (
            "training, base, sub-words/s",
            "train-gpu",
            OURS,
            BEST,
            Subwords,
        ),
        (
            "training, base, bf16, sub-words/s",
            "train-gpu",
            BF16,
            BEST_BF16,
            Subwords,
        ),
        (
            "training, base, bf16, sub-words/s",
            "train-gpu",
            BF16,
            BEST_COMPILED,
            Subwords,
        ),
        (
            "training, base, bf16, GB of the GPU",
            "train-gpu",
            BF16,
            BEST_BF16,
            DeviceMemory,
        ),
        (
            "tagging, base, sub-words/s",
            "tag-gpu",
            OURS,
            BATCHED,
            Subwords,
        ),
        (
            "tagging, base, bf16, sub-words/s",
            "tag-gpu",
            BF16,
            BATCHED_BF16,
            Subwords,
        ),
        (
            "tagging, base, bf16, sub-words/s",
            "tag-gpu",
            BF16,
            BATCHED_COMPILED,
            Subwords,
        ),
        (
            "tagging, base, bf16, GB of the GPU",
            "tag-gpu",
            BF16,
            BATCHED_BF16,
            DeviceMemory,
        ),
    ];
    let row = |(work, group, ours, peer, quantity): (&str, &str, _, _, _)| Row {
        work: work.to_owned(),
        group: group.to_owned(),
        ours,
        peer,
        quantity,
        target: None,
    };
    rows.map(row).into()
}
