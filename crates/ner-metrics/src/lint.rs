//! What is odd about the tags of a corpus, before anything is trained on them.

use crate::tag::{Tag, split_tag};
use crate::{Result, Scheme};

/// Entities of a corpus from which a type that occurs once or twice is odd.
const MANY_ENTITIES: usize = 100;
/// How often a rare type or tag occurs, at most.
const RARE: usize = 2;
/// A type is taken for a misspelling of one that is this many times as frequent.
const TIMES_AS_FREQUENT: usize = 20;
/// Characters of the shortest type that is compared by edit distance: shorter ones are alike by chance.
const SHORTEST: usize = 3;
/// Characters up to which one edit is a misspelling; in longer types it may be two.
const SHORT: usize = 5;
/// Digits that are typed for letters.
const LOOK_ALIKE: [(char, &str); 10] = [
    ('0', "o"),
    ('1', "li"),
    ('2', "z"),
    ('3', "e"),
    ('4', "a"),
    ('5', "s"),
    ('6', "g"),
    ('7', "t"),
    ('8', "b"),
    ('9', "g"),
];

/// Two neighboring tags that no well-formed sentence has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IllegalTransition<'a> {
    /// The second token of the pair, counted from 0; one past the last for the sentence's end.
    pub token: usize,
    /// The tag before; `None` for the start of the sentence.
    pub previous: Option<&'a str>,
    /// The tag; `None` for the end of the sentence.
    pub tag: Option<&'a str>,
}

impl Scheme {
    /// The illegal transitions of a sentence, its start and its end included. Those from or to a tag that is none of the scheme's are left out:
    /// [`foreign_tags`] has them.
    ///
    /// ```
    /// use ner_metrics::Scheme;
    ///
    /// let found = Scheme::Iob2.illegal_transitions(&["I-PER", "O", "B-LOC", "I-ORG"])?;
    /// let places: Vec<_> = found.iter().map(|found| (found.token, found.previous, found.tag)).collect();
    /// assert_eq!(places, [(0, None, Some("I-PER")), (3, Some("B-LOC"), Some("I-ORG"))]);
    /// # Ok::<(), ner_metrics::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::EmptyTag`](crate::Error::EmptyTag).
    pub fn illegal_transitions<S: AsRef<str>>(
        self,
        tags: &[S],
    ) -> Result<Vec<IllegalTransition<'_>>> {
        let mut found = Vec::new();
        let mut previous = (None, Some(Tag::OUTSIDE));
        let all = tags.iter().map(|tag| Some(tag.as_ref())).chain([None]);
        for (token, tag) in all.enumerate() {
            let parts = match tag.map(|tag| self.split(tag, token)) {
                None => Some(Tag::OUTSIDE),
                Some(Err(crate::Error::ForeignTag { .. })) => None,
                Some(parts) => Some(parts?),
            };
            if let (Some(from), Some(to)) = (previous.1, parts)
                && self.link(from, to).is_none()
            {
                found.push(IllegalTransition {
                    token,
                    previous: previous.0,
                    tag,
                });
            }
            previous = (tag, parts);
        }
        Ok(found)
    }
}

/// A tag that is none of a scheme's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignTag<'a> {
    /// The tag.
    pub tag: &'a str,
    /// How often it occurs.
    pub count: usize,
    /// Whether it has no position letter at all.
    pub is_bare: bool,
    /// The tag that it may be a misspelling of.
    pub meant: Option<&'a str>,
}

/// The tags that are none of the scheme's, or without a scheme those without a position letter, in the order given: each with the one of the
/// others that it is probably a misspelling of (`b-PER`, `BPER`, `0`). `counts` has each tag once. Empty tags are left out.
///
/// ```
/// use ner_metrics::{Scheme, foreign_tags};
///
/// let found = foreign_tags(&[("O", 90), ("0", 1), ("B-PER", 9), ("B_PER", 1), ("E-PER", 1)], Some(Scheme::Iob2));
/// let found: Vec<_> = found.iter().map(|found| (found.tag, found.is_bare, found.meant)).collect();
/// assert_eq!(found, [("0", true, Some("O")), ("B_PER", true, Some("B-PER")), ("E-PER", false, None)]);
/// ```
pub fn foreign_tags<'a>(
    counts: &[(&'a str, usize)],
    scheme: Option<Scheme>,
) -> Vec<ForeignTag<'a>> {
    let parts = counts
        .iter()
        .filter_map(|&(tag, count)| Some((tag, count, split_tag(tag)?)));
    let is_foreign = |letter: char| match scheme {
        Some(scheme) => !scheme.prefixes().contains(letter),
        None => letter == Tag::BARE,
    };
    let (foreign, own): (Vec<_>, Vec<_>) = parts.partition(|(.., parts)| is_foreign(parts.letter));
    let is_meant = |tag: &str, known: &str, is_bare: bool| {
        is_same_but_case(tag, known)
            || has_digits_for_letters(tag, known)
            || is_bare && tag.chars().count() >= SHORTEST && strsim::osa_distance(tag, known) == 1
    };
    let foreign = foreign.into_iter().map(|(tag, count, parts)| {
        let is_bare = parts.letter == Tag::BARE;
        let alike = own
            .iter()
            .filter(|(known, ..)| is_meant(tag, known, is_bare));
        ForeignTag {
            tag,
            count,
            is_bare,
            meant: alike
                .max_by_key(|(_, count, _)| *count)
                .map(|(known, ..)| *known),
        }
    });
    foreign.collect()
}

/// Why a type is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Oddity {
    /// It differs from another in upper and lower case alone: `Per`, `PER`.
    Case,
    /// It has digits where another has letters: `L0C`, `LOC`.
    DigitForLetter,
    /// It is an edit or two from one that is twenty times as frequent: `PRE`, `PER`.
    Misspelling,
    /// It occurs once or twice among a hundred entities or more.
    Rare,
}

/// A type that is probably a slip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddType<'a> {
    /// The type.
    pub entity_type: &'a str,
    /// How often it occurs.
    pub count: usize,
    /// Why it is odd.
    pub oddity: Oddity,
    /// The type that is probably meant, and how often it occurs; `None` where it is rare only.
    pub meant: Option<(&'a str, usize)>,
}

/// The types that are probably slips, in the order given. `counts` has each type once, with the number of its entities.
///
/// ```
/// use ner_metrics::{Oddity, odd_types};
///
/// let found = odd_types(&[("PER", 300), ("Per", 4), ("LOC", 200), ("L0C", 1), ("PRE", 1), ("GPE", 2)]);
/// let found: Vec<_> = found.iter().map(|odd| (odd.entity_type, odd.oddity, odd.meant)).collect();
/// assert_eq!(
///     found,
///     [
///         ("Per", Oddity::Case, Some(("PER", 300))),
///         ("L0C", Oddity::DigitForLetter, Some(("LOC", 200))),
///         ("PRE", Oddity::Misspelling, Some(("PER", 300))),
///         ("GPE", Oddity::Rare, None),
///     ]
/// );
/// ```
pub fn odd_types<'a>(counts: &[(&'a str, usize)]) -> Vec<OddType<'a>> {
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    let odd = counts
        .iter()
        .enumerate()
        .filter_map(|(at, &(name, count))| {
            // Of two that are alike and as frequent, the later one is odd.
            let commoner = counts.iter().enumerate().filter(|&(other, &(_, more))| {
                other != at && (more > count || more == count && other < at)
            });
            let meant = commoner
                .filter_map(|(_, &other)| Some((oddity(name, count, other)?, other)))
                .min_by_key(|&(oddity, (_, more))| (oddity, std::cmp::Reverse(more)));
            let rare = count <= RARE && all >= MANY_ENTITIES;
            let rare = rare.then_some((Oddity::Rare, None));
            let (oddity, meant) = meant
                .map(|(oddity, other)| (oddity, Some(other)))
                .or(rare)?;
            Some(OddType {
                entity_type: name,
                count,
                oddity,
                meant,
            })
        });
    odd.collect()
}

/// The tags that occur once or twice, in the order given, where the others make a hundred or more. `O` is none of them.
pub fn rare_tags<'a>(counts: &[(&'a str, usize)]) -> Vec<(&'a str, usize)> {
    let tags = || counts.iter().copied().filter(|(tag, _)| *tag != "O");
    let all: usize = tags().map(|(_, count)| count).sum();
    let rare = tags().filter(|(_, count)| *count <= RARE);
    rare.filter(|_| all >= MANY_ENTITIES).collect()
}

/// Why a type looks like a slip for a commoner one.
fn oddity(name: &str, count: usize, (other, more): (&str, usize)) -> Option<Oddity> {
    if is_same_but_case(name, other) {
        return Some(Oddity::Case);
    }
    if has_digits_for_letters(name, other) {
        return Some(Oddity::DigitForLetter);
    }
    let [name, other] = [name, other].map(str::to_lowercase);
    let shortest = name.chars().count().min(other.chars().count());
    let edits = if shortest <= SHORT { 1 } else { 2 };
    let misspelt = shortest >= SHORTEST
        && count * TIMES_AS_FREQUENT <= more
        && without_digits(&name) != without_digits(&other)
        && strsim::osa_distance(&name, &other) <= edits;
    misspelt.then_some(Oddity::Misspelling)
}

/// `EVENT1` and `EVENT2` are numbered, not misspelt.
fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn is_same_but_case(a: &str, b: &str) -> bool {
    a != b && a.to_lowercase() == b.to_lowercase()
}

/// Whether the two are the same but for case, and for digits of the first that look like the letters of the second.
fn has_digits_for_letters(text: &str, other: &str) -> bool {
    let looks = |a: char, b: char| {
        let letters = LOOK_ALIKE.iter().find(|(digit, _)| *digit == a);
        letters.is_some_and(|(_, letters)| letters.contains(b))
    };
    let [text, other] = [text, other].map(str::to_lowercase);
    let pairs = || text.chars().zip(other.chars());
    text.chars().count() == other.chars().count()
        && pairs().any(|(a, b)| looks(a, b))
        && pairs().all(|(a, b)| a == b || looks(a, b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_no_misspelling() {
        let found = |counts: &[(&'static str, usize)]| odd_types(counts).len();
        assert_eq!(found(&[("PER", 100), ("PET", 6)]), 0, "too frequent");
        assert_eq!(found(&[("PER", 120), ("PET", 6)]), 1);
        assert_eq!(found(&[("T1", 900), ("T2", 3)]), 0, "short");
        assert_eq!(found(&[("EVENT1", 900), ("EVENT2", 3)]), 0, "numbered");
        assert_eq!(found(&[("PERSON", 900), ("PERSNO", 3), ("PRESONS", 3)]), 2);
        assert_eq!(found(&[("LOC", 97), ("GPE", 2)]), 0, "few entities");
        assert_eq!(found(&[]), 0);
    }

    #[test]
    fn of_two_that_differ_in_case_one_is_odd() {
        let found = odd_types(&[("PER", 5), ("per", 5), ("Per", 1)]);
        let names: Vec<&str> = found.iter().map(|odd| odd.entity_type).collect();
        assert_eq!(names, ["per", "Per"]);
        assert!(found.iter().all(|odd| odd.oddity == Oddity::Case));
    }

    #[test]
    fn a_digit_must_look_like_the_letter() {
        for (text, other, expected) in [
            ("B-L0C", "B-LOC", true),
            ("B-l0c", "B-LOC", true),
            ("0RG", "ORG", true),
            ("P3R50N", "PERSON", true),
            ("L1C", "LOC", false),
            ("LOC", "L0C", false),
            ("L0CX", "LOC", false),
            ("LOC", "LOC", false),
        ] {
            assert_eq!(
                has_digits_for_letters(text, other),
                expected,
                "{text} {other}"
            );
        }
    }

    #[test]
    fn foreign_tags_without_a_scheme_are_the_bare_ones() {
        let found = foreign_tags(&[("O", 5), ("PER", 2), ("B-LOC", 1), ("", 1)], None);
        let tags: Vec<&str> = found.iter().map(|found| found.tag).collect();
        assert_eq!(tags, ["PER"]);
        assert_eq!(found[0].meant, None);
    }

    #[test]
    fn rare_tags_among_many() {
        let mut counts = vec![("O", 1), ("B-PER", 97), ("I-PER", 2)];
        assert!(rare_tags(&counts).is_empty());
        counts.push(("B-LOC", 1));
        assert_eq!(rare_tags(&counts), [("I-PER", 2), ("B-LOC", 1)]);
    }

    #[test]
    fn transitions_beside_a_foreign_tag_are_left_out() {
        let found = |tags: &[&str]| Scheme::Bilou.illegal_transitions(tags).unwrap().len();
        assert_eq!(found(&["B-X", "PER", "I-X", "L-X"]), 0);
        assert_eq!(found(&["B-X"]), 1, "the end");
        assert!(Scheme::Iob2.illegal_transitions(&["O", ""]).is_err());
    }
}
