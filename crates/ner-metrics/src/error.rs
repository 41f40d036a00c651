//! The one error type of the crate.

use std::fmt;

use crate::Scheme;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What was wrong with the input, and where. Sentences and tokens are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is no tagging scheme.
    #[error(
        "unknown tagging scheme `{name}`; choose iob1, iob2 (or bio), ioe1, ioe2, iobes (or bioes) or bilou"
    )]
    UnknownScheme {
        /// The name as it was given.
        name: String,
    },

    /// Gold and prediction differ in their number of sentences.
    #[error(
        "gold has {gold} sentences and the prediction {predicted}: sentence {sentence} stands on one side only"
    )]
    SentenceCount {
        /// The first sentence without a counterpart.
        sentence: usize,
        /// Sentences in gold.
        gold: usize,
        /// Sentences in the prediction.
        predicted: usize,
    },

    /// A sentence has more tags on one side than on the other.
    #[error(
        "sentence {sentence} has {gold} gold tags and {predicted} predicted tags; both sides must tag the same tokens"
    )]
    SentenceLength {
        /// The sentence.
        sentence: usize,
        /// Tags in gold.
        gold: usize,
        /// Tags in the prediction.
        predicted: usize,
    },

    /// A tag is the empty string.
    #[error("token {token} has an empty tag; a token outside of entities is tagged `O`")]
    EmptyTag {
        /// The token.
        token: usize,
    },

    /// A label of a model is the empty string.
    #[error(
        "label {number} (counted from 0) is empty; give each label a name, and `O` to the one outside of entities"
    )]
    EmptyLabel {
        /// The label's place in the list, counted from 0 as in a model's `id2label`.
        number: usize,
    },

    /// Two labels of a model have one name.
    #[error(
        "label {second} (counted from 0) is `{label}`, and so is label {first}; give each label a name of its own"
    )]
    DuplicateLabel {
        /// The name.
        label: String,
        /// The first label of the name, counted from 0.
        first: usize,
        /// The second.
        second: usize,
    },

    /// A tag's position letter is not one of the scheme's, or it has none.
    #[error(
        "token {token}: `{tag}` is no tag of {scheme}, whose position letters are {}",
        scheme.prefixes()
    )]
    ForeignTag {
        /// The token, or the place in a list of labels.
        token: usize,
        /// The tag as it was given.
        tag: String,
        /// The scheme it was read under.
        scheme: Scheme,
    },

    /// Two neighboring tags that no well-formed sequence of the scheme has.
    #[error("token {token}: {tag} cannot follow {previous} in {scheme}")]
    IllegalTransition {
        /// The second token of the pair; one past the last for the sentence's end.
        token: usize,
        /// The tag before, in backticks, or "the start of the sentence".
        previous: String,
        /// The tag, in backticks, or "the end of the sentence".
        tag: String,
        /// The scheme it was read under.
        scheme: Scheme,
    },

    /// Entities that cannot be written as one tag a token.
    #[error(
        "entity {entity} covers tokens {start}..{end}, which is empty, overlaps the entity before it or leaves the sentence of {tokens} tokens; give sorted, disjoint, non-empty ranges"
    )]
    EntityRange {
        /// The entity's place in the list.
        entity: usize,
        /// Its first token, counted from 0 as in [`Entity`](crate::Entity).
        start: usize,
        /// One past its last token.
        end: usize,
        /// Tokens in the sentence.
        tokens: usize,
    },

    /// Nothing can be drawn.
    #[error("resampling: {reason}")]
    Resampling {
        /// What was wrong.
        reason: String,
    },

    /// Probabilities that are not one for each label of each token.
    #[error(
        "sentence {sentence} has {found} probabilities where {expected} are needed, one for each label of each token"
    )]
    Probabilities {
        /// The sentence.
        sentence: usize,
        /// Labels times tokens.
        expected: usize,
        /// Probabilities given.
        found: usize,
    },

    /// A number that is no label.
    #[error("{label} is no label: there are {labels}, counted from 0")]
    UnknownLabel {
        /// The number.
        label: usize,
        /// How many labels there are.
        labels: usize,
    },

    /// An error in one sentence of gold or prediction.
    #[error("{side} sentence {sentence}: {reason}")]
    InSentence {
        /// Gold or prediction.
        side: Side,
        /// The sentence.
        sentence: usize,
        /// What was wrong in it.
        reason: Box<Error>,
    },
}

/// One of the two sides that a report compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The true tags.
    Gold,
    /// The tags to be scored.
    Predicted,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Gold => "gold",
            Side::Predicted => "predicted",
        })
    }
}
