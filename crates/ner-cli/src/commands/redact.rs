//! `redact`: personal data out of texts, and back.

mod document;
mod output;
mod undo;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use clap::Args;
use ner_metrics::TagSet;
use ner_redact::{Anonymizer, Key, Operator, Operators, Recognizers, Span, UndoMap, to_bytes};
use ner_tagger::{EntitySpan, Tagger};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::document::{Document, Redactor};
use self::output::{JsonLines, RecordWriter};
use self::undo::MapLines;
use crate::column_files::is_column_file;
use crate::hub::HubArguments;
use crate::inference::InferenceArguments;
use crate::last_words::LastWords;
use crate::output::write_file;
use crate::paths::{check_files, expand, notes_on_texts};
use crate::progress::Progress;
use crate::text_records::{
    Fault, OnError, OneFile, Record, RecordFormat, RecordReader, say_where_to_type,
};
use crate::wording::{counted, left_out};

/// Take names and identifiers out of texts, and put them back.
///
/// The entities that a model finds, and identifiers by rule (e-mail addresses, IBANs, cards, telephones, IP addresses, DNI and NIE), are masked,
/// labelled, hashed, or replaced by pseudonyms; with --map, undone again.
///
/// Texts are the arguments, which stand before the options, else those of --input, else those of stdin. A text that was found to be an entity is
/// taken out wherever it stands in its record. Whatever goes wrong ends the run, and no record is written before all of it is redacted; a file of
/// results appears only when all of them are. Lines of text keep their ends, so that --undo gives the very bytes.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Texts.
    texts: Vec<String>,
    /// Model that finds names: a directory, or NAME[@REVISION] of the hub. Without one, rules alone find identifiers.
    #[arg(long)]
    model: Option<String>,
    /// Files to read, with wildcards; `-` is stdin, as is nothing. Column files are refused: what is put in can have other words.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "texts")]
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
    /// A type is one that a rule or the model finds.
    #[arg(long, value_name = "[TYPE=]OPERATOR", num_args = 1.., default_value = "replace")]
    operator: Vec<String>,
    /// File whose bytes are the key of `hash`; with it `pseudonym` gives the same names in every record. Without it, persons of two records get the
    /// same pseudonym.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Rules to leave out, such as URL.
    #[arg(long, value_name = "TYPE", num_args = 1..)]
    without: Vec<String>,
    /// Rules to add, as regular expressions.
    #[arg(long, value_name = "TYPE=REGEX", num_args = 1..)]
    pattern: Vec<String>,
    /// File for what gives the originals back. It holds the personal data: keep it apart. Only you can read it (on Unix). One that is there already
    /// is not overwritten.
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Give the originals back, by the file that --map wrote, from the results in --input. Only you can read the --output (on Unix).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["map", "model", "report", "on_error"])]
    undo: Option<PathBuf>,
    /// File for what was found, counted by type, as JSON; no text is in it.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// What a record that cannot be read does: end the run, or be reported and left out.
    #[arg(long, value_enum, default_value_t = OnError::Fail)]
    on_error: OnError,
    /// File to write instead of stdout.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Records to take before the first is written.
    #[arg(long, default_value = "1024")]
    batch_size: NonZeroUsize,
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

/// What was found, and what of it was not kept, counted by type.
#[derive(Debug, Default)]
struct Counts {
    found: BTreeMap<String, usize>,
    replaced: BTreeMap<String, usize>,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let progress = Progress::new(quiet);
    for note in notes_on_texts(&arguments.texts) {
        progress.say(&note);
    }
    let (records, format) = arguments.records(&progress)?;
    let _words = arguments.last_words().map(LastWords::prepare);
    let holds_originals = arguments.undo.is_some();
    let writer = RecordWriter::new(arguments.output.as_deref(), format, holds_originals)?;
    match &arguments.undo {
        Some(map) => arguments.undo(map, records, writer, &progress),
        None => arguments.redact(records, writer, quiet),
    }
}

impl Arguments {
    /// What is read, and the form of the results.
    fn records(&self, progress: &Progress) -> Result<(OneFile, RecordFormat)> {
        if !self.texts.is_empty() {
            return Ok((self.given_texts()?, RecordFormat::Text));
        }
        let mut paths = expand(&self.input)?;
        if paths.is_empty() {
            paths.push("-".into());
        }
        check_files(&paths)?;
        let is_columns = |path: &&PathBuf| self.input_format.is_none() && is_column_file(path);
        if let Some(columns) = paths.iter().find(is_columns) {
            bail!(
                "{}: a column file, by its name, of which redact would take each line, tags and all, as a text; give the running texts themselves, or \
                 --input-format text if lines of text are in it",
                columns.display()
            );
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
        say_where_to_type(&paths, progress);
        let records: OneFile = Box::new(reader.read(paths)?.verbatim());
        Ok((records, format))
    }

    /// The texts of the command line, a record each.
    fn given_texts(&self) -> Result<OneFile> {
        ensure!(
            self.input_format
                .is_none_or(|format| format == RecordFormat::Text),
            "--input-format is for files and stdin; texts of the command line are lines of text"
        );
        let has_map = self.map.is_some() || self.undo.is_some();
        ensure!(
            !has_map || !self.texts.iter().any(|text| text.contains('\n')),
            "a text has several lines, and a map is for records that are one line each; give the text as a file, by --input"
        );
        let records = self
            .texts
            .clone()
            .into_iter()
            .map(|text| -> Result<_, Fault> {
                Ok(Record {
                    text,
                    ..Record::default()
                })
            });
        Ok(Box::new(records))
    }

    /// What to say where Ctrl-C ends the run.
    fn last_words(&self) -> Option<String> {
        let files = [&self.output, &self.map].into_iter().flatten();
        let files = files.filter(|path| *path != Path::new("-"));
        let files: Vec<String> = files.map(|path| path.display().to_string()).collect();
        let nothing = || format!("interrupted; nothing is written to {}", files.join(" and "));
        (!files.is_empty()).then(nothing)
    }

    fn redact(&self, records: OneFile, mut writer: RecordWriter, quiet: bool) -> Result<()> {
        self.check_map()?;
        let redactor = self.redactor()?;
        let tagger = self.tagger(quiet)?;
        self.check_types(&redactor, tagger.as_ref())?;
        let progress = Progress::new(quiet);
        let is_pseudonym = |operator: &Operator| *operator == Operator::Pseudonym;
        if self.key_file.is_none() && redactor.operators.all().any(is_pseudonym) {
            progress.say(
                "note: without --key-file pseudonyms begin anew with each record: persons of two records get the same one",
            );
        }
        let mut map = self.map.as_deref().map(JsonLines::create).transpose()?;
        let mut counts = Counts::default();
        let mut done = 0;
        self.each_batch(records, &progress, |batch| {
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
                    let entity_type = &item.entity_type;
                    *counts.found.entry(entity_type.clone()).or_default() += 1;
                    if item.operator != Operator::Keep.name() {
                        *counts.replaced.entry(entity_type.clone()).or_default() += 1;
                    }
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
        self.report(&counts, done, &progress)
    }

    /// Refuses a map that is there: what an earlier run took out may be nowhere else.
    fn check_map(&self) -> Result<()> {
        match self.map.as_deref().filter(|path| path.is_file()) {
            None => Ok(()),
            Some(path) => bail!(
                "{}: is there already and may be the only way back to earlier originals; name another file, or remove it",
                path.display()
            ),
        }
    }

    fn redactor(&self) -> Result<Redactor> {
        let mut recognizers = Recognizers::standard();
        for entity_type in &self.without {
            recognizers = recognizers.without(entity_type).context("--without")?;
        }
        for pattern in &self.pattern {
            let added = recognizers.with_patterns(&[pattern]);
            recognizers = added.map_err(|error| match error {
                ner_redact::Error::Definition { reason, .. } => {
                    anyhow!("--pattern `{pattern}`: {reason}")
                }
                error => error.into(),
            })?;
        }
        let key = match &self.key_file {
            None => None,
            Some(path) => {
                let in_key = || path.display().to_string();
                Some(Key::new(&fs::read(path).with_context(in_key)?).with_context(in_key)?)
            }
        };
        let operators = Operators::from_list(&self.operator).map_err(|error| {
            let hint = match &error {
                ner_redact::Error::UnknownOperator { name } if name.contains(' ') => {
                    "; a text stands before the options, or after `--`"
                }
                _ => "",
            };
            anyhow!("--operator: {error}{hint}")
        })?;
        let anonymizer = Anonymizer::new(operators.clone(), key).map_err(|error| match error {
            ner_redact::Error::NoKey { operator } => anyhow!(
                "--operator {operator} needs a key: give a file of at least 16 random bytes as --key-file, and keep it"
            ),
            error => Error::new(error).context("--operator"),
        })?;
        Ok(Redactor {
            recognizers,
            anonymizer,
            operators,
            ignored: self.ignore_field.clone(),
        })
    }

    /// Fails where a type has an operator of its own and neither a rule nor the model finds it: after a slip the operator of all others would act.
    fn check_types(&self, redactor: &Redactor, tagger: Option<&Tagger>) -> Result<()> {
        let labels = tagger.map(|tagger| TagSet::new(tagger.labels()));
        let labels = labels.transpose()?;
        let mut known = redactor.recognizers.entity_types();
        if let Some(labels) = &labels {
            let numbers = 0..labels.labels().len();
            known.extend(numbers.filter_map(|label| labels.entity_type(label)));
        }
        redactor.operators.check_types(&known).map_err(|error| {
            let more = match tagger {
                Some(_) => "",
                None => "; types of names, such as PER, need --model",
            };
            anyhow!("--operator: {error}{more}")
        })
    }

    fn tagger(&self, quiet: bool) -> Result<Option<Tagger>> {
        let load = |model: &String| {
            let dir = self.hub.model(model, quiet)?;
            self.inference.load(&dir, quiet)
        };
        self.model.as_ref().map(load).transpose()
    }

    /// Hands on records, some at a time. The first one that cannot be read is an error, or is left out as all others of its kind.
    fn each_batch(
        &self,
        records: OneFile,
        progress: &Progress,
        mut take: impl FnMut(Vec<Record>) -> Result<()>,
    ) -> Result<()> {
        let mut batch = Vec::new();
        let (mut read, mut skipped) = (0, 0);
        for record in records {
            read += 1;
            match record {
                Ok(record) => batch.push(record),
                Err(Fault::Record(error)) if self.on_error == OnError::Skip => {
                    skipped += 1;
                    progress.say(&format!("left out: {}", crate::message(&error)));
                }
                Err(Fault::Record(error)) if self.undo.is_none() => {
                    return Err(error.context(format!(
                        "record {read} cannot be read; --on-error skip leaves such ones out"
                    )));
                }
                Err(Fault::Record(error) | Fault::End(error)) => return Err(error),
            }
            if batch.len() >= self.batch_size.get() {
                take(std::mem::take(&mut batch))?;
            }
        }
        take(batch)?;
        if skipped > 0 {
            progress.say(&left_out(skipped, read));
        }
        Ok(())
    }

    fn document(&self, record: Record) -> Result<Document> {
        Document::new(record, &self.text_field)
    }

    fn report(&self, counts: &Counts, records: usize, progress: &Progress) -> Result<()> {
        let Counts { found, replaced } = counts;
        if let Some(path) = &self.report {
            let report = json!({
                "records": records,
                "fields": self.text_field,
                "operators": self.operator,
                "model": self.model,
                "found": found,
                "replaced": replaced,
            });
            write_file(path, &(serde_json::to_string_pretty(&report)? + "\n"))?;
        }
        let mut line = format!(
            "{}, {} found, {} replaced",
            counted(records, "record", "records"),
            counted(found.values().sum::<usize>(), "entity", "entities"),
            replaced.values().sum::<usize>()
        );
        let types = found.iter().map(|(name, count)| format!("{name} {count}"));
        let types = types.collect::<Vec<_>>().join(", ");
        if !types.is_empty() {
            line.push_str(": ");
            line.push_str(&types);
        }
        progress.say(&line);
        Ok(())
    }

    fn undo(
        &self,
        map: &Path,
        records: OneFile,
        mut writer: RecordWriter,
        progress: &Progress,
    ) -> Result<()> {
        let mut map = MapLines::read(map)?;
        self.each_batch(records, progress, |batch| {
            for record in batch {
                writer.write(&map.undo(record, &self.text_field)?)?;
            }
            Ok(())
        })?;
        if let Some(last) = map.end()? {
            writer.write(&last)?;
        }
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
