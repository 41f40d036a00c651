//! `report.html`: the run as a page, and `report.json`, the page as data.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Result;
use ner_metrics::{
    Entity, IntervalReport, Mode, Reliability, Resampling, ScoredPrediction, TokenReport,
    read_entities,
};
use ner_pages::{
    Calibration, DataPart, Errors, Fact, Panel, RunPage, ScoreInterval, Split, thousands,
};
use ner_tagger::{PretokenizedSentence, Tagger};
use ner_train::{Evaluation, Plan};
use rayon::prelude::*;
use serde_json::Value;
use subword_align::SubwordTokenizer;

use super::launch::Launch;
use super::outcome::Scored;
use crate::card::{Part, model_name};
use crate::commands::evaluate::ErrorReport;
use crate::output::write_file;

/// The page.
pub const FILE: &str = "report.html";
/// What it shows, as data.
pub const DATA_FILE: &str = "report.json";
/// Ranges of the reliability diagram.
const BINS: usize = 10;
/// Errors of each kind that are shown.
const EXAMPLES: usize = 50;

/// What a page tells of.
pub struct Page<'a> {
    pub run: &'a Launch<'a>,
    /// The last model.
    pub tagger: &'a Tagger,
    /// What it scores on the development data, then on the test data, where there are some.
    pub scored: &'a [Scored<'a>],
    pub curves: &'a [Panel],
}

impl Page<'_> {
    /// Writes both files.
    pub fn write(&self) -> Result<()> {
        let dir = &self.run.arguments.output_dir;
        let page = self.page()?;
        write_file(
            &dir.join(DATA_FILE),
            &(serde_json::to_string_pretty(&page)? + "\n"),
        )?;
        write_file(&dir.join(FILE), &page.to_html())
    }

    fn page(&self) -> Result<RunPage> {
        let mut reports = Vec::new();
        for Scored { file, found, .. } in self.scored {
            reports.push(ErrorReport::new(file, &found.predicted, Mode::Default)?);
        }
        let splits = self.scored.iter().zip(&reports);
        let splits = splits.map(|(scored, errors)| split(scored, errors));
        let last = self.scored.last().zip(reports.last());
        let errors = last.map(|(scored, errors)| Errors {
            split: scored.name.to_owned(),
            kinds: errors.examples(scored.file, EXAMPLES),
        });
        let settings = self.run.base.settings(&self.run.arguments.settings)?;
        Ok(RunPage {
            title: model_name(&self.run.arguments.output_dir),
            facts: self.facts(),
            comparison: Vec::new(),
            curves: self.curves.to_vec(),
            data: self.data()?,
            data_facts: self.run.plan.as_ref().map(plan_facts).unwrap_or_default(),
            labels: self.run.config.id2label.clone(),
            splits: splits.collect::<Result<_>>()?,
            errors,
            settings: settings.into_iter().map(setting).collect(),
        })
    }

    fn facts(&self) -> Vec<Fact> {
        let mut facts = vec![Fact::new(
            "model",
            self.run.base.in_words().replace('`', ""),
        )];
        for Scored { name, found, .. } in self.scored {
            let f1 = found.report.micro.f1;
            facts.push(Fact::new(format!("F1 on {name}"), format!("{f1:.4}")));
        }
        facts.push(Fact::new("decoding", self.tagger.decoder().to_string()));
        let version = concat!("ner-cli ", env!("CARGO_PKG_VERSION"));
        facts.push(Fact::new("made with", version));
        facts
    }

    /// The parts that the run learnt from, then those that it was measured on.
    fn data(&self) -> Result<Vec<DataPart>> {
        let (train, tokenizer) = (&self.run.data.train, self.tagger.tokenizer());
        let mut parts = Vec::new();
        let mut done = 0;
        for part in &self.run.data.parts {
            let range: Range<usize> = done..done + part.sentences;
            done = range.end;
            parts.push(data_part(part.clone(), &train[range], tokenizer)?);
        }
        for Scored { name, file, .. } in self.scored {
            let part = Part::new(name, &file.path, &file.sentences);
            parts.push(data_part(part, &file.sentences, tokenizer)?);
        }
        Ok(parts)
    }
}

fn split(scored: &Scored<'_>, errors: &ErrorReport) -> Result<Split> {
    let Evaluation {
        report,
        predicted,
        entities,
        ..
    } = scored.found;
    let tokens = TokenReport::new(&scored.file.tags(), predicted)?;
    let predictions: Vec<ScoredPrediction> = entities.iter().map(|(_, one)| *one).collect();
    let reliability = Reliability::new(&predictions, BINS);
    let calibration = (reliability.count > 0).then(|| Calibration {
        of: "entities".to_owned(),
        error: Some(reliability.expected_calibration_error),
        bins: reliability.bins,
    });
    let (intervals, level) = intervals(scored)?;
    Ok(Split {
        name: scored.name.to_owned(),
        entities: Some(report.into()),
        intervals,
        level: Some(level),
        tokens: Some((&tokens).into()),
        confusion: errors.confusion().to_vec(),
        calibration: calibration.into_iter().collect(),
    })
}

/// Intervals of F1, of all entities and of each type, and their level.
fn intervals(scored: &Scored<'_>) -> Result<(Vec<ScoreInterval>, f64)> {
    let resampling = Resampling::default();
    let gold = scored.file.tags();
    let gold: Vec<Vec<Entity<'_>>> = gold
        .iter()
        .map(|tags| Mode::Default.entities(tags))
        .collect::<Result<_, _>>()?;
    let predicted = scored.found.predicted.iter();
    let predicted: Vec<Vec<Entity<'_>>> = predicted
        .map(|tags| Mode::Default.entities(tags))
        .collect::<Result<_, _>>()?;
    let report = IntervalReport::new(&gold, &predicted, &scored.file.units(), &resampling)?;
    let all = [("micro F1".to_owned(), report.micro.f1)].into_iter();
    let types = report.per_type.into_iter();
    let types = types.map(|row| (format!("{} F1", row.entity_type), row.scores.f1));
    let rows = all.chain(types);
    let intervals = rows.map(|(name, interval)| ScoreInterval { name, interval });
    Ok((intervals.collect(), resampling.level))
}

fn data_part(
    part: Part,
    sentences: &[PretokenizedSentence],
    tokenizer: &SubwordTokenizer,
) -> Result<DataPart> {
    let subwords = sentences.par_iter().map(|sentence| {
        let encoded = tokenizer.encode_words(&sentence.words)?;
        Ok::<usize, subword_align::Error>(encoded.ids.len())
    });
    let mut entities: BTreeMap<String, usize> = BTreeMap::new();
    for sentence in sentences {
        for entity in read_entities(&sentence.tags)? {
            *entities.entry(entity.entity_type.to_owned()).or_default() += 1;
        }
    }
    Ok(DataPart {
        name: part.kind.to_owned(),
        file: part.file,
        sentences: part.sentences,
        words: part.words,
        subwords: Some(subwords.sum::<Result<usize, _>>()?),
        entities: entities.into_iter().collect(),
    })
}

fn plan_facts(plan: &Plan) -> Vec<Fact> {
    [
        ("training sequences", plan.sequences),
        (
            "their sub-words, with special tokens and context",
            plan.subwords,
        ),
        ("words that carry loss", plan.labelled_words),
        ("words unknown to the tokenizer", plan.unknown_words),
        ("steps", plan.total_steps),
    ]
    .map(|(name, value)| Fact::new(name, thousands(value)))
    .into()
}

fn setting((name, value): (String, Value)) -> Fact {
    let value = match value {
        Value::String(text) => text,
        value => value.to_string(),
    };
    Fact { name, value }
}
