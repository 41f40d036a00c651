//! Settings of a reader of CSV and TSV files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::Terminator;

use super::{CsvReader, Header, Row};
use crate::encoding::Decoder;
use crate::plain_lines::PlainLines;
use crate::sentence::ColumnLayout;
use crate::source::open;
use crate::table_header::{self, DOCUMENT_NAMES, SENTENCE_NAMES, TAG_NAMES, TOKEN_NAMES};
use crate::{Column, Encoding, Error, ErrorKind};

/// Settings of a [`CsvReader`].
#[derive(Clone, Debug)]
pub struct CsvReaderBuilder {
    token: Token,
    tag: Tag,
    /// The name of the sentence ids' column; one of the usual names where not given, or no column.
    id: Option<String>,
    document: Document,
    delimiter: u8,
    quoting: bool,
    encoding: Encoding,
}

#[derive(Clone, Debug)]
enum Token {
    Named(String),
    /// The column with one of the usual names.
    Usual,
    At(Column),
}

#[derive(Clone, Debug)]
enum Tag {
    /// The column `tag`; none in a file with no columns but tokens and sentence ids.
    Default,
    Named(String),
    /// The column with one of the usual names; none in a file with no other columns.
    Usual,
    At(Column),
    None,
}

#[derive(Clone, Debug)]
enum Document {
    Named(String),
    /// The column with one of the usual names, if there is one.
    Usual,
    None,
}

const DEFAULT_TAG: &str = "tag";

impl Default for CsvReaderBuilder {
    fn default() -> Self {
        Self {
            token: Token::Named("token".to_owned()),
            tag: Tag::Default,
            id: Some("sentence_id".to_owned()),
            document: Document::None,
            delimiter: b',',
            quoting: true,
            encoding: Encoding::default(),
        }
    }
}

impl CsvReaderBuilder {
    /// The defaults: columns `token`, `tag` and `sentence_id`, separated by commas, UTF-8.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the tokens' column. Default: `token`.
    pub fn token_column(&mut self, name: impl Into<String>) -> &mut Self {
        self.token = Token::Named(name.into());
        self
    }

    /// The name of the tags' column, `None` for no tags. Default: `tag`, or no tags where the file
    /// has only tokens and sentence ids.
    pub fn tag_column(&mut self, name: Option<&str>) -> &mut Self {
        self.tag = name.map_or(Tag::None, |name| Tag::Named(name.to_owned()));
        self
    }

    /// The name of the sentence ids' column. Default: `sentence_id`.
    pub fn sentence_column(&mut self, name: impl Into<String>) -> &mut Self {
        self.id = Some(name.into());
        self
    }

    /// The name of the documents' column, in which another value than before starts a document, and
    /// a sentence. Default: none.
    pub fn document_column(&mut self, name: impl Into<String>) -> &mut Self {
        self.document = Document::Named(name.into());
        self
    }

    /// Finds the columns by the names that are usual, in place of the defaults and of names given
    /// before: `token`, `word` or `text` for tokens, `ner_tag`, `ner`, `tag` or `label` for tags,
    /// `sentence_id`, `Sentence #`, `sent_id` or `sentence` for sentence ids, and a few like them,
    /// `document` or `doc_id` for documents, in upper or lower case. Where a header has several, those named first here count.
    ///
    /// A file without a column of sentence ids has an empty row after each sentence.
    pub fn usual_names(&mut self) -> &mut Self {
        self.token = Token::Usual;
        self.tag = Tag::Usual;
        self.id = None;
        self.document = Document::Usual;
        self
    }

    /// Columns by their places, in place of their names.
    pub(crate) fn places(&mut self, token: Option<Column>, tag: Option<Column>) -> &mut Self {
        if let Some(column) = token {
            self.token = Token::At(column);
        }
        if let Some(column) = tag {
            self.tag = Tag::At(column);
        }
        self
    }

    /// What stands between columns, `b'\t'` for TSV. Default: a comma.
    pub fn delimiter(&mut self, delimiter: u8) -> &mut Self {
        self.delimiter = delimiter;
        self
    }

    /// Whether double quotes enclose fields; otherwise they are plain characters. Default: yes.
    pub fn quoting(&mut self, quoting: bool) -> &mut Self {
        self.quoting = quoting;
        self
    }

    /// The encoding of the text. Default: [`Encoding::Utf8`].
    pub fn encoding(&mut self, encoding: Encoding) -> &mut Self {
        self.encoding = encoding;
        self
    }

    /// Reads from `reader`, which needs no buffering of its own.
    pub fn from_reader<R: Read>(&self, reader: R) -> CsvReader<R> {
        let rows = csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .quoting(self.quoting)
            .has_headers(false)
            // Lengths are checked here, where the line is known for CRLF too: see `read_row`.
            .flexible(true)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(PlainLines::new(Decoder::new(reader, self.encoding)));
        CsvReader {
            rows,
            settings: self.clone(),
            path: None,
            header: None,
            header_row: Row::default(),
            last_line: 0,
            found_end: false,
            row: Row::default(),
            row_waits: false,
            id: String::new(),
            document: String::new(),
            done: false,
        }
    }

    /// Reads the file at `path`, which errors will name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be opened.
    pub fn from_path(&self, path: impl AsRef<Path>) -> Result<CsvReader<File>, Error> {
        let path = path.as_ref();
        let mut reader = self.from_reader(open(path)?);
        reader.path = Some(path.to_path_buf());
        Ok(reader)
    }

    /// Whether token or tag are at a place.
    fn has_places(&self) -> bool {
        matches!(self.token, Token::At(_)) || matches!(self.tag, Tag::At(_))
    }

    /// Whether a first line is a header, where a column is given by its place: it has a usual name or
    /// one that was given, or, where the tags are at a place, it looks like names.
    fn is_header(&self, names: &[String]) -> bool {
        let given = [
            match &self.token {
                Token::Named(name) => Some(name),
                Token::Usual | Token::At(_) => None,
            },
            match &self.tag {
                Tag::Named(name) => Some(name),
                Tag::Default | Tag::Usual | Tag::At(_) | Tag::None => None,
            },
            self.id.as_ref(),
            match &self.document {
                Document::Named(name) => Some(name),
                Document::Usual | Document::None => None,
            },
        ];
        let mut given = given.into_iter().flatten();
        let tag = match self.tag {
            Tag::At(column) => column.index(names.len()),
            _ => None,
        };
        table_header::has_usual_name(names)
            || given.any(|name| table_header::has_name(names, name))
            || tag.is_some_and(|tag| table_header::may_be_names(names, tag))
    }

    /// Finds the columns in the header.
    pub(super) fn header(&self, names: &[String], line: u64) -> Result<Header, ErrorKind> {
        let unknown =
            |role: &'static str, usual: &'static [&'static str]| ErrorKind::UnknownHeader {
                role,
                names: usual,
                header: names.to_vec(),
            };
        let at = |role: &'static str, column: Column| {
            let columns = names.len();
            column.index(columns).ok_or(ErrorKind::MissingColumn {
                role,
                column,
                columns,
            })
        };
        let token = match &self.token {
            Token::Named(name) => table_header::named(names, "token", name)?,
            // A row that is no header would be lost.
            _ if self.has_places() && !self.is_header(names) => {
                return Err(unknown("token", &TOKEN_NAMES));
            }
            Token::At(column) => at("token", *column)?,
            Token::Usual => table_header::usual(names, "token", &TOKEN_NAMES)?
                .ok_or_else(|| unknown("token", &TOKEN_NAMES))?,
        };
        let id = match &self.id {
            Some(name) => Some(table_header::named(names, "sentence id", name)?),
            None => table_header::usual(names, "sentence id", &SENTENCE_NAMES)?,
        };
        let document = match &self.document {
            Document::Named(name) => Some(table_header::named(names, "document", name)?),
            Document::Usual => table_header::usual(names, "document", &DOCUMENT_NAMES)?,
            Document::None => None,
        };
        let is_other =
            |column: &usize| *column != token && ![id, document].contains(&Some(*column));
        let mut others = (0..names.len()).filter(is_other);
        let tag = match &self.tag {
            Tag::Default if others.next().is_none() => None,
            Tag::Default => Some(table_header::named(names, "tag", DEFAULT_TAG)?),
            Tag::Named(name) => Some(table_header::named(names, "tag", name)?),
            Tag::At(column) => Some(at("tag", *column)?).filter(|&tag| tag != token),
            Tag::Usual => {
                let found = table_header::usual(names, "tag", &TAG_NAMES)?;
                if found.is_none() && !others.all(|other| table_header::is_index(&names[other])) {
                    return Err(unknown("tag", &TAG_NAMES));
                }
                found
            }
            Tag::None => None,
        };
        // A usual name that was given for something else names no documents.
        let is_free = |column: &usize| *column != token && ![id, tag].contains(&Some(*column));
        let document = document.filter(is_free);
        Ok(Header {
            layout: ColumnLayout {
                columns: names.len(),
                token,
                tag,
            },
            id,
            document,
            line,
        })
    }
}
