//! What a file knows of entities and of sentences.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ner_metrics::Mode;

use crate::column_files::{ColumnArguments, TaggedFile};

/// How often a training file has an entity's text.
pub const FREQUENCIES: [&str; 5] = ["0", "1", "2 to 4", "5 to 19", "20 or more"];

/// How often the file itself has it.
pub const OWN_FREQUENCIES: [&str; 4] = ["0", "1", "2 to 4", "5 or more"];

/// Whether a training file has an entity's text, and with which type.
pub const SEEN: [&str; 3] = ["unseen", "seen with another type", "seen with this type"];

/// The place of a count in [`FREQUENCIES`].
pub fn frequency(times: usize) -> usize {
    match times {
        0 | 1 => times,
        2..=4 => 2,
        5..=19 => 3,
        _ => 4,
    }
}

/// The place of a count in [`OWN_FREQUENCIES`].
pub fn own_frequency(times: usize) -> usize {
    frequency(times).min(3)
}

/// The entities and the sentences of a file.
pub struct Known {
    /// The file.
    pub path: PathBuf,
    sentences: HashSet<Vec<String>>,
    /// Of each text how often it stands with each type.
    entities: HashMap<String, HashMap<String, usize>>,
}

impl Known {
    /// Reads a file.
    pub fn read(path: &Path, layout: &ColumnArguments, mode: Mode) -> Result<Self> {
        let file = TaggedFile::read(path, layout)?;
        Self::of(&file, mode).with_context(|| path.display().to_string())
    }

    /// Of a file that is read.
    pub fn of(file: &TaggedFile, mode: Mode) -> Result<Self> {
        let mut entities: HashMap<String, HashMap<String, usize>> = HashMap::new();
        for sentence in &file.sentences {
            for entity in mode.entities(&sentence.tags)? {
                let text = sentence.words[entity.start..entity.end].join(" ");
                let types = entities.entry(text).or_default();
                *types.entry(entity.entity_type.to_owned()).or_default() += 1;
            }
        }
        let sentences = file.sentences.iter();
        Ok(Self {
            path: file.path.clone(),
            sentences: sentences.map(|sentence| sentence.words.clone()).collect(),
            entities,
        })
    }

    /// Whether a sentence stands there word for word.
    pub fn has_sentence(&self, words: &[String]) -> bool {
        self.sentences.contains(words)
    }

    /// How often a text stands there as an entity.
    pub fn times(&self, text: &str) -> usize {
        let types = self.entities.get(text);
        types.map_or(0, |types| types.values().sum())
    }

    /// The place in [`SEEN`].
    pub fn seen(&self, text: &str, entity_type: &str) -> usize {
        match self.entities.get(text) {
            None => 0,
            Some(types) if types.contains_key(entity_type) => 2,
            Some(_) => 1,
        }
    }
}
