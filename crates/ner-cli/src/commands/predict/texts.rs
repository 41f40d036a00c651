//! Texts through a tagger, in their order.

use std::time::Instant;

use anyhow::{Result, bail};
#[cfg(feature = "arrow")]
use ner_tagger::EntitySpan;
use ner_tagger::Tagger;

use super::writer::Writer;
use super::{Arguments, Grouping};
use crate::progress::Progress;
use crate::text_records::{Fault, OnError, Record, Records};
use crate::wording::{counted, left_out};

/// A record, and its number in the input, from 1.
type Numbered = (u64, Record);

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
            ..Record::default()
        });
        let records: Vec<Numbered> = (1..).zip(records).collect();
        self.write(&mut writer, &records)?;
        self.say_lost(&writer);
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
                Ok(record) => batch.push((read, record)),
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
                "the unfinished output answers {}, and the input has {read}: is it the same input?",
                counted(done, "record", "records")
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
        self.say_skipped(answered);
        self.say_lost(&writer);
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
    fn write(&self, writer: &mut Writer, records: &[Numbered]) -> Result<()> {
        let texts = records.iter().map(|(_, record)| record.text.as_str());
        let texts: Vec<&str> = texts.collect();
        match self.arguments.aggregation {
            Grouping::Pipeline(aggregation) => {
                let found = self.tagger.pipeline(&texts, aggregation)?;
                for ((number, record), entities) in records.iter().zip(found) {
                    writer.begin(*number);
                    writer.write(record, &entities)?;
                }
            }
            Grouping::Word => {
                let found = self.tagger.tag_texts(&texts)?;
                for ((number, record), tagged) in records.iter().zip(found) {
                    writer.begin(*number);
                    writer.write_text(record, &tagged)?;
                }
            }
        }
        writer.flush()
    }

    /// Shows how many bytes of all are read, and how many texts are tagged.
    pub fn show(&mut self, place: (u64, Option<u64>), texts: u64) {
        self.show_counted(place, texts, ["text", "texts"]);
    }

    /// Shows how many sentences of column files are tagged.
    pub fn show_sentences(&mut self, sentences: u64) {
        self.show_counted((0, None), sentences, ["sentence", "sentences"]);
    }

    fn show_counted(
        &mut self,
        (done, total): (u64, Option<u64>),
        count: u64,
        [one, more]: [&str; 2],
    ) {
        if !self.arguments.shows_progress() {
            return;
        }
        let rate = count as f64 / self.started.elapsed().as_secs_f64();
        let count = counted(count, one, more);
        self.progress
            .set_texts(done, total, format!("{count}, {rate:.0} {more}/s"));
    }

    /// Ends what is shown.
    pub fn end(&mut self) {
        self.progress.end();
    }

    fn say_skipped(&self, read: u64) {
        if self.skipped > 0 {
            self.progress.say(&left_out(self.skipped, read));
        }
    }

    /// Says which texts the result does not show.
    fn say_lost(&self, writer: &Writer) {
        if let Some(note) = writer.lost() {
            self.progress.say(&format!("note: {note}"));
        }
    }
}
