//! What is measured: works, and who does them.

use std::path::Path;

use super::Folder;

/// Works whose sides are compared.
pub struct Group {
    pub name: &'static str,
    /// `base`, `small` or [`GIVEN`].
    pub model: &'static str,
    pub sides: &'static [Side],
}

/// The model that the caller gives, which is a trained one.
pub const GIVEN: &str = "given";

pub const TAG_GIVEN: &str = "tag-given";

/// What the processor can do at the most.
pub const REGISTERS: &str = "registers";

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

    /// Whether it failed because the processor lacks instructions that not every one has.
    pub fn lacks_instructions(&self, error: &anyhow::Error) -> bool {
        let needs_them = self.name == BF16 || self.arguments.first() == Some(&"registers");
        needs_them && format!("{error:#}").contains("AVX512")
    }

    /// Whether a score belongs to it in a group that has one: the pipeline computes as PyTorch in batches does.
    pub fn is_scored(&self, group: &Group) -> bool {
        group.name == TAG_GIVEN && self.name != PIPELINE
    }

    /// Of one run of it, which ends with the tags for a score where one is wanted.
    pub fn arguments(
        &self,
        group: &Group,
        folder: &Folder,
        data_dir: &Path,
        scores: bool,
    ) -> Vec<String> {
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
        let mut arguments: Vec<String> = self.arguments.iter().map(resolve).collect();
        if scores {
            let (scored, predictions) = (folder.path(SCORED), folder.path(PREDICTIONS));
            let more = ["--scored", &scored, "--predictions", &predictions];
            arguments.extend(more.map(str::to_owned));
        }
        arguments
    }
}

/// The sentences that a score is of: all of esp.testb.
pub const SCORED: &str = "given.test.all";
/// Where each side of a group that is scored writes the tags of their words.
pub const PREDICTIONS: &str = "predictions";

pub const OURS: &str = "ours";
pub const INT8: &str = "ours, --precision int8";
pub const TUTORIAL: &str = "PyTorch, rows padded to 128";
pub const BEST: &str = "PyTorch at its best";
pub const PIPELINE: &str = "pipeline('ner'), text by text";
pub const BATCHED: &str = "PyTorch, sorted batches of 32";
pub const ONNX: &str = "ONNX Runtime, sorted batches";
pub const SCRIPT: &str = "the Python script";
pub const SEQEVAL: &str = "seqeval";
pub const BF16: &str = "ours, --precision bf16";
pub const BEST_BF16: &str = "PyTorch at its best, autocast to bf16";
pub const BATCHED_BF16: &str = "PyTorch, sorted batches of 32, autocast to bf16";
pub const BEST_COMPILED: &str = "PyTorch at its best, bf16 and torch.compile";
pub const BATCHED_COMPILED: &str = "PyTorch, sorted batches of 32, bf16 and torch.compile";
pub const ONNX_FUSED: &str = "ONNX Runtime, fused for transformers";
pub const ONNX_INT8: &str = "ONNX Runtime, fused, int8";
pub const OPENVINO: &str = "OpenVINO";
pub const OPENVINO_BF16: &str = "OpenVINO, bf16";
pub const OPENVINO_INT8: &str = "OpenVINO, int8";

pub const TEXT: &str = "El presidente del Banco de Lima , Juan Paz , viaja hoy a Madrid .";

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
    ours(
        BF16,
        on_model!("train", "{model.train}", "--precision", "bf16"),
    ),
    peer(
        BEST_BF16,
        on_model!("train", "{model.train}", "--precision", "bf16"),
    ),
    peer(
        BEST_COMPILED,
        on_model!(
            "train",
            "{model.train}",
            "--precision",
            "bf16",
            "--compile",
            "--warm-up"
        ),
    ),
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
        on_model!(
            "onnx",
            "{model.test}",
            "--onnx",
            "{model.onnx}",
            "--warm-up"
        ),
    ),
    peer(
        ONNX_FUSED,
        on_model!(
            "onnx",
            "{model.test}",
            "--onnx",
            "{model.fused.onnx}",
            "--warm-up"
        ),
    ),
    peer(OPENVINO, on_model!("openvino", "{model.test}", "--warm-up")),
    ours(
        BF16,
        on_model!("tag", "{model.test}", "--precision", "bf16"),
    ),
    peer(
        BATCHED_BF16,
        on_model!("batched", "{model.test}", "--precision", "bf16"),
    ),
    peer(
        BATCHED_COMPILED,
        on_model!(
            "batched",
            "{model.test}",
            "--precision",
            "bf16",
            "--compile",
            "--warm-up"
        ),
    ),
    peer(
        OPENVINO_BF16,
        on_model!(
            "openvino",
            "{model.test}",
            "--precision",
            "bf16",
            "--warm-up"
        ),
    ),
    peer(
        ONNX_INT8,
        on_model!(
            "onnx",
            "{model.test}",
            "--onnx",
            "{model.int8.onnx}",
            "--warm-up"
        ),
    ),
    peer(
        OPENVINO_INT8,
        on_model!(
            "openvino",
            "{model.test}",
            "--precision",
            "int8",
            "--calibration",
            "{data}/esp.train",
            "--warm-up"
        ),
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
        name: "train-given",
        model: GIVEN,
        sides: TRAINING,
    },
    Group {
        name: TAG_GIVEN,
        model: GIVEN,
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
        name: REGISTERS,
        model: "small",
        sides: &[
            ours(OURS, &["registers", "--precision", "f32"]),
            ours(BF16, &["registers", "--precision", "bf16"]),
            ours(INT8, &["registers", "--precision", "int8"]),
        ],
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
            peer(
                BEST_COMPILED,
                on_model!("train", "{model.train}", "--precision", "bf16", "--compile"),
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
            peer(
                BATCHED_COMPILED,
                on_model!(
                    "batched",
                    "{model.test}",
                    "--precision",
                    "bf16",
                    "--compile"
                ),
            ),
        ],
    },
];
