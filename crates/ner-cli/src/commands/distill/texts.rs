//! Texts of files in the forms that `predict` reads, told by their names.

use std::path::Path;

use anyhow::Result;

use crate::column_files::{InputFormat, is_column_file};
use crate::text_records::{Fault, RecordFormat, RecordReader};

/// Whether a file holds words in columns: as its format says, else its name.
pub fn holds_columns(path: &Path, format: Option<InputFormat>) -> bool {
    match format {
        Some(format) => format == InputFormat::Conll,
        None => is_column_file(path),
    }
}

/// The texts of a file without columns of words: its lines where its format says so or its name says nothing, else a field of each record.
pub fn running_texts(
    path: &Path,
    format: Option<InputFormat>,
    field: &str,
) -> Result<impl Iterator<Item = Result<String>>> {
    let reader = RecordReader {
        format: format.map(|_| RecordFormat::Text),
        field: field.to_owned(),
    };
    let records = reader.read(vec![path.to_owned()])?;
    Ok(records.map(|record| match record {
        Ok(record) => Ok(record.text),
        Err(Fault::Record(error) | Fault::End(error)) => Err(error),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_files_are_told_by_their_format_or_their_name() {
        for (name, format, expected) in [
            ("a.conll", None, true),
            ("a.IOB2", None, true),
            ("a.txt", None, false),
            ("a.jsonl", None, false),
            ("conll", None, false),
            ("a.conll", Some(InputFormat::Text), false),
            ("a.txt", Some(InputFormat::Conll), true),
        ] {
            assert_eq!(holds_columns(Path::new(name), format), expected, "{name}");
        }
    }
}
