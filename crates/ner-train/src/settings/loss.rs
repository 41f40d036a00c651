use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ner_model::ops::LossWeights;
use ner_tagger::PretokenizedSentence;
use serde::{Deserialize, Serialize};

use super::check::{not_negative, share_below_one};
use crate::error::{Error, Result};

/// What the loss counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct LossSettings {
    /// Share of the loss's target that goes to all labels alike.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().label_smoothing))]
    pub label_smoothing: f64,
    /// Weights of labels in the loss: `equal`, `balanced` (the rarer a label is in the training data, the more it counts), or
    /// LABEL=WEIGHT,… with 1 for those not named.
    #[cfg_attr(feature = "clap", arg(long, value_name = "WEIGHTS", default_value_t = Self::default().class_weights))]
    pub class_weights: ClassWeights,
    /// Have every sub-word of a word carry its label in training (`I-X` after `B-X`), not only the first one.
    #[cfg_attr(feature = "clap", arg(
        long, value_name = "BOOL", default_value_t = Self::default().label_all_tokens,
        action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true",
    ))]
    pub label_all_tokens: bool,
}

impl LossSettings {
    /// The loss over these labels.
    pub(crate) fn weights(
        &self,
        labels: &[String],
        train: &[PretokenizedSentence],
    ) -> Result<LossWeights> {
        let given = self.class_weights.by_label(train);
        if let Some(name) = given.keys().find(|name| !labels.contains(name)) {
            return Err(Error::Setting {
                name: "class_weights",
                reason: format!("`{name}` is not among the labels {}", labels.join(", ")),
            });
        }
        let weight = |label| given.get(label).copied().unwrap_or(1.0) as f32;
        Ok(LossWeights {
            classes: labels.iter().map(weight).collect(),
            smoothing: self.label_smoothing as f32,
        })
    }

    /// The first setting, if any, that only a loss of single words knows.
    pub(super) fn first_of_single_words(&self) -> Option<&'static str> {
        let given = [
            ("label_smoothing", self.label_smoothing != 0.0),
            ("class_weights", self.class_weights != ClassWeights::Equal),
            ("label_all_tokens", self.label_all_tokens),
        ];
        let first = given.into_iter().find(|(_, is_given)| *is_given);
        first.map(|(name, _)| name)
    }

    pub(super) fn check(&self) -> Result<()> {
        share_below_one("label_smoothing", self.label_smoothing)?;
        let ClassWeights::Given(weights) = &self.class_weights else {
            return Ok(());
        };
        let wrong = weights
            .iter()
            .find(|(_, weight)| not_negative("class_weights", **weight).is_err());
        match wrong {
            Some((label, weight)) => Err(Error::Setting {
                name: "class_weights",
                reason: format!("{label}={weight} is not a number of 0 or more"),
            }),
            None => Ok(()),
        }
    }
}

/// Weights of labels in the loss.
///
/// Text is `equal`, `balanced` or `LABEL=WEIGHT,…`; serde has a table of weights for the last one, and reads it as text too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub enum ClassWeights {
    /// 1 for every label.
    #[default]
    Equal,
    /// By how rare each label is in the training data: `words / (labels * words of the label)`, as scikit-learn's `compute_class_weight` has
    /// it.
    Balanced,
    /// The weight of each label; 1 for those not named.
    Given(BTreeMap<String, f64>),
}

impl ClassWeights {
    /// The weight of each label in a training with this data; 1 for those not in it.
    pub fn by_label(&self, train: &[PretokenizedSentence]) -> BTreeMap<String, f64> {
        match self {
            Self::Equal => BTreeMap::new(),
            Self::Balanced => balanced(train),
            Self::Given(weights) => weights.clone(),
        }
    }
}

fn balanced(train: &[PretokenizedSentence]) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for tag in train.iter().flat_map(|sentence| &sentence.tags) {
        *counts.entry(tag).or_default() += 1;
    }
    let words: usize = counts.values().sum();
    let weight = |count: usize| words as f64 / (counts.len() * count) as f64;
    counts
        .iter()
        .map(|(tag, count)| ((*tag).clone(), weight(*count)))
        .collect()
}

const EQUAL: &str = "equal";
const BALANCED: &str = "balanced";

impl FromStr for ClassWeights {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).map_err(|reason| Error::Setting {
            name: "class_weights",
            reason,
        })
    }
}

fn parse(text: &str) -> std::result::Result<ClassWeights, String> {
    match text {
        EQUAL => return Ok(ClassWeights::Equal),
        BALANCED => return Ok(ClassWeights::Balanced),
        _ => {}
    }
    let mut weights = BTreeMap::new();
    for pair in text.split(',') {
        let (label, weight) = pair.rsplit_once('=').ok_or_else(|| {
            format!("`{pair}` is not LABEL=WEIGHT, nor `{EQUAL}` or `{BALANCED}`")
        })?;
        let weight: f64 = weight
            .parse()
            .map_err(|_| format!("`{weight}` is no number"))?;
        if weights.insert(label.to_owned(), weight).is_some() {
            return Err(format!("`{label}` is there twice"));
        }
    }
    Ok(ClassWeights::Given(weights))
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal => f.write_str(EQUAL),
            Self::Balanced => f.write_str(BALANCED),
            Self::Given(weights) => {
                let pairs = weights.iter().map(|(label, x)| format!("{label}={x}"));
                f.write_str(&pairs.collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Class weights as serde has them.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected `equal`, `balanced`, `LABEL=WEIGHT,…` or a table of weights"
)]
enum Form {
    Text(String),
    Weights(BTreeMap<String, f64>),
}

impl TryFrom<Form> for ClassWeights {
    type Error = String;

    fn try_from(form: Form) -> std::result::Result<Self, String> {
        match form {
            Form::Text(text) => parse(&text),
            Form::Weights(weights) if weights.is_empty() => Ok(Self::Equal),
            Form::Weights(weights) => Ok(Self::Given(weights)),
        }
    }
}

impl From<ClassWeights> for Form {
    fn from(weights: ClassWeights) -> Self {
        match weights {
            ClassWeights::Given(weights) => Self::Weights(weights),
            named => Self::Text(named.to_string()),
        }
    }
}
