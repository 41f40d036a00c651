//! The forward and backward micro_batches of an optimizer step, on one device or on several at the same time.
//!
//! Data parallelism out of Burn's parts, as its own multi-device learner has it: [`Module::fork`](burn::module::Module::fork) copies the weights
//! to each device at the start of a step, a thread for each device computes its part, [`GradientsParams::to_device`] brings the gradients back,
//! and one optimizer steps on the first device. Copies live for one step only, so there is nothing to keep alike, nor to save.

use std::cmp::Reverse;
use std::{panic, thread};

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use ner_model::ops::LossWeights;
use ner_model::{Batch, ForwardMode, Head, TokenClassifier, read};

use crate::distillation::{Distillation, SoftPart, word_count};
use crate::error::{Error, Result};
use crate::features::{Feature, pack};

/// A model to train, and the devices that compute its gradients.
#[derive(Debug)]
pub struct DataParallel {
    pub(crate) model: TokenClassifier,
    /// Beside the model's own.
    pub(crate) others: Vec<Device>,
}

impl DataParallel {
    /// The model's own device and `others` share each batch; the optimizer runs on the model's.
    ///
    /// # Errors
    /// A device that is named twice.
    pub fn new(model: TokenClassifier, others: Vec<Device>) -> Result<Self> {
        let mut seen = vec![model.device()];
        for device in &others {
            if seen.contains(device) {
                return Err(Error::Setting {
                    name: "devices",
                    reason: format!("{device:?} is there twice; give each device once"),
                });
            }
            seen.push(device.clone());
        }
        Ok(Self { model, others })
    }
}

impl From<TokenClassifier> for DataParallel {
    fn from(model: TokenClassifier) -> Self {
        Self {
            model,
            others: Vec::new(),
        }
    }
}

/// How an optimizer step is cut into micro_batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MicroBatching<'a> {
    /// Sequences of a part; the parts of a step count alike in its loss.
    pub batch_size: usize,
    pub devices: usize,
    pub head: Head,
    pub loss_weights: &'a LossWeights,
    pub distillation: Option<&'a Distillation>,
}

/// What one optimizer step learns from.
pub(crate) struct StepBatch {
    /// Numbers of its sentences, from 0.
    pub sentences: Vec<usize>,
    /// The micro_batches of each device.
    micro_batches: Vec<Vec<MicroBatch>>,
}

/// What the micro_batches of a step found.
pub(crate) struct StepResult {
    /// Losses of the micro_batches, whose sum is the step's, each on its device. To read one is to wait for a GPU, which computes while the step goes on.
    pub losses: Vec<Tensor<1>>,
    pub subwords: usize,
    pub gradients: GradientsParams,
}

impl StepResult {
    /// The loss of the step.
    pub(crate) fn loss(losses: Vec<Tensor<1>>) -> Result<f64> {
        let mut sum = 0.0;
        for loss in losses {
            sum += read(loss)?.into_iter().map(f64::from).sum::<f64>();
        }
        Ok(sum)
    }
}

/// Loss and gradients of a step, on the model's device. They do not depend on the number of devices, but for rounding and dropout.
pub(crate) fn forward_backward(
    model: &TokenClassifier,
    others: &[Device],
    batch: &StepBatch,
    loss_weights: &LossWeights,
) -> Result<StepResult> {
    let (mut sum, rest) = on_each_device(model, others, &batch.micro_batches, loss_weights)?;
    if rest.is_empty() {
        return Ok(sum);
    }
    let mut gradients = GradientsAccumulator::new();
    gradients.accumulate(model, sum.gradients);
    for result in rest {
        sum.losses.extend(result.losses);
        sum.subwords += result.subwords;
        gradients.accumulate(model, result.gradients.to_device(&model.device(), model));
    }
    sum.gradients = gradients.grads();
    Ok(sum)
}

/// What the model's device found and what each of the others that has a part did, with gradients where they were computed.
fn on_each_device(
    model: &TokenClassifier,
    others: &[Device],
    micro_batches: &[Vec<MicroBatch>],
    loss_weights: &LossWeights,
) -> Result<(StepResult, Vec<StepResult>)> {
    thread::scope(|scope| {
        let shares = others.iter().zip(&micro_batches[1..]);
        let busy = shares.filter(|(_, micro_batches)| !micro_batches.is_empty());
        let threads: Vec<_> = busy
            .map(|(device, micro_batches)| {
                let model = model.clone();
                scope.spawn(move || run(&model.replica(device), micro_batches, loss_weights))
            })
            .collect();
        let own = run(model, &micro_batches[0], loss_weights);
        let rest = threads.into_iter().map(|thread| {
            let joined = thread.join();
            joined.unwrap_or_else(|cause| panic::resume_unwind(cause))
        });
        let rest: Result<Vec<StepResult>> = rest.collect();
        Ok((own?, rest?))
    })
}

/// One forward and backward pass.
struct MicroBatch {
    batch: Batch,
    /// Of the batch's targets.
    labels: Vec<Option<u32>>,
    mode: ForwardMode,
    /// What the loss of its labels counts in that of the step.
    share: f64,
    /// What it learns of a teacher.
    soft: Option<SoftPart>,
}

impl MicroBatch {
    /// Its part of the step's loss.
    fn loss(&self, model: &TokenClassifier, loss_weights: &LossWeights) -> Result<Tensor<1>> {
        let of_labels = |logits: Tensor<2>| -> Result<Tensor<1>> {
            let loss = model.training_loss(logits, &self.batch, &self.labels, loss_weights)?;
            Ok(loss * self.share)
        };
        let Some(soft) = &self.soft else {
            return of_labels(model.forward(&self.batch, self.mode)?);
        };
        let layers = soft.layers(model.config().num_hidden_layers);
        let (hidden, last) = model.states_after(&layers, &self.batch, self.mode)?;
        let logits = model.classify(last, &self.batch, self.mode);
        let loss = soft.loss(logits.clone(), hidden);
        Ok(if self.share == 0.0 {
            loss // there is no label
        } else {
            loss + of_labels(logits)?
        })
    }
}

impl MicroBatching<'_> {
    /// Packs a step's sequences. The seed decides, with the numbers of part and device, what dropout drops.
    pub(crate) fn pack(&self, features: &[&Feature], seed: u64) -> StepBatch {
        let parts = features.chunks(self.batch_size);
        let share = 1.0 / parts.len() as f64;
        let mut micro_batches: Vec<Vec<MicroBatch>> =
            (0..self.devices).map(|_| Vec::new()).collect();
        for (part, features) in (0_u64..).zip(parts) {
            let labels = features.iter().flat_map(|feature| &feature.labels);
            let labels: Vec<Option<u32>> = labels.copied().collect();
            let whole = self.head.loss_divisor(&labels, self.loss_weights);
            let gold = self
                .distillation
                .map_or(1.0, |distillation| distillation.gold_share(features));
            let share_of_word = share / word_count(features);
            for (device, features) in split(features, self.devices).into_iter().enumerate() {
                if features.is_empty() {
                    continue;
                }
                let soft = self
                    .distillation
                    .and_then(|distillation| distillation.part(&features, share_of_word));
                let (batch, labels) = pack(features);
                let own = self.head.loss_divisor(&labels, self.loss_weights);
                micro_batches[device].push(MicroBatch {
                    batch,
                    labels,
                    mode: mode(seed ^ part, device as u64, self.devices),
                    share: share * (own / whole) * gold,
                    soft,
                });
            }
        }
        StepBatch {
            sentences: features.iter().map(|feature| feature.sentence).collect(),
            micro_batches,
        }
    }
}

fn mode(seed: u64, device: u64, devices: usize) -> ForwardMode {
    const DEVICE_BITS: u32 = 56; // above the number of the step
    if devices == 1 {
        ForwardMode::Training { seed }
    } else {
        ForwardMode::ParallelTraining {
            seed: seed ^ (device << DEVICE_BITS),
        }
    }
}

/// Shares sequences among devices so that each has about as many sub-words: the longest first, each to the device that has the fewest
/// (Graham 1969, <https://doi.org/10.1137/0117039>). A device's sequences stay in order.
fn split<'a>(features: &[&'a Feature], devices: usize) -> Vec<Vec<&'a Feature>> {
    let mut by_length: Vec<usize> = (0..features.len()).collect();
    by_length.sort_by_key(|&index| Reverse(features[index].ids.len()));
    let mut loads = vec![(0, Vec::new()); devices];
    for index in by_length {
        if let Some((subwords, indices)) = loads.iter_mut().min_by_key(|(load, _)| *load) {
            *subwords += features[index].ids.len();
            indices.push(index);
        }
    }
    let in_order = |(_, mut indices): (usize, Vec<usize>)| {
        indices.sort_unstable();
        indices.into_iter().map(|index| features[index]).collect()
    };
    loads.into_iter().map(in_order).collect()
}

/// The micro_batches of one device, one after the other.
fn run(
    model: &TokenClassifier,
    micro_batches: &[MicroBatch],
    loss_weights: &LossWeights,
) -> Result<StepResult> {
    let mut gradients = GradientsAccumulator::new();
    let (mut losses, mut subwords) = (Vec::new(), 0);
    for micro_batch in micro_batches {
        let part_loss = micro_batch.loss(model, loss_weights)?;
        losses.push(part_loss.clone().inner());
        subwords += micro_batch.batch.ids().len();
        let part_gradients = GradientsParams::from_grads(part_loss.backward(), model);
        gradients.accumulate(model, part_gradients);
    }
    Ok(StepResult {
        losses,
        subwords,
        gradients: gradients.grads(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::Tensor;
    use ner_model::{DeviceChoice, ModelConfig};

    use super::*;

    fn model() -> TokenClassifier {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/goldens/models/bert");
        let config = ModelConfig::from_dir(&dir).unwrap();
        let device = DeviceChoice::Flex.open().unwrap().autodiff();
        TokenClassifier::load(&dir, &config, &device, 0).unwrap().0
    }

    /// Sequences of these lengths, every second sub-word with a label.
    fn features(lengths: &[usize]) -> Vec<Feature> {
        let feature = |(sentence, &length): (usize, &usize)| Feature {
            sentence,
            ids: (0..length as u32).map(|at| 5 + at).collect(),
            words: 0..0,
            first_subwords: Vec::new(),
            labels: (0..length as u32)
                .map(|at| (at % 2 == 1).then_some(at % 3))
                .collect(),
        };
        lengths.iter().enumerate().map(feature).collect()
    }

    #[test]
    fn sequences_are_shared_evenly_and_stay_in_order() {
        for lengths in [
            &[7][..],
            &[5, 5, 5, 5],
            &[1, 1, 1, 9, 1, 2, 3],
            &[9, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            &[3, 14, 15, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9],
        ] {
            let features = features(lengths);
            let features: Vec<&Feature> = features.iter().collect();
            for devices in 1..=4 {
                let parts = split(&features, devices);
                assert_eq!(parts.len(), devices);
                let mut all: Vec<usize> = Vec::new();
                for part in &parts {
                    let sentences = part.iter().map(|feature| feature.sentence);
                    assert!(sentences.clone().is_sorted(), "{lengths:?}");
                    all.extend(sentences);
                }
                all.sort_unstable();
                assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
                let load = |part: &Vec<&Feature>| part.iter().map(|f| f.ids.len()).sum::<usize>();
                let loads: Vec<usize> = parts.iter().map(load).collect();
                let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
                assert!(most - least <= *lengths.iter().max().unwrap(), "{loads:?}");
                let idle = loads.iter().filter(|load| **load == 0).count();
                assert_eq!(idle, devices.saturating_sub(lengths.len()), "{loads:?}");
            }
        }
    }

    #[test]
    fn each_pass_has_a_seed_of_its_own_and_one_device_the_usual_one() {
        let features = features(&[4; 12]);
        let features: Vec<&Feature> = features.iter().collect();
        let loss_weights = LossWeights::uniform(3);
        let micro_batches = |devices: usize, seed: u64| {
            let micro_batches = MicroBatching {
                batch_size: 4,
                devices,
                head: Head::Linear,
                loss_weights: &loss_weights,
                distillation: None,
            };
            micro_batches
                .pack(&features, seed)
                .micro_batches
                .into_iter()
                .flatten()
        };
        let mut seeds = BTreeSet::new();
        for step in 0..3_u64 {
            for micro_batch in micro_batches(3, 42 ^ (step << 16)) {
                let ForwardMode::ParallelTraining { seed } = micro_batch.mode else {
                    panic!("{:?}", micro_batch.mode)
                };
                assert!(seeds.insert(seed), "{seed} is there twice");
                assert!(
                    (micro_batch.share - 1.0 / 9.0).abs() < 0.06,
                    "{}",
                    micro_batch.share
                );
            }
            for (part, micro_batch) in (0..).zip(micro_batches(1, 42 ^ (step << 16))) {
                let seed = 42 ^ (step << 16) ^ part;
                assert_eq!(micro_batch.mode, ForwardMode::Training { seed });
                assert_eq!(micro_batch.share.to_bits(), (1.0_f64 / 3.0).to_bits());
            }
        }
        assert_eq!(seeds.len(), 27);
    }

    /// The devices that hold a module's gradients.
    struct Devices<'a>(&'a GradientsParams, Vec<Device>);

    impl ModuleVisitor for Devices<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(param.id).unwrap();
            self.1.push(gradient.device());
        }
    }

    #[cfg(feature = "ndarray")]
    #[test]
    fn each_device_computes_its_part_and_the_first_gets_the_sum() {
        let model = model();
        let first = model.device();
        let other = DeviceChoice::NdArray.open().unwrap();
        let features = features(&[9, 5, 6, 2]);
        let features: Vec<&Feature> = features.iter().collect();
        let loss_weights = LossWeights::uniform(model.config().id2label.len());
        let micro_batches = MicroBatching {
            batch_size: 4,
            devices: 2,
            head: Head::Linear,
            loss_weights: &loss_weights,
            distillation: None,
        };
        let batch = micro_batches.pack(&features, 0);
        let of = |gradients: &GradientsParams| {
            let mut devices = Devices(gradients, Vec::new());
            model.visit(&mut devices);
            assert!(devices.1.iter().all(|device| *device == devices.1[0]));
            devices.1.swap_remove(0)
        };
        let others = [other.clone()];
        let (own, rest) =
            on_each_device(&model, &others, &batch.micro_batches, &loss_weights).unwrap();
        assert_eq!((of(&own.gradients), own.subwords), (first.clone(), 11));
        assert_eq!((of(&rest[0].gradients), rest[0].subwords), (other, 11));
        let sum = forward_backward(&model, &others, &batch, &loss_weights).unwrap();
        assert_eq!((of(&sum.gradients), sum.subwords), (first, 22));
    }

    #[test]
    fn a_device_is_given_once() {
        let flex = DeviceChoice::Flex.open().unwrap();
        let refused = DataParallel::new(model(), vec![flex]).unwrap_err();
        assert!(
            refused.to_string().contains("give each device once"),
            "{refused}"
        );
    }
}
