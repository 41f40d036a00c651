//! `predict`: entities in text.

mod columns;
mod resume;
#[cfg(feature = "arrow")]
mod tables;
mod texts;
mod writer;

use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use ner_tagger::{Aggregation, Offsets};

use self::texts::Texts;
use self::writer::Writer;
use crate::column_files::{ColumnArguments, is_column_file};
use crate::hub::HubArguments;
use crate::inference::InferenceArguments;
use crate::last_words::LastWords;
use crate::paths::{check_files, expand, notes_on_texts};
use crate::progress::Progress;
use crate::text_records::{
    NO_TABLES, OnError, RecordFormat, RecordReader, TO_UTF8, say_where_to_type,
};

/// Find the entities in texts, files and pipes.
///
/// Texts are the arguments, else those of --input, else those of stdin. Nothing is cut off: a text longer than the model is read in overlapping windows. Each text stands alone; the sentences of a column file
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
    /// What the files hold: lines of `text`, `jsonl`, `csv` or `tsv` with a field for the text, `parquet` or `arrow` with a column for it (a build with
    /// `--features arrow`), or words as a column file gives them (`conll`). By the names of the files where not given, else lines of text.
    #[arg(long, value_enum)]
    input_format: Option<InputFormat>,
    /// Field or column of the text in JSONL, CSV, TSV, Parquet and Arrow. The others are kept in `--format jsonl`, `parquet` and `arrow`.
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,
    /// Field or column that `--format jsonl`, `parquet` and `arrow` write the entities to.
    #[arg(long, value_name = "NAME", default_value = "entities")]
    entities_field: String,
    /// Form of the result. Where not given, the name of --output says it (.jsonl, .csv, .conll, .html, .parquet, .arrow), else it is `text`.
    /// `html` is a page to look at: the texts with their entities marked, gold ones of a column file beside them where they differ, and how often
    /// each entity came. `parquet` and `arrow` (an IPC file) are the table that was read, Parquet or Arrow, with one column more:
    /// `list<struct<type, text, score, start, end>>`, null where the text is.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What `start` and `end` count: Unicode `code-points` as in Python, `bytes` of UTF-8 as in Rust and Go, or `utf-16` code units as in JavaScript and
    /// Java.
    #[arg(long, default_value_t)]
    offsets: Offsets,
    /// What a record that cannot be read does: end the run, after the answers to those before it, or be reported and left out.
    #[arg(long, value_enum, default_value_t = OnError::Fail)]
    on_error: OnError,
    /// Go on where a run with this output was killed, or begin one that can go on: give the same command again. An output that is there whole is
    /// left as it is.
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
    #[arg(long, default_value = "1024")]
    batch_size: NonZeroUsize,
    #[command(flatten)]
    inference: InferenceArguments,
    #[command(flatten)]
    layout: ColumnArguments,
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
    Parquet,
    Arrow,
    Conll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Jsonl,
    Conll,
    Csv,
    Html,
    Parquet,
    Arrow,
}

impl Format {
    /// What the name of an output tells; marked text where it tells nothing.
    fn of(path: &Path) -> Self {
        if is_column_file(path) {
            return Self::Conll;
        }
        match RecordFormat::of(path) {
            RecordFormat::Jsonl => Self::Jsonl,
            RecordFormat::Csv => Self::Csv,
            RecordFormat::Parquet => Self::Parquet,
            RecordFormat::Arrow => Self::Arrow,
            RecordFormat::Text | RecordFormat::Tsv => {
                let name = path.to_string_lossy().to_lowercase();
                match [".html", ".htm"].iter().any(|end| name.ends_with(end)) {
                    true => Self::Html,
                    false => Self::Text,
                }
            }
        }
    }

    /// Whether it holds the columns of a table as they are.
    fn is_table(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let paths = expand(&arguments.input)?;
    arguments.check(&paths)?;
    let progress = Progress::new(quiet);
    for note in notes_on_texts(&arguments.texts) {
        progress.say(&note);
    }
    if let Some(note) = arguments.nothing_left() {
        progress.say(&note);
        return Ok(());
    }
    let dir = arguments.hub.model(&arguments.model, quiet)?;
    // The program ends with this command, and a large vocabulary takes long to give back piece by piece.
    let tagger = ManuallyDrop::new(arguments.inference.load(&dir, quiet)?);
    let texts = Texts::new(arguments, &tagger, quiet);
    let _words = arguments.last_words(&paths).map(LastWords::prepare);
    #[cfg(feature = "arrow")]
    if arguments.format().is_table() {
        return tables::tag(arguments, texts, &paths);
    }
    let takes_words = arguments.takes_words(&paths);
    let writer = Writer::new(arguments, takes_words)?;
    if takes_words {
        return columns::tag(arguments, &tagger, texts, writer, &paths);
    }
    if arguments.texts.is_empty() {
        let paths = if paths.is_empty() {
            vec!["-".into()]
        } else {
            paths
        };
        say_where_to_type(&paths, &progress);
        texts.tag_records(arguments.reader().read(paths)?, writer)
    } else {
        texts.tag(&arguments.texts, writer)
    }
}

impl Arguments {
    /// Fails for what does not go together.
    fn check(&self, paths: &[PathBuf]) -> Result<()> {
        check_files(paths)?;
        let takes_words = self.check_columns(paths)?;
        let format = self.format();
        ensure!(
            self.aggregation == Grouping::Word || (!takes_words && format != Format::Conll),
            "column files hold words; with them, leave out --aggregation or choose --aggregation word"
        );
        ensure!(
            !self.resume || !format.is_table(),
            "--resume goes with a format that has lines: a Parquet or Arrow file cannot be read before its end is written. Give each input file an output of its own, \
             or write --format jsonl"
        );
        ensure!(
            !self.resume || self.can_resume(paths),
            "--resume goes with texts, and with a format that has lines: text, jsonl, csv or conll"
        );
        ensure!(
            takes_words || self.layout.is_utf8(),
            "--encoding is for column files; for texts, {TO_UTF8}"
        );
        if format.is_table() {
            self.check_tables(paths)?;
        }
        Ok(())
    }

    /// Whether the files hold words in columns. Fails where some do and some do not, or where they cannot be read.
    fn check_columns(&self, paths: &[PathBuf]) -> Result<bool> {
        let is_columns = |path: &&PathBuf| is_column_file(path);
        if let (None, Some(columns), Some(other)) = (
            self.input_format,
            paths.iter().find(is_columns),
            paths.iter().find(|path| !is_columns(path)),
        ) {
            bail!(
                "{} is a column file and {} holds {}, by their names; tag them one after the other, or say with --input-format what all of them hold",
                columns.display(),
                other.display(),
                RecordFormat::of(other).words()
            );
        }
        let takes_words = self.takes_words(paths);
        ensure!(
            !takes_words || !(paths.is_empty() || paths.contains(&PathBuf::from("-"))),
            "--input-format conll needs --input FILE"
        );
        let is_packed = |path: &&PathBuf| {
            let end = path.extension().map(OsStr::to_ascii_lowercase);
            end.is_some_and(|end| end == "gz" || end == "zst")
        };
        if let Some(packed) = paths.iter().find(is_packed).filter(|_| takes_words) {
            bail!(
                "{}: a column file is read as it is; unpack it, as with gzip -d or zstd -d",
                packed.display()
            );
        }
        Ok(takes_words)
    }

    /// Fails where a table is asked for and what is read is none, or cannot be.
    fn check_tables(&self, paths: &[PathBuf]) -> Result<()> {
        ensure!(cfg!(feature = "arrow"), NO_TABLES);
        let format = if self.format() == Format::Parquet {
            "parquet"
        } else {
            "arrow"
        };
        let reader = self.reader();
        let is_other =
            |path: &&PathBuf| self.takes_words(paths) || !reader.format_of(path).is_table();
        if let Some(other) = paths.iter().find(is_other) {
            bail!(
                "{}: --format {format} keeps the columns of a Parquet or Arrow file, and this is none (--input-format says otherwise); choose --format jsonl",
                other.display()
            );
        }
        ensure!(
            !paths.is_empty(),
            "--format {format} needs --input FILE, a Parquet or Arrow file"
        );
        ensure!(
            self.output_file().is_some() || !io::stdout().is_terminal(),
            "--format {format} is not for a terminal; give --output FILE"
        );
        Ok(())
    }

    fn takes_words(&self, paths: &[PathBuf]) -> bool {
        match self.input_format {
            Some(format) => format == InputFormat::Conll,
            None => !paths.is_empty() && paths.iter().all(is_column_file),
        }
    }

    /// The form of the result: as it is given, else as the output's name tells.
    fn format(&self) -> Format {
        let by_name = || self.output_file().map_or(Format::Text, Format::of);
        self.format.unwrap_or_else(by_name)
    }

    /// The file of the result; none for stdout.
    fn output_file(&self) -> Option<&Path> {
        self.output
            .as_deref()
            .filter(|path| *path != Path::new("-"))
    }

    /// Whether a killed run can leave something to go on with.
    fn can_resume(&self, paths: &[PathBuf]) -> bool {
        let format = self.format();
        format != Format::Html && !format.is_table() && !self.takes_words(paths)
    }

    /// What to say where a run is to go on whose output is whole already.
    fn nothing_left(&self) -> Option<String> {
        let output = self.output_file().filter(|_| self.resume)?;
        let name = output.display();
        resume::is_complete(output).then(|| {
            format!(
                "note: {name} is there already and is left as it is: a run to go on with has {name}.part beside it. To tag again, delete it or name \
                 another output"
            )
        })
    }

    /// What to say where Ctrl-C ends the run.
    fn last_words(&self, paths: &[PathBuf]) -> Option<String> {
        let name = self.output_file()?.display();
        let words = if self.resume {
            format!(
                "interrupted; the answers so far are in {name}.part: give the same command again to go on"
            )
        } else if self.can_resume(paths) {
            format!(
                "interrupted; nothing is written to {name}. With --resume a run keeps its answers, and the same command goes on"
            )
        } else {
            format!("interrupted; nothing is written to {name}")
        };
        Some(words)
    }

    fn reader(&self) -> RecordReader {
        let format = self.input_format.and_then(|format| match format {
            InputFormat::Text => Some(RecordFormat::Text),
            InputFormat::Jsonl => Some(RecordFormat::Jsonl),
            InputFormat::Csv => Some(RecordFormat::Csv),
            InputFormat::Tsv => Some(RecordFormat::Tsv),
            InputFormat::Parquet => Some(RecordFormat::Parquet),
            InputFormat::Arrow => Some(RecordFormat::Arrow),
            InputFormat::Conll => None,
        });
        RecordReader {
            format,
            field: self.text_field.clone(),
        }
    }

    /// Texts that are taken before the first is answered: somebody who types wants an answer to each line.
    fn texts_at_once(&self) -> usize {
        let is_stdin = self.input.is_empty() || self.input == ["-"];
        if is_stdin && io::stdin().is_terminal() {
            1
        } else {
            self.batch_size.get()
        }
    }

    /// Whether progress is to be seen: not where the results are seen themselves, or piped from a terminal to what may show them.
    fn shows_progress(&self) -> bool {
        self.output_file().is_some() || !(io::stdout().is_terminal() || io::stderr().is_terminal())
    }

    /// The one file that is read, where it is one.
    fn only_input(&self) -> Option<&Path> {
        match self.input.as_slice() {
            [one] if one != "-" => Some(Path::new(one)),
            _ => None,
        }
    }
}
