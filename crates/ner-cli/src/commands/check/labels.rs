//! Labels that a model speaks against.

use std::collections::BTreeMap;

use anyhow::Result;
use ner_metrics::{LabelIssue, LabelIssues};
use ner_tagger::{Sentence, Tagger};
use serde_json::json;

use super::corpus::View;
use super::finding::{Findings, Kind, Place, counted};
use crate::progress::Progress;

/// Words of a sentence that are shown on each side of a label.
const CONTEXT: usize = 3;

/// Finds the labels of each file that are probably wrong. Files are judged one by one: a model is surer of what it was trained on.
pub fn check(
    views: &[View<'_>],
    tagger: &Tagger,
    quiet: bool,
    findings: &mut Findings,
) -> Result<()> {
    for view in views {
        let known = known(view, tagger.labels(), findings);
        let mut progress = Progress::new(quiet);
        progress.start("score", view.sentences().len());
        let scored = tagger.score(view.sentences(), |done| progress.set(done, String::new))?;
        progress.end();
        let probabilities: Vec<Vec<f64>> = known
            .iter()
            .map(|(number, _)| {
                let logits = &scored[*number].logits;
                tagger.decoder().label_probabilities(logits)
            })
            .collect();
        let given: Vec<&[usize]> = known.iter().map(|(_, labels)| labels.as_slice()).collect();
        let found = LabelIssues::find(&given, &probabilities, tagger.labels().len())?;
        for issue in &found.issues {
            let score = found.sentence_scores[issue.sentence];
            let number = known[issue.sentence].0;
            add(view, tagger, (number, score), issue, findings);
        }
    }
    Ok(())
}

/// The sentences all of whose tags are labels of the model, as label numbers.
fn known(view: &View<'_>, labels: &[String], findings: &mut Findings) -> Vec<(usize, Vec<usize>)> {
    let mut known = Vec::new();
    let mut unknown: BTreeMap<&str, (usize, Place<'_>)> = BTreeMap::new();
    for (number, sentence) in view.sentences().iter().enumerate() {
        let mut numbers = Vec::with_capacity(sentence.tags.len());
        for (at, tag) in sentence.tags.iter().enumerate() {
            match labels.iter().position(|label| label == tag) {
                Some(label) => numbers.push(label),
                None => {
                    let place = || (0, view.place(number, at));
                    unknown.entry(tag).or_insert_with(place).0 += 1;
                }
            }
        }
        if numbers.len() == sentence.tags.len() {
            known.push((number, numbers));
        }
    }
    for (tag, (count, place)) in unknown {
        let what = format!(
            "`{tag}` ({}); the model's labels are {}",
            counted(count, "word", "words"),
            labels.join(", ")
        );
        let details = json!({"tag": tag, "count": count});
        findings.add(Kind::UnknownLabel, place, what, details);
    }
    known
}

fn add(
    view: &View<'_>,
    tagger: &Tagger,
    (number, sentence_score): (usize, f64),
    issue: &LabelIssue,
    findings: &mut Findings,
) {
    let sentence = &view.sentences()[number];
    let labels = tagger.labels();
    let (given, suggested) = (&labels[issue.given], &labels[issue.suggested]);
    let context = context(sentence, issue.token);
    let what = format!(
        "{given}, not {suggested}? probabilities {:.4} and {:.4}: {context}",
        issue.self_confidence, issue.probability
    );
    let details = json!({
        "word": sentence.words[issue.token], "tag": given, "suggested": suggested, "self_confidence": issue.self_confidence,
        "probability": issue.probability, "sentence_score": sentence_score, "context": context,
    });
    findings.add(
        Kind::LabelIssue,
        view.place(number, issue.token),
        what,
        details,
    );
}

/// A word in brackets among its neighbours.
fn context(sentence: &Sentence, word: usize) -> String {
    let words = &sentence.words;
    let before = &words[word.saturating_sub(CONTEXT)..word];
    let after = &words[word + 1..words.len().min(word + 1 + CONTEXT)];
    let middle = format!("[{}]", words[word]);
    let all: Vec<&str> = before
        .iter()
        .map(String::as_str)
        .chain([middle.as_str()])
        .chain(after.iter().map(String::as_str))
        .collect();
    all.join(" ")
}
