//! What a teacher says of the words that a student learns from.

use std::ops::Range;

use ner_model::{LayerView, Logits, Posterior, Transitions};
use ner_tagger::{PretokenizedSentence, ScoredSentence, Tagger};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The probability of each label of each word of some sentences, as a teacher sees it: the soft targets of a student.
///
/// They are kept as logarithms, which are logits too: a temperature divides them.
///
/// # Shapes
/// `[words, labels]`, in memory: 4 bytes each, and as many again for each hidden unit where hidden states are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftTargets {
    labels: Vec<String>,
    /// `[words, labels]`, row-major, natural logarithms.
    log_probabilities: Vec<f32>,
    /// The first row of each sentence, then the number of rows.
    starts: Vec<usize>,
    hidden: Option<HiddenStates>,
}

/// Hidden states of each word.
#[derive(Clone, Debug, PartialEq)]
struct HiddenStates {
    layers: usize,
    /// Of one layer.
    width: usize,
    /// `[words, layers * width]`, row-major.
    values: Vec<f32>,
}

impl SoftTargets {
    /// Of logits, or logarithms of probabilities, that are there already: of each sentence a row for each word.
    ///
    /// # Errors
    /// A sentence whose rows are not as long as there are labels.
    pub fn new(labels: Vec<String>, sentences: &[Logits]) -> Result<Self> {
        if let Some(sentence) = sentences
            .iter()
            .find(|logits| !logits.is_empty() && logits.label_count() != labels.len())
        {
            return Err(Error::Distillation(format!(
                "rows of {} logits for {} labels",
                sentence.label_count(),
                labels.len()
            )));
        }
        let rows = sentences.iter().map(|logits| {
            let words = (0..logits.len()).map(|word| log_softmax(logits.row(word), 1.0));
            words.flatten().map(|log| log as f32).collect()
        });
        Ok(Self::of_rows(labels, &rows.collect::<Vec<_>>()))
    }

    /// What a model says of sentences, each read as [`Tagger::score`] reads it: in windows where it is long, in the context of its document
    /// where the model was trained so. Their tags do not matter. With a CRF a label's probability is its posterior marginal
    /// ([`Posterior`]). `progress` hears after each pass how many sentences have been begun.
    ///
    /// # Errors
    /// A tokenizer or a device that fails.
    pub fn of(
        teacher: &Tagger,
        sentences: &[PretokenizedSentence],
        progress: impl FnMut(usize),
    ) -> Result<Self> {
        let scored = teacher.score(sentences, progress)?;
        Self::of_scored(teacher, &scored)
    }

    /// The same, with the teacher's hidden states of each word that a view has, for
    /// [`hidden_loss_weight`](crate::DistillSettings::hidden_loss_weight): those of its last layer are what the student's last layer learns, those of
    /// the one before what the one before does, and so on.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn with_states(
        teacher: &Tagger,
        sentences: &[PretokenizedSentence],
        view: &LayerView,
        progress: impl FnMut(usize),
    ) -> Result<Self> {
        let scored = teacher.score_with_states(sentences, view, progress)?;
        let (scored, states): (Vec<_>, Vec<_>) = scored.into_iter().unzip();
        let width = view.width(teacher.model().config().hidden_size);
        let targets = Self::of_scored(teacher, &scored)?;
        Ok(targets.holding_hidden_states(view.layers.len(), width, states.concat()))
    }

    fn of_scored(teacher: &Tagger, scored: &[ScoredSentence]) -> Result<Self> {
        let learnt = teacher.model().transitions()?;
        let rows = |sentence: &ScoredSentence| match &learnt {
            Some(transitions) => marginals(&sentence.logits, transitions),
            None => (0..sentence.logits.len())
                .flat_map(|word| log_softmax(sentence.logits.row(word), 1.0))
                .map(|log| log as f32)
                .collect(),
        };
        let rows: Vec<Vec<f32>> = scored.par_iter().map(rows).collect();
        Ok(Self::of_rows(teacher.labels().to_vec(), &rows))
    }

    /// `values`: `[words, width]`, row-major, of so many layers.
    pub(crate) fn holding_hidden_states(
        mut self,
        layers: usize,
        width: usize,
        values: Vec<f32>,
    ) -> Self {
        self.hidden = Some(HiddenStates {
            layers,
            width: width / layers.max(1),
            values,
        });
        self
    }

    /// The mean of the probabilities of several teachers, in the first one's order of labels: an ensemble in one. Hidden states are left out,
    /// as those of different models have nothing in common; one teacher keeps them.
    ///
    /// # Errors
    /// No teacher, teachers with other labels than the first, or with other sentences.
    pub fn mean(teachers: Vec<Self>) -> Result<Self> {
        let mut teachers = teachers.into_iter();
        let Some(mut first) = teachers.next() else {
            return Err(Error::Distillation("there is no teacher".to_owned()));
        };
        let others: Vec<Self> = teachers
            .map(|other| other.in_order_of(&first.labels, "the first teacher's"))
            .collect::<Result<_>>()?;
        if others.is_empty() {
            return Ok(first);
        }
        if others.iter().any(|other| other.starts != first.starts) {
            return Err(Error::Distillation(
                "the teachers have read other sentences".to_owned(),
            ));
        }
        let count = (1 + others.len()) as f64;
        for (place, log) in first.log_probabilities.iter_mut().enumerate() {
            let others = others.iter().map(|other| other.log_probabilities[place]);
            let all = std::iter::once(*log).chain(others);
            let sum: f64 = all.map(|log| f64::from(log).exp()).sum();
            *log = logarithm(sum / count);
        }
        first.hidden = None;
        Ok(first)
    }

    /// The labels, by number.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The number of words.
    #[must_use]
    pub fn word_count(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Width of the hidden states of a layer, where there are some.
    #[must_use]
    pub fn hidden_size(&self) -> Option<usize> {
        self.hidden.as_ref().map(|hidden| hidden.width)
    }

    /// Layers whose hidden states there are.
    #[must_use]
    pub fn hidden_layers(&self) -> usize {
        self.hidden.as_ref().map_or(0, |hidden| hidden.layers)
    }

    /// The probability of each label of a word of a sentence.
    ///
    /// # Panics
    /// There is no such word.
    #[must_use]
    pub fn probabilities(&self, sentence: usize, word: usize) -> Vec<f32> {
        let logs = self.word(sentence, word).iter();
        logs.map(|log| log.exp()).collect()
    }

    /// The same with the labels in another order, whose owner an error names.
    ///
    /// # Errors
    /// Other labels.
    pub(crate) fn in_order_of(mut self, labels: &[String], whose: &str) -> Result<Self> {
        if self.labels == labels {
            return Ok(self);
        }
        let place = |label: &String| self.labels.iter().position(|own| own == label);
        let places: Option<Vec<usize>> = labels.iter().map(place).collect();
        let Some(places) = places.filter(|places| places.len() == self.labels.len()) else {
            return Err(Error::Distillation(format!(
                "the teacher's labels are {}, {whose} are {}",
                self.labels.join(", "),
                labels.join(", ")
            )));
        };
        let rows = self.log_probabilities.chunks_exact(labels.len());
        let reordered = rows.flat_map(|row| places.iter().map(|&place| row[place]));
        self.log_probabilities = reordered.collect();
        self.labels = labels.to_vec();
        Ok(self)
    }

    /// Refuses sentences of other numbers of words.
    pub(crate) fn check_words(&self, sentences: &[PretokenizedSentence]) -> Result<()> {
        let own = self.starts.windows(2).map(|pair| pair[1] - pair[0]);
        if own.eq(sentences.iter().map(|sentence| sentence.words.len())) {
            return Ok(());
        }
        Err(Error::Distillation(
            "the teacher has read other sentences than those to learn from".to_owned(),
        ))
    }

    /// Logarithms of the probabilities of a word of a sentence.
    pub(crate) fn word(&self, sentence: usize, word: usize) -> &[f32] {
        &self.log_probabilities[self.row(sentence, word, self.labels.len())]
    }

    /// The hidden states of a word of a sentence, end to end, where there are some.
    pub(crate) fn hidden_states(&self, sentence: usize, word: usize) -> Option<&[f32]> {
        let hidden = self.hidden.as_ref()?;
        Some(&hidden.values[self.row(sentence, word, hidden.layers * hidden.width)])
    }

    fn row(&self, sentence: usize, word: usize, width: usize) -> Range<usize> {
        let start = (self.starts[sentence] + word) * width;
        start..start + width
    }

    /// Adds all that a student learns from.
    pub(crate) fn add_to(&self, digest: &mut Sha256) {
        let hidden = self.hidden.iter().flat_map(|hidden| &hidden.values);
        for value in self.log_probabilities.iter().chain(hidden) {
            digest.update(value.to_le_bytes());
        }
    }

    /// `rows`: of each sentence `[words, labels]`.
    fn of_rows(labels: Vec<String>, rows: &[Vec<f32>]) -> Self {
        let mut starts = vec![0];
        let mut words = 0;
        for sentence in rows {
            words += sentence.len() / labels.len().max(1);
            starts.push(words);
        }
        Self {
            labels,
            log_probabilities: rows.concat(),
            starts,
            hidden: None,
        }
    }
}

/// Logarithms of the probabilities that logits divided by a temperature stand for.
pub(crate) fn log_softmax(logits: &[f32], temperature: f64) -> impl Iterator<Item = f64> + use<'_> {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let scaled = move |logit: &f32| f64::from(logit - largest) / temperature;
    let sum: f64 = logits.iter().map(|logit| scaled(logit).exp()).sum();
    logits.iter().map(move |logit| scaled(logit) - sum.ln())
}

/// A logarithm that is a number even where the probability is too small for one.
fn logarithm(probability: f64) -> f32 {
    probability.max(f64::MIN_POSITIVE).ln() as f32
}

/// Logarithms of the posterior marginals of a sentence's words, `[words, labels]`.
fn marginals(logits: &Logits, transitions: &Transitions) -> Vec<f32> {
    let labels = logits.label_count();
    let probabilities: Vec<f32> = (0..logits.len())
        .flat_map(|word| logits.probabilities(word))
        .collect();
    let posterior = Posterior::new(Some(transitions), &probabilities, labels);
    let places = (0..logits.len()).flat_map(|word| (0..labels).map(move |label| (word, label)));
    places
        .map(|(word, label)| logarithm(posterior.label(word, label)))
        .collect()
}
