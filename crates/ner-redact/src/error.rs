//! The one error type of the crate. No message holds text of a document.

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What was wrong with the input, and where. Spans and replacements are counted from 0, offsets are bytes unless they say otherwise.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A span is empty, is reversed or leaves its text.
    #[error(
        "span {span}: {start}..{end} is empty, reversed or leaves the text, which ends at {len}; give the offsets of this very text"
    )]
    SpanRange {
        /// The span's place in the list.
        span: usize,
        /// Its first offset.
        start: usize,
        /// One past its last.
        end: usize,
        /// Length of the text, in the unit of the offsets.
        len: usize,
    },

    /// A span begins or ends inside of a character.
    #[error(
        "span {span}: byte {offset} lies inside of a character; give offsets of bytes, or code points through `to_bytes`"
    )]
    SpanBoundary {
        /// The span's place in the list.
        span: usize,
        /// The offset.
        offset: usize,
    },

    /// A score is no number from 0 to 1.
    #[error("span {span}: a score of {score}; give a number from 0 to 1")]
    SpanScore {
        /// The span's place in the list.
        span: usize,
        /// The score.
        score: f64,
    },

    /// A span has no type.
    #[error("span {span} has no entity type; give it one, such as `PER`")]
    SpanType {
        /// The span's place in the list.
        span: usize,
    },

    /// An operator needs a key and there is none.
    #[error("operator `{operator}` needs a key; give one of at least 16 bytes")]
    NoKey {
        /// The operator.
        operator: &'static str,
    },

    /// A key that could be guessed.
    #[error("a key of {bytes} bytes; give at least 16, from a random source")]
    ShortKey {
        /// Its length.
        bytes: usize,
    },

    /// A name that is no operator.
    #[error(
        "unknown operator `{name}`; choose replace, replace:TEXT, number, mask, mask:CHARACTER, mask:CHARACTER:SHOWN, redact, hash, hash:DIGITS, pseudonym or keep"
    )]
    UnknownOperator {
        /// The name as it was given.
        name: String,
    },

    /// An operator's argument is out of its bounds.
    #[error("operator `{operator}`: {reason}")]
    OperatorArgument {
        /// The operator.
        operator: &'static str,
        /// What was wrong, and what to do.
        reason: String,
    },

    /// A type that nothing finds.
    #[error("nothing finds a type `{entity_type}`; {} {known}", did_you_mean(.nearest))]
    UnknownEntityType {
        /// The type as it was given.
        entity_type: String,
        /// The types that are found.
        known: String,
        /// The one of them that it may be a slip of.
        nearest: Option<String>,
    },

    /// A recognizer's definition cannot be used.
    #[error("recognizer {definition}: {reason}")]
    Definition {
        /// The definition's place in the list counted from 1, or its name.
        definition: String,
        /// What was wrong, and what to do.
        reason: String,
    },

    /// An undo map belongs to another text.
    #[error(
        "the text is not the one that this undo map was made with: its SHA-256 differs; give the redacted text unchanged, line ends included"
    )]
    UndoChecksum,

    /// An undo map is damaged.
    #[error(
        "replacement {replacement} of the undo map is out of order, leaves the text or cuts a character; the map is damaged"
    )]
    UndoMap {
        /// The replacement's place in the map.
        replacement: usize,
    },
}

impl Error {
    /// For a type that is none of those that are found.
    pub(crate) fn unknown_type(entity_type: &str, known: &[&str]) -> Self {
        Self::UnknownEntityType {
            entity_type: entity_type.to_owned(),
            known: if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            },
            nearest: nearest(entity_type, known),
        }
    }
}

/// The name that another one is probably a slip of.
fn nearest(name: &str, known: &[&str]) -> Option<String> {
    /// Jaro similarity from which on a name is a slip of another; what clap takes for flags.
    const ALIKE: f64 = 0.7;
    let name = name.to_uppercase();
    let similarity = |known: &str| {
        let known = known.to_uppercase();
        // Jaro's sees no letters of a short name change places.
        match strsim::osa_distance(&known, &name) {
            0 | 1 => 1.0,
            _ => strsim::jaro(&known, &name),
        }
    };
    let alike = known.iter().map(|&known| (similarity(known), known));
    let (similarity, nearest) = alike.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (similarity > ALIKE).then(|| nearest.to_owned())
}

fn did_you_mean(nearest: &Option<String>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`? There are"),
        None => "there are".to_owned(),
    }
}
