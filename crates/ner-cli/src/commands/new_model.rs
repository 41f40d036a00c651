//! `new-model`: a model with random weights and a tokenizer trained on the user's text.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use ner_model::{DeviceChoice, EncoderSizes, ModelConfig, ModelType, TokenClassifier};
use ner_tagger::PretokenizedSentence;
use serde_json::{Value, json};
use subword_align::{SubwordTokenizer, WordBoundary};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, Model, Tokenizer};

use crate::column_files::{ColumnArguments, TaggedFile, sorted_tags};
use crate::output::{check_dir, make_dir, write_file};
use crate::progress::Progress;
use crate::wording::counted;

/// Longest sequence that a new model takes, special tokens included.
const POSITIONS: usize = 512;

/// Make a model with random weights and a new tokenizer.
///
/// The tokenizer is trained on a column file.
///
/// `transformers` opens the directory with `AutoModelForTokenClassification.from_pretrained`.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    #[command(flatten)]
    sizes: Sizes,
    /// Column file whose words train the tokenizer and whose tags become the labels.
    #[arg(long)]
    train: PathBuf,
    /// Directory to make.
    #[arg(long, short)]
    output: PathBuf,
    /// Decides the weights.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Write into a directory that is not empty.
    #[arg(long)]
    overwrite_output_dir: bool,
    #[command(flatten)]
    layout: ColumnArguments,
}

/// What tells one new model from another.
#[derive(Clone, Copy, Debug, PartialEq, Args)]
pub struct Sizes {
    /// Family of the encoder and of the tokenizer: byte-level BPE or WordPiece.
    #[arg(long, value_enum, default_value_t = Self::default().kind)]
    pub kind: Kind,
    /// Encoder layers.
    #[arg(long, default_value_t = Self::default().layers)]
    pub layers: usize,
    /// Width of the encoder.
    #[arg(long, default_value_t = Self::default().hidden)]
    pub hidden: usize,
    /// Attention heads a layer; 4 where not given, or for a student that begins with its teacher's layers as many of the teacher's as its width
    /// holds.
    #[arg(long)]
    pub heads: Option<usize>,
    /// Width of the feed-forward layers.
    #[arg(long, default_value_t = Self::default().intermediate)]
    pub intermediate: usize,
    /// Sub-words of the tokenizer, special tokens included.
    #[arg(long, default_value_t = Self::default().vocab_size)]
    pub vocab_size: usize,
    /// Dropout of hidden states and attention probabilities.
    #[arg(long, default_value_t = Self::default().dropout)]
    pub dropout: f64,
    /// Standard deviation of the random weights; small models that are trained from nothing learn sooner with more.
    #[arg(long, default_value_t = Self::default().initializer_range)]
    pub initializer_range: f64,
    /// Begin with sinusoids of this amplitude as position embeddings instead of random ones.
    #[arg(long)]
    pub sinusoidal_positions: Option<f64>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            kind: Kind::Roberta,
            layers: 4,
            hidden: 256,
            heads: None,
            intermediate: 1024,
            vocab_size: 8000,
            dropout: 0.1,
            initializer_range: 0.02,
            sinusoidal_positions: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Roberta,
    Bert,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let sizes = arguments.sizes;
    sizes.check()?;
    let file = TaggedFile::read(&arguments.train, &arguments.layout)?;
    check_dir(&arguments.output, arguments.overwrite_output_dir)?;
    let model = NewModel::prepare(sizes, &file.sentences, sorted_tags([&file]))?;
    make_dir(&arguments.output)?;
    model.write(&arguments.output, arguments.seed)?;
    let progress = Progress::new(quiet);
    progress.say(&format!("{}: {model}", arguments.output.display()));
    if model.config.vocab_size > sizes.vocab_size {
        progress.say(&format!(
            "note: more sub-words than --vocab-size {}: the special tokens and the single bytes or characters are always among them",
            sizes.vocab_size
        ));
    }
    Ok(())
}

impl Sizes {
    /// Attention heads of random layers.
    fn heads(&self) -> usize {
        self.heads.unwrap_or(4)
    }

    /// Refuses sizes that no model can have.
    pub fn check(&self) -> Result<()> {
        let heads = self.heads();
        ensure!(
            heads > 0 && self.hidden.is_multiple_of(heads),
            "--hidden {} is not a multiple of --heads {heads}",
            self.hidden,
        );
        ensure!(
            (0.0..1.0).contains(&self.dropout),
            "--dropout {} is no probability below 1",
            self.dropout
        );
        Ok(())
    }

    /// The configuration of a model of these sizes.
    ///
    /// # Errors
    /// Sizes that no model can have, or that this system has no room for.
    pub fn config(
        &self,
        model_type: ModelType,
        vocab_size: usize,
        labels: Vec<String>,
    ) -> Result<ModelConfig> {
        self.check()?;
        let encoder = EncoderSizes {
            vocab_size,
            hidden_size: self.hidden,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads(),
            intermediate_size: self.intermediate,
            usable_positions: POSITIONS,
        };
        let mut config = ModelConfig::new(model_type, &encoder, labels);
        config.initializer_range = self.initializer_range;
        config.hidden_dropout_prob = self.dropout;
        config.attention_probs_dropout_prob = self.dropout;
        config.check_new_weights().context(
            "no model can be made of these --layers, --hidden, --heads and --intermediate",
        )?;
        Ok(config)
    }

    /// Random weights.
    pub fn weights(&self, config: &ModelConfig, seed: u64) -> Result<TokenClassifier> {
        let device = DeviceChoice::Flex.open()?; // weights are drawn on the CPU, so that a seed means the same everywhere
        let model = TokenClassifier::init(config, &device, seed);
        Ok(match self.sinusoidal_positions {
            Some(amplitude) => model.with_sinusoidal_positions(amplitude),
            None => model,
        })
    }
}

/// A model that is about to be: its tokenizer, which has been trained, and its configuration.
pub struct NewModel {
    sizes: Sizes,
    tokenizer: Tokenizer,
    config: ModelConfig,
}

impl NewModel {
    /// Trains the tokenizer on the words of sentences. Nothing is written yet.
    ///
    /// # Errors
    /// Sizes that no model can have, or that this system has no room for.
    pub fn prepare(
        sizes: Sizes,
        sentences: &[PretokenizedSentence],
        labels: Vec<String>,
    ) -> Result<Self> {
        sizes.check()?;
        let lines: Vec<String> = sentences
            .iter()
            .map(|sentence| sentence.words.join(" "))
            .collect();
        let vocab_size = sizes.vocab_size.min(largest_vocabulary(&lines));
        let tokenizer = match sizes.kind {
            Kind::Roberta => byte_level_bpe(&lines, vocab_size),
            Kind::Bert => word_piece(&lines, vocab_size),
        };
        let tokenizer = tokenizer.map_err(|e| anyhow!("cannot train the tokenizer: {e}"))?;
        let config = config(&sizes, &tokenizer, labels)?;
        Ok(Self {
            sizes,
            tokenizer,
            config,
        })
    }

    /// Draws the weights and writes the model's directory.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, dir: &Path, seed: u64) -> Result<()> {
        save_tokenizer(&self.tokenizer, self.sizes.kind, dir)?;
        Ok(self.sizes.weights(&self.config, seed)?.save(dir)?)
    }
}

/// Its sizes, such as `4 layers of 256, 8000 sub-words, labels B-LOC O`.
impl fmt::Display for NewModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ModelConfig {
            num_hidden_layers,
            hidden_size,
            vocab_size,
            id2label,
            ..
        } = &self.config;
        write!(
            f,
            "{} of {hidden_size}, {}, labels {}",
            counted(*num_hidden_layers, "layer", "layers"),
            counted(*vocab_size, "sub-word", "sub-words"),
            id2label.join(" ")
        )
    }
}

/// More sub-words than a text can give: its characters, each in two forms, their joins, and what is there without a text. The trainers make room
/// for as many as they are asked for.
fn largest_vocabulary(lines: &[String]) -> usize {
    const WITHOUT_TEXT: usize = 1000; // bytes and special tokens
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    WITHOUT_TEXT + 3 * bytes
}

fn config(sizes: &Sizes, tokenizer: &Tokenizer, labels: Vec<String>) -> Result<ModelConfig> {
    let model_type = match sizes.kind {
        Kind::Roberta => ModelType::Roberta,
        Kind::Bert => ModelType::Bert,
    };
    let mut config = sizes.config(model_type, tokenizer.get_vocab_size(true), labels)?;
    if sizes.kind == Kind::Roberta {
        for (field, token) in [("bos_token_id", "<s>"), ("eos_token_id", "</s>")] {
            config
                .extra
                .insert(field.to_owned(), json!(tokenizer.token_to_id(token)));
        }
    }
    Ok(config)
}

/// RoBERTa's tokenizer (Radford et al. 2019; `RobertaTokenizerFast`), every word with its leading space.
fn byte_level_bpe(lines: &[String], vocab_size: usize) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::default().add_prefix_space(true)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    let trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special_tokens(&["<s>", "<pad>", "</s>", "<unk>", "<mask>"]))
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut TrainerWrapper::from(trainer), lines.iter())?;
    let id = |token: &str| {
        (
            token.to_owned(),
            tokenizer.token_to_id(token).unwrap_or_default(),
        )
    };
    let processor = RobertaProcessing::new(id("</s>"), id("<s>"))
        .trim_offsets(true)
        .add_prefix_space(true);
    tokenizer.with_post_processor(Some(processor));
    Ok(tokenizer)
}

/// BERT's cased tokenizer (Devlin et al. 2018; `BertTokenizerFast`).
fn word_piece(lines: &[String], vocab_size: usize) -> tokenizers::Result<Tokenizer> {
    let model = WordPiece::builder().unk_token("[UNK]".to_owned()).build()?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(BertNormalizer::new(true, true, Some(false), false)))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()));
    let trainer = WordPieceTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special_tokens(&[
            "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
        ]))
        .build();
    tokenizer.train(&mut TrainerWrapper::from(trainer), lines.iter())?;
    let id = |token: &str| {
        (
            token.to_owned(),
            tokenizer.token_to_id(token).unwrap_or_default(),
        )
    };
    let processor = BertProcessing::new(id("[SEP]"), id("[CLS]"));
    tokenizer.with_post_processor(Some(processor));
    Ok(tokenizer)
}

fn special_tokens(tokens: &[&str]) -> Vec<AddedToken> {
    tokens
        .iter()
        .map(|&token| AddedToken::from(token, true).lstrip(token == "<mask>"))
        .collect()
}

/// Writes `tokenizer.json`, the vocabulary files and what `transformers` wants beside them.
fn save_tokenizer(tokenizer: &Tokenizer, kind: Kind, dir: &Path) -> Result<()> {
    tokenizer
        .get_model()
        .save(dir, None)
        .map_err(|e| anyhow!("{}: {e}", dir.display()))?;
    let path = dir.join("tokenizer.json");
    tokenizer
        .save(&path, true)
        .map_err(|e| anyhow!("{}: {e}", path.display()))?;
    let special: Value = match kind {
        Kind::Roberta => json!({
            "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>",
            "cls_token": "<s>", "mask_token": "<mask>",
        }),
        Kind::Bert => json!({
            "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
        }),
    };
    let mut settings = special.clone();
    let extra = match kind {
        Kind::Roberta => json!({"tokenizer_class": "RobertaTokenizer", "add_prefix_space": true}),
        Kind::Bert => json!({"tokenizer_class": "BertTokenizer", "do_lower_case": false}),
    };
    for (key, value) in extra.as_object().into_iter().flatten() {
        settings[key] = value.clone();
    }
    settings["model_max_length"] = json!(POSITIONS);
    for (name, value) in [
        ("special_tokens_map.json", &special),
        ("tokenizer_config.json", &settings),
    ] {
        let text = serde_json::to_string_pretty(value).context("tokenizer settings")?;
        write_file(&dir.join(name), &(text + "\n"))?;
    }
    // Read it back as any command will, and keep the default way of giving words to it.
    SubwordTokenizer::from_dir(dir, Some(WordBoundary::default()))?.save(dir)?;
    Ok(())
}
