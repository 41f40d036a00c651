//! Writes CSV and TSV files.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use memchr::memchr3;

use crate::unwritable::check_extra_columns;
use crate::{Error, ErrorKind, Sentence};

/// Settings of a [`CsvWriter`].
#[derive(Clone, Debug)]
pub struct CsvWriterBuilder {
    token: String,
    tag: Option<String>,
    id: String,
    extra: Vec<String>,
    delimiter: u8,
}

impl Default for CsvWriterBuilder {
    fn default() -> Self {
        Self {
            token: "token".to_owned(),
            tag: Some("tag".to_owned()),
            id: "sentence_id".to_owned(),
            extra: Vec::new(),
            delimiter: b',',
        }
    }
}

impl CsvWriterBuilder {
    /// The defaults: columns `sentence_id`, `token` and `tag`, separated by commas.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the tokens' column. Default: `token`.
    pub fn token_column(&mut self, name: impl Into<String>) -> &mut Self {
        self.token = name.into();
        self
    }

    /// The name of the tags' column, `None` to write no tags. Default: `tag`.
    pub fn tag_column(&mut self, name: Option<&str>) -> &mut Self {
        self.tag = name.map(str::to_owned);
        self
    }

    /// The name of the sentence ids' column. Default: `sentence_id`.
    pub fn sentence_column(&mut self, name: impl Into<String>) -> &mut Self {
        self.id = name.into();
        self
    }

    /// The names of the extra columns of [`CsvWriter::write_sentence_with`]. Default: none.
    pub fn extra_columns(&mut self, names: impl IntoIterator<Item: Into<String>>) -> &mut Self {
        self.extra = names.into_iter().map(Into::into).collect();
        self
    }

    /// What is written between columns, `b'\t'` for TSV. Default: a comma.
    pub fn delimiter(&mut self, delimiter: u8) -> &mut Self {
        self.delimiter = delimiter;
        self
    }

    /// Writes to `writer`, which needs no buffering of its own.
    pub fn from_writer<W: Write>(&self, writer: W) -> CsvWriter<W> {
        CsvWriter {
            rows: csv::WriterBuilder::new()
                .delimiter(self.delimiter)
                .from_writer(writer),
            settings: self.clone(),
            path: None,
            has_tags: None,
            header: Vec::new(),
            lines_written: 0,
            sentences_written: 0,
        }
    }

    /// Writes to the file at `path`, which errors will name; what it held is lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be made.
    pub fn from_path(&self, path: impl AsRef<Path>) -> Result<CsvWriter<File>, Error> {
        let path = path.as_ref();
        let file = File::create(path)
            .map_err(|error| Error::new(ErrorKind::Io(error), Some(path), None))?;
        let mut writer = self.from_writer(file);
        writer.path = Some(path.to_path_buf());
        Ok(writer)
    }
}

/// Writes a CSV or TSV file with a header, one token a row.
///
/// Sentences are numbered from 1. Whether there is a tag column is decided by the first sentence.
/// Document boundaries and columns other than token and tag are not written. Nothing at all is
/// written where there is no sentence.
///
/// ```
/// use conll_io::{CsvWriterBuilder, Reader};
///
/// let mut writer = CsvWriterBuilder::new().extra_columns(["predicted"]).from_writer(Vec::new());
/// for sentence in Reader::from_reader(&b"Ana B-PER\nvive O\n"[..]).sentences() {
///     writer.write_sentence_with(&sentence?, &[&["B-PER", "B-LOC"]])?;
/// }
/// let expected = "sentence_id,token,tag,predicted\n1,Ana,B-PER,B-PER\n1,vive,O,B-LOC\n";
/// assert_eq!(writer.into_inner()?, expected.as_bytes());
/// # Ok::<(), conll_io::Error>(())
/// ```
#[derive(Debug)]
pub struct CsvWriter<W: Write> {
    rows: csv::Writer<W>,
    settings: CsvWriterBuilder,
    path: Option<PathBuf>,
    /// Whether the file has a tag column; `None` before the header was written.
    has_tags: Option<bool>,
    header: Vec<String>,
    lines_written: u64,
    sentences_written: u64,
}

impl CsvWriter<File> {
    /// Writes to the file at `path` with the defaults of [`CsvWriterBuilder`]; what it held is
    /// lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be made.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        CsvWriterBuilder::new().from_path(path)
    }
}

impl<W: Write> CsvWriter<W> {
    /// Writes to `writer`, which needs no buffering of its own, with the defaults of
    /// [`CsvWriterBuilder`].
    pub fn from_writer(writer: W) -> Self {
        CsvWriterBuilder::new().from_writer(writer)
    }

    /// Writes a sentence.
    ///
    /// # Errors
    ///
    /// Those of [`write_sentence_with`](Self::write_sentence_with).
    pub fn write_sentence(&mut self, sentence: &Sentence) -> Result<(), Error> {
        self.write_sentence_with::<&str>(sentence, &[])
    }

    /// Writes a sentence with extra columns, each of one value a token.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::ExtraColumnLength`]: an extra column has another length than the sentence.
    /// - [`ErrorKind::Ragged`]: there are more or fewer extra columns than names for them, or this
    ///   sentence has tags and the first has none, or the reverse.
    /// - [`ErrorKind::Unwritable`]: a field contains a line break or a NUL byte, or a row is like the
    ///   header.
    /// - [`ErrorKind::Io`]: the file cannot be written.
    pub fn write_sentence_with<S: AsRef<str>>(
        &mut self,
        sentence: &Sentence,
        extra: &[&[S]],
    ) -> Result<(), Error> {
        if sentence.is_empty() {
            return Ok(());
        }
        check_extra_columns(sentence, extra).map_err(|kind| self.error(kind))?;
        let tags = sentence.has_tags() && self.settings.tag.is_some();
        let has_tags = *self.has_tags.get_or_insert(tags);
        let columns = |has_tags, extra| 2 + usize::from(has_tags) + extra;
        let (found, expected) = (
            columns(tags, extra.len()),
            columns(has_tags, self.settings.extra.len()),
        );
        if found != expected {
            return Err(self.error(ErrorKind::Ragged {
                found,
                expected,
                first_line: 1,
            }));
        }
        if self.lines_written == 0 {
            let CsvWriterBuilder {
                token,
                tag,
                id,
                extra,
                ..
            } = self.settings.clone();
            let tag = tag.as_deref().filter(|_| has_tags);
            let extra = extra.iter().map(String::as_str);
            let names: Vec<&str> = [&*id, &*token]
                .into_iter()
                .chain(tag)
                .chain(extra)
                .collect();
            self.write_row(&names)?;
            self.header = names.into_iter().map(str::to_owned).collect();
        }
        self.sentences_written += 1;
        let id = self.sentences_written.to_string();
        let mut row = Vec::with_capacity(expected);
        for i in 0..sentence.len() {
            row.clear();
            row.extend([&id, sentence.token(i)]);
            row.extend(sentence.tag(i).filter(|_| has_tags));
            row.extend(extra.iter().map(|values| values[i].as_ref()));
            self.write_row(&row)?;
        }
        Ok(())
    }

    /// Hands all text on to the writer underneath.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be written. Without this call such an error goes
    /// unnoticed.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.rows
            .flush()
            .map_err(|error| self.error(ErrorKind::Io(error)))
    }

    /// Flushes and gives back the writer underneath.
    ///
    /// # Errors
    ///
    /// Those of [`flush`](Self::flush).
    pub fn into_inner(mut self) -> Result<W, Error> {
        self.flush()?;
        let path = self.path;
        self.rows
            .into_inner()
            .map_err(|error| Error::new(ErrorKind::Io(error.into_error()), path.as_deref(), None))
    }

    fn write_row(&mut self, row: &[&str]) -> Result<(), Error> {
        for &field in row {
            let reason = match memchr3(b'\n', b'\r', 0, field.as_bytes()) {
                None => continue,
                Some(place) if field.as_bytes()[place] == 0 => "it contains a NUL byte",
                Some(_) => "it contains a line break",
            };
            return Err(self.unwritable("column", field.to_owned(), reason));
        }
        if self.lines_written > 0 && row.iter().eq(&self.header) {
            let reason = "it would be taken for the header";
            return Err(self.unwritable("line", row.join(","), reason));
        }
        self.rows
            .write_record(row)
            .map_err(|error| self.error(ErrorKind::Io(error.into())))?;
        self.lines_written += 1;
        Ok(())
    }

    fn unwritable(&self, what: &'static str, text: String, reason: &'static str) -> Error {
        self.error(ErrorKind::Unwritable { text, what, reason })
    }

    /// An error at the line to be written next.
    fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.path.as_deref(), Some(self.lines_written + 1))
    }
}
