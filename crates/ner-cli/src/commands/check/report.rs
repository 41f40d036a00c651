//! The findings as text and as JSON.

use std::fmt::Write;

use anyhow::Result;
use serde_json::json;

use super::duplicates::Overlap;
use super::finding::{Finding, Findings, Kind, Severity};
use super::statistics::{Statistics, Subwords, total};
use crate::wording::counted;

/// All that is said of the files.
pub struct Report {
    files: Vec<Statistics>,
    overlaps: Vec<Overlap>,
    findings: Findings,
}

impl Report {
    pub fn new(files: Vec<Statistics>, overlaps: Vec<Overlap>, mut findings: Findings) -> Self {
        findings.all.sort_by_key(|finding| finding.kind);
        Self {
            files,
            overlaps,
            findings,
        }
    }

    /// How many findings are so grave.
    pub fn count(&self, severity: Severity) -> usize {
        let all = self.findings.all.iter();
        all.filter(|finding| finding.severity == severity).count()
    }

    /// The findings of each kind that there is.
    fn kinds(&self) -> impl Iterator<Item = (Kind, &[Finding])> {
        let groups = self.findings.all.chunk_by(|a, b| a.kind == b.kind);
        groups.map(|group| (group[0].kind, group))
    }

    /// Counts, then the findings kind by kind, at most `examples` of each.
    pub fn to_text(&self, examples: usize) -> String {
        let mut text = String::new();
        for file in &self.files {
            write_statistics(&mut text, file);
        }
        if self.files.len() > 1 {
            write_statistics(&mut text, &total(&self.files));
        }
        for (kind, group) in self.kinds() {
            self.write_kind(&mut text, kind, group, examples);
        }
        let counts = Severity::ALL.map(|severity| {
            let [one, more] = match severity {
                Severity::Error => ["error", "errors"],
                Severity::Warning => ["warning", "warnings"],
                Severity::Info => ["remark", "remarks"],
            };
            counted(self.count(severity), one, more)
        });
        _ = writeln!(text, "\n{}", counts.join(", "));
        text
    }

    fn write_kind(&self, text: &mut String, kind: Kind, group: &[Finding], examples: usize) {
        let about = kind.about();
        _ = writeln!(
            text,
            "\n{}: {} ({})",
            about.severity.name(),
            about.title,
            group.len()
        );
        for (_, note) in self.findings.notes.iter().filter(|note| note.0 == kind) {
            _ = writeln!(text, "  {note}");
        }
        for Finding {
            file, line, what, ..
        } in group.iter().take(examples)
        {
            _ = match line {
                Some(line) => writeln!(text, "  {file}:{line}: {what}"),
                None => writeln!(text, "  {file}: {what}"),
            };
        }
        if group.len() > examples {
            let more = group.len() - examples;
            _ = writeln!(text, "  and {more} more (--examples N, --format json)");
        }
        _ = writeln!(text, "  -> {}", about.advice);
    }

    /// Everything.
    pub fn to_json(&self) -> Result<String> {
        let kinds: Vec<_> = self
            .kinds()
            .map(|(kind, group)| {
                let about = kind.about();
                json!({
                    "kind": kind, "severity": about.severity, "title": about.title, "advice": about.advice, "count": group.len(),
                })
            })
            .collect();
        let report = json!({
            "files": self.files,
            "total": total(&self.files),
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "infos": self.count(Severity::Info),
            "kinds": kinds,
            "overlaps": self.overlaps,
            "findings": self.findings.all,
        });
        Ok(serde_json::to_string_pretty(&report)? + "\n")
    }
}

fn write_statistics(text: &mut String, statistics: &Statistics) {
    let name = statistics.file.as_deref().unwrap_or("all files");
    _ = writeln!(
        text,
        "{name}: {}, {}, {}, {:.1} % of the words O, {}",
        counted(statistics.sentences, "sentence", "sentences"),
        counted(statistics.words, "word", "words"),
        counted(statistics.documents, "document", "documents"),
        100.0 * statistics.outside,
        statistics.scheme.unwrap_or("no one scheme"),
    );
    let types = statistics.types.iter();
    let types: Vec<String> = types
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    _ = writeln!(
        text,
        "  {}: {}",
        counted(statistics.entities, "entity", "entities"),
        types.join(", ")
    );
    let longest = &statistics.longest_sentence;
    let line = longest.line.map(|line| format!(" (line {line})"));
    _ = writeln!(
        text,
        "  longest sentence: {}{}",
        counted(longest.words, "word", "words"),
        line.unwrap_or_default()
    );
    if let Some(Subwords {
        subwords,
        per_word,
        unknown_words,
        ..
    }) = &statistics.subwords
    {
        let unknown = counted(*unknown_words, "word", "words");
        _ = writeln!(
            text,
            "  {}, {per_word:.2} a word; {unknown} with the unknown token",
            counted(*subwords, "sub-word", "sub-words")
        );
    }
}
