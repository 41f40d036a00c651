//! Models for the tests of these modules.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::TokenClassifier;
use crate::{DeviceChoice, ModelConfig};

/// A model of `transformers` with random weights: of 48 hidden units, 4 heads, 96 neurons and 2 layers.
pub fn golden(family: &str) -> TokenClassifier {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/goldens/models");
    let dir = dir.join(family);
    let config = ModelConfig::from_dir(&dir).unwrap();
    let device = DeviceChoice::Flex.open().unwrap();
    TokenClassifier::load(&dir, &config, &device, 0).unwrap().0
}
