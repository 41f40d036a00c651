use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str;

use memchr::memchr_iter;

use crate::encoding::Decoder;
use crate::line_buffer::LineBuffer;
use crate::sentence::{Document, Layout, Row, Span};
use crate::{
    Column, DOCUMENT_START, Encoding, Error, ErrorKind, Sentence, SentenceSource, Sentences,
    Separator,
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
#[derive(Clone, Debug)]
pub struct ReaderBuilder {
    token: Column,
    tag: Option<Column>,
    separator: Separator,
    encoding: Encoding,
}

impl Default for ReaderBuilder {
    fn default() -> Self {
        Self {
            token: Column::FIRST,
            tag: Some(Column::LAST),
            separator: Separator::default(),
            encoding: Encoding::default(),
        }
    }
}

impl ReaderBuilder {
    /// The defaults: token first, tag last, columns separated by white space, UTF-8.
    pub fn new() -> Self {
        Self::default()
    }

    /// The column of the token. Default: the first.
    pub fn token_column(&mut self, column: Column) -> &mut Self {
        self.token = column;
        self
    }

    /// The column of the tag, `None` for no tags. Default: the last.
    ///
    /// Where it is also the token's column, as it is by default in a file with one column, there
    /// are no tags.
    pub fn tag_column(&mut self, column: Option<Column>) -> &mut Self {
        self.tag = column;
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

    /// Reads from `reader`, which needs no buffering of its own.
    pub fn from_reader<R: Read>(&self, reader: R) -> Reader<R> {
        Reader {
            lines: LineBuffer::new(Decoder::new(reader, self.encoding)),
            settings: self.clone(),
            path: None,
            lines_read: 0,
            first_row: None,
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
        let file =
            File::open(path).map_err(|error| Error::new(ErrorKind::Io(error), Some(path), None))?;
        let mut reader = self.from_reader(file);
        reader.path = Some(path.to_path_buf());
        Ok(reader)
    }

    /// What the columns are in a file of `columns` columns.
    fn layout(&self, columns: usize) -> Result<Layout, ErrorKind> {
        let index = |role, column: Column| {
            column.index(columns).ok_or(ErrorKind::MissingColumn {
                role,
                column,
                columns,
            })
        };
        let token = index("token", self.token)?;
        let tag = match self.tag {
            Some(column) => Some(index("tag", column)?).filter(|&tag| tag != token),
            None => None,
        };
        Ok(Layout {
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
    lines: LineBuffer<Decoder<R>>,
    settings: ReaderBuilder,
    path: Option<PathBuf>,
    lines_read: u64,
    first_row: Option<FirstRow>,
    done: bool,
}

/// What the first row of a file says of all.
#[derive(Clone, Copy, Debug)]
struct FirstRow {
    layout: Layout,
    line: u64,
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

    /// Reads the next sentence into `sentence`, whose buffers are used again; `false` at the end of
    /// the file.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Io`]: the file cannot be read, or is UTF-16.
    /// - [`ErrorKind::InvalidUtf8`]: the file is not UTF-8.
    /// - [`ErrorKind::Ragged`]: a line with another number of columns than the first.
    /// - [`ErrorKind::MissingColumn`]: the lines have no column for the token or the tag.
    /// - [`ErrorKind::EmptyField`]: the token or the tag is empty.
    ///
    /// The first fault of the file is reported. It ends the reading: later calls give `false`.
    pub fn read_sentence(&mut self, sentence: &mut Sentence) -> Result<bool, Error> {
        sentence.clear();
        if self.done {
            return Ok(false);
        }
        let outcome = self.read_rows(sentence);
        if !matches!(outcome, Ok(true)) {
            self.done = true;
            sentence.clear();
        }
        outcome
    }

    /// Iterator over the sentences still to be read.
    pub fn sentences(&mut self) -> Sentences<&mut Self> {
        Sentences::new(self)
    }

    /// The same, for keeps.
    pub fn into_sentences(self) -> Sentences<Self> {
        Sentences::new(self)
    }

    fn read_rows(&mut self, sentence: &mut Sentence) -> Result<bool, Error> {
        self.lines.set_mark();
        let mut lines_before_mark = self.lines_read;
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
            let Some(&first) = fields.first() else {
                self.lines_read += 1;
                if !sentence.rows.is_empty() {
                    break;
                }
                if sentence.document.is_none() {
                    self.lines.set_mark();
                    lines_before_mark = self.lines_read;
                }
                continue;
            };
            if self.lines.marked()[first.start..].starts_with(DOCUMENT_START.as_bytes()) {
                if sentence.rows.is_empty() {
                    self.lines_read += 1;
                    sentence.document = Some(Document {
                        span: line,
                        fields: fields.to_vec(),
                    });
                    sentence.fields.clear();
                    end = line.end;
                    continue;
                }
                sentence.fields.truncate(fields_before);
                self.lines.unread(line);
                break;
            }
            self.lines_read += 1;
            if let Err(kind) = self.check_row(fields) {
                self.validate(line.end, lines_before_mark)?;
                return Err(self.error(kind, Some(self.lines_read)));
            }
            sentence.rows.push(Row {
                span: line,
                line: self.lines_read,
            });
            end = line.end;
        }
        let text = self.validate(end, lines_before_mark)?;
        sentence.text.push_str(text);
        if let Some(first_row) = self.first_row {
            sentence.layout = first_row.layout;
        }
        Ok(!sentence.rows.is_empty())
    }

    /// Checks a row against the first one, or takes it as the first.
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
                    line: self.lines_read,
                });
                layout
            }
        };
        let empty = |role, column: usize| ErrorKind::EmptyField {
            role,
            column: column + 1,
        };
        match layout {
            Layout { token, .. } if fields[token].is_empty() => Err(empty("token", token)),
            Layout { tag: Some(tag), .. } if fields[tag].is_empty() => Err(empty("tag", tag)),
            _ => Ok(()),
        }
    }

    /// The first `end` bytes from the mark on, as UTF-8.
    fn validate(&self, end: usize, lines_before_mark: u64) -> Result<&str, Error> {
        let bytes = &self.lines.marked()[..end];
        // The fast check says no more than whether; the standard library's says where.
        let text = simdutf8::basic::from_utf8(bytes).or_else(|_| str::from_utf8(bytes));
        text.map_err(|error| {
            let valid = &bytes[..error.valid_up_to()];
            let line = lines_before_mark + 1 + memchr_iter(b'\n', valid).count() as u64;
            let byte = bytes[valid.len()];
            self.error(ErrorKind::InvalidUtf8 { byte }, Some(line))
        })
    }

    fn error(&self, kind: ErrorKind, line: Option<u64>) -> Error {
        Error::new(kind, self.path.as_deref(), line)
    }
}

impl<R: Read> SentenceSource for Reader<R> {
    fn read_sentence(&mut self, sentence: &mut Sentence) -> Result<bool, Error> {
        Self::read_sentence(self, sentence)
    }
}
