//! Which lines of a column file are comments.

use crate::Separator;

/// Which lines of a column file are comments, such as `# doc_id = 354896`.
///
/// Comment lines stand before the first row of a sentence. They are neither rows nor do they say
/// how many columns a file has; [`Sentence::comments`](crate::Sentence::comments) keeps them.
/// Within a sentence they are an error.
///
/// ```
/// use conll_io::{Comments, ReaderBuilder};
///
/// let read = |comments, text: &str| {
///     let mut reader = ReaderBuilder::new().comments(comments).from_reader(text.as_bytes());
///     reader.sentences().collect::<Result<Vec<_>, _>>()
/// };
/// let text = "# doc_id = 354896\n# 0 1 O\n1 2 3 B-LOC\n";
/// let sentences = read(Comments::KeyValue, text)?;
/// assert!(sentences[0].comments().eq(["# doc_id = 354896"]));
/// assert!(sentences[0].tokens().eq(["#", "1"]));
/// assert_eq!(read(Comments::None, text)?[0].tag(0), Some("354896"));
///
/// let text = "#\thttp://example.org\n1\tLima\tB-LOC\n";
/// assert_eq!(read(Comments::Prefix("#\t".to_owned()), text)?[0].len(), 1);
/// # Ok::<(), conll_io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Comments {
    /// Lines as CoNLL-U has them, and similar ones. After `#` and white space stands one of
    ///
    /// - `key = value`, also with words before the key: `# newdoc id = 5`. The value may be
    ///   missing. A key begins with a letter or `_`; of other characters than these it has ASCII
    ///   digits and `-.:[]`.
    /// - `key=value`, once or more, and nothing else: `# doc_id=5`
    /// - `id` or a word that ends with `_id`, and `key=value` behind it: `# id 5f0c domain=en`
    /// - `newdoc` or `newpar` and nothing else
    ///
    /// Any other line, such as `# O` or `#Lima B-LOC`, is a row. Where `key=value` stands in
    /// another place, such as in `# SYM Num=Sing O`, the line could be either: as a sentence's
    /// first line it is an error, and after other rows it is a row.
    #[default]
    KeyValue,
    /// No line.
    None,
    /// Lines that start with this text, such as `#` followed by a tab in GermEval 2014. An empty
    /// text is the start of no line. With [`Separator::Whitespace`] any white space in it stands for
    /// any other.
    Prefix(String),
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Row,
    Comment,
    /// Nothing tells a row from a comment.
    Either,
}

impl Comments {
    /// The byte that every comment line begins with; `None` where there are no comments.
    pub(crate) fn first_byte(&self) -> Option<u8> {
        match self {
            Self::KeyValue => Some(b'#'),
            Self::None => None,
            Self::Prefix(prefix) => prefix.bytes().next(),
        }
    }

    /// What a line without its end looks like; with [`Separator::Whitespace`] without the white
    /// space before it.
    pub(crate) fn shape(&self, line: &[u8], separator: Separator) -> Shape {
        let loose = separator == Separator::Whitespace;
        match self {
            Self::KeyValue if line.first() == Some(&b'#') => key_value(line),
            Self::Prefix(prefix) if !prefix.is_empty() && loose => loose_prefix(line, prefix),
            Self::Prefix(prefix) if !prefix.is_empty() && line.starts_with(prefix.as_bytes()) => {
                Shape::Comment
            }
            _ => Shape::Row,
        }
    }
}

/// A comment where the line starts with `prefix`, with any run of white space for any other.
fn loose_prefix(mut line: &[u8], prefix: &str) -> Shape {
    let mut words = prefix.as_bytes().split(u8::is_ascii_whitespace);
    let mut word = words.next();
    while let Some(rest) = word.and_then(|word| line.strip_prefix(word)) {
        word = words.next();
        // Two characters of white space have nothing between them.
        while word.is_some_and(|word| word.is_empty() && words.clone().next().is_some()) {
            word = words.next();
        }
        if word.is_none() {
            return Shape::Comment;
        }
        line = rest.trim_ascii_start();
        if line.len() == rest.len() {
            break;
        }
    }
    Shape::Row
}

fn key_value(line: &[u8]) -> Shape {
    let words: Vec<&[u8]> = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .collect();
    let [b"#", words @ ..] = &words[..] else {
        return Shape::Row;
    };
    let assigns = |i: usize| match words[i] {
        b"=" => i > 0 && is_key(words[i - 1]),
        word => word.strip_suffix(b"=").is_some_and(is_key),
    };
    let pairs = words.iter().filter(|word| is_pair(word)).count();
    let is_id = |word: &[u8]| word == b"id" || word.ends_with(b"_id");
    let is_comment = match words {
        [] => false,
        [b"newdoc" | b"newpar"] => true,
        [first, ..] => {
            (0..words.len()).any(assigns) || pairs == words.len() || pairs > 0 && is_id(first)
        }
    };
    if is_comment {
        Shape::Comment
    } else if pairs > 0 {
        Shape::Either
    } else {
        Shape::Row
    }
}

fn is_key(word: &[u8]) -> bool {
    let begins = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_' || !byte.is_ascii();
    let goes_on = |byte: &u8| begins(byte) || byte.is_ascii_digit() || b"-.:[]".contains(byte);
    word.first().is_some_and(begins) && word.iter().all(goes_on)
}

/// Whether a word is `key=value`.
fn is_pair(word: &[u8]) -> bool {
    let place = word.iter().position(|&byte| byte == b'=');
    place.is_some_and(|place| is_key(&word[..place]) && place + 1 < word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_lines() {
        let cases: &[(Shape, &[&str])] = &[
            (
                Shape::Comment,
                &[
                    "# doc_id = 354896",
                    "# doc_id = ",
                    "#  \t sent_id\t=\tx",
                    "# text = Ana vive = duerme",
                    "# text_en= Ana",
                    "# newdoc id = 5",
                    "# newdoc",
                    "# newpar ",
                    "# meta::author = A",
                    "# clé = 5",
                    "# doc_id=354896",
                    "# id=5 domain=en",
                    "# id 5f0c2a domain=xx",
                    "# sent_id 12 lang=en part=1",
                    "# global.columns = ID FORM",
                ],
            ),
            (
                Shape::Row,
                &[
                    "#",
                    "# ",
                    "# O",
                    "# NN O",
                    "# # = O",
                    "# = O",
                    "# == O",
                    "# =x O",
                    "# 5 = O",
                    "#Madrid B-LOC",
                    "#a = b",
                    "#doc_id = 5",
                    "## a = b",
                    "a = b",
                    " # a = b",
                    "# newdoc O",
                    "# id 5 O",
                    "# http://example.org/?a=1 O",
                    "#\u{a0}a = b",
                ],
            ),
            (
                Shape::Either,
                &[
                    "# SYM Num=Sing O",
                    "# O SpaceAfter=No",
                    "# Num=Sing O",
                    "# lang xx domain=en",
                ],
            ),
        ];
        for (shape, lines) in cases {
            for line in *lines {
                assert_eq!(
                    Comments::KeyValue.shape(line.as_bytes(), Separator::Space),
                    *shape,
                    "{line:?}"
                );
                assert_eq!(
                    Comments::None.shape(line.as_bytes(), Separator::Space),
                    Shape::Row
                );
            }
        }
    }

    #[test]
    fn prefixes_are_taken_as_they_are() {
        let shape = |prefix: &str, line: &str| {
            Comments::Prefix(prefix.to_owned()).shape(line.as_bytes(), Separator::Space)
        };
        assert_eq!(shape("# ", "# O"), Shape::Comment);
        assert_eq!(shape("# ", "#Lima O"), Shape::Row);
        assert_eq!(shape("%%", "%% x"), Shape::Comment);
        assert_eq!(shape("%%", "# a = b"), Shape::Row);
        assert_eq!(shape("", "# a = b"), Shape::Row);
        assert_eq!(shape("# ", "#\tO"), Shape::Row);
    }

    #[test]
    fn white_space_in_prefixes_is_any_where_it_separates() {
        let shape = |prefix: &str, line: &str| {
            Comments::Prefix(prefix.to_owned()).shape(line.as_bytes(), Separator::Whitespace)
        };
        for (prefix, line) in [
            ("# ", "#\tO"),
            ("#\t ", "# O"),
            ("# ", "# "),
            ("#", "#O"),
            ("# id ", "#  id\t5"),
            ("# id", "#\tidea"),
        ] {
            assert_eq!(shape(prefix, line), Shape::Comment, "{prefix:?} {line:?}");
        }
        for (prefix, line) in [
            ("", "# O"),
            ("# ", "#O"),
            ("# ", "#"),
            ("# id ", "# idea"),
            ("# id ", "# id"),
            (" #", "# O"),
        ] {
            assert_eq!(shape(prefix, line), Shape::Row, "{prefix:?} {line:?}");
        }
    }
}
