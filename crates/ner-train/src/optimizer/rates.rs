//! How much of the learning rate and of the decay each parameter has.

/// Learning rates of a model's layers: the last layer's is `decay` times the schedule's, each layer below has `decay` times that of the one
/// above, the embeddings have the least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerRates {
    /// Factor from one layer to the one below.
    pub decay: f64,
    /// Number of encoder layers.
    pub layers: usize,
    /// Factor of what lies above the encoder.
    pub head: f64,
}

impl LayerRates {
    /// The same everywhere.
    pub const EQUAL: Self = Self {
        decay: 1.0,
        layers: 0,
        head: 1.0,
    };

    /// The factor on the learning rate of the parameter at this path.
    pub(super) fn of(self, path: &[String]) -> f64 {
        let below = match path {
            [first, ..] if first.starts_with("embeddings") => self.layers + 1,
            [encoder, _, number, ..] if encoder == "encoder" => self
                .layers
                .saturating_sub(number.parse().unwrap_or(self.layers)),
            _ => return self.head,
        };
        self.decay.powi(below as i32)
    }
}

/// Whether weight decay acts on the parameter at this path: not on biases, nor on LayerNorm (`gamma`, `beta`).
pub(super) fn is_decayed(path: &[String]) -> bool {
    path.last()
        .is_none_or(|name| !matches!(name.as_str(), "bias" | "gamma" | "beta"))
}
