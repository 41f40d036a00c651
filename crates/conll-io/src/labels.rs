//! Lists of labels, one a line.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::encoding::{Decoder, line_text};
use crate::invisible::{check_tag, trim};
use crate::plain_lines::PlainLines;
use crate::source::open;
use crate::{Encoding, Error, ErrorKind};

/// A label of a list, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The label, without white space and invisible characters at its ends; never empty.
    pub text: String,
    /// Number of its line in the file, counted from 1.
    pub line: u64,
}

/// Reads a list of labels such as `labels.txt`: UTF-8, one label a line, blank lines between them.
///
/// Line ends and the characters that cannot be seen count as in the tags of a column file (see [the
/// table](crate#what-counts-as-what)). A label that stands there twice is given twice.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("labels.txt");
/// std::fs::write(&path, "\u{feff}O\r\nB-PER \r\n\r\nI-PER\r\n")?;
/// let labels = conll_io::read_labels(&path)?;
/// let labels: Vec<(&str, u64)> = labels.iter().map(|label| (&*label.text, label.line)).collect();
/// assert_eq!(labels, [("O", 1), ("B-PER", 2), ("I-PER", 4)]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// - [`ErrorKind::Io`]: the file cannot be opened or read, or is UTF-16.
/// - [`ErrorKind::InvalidUtf8`], [`ErrorKind::Nul`]: the file is not text in UTF-8.
/// - [`ErrorKind::InvisibleCharacter`]: a label has one inside.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<Label>, Error> {
    let path = path.as_ref();
    let mut lines: PlainLines<File> = PlainLines::new(Decoder::new(open(path)?, Encoding::Utf8));
    let mut text = Vec::new();
    lines
        .read_to_end(&mut text)
        .map_err(|error| Error::new(ErrorKind::Io(error), Some(path), None))?;
    let mut labels = Vec::new();
    for (line, bytes) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        match label(bytes) {
            Ok(Some(text)) => labels.push(Label { text, line }),
            Ok(None) => {}
            Err(kind) => return Err(Error::new(kind, Some(path), Some(line))),
        }
    }
    Ok(labels)
}

/// The label in a line; `None` in a blank one.
fn label(line: &[u8]) -> Result<Option<String>, ErrorKind> {
    let text = line_text(line)?;
    match check_tag("label", text) {
        Ok(()) => Ok(Some(trim(text).to_owned())),
        Err(None) => Ok(None),
        Err(Some(kind)) => Err(kind),
    }
}
