//! Texts with their entities replaced, as Presidio's anonymizer replaces them.
//!
//! [`anonymize`] is all that the service needs of it. Its rules are those of presidio-anonymizer 2.2: entities of one type that overlap or have only
//! spaces between them become one, one inside another is left out, and what remains is replaced from the end of the text to its start. The operators are
//! those of `ner-redact`.

use std::collections::BTreeMap;

use ner_redact::Digest;
use rand::TryRng;
use rand::rngs::SysRng;

/// The name of the operator of types that have none of their own.
const DEFAULT: &str = "DEFAULT";
/// What types without an operator have.
static REPLACE: Operator = Operator::Known(ner_redact::Operator::Replace);

/// Something to be replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Its type, such as `PERSON`.
    pub entity_type: String,
    /// The first character, in Unicode code points from 0.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// Its score, 0 to 1.
    pub score: f64,
}

/// What is done with the words of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// One that needs nothing but the words.
    Known(ner_redact::Operator),
    /// Presidio's hash with a salt that is random, so that the same words have another digest each time.
    Hash(Digest),
}

/// What came in an entity's place.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The first character in the new text, in Unicode code points.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
    /// The entity's type.
    pub entity_type: String,
    /// What stands there.
    pub text: String,
    /// The operator's name.
    pub operator: &'static str,
    /// The score of what stood there.
    pub score: f64,
}

/// A text with its entities replaced; the last one comes first.
#[derive(Clone, Debug, PartialEq)]
pub struct Anonymized {
    /// The text.
    pub text: String,
    /// What was replaced.
    pub items: Vec<Item>,
}

impl Operator {
    /// The names of all.
    pub const NAMES: [&str; 5] = ["hash", "keep", "mask", "redact", "replace"];

    /// The name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Known(operator) => operator.name(),
            Self::Hash(_) => "hash",
        }
    }

    fn apply(&self, entity_type: &str, words: &str) -> Result<String, String> {
        let salted;
        let operator = match self {
            Self::Known(operator) => operator,
            Self::Hash(digest) => {
                salted = ner_redact::Operator::SaltedHash(*digest, random_salt()?.to_vec());
                &salted
            }
        };
        let put = operator.replacement(entity_type, words);
        put.ok_or_else(|| format!("{} does not act on words alone", operator.name()))
    }
}

fn random_salt() -> Result<[u8; 32], String> {
    let mut salt = [0; 32];
    SysRng
        .try_fill_bytes(&mut salt)
        .map_err(|error| format!("no random salt can be had: {error}"))?;
    Ok(salt)
}

/// Replaces the findings in a text by the operators of their types, which the type's name or `DEFAULT` names; without either, the type in angle
/// brackets comes in their place.
///
/// # Errors
/// A finding that reaches over the end of the text, or ends before it starts; no random numbers to be had.
pub fn anonymize(
    text: &str,
    findings: Vec<Finding>,
    operators: &BTreeMap<String, Operator>,
) -> Result<Anonymized, String> {
    let letters: Vec<char> = text.chars().collect();
    for (number, finding) in findings.iter().enumerate() {
        if finding.start > finding.end || finding.end > letters.len() {
            return Err(format!(
                "finding {number}, from {} to {}, is not in the text, which has {} characters",
                finding.start,
                finding.end,
                letters.len()
            ));
        }
    }
    let mut findings = joined_over_spaces(without_contained(merged(findings)), &letters);
    findings.sort_by_key(|finding| (finding.start, finding.end));
    let mut parts = Vec::new(); // from the end of the text to its start
    let mut items = Vec::new();
    let mut rest = letters.len();
    for finding in findings.iter().rev() {
        let operator = operators.get(&finding.entity_type);
        let operator = operator.or_else(|| operators.get(DEFAULT));
        let operator = operator.unwrap_or(&REPLACE);
        let words = String::from_iter(&letters[finding.start..finding.end]);
        let put = operator.apply(&finding.entity_type, &words)?;
        parts.push(letters[finding.end.min(rest)..rest].iter().collect());
        parts.push(put.clone());
        rest = finding.start;
        items.push(Item {
            start: 0,
            end: 0,
            entity_type: finding.entity_type.clone(),
            text: put,
            operator: operator.name(),
            score: finding.score,
        });
    }
    parts.push(letters[..rest].iter().collect());
    Ok(placed(&parts, items))
}

/// Puts the parts together and says where in the text each item stands. After the last part, each item has two: the text after it, and its own.
fn placed(parts: &[String], mut items: Vec<Item>) -> Anonymized {
    let text: String = parts.iter().rev().map(String::as_str).collect();
    let mut end = text.chars().count();
    for (item, pair) in items.iter_mut().zip(parts.chunks(2)) {
        item.end = end - pair[0].chars().count();
        item.start = item.end - item.text.chars().count();
        end = item.start;
    }
    Anonymized { text, items }
}

/// Findings of one type that share characters become one, with the better score, at the place of the last of them.
fn merged(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.start, finding.end));
    let mut kept: Vec<(usize, Finding)> = Vec::new();
    let mut last_of: BTreeMap<String, usize> = BTreeMap::new();
    for (place, finding) in findings.into_iter().enumerate() {
        let last = last_of.get(&finding.entity_type).copied();
        match last.map(|number| &mut kept[number]) {
            Some((at, last)) if shares(last, &finding) => {
                last.end = last.end.max(finding.end);
                last.score = last.score.max(finding.score);
                *at = place;
            }
            _ => {
                last_of.insert(finding.entity_type.clone(), kept.len());
                kept.push((place, finding));
            }
        }
    }
    kept.sort_by_key(|(place, _)| *place);
    kept.into_iter().map(|(_, finding)| finding).collect()
}

fn shares(one: &Finding, other: &Finding) -> bool {
    one.end.min(other.end) > one.start.max(other.start)
}

/// Leaves out what lies inside another finding. Of several at one place the best scored one stays, the last of equals.
fn without_contained(findings: Vec<Finding>) -> Vec<Finding> {
    let mut order: Vec<usize> = (0..findings.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (&findings[*a], &findings[*b]);
        let by_place = a.start.cmp(&b.start).then(b.end.cmp(&a.end));
        by_place.then(a.score.total_cmp(&b.score))
    });
    let mut kept: Vec<usize> = Vec::new();
    for number in order {
        let finding = &findings[number];
        let last = kept.last().map(|last| &findings[*last]);
        if last.is_some_and(|last| (last.start, last.end) == (finding.start, finding.end)) {
            kept.pop();
        }
        // All that could contain it come before it, the longest last among those kept.
        if kept
            .last()
            .is_none_or(|last| findings[*last].end < finding.end)
        {
            kept.push(number);
        }
    }
    kept.sort_unstable();
    let mut findings: Vec<Option<Finding>> = findings.into_iter().map(Some).collect();
    let kept = kept.into_iter();
    kept.filter_map(|number| findings[number].take()).collect()
}

/// Neighbors of one type with only spaces between them become one.
fn joined_over_spaces(findings: Vec<Finding>, letters: &[char]) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    for mut finding in findings {
        let before = kept
            .last()
            .filter(|last| last.entity_type == finding.entity_type);
        let is_near = before.is_some_and(|last| {
            let between = letters.get(last.end..finding.start).unwrap_or_default();
            // A line break may follow the spaces, as the pattern of the reference has it.
            let spaces = between.strip_suffix(&['\n']).unwrap_or(between);
            !spaces.is_empty() && spaces.iter().all(|letter| *letter == ' ')
        });
        if is_near && let Some(before) = kept.pop() {
            finding.start = before.start;
        }
        kept.push(finding);
    }
    kept
}
