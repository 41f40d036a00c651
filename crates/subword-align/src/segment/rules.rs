//! The exceptions to the word boundaries of Unicode: what of a run without white space is one word.

use unicode_segmentation::UnicodeSegmentation;

use super::table;

/// What lies between two word boundaries of UAX #29.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub start: usize,
    pub end: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Begins with a letter, a digit or `_`.
    Word,
    /// One character of any other kind.
    Mark(char),
    /// All else: emoji of several characters, marks with combining marks.
    Other,
}

impl Piece {
    pub fn new(text: &str, start: usize, end: usize) -> Self {
        let mut chars = text[start..end].chars();
        let kind = match chars.next() {
            Some(c) if c.is_alphanumeric() || c == '_' => Kind::Word,
            Some(c) if chars.as_str().is_empty() => Kind::Mark(c),
            _ => Kind::Other,
        };
        Self { start, end, kind }
    }
}

/// A run without white space, in pieces, and what follows it.
pub(super) struct Run<'a> {
    pub text: &'a str,
    pub pieces: &'a [Piece],
    /// What comes after the white space that follows.
    pub next: &'a str,
    /// Whether the text or its paragraph ends with the run.
    pub ends_paragraph: bool,
}

impl Run<'_> {
    /// The piece after the last one of the word that begins with piece `first`.
    pub fn word_end(&self, first: usize) -> usize {
        match self.pieces[first].kind {
            Kind::Other => first + 1,
            Kind::Word => self.rest_of_word(first, first + 1),
            Kind::Mark(mark) => {
                let repeated = self.repeated(first, mark);
                if repeated > first + 1 {
                    return repeated;
                }
                match self.word_after_mark(first, mark) {
                    Some(word) => self.rest_of_word(first, word + 1),
                    None => first + 1,
                }
            }
        }
    }

    /// The piece after a mark and its repetitions, as far as they are one word.
    fn repeated(&self, first: usize, mark: char) -> usize {
        const FEWEST_STOPS: usize = 3;
        if !table::is_repeatable(mark) {
            return first + 1;
        }
        let same = |piece: &&Piece| piece.kind == Kind::Mark(mark);
        let count = self.pieces[first..].iter().take_while(same).count();
        if mark == '.' && count < FEWEST_STOPS {
            first + 1
        } else {
            first + count
        }
    }

    /// The piece whose word begins with the mark before it: a sign, a decimal point, an elided century (`'92`), `#` or `@`.
    fn word_after_mark(&self, first: usize, mark: char) -> Option<usize> {
        let begins = |at: usize, what: fn(char) -> bool| {
            self.word(at).is_some_and(|word| word.starts_with(what))
        };
        let is_digit: fn(char) -> bool = |c| c.is_ascii_digit();
        let opens = first
            .checked_sub(1)
            .is_none_or(|before| match self.pieces[before].kind {
                Kind::Word => false,
                Kind::Mark(mark) => !table::is_closing(mark) && !table::is_number_suffix(mark),
                Kind::Other => true,
            });
        let next = first + 1;
        let found = match mark {
            '#' => begins(next, char::is_alphabetic),
            '@' => opens && self.word(next).is_some(),
            '.' => opens && begins(next, is_digit),
            _ if table::is_sign(mark) && opens => {
                if self.mark(next) == Some('.') && begins(next + 1, is_digit) {
                    return Some(next + 1);
                }
                begins(next, is_digit)
            }
            _ if table::is_apostrophe(mark) && opens => {
                let is_year =
                    |word: &str| matches!(word.len(), 2 | 4) && word.chars().all(is_digit);
                self.word(next).is_some_and(is_year)
                    && !self.mark(next + 1).is_some_and(table::is_apostrophe)
            }
            _ => false,
        };
        found.then_some(next)
    }

    /// The piece after the word that begins with piece `first` and holds the pieces before `end`, the last of which is of
    /// letters and digits.
    fn rest_of_word(&self, first: usize, mut end: usize) -> usize {
        if self.is_internet_address(end) {
            return self.internet_address_end(first, end);
        }
        loop {
            let Some(mark) = self.mark(end) else {
                // Digits above the line, which UAX #29 cuts off.
                match self.word(end) {
                    Some(word) if word.starts_with(table::is_raised) => end += 1,
                    _ => return end,
                }
                continue;
            };
            end = match mark {
                '.' if self.joins_at_stop(end) => end + 2,
                '.' if self.is_abbreviation(first, end) => end + 1,
                ':' if self.is_between(end, char::is_numeric) => end + 2,
                _ if table::is_number_suffix(mark) && self.ends_with(end, char::is_numeric) => {
                    return end + 1;
                }
                _ if table::is_joiner(mark) && self.is_joined(first, end) => end + 2,
                _ => return end,
            };
        }
    }

    /// Whether a full stop joins a letter and a digit (`m.83`, `1.er`), as it does letters or digits alone by UAX #29. It
    /// does not where a sentence ends (`1999.El`).
    fn joins_at_stop(&self, stop: usize) -> bool {
        let Some(next) = self.word(stop + 1) else {
            return false;
        };
        let ends_sentence =
            next.starts_with(char::is_uppercase) && !self.ends_with(stop, char::is_uppercase);
        !ends_sentence && self.is_between(stop, is_spaced)
    }

    /// Whether the full stop belongs to the piece before it.
    fn is_abbreviation(&self, first: usize, stop: usize) -> bool {
        let Some(word) = self.word(stop - 1) else {
            return false;
        };
        // Two stops are the abbreviation's and the sentence's (`S.A..`); more are an ellipsis.
        let stops = |at: usize| self.mark(at) == Some('.');
        if stops(stop + 1) && (stops(stop + 2) || self.word(stop + 2).is_some()) {
            return false;
        }
        let before_slash = self.mark(stop + 1) == Some('/') && self.word(stop + 2).is_some();
        if is_dotted(word) || (before_slash && self.ends_with(stop, char::is_alphabetic)) {
            return true;
        }
        let stands_alone = stop - 1 == first || (stop >= 3 && self.mark(stop - 3) == Some('.'));
        if !stands_alone || (self.ends_paragraph && self.ends_sentence(stop)) {
            return false;
        }
        let ends_run = self.pieces.len() == stop + 1;
        let number = ends_run && self.next.starts_with(char::is_numeric);
        is_initial(word)
            || table::is_abbreviation(word, number)
            || (ends_run && is_consonants(word) && self.next_is_in_capitals())
    }

    /// Whether the next word begins with two capital letters.
    fn next_is_in_capitals(&self) -> bool {
        let mut letters = self.next.chars();
        [(); 2]
            .iter()
            .all(|()| letters.next().is_some_and(char::is_uppercase))
    }

    /// Whether a joiner stands between a word, or an abbreviation with its stop, and another word.
    fn is_joined(&self, first: usize, joiner: usize) -> bool {
        let after_stop = joiner > first + 1 && self.mark(joiner - 1) == Some('.');
        self.word(joiner + 1)
            .is_some_and(|word| word.starts_with(is_spaced))
            && (after_stop || self.ends_with(joiner, is_spaced))
    }

    /// Whether piece `at` is a mark between two characters of a kind.
    fn is_between(&self, at: usize, kind: fn(char) -> bool) -> bool {
        self.ends_with(at, kind) && self.word(at + 1).is_some_and(|word| word.starts_with(kind))
    }

    /// Whether an address begins with the piece before `end`: `https://` or `www.`
    fn is_internet_address(&self, end: usize) -> bool {
        let begins = |at: usize| {
            self.word(at)
                .is_some_and(|word| word.starts_with(char::is_alphanumeric))
        };
        let is_scheme = || {
            [':', '/', '/']
                .iter()
                .zip(end..)
                .all(|(&mark, at)| self.mark(at) == Some(mark))
                && begins(end + 3)
        };
        let word = &self.text[self.pieces[end - 1].start..self.pieces[end - 1].end];
        let is_www = || {
            let www = word
                .get(..3)
                .is_some_and(|www| www.eq_ignore_ascii_case("www"));
            www && (word[3..].starts_with('.')
                || (word.len() == 3 && self.mark(end) == Some('.') && begins(end + 1)))
        };
        is_scheme() || is_www()
    }

    /// The piece after an internet address: it ends before quotation marks, angle brackets and marks beyond ASCII, and does
    /// not take along the punctuation of the sentence around it.
    fn internet_address_end(&self, first: usize, from: usize) -> usize {
        let belongs = |piece: &&Piece| match piece.kind {
            Kind::Mark(mark) => mark.is_ascii() && !matches!(mark, '"' | '<' | '>' | '`'),
            _ => true,
        };
        let mut end = from + self.pieces[from..].iter().take_while(belongs).count();
        let count = |mark: char| {
            (first..end)
                .filter(|&at| self.mark(at) == Some(mark))
                .count()
        };
        let mut unmatched = count(')').saturating_sub(count('('));
        while end > from {
            match self.mark(end - 1) {
                Some('.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | ']' | '}') => {}
                Some(')') if unmatched > 0 => unmatched -= 1,
                _ => break,
            }
            end -= 1;
        }
        end
    }

    /// Whether only brackets and quotation marks that close stand after a full stop.
    fn ends_sentence(&self, stop: usize) -> bool {
        let closes = |piece: &Piece| matches!(piece.kind, Kind::Mark(mark) if table::is_closing_bracket(mark) || table::is_straight_quote(mark));
        self.pieces[stop + 1..].iter().all(closes)
    }

    fn mark(&self, at: usize) -> Option<char> {
        match self.pieces.get(at)?.kind {
            Kind::Mark(mark) => Some(mark),
            _ => None,
        }
    }

    fn word(&self, at: usize) -> Option<&str> {
        let piece = self
            .pieces
            .get(at)
            .filter(|piece| piece.kind == Kind::Word)?;
        Some(&self.text[piece.start..piece.end])
    }

    /// Whether the word before piece `at` ends with such a character, combining marks apart.
    fn ends_with(&self, at: usize, kind: fn(char) -> bool) -> bool {
        let letters = |word: &str| {
            word.chars()
                .rev()
                .find(|c| c.is_alphanumeric() || *c == '_')
        };
        self.word(at - 1).and_then(letters).is_some_and(kind)
    }
}

/// `EE.UU`, `S.A`, `p.m`: letters, one or two to a full stop.
fn is_dotted(word: &str) -> bool {
    word.contains('.')
        && word.split('.').all(|part| {
            matches!(part.chars().count(), 1 | 2) && part.chars().all(char::is_alphabetic)
        })
}

/// `BM`, `FC`: two or three capital letters that nobody reads as a word. Before a name in capitals they are short for what it is.
fn is_consonants(word: &str) -> bool {
    let is_consonant =
        |b: u8| b.is_ascii_uppercase() && !matches!(b, b'A' | b'E' | b'I' | b'O' | b'U');
    matches!(word.len(), 2 | 3) && word.bytes().all(is_consonant)
}

/// A single letter, of a script that writes spaces.
fn is_initial(word: &str) -> bool {
    let mut letters = word.chars().filter(|c| c.is_alphanumeric());
    letters
        .next()
        .is_some_and(|letter| letter.is_alphabetic() && is_spaced(letter))
        && letters.next().is_none()
}

/// Whether a letter or digit is of a script that writes spaces between words. UAX #29 does not break beside it; it cuts a
/// text in Chinese, Japanese kana, Thai, Lao, Khmer or Burmese into single characters.
fn is_spaced(c: char) -> bool {
    if c.is_ascii() {
        return c.is_alphanumeric() || c == '_';
    }
    let mut buffer = [0; 5];
    let length = c.encode_utf8(&mut buffer).len();
    buffer[length] = b'a';
    std::str::from_utf8(&buffer[..=length])
        .is_ok_and(|pair| pair.split_word_bounds().nth(1).is_none())
}
