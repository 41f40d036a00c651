//! Tables through a tagger, batch by batch: all columns as they are, and one more for the entities.

mod column;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use ner_tagger::EntitySpan;

use self::column::EntityColumn;
use self::writer::TableWriter;
use super::Arguments;
use super::texts::Texts;
use crate::text_records::table::{Table, texts};

/// The entities of each text of a batch; none where there is no text.
type Found = Vec<Option<Vec<EntitySpan>>>;

/// Tags the texts of tables.
pub fn tag(arguments: &Arguments, mut tagging: Texts, paths: &[PathBuf]) -> Result<()> {
    let reader = arguments.reader();
    let rows = arguments.texts_at_once();
    let sizes = paths
        .iter()
        .map(|path| path.metadata().map(|file| file.len()));
    let total = sizes.sum::<std::io::Result<u64>>().ok();
    let done = Arc::new(AtomicU64::new(0));
    let column = EntityColumn::new(arguments);
    let mut writer = None;
    let mut passed = 0;
    for path in paths {
        let table = Table::open(path, reader.format_of(path), rows, &done)?;
        let in_file = || path.display().to_string();
        let of_texts = table.text_column(&arguments.text_field)?;
        let writer = match &mut writer {
            None => {
                let new = TableWriter::new(arguments, table.schema(), &column);
                writer.insert(new.with_context(in_file)?)
            }
            Some(writer) => {
                writer.check(table.schema()).with_context(in_file)?;
                writer
            }
        };
        for batch in table {
            let batch = batch?;
            let texts = texts(batch.column(of_texts))?;
            let found = entities(&tagging, &texts, rows)?;
            writer.write(&batch, column.array(&texts, &found)?)?;
            passed += texts.len() as u64;
            tagging.show((done.load(Ordering::Relaxed), total), passed);
        }
    }
    tagging.end();
    writer.map_or(Ok(()), TableWriter::finish)
}

/// The entities of the texts of a batch, so many passed to the model at once.
fn entities(tagging: &Texts, texts: &[Option<&str>], at_once: usize) -> Result<Found> {
    let present: Vec<&str> = texts.iter().copied().flatten().collect();
    let mut found = Vec::with_capacity(present.len());
    for part in present.chunks(at_once) {
        found.extend(tagging.entities(part)?);
    }
    let mut found = found.into_iter();
    let of = |text: &Option<&str>| text.and_then(|_| found.next());
    Ok(texts.iter().map(of).collect())
}
