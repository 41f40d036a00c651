use ner_metrics::Scheme;
use ner_tagger::Decode;
use serde::{Deserialize, Serialize};

/// How tags are chosen, in training's own evaluation and in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct DecodeSettings {
    /// `constrained` takes the likeliest sequence that is well-formed in the labels' tagging scheme; `argmax` each word's likeliest label, or
    /// with a CRF the likeliest sequence by what it has learnt.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = Self::default().decode))]
    pub decode: Decode,
    /// Tagging scheme of constrained decoding: iob1, iob2, ioe1, ioe2, iobes or bilou; that of the training data, or the one that the labels
    /// tell, where not given.
    #[cfg_attr(feature = "clap", arg(long, value_name = "SCHEME"))]
    pub decode_scheme: Option<Scheme>,
}
