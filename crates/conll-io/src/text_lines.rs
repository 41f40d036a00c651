//! Running text, one text a line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::encoding::{UTF8_MARK, refuse_utf16};
use crate::plain_lines::SUBSTITUTE;
use crate::source::open;
use crate::{Error, ErrorKind};

/// Iterator over the lines of running text in UTF-8, each without its end.
///
/// A line ends with LF or CRLF; the last one may lack its end. Everything else stays in the text:
/// a CR alone, U+0085, U+2028, white space at either end. Blank lines are texts too. A byte-order
/// mark is dropped at the start of the file, and Ctrl-Z at its end.
///
/// Each line is given as soon as its end was read. A line that is not UTF-8 is an error of that line alone, and the next ones follow; after any
/// other error there are no more.
///
/// ```
/// use conll_io::TextLines;
///
/// let text = "\u{feff}Ana vive en Lima.\r\n\nLlueve.";
/// let lines = TextLines::from_reader(text.as_bytes()).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(lines, ["Ana vive en Lima.", "", "Llueve."]);
/// # Ok::<(), conll_io::Error>(())
/// ```
#[derive(Debug)]
pub struct TextLines<R> {
    inner: R,
    path: Option<PathBuf>,
    lines_read: u64,
    is_verbatim: bool,
    done: bool,
}

impl TextLines<BufReader<File>> {
    /// The lines of the file at `path`, which errors will name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where it cannot be opened.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let mut lines = Self::from_reader(BufReader::new(open(path)?));
        lines.path = Some(path.to_path_buf());
        Ok(lines)
    }
}

impl<R: BufRead> TextLines<R> {
    /// The lines of `reader`.
    pub fn from_reader(reader: R) -> Self {
        Self {
            inner: reader,
            path: None,
            lines_read: 0,
            is_verbatim: false,
            done: false,
        }
    }

    /// Gives the reader a name, which errors will say.
    #[must_use]
    pub fn named(mut self, name: impl Into<PathBuf>) -> Self {
        self.path = Some(name.into());
        self
    }

    /// Keeps in the lines what is else left out of them: their ends, the byte-order mark, Ctrl-Z. Put together again, the lines are the file.
    ///
    /// ```
    /// use conll_io::TextLines;
    ///
    /// let lines = TextLines::from_reader("Ana\r\nLlueve.".as_bytes()).verbatim();
    /// assert_eq!(lines.collect::<Result<Vec<_>, _>>()?, ["Ana\r\n", "Llueve."]);
    /// # Ok::<(), conll_io::Error>(())
    /// ```
    #[must_use]
    pub fn verbatim(mut self) -> Self {
        self.is_verbatim = true;
        self
    }

    /// Number of lines read so far: that of the last one in its file, counted from 1.
    pub fn lines_read(&self) -> u64 {
        self.lines_read
    }

    fn read_line(&mut self) -> Result<Option<String>, ErrorKind> {
        let mut line = Vec::new();
        let count = self
            .inner
            .read_until(b'\n', &mut line)
            .map_err(ErrorKind::Io)?;
        if count == 0 {
            return Ok(None);
        }
        let ends = line.ends_with(b"\n");
        if self.lines_read == 0 {
            refuse_utf16(&line).map_err(ErrorKind::Io)?;
        }
        if !self.is_verbatim {
            take_marks_off(&mut line, self.lines_read == 0);
            if line.is_empty() && !ends {
                return Ok(None);
            }
        }
        let text = String::from_utf8(line).map_err(|error| {
            let byte = error.as_bytes()[error.utf8_error().valid_up_to()];
            ErrorKind::InvalidUtf8 { byte }
        })?;
        Ok(Some(text))
    }
}

/// Leaves of a line its text.
fn take_marks_off(line: &mut Vec<u8>, is_first: bool) {
    if is_first && line.starts_with(UTF8_MARK) {
        line.drain(..UTF8_MARK.len());
    }
    if line.pop_if(|byte| *byte == b'\n').is_some() {
        line.pop_if(|byte| *byte == b'\r');
    } else {
        // The end of the file.
        while line.pop_if(|byte| *byte == SUBSTITUTE).is_some() {}
    }
}

impl<R: BufRead> Iterator for TextLines<R> {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let outcome = self.read_line();
        self.done = matches!(outcome, Ok(None) | Err(ErrorKind::Io(_)));
        if !matches!(outcome, Ok(None)) {
            self.lines_read += 1;
        }
        let error = |kind| Error::new(kind, self.path.as_deref(), Some(self.lines_read));
        outcome.map_err(error).transpose()
    }
}
