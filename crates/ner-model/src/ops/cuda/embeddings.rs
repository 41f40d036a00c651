//! The sum of embeddings, normalised.

use std::collections::BTreeMap;

use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl_runtime::server::Handle;

use super::backend::Cuda;
use super::buffers::{Buffers, new_tensor, uploaded};
use super::gpu::{Arguments, Build, Grid, Numbers};
use super::layer::ColumnSums;
use super::{DropoutArguments, TILE, dtype};
use crate::ops::Dropout;
use crate::ops::fused::Saved;

/// Which rows of the tables are summed, and what becomes of the sum.
#[derive(Clone, Debug)]
pub struct EmbeddingSettings {
    /// Sub-word and position of each row.
    pub ids: Vec<i32>,
    pub positions: Vec<i32>,
    /// Whether the first row of the table of types is added.
    pub has_types: bool,
    pub epsilon: f32,
    pub numbers: Numbers,
    pub dropout: Dropout,
}

/// Words, positions, types, gamma and beta.
pub const INPUTS: usize = 5;

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub struct Embedded {
    inputs: [CubeTensor; INPUTS],
    settings: EmbeddingSettings,
    normalized: Handle,
    inverses: Handle,
}

impl EmbeddingSettings {
    /// Kernels that know nothing of heads.
    fn build(&self) -> Build {
        Build {
            numbers: self.numbers,
            head_dim: TILE,
        }
    }
}

pub fn forward(
    inputs: [CubeTensor; INPUTS],
    settings: EmbeddingSettings,
) -> (Embedded, CubeTensor) {
    let inputs = inputs.map(into_contiguous);
    let (rows, width) = (settings.ids.len(), inputs[0].meta.shape()[1]);
    let y = new_tensor(&inputs[0], [rows, width], dtype(settings.numbers));
    let client = &inputs[0].client;
    let mut buffers = Buffers::new(client);
    let [words, positions, types, gamma, beta] = inputs.each_ref().map(|x| buffers.tensor(x));
    let [ids, places] =
        [&settings.ids, &settings.positions].map(|list| buffers.held(&uploaded(client, list)));
    let normalized = buffers.numbers(rows * width, settings.numbers);
    let inverses = buffers.numbers(rows, Numbers::F32);
    let out = buffers.tensor(&y);
    let saved = Embedded {
        normalized: buffers.handle(normalized),
        inverses: buffers.handle(inverses),
        settings: settings.clone(),
        inputs,
    };
    buffers.submit(move |gpu, at| {
        // words, positions, type, ids, places, gamma, beta, y, normalized, inverses, rows, width, epsilon, dropout
        let arguments = Arguments::default()
            .with(at[words])
            .with(at[positions])
            .with(if settings.has_types { at[types] } else { 0 })
            .with(at[ids])
            .with(at[places])
            .with(at[gamma])
            .with(at[beta])
            .with(at[out])
            .with(at[normalized])
            .with(at[inverses])
            .with(rows as i32)
            .with(width as i32)
            .with(settings.epsilon)
            .with(DropoutArguments::from(settings.dropout));
        gpu.launch(settings.build(), "embed", Grid::rows(rows), arguments)
    });
    (saved, y)
}

/// The rows that each id has: ids, where the rows of each begin in the order, and the order.
struct ById {
    ids: Vec<i32>,
    starts: Vec<i32>,
    order: Vec<i32>,
}

impl ById {
    fn new(ids: impl Iterator<Item = i32>) -> Self {
        let mut rows: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (row, id) in ids.enumerate() {
            rows.entry(id).or_default().push(row as i32);
        }
        let mut starts = vec![0];
        let mut order = Vec::new();
        for own in rows.values() {
            order.extend(own);
            starts.push(order.len() as i32);
        }
        Self {
            ids: rows.into_keys().collect(),
            starts,
            order,
        }
    }
}

impl Saved<Cuda, INPUTS> for Embedded {
    fn backward(
        self,
        gradient: CubeTensor,
        wanted: [bool; INPUTS],
    ) -> [Option<CubeTensor>; INPUTS] {
        let gradient = into_contiguous(gradient);
        let Self {
            inputs, settings, ..
        } = self;
        let (rows, width) = (settings.ids.len(), inputs[0].meta.shape()[1]);
        let wanted: [bool; INPUTS] =
            std::array::from_fn(|at| wanted[at] && (at != 2 || settings.has_types));
        let gradients: [Option<CubeTensor>; INPUTS] = std::array::from_fn(|at| {
            let shape = inputs[at].meta.shape();
            wanted[at].then(|| match at {
                3 | 4 => new_tensor(&gradient, [width], DType::F32),
                _ => new_tensor(&gradient, [shape[0], width], DType::F32),
            })
        });
        let client = &gradient.client;
        let mut buffers = Buffers::new(client);
        let made = gradients.each_ref().map(|made| {
            let made = made.as_ref()?;
            Some((buffers.tensor(made), made.meta.shape().num_elements()))
        });
        // All rows have the same type.
        let types = vec![0; rows];
        let lists = [&settings.ids, &settings.positions, &types];
        let tables: [_; 3] = std::array::from_fn(|at| {
            let (table, elements) = made[at]?; // nothing for a frozen table
            let by_id = ById::new(lists[at].iter().copied());
            let count = by_id.ids.len();
            let lists = [&by_id.ids, &by_id.starts, &by_id.order]
                .map(|list| buffers.held(&uploaded(client, list)));
            Some((table, elements, lists, count))
        });
        let dy = buffers.tensor(&gradient);
        let gamma = buffers.tensor(&inputs[3]);
        let normalized = buffers.held(&self.normalized);
        let inverses = buffers.held(&self.inverses);
        let d_norm = buffers.numbers(rows * width, settings.numbers);
        let d_sum = buffers.numbers(rows * width, Numbers::F32);
        let sums = ColumnSums::new(rows, width);
        let scratch = buffers.numbers(sums.scratch(), Numbers::F32);
        buffers.submit(move |gpu, at| {
            let build = settings.build();
            // gradient, normalized, inverses, gamma, d_norm, d_sum, rows, width, dropout
            let arguments = Arguments::default()
                .with(at[dy])
                .with(at[normalized])
                .with(at[inverses])
                .with(at[gamma])
                .with(at[d_norm])
                .with(at[d_sum])
                .with(rows as i32)
                .with(width as i32)
                .with(DropoutArguments::from(settings.dropout));
            gpu.launch(build, "embed_backward", Grid::rows(rows), arguments)?;
            for (table, elements, [ids, starts, order], count) in tables.into_iter().flatten() {
                gpu.clear(at[table], 4 * elements)?;
                // d, order, starts, ids, table, width
                let arguments = Arguments::default()
                    .with(at[d_sum])
                    .with(at[order])
                    .with(at[starts])
                    .with(at[ids])
                    .with(at[table])
                    .with(width as i32);
                gpu.launch(build, "sum_by_id", Grid::of(count, 256), arguments)?;
            }
            if let [Some((d_gamma, _)), Some((d_beta, _))] = made[3..] {
                let factors = [at[d_norm], at[normalized], at[scratch]];
                sums.launch(gpu, build, factors, &[at[d_beta], at[d_gamma]], 1)?;
            }
            Ok(())
        });
        gradients
    }
}
