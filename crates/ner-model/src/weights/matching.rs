//! Which tensor of a checkpoint is which parameter of a model, by names and shapes alone.

use std::collections::BTreeSet;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn_pack::Tensor as StoredTensor;

use super::names::{CRF, before_layer_number, hub_name, is_of_head, layer_number, spellings};
use super::reading::Stored;
use crate::{Error, ModelConfig, TokenClassifier};

/// The tensors of a checkpoint that a model has a place for.
pub struct Matched {
    pub tensors: Vec<(Parameter, StoredTensor)>,
    /// Why the checkpoint's classifier cannot serve, if so.
    pub new_classifier: Option<String>,
    /// Whether the model has a CRF that the checkpoint lacks.
    pub new_crf: bool,
    /// Names of the others.
    pub unused: Vec<String>,
}

impl Matched {
    /// Finds the tensor of each parameter of a model whose weights are not drawn yet. `new_classifier` says why the checkpoint's cannot serve,
    /// where that is known already.
    ///
    /// # Errors
    /// A tensor of the encoder is missing or has another shape than its parameter.
    pub fn find(
        model: &TokenClassifier,
        mut stored: Stored,
        path: &Path,
        mut new_classifier: Option<String>,
    ) -> Result<Self, Error> {
        let config = model.config();
        let mut tensors = Vec::new();
        let mut missing = Vec::new();
        let mut new_crf = false;
        for parameter in parameters(model) {
            let name = hub_name(config.model_type, &parameter.path);
            let expected = parameter.hub_shape();
            let is_classifier = is_of_head(&name);
            let tensor = spellings(config.model_type, &name)
                .iter()
                .find_map(|spelling| stored.remove(spelling));
            match tensor {
                Some(tensor) if *tensor.shape == *expected => tensors.push((parameter, tensor)),
                Some(tensor) if is_classifier => {
                    let (found, labels) = (tensor.shape.to_vec(), config.id2label.len());
                    new_classifier.get_or_insert_with(|| {
                        format!("the checkpoint's classifier is {found:?}, {labels} labels ask for {expected:?}")
                    });
                }
                Some(tensor) => {
                    return Err(Error::Shape {
                        path: path.to_owned(),
                        name,
                        expected,
                        found: tensor.shape.to_vec(),
                    });
                }
                // A CRF without scores prefers no sequence: the model is then its classifier alone.
                None if name.starts_with(CRF) => new_crf = true,
                None if is_classifier => {
                    new_classifier.get_or_insert_with(|| format!("the checkpoint has no {name}"));
                }
                None => missing.push(name),
            }
        }
        if !missing.is_empty() {
            return Err(Error::MissingTensors {
                path: path.to_owned(),
                names: missing,
            });
        }
        if new_classifier.is_some() {
            tensors.retain(|(parameter, _)| !is_of_head(&parameter.path));
        }
        Ok(Self {
            tensors,
            new_classifier,
            new_crf,
            unused: stored.into_keys().collect(),
        })
    }
}

/// Refuses more layers than the checkpoint has, before any is made: a damaged number would ask for millions. Single tensors that a layer lacks
/// are found by [`Matched::find`].
pub fn check_layers(config: &ModelConfig, stored: &Stored, path: &Path) -> Result<(), Error> {
    let numbers: BTreeSet<usize> = stored
        .keys()
        .filter_map(|name| layer_number(config.model_type, name))
        .collect();
    let up_to_last = numbers.last().map_or(0, |last| last.saturating_add(1));
    // Names can hold any number, but each layer has tensors.
    let most = up_to_last.min(stored.len());
    if config.num_hidden_layers > most {
        return Err(Error::Layers {
            path: path.to_owned(),
            name: before_layer_number(config.model_type),
            expected: config.num_hidden_layers,
            found: numbers.len(),
        });
    }
    Ok(())
}

/// In what the labels of the checkpoint differ from those of `config`, so that its classifier cannot serve.
pub fn other_labels(dir: &Path, config: &ModelConfig) -> Option<String> {
    // A directory without a readable configuration has no labels of its own.
    let checkpoint = ModelConfig::from_dir(dir).ok()?;
    let differs = checkpoint.id2label != config.id2label
        && checkpoint.id2label.len() == config.id2label.len()
        && !checkpoint.has_placeholder_labels();
    differs.then(|| {
        let (old, new) = (checkpoint.id2label.join(", "), config.id2label.join(", "));
        format!("the checkpoint's classifier is for {old}, not for {new}")
    })
}

/// A parameter of a module.
#[derive(Clone)]
pub struct Parameter {
    pub id: ParamId,
    pub path: String,
    shape: Vec<usize>,
    pub is_projection: bool,
}

impl Parameter {
    fn hub_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.is_projection {
            shape.reverse();
        }
        shape
    }
}

/// Every parameter of a model, without drawing its random weights.
fn parameters(model: &TokenClassifier) -> Vec<Parameter> {
    #[derive(Default)]
    struct Visitor {
        path: Vec<String>,
        containers: Vec<String>,
        found: Vec<Parameter>,
    }
    impl ModuleVisitor for Visitor {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.path.push(name.to_owned());
            self.containers.push(container_type.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
            self.containers.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.push(Parameter {
                id: param.id,
                path: self.path.join("."),
                shape: param.lazy_shape().to_vec(),
                is_projection: D == 2
                    && self
                        .containers
                        .iter()
                        .any(|container| container == "Struct:Linear"),
            });
        }
    }
    let mut visitor = Visitor::default();
    model.visit(&mut visitor);
    visitor.found
}
