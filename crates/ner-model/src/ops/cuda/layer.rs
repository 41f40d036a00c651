//! One encoder layer, forward and backward.

use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl_runtime::server::Handle;

use super::backend::Cuda;
use super::buffers::{Buffers, Slot, new_tensor};
use super::gpu::{Arguments, Build, Gpu, Grid, Matrix, Numbers, Product, Result};
use super::sequences::Sequences;
use super::{DropoutArguments, TILE, dtype};
use crate::ops::Dropout;
use crate::ops::fused::Saved;

/// What is the same for all layers of a pass, and the dropout of one.
#[derive(Clone, Debug)]
pub struct LayerSettings {
    pub sequences: Sequences,
    pub heads: usize,
    pub epsilon: f32,
    pub numbers: Numbers,
    /// Of attention's probabilities, its output, and the layer's output.
    pub dropouts: [Dropout; 3],
}

/// Tensors of a layer in the order in which the autodiff graph has them: the input, then [`LayerWeights`].
pub const INPUTS: usize = 17;

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub struct Layer {
    inputs: [CubeTensor; INPUTS],
    settings: LayerSettings,
    /// Weights in the numbers of the activations: query, key and value side by side, output, widening, narrowing.
    packed: [Handle; 4],
    projected: Handle,
    log_sums: Handle,
    context: Handle,
    middle: Handle,
    between: Handle,
    activated: Handle,
    /// Normalised rows, and one over their deviations, of both norms.
    norms: [[Handle; 2]; 2],
}

/// Places of the weights among the inputs.
const QUERY: usize = 1;
const KEY: usize = 3;
const VALUE: usize = 5;
const OUTPUT: usize = 7;
const FIRST_NORM: usize = 9;
const WIDEN: usize = 11;
const NARROW: usize = 13;
const SECOND_NORM: usize = 15;

struct Sizes {
    rows: usize,
    hidden: usize,
    inner: usize,
    head_dim: usize,
    build: Build,
}

impl Sizes {
    fn new(inputs: &[CubeTensor; INPUTS], settings: &LayerSettings) -> Self {
        let (x, widen) = (inputs[0].meta.shape(), inputs[WIDEN].meta.shape());
        let head_dim = x[1] / settings.heads;
        Self {
            rows: x[0],
            hidden: x[1],
            inner: widen[1],
            head_dim,
            build: Build {
                numbers: settings.numbers,
                head_dim,
            },
        }
    }

    /// Floats of a row of attention's shared memory, as the kernels count them.
    fn shared_stride(&self, longest: usize) -> usize {
        longest.next_multiple_of(TILE).max(self.head_dim) + 8
    }

    /// A grid of so many warps a block, each for a tile of a head of a sequence with so many floats of shared memory.
    fn attention_grid(&self, sequences: &Sequences, heads: usize, floats: usize) -> Grid {
        const SHARED: usize = 200 << 10;
        let tiles = sequences.longest.div_ceil(TILE);
        let warps = (SHARED / (4 * floats)).clamp(1, 4).min(tiles.max(1));
        Grid {
            blocks: [tiles.div_ceil(warps), heads, sequences.count],
            threads: 32 * warps,
            shared: 4 * floats * warps,
        }
    }
}

/// The layer's output, in the numbers of its input.
pub fn forward(inputs: [CubeTensor; INPUTS], settings: &LayerSettings) -> (Layer, CubeTensor) {
    let inputs = inputs.map(into_contiguous);
    let sizes @ Sizes {
        rows,
        hidden,
        inner,
        build,
        ..
    } = &Sizes::new(&inputs, settings);
    let (rows, hidden, inner, build) = (*rows, *hidden, *inner, *build);
    let numbers = settings.numbers;
    let y = new_tensor(&inputs[0], [rows, hidden], dtype(numbers));

    let mut buffers = Buffers::new(&inputs[0].client);
    let given: [Slot; INPUTS] = std::array::from_fn(|at| buffers.tensor(&inputs[at]));
    let wide = buffers.numbers(hidden * 3 * hidden, numbers);
    let wide_bias = buffers.numbers(3 * hidden, numbers);
    // In f32 the others are used as they are.
    let [output, widen, narrow] = [OUTPUT, WIDEN, NARROW].map(|at| match numbers {
        Numbers::F32 => given[at],
        Numbers::Bf16 => {
            let shape = inputs[at].meta.shape();
            buffers.numbers(shape[0] * shape[1], numbers)
        }
    });
    let projected = buffers.numbers((rows + TILE) * 3 * hidden, numbers);
    let log_sums = buffers.numbers(settings.heads * rows, Numbers::F32);
    let context = buffers.numbers(rows * hidden, numbers);
    let scratch = buffers.numbers(rows * hidden, numbers);
    let middle = buffers.numbers(rows * hidden, numbers);
    let between = buffers.numbers(rows * inner, numbers);
    let activated = buffers.numbers(rows * inner, numbers);
    let norms: [[Slot; 2]; 2] = [(); 2].map(|()| {
        [
            buffers.numbers(rows * hidden, numbers),
            buffers.numbers(rows, Numbers::F32),
        ]
    });
    let boundaries = buffers.held(&settings.sequences.boundaries);
    let out = buffers.tensor(&y);

    buffers.block();
    let saved = Layer {
        packed: [wide, output, widen, narrow].map(|slot| buffers.handle(slot)),
        projected: buffers.handle(projected),
        log_sums: buffers.handle(log_sums),
        context: buffers.handle(context),
        middle: buffers.handle(middle),
        between: buffers.handle(between),
        activated: buffers.handle(activated),
        norms: norms.map(|norm| norm.map(|slot| buffers.handle(slot))),
        inputs,
        settings: settings.clone(),
    };
    let stride = sizes.shared_stride(settings.sequences.longest);
    let grid = sizes.attention_grid(&settings.sequences, settings.heads, TILE * stride);
    let scale = 1.0 / (sizes.head_dim as f32).sqrt();
    let settings = settings.clone();
    buffers.submit(move |gpu, at| {
        for (part, weight) in [QUERY, KEY, VALUE].into_iter().enumerate() {
            let offset = (part * hidden * numbers.bytes()) as u64;
            pack(
                gpu,
                build,
                at[given[weight]],
                at[wide] + offset,
                [hidden, hidden],
                3 * hidden,
            )?;
            pack(
                gpu,
                build,
                at[given[weight + 1]],
                at[wide_bias] + offset,
                [1, hidden],
                hidden,
            )?;
        }
        if numbers == Numbers::Bf16 {
            for (weight, packed, shape) in [
                (OUTPUT, output, [hidden, hidden]),
                (WIDEN, widen, [hidden, inner]),
                (NARROW, narrow, [inner, hidden]),
            ] {
                pack(gpu, build, at[given[weight]], at[packed], shape, shape[1])?;
            }
        }
        let product = |a: Slot, b: Slot, output: Slot, depth, columns| Product {
            sizes: [rows, columns, depth],
            a: Matrix::new(at[a], depth),
            b: Matrix::new(at[b], columns),
            output: Matrix::new(at[output], columns),
            factors: numbers,
            sums: numbers,
            accumulates: false,
            bias: None,
        };
        gpu.multiply(&Product {
            bias: Some(at[wide_bias]),
            ..product(given[0], wide, projected, hidden, 3 * hidden)
        })?;
        let row = 3 * hidden * numbers.bytes();
        gpu.clear(at[projected] + (rows * row) as u64, TILE * row)?;
        // projected, context, log_sums, boundaries, heads, rows, longest, scale, dropout
        let arguments = Arguments::default()
            .with(at[projected])
            .with(at[context])
            .with(at[log_sums])
            .with(at[boundaries])
            .with(settings.heads as i32)
            .with(rows as i32)
            .with(settings.sequences.longest as i32)
            .with(scale)
            .with(DropoutArguments::from(settings.dropouts[0]));
        gpu.launch(build, "attention", grid, arguments)?;

        let norm = |gpu: &mut Gpu, bias, residual, first: usize, which: usize, to: u64| {
            // x, bias, residual, gamma, beta, y, normalized, inverses, rows, width, epsilon, dropout
            let arguments = Arguments::default()
                .with(at[scratch])
                .with(at[given[bias]])
                .with(residual)
                .with(at[given[first]])
                .with(at[given[first + 1]])
                .with(to)
                .with(at[norms[which][0]])
                .with(at[norms[which][1]])
                .with(rows as i32)
                .with(hidden as i32)
                .with(settings.epsilon)
                .with(DropoutArguments::from(settings.dropouts[1 + which]));
            gpu.launch(build, "residual_norm", Grid::rows(rows), arguments)
        };
        gpu.multiply(&product(context, output, scratch, hidden, hidden))?;
        norm(gpu, OUTPUT + 1, at[given[0]], FIRST_NORM, 0, at[middle])?;

        gpu.multiply(&product(middle, widen, between, hidden, inner))?;
        // x, bias, y, count, width
        let arguments = Arguments::default()
            .with(at[between])
            .with(at[given[WIDEN + 1]])
            .with(at[activated])
            .with((rows * inner) as i64)
            .with(inner as i32);
        gpu.launch(build, "gelu", Grid::over(rows * inner / 4), arguments)?;
        gpu.multiply(&product(activated, narrow, scratch, inner, hidden))?;
        norm(gpu, NARROW + 1, at[middle], SECOND_NORM, 1, at[out])
    });
    (saved, y)
}

/// Copies a matrix of f32 into numbers of the build, in rows that are `stride` apart.
fn pack(
    gpu: &mut Gpu,
    build: Build,
    from: u64,
    to: u64,
    [rows, columns]: [usize; 2],
    stride: usize,
) -> Result<()> {
    const BLOCKS: usize = 1024;
    let blocks = (rows * columns / 4).div_ceil(256).min(BLOCKS);
    // x, y, rows, columns, stride
    let arguments = Arguments::default()
        .with(from)
        .with(to)
        .with(rows as i64)
        .with(columns as i32)
        .with(stride as i32);
    gpu.launch(build, "pack", Grid::of(blocks, 256), arguments)
}

/// Sums of columns, by way of those of parts of the rows.
pub struct ColumnSums {
    pub rows: usize,
    pub width: usize,
    parts: usize,
}

impl ColumnSums {
    pub fn new(rows: usize, width: usize) -> Self {
        Self {
            rows,
            width,
            parts: rows.div_ceil(64).clamp(1, 64),
        }
    }

    /// Floats of memory for the parts' sums.
    pub fn scratch(&self) -> usize {
        2 * self.parts * self.width
    }

    /// Sums of `a` to the first of the outputs, and of `a * b` to another.
    pub fn launch(
        &self,
        gpu: &mut Gpu,
        build: Build,
        [a, b, scratch]: [u64; 3],
        outputs: &[u64],
        pieces: usize,
    ) -> Result<()> {
        let Self { rows, width, parts } = *self;
        let grid = Grid {
            blocks: [width.div_ceil(128), parts, 1],
            threads: 256,
            shared: 0,
        };
        // a, b, parts, rows, width, rows_of_part
        let arguments = Arguments::default()
            .with(a)
            .with(b)
            .with(scratch)
            .with(rows as i32)
            .with(width as i32)
            .with(rows.div_ceil(parts) as i32);
        gpu.launch(build, "column_sums", grid, arguments)?;
        let stride = if b == 0 { width } else { 2 * width };
        let piece = width / pieces;
        for (number, output) in outputs.iter().enumerate() {
            let start = scratch + (4 * number * piece) as u64;
            // parts, sums, count, width, stride
            let arguments = Arguments::default()
                .with(start)
                .with(*output)
                .with(parts as i32)
                .with(piece as i32)
                .with(stride as i32);
            gpu.launch(build, "finish_columns", Grid::over(piece), arguments)?;
        }
        Ok(())
    }
}

impl Saved<Cuda, INPUTS> for Layer {
    fn backward(
        self,
        gradient: CubeTensor,
        wanted: [bool; INPUTS],
    ) -> [Option<CubeTensor>; INPUTS] {
        let gradient = into_contiguous(gradient);
        let Self {
            inputs, settings, ..
        } = &self;
        let sizes = Sizes::new(inputs, settings);
        let Sizes {
            rows,
            hidden,
            inner,
            build,
            ..
        } = sizes;
        let numbers = settings.numbers;
        let mut buffers = Buffers::new(&gradient.client);
        // The gradients have a block of their own: they outlive the rest.
        let dims: [Vec<usize>; INPUTS] = inputs.each_ref().map(|input| input.meta.shape().to_vec());
        let made: [Option<Slot>; INPUTS] = std::array::from_fn(|at| {
            let elements = dims[at].iter().product();
            match at {
                0 => Some(buffers.numbers(elements, numbers)),
                _ => wanted[at].then(|| buffers.numbers(elements, Numbers::F32)),
            }
        });
        buffers.block();
        let gradients: [Option<CubeTensor>; INPUTS] = std::array::from_fn(|at| {
            let slot = made[at].filter(|_| wanted[at])?;
            let dtype = if at == 0 { dtype(numbers) } else { DType::F32 };
            Some(match dims[at][..] {
                [rows, columns] => buffers.view(slot, &gradient, [rows, columns], dtype),
                _ => buffers.view(slot, &gradient, [dims[at][0]], dtype),
            })
        });
        let given: [Slot; INPUTS] = std::array::from_fn(|at| buffers.tensor(&inputs[at]));
        let dy = buffers.tensor(&gradient);
        let [wide, output, widen, narrow] = self.packed.each_ref().map(|held| buffers.held(held));
        let [projected, log_sums, context, middle, between, activated] = [
            &self.projected,
            &self.log_sums,
            &self.context,
            &self.middle,
            &self.between,
            &self.activated,
        ]
        .map(|held| buffers.held(held));
        let norms = self
            .norms
            .each_ref()
            .map(|norm| norm.each_ref().map(|held| buffers.held(held)));
        let [boundaries, offsets] = [&settings.sequences.boundaries, &settings.sequences.offsets]
            .map(|held| buffers.held(held));
        let d_middle = buffers.numbers(rows * hidden, numbers);
        let d_dropped = buffers.numbers(rows * hidden, numbers);
        let d_activated = buffers.numbers(rows * inner, numbers);
        let d_context = buffers.numbers((rows + TILE) * hidden, numbers);
        let d_projected = buffers.numbers(rows * 3 * hidden, numbers);
        let [weights, d_scores] =
            [(); 2].map(|()| buffers.numbers(settings.sequences.squares, numbers));
        let sums = ColumnSums::new(rows, hidden);
        let inner_sums = ColumnSums::new(rows, inner);
        let wide_sums = ColumnSums::new(rows, 3 * hidden);
        let scratch = [&sums, &inner_sums, &wide_sums].map(ColumnSums::scratch);
        let scratch = buffers.numbers(scratch.into_iter().max().unwrap_or(0), Numbers::F32);

        let stride = sizes.shared_stride(settings.sequences.longest);
        let sequences = &settings.sequences;
        let query_grid = sizes.attention_grid(sequences, settings.heads, 2 * TILE * stride);
        let key_grid = sizes.attention_grid(sequences, settings.heads, TILE * (sizes.head_dim + 8));
        let scale = 1.0 / (sizes.head_dim as f32).sqrt();
        let settings = settings.clone();
        let wants_x = wanted[0];
        buffers.submit(move |gpu, at| {
            let d_x = made[0].map_or(0, |slot| at[slot]);
            let address = |slot: Option<Slot>| slot.map_or(0, |slot| at[slot]);
            // What a weight's gradient is: the transposed input times the gradient of the output.
            let weight = |gpu: &mut Gpu,
                          x: u64,
                          d: u64,
                          d_stride: usize,
                          which: usize,
                          [inputs, outputs]: [usize; 2]| {
                let Some(to) = made[which] else { return Ok(()) };
                gpu.multiply(&Product {
                    sizes: [inputs, outputs, rows],
                    a: Matrix::new(x, inputs).transposed(),
                    b: Matrix::new(d, d_stride),
                    output: Matrix::new(at[to], outputs),
                    factors: numbers,
                    sums: Numbers::F32,
                    accumulates: false,
                    bias: None,
                })
            };
            // The gradient of an input: that of the output times the transposed weight.
            let input = |gpu: &mut Gpu,
                         d: u64,
                         weight: u64,
                         to: u64,
                         [inputs, outputs]: [usize; 2],
                         accumulates| {
                gpu.multiply(&Product {
                    sizes: [rows, inputs, outputs],
                    a: Matrix::new(d, outputs),
                    b: Matrix::new(weight, outputs).transposed(),
                    output: Matrix::new(to, inputs),
                    factors: numbers,
                    sums: numbers,
                    accumulates,
                    bias: None,
                })
            };
            // Through a norm: the gradients of what it was given, of the residual and, where that is dropped out, of the other.
            let norm = |gpu: &mut Gpu,
                        from: u64,
                        which: usize,
                        first: usize,
                        bias: usize,
                        residual: u64| {
                let dropout = DropoutArguments::from(settings.dropouts[1 + which]);
                let other = if dropout.acts() { at[d_dropped] } else { 0 };
                // gradient, normalized, inverses, gamma, d_residual, d_x, rows, width, dropout
                let arguments = Arguments::default()
                    .with(from)
                    .with(at[norms[which][0]])
                    .with(at[norms[which][1]])
                    .with(at[given[first]])
                    .with(residual)
                    .with(other)
                    .with(rows as i32)
                    .with(hidden as i32)
                    .with(dropout);
                gpu.launch(build, "residual_norm_backward", Grid::rows(rows), arguments)?;
                let other = if dropout.acts() { other } else { residual };
                if made[first].is_some() && made[first + 1].is_some() {
                    let factors = [from, at[norms[which][0]], at[scratch]];
                    let outputs = [address(made[first + 1]), address(made[first])];
                    ColumnSums::new(rows, hidden).launch(gpu, build, factors, &outputs, 1)?;
                }
                if let Some(to) = made[bias] {
                    let factors = [other, 0, at[scratch]];
                    ColumnSums::new(rows, hidden).launch(gpu, build, factors, &[at[to]], 1)?;
                }
                Ok(other)
            };

            let d_narrow = norm(gpu, at[dy], 1, SECOND_NORM, NARROW + 1, at[d_middle])?;
            weight(
                gpu,
                at[activated],
                d_narrow,
                hidden,
                NARROW,
                [inner, hidden],
            )?;
            input(
                gpu,
                d_narrow,
                at[narrow],
                at[d_activated],
                [inner, hidden],
                false,
            )?;
            // x, bias, gradient, count, width
            let arguments = Arguments::default()
                .with(at[between])
                .with(at[given[WIDEN + 1]])
                .with(at[d_activated])
                .with((rows * inner) as i64)
                .with(inner as i32);
            gpu.launch(
                build,
                "gelu_backward",
                Grid::over(rows * inner / 4),
                arguments,
            )?;
            if let Some(to) = made[WIDEN + 1] {
                let factors = [at[d_activated], 0, at[scratch]];
                inner_sums.launch(gpu, build, factors, &[at[to]], 1)?;
            }
            weight(
                gpu,
                at[middle],
                at[d_activated],
                inner,
                WIDEN,
                [hidden, inner],
            )?;
            input(
                gpu,
                at[d_activated],
                at[widen],
                at[d_middle],
                [hidden, inner],
                true,
            )?;

            let d_output = norm(gpu, at[d_middle], 0, FIRST_NORM, OUTPUT + 1, d_x)?;
            weight(gpu, at[context], d_output, hidden, OUTPUT, [hidden, hidden])?;
            input(
                gpu,
                d_output,
                at[output],
                at[d_context],
                [hidden, hidden],
                false,
            )?;
            let row = hidden * numbers.bytes();
            gpu.clear(at[d_context] + (rows * row) as u64, TILE * row)?;
            attention_backward(
                gpu,
                build,
                &settings,
                [query_grid, key_grid],
                scale,
                &[
                    at[projected],
                    at[context],
                    at[d_context],
                    at[log_sums],
                    at[boundaries],
                    at[offsets],
                    at[weights],
                    at[d_scores],
                    at[d_projected],
                ],
            )?;
            let biases = [QUERY + 1, KEY + 1, VALUE + 1].map(|which| address(made[which]));
            if !biases.contains(&0) {
                let factors = [at[d_projected], 0, at[scratch]];
                wide_sums.launch(gpu, build, factors, &biases, 3)?;
            }
            for (part, which) in [QUERY, KEY, VALUE].into_iter().enumerate() {
                let d = at[d_projected] + (part * hidden * numbers.bytes()) as u64;
                weight(gpu, at[given[0]], d, 3 * hidden, which, [hidden, hidden])?;
            }
            if wants_x {
                input(
                    gpu,
                    at[d_projected],
                    at[wide],
                    d_x,
                    [hidden, 3 * hidden],
                    true,
                )?;
            }
            Ok(())
        });
        gradients
    }
}

/// The two kernels behind each other; addresses as they are named there.
fn attention_backward(
    gpu: &mut Gpu,
    build: Build,
    settings: &LayerSettings,
    [query_grid, key_grid]: [Grid; 2],
    scale: f32,
    addresses: &[u64; 9],
) -> Result<()> {
    let [
        projected,
        context,
        d_context,
        log_sums,
        boundaries,
        offsets,
        weights,
        d_scores,
        d_projected,
    ] = *addresses;
    let arguments = Arguments::default()
        .with(projected)
        .with(context)
        .with(d_context)
        .with(log_sums)
        .with(boundaries)
        .with(offsets)
        .with(weights)
        .with(d_scores)
        .with(d_projected)
        .with(settings.heads as i32)
        .with(settings.sequences.rows as i32)
        .with(settings.sequences.longest as i32)
        .with(scale)
        .with(DropoutArguments::from(settings.dropouts[0]));
    gpu.launch(build, "attention_backward_queries", query_grid, arguments)?;
    let arguments = Arguments::default()
        .with(projected)
        .with(d_context)
        .with(boundaries)
        .with(offsets)
        .with(weights)
        .with(d_scores)
        .with(d_projected)
        .with(settings.heads as i32);
    gpu.launch(build, "attention_backward_keys", key_grid, arguments)
}
