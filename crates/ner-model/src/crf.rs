//! A linear-chain conditional random field over the words of a sequence (Lafferty et al. 2001,
//! <https://repository.upenn.edu/handle/20.500.14332/6188>): scores for which label follows which, learnt with the rest of the model.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::decode::Likelihood;
use crate::device::read;
use crate::ops::Ops;
use crate::{Batch, Error, Logits, Transitions};

/// Scores of label sequences beside those of the labels themselves. The names are those of the `pytorch-crf` package.
#[derive(Module, Debug)]
pub struct Crf {
    /// `[labels (from), labels (to)]`
    transitions: Param<Tensor<2>>,
    /// `[labels]`
    start_transitions: Param<Tensor<1>>,
    /// `[labels]`
    end_transitions: Param<Tensor<1>>,
}

impl Crf {
    /// One that prefers no sequence.
    pub(crate) fn init(labels: usize, device: &Device) -> Self {
        let row = || Initializer::Zeros.init([labels], device);
        Self {
            transitions: Initializer::Zeros.init([labels, labels], device),
            start_transitions: row(),
            end_transitions: row(),
        }
    }

    /// The scores, on the host.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn scores(&self) -> Result<Transitions, Error> {
        fn scores<const D: usize>(tensor: &Param<Tensor<D>>) -> Result<Vec<f64>, Error> {
            Ok(read(tensor.val())?.into_iter().map(f64::from).collect())
        }
        Ok(Transitions::scored(
            scores(&self.start_transitions)?,
            scores(&self.end_transitions)?,
            scores(&self.transitions)?,
        ))
    }

    /// Negative logarithm of the probability of the labels, over their number. Zero where there is none.
    ///
    /// In each sequence of the batch, the sub-words that carry a label are the chain; the others are passed over. Loss and gradient are
    /// computed on the host: logits are few numbers, and the forward-backward algorithm is a chain of as many small steps as there are words.
    ///
    /// # Shapes
    /// - logits: `[targets, labels]`; labels: one a row; output: `[1]`
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn loss(
        &self,
        ops: &Ops,
        logits: Tensor<2>,
        batch: &Batch,
        labels: &[Option<u32>],
    ) -> Result<Tensor<1>, Error> {
        assert_eq!(labels.len(), logits.dims()[0], "one label a row");
        let chains = batch.target_ranges().map(|range| {
            let labelled = range.filter_map(|row| labels[row].map(|label| (row, label)));
            labelled.collect::<Vec<(usize, u32)>>()
        });
        let chains: Vec<Vec<(usize, u32)>> = chains.filter(|chain| !chain.is_empty()).collect();
        let words: usize = chains.iter().map(Vec::len).sum();
        if words == 0 {
            return Ok(logits.sum() * 0.0);
        }
        let transitions = self.scores()?;
        let on_host = Logits::read(logits.clone())?;
        let likelihoods: Vec<Likelihood> = chains
            .par_iter()
            .map(|chain| {
                let rows = chain.iter().map(|&(row, _)| on_host.row(row));
                let labels: Vec<u32> = chain.iter().map(|&(_, label)| label).collect();
                transitions.likelihood(&rows.collect::<Vec<_>>(), &labels)
            })
            .collect();
        let count = on_host.label_count();
        let mut of_logits = vec![0.0_f32; on_host.len() * count];
        let mut sum = Likelihood::zero(count);
        let share = 1.0 / words as f64;
        for (chain, found) in chains.iter().zip(&likelihoods) {
            for (&(row, _), gradient) in chain.iter().zip(found.words.chunks_exact(count)) {
                let slots = of_logits[row * count..].iter_mut();
                slots
                    .zip(gradient)
                    .for_each(|(slot, x)| *slot = (x * share) as f32);
            }
            sum.add(found);
        }
        let scaled = |values: &[f64]| values.iter().map(|x| (x * share) as f32).collect();
        let loss = (sum.negative_log * share) as f32;
        let [start, end] = [&self.start_transitions, &self.end_transitions].map(Param::val);
        Ok(ops.with_gradient(logits, loss, of_logits)
            + ops.with_gradient(self.transitions.val(), 0.0, scaled(&sum.between))
            + ops.with_gradient(start, 0.0, scaled(&sum.start))
            + ops.with_gradient(end, 0.0, scaled(&sum.end)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::module::ParamId;
    use burn::tensor::TensorData;

    const LABELS: usize = 3;

    /// Numbers between -2 and 2.
    fn numbers(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1 << 22) - 2.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// The loss by counting out every sequence. `values`: logits `[rows, labels]`, transitions, start, end.
    fn brute_force(values: &[f64], batch: &Batch, labels: &[Option<u32>]) -> f64 {
        let rows = labels.len();
        let (logits, rest) = values.split_at(rows * LABELS);
        let (between, rest) = rest.split_at(LABELS * LABELS);
        let (start, end) = rest.split_at(LABELS);
        let (mut loss, mut words) = (0.0, 0);
        for range in batch.ranges() {
            let rows: Vec<usize> = range.filter(|&row| labels[row].is_some()).collect();
            if rows.is_empty() {
                continue;
            }
            let score = |sequence: &[usize]| {
                let emissions = rows
                    .iter()
                    .zip(sequence)
                    .map(|(row, label)| logits[row * LABELS + label]);
                let links = sequence
                    .windows(2)
                    .map(|pair| between[pair[0] * LABELS + pair[1]]);
                start[sequence[0]]
                    + end[sequence[rows.len() - 1]]
                    + emissions.sum::<f64>()
                    + links.sum::<f64>()
            };
            let all = (0..LABELS.pow(rows.len() as u32)).map(|number| {
                let sequence: Vec<usize> = (0..rows.len() as u32)
                    .map(|word| number / LABELS.pow(word) % LABELS)
                    .collect();
                score(&sequence).exp()
            });
            let given: Vec<usize> = rows
                .iter()
                .map(|&row| labels[row].unwrap() as usize)
                .collect();
            loss += all.sum::<f64>().ln() - score(&given);
            words += rows.len();
        }
        loss / words.max(1) as f64
    }

    #[test]
    fn loss_and_gradients_are_those_of_brute_force() {
        let device = Device::flex().autodiff();
        let batch: Batch = [5, 1, 3, 7, 2].map(|len| 0..len).into_iter().collect();
        let labels: Vec<Option<u32>> = [
            [None, Some(0), Some(2), None, None].as_slice(),
            &[Some(1)],
            &[None; 3],
            &[Some(2), Some(2), None, Some(1), Some(0), Some(1), None],
            &[Some(0), Some(1)],
        ]
        .concat();
        let rows = labels.len();
        let sizes = [rows * LABELS, LABELS * LABELS, LABELS, LABELS];
        let values = numbers(sizes.iter().sum(), 3);
        let mut at = 0;
        let mut part = |size: usize| {
            at += size;
            values[at - size..at]
                .iter()
                .map(|&x| x as f32)
                .collect::<Vec<f32>>()
        };
        let [logits, between, start, end] = sizes.map(&mut part);
        let logits =
            Tensor::<2>::from_data(TensorData::new(logits, [rows, LABELS]), &device).require_grad();
        let row = |values: Vec<f32>| {
            let row = Tensor::<1>::from_data(TensorData::new(values, [LABELS]), &device);
            Param::initialized(ParamId::new(), row.require_grad())
        };
        let between = Tensor::<2>::from_data(TensorData::new(between, [LABELS, LABELS]), &device);
        let crf = Crf {
            transitions: Param::initialized(ParamId::new(), between.require_grad()),
            start_transitions: row(start),
            end_transitions: row(end),
        };
        let ops = Ops::for_device(&device);
        let loss = crf.loss(&ops, logits.clone(), &batch, &labels).unwrap();
        let expected = brute_force(&values, &batch, &labels);
        assert!((f64::from(loss.clone().into_scalar::<f32>()) - expected).abs() < 1e-5);

        let gradients = loss.backward();
        let read = |data: TensorData| data.iter::<f64>().collect::<Vec<f64>>();
        let found = [
            read(logits.grad(&gradients).unwrap().into_data()),
            read(crf.transitions.val().grad(&gradients).unwrap().into_data()),
            read(
                crf.start_transitions
                    .val()
                    .grad(&gradients)
                    .unwrap()
                    .into_data(),
            ),
            read(
                crf.end_transitions
                    .val()
                    .grad(&gradients)
                    .unwrap()
                    .into_data(),
            ),
        ]
        .concat();
        for (index, found) in found.into_iter().enumerate() {
            let at = |change: f64| {
                let mut values = values.clone();
                values[index] += change;
                brute_force(&values, &batch, &labels)
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (found - expected).abs() < 1e-5,
                "{index}: {found} {expected}"
            );
        }
    }

    #[test]
    fn without_labels_there_is_no_loss() {
        let device = Device::flex();
        let batch: Batch = [[0, 1]].into_iter().collect();
        let crf = Crf::init(LABELS, &device);
        let (ops, logits) = (Ops::for_device(&device), Tensor::ones([2, LABELS], &device));
        let loss = crf.loss(&ops, logits, &batch, &[None; 2]).unwrap();
        assert_eq!(loss.into_scalar::<f32>(), 0.0);
    }
}
