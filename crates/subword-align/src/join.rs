//! Words of a corpus as running text.

use std::ops::Range;

use crate::segment::table;

/// A text made of words, and where they stand in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinedText {
    /// The text.
    pub text: String,
    /// The bytes of each word in `text`: `&text[range]` is the word as it was given.
    pub words: Vec<Range<usize>>,
}

/// Joins the words of a sentence to running text as a person would have written it: the inverse of [`crate::words`], to
/// evaluate on a corpus what is used on text.
///
/// One space stands between two words, except
///
/// | where | example |
/// |---|---|
/// | before closing punctuation: one of `. , ; : ? ! ) ] } … » › ” ’`, or several of `. ? ! …` | `Lima .` → `Lima.` |
/// | after opening punctuation: `( [ { ¿ ¡ « ‹ “ „ ‚ ‘` | `¿ Qué` → `¿Qué` |
/// | inside quotation marks `"` and `'`: of each kind the first opens, the second closes, and so on | `" sí "` → `"sí"` |
/// | before a quotation mark that would open inside the sentence, with nothing or closing punctuation after it | `sí " .` → `sí".` |
/// | inside ` `` ` and `''`, the quotation marks of the Penn Treebank | ` `` yes '' ` → ` ``yes'' ` |
/// | between a number and `%` or `‰` | `77 %` → `77%` |
/// | before English clitics: `'s`, `n't`, `'re`, `'ve`, `'ll`, `'d`, `'m` | `Ana 's` → `Ana's` |
///
/// Dashes, slashes and the signs of arithmetic keep a space on both sides. The words themselves are never changed, and an empty
/// word has an empty place.
///
/// ```
/// use subword_align::{join_words, words};
///
/// let tokens = ["-", "¿", "Vino", "\"", "Kiko", "\"", "(", "ayer", ")", "?"];
/// let joined = join_words(&tokens);
/// assert_eq!(joined.text, "- ¿Vino \"Kiko\" (ayer)?");
/// assert_eq!(&joined.text[joined.words[4].clone()], "Kiko");
/// assert_eq!(words(&joined.text), joined.words);
/// ```
#[must_use]
pub fn join_words<S: AsRef<str>>(words: &[S]) -> JoinedText {
    let mut joined = JoinedText::default();
    joined.words.reserve(words.len());
    let mut quotes = Quotes::default();
    let mut last: Option<(&str, Role)> = None;
    let mut given = words.iter().map(AsRef::as_ref).peekable();
    while let Some(word) = given.next() {
        let begins = last.is_none_or(|(_, role)| role == Role::Opening);
        let role = quotes.role(word, begins, given.peek().copied());
        let space = match last {
            None => false,
            Some(_) if word.is_empty() => false,
            Some((_, Role::Opening)) => false,
            Some((before, _)) => match role {
                Role::Closing => false,
                Role::Suffix => !before.ends_with(char::is_numeric),
                Role::Opening | Role::Word => true,
            },
        };
        if space {
            joined.text.push(' ');
        }
        let start = joined.text.len();
        joined.text.push_str(word);
        joined.words.push(start..joined.text.len());
        if !word.is_empty() {
            last = Some((word, role));
        }
    }
    joined
}

/// How a word stands beside its neighbors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Word,
    /// No space before it.
    Closing,
    /// No space after it.
    Opening,
    /// No space between a number and it.
    Suffix,
}

/// Words that are written as part of the word before them.
const ENGLISH_CLITICS: &[&str] = &["'s", "n't", "'re", "'ve", "'ll", "'d", "'m"];

/// Which quotation marks are open.
#[derive(Debug, Default)]
struct Quotes {
    double: bool,
    single: bool,
}

impl Quotes {
    /// The role of a word. `begins` tells that it is the first of the sentence or of a bracket.
    fn role(&mut self, word: &str, begins: bool, next: Option<&str>) -> Role {
        let open = match word {
            "\"" => &mut self.double,
            "'" => &mut self.single,
            _ => return role_of(word),
        };
        let closes = *open || (!begins && next.is_none_or(|next| role_of(next) == Role::Closing));
        *open = !closes;
        if closes { Role::Closing } else { Role::Opening }
    }
}

/// The role of a word that is no straight quotation mark.
fn role_of(word: &str) -> Role {
    let is_one = |what: fn(char) -> bool| {
        let mut chars = word.chars();
        chars.next().is_some_and(what) && chars.as_str().is_empty()
    };
    let is_end =
        |word: &str| !word.is_empty() && word.chars().all(|c| matches!(c, '.' | '?' | '!' | '…'));
    let is_clitic = || {
        let straight = word.replace('’', "'");
        ENGLISH_CLITICS
            .iter()
            .any(|clitic| straight.eq_ignore_ascii_case(clitic))
    };
    match word {
        "``" => Role::Opening,
        "''" => Role::Closing,
        "%" | "‰" => Role::Suffix,
        _ if is_one(table::is_closing) || is_end(word) || is_clitic() => Role::Closing,
        _ if is_one(table::is_opening) => Role::Opening,
        _ => Role::Word,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(words: &str, text: &str) {
        let words: Vec<&str> = words.split(' ').collect();
        let joined = join_words(&words);
        assert_eq!(joined.text, text);
        let cut: Vec<&str> = joined
            .words
            .iter()
            .map(|word| &text[word.clone()])
            .collect();
        assert_eq!(cut, words);
    }

    #[test]
    fn punctuation_keeps_to_its_side() {
        check("Vino , y ¿ qué ? Nada ; fin .", "Vino, y ¿qué? Nada; fin.");
        check(
            "Lima ( Perú ) , 25 may ( EFE ) .",
            "Lima (Perú), 25 may (EFE).",
        );
        check("« “ sí ” » , dijo [ ... ] …", "«“sí”», dijo [...]…");
        check("¡ ¡ Ya !! ?", "¡¡Ya!!?");
        check(
            "- Lima - Cuzco / Puno + 3 & Cía",
            "- Lima - Cuzco / Puno + 3 & Cía",
        );
        check("con .52 y :) o ..", "con .52 y :) o..");
    }

    #[test]
    fn quotation_marks_open_and_close_by_turns() {
        check("dijo \" sí \" y \" no \" .", "dijo \"sí\" y \"no\".");
        check("\" ' Hola ' , dijo \" .", "\"'Hola', dijo\".");
        check("así lo dijo \" .", "así lo dijo\".");
        check("así lo dijo \"", "así lo dijo\"");
        check("\" ... y \" ya está", "\"... y\" ya está");
        check("`` Yes '' , she said", "``Yes'', she said");
    }

    #[test]
    fn numbers_and_clitics() {
        check("un 77 % y un % de 5 ‰", "un 77% y un % de 5‰");
        check(
            "Ana 's book is n't here ’s '92",
            "Ana's book isn't here’s '92",
        );
    }

    #[test]
    fn an_empty_word_has_an_empty_place() {
        let joined = join_words(&["", "a", "", ".", ""]);
        assert_eq!(joined.text, "a.");
        assert_eq!(joined.words, [0..0, 0..1, 1..1, 1..2, 2..2]);
        assert_eq!(join_words::<&str>(&[]), JoinedText::default());
    }

    proptest! {
        #[test]
        fn words_are_never_changed(words in prop::collection::vec(prop_oneof![
            3 => "[a-zñ]{1,4}", 3 => "[\"'(),.¿?%0-9-]{1,2}", 1 => any::<String>(),
        ], 0..20)) {
            let joined = join_words(&words);
            let mut between = String::new();
            let mut at = 0;
            for (word, place) in words.iter().zip(&joined.words) {
                prop_assert_eq!(&joined.text[place.clone()], word);
                between.push_str(&joined.text[at..place.start]);
                at = place.end;
            }
            prop_assert_eq!(joined.words.len(), words.len());
            prop_assert_eq!(at, joined.text.len());
            prop_assert!(between.chars().all(|c| c == ' ') && between.len() < words.len().max(1));
        }
    }
}
