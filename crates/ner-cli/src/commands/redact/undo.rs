//! The originals of results.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use anyhow::{Context, Result, bail, ensure};
use ner_redact::{Error, UndoMap, undo};

use super::MapLine;
use super::document::Document;
use crate::text_records::{Frame, Record};

/// The lines of a map's file, as records come that need them.
pub struct MapLines {
    path: PathBuf,
    lines: IntoIter<MapLine>,
    /// Number of the record at hand, from 1.
    record: usize,
}

impl MapLines {
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let line = |(number, line): (usize, &str)| {
            let place = || format!("{}:{number}", path.display());
            serde_json::from_str::<MapLine>(line).with_context(place)
        };
        let lines = (1..).zip(text.lines()).map(line);
        let lines: Vec<MapLine> = lines.collect::<Result<_>>()?;
        Ok(Self {
            path: path.to_owned(),
            lines: lines.into_iter(),
            record: 0,
        })
    }

    /// Gives the next record its originals back.
    pub fn undo(&mut self, record: Record, fields: &[String]) -> Result<Record> {
        self.record += 1;
        let number = self.record;
        let in_record = || format!("record {number}");
        if record.fields.is_empty() {
            let map = self.next_for(None)?;
            return undo_line(&record, &map).with_context(in_record);
        }
        let mut document = Document::new(record, fields)?;
        for (field, text) in document.texts_mut() {
            let map = self.next_for(field)?;
            *text = undo(text, &map).with_context(in_record)?;
        }
        Ok(document.into_record())
    }

    /// The map of a text of the record at hand.
    fn next_for(&mut self, field: Option<&str>) -> Result<UndoMap> {
        let (line, path, record) = (self.lines.next(), self.path.display(), self.record);
        let line = line.with_context(|| format!("{path}: has no line for record {record}"))?;
        ensure!(
            line.record == record && line.field.as_deref() == field,
            "{path}: has record {}, field {:?} where the input has record {record}, field {field:?}",
            line.record,
            line.field
        );
        Ok(line.map)
    }

    /// The last record where the results have nothing of it: a last line without an end, of which all was taken out.
    ///
    /// # Errors
    /// The map has anything else for which no record came.
    pub fn end(mut self) -> Result<Option<Record>> {
        let Some(line) = self.lines.next() else {
            return Ok(None);
        };
        let is_last = self.lines.next().is_none() && line.record == self.record + 1;
        match undo("", &line.map) {
            Ok(text) if is_last && line.field.is_none() => Ok(Some(Record {
                text,
                frame: Frame {
                    after: Cow::Borrowed(""),
                    ..Frame::default()
                },
                ..Record::default()
            })),
            _ => bail!(
                "{}: goes on after the last record of the input",
                self.path.display()
            ),
        }
    }
}

/// The original of a line. Where something was taken out at the very beginning or end of its text, what stood beside it there may look like a part of
/// the line's frame now, as a CR before the line feed does.
fn undo_line(line: &Record, map: &UndoMap) -> ner_redact::Result<Record> {
    let Frame { before, after, .. } = &line.frame;
    let whole = [&**before, line.text.as_str(), &**after].concat();
    let text_end = before.len() + line.text.len();
    for start in [before.len(), 0] {
        for end in text_end..=whole.len() {
            match undo(&whole[start..end], map) {
                Err(Error::UndoChecksum) => {}
                original => {
                    return Ok(Record {
                        text: original?,
                        frame: Frame {
                            before: whole[..start].to_owned().into(),
                            after: whole[end..].to_owned().into(),
                            ..Frame::default()
                        },
                        ..Record::default()
                    });
                }
            }
        }
    }
    Err(Error::UndoChecksum)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ner_redact::{Anonymizer, Operators, Recognizers};

    use super::*;

    #[test]
    fn marks_beside_what_was_taken_out_are_of_the_text() {
        let operators = Operators::from_list(&["redact"]).unwrap();
        let anonymizer = Anonymizer::new(operators, None).unwrap();
        // The text, and the frame that its line has once the address is gone.
        for (text, frame) in [
            ("Soy\rana@gil.es", ("", "\r\n")),
            ("Soy\x1a\x1aana@gil.es", ("", "\x1a\x1a")),
            ("ana@gil.es\u{feff}, sí", ("\u{feff}", "\n")),
            ("Soy ana@gil.es", ("\u{feff}", "\r\n")),
        ] {
            let spans = Recognizers::standard().find(text);
            let redacted = anonymizer.anonymize(text, &spans).unwrap();
            assert!(!redacted.text.contains("gil"), "{text:?}");
            let shown = redacted.text.trim_start_matches('\u{feff}');
            let shown = shown.trim_end_matches(['\r', '\x1a']);
            let line = Record {
                text: shown.to_owned(),
                frame: Frame {
                    before: frame.0.into(),
                    after: frame.1.into(),
                    ..Frame::default()
                },
                ..Record::default()
            };
            let original = undo_line(&line, &redacted.map).unwrap();
            assert_eq!(original.text, text);
            let other = UndoMap {
                sha256: "0".repeat(64),
                ..redacted.map
            };
            assert_eq!(undo_line(&line, &other), Err(Error::UndoChecksum));
        }
    }
}
