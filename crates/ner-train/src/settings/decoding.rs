use std::fmt;
use std::str::FromStr;

use ner_metrics::Scheme;
use ner_model::TokenClassifier;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::evaluate::Decoding;

/// How tags are chosen, in training's own evaluation and in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct DecodeSettings {
    /// `constrained` takes the likeliest well-formed sequence of the tagging scheme; `argmax` each word's likeliest tag, or with a CRF the
    /// likeliest sequence by what it has learnt.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().decode))]
    pub decode: Decode,
    /// Tagging scheme of constrained decoding: iob1, iob2, ioe1, ioe2, iobes or bilou. Without it, iob2 where the labels are those of
    /// IOB2, and else no constraint.
    #[cfg_attr(feature = "clap", arg(long, value_name = "SCHEME"))]
    pub decode_scheme: Option<Scheme>,
}

/// What is chosen among.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// Well-formed sequences of tags, as a whole.
    #[default]
    Constrained,
    /// The tags of each word by itself, or with a CRF all sequences.
    Argmax,
}

impl DecodeSettings {
    /// The scheme that a model with these labels is constrained to.
    pub fn scheme(&self, labels: &[String]) -> Option<Scheme> {
        match self.decode {
            Decode::Argmax => None,
            Decode::Constrained => self.decode_scheme.or_else(|| scheme_of(labels)),
        }
    }

    /// How the labels of this model are chosen.
    ///
    /// # Errors
    /// A label that the scheme does not know, or a device that fails.
    pub fn decoding(&self, model: &TokenClassifier) -> Result<Decoding> {
        Decoding::new(model, self.scheme(&model.config().id2label))
    }
}

/// IOB2, where the labels can be that scheme's.
fn scheme_of(labels: &[String]) -> Option<Scheme> {
    let known = Scheme::Iob2.legal_transitions(labels).is_ok();
    let begins = labels.iter().any(|label| label.starts_with("B-"));
    (known && begins).then_some(Scheme::Iob2)
}

impl FromStr for Decode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Constrained, Self::Argmax];
        let found = all.into_iter().find(|decode| decode.to_string() == text);
        found.ok_or_else(|| Error::Setting {
            name: "decode",
            reason: format!("`{text}` is none; expected constrained or argmax"),
        })
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
