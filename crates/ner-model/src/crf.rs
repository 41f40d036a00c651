//! A linear-chain conditional random field over the words of a sequence (Lafferty et al. 2001,
//! <https://repository.upenn.edu/handle/20.500.14332/6188>): scores for which label follows which, learnt with the rest of the model.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::device::read;
use crate::{Batch, Error, Transitions};

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

    /// Scores of one label behind another, `[from, to]`, and of the first and the last one.
    #[cfg(feature = "cuda")]
    pub(crate) fn parameters(&self) -> (Tensor<2>, [Tensor<1>; 2]) {
        let ends = [&self.start_transitions, &self.end_transitions];
        (self.transitions.val(), ends.map(Param::val))
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
    /// In each sequence of the batch, the sub-words that carry a label are the chain; the others are passed over.
    ///
    /// # Shapes
    /// - logits: `[targets, labels]`; labels: one a row; output: `[1]`
    pub(crate) fn loss(
        &self,
        logits: Tensor<2>,
        batch: &Batch,
        labels: &[Option<u32>],
    ) -> Tensor<1> {
        let chains = batch.target_ranges().map(|range| {
            let labelled = range.filter_map(|row| labels[row].map(|label| (row, label as usize)));
            labelled.collect::<Vec<(usize, usize)>>()
        });
        let chains: Vec<_> = chains.filter(|chain| !chain.is_empty()).collect();
        let words: usize = chains.iter().map(Vec::len).sum();
        if words == 0 {
            return logits.sum() * 0.0;
        }
        let of_all = self.log_partition(&logits, &chains);
        let of_labels = self.score(logits, &chains);
        // Chain by chain, because both are large and near each other.
        (of_all - of_labels).sum() / words as f64
    }

    /// Score of each chain's labels: `[chains, 1]`.
    fn score(&self, logits: Tensor<2>, chains: &[Vec<(usize, usize)>]) -> Tensor<2> {
        let device = logits.device();
        let [_, labels] = logits.dims();
        let count = chains.len();
        let words: usize = chains.iter().map(Vec::len).sum();
        let matrix = |values: Vec<f32>, columns: usize| {
            Tensor::<2>::from_data(TensorData::new(values, [count, columns]), &device)
        };
        let column = |values: Vec<i64>| {
            let rows = values.len();
            Tensor::<2, Int>::from_data(TensorData::new(values, [rows, 1]), &device)
        };

        let (rows, wanted): (Vec<i64>, Vec<i64>) = chains
            .iter()
            .flatten()
            .map(|&(row, label)| (row as i64, label as i64))
            .unzip();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [words]), &device);
        let of_words = logits.select(0, rows).gather(1, column(wanted)); // [words, 1]
        let mut is_of_chain = vec![0.0_f32; count * words];
        let mut links = vec![0.0_f32; count * labels * labels];
        let mut first = 0;
        for (number, chain) in chains.iter().enumerate() {
            let start = number * words + first;
            is_of_chain[start..start + chain.len()].fill(1.0);
            first += chain.len();
            for pair in chain.windows(2) {
                links[(number * labels + pair[0].1) * labels + pair[1].1] += 1.0;
            }
        }
        let transitions = self.transitions.val().reshape([labels * labels, 1]);
        let ends = |scores: &Param<Tensor<1>>, labels: Vec<i64>| {
            let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), &device);
            scores.val().select(0, labels).reshape([count, 1])
        };
        let label = |place: Option<&(usize, usize)>| place.map_or(0, |&(_, label)| label as i64);
        let starts = chains.iter().map(|chain| label(chain.first())).collect();
        let stops = chains.iter().map(|chain| label(chain.last())).collect();
        matrix(is_of_chain, words).matmul(of_words)
            + matrix(links, labels * labels).matmul(transitions)
            + ends(&self.start_transitions, starts)
            + ends(&self.end_transitions, stops)
    }

    /// Of each chain, the logarithm of the sum over all label sequences of the exponential of their score, `[chains, 1]`: the forward
    /// algorithm, one step for a word of every chain.
    fn log_partition(&self, logits: &Tensor<2>, chains: &[Vec<(usize, usize)>]) -> Tensor<2> {
        let device = logits.device();
        let [_, labels] = logits.dims();
        let count = chains.len();
        let longest = chains.iter().map(Vec::len).max().unwrap_or(0);
        let transitions = self.transitions.val().unsqueeze::<3>(); // [1, from, to]
        let emissions = |word: usize| {
            let row =
                |chain: &Vec<(usize, usize)>| chain.get(word).map_or(0, |&(row, _)| row as i64);
            let rows: Vec<i64> = chains.iter().map(row).collect();
            let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &device);
            logits.clone().select(0, rows) // [chains, labels]
        };
        let mut forward = emissions(0) + self.start_transitions.val().unsqueeze::<2>();
        for word in 1..longest {
            let goes_on: Vec<f32> = chains
                .iter()
                .map(|chain| f32::from(u8::from(word < chain.len())))
                .collect();
            let goes_on = Tensor::<2>::from_data(TensorData::new(goes_on, [count, 1]), &device);
            let scores = forward.clone().unsqueeze_dim::<3>(2) + transitions.clone();
            let next = log_sum_exp(scores, 1).reshape([count, labels]) + emissions(word);
            forward = forward.clone() + (next - forward) * goes_on;
        }
        let end = self.end_transitions.val().unsqueeze::<2>();
        log_sum_exp(forward + end, 1)
    }
}

fn log_sum_exp<const D: usize>(x: Tensor<D>, dim: usize) -> Tensor<D> {
    let largest = x.clone().detach().max_dim(dim);
    (x - largest.clone()).exp().sum_dim(dim).log() + largest
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::module::ParamId;

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
        let loss = crf.loss(logits.clone(), &batch, &labels);
        let expected = brute_force(&values, &batch, &labels);
        assert!((f64::from(loss.clone().into_scalar::<f32>()) - expected).abs() < 1e-5);

        // The same on the host.
        let mut on_host = 0.0;
        for range in batch.ranges() {
            let chain: Vec<usize> = range.filter(|&row| labels[row].is_some()).collect();
            let logits: Vec<Vec<f32>> = chain
                .iter()
                .map(|row| {
                    values[row * LABELS..(row + 1) * LABELS]
                        .iter()
                        .map(|&x| x as f32)
                        .collect()
                })
                .collect();
            let logits: Vec<&[f32]> = logits.iter().map(Vec::as_slice).collect();
            let labels: Vec<u32> = chain.iter().filter_map(|&row| labels[row]).collect();
            on_host += crf
                .scores()
                .unwrap()
                .negative_log_likelihood(&logits, &labels);
        }
        let words = labels.iter().flatten().count() as f64;
        assert!((on_host / words - expected).abs() < 1e-5);

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
        let loss =
            Crf::init(LABELS, &device).loss(Tensor::ones([2, LABELS], &device), &batch, &[None; 2]);
        assert_eq!(loss.into_scalar::<f32>(), 0.0);
    }
}
