//! Principal components.

/// The eigenvectors of the largest eigenvalues of a covariance, one a column, the largest first.
///
/// By one-sided Jacobi rotations (Hestenes 1958, <https://doi.org/10.1137/0106005>): made orthogonal to each other, the rows of a symmetric matrix
/// without negative eigenvalues are its eigenvectors times their eigenvalues.
///
/// # Shapes
/// - matrix: `[width, width]`, output: `[width, count]`, both row-major
pub(super) fn principal_components(mut matrix: Vec<f64>, width: usize, count: usize) -> Vec<f32> {
    const SWEEPS: usize = 30; // ten or so suffice, as convergence is quadratic in the end
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..width {
            for q in p + 1..width {
                let (head, tail) = matrix.split_at_mut(q * width);
                rotated |= orthogonalize(&mut head[p * width..][..width], &mut tail[..width]);
            }
        }
        if !rotated {
            break;
        }
    }
    let length = |row: &[f64]| dot(row, row).sqrt();
    let mut rows: Vec<&[f64]> = matrix.chunks_exact(width).collect();
    rows.sort_by(|a, b| length(b).total_cmp(&length(a)));
    rows.truncate(count);
    let lengths: Vec<f64> = rows.iter().map(|row| length(row)).collect();
    let element = |at: usize| {
        let (row, column) = (at / count, at % count);
        (rows[column][row] / lengths[column].max(f64::MIN_POSITIVE)) as f32
    };
    (0..width * count).map(element).collect()
}

/// Rotates two rows so that they are orthogonal; whether they were not.
fn orthogonalize(a: &mut [f64], b: &mut [f64]) -> bool {
    const TOLERANCE: f64 = 1e-12; // of the cosine between them: more than rounding, far less than f32 holds
    let (aa, bb, ab) = (dot(a, a), dot(b, b), dot(a, b));
    if ab.abs() <= TOLERANCE * (aa * bb).sqrt() + f64::MIN_POSITIVE {
        return false;
    }
    let ratio = (bb - aa) / (2.0 * ab);
    let tangent = ratio.signum() / (ratio.abs() + ratio.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = cosine * tangent;
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
    }
    true
}

/// In lanes, so that the compiler adds several numbers at a time.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// `aᵀ · a` of a table of so many columns.
    fn gram(a: &[f64], width: usize) -> Vec<f64> {
        let rows = a.chunks_exact(width);
        let element = |at: usize| {
            let products = rows.clone().map(|row| row[at / width] * row[at % width]);
            products.sum()
        };
        (0..width * width).map(element).collect()
    }

    #[test]
    fn components_are_eigenvectors_the_largest_first() {
        // Of full rank, and of a rank below the width, where eigenvalues are zero.
        for (width, rows) in [(7, 40), (20, 9), (65, 200), (1, 3)] {
            let matrix = gram(&numbers(rows * width, 3), width);
            let found = principal_components(matrix.clone(), width, width.min(rows));
            let count = width.min(rows);
            let column = |at: usize| -> Vec<f64> {
                let values = found.iter().skip(at).step_by(count);
                values.map(|&x| f64::from(x)).collect()
            };
            let mut before = f64::INFINITY;
            for at in 0..count {
                let own = column(at);
                let times: Vec<f64> = matrix
                    .chunks_exact(width)
                    .map(|row| dot(row, &own))
                    .collect();
                let eigenvalue = dot(&times, &own);
                assert!(eigenvalue <= before + 1e-3, "{eigenvalue} {before}");
                before = eigenvalue;
                for (x, own) in times.iter().zip(&own) {
                    assert!((x - eigenvalue * own).abs() < 1e-4 * (1.0 + eigenvalue));
                }
                for other in 0..count {
                    let expected = f64::from(u8::from(other == at));
                    assert!((dot(&own, &column(other)) - expected).abs() < 1e-5);
                }
            }
        }
        // Nothing to tell directions apart.
        assert_eq!(principal_components(vec![0.0; 4], 2, 1), [0.0; 2]);
    }
}
