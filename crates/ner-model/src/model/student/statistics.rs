//! What a model's activations are like on some text.

use burn::nn::LayerNorm;
use burn::tensor::Tensor;
use burn::tensor::activation::gelu;

use crate::batch::RowLayout;
use crate::device::read;
use crate::model::{ForwardMode, Layer, TokenClassifier};
use crate::ops::Dropout;
use crate::{Batch, Error};

/// Mean and covariance of vectors.
pub(super) struct Spread {
    count: f64,
    sums: Vec<f64>,
    /// Sums of products, `[width, width]`.
    products: Vec<f64>,
}

impl Spread {
    fn new(width: usize) -> Self {
        Self {
            count: 0.0,
            sums: vec![0.0; width],
            products: vec![0.0; width * width],
        }
    }

    /// `rows`: `[rows, width]`
    fn add(&mut self, rows: &Tensor<2>) -> Result<(), Error> {
        self.count += rows.dims()[0] as f64;
        add(&mut self.sums, rows.clone().sum_dim(0))?;
        add(
            &mut self.products,
            rows.clone().transpose().matmul(rows.clone()),
        )
    }

    pub fn mean(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.count).collect()
    }

    /// Of the vectors' lengths.
    fn mean_square(&self) -> f64 {
        let squares = self.products.iter().step_by(self.sums.len() + 1);
        squares.sum::<f64>() / self.count
    }

    /// `[width, width]`, row-major.
    pub fn covariance(&self) -> Vec<f64> {
        let (mean, width) = (self.mean(), self.sums.len());
        let products = self.products.iter().enumerate();
        let centered = products
            .map(|(at, product)| product / self.count - mean[at / width] * mean[at % width]);
        centered.collect()
    }
}

/// Mean and variance of each element of vectors.
pub(super) struct Elements {
    count: f64,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Elements {
    fn new(width: usize) -> Self {
        Self {
            count: 0.0,
            sums: vec![0.0; width],
            squares: vec![0.0; width],
        }
    }

    /// `rows`: `[rows, width]`
    fn add(&mut self, rows: &Tensor<2>) -> Result<(), Error> {
        self.count += rows.dims()[0] as f64;
        add(&mut self.sums, rows.clone().sum_dim(0))?;
        let squares = rows.clone() * rows.clone();
        add(&mut self.squares, squares.sum_dim(0))
    }

    pub fn mean(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.count).collect()
    }

    pub fn variance(&self) -> Vec<f64> {
        let squares = self.squares.iter().zip(self.mean());
        squares
            .map(|(square, mean)| square / self.count - mean * mean)
            .collect()
    }
}

fn add(sums: &mut [f64], values: Tensor<2>) -> Result<(), Error> {
    for (sum, value) in sums.iter_mut().zip(read(values)?) {
        *sum += f64::from(value);
    }
    Ok(())
}

/// What goes through one layer.
pub(super) struct LayerStatistics {
    /// What the layer reads.
    pub input: Elements,
    /// What its attention hands to the projection.
    pub context: Spread,
    /// After the first half.
    pub attended: Spread,
    /// Between the two projections of the second half.
    pub activated: Elements,
    /// After the second half.
    pub output: Spread,
}

/// What goes through some layers of a model.
pub(super) struct Statistics {
    pub embedded: Spread,
    pub layers: Vec<LayerStatistics>,
}

impl Statistics {
    /// Of these layers, rising, on a text.
    pub fn of(model: &TokenClassifier, layers: &[usize], text: &[Batch]) -> Result<Self, Error> {
        let config = model.config();
        let hidden = || Spread::new(config.hidden_size);
        let of_layer = |_| LayerStatistics {
            input: Elements::new(config.hidden_size),
            context: hidden(),
            attended: hidden(),
            activated: Elements::new(config.intermediate_size),
            output: hidden(),
        };
        let mut statistics = Self {
            embedded: hidden(),
            layers: layers.iter().map(of_layer).collect(),
        };
        for batch in text {
            statistics.add(model, layers, batch)?;
        }
        Ok(statistics)
    }

    fn add(
        &mut self,
        model: &TokenClassifier,
        layers: &[usize],
        batch: &Batch,
    ) -> Result<(), Error> {
        batch.check(&model.config)?;
        let layout = RowLayout::packed(batch);
        let mut x = model.embed(&layout, ForwardMode::Inference)?; // [rows, hidden]
        self.embedded.add(&x)?;
        for (number, layer) in model.encoder.layer.iter().enumerate() {
            x = match layers.iter().position(|kept| *kept == number) {
                Some(at) => self.layers[at].add(model, layer, x, &layout)?,
                None => model.layer(number, x, &layout, ForwardMode::Inference, |x| x),
            };
        }
        Ok(())
    }

    /// How states differ, whatever place in the kept layers they are from, each place counting alike: `[hidden, hidden]`, row-major. Directions in which
    /// a short text tells nothing differ a little too, so that there are as many as coordinates.
    pub fn covariance(&self) -> Vec<f64> {
        const LITTLE: f64 = 1e-6; // of all that there is at a place; less is rounding
        let width = self.embedded.sums.len();
        let of_layers = self
            .layers
            .iter()
            .flat_map(|layer| [&layer.attended, &layer.output]);
        let mut sum = vec![0.0; width * width];
        for spread in of_layers.chain([&self.embedded]) {
            let covariance = spread.covariance();
            let trace: f64 = covariance.iter().step_by(width + 1).sum();
            let all = trace.max(LITTLE * spread.mean_square());
            for (sum, x) in sum.iter_mut().zip(covariance) {
                *sum += x / all.max(f64::MIN_POSITIVE);
            }
        }
        for variance in sum.iter_mut().step_by(width + 1) {
            *variance += LITTLE / width as f64;
        }
        sum
    }
}

impl LayerStatistics {
    /// What a layer makes of its input, counting everything in it.
    ///
    /// # Shapes
    /// - x, output: `[rows, hidden]`
    fn add(
        &mut self,
        model: &TokenClassifier,
        layer: &Layer,
        x: Tensor<2>,
        layout: &RowLayout<'_>,
    ) -> Result<Tensor<2>, Error> {
        let ops = &model.ops;
        let normalized = |x: Tensor<2>, residual: Tensor<2>, norm: &LayerNorm| {
            let epsilon = model.config.layer_norm_eps;
            ops.residual_layer_norm(x, residual, norm, epsilon, Dropout::OFF, layout)
        };
        self.input.add(&x)?;
        let projections = &layer.attention.self_attention;
        let context = ops.self_attention(
            x.clone(),
            [&projections.query, &projections.key, &projections.value],
            layout,
            model.config.num_attention_heads,
            Dropout::OFF,
        );
        self.context.add(&context)?;
        let output = &layer.attention.output;
        let x = normalized(ops.linear(context, &output.dense), x, &output.LayerNorm);
        self.attended.add(&x)?;
        let activated = gelu(ops.linear(x.clone(), &layer.intermediate.dense));
        self.activated.add(&activated)?;
        let output = &layer.output;
        let x = normalized(ops.linear(activated, &output.dense), x, &output.LayerNorm);
        self.output.add(&x)?;
        Ok(x)
    }
}
