//! Word embeddings of one model in another that is narrower.

use burn::tensor::{Device, Tensor, TensorData};

use super::TokenClassifier;
use super::components::principal_components;
use super::conversion::{as_parameter, without_row};
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

pub(super) fn matrix(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// `[1, values]`
pub(super) fn row(values: &[f64], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    let count = values.len();
    matrix(values, [1, count], device)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::DeviceChoice;
    use crate::model::components::dot;
    use crate::model::testing::golden;

    /// A model whose embeddings are to be replaced, so wide.
    fn of_width(width: usize) -> TokenClassifier {
        let mut config = golden("bert").config().clone();
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
        let other = golden("bert");
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
        let error = of_width(64)
            .with_word_embeddings_of(&golden("bert"))
            .unwrap_err();
        assert!(error.to_string().contains("64 wide"), "{error}");
        let mut more = golden("bert").config().clone();
        more.vocab_size += 1;
        let more = TokenClassifier::init(&more, &DeviceChoice::Flex.open().unwrap(), 0);
        let error = more.with_word_embeddings_of(&golden("bert")).unwrap_err();
        assert!(error.to_string().contains("of 300 sub-words"), "{error}");
    }
}
