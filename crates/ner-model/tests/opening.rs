//! Models opened for inference: the values of loaded ones, from less.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{FAMILIES, family};
use ner_model::{
    Batch, DeviceChoice, Error, ForwardMode, ModelConfig, Precision, StoredModel, TokenClassifier,
};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

fn devices() -> Vec<DeviceChoice> {
    let mut devices = vec![DeviceChoice::Flex];
    #[cfg(feature = "ndarray")]
    devices.push(DeviceChoice::NdArray);
    devices
}

fn load(dir: &Path, device: DeviceChoice) -> TokenClassifier {
    let config = ModelConfig::from_dir(dir).unwrap();
    let loaded = TokenClassifier::load(dir, &config, &device.open().unwrap(), 0);
    loaded.unwrap().0
}

fn open(
    dir: &Path,
    device: DeviceChoice,
    precision: Option<Precision>,
) -> Result<TokenClassifier, Error> {
    let config = ModelConfig::from_dir(dir)?;
    let opened = TokenClassifier::open(dir, &config, &device.open()?, precision);
    opened.map(|(model, _)| model)
}

fn logits(model: &TokenClassifier) -> Vec<f32> {
    let ids = [vec![0, 8, 11, 9, 2], vec![0, 5, 2]];
    let logits = model.forward(&Batch::from_iter(ids), ForwardMode::Inference);
    logits.unwrap().into_data().iter().collect()
}

/// Euclidean length of the difference beside that of the first.
fn relative_error(exact: &[f32], near: &[f32]) -> f32 {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>().sqrt();
    let error = norm(&mut exact.iter().zip(near).map(|(a, b)| a - b));
    error / norm(&mut exact.iter().copied())
}

fn quantized(name: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let model = StoredModel::open(&family(name)).unwrap();
    model.quantize().unwrap().save(dir.path()).unwrap();
    dir
}

/// A model's directory with one tensor changed, or left out.
fn altered(
    source: &Path,
    tensor: &str,
    change: impl Fn(Dtype, Vec<usize>, Vec<u8>) -> Option<(Dtype, Vec<usize>, Vec<u8>)>,
) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(source.join("config.json"), dir.path().join("config.json")).unwrap();
    let bytes = fs::read(source.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Vec<_> = file
        .iter()
        .filter_map(|(name, view)| {
            let (dtype, shape) = (view.dtype(), view.shape().to_vec());
            let data = view.data().to_vec();
            let of_tensor = if name == tensor {
                change(dtype, shape, data)?
            } else {
                (dtype, shape, data)
            };
            Some((name.to_owned(), of_tensor))
        })
        .collect();
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        let view = TensorView::new(*dtype, shape.clone(), data).unwrap();
        (name.as_str(), view)
    });
    let path = dir.path().join("model.safetensors");
    safetensors::serialize_to_file(views, None, &path).unwrap();
    dir
}

#[test]
fn an_opened_model_computes_what_a_loaded_one_does() {
    for device in devices() {
        for name in FAMILIES {
            let dir = family(name);
            for precision in [Precision::F32, Precision::Int8, Precision::Bf16] {
                let Ok(loaded) = load(&dir, device).with_precision(precision) else {
                    assert_eq!(precision, Precision::Bf16, "{name}"); // not every processor multiplies it
                    let refused = open(&dir, device, Some(precision)).unwrap_err();
                    assert!(refused.to_string().contains("AVX512-BF16"), "{refused}");
                    continue;
                };
                let opened = open(&dir, device, Some(precision)).unwrap();
                assert_eq!(logits(&opened), logits(&loaded), "{name} in {precision}");
            }
            let by_itself = open(&dir, device, None).unwrap();
            assert_eq!(logits(&by_itself), logits(&load(&dir, device)), "{name}");
        }
    }
}

#[test]
fn tables_of_16_bits_are_read_row_by_row() {
    let source = family("bert");
    let table = "bert.embeddings.word_embeddings.weight";
    for (dtype, is_bf16) in [(Dtype::BF16, true), (Dtype::F16, false)] {
        let dir = altered(&source, table, |_, shape, data| {
            let floats = data.as_chunks::<4>().0.iter().copied();
            let halves = floats.map(f32::from_le_bytes).flat_map(|value| {
                if is_bf16 {
                    burn::tensor::bf16::from_f32(value).to_le_bytes()
                } else {
                    burn::tensor::f16::from_f32(value).to_le_bytes()
                }
            });
            Some((dtype, shape, halves.collect()))
        });
        let opened = open(dir.path(), DeviceChoice::Flex, None).unwrap();
        let loaded = load(dir.path(), DeviceChoice::Flex);
        assert_eq!(logits(&opened), logits(&loaded), "{dtype:?}");
    }
}

#[test]
fn quantized_weights_are_opened_as_they_are() {
    for name in FAMILIES {
        let dir = quantized(name);
        let size = |dir: &Path| StoredModel::open(dir).unwrap().size();
        let (before, after) = (size(&family(name)), size(dir.path()));
        assert_eq!(after.parameters, before.parameters, "{name}");
        assert!(after.bytes < before.bytes / 2, "{name}: {after:?}");

        let exact = logits(&load(&family(name), DeviceChoice::Flex));
        for device in devices() {
            let opened = open(dir.path(), device, None).unwrap();
            let error = relative_error(&exact, &logits(&opened));
            assert!((1e-4..0.15).contains(&error), "{name}: {error}");
            // The integers of the layers are those of the whole model; only the table of embeddings is rounded too.
            let loaded = load(dir.path(), device);
            let again = loaded.clone().with_precision(Precision::Int8).unwrap();
            let error = relative_error(&logits(&again), &logits(&opened));
            assert!(error < 1e-2, "{name}: {error}");
            // As floats the same file serves for everything else.
            let floats = open(dir.path(), device, Some(Precision::F32)).unwrap();
            assert_eq!(logits(&floats), logits(&loaded), "{name}");
        }
    }
}

/// As a training that starts from one saves it.
#[test]
fn what_is_saved_of_a_loaded_one_is_floats_and_says_nothing_else() {
    let dir = quantized("bert");
    let (loaded, again) = (
        load(dir.path(), DeviceChoice::Flex),
        tempfile::tempdir().unwrap(),
    );
    loaded.save(again.path()).unwrap();
    let said = |dir: &TempDir| {
        let config = fs::read_to_string(dir.path().join("config.json")).unwrap();
        config.contains("quantization_config")
    };
    assert!(said(&dir) && !said(&again));
    let opened = open(again.path(), DeviceChoice::Flex, None).unwrap();
    assert_eq!(logits(&opened), logits(&loaded));
    StoredModel::open(again.path()).unwrap().quantize().unwrap();
}

#[test]
fn a_quantized_model_can_lose_subwords_and_layers() {
    let dir = quantized("bert");
    let kept: Vec<u32> = (0..12).collect();
    let (fewer, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let of_quantized = StoredModel::open(dir.path()).unwrap();
    of_quantized
        .keep_subwords(&kept)
        .unwrap()
        .keep_layers(&[1])
        .unwrap()
        .save(fewer.path())
        .unwrap();
    let whole = StoredModel::open(&family("bert")).unwrap();
    let whole = whole.keep_subwords(&kept).unwrap();
    let whole = whole.keep_layers(&[1]).unwrap().quantize().unwrap();
    whole.save(again.path()).unwrap();
    for file in ["model.safetensors", "config.json"] {
        let read = |dir: &TempDir| fs::read(dir.path().join(file)).unwrap();
        assert!(read(&fewer) == read(&again), "{file}");
    }
}

/// As some programs write them: with −128, for which the kernels' sums have no room.
#[test]
fn larger_integers_are_floats_first() {
    let dir = quantized("bert");
    let weight = "bert.encoder.layer.0.output.dense.weight";
    let wide = altered(dir.path(), weight, |dtype, shape, data| {
        let lowest = (-127_i8).cast_unsigned();
        assert!(data.contains(&lowest), "a whole range");
        let wider = |&byte: &u8| {
            if byte == lowest {
                i8::MIN.cast_unsigned()
            } else {
                byte
            }
        };
        Some((dtype, shape, data.iter().map(wider).collect()))
    });
    let of = |dir: &TempDir| logits(&open(dir.path(), DeviceChoice::Flex, None).unwrap());
    let error = relative_error(&of(&dir), &of(&wide));
    assert!((1e-7..5e-2).contains(&error), "{error}");
}

#[test]
fn what_an_opened_model_lacks_is_said() {
    let opened = open(&family("bert"), DeviceChoice::Flex, Some(Precision::Int8)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for error in [
        opened.save(dir.path()).unwrap_err(),
        opened.clone().with_precision(Precision::F32).unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(error.contains("TokenClassifier::load"), "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let same = opened.clone().with_precision(Precision::Int8).unwrap();
    assert_eq!(logits(&same), logits(&opened));

    let dir = quantized("bert");
    let twice = StoredModel::open(dir.path())
        .unwrap()
        .quantize()
        .unwrap_err();
    assert!(twice.to_string().contains("already"), "{twice}");
}

#[test]
fn damaged_integers_are_refused() {
    let dir = quantized("bert");
    let scales = "bert.encoder.layer.0.output.dense.weight_scale";
    let without = altered(dir.path(), scales, |_, _, _| None);
    let error = open(without.path(), DeviceChoice::Flex, None).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("layer.0.output.dense.weight`") && error.contains("scales"),
        "{error}"
    );
    let short = altered(dir.path(), scales, |dtype, shape, data| {
        Some((dtype, vec![shape[0] - 1, 1], data[4..].to_vec()))
    });
    let error = open(short.path(), DeviceChoice::Flex, None).unwrap_err();
    assert!(
        error.to_string().contains(scales) && error.to_string().contains("[48, 1]"),
        "{error}"
    );
}
