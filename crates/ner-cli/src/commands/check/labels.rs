//! Labels that a model speaks against.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Result;
use ner_metrics::{LabelIssue, LabelIssues};
use ner_tagger::{PretokenizedSentence, Tagger};
use serde_json::json;

use super::corpus::View;
use super::finding::{Findings, Kind, Place};
use crate::progress::Progress;
use crate::wording::counted;

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
        for run in runs(found.issues) {
            let sentence = run.words[0].sentence;
            let score = found.sentence_scores[sentence];
            add(view, tagger, (known[sentence].0, score), &run, findings);
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

/// Issues of words that follow each other: mostly those of one entity.
struct Run {
    /// In the order of the sentence.
    words: Vec<LabelIssue>,
    /// The one that the model is least sure of.
    worst: LabelIssue,
}

/// Puts issues of neighboring words together; the order is that of the worst of each.
fn runs(issues: Vec<LabelIssue>) -> Vec<Run> {
    let at = |issue: &LabelIssue| (issue.sentence, issue.token);
    let mut open: BTreeMap<(usize, usize), LabelIssue> =
        issues.iter().map(|issue| (at(issue), *issue)).collect();
    let mut runs = Vec::new();
    for worst in issues {
        let (sentence, token) = at(&worst);
        let Some(own) = open.remove(&(sentence, token)) else {
            continue; // in a run already
        };
        let before = (0..token).rev();
        let before = before.map_while(|token| open.remove(&(sentence, token)));
        let mut words: Vec<LabelIssue> = before.collect();
        words.reverse();
        words.push(own);
        words.extend((token + 1..).map_while(|token| open.remove(&(sentence, token))));
        runs.push(Run { words, worst });
    }
    runs
}

fn add(
    view: &View<'_>,
    tagger: &Tagger,
    (number, sentence_score): (usize, f64),
    run: &Run,
    findings: &mut Findings,
) {
    let sentence = &view.sentences()[number];
    let labels = tagger.labels();
    let joined = |text: &dyn Fn(&LabelIssue) -> String| {
        let texts: Vec<String> = run.words.iter().map(text).collect();
        texts.join(" ")
    };
    let given = joined(&|issue| labels[issue.given].clone());
    let suggested = joined(&|issue| labels[issue.suggested].clone());
    let start = run.words[0].token;
    let context = context(sentence, start..start + run.words.len());
    let (doubt, sure) = (run.worst.self_confidence, run.worst.probability);
    let what =
        format!("{given}, not {suggested}? probabilities {doubt:.1e} and {sure:.4}: {context}");
    let words = run.words.iter().map(|issue| {
        json!({
            "line": view.file.line(number, issue.token), "word": sentence.words[issue.token], "tag": labels[issue.given],
            "suggested": labels[issue.suggested], "self_confidence": issue.self_confidence, "probability": issue.probability,
        })
    });
    let details = json!({
        "word": joined(&|issue| sentence.words[issue.token].clone()), "tag": given, "suggested": suggested, "self_confidence": doubt,
        "probability": sure, "sentence_score": sentence_score, "context": context, "words": words.collect::<Vec<_>>(),
    });
    findings.add(Kind::LabelIssue, view.place(number, start), what, details);
}

/// Words in brackets among their neighbors.
fn context(sentence: &PretokenizedSentence, marked: Range<usize>) -> String {
    let words = &sentence.words;
    let before = words[marked.start.saturating_sub(CONTEXT)..marked.start].join(" ");
    let after = words[marked.end..words.len().min(marked.end + CONTEXT)].join(" ");
    let middle = format!("[{}]", words[marked].join(" "));
    let parts = [before, middle, after].into_iter();
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issues_of_neighbors_are_one_run() {
        let issue = |sentence, token, self_confidence| LabelIssue {
            sentence,
            token,
            given: 0,
            suggested: 1,
            self_confidence,
            probability: 0.9,
        };
        // Ranked, as they are found.
        let issues = vec![
            issue(0, 3, 0.1),
            issue(1, 0, 0.2),
            issue(0, 2, 0.3),
            issue(0, 5, 0.4),
            issue(0, 4, 0.5),
            issue(0, 7, 0.6),
            issue(1, 2, 0.7),
        ];
        let found: Vec<(usize, Vec<usize>, f64)> = runs(issues)
            .iter()
            .map(|run| {
                let tokens = run.words.iter().map(|issue| issue.token).collect();
                (run.words[0].sentence, tokens, run.worst.self_confidence)
            })
            .collect();
        let expected = [
            (0, vec![2, 3, 4, 5], 0.1),
            (1, vec![0], 0.2),
            (0, vec![7], 0.6),
            (1, vec![2], 0.7),
        ];
        assert_eq!(found, expected);
    }
}
