//! What a tokenizer makes of the words, and what does not fit into one sequence.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use rayon::prelude::*;
use serde_json::json;
use subword_align::{EncodedWords, SubwordTokenizer};

use super::corpus::View;
use super::finding::{Findings, Kind, Place};
use super::statistics::Subwords;
use crate::wording::counted;

/// Counts sub-words. `max_length` is that of a sequence, special tokens included.
pub fn check(
    views: &[View<'_>],
    tokenizer: &SubwordTokenizer,
    max_length: Option<usize>,
    findings: &mut Findings,
) -> Result<Vec<Subwords>> {
    let special = tokenizer.special_token_count();
    if let Some(max_length) = max_length {
        ensure!(
            max_length > special,
            "--max-length {max_length} leaves no room beside the tokenizer's {special} special tokens"
        );
    }
    let budget = max_length.map(|length| length - special);
    let mut all = Vec::new();
    for view in views {
        let sentences = view.sentences().par_iter();
        let encoded = sentences.map(|sentence| tokenizer.encode_words(&sentence.words));
        let encoded: Vec<EncodedWords> = encoded.collect::<Result<_, _>>()?;
        let subwords: usize = encoded.iter().map(|sentence| sentence.ids.len()).sum();
        let words: usize = encoded.iter().map(EncodedWords::word_count).sum();
        let mut counts = Subwords {
            subwords,
            per_word: subwords as f64 / words.max(1) as f64,
            max_length,
            ..Subwords::default()
        };
        if let Some(unknown) = tokenizer.unk_id() {
            counts.unknown_words = check_unknown(view, &encoded, unknown, findings);
        }
        if let Some(budget) = budget {
            check_lengths(view, &encoded, budget, &mut counts, findings);
        }
        all.push(counts);
    }
    Ok(all)
}

/// Finds the words of which a part is the unknown token, each once a file, and returns how often they occur.
fn check_unknown(
    view: &View<'_>,
    encoded: &[EncodedWords],
    unknown: u32,
    findings: &mut Findings,
) -> usize {
    let mut words: BTreeMap<&str, (usize, Place<'_>)> = BTreeMap::new();
    for (number, (sentence, encoded)) in view.sentences().iter().zip(encoded).enumerate() {
        for (at, range) in encoded.ranges().enumerate() {
            if encoded.ids[range].contains(&unknown) {
                let place = || (0, view.place(number, at));
                let entry = words.entry(sentence.words[at].as_str());
                entry.or_insert_with(place).0 += 1;
            }
        }
    }
    let mut found: Vec<_> = words.into_iter().collect();
    found.sort_by_key(|(_, (count, place))| (std::cmp::Reverse(*count), place.line));
    for (word, (count, place)) in &found {
        let what = format!("`{word}`, {}", counted(*count, "time", "times"));
        let details = json!({"word": word, "count": count});
        findings.add(Kind::UnknownWord, *place, what, details);
    }
    found.iter().map(|(_, (count, _))| count).sum()
}

/// Finds the sentences that do not fit, and what would be lost if they were cut: the words whose first sub-word lies behind the cut.
fn check_lengths(
    view: &View<'_>,
    encoded: &[EncodedWords],
    budget: usize,
    counts: &mut Subwords,
    findings: &mut Findings,
) {
    for (number, encoded) in encoded.iter().enumerate() {
        let subwords = encoded.ids.len();
        if subwords <= budget {
            continue;
        }
        let words = encoded.word_count();
        let kept = encoded.word_starts[..words].partition_point(|&start| start < budget);
        let entities = &view.entities[number];
        let lost = entities
            .iter()
            .filter(|entity| entity.start >= kept)
            .count();
        let ends_behind = entities.iter().filter(|entity| entity.end > kept).count();
        let (lost_words, broken) = (words - kept, ends_behind - lost);
        counts.longer_sentences += 1;
        counts.lost_words += lost_words;
        counts.broken_entities += broken;
        counts.lost_entities += lost;
        let what = format!(
            "{} where {budget} fit; truncation would lose {} and {}, and break {broken}",
            counted(subwords, "sub-word", "sub-words"),
            counted(lost_words, "word", "words"),
            counted(lost, "entity", "entities")
        );
        let details = json!({"subwords": subwords, "lost_words": lost_words, "lost_entities": lost, "broken_entities": broken});
        findings.add(Kind::Truncation, view.place(number, 0), what, details);
    }
    if counts.longer_sentences > 0 {
        let note = format!(
            "{}: {} longer than {}; truncation would lose {} and {}, and break {}",
            view.file.path.display(),
            counted(counts.longer_sentences, "sentence", "sentences"),
            counted(budget, "sub-word", "sub-words"),
            counted(counts.lost_words, "word", "words"),
            counted(counts.lost_entities, "entity", "entities"),
            counts.broken_entities
        );
        findings.note(Kind::Truncation, note);
    }
}
