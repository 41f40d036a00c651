//! Results in their forms.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use conll_io::Writer as ColumnWriter;
use ner_metrics::read_entities;
use ner_pages::{Fact, Mark, MarkedText, TextsPage};
use ner_tagger::{Aggregation, EntitySpan, Offsets, TaggedSentence, TaggedText};
use serde_json::{Map, Value, json};

use super::resume::Resumable;
use super::{Arguments, Format, Grouping};
use crate::card::model_name;
use crate::column_files::{TaggedFile, file_name, joined};
use crate::output::Output;
use crate::screen::shown;
use crate::text_records::Record;
use crate::wording::counted;

/// Where bytes go.
enum Bytes {
    /// To a file that is whole or absent, or to stdout.
    Whole(Output),
    /// To a file that a killed run leaves to go on with.
    Resumable(Box<Resumable>),
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Whole(output) => output.write(bytes),
            Self::Resumable(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Whole(output) => output.flush(),
            Self::Resumable(output) => output.flush(),
        }
    }
}

impl Bytes {
    fn finish(self) -> Result<()> {
        match self {
            Self::Whole(output) => output.finish(),
            Self::Resumable(output) => output.finish(),
        }
    }
}

/// Where results go.
enum Sink {
    /// Lines of a form of this program.
    Lines(Bytes),
    /// A column file, whose writer refuses what would not be read back.
    Columns(Box<ColumnWriter<Bytes>>),
    /// A page.
    Page(Box<TextsPage<Bytes>>),
}

/// Writes results in the form asked for.
pub struct Writer {
    sink: Sink,
    format: Format,
    offsets: Offsets,
    /// Name of the field that holds an entity's type or label.
    entity_field: &'static str,
    /// Name of the field that holds a record's text.
    text_field: String,
    /// Name of the field that holds a record's entities.
    entities_field: String,
    on_terminal: bool,
    /// Number of the record at hand, from 1.
    number: u64,
    /// Texts that a column file has nothing of, because they have no words.
    without_words: u64,
    /// Number of the first of them.
    first_without_words: u64,
    /// Records that the run answered that this one goes on with.
    records: u64,
}

impl Writer {
    /// `takes_words` says that sentences of column files come.
    pub fn new(arguments: &Arguments, takes_words: bool) -> Result<Self> {
        let mut output = match &arguments.output {
            Some(path) if arguments.resume => {
                Bytes::Resumable(Box::new(Resumable::open(path, arguments.command())?))
            }
            path => Bytes::Whole(Output::create(path.as_deref())?),
        };
        let (records, on_terminal) = match &output {
            Bytes::Resumable(output) => (output.records(), false),
            Bytes::Whole(output) => (0, output.is_terminal()),
        };
        let format = arguments.format();
        let entity_field = match arguments.aggregation {
            Grouping::Pipeline(Aggregation::None) => "entity",
            _ => "entity_group",
        };
        if format == Format::Csv && records == 0 {
            writeln!(output, "record,{entity_field},score,word,start,end")?;
        }
        let sink = match format {
            Format::Conll if takes_words => {
                Sink::Columns(Box::new(arguments.layout.writer().from_writer(output)))
            }
            Format::Conll => Sink::Columns(Box::new(ColumnWriter::from_writer(output))),
            Format::Html => Sink::Page(Box::new(arguments.page(output)?)),
            _ => Sink::Lines(output),
        };
        Ok(Self {
            sink,
            format,
            offsets: arguments.offsets,
            entity_field,
            text_field: arguments.text_field.clone(),
            entities_field: arguments.entities_field.clone(),
            on_terminal,
            number: 0,
            without_words: 0,
            first_without_words: 0,
            records,
        })
    }

    /// Records that need no answer any more.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Says that so many records of the input are answered or left out.
    pub fn answered(&mut self, records: u64) -> Result<()> {
        let output = match &mut self.sink {
            Sink::Lines(output) => output,
            Sink::Columns(columns) => columns.get_mut(),
            Sink::Page(_) => return Ok(()),
        };
        match output {
            Bytes::Resumable(output) => output.answered(records),
            Bytes::Whole(_) => Ok(()),
        }
    }

    /// Says that the next result is that of the record with this number.
    pub fn begin(&mut self, number: u64) {
        self.number = number;
    }

    /// What the result does not show, if there is something.
    pub fn lost(&self) -> Option<String> {
        let first = self.first_without_words;
        (self.without_words > 0).then(|| {
            format!(
                "{} no words, and so no sentence in the result; the first is record {first}; --format jsonl has a line for each text",
                counted(self.without_words, "text has", "texts have")
            )
        })
    }

    /// A text with its words, tags and entities.
    pub fn write_text(&mut self, record: &Record, tagged: &TaggedText) -> Result<()> {
        if self.format != Format::Conll {
            return self.write(record, &tagged.entities);
        }
        if tagged.words.is_empty() {
            self.without_words += 1;
            if self.without_words == 1 {
                self.first_without_words = self.number;
            }
        }
        let words = tagged.words.iter().map(|range| &record.text[range.clone()]);
        let tags = tagged.tags.iter().map(|word| word.tag.as_str());
        self.write_columns(words, tags)
    }

    /// A text with its entities.
    pub fn write(&mut self, record: &Record, entities: &[EntitySpan]) -> Result<()> {
        let text = record.text.as_str();
        let lines = match self.format {
            Format::Jsonl => {
                let object = self.object(record, entities)?.to_string() + "\n";
                shown(&object, self.on_terminal).into_owned()
            }
            Format::Csv => {
                let mut rows = csv::WriterBuilder::new()
                    .has_headers(false)
                    .from_writer(Vec::new());
                for e in self.offsets.of(text, entities) {
                    rows.serialize((self.number, e.entity, e.score, e.word, e.start, e.end))?;
                }
                let rows = String::from_utf8(rows.into_inner()?)?;
                shown(&rows, self.on_terminal).into_owned()
            }
            Format::Html => return self.write_page(&marked_text(text, entities)),
            // Tables have a writer of their own.
            Format::Text | Format::Conll | Format::Parquet | Format::Arrow => {
                marked(text, entities, self.on_terminal) + "\n"
            }
        };
        if let Sink::Lines(output) = &mut self.sink {
            output.write_all(lines.as_bytes())?;
        }
        Ok(())
    }

    /// The fields of a record, and its entities.
    fn object(&self, record: &Record, entities: &[EntitySpan]) -> Result<Value> {
        let entities = self.offsets.of(&record.text, entities);
        let entities: Vec<Value> = entities.iter().map(|entity| self.json(entity)).collect();
        let mut fields = record.fields.clone();
        let is_null = fields.get(&self.text_field) == Some(&Value::Null);
        if fields.is_empty() {
            fields.insert("text".to_owned(), json!(record.text));
        }
        ensure!(
            !fields.contains_key(&self.entities_field),
            "text {} has a field `{}` already; --entities-field names another one for the entities",
            self.number,
            self.entities_field
        );
        let entities = (!is_null).then_some(entities);
        fields.insert(self.entities_field.clone(), entities.into());
        Ok(fields.into())
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

    /// A sentence of a column file: as a column file, or as a text with one space between words.
    pub fn write_sentence(
        &mut self,
        file: &TaggedFile,
        number: usize,
        tagged: TaggedSentence,
    ) -> Result<()> {
        self.number += 1;
        let words = &file.sentences[number].words;
        if self.format == Format::Conll {
            let tags = tagged.tags.iter().map(|word| word.tag.as_str());
            return self.write_columns(words.iter().map(String::as_str), tags);
        }
        if self.format == Format::Html {
            return self.write_page(&marked_sentence(file, number, tagged)?);
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
        let record = Record {
            text,
            ..Record::default()
        };
        self.write(&record, &entities)
    }

    /// One line a word, which the separator of the input reads back.
    fn write_columns<'w>(
        &mut self,
        words: impl Iterator<Item = &'w str>,
        tags: impl Iterator<Item = &'w str>,
    ) -> Result<()> {
        if let Sink::Columns(columns) = &mut self.sink {
            for (word, tag) in words.zip(tags) {
                columns.write_row([&*shown(word, self.on_terminal), tag])?;
            }
            columns.end_sentence()?;
        }
        Ok(())
    }

    /// A text of a page.
    fn write_page(&mut self, text: &MarkedText) -> Result<()> {
        if let Sink::Page(page) = &mut self.sink {
            page.write(text)?;
        }
        Ok(())
    }

    pub fn flush(&mut self) -> Result<()> {
        match &mut self.sink {
            Sink::Lines(output) => output.flush()?,
            Sink::Columns(columns) => columns.flush()?,
            Sink::Page(page) => page.flush()?,
        }
        Ok(())
    }

    pub fn finish(self) -> Result<()> {
        match self.sink {
            Sink::Lines(output) => output.finish(),
            Sink::Columns(columns) => columns.into_inner()?.finish(),
            Sink::Page(page) => page.finish()?.finish(),
        }
    }
}

impl Arguments {
    /// What tells runs apart that do not go on with each other.
    fn command(&self) -> String {
        let input = self.input.join(" ");
        let aggregation = match self.aggregation {
            Grouping::Word => "word".to_owned(),
            Grouping::Pipeline(aggregation) => format!("{aggregation:?}").to_lowercase(),
        };
        let (format, on_error) = (typed(&self.format()), typed(&self.on_error));
        format!(
            "--model {} --input {input} --text-field {} --format {format} --offsets {} --aggregation {aggregation} --on-error {on_error}",
            self.model, self.text_field, self.offsets
        )
    }

    /// A page that says what was tagged by what.
    fn page(&self, output: Bytes) -> Result<TextsPage<Bytes>> {
        // A directory that leads to the model says nothing of it; a name of the hub says all.
        let model = match Path::new(&self.model).exists() {
            true => model_name(Path::new(&self.model)),
            false => self.model.clone(),
        };
        let title = match self.only_input().map(file_name) {
            Some(name) => format!("Entities in {name}"),
            None => "Entities".to_owned(),
        };
        let facts = [
            Fact::new("model", model),
            Fact::new("made with", concat!("ner-cli ", env!("CARGO_PKG_VERSION"))),
        ];
        Ok(TextsPage::new(output, &title, &facts)?)
    }
}

/// A value as one types it.
fn typed(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
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

/// The text with its entities marked: on a terminal colored with their type behind them, or `[PER Ana]` where there is no color.
fn marked(text: &str, entities: &[EntitySpan], on_terminal: bool) -> String {
    const PALETTE: [u8; 6] = [32, 34, 35, 36, 33, 31]; // foreground colors of ANSI X3.64
    let colored = on_terminal && std::env::var_os("NO_COLOR").is_none();
    let bytes: Vec<usize> = text
        .char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .collect();
    let mut marked = String::with_capacity(text.len() + entities.len() * 16);
    let mut done = 0;
    for entity in entities {
        let (start, end) = (bytes[entity.start], bytes[entity.end]);
        marked.push_str(&shown(&text[done..start], on_terminal));
        let words = shown(&text[start..end], on_terminal);
        if colored {
            let color = match entity.entity.rsplit('-').next().unwrap_or_default() {
                "PER" => PALETTE[0],
                "LOC" => PALETTE[1],
                "ORG" => PALETTE[2],
                "MISC" => PALETTE[3],
                other => PALETTE[other.bytes().map(usize::from).sum::<usize>() % PALETTE.len()],
            };
            marked.push_str(&format!(
                "\x1b[1;{color}m{words}\x1b[0;2m {}\x1b[0m",
                entity.entity
            ));
        } else {
            marked.push_str(&format!("[{} {words}]", entity.entity));
        }
        done = end;
    }
    marked.push_str(&shown(&text[done..], on_terminal));
    marked
}
