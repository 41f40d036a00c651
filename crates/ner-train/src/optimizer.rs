//! AdamW over a whole module, with global-norm clipping.

mod rates;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use ner_model::ops::{AdamWStep, Moments, Ops, ParameterStep, clip};
use ner_model::read;

use crate::error::Result;
pub use rates::LayerRates;
use rates::is_decayed;

/// Decay of the moments, PyTorch's defaults and those of the reference.
const BETAS: (f64, f64) = (0.9, 0.999);

/// Floats in 512 bytes: CubeCL takes a part of a vector without copying it where the part begins and ends at multiples of this.
const ALIGNED_ELEMENTS: usize = 128;

/// AdamW with the moments of every parameter, known by the parameter's path in the module.
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
    moments: BTreeMap<Members, Moments>,
    steps: usize,
}

/// Values of both moments of each parameter, by the parameter's path.
pub(crate) type MomentValues = BTreeMap<String, [Vec<f32>; 2]>;

/// Parameters that lie end to end in one vector: their paths and numbers of elements.
type Members = Vec<(String, usize)>;

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
    pub(crate) fn moments(&self) -> Result<MomentValues> {
        let mut values = MomentValues::new();
        for (members, moments) in &self.moments {
            let (first, second) = (read(moments.first.clone())?, read(moments.second.clone())?);
            for ((path, elements), start) in places(members) {
                let of = |all: &[f32]| all[start..start + elements].to_vec();
                values.insert(path.clone(), [of(&first), of(&second)]);
            }
        }
        Ok(values)
    }

    /// Takes up where another one stood after `steps` steps.
    pub(crate) fn restore(&mut self, steps: usize, moments: MomentValues, device: &Device) {
        self.steps = steps;
        self.moments = moments
            .into_iter()
            .map(|(path, values)| {
                let elements = values[0].len();
                let [first, second] = values
                    .map(|values| Tensor::from_data(TensorData::new(values, [elements]), device));
                (vec![(path, elements)], Moments { first, second })
            })
            .collect();
    }

    /// Updates the parameters that have a gradient. Returns the module and the global gradient norm before clipping.
    ///
    /// # Errors
    /// The device fails.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        learning_rate: f64,
        ops: &Ops,
    ) -> Result<(M, f64)> {
        let mut collected = Collected {
            path: Vec::new(),
            gradients,
            found: Vec::new(),
        };
        module.visit(&mut collected);
        collected.found.sort_by(|a, b| a.name.cmp(&b.name));
        let groups = self.groups(collected.found, ops);
        self.steps += 1;
        if ops.updates_at_once() {
            return self.step_at_once(module, groups, learning_rate, ops);
        }
        let gradients = groups.iter().map(|group| group.gradient.clone());
        let norm = ops.global_norm(&gradients.collect::<Vec<_>>())?;

        let gradient_scale = clip(norm, self.max_grad_norm);
        let mut update = Update {
            path: Vec::new(),
            groups: BTreeMap::new(),
            stepped: BTreeMap::new(),
            moments: BTreeMap::new(),
            ops,
        };
        for group in groups {
            let step = AdamWStep {
                gradient_scale,
                ..self.numbers(group.numbers, learning_rate)
            };
            let moments = self.take_moments(&group.members, &group.gradient.device());
            update.add(group, moments, step);
        }
        let module = module.map(&mut update);
        self.moments.append(&mut update.moments);
        Ok((module, norm))
    }

    /// The step of parameters that are each in its own vector, all together.
    fn step_at_once<M: Module>(
        &mut self,
        module: M,
        groups: Vec<Group>,
        learning_rate: f64,
        ops: &Ops,
    ) -> Result<(M, f64)> {
        let (mut members, mut parameters) = (Vec::new(), Vec::new());
        for mut group in groups {
            parameters.push(ParameterStep {
                step: self.numbers(group.numbers, learning_rate),
                moments: self.take_moments(&group.members, &group.gradient.device()),
                value: group.values.remove(0),
                gradient: group.gradient,
            });
            members.push(group.members);
        }
        let (norm, stepped) = ops.clipped_adamw(parameters, self.max_grad_norm)?;
        let mut update = Update {
            path: Vec::new(),
            groups: BTreeMap::new(),
            stepped: BTreeMap::new(),
            moments: BTreeMap::new(),
            ops,
        };
        for (members, (value, moments)) in members.into_iter().zip(stepped) {
            update.stepped.insert(members[0].0.clone(), value);
            self.moments.insert(members, moments);
        }
        let module = module.map(&mut update);
        let norm = read(norm)?.into_iter().map(f64::from).sum();
        Ok((module, norm))
    }

    /// The numbers of this step, with the whole gradient.
    fn numbers(&self, of: Numbers, learning_rate: f64) -> AdamWStep {
        AdamWStep {
            gradient_scale: 1.0,
            learning_rate: learning_rate * of.rate,
            weight_decay: of.weight_decay,
            beta1: BETAS.0,
            beta2: BETAS.1,
            epsilon: self.epsilon,
            step: self.steps,
        }
    }

    fn numbers_of(&self, path: &[String], elements: usize) -> Numbers {
        let is_decayed = is_decayed(path);
        Numbers {
            weight_decay: if is_decayed { self.weight_decay } else { 0.0 },
            rate: self.layer_rates.of(path),
            is_aligned: elements.is_multiple_of(ALIGNED_ELEMENTS),
        }
    }

    /// What a step does to the elements of a parameter that never had a gradient.
    pub(crate) fn decay_factor(&self, path: &str, learning_rate: f64) -> f64 {
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        self.numbers(self.numbers_of(&path, 0), learning_rate)
            .decay_factor()
    }

    /// The parameters in the vectors that they are updated in: each in its own, or all that have the same numbers in one.
    fn groups(&self, found: Vec<Found>, ops: &Ops) -> Vec<Group> {
        let mut sorted: Vec<(Numbers, Vec<Found>)> = Vec::new();
        for found in found {
            let elements = found.gradient.shape().num_elements();
            let numbers = self.numbers_of(&found.path, elements);
            let alike = sorted
                .iter_mut()
                .find(|(others, _)| ops.prefers_one_vector() && *others == numbers);
            match alike {
                Some((_, group)) => group.push(found),
                None => sorted.push((numbers, vec![found])),
            }
        }
        let groups = sorted.into_iter().map(|(numbers, found)| {
            let mut members = Members::new();
            let (mut gradients, mut values) = (Vec::new(), Vec::new());
            for found in found {
                let elements = found.gradient.shape().num_elements();
                members.push((found.name, elements));
                gradients.push(found.gradient);
                values.push(found.value);
            }
            Group {
                numbers,
                members,
                gradient: end_to_end(gradients),
                values,
            }
        });
        groups.collect()
    }

    /// The moments of these parameters, which begin at zero. They are in one vector already, but after the first step from a checkpoint, or where
    /// another set of parameters has gradients.
    fn take_moments(&mut self, members: &Members, device: &Device) -> Moments {
        if let Some(moments) = self.moments.remove(members) {
            return moments;
        }
        let parts = members.iter().map(|member| {
            self.take_member(member).unwrap_or_else(|| Moments {
                first: Tensor::zeros([member.1], device),
                second: Tensor::zeros([member.1], device),
            })
        });
        let (first, second) = parts.map(|part| (part.first, part.second)).unzip();
        Moments {
            first: end_to_end(first),
            second: end_to_end(second),
        }
    }

    /// The moments of one parameter, cut out of the vector that they are in.
    fn take_member(&mut self, member: &(String, usize)) -> Option<Moments> {
        let members = self.moments.keys().find(|group| group.contains(member))?;
        let members = members.clone();
        let Moments { first, second } = self.moments.remove(&members)?;
        let mut own = None;
        for (other, start) in places(&members) {
            let cut = |x: &Tensor<1>| x.clone().narrow(0, start, other.1);
            let moments = Moments {
                first: cut(&first),
                second: cut(&second),
            };
            if other == member {
                own = Some(moments);
            } else {
                self.moments.insert(vec![other.clone()], moments);
            }
        }
        own
    }
}

/// Each member, and where it begins in the vector.
fn places(members: &Members) -> impl Iterator<Item = (&(String, usize), usize)> {
    members.iter().scan(0, |end, member| {
        let start = *end;
        *end += member.1;
        Some((member, start))
    })
}

/// One vector of several; one alone is left as it is.
fn end_to_end(mut parts: Vec<Tensor<1>>) -> Tensor<1> {
    match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::cat(parts, 0),
    }
}

/// A parameter with a gradient.
struct Found {
    path: Vec<String>,
    /// The path in one word.
    name: String,
    gradient: Tensor<1>,
    value: Tensor<1>,
}

/// In what the parameters of a module differ for AdamW.
#[derive(Clone, Copy, PartialEq)]
struct Numbers {
    weight_decay: f64,
    /// Factor on the learning rate.
    rate: f64,
    /// Whether its length is a multiple of [`ALIGNED_ELEMENTS`]. One that is not has its own vectors: of what lies behind it, CubeCL would make a copy.
    is_aligned: bool,
}

/// Parameters that are updated in one vector.
struct Group {
    numbers: Numbers,
    members: Members,
    gradient: Tensor<1>,
    /// Of each member.
    values: Vec<Tensor<1>>,
}

/// Takes parameters, and their gradients out of Burn's container, as vectors.
struct Collected {
    path: Vec<String>,
    gradients: GradientsParams,
    found: Vec<Found>,
}

impl ModuleVisitor for Collected {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let elements = gradient.shape().num_elements();
            self.found.push(Found {
                path: self.path.clone(),
                name: self.path.join("."),
                gradient: gradient.reshape([elements]),
                value: param.val().inner().reshape([elements]),
            });
        }
    }
}

/// Moves every parameter through the step.
struct Update<'a> {
    path: Vec<String>,
    /// Parameters that are alone in their vector, which the mapper updates where they lie.
    groups: BTreeMap<String, (Group, Moments, AdamWStep)>,
    /// Updated parameters of vectors with several.
    stepped: BTreeMap<String, Tensor<1>>,
    moments: BTreeMap<Members, Moments>,
    ops: &'a Ops,
}

impl Update<'_> {
    fn add(&mut self, mut group: Group, moments: Moments, step: AdamWStep) {
        if let [(path, _)] = &group.members[..] {
            group.values.clear(); // a buffer with one owner is updated in place
            self.groups.insert(path.clone(), (group, moments, step));
            return;
        }
        let values = end_to_end(group.values);
        let (values, moments) = self.ops.adamw(values, group.gradient, moments, &step);
        for ((path, elements), start) in places(&group.members) {
            let value = values.clone().narrow(0, start, *elements);
            self.stepped.insert(path.clone(), value);
        }
        self.moments.insert(group.members, moments);
    }
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
        let (alone, stepped) = (self.groups.remove(&path), self.stepped.remove(&path));
        if alone.is_none() && stepped.is_none() {
            return param;
        }
        let (id, parameter, mapper) = param.consume();
        let shape = parameter.dims();
        let elements = parameter.shape().num_elements();
        let parameter = parameter.inner().reshape([elements]);
        let parameter = match alone {
            Some((group, moments, step)) => {
                let (parameter, moments) =
                    self.ops.adamw(parameter, group.gradient, moments, &step);
                self.moments.insert(group.members, moments);
                parameter
            }
            None => stepped.unwrap_or(parameter),
        };
        Param::from_mapped_value(
            id,
            Tensor::from_inner(parameter.reshape(shape)).require_grad(),
            mapper,
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use ner_model::DeviceChoice;
    use ner_model::ops::Factors;

    use super::*;

    #[derive(Module, Debug)]
    struct Two {
        first: Linear,
        second: Linear,
    }

    /// Three steps, of which the second has no gradient for the second layer, then a new optimizer from what a checkpoint holds, and three
    /// again. With all parameters of the same decay in one vector, or each alone.
    fn trained(ops: &Ops) -> (Vec<f64>, Vec<f32>, usize) {
        let device = DeviceChoice::Flex.open().unwrap().autodiff();
        device.seed(3);
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
        let mut module = Two {
            first: linear(4, 5),
            second: linear(5, 3),
        };
        let new = || AdamW::new(0.1, 1e-8, 0.5);
        let (mut optimizer, mut norms, mut vectors) = (new(), Vec::new(), 0);
        for step in 0..6 {
            if step == 3 {
                let moments = optimizer.moments().unwrap();
                assert_eq!(moments.len(), 4);
                optimizer = new();
                optimizer.restore(step, moments, &device.clone().inner());
            }
            let x = Tensor::<2>::ones([2, 4], &device) * (step + 1) as f32;
            let middle = module.first.forward(x);
            let loss = match step % 3 {
                1 => middle.powi_scalar(2).mean(),
                _ => module.second.forward(middle).powi_scalar(2).mean(),
            };
            let gradients = GradientsParams::from_grads(loss.backward(), &module);
            let norm;
            (module, norm) = optimizer.step(module, gradients, 1e-2, ops).unwrap();
            norms.push(norm);
            vectors = optimizer.moments.len();
        }
        let mut weights = read(module.first.weight.val().inner()).unwrap();
        weights.extend(read(module.second.weight.val().inner()).unwrap());
        weights.extend(read(module.second.bias.unwrap().val().inner()).unwrap());
        (norms, weights, vectors)
    }

    #[test]
    fn parameters_in_one_vector_take_the_same_steps_as_each_alone() {
        let (norms, weights, vectors) = trained(&Ops::Fused(Factors::F32));
        let (norms_together, weights_together, vectors_together) =
            trained(&Ops::Plain(Factors::F32));
        assert_eq!((vectors, vectors_together), (4, 2));
        for (a, b) in norms.iter().zip(&norms_together) {
            assert!((a - b).abs() < 1e-6 * a, "{norms:?} {norms_together:?}");
        }
        for (a, b) in weights.iter().zip(&weights_together) {
            assert!((a - b).abs() < 1e-6, "{weights:?} {weights_together:?}");
        }
    }
}
