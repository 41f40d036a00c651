//! The same string as different entities, or as none.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::corpus::View;
use super::finding::{Findings, Kind, Place};
use crate::wording::counted;

/// A type is probably a mistake where another one is this many times as frequent for the same string.
const TIMES_AS_FREQUENT: usize = 10;
/// Entities of a string from which its places outside of entities are looked at.
const MANY: usize = 5;

/// What the strings of entities are tagged.
type Uses<'a> = BTreeMap<&'a [String], Use<'a>>;

/// What one string is tagged.
#[derive(Default)]
struct Use<'a> {
    /// Each type: how often, and where first.
    types: BTreeMap<&'a str, (usize, Option<Place<'a>>)>,
    /// Places outside of entities: how many, and the first.
    outside: (usize, Option<Place<'a>>),
}

impl Use<'_> {
    fn entities(&self) -> usize {
        self.types.values().map(|(count, _)| count).sum()
    }
}

pub fn check(views: &[View<'_>], findings: &mut Findings) {
    let mut uses = Uses::new();
    for view in views {
        let sentences = view.sentences();
        for (number, entity) in view.all_entities() {
            let words = &sentences[number].words[entity.start..entity.end];
            let of_type = uses
                .entry(words)
                .or_default()
                .types
                .entry(entity.entity_type);
            let slot = of_type.or_insert((0, Some(view.place(number, entity.start))));
            slot.0 += 1;
        }
    }
    count_outside(views, &mut uses);
    check_types(&uses, findings);
    check_outside(&uses, findings);
}

/// Counts where the words of an entity string stand outside of entities.
fn count_outside<'a>(views: &[View<'a>], uses: &mut Uses<'a>) {
    let mut by_first: HashMap<&str, Vec<&'a [String]>> = HashMap::new();
    let frequent = uses.iter().filter(|(_, found)| found.entities() >= MANY);
    for (words, _) in frequent {
        by_first.entry(&words[0]).or_default().push(words);
    }
    for view in views {
        for (number, sentence) in view.sentences().iter().enumerate() {
            for (start, first) in sentence.words.iter().enumerate() {
                if sentence.tags[start] != "O" {
                    continue;
                }
                for words in by_first.get(first.as_str()).into_iter().flatten() {
                    let end = start + words.len();
                    let is_here = sentence.words.get(start..end) == Some(*words)
                        && sentence.tags[start..end].iter().all(|tag| tag == "O");
                    if let Some(found) = uses.get_mut(words).filter(|_| is_here) {
                        found.outside.0 += 1;
                        found.outside.1.get_or_insert(view.place(number, start));
                    }
                }
            }
        }
    }
}

/// Finds strings with several types, the least likely types first.
fn check_types(uses: &Uses<'_>, findings: &mut Findings) {
    let mut conflicts = Vec::new();
    for (words, found) in uses {
        let Some((usual, &(most, example))) =
            found.types.iter().max_by_key(|(_, (count, _))| *count)
        else {
            continue;
        };
        for (name, &(count, place)) in found.types.iter().filter(|(name, _)| *name != usual) {
            if let (Some(place), Some(example)) = (place, example) {
                conflicts.push((words, (name, count, place), (usual, most, example)));
            }
        }
    }
    conflicts.sort_by(|(_, a, usual_a), (_, b, usual_b)| {
        // The smaller share first: a.1 / usual_a.1 against b.1 / usual_b.1.
        let shares = (a.1 * usual_b.1).cmp(&(b.1 * usual_a.1));
        shares.then(usual_b.1.cmp(&usual_a.1))
    });
    for (words, (name, count, place), (usual, most, example)) in conflicts {
        let kind = if most >= TIMES_AS_FREQUENT * count {
            Kind::TypeConflict
        } else {
            Kind::AmbiguousEntity
        };
        let text = words.join(" ");
        let what = format!("`{text}` is {name} {count}× and {usual} {most}× (as at {example})");
        let details = json!({
            "text": text, "type": name, "count": count, "usual_type": usual, "usual_count": most,
            "usual_file": example.file, "usual_line": example.line,
        });
        findings.add(kind, place, what, details);
    }
}

/// Finds strings that are an entity in most places and `O` in others, the rarest exceptions first.
fn check_outside(uses: &Uses<'_>, findings: &mut Findings) {
    let mut overlooked: Vec<_> = uses
        .iter()
        .filter_map(|(words, found)| {
            let (outside, place) = (found.outside.0, found.outside.1?);
            let entities = found.entities();
            (entities > outside).then_some((words, entities, outside, place))
        })
        .collect();
    overlooked.sort_by(|a, b| (a.2 * b.1).cmp(&(b.2 * a.1)).then(b.1.cmp(&a.1)));
    for (words, entities, outside, place) in overlooked {
        let text = words.join(" ");
        let what = format!(
            "`{text}` is O {outside}× and {} elsewhere",
            counted(entities, "entity", "entities")
        );
        let details = json!({"text": text, "outside": outside, "entities": entities});
        findings.add(Kind::SometimesOutside, place, what, details);
    }
}
