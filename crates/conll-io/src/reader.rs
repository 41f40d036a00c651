//! Reads column files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str;

use memchr::{memchr, memchr_iter};

use crate::comments::Shape;
use crate::encoding::Decoder;
use crate::invisible::{check_tag, may_hold_invisible};
use crate::line_buffer::LineBuffer;
use crate::plain_lines::PlainLines;
use crate::sentence::{ColumnLayout, Document, Row, Span};
use crate::source::{open, reads_sentences};
use crate::{
    Column, ColumnNames, Comments, DOCUMENT_START, Encoding, Error, ErrorKind, Sentence,
    SentenceSource, Sentences, Separator,
};

/// All sentences of the column file at `path`, read with the defaults of [`ReaderBuilder`].
///
/// # Errors
///
/// Those of [`Reader::from_path`] and [`Reader::read_sentence`].
pub fn read_path(path: impl AsRef<Path>) -> Result<Vec<Sentence>, Error> {
    Reader::from_path(path)?.sentences().collect()
}

/// Settings of a [`Reader`].
///
/// ```
/// use conll_io::{Column, Encoding, ReaderBuilder, Separator};
///
/// let mut reader = ReaderBuilder::new()
///     .token_column("2".parse()?)
///     .tag_column(Some(Column::LAST))
///     .separator(Separator::Tab)
///     .encoding(Encoding::Latin1)
///     .from_reader(&b"1\tEspa\xF1a\tB-LOC\n"[..]);
/// let sentence = reader.sentences().next().transpose()?;
/// assert_eq!(sentence.unwrap().token(0), "España");
/// # Ok::<(), conll_io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReaderBuilder {
    /// The first where not given.
    pub(crate) token: Option<Column>,
    pub(crate) tag: TagColumn,
    pub(crate) separator: Separator,
    pub(crate) encoding: Encoding,
    pub(crate) names: ColumnNames,
    comments: Comments,
}

/// Where the tags are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum TagColumn {
    /// In the last column, or in a table in the one with a usual name.
    #[default]
    Default,
    At(Column),
    None,
}

impl ReaderBuilder {
    /// The defaults: token first, tag last, columns separated by white space, UTF-8.
    pub fn new() -> Self {
        Self::default()
    }

    /// The column of the token. Default: the first.
    pub fn token_column(&mut self, column: Column) -> &mut Self {
        self.token = Some(column);
        self
    }

    /// The column of the tag, `None` for no tags. Default: the last.
    ///
    /// Where it is also the token's column, as it is by default in a file with one column, there
    /// are no tags.
    pub fn tag_column(&mut self, column: Option<Column>) -> &mut Self {
        self.tag = column.map_or(TagColumn::None, TagColumn::At);
        self
    }

    /// The names of the columns of a table and of the fields of a JSONL file that
    /// [`open`](Self::open) finds. One that is not given is found by its number or by the usual
    /// names. Default: none.
    ///
    /// A column file has no names: there a name of token or tag is an error.
    pub fn names(&mut self, names: ColumnNames) -> &mut Self {
        self.names = names;
        self
    }

    /// What stands between columns. Default: [`Separator::Whitespace`].
    pub fn separator(&mut self, separator: Separator) -> &mut Self {
        self.separator = separator;
        self
    }

    /// The encoding of the text. Default: [`Encoding::Utf8`].
    pub fn encoding(&mut self, encoding: Encoding) -> &mut Self {
        self.encoding = encoding;
        self
    }

    /// Which lines are comments. Default: [`Comments::KeyValue`].
    pub fn comments(&mut self, comments: Comments) -> &mut Self {
        self.comments = comments;
        self
    }

    /// Reads from `reader`, which needs no buffering of its own.
    pub fn from_reader<R: Read>(&self, reader: R) -> Reader<R> {
        Reader {
            lines: LineBuffer::new(PlainLines::new(Decoder::new(reader, self.encoding))),
            settings: self.clone(),
            path: None,
            lines_read: 0,
            lines_before_mark: 0,
            first_row: None,
            comment_begin: self.comments.first_byte().unwrap_or(b'-'),
            done: false,
        }
    }

    /// Reads the file at `path`, which errors will name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be opened.
    pub fn from_path(&self, path: impl AsRef<Path>) -> Result<Reader<File>, Error> {
        let path = path.as_ref();
        let mut reader = self.from_reader(open(path)?);
        reader.path = Some(path.to_path_buf());
        Ok(reader)
    }

    /// What the columns are in a file of `columns` columns.
    fn layout(&self, columns: usize) -> Result<ColumnLayout, ErrorKind> {
        let index = |role, column: Column| {
            column.index(columns).ok_or(ErrorKind::MissingColumn {
                role,
                column,
                columns,
            })
        };
        let token = index("token", self.token.unwrap_or(Column::FIRST))?;
        let tag = match self.tag {
            TagColumn::Default => Some(Column::LAST),
            TagColumn::At(column) => Some(column),
            TagColumn::None => None,
        };
        let tag = tag.map(|column| index("tag", column)).transpose()?;
        let tag = tag.filter(|&tag| tag != token);
        Ok(ColumnLayout {
            columns,
            token,
            tag,
        })
    }
}

/// Reads the sentences of a CoNLL column file one by one.
///
/// It holds one block of the file (64 KiB) or one sentence in memory, whichever is longer.
#[derive(Debug)]
pub struct Reader<R> {
    lines: LineBuffer<PlainLines<R>>,
    settings: ReaderBuilder,
    path: Option<PathBuf>,
    lines_read: u64,
    lines_before_mark: u64,
    first_row: Option<FirstRow>,
    /// The first byte of every comment line, or where there are none that of a document boundary.
    comment_begin: u8,
    done: bool,
}

/// What the first row of a file says of all.
#[derive(Clone, Copy, Debug)]
struct FirstRow {
    layout: ColumnLayout,
    line: u64,
}

/// What became of a line.
enum Step {
    Taken,
    Skipped,
    SentenceEnds,
}

impl Reader<File> {
    /// Reads the file at `path` with the defaults of [`ReaderBuilder`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be opened.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        ReaderBuilder::new().from_path(path)
    }
}

impl<R: Read> Reader<R> {
    /// Reads from `reader`, which needs no buffering of its own, with the defaults of
    /// [`ReaderBuilder`].
    pub fn from_reader(reader: R) -> Self {
        ReaderBuilder::new().from_reader(reader)
    }

    fn read_rows(&mut self, sentence: &mut Sentence) -> Result<bool, Error> {
        self.set_mark();
        let mut end = 0;
        loop {
            let fields_before = sentence.fields.len();
            let line = match self
                .lines
                .next_line(self.settings.separator, &mut sentence.fields)
            {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => return Err(self.error(ErrorKind::Io(error), None)),
            };
            let fields = &sentence.fields[fields_before..];
            if self.is_plain_row(fields) {
                match self.check_row(fields) {
                    Ok(()) => self.add_row(line, sentence),
                    Err(kind) => return Err(self.line_error(kind, line, sentence)),
                }
            } else {
                match self.take_other(line, fields_before, sentence) {
                    Ok(Step::Taken) => {}
                    Ok(Step::Skipped) => continue,
                    Ok(Step::SentenceEnds) => break,
                    Err(kind) => return Err(self.line_error(kind, line, sentence)),
                }
            }
            end = line.end;
        }
        let text = self.validate(end)?;
        self.check_tags(text, sentence)?;
        sentence.text.push_str(text);
        if let Some(first_row) = self.first_row {
            sentence.layout = first_row.layout;
        }
        Ok(!sentence.rows.is_empty())
    }

    /// Keeps the text from here on.
    fn set_mark(&mut self) {
        self.lines.set_mark();
        self.lines_before_mark = self.lines_read;
    }

    /// Whether the first byte says that a line with these columns is a row.
    fn is_plain_row(&self, fields: &[Span]) -> bool {
        fields.first().is_some_and(|first| {
            let begin = self.lines.marked()[first.start];
            begin != DOCUMENT_START.as_bytes()[0] && begin != self.comment_begin
        })
    }

    fn add_row(&mut self, line: Span, sentence: &mut Sentence) {
        self.lines_read += 1;
        sentence.rows.push(Row {
            span: line,
            line: self.lines_read,
        });
    }

    /// Takes a line that may be something else than a row.
    #[inline(never)]
    fn take_other(
        &mut self,
        line: Span,
        fields_before: usize,
        sentence: &mut Sentence,
    ) -> Result<Step, ErrorKind> {
        let in_sentence = !sentence.rows.is_empty();
        let fields = &sentence.fields[fields_before..];
        let Some(&Span { start, .. }) = fields.first() else {
            self.lines_read += 1;
            if in_sentence {
                return Ok(Step::SentenceEnds);
            }
            if sentence.document.is_none() && sentence.comments.is_empty() {
                self.set_mark();
            }
            return Ok(Step::Skipped);
        };
        let text = &self.lines.marked()[start..line.end];
        if text.starts_with(DOCUMENT_START.as_bytes()) {
            if in_sentence {
                sentence.fields.truncate(fields_before);
                self.lines.unread(line);
                return Ok(Step::SentenceEnds);
            }
            sentence.document = Some(Document {
                span: line,
                fields: fields.to_vec(),
            });
        } else {
            match self.settings.comments.shape(text, self.settings.separator) {
                Shape::Comment if in_sentence => return Err(ErrorKind::CommentInSentence),
                Shape::Either if !in_sentence => return Err(ErrorKind::MaybeComment),
                Shape::Comment => sentence.comments.push(Span { start, ..line }),
                Shape::Row | Shape::Either => {
                    self.check_row(fields)?;
                    self.add_row(line, sentence);
                    return Ok(Step::Taken);
                }
            }
        }
        self.lines_read += 1;
        sentence.fields.clear();
        Ok(Step::Taken)
    }

    /// Checks a row against the first one, or takes it as the first.
    #[inline(always)]
    fn check_row(&mut self, fields: &[Span]) -> Result<(), ErrorKind> {
        let layout = match self.first_row {
            Some(FirstRow { layout, line }) => {
                if fields.len() != layout.columns {
                    let (found, expected) = (fields.len(), layout.columns);
                    return Err(ErrorKind::Ragged {
                        found,
                        expected,
                        first_line: line,
                    });
                }
                layout
            }
            None => {
                let layout = self.settings.layout(fields.len())?;
                self.first_row = Some(FirstRow {
                    layout,
                    line: self.lines_read + 1,
                });
                layout
            }
        };
        match layout {
            ColumnLayout { token, .. } if fields[token].is_empty() => {
                Err(empty_field("token", token))
            }
            ColumnLayout { tag: Some(tag), .. } if fields[tag].is_empty() => {
                Err(empty_field("tag", tag))
            }
            _ => Ok(()),
        }
    }

    /// Checks what the tags of the sentence's rows are made of.
    fn check_tags(&self, text: &str, sentence: &Sentence) -> Result<(), Error> {
        let Some(FirstRow { layout, .. }) = self.first_row else {
            return Ok(());
        };
        let Some(tag) = layout.tag else {
            return Ok(());
        };
        if !self.lines.found_odd() && !may_hold_invisible(text.as_bytes()) {
            return Ok(());
        }
        let fields = sentence.fields.chunks_exact(layout.columns);
        for (fields, row) in fields.zip(&sentence.rows) {
            check_tag("tag", &text[fields[tag].start..fields[tag].end]).map_err(|kind| {
                let kind = kind.unwrap_or_else(|| empty_field("tag", tag));
                self.error(kind, Some(row.line))
            })?;
        }
        Ok(())
    }

    /// The first `end` bytes from the mark on, as UTF-8 without NULs.
    fn validate(&self, end: usize) -> Result<&str, Error> {
        let bytes = &self.lines.marked()[..end];
        // The fast check says no more than whether; the standard library's says where.
        let text = simdutf8::basic::from_utf8(bytes).or_else(|_| str::from_utf8(bytes));
        let valid = match text {
            Ok(_) => bytes,
            Err(error) => &bytes[..error.valid_up_to()],
        };
        let nul = self.lines.found_odd().then(|| memchr(0, valid)).flatten();
        let (kind, place) = match (nul, text) {
            (None, Ok(text)) => return Ok(text),
            (None, Err(_)) => {
                let byte = bytes[valid.len()];
                (ErrorKind::InvalidUtf8 { byte }, valid.len())
            }
            (Some(nul), _) => (ErrorKind::Nul, nul),
        };
        let lines = 1 + memchr_iter(b'\n', &bytes[..place]).count() as u64;
        Err(self.error(kind, Some(self.lines_before_mark + lines)))
    }

    /// An error at the line read last, or the first fault of the lines from the mark on that only
    /// now is looked for.
    #[cold]
    fn line_error(&self, kind: ErrorKind, line: Span, sentence: &Sentence) -> Error {
        let earlier = self
            .validate(line.end)
            .and_then(|text| self.check_tags(text, sentence));
        match earlier {
            Ok(()) => self.error(kind, Some(self.lines_read + 1)),
            Err(error) => error,
        }
    }

    fn error(&self, kind: ErrorKind, line: Option<u64>) -> Error {
        Error::new(kind, self.path.as_deref(), line)
    }
}

fn empty_field(role: &'static str, index: usize) -> ErrorKind {
    let column = index + 1;
    ErrorKind::EmptyField { role, column }
}

reads_sentences!(
    Reader,
    "[`ErrorKind::Ragged`]: a line with another number of columns than the first.",
    "[`ErrorKind::EmptyField`]: the token or the tag is empty.",
    "[`ErrorKind::MissingColumn`]: the lines have no column for the token or the tag.",
    "[`ErrorKind::CommentInSentence`], [`ErrorKind::MaybeComment`]: see [`Comments`]."
);
