//! `redact`: personal data out of texts, and back.

mod document;
mod output;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use ner_redact::{Anonymizer, Key, Operators, Recognizers, Span, UndoMap, to_bytes, undo};
use ner_tagger::{EntitySpan, Tagger};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::document::Document;
use self::output::{JsonLines, RecordWriter};
use crate::hub::HubArguments;
use crate::inference::InferenceArguments;
use crate::output::write_file;
use crate::paths::expand;
use crate::progress::Progress;
use crate::text_records::{Fault, Record, RecordFormat, RecordReader, Records};

/// Take names and identifiers out of texts, and put them back.
///
/// The entities that a model finds, and identifiers by rule (e-mail addresses, IBANs, cards, telephones, IP addresses, DNI and NIE), are masked,
/// labelled, hashed, or replaced by pseudonyms; with --map, undone again.
///
/// A text that was found to be an entity is taken out wherever it stands in its record. Whatever goes wrong ends the run, and no record is written
/// before all of it is redacted; a file of results appears only when all of them are.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Model that finds names: a directory, or NAME[@REVISION] of the hub. Without one, rules alone find identifiers.
    #[arg(long)]
    model: Option<String>,
    /// Files to read, with wildcards; `-` is stdin, as is nothing.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    input: Vec<String>,
    /// What the files hold; by the name of the first where not given, else lines of text. Results have the same form.
    #[arg(long, value_enum)]
    input_format: Option<RecordFormat>,
    /// Fields or columns to redact, in JSONL, CSV and TSV.
    #[arg(long, value_name = "NAME", num_args = 1.., default_value = "text")]
    text_field: Vec<String>,
    /// Fields that may go on holding what was found in others. Any other field that does is an error.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    ignore_field: Vec<String>,
    /// What is put in place of an entity, of all types or of one: replace (`<PER>`), number (`<PER_1>`), mask[:CHARACTER[:SHOWN]], hash[:DIGITS],
    /// pseudonym, redact (nothing), keep. Numbers, and pseudonyms without a key, begin anew with each record, a line of text being one; as in `--operator number PER=pseudonym CREDIT_CARD=mask:*:4`.
    #[arg(long, value_name = "[TYPE=]OPERATOR", num_args = 1.., default_value = "replace")]
    operator: Vec<String>,
    /// File whose bytes are the key of `hash`; with it `pseudonym` gives the same names in every record.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Rules to leave out, such as URL.
    #[arg(long, value_name = "TYPE", num_args = 1..)]
    without: Vec<String>,
    /// Rules to add, as regular expressions.
    #[arg(long, value_name = "TYPE=REGEX", num_args = 1..)]
    pattern: Vec<String>,
    /// File for what gives the originals back. It holds the personal data: keep it apart.
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Give the originals back, by the file that --map wrote, from the results in --input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["map", "model", "report"])]
    undo: Option<PathBuf>,
    /// File for what was found, counted by type, as JSON; no text is in it.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// File to write instead of stdout.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Records to take before the first is written.
    #[arg(long, default_value_t = 1024)]
    batch_size: usize,
    #[command(flatten, next_help_heading = "With --model")]
    inference: InferenceArguments,
    #[command(flatten)]
    hub: HubArguments,
}

/// The way back of one field of one record: a line of the map's file.
#[derive(Debug, Serialize, Deserialize)]
pub struct MapLine {
    /// Number of the record in the results, from 1.
    record: usize,
    /// Its field; none for a line of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    map: UndoMap,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let (records, format) = arguments.records()?;
    let writer = RecordWriter::new(arguments.output.as_deref(), format)?;
    match &arguments.undo {
        Some(map) => arguments.undo(map, records, writer),
        None => arguments.redact(records, writer, quiet),
    }
}

impl Arguments {
    /// What is read, and the form of the results.
    fn records(&self) -> Result<(Records, RecordFormat)> {
        let mut paths = expand(&self.input)?;
        if paths.is_empty() {
            paths.push("-".into());
        }
        let of = |path: &PathBuf| self.input_format.unwrap_or_else(|| RecordFormat::of(path));
        let format = of(&paths[0]);
        if let Some(other) = paths.iter().find(|path| of(path) != format) {
            bail!(
                "{} and {} are of different forms; redact them one after the other, or give --input-format",
                paths[0].display(),
                other.display()
            );
        }
        let reader = RecordReader {
            format: Some(format),
            field: self.text_field[0].clone(),
        };
        Ok((reader.read(paths)?, format))
    }

    fn redact(&self, records: Records, mut writer: RecordWriter, quiet: bool) -> Result<()> {
        let redactor = self.redactor()?;
        let tagger = self.tagger(quiet)?;
        let mut map = self.map.as_deref().map(JsonLines::create).transpose()?;
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        let mut done = 0;
        self.each_batch(records, |batch| {
            let documents = batch.into_iter().map(|record| self.document(record));
            let mut documents: Vec<Document> = documents.collect::<Result<_>>()?;
            if let Some(tagger) = &tagger {
                tag(tagger, &mut documents)?;
            }
            for document in documents {
                done += 1;
                let in_record = || format!("record {done}");
                let redacted = document.redact(&redactor).with_context(in_record)?;
                for item in redacted.items() {
                    *found.entry(item.to_owned()).or_default() += 1;
                }
                if let Some(map) = &mut map {
                    for line in redacted.map_lines(done) {
                        map.write(&line)?;
                    }
                }
                writer.write(&redacted.record)?;
            }
            writer.flush()
        })?;
        // The way back is there before anything that needs it.
        map.map(JsonLines::finish).transpose()?;
        writer.finish()?;
        self.report(&found, done, &Progress::new(quiet))
    }

    fn redactor(&self) -> Result<document::Redactor> {
        let mut recognizers = Recognizers::standard();
        for entity_type in &self.without {
            recognizers = recognizers.without(entity_type)?;
        }
        let key = match &self.key_file {
            None => None,
            Some(path) => {
                let in_key = || path.display().to_string();
                Some(Key::new(&fs::read(path).with_context(in_key)?).with_context(in_key)?)
            }
        };
        let operators = Operators::from_list(&self.operator)?;
        Ok(document::Redactor {
            recognizers: recognizers.with_patterns(&self.pattern)?,
            anonymizer: Anonymizer::new(operators.clone(), key)?,
            operators,
            ignored: self.ignore_field.clone(),
        })
    }

    fn tagger(&self, quiet: bool) -> Result<Option<Tagger>> {
        let load = |model: &String| {
            let dir = self.hub.model(model, quiet)?;
            self.inference.load(&dir, quiet)
        };
        self.model.as_ref().map(load).transpose()
    }

    /// Hands on records, some at a time. The first one that cannot be read is an error.
    fn each_batch(
        &self,
        records: Records,
        mut take: impl FnMut(Vec<Record>) -> Result<()>,
    ) -> Result<()> {
        let mut batch = Vec::new();
        for record in records {
            match record {
                Ok(record) => batch.push(record),
                Err(Fault::Record(error) | Fault::End(error)) => return Err(error),
            }
            if batch.len() >= self.batch_size.max(1) {
                take(std::mem::take(&mut batch))?;
            }
        }
        take(batch)
    }

    fn document(&self, record: Record) -> Result<Document> {
        Document::new(record, &self.text_field)
    }

    fn report(
        &self,
        found: &BTreeMap<String, usize>,
        records: usize,
        progress: &Progress,
    ) -> Result<()> {
        if let Some(path) = &self.report {
            let report = json!({
                "records": records,
                "fields": self.text_field,
                "operators": self.operator,
                "model": self.model,
                "found": found,
            });
            write_file(path, &(serde_json::to_string_pretty(&report)? + "\n"))?;
        }
        let all: usize = found.values().sum();
        let types = found.iter().map(|(name, count)| format!("{name} {count}"));
        let types = types.collect::<Vec<_>>().join(", ");
        progress.say(&format!("{records} records, {all} entities: {types}"));
        Ok(())
    }

    fn undo(&self, map: &Path, records: Records, mut writer: RecordWriter) -> Result<()> {
        let text = fs::read_to_string(map).with_context(|| map.display().to_string())?;
        let mut lines = (1..).zip(text.lines()).map(|(number, line)| {
            let place = || format!("{}:{number}", map.display());
            serde_json::from_str::<MapLine>(line).with_context(place)
        });
        let mut done = 0;
        self.each_batch(records, |batch| {
            for record in batch {
                done += 1;
                let mut document = self.document(record)?;
                for (field, text) in document.texts_mut() {
                    let line = lines.next().transpose()?;
                    let line = line.with_context(|| {
                        format!("{}: has no line for record {done}", map.display())
                    })?;
                    ensure!(
                        line.record == done && line.field.as_deref() == field,
                        "{}: has record {}, field {:?} where the input has record {done}, field {field:?}",
                        map.display(),
                        line.record,
                        line.field
                    );
                    *text = undo(text, &line.map).with_context(|| format!("record {done}"))?;
                }
                writer.write(&document.into_record())?;
            }
            Ok(())
        })?;
        ensure!(
            lines.next().is_none(),
            "{}: goes on after the last record of the input",
            map.display()
        );
        writer.finish()
    }
}

/// Has a model find the entities of documents.
fn tag(tagger: &Tagger, documents: &mut [Document]) -> Result<()> {
    let texts: Vec<&str> = documents.iter().flat_map(Document::texts).collect();
    let mut found = tagger.entities_of(&texts)?.into_iter();
    for document in documents {
        document.add_entities(|text| {
            let entities = found.next().unwrap_or_default();
            let spans = entities.iter().map(span);
            Ok(to_bytes(text, spans.collect())?)
        })?;
    }
    Ok(())
}

fn span(entity: &EntitySpan) -> Span {
    let score = f64::from(entity.score).clamp(0.0, 1.0);
    Span::from_model(&entity.entity, entity.start..entity.end, score)
}
