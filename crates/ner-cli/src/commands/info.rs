//! `info`: what a model is.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use ner_metrics::TagSet;
use ner_model::{Head, ModelConfig, StoredModel, WeightSize};
use serde_json::{Map, Value, json};
use subword_align::SubwordTokenizer;

use crate::hub::HubArguments;
use crate::output::Output;
use crate::screen::stdout_columns;

/// Bytes that training holds for each parameter in f32: the weight, its gradient and AdamW's two moments.
const TRAINING_BYTES: u64 = 16;
/// Columns that a fact has beside its name, or it stands behind it.
const FACT: usize = 20;
/// Bytes of a parameter in f32.
const F32_BYTES: u64 = 4;

/// Show a model's architecture, size, labels and origin.
///
/// Also its tokenizer, its tagging scheme, and the memory that it takes.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// A directory, or NAME[@REVISION] of the hub.
    #[arg(required_unless_present = "named")]
    model: Option<String>,
    /// The same, as other commands take it.
    #[arg(long = "model", value_name = "MODEL", conflicts_with = "model")]
    named: Option<String>,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    hub: HubArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let model = arguments.model.as_ref().or(arguments.named.as_ref());
    let model = model.context("give a model")?;
    let dir = arguments.hub.model(model, quiet)?;
    let facts = facts(&dir)?;
    let mut output = Output::create(None)?;
    match arguments.format {
        Format::Json => writeln!(output, "{}", serde_json::to_string_pretty(&facts)?)?,
        Format::Text => output.write_text(&to_text(&facts, stdout_columns()))?,
    }
    output.finish()
}

/// What is said of a model, by name.
fn facts(dir: &Path) -> Result<Map<String, Value>> {
    let stored = StoredModel::open(dir)?;
    let tokenizer = SubwordTokenizer::from_dir(dir, None)?;
    let config = stored.config();
    let mut facts = Map::new();
    let mut add = |name: &str, value: Value| {
        facts.insert(name.to_owned(), value);
    };
    add("model", dir.display().to_string().into());
    add("family", serde_json::to_value(config.model_type)?);
    add("layers", config.num_hidden_layers.into());
    add("hidden size", config.hidden_size.into());
    add("attention heads", config.num_attention_heads.into());
    add("feed-forward size", config.intermediate_size.into());
    add("longest sequence", config.usable_positions().into());
    let WeightSize { parameters, bytes } = stored.size();
    add("parameters", parameters.into());
    add(
        "of these word embeddings",
        (config.vocab_size * config.embedding_size()).into(),
    );
    add("bytes of weights", bytes.into());
    add(
        "memory of the weights in f32",
        megabytes(parameters * F32_BYTES),
    );
    add(
        "memory of training in f32, activations apart",
        megabytes(parameters * TRAINING_BYTES),
    );
    describe_labels(config, &mut add)?;
    add("sub-words", tokenizer.vocab_size().into());
    add("word form", tokenizer.word_boundary().name().into());
    let temperature = config.calibration_temperature;
    add(
        "temperature",
        temperature.map_or_else(|| "1 (not calibrated)".into(), Into::into),
    );
    if config.document_context > 0 {
        add(
            "document context, sub-words a side",
            config.document_context.into(),
        );
    }
    let weights = model_dir::weight_file(dir)?;
    let name = weights.file_name().unwrap_or_default().to_string_lossy();
    add("weight file", name.into_owned().into());
    if let Some(source) = source(dir, config) {
        add("made from", source.into());
    }
    Ok(facts)
}

fn describe_labels(config: &ModelConfig, add: &mut impl FnMut(&str, Value)) -> Result<()> {
    if config.has_placeholder_labels() {
        add("labels", "none: this is an encoder to be fine-tuned".into());
        return Ok(());
    }
    let tags = TagSet::new(&config.id2label)?;
    add("labels", json!(config.id2label));
    let scheme = config.tagging_scheme.clone();
    let told = tags
        .scheme()
        .map(|scheme| format!("{} (by its labels' letters)", scheme.name()));
    add(
        "tagging scheme",
        scheme.or(told).unwrap_or_else(|| "none".to_owned()).into(),
    );
    let head = match config.head {
        Head::Linear => "linear",
        Head::Crf => "CRF",
    };
    add("head", head.into());
    Ok(())
}

/// What the model was trained from: the `model` of its settings, or the name that `transformers` keeps.
fn source(dir: &Path, config: &ModelConfig) -> Option<String> {
    let settings = fs::read_to_string(dir.join("settings.toml")).ok();
    let settings = settings.and_then(|text| text.parse::<toml::Table>().ok());
    let of_settings = settings
        .as_ref()
        .and_then(|table| table.get("model")?.as_str());
    let of_config = config.extra.get("_name_or_path").and_then(Value::as_str);
    let name = of_settings.or(of_config)?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn megabytes(bytes: u64) -> Value {
    format!("{} MB", bytes.div_ceil(1_000_000)).into()
}

/// The facts below each other, in a terminal of few columns without a column of their own.
fn to_text(facts: &Map<String, Value>, columns: Option<usize>) -> String {
    let width = facts.keys().map(String::len).max().unwrap_or(0);
    let is_narrow = columns.is_some_and(|columns| columns < width + FACT);
    let value = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let values = values.iter().filter_map(Value::as_str);
            values.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    facts
        .iter()
        .map(|(name, fact)| match is_narrow {
            true => format!("{name}: {}\n", value(fact)),
            false => format!("{name:<width$}  {}\n", value(fact)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_have_a_column_of_their_own_where_there_is_room() {
        let facts = Map::from_iter([
            ("layers".to_owned(), json!(4)),
            ("labels".to_owned(), json!(["B-LOC", "O"])),
            ("attention heads".to_owned(), json!(8)),
        ]);
        let wide = "layers           4\nlabels           B-LOC O\nattention heads  8\n";
        for columns in [None, Some(80), Some(15 + FACT)] {
            assert_eq!(to_text(&facts, columns), wide);
        }
        assert_eq!(
            to_text(&facts, Some(14 + FACT)),
            "layers: 4\nlabels: B-LOC O\nattention heads: 8\n"
        );
    }
}
