//! What the tables compare.

use super::super::groups::{
    BATCHED, BATCHED_BF16, BEST, BEST_BF16, BF16, INT8, ONNX, OURS, PIPELINE, SCRIPT, SEQEVAL,
    TUTORIAL,
};

/// What the quotient of two sides is taken of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Things done a second: more is better.
    Rate,
    /// Sub-words read a second: more is better.
    SubWords,
    /// Seconds from the start of a process to its end: less is better.
    Seconds,
    /// Peak resident memory: less is better.
    Memory,
}

pub(super) struct Row {
    pub work: &'static str,
    pub group: &'static str,
    pub ours: &'static str,
    pub peer: &'static str,
    pub quantity: Quantity,
    /// What the quotient should be; nothing where it is only to be known.
    pub target: Option<f64>,
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

pub(super) const ROWS: &[Row] = &[
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

pub(super) const GPU_ROWS: &[Row] = &[
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
