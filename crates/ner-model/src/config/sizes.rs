//! The sizes of a model, and those that none can have.

use crate::{Error, Head, ModelConfig};

/// The sizes that tell one encoder of a family from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderSizes {
    /// Number of sub-words, special tokens included.
    pub vocab_size: usize,
    /// Width of the encoder.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Attention heads a layer.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Longest sequence of sub-words, special tokens included.
    pub usable_positions: usize,
}

/// Most layers of a new model: many times those of any published encoder (`deberta-v2-xxlarge` has 48). Weights that are there are taken with as
/// many as they hold.
const MOST_NEW_LAYERS: usize = 1000;

/// Bytes of a weight.
const WEIGHT: u128 = size_of::<f32>() as u128;

impl ModelConfig {
    /// Whether random weights of these sizes can be made on this system, which [`TokenClassifier::init`](crate::TokenClassifier::init) does not
    /// ask: it ends the program where there is no room for them.
    ///
    /// # Errors
    /// Sizes that no tensor can have, that are not those of an encoder, or that ask for more memory than there is.
    pub fn check_new_weights(&self) -> Result<(), Error> {
        self.check().map_err(Error::Sizes)?;
        if self.num_hidden_layers > MOST_NEW_LAYERS {
            return Err(Error::Sizes(format!(
                "num_hidden_layers is {}, expected at most {MOST_NEW_LAYERS}",
                self.num_hidden_layers
            )));
        }
        let bytes = self.weights() * WEIGHT;
        let has_room = usize::try_from(bytes)
            .is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
        if has_room {
            return Ok(());
        }
        Err(Error::Sizes(format!(
            "weights of these sizes take {:.0} GB, more than this system has (vocab_size {}, hidden_size {}, num_hidden_layers {}, \
             intermediate_size {})",
            bytes as f64 / 1e9,
            self.vocab_size,
            self.hidden_size,
            self.num_hidden_layers,
            self.intermediate_size,
        )))
    }

    /// Sizes that no tensor of this model can have.
    pub(super) fn check_sizes(&self) -> Result<(), String> {
        let mut sizes = vec![
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("embedding_size", self.embedding_size()),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
        ];
        if self.model_type.has_token_types() {
            sizes.push(("type_vocab_size", self.type_vocab_size));
        }
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(format!("{name} is 0"));
        }
        let tables = [
            ("vocab_size", self.vocab_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("number of labels", self.id2label.len()),
        ];
        let width = self.hidden_size.max(self.embedding_size());
        for (name, rows) in tables {
            if rows as u128 * width as u128 * WEIGHT > isize::MAX as u128 {
                return Err(format!(
                    "{name} {rows} times hidden_size {width} is more than a tensor can hold"
                ));
            }
        }
        Ok(())
    }

    /// Number of the weights. It does not overflow where [`Self::check_sizes`] has no objection and the layers are [`MOST_NEW_LAYERS`] at most.
    fn weights(&self) -> u128 {
        let [
            vocabulary,
            positions,
            embedding,
            hidden,
            layers,
            wide,
            labels,
        ] = [
            self.vocab_size,
            self.max_position_embeddings,
            self.embedding_size(),
            self.hidden_size,
            self.num_hidden_layers,
            self.intermediate_size,
            self.id2label.len(),
        ]
        .map(|size| size as u128);
        let types = if self.model_type.has_token_types() {
            self.type_vocab_size as u128
        } else {
            0
        };
        let projection = |inputs: u128, outputs: u128| inputs * outputs + outputs;
        let norm = |width: u128| 2 * width;
        let embeddings = (vocabulary + positions + types) * embedding + norm(embedding);
        let project = if embedding == hidden {
            0
        } else {
            projection(embedding, hidden)
        };
        let attention = 4 * projection(hidden, hidden) + norm(hidden);
        let feed_forward = projection(hidden, wide) + projection(wide, hidden) + norm(hidden);
        let crf = match self.head {
            Head::Crf => labels * labels + 2 * labels,
            Head::Linear => 0,
        };
        embeddings
            + project
            + layers * (attention + feed_forward)
            + projection(hidden, labels)
            + crf
    }
}
