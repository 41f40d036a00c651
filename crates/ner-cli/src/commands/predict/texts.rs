//! Texts through a tagger, in their order.

use std::time::Instant;

use anyhow::{Context, Result, bail};
#[cfg(feature = "arrow")]
use ner_tagger::EntitySpan;
use ner_tagger::Tagger;

use super::writer::Writer;
use super::{Arguments, Grouping, OnError};
use crate::progress::Progress;
use crate::text_records::{Fault, Record, Records};

/// How texts are tagged.
pub struct Texts<'a> {
    arguments: &'a Arguments,
    tagger: &'a Tagger,
    progress: Progress,
    started: Instant,
    /// Records that were left out.
    skipped: u64,
}

impl<'a> Texts<'a> {
    pub fn new(arguments: &'a Arguments, tagger: &'a Tagger, quiet: bool) -> Self {
        Self {
            arguments,
            tagger,
            progress: Progress::new(quiet),
            started: Instant::now(),
            skipped: 0,
        }
    }

    /// Tags texts that are all there.
    pub fn tag(&self, texts: &[String], mut writer: Writer) -> Result<()> {
        let records = texts.iter().map(|text| Record {
            text: text.clone(),
            fields: serde_json::Map::new(),
        });
        self.write(&mut writer, &records.collect::<Vec<_>>())?;
        writer.finish()
    }

    /// Tags records as they are read.
    pub fn tag_records(mut self, mut records: Records, mut writer: Writer) -> Result<()> {
        let done = writer.records();
        let at_once = self.arguments.texts_at_once();
        let mut read = 0_u64;
        let mut batch = Vec::with_capacity(at_once);
        let mut failed = None;
        while let Some(next) = records.next() {
            read += 1;
            if read <= done {
                continue; // answered by the run that this one goes on with
            }
            match next {
                Ok(record) => batch.push(record),
                Err(Fault::Record(error)) if self.arguments.on_error == OnError::Skip => {
                    self.skipped += 1;
                    self.progress
                        .say(&format!("left out: {}", crate::message(&error)));
                }
                Err(Fault::Record(error)) => {
                    failed = Some(error.context(format!(
                        "record {read} cannot be read; --on-error skip leaves such ones out"
                    )));
                    break;
                }
                Err(Fault::End(error)) => {
                    failed = Some(error);
                    break;
                }
            }
            if batch.len() == at_once {
                self.write(&mut writer, &batch)?;
                batch.clear();
                writer.answered(read)?;
                self.show(records.progress(), read - done);
            }
        }
        if read < done {
            bail!(
                "the unfinished output answers {done} records, and the input has {read}: is it the same input?"
            );
        }
        // Texts before one that cannot be read have their answers all the same.
        self.write(&mut writer, &batch)?;
        let answered = read - u64::from(failed.is_some());
        writer.answered(answered)?;
        self.end();
        if let Some(error) = failed {
            return Err(error);
        }
        self.say_end(answered);
        writer.finish()
    }

    /// The entities of texts.
    #[cfg(feature = "arrow")]
    pub fn entities(&self, texts: &[&str]) -> Result<Vec<Vec<EntitySpan>>> {
        Ok(match self.arguments.aggregation {
            Grouping::Pipeline(aggregation) => self.tagger.pipeline(texts, aggregation)?,
            Grouping::Word => self.tagger.entities_of(texts)?,
        })
    }

    /// Writes the entities of some records.
    fn write(&self, writer: &mut Writer, records: &[Record]) -> Result<()> {
        let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
        match self.arguments.aggregation {
            Grouping::Pipeline(aggregation) => {
                let found = self.tagger.pipeline(&texts, aggregation)?;
                for (record, entities) in records.iter().zip(found) {
                    writer.write(record, &entities)?;
                }
            }
            Grouping::Word => {
                for (record, tagged) in records.iter().zip(self.tagger.tag_texts(&texts)?) {
                    writer.write_text(record, &tagged)?;
                }
            }
        }
        writer.flush()
    }

    /// Shows how many bytes of all are read, and how many texts are tagged.
    pub fn show(&mut self, (done, total): (u64, Option<u64>), texts: u64) {
        if self.arguments.output.is_none() {
            return; // the results are to be seen themselves
        }
        let rate = texts as f64 / self.started.elapsed().as_secs_f64();
        self.progress
            .set_texts(done, total, format!("{texts} texts, {rate:.0} texts/s"));
    }

    /// Ends what is shown.
    pub fn end(&mut self) {
        self.progress.end();
    }

    fn say_end(&self, read: u64) {
        let skipped = self.skipped;
        if skipped > 0 {
            self.progress
                .say(&format!("{skipped} of {read} records were left out"));
        }
    }
}

/// A number of records, as a place in memory counts.
pub fn count(records: u64) -> Result<usize> {
    usize::try_from(records)
        .with_context(|| format!("{records} records are too many for this machine"))
}
