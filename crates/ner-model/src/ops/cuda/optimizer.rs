//! Clipping and AdamW over all parameters, without a word to the host.

use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::TILE;
use super::buffers::{Buffers, new_tensor};
use super::gpu::{Arguments, Build, Grid, Numbers};
use crate::ops::AdamWStep;

/// Elements of a parameter that a block of threads takes, as the kernels have it.
const CHUNK: usize = 16_384;

const BUILD: Build = Build {
    numbers: Numbers::F32,
    head_dim: TILE,
};

/// A parameter, its gradient and its moments, all `[elements]`.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub value: CubeTensor,
    pub gradient: CubeTensor,
    pub moments: [CubeTensor; 2],
    /// Its learning rate and decay; the rest is the same for all.
    pub step: AdamWStep,
}

/// As the kernels read it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    addresses: [u64; 5],
    count: i64,
    chunk: i32,
    rate: f32,
    decay: f32,
    unused: i32,
}

/// The updated values and moments, and the norm of all gradients together before they are clipped, `[1]`. The memory of moments is used again.
pub fn step(parameters: Vec<Parameter>, limit: f64) -> (Vec<[CubeTensor; 3]>, CubeTensor) {
    let common = parameters[0].step;
    let client = parameters[0].value.client.clone();
    let mut buffers = Buffers::new(&client);
    let mut chunks = 0;
    let mut slots = Vec::with_capacity(parameters.len());
    let mut results = Vec::with_capacity(parameters.len());
    let norm = new_tensor(&parameters[0].value, [1], DType::F32);
    for parameter in parameters {
        let value = into_contiguous(parameter.value);
        let gradient = into_contiguous(parameter.gradient);
        let elements = value.meta.shape().num_elements();
        let updated = new_tensor(&value, [elements], DType::F32);
        let moments = parameter.moments.map(into_contiguous);
        // What another handle reads is not written to.
        let written: [CubeTensor; 2] = std::array::from_fn(|at| {
            if moments[at].handle.can_mut() {
                moments[at].clone()
            } else {
                new_tensor(&value, [elements], DType::F32)
            }
        });
        let [
            value,
            updated_slot,
            gradient,
            first,
            second,
            first_to,
            second_to,
        ] = [
            &value,
            &updated,
            &gradient,
            &moments[0],
            &moments[1],
            &written[0],
            &written[1],
        ]
        .map(|tensor| buffers.tensor(tensor));
        let entry = Entry {
            addresses: [0; 5],
            count: elements as i64,
            chunk: chunks as i32,
            rate: parameter.step.corrected_rate() as f32,
            decay: (1.0 - parameter.step.learning_rate * parameter.step.weight_decay) as f32,
            unused: 0,
        };
        chunks += elements.div_ceil(CHUNK);
        let copied = [(first, first_to), (second, second_to)];
        slots.push((
            entry,
            [value, updated_slot, gradient, first_to, second_to],
            copied,
        ));
        let [first, second] = written;
        results.push([updated, first, second]);
    }
    let table = buffers.new_bytes(slots.len() * size_of::<Entry>());
    let parts = buffers.numbers(chunks, Numbers::F32);
    let norm_slot = buffers.tensor(&norm);
    buffers.submit(move |gpu, at| {
        let count = slots.len() as i32;
        let mut entries = Vec::with_capacity(slots.len());
        for (mut entry, own, copied) in slots {
            entry.addresses = own.map(|slot| at[slot]);
            for (from, to) in copied {
                gpu.copy(at[from], at[to], 4 * entry.count as usize)?;
            }
            entries.push(entry);
        }
        // SAFETY: an entry has no padding.
        #[expect(unsafe_code, reason = "reads plain data as bytes")]
        let bytes = unsafe {
            std::slice::from_raw_parts(entries.as_ptr().cast::<u8>(), size_of_val(&entries[..]))
        };
        gpu.upload(at[table], bytes)?;
        // slots, count, parts
        let arguments = Arguments::default()
            .with(at[table])
            .with(count)
            .with(at[parts]);
        gpu.launch(BUILD, "square_sums", Grid::of(chunks, 256), arguments)?;
        // parts, count, norm
        let arguments = Arguments::default()
            .with(at[parts])
            .with(chunks as i32)
            .with(at[norm_slot]);
        gpu.launch(BUILD, "finish_norm", Grid::of(1, 1024), arguments)?;
        // slots, count, norm, limit, beta1, beta2, rest1, rest2, correction, epsilon
        let arguments = Arguments::default()
            .with(at[table])
            .with(count)
            .with(at[norm_slot])
            .with(limit as f32)
            .with(common.beta1 as f32)
            .with(common.beta2 as f32)
            .with((1.0 - common.beta1) as f32)
            .with((1.0 - common.beta2) as f32)
            .with(common.root_correction() as f32)
            .with(common.epsilon as f32);
        gpu.launch(BUILD, "adamw", Grid::of(chunks, 256), arguments)
    });
    (results, norm)
}
