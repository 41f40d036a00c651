//! The flags with which a trained model is run.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use ner_model::{DeviceChoice, Precision, TokenClassifier};
use ner_tagger::{MinScores, Segmentation, Tagger};
use ner_train::DecodeSettings;

use crate::hub::check_is_model;
use crate::progress::Progress;

/// How a trained model is run.
#[derive(Clone, Debug, Args)]
pub struct InferenceArguments {
    /// Longest sequence of sub-words, special tokens included; the model's limit where not given.
    #[arg(long)]
    max_length: Option<usize>,
    /// Sub-words of the neighboring sentences of its document to put on each side of a column file's sentence, as far as --max-length leaves
    /// room; what the model was trained with where not given. A plain text stands alone.
    #[arg(long, value_name = "N")]
    document_context: Option<usize>,
    /// Sub-words of a forward pass, about, each sequence counted as long as the longest. As suits the device where not given.
    #[arg(long)]
    batch_tokens: Option<usize>,
    /// auto, cuda, cuda:N, cpu or ndarray.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// `int8` computes linear layers with integers, inputs and weights of 8 bits (with AVX2 alone, weights of 6): faster on a CPU, in no less memory, scores a little off.
    /// `bf16` multiplies in 16 bits, on a GPU or a processor with AVX512-BF16. `auto` is int8 on a CPU and bf16 on a GPU, the fastest there.
    /// `f32` where not given, but int8 on a CPU for a model that is stored so.
    #[arg(long)]
    precision: Option<Precision>,
    /// How running text is cut into words: `unicode` as corpora do, `whitespace`, or `pre-tokenizer` as the tokenizer does.
    #[arg(long, default_value_t = Segmentation::Unicode)]
    words: Segmentation,
    /// Leave out entities with a lower score: a number for all, or one for each type, as in `PER=0.9,ORG=0.8`. `calibrate` makes scores that can be
    /// trusted and shows what each threshold keeps.
    #[arg(long, value_name = "SCORE", default_value_t)]
    min_score: MinScores,
    #[command(flatten)]
    decoding: DecodeSettings,
}

/// What to say of a model that keeps a GPU waiting, if it does.
pub fn slow_start(model: &TokenClassifier) -> Option<&'static str> {
    model.tunes_kernels().then_some(
        "note: this model computes by Burn's operations here, whose kernels are tuned for minutes when a shape first occurs: libcublasLt.so is not on \
         the loader's path, or the model has sizes that the fused kernels lack (docs/cuda.md)",
    )
}

impl InferenceArguments {
    /// Longest sequence of sub-words that was asked for.
    pub fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    /// Loads a fine-tuned model.
    pub fn load(&self, dir: &Path, quiet: bool) -> Result<Tagger> {
        check_is_model(dir)?;
        let mut builder = Tagger::builder();
        if let Some(precision) = self.precision {
            builder = builder.precision(precision);
        }
        let builder = builder
            .device(self.device)
            .decode(self.decoding.decode)
            .scheme(self.decoding.decode_scheme)
            .segmentation(self.words)
            .max_length(self.max_length)
            .document_context(self.document_context)
            .batch_tokens(self.batch_tokens)
            .min_scores(self.min_score.clone());
        let tagger = builder.from_dir(dir)?;
        let progress = Progress::new(quiet);
        if let Some(note) = slow_start(tagger.model()) {
            progress.say(note);
        }
        if self.precision == Some(Precision::Auto) {
            let precision = Precision::Auto.resolve(&tagger.model().device());
            progress.say(&format!(
                "precision {precision}, the fastest here; `--precision f32` computes as the model was trained"
            ));
        }
        Ok(tagger)
    }
}
