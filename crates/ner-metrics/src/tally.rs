//! The single pass over gold and prediction that the entity reports share.

use crate::entity::Chunker;
use crate::error::Side;
use crate::intern::Interner;
use crate::scores::Counts;
use crate::tag::{Affix, NO_TYPE};
use crate::tag_patterns::Prefix;
use crate::{Error, Mode, Result};

/// Counts of entities by type, and of tags.
pub(crate) struct Tally {
    /// Types with an entity in gold or prediction, sorted by name (code points).
    pub(crate) types: Vec<(String, Counts)>,
    pub(crate) tokens: usize,
    pub(crate) correct_tags: usize,
}

/// Fails unless both sides have the same number of sentences.
pub(crate) fn check_sentences<G, P>(gold: &[G], predicted: &[P]) -> Result<()> {
    let (gold, predicted) = (gold.len(), predicted.len());
    if gold == predicted {
        Ok(())
    } else {
        Err(Error::SentenceCount {
            sentence: gold.min(predicted) + 1,
            gold,
            predicted,
        })
    }
}

/// Fails unless both sides have the same sentences, as far as lengths tell.
pub(crate) fn check_lengths<G, P, S, T>(gold: &[G], predicted: &[P]) -> Result<()>
where
    G: AsRef<[S]>,
    P: AsRef<[T]>,
{
    for (i, (gold, predicted)) in gold.iter().zip(predicted).enumerate() {
        let (gold, predicted) = (gold.as_ref().len(), predicted.as_ref().len());
        if gold != predicted {
            return Err(Error::SentenceLength {
                sentence: i + 1,
                gold,
                predicted,
            });
        }
    }
    check_sentences(gold, predicted)
}

impl Tally {
    /// Linear in the tokens; memory grows with the number of distinct tags only.
    pub(crate) fn new<G, P, S, T>(
        gold: &[G],
        predicted: &[P],
        mode: Mode,
        affix: Affix,
    ) -> Result<Self>
    where
        G: AsRef<[S]>,
        P: AsRef<[T]>,
        S: AsRef<str>,
        T: AsRef<str>,
    {
        check_lengths(gold, predicted)?;
        let mut tags = TagTable::new(mode, affix);
        let mut counts = Vec::new();
        let (mut tokens, mut correct_tags) = (0, 0);
        // The readers go on over the `O` between two sentences, as seqeval's flat list of tags does.
        let (mut gold_reader, mut predicted_reader) = (Chunker::new(mode), Chunker::new(mode));
        let mut read = |gold_tag: Parsed, predicted_tag: Parsed, counts: &mut Vec<Counts>| {
            let gold = gold_reader.push(gold_tag.prefix, gold_tag.entity_type);
            let predicted = predicted_reader.push(predicted_tag.prefix, predicted_tag.entity_type);
            if let Some(chunk) = gold {
                count(counts, chunk.entity_type).support += 1;
            }
            if let Some(chunk) = predicted {
                count(counts, chunk.entity_type).predicted += 1;
                if gold == predicted {
                    count(counts, chunk.entity_type).correct += 1;
                }
            }
        };
        for (i, (gold, predicted)) in gold.iter().zip(predicted).enumerate() {
            let (gold, predicted) = (gold.as_ref(), predicted.as_ref());
            for (j, (gold, predicted)) in gold.iter().zip(predicted).enumerate() {
                let in_sentence = |side| {
                    move |reason| Error::InSentence {
                        side,
                        sentence: i + 1,
                        reason: Box::new(reason),
                    }
                };
                let gold = tags
                    .parse(gold.as_ref(), j)
                    .map_err(in_sentence(Side::Gold))?;
                let predicted = tags
                    .parse(predicted.as_ref(), j)
                    .map_err(in_sentence(Side::Predicted))?;
                correct_tags += usize::from(gold.number == predicted.number);
                read(gold, predicted, &mut counts);
            }
            tokens += gold.len();
            read(Parsed::OUTSIDE, Parsed::OUTSIDE, &mut counts);
        }

        let mut types: Vec<(String, Counts)> = tags
            .types
            .names()
            .iter()
            .zip(counts)
            .filter(|(_, counts)| counts.support + counts.predicted > 0)
            .map(|(name, counts)| ((*name).to_owned(), counts))
            .collect();
        types.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Self {
            types,
            tokens,
            correct_tags,
        })
    }
}

fn count(counts: &mut Vec<Counts>, entity_type: usize) -> &mut Counts {
    if counts.len() <= entity_type {
        counts.resize(entity_type + 1, Counts::default());
    }
    &mut counts[entity_type]
}

/// A tag with its type as a number.
#[derive(Debug, Clone, Copy)]
struct Parsed {
    /// The number of the whole tag.
    number: usize,
    prefix: Prefix,
    entity_type: usize,
}

impl Parsed {
    /// The `O` after a sentence.
    const OUTSIDE: Self = Self {
        number: usize::MAX,
        prefix: Prefix::O,
        entity_type: TagTable::NO_TYPE,
    };
}

/// Splits each distinct tag once.
struct TagTable<'a> {
    mode: Mode,
    affix: Affix,
    tags: Interner<'a>,
    types: Interner<'a>,
    parsed: Vec<Parsed>,
}

impl<'a> TagTable<'a> {
    /// The number of the type `_`, interned first.
    const NO_TYPE: usize = 0;

    fn new(mode: Mode, affix: Affix) -> Self {
        let mut types = Interner::new();
        types.number(NO_TYPE);
        Self {
            mode,
            affix,
            tags: Interner::new(),
            types,
            parsed: Vec::new(),
        }
    }

    #[inline]
    fn parse(&mut self, tag: &'a str, index: usize) -> Result<Parsed> {
        let number = self.tags.number(tag);
        match self.parsed.get(number) {
            Some(&parsed) => Ok(parsed),
            None => self.parse_new(tag, number, index),
        }
    }

    #[cold]
    fn parse_new(&mut self, tag: &'a str, number: usize, index: usize) -> Result<Parsed> {
        let parts = self.mode.split(tag, self.affix, index)?;
        let entity_type = self.types.number(parts.entity_type);
        let parsed = Parsed {
            number,
            prefix: parts.prefix,
            entity_type,
        };
        self.parsed.push(parsed);
        Ok(parsed)
    }
}
