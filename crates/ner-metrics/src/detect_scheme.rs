//! The scheme that a corpus follows.

use std::collections::HashMap;

use crate::Scheme;
use crate::intern::Interner;

/// One illegal transition in this many is taken for a slip. Each file of the Spanish corpus of CoNLL-2002 has one, among 9,714
/// transitions in the shortest of them; read as IOB1, 36 % of these would be illegal. Splitting long sentences makes more of
/// them, where it cuts entities: one transition in 620 of the embedded corpus, cut to 120 sub-words.
const TRANSITIONS_PER_SLIP: usize = 100;

/// From the usual to the rare. On a well-formed corpus with an entity the order only decides between IOB1 and IOE1, which
/// write entities of `I` alone in the same way; IOB1 is the scheme of CoNLL-2003.
const ORDER: [Scheme; 6] = [
    Scheme::Iob2,
    Scheme::Iob1,
    Scheme::Iobes,
    Scheme::Bilou,
    Scheme::Ioe2,
    Scheme::Ioe1,
];

impl Scheme {
    /// The scheme that the tags of a corpus follow: the one with the fewest illegal transitions, if at least 99 % of
    /// those that involve an entity are legal. Real corpora have slips.
    ///
    /// `None` where no scheme fits, as for types without position letters, and where all tags are `O`. Among equals the
    /// order is IOB2, IOB1, IOBES, BILOU, IOE2, IOE1: entities of `I` alone are IOB1.
    ///
    /// ```
    /// use ner_metrics::Scheme;
    ///
    /// let sentences = [vec!["I-PER", "I-PER", "O"], vec!["I-LOC", "B-LOC"]];
    /// assert_eq!(Scheme::of_sentences(&sentences), Some(Scheme::Iob1));
    /// assert_eq!(Scheme::of_sentences(&[["PER", "O"]]), None);
    /// ```
    ///
    /// Transitions are counted as [`Scheme::invalid_transitions`] counts them, the start and the end of a sentence among
    /// them; those from or to a tag that is none of a scheme's are illegal under it.
    #[must_use]
    pub fn of_sentences<G, S>(sentences: &[G]) -> Option<Self>
    where
        G: AsRef<[S]>,
        S: AsRef<str>,
    {
        let fit = SchemeFit::nearest(sentences)?;
        fit.is_followed().then_some(fit.scheme)
    }
}

/// The scheme that tags come nearest to, and how near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemeFit {
    /// The scheme with the fewest illegal transitions; the order of [`Scheme::of_sentences`] decides among equals.
    pub scheme: Scheme,
    /// Transitions that involve an entity.
    pub transitions: usize,
    /// Those of them that the scheme forbids.
    pub illegal: usize,
}

impl SchemeFit {
    /// The nearest scheme; `None` where all tags are `O`.
    #[must_use]
    pub fn nearest<G, S>(sentences: &[G]) -> Option<Self>
    where
        G: AsRef<[S]>,
        S: AsRef<str>,
    {
        let transitions = entity_transitions(sentences);
        let all: usize = transitions.iter().map(|(_, count)| count).sum();
        let illegal = |scheme: Scheme| {
            let illegal =
                |(from, to): (&str, &str)| match (scheme.split(from, 0), scheme.split(to, 0)) {
                    (Ok(from), Ok(to)) => scheme.link(from, to).is_none(),
                    _ => true,
                };
            let illegal = transitions.iter().filter(|(pair, _)| illegal(*pair));
            illegal.map(|(_, count)| count).sum::<usize>()
        };
        let fits = ORDER.into_iter().map(|scheme| Self {
            scheme,
            transitions: all,
            illegal: illegal(scheme),
        });
        fits.min_by_key(|fit| fit.illegal).filter(|_| all > 0)
    }

    /// Whether the tags follow the scheme, slips aside: see [`Scheme::of_sentences`].
    #[must_use]
    pub fn is_followed(self) -> bool {
        self.illegal <= self.transitions / TRANSITIONS_PER_SLIP
    }
}

/// The distinct pairs of neighboring tags that are not both `O`, and how often each occurs. An `O` stands before and after
/// each sentence.
fn entity_transitions<'a, G, S>(sentences: &'a [G]) -> Vec<((&'a str, &'a str), usize)>
where
    G: AsRef<[S]>,
    S: AsRef<str> + 'a,
{
    let mut tags = Interner::new();
    let outside = tags.number("O");
    let mut counts: HashMap<(usize, usize), usize> = HashMap::new();
    for sentence in sentences {
        let mut previous = outside;
        let numbers = sentence.as_ref().iter().map(AsRef::as_ref).map(Some);
        for tag in numbers.chain([None]) {
            let next = tag.map_or(outside, |tag| tags.number(tag));
            if (previous, next) != (outside, outside) {
                *counts.entry((previous, next)).or_default() += 1;
            }
            previous = next;
        }
    }
    let names = tags.names();
    let named = |((from, to), count)| ((names[from], names[to]), count);
    counts.into_iter().map(named).collect()
}
