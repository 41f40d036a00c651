//! The operations composed of Burn's own, for any device.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Bool, Distribution, Int, Tensor, TensorData};

use super::{AdamWStep, Dropout, LossWeights, Moments};

/// Sequences are padded to multiples of this, so that a device that tunes its kernels for each shape sees few shapes.
const LENGTH_BUCKET: usize = 32;

/// Burn's own GELU has a tanh-approximated derivative off `flex`; composed of `erf`, it is exact on every device.
pub fn gelu(x: Tensor<2>) -> Tensor<2> {
    let cdf = (x.clone() * std::f64::consts::FRAC_1_SQRT_2)
        .erf()
        .add_scalar(1.0)
        * 0.5;
    x * cdf
}

/// Draws from the device's generator, which the caller seeds; the seed in `dropout` serves kernels that need no generator.
pub fn dropout<const D: usize>(x: Tensor<D>, dropout: Dropout) -> Tensor<D> {
    if dropout.probability == 0.0 {
        return x;
    }
    let keep = 1.0 - f64::from(dropout.probability);
    let mask = x.random_like(Distribution::Bernoulli(keep));
    x * mask * (1.0 / keep)
}

/// Pads the rows of each sequence to the longest one, and takes the padding out again.
pub fn attention(
    query_key_value: [Tensor<2>; 3],
    boundaries: &[usize],
    heads: usize,
    attention_dropout: Dropout,
) -> Tensor<2> {
    let [rows, hidden] = query_key_value[0].dims();
    let device = query_key_value[0].device();
    let head_dim = hidden / heads;
    let sequences = boundaries.len() - 1;
    let longest = boundaries
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or(0)
        .next_multiple_of(LENGTH_BUCKET);

    let mut padded_to_packed = vec![0_i64; sequences * longest]; // padding reads row 0, and is masked
    let mut packed_to_padded = vec![0_i64; rows];
    let mut is_padding = vec![true; sequences * longest];
    for (sequence, pair) in boundaries.windows(2).enumerate() {
        for (offset, row) in (pair[0]..pair[1]).enumerate() {
            let slot = sequence * longest + offset;
            padded_to_packed[slot] = row as i64;
            packed_to_padded[row] = slot as i64;
            is_padding[slot] = false;
        }
    }
    let no_padding = rows == sequences * longest;
    let indices = |values: Vec<i64>| {
        let count = values.len();
        Tensor::<1, Int>::from_data(TensorData::new(values, [count]), &device)
    };
    let padded_to_packed = indices(padded_to_packed);

    let [query, key, value] = query_key_value.map(|x| {
        let padded = if no_padding {
            x
        } else {
            x.select(0, padded_to_packed.clone())
        };
        padded
            .reshape([sequences, longest, heads, head_dim])
            .swap_dims(1, 2) // [sequences, heads, longest, head_dim]
    });
    let scale = 1.0 / (head_dim as f64).sqrt();
    let mut scores = (query * scale).matmul(key.transpose()); // [sequences, heads, longest, longest]
    if !no_padding {
        let mask = TensorData::new(is_padding, [sequences, 1, 1, longest]);
        scores = scores.mask_fill(Tensor::<4, Bool>::from_data(mask, &device), f32::MIN);
    }
    let context = dropout(softmax(scores, 3), attention_dropout).matmul(value);
    let context = context
        .swap_dims(1, 2)
        .reshape([sequences * longest, hidden]);
    if no_padding {
        context
    } else {
        context.select(0, indices(packed_to_padded))
    }
}

pub fn cross_entropy(
    logits: Tensor<2>,
    labels: &[Option<u32>],
    weights: &LossWeights,
) -> Tensor<1> {
    let device = logits.device();
    let [_, width] = logits.dims();
    let labelled: Vec<i64> = (0..)
        .zip(labels)
        .filter_map(|(row, label)| label.map(|_| row))
        .collect();
    let count = labelled.len();
    if count == 0 {
        return logits.sum() * 0.0;
    }
    let mut targets = vec![0.0; count * width];
    for (&label, target) in labels.iter().flatten().zip(targets.chunks_exact_mut(width)) {
        weights.target(label as usize, target);
    }
    let rows = Tensor::<1, Int>::from_data(TensorData::new(labelled, [count]), &device);
    let targets = Tensor::<2>::from_data(TensorData::new(targets, [count, width]), &device);
    -(log_softmax(logits.select(0, rows), 1) * targets).sum() / weights.total(labels)
}

pub fn global_norm(gradients: &[Tensor<1>]) -> f64 {
    let squares = gradients
        .iter()
        .map(|gradient| (gradient.clone() * gradient.clone()).sum());
    squares
        .reduce(|sum, square| sum + square)
        .map_or(0.0, |sum| f64::from(sum.into_scalar::<f32>()).sqrt())
}

pub fn adamw(
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    step: &AdamWStep,
) -> (Tensor<1>, Moments) {
    let gradient = gradient * step.gradient_scale;
    let first = moments.first * step.beta1 + gradient.clone() * (1.0 - step.beta1);
    let second = moments.second * step.beta2 + gradient.clone() * gradient * (1.0 - step.beta2);
    let denominator = second.clone().sqrt() * step.root_correction() + step.epsilon;
    let decayed = parameter * (1.0 - step.learning_rate * step.weight_decay);
    (
        decayed - first.clone() / denominator * step.corrected_rate(),
        Moments { first, second },
    )
}
