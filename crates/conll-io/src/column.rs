//! A column by its place, and columns by their names.

use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind};

/// A column by its place: `1` is the first, `-1` the last.
///
/// ```
/// use conll_io::Column;
///
/// let column: Column = "-2".parse()?;
/// assert_eq!(column.index(3), Some(1));
/// assert_eq!(column.index(1), None);
/// # Ok::<(), conll_io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column(i32); // never 0

impl Column {
    /// The first column.
    pub const FIRST: Self = Self(1);
    /// The last column.
    pub const LAST: Self = Self(-1);

    /// Column `number`, counted from 1 at the start or from -1 at the end; `None` for 0.
    pub const fn new(number: i32) -> Option<Self> {
        if number == 0 {
            None
        } else {
            Some(Self(number))
        }
    }

    /// The number that the column was made from.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Index, counted from 0, in a line of `columns` columns; `None` where the line has no such
    /// column.
    pub fn index(self, columns: usize) -> Option<usize> {
        let distance = self.0.unsigned_abs() as usize;
        if distance > columns {
            None
        } else if self.0 > 0 {
            Some(distance - 1)
        } else {
            Some(columns - distance)
        }
    }
}

/// Columns by their names, in tables and JSONL: see
/// [`ReaderBuilder::names`](crate::ReaderBuilder::names).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNames {
    /// The column or field of the tokens; by the usual names where not given.
    pub token: Option<String>,
    /// The same of the tags.
    pub tag: Option<String>,
    /// The same of the sentence ids, in tables.
    pub sentence: Option<String>,
    /// The same of the documents.
    pub document: Option<String>,
}

impl FromStr for Column {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.trim()
            .parse()
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| Error::new(ErrorKind::InvalidColumn(text.to_owned()), None, None))
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
