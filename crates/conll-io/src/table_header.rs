//! The names that a table's header has for its columns.

use crate::invisible::trim;
use crate::{ColumnNames, ErrorKind};

/// Usual names of the column of tokens, in the form of [`plain`]. The first ones count first.
pub(crate) const TOKEN_NAMES: [&str; 6] = ["token", "tokens", "word", "words", "form", "text"];
/// The same of the column of tags. `tag` and `label` may be those of something else beside `ner`.
pub(crate) const TAG_NAMES: [&str; 7] = [
    "ner_tag", "ner_tags", "ner", "tag", "tags", "label", "labels",
];
/// The same of the column of sentence ids.
pub(crate) const SENTENCE_NAMES: [&str; 6] = [
    "sentence_id",
    "sentence_number",
    "sentence_#",
    "sentence_idx",
    "sent_id",
    "sentence",
];
/// The same of the column of documents, and of the field of a JSONL record.
pub(crate) const DOCUMENT_NAMES: [&str; 2] = ["document", "doc_id"];

/// The column with a name.
pub(crate) fn named(names: &[String], role: &'static str, name: &str) -> Result<usize, ErrorKind> {
    let is_it = |i: &usize| names[*i] == trim(name);
    one(names, role, is_it)?.ok_or_else(|| ErrorKind::MissingHeader {
        role,
        name: name.to_owned(),
        header: names.to_vec(),
    })
}

/// The column with the first of the usual names that the header has.
pub(crate) fn usual(
    names: &[String],
    role: &'static str,
    usual: &[&str],
) -> Result<Option<usize>, ErrorKind> {
    for name in usual {
        let found = one(names, role, |i| plain(&names[*i]) == *name)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The only column of a kind, if there is one.
fn one(
    names: &[String],
    role: &'static str,
    is_it: impl Fn(&usize) -> bool,
) -> Result<Option<usize>, ErrorKind> {
    let mut places = (0..names.len()).filter(is_it);
    match (places.next(), places.next()) {
        (Some(place), Some(_)) => Err(ErrorKind::DuplicateHeader {
            role,
            name: names[place].clone(),
        }),
        (place, _) => Ok(place),
    }
}

/// Whether a line is a header: it has a name that was given, or a usual one for the tokens and
/// also one for tags or for sentence ids.
pub(crate) fn is_header(names: &[String], given: &ColumnNames) -> bool {
    let all = [&given.token, &given.tag, &given.sentence, &given.document];
    let mut given = all.into_iter().flatten();
    let has = |usual: &[&str]| names.iter().any(|name| is_one_of(name, usual));
    given.any(|name| has_name(names, name))
        || (has(&TOKEN_NAMES) && (has(&TAG_NAMES) || has(&SENTENCE_NAMES)))
}

/// Whether this name is there.
pub(crate) fn has_name(names: &[String], name: &str) -> bool {
    names.iter().any(|one| trim(one) == trim(name))
}

/// Whether a line can be one of names where the tags are in this column: no field of it is a
/// number, and the one in this column is no tag.
pub(crate) fn may_be_names(fields: &[String], tag: usize) -> bool {
    let is_number = |field: &String| {
        let field = trim(field);
        !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit())
    };
    !fields.iter().any(is_number) && !looks_like_tag(trim(&fields[tag]))
}

/// `O`, or a letter for the position before a type, as in `B-PER`; also what has no letter.
fn looks_like_tag(field: &str) -> bool {
    let mut characters = field.chars();
    let has_position = matches!(
        (characters.next(), characters.next()),
        (Some(first), Some('-' | '_')) if first.is_alphabetic()
    );
    has_position || field.eq_ignore_ascii_case("o") || !field.chars().any(char::is_alphabetic)
}

/// Whether any name is a usual one.
pub(crate) fn has_usual_name(names: &[String]) -> bool {
    let all: [&[&str]; 3] = [&TOKEN_NAMES, &TAG_NAMES, &SENTENCE_NAMES];
    let is_usual = |name: &String| all.iter().any(|usual| is_one_of(name, usual));
    names.iter().any(is_usual)
}

/// Whether a column has the numbers of rows, as pandas writes them.
pub(crate) fn is_index(name: &str) -> bool {
    let name = plain(name);
    name.is_empty() || name == "index" || name.starts_with("unnamed:")
}

fn is_one_of(name: &str, usual: &[&str]) -> bool {
    usual.contains(&plain(name).as_str())
}

/// A name in lower case, words of it joined by `_`.
fn plain(name: &str) -> String {
    trim(name).to_lowercase().replace([' ', '-', '.'], "_")
}
