//! `predict`: entities in text.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use ner_metrics::Mode;
use ner_train::WordTag;
use serde_json::{Map, Value, json};
use subword_align::{Aggregation, EntitySpan};

use crate::data::{Layout, TaggedFile};
use crate::hub::HubArguments;
use crate::output::Output;
use crate::tagger::{InferenceArguments, Tagger};

/// Find the entities in texts: the arguments, else the lines of --input, else those of stdin.
///
/// Nothing is cut off: a text longer than the model is read in overlapping windows. Each text stands alone; the sentences of a column file
/// have the document context that the model was trained with. Offsets count Unicode code points.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Texts.
    texts: Vec<String>,
    /// Model: a directory, or NAME[@REVISION] of the hub.
    #[arg(long)]
    model: String,
    /// File to read, one text a line; `-` is stdin.
    #[arg(long, conflicts_with = "texts")]
    input: Option<PathBuf>,
    /// `conll` takes words as a column file gives them.
    #[arg(long, value_enum, default_value_t = InputFormat::Text)]
    input_format: InputFormat,
    /// Form of the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// How sub-words become entities: word, or one of pipeline('ner')'s none, simple, first, average, max. With other than `word`, label
    /// sequences are not decoded: neither `--decode` nor a CRF acts.
    #[arg(long, default_value = "word")]
    aggregation: Aggregation,
    /// File to write instead of stdout.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Texts of a file or of a pipe to take before the first is answered. Every 256 of them pass through the model sorted by length, while the
    /// next ones are tokenized.
    #[arg(long, default_value_t = 1024)]
    batch_size: usize,
    #[command(flatten)]
    inference: InferenceArguments,
    #[command(flatten)]
    layout: Layout,
    #[command(flatten)]
    hub: HubArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    Text,
    Conll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Jsonl,
    Conll,
    Csv,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let dir = arguments.hub.model(&arguments.model, quiet)?;
    let tagger = Tagger::load(&dir, &arguments.inference)?;
    let mut writer = Writer::new(arguments)?;
    if arguments.input_format == InputFormat::Conll {
        let path = arguments
            .input
            .as_deref()
            .context("--input-format conll needs --input FILE")?;
        let file = TaggedFile::read_any(path, &arguments.layout)?;
        let tagged = tagger.tag(&file.sentences, |_| {})?;
        for (sentence, tags) in file.sentences.iter().zip(&tagged) {
            writer.write_words(&sentence.words, tags)?;
        }
        return writer.output.finish();
    }
    if arguments.texts.is_empty() {
        let reader: Box<dyn BufRead> = match arguments
            .input
            .as_deref()
            .filter(|path| *path != Path::new("-"))
        {
            Some(path) => Box::new(io::BufReader::new(
                std::fs::File::open(path).with_context(|| path.display().to_string())?,
            )),
            None => Box::new(io::stdin().lock()),
        };
        // Somebody who types wants an answer to each line.
        let typed = arguments.input.is_none() && io::stdin().is_terminal();
        let batch_size = if typed {
            1
        } else {
            arguments.batch_size.max(1)
        };
        let mut texts = Vec::with_capacity(batch_size);
        for (number, line) in reader.lines().enumerate() {
            texts.push(line.with_context(|| format!("line {} of the input", number + 1))?);
            if texts.len() == batch_size {
                write_texts(&tagger, &mut writer, arguments, &texts)?;
                texts.clear();
            }
        }
        write_texts(&tagger, &mut writer, arguments, &texts)?;
    } else {
        write_texts(&tagger, &mut writer, arguments, &arguments.texts)?;
    }
    writer.output.finish()
}

fn write_texts(
    tagger: &Tagger,
    writer: &mut Writer,
    arguments: &Arguments,
    texts: &[String],
) -> Result<()> {
    if arguments.format == Format::Conll {
        for words in tagger.words(texts)? {
            for (word, tag) in words {
                // A column file cannot hold white space inside a word.
                writeln!(
                    writer.output,
                    "{} {tag}",
                    word.split_ascii_whitespace().collect::<Vec<_>>().join("_")
                )?;
            }
            writeln!(writer.output)?;
        }
    } else {
        let found = tagger.entities(texts, arguments.aggregation)?;
        for (text, entities) in texts.iter().zip(found) {
            writer.write_entities(text, &entities)?;
        }
    }
    writer.output.flush().map_err(Into::into)
}

/// Writes results in the form asked for.
struct Writer {
    output: Output,
    format: Format,
    /// Name of the field that holds an entity's type or label.
    entity_field: &'static str,
    colored: bool,
    texts: usize,
}

impl Writer {
    fn new(arguments: &Arguments) -> Result<Self> {
        let mut output = Output::create(arguments.output.as_deref())?;
        let entity_field = if arguments.aggregation == Aggregation::None {
            "entity"
        } else {
            "entity_group"
        };
        if arguments.format == Format::Csv {
            writeln!(output, "text,{entity_field},score,word,start,end")?;
        }
        let on_terminal = arguments.output.is_none() && io::stdout().is_terminal();
        let colored = on_terminal && std::env::var_os("NO_COLOR").is_none();
        Ok(Self {
            output,
            format: arguments.format,
            entity_field,
            colored,
            texts: 0,
        })
    }

    fn write_entities(&mut self, text: &str, entities: &[EntitySpan]) -> Result<()> {
        self.texts += 1;
        match self.format {
            Format::Jsonl => {
                let entities: Vec<Value> =
                    entities.iter().map(|entity| self.json(entity)).collect();
                writeln!(
                    self.output,
                    "{}",
                    json!({"text": text, "entities": entities})
                )?;
            }
            Format::Csv => {
                let mut rows = csv::WriterBuilder::new()
                    .has_headers(false)
                    .from_writer(&mut self.output);
                for e in entities {
                    rows.serialize((self.texts, &e.entity, e.score, &e.word, e.start, e.end))?;
                }
                rows.flush()?;
            }
            Format::Text | Format::Conll => {
                let marked = marked(text, entities, self.colored);
                writeln!(self.output, "{marked}")?;
            }
        }
        Ok(())
    }

    fn json(&self, entity: &EntitySpan) -> Value {
        let mut fields = Map::new();
        fields.insert(self.entity_field.to_owned(), json!(entity.entity));
        fields.insert("score".to_owned(), json!(entity.score));
        if let Some(index) = entity.index {
            fields.insert("index".to_owned(), json!(index));
        }
        fields.insert("word".to_owned(), json!(entity.word));
        fields.insert("start".to_owned(), json!(entity.start));
        fields.insert("end".to_owned(), json!(entity.end));
        Value::Object(fields)
    }

    /// Pre-split words: as a column file, or as a text with one space between words.
    fn write_words(&mut self, words: &[String], tags: &[WordTag]) -> Result<()> {
        if self.format == Format::Conll {
            for (word, tag) in words.iter().zip(tags) {
                writeln!(self.output, "{word} {}", tag.tag)?;
            }
            writeln!(self.output)?;
            return Ok(());
        }
        let text = words.join(" ");
        let mut starts = Vec::with_capacity(words.len());
        let mut at = 0;
        for word in words {
            starts.push(at);
            at += word.chars().count() + 1;
        }
        let names: Vec<&str> = tags.iter().map(|tag| tag.tag.as_str()).collect();
        let entities: Vec<EntitySpan> = Mode::Default
            .entities(&names)?
            .into_iter()
            .map(|entity| {
                let words = &words[entity.start..entity.end];
                let scores = tags[entity.start..entity.end].iter().map(|tag| tag.score);
                let word = words.join(" ");
                let start = starts[entity.start];
                EntitySpan {
                    entity: entity.entity_type.to_owned(),
                    score: scores.sum::<f32>() / words.len() as f32,
                    end: start + word.chars().count(),
                    word,
                    start,
                    index: None,
                }
            })
            .collect();
        self.write_entities(&text, &entities)
    }
}

/// The text with its entities marked: colored with their type behind them, or `[PER Ana]` where there is no color.
fn marked(text: &str, entities: &[EntitySpan], colored: bool) -> String {
    const PALETTE: [u8; 6] = [32, 34, 35, 36, 33, 31]; // foreground colors of ANSI X3.64
    let bytes: Vec<usize> = text
        .char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .collect();
    let mut marked = String::with_capacity(text.len() + entities.len() * 16);
    let mut done = 0;
    for entity in entities {
        let (start, end) = (bytes[entity.start], bytes[entity.end]);
        marked.push_str(&text[done..start]);
        if colored {
            let color = match entity.entity.rsplit('-').next().unwrap_or_default() {
                "PER" => PALETTE[0],
                "LOC" => PALETTE[1],
                "ORG" => PALETTE[2],
                "MISC" => PALETTE[3],
                other => PALETTE[other.bytes().map(usize::from).sum::<usize>() % PALETTE.len()],
            };
            marked.push_str(&format!(
                "\x1b[1;{color}m{}\x1b[0;2m {}\x1b[0m",
                &text[start..end],
                entity.entity
            ));
        } else {
            marked.push_str(&format!("[{} {}]", entity.entity, &text[start..end]));
        }
        done = end;
    }
    marked.push_str(&text[done..]);
    marked
}
