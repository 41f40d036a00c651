//! Files of words and tags: columns, tables with a header, JSONL.

mod flags;
mod layout;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use conll_io::{FileFormat, Label};
use ner_pages::Mark;
use ner_tagger::PretokenizedSentence;

pub use self::flags::{kind_with_flag, with_flag};
pub use self::layout::ColumnArguments;
use crate::paths::unpacked_name;
use crate::wording::counted;

/// Whether the name of a file of texts says that it holds words in columns.
pub fn is_column_file(path: impl AsRef<Path>) -> bool {
    let name = unpacked_name(path.as_ref());
    let end = name.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ["conll", "iob", "iob2", "bio"].contains(&end))
}

/// What a file of texts holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum InputFormat {
    Text,
    Conll,
}

/// The sentences of one file, and where they stood in it.
#[derive(Debug)]
pub struct TaggedFile {
    /// The file.
    pub path: PathBuf,
    /// Its sentences. Without document boundaries the file is one document.
    pub sentences: Vec<PretokenizedSentence>,
    /// Line of each word.
    lines: Vec<Vec<u64>>,
    /// How it is laid out.
    format: FileFormat,
    /// All fields of the first record of a JSONL file.
    fields: Vec<String>,
}

impl TaggedFile {
    /// Reads a file whose words all have tags.
    pub fn read(path: &Path, layout: &ColumnArguments) -> Result<Self> {
        let file = Self::read_any(path, layout)?;
        let untagged = file
            .sentences
            .first()
            .is_some_and(|sentence| sentence.tags.is_empty());
        ensure!(
            !untagged,
            "{}:{}: {}",
            path.display(),
            file.lines[0][0],
            file.lacks_tags()
        );
        ensure!(
            !file.sentences.is_empty(),
            "{}: holds no sentence",
            path.display()
        );
        if let Some(what) = file.header_fault() {
            bail!("{}:{}: {what}", path.display(), file.lines[0][0]);
        }
        Ok(file)
    }

    /// What is wrong with the first line, if its word and tag are names of columns.
    pub fn header_fault(&self) -> Option<String> {
        let first = self.sentences.first()?;
        let (word, tag) = (first.words.first()?, first.tags.first()?);
        header_fault(self.format, word, tag)
    }

    /// Takes off the first line, if its word and tag are names of columns. Gives its number and what is wrong with it.
    pub fn take_header(&mut self) -> Option<(u64, String)> {
        let fault = self.header_fault()?;
        let first = self.sentences.first_mut()?;
        first.words.remove(0);
        first.tags.remove(0);
        let is_empty = first.words.is_empty();
        let line = self.lines[0].remove(0);
        if is_empty {
            self.sentences.remove(0);
            self.lines.remove(0);
        }
        Some((line, fault))
    }

    /// What is wrong with a file whose words have no tags, and what to do.
    pub fn lacks_tags(&self) -> String {
        let word = self.sentences.first().and_then(|first| first.words.first());
        let what = lacks_tags(self.format, word.map_or("", String::as_str));
        if self.fields.is_empty() {
            what
        } else {
            format!("{what}; the first record has {}", self.fields.join(", "))
        }
    }

    /// Reads a file with or without tags.
    pub fn read_any(path: &Path, layout: &ColumnArguments) -> Result<Self> {
        match Self::read_sound(path, layout) {
            (file, None) => Ok(file),
            (_, Some(fault)) => Err(with_flag(fault)),
        }
    }

    /// Reads a file as far as it can be read: the sentences before its first fault, and the fault.
    pub fn read_sound(path: &Path, layout: &ColumnArguments) -> (Self, Option<conll_io::Error>) {
        match layout.open(path) {
            Ok(reader) => {
                let format = reader.format();
                let mut sentences = reader.into_sentences();
                let (mut file, fault) = Self::of(path, format, sentences.by_ref());
                file.fields = sentences.source().first_fields().to_owned();
                (file, fault)
            }
            Err(fault) => Self::of(path, FileFormat::Columns, [Err(fault)]),
        }
    }

    /// A file with or without tags, some sentences at a time: about `size`, or more where whole documents are needed.
    pub fn parts(
        path: &Path,
        layout: &ColumnArguments,
        size: usize,
        whole_documents: bool,
    ) -> Result<impl Iterator<Item = Result<Self>>> {
        let reader = layout.open(path).map_err(with_flag)?;
        let format = reader.format();
        let mut read = reader.into_sentences().peekable();
        let path = path.to_owned();
        Ok(std::iter::from_fn(move || {
            read.peek()?;
            let mut part = Vec::new();
            while let Some(Ok(next)) = read.peek() {
                let may_end = !whole_documents || next.starts_document();
                if part.len() >= size && may_end {
                    break;
                }
                part.extend(read.next());
            }
            if part.is_empty() {
                part.extend(read.next()); // an error
            }
            Some(match Self::of(&path, format, part) {
                (part, None) => Ok(part),
                (_, Some(fault)) => Err(with_flag(fault)),
            })
        }))
    }

    /// The sentences before the first fault, and the fault.
    fn of(
        path: &Path,
        format: FileFormat,
        read: impl IntoIterator<Item = Result<conll_io::Sentence, conll_io::Error>>,
    ) -> (Self, Option<conll_io::Error>) {
        let (mut lines, mut fault) = (Vec::new(), None);
        let sound = read.into_iter().map_while(|sentence| {
            let sentence = sentence.map_err(|error| fault = Some(error)).ok()?;
            let of_words = (0..sentence.len()).map(|i| sentence.line(i));
            lines.push(of_words.collect());
            Some(Ok(sentence))
        });
        let sentences = PretokenizedSentence::from_reader(sound).unwrap_or_default(); // faults are taken out above
        let file = Self {
            path: path.to_owned(),
            sentences,
            lines,
            format,
            fields: Vec::new(),
        };
        (file, fault)
    }

    /// The line of a word.
    pub fn line(&self, sentence: usize, word: usize) -> u64 {
        self.lines[sentence][word]
    }

    /// The tags of each sentence.
    pub fn tags(&self) -> Vec<&Vec<String>> {
        self.sentences
            .iter()
            .map(|sentence| &sentence.tags)
            .collect()
    }

    /// The number of each sentence's unit, which is drawn as a whole where sentences are drawn anew: its document where the file has several, else
    /// the sentence itself.
    pub fn units(&self) -> Vec<usize> {
        let documents: Vec<usize> = self
            .sentences
            .iter()
            .map(|sentence| sentence.document)
            .collect();
        if documents.windows(2).any(|pair| pair[0] != pair[1]) {
            documents
        } else {
            (0..documents.len()).collect()
        }
    }

    /// Fails at the first tag that is not among the labels, and shows both.
    pub fn check_tags(&self, labels: &[String]) -> Result<()> {
        for (sentence, lines) in self.sentences.iter().zip(&self.lines) {
            for (tag, line) in sentence.tags.iter().zip(lines) {
                if !labels.contains(tag) {
                    bail!(
                        "{}:{line}: tag `{tag}` is not among the labels {}; this file's tags are {}. \
                         `train --labels FILE` gives a model new labels",
                        self.path.display(),
                        labels.join(", "),
                        sorted_tags([self]).join(", ")
                    );
                }
            }
        }
        Ok(())
    }

    /// The tags that another file gives to the words of this one, whose sentences it may have cut in several and left words out of, as
    /// preprocessing does. Words left out are tagged `O`.
    ///
    /// # Errors
    /// A word of the other file that is not here, or one of its sentences that reaches over the end of one of these.
    pub fn rejoined(&self, cut: &Self) -> Result<Vec<Vec<String>>> {
        let mut pieces = cut.sentences.iter().zip(&cut.lines).peekable();
        let mut used = 0; // words of the piece under way
        let mut tags = Vec::with_capacity(self.sentences.len());
        for (sentence, lines) in self.sentences.iter().zip(&self.lines) {
            let mut tagged = Vec::with_capacity(sentence.words.len());
            for word in &sentence.words {
                match pieces.peek() {
                    Some((piece, _)) if piece.words[used] == *word => {
                        tagged.push(piece.tags[used].clone());
                        used += 1;
                        if used == piece.words.len() {
                            pieces.next();
                            used = 0;
                        }
                    }
                    _ => tagged.push("O".to_owned()),
                }
            }
            if let (Some((piece, at)), true) = (pieces.peek(), used > 0) {
                bail!(
                    "{}:{} has the word `{}`, which does not follow in the sentence at {}:{}",
                    cut.path.display(),
                    at[used],
                    piece.words[used],
                    self.path.display(),
                    lines[0]
                );
            }
            tags.push(tagged);
        }
        if let Some((piece, at)) = pieces.next() {
            bail!(
                "{}:{} has the word `{}`, which is not where it should be in {}",
                cut.path.display(),
                at[0],
                piece.words[0],
                self.path.display()
            );
        }
        Ok(tags)
    }

    /// Fails at the first place where the other file does not hold the same words.
    pub fn check_same_words(&self, other: &Self) -> Result<()> {
        let (here, there) = (self.path.display(), other.path.display());
        let pairs = self
            .sentences
            .iter()
            .zip(&other.sentences)
            .zip(self.lines.iter().zip(&other.lines));
        for ((a, b), (lines_a, lines_b)) in pairs {
            for ((word_a, word_b), (line_a, line_b)) in a
                .words
                .iter()
                .zip(&b.words)
                .zip(lines_a.iter().zip(lines_b))
            {
                ensure!(
                    word_a == word_b,
                    "{here}:{line_a} has the word `{word_a}`, {there}:{line_b} has `{word_b}`"
                );
            }
            let (words_a, words_b) = (a.words.len(), b.words.len());
            if words_a != words_b {
                let (line_a, line_b) = (lines_a[0], lines_b[0]);
                bail!(
                    "the sentence at {here}:{line_a} has {}, the one at {there}:{line_b} has {words_b}",
                    counted(words_a, "word", "words")
                );
            }
        }
        let (count_a, count_b) = (self.sentences.len(), other.sentences.len());
        ensure!(
            count_a == count_b,
            "{here} has {}, {there} has {count_b}",
            counted(count_a, "sentence", "sentences")
        );
        Ok(())
    }
}

/// What is wrong with the first line of a column file, if its word and tag are names of columns.
pub fn header_fault(format: FileFormat, word: &str, tag: &str) -> Option<String> {
    let is = |name: &str, names: &[&str]| names.contains(&name.to_lowercase().as_str());
    let is_header = format == FileFormat::Columns
        && is(word, &["token", "tokens", "word", "words", "text"])
        && is(
            tag,
            &[
                "tag", "tags", "label", "labels", "ner", "ner_tag", "ner_tags",
            ],
        );
    is_header.then(|| {
        format!(
            "`{word}` with the tag `{tag}` looks like the names of the columns; delete this line"
        )
    })
}

/// What is wrong with a file whose words have no tags, and what to do. `word` is its first.
pub fn lacks_tags(format: FileFormat, word: &str) -> String {
    match format {
        FileFormat::Columns => {
            let table = if word.contains([',', ';']) {
                "; a table whose header names its columns needs the extension .csv"
            } else {
                ""
            };
            format!(
                "expected a token and a tag, found one column, `{word}`; where there are more, --separator says what parts them, --token-column and \
                 --tag-column which they are{table}"
            )
        }
        FileFormat::Table => format!(
            "expected a token and a tag, found no column of tags beside the token `{word}`; its name may be ner_tag, ner, tag or label, or the one that \
             --tag-column gives"
        ),
        FileFormat::Jsonl => format!(
            "expected tokens and tags, found no tags beside the token `{word}`; their field may be ner_tags, tags or labels, or the one that --tag-column \
             gives"
        ),
    }
}

/// Words as a text with one space between them, and how to mark a run of the words in it.
pub fn joined(words: &[String]) -> (String, impl Fn(&str, Range<usize>) -> Mark) {
    let mut starts = Vec::with_capacity(words.len() + 1);
    starts.push(0);
    for word in words {
        starts.push(starts[starts.len() - 1] + word.chars().count() + 1);
    }
    let mark = move |label: &str, words: Range<usize>| Mark {
        label: label.to_owned(),
        start: starts[words.start],
        // One space follows each word.
        end: starts[words.end] - 1,
        score: None,
    };
    (words.join(" "), mark)
}

/// The last part of a path: where it lies on this machine means nothing to others.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The tags of files, sorted, each once.
pub fn sorted_tags<'f>(files: impl IntoIterator<Item = &'f TaggedFile>) -> Vec<String> {
    let sentences = files.into_iter().flat_map(|file| &file.sentences);
    let tags: BTreeSet<&String> = sentences.flat_map(|sentence| &sentence.tags).collect();
    tags.into_iter().cloned().collect()
}

/// Labels from a file, one a line; `O` comes first where the file lacks it, as in the reference.
pub fn read_labels(path: &Path) -> Result<Vec<String>> {
    let mut labels: Vec<String> = Vec::new();
    for Label { text, line } in conll_io::read_labels(path)? {
        ensure!(
            !labels.contains(&text),
            "{}:{line}: label `{text}` stands there twice",
            path.display()
        );
        labels.push(text);
    }
    ensure!(!labels.is_empty(), "{}: holds no label", path.display());
    if !labels.iter().any(|label| label == "O") {
        labels.insert(0, "O".to_owned());
    }
    Ok(labels)
}
