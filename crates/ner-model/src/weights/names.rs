//! The hub's names of the parameters.

use crate::ModelType;

/// Prefix of a CRF's tensors, the same here and on the hub.
pub const CRF: &str = "crf.";

/// The hub's name of a parameter.
pub fn hub_name(model_type: ModelType, path: &str) -> String {
    let path = path.replace(".self_attention.", ".self.");
    let path = match path.rsplit_once('.') {
        Some((module, "gamma")) => format!("{module}.weight"),
        Some((module, "beta")) => format!("{module}.bias"),
        _ => path,
    };
    if is_of_head(&path) {
        path
    } else {
        format!(
            "{}.{}",
            model_type.tensor_prefix(),
            model_type.tensor_name(&path)
        )
    }
}

/// Whether a parameter lies above the encoder; its name is the same here and on the hub.
pub fn is_of_head(name: &str) -> bool {
    name.starts_with("classifier.") || name.starts_with(CRF)
}

/// A hub name and the others that checkpoints give to the same tensor: with LayerNorm's names of TensorFlow, without the encoder's prefix.
pub fn spellings(model_type: ModelType, name: &str) -> [String; 4] {
    let prefix = format!("{}.", model_type.tensor_prefix());
    let old = name
        .replace("LayerNorm.weight", "LayerNorm.gamma")
        .replace("LayerNorm.bias", "LayerNorm.beta");
    let bare = |name: &str| name.trim_start_matches(&prefix).to_owned();
    [name.to_owned(), old.clone(), bare(name), bare(&old)]
}

/// What the hub's names of a layer's tensors hold before the layer's number.
pub fn before_layer_number(model_type: ModelType) -> String {
    model_type.tensor_name("encoder.layer.")
}

/// The layer that a tensor belongs to by its name, after whatever prefix.
pub fn layer_number(model_type: ModelType, name: &str) -> Option<usize> {
    let (_, rest) = name.split_once(&before_layer_number(model_type))?;
    rest.split('.').next()?.parse().ok()
}

/// The name of a layer's tensor with another number in it.
pub fn renumbered_layer(model_type: ModelType, name: &str, number: usize) -> Option<String> {
    let before = before_layer_number(model_type);
    let (prefix, rest) = name.split_once(&before)?;
    let (_, tensor) = rest.split_once('.')?;
    Some(format!("{prefix}{before}{number}.{tensor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_known_by_their_numbers_under_any_prefix() {
        for (model_type, name, number) in [
            (
                ModelType::Bert,
                "bert.encoder.layer.11.output.dense.bias",
                Some(11),
            ),
            (
                ModelType::Bert,
                "encoder.layer.0.output.dense.bias",
                Some(0),
            ),
            (ModelType::Bert, "embeddings.word_embeddings.weight", None),
            (
                ModelType::Bert,
                "bert.encoder.layer.x.output.dense.bias",
                None,
            ),
            (
                ModelType::Bert,
                "bert.encoder.layer.-1.output.dense.bias",
                None,
            ),
            (
                ModelType::Bert,
                "bert.encoder.layer.99999999999999999999.output.dense.bias",
                None,
            ),
            (
                ModelType::Distilbert,
                "distilbert.transformer.layer.5.ffn.lin1.bias",
                Some(5),
            ),
            (
                ModelType::Distilbert,
                "bert.encoder.layer.5.output.dense.bias",
                None,
            ),
        ] {
            assert_eq!(layer_number(model_type, name), number, "{name}");
        }
    }
}
