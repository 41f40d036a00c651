//! `shrink`: a model with the sub-words that texts use, with some of its layers, or with 8-bit weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;
use model_dir::FileSet;
use ner_model::{Precision, StoredModel, WeightSize};
use ner_tagger::Segmentation;
use subword_align::{ShrinkOptions, SubwordCounts, SubwordTokenizer};

use super::distill::texts::{holds_columns, running_texts};
use crate::column_files::{ColumnArguments, InputFormat, TaggedFile};
use crate::hub::HubArguments;
use crate::output::check_dir;
use crate::progress::Progress;
use crate::wording::counted;

/// Words of texts below which most of what a language needs is not among them.
const FEW_WORDS: u64 = 10_000;

/// Make a model smaller: fewer sub-words or layers, 8-bit weights.
///
/// With --text, the sub-words stay that its words are cut into, and what any other text may need: special tokens, single characters and bytes.
/// The words of these texts are cut as before, and a tagger's predictions for them do not change; other words are cut smaller. A model with
/// fewer layers has to be trained again. With --precision int8, weights are stored as the integers that a CPU tags with fastest: a quarter of
/// the file, opened at once. Otherwise weights keep their type (those of a GGUF file become f32), and what config.json says stays.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["text", "layers", "precision"]))]
pub struct Arguments {
    /// Model: a directory, or NAME[@REVISION] of the hub. It need not be fine-tuned.
    #[arg(long)]
    model: String,
    /// Texts whose sub-words are kept: of the language and the kind that the model is to read, and as many as there are.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    text: Vec<PathBuf>,
    /// What the files of --text hold: `text` one text a line, `conll` words as column files give them. By their names where not given, as `predict`
    /// tells column files, JSONL, CSV and TSV; else lines.
    #[arg(long, value_enum)]
    input_format: Option<InputFormat>,
    /// Field or column of the text in JSONL, CSV and TSV.
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,
    /// How running text is cut into words: `unicode` as corpora do, `whitespace`, or `pre-tokenizer` as the tokenizer does.
    #[arg(long, default_value_t = Segmentation::Unicode)]
    words: Segmentation,
    /// Most sub-words to keep, the most frequent ones of the texts first; all that the texts use where not given.
    #[arg(long, value_name = "N", requires = "text")]
    vocab_size: Option<usize>,
    /// Encoder layers to keep, from 0, in ascending order, such as 0,2,4; all where not given.
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    layers: Option<Vec<usize>>,
    /// Store the weights as `int8`: those that `predict --precision int8` computes with, and the word embeddings in 8 bits.
    #[arg(long, value_name = "int8", value_parser = int8)]
    precision: Option<Precision>,
    /// Directory to make.
    #[arg(long, short)]
    output: PathBuf,
    /// Replace a model that lies there; a directory that holds anything else is left alone.
    #[arg(long)]
    overwrite_output_dir: bool,
    #[command(flatten)]
    layout: ColumnArguments,
    #[command(flatten)]
    hub: HubArguments,
}

/// A model and what is said of it.
struct Model {
    stored: StoredModel,
    tokenizer: SubwordTokenizer,
    /// The sub-words of the texts, where there are texts.
    counts: Option<SubwordCounts>,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    check_dir(&arguments.output, arguments.overwrite_output_dir)?;
    check_is_model(&arguments.output)?;
    let dir = arguments.hub.model(&arguments.model, quiet)?;
    let mut model = Model {
        stored: StoredModel::open(&dir)?,
        tokenizer: SubwordTokenizer::from_dir(&dir, None)?,
        counts: None,
    };
    let words = if arguments.text.is_empty() {
        None
    } else {
        Some(arguments.words_of_texts(&model.tokenizer)?)
    };
    if let Some(words) = &words {
        model.counts = Some(count(&model.tokenizer, words)?);
    }
    let before = model.facts();
    let layers = model.stored.config().num_hidden_layers;
    if let Some(words) = &words {
        model = model.with_fewer_subwords(words, arguments.vocab_size)?;
    }
    if let Some(kept) = &arguments.layers {
        model.stored = model.stored.keep_layers(kept)?;
    }
    if arguments.precision.is_some() {
        model.stored = model.stored.quantize()?;
    }
    model.save(&arguments.output)?;

    let progress = Progress::new(quiet);
    progress.say(&format!("saved {}", arguments.output.display()));
    for ((name, before), (_, after)) in before.iter().zip(model.facts()) {
        progress.say(&format!("{name}: {before} -> {after}"));
    }
    let read = words.as_ref().map(|words| words.values().sum::<u64>());
    if let Some(read) = read.filter(|read| *read < FEW_WORDS) {
        progress.say(&format!(
            "note: only {} read: words of other texts are cut into characters; give more text",
            counted(read, "word was", "words were")
        ));
    }
    let left = model.stored.config().num_hidden_layers;
    if left < layers {
        progress.say(&format!(
            "note: {left} of {} left, which have not learnt to work without the others: train the model again (`train`, or `distill --student`) before it is used",
            counted(layers, "layer is", "layers are")
        ));
    }
    Ok(())
}

/// The one precision that weights can be stored in.
fn int8(text: &str) -> Result<Precision, String> {
    match text.parse() {
        Ok(Precision::Int8) => Ok(Precision::Int8),
        _ => Err("weights are stored as int8 or as they are".to_owned()),
    }
}

impl Arguments {
    /// Each word of the texts with how often it stands there.
    fn words_of_texts(&self, tokenizer: &SubwordTokenizer) -> Result<BTreeMap<String, u64>> {
        let mut words = BTreeMap::new();
        let mut add = |word: &str| match words.get_mut(word) {
            Some(times) => *times += 1,
            None => _ = words.insert(word.to_owned(), 1),
        };
        for path in &self.text {
            if holds_columns(path, self.input_format) {
                let file = TaggedFile::read_any(path, &self.layout)?;
                let words = file.sentences.iter().flat_map(|sentence| &sentence.words);
                words.for_each(|word| add(word));
            } else {
                for text in running_texts(path, self.input_format, &self.text_field)? {
                    let text = text?;
                    for place in tokenizer.words(&text, self.words)? {
                        add(&text[place]);
                    }
                }
            }
        }
        let names = self.text.iter().map(|path| path.display().to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        ensure!(!words.is_empty(), "{names}: no word found");
        Ok(words)
    }
}

/// Refuses a directory that holds anything but a model's files: it is going to be replaced as a whole.
fn check_is_model(dir: &Path) -> Result<()> {
    let files = model_dir::files(dir, FileSet::Model);
    let files = files.or_else(|_| model_dir::files(dir, FileSet::Tokenizer))?;
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let name = entry?.file_name();
        ensure!(
            files.iter().any(|file| name == file.as_str()),
            "{} is no part of a model, and would be lost with the directory: choose another --output",
            dir.join(name).display()
        );
    }
    Ok(())
}

fn count(tokenizer: &SubwordTokenizer, words: &BTreeMap<String, u64>) -> Result<SubwordCounts> {
    let words = words.iter().map(|(word, times)| (word.as_str(), *times));
    Ok(SubwordCounts::new(tokenizer, words)?)
}

impl Model {
    /// The same model with the sub-words of the texts, whose words are given.
    fn with_fewer_subwords(
        self,
        words: &BTreeMap<String, u64>,
        vocab_size: Option<usize>,
    ) -> Result<Self> {
        let options = ShrinkOptions {
            vocab_size,
            keep: self.stored.token_ids(),
            unmoved: u32::try_from(self.stored.config().first_position())?,
        };
        let counts = self.counts.unwrap_or_default();
        let shrunk = self.tokenizer.shrink(&counts, &options)?;
        Ok(Self {
            stored: self.stored.keep_subwords(&shrunk.kept)?,
            counts: Some(count(&shrunk.tokenizer, words)?),
            tokenizer: shrunk.tokenizer,
        })
    }

    /// Writes a model directory that is whole or not there.
    fn save(&self, dir: &Path) -> Result<()> {
        model_dir::replace_dir(dir, |new| {
            self.tokenizer.save(new)?;
            Ok(self.stored.save(new)?)
        })
    }

    /// What is said of a model, by name.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let config = self.stored.config();
        let WeightSize { parameters, bytes } = self.stored.size();
        let mut facts = vec![
            ("sub-words", config.vocab_size.to_string()),
            ("layers", config.num_hidden_layers.to_string()),
            ("parameters", parameters.to_string()),
            ("bytes of weights", bytes.to_string()),
        ];
        facts.extend(self.counts.as_ref().map(|counts| {
            let found = counts.subwords_per_word();
            ("sub-words per word", format!("{found:.4}"))
        }));
        facts
    }
}
