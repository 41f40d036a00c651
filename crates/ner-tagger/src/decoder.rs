//! From the logits of a sentence's words to labels and entities, each with its probability.

use std::fmt;
use std::str::FromStr;

use ner_metrics::{Scheme, TagSet};
use ner_model::{Logits, Posterior, TokenClassifier, Transitions};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::min_scores::MinScores;
use crate::tagged::{TaggedSentence, WordEntity, WordTag};

/// Which label sequences can be predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// The likeliest sequence that is well-formed in the labels' tagging scheme. Where the labels follow none, as [`Self::Argmax`].
    #[default]
    Constrained,
    /// The likeliest label of each word by itself, or with a CRF the likeliest sequence by what it has learnt.
    Argmax,
}

impl FromStr for Decode {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "constrained" => Ok(Self::Constrained),
            "argmax" => Ok(Self::Argmax),
            _ => Err(Error::Setting {
                name: "decode",
                reason: format!("`{name}` is none; expected constrained or argmax"),
            }),
        }
    }
}

impl fmt::Display for Decode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Constrained => "constrained",
            Self::Argmax => "argmax",
        })
    }
}

/// Chooses the labels of one model.
#[derive(Clone, Debug)]
pub struct Decoder {
    tags: TagSet,
    /// The ways to read the labels, never none. A sentence gets the one under which its labels are likelier.
    readings: Vec<Reading>,
    has_crf: bool,
    /// What scores are divided by before they become probabilities; chooses no label.
    temperature: f64,
    min_scores: MinScores,
}

/// What restricts and scores label sequences.
#[derive(Clone, Debug)]
struct Reading {
    /// The scheme whose well-formed sequences alone are predicted.
    scheme: Option<Scheme>,
    /// Scores of the CRF and of the constraints together.
    transitions: Option<Transitions>,
}

impl Decoder {
    /// What `tagging_scheme` of `config.json` says of labels that follow none.
    pub const NO_SCHEME: &str = "none";

    /// For a model's labels. The scheme of [`Decode::Constrained`] is the one given, else the one that the model was trained with
    /// (`tagging_scheme` of its `config.json`), else the one that the labels' letters tell ([`TagSet::scheme`]).
    ///
    /// `B` and `I` are the letters of IOB2 and of IOB1, and published models follow either. Where nothing else tells them apart, each sentence
    /// is read in the one under which its likeliest well-formed sequence is likelier, in IOB2 where they are equal.
    ///
    /// # Errors
    /// Labels that a given scheme does not know, or a device that fails.
    pub fn new(model: &TokenClassifier, decode: Decode, scheme: Option<Scheme>) -> Result<Self> {
        let config = model.config();
        let tags = TagSet::new(&config.id2label)?;
        let schemes = match (decode, scheme, config.tagging_scheme.as_deref()) {
            (Decode::Argmax, ..) | (_, None, Some(Self::NO_SCHEME)) => vec![],
            (Decode::Constrained, Some(scheme), _) => vec![scheme],
            (Decode::Constrained, None, Some(name)) => vec![name.parse()?],
            (Decode::Constrained, None, None) => match tags.scheme() {
                Some(Scheme::Iob2) => vec![Scheme::Iob2, Scheme::Iob1],
                told => told.into_iter().collect(),
            },
        };
        let learnt = model.transitions()?;
        let has_crf = learnt.is_some();
        let bound = |scheme: Scheme| {
            let table = scheme.legal_transitions(&config.id2label)?;
            let [start, end, between] =
                [table.start(), table.end(), table.between()].map(<[bool]>::to_vec);
            let legal = Transitions::new(start, end, between)?;
            Ok(Reading {
                scheme: Some(scheme),
                transitions: Some(match &learnt {
                    Some(learnt) => learnt.and(&legal),
                    None => legal,
                }),
            })
        };
        let mut readings: Vec<Reading> = schemes.into_iter().map(bound).collect::<Result<_>>()?;
        if readings.is_empty() {
            readings.push(Reading {
                scheme: None,
                transitions: learnt,
            });
        }
        Ok(Self {
            tags,
            readings,
            has_crf,
            temperature: config.calibration_temperature.unwrap_or(1.0),
            min_scores: MinScores::default(),
        })
    }

    /// Another temperature than the model's ([`ModelConfig::calibration_temperature`](ner_model::ModelConfig::calibration_temperature)). Scores
    /// change with it, labels do not.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Leaves out entities with lower scores than these; their words are then tagged `O`.
    ///
    /// # Errors
    /// A type that no label has.
    pub fn with_min_scores(mut self, min_scores: MinScores) -> Result<Self> {
        min_scores.check(&self.tags)?;
        self.min_scores = min_scores;
        Ok(self)
    }

    /// The least scores of entities.
    #[must_use]
    pub fn min_scores(&self) -> &MinScores {
        &self.min_scores
    }

    /// The temperature.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// The labels as tags.
    #[must_use]
    pub fn tags(&self) -> &TagSet {
        &self.tags
    }

    /// The labels of a sentence's words, and the entities that they make.
    ///
    /// A tag's score is the probability of that label of that word, an entity's the probability of that span with that type, each among all
    /// sequences that can be predicted: with transitions by forward–backward, without them words are independent.
    ///
    /// # Shapes
    /// - logits: a row for each word
    #[must_use]
    pub fn decode(&self, logits: &Logits) -> TaggedSentence {
        let (labels, transitions) = self.best(logits);
        let posterior = self.posterior(logits, transitions);
        let tag = |(word, &label): (usize, &usize)| WordTag {
            tag: self.tags.labels()[label].clone(),
            score: posterior.label(word, label) as f32,
        };
        let entity = |entity: ner_metrics::Entity<'_>| {
            let words = entity.start..entity.end;
            let score = posterior.span(
                words.clone(),
                |label| self.tags.entity_type(label) == Some(entity.entity_type),
                |from, to| self.tags.continues(from, to),
            );
            WordEntity {
                entity: entity.entity_type.to_owned(),
                score: score as f32,
                words,
            }
        };
        let entities = self.tags.entities(&labels).into_iter().map(entity);
        let (entities, unsure) = entities
            .partition(|found: &WordEntity| self.min_scores.keeps(&found.entity, found.score));
        let unsure: Vec<WordEntity> = unsure;
        let mut tags: Vec<WordTag> = labels.iter().enumerate().map(tag).collect();
        let outside = (0..logits.label_count()).find(|&label| self.tags.is_outside(label));
        for word in unsure.into_iter().flat_map(|entity| entity.words) {
            tags[word] = WordTag {
                tag: OUTSIDE.to_owned(),
                score: outside.map_or(0.0, |label| posterior.label(word, label) as f32),
            };
        }
        TaggedSentence { tags, entities }
    }

    /// Probability of each label of each word among all sequences that can be predicted, as the scores of [`Self::decode`]: `[words, labels]`,
    /// row-major. Each row sums to 1, up to rounding.
    ///
    /// # Shapes
    /// - logits: a row for each word
    #[must_use]
    pub fn label_probabilities(&self, logits: &Logits) -> Vec<f64> {
        let (_, transitions) = self.best(logits);
        let posterior = self.posterior(logits, transitions);
        let words = 0..logits.len();
        words
            .flat_map(|word| (0..logits.label_count()).map(move |label| (word, label)))
            .map(|(word, label)| posterior.label(word, label))
            .collect()
    }

    fn posterior(&self, logits: &Logits, transitions: Option<&Transitions>) -> Posterior {
        let probabilities = probabilities(logits, self.temperature as f32);
        let transitions = transitions.map(|scores| scores.tempered(self.temperature));
        Posterior::new(transitions.as_ref(), &probabilities, logits.label_count())
    }

    /// The labels of a sentence's words, and the transitions by which they were chosen.
    fn best(&self, logits: &Logits) -> (Vec<usize>, Option<&Transitions>) {
        let probabilities = probabilities(logits, 1.0);
        let mut found: Option<(Vec<usize>, &Reading, f64)> = None;
        for reading in &self.readings {
            let Some(transitions) = &reading.transitions else {
                continue;
            };
            let Some(labels) = transitions.best_sequence(&probabilities) else {
                continue;
            };
            let score = transitions.sequence_score(&probabilities, &labels);
            if found.as_ref().is_none_or(|best| score > best.2) {
                found = Some((labels, reading, score));
            }
        }
        match found {
            Some((labels, reading, _)) => (labels, reading.transitions.as_ref()),
            None => (
                (0..logits.len()).map(|word| logits.best(word).0).collect(),
                None,
            ),
        }
    }
}

/// The tag of a word outside of entities.
const OUTSIDE: &str = "O";

/// Probability of each label of each word by itself, `[words, labels]`.
fn probabilities(logits: &Logits, temperature: f32) -> Vec<f32> {
    (0..logits.len())
        .flat_map(|word| logits.tempered_probabilities(word, temperature))
        .collect()
}

/// What acts on label sequences, such as `CRF, constrained to iob2`.
impl fmt::Display for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes: Vec<&str> = self
            .readings
            .iter()
            .filter_map(|reading| reading.scheme)
            .map(Scheme::name)
            .collect();
        let schemes = schemes.join(" or ");
        match (self.has_crf, schemes.is_empty()) {
            (false, true) => f.write_str("argmax"),
            (true, true) => f.write_str("CRF"),
            (false, false) => write!(f, "constrained to {schemes}"),
            (true, false) => write!(f, "CRF, constrained to {schemes}"),
        }
    }
}
