//! What explains a score: its interval, what is wrong, and what a training file knew.

mod known_entities;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use ner_metrics::{Breakdown, Entity, EntityReport, IntervalReport, Mode, Resampling};
use serde_json::{Value, json};

use self::known_entities::{FREQUENCIES, Known, OWN_FREQUENCIES, SEEN, frequency, own_frequency};
use super::error_report::ErrorReport;
use super::section::Section;
use super::tables::TextForm;
use crate::column_files::{ColumnArguments, TaggedFile};
use crate::wording::counted;

/// Which explanations are asked for.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// Also show what is wrong: near misses by nervaluate's schemes, errors by kind, which type was taken for which, scores by length, place and
    /// frequency of the entities, and each error with its line.
    #[arg(long)]
    errors: bool,
    /// File that the model was trained on: with --errors also scores of entities by how often that file has them; with --unique what is left out.
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Also the score without the sentences that stand word for word in --train.
    #[arg(long, requires = "train")]
    unique: bool,
    /// Also intervals of the scores, from this many bootstrap samples of the sentences (1000 are usual), of the documents where a file has several.
    #[arg(long, value_name = "N")]
    bootstrap: Option<usize>,
    /// Share of samples between the ends of an interval.
    #[arg(long, default_value_t = 0.95, requires = "bootstrap")]
    level: f64,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 0, requires = "bootstrap")]
    seed: u64,
}

impl ExplainArguments {
    /// Bootstrap samples, where some are asked for.
    pub fn samples(&self) -> Option<usize> {
        self.bootstrap
    }
}

/// The entities of both sides, and what is asked about them.
pub struct Explain<'a> {
    arguments: &'a ExplainArguments,
    file: &'a TaggedFile,
    tags: &'a [Vec<String>],
    mode: Mode,
    gold: Vec<Vec<Entity<'a>>>,
    predicted: Vec<Vec<Entity<'a>>>,
    known: Option<Known>,
}

impl<'a> Explain<'a> {
    /// Of a file and the predicted tags of its words.
    pub fn new(
        arguments: &'a ExplainArguments,
        layout: &ColumnArguments,
        file: &'a TaggedFile,
        tags: &'a [Vec<String>],
        mode: Mode,
    ) -> Result<Self> {
        ensure!(
            arguments.train.is_none() || arguments.errors || arguments.unique,
            "--train says what --errors and --unique compare with; give one of these"
        );
        let known = arguments.train.as_deref();
        let known = known
            .map(|path| Known::read(path, layout, mode))
            .transpose()?;
        let read = |tags: &'a Vec<String>| mode.entities(tags);
        Ok(Self {
            arguments,
            file,
            tags,
            mode,
            gold: file
                .sentences
                .iter()
                .map(|sentence| read(&sentence.tags))
                .collect::<Result<_, _>>()?,
            predicted: tags.iter().map(read).collect::<Result<_, _>>()?,
            known,
        })
    }

    /// The sections asked for.
    pub fn sections(&self, form: TextForm) -> Result<Vec<Section>> {
        let mut sections = Vec::new();
        if let Some(samples) = self.arguments.bootstrap {
            sections.push(self.intervals(samples, form)?);
        }
        if let (true, Some(known)) = (self.arguments.unique, &self.known) {
            sections.push(self.unique(known, form)?);
        }
        if self.arguments.errors {
            let breakdowns = self.breakdowns()?;
            let texts: Vec<String> = breakdowns
                .iter()
                .map(|breakdown| form.breakdown(breakdown))
                .collect();
            let section = Section::new("breakdowns", &breakdowns, texts.join("\n"))?;
            sections.push(section.with_csv(breakdowns_csv(&breakdowns)?));
            let errors = ErrorReport::new(self.file, self.tags, self.mode)?;
            sections.push(
                Section::new("errors", &errors, errors.to_text(form))?.with_csv(errors.to_csv()?),
            );
        }
        Ok(sections)
    }

    fn intervals(&self, samples: usize, form: TextForm) -> Result<Section> {
        let resampling = Resampling {
            samples,
            level: self.arguments.level,
            seed: self.arguments.seed,
        };
        let units = self.file.units();
        let report = IntervalReport::new(&self.gold, &self.predicted, &units, &resampling)?;
        let text = TextForm {
            digits: form.digits.max(3),
            ..form
        };
        let text = text.intervals(&report);
        let mut csv = "type,score,estimate,low,high\n".to_owned();
        let rows = report.per_type.iter();
        let rows = rows.map(|row| (row.entity_type.as_str(), row.scores));
        for (name, scores) in rows.chain([("micro avg", report.micro)]) {
            for (score, interval) in [
                ("precision", scores.precision),
                ("recall", scores.recall),
                ("f1", scores.f1),
            ] {
                let (estimate, low, high) = (interval.estimate, interval.low, interval.high);
                csv.push_str(&format!("{name},{score},{estimate},{low},{high}\n"));
            }
        }
        Ok(Section::new("intervals", &report, text)?.with_csv(csv))
    }

    /// The score of the sentences that are new to a model.
    fn unique(&self, known: &Known, form: TextForm) -> Result<Section> {
        let is_new: Vec<bool> = self
            .file
            .sentences
            .iter()
            .map(|sentence| !known.has_sentence(&sentence.words))
            .collect();
        let left = |side: &[Vec<Entity<'a>>]| -> Vec<Vec<Entity<'a>>> {
            let kept = side.iter().zip(&is_new).filter(|(_, is_new)| **is_new);
            kept.map(|(entities, _)| entities.clone()).collect()
        };
        let (gold, predicted) = (left(&self.gold), left(&self.predicted));
        let report = EntityReport::from_entities(&gold, &predicted)?;
        let dropped = self.gold.len() - gold.len();
        let all: usize = self.gold.iter().map(Vec::len).sum();
        let entities = all - gold.iter().map(Vec::len).sum::<usize>();
        let text = format!(
            "without {dropped} of {}, with {entities} of {}, that stand in {}\n{}",
            counted(self.gold.len(), "sentence", "sentences"),
            counted(all, "entity", "entities"),
            known.path.display(),
            form.entities(&report)
        );
        let value: Value = json!({
            "sentences_left_out": dropped,
            "entities_left_out": entities,
            "entity": report,
        });
        Ok(Section::new("unique", &value, text)?.with_csv(report.to_csv()))
    }

    fn breakdowns(&self) -> Result<Vec<Breakdown>> {
        let (gold, predicted) = (&self.gold, &self.predicted);
        let lengths: Vec<usize> = self
            .file
            .sentences
            .iter()
            .map(|sentence| sentence.words.len())
            .collect();
        let text = |sentence: usize, entity: &Entity<'_>| {
            self.file.sentences[sentence].words[entity.start..entity.end].join(" ")
        };
        let mut breakdowns = vec![
            Breakdown::by_length(gold, predicted)?,
            Breakdown::by_position(gold, predicted, &lengths)?,
        ];
        if let Some(known) = &self.known {
            let name = known.path.display();
            let times =
                |sentence, entity: &Entity<'_>| frequency(known.times(&text(sentence, entity)));
            let by = format!("entities of {name} with the same text");
            breakdowns.push(Breakdown::new(&by, &FREQUENCIES, gold, predicted, times)?);
            let seen = |sentence, entity: &Entity<'_>| {
                known.seen(&text(sentence, entity), entity.entity_type)
            };
            let by = format!("what {name} has");
            breakdowns.push(Breakdown::new(&by, &SEEN, gold, predicted, seen)?);
        } else {
            let own = Known::of(self.file, self.mode)?;
            let times =
                |sentence, entity: &Entity<'_>| own_frequency(own.times(&text(sentence, entity)));
            let by = "gold entities of this file with the same text";
            breakdowns.push(Breakdown::new(
                by,
                &OWN_FREQUENCIES,
                gold,
                predicted,
                times,
            )?);
        }
        Ok(breakdowns)
    }
}

/// A line for each group under `by,group,precision,recall,f1,support`.
fn breakdowns_csv(breakdowns: &[Breakdown]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["by", "group", "precision", "recall", "f1", "support"])?;
    for breakdown in breakdowns {
        for row in &breakdown.rows {
            let scores = &row.scores;
            writer.serialize((
                &breakdown.by,
                &row.group,
                scores.precision,
                scores.recall,
                scores.f1,
                scores.support,
            ))?;
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
