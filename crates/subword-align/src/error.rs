//! The one error type of this crate.

use std::path::PathBuf;

/// The cause, as the `tokenizers` crate reports it.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder holds none of the files that a tokenizer can be made of.
    #[error(
        "{}: no tokenizer found; looked for {looked_for}{}",
        dir.display(),
        hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"))
    )]
    NotFound {
        /// The folder.
        dir: PathBuf,
        /// The files looked for, in order.
        looked_for: &'static str,
        /// What to do, where the folder gives a clue.
        hint: Option<&'static str>,
    },

    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },

    /// A JSON file is not what it should be.
    #[error("{}:{}:{}: {source}", path.display(), source.line(), source.column())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause, with line and column.
        source: serde_json::Error,
    },

    /// `tokenizer.json` or a vocabulary could not be made into a tokenizer.
    #[error("{}: not a usable tokenizer: {source}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Cause,
    },

    /// A line of `merges.txt` is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Merges {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },

    /// A setting has a value that it cannot have.
    #[error("{}: `{key}` is {found}, expected {expected}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value found, as JSON.
        found: String,
        /// What it should be.
        expected: &'static str,
    },

    /// The tokenizer's class cannot be rebuilt from bare vocabulary files.
    #[error(
        "{}: a {class} cannot be built from {files}; save it with `save_pretrained` of a fast tokenizer, which writes tokenizer.json",
        dir.display()
    )]
    UnsupportedClass {
        /// The folder.
        dir: PathBuf,
        /// `tokenizer_class`.
        class: String,
        /// The vocabulary files at hand.
        files: &'static str,
    },

    /// A special token that every sequence needs is not in the vocabulary.
    #[error(
        "{}: {role} `{token}` is not in the vocabulary; name the right one in tokenizer_config.json (`{role}` or `tokenizer_class`)",
        dir.display()
    )]
    MissingSpecialToken {
        /// The folder.
        dir: PathBuf,
        /// `cls_token`, `sep_token` or `unk_token`.
        role: &'static str,
        /// The token looked for.
        token: String,
    },

    /// An added token does not get the id that the checkpoint was trained with.
    #[error("{}: added token `{token}` has id {declared}, but the vocabulary gives it {actual}", path.display())]
    AddedTokenId {
        /// The file that declares it.
        path: PathBuf,
        /// The token.
        token: String,
        /// The id declared.
        declared: u32,
        /// The id it would get.
        actual: u32,
    },

    /// The tokenizer failed on a text.
    #[error("cannot encode `{text}`: {source}")]
    Encode {
        /// The beginning of the text.
        text: String,
        /// The cause.
        source: Cause,
    },

    /// A word has no sub-words and the tokenizer has no unknown token to stand for it.
    #[error(
        "word {word} (`{text}`) has no sub-words and the tokenizer no unknown token; set `unk_token` in tokenizer_config.json or drop the word"
    )]
    NoUnknownToken {
        /// The word's position, from 0.
        word: usize,
        /// The word.
        text: String,
    },

    /// The special tokens could not be found in what the post-processor makes of a sequence.
    #[error(
        "the tokenizer's post-processor does not keep a single sequence in one piece: {problem}"
    )]
    PostProcessor {
        /// What was found instead.
        problem: String,
    },

    /// There are more or fewer labels than words.
    #[error("{labels} labels for {words} words; give one label a word")]
    LabelCount {
        /// Labels given.
        labels: usize,
        /// Words encoded.
        words: usize,
    },

    /// The table of continuations ends before a label.
    #[error(
        "label {label} has no continuation, as the table has {entries} entries; give it one entry a label"
    )]
    Continuation {
        /// The label.
        label: u32,
        /// Entries of the table.
        entries: usize,
    },

    /// Special tokens leave no room for a word.
    #[error(
        "a maximum length of {max_length} leaves no room beside {special_tokens} special tokens; it must be at least {}",
        special_tokens + 1
    )]
    Budget {
        /// The maximum length of a sequence, special tokens included.
        max_length: usize,
        /// How many of them are special tokens.
        special_tokens: usize,
    },

    /// Windows of this size and overlap cannot cover a text.
    #[error(
        "windows of {budget} sub-words cannot overlap by {overlap}; the overlap must be smaller than the window, and the window at least 1"
    )]
    Window {
        /// Sub-words a window may cover, special tokens not counted.
        budget: usize,
        /// Sub-words that neighboring windows share.
        overlap: usize,
    },

    /// `word_starts` does not begin with 0 or descends.
    #[error("word_starts[{at}] is {value}; the list must begin with 0 and never descend")]
    WordStarts {
        /// The position in the list.
        at: usize,
        /// What stands there.
        value: usize,
    },

    /// The probabilities do not fit the text and the labels.
    #[error("{found} probabilities for {subwords} sub-words and {labels} labels; expected {}", subwords * labels)]
    ProbabilityCount {
        /// Probabilities given.
        found: usize,
        /// Sub-words of the text.
        subwords: usize,
        /// Label names given.
        labels: usize,
    },

    /// A probability is infinite or not a number.
    #[error(
        "the probability of label {label} at sub-word {subword} is {value}; the model's output is not usable"
    )]
    ProbabilityValue {
        /// The sub-word, from 0.
        subword: usize,
        /// The label, from 0.
        label: usize,
        /// The value.
        value: f32,
    },

    /// The encoding was made from another text.
    #[error("sub-word {subword} lies outside the text; pass the text that was encoded")]
    OtherText {
        /// The sub-word, from 0.
        subword: usize,
    },

    /// The tokenizer's model has no way to be made smaller.
    #[error(
        "a vocabulary of kind {kind} cannot be made smaller; those of BPE, WordPiece and Unigram can"
    )]
    UnsupportedModel {
        /// The model's name in `tokenizer.json`.
        kind: &'static str,
    },

    /// A vocabulary has no room for what every text needs.
    #[error(
        "a vocabulary of {asked} sub-words is too small to write the language: special tokens and single characters alone are {smallest}, \
         so ask for at least {smallest}"
    )]
    VocabularyTooSmall {
        /// The number of sub-words asked for.
        asked: usize,
        /// The smallest possible one.
        smallest: usize,
    },

    /// Sub-words cannot get the numbers that they would have in a smaller vocabulary.
    #[error("the sub-words cannot be renumbered: {problem}")]
    Renumbering {
        /// What is in the way.
        problem: String,
    },

    /// A name is none of the choices.
    #[error("`{found}` is no {what}; choose one of {choices}")]
    Choice {
        /// What was to be chosen.
        what: &'static str,
        /// The name given.
        found: String,
        /// The names there are.
        choices: &'static str,
    },
}

/// This crate's result.
pub type Result<T> = std::result::Result<T, Error>;
