//! `evaluate`: reports.

mod error_report;
mod explain;
mod section;
mod tables;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use ner_metrics::{
    ConllevalSummary, EntityReport, Mode, Scheme, TokenReport, tags_without_position,
};
use ner_tagger::Tagger;
use ner_train::evaluate_as_text;
use serde_json::{Map, Value, json};

pub use self::error_report::ErrorReport;
use self::explain::{Explain, ExplainArguments};
use self::section::{Section, to_csv, to_json, to_text};
use self::tables::TextForm;
use crate::column_files::{ColumnArguments, TaggedFile};
use crate::hub::HubArguments;
use crate::inference::InferenceArguments;
use crate::output::Output;
use crate::progress::Progress;
use crate::screen;
use crate::wording::{bare_tags, counted, few_samples};

/// Score predicted tags as seqeval does.
///
/// Gold and predicted tags come from two files, or from a file and a model.
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
    #[arg(long, requires = "model", conflicts_with = "as_text")]
    predictions: Option<PathBuf>,
    /// Join the words to running text, tag that as `predict` does, and compare spans of characters: what the model is worth in use.
    #[arg(long, requires = "model", conflicts_with_all = ["report", "mode", "scheme", "errors", "train", "bootstrap"])]
    as_text: bool,
    #[command(flatten)]
    explain: ExplainArguments,
    /// `entity` is seqeval's text, `token` scikit-learn's, `conlleval` the shared task's.
    #[arg(long, value_enum, default_value_t = Report::Entity)]
    report: Report,
    /// What counts as an entity: `default` is the conlleval rule, `strict` counts well-formed ones only.
    #[arg(long, value_enum, default_value_t = ModeName::Default)]
    mode: ModeName,
    /// Tagging scheme of the strict mode: iob1, iob2, ioe1, ioe2, iobes or bilou; iob2 where not given.
    #[arg(long)]
    scheme: Option<Scheme>,
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
    layout: ColumnArguments,
    #[command(flatten)]
    hub: HubArguments,
}

impl Arguments {
    fn mode(&self) -> Mode {
        match self.mode {
            ModeName::Default => Mode::Default,
            ModeName::Strict => Mode::Strict(self.scheme()),
        }
    }

    fn scheme(&self) -> Scheme {
        self.scheme.unwrap_or(Scheme::Iob2)
    }

    fn text_form(&self) -> TextForm {
        TextForm {
            digits: self.digits,
            columns: screen::columns(self.output.as_deref()),
        }
    }
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
    let text = match (&arguments.model, &arguments.data) {
        (Some(model), Some(data)) => with_model(arguments, model, data, quiet)?,
        _ => with_predictions(arguments, quiet)?,
    };
    let mut output = Output::create(arguments.output.as_deref())?;
    match arguments.format {
        Format::Text => output.write_text(&text)?,
        Format::Json | Format::Csv => write!(output, "{text}")?,
    }
    output.finish()
}

/// The report on two files.
fn with_predictions(arguments: &Arguments, quiet: bool) -> Result<String> {
    let (Some(gold), Some(pred)) = (&arguments.gold, &arguments.pred) else {
        bail!("give --gold and --pred, or --model and --data");
    };
    let gold = TaggedFile::read(gold, &arguments.layout)?;
    let pred = TaggedFile::read(pred, &arguments.layout)?;
    let predicted = if arguments.rejoin {
        gold.rejoined(&pred)?
    } else {
        gold.check_same_words(&pred)?;
        let sentences = pred.sentences.into_iter();
        sentences.map(|sentence| sentence.tags).collect()
    };
    report(arguments, &gold, &predicted, None, quiet)
}

/// The report on a model.
fn with_model(arguments: &Arguments, model: &str, data: &Path, quiet: bool) -> Result<String> {
    let gold = TaggedFile::read(data, &arguments.layout)?;
    let dir = arguments.hub.model(model, quiet)?;
    let tagger = arguments.inference.load(&dir, quiet)?;
    gold.check_tags(tagger.labels())?;
    if arguments.as_text {
        return as_text(arguments, &gold, &tagger, quiet);
    }
    let mut progress = Progress::new(quiet);
    progress.start("evaluate", gold.sentences.len());
    let scored = tagger.score(&gold.sentences, |done| progress.set(done, String::new))?;
    progress.end();
    let tagged = tagger.decode(&scored).into_iter();
    let tags = tagged.map(|sentence| sentence.tags.into_iter().map(|word| word.tag).collect());
    let predicted: Vec<Vec<String>> = tags.collect();
    if let Some(path) = &arguments.predictions {
        write_predictions(path, &gold, &predicted, &arguments.layout)?;
    }
    let decoding = tagger.decoder().to_string();
    report(arguments, &gold, &predicted, Some(decoding), quiet)
}

/// The entity report on running text.
fn as_text(
    arguments: &Arguments,
    gold: &TaggedFile,
    tagger: &Tagger,
    quiet: bool,
) -> Result<String> {
    let found = evaluate_as_text(tagger, &gold.sentences)?;
    Progress::new(quiet).say(&format!(
        "running text, decoding: {}; {} of {} cut into the words of the file; {} of {} out of reach of the cut",
        found.decoding,
        found.cut_alike,
        counted(found.sentences, "sentence", "sentences"),
        found.out_of_reach,
        counted(found.report.micro.support, "gold span", "gold spans")
    ));
    Ok(match arguments.format {
        Format::Text => arguments.text_form().entities(&found.report),
        Format::Csv => found.report.to_csv(),
        Format::Json => pretty(&json!({
            "decoding": found.decoding,
            "sentences": found.sentences,
            "cut_alike": found.cut_alike,
            "out_of_reach": found.out_of_reach,
            "entity": found.report,
        }))?,
    })
}

fn pretty(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// The reports asked for. `decoding` says how a model's labels were chosen.
fn report(
    arguments: &Arguments,
    gold: &TaggedFile,
    predicted: &[Vec<String>],
    decoding: Option<String>,
    quiet: bool,
) -> Result<String> {
    let mode = arguments.mode();
    let explain = Explain::new(&arguments.explain, &arguments.layout, gold, predicted, mode)?;
    let tags = gold.tags();
    let ill_formed = warn(arguments, &tags, predicted, decoding.as_deref(), quiet);
    let wanted = |report| arguments.report == report || arguments.report == Report::All;
    let mut sections = Vec::new();
    let form = arguments.text_form();
    if wanted(Report::Entity) {
        let report = EntityReport::new(&tags, predicted, mode)?;
        sections.push(
            Section::new("entity", &report, form.entities(&report))?.with_csv(report.to_csv()),
        );
    }
    if wanted(Report::Token) {
        let report = TokenReport::new(&tags, predicted)?;
        sections
            .push(Section::new("token", &report, form.tokens(&report))?.with_csv(report.to_csv()));
    }
    if wanted(Report::Conlleval) {
        let summary = ConllevalSummary::new(&tags, predicted)?;
        sections.push(Section::new("conlleval", &summary, summary.to_text())?);
    }
    sections.extend(explain.sections(form)?);
    match arguments.format {
        Format::Text => Ok(to_text(&sections)),
        Format::Csv => to_csv(&sections),
        Format::Json => {
            let mut about = Map::new();
            if let Some(decoding) = decoding {
                about.insert("decoding".to_owned(), decoding.into());
            }
            about.insert("ill_formed_sentences".to_owned(), ill_formed.into());
            pretty(&to_json(about, sections))
        }
    }
}

/// Says on stderr what a table does not show. Returns the number of predicted sentences that are not well-formed.
fn warn(
    arguments: &Arguments,
    gold: &[&Vec<String>],
    predicted: &[Vec<String>],
    decoding: Option<&str>,
    quiet: bool,
) -> usize {
    let progress = Progress::new(quiet);
    if let Some(decoding) = decoding {
        progress.say(&format!("decoding: {decoding}"));
    }
    if let (Some(scheme), Mode::Default) = (arguments.scheme, arguments.mode()) {
        progress.say(&format!(
            "note: entities are counted by the default rule, which knows no scheme; --mode strict --scheme {scheme} counts well-formed ones only"
        ));
    }
    if let Some(note) = arguments.explain.samples().and_then(few_samples) {
        progress.say(&note);
    }
    let scheme = arguments.scheme();
    let ill_formed = predicted
        .iter()
        .filter(|tags| !scheme.is_valid(tags))
        .count();
    if ill_formed > 0 {
        let sentences = counted(predicted.len(), "predicted sentence", "predicted sentences");
        let are = if ill_formed == 1 { "is" } else { "are" };
        progress.say(&format!(
            "{ill_formed} of {sentences} {are} not well-formed {scheme}"
        ));
    }
    let tags = gold.iter().copied().chain(predicted).flatten();
    let bare = tags_without_position(tags);
    if !bare.is_empty() {
        progress.say(&bare_tags(&bare, "entity report"));
    }
    ill_formed
}

/// Predicted tags in a file that the layout reads: word, tag, and a blank line after each sentence.
pub fn write_predictions(
    path: &Path,
    file: &TaggedFile,
    predicted: &[Vec<String>],
    layout: &ColumnArguments,
) -> Result<()> {
    let mut rows = layout.writer().from_writer(Output::create(Some(path))?);
    for (sentence, tags) in file.sentences.iter().zip(predicted) {
        for (word, tag) in sentence.words.iter().zip(tags) {
            rows.write_row([word, tag])
                .with_context(|| path.display().to_string())?;
        }
        rows.end_sentence()?;
    }
    rows.into_inner()?.finish()
}
