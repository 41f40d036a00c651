//! Word embeddings of one model in another that is narrower.

use burn::tensor::{Device, Tensor, TensorData};

use super::TokenClassifier;
use super::variants::{as_parameter, without_row};
use crate::Error;
use crate::device::read;

impl TokenClassifier {
    /// The same model with another one's word embeddings, as well as its own width holds them: their coordinates along their principal
    /// components, which is the best approximation of that rank (Eckart & Young 1936, <https://doi.org/10.1007/BF02288367>). They are scaled so
    /// that their standard deviation is the configuration's `initializer_range`.
    ///
    /// # Errors
    /// Another number of sub-words, embeddings wider than the other model's, or a device that fails.
    pub fn with_word_embeddings_of(mut self, other: &Self) -> Result<Self, Error> {
        let table = other.embeddings.word_embeddings.weight.val();
        let [rows, width] = table.dims();
        let [own_rows, own_width] = self.embeddings.word_embeddings.weight.dims();
        if rows != own_rows {
            return Err(Error::Sizes(format!(
                "word embeddings of {rows} sub-words for a model of {own_rows}"
            )));
        }
        if own_width > width {
            return Err(Error::Sizes(format!(
                "word embeddings are to be {own_width} wide, those that they are made of are {width}"
            )));
        }
        let device = table.device();
        let centered = table.clone() - table.mean_dim(0); // [rows, width]
        let covariance = centered.clone().transpose().matmul(centered.clone()) / rows as f64;
        let covariance: Vec<f64> = read(covariance)?.into_iter().map(f64::from).collect();
        let components = principal_components(covariance, width, own_width);
        let components = matrix(components, [width, own_width], &device);
        let values = read(centered.matmul(components))?;
        let squares = values.iter().map(|x| f64::from(x * x)).sum::<f64>();
        let deviation = (squares / values.len() as f64).sqrt();
        let scale = self.config.initializer_range / deviation.max(f64::MIN_POSITIVE);
        let values = values.iter().map(|x| (f64::from(*x) * scale) as f32);
        let values: Vec<f32> = values.collect();
        let embedding = &mut self.embeddings.word_embeddings;
        embedding.weight = embedding.weight.clone().map(|weight| {
            let shape = [own_rows, own_width];
            as_parameter(matrix(values.clone(), shape, &weight.device()))
        });
        let pad = self.config.pad_token_id() as usize;
        self.embeddings.word_embeddings = without_row(self.embeddings.word_embeddings, pad);
        Ok(self)
    }
}

fn matrix(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The eigenvectors of the largest eigenvalues of a covariance, one a column, the largest first.
///
/// By one-sided Jacobi rotations (Hestenes 1958, <https://doi.org/10.1137/0106005>): made orthogonal to each other, the rows of a symmetric matrix
/// without negative eigenvalues are its eigenvectors times their eigenvalues.
///
/// # Shapes
/// - matrix: `[width, width]`, output: `[width, count]`, both row-major
fn principal_components(mut matrix: Vec<f64>, width: usize, count: usize) -> Vec<f32> {
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
fn dot(a: &[f64], b: &[f64]) -> f64 {
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
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{DeviceChoice, ModelConfig};

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

    fn golden() -> TokenClassifier {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/goldens/models/bert");
        let config = ModelConfig::from_dir(&dir).unwrap();
        let device = DeviceChoice::Flex.open().unwrap();
        TokenClassifier::load(&dir, &config, &device, 0).unwrap().0
    }

    /// A model whose embeddings are to be replaced, so wide.
    fn of_width(width: usize) -> TokenClassifier {
        let mut config = golden().config().clone();
        (config.hidden_size, config.initializer_range) = (width, 0.02);
        TokenClassifier::init(&config, &DeviceChoice::Flex.open().unwrap().autodiff(), 0)
    }

    fn rows(model: &TokenClassifier) -> Vec<Vec<f64>> {
        let table = model.embeddings.word_embeddings.weight.val();
        let [_, width] = table.dims();
        let values = read(table).unwrap();
        let row = |row: &[f32]| row.iter().map(|&x| f64::from(x)).collect();
        values.chunks_exact(width).map(row).collect()
    }

    #[test]
    fn embeddings_keep_their_distances_and_get_the_deviation_of_random_ones() {
        let other = golden();
        let distance = |rows: &[Vec<f64>], a: usize, b: usize| {
            let pairs = rows[a].iter().zip(&rows[b]);
            pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
        };
        for (width, tolerance) in [(48, 1e-4), (40, 0.3)] {
            let model = of_width(width).with_word_embeddings_of(&other).unwrap();
            assert!(model.embeddings.word_embeddings.weight.is_require_grad());
            let (own, theirs) = (rows(&model), rows(&other));
            assert!(own[0].iter().all(|x| *x == 0.0), "padding");
            let all: Vec<f64> = own.concat();
            let deviation = (dot(&all, &all) / all.len() as f64).sqrt();
            assert!((deviation / 0.02 - 1.0).abs() < 0.02, "{deviation}");
            // As wide as the others, they are turned and scaled; narrower, they lose the directions in which they differ least.
            let ratio = |a: usize| distance(&own, a, a + 7) / distance(&theirs, a, a + 7);
            for a in 6..200 {
                assert!((ratio(a) / ratio(5) - 1.0).abs() < tolerance, "{width} {a}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = of_width(64).with_word_embeddings_of(&golden()).unwrap_err();
        assert!(error.to_string().contains("64 wide"), "{error}");
        let mut more = golden().config().clone();
        more.vocab_size += 1;
        let more = TokenClassifier::init(&more, &DeviceChoice::Flex.open().unwrap(), 0);
        let error = more.with_word_embeddings_of(&golden()).unwrap_err();
        assert!(error.to_string().contains("of 300 sub-words"), "{error}");
    }
}
