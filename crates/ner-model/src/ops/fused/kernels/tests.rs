//! Kernels against `f64` arithmetic, and instruction sets against each other.

use super::elementwise::exp;
use super::*;
use crate::ops::{Dropout, Factors};

/// Numbers between -4 and 4, as many as asked for.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let bits = |i| crate::ops::split_mix(seed << 32 | i as u64) >> 40;
    (0..count)
        .map(|i| bits(i) as f32 / (1 << 21) as f32 - 4.0)
        .collect()
}

/// The error function's Taylor series.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

#[test]
fn exponential_and_gelu_match_double_precision() {
    for x in numbers(2000, 1) {
        let x = 20.0 * x;
        let wanted = f64::from(x).exp();
        assert!(
            (f64::from(exp(x)) - wanted).abs() <= 2.5e-7 * wanted,
            "exp({x})"
        );
    }
    for x in numbers(2000, 2) {
        let mut y = [x];
        gelu(Isa::detect(), &mut y);
        let x = f64::from(x);
        let cdf = 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
        assert!(
            (f64::from(y[0]) - x * cdf).abs() < 1e-6,
            "gelu({x}) = {}, not {}",
            y[0],
            x * cdf
        );
        let mut slope = [1.0];
        gelu_backward(Isa::detect(), &[x as f32], &mut slope);
        let wanted = cdf + x * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        assert!(
            (f64::from(slope[0]) - wanted).abs() < 1e-6,
            "gelu'({x}) = {}, not {wanted}",
            slope[0]
        );
    }
    assert_eq!(exp(-1e4), exp(-87.0), "no infinity, no subnormal number");
    assert!(exp(f32::NAN).is_nan());
}

/// All kernels on rows of this width, by one instruction set.
fn everything(isa: Isa, width: usize) -> Vec<f32> {
    let [x, g, gamma, beta] = [1, 2, 3, 4].map(|seed| numbers(width, seed));
    let mask = Mask::new(Dropout {
        probability: 0.3,
        seed: 7,
        ..Dropout::OFF
    })
    .map(|mask| mask.row(5));
    let mut all = vec![square_sum(isa, &x) as f32];
    let mut keep = |y: &[f32]| all.extend_from_slice(y);

    let mut y = x.clone();
    gelu(isa, &mut y);
    keep(&y);
    y.copy_from_slice(&g);
    gelu_backward(isa, &x, &mut y);
    keep(&y);
    if let Some(mask) = mask {
        drop_row(isa, mask, &mut y);
    }
    add_rows(isa, &[x.clone(), g.clone()].concat(), &mut y);
    keep(&y);

    let mut normalized = x.clone();
    y.copy_from_slice(&g);
    let inverse = residual_norm_row(isa, mask, &mut normalized, &mut y, &gamma, &beta, 1e-5);
    keep(&[inverse]);
    keep(&y);
    let (mut d_gamma, mut d_beta, mut d_x) = (vec![0.0; width], vec![0.0; width], g.clone());
    norm_backward_row(
        isa,
        &normalized,
        inverse,
        &gamma,
        &mut d_x,
        &mut d_gamma,
        &mut d_beta,
    );
    [normalized, d_gamma, d_beta, d_x]
        .iter()
        .for_each(|y| keep(y));

    let mut p = x.clone();
    keep(&[softmax_row(isa, &mut p)]);
    let mut d_p = g.clone();
    softmax_backward_row(isa, &p, &mut d_p, 0.125);
    keep(&p);
    keep(&d_p);

    let factors = AdamWFactors {
        gradient: 0.5,
        betas: [0.9, 0.999],
        rest: [0.1, 0.001],
        decay: 0.99,
        step: 0.01,
        correction: 1.2,
        epsilon: 1e-8,
    };
    let (mut parameter, mut m, mut v) = (x, gamma, beta.iter().map(|b| b * b).collect::<Vec<_>>());
    adamw(isa, factors, &mut parameter, &g, &mut m, &mut v);
    [parameter, m, v].iter().for_each(|y| keep(y));
    all
}

#[test]
fn instruction_sets_agree_to_the_bit() {
    for width in [1, 2, 9, 16, 17, 100, 256, 771] {
        let wanted = everything(Isa::all()[0], width);
        assert!(wanted.iter().all(|y| y.is_finite()), "width {width}");
        for isa in Isa::all() {
            assert_eq!(everything(isa, width), wanted, "{isa:?}, width {width}");
        }
    }
}

#[test]
fn transposition_and_products_match_their_definitions() {
    for (rows, inner, columns) in [(1, 1, 1), (3, 17, 5), (33, 16, 70), (100, 300, 129)] {
        let (a, b) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
        let b_transposed = transpose(&b, columns);
        assert!((0..b.len()).all(|i| b_transposed[i % columns * inner + i / columns] == b[i]));

        let views = (
            Matrix::new(&a, inner),
            Matrix::new(&b_transposed, inner).transposed(),
        );
        let bias = numbers(columns, 3);
        let left = Factor::new(views.0, Factors::F32);
        let mut accumulated = left.affine(views.1, &bias);
        let add = Product {
            scale: 0.5,
            accumulate: true,
            ..Product::PARALLEL
        };
        add.compute(
            &mut MatrixMut::new(&mut accumulated, columns),
            views.0,
            views.1,
        );
        let products = left.times(views.1);
        let turned = left.times_transposed(&b_transposed, inner);
        assert!(
            products
                .iter()
                .zip(&turned)
                .all(|(a, b)| (a - b).abs() < 1e-3)
        );
        for (i, (&got, accumulated)) in products.iter().zip(accumulated).enumerate() {
            let terms = (0..inner).map(|k| {
                f64::from(a[i / columns * inner + k]) * f64::from(b[k * columns + i % columns])
            });
            let wanted = terms.sum::<f64>();
            assert!(
                (f64::from(got) - wanted).abs() < 1e-3,
                "{rows}x{inner}x{columns}: {got}, not {wanted}"
            );
            let wanted = f64::from(bias[i % columns]) + 1.5 * wanted;
            assert!(
                (f64::from(accumulated) - wanted).abs() < 1e-3,
                "{rows}x{inner}x{columns}: {accumulated}, not {wanted}"
            );
        }
    }
}

#[test]
fn masks_drop_the_right_share_independently() {
    let (rows, columns, probability) = (1000, 1000, 0.1);
    let rows_of = |seed| {
        let mask = Mask::new(Dropout {
            probability,
            seed,
            ..Dropout::OFF
        });
        let row = move |row| {
            let mut x = vec![1.0; columns];
            mask.into_iter()
                .for_each(|mask| drop_row(Isa::detect(), mask.row(row), &mut x));
            x
        };
        (0..rows).flat_map(row).collect::<Vec<f32>>()
    };
    let [mask, other] = [1, 2].map(rows_of);
    assert_eq!(mask, rows_of(1));
    let share = |count: usize| count as f32 / (rows * columns) as f32;
    let dropped = |mask: &[f32]| share(mask.iter().filter(|&&x| x == 0.0).count());
    // Five standard deviations of a share of a million independent draws are 0.0015.
    assert!(
        (dropped(&mask) - probability).abs() < 1.5e-3,
        "{}",
        dropped(&mask)
    );
    let mean = mask.iter().map(|&x| f64::from(x)).sum::<f64>() / (rows * columns) as f64;
    assert!((mean - 1.0).abs() < 2e-3, "the mean is preserved: {mean}");
    let both = |other: &[f32]| {
        share(
            mask.iter()
                .zip(other)
                .filter(|&(&a, &b)| a == 0.0 && b == 0.0)
                .count(),
        )
    };
    assert!(
        (both(&other) - probability * probability).abs() < 5e-4,
        "seeds are independent: {}",
        both(&other)
    );
    for shift in [1, columns] {
        let share = both(&[&mask[shift..], &vec![1.0; shift]].concat());
        assert!(
            (share - probability * probability).abs() < 5e-4,
            "neighbors are independent: {share}"
        );
    }
    let Some(mask) = Mask::new(Dropout {
        probability,
        seed: 1,
        ..Dropout::OFF
    }) else {
        panic!("dropout is on")
    };
    let row = |row| {
        (0..columns)
            .map(|column| mask.row(row).factor(column))
            .collect::<Vec<_>>()
    };
    assert_ne!(
        row(5),
        row((1 << 32) + 5),
        "rows beyond 2^32 have their own masks"
    );
    assert!(Mask::new(Dropout::OFF).is_none());
}

#[test]
fn adamw_leaves_untouched_rows_as_a_whole_step_would() {
    const WIDTH: usize = 300;
    for decay in [1.0, 0.99] {
        let factors = AdamWFactors {
            gradient: 0.5,
            betas: [0.9, 0.999],
            rest: [0.1, 0.001],
            decay,
            step: 0.01,
            correction: 1.2,
            epsilon: 1e-8,
        };
        // Row 0 has a gradient, row 1 had one before, row 2 never had.
        let touched = |row: usize, seed: u64| {
            let mut x = vec![0.0; 3 * WIDTH];
            x[row * WIDTH..(row + 1) * WIDTH].copy_from_slice(&numbers(WIDTH, seed));
            x
        };
        let (g, mut m, mut v) = (touched(0, 1), touched(1, 2), touched(1, 3));
        v.iter_mut().for_each(|v| *v *= *v);
        let parameter = numbers(3 * WIDTH, 4);
        let wanted = parameter.iter().zip(&g).zip(&m).zip(&v);
        let wanted: Vec<f32> = wanted
            .map(|(((p, g), m), v)| {
                let g = g * factors.gradient;
                let m = 0.9 * m + 0.1 * g;
                let v = 0.999 * v + 0.001 * g * g;
                p * decay - 0.01 * m / (v.sqrt() * 1.2 + 1e-8)
            })
            .collect();
        let mut found = parameter.clone();
        adamw(Isa::detect(), factors, &mut found, &g, &mut m, &mut v);
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!((found - wanted).abs() < 1e-6, "{found}, not {wanted}");
        }
    }
}
