//! Reads CSV and TSV files.

mod builder;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str;

use csv::ByteRecord;
use memchr::{memchr_iter, memchr3};

pub use self::builder::CsvReaderBuilder;
use crate::invisible::{check_tag, trim};
use crate::plain_lines::PlainLines;
use crate::sentence::ColumnLayout;
use crate::source::reads_sentences;
use crate::{Error, ErrorKind, Sentence, SentenceSource, Sentences};

/// Reads the sentences of a CSV or TSV file with a header, one token a row.
///
/// A row whose sentence id is neither empty nor that of the row before starts a sentence, so that
/// files that name the id only in the first row of each sentence are read as well. Blank lines are
/// skipped. The header once more is that of a file joined on: a sentence ends there. Documents are
/// told by a column, if it is asked for; there are no comments. With [`usual_names`](CsvReaderBuilder::usual_names) a file
/// may lack sentence ids: there a row with nothing in it ends a sentence.
///
/// ```
/// use conll_io::CsvReader;
///
/// let text = "sentence_id,token,tag\n1,Ana,B-PER\n1,vive,O\n2,Llueve,O\n";
/// let mut reader = CsvReader::from_reader(text.as_bytes());
/// let sentences = reader.sentences().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(sentences.len(), 2);
/// let first = &sentences[0];
/// assert_eq!((first.token(1), first.tag(1), first.line(1)), ("vive", Some("O"), 3));
/// # Ok::<(), conll_io::Error>(())
/// ```
#[derive(Debug)]
pub struct CsvReader<R> {
    rows: csv::Reader<PlainLines<R>>,
    settings: CsvReaderBuilder,
    path: Option<PathBuf>,
    header: Option<Header>,
    header_row: Row,
    /// Where there are no sentence ids: the line of the row before.
    last_line: u64,
    /// Where there are no sentence ids: whether the end of a sentence was seen.
    found_end: bool,
    row: Row,
    /// Whether `row` belongs to the next sentence.
    row_waits: bool,
    /// The sentence id at hand.
    id: String,
    /// The document at hand.
    document: String,
    done: bool,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    layout: ColumnLayout,
    id: Option<usize>,
    document: Option<usize>,
    line: u64,
}

#[derive(Clone, Debug, Default)]
struct Row {
    record: ByteRecord,
    line: u64,
}

impl Row {
    fn field(&self, i: usize) -> &[u8] {
        let field = &self.record[i];
        let last = i + 1 == self.record.len();
        // The rest of a CRLF.
        field.strip_suffix(b"\r").filter(|_| last).unwrap_or(field)
    }

    fn same_fields(&self, other: &Self) -> bool {
        let columns = self.record.len();
        columns == other.record.len() && (0..columns).all(|i| self.field(i) == other.field(i))
    }

    fn is_blank(&self) -> bool {
        self.record.len() == 1 && self.is_empty()
    }

    /// Whether no field has anything but white space.
    fn is_empty(&self) -> bool {
        (0..self.record.len()).all(|i| self.field(i).trim_ascii().is_empty())
    }
}

impl CsvReader<File> {
    /// Reads the file at `path` with the defaults of [`CsvReaderBuilder`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be opened.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        CsvReaderBuilder::new().from_path(path)
    }
}

impl<R: Read> CsvReader<R> {
    /// Reads from `reader`, which needs no buffering of its own, with the defaults of
    /// [`CsvReaderBuilder`].
    pub fn from_reader(reader: R) -> Self {
        CsvReaderBuilder::new().from_reader(reader)
    }

    fn read_rows(&mut self, sentence: &mut Sentence) -> Result<bool, Error> {
        let Some(header) = self.read_header()? else {
            return Ok(false);
        };
        sentence.layout = header.layout;
        let Some(ids) = header.id else {
            return self.read_to_empty_row(header, sentence);
        };
        while self.row_waits || self.read_row()? {
            self.check_row(header)?;
            self.row_waits = false;
            let id = self.new_id(ids)?;
            if id.is_some() && self.row.same_fields(&self.header_row) {
                // A file joined on.
                self.id.clear();
                self.document.clear();
                if sentence.is_empty() {
                    continue;
                }
                break;
            }
            let document = self.new_document(header)?;
            if (id.is_some() || document.is_some()) && !sentence.is_empty() {
                self.row_waits = true;
                break;
            }
            if let Some(id) = id {
                self.id = id;
            }
            self.start_document(document, sentence);
            self.add_row(header, sentence)?;
        }
        Ok(!sentence.is_empty())
    }

    /// Reads a sentence of a file without sentence ids.
    fn read_to_empty_row(
        &mut self,
        header: Header,
        sentence: &mut Sentence,
    ) -> Result<bool, Error> {
        while self.row_waits || self.read_row()? {
            self.row_waits = false;
            let line = self.row.line;
            let joined_file = self.row.same_fields(&self.header_row);
            if joined_file {
                self.document.clear();
            }
            let ends = self.row.is_empty() || joined_file;
            // Blank lines are no rows: the number of the line tells of them.
            let is_behind_end = line > self.last_line + 1;
            if (ends || is_behind_end) && !sentence.is_empty() {
                self.found_end = true;
                self.row_waits = !ends;
                self.last_line = if ends { line } else { line - 1 };
                return Ok(true);
            }
            self.last_line = line;
            if ends {
                continue;
            }
            self.check_row(header)?;
            let document = self.new_document(header)?;
            if document.is_some() && !sentence.is_empty() {
                self.row_waits = true;
                self.last_line = line - 1;
                return Ok(true);
            }
            self.start_document(document, sentence);
            self.add_row(header, sentence)?;
        }
        self.found_end |= self.rows.position().line() > self.last_line + 1;
        if !self.found_end && !sentence.is_empty() {
            let header_row = &self.header_row;
            let name = |i| String::from_utf8_lossy(header_row.field(i)).into_owned();
            let kind = ErrorKind::NoSentenceEnd {
                header: (0..header_row.record.len()).map(name).collect(),
            };
            return Err(Error::new(kind, self.path.as_deref(), Some(header.line)));
        }
        Ok(!sentence.is_empty())
    }

    fn add_row(&self, header: Header, sentence: &mut Sentence) -> Result<(), Error> {
        sentence.begin_row(self.row.line);
        for i in 0..header.layout.columns {
            sentence.push_field(self.text(i)?);
        }
        Ok(())
    }

    /// The sentence id of the row at hand, where it is neither empty nor that of the row before.
    fn new_id(&self, column: usize) -> Result<Option<String>, Error> {
        if self.row.field(column) == self.id.as_bytes() {
            return Ok(None);
        }
        let id = trim(self.text(column)?);
        Ok((!id.is_empty() && id != self.id).then(|| id.to_owned()))
    }

    /// The document of the row at hand, where it is neither empty nor that of the row before.
    fn new_document(&self, header: Header) -> Result<Option<String>, Error> {
        let Some(column) = header.document else {
            return Ok(None);
        };
        let document = trim(self.text(column)?);
        let is_new = !document.is_empty() && document != self.document;
        Ok(is_new.then(|| document.to_owned()))
    }

    /// Starts a document, where there is a new one, before the first row of a sentence.
    fn start_document(&mut self, document: Option<String>, sentence: &mut Sentence) {
        if let Some(document) = document {
            self.document = document;
            sentence.start_document();
        }
    }

    /// Checks the row at hand against the header.
    fn check_row(&self, header: Header) -> Result<(), Error> {
        let ColumnLayout {
            columns,
            token,
            tag,
        } = header.layout;
        if self.row.record.len() != columns {
            let kind = ErrorKind::Ragged {
                found: self.row.record.len(),
                expected: columns,
                first_line: header.line,
            };
            return Err(self.row_error(kind));
        }
        let empty = |role, index: usize| {
            let column = index + 1;
            self.row_error(ErrorKind::EmptyField { role, column })
        };
        if self.row.field(token).is_empty() {
            return Err(empty("token", token));
        }
        let Some(tag) = tag else {
            return Ok(());
        };
        check_tag("tag", self.text(tag)?)
            .map_err(|kind| kind.map_or_else(|| empty("tag", tag), |kind| self.row_error(kind)))
    }

    /// The header, read before the first row; `None` in an empty file.
    fn read_header(&mut self) -> Result<Option<Header>, Error> {
        if self.header.is_none() && self.read_row()? {
            let names: Vec<String> = (0..self.row.record.len())
                .map(|i| self.text(i).map(|name| trim(name).to_owned()))
                .collect::<Result<_, _>>()?;
            let header = self
                .settings
                .header(&names, self.row.line)
                .map_err(|kind| self.row_error(kind))?;
            self.header = Some(header);
            self.header_row = self.row.clone();
            self.last_line = self.row.line;
        }
        Ok(self.header)
    }

    /// Reads the next row that is not blank; `false` at the end of the file.
    fn read_row(&mut self) -> Result<bool, Error> {
        loop {
            match self.rows.read_byte_record(&mut self.row.record) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => {
                    let kind = ErrorKind::Io(error.into());
                    return Err(Error::new(kind, self.path.as_deref(), None));
                }
            }
            let fault = fault_of(&self.row.record);
            // The last line has an end too, so that the row ends with the line before the one begun
            // now. The crate's own position of a row does not leave out the blank lines before it.
            let mut lines = 1;
            if fault.is_some() {
                // A row that itself ends with a line feed is one whose last quote is never closed.
                let text = self.row.record.as_slice();
                let text = text.strip_suffix(b"\n").unwrap_or(text);
                lines += memchr_iter(b'\n', text).count() as u64;
            }
            self.row.line = self.rows.position().line().saturating_sub(lines);
            if let Some(kind) = fault {
                return Err(self.row_error(kind));
            }
            if !self.row.is_blank() {
                return Ok(true);
            }
        }
    }

    /// Field `i` of the row at hand, as UTF-8.
    fn text(&self, i: usize) -> Result<&str, Error> {
        str::from_utf8(self.row.field(i)).map_err(|_| self.invalid_utf8())
    }

    /// An error at the first byte of the row at hand that is not UTF-8.
    #[cold]
    fn invalid_utf8(&self) -> Error {
        let fault = |field: &[u8]| Some(field[str::from_utf8(field).err()?.valid_up_to()]);
        let byte = self.row.record.iter().find_map(fault).unwrap_or_default();
        self.row_error(ErrorKind::InvalidUtf8 { byte })
    }

    fn row_error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.path.as_deref(), Some(self.row.line))
    }
}

/// A line break or a NUL in a row.
fn fault_of(record: &ByteRecord) -> Option<ErrorKind> {
    let text = record.as_slice();
    // The rest of a CRLF.
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let place = memchr3(b'\n', b'\r', 0, text)?;
    if text[place] == 0 {
        return Some(ErrorKind::Nul);
    }
    let ends = record.iter().scan(0, |end, field| {
        *end += field.len();
        Some(*end)
    });
    let column = 1 + ends.take_while(|&end| end <= place).count();
    Some(ErrorKind::LineBreak { column })
}

reads_sentences!(
    CsvReader,
    "[`ErrorKind::Ragged`]: a row with another number of columns than the header.",
    "[`ErrorKind::EmptyField`]: the token or the tag is empty.",
    "[`ErrorKind::MissingHeader`], [`ErrorKind::DuplicateHeader`]: the header does not have the \
     name of a needed column exactly once.",
    "[`ErrorKind::UnknownHeader`], [`ErrorKind::MissingColumn`], [`ErrorKind::NoSentenceEnd`]: \
     what [`CsvReaderBuilder::usual_names`] looks for is not there.",
    "[`ErrorKind::LineBreak`]: a field with a line break in it."
);
