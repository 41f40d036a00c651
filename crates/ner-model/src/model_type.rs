//! How model families differ: names, positions, token types, dropout.

use serde::{Deserialize, Serialize};

/// Architecture family, under the hub's `model_type`. All are BERT's encoder but for what this module lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelType {
    /// Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>.
    Bert,
    /// Liu et al. 2019, <https://arxiv.org/abs/1907.11692>.
    Roberta,
    /// Conneau et al. 2019, <https://arxiv.org/abs/1911.02116>.
    XlmRoberta,
    /// Martin et al. 2019, <https://arxiv.org/abs/1911.03894>.
    Camembert,
    /// Sanh et al. 2019, <https://arxiv.org/abs/1910.01108>.
    Distilbert,
    /// Clark et al. 2020, <https://arxiv.org/abs/2003.10555>: the discriminator.
    Electra,
}

/// DistilBERT's names of what the others call as [`ModelConfig`](crate::ModelConfig) does.
const DISTILBERT_FIELDS: &[(&str, &str)] = &[
    ("dim", "hidden_size"),
    ("n_layers", "num_hidden_layers"),
    ("n_heads", "num_attention_heads"),
    ("hidden_dim", "intermediate_size"),
    ("activation", "hidden_act"),
    ("dropout", "hidden_dropout_prob"),
    ("attention_dropout", "attention_probs_dropout_prob"),
];

/// Parts of DistilBERT's tensor names, after the parts of BERT's that they stand for. The first match of each line holds.
const DISTILBERT_TENSORS: &[(&str, &str)] = &[
    ("encoder.layer.", "transformer.layer."),
    ("attention.self.query", "attention.q_lin"),
    ("attention.self.key", "attention.k_lin"),
    ("attention.self.value", "attention.v_lin"),
    ("attention.output.dense", "attention.out_lin"),
    ("attention.output.LayerNorm", "sa_layer_norm"),
    ("intermediate.dense", "ffn.lin1"),
    ("output.dense", "ffn.lin2"),
    ("output.LayerNorm", "output_layer_norm"),
];

impl ModelType {
    /// First part of the names of the encoder's tensors.
    pub(crate) fn tensor_prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta | Self::XlmRoberta | Self::Camembert => "roberta",
            Self::Distilbert => "distilbert",
            Self::Electra => "electra",
        }
    }

    /// Name of the class in `architectures`.
    pub(crate) fn architecture(self) -> &'static str {
        match self {
            Self::Bert => "BertForTokenClassification",
            Self::Roberta => "RobertaForTokenClassification",
            Self::XlmRoberta => "XLMRobertaForTokenClassification",
            Self::Camembert => "CamembertForTokenClassification",
            Self::Distilbert => "DistilBertForTokenClassification",
            Self::Electra => "ElectraForTokenClassification",
        }
    }

    /// Pairs of the family's own name of a configuration field and the common one.
    pub(crate) fn field_names(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Distilbert => DISTILBERT_FIELDS,
            _ => &[],
        }
    }

    /// The family's own name of a tensor that BERT names so.
    pub(crate) fn tensor_name(self, bert: &str) -> String {
        let parts = match self {
            Self::Distilbert => DISTILBERT_TENSORS,
            _ => &[],
        };
        parts
            .iter()
            .fold(bert.to_owned(), |name, (part, own)| name.replace(part, own))
    }

    /// Whether positions are numbered from `pad_token_id + 1`.
    pub(crate) fn counts_from_padding(self) -> bool {
        matches!(self, Self::Roberta | Self::XlmRoberta | Self::Camembert)
    }

    /// The padding sub-word's id where the configuration has none.
    pub(crate) fn default_padding(self) -> u32 {
        u32::from(self.counts_from_padding())
    }

    /// Whether every sub-word gets the embedding of token type 0.
    pub(crate) fn has_token_types(self) -> bool {
        self != Self::Distilbert
    }

    /// Whether dropout acts between attention's last projection and the residual connection.
    pub(crate) fn drops_attention_output(self) -> bool {
        self != Self::Distilbert
    }
}

#[cfg(test)]
mod tests {
    use super::ModelType;

    #[test]
    fn distilbert_names_follow_from_berts() {
        for (bert, own) in [
            (
                "encoder.layer.3.attention.self.key.bias",
                "transformer.layer.3.attention.k_lin.bias",
            ),
            (
                "encoder.layer.0.attention.output.dense.weight",
                "transformer.layer.0.attention.out_lin.weight",
            ),
            (
                "encoder.layer.0.attention.output.LayerNorm.bias",
                "transformer.layer.0.sa_layer_norm.bias",
            ),
            (
                "encoder.layer.0.output.LayerNorm.bias",
                "transformer.layer.0.output_layer_norm.bias",
            ),
            (
                "encoder.layer.0.output.dense.bias",
                "transformer.layer.0.ffn.lin2.bias",
            ),
            ("embeddings.LayerNorm.weight", "embeddings.LayerNorm.weight"),
        ] {
            assert_eq!(ModelType::Distilbert.tensor_name(bert), own);
            assert_eq!(ModelType::Electra.tensor_name(bert), bert);
        }
    }
}
