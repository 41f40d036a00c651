//! AdamW over a whole module, with global-norm clipping.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use ner_model::ops::{AdamWStep, Moments, Ops};

use crate::checkpoint::MomentValues;

/// Decay of the moments, PyTorch's defaults and those of the reference.
const BETAS: (f64, f64) = (0.9, 0.999);
/// Added to the norm before it divides, as `torch.nn.utils.clip_grad_norm_` does.
const CLIP_EPSILON: f64 = 1e-6;

/// AdamW with the moments of every parameter, kept under the parameter's path in the module.
#[derive(Debug)]
pub struct AdamW {
    /// Decoupled weight decay; biases and LayerNorm have none.
    pub weight_decay: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Global gradient norm above which gradients are scaled down; 0 switches clipping off.
    pub max_grad_norm: f64,
    /// How learning rates fall towards the embeddings.
    pub layer_rates: LayerRates,
    moments: BTreeMap<String, Moments>,
    steps: usize,
}

impl AdamW {
    /// An optimizer that has not stepped yet.
    pub fn new(weight_decay: f64, epsilon: f64, max_grad_norm: f64) -> Self {
        Self {
            layer_rates: LayerRates::EQUAL,
            weight_decay,
            epsilon,
            max_grad_norm,
            moments: BTreeMap::new(),
            steps: 0,
        }
    }

    /// The values of its moments.
    pub(crate) fn moments(&self) -> MomentValues {
        let values = |tensor: &Tensor<1>| tensor.to_data().iter::<f32>().collect();
        self.moments
            .iter()
            .map(|(path, moments)| {
                (
                    path.clone(),
                    [values(&moments.first), values(&moments.second)],
                )
            })
            .collect()
    }

    /// Takes up where another one stood after `steps` steps.
    pub(crate) fn restore(&mut self, steps: usize, moments: MomentValues, device: &Device) {
        self.steps = steps;
        self.moments = moments
            .into_iter()
            .map(|(path, values)| {
                let [first, second] = values.map(|values| {
                    let elements = values.len();
                    Tensor::from_data(TensorData::new(values, [elements]), device)
                });
                (path, Moments { first, second })
            })
            .collect();
    }

    /// Updates the parameters that have a gradient. Returns the module and the global gradient norm before clipping.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        learning_rate: f64,
        ops: &Ops,
    ) -> (M, f64) {
        let mut collected = Flattened {
            path: Vec::new(),
            gradients,
            flat: BTreeMap::new(),
        };
        module.visit(&mut collected);
        let flat: Vec<Tensor<1>> = collected.flat.values().cloned().collect();
        let norm = ops.global_norm(&flat);
        drop(flat);

        self.steps += 1;
        let clip = self.max_grad_norm > 0.0 && norm > self.max_grad_norm;
        let gradient_scale = if clip {
            self.max_grad_norm / (norm + CLIP_EPSILON)
        } else {
            1.0
        };
        let step = AdamWStep {
            gradient_scale,
            learning_rate,
            weight_decay: self.weight_decay,
            beta1: BETAS.0,
            beta2: BETAS.1,
            epsilon: self.epsilon,
            step: self.steps,
        };
        let mut update = Update {
            path: Vec::new(),
            gradients: collected.flat,
            moments: &mut self.moments,
            layer_rates: self.layer_rates,
            step,
            ops,
        };
        (module.map(&mut update), norm)
    }
}

/// Learning rates of a model's layers: the classifier's is the schedule's, each layer below has `decay` times that of the one above, the
/// embeddings have the least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerRates {
    /// Factor from one layer to the one below.
    pub decay: f64,
    /// Number of encoder layers.
    pub layers: usize,
}

impl LayerRates {
    /// The same everywhere.
    pub const EQUAL: Self = Self {
        decay: 1.0,
        layers: 0,
    };

    /// The factor on the learning rate of the parameter at this path.
    fn of(self, path: &[String]) -> f64 {
        let below = match path {
            [first, ..] if first.starts_with("embeddings") => self.layers + 1,
            [encoder, _, number, ..] if encoder == "encoder" => self
                .layers
                .saturating_sub(number.parse().unwrap_or(self.layers)),
            _ => 0,
        };
        self.decay.powi(below as i32)
    }
}

/// Whether weight decay acts on the parameter at this path: not on biases, nor on LayerNorm (`gamma`, `beta`).
fn is_decayed(path: &[String]) -> bool {
    path.last()
        .is_none_or(|name| !matches!(name.as_str(), "bias" | "gamma" | "beta"))
}

/// Takes the gradients out of Burn's container as vectors.
struct Flattened {
    path: Vec<String>,
    gradients: GradientsParams,
    flat: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Flattened {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let elements = gradient.shape().num_elements();
            self.flat
                .insert(self.path.join("."), gradient.reshape([elements]));
        }
    }
}

/// Moves every parameter through the step, so that its buffer can be updated in place.
struct Update<'a> {
    path: Vec<String>,
    gradients: BTreeMap<String, Tensor<1>>,
    moments: &'a mut BTreeMap<String, Moments>,
    layer_rates: LayerRates,
    step: AdamWStep,
    ops: &'a Ops,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let Some(gradient) = self.gradients.remove(&path) else {
            return param;
        };
        let (id, parameter, mapper) = param.consume();
        let shape = parameter.dims();
        let elements = parameter.shape().num_elements();

        let parameter = parameter.inner().reshape([elements]);
        let moments = self.moments.remove(&path).unwrap_or_else(|| Moments {
            first: Tensor::zeros([elements], &parameter.device()),
            second: Tensor::zeros([elements], &parameter.device()),
        });
        let weight_decay = if is_decayed(&self.path) {
            self.step.weight_decay
        } else {
            0.0
        };
        let step = AdamWStep {
            weight_decay,
            learning_rate: self.step.learning_rate * self.layer_rates.of(&self.path),
            ..self.step
        };
        let (parameter, moments) = self.ops.adamw(parameter, gradient, moments, &step);
        self.moments.insert(path, moments);
        Param::from_mapped_value(
            id,
            Tensor::from_inner(parameter.reshape(shape)).require_grad(),
            mapper,
        )
    }
}
