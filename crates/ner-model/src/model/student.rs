//! A smaller model cut out of a larger one.
//!
//! In the spirit of SliceGPT (Ashkboos et al. 2024, <https://arxiv.org/abs/2401.15024>): all layers read and write one residual stream, so that one
//! [`Basis`] narrows it for all of them. Of a layer's attention those heads stay that add most to that stream on a given text, and of its feed-forward
//! half those neurons. What is left out counts by its mean, which goes into the biases. BERT's LayerNorm, which has a gain for each coordinate and
//! stands after the sum, has no exact equal in other coordinates: each gets the gain and bias that come nearest on the text.

mod statistics;

use burn::module::Param;
use burn::nn::{Embedding, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Int, Tensor};

use self::statistics::{LayerStatistics, Spread, Statistics};
use super::forward::integers;
use super::projection::{matrix, row};
use super::{Basis, Layer, LayerView, TokenClassifier};
use crate::device::read;
use crate::ops::Ops;
use crate::{Batch, Error, Head, ModelConfig};

impl ModelConfig {
    /// The configuration of a smaller model that is cut out of one of this configuration ([`TokenClassifier::sliced`]): with so many layers,
    /// so wide a residual stream, as many heads of the same size as fill it, and so many feed-forward neurons.
    ///
    /// # Errors
    /// Sizes that cannot be cut out.
    pub fn sliced(
        &self,
        layers: usize,
        hidden_size: usize,
        intermediate_size: usize,
    ) -> Result<Self, Error> {
        let head_size = self.hidden_size / self.num_attention_heads;
        let too_much = [
            ("layers", layers, self.num_hidden_layers),
            ("hidden units", hidden_size, self.hidden_size),
            (
                "feed-forward neurons",
                intermediate_size,
                self.intermediate_size,
            ),
        ];
        if let Some((what, wanted, there)) =
            too_much.iter().find(|(_, wanted, there)| wanted > there)
        {
            return Err(Error::Sizes(format!(
                "{wanted} {what} are more than the {there} of the model to cut them out of"
            )));
        }
        if hidden_size == 0 || !hidden_size.is_multiple_of(head_size) {
            return Err(Error::Sizes(format!(
                "{hidden_size} hidden units are no whole number of attention heads, which have {head_size} each in the model to cut them out of"
            )));
        }
        if hidden_size == 1 {
            return Err(Error::Sizes(
                "LayerNorm leaves nothing of 1 hidden unit".to_owned(),
            ));
        }
        if self.embedding_size() != self.hidden_size {
            return Err(Error::Sizes(format!(
                "embeddings of {} that a projection widens to {} cannot be cut",
                self.embedding_size(),
                self.hidden_size
            )));
        }
        let config = Self {
            num_hidden_layers: layers,
            hidden_size,
            num_attention_heads: hidden_size / head_size,
            intermediate_size,
            head: Head::Linear,
            ..self.clone()
        };
        config.check_new_weights()?;
        Ok(config)
    }
}

impl TokenClassifier {
    /// The smaller model of a [configuration](ModelConfig::sliced), cut out of this one: with some of its layers, numbered from 0 and rising, and
    /// of them what counts most on a text. Also which hidden states of this model those after each of the smaller one's layers stand for.
    ///
    /// With all layers and its own sizes it is this model, but for a CRF, which is left out. The model is one on a CPU.
    ///
    /// # Errors
    /// A configuration or layers that do not fit, a text without sub-words or with some that the model does not have, a device that is no CPU or
    /// fails.
    pub fn sliced(
        &self,
        config: &ModelConfig,
        layers: &[usize],
        text: &[Batch],
    ) -> Result<(Self, LayerView), Error> {
        self.check_slicing(config, layers, text)?;
        let device = self.device();
        let statistics = Statistics::of(self, layers, text)?;
        let cut = Cut {
            basis: Basis::of(
                statistics.covariance(),
                self.config.hidden_size,
                config.hidden_size,
                &device,
            ),
            config,
            device: device.clone(),
        };
        let mut model = Self::uninitialized(config, &device);
        let (own, tables) = (&self.embeddings, &mut model.embeddings);
        tables.word_embeddings = cut.table(&own.word_embeddings);
        tables.position_embeddings = cut.table(&own.position_embeddings);
        tables.token_type_embeddings = own
            .token_type_embeddings
            .as_ref()
            .map(|table| cut.table(table));
        tables.LayerNorm = cut.norm(&own.LayerNorm, &statistics.embedded)?;
        model.encoder.layer = layers
            .iter()
            .zip(&statistics.layers)
            .map(|(&number, found)| cut.layer(&self.encoder.layer[number], found))
            .collect::<Result<_, _>>()?;
        let all: Vec<usize> = (0..config.id2label.len()).collect();
        let last = statistics
            .layers
            .last()
            .map_or(&statistics.embedded, |layer| &layer.output);
        model.classifier = cut.reading(&self.classifier, &last.mean(), &all);
        let view = LayerView {
            layers: layers.to_vec(),
            basis: Some(cut.basis),
        };
        Ok((model, view))
    }

    fn check_slicing(
        &self,
        config: &ModelConfig,
        layers: &[usize],
        text: &[Batch],
    ) -> Result<(), Error> {
        let fitting =
            self.config
                .sliced(layers.len(), config.hidden_size, config.intermediate_size)?;
        let tables = |config: &ModelConfig| {
            (
                config.model_type,
                config.vocab_size,
                config.max_position_embeddings,
                config.num_attention_heads,
            )
        };
        if tables(&fitting) != tables(config)
            || config.id2label != self.config.id2label
            || config.num_hidden_layers != layers.len()
        {
            return Err(Error::Sizes("the smaller model is of another family, or has other sub-words, positions, heads, layers or labels".to_owned()));
        }
        let rising = layers.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising
            || layers
                .last()
                .is_none_or(|last| *last >= self.config.num_hidden_layers)
        {
            return Err(Error::KeptLayers {
                kept: layers.to_vec(),
                layers: self.config.num_hidden_layers,
            });
        }
        if !matches!(self.ops, Ops::Fused(_)) {
            return Err(Error::Device {
                device: format!("{:?}", self.device()),
                reason: "a model is cut on a CPU; load it on `flex`".to_owned(),
            });
        }
        if text.is_empty() {
            return Err(Error::Batch(
                "there is no text to tell by which parts count".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Cuts the parts of a model.
struct Cut<'a> {
    basis: Basis,
    /// Of the smaller model.
    config: &'a ModelConfig,
    device: Device,
}

impl Cut<'_> {
    fn layer(&self, layer: &Layer, found: &LayerStatistics) -> Result<Layer, Error> {
        let mut cut = layer.clone();
        let columns = self.columns_of_heads(&layer.attention.output.dense, &found.context)?;
        let (input, attended) = (found.input.mean(), found.attended.mean());
        let projections = &mut cut.attention.self_attention;
        for projection in [
            &mut projections.query,
            &mut projections.key,
            &mut projections.value,
        ] {
            *projection = self.reading(projection, &input, &columns);
        }
        let output = &mut cut.attention.output;
        output.dense = self.writing(&output.dense, &found.context.mean(), &columns);
        output.LayerNorm = self.norm(&output.LayerNorm, &found.attended)?;

        let neurons = self.neurons(&layer.output.dense, &found.activated.variance())?;
        cut.intermediate.dense = self.reading(&layer.intermediate.dense, &attended, &neurons);
        let output = &mut cut.output;
        output.dense = self.writing(&output.dense, &found.activated.mean(), &neurons);
        output.LayerNorm = self.norm(&output.LayerNorm, &found.output)?;
        Ok(cut)
    }

    /// The columns of those heads whose part in the residual stream varies most on the text, by their mean square.
    fn columns_of_heads(&self, projection: &Linear, context: &Spread) -> Result<Vec<usize>, Error> {
        let weight = self.basis.narrow(projection.weight.val()); // [heads * head size, narrow]
        let [width, _] = weight.dims();
        let covariance = context.covariance().into_iter().map(|x| x as f32).collect();
        let covariance = matrix(covariance, [width, width], &self.device);
        let size = self.config.hidden_size / self.config.num_attention_heads;
        let mut powers = Vec::with_capacity(width / size);
        for head in 0..width / size {
            let rows = head * size..(head + 1) * size;
            let own = weight.clone().slice([rows.clone()]);
            let own_covariance = covariance.clone().slice([rows.clone(), rows]);
            let products = own_covariance.matmul(own.clone()) * own;
            powers.push(read(products.sum())?.into_iter().map(f64::from).sum());
        }
        let heads = largest(&powers, self.config.num_attention_heads);
        Ok(heads
            .into_iter()
            .flat_map(|head| head * size..(head + 1) * size)
            .collect())
    }

    /// The neurons whose part in the residual stream varies most on the text, by their mean square.
    fn neurons(&self, projection: &Linear, variances: &[f64]) -> Result<Vec<usize>, Error> {
        let weight = self.basis.narrow(projection.weight.val()); // [neurons, narrow]
        let lengths = read((weight.clone() * weight).sum_dim(1))?;
        let powers = lengths
            .into_iter()
            .zip(variances)
            .map(|(length, variance)| f64::from(length) * variance);
        Ok(largest(
            &powers.collect::<Vec<_>>(),
            self.config.intermediate_size,
        ))
    }

    fn table(&self, table: &Embedding) -> Embedding {
        Embedding {
            weight: Param::from_tensor(self.basis.narrow(table.weight.val())),
        }
    }

    /// Some outputs of a projection that reads the residual stream, of the given mean.
    fn reading(&self, layer: &Linear, mean: &[f64], outputs: &[usize]) -> Linear {
        let outputs = indices(outputs, &self.device);
        let weight = layer.weight.val().select(1, outputs.clone()); // [wide, outputs]
        let lost = self.basis.lost(row(mean, &self.device));
        let of_lost = lost.matmul(weight.clone()).squeeze::<1>();
        Linear {
            weight: Param::from_tensor(self.basis.directions().transpose().matmul(weight)),
            bias: layer
                .bias
                .as_ref()
                .map(|bias| Param::from_tensor(bias.val().select(0, outputs) + of_lost)),
        }
    }

    /// A projection from some inputs to the residual stream. Of the others only their mean counts.
    fn writing(&self, layer: &Linear, mean: &[f64], inputs: &[usize]) -> Linear {
        let weight = layer.weight.val(); // [inputs, wide]
        let mut left_out = mean.to_vec();
        inputs.iter().for_each(|&input| left_out[input] = 0.0);
        let of_left_out = row(&left_out, &self.device).matmul(weight.clone()); // [1, wide]
        let narrow_bias = |bias: Tensor<1>| {
            let bias = bias.unsqueeze::<2>() + of_left_out.clone();
            self.basis.narrow(bias).squeeze::<1>()
        };
        Linear {
            weight: Param::from_tensor(
                self.basis
                    .narrow(weight.select(0, indices(inputs, &self.device))),
            ),
            bias: layer
                .bias
                .as_ref()
                .map(|bias| Param::from_tensor(narrow_bias(bias.val()))),
        }
    }

    /// The gains and biases with which LayerNorm of narrow states comes nearest to narrow states of its own output, whose spread is given:
    /// those of a linear regression, coordinate by coordinate. The usual gain serves where the text tells nothing.
    fn norm(&self, norm: &LayerNorm, output: &Spread) -> Result<LayerNorm, Error> {
        const LITTLE: f64 = 1e-6; // of the variance of a normalised coordinate, which is about 1
        if self.basis.is_whole() {
            return Ok(norm.clone());
        }
        let gains = numbers(norm.gamma.val())?;
        let biases = norm
            .beta
            .as_ref()
            .map_or_else(|| Ok(vec![0.0; gains.len()]), |beta| numbers(beta.val()))?;
        let inverse: Vec<f64> = gains
            .iter()
            .map(|gain| if *gain == 0.0 { 0.0 } else { 1.0 / gain })
            .collect();
        let mean = output.mean();
        let wide = mean.len();
        // Before gain and bias an output was `(output - bias) / gain`.
        let covariance = output.covariance().into_iter().enumerate();
        let across: Vec<f64> = covariance.map(|(at, x)| x * inverse[at % wide]).collect();
        let before: Vec<f64> = across
            .iter()
            .enumerate()
            .map(|(at, x)| x * inverse[at / wide])
            .collect();
        let mean_before: Vec<f64> = (0..wide)
            .map(|at| (mean[at] - biases[at]) * inverse[at])
            .collect();
        let narrow = |vector: &[f64]| numbers(self.basis.narrow(row(vector, &self.device)));
        let (across, before) = (self.basis.diagonal(&across)?, self.basis.diagonal(&before)?);
        let (mean, mean_before) = (narrow(&mean)?, narrow(&mean_before)?);
        // LayerNorm makes the mean square of a state's coordinates 1.
        let squares = before
            .iter()
            .zip(&mean_before)
            .map(|(variance, mean)| variance + mean * mean);
        let square = squares.sum::<f64>() / before.len() as f64;
        let scale = square.max(f64::MIN_POSITIVE).sqrt().recip();
        let usual = LITTLE * gains.iter().sum::<f64>() / gains.len() as f64;
        let gains: Vec<f64> = across
            .iter()
            .zip(&before)
            .map(|(across, before)| (across + usual) / (before.max(0.0) + LITTLE) / scale)
            .collect();
        let biases: Vec<f64> = (0..gains.len())
            .map(|at| mean[at] - gains[at] * scale * mean_before[at])
            .collect();
        let vector =
            |numbers: &[f64]| Param::from_tensor(row(numbers, &self.device).squeeze::<1>());
        let mut cut = LayerNormConfig::new(gains.len())
            .with_epsilon(self.config.layer_norm_eps)
            .init(&self.device);
        (cut.gamma, cut.beta) = (vector(&gains), Some(vector(&biases)));
        Ok(cut)
    }
}

/// The places of the largest numbers, rising; the earlier of two that are equal.
fn largest(numbers: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..numbers.len()).collect();
    places.sort_by(|&a, &b| numbers[b].total_cmp(&numbers[a]));
    places.truncate(count);
    places.sort_unstable();
    places
}

fn indices(places: &[usize], device: &Device) -> Tensor<1, Int> {
    integers(places.iter().map(|&place| place as i64).collect(), device)
}

fn numbers<const D: usize>(values: Tensor<D>) -> Result<Vec<f64>, Error> {
    Ok(read(values)?.into_iter().map(f64::from).collect())
}

#[cfg(test)]
mod tests;
