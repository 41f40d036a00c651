//! The mean of the weights over the last steps of a run (Izmailov et al. 2018, <https://arxiv.org/abs/1803.05407>).

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use ner_model::{TokenClassifier, read};

use crate::error::Result;

/// Values of each parameter, by its path.
pub type Values = BTreeMap<String, Vec<f32>>;

/// A running mean of a model's weights.
#[derive(Debug)]
pub struct WeightAverage {
    /// Steps of the run before the first whose weights count.
    after: usize,
    mean: Option<TokenClassifier>,
}

impl WeightAverage {
    /// Of the weights after each of the last `averaged` steps of a run.
    pub fn new(averaged: usize, total_steps: usize) -> Self {
        Self {
            after: total_steps.saturating_sub(averaged),
            mean: None,
        }
    }

    /// How far the mean moves towards the weights after a step, numbered from 1; none before the first step that counts.
    pub fn share(&self, step: usize) -> Option<f32> {
        let counted = step
            .checked_sub(self.after)
            .filter(|&counted| counted > 0)?;
        Some(1.0 / counted as f32)
    }

    /// Counts the weights after a step if they are to be counted. The model is without autodiff.
    pub fn add(&mut self, step: usize, model: impl FnOnce() -> TokenClassifier) {
        let Some(share) = self.share(step) else {
            return;
        };
        let model = model();
        self.mean = Some(match self.mean.take() {
            None => model,
            Some(mean) => {
                let mut weights = Weights::default();
                model.visit(&mut weights);
                mean.map(&mut Towards {
                    path: Vec::new(),
                    weights,
                    share,
                })
            }
        });
    }

    /// The mean so far; none before the first step that counts.
    pub fn model(&self) -> Option<&TokenClassifier> {
        self.mean.as_ref()
    }

    /// Takes up where another one stood. The model is any of the same shape.
    pub fn restore(&mut self, values: Values, model: TokenClassifier) {
        if values.is_empty() {
            return;
        }
        let device = model.device();
        let tensor = |values: Vec<f32>| {
            let elements = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [elements]), &device)
        };
        let values = values.into_iter();
        let found = values.map(|(path, values)| (path, tensor(values)));
        let weights = Weights {
            path: Vec::new(),
            found: found.collect(),
        };
        self.mean = Some(model.map(&mut Towards {
            path: Vec::new(),
            weights,
            share: 1.0,
        }));
    }
}

/// The values of every weight of a model.
pub fn values(model: &TokenClassifier) -> Result<Values> {
    let mut weights = Weights::default();
    model.visit(&mut weights);
    let values = weights.found.into_iter();
    values
        .map(|(path, value)| Ok((path, read(value)?)))
        .collect()
}

/// Every weight of a model, as a vector.
#[derive(Default)]
struct Weights {
    path: Vec<String>,
    found: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let elements = value.shape().num_elements();
        self.found
            .insert(self.path.join("."), value.reshape([elements]));
    }
}

/// Moves every weight by a share of the way to another.
struct Towards {
    path: Vec<String>,
    weights: Weights,
    share: f32,
}

impl ModuleMapper for Towards {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(other) = self.weights.found.remove(&self.path.join(".")) else {
            return param;
        };
        let (id, value, mapper) = param.consume();
        let other = other.reshape(value.dims());
        let value = if self.share < 1.0 {
            value.clone() + (other - value) * self.share
        } else {
            other
        };
        Param::from_mapped_value(id, value, mapper)
    }
}
