//! `preprocess`: long sentences become several.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use conll_io::{Column, FileFormat, Sentence};
use rayon::prelude::*;
use subword_align::{Placement, SentenceSplitter, SubwordTokenizer, WordBoundary};

use crate::column_files::{ColumnArguments, header_fault, lacks_tags, with_flag};
use crate::hub::HubArguments;
use crate::output::Output;

/// Split sentences that are too long for a model.
///
/// As `preprocess.py` of the reference does.
///
/// A blank line is put before the word that would exceed the length; words without a sub-word are left out.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Column file, JSONL or table.
    input: PathBuf,
    /// The model's tokenizer: a directory, or NAME[@REVISION] of the hub.
    #[arg(long, required_unless_present = "no_split")]
    tokenizer: Option<String>,
    /// Leave sentences and words as they are, and choose columns only.
    #[arg(long, conflicts_with_all = ["tokenizer", "max_length", "word_boundary"])]
    no_split: bool,
    /// Longest sequence of sub-words, special tokens included.
    #[arg(long, default_value_t = 120)]
    max_length: usize,
    /// Columns to keep, in this order, such as `1,3`; all where not given.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    columns: Vec<Column>,
    /// How words are given to the tokenizer; the tokenizer's saved choice where not given.
    #[arg(long)]
    word_boundary: Option<WordBoundary>,
    /// File to write instead of stdout.
    #[arg(long, short)]
    output: Option<PathBuf>,
    #[command(flatten)]
    layout: ColumnArguments,
    #[command(flatten)]
    hub: HubArguments,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let mut cutter = arguments
        .tokenizer
        .as_deref()
        .map(|model| Cutter::new(&arguments.hub.tokenizer(model, quiet)?, arguments))
        .transpose()?;
    let reader = arguments.layout.open(&arguments.input).map_err(with_flag)?;
    let format = reader.format();
    let mut sentences = reader.into_sentences().peekable();
    if let Some(Ok(first)) = sentences.peek() {
        check(first, format, arguments)?;
    }
    let mut output = Output::create(arguments.output.as_deref())?;
    loop {
        let mut group: Vec<Sentence> = Vec::new();
        let mut end = None;
        while group.len() < GROUP && end.is_none() {
            match sentences.next() {
                Some(Ok(sentence)) => group.push(sentence),
                Some(Err(fault)) => end = Some(Err(with_flag(fault))),
                None => end = Some(Ok(())),
            }
        }
        if let Some(cutter) = &mut cutter {
            cutter.count_words(&group)?;
        }
        for sentence in &group {
            let placements = match &mut cutter {
                Some(cutter) => cutter.place(sentence),
                None => vec![Placement::Keep; sentence.len()],
            };
            write(sentence, &placements, format, arguments, &mut output)?;
        }
        if let Some(end) = end {
            end?;
            return output.finish();
        }
    }
}

/// Sentences whose words are counted together.
const GROUP: usize = 4096;

/// Fails where the first word shows that the file would be misread: it has no tag, or is the name of a column.
fn check(first: &Sentence, format: FileFormat, arguments: &Arguments) -> Result<()> {
    let place = format!("{}:{}", arguments.input.display(), first.line(0));
    match first.tag(0) {
        Some(tag) => {
            if let Some(what) = header_fault(format, first.token(0), tag) {
                bail!("{place}: {what}");
            }
        }
        None if arguments.columns.is_empty() => {
            let what = lacks_tags(format, first.token(0));
            let columns = match format {
                FileFormat::Table => "--columns with the number of theirs",
                FileFormat::Columns | FileFormat::Jsonl => "--columns 1",
            };
            bail!("{place}: {what}; for words without tags give {columns}");
        }
        None => {}
    }
    Ok(())
}

/// Writes a sentence, cut where its words' placements say.
fn write(
    sentence: &Sentence,
    placements: &[Placement],
    format: FileFormat,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<()> {
    if let Some(line) = sentence.document_line() {
        writeln!(output, "{line}\n")?;
    }
    let mut lines = if format == FileFormat::Columns || !arguments.columns.is_empty() {
        Lines::Kept(output, &arguments.columns)
    } else {
        Lines::Made(Box::new(arguments.layout.writer().from_writer(output)))
    };
    for (word, placement) in placements.iter().enumerate() {
        match placement {
            Placement::Drop => continue,
            Placement::BreakBefore => lines.end_sentence()?,
            Placement::Keep => {}
        }
        let at = || format!("{}:{}", arguments.input.display(), sentence.line(word));
        lines.write(sentence, word, at)?;
    }
    lines.end_sentence()
}

/// How words become lines.
enum Lines<'a> {
    /// Their own, or the chosen columns of these.
    Kept(&'a mut Output, &'a [Column]),
    /// Columns of word and tag, for words that had no line.
    Made(Box<conll_io::Writer<&'a mut Output>>),
}

impl Lines<'_> {
    /// Writes the line of a word; `at` tells where the word stands, for errors.
    fn write(&mut self, sentence: &Sentence, word: usize, at: impl Fn() -> String) -> Result<()> {
        match self {
            Self::Kept(output, columns) => {
                let line = kept_columns(sentence, word, columns).with_context(at)?;
                writeln!(output, "{line}")?;
            }
            Self::Made(rows) => {
                let row = [Some(sentence.token(word)), sentence.tag(word)];
                rows.write_row(row.into_iter().flatten())
                    .map_err(conll_io::Error::into_kind)
                    .with_context(at)?;
            }
        }
        Ok(())
    }

    fn end_sentence(&mut self) -> Result<()> {
        match self {
            Self::Kept(output, _) => writeln!(output)?,
            Self::Made(rows) => rows.flush()?,
        }
        Ok(())
    }
}

/// Decides where a sentence is cut.
struct Cutter {
    tokenizer: SubwordTokenizer,
    splitter: SentenceSplitter,
    /// Sub-words of each word seen.
    counts: HashMap<String, usize>,
}

impl Cutter {
    fn new(dir: &Path, arguments: &Arguments) -> Result<Self> {
        let tokenizer = SubwordTokenizer::from_dir(dir, arguments.word_boundary)?;
        let splitter =
            SentenceSplitter::new(arguments.max_length, tokenizer.special_token_count())?;
        Ok(Self {
            tokenizer,
            splitter,
            counts: HashMap::new(),
        })
    }

    /// Counts the sub-words of the sentences' words, each word once, on all cores.
    fn count_words(&mut self, sentences: &[Sentence]) -> Result<()> {
        let words = sentences.iter().flat_map(Sentence::tokens);
        let new: HashSet<&str> = words
            .filter(|word| !self.counts.contains_key(*word))
            .collect();
        let new: Vec<&str> = new.into_iter().collect();
        let share = new.len().div_ceil(rayon::current_num_threads()).max(1);
        let counts = new
            .par_chunks(share)
            .map(|words| self.tokenizer.subwords_per_word(words));
        let counts: Vec<Vec<usize>> = counts.collect::<Result<_, _>>()?;
        let counted = new.into_iter().map(str::to_owned);
        self.counts.extend(counted.zip(counts.concat()));
        Ok(())
    }

    /// What becomes of each word of a sentence whose words are counted.
    fn place(&mut self, sentence: &Sentence) -> Vec<Placement> {
        let placements = sentence
            .tokens()
            .map(|word| self.splitter.place(self.counts[word]))
            .collect();
        self.splitter.end_sentence();
        placements
    }
}

/// The line of a word, or its chosen columns with one space between.
fn kept_columns(sentence: &Sentence, word: usize, columns: &[Column]) -> Result<String> {
    if columns.is_empty() {
        return Ok(sentence.raw_line(word).trim_end().to_owned());
    }
    let fields: Vec<&str> = sentence.fields(word).collect();
    let chosen = columns.iter().map(|column| {
        column
            .index(fields.len())
            .map(|index| fields[index])
            .with_context(|| {
                format!(
                    "there is no column {column}: the line has {} columns",
                    fields.len()
                )
            })
    });
    Ok(chosen.collect::<Result<Vec<_>>>()?.join(" "))
}
