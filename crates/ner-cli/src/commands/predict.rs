//! `predict`: entities in text.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use conll_io::{TextLines, Writer as ColumnWriter};
use ner_metrics::read_entities;
use ner_pages::{Fact, Mark, MarkedText, TextsPage};
use ner_tagger::{Aggregation, EntitySpan, TaggedSentence, Tagger};
use serde_json::{Map, Value, json};

use crate::card::model_name;
use crate::data::{InputFormat, Layout, TaggedFile, file_name, joined};
use crate::hub::HubArguments;
use crate::output::Output;
use crate::tagger::InferenceArguments;

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
    /// Form of the result. `html` is a page to look at: the texts with their entities marked, gold ones of a column file beside them where they
    /// differ, and how often each entity came.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// What becomes an entity: `word` decides the words of a text as training and `evaluate` do; none, simple, first, average and max are the
    /// strategies of pipeline('ner') over sub-words, which decode no label sequences: --words, --decode and a CRF do not act.
    #[arg(long, default_value = "word")]
    aggregation: Grouping,
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

/// What becomes an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grouping {
    /// Words, as in training.
    Word,
    /// One of the pipeline's strategies.
    Pipeline(Aggregation),
}

impl FromStr for Grouping {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "word" => Ok(Self::Word),
            _ => Ok(Self::Pipeline(name.parse().with_context(
                || "or `word`, whose units are the words of the text",
            )?)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Jsonl,
    Conll,
    Csv,
    Html,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let dir = arguments.hub.model(&arguments.model, quiet)?;
    let takes_words = arguments.input_format == InputFormat::Conll;
    ensure!(
        arguments.aggregation == Grouping::Word
            || (!takes_words && arguments.format != Format::Conll),
        "column files hold words; with them, leave out --aggregation or choose --aggregation word"
    );
    let tagger = arguments.inference.load(&dir, quiet)?;
    let mut writer = Writer::new(arguments)?;
    if takes_words {
        write_sentences(&tagger, &mut writer, arguments)?;
        return writer.finish();
    }
    if arguments.texts.is_empty() {
        let path = arguments.input.as_deref();
        let lines: Box<dyn Iterator<Item = _>> = match path.filter(|path| *path != Path::new("-")) {
            Some(path) => Box::new(TextLines::from_path(path)?),
            None => Box::new(TextLines::from_reader(io::stdin().lock())),
        };
        // Somebody who types wants an answer to each line.
        let typed = arguments.input.is_none() && io::stdin().is_terminal();
        let batch_size = if typed {
            1
        } else {
            arguments.batch_size.max(1)
        };
        let mut texts = Vec::with_capacity(batch_size);
        let mut failed = None;
        for line in lines {
            match line {
                Ok(text) => texts.push(text),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
            if texts.len() == batch_size {
                write_texts(&tagger, &mut writer, arguments, &texts)?;
                texts.clear();
            }
        }
        // Texts before a line that cannot be read have their answers all the same.
        write_texts(&tagger, &mut writer, arguments, &texts)?;
        if let Some(error) = failed {
            return Err(error.into());
        }
    } else {
        write_texts(&tagger, &mut writer, arguments, &arguments.texts)?;
    }
    writer.finish()
}

/// The sentences of a column file.
fn write_sentences(tagger: &Tagger, writer: &mut Writer, arguments: &Arguments) -> Result<()> {
    let path = arguments
        .input
        .as_deref()
        .context("--input-format conll needs --input FILE")?;
    let file = TaggedFile::read_any(path, &arguments.layout)?;
    for (number, tagged) in tagger.tag(&file.sentences)?.into_iter().enumerate() {
        if arguments.format == Format::Html {
            writer.write_page(&marked_sentence(&file, number, tagged)?)?;
        } else {
            writer.write_words(&file.sentences[number].words, tagged)?;
        }
    }
    Ok(())
}

fn write_texts(
    tagger: &Tagger,
    writer: &mut Writer,
    arguments: &Arguments,
    texts: &[String],
) -> Result<()> {
    match arguments.aggregation {
        Grouping::Pipeline(aggregation) => {
            for (text, entities) in texts.iter().zip(tagger.pipeline(texts, aggregation)?) {
                writer.write_entities(text, &entities)?;
            }
        }
        Grouping::Word => {
            for (text, tagged) in texts.iter().zip(tagger.tag_texts(texts)?) {
                if arguments.format == Format::Conll {
                    let words = tagged.words.iter().map(|range| &text[range.clone()]);
                    let tags = tagged.tags.iter().map(|word| word.tag.as_str());
                    writer.write_columns(words, tags)?;
                } else {
                    writer.write_entities(text, &tagged.entities)?;
                }
            }
        }
    }
    writer.flush()
}

/// Where results go.
enum Sink {
    /// Lines of a form of this program.
    Lines(Output),
    /// A column file, whose writer refuses what would not be read back.
    Columns(Box<ColumnWriter<Output>>),
    /// A page.
    Page(Box<TextsPage<Output>>),
}

/// Writes results in the form asked for.
struct Writer {
    sink: Sink,
    format: Format,
    /// Name of the field that holds an entity's type or label.
    entity_field: &'static str,
    colored: bool,
    texts: usize,
}

impl Writer {
    fn new(arguments: &Arguments) -> Result<Self> {
        let mut output = Output::create(arguments.output.as_deref())?;
        let entity_field = match arguments.aggregation {
            Grouping::Pipeline(Aggregation::None) => "entity",
            _ => "entity_group",
        };
        if arguments.format == Format::Csv {
            writeln!(output, "text,{entity_field},score,word,start,end")?;
        }
        let sink = match (arguments.format, arguments.input_format) {
            (Format::Conll, InputFormat::Conll) => {
                Sink::Columns(Box::new(arguments.layout.writer().from_writer(output)))
            }
            (Format::Conll, InputFormat::Text) => {
                Sink::Columns(Box::new(ColumnWriter::from_writer(output)))
            }
            (Format::Html, _) => Sink::Page(Box::new(arguments.page(output)?)),
            _ => Sink::Lines(output),
        };
        let on_terminal = arguments.output.is_none() && io::stdout().is_terminal();
        let colored = on_terminal && std::env::var_os("NO_COLOR").is_none();
        Ok(Self {
            sink,
            format: arguments.format,
            entity_field,
            colored,
            texts: 0,
        })
    }

    /// A text of a page.
    fn write_page(&mut self, text: &MarkedText) -> Result<()> {
        if let Sink::Page(page) = &mut self.sink {
            page.write(text)?;
        }
        Ok(())
    }

    fn write_entities(&mut self, text: &str, entities: &[EntitySpan]) -> Result<()> {
        self.texts += 1;
        let json = |entity| self.json(entity);
        let lines = match self.format {
            Format::Jsonl => {
                let entities: Vec<Value> = entities.iter().map(json).collect();
                json!({"text": text, "entities": entities}).to_string() + "\n"
            }
            Format::Csv => {
                let mut rows = csv::WriterBuilder::new()
                    .has_headers(false)
                    .from_writer(Vec::new());
                for e in entities {
                    rows.serialize((self.texts, &e.entity, e.score, &e.word, e.start, e.end))?;
                }
                String::from_utf8(rows.into_inner()?)?
            }
            Format::Html => return self.write_page(&marked_text(text, entities)),
            Format::Text | Format::Conll => marked(text, entities, self.colored) + "\n",
        };
        if let Sink::Lines(output) = &mut self.sink {
            output.write_all(lines.as_bytes())?;
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
    fn write_words(&mut self, words: &[String], tagged: TaggedSentence) -> Result<()> {
        if self.format == Format::Conll {
            let tags = tagged.tags.iter().map(|word| word.tag.as_str());
            return self.write_columns(words.iter().map(String::as_str), tags);
        }
        let (text, mark) = joined(words);
        let entities = tagged.entities.into_iter().map(|found| {
            let Mark { start, end, .. } = mark(&found.entity, found.words.clone());
            EntitySpan {
                entity: found.entity,
                score: found.score,
                word: words[found.words].join(" "),
                start,
                end,
                index: None,
            }
        });
        let entities: Vec<EntitySpan> = entities.collect();
        self.write_entities(&text, &entities)
    }

    /// One line a word, which the separator of the input reads back.
    fn write_columns<'w>(
        &mut self,
        words: impl Iterator<Item = &'w str>,
        tags: impl Iterator<Item = &'w str>,
    ) -> Result<()> {
        if let Sink::Columns(columns) = &mut self.sink {
            for (word, tag) in words.zip(tags) {
                columns.write_row([word, tag])?;
            }
            columns.end_sentence()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        match &mut self.sink {
            Sink::Lines(output) => output.flush()?,
            Sink::Columns(columns) => columns.flush()?,
            Sink::Page(page) => page.flush()?,
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        match self.sink {
            Sink::Lines(output) => output.finish(),
            Sink::Columns(columns) => columns.into_inner()?.finish(),
            Sink::Page(page) => page.finish()?.finish(),
        }
    }
}

impl Arguments {
    /// A page that says what was tagged by what.
    fn page(&self, output: Output) -> Result<TextsPage<Output>> {
        // A directory that leads to the model says nothing of it; a name of the hub says all.
        let model = match Path::new(&self.model).exists() {
            true => model_name(Path::new(&self.model)),
            false => self.model.clone(),
        };
        let mut facts = vec![Fact::new("model", model)];
        let input = self.input.as_deref().map(file_name);
        let title = match input.filter(|name| name != "-") {
            Some(name) => format!("Entities in {name}"),
            None => "Entities".to_owned(),
        };
        facts.push(Fact::new(
            "made with",
            concat!("ner-cli ", env!("CARGO_PKG_VERSION")),
        ));
        Ok(TextsPage::new(output, &title, &facts)?)
    }
}

/// A text and its entities, for a page.
fn marked_text(text: &str, entities: &[EntitySpan]) -> MarkedText {
    let marks = entities.iter().map(|entity| Mark {
        label: entity.entity.clone(),
        start: entity.start,
        end: entity.end,
        score: Some(entity.score),
    });
    MarkedText {
        text: text.to_owned(),
        predicted: marks.collect(),
        ..MarkedText::default()
    }
}

/// A sentence of a column file and its entities, for a page: the file's own too, where it has tags.
fn marked_sentence(file: &TaggedFile, number: usize, tagged: TaggedSentence) -> Result<MarkedText> {
    let sentence = &file.sentences[number];
    let (text, mark) = joined(&sentence.words);
    let predicted = tagged.entities.into_iter().map(|found| Mark {
        score: Some(found.score),
        ..mark(&found.entity, found.words)
    });
    let gold = read_entities(&sentence.tags)?.into_iter();
    let gold = gold.map(|entity| mark(entity.entity_type, entity.start..entity.end));
    Ok(MarkedText {
        place: Some(format!(
            "{}:{}",
            file_name(&file.path),
            file.line(number, 0)
        )),
        text,
        gold: (!sentence.tags.is_empty()).then(|| gold.collect()),
        predicted: predicted.collect(),
    })
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
