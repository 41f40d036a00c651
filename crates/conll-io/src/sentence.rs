//! A sentence: rows of columns in one buffer.

use std::fmt;

use crate::DOCUMENT_START;
use crate::invisible::trim;

/// A sentence: rows of columns, one row a token.
///
/// All text lies in one buffer; rows and columns are ranges in it. A sentence that is read into
/// again keeps its buffers, so that reading a file allocates only until its longest sentence was
/// seen.
#[derive(Clone, Default)]
pub struct Sentence {
    pub(crate) text: String,
    pub(crate) rows: Vec<Row>,
    /// The columns of all rows, row by row: `rows.len() * layout.columns` spans.
    pub(crate) fields: Vec<Span>,
    pub(crate) layout: ColumnLayout,
    pub(crate) document: Option<Document>,
    pub(crate) comments: Vec<Span>,
}

/// A range of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One line of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) span: Span,
    pub(crate) line: u64,
}

/// What the columns of a file are; indices count from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnLayout {
    pub(crate) columns: usize,
    pub(crate) token: usize,
    pub(crate) tag: Option<usize>,
}

/// The document boundary before a sentence.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) span: Span,
    pub(crate) fields: Vec<Span>,
}

impl Sentence {
    /// A sentence without tokens, to be read into.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no token. No reader yields such a sentence.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Number of columns of each row.
    pub fn columns(&self) -> usize {
        self.layout.columns
    }

    /// Token `i`, counted from 0; never empty.
    ///
    /// # Panics
    ///
    /// Where `i` is not less than [`len`](Self::len), as an index of a slice does. So do all
    /// methods that take `i`.
    pub fn token(&self, i: usize) -> &str {
        self.text(self.row_fields(i)[self.layout.token])
    }

    /// Tag of token `i`, never empty, without white space and characters that cannot be seen at its
    /// ends; `None` where the file has no tags.
    pub fn tag(&self, i: usize) -> Option<&str> {
        let fields = self.row_fields(i);
        self.layout
            .tag
            .map(|column| trim(self.text(fields[column])))
    }

    /// Whether the tokens have tags: all of a file do or none.
    pub fn has_tags(&self) -> bool {
        self.layout.tag.is_some()
    }

    /// The tokens in order.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator + Clone {
        self.column(self.layout.token)
    }

    /// The tags in order, one a token; `None` where the file has no tags.
    pub fn tags(
        &self,
    ) -> Option<impl ExactSizeIterator<Item = &str> + DoubleEndedIterator + Clone> {
        self.layout.tag.map(|column| self.column(column).map(trim))
    }

    /// All columns of row `i`, token and tag among them, as they are in the file.
    pub fn fields(
        &self,
        i: usize,
    ) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator + Clone {
        self.row_fields(i).iter().map(|&span| self.text(span))
    }

    /// The line of token `i` as it was in the file, without its end and without byte-order marks at
    /// its start.
    ///
    /// Of a CSV file, whose quoting is undone: its fields joined by tabs. Of a JSONL file: token and
    /// tag, joined by a tab.
    pub fn raw_line(&self, i: usize) -> &str {
        self.text(self.rows[i].span)
    }

    /// Number of the line of token `i` in its file, counted from 1. Of a JSONL file: that of the
    /// record.
    pub fn line(&self, i: usize) -> u64 {
        self.rows[i].line
    }

    /// Whether a document boundary stands before the sentence.
    pub fn starts_document(&self) -> bool {
        self.document.is_some()
    }

    /// The document boundary before the sentence as it was in the file, without its line end. Of a
    /// table or a JSONL file: `-DOCSTART-`.
    pub fn document_line(&self) -> Option<&str> {
        self.document
            .as_ref()
            .map(|document| self.text(document.span))
    }

    /// The columns of the document boundary before the sentence.
    pub fn document_fields(
        &self,
    ) -> Option<impl ExactSizeIterator<Item = &str> + DoubleEndedIterator + Clone> {
        self.document
            .as_ref()
            .map(|document| document.fields.iter().map(|&span| self.text(span)))
    }

    /// The comment lines before the first row, and before or after the document boundary if there
    /// is one, without their line ends. See [`Comments`](crate::Comments).
    pub fn comments(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator + Clone {
        self.comments.iter().map(|&span| self.text(span))
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.rows.clear();
        self.fields.clear();
        self.layout = ColumnLayout::default();
        self.document = None;
        self.comments.clear();
    }

    /// Puts a document boundary before the first row, which has not begun yet.
    pub(crate) fn start_document(&mut self) {
        let start = self.text.len();
        self.text.push_str(DOCUMENT_START);
        let end = self.text.len();
        let span = Span { start, end };
        self.document = Some(Document {
            span,
            fields: vec![span],
        });
    }

    /// Begins a row whose columns follow.
    pub(crate) fn begin_row(&mut self, line: u64) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let start = self.text.len();
        self.rows.push(Row {
            span: Span { start, end: start },
            line,
        });
    }

    /// Appends a column to the row begun last.
    pub(crate) fn push_field(&mut self, field: &str) {
        let Some(row) = self.rows.last_mut() else {
            return;
        };
        if !self.fields.len().is_multiple_of(self.layout.columns) {
            self.text.push('\t');
        }
        let start = self.text.len();
        self.text.push_str(field);
        let end = self.text.len();
        self.fields.push(Span { start, end });
        row.span.end = end;
    }

    fn row_fields(&self, i: usize) -> &[Span] {
        let columns = self.layout.columns;
        &self.fields[i * columns..][..columns]
    }

    fn column(
        &self,
        column: usize,
    ) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator + Clone {
        self.fields
            .chunks_exact(self.layout.columns.max(1))
            .map(move |fields| self.text(fields[column]))
    }

    fn text(&self, span: Span) -> &str {
        &self.text[span.start..span.end]
    }
}

/// The columns of each row, and whether a document starts.
impl fmt::Debug for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<Vec<&str>> = (0..self.len()).map(|i| self.fields(i).collect()).collect();
        f.debug_struct("Sentence")
            .field("line", &self.rows.first().map(|row| row.line))
            .field("document", &self.document_line())
            .field("rows", &rows)
            .finish()
    }
}
