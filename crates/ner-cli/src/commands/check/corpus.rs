//! The files, as far as they can be read.

use std::path::PathBuf;

use anyhow::Result;
use ner_metrics::{Entity, SchemeFit, read_entities};
use ner_tagger::PretokenizedSentence;
use serde_json::json;

use super::finding::{Findings, Kind, Place};
use crate::column_files::{ColumnArguments, TaggedFile, kind_with_flag};

/// Reads the files. What cannot be read is found; what stands before it is kept. A header line is found and left out.
pub fn read(
    paths: &[PathBuf],
    layout: &ColumnArguments,
    findings: &mut Findings,
) -> Vec<TaggedFile> {
    let mut files = Vec::new();
    for path in paths {
        let (mut file, fault) = TaggedFile::read_sound(path, layout);
        let place = |line| Place { file: path, line };
        let is_empty = file.sentences.is_empty();
        if let Some(fault) = &fault {
            let line = fault.position().and_then(conll_io::Position::line);
            let what = kind_with_flag(fault.kind());
            findings.add(Kind::Unreadable, place(line), what, json!({}));
        } else if is_empty {
            let what = "holds no sentence".to_owned();
            findings.add(Kind::Unreadable, place(None), what, json!({}));
        }
        if is_empty {
            continue;
        }
        if file.sentences[0].tags.is_empty() {
            let what = file.lacks_tags();
            findings.add(
                Kind::Unreadable,
                place(Some(file.line(0, 0))),
                what,
                json!({}),
            );
            continue;
        }
        if let Some((line, what)) = file.take_header() {
            findings.add(Kind::HeaderLine, place(Some(line)), what, json!({}));
        }
        if !file.sentences.is_empty() {
            files.push(file);
        }
    }
    files
}

/// A file and its entities.
pub struct View<'a> {
    pub file: &'a TaggedFile,
    /// Of each sentence.
    pub entities: Vec<Vec<Entity<'a>>>,
    /// The scheme that its tags come nearest to.
    pub fit: Option<SchemeFit>,
}

impl<'a> View<'a> {
    pub fn new(file: &'a TaggedFile) -> Result<Self> {
        let entities = file.sentences.iter();
        let entities = entities.map(|sentence| Ok(read_entities(&sentence.tags)?));
        Ok(Self {
            file,
            entities: entities.collect::<Result<_>>()?,
            fit: SchemeFit::nearest(&file.tags()),
        })
    }

    pub fn sentences(&self) -> &'a [PretokenizedSentence] {
        &self.file.sentences
    }

    /// Where a word stands.
    pub fn place(&self, sentence: usize, word: usize) -> Place<'a> {
        Place {
            file: &self.file.path,
            line: Some(self.file.line(sentence, word)),
        }
    }

    /// Each word with the places of its sentence and in it.
    pub fn words(&self) -> impl Iterator<Item = (usize, usize, &'a str)> {
        let sentences = self.sentences().iter().enumerate();
        sentences.flat_map(|(number, sentence)| {
            let words = sentence.words.iter().enumerate();
            words.map(move |(at, word)| (number, at, word.as_str()))
        })
    }

    /// Each entity with the place of its sentence.
    pub fn all_entities(&self) -> impl Iterator<Item = (usize, &Entity<'a>)> {
        let sentences = self.entities.iter().enumerate();
        sentences.flat_map(|(number, entities)| entities.iter().map(move |entity| (number, entity)))
    }
}
