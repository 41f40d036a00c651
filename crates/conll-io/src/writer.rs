//! Writes column files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::comments::Shape;
use crate::unwritable::{check_extra_columns, unwritable_field, unwritable_line};
use crate::{Column, Comments, DOCUMENT_START, Error, ErrorKind, Sentence, Separator};

/// What a document boundary has in a column of which nothing else is known, as in CoNLL-2002 and
/// -2003.
const DOCUMENT_FILL: &str = "O";

/// Settings of a [`Writer`].
#[derive(Clone, Debug)]
pub struct WriterBuilder {
    columns: Option<Vec<Column>>,
    separator: Separator,
    document_boundaries: bool,
    comments: Comments,
}

impl Default for WriterBuilder {
    fn default() -> Self {
        Self {
            columns: None,
            separator: Separator::default(),
            document_boundaries: true,
            comments: Comments::default(),
        }
    }
}

impl WriterBuilder {
    /// The defaults: all columns, separated by one space, with document boundaries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The columns of a sentence to write, in this order. Default: all of them.
    pub fn columns(&mut self, columns: impl IntoIterator<Item = Column>) -> &mut Self {
        self.columns = Some(columns.into_iter().collect());
        self
    }

    /// What is written between columns. Default: [`Separator::Whitespace`], that is one space,
    /// where a field that contains white space is an error.
    pub fn separator(&mut self, separator: Separator) -> &mut Self {
        self.separator = separator;
        self
    }

    /// Whether the document boundaries of sentences are written. Default: yes.
    pub fn document_boundaries(&mut self, write: bool) -> &mut Self {
        self.document_boundaries = write;
        self
    }

    /// Which lines the readers of the file will take for comments: the comment lines of sentences
    /// are written where they are such, and a row that looks like one is an error. Default:
    /// [`Comments::KeyValue`]. With [`Comments::None`] no comments are written.
    pub fn comments(&mut self, comments: Comments) -> &mut Self {
        self.comments = comments;
        self
    }

    /// Writes to `writer`, which needs no buffering of its own.
    pub fn from_writer<W: Write>(&self, writer: W) -> Writer<W> {
        Writer {
            inner: BufWriter::new(writer),
            settings: self.clone(),
            path: None,
            line: String::new(),
            lines_written: 0,
            first_row: None,
            in_sentence: false,
            document: None,
            comments: Vec::new(),
        }
    }

    /// Writes to the file at `path`, which errors will name; what it held is lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be made.
    pub fn from_path(&self, path: impl AsRef<Path>) -> Result<Writer<File>, Error> {
        let path = path.as_ref();
        let file = File::create(path)
            .map_err(|error| Error::new(ErrorKind::Io(error), Some(path), None))?;
        let mut writer = self.from_writer(file);
        writer.path = Some(path.to_path_buf());
        Ok(writer)
    }
}

/// Writes a CoNLL column file: UTF-8, LF, one blank line after each sentence.
///
/// What it has written, a [`Reader`](crate::Reader) with the same separator and the same comments
/// reads back exactly. What would be read back otherwise, such as a token with the separator in it,
/// is an error, and nothing of its row is written. (Only the reader knows which columns are the
/// token and the tag, and refuses an empty one, or a tag with an invisible character inside.)
///
/// ```
/// use conll_io::Writer;
///
/// let mut writer = Writer::from_writer(Vec::new());
/// writer.start_document();
/// writer.write_row(["Lima", "B-LOC"])?;
/// writer.write_row(["duerme", "O"])?;
/// writer.end_sentence()?;
/// assert_eq!(writer.into_inner()?, b"-DOCSTART- O\n\nLima B-LOC\nduerme O\n\n");
/// # Ok::<(), conll_io::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<W: Write> {
    inner: BufWriter<W>,
    settings: WriterBuilder,
    path: Option<PathBuf>,
    /// The line being made.
    line: String,
    lines_written: u64,
    first_row: Option<FirstRow>,
    in_sentence: bool,
    /// The document boundary to write before the next row.
    document: Option<Boundary>,
    /// The comment lines to write before the next row.
    comments: Vec<String>,
}

/// Number of columns of the first row, and its line.
#[derive(Clone, Copy, Debug)]
struct FirstRow {
    columns: usize,
    line: u64,
}

#[derive(Debug)]
enum Boundary {
    /// As many columns as the next row.
    Filled,
    /// These columns, each with what follows it.
    Line(String),
}

impl Writer<File> {
    /// Writes to the file at `path` with the defaults of [`WriterBuilder`]; what it held is lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be made.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        WriterBuilder::new().from_path(path)
    }
}

impl<W: Write> Writer<W> {
    /// Writes to `writer`, which needs no buffering of its own, with the defaults of
    /// [`WriterBuilder`].
    pub fn from_writer(writer: W) -> Self {
        WriterBuilder::new().from_writer(writer)
    }

    /// Writes a sentence, and the document boundary and the comment lines before it.
    ///
    /// # Errors
    ///
    /// Those of [`write_sentence_with`](Self::write_sentence_with).
    pub fn write_sentence(&mut self, sentence: &Sentence) -> Result<(), Error> {
        self.write_sentence_with::<&str>(sentence, &[])
    }

    /// Writes a sentence with extra columns after its own, each of one value a token.
    ///
    /// The document boundary keeps its columns where they correspond to the sentence's; an extra
    /// column of it is `O`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::MissingColumn`]: the sentence lacks a column that was chosen.
    /// - [`ErrorKind::ExtraColumnLength`]: an extra column has another length than the sentence.
    /// - [`ErrorKind::Unwritable`]: a comment line would not be read back as one.
    /// - Those of [`write_row`](Self::write_row).
    pub fn write_sentence_with<S: AsRef<str>>(
        &mut self,
        sentence: &Sentence,
        extra: &[&[S]],
    ) -> Result<(), Error> {
        if sentence.is_empty() {
            return Ok(());
        }
        check_extra_columns(sentence, extra).map_err(|kind| self.error(kind))?;
        let chosen = self.chosen_columns(sentence.columns())?;
        self.end_sentence()?;
        if self.settings.document_boundaries && sentence.starts_document() {
            self.document = Some(self.boundary_of(sentence, &chosen, extra.len()));
        }
        self.comments = self.comments_of(sentence)?;
        let mut row = Vec::with_capacity(chosen.len() + extra.len());
        let mut fields = Vec::with_capacity(sentence.columns());
        for i in 0..sentence.len() {
            fields.clear();
            fields.extend(sentence.fields(i));
            row.clear();
            row.extend(chosen.iter().map(|&column| fields[column]));
            row.extend(extra.iter().map(|values| values[i].as_ref()));
            self.write_row(&row)?;
        }
        self.end_sentence()
    }

    /// Writes one row of the sentence at hand: its columns, token and tag among them.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unwritable`]: the row would not be read back as it is.
    /// - [`ErrorKind::Ragged`]: the row has another number of columns than the first.
    /// - [`ErrorKind::Io`]: the file cannot be written.
    pub fn write_row<I>(&mut self, fields: I) -> Result<(), Error>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.line.clear();
        let mut columns = 0;
        for field in fields {
            let field = field.as_ref();
            if let Some(reason) = unwritable_field(self.settings.separator, field) {
                return Err(self.unwritable("column", field.to_owned(), reason));
            }
            if columns > 0 {
                self.line.push(self.settings.separator.as_char());
            }
            self.line.push_str(field);
            columns += 1;
        }
        let first = !self.in_sentence || self.document.is_some();
        let WriterBuilder {
            separator,
            comments,
            ..
        } = &self.settings;
        if let Some(reason) = unwritable_line(*separator, &self.line, comments, first) {
            return Err(self.unwritable("line", self.line.clone(), reason));
        }
        if let Some(FirstRow {
            columns: expected,
            line: first_line,
        }) = self.first_row
            && columns != expected
        {
            return Err(self.error(ErrorKind::Ragged {
                found: columns,
                expected,
                first_line,
            }));
        }
        if let Some(boundary) = self.document.take() {
            self.write_boundary(boundary, columns)?;
        }
        self.write_comments()?;
        self.first_row.get_or_insert(FirstRow {
            columns,
            line: self.lines_written + 1,
        });
        self.in_sentence = true;
        self.write_line()
    }

    /// Ends the sentence at hand with a blank line; does nothing where it has no row.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where the file cannot be written.
    pub fn end_sentence(&mut self) -> Result<(), Error> {
        if !self.in_sentence {
            return Ok(());
        }
        self.in_sentence = false;
        self.line.clear();
        self.write_line()
    }

    /// Has a document boundary written before the next row, which begins a new sentence.
    pub fn start_document(&mut self) {
        self.document = Some(Boundary::Filled);
    }

    /// Ends the sentence at hand and hands all text on to the writer underneath.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be written. Without this call such an error goes
    /// unnoticed.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.end_sentence()?;
        self.inner
            .flush()
            .map_err(|error| self.error(ErrorKind::Io(error)))
    }

    /// The writer underneath. What is written to it by another way than this one stands before text that was not [flushed](Self::flush).
    pub fn get_mut(&mut self) -> &mut W {
        self.inner.get_mut()
    }

    /// Flushes and gives back the writer underneath.
    ///
    /// # Errors
    ///
    /// Those of [`flush`](Self::flush).
    pub fn into_inner(mut self) -> Result<W, Error> {
        self.flush()?;
        let path = self.path;
        self.inner
            .into_inner()
            .map_err(|error| Error::new(ErrorKind::Io(error.into_error()), path.as_deref(), None))
    }

    /// Indices of the columns to write of a sentence of `columns` columns.
    fn chosen_columns(&self, columns: usize) -> Result<Vec<usize>, Error> {
        let Some(chosen) = &self.settings.columns else {
            return Ok((0..columns).collect());
        };
        let index = |&column: &Column| {
            let kind = ErrorKind::MissingColumn {
                role: "output",
                column,
                columns,
            };
            column.index(columns).ok_or_else(|| self.error(kind))
        };
        chosen.iter().map(index).collect()
    }

    /// The document boundary before `sentence`, with the columns that its rows are written with.
    fn boundary_of(&self, sentence: &Sentence, chosen: &[usize], extra: usize) -> Boundary {
        let fields: Vec<&str> = sentence.document_fields().into_iter().flatten().collect();
        let mut line: Vec<&str> = if fields.len() == sentence.columns() {
            chosen.iter().map(|&column| fields[column]).collect()
        } else if self.settings.columns.is_none() && extra == 0 {
            fields.clone()
        } else {
            vec![DOCUMENT_FILL; chosen.len()]
        };
        line.resize(line.len() + extra, DOCUMENT_FILL);
        if let (Some(first), Some(start)) = (line.first_mut(), fields.first()) {
            *first = start;
        }
        Boundary::Line(line.join(self.settings.separator.as_char().encode_utf8(&mut [0; 4])))
    }

    fn write_boundary(&mut self, boundary: Boundary, columns: usize) -> Result<(), Error> {
        let row = std::mem::take(&mut self.line);
        self.end_sentence()?;
        self.line = match boundary {
            Boundary::Line(line) => line,
            Boundary::Filled => {
                let mut line = DOCUMENT_START.to_owned();
                for _ in 1..columns {
                    line.push(self.settings.separator.as_char());
                    line.push_str(DOCUMENT_FILL);
                }
                line
            }
        };
        self.write_line()?;
        self.line.clear();
        self.write_line()?;
        self.line = row;
        Ok(())
    }

    /// The comment lines to write before `sentence`.
    fn comments_of(&self, sentence: &Sentence) -> Result<Vec<String>, Error> {
        let WriterBuilder {
            separator,
            comments,
            ..
        } = &self.settings;
        if *comments == Comments::None {
            return Ok(Vec::new());
        }
        let is_comment =
            |line: &&str| comments.shape(line.as_bytes(), *separator) == Shape::Comment;
        match sentence.comments().find(|line| !is_comment(line)) {
            Some(line) => {
                let reason = "it would not be read back as one";
                Err(self.unwritable("comment", line.to_owned(), reason))
            }
            None => Ok(sentence.comments().map(str::to_owned).collect()),
        }
    }

    fn write_comments(&mut self) -> Result<(), Error> {
        if self.comments.is_empty() {
            return Ok(());
        }
        let row = std::mem::take(&mut self.line);
        for comment in std::mem::take(&mut self.comments) {
            self.line = comment;
            self.write_line()?;
        }
        self.line = row;
        Ok(())
    }

    fn write_line(&mut self) -> Result<(), Error> {
        self.line.push('\n');
        self.lines_written += 1;
        self.inner
            .write_all(self.line.as_bytes())
            .map_err(|error| self.error(ErrorKind::Io(error)))
    }

    fn unwritable(&self, what: &'static str, text: String, reason: &'static str) -> Error {
        self.error(ErrorKind::Unwritable { text, what, reason })
    }

    /// An error at the line to be written next.
    fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.path.as_deref(), Some(self.lines_written + 1))
    }
}
