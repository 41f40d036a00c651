//! The operations composed of Burn's own, for any device.

use burn::nn::Linear;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::module;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Distribution, FloatDType, Int, Tensor, TensorData};

use super::fused::Mask;
use crate::Error;
use crate::batch::RowLayout;
use crate::device::read;

use super::{AdamWStep, Dropout, LossWeights, Moments};

/// Sequences are padded to multiples of this, so that a device that tunes its kernels for each shape sees few shapes.
pub const LENGTH_BUCKET: usize = 32;

/// `x · weight` of factors rounded to bf16, then the bias in f32.
pub fn linear_bf16(x: Tensor<2>, layer: &Linear) -> Tensor<2> {
    let product = product(x, layer.weight.val(), FloatDType::BF16);
    match &layer.bias {
        Some(bias) => product + bias.val().unsqueeze(),
        None => product,
    }
}

/// A product in f32 of factors of the given type.
fn product<const D: usize>(a: Tensor<D>, b: Tensor<D>, factors: FloatDType) -> Tensor<D> {
    if factors == FloatDType::F32 {
        return a.matmul(b);
    }
    a.cast(factors)
        .matmul(b.cast(factors))
        .cast(FloatDType::F32)
}

/// Burn's own GELU has a tanh-approximated derivative off `flex`; composed of `erf`, it is exact on every device.
pub fn gelu(x: Tensor<2>) -> Tensor<2> {
    let cdf = (x.clone() * std::f64::consts::FRAC_1_SQRT_2)
        .erf()
        .add_scalar(1.0)
        * 0.5;
    x * cdf
}

/// Dropout of independent elements. Draws from the device's generator, which the caller seeds, or drops what the fused form drops: `number` is
/// the one that a row of the last dimension has there.
pub fn dropout<const D: usize>(
    x: Tensor<D>,
    dropout: Dropout,
    number: impl Fn(usize) -> usize,
) -> Tensor<D> {
    let Some(mask) = Mask::new(dropout) else {
        return x;
    };
    let keep = 1.0 - f64::from(dropout.probability);
    let kept = if dropout.draws {
        x.random_like(Distribution::Bernoulli(keep))
    } else {
        let rows = x.shape().num_elements() / x.dims()[D - 1];
        hashed_mask(&x, mask, (0..rows).map(number))
    };
    x * kept * (1.0 / keep)
}

/// 1 for each element that [`Mask`] keeps, 0 for the others. 32-bit arithmetic in 64-bit integers: no product overflows.
fn hashed_mask<const D: usize>(
    x: &Tensor<D>,
    mask: Mask,
    rows: impl Iterator<Item = usize>,
) -> Tensor<D> {
    const LOW_32_BITS: i64 = 0xffff_ffff;
    let (device, shape) = (x.device(), x.dims());
    let integers = |values: Vec<i64>, shape: [usize; 2]| {
        let options = (&device, DType::I64);
        Tensor::<2, Int>::from_data(TensorData::new(values, shape), options)
    };
    let keys: Vec<i64> = rows.map(|row| i64::from(mask.row(row).key())).collect();
    let (rows, width) = (keys.len(), shape[D - 1]);
    let columns = (0..width).map(|column| i64::from(Mask::column(column)));
    let mut hash = integers(keys, [rows, 1])
        .expand([rows, width])
        .bitwise_xor(integers(columns.collect(), [1, width]).expand([rows, width]));
    for (shift, multiplier) in Mask::ROUNDS {
        let mixed = hash
            .clone()
            .bitwise_xor(hash.bitwise_right_shift_scalar(shift));
        // The same product in its low bits, and too small to overflow.
        let multiplier = i64::from(multiplier as i32);
        hash = mixed.mul_scalar(multiplier).bitwise_and_scalar(LOW_32_BITS);
    }
    let hash = hash
        .clone()
        .bitwise_xor(hash.bitwise_right_shift_scalar(Mask::LAST_SHIFT));
    hash.greater_equal_elem(i64::from(mask.threshold()))
        .float()
        .reshape(shape)
}

/// Attention of padded sequences, none of which sees its padding. In 16 bits, without dropout and gradients, it is Burn's fused form.
///
/// # Shapes
/// - each of the three, and the output: `[sequences * length, heads * head_dim]`
pub fn attention(
    query_key_value: [Tensor<2>; 3],
    layout: &RowLayout<'_>,
    heads: usize,
    attention_dropout: Dropout,
    factors: FloatDType,
) -> Tensor<2> {
    let [rows, hidden] = query_key_value[0].dims();
    let device = query_key_value[0].device();
    let head_dim = hidden / heads;
    let sequences = layout.boundaries().len() - 1;
    let longest = rows / sequences;
    let [query, key, value] = query_key_value.map(|x| {
        x.reshape([sequences, longest, heads, head_dim])
            .swap_dims(1, 2) // [sequences, heads, longest, head_dim]
    });
    let mask = layout.padding();
    // Not for f32: fused kernels of CubeCL may multiply in f16 whatever the type of the tensors.
    let is_fused = factors != FloatDType::F32
        && Mask::new(attention_dropout).is_none()
        && !device.is_autodiff();
    let context = if is_fused {
        let mask = mask.map(|mask| mask.expand([sequences, heads, longest, longest]));
        let [query, key, value] = [query, key, value].map(|x| x.cast(factors));
        let options = AttentionModuleOptions::default();
        module::attention(query, key, value, mask, None, options).cast(FloatDType::F32)
    } else {
        let scale = 1.0 / (head_dim as f64).sqrt();
        let mut scores = product(query * scale, key.transpose(), factors); // [sequences, heads, longest, longest]
        if let Some(mask) = mask {
            scores = scores.mask_fill(mask, f32::MIN);
        }
        let row_number = |slot: usize| {
            let (sequence, head, query) = (
                slot / (heads * longest),
                slot / longest % heads,
                slot % longest,
            );
            layout.subword(sequence * longest + query) * heads + head
        };
        let probabilities = dropout(softmax(scores, 3), attention_dropout, row_number);
        product(probabilities, value, factors)
    };
    context.swap_dims(1, 2).reshape([rows, hidden])
}

pub fn cross_entropy(
    logits: Tensor<2>,
    labels: &[Option<u32>],
    weights: &LossWeights,
) -> Tensor<1> {
    let device = logits.device();
    let [_, width] = logits.dims();
    if labels.iter().all(Option::is_none) {
        return logits.sum() * 0.0;
    }
    let mut targets = vec![0.0; labels.len() * width]; // zeros where there is no label
    for (label, target) in labels.iter().zip(targets.chunks_exact_mut(width)) {
        if let Some(label) = label {
            weights.target(*label as usize, target);
        }
    }
    let targets = Tensor::<2>::from_data(TensorData::new(targets, [labels.len(), width]), &device);
    -(log_softmax(logits, 1) * targets).sum() / weights.total(labels)
}

/// A function with these derivatives, less its own value, is 0 with these derivatives.
pub fn with_gradient<const D: usize>(x: Tensor<D>, loss: f32, gradient: Vec<f32>) -> Tensor<1> {
    let gradient = Tensor::<D>::from_data(TensorData::new(gradient, x.dims()), &x.device());
    let linear = (x * gradient).sum();
    linear.clone() - linear.detach() + loss
}

pub fn global_norm(gradients: &[Tensor<1>]) -> Result<f64, Error> {
    let squares = gradients
        .iter()
        .map(|gradient| (gradient.clone() * gradient.clone()).sum());
    let sum = match squares.reduce(|sum, square| sum + square) {
        Some(sum) => read(sum)?.iter().map(|&sum| f64::from(sum)).sum(),
        None => 0.0_f64,
    };
    Ok(sum.sqrt())
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
    let decayed = parameter * step.decay_factor();
    (
        decayed - first.clone() / denominator * step.corrected_rate(),
        Moments { first, second },
    )
}
