//! Column files through a tagger, some sentences at a time.

use std::path::PathBuf;

use anyhow::Result;
use ner_tagger::Tagger;

use super::Arguments;
use super::texts::Texts;
use super::writer::Writer;
use crate::column_files::TaggedFile;

/// Tags the sentences of column files.
pub fn tag(
    arguments: &Arguments,
    tagger: &Tagger,
    mut texts: Texts,
    mut writer: Writer,
    paths: &[PathBuf],
) -> Result<()> {
    let mut sentences = 0;
    for path in paths {
        let (size, in_context) = (arguments.batch_size.get(), tagger.document_context() > 0);
        let parts = TaggedFile::parts(path, &arguments.layout, size, in_context)?;
        for part in parts {
            let part = part?;
            for (number, tagged) in tagger.tag(&part.sentences)?.into_iter().enumerate() {
                writer.write_sentence(&part, number, tagged)?;
            }
            writer.flush()?;
            sentences += part.sentences.len() as u64;
            texts.show_sentences(sentences);
        }
    }
    texts.end();
    writer.finish()
}
