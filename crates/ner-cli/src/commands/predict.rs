//! `predict`: entities in text.

mod columns;
mod resume;
mod texts;
mod writer;

use std::io::{self, IsTerminal};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use ner_tagger::{Aggregation, Offsets};

use self::texts::Texts;
use self::writer::Writer;
use crate::data::Layout;
use crate::hub::HubArguments;
use crate::paths::expand;
use crate::records::{RecordFormat, RecordReader};
use crate::tagger::InferenceArguments;

/// Find the entities in texts, files and pipes.
///
/// Texts are the arguments, else those of --input, else those of stdin. /// Nothing is cut off: a text longer than the model is read in overlapping windows. Each text stands alone; the sentences of a column file
/// have the document context that the model was trained with. Files may be packed with gzip or Zstandard; results come in the order of the texts,
/// and memory does not grow with their number.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Texts.
    texts: Vec<String>,
    /// Model: a directory, or NAME[@REVISION] of the hub.
    #[arg(long)]
    model: String,
    /// Files to read, with wildcards; `-` is stdin.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "texts")]
    input: Vec<String>,
    /// What the files hold: lines of `text`, `jsonl`, `csv` or `tsv` with a field for the text, or words as a column file gives them (`conll`). By the
    /// names of the files where not given, else lines of text.
    #[arg(long, value_enum)]
    input_format: Option<InputFormat>,
    /// Field or column of the text in JSONL, CSV and TSV. The others are kept in `--format jsonl`.
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,
    /// Field that `--format jsonl` writes the entities to.
    #[arg(long, value_name = "NAME", default_value = "entities")]
    entities_field: String,
    /// Form of the result. `html` is a page to look at: the texts with their entities marked, gold ones of a column file beside them where they
    /// differ, and how often each entity came.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// What `start` and `end` count: Unicode `code-points` as in Python, `bytes` of UTF-8 as in Rust and Go, or `utf-16` code units as in JavaScript and
    /// Java.
    #[arg(long, default_value_t)]
    offsets: Offsets,
    /// What a record that cannot be read does: end the run, after the answers to those before it, or be reported and left out.
    #[arg(long, value_enum, default_value_t = OnError::Fail)]
    on_error: OnError,
    /// Go on where a run with this output was killed, or begin one that can go on: give the same command again.
    #[arg(long, requires = "output")]
    resume: bool,
    /// What becomes an entity: `word` decides the words of a text as training and `evaluate` do; none, simple, first, average and max are the
    /// strategies of pipeline('ner') over sub-words, which decode no label sequences: --words, --decode and a CRF do not act.
    #[arg(long, default_value = "word")]
    aggregation: Grouping,
    /// File to write instead of stdout.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Texts of a file or of a pipe to take before the first is answered. Every 256 of them pass through the model sorted by length, while the
    /// next ones are tokenized.
    #[arg(long, default_value_t = 1024)]
    batch_size: usize,
    #[command(flatten)]
    inference: InferenceArguments,
    #[command(flatten)]
    layout: Layout,
    #[command(flatten)]
    hub: HubArguments,
}

/// What becomes an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grouping {
    /// Words, as in training.
    Word,
    /// One of the pipeline's strategies.
    Pipeline(Aggregation),
}

impl FromStr for Grouping {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "word" => Ok(Self::Word),
            _ => Ok(Self::Pipeline(name.parse().with_context(
                || "or `word`, whose units are the words of the text",
            )?)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    Text,
    Jsonl,
    Csv,
    Tsv,
    Conll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Jsonl,
    Conll,
    Csv,
    Html,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnError {
    Fail,
    Skip,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let dir = arguments.hub.model(&arguments.model, quiet)?;
    ensure!(
        arguments.aggregation == Grouping::Word
            || (!arguments.takes_words() && arguments.format != Format::Conll),
        "column files hold words; with them, leave out --aggregation or choose --aggregation word"
    );
    ensure!(
        !arguments.resume || (arguments.format != Format::Html && !arguments.takes_words()),
        "--resume goes with texts, and with a format that has lines: text, jsonl, csv or conll"
    );
    let paths = expand(&arguments.input)?;
    // The program ends with this command, and a large vocabulary takes long to give back piece by piece.
    let tagger = ManuallyDrop::new(arguments.inference.load(&dir, quiet)?);
    let writer = Writer::new(arguments)?;
    if arguments.takes_words() {
        ensure!(!paths.is_empty(), "--input-format conll needs --input FILE");
        return columns::tag(arguments, &tagger, writer, &paths);
    }
    let texts = Texts::new(arguments, &tagger, quiet);
    if arguments.texts.is_empty() {
        let paths = if paths.is_empty() {
            vec!["-".into()]
        } else {
            paths
        };
        texts.tag_records(arguments.reader().read(paths)?, writer)
    } else {
        texts.tag(&arguments.texts, writer)
    }
}

impl Arguments {
    fn takes_words(&self) -> bool {
        self.input_format == Some(InputFormat::Conll)
    }

    fn reader(&self) -> RecordReader {
        let format = self.input_format.and_then(|format| match format {
            InputFormat::Text => Some(RecordFormat::Text),
            InputFormat::Jsonl => Some(RecordFormat::Jsonl),
            InputFormat::Csv => Some(RecordFormat::Csv),
            InputFormat::Tsv => Some(RecordFormat::Tsv),
            InputFormat::Conll => None,
        });
        RecordReader {
            format,
            field: self.text_field.clone(),
        }
    }

    /// Texts that are taken before the first is answered: somebody who types wants an answer to each line.
    fn texts_at_once(&self) -> usize {
        if self.input.is_empty() && io::stdin().is_terminal() {
            1
        } else {
            self.batch_size.max(1)
        }
    }

    /// The one file that is read, where it is one.
    fn only_input(&self) -> Option<&Path> {
        match self.input.as_slice() {
            [one] if one != "-" => Some(Path::new(one)),
            _ => None,
        }
    }
}
