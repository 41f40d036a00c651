//! What is found, and how grave it is.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Training or scoring would misread the data.
    Error,
    /// Probably a mistake, or something that makes figures wrong.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Info];

    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// What kind of finding it is, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Unreadable,
    HeaderLine,
    ForeignTag,
    NoScheme,
    MixedSchemes,
    IllFormed,
    TypeSpelling,
    EmptyWord,
    TypeMisspelling,
    RareType,
    UntrainedType,
    NoEntity,
    InconsistentTags,
    SentenceInTwoFiles,
    TypeConflict,
    LongSentence,
    OddCharacter,
    NotNfc,
    UnknownWord,
    UnknownLabel,
    LabelIssue,
    RareTag,
    RepeatedSentence,
    AmbiguousEntity,
    SometimesOutside,
    Truncation,
}

/// What the report says of a kind.
pub struct About {
    kind: Kind,
    pub severity: Severity,
    pub title: &'static str,
    /// What to do.
    pub advice: &'static str,
}

const fn about(kind: Kind, severity: Severity, title: &'static str, advice: &'static str) -> About {
    About {
        kind,
        severity,
        title,
        advice,
    }
}

use Severity::{Error, Info, Warning};

/// In the order of [`Kind`].
static ABOUT: [About; 26] = [
    about(
        Kind::Unreadable,
        Error,
        "files that cannot be read to their end",
        "correct the file or its path; what follows was not checked",
    ),
    about(
        Kind::HeaderLine,
        Error,
        "header line",
        "delete it: it would be read as a word; it was left out of the counts and of what follows",
    ),
    about(
        Kind::ForeignTag,
        Error,
        "tags that are none of the file's scheme",
        "write them as the scheme does, such as `B-PER`; scores would read another type, or no entity",
    ),
    about(
        Kind::NoScheme,
        Error,
        "tags that follow no scheme",
        "write all files in one of iob1, iob2, ioe1, ioe2, iobes or bilou",
    ),
    about(
        Kind::MixedSchemes,
        Error,
        "files of different schemes",
        "write all files in one scheme: a model learns the tags of one",
    ),
    about(
        Kind::IllFormed,
        Error,
        "tag sequences that the scheme forbids",
        "mend the tag; strict scores drop such an entity, and other readers cut it in other ways",
    ),
    about(
        Kind::TypeSpelling,
        Error,
        "types spelt in two ways",
        "give both one spelling; a model learns two types otherwise",
    ),
    about(
        Kind::EmptyWord,
        Error,
        "words that cannot be seen",
        "delete the line, or give the word back its text",
    ),
    about(
        Kind::TypeMisspelling,
        Warning,
        "types that may be misspelt",
        "correct the rarer one, unless it is a type of its own",
    ),
    about(
        Kind::RareType,
        Warning,
        "types that occur once or twice",
        "too few to learn or to score: correct, merge or leave out",
    ),
    about(
        Kind::UntrainedType,
        Warning,
        "types that the training file lacks",
        "a model that was trained on that file cannot find them: are both files of one corpus?",
    ),
    about(
        Kind::NoEntity,
        Warning,
        "files without an entity",
        "is the tag column the right one (--tag-column)?",
    ),
    about(
        Kind::InconsistentTags,
        Warning,
        "the same sentence tagged in two ways",
        "decide which is right: the model is told both",
    ),
    about(
        Kind::SentenceInTwoFiles,
        Warning,
        "sentences that stand in two files",
        "leave them out of one file: what was trained on is no test",
    ),
    about(
        Kind::TypeConflict,
        Warning,
        "entities that nearly always have another type",
        "look at the rarer type's places: most are mistakes",
    ),
    about(
        Kind::LongSentence,
        Warning,
        "very long sentences",
        "is a blank line missing? (--long-sentence sets the length)",
    ),
    about(
        Kind::OddCharacter,
        Warning,
        "words with odd characters",
        "clean the text; the same word in plain characters is another one to the tokenizer",
    ),
    about(
        Kind::NotNfc,
        Warning,
        "words that are not in Unicode's normal form C",
        "normalise all files alike (NFC): the same word would have other sub-words",
    ),
    about(
        Kind::UnknownWord,
        Warning,
        "words that the tokenizer does not know",
        "the model sees the unknown token in their place: another tokenizer, or cleaner text",
    ),
    about(
        Kind::UnknownLabel,
        Warning,
        "tags that the model does not know",
        "sentences with them were not looked at for wrong labels",
    ),
    about(
        Kind::LabelIssue,
        Warning,
        "labels that are probably wrong",
        "look at them in this order; the model errs too, and has learnt the mistakes of what it was trained on",
    ),
    about(
        Kind::RareTag,
        Info,
        "tags that occur once or twice",
        "look whether they are meant",
    ),
    about(
        Kind::RepeatedSentence,
        Info,
        "sentences that repeat one of the same file",
        "leave repetitions out if they are no part of the text",
    ),
    about(
        Kind::AmbiguousEntity,
        Info,
        "entities with several types",
        "look whether both are meant",
    ),
    about(
        Kind::SometimesOutside,
        Info,
        "entities that are O elsewhere",
        "look whether an entity was overlooked",
    ),
    about(
        Kind::Truncation,
        Info,
        "sentences longer than the model reads at once",
        "training and tagging here read them in overlapping windows and lose nothing; elsewhere, truncation loses this",
    ),
];

impl Kind {
    pub fn about(self) -> &'static About {
        let row = &ABOUT[self as usize];
        debug_assert_eq!(row.kind, self);
        row
    }
}

/// Something found.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub kind: Kind,
    pub severity: Severity,
    pub file: String,
    /// Counted from 1; none for a file as a whole.
    pub line: Option<u64>,
    pub what: String,
    #[serde(flatten)]
    details: Map<String, Value>,
}

/// A place in a file.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub file: &'a Path,
    pub line: Option<u64>,
}

/// `file:line`.
impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// All that is found.
#[derive(Debug, Default)]
pub struct Findings {
    pub all: Vec<Finding>,
    /// Sums that the text says under the title of a kind.
    pub notes: Vec<(Kind, String)>,
}

impl Findings {
    /// Adds one; `details` is a JSON object.
    pub fn add(&mut self, kind: Kind, place: Place<'_>, what: String, details: Value) {
        let details = match details {
            Value::Object(details) => details,
            _ => Map::new(),
        };
        self.all.push(Finding {
            kind,
            severity: kind.about().severity,
            file: place.file.display().to_string(),
            line: place.line,
            what,
            details,
        });
    }

    /// Adds a sum.
    pub fn note(&mut self, kind: Kind, text: String) {
        self.notes.push((kind, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_row_and_the_gravest_come_first() {
        for (number, row) in ABOUT.iter().enumerate() {
            assert_eq!(row.kind as usize, number, "{:?}", row.kind);
        }
        assert!(ABOUT.is_sorted_by_key(|row| row.severity));
    }
}
