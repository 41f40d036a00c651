//! `check`: what is wrong with tagged files, before anything is trained on them.

mod corpus;
mod duplicates;
mod finding;
mod inconsistent;
mod labels;
mod report;
mod statistics;
mod subwords;
mod tags;
mod words;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use subword_align::SubwordTokenizer;

use self::corpus::View;
use self::finding::{Findings, Severity};
use self::report::Report;
use crate::column_files::ColumnArguments;
use crate::hub::HubArguments;
use crate::inference::InferenceArguments;
use crate::output::Output;
use crate::wording::counted;

/// Find mistakes in tagged files before training on them.
///
/// Errors are what training or scoring would misread: lines that cannot be read, a header line, tags that are not of the file's scheme or spelt in
/// two ways, sequences that the scheme forbids, files of different schemes, words that cannot be seen. Warnings are probably mistakes, or make
/// figures wrong: sentences of one file in another, types that the training file lacks, the same words tagged in two ways, labels that a model
/// speaks against. The exit code is 1 where there are errors, else 0; --fail-on warning has it 1 for warnings too.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Column files, such as those for training and for testing.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Tokenizer to count sub-words with: a directory, or NAME[@REVISION] of the hub. With --model, that model's where not given.
    #[arg(long)]
    tokenizer: Option<String>,
    /// Fine-tuned model that looks for labels that are probably wrong, best one that was not trained on these files: a directory, or
    /// NAME[@REVISION] of the hub.
    #[arg(long)]
    model: Option<String>,
    /// Sentences of more words than this are pointed out.
    #[arg(long, value_name = "WORDS", default_value_t = 100)]
    long_sentence: usize,
    /// Findings of a kind that the text shows; JSON has all.
    #[arg(long, value_name = "N", default_value_t = 5)]
    examples: usize,
    /// The least that makes the exit code 1.
    #[arg(long, value_enum, default_value_t = FailOn::Error)]
    fail_on: FailOn,
    /// Form of the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// File to write instead of stdout.
    #[arg(long, short)]
    output: Option<PathBuf>,
    #[command(flatten, next_help_heading = "With --tokenizer or --model")]
    inference: InferenceArguments,
    #[command(flatten)]
    layout: ColumnArguments,
    #[command(flatten)]
    hub: HubArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailOn {
    Error,
    Warning,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let report = check(arguments, quiet)?;
    let mut output = Output::create(arguments.output.as_deref())?;
    match arguments.format {
        Format::Text => output.write_text(&report.to_text(arguments.examples))?,
        Format::Json => write!(output, "{}", report.to_json()?)?,
    }
    output.finish()?;
    let [errors, warnings] = [Severity::Error, Severity::Warning].map(|least| report.count(least));
    let found = [
        counted(errors, "error", "errors"),
        counted(warnings, "warning", "warnings"),
    ];
    match arguments.fail_on {
        FailOn::Error if errors > 0 => bail!("{} in the data", found[0]),
        FailOn::Warning if errors + warnings > 0 => bail!("{} in the data", found.join(" and ")),
        _ => Ok(()),
    }
}

fn check(arguments: &Arguments, quiet: bool) -> Result<Report> {
    let mut findings = Findings::default();
    let files = corpus::read(&arguments.files, &arguments.layout, &mut findings);
    let views = files.iter().map(View::new).collect::<Result<Vec<_>>>()?;
    let mut statistics = statistics::of_files(&views);
    tags::check(&views, &mut findings)?;
    let overlaps = duplicates::check(&views, &mut findings);
    inconsistent::check(&views, &mut findings);
    words::check(&views, arguments.long_sentence, &mut findings);

    let tagger = match &arguments.model {
        Some(model) => {
            let dir = arguments.hub.model(model, quiet)?;
            Some(arguments.inference.load(&dir, quiet)?)
        }
        None => None,
    };
    let tokenizer = match &arguments.tokenizer {
        Some(tokenizer) => {
            let dir = arguments.hub.tokenizer(tokenizer, quiet)?;
            Some(SubwordTokenizer::from_dir(dir, None)?)
        }
        None => None,
    };
    let of_model = tagger.as_ref().map(ner_tagger::Tagger::tokenizer);
    if let Some(tokenizer) = tokenizer.as_ref().or(of_model) {
        let positions = tagger.as_ref().map(|tagger| {
            let config = tagger.model().config();
            config.usable_positions()
        });
        let max_length = arguments.inference.max_length();
        let max_length = max_length.or(positions).or(tokenizer.model_max_length());
        let counts = subwords::check(&views, tokenizer, max_length, &mut findings)?;
        for (statistics, counts) in statistics.iter_mut().zip(counts) {
            statistics.subwords = Some(counts);
        }
    }
    if let Some(tagger) = &tagger {
        labels::check(&views, tagger, quiet, &mut findings)?;
    }
    Ok(Report::new(statistics, overlaps, findings))
}
