//! Sentences that occur more than once.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::json;

use super::corpus::View;
use super::finding::{Findings, Kind};
use crate::wording::counted;

/// How much of one file stands word for word in another.
#[derive(Debug, Serialize)]
pub struct Overlap {
    /// The one with fewer sentences.
    file: String,
    other_file: String,
    sentences: usize,
    of_sentences: usize,
    entities: usize,
    of_entities: usize,
}

/// Where a sentence stands: file and sentence.
type Spot = (usize, usize);

pub fn check(views: &[View<'_>], findings: &mut Findings) -> Vec<Overlap> {
    let groups = groups(views);
    check_tags(views, &groups, findings);
    check_repetitions(views, &groups, findings);
    let mut overlaps = Vec::new();
    for a in 0..views.len() {
        for b in a + 1..views.len() {
            let smaller_first = views[b].sentences().len() <= views[a].sentences().len();
            let (file, other) = if smaller_first { (b, a) } else { (a, b) };
            overlaps.extend(overlap(views, &groups, (file, other), findings));
        }
    }
    overlaps
}

/// The spots of each sentence that occurs more than once, in the order of the files.
fn groups(views: &[View<'_>]) -> Vec<Vec<Spot>> {
    let mut numbers: HashMap<&[String], usize> = HashMap::new();
    let mut groups: Vec<Vec<Spot>> = Vec::new();
    for (file, view) in views.iter().enumerate() {
        for (at, sentence) in view.sentences().iter().enumerate() {
            let number = *numbers.entry(&sentence.words).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[number].push((file, at));
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// A tagging of some words beside the usual one of the same words.
struct Deviation {
    spot: Spot,
    count: usize,
    usual: Spot,
    usual_count: usize,
}

/// Finds the taggings that differ from the commonest one of the same words, the rarest first.
fn check_tags(views: &[View<'_>], groups: &[Vec<Spot>], findings: &mut Findings) {
    let all = groups.iter().flat_map(|group| deviations(views, group));
    let mut all: Vec<Deviation> = all.collect();
    all.sort_by_key(|found| {
        // In thousandths of the usual.
        let share = 1000 * found.count / found.usual_count;
        (share, std::cmp::Reverse(found.usual_count), found.spot)
    });
    for found in all {
        let sentence = |(file, at): Spot| &views[file].sentences()[at];
        let (here, there) = (sentence(found.spot), sentence(found.usual));
        let pairs = here.tags.iter().zip(&there.tags);
        let differing: Vec<usize> = pairs
            .enumerate()
            .filter(|(_, (a, b))| a != b)
            .map(|(word, _)| word)
            .collect();
        let Some(&word) = differing.first() else {
            continue;
        };
        let other = views[found.usual.0].place(found.usual.1, word);
        let (tag, other_tag) = (&here.tags[word], &there.tags[word]);
        let what = format!(
            "`{}` is {tag} here and {other_tag} at {other}; {} in all; so {}×, as there {}×",
            here.words[word],
            counted(differing.len(), "other tag", "other tags"),
            found.count,
            found.usual_count
        );
        let details = json!({
            "word": here.words[word], "tag": tag, "other_tag": other_tag, "other_file": other.file, "other_line": other.line,
            "differing_tags": differing.len(), "count": found.count, "other_count": found.usual_count,
        });
        let place = views[found.spot.0].place(found.spot.1, word);
        findings.add(Kind::InconsistentTags, place, what, details);
    }
}

/// The taggings of the same words but the commonest, the first of equals.
fn deviations(views: &[View<'_>], group: &[Spot]) -> Vec<Deviation> {
    let tags = |(file, at): Spot| &views[file].sentences()[at].tags;
    let mut taggings: Vec<(Spot, usize)> = Vec::new();
    for &spot in group {
        let known = taggings
            .iter_mut()
            .find(|(known, _)| tags(*known) == tags(spot));
        match known {
            Some((_, count)) => *count += 1,
            None => taggings.push((spot, 1)),
        }
    }
    let most = taggings.iter().map(|(_, count)| *count).max();
    let usual = taggings.iter().find(|(_, count)| Some(*count) == most);
    let Some(&(usual, usual_count)) = usual else {
        return Vec::new();
    };
    let others = taggings.into_iter().filter(|(spot, _)| *spot != usual);
    let deviation = |(spot, count)| Deviation {
        spot,
        count,
        usual,
        usual_count,
    };
    others.map(deviation).collect()
}

/// Finds each further occurrence of a sentence within a file, those with entities first.
fn check_repetitions(views: &[View<'_>], groups: &[Vec<Spot>], findings: &mut Findings) {
    let mut all: Vec<(Spot, usize)> = Vec::new();
    for group in groups {
        for (number, &(file, at)) in group.iter().enumerate() {
            let first = group[..number].iter().find(|(other, _)| *other == file);
            all.extend(first.map(|(_, first)| ((file, at), *first)));
        }
    }
    all.sort_by_key(|(spot, _)| (views[spot.0].entities[spot.1].is_empty(), *spot));
    for ((file, at), first) in all {
        let view = &views[file];
        let line = view.file.line(first, 0);
        let entities = view.entities[at].len();
        let what = format!(
            "as line {line}: {} ({})",
            excerpt(&view.sentences()[at].words),
            counted(entities, "entity", "entities")
        );
        let details = json!({"other_line": line, "entities": entities});
        findings.add(Kind::RepeatedSentence, view.place(at, 0), what, details);
    }
}

/// Finds the sentences of one file that stand in the other, those with entities first.
fn overlap(
    views: &[View<'_>],
    groups: &[Vec<Spot>],
    (file, other): (usize, usize),
    findings: &mut Findings,
) -> Option<Overlap> {
    let (view, others) = (&views[file], &views[other]);
    let mut both: Vec<(usize, usize)> = Vec::new();
    for group in groups {
        let of = |wanted: usize| group.iter().filter(move |(file, _)| *file == wanted);
        if let Some((_, there)) = of(other).next() {
            both.extend(of(file).map(|(_, at)| (*at, *there)));
        }
    }
    both.sort_by_key(|(at, _)| (view.entities[*at].is_empty(), *at));
    for &(at, there) in &both {
        let place = others.place(there, 0);
        let entities = view.entities[at].len();
        let what = format!(
            "stands at {place}: {} ({})",
            excerpt(&view.sentences()[at].words),
            counted(entities, "entity", "entities")
        );
        let details =
            json!({"other_file": place.file, "other_line": place.line, "entities": entities});
        findings.add(Kind::SentenceInTwoFiles, view.place(at, 0), what, details);
    }
    let overlap = Overlap {
        file: view.file.path.display().to_string(),
        other_file: others.file.path.display().to_string(),
        sentences: both.len(),
        of_sentences: view.sentences().len(),
        entities: both.iter().map(|(at, _)| view.entities[*at].len()).sum(),
        of_entities: view.entities.iter().map(Vec::len).sum(),
    };
    if both.is_empty() {
        return None;
    }
    let note = format!(
        "{} of the {} of {} {} word for word in {}, with {} of its {}",
        overlap.sentences,
        counted(overlap.of_sentences, "sentence", "sentences"),
        overlap.file,
        if overlap.sentences == 1 {
            "stands"
        } else {
            "stand"
        },
        overlap.other_file,
        overlap.entities,
        counted(overlap.of_entities, "entity", "entities")
    );
    findings.note(Kind::SentenceInTwoFiles, note);
    Some(overlap)
}

/// The first words of a sentence.
fn excerpt(words: &[String]) -> String {
    const WORDS: usize = 8;
    let more = if words.len() > WORDS { " …" } else { "" };
    words[..words.len().min(WORDS)].join(" ") + more
}
