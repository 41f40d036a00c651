//! Clipping and AdamW over all parameters, without a word to the host.

use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::TILE;
use super::buffers::{Buffers, Slot};
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

/// As the kernels read it: value, gradient and moments, then where the new value and moments go.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    addresses: [u64; 7],
    count: i64,
    chunk: i32,
    rate: f32,
    decay: f32,
    unused: i32,
}

/// The updated values and moments, all in new memory, and the norm of all gradients together before they are clipped, `[1]`.
pub fn step(parameters: Vec<Parameter>, limit: f64) -> (Vec<[CubeTensor; 3]>, CubeTensor) {
    let common = parameters[0].step;
    let like = parameters[0].value.clone();
    let mut buffers = Buffers::new(&like.client);
    let mut chunks = 0;
    let mut slots = Vec::with_capacity(parameters.len());
    for parameter in parameters {
        let [first, second] = parameter.moments;
        let elements = parameter.value.meta.shape().num_elements();
        let read = [parameter.value, parameter.gradient, first, second]
            .map(|tensor| buffers.tensor(&into_contiguous(tensor)));
        let entry = Entry {
            addresses: [0; 7],
            count: elements as i64,
            chunk: chunks as i32,
            rate: parameter.step.corrected_rate() as f32,
            decay: parameter.step.decay_factor() as f32,
            unused: 0,
        };
        chunks += elements.div_ceil(CHUNK);
        slots.push((entry, read));
    }
    let slots: Vec<(Entry, [Slot; 4], [Slot; 3])> = slots
        .into_iter()
        .map(|(entry, read)| {
            let written = [(); 3].map(|()| buffers.numbers(entry.count as usize, Numbers::F32));
            (entry, read, written)
        })
        .collect();
    let norm_slot = buffers.numbers(1, Numbers::F32);
    buffers.block();
    let results = slots
        .iter()
        .map(|(entry, _, written)| {
            written.map(|slot| buffers.view(slot, &like, [entry.count as usize], DType::F32))
        })
        .collect();
    let norm = buffers.view(norm_slot, &like, [1], DType::F32);
    let table = buffers.new_bytes(slots.len() * size_of::<Entry>());
    let parts = buffers.numbers(chunks, Numbers::F32);
    buffers.submit(move |gpu, at| {
        let count = slots.len() as i32;
        let entries = slots.into_iter().map(|(entry, read, written)| Entry {
            addresses: std::array::from_fn(|number| match number {
                0..4 => at[read[number]],
                _ => at[written[number - 4]],
            }),
            ..entry
        });
        let entries: Vec<Entry> = entries.collect();
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
