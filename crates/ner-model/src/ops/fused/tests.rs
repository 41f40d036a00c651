//! Every operation against its plain form, against finite differences, and against itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use burn::module::{Param, ParamId};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, FloatDType, Gradients, Int, Tensor, TensorData};

use crate::Batch;
use crate::batch::RowLayout;
use crate::ops::{AdamWStep, Dropout, Factors, LossWeights, Moments, fused, plain, split_mix};

const EPSILON: f64 = 1e-5;
const DROPOUT: Dropout = Dropout {
    probability: 0.3,
    seed: 11,
    draws: false,
};

fn devices() -> Vec<Device> {
    #[cfg(feature = "ndarray")]
    #[expect(
        deprecated,
        reason = "kept as a device that users can choose until Burn removes it"
    )]
    return vec![Device::flex(), Device::ndarray()];
    #[cfg(not(feature = "ndarray"))]
    vec![Device::flex()]
}

/// Numbers between -1 and 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    (0..count as u64)
        .map(|i| (split_mix(seed << 40 | i) >> 40) as f32 / (1 << 23) as f32 - 1.0)
        .collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// The output from the inputs, by the fused form or the plain one.
type Operation = dyn Fn(&[Tensor<2>], bool) -> Tensor<2> + Sync;

/// An operation on `inputs`, the first of which are activations `[rows, _]`, the others parameters.
struct Case {
    name: String,
    shapes: Vec<[usize; 2]>,
    operation: Box<Operation>,
}

fn row(x: &Tensor<2>) -> Param<Tensor<1>> {
    Param::initialized(ParamId::new(), x.clone().flatten(0, 1))
}

fn linear_layer(inputs: &[Tensor<2>]) -> Linear {
    Linear {
        weight: Param::initialized(ParamId::new(), inputs[0].clone()),
        bias: Some(row(&inputs[1])),
    }
}

fn norm_layer(gamma: &Tensor<2>, beta: &Tensor<2>) -> LayerNorm {
    let mut norm = LayerNormConfig::new(gamma.dims()[1])
        .with_epsilon(EPSILON)
        .init(&gamma.device());
    (norm.gamma, norm.beta) = (row(gamma), Some(row(beta)));
    norm
}

fn case(
    name: impl Into<String>,
    shapes: Vec<[usize; 2]>,
    operation: impl Fn(&[Tensor<2>], bool) -> Tensor<2> + Sync + 'static,
) -> Case {
    Case {
        name: name.into(),
        shapes,
        operation: Box::new(operation),
    }
}

/// All operations in several sizes; those with dropout have no plain form that drops the same elements.
fn cases(dropout: Dropout) -> Vec<Case> {
    let mut cases = Vec::new();
    for [rows, inputs, outputs] in [[1, 1, 1], [2, 48, 9], [17, 31, 65], [128, 64, 256]] {
        let shapes = vec![[rows, inputs], [inputs, outputs], [1, outputs]];
        cases.push(case(
            format!("linear {shapes:?}"),
            shapes,
            |inputs, fused| {
                let (x, layer) = (inputs[0].clone(), linear_layer(&inputs[1..]));
                if fused {
                    fused::linear(x, &layer, Factors::F32)
                } else {
                    layer.forward(x)
                }
            },
        ));
        let shapes = vec![[rows, inputs], [inputs, outputs], [1, outputs]];
        cases.push(case(
            format!("linear_gelu {shapes:?}"),
            shapes,
            |inputs, fused| {
                let (x, layer) = (inputs[0].clone(), linear_layer(&inputs[1..]));
                if fused {
                    fused::linear_gelu(x, &layer, Factors::F32)
                } else {
                    plain::gelu(layer.forward(x))
                }
            },
        ));
        cases.push(case(
            format!("dropout {rows} x {inputs}"),
            vec![[rows, inputs]],
            move |inputs, fused| {
                if fused {
                    fused::dropout(inputs[0].clone(), dropout)
                } else {
                    plain::dropout(inputs[0].clone(), dropout, |row| row)
                }
            },
        ));
        let width = inputs + 1; // a row of one element has variance 0
        let shapes = vec![[rows, width], [rows, width], [1, width], [1, width]];
        cases.push(case(
            format!("residual_layer_norm {rows} x {width}"),
            shapes,
            move |inputs, fused| {
                let (x, residual) = (inputs[0].clone(), inputs[1].clone());
                let norm = norm_layer(&inputs[2], &inputs[3]);
                if fused {
                    fused::residual_layer_norm(x, residual, &norm, EPSILON, dropout)
                } else {
                    norm.forward(plain::dropout(x, dropout, |row| row) + residual)
                }
            },
        ));
    }
    for (boundaries, heads, head_dim) in [
        (vec![0, 1], 1, 1),
        (vec![0, 1, 3, 20, 25], 3, 16),
        (vec![0, 128], 2, 64),
        (vec![0, 17, 18, 18, 35, 70, 72], 4, 5),
        (vec![0, 2, 130], 1, 64),
    ] {
        let (rows, hidden) = (*boundaries.last().unwrap(), heads * head_dim);
        let mut shapes = vec![[rows, hidden]];
        (0..3).for_each(|_| shapes.extend([[hidden, hidden], [1, hidden]]));
        let name = format!("self_attention {boundaries:?}, {heads} x {head_dim}");
        cases.push(case(name, shapes, move |inputs, fused| {
            let x = inputs[0].clone();
            let [q, k, v] = [1, 3, 5].map(|first| linear_layer(&inputs[first..]));
            if fused {
                fused::self_attention(x, [&q, &k, &v], &boundaries, heads, dropout, Factors::F32)
            } else {
                let lengths = boundaries.windows(2).map(|pair| pair[1] - pair[0]);
                let batch: Batch = lengths.map(|length| vec![0; length]).collect();
                let layout = RowLayout::padded(&batch, batch.longest() + 1, &x.device());
                let select = |x: Tensor<2>, rows: Vec<i64>| {
                    let rows = Tensor::<1, Int>::from_ints(rows.as_slice(), &x.device());
                    x.select(0, rows)
                };
                let subwords = (0..layout.rows()).map(|row| layout.subword(row).min(rows - 1));
                let x = select(x, subwords.map(|row| row as i64).collect());
                let projected = [&q, &k, &v].map(|layer| layer.forward(x.clone()));
                let padded = plain::attention(projected, &layout, heads, dropout, FloatDType::F32);
                select(padded, layout.targets().unwrap())
            }
        }));
    }
    for columns in 1..10 {
        let rows = 3 * columns;
        let weights = LossWeights {
            classes: (0..columns).map(|class| 0.5 + class as f32).collect(),
            smoothing: 0.05 * (columns % 3) as f32,
        };
        let labels: Vec<_> = (0..rows as u32)
            .map(|row| (row % 3 != 1).then_some(row % columns as u32))
            .collect();
        cases.push(case(
            format!("cross_entropy {rows} x {columns}"),
            vec![[rows, columns]],
            move |inputs, fused| {
                let logits = inputs[0].clone() * 5.0;
                let loss = if fused {
                    fused::cross_entropy(logits, &labels, &weights)
                } else {
                    plain::cross_entropy(logits, &labels, &weights)
                };
                loss.unsqueeze()
            },
        ));
    }
    cases
}

impl Case {
    fn inputs(&self) -> Vec<Vec<f32>> {
        self.shapes
            .iter()
            .enumerate()
            .map(|(i, shape)| numbers(shape[0] * shape[1], i as u64))
            .collect()
    }

    fn tensors(&self, inputs: Vec<Vec<f32>>, device: &Device) -> Vec<Tensor<2>> {
        let shapes = self.shapes.iter().copied();
        inputs
            .into_iter()
            .zip(shapes)
            .map(|(x, shape)| Tensor::from_data(TensorData::new(x, shape), device))
            .collect()
    }

    /// The output, then the gradients of its product with fixed numbers.
    fn evaluate(&self, device: &Device, fused: bool) -> Vec<Vec<f32>> {
        let inputs: Vec<_> = self.tensors(self.inputs(), &device.clone().autodiff());
        let inputs: Vec<_> = inputs.into_iter().map(Tensor::require_grad).collect();
        let output = (self.operation)(&inputs, fused);
        let shape = output.dims();
        let weights = TensorData::new(numbers(shape[0] * shape[1], 99), shape);
        let gradients: Gradients = (output.clone()
            * Tensor::from_data(weights, &device.clone().autodiff()))
        .sum()
        .backward();
        let gradients = inputs
            .iter()
            .map(|input| values(input.grad(&gradients).unwrap()));
        std::iter::once(values(output.inner()))
            .chain(gradients)
            .collect()
    }

    /// The product of the output with fixed numbers, off autodiff.
    fn objective(&self, inputs: Vec<Vec<f32>>, device: &Device) -> f64 {
        let output = values((self.operation)(&self.tensors(inputs, device), true));
        output
            .iter()
            .zip(numbers(output.len(), 99))
            .map(|(&y, w)| f64::from(y) * f64::from(w))
            .sum()
    }
}

fn largest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |a, b| a.max(b.abs()))
}

#[test]
fn outputs_and_gradients_match_the_plain_form() {
    for device in devices() {
        for case in [cases(Dropout::OFF), cases(DROPOUT)].into_iter().flatten() {
            let (fused, plain) = (case.evaluate(&device, true), case.evaluate(&device, false));
            let overall = plain.iter().map(|x| largest(x)).fold(0.0, f32::max);
            for (number, (fused, plain)) in fused.iter().zip(&plain).enumerate() {
                // A key's bias moves all logits of a row alike, so its true gradient is zero: hence the second scale.
                let scale = largest(plain).max(0.1 * overall);
                let error = largest(
                    &fused
                        .iter()
                        .zip(plain)
                        .map(|(a, b)| a - b)
                        .collect::<Vec<_>>(),
                );
                assert!(
                    error <= 1e-5 * scale,
                    "{}, {device:?}, tensor {number}: {error} of {scale}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn gradients_match_finite_differences() {
    for device in devices() {
        for case in [cases(Dropout::OFF), cases(DROPOUT)].into_iter().flatten() {
            let gradients = case.evaluate(&device, true).split_off(1);
            for (changed, gradient) in gradients.iter().enumerate() {
                let direction = numbers(gradient.len(), 50 + changed as u64);
                // Small enough for the curvature of a normalised row of two columns, large enough for single precision.
                let step = if gradient.len() < 8 {
                    5e-4
                } else {
                    1e-2 / (gradient.len() as f32).sqrt()
                };
                let at = |sign: f32| {
                    let mut inputs = case.inputs();
                    inputs[changed]
                        .iter_mut()
                        .zip(&direction)
                        .for_each(|(x, d)| *x += sign * step * d);
                    case.objective(inputs, &device)
                };
                let (above, below) = (at(1.0), at(-1.0));
                let numeric = (above - below) / (2.0 * f64::from(step));
                let rounding =
                    8.0 * f64::from(f32::EPSILON) * above.abs().max(1.0) / f64::from(step);
                let products = gradient
                    .iter()
                    .zip(&direction)
                    .map(|(&g, &d)| f64::from(g) * f64::from(d));
                let analytic: f64 = products.clone().sum();
                // Typical size of the sum, were its terms' signs random: the noise of single precision scales with it.
                let scale = products.map(|p| p * p).sum::<f64>().sqrt() + 0.05;
                let error = (numeric - analytic).abs();
                assert!(
                    error < 0.02 * scale + rounding,
                    "{}, {device:?}, input {changed}: {analytic}, not {numeric}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn thread_counts_and_repetitions_give_the_same_bits() {
    for case in cases(DROPOUT) {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| case.evaluate(&Device::flex(), true))
        };
        let wanted = run(2);
        for threads in [1, 2, 3] {
            assert_eq!(run(threads), wanted, "{}, {threads} threads", case.name);
        }
    }
}

#[test]
fn devices_and_autodiff_give_the_same_bits() {
    for case in cases(DROPOUT) {
        let wanted = case.evaluate(&Device::flex(), true);
        for device in devices() {
            let got = case.evaluate(&device, true);
            assert_eq!(got[0], wanted[0], "{}, {device:?}", case.name);
            let output = values((case.operation)(
                &case.tensors(case.inputs(), &device),
                true,
            ));
            assert_eq!(
                output, wanted[0],
                "{}, {device:?} without autodiff",
                case.name
            );
        }
    }
}

#[test]
fn frozen_inputs_get_no_gradient_and_disturb_no_other() {
    let case = cases(DROPOUT)
        .into_iter()
        .find(|case| case.name.starts_with("self_attention [0, 1, 3"))
        .unwrap();
    let wanted = case.evaluate(&Device::flex(), true);
    for tracked in 0..case.shapes.len() {
        let mut inputs = case.tensors(case.inputs(), &Device::flex().autodiff());
        inputs[tracked] = inputs[tracked].clone().require_grad();
        let output = (case.operation)(&inputs, true);
        let shape = output.dims();
        let weights = TensorData::new(numbers(shape[0] * shape[1], 99), shape);
        let gradients = (output * Tensor::from_data(weights, &Device::flex().autodiff()))
            .sum()
            .backward();
        for (number, input) in inputs.iter().enumerate() {
            let gradient = input.grad(&gradients).map(values);
            assert_eq!(
                gradient,
                (number == tracked).then(|| wanted[number + 1].clone()),
                "input {number}"
            );
        }
    }
}

#[test]
fn inputs_are_unharmed_and_views_are_read_rightly() {
    for device in devices() {
        let x = Tensor::<2>::from_data(TensorData::new(numbers(6 * 40, 1), [6, 40]), &device);
        let before = values(x.clone());
        for view in [
            x.clone().transpose(),
            x.clone().slice([1..5, 3..40]),
            x.clone(),
        ] {
            let [rows, width] = view.dims();
            let copy = Tensor::<2>::from_data(
                TensorData::new(values(view.clone()), [rows, width]),
                &device,
            );
            let norm = LayerNormConfig::new(width)
                .with_epsilon(EPSILON)
                .init(&device);
            let tensor = |rows, columns| {
                let values = TensorData::new(numbers(rows * columns, 2), [rows, columns]);
                Tensor::<2>::from_data(values, &device)
            };
            let layer = linear_layer(&[tensor(width, 3), tensor(1, 3)]);
            let all = |x: &Tensor<2>| {
                let outputs = [
                    fused::linear_gelu(x.clone(), &layer, Factors::F32),
                    fused::dropout(x.clone(), DROPOUT),
                    fused::residual_layer_norm(x.clone(), x.clone(), &norm, EPSILON, DROPOUT),
                ];
                outputs.map(values)
            };
            assert_eq!(all(&view), all(&copy), "{device:?}");
            assert_eq!(fused::square_sum(view), fused::square_sum(copy));
        }
        assert_eq!(values(x), before, "{device:?}");
    }
}

#[test]
fn a_batch_without_labels_has_no_loss_and_no_gradient() {
    for device in devices() {
        let logits = Tensor::<2>::ones([2, 3], &device.autodiff()).require_grad();
        let loss = fused::cross_entropy(logits.clone(), &[None, None], &LossWeights::uniform(3));
        let gradients = loss.backward();
        assert_eq!(values(loss.inner()), [0.0]);
        assert_eq!(values(logits.grad(&gradients).unwrap()), [0.0; 6]);
    }
}

#[test]
fn both_forms_of_adamw_and_of_the_norm_match_double_precision() {
    type Form = (
        fn(Tensor<1>, Tensor<1>, Moments, &AdamWStep) -> (Tensor<1>, Moments),
        fn(&[Tensor<1>]) -> f64,
    );
    let forms: [Form; 2] = [
        (fused::adamw, fused::global_norm),
        (plain::adamw, |gradients| {
            plain::global_norm(gradients).unwrap()
        }),
    ];
    let count = 37 * 50;
    let (beta1, beta2, epsilon, learning_rate, weight_decay, gradient_scale) =
        (0.9, 0.999, 1e-8, 1e-2, 0.1, 0.25);
    for (device, (adamw, global_norm)) in devices()
        .into_iter()
        .flat_map(|device| forms.map(|form| (device.clone(), form)))
    {
        let tensor = |x: Vec<f32>| Tensor::<1>::from_data(TensorData::new(x, [count]), &device);
        let start = numbers(count, 1);
        let shared = tensor(start.clone());
        let mut parameter = shared.clone();
        let mut moments = Moments {
            first: tensor(vec![0.0; count]),
            second: tensor(vec![0.0; count]),
        };
        let mut wanted: Vec<_> = start.iter().map(|&p| [f64::from(p), 0.0, 0.0]).collect();
        for step in 1..=6 {
            // A transposed view, whose elements lie in another order.
            let gradient = Tensor::<2>::from_data(
                TensorData::new(numbers(count, 10 + step as u64), [50, 37]),
                &device,
            );
            let g = values(gradient.clone().transpose());
            let squares: f64 = g.iter().map(|&g| f64::from(g).powi(2)).sum();
            assert!(
                (fused::square_sum(gradient.clone().transpose()) - squares).abs() < 1e-12 * squares
            );
            let gradient = gradient.transpose().reshape([count]);
            let twice = [gradient.clone(), gradient.clone()];
            let norm = (2.0 * squares).sqrt();
            assert!((global_norm(&twice) - norm).abs() < 1e-6 * norm);
            let numbers = AdamWStep {
                gradient_scale,
                learning_rate,
                weight_decay,
                beta1,
                beta2,
                epsilon,
                step,
            };
            (parameter, moments) = adamw(parameter, gradient, moments, &numbers);
            for ([p, m, v], &g) in wanted.iter_mut().zip(&g) {
                let g = f64::from(g) * gradient_scale;
                *p *= 1.0 - learning_rate * weight_decay;
                *m = beta1 * *m + (1.0 - beta1) * g;
                *v = beta2 * *v + (1.0 - beta2) * g * g;
                let (m, v) = (
                    *m / (1.0 - beta1.powi(step as i32)),
                    *v / (1.0 - beta2.powi(step as i32)),
                );
                *p -= learning_rate * m / (v.sqrt() + epsilon);
            }
        }
        for (index, got) in [parameter, moments.first, moments.second]
            .map(values)
            .iter()
            .enumerate()
        {
            let error = got
                .iter()
                .zip(&wanted)
                .map(|(&a, b)| (f64::from(a) - b[index]).abs())
                .fold(0.0, f64::max);
            assert!(
                error < 1e-6 * f64::from(largest(got)),
                "{device:?}, tensor {index}: {error}"
            );
        }
        assert_eq!(
            values(shared),
            start,
            "a handle held elsewhere keeps its values"
        );
    }
}

#[test]
fn losses_are_those_of_torch() {
    #[derive(serde::Deserialize)]
    struct Golden {
        classes: Vec<f32>,
        smoothing: f32,
        labels: Vec<Option<u32>>,
        logits: Vec<f32>,
        loss: f32,
        gradient: Vec<f32>,
    }
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/goldens/losses/losses.json"
    );
    let goldens: Vec<Golden> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for golden in goldens {
        let weights = LossWeights {
            classes: golden.classes,
            smoothing: golden.smoothing,
        };
        let data = TensorData::new(golden.logits, [golden.labels.len(), 4]);
        for device in devices() {
            for fused in [true, false] {
                let device = device.clone().autodiff();
                let logits = Tensor::<2>::from_data(data.clone(), &device).require_grad();
                let loss = if fused {
                    fused::cross_entropy(logits.clone(), &golden.labels, &weights)
                } else {
                    plain::cross_entropy(logits.clone(), &golden.labels, &weights)
                };
                let gradient = values(logits.grad(&loss.backward()).unwrap());
                assert!((loss.into_scalar::<f32>() - golden.loss).abs() < 1e-5);
                for (found, expected) in gradient.iter().zip(&golden.gradient) {
                    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
                }
            }
        }
    }
}
