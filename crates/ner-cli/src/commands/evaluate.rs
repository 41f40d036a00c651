//! `evaluate`: reports.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use ner_metrics::{ConllevalSummary, EntityReport, Mode, Scheme, TokenReport};
use ner_model::ModelConfig;

use crate::commands::train::write_predictions;
use crate::data::{Layout, TaggedFile};
use crate::hub::HubArguments;
use crate::output::Output;
use crate::progress::Progress;
use crate::tagger::{InferenceArguments, Tagger};

/// Compare predicted tags with gold ones, from two files, or from a model and a file.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["gold", "model"]))]
pub struct Arguments {
    /// Column file with the true tags.
    #[arg(long, requires = "pred")]
    gold: Option<PathBuf>,
    /// Column file with the predicted tags of the same words.
    #[arg(long, requires = "gold")]
    pred: Option<PathBuf>,
    /// The sentences of --pred are parts of those of --gold, as preprocessing cuts them: join them before scoring. Words that
    /// preprocessing left out count as `O`.
    #[arg(long, requires = "pred")]
    rejoin: bool,
    /// Model that predicts the tags: a directory, or NAME[@REVISION] of the hub.
    #[arg(long, requires = "data")]
    model: Option<String>,
    /// Column file with the true tags, for --model.
    #[arg(long, requires = "model")]
    data: Option<PathBuf>,
    /// Write the model's predictions to this file, as `word tag` lines.
    #[arg(long, requires = "model")]
    predictions: Option<PathBuf>,
    /// `entity` is seqeval's text, `token` scikit-learn's, `conlleval` the shared task's.
    #[arg(long, value_enum, default_value_t = Report::Entity)]
    report: Report,
    /// What counts as an entity: `default` is the conlleval rule, `strict` counts well-formed ones only.
    #[arg(long, value_enum, default_value_t = ModeName::Default)]
    mode: ModeName,
    /// Tagging scheme of the strict mode: iob1, iob2, ioe1, ioe2, iobes or bilou.
    #[arg(long, default_value = "iob2")]
    scheme: Scheme,
    /// Digits of the text reports.
    #[arg(long, default_value_t = 2)]
    digits: usize,
    /// Form of the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// File to write instead of stdout.
    #[arg(long, short)]
    output: Option<PathBuf>,
    #[command(flatten, next_help_heading = "With --model")]
    inference: InferenceArguments,
    #[command(flatten)]
    layout: Layout,
    #[command(flatten)]
    hub: HubArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Report {
    Entity,
    Token,
    Conlleval,
    All,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeName {
    Default,
    Strict,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
    Csv,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let (gold, predicted) = tags(arguments, quiet)?;
    let mode = match arguments.mode {
        ModeName::Default => Mode::Default,
        ModeName::Strict => Mode::Strict(arguments.scheme),
    };
    let wanted = |report| arguments.report == report || arguments.report == Report::All;
    let gold = gold.tags();
    let ill_formed = predicted
        .iter()
        .filter(|tags| !arguments.scheme.is_valid(tags))
        .count();
    if ill_formed > 0 {
        let (sentences, scheme) = (predicted.len(), arguments.scheme);
        Progress::new(quiet).say(&format!(
            "{ill_formed} of {sentences} predicted sentences are not well-formed {scheme}"
        ));
    }
    let entity = wanted(Report::Entity)
        .then(|| EntityReport::new(&gold, &predicted, mode))
        .transpose()?;
    let token = wanted(Report::Token)
        .then(|| TokenReport::new(&gold, &predicted))
        .transpose()?;
    let conlleval = wanted(Report::Conlleval)
        .then(|| ConllevalSummary::new(&gold, &predicted))
        .transpose()?;

    let digits = arguments.digits;
    let texts: Vec<String> = match arguments.format {
        Format::Text => {
            let entity = entity.map(|report| report.to_text(digits));
            let token = token.map(|report| report.to_text(digits));
            [entity, token, conlleval.map(|summary| summary.to_text())]
                .into_iter()
                .flatten()
                .collect()
        }
        Format::Csv => {
            if arguments.report == Report::Conlleval {
                bail!("--report conlleval has no CSV form; choose --format text or json");
            }
            [
                entity.map(|report| report.to_csv()),
                token.map(|report| report.to_csv()),
            ]
            .into_iter()
            .flatten()
            .collect()
        }
        Format::Json => {
            let mut reports = serde_json::Map::new();
            reports.insert("ill_formed_sentences".to_owned(), ill_formed.into());
            for (name, report) in [
                ("entity", entity.map(serde_json::to_value)),
                ("token", token.map(serde_json::to_value)),
                ("conlleval", conlleval.map(serde_json::to_value)),
            ] {
                if let Some(report) = report {
                    reports.insert(name.to_owned(), report?);
                }
            }
            vec![serde_json::to_string_pretty(&reports)? + "\n"]
        }
    };
    let mut output = Output::create(arguments.output.as_deref())?;
    write!(output, "{}", texts.join("\n"))?;
    output.finish()
}

/// The file with the true tags, and the predicted ones.
fn tags(arguments: &Arguments, quiet: bool) -> Result<(TaggedFile, Vec<Vec<String>>)> {
    let read = |path: &PathBuf| TaggedFile::read(path, &arguments.layout);
    match (
        &arguments.gold,
        &arguments.pred,
        &arguments.model,
        &arguments.data,
    ) {
        (Some(gold), Some(pred), ..) => {
            let (gold, pred) = (read(gold)?, read(pred)?);
            if arguments.rejoin {
                let predicted = gold.rejoined(&pred)?;
                return Ok((gold, predicted));
            }
            gold.check_same_words(&pred)?;
            Ok((
                gold,
                pred.sentences
                    .into_iter()
                    .map(|sentence| sentence.tags)
                    .collect(),
            ))
        }
        (_, _, Some(model), Some(data)) => {
            let gold = read(data)?;
            let dir = arguments.hub.model(model, quiet)?;
            gold.check_tags(&ModelConfig::from_dir(&dir)?.id2label)?;
            let tagger = Tagger::load(&dir, &arguments.inference)?;
            let mut progress = Progress::new(quiet);
            progress.start("evaluate", gold.sentences.len());
            let tagged = tagger.tag(&gold.sentences, |done| progress.set(done, String::new))?;
            progress.end();
            let predicted: Vec<Vec<String>> = tagged
                .into_iter()
                .map(|words| words.into_iter().map(|word| word.tag).collect())
                .collect();
            if let Some(path) = &arguments.predictions {
                write_predictions(path, &gold, &predicted)?;
            }
            Ok((gold, predicted))
        }
        _ => bail!("give --gold and --pred, or --model and --data"),
    }
}
