//! A trained model at work.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use clap::Args;
use ner_model::{DeviceChoice, ModelConfig, Precision, TokenClassifier};
use ner_train::{
    DecodeSettings, Decoding, Featurizer, Sentence, Wanted, WordTag, batch_tokens, find_entities,
    score_texts, tag,
};
use subword_align::{Aggregation, EntitySpan, SubwordTokenizer};

/// How a trained model is run.
#[derive(Clone, Debug, Args)]
pub struct InferenceArguments {
    /// Longest sequence of sub-words, special tokens included; the model's limit where not given.
    #[arg(long)]
    max_length: Option<usize>,
    /// Sub-words of the neighbouring sentences of its document to put on each side of a column file's sentence, as far as --max-length leaves
    /// room; what the model was trained with where not given. A plain text stands alone.
    #[arg(long, value_name = "N")]
    document_context: Option<usize>,
    /// Sub-words of a forward pass, about, each sequence counted as long as the longest. As suits the device where not given.
    #[arg(long)]
    batch_tokens: Option<usize>,
    /// auto, cuda, cuda:N, flex or ndarray.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// `int8` computes linear layers with integers, inputs of 8 bits and weights of 6: faster on a CPU, in no less memory, scores a little off.
    /// `bf16` is for GPUs.
    #[arg(long, default_value_t = Precision::F32)]
    precision: Precision,
    #[command(flatten)]
    decoding: DecodeSettings,
}

/// A model with its tokenizer, ready to tag.
pub struct Tagger {
    model: TokenClassifier,
    tokenizer: SubwordTokenizer,
    decoding: Decoding,
    max_length: usize,
    document_context: usize,
    batch_tokens: usize,
}

impl Tagger {
    /// Loads a fine-tuned model.
    pub fn load(dir: &Path, arguments: &InferenceArguments) -> Result<Self> {
        let tokenizer = SubwordTokenizer::from_dir(dir, None)?;
        let config = ModelConfig::from_dir(dir)?;
        let (model, loaded) = TokenClassifier::load(dir, &config, &arguments.device.open()?, 0)?;
        let no_crf = loaded
            .new_crf
            .then(|| "config.json asks for a CRF that the weights do not have".to_owned());
        if let Some(reason) = loaded.new_classifier.or(no_crf) {
            bail!(
                "{}: {reason}; fine-tune the model first, with `ner-cli train`",
                dir.display()
            );
        }
        let decoding = arguments.decoding.decoding(&model)?;
        let usable = config.usable_positions();
        let max_length = arguments.max_length.unwrap_or(usable);
        ensure!(
            max_length <= usable,
            "--max-length {max_length} is more than the model's {usable} positions"
        );
        let model = model.with_precision(arguments.precision)?;
        Ok(Self {
            batch_tokens: arguments.batch_tokens.unwrap_or(batch_tokens(&model)),
            model,
            tokenizer,
            decoding,
            max_length,
            document_context: arguments
                .document_context
                .unwrap_or(config.document_context),
        })
    }

    /// Tags of sentences given as words, each in the context of its document.
    pub fn tag(
        &self,
        sentences: &[Sentence],
        progress: impl Fn(usize),
    ) -> Result<Vec<Vec<WordTag>>> {
        let featurizer = Featurizer::new(&self.tokenizer, self.max_length)?
            .with_document_context(self.document_context);
        Ok(tag(
            &self.model,
            &featurizer,
            sentences,
            &self.decoding,
            self.batch_tokens,
            |done, _| progress(done),
        )?)
    }

    /// Entities of running text.
    pub fn entities(
        &self,
        texts: &[String],
        aggregation: Aggregation,
    ) -> Result<Vec<Vec<EntitySpan>>> {
        Ok(find_entities(
            &self.model,
            &self.tokenizer,
            texts,
            aggregation,
            &self.decoding,
            self.max_length,
            self.batch_tokens,
        )?)
    }

    /// The words that the tokenizer's pre-tokenizer sees in texts, with the tag of each one's first sub-word.
    pub fn words(&self, texts: &[String]) -> Result<Vec<Vec<(String, String)>>> {
        let labels = &self.model.config().id2label;
        let mut scored = score_texts(
            &self.model,
            &self.tokenizer,
            texts,
            Wanted::Words,
            self.max_length,
            self.batch_tokens,
        )?;
        scored
            .iter_mut()
            .for_each(|text| text.constrain(&self.decoding, labels.len()));
        let words = scored.iter().zip(texts).map(|(scored, text)| {
            let starts = scored.encoded.word_starts();
            let word = |bounds: &[usize]| {
                let (start, end) = (
                    scored.encoded.byte_offsets[bounds[0]].0,
                    scored.encoded.byte_offsets[bounds[1] - 1].1,
                );
                let row =
                    &scored.probabilities[bounds[0] * labels.len()..(bounds[0] + 1) * labels.len()];
                let best =
                    (1..row.len()).fold(
                        0,
                        |best, label| if row[label] > row[best] { label } else { best },
                    );
                (text[start..end].to_owned(), labels[best].clone())
            };
            starts
                .windows(2)
                .map(word)
                .filter(|(word, _)| !word.trim().is_empty())
                .collect()
        });
        Ok(words.collect())
    }
}
