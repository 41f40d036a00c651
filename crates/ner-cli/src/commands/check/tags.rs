//! Tags: their scheme, and slips in them.

use std::collections::BTreeMap;

use anyhow::Result;
use ner_metrics::{OddType, Oddity, Scheme, foreign_tags, odd_types, rare_tags};
use serde_json::json;

use super::corpus::View;
use super::finding::{Findings, Kind, Place};
use crate::column_files::file_name;
use crate::wording::counted;

/// A file follows no scheme at all where more than one transition in this many is illegal under the nearest.
const TRANSITIONS_PER_SLIP: usize = 4;

/// How often something occurs, and where first.
type Counts<'a> = BTreeMap<&'a str, (usize, Place<'a>)>;

pub fn check(views: &[View<'_>], findings: &mut Findings) -> Result<()> {
    for view in views {
        let tags = tag_counts(view);
        let scheme = scheme(view, &tags, findings);
        check_foreign(&tags, scheme, findings);
        if let Some(scheme) = scheme {
            check_transitions(view, scheme, findings)?;
        }
    }
    check_one_scheme(views, findings);
    check_types(views, findings);
    Ok(())
}

fn count<'a>(counts: &mut Counts<'a>, name: &'a str, place: impl FnOnce() -> Place<'a>) {
    let entry = counts.entry(name).or_insert_with(|| (0, place()));
    entry.0 += 1;
}

fn tag_counts<'a>(view: &View<'a>) -> Counts<'a> {
    let mut counts = Counts::new();
    for (number, sentence) in view.sentences().iter().enumerate() {
        for (word, tag) in sentence.tags.iter().enumerate() {
            count(&mut counts, tag, || view.place(number, word));
        }
    }
    counts
}

fn numbers<'a>(counts: &Counts<'a>) -> Vec<(&'a str, usize)> {
    counts.iter().map(|(name, (n, _))| (*name, *n)).collect()
}

/// The scheme by which a file's tags are judged, which it may break at times.
fn scheme(view: &View<'_>, tags: &Counts<'_>, findings: &mut Findings) -> Option<Scheme> {
    let Some(fit) = view.fit else {
        let what = "all tags are O".to_owned();
        findings.add(Kind::NoEntity, view.place(0, 0), what, json!({}));
        return None;
    };
    if fit.illegal * TRANSITIONS_PER_SLIP <= fit.transitions {
        return Some(fit.scheme);
    }
    let bare = foreign_tags(&numbers(tags), None);
    let has_positions = tags
        .keys()
        .any(|tag| *tag != "O" && bare.iter().all(|found| found.tag != *tag));
    if has_positions {
        let what = format!(
            "the nearest, {}, forbids {} of {}",
            fit.scheme.name(),
            fit.illegal,
            counted(fit.transitions, "transition", "transitions")
        );
        let details =
            json!({"nearest": fit.scheme, "illegal": fit.illegal, "transitions": fit.transitions});
        findings.add(Kind::NoScheme, view.place(0, 0), what, details);
    }
    None
}

fn check_foreign(tags: &Counts<'_>, scheme: Option<Scheme>, findings: &mut Findings) {
    for found in foreign_tags(&numbers(tags), scheme) {
        let place = tags[found.tag].1;
        let times = counted(found.count, "word", "words");
        let why = match scheme {
            _ if found.is_bare => "has no position letter such as B- or I-".to_owned(),
            Some(scheme) => format!("is no tag of {}", scheme.name()),
            None => continue,
        };
        let meant = found
            .meant
            .map(|meant| format!("; probably `{meant}`"))
            .unwrap_or_default();
        let what = format!("`{}` {why} ({times}){meant}", found.tag);
        let details = json!({"tag": found.tag, "count": found.count, "meant": found.meant});
        findings.add(Kind::ForeignTag, place, what, details);
    }
}

fn check_transitions(view: &View<'_>, scheme: Scheme, findings: &mut Findings) -> Result<()> {
    for (number, sentence) in view.sentences().iter().enumerate() {
        for found in scheme.illegal_transitions(&sentence.tags)? {
            let previous = found
                .previous
                .map_or("the start of the sentence".to_owned(), quoted);
            let tag = found
                .tag
                .map_or("the end of the sentence".to_owned(), quoted);
            let word = found.token.min(sentence.words.len() - 1);
            let what = format!(
                "{tag} cannot follow {previous} in {} (word `{}`)",
                scheme.name(),
                sentence.words[word]
            );
            let details = json!({"scheme": scheme, "previous": found.previous, "tag": found.tag, "word": sentence.words[word]});
            findings.add(Kind::IllFormed, view.place(number, word), what, details);
        }
    }
    Ok(())
}

fn quoted(tag: &str) -> String {
    format!("`{tag}`")
}

/// All files must follow the scheme of the first that follows one.
fn check_one_scheme(views: &[View<'_>], findings: &mut Findings) {
    let followed = |view: &View<'_>| {
        let fit = view.fit.filter(|fit| fit.is_followed())?;
        Some(fit.scheme)
    };
    let Some((first, scheme)) = views.iter().find_map(|view| Some((view, followed(view)?))) else {
        return;
    };
    for view in views {
        let Some(own) = followed(view).filter(|own| *own != scheme) else {
            continue;
        };
        let sentences = view.sentences().iter();
        let broken: Vec<usize> = sentences
            .enumerate()
            .filter(|(_, sentence)| !scheme.is_valid(&sentence.tags))
            .map(|(number, _)| number)
            .collect();
        let Some(&number) = broken.first() else {
            continue; // what it has is also of the first file's scheme
        };
        let what = format!(
            "is {}, {} is {}; {} of {} {} not well-formed there",
            own.name(),
            first.file.path.display(),
            scheme.name(),
            broken.len(),
            counted(view.sentences().len(), "sentence", "sentences"),
            if broken.len() == 1 { "is" } else { "are" }
        );
        let details = json!({"scheme": own, "other_file": first.file.path, "other_scheme": scheme});
        findings.add(Kind::MixedSchemes, view.place(number, 0), what, details);
    }
}

/// Types of all files together, as a slip may stand in one of them only.
fn check_types(views: &[View<'_>], findings: &mut Findings) {
    let (mut types, mut tags) = (Counts::new(), Counts::new());
    for view in views {
        for (number, entity) in view.all_entities() {
            let place = || view.place(number, entity.start);
            count(&mut types, entity.entity_type, place);
        }
        for (tag, (n, place)) in tag_counts(view) {
            tags.entry(tag).or_insert((0, place)).0 += n;
        }
    }
    let odd = odd_types(&numbers(&types));
    for found in &odd {
        let kind = match found.oddity {
            Oddity::Case | Oddity::DigitForLetter => Kind::TypeSpelling,
            Oddity::Misspelling => Kind::TypeMisspelling,
            Oddity::Rare => Kind::RareType,
        };
        let entities = counted(found.count, "entity", "entities");
        let meant = found.meant.map(|(name, n)| {
            let entities = counted(n, "entity", "entities");
            format!("; probably `{name}` ({entities})")
        });
        let what = format!(
            "`{}` ({entities}){}",
            found.entity_type,
            meant.unwrap_or_default()
        );
        let details = json!({
            "type": found.entity_type, "count": found.count, "oddity": found.oddity, "meant": found.meant.map(|meant| meant.0),
        });
        findings.add(kind, types[found.entity_type].1, what, details);
    }
    let is_slip = |name: &str| {
        let slip = |odd: &OddType<'_>| odd.entity_type == name && odd.meant.is_some();
        odd.iter().any(slip)
    };
    check_untrained(views, is_slip, findings);
    for (tag, n) in rare_tags(&numbers(&tags)) {
        let is_known = odd.iter().any(|odd| tag.ends_with(odd.entity_type));
        if is_known || !foreign_tags(&[(tag, n)], None).is_empty() {
            continue;
        }
        let what = format!("`{tag}` ({})", counted(n, "word", "words"));
        let details = json!({"tag": tag, "count": n});
        findings.add(Kind::RareTag, tags[tag].1, what, details);
    }
}

/// Finds the types of other files that the training file lacks: the first one that is named so, else the first. Slips are found elsewhere.
fn check_untrained(views: &[View<'_>], is_slip: impl Fn(&str) -> bool, findings: &mut Findings) {
    let is_named_so = |view: &&View<'_>| {
        let name = file_name(&view.file.path);
        name.to_lowercase().contains("train")
    };
    let Some(train) = views.iter().find(is_named_so).or(views.first()) else {
        return;
    };
    let known = types_of(train);
    if known.is_empty() {
        return; // nothing is trained on it
    }
    for view in views {
        for (name, (count, place)) in types_of(view) {
            if known.contains_key(name) || is_slip(name) {
                continue;
            }
            let what = format!(
                "`{name}` ({}), which {} lacks",
                counted(count, "entity", "entities"),
                train.file.path.display()
            );
            let details = json!({"type": name, "count": count, "other_file": train.file.path});
            findings.add(Kind::UntrainedType, place, what, details);
        }
    }
}

/// How often each type occurs, and where first.
fn types_of<'a>(view: &'a View<'_>) -> Counts<'a> {
    let mut types = Counts::new();
    for (number, entity) in view.all_entities() {
        let place = || view.place(number, entity.start);
        count(&mut types, entity.entity_type, place);
    }
    types
}
