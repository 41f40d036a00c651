//! What the files hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::corpus::View;

/// Counts of one file, or of all together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Statistics {
    pub file: Option<String>,
    pub sentences: usize,
    pub words: usize,
    pub documents: usize,
    /// Of all types.
    pub entities: usize,
    pub types: BTreeMap<String, usize>,
    pub tags: BTreeMap<String, usize>,
    /// Share of the words that are `O`, from 0 to 1.
    pub outside: f64,
    pub longest_sentence: Longest,
    /// The scheme that the tags follow, a slip in a hundred transitions aside.
    pub scheme: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subwords: Option<Subwords>,
}

/// The longest sentence.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Longest {
    pub words: usize,
    /// Of its first word; none for all files together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

/// What a tokenizer makes of the words.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Subwords {
    pub subwords: usize,
    pub per_word: f64,
    /// Words of which a part is the unknown token.
    pub unknown_words: usize,
    /// Longest sequence, special tokens included.
    pub max_length: Option<usize>,
    /// Sentences that do not fit into one sequence.
    pub longer_sentences: usize,
    /// What truncation would lose of them.
    pub lost_words: usize,
    /// Entities of which truncation would keep the beginning only.
    pub broken_entities: usize,
    /// Entities that truncation would lose.
    pub lost_entities: usize,
}

/// The counts of each file.
pub fn of_files(views: &[View<'_>]) -> Vec<Statistics> {
    views.iter().map(of_file).collect()
}

fn of_file(view: &View<'_>) -> Statistics {
    let mut found = Statistics {
        file: Some(view.file.path.display().to_string()),
        scheme: view
            .fit
            .filter(|fit| fit.is_followed())
            .map(|fit| fit.scheme.name()),
        ..Statistics::default()
    };
    let mut documents = BTreeSet::new();
    for (number, sentence) in view.sentences().iter().enumerate() {
        documents.insert(sentence.document);
        for tag in &sentence.tags {
            *found.tags.entry(tag.clone()).or_default() += 1;
        }
        if sentence.words.len() > found.longest_sentence.words {
            found.longest_sentence = Longest {
                words: sentence.words.len(),
                line: Some(view.file.line(number, 0)),
            };
        }
        found.words += sentence.words.len();
    }
    for (_, entity) in view.all_entities() {
        *found
            .types
            .entry(entity.entity_type.to_owned())
            .or_default() += 1;
    }
    found.sentences = view.sentences().len();
    found.documents = documents.len();
    found.entities = found.types.values().sum();
    found.outside = outside(&found);
    found
}

fn outside(statistics: &Statistics) -> f64 {
    let outside = statistics.tags.get("O").copied().unwrap_or_default();
    outside as f64 / statistics.words.max(1) as f64
}

/// The sum of several files; its scheme is that of all of them.
pub fn total(files: &[Statistics]) -> Statistics {
    let mut sum = Statistics::default();
    for file in files {
        sum.sentences += file.sentences;
        sum.words += file.words;
        sum.documents += file.documents;
        sum.entities += file.entities;
        for (name, count) in &file.types {
            *sum.types.entry(name.clone()).or_default() += count;
        }
        for (name, count) in &file.tags {
            *sum.tags.entry(name.clone()).or_default() += count;
        }
        let longest = &mut sum.longest_sentence.words;
        *longest = (*longest).max(file.longest_sentence.words);
    }
    sum.outside = outside(&sum);
    let first = files.first().and_then(|file| file.scheme);
    sum.scheme = first.filter(|_| files.iter().all(|file| file.scheme == first));
    sum
}
