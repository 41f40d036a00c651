//! The one way through the model: items are encoded, cut into sequences, packed into passes, and each of their units gets its logits.
//!
//! An item is a sentence or a text. The next passes are made ready on a thread of their own while the model reads the present ones.

use std::ops::Range;
use std::thread;

use ner_model::{Batch, ForwardMode, LayerView, Logits, TokenClassifier};
use rayon::prelude::*;
use subword_align::EncodedWords;

use crate::batching::even_batches_by_length;
use crate::error::Result;
use crate::prefetch::spread;
use crate::sequencer::{Sequence, Sequencer};

/// Items that are made into passes together, sequences of like length in one.
const GROUP: usize = 512;

/// What gets logits of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Each word, those of its first sub-word.
    Word,
    /// Each sub-word.
    Subword,
}

/// What a unit gets of the model.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Output<'a> {
    /// A number for each label.
    Logits,
    /// The same, and behind them the hidden states that a view has.
    LogitsAndStates(&'a LayerView),
}

/// An item that the model has read.
#[derive(Clone, Debug)]
pub(crate) struct Scored<X> {
    /// What encoding left of the item.
    pub source: X,
    /// One row a unit: logits, or what was asked for in their place.
    pub logits: Logits,
    /// The units that each of its sequences decided, in order.
    pub sequences: Vec<Range<usize>>,
}

/// A model and how it is run.
pub(crate) struct Engine<'a> {
    pub model: &'a TokenClassifier,
    pub sequencer: Sequencer<'a>,
    pub unit: Unit,
    pub output: Output<'a>,
    /// Sub-words of a forward pass, about, each sequence counted as long as the longest.
    pub batch_tokens: usize,
}

/// Sequences that are read in one pass.
struct ForwardPass<X> {
    /// In a group's first pass its items: number, source, units of each sequence.
    items: Vec<(usize, X, Vec<Range<usize>>)>,
    /// What the rows of each sequence's logits belong to.
    targets: Vec<Target>,
    /// Nothing in a group without units.
    batch: Option<Batch>,
}

/// Units of one item, decided by one sequence.
struct Target {
    item: usize,
    units: Range<usize>,
    /// Units of the item in all.
    length: usize,
}

impl Engine<'_> {
    /// Reads the items. `encode` gives an item's words as sub-words and what is to be kept of it; `document` the number of its document;
    /// `progress` hears after each pass how many items have been begun.
    pub fn run<I: Sync, X: Send>(
        &self,
        items: &[I],
        encode: impl Fn(&I) -> Result<(EncodedWords, X)> + Send + Sync,
        document: impl Fn(&I) -> usize + Send + Sync,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Scored<X>>> {
        let width = self.width();
        let at_once = self.model.passes_at_once();
        let groups = self
            .sequencer
            .groups(items.len(), GROUP, |item| document(&items[item]));
        let (encode, document) = (&encode, &document);
        let passes = groups.into_iter().flat_map(move |group| {
            match self.passes_of(items, group, encode, document) {
                Ok(passes) => passes.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            }
        });
        let forward = |pass: Result<ForwardPass<X>>| {
            let pass = pass?;
            let logits = match &pass.batch {
                Some(batch) => Some(self.forward(batch)?),
                None => None,
            };
            Result::Ok((pass, logits))
        };
        let mut sources: Vec<Option<(X, Vec<Range<usize>>)>> = items.iter().map(|_| None).collect();
        let mut values: Vec<Vec<f32>> = vec![Vec::new(); items.len()];
        let mut done = 0;
        thread::scope(|scope| -> Result<()> {
            for pass in spread(scope, passes, at_once, forward) {
                let (pass, logits) = pass?;
                for (item, source, sequences) in pass.items {
                    done += usize::from(sequences.iter().all(Range::is_empty));
                    sources[item] = Some((source, sequences));
                }
                if let (Some(batch), Some(logits)) = (&pass.batch, &logits) {
                    for (target, rows) in pass.targets.iter().zip(batch.target_ranges()) {
                        let of_item = &mut values[target.item];
                        of_item.resize(target.length * width, 0.0);
                        of_item[target.units.start * width..target.units.end * width]
                            .copy_from_slice(logits.rows(rows));
                        done += usize::from(target.units.start == 0);
                    }
                }
                progress(done);
            }
            Ok(())
        })?;
        let scored = sources.into_iter().zip(values);
        let scored = scored.filter_map(|(source, values)| {
            let (source, sequences) = source?; // every item is in one pass
            Some(Scored {
                source,
                logits: Logits::new(values, width),
                sequences,
            })
        });
        Ok(scored.collect())
    }

    /// A row for each target of a batch.
    fn forward(&self, batch: &Batch) -> Result<Logits> {
        let rows = match self.output {
            Output::Logits => self.model.forward(batch, ForwardMode::Inference)?,
            Output::LogitsAndStates(view) => {
                self.model
                    .forward_with_states(view, batch, ForwardMode::Inference)?
            }
        };
        Ok(Logits::read(rows)?)
    }

    /// Numbers in a row.
    fn width(&self) -> usize {
        let config = self.model.config();
        let labels = config.id2label.len();
        match self.output {
            Output::Logits => labels,
            Output::LogitsAndStates(view) => labels + view.width(config.hidden_size),
        }
    }

    /// The passes over a group of items.
    fn passes_of<I: Sync, X: Send>(
        &self,
        items: &[I],
        group: Range<usize>,
        encode: &(impl Fn(&I) -> Result<(EncodedWords, X)> + Sync),
        document: &impl Fn(&I) -> usize,
    ) -> Result<Vec<ForwardPass<X>>> {
        let first = group.start;
        let items = &items[group];
        let documents: Vec<usize> = items.iter().map(document).collect();
        let encoded: Vec<(EncodedWords, X)> =
            items.par_iter().map(encode).collect::<Result<_>>()?;
        let (words, sources): (Vec<EncodedWords>, Vec<X>) = encoded.into_iter().unzip();
        let sequences = self.sequencer.sequences(&words, &documents)?;

        let mut units_of_sequences = vec![Vec::new(); sources.len()];
        for sequence in &sequences {
            units_of_sequences[sequence.sentence].push(self.units(sequence));
        }
        let mut sequences: Vec<Option<Sequence>> = sequences
            .into_iter()
            .filter(|sequence| !self.units(sequence).is_empty())
            .map(Some)
            .collect();
        let length = |sequence: &Option<Sequence>| sequence.as_ref().map_or(0, |s| s.ids.len());
        let lengths: Vec<usize> = sequences.iter().map(length).collect();
        let at_once = self.model.passes_at_once();
        let mut passes = Vec::new();
        for numbers in even_batches_by_length(&lengths, self.batch_tokens, at_once) {
            let sequences = numbers.into_iter().filter_map(|at| sequences[at].take());
            let (batch, mut targets) = self.batch(sequences, &words);
            targets.iter_mut().for_each(|target| target.item += first);
            passes.push(ForwardPass {
                items: Vec::new(),
                targets,
                batch: Some(batch),
            });
        }
        let items = (first..)
            .zip(sources)
            .zip(units_of_sequences)
            .map(|((item, source), units)| (item, source, units))
            .collect();
        match passes.first_mut() {
            Some(pass) => pass.items = items,
            None => passes.push(ForwardPass {
                items,
                targets: Vec::new(),
                batch: None,
            }),
        }
        Ok(passes)
    }

    /// A batch of sequences and the units that they decide, of items counted from the group's first.
    fn batch(
        &self,
        sequences: impl Iterator<Item = Sequence>,
        words: &[EncodedWords],
    ) -> (Batch, Vec<Target>) {
        let (mut batch, mut targets) = (Batch::default(), Vec::new());
        for sequence in sequences {
            targets.push(Target {
                item: sequence.sentence,
                length: self.unit_count(&words[sequence.sentence]),
                units: self.units(&sequence),
            });
            match self.unit {
                Unit::Word => batch.push_with_targets(sequence.ids, sequence.first_subwords),
                Unit::Subword => {
                    let places = sequence.owned_at..sequence.owned_at + sequence.owned.len();
                    batch.push_with_targets(sequence.ids, places);
                }
            }
        }
        (batch, targets)
    }

    /// The units of its sentence that a sequence decides.
    fn units(&self, sequence: &Sequence) -> Range<usize> {
        match self.unit {
            Unit::Word => sequence.words.clone(),
            Unit::Subword => sequence.owned.clone(),
        }
    }

    fn unit_count(&self, words: &EncodedWords) -> usize {
        match self.unit {
            Unit::Word => words.word_count(),
            Unit::Subword => words.ids.len(),
        }
    }
}
