//! GGUF files, the form of llama.cpp, as one more form of weights.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Metadata is passed over but for the architecture and the
//! alignment; `config.json` and the tokenizer lie beside the file as beside any other. Of the quantizations those are read whose blocks have 32
//! weights ([`blocks`]); their values become f32 as the blocks say, to the bit.

mod blocks;
mod header;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use burn::tensor::{Bytes, DType};
use burn_pack::{Error as PackError, Tensor as StoredTensor};

use self::header::{Header, TensorInfo};
use crate::Error;

/// What the files of BERT and its relatives call their architecture.
const ARCHITECTURE: &str = "bert";

/// llama.cpp's names, after `blk.N.` within a layer, and the hub's, as `convert_hf_to_gguf.py` renames them.
const EMBEDDINGS: &[(&str, &str)] = &[
    ("token_embd.", "embeddings.word_embeddings."),
    ("position_embd.", "embeddings.position_embeddings."),
    ("token_types.", "embeddings.token_type_embeddings."),
    ("token_embd_norm.", "embeddings.LayerNorm."),
];
const LAYER: &[(&str, &str)] = &[
    ("attn_q.", "attention.self.query."),
    ("attn_k.", "attention.self.key."),
    ("attn_v.", "attention.self.value."),
    ("attn_output.", "attention.output.dense."),
    ("attn_output_norm.", "attention.output.LayerNorm."),
    ("ffn_up.", "intermediate.dense."),
    ("ffn_down.", "output.dense."),
    ("layer_output_norm.", "output.LayerNorm."),
];

/// Names (the hub's, without a model's prefix), shapes and not yet read data of the tensors in a GGUF file.
///
/// # Errors
/// No GGUF file or a damaged one, another architecture, or a quantization that is not read.
pub fn read(path: &Path) -> Result<BTreeMap<String, StoredTensor>, Error> {
    let wrong = |reason: String| Error::WeightFile {
        path: path.to_owned(),
        reason,
    };
    let header = Header::read(path).map_err(&wrong)?;
    match header.architecture.as_deref() {
        Some(ARCHITECTURE) | None => {}
        Some(other) => {
            return Err(wrong(format!(
                "a GGUF file of architecture `{other}`; `{ARCHITECTURE}` is what can be read"
            )));
        }
    }
    let mut tensors = BTreeMap::new();
    for info in header.tensors {
        let name = hub_name(&info.name);
        let gguf_name = info.name.clone();
        let tensor = stored(path, name.clone(), header.data, info);
        if tensors.insert(name, tensor).is_some() {
            return Err(wrong(format!("two tensors are called `{gguf_name}`")));
        }
    }
    Ok(tensors)
}

/// The hub's name of a tensor; an unknown one as it is.
fn hub_name(name: &str) -> String {
    let renamed = |rest: &str, names: &[(&str, &str)]| {
        names.iter().find_map(|(gguf, hub)| {
            let end = rest.strip_prefix(gguf)?;
            Some(format!("{hub}{end}"))
        })
    };
    let in_layer = || {
        let (number, rest) = name.strip_prefix("blk.")?.split_once('.')?;
        Some(format!("encoder.layer.{number}.{}", renamed(rest, LAYER)?))
    };
    in_layer()
        .or_else(|| renamed(name, EMBEDDINGS))
        .unwrap_or_else(|| name.to_owned())
}

/// A tensor whose values are read when they are asked for.
fn stored(path: &Path, name: String, data: u64, info: TensorInfo) -> StoredTensor {
    let TensorInfo {
        shape,
        format,
        offset,
        bytes,
        ..
    } = info;
    let dtype = format.dtype();
    let elements: usize = shape.iter().product();
    let width = match dtype {
        DType::F16 | DType::BF16 => 2,
        _ => 4,
    };
    let path = path.to_owned();
    let read = move || -> std::io::Result<Bytes> {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(data + offset))?;
        let mut packed = vec![0; bytes];
        file.read_exact(&mut packed)?;
        Ok(format.unpack(packed))
    };
    let read = move || read().map_err(|e| PackError::IoError(e.to_string()));
    StoredTensor::deferred(name, dtype, shape, None, elements * width, read)
}

#[cfg(test)]
mod tests {
    use super::hub_name;

    #[test]
    fn names_are_the_hubs() {
        for (gguf, hub) in [
            ("token_embd.weight", "embeddings.word_embeddings.weight"),
            ("token_embd_norm.bias", "embeddings.LayerNorm.bias"),
            (
                "blk.11.attn_output_norm.weight",
                "encoder.layer.11.attention.output.LayerNorm.weight",
            ),
            (
                "blk.0.attn_output.bias",
                "encoder.layer.0.attention.output.dense.bias",
            ),
            (
                "blk.2.ffn_down.weight",
                "encoder.layer.2.output.dense.weight",
            ),
            ("blk.2.ffn_gate.weight", "blk.2.ffn_gate.weight"),
            ("classifier.weight", "classifier.weight"),
        ] {
            assert_eq!(hub_name(gguf), hub);
        }
    }
}
