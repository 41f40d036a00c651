//! Memory of operations, and how they are queued.

use std::collections::HashMap;
use std::ops::Index;
use std::ptr;

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl_common::device_handle::DeviceHandle;
use cubecl_cuda::CudaRuntime;
use cubecl_environment::stream::StreamId;
use cubecl_runtime::client::Client;
use cubecl_runtime::runtime::Runtime;
use cubecl_runtime::server::{Handle, ServerStorage};

use super::gpu::{self, Failure, Gpu, Numbers, Result};

type Server = <CudaRuntime as Runtime>::Server;

/// Views of a block begin at multiples of this, as CubeCL's kernels and the tensor cores ask for.
const ALIGNMENT: usize = 512;

/// Memory that an operation reads or writes.
#[derive(Clone, Copy, Debug)]
pub struct Slot(usize);

/// All memory of an operation. What is new is cut out of few blocks, because each block takes CubeCL some microseconds.
pub struct Buffers {
    client: Client,
    handles: Vec<Handle>,
    /// New memory that no block was made for yet: its slots and bytes.
    wanted: Vec<(usize, usize)>,
}

/// Where the memory lies while the operation runs.
pub struct Addresses(Vec<u64>);

impl Index<Slot> for Addresses {
    type Output = u64;

    fn index(&self, slot: Slot) -> &u64 {
        &self.0[slot.0]
    }
}

impl Buffers {
    /// For operations on the device of a tensor.
    pub fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            handles: Vec::new(),
            wanted: Vec::new(),
        }
    }

    /// Memory that is there.
    pub fn held(&mut self, handle: &Handle) -> Slot {
        self.block();
        self.handles.push(handle.clone());
        Slot(self.handles.len() - 1)
    }

    pub fn tensor(&mut self, tensor: &CubeTensor) -> Slot {
        self.held(&tensor.handle)
    }

    /// New memory.
    pub fn new_bytes(&mut self, bytes: usize) -> Slot {
        let slot = self.handles.len() + self.wanted.len();
        self.wanted.push((slot, bytes.max(1)));
        Slot(slot)
    }

    /// New memory for so many numbers.
    pub fn numbers(&mut self, count: usize, numbers: Numbers) -> Slot {
        self.new_bytes(count * numbers.bytes())
    }

    /// Makes a block for the new memory that was asked for since the last one. Each is free when none of its views is left.
    pub fn block(&mut self) {
        let sizes = self
            .wanted
            .iter()
            .map(|(_, bytes)| bytes.next_multiple_of(ALIGNMENT));
        let total: usize = sizes.sum();
        if total == 0 {
            return;
        }
        let block = self.client.empty(total);
        let mut start = 0;
        for (_, bytes) in self.wanted.drain(..) {
            let mut view = block.clone();
            view.offset_start = Some(start as u64);
            view.offset_end = Some(block.size() - (start + bytes) as u64);
            self.handles.push(view);
            start += bytes.next_multiple_of(ALIGNMENT);
        }
    }

    pub fn handle(&mut self, slot: Slot) -> Handle {
        self.block();
        self.handles[slot.0].clone()
    }

    /// A tensor in the memory of a slot.
    pub fn view<const D: usize>(
        &mut self,
        slot: Slot,
        like: &CubeTensor,
        shape: [usize; D],
        dtype: DType,
    ) -> CubeTensor {
        let handle = self.handle(slot);
        let (client, device) = (like.client.clone(), like.device.clone());
        CubeTensor::new_contiguous(client, device, shape.into(), handle, dtype)
    }

    /// Queues an operation on this memory.
    pub fn submit(
        mut self,
        work: impl FnOnce(&mut Gpu, &Addresses) -> Result<()> + Send + 'static,
    ) {
        self.block();
        let device = self.client.service_id().device;
        let stream = StreamId::current();
        let handles = self.handles;
        DeviceHandle::<Server>::new(device).submit(move |server| {
            // Of many views of one block, the block is asked for once.
            let mut blocks = HashMap::new();
            let mut addresses = Vec::with_capacity(handles.len());
            let mut refused = None;
            for handle in &handles {
                let start = handle.offset_start.unwrap_or(0);
                let block = blocks
                    .entry(ptr::from_ref(handle.memory.descriptor()))
                    .or_insert_with(|| {
                        let mut whole = handle.clone();
                        (whole.offset_start, whole.offset_end) = (None, None);
                        server.get_resource(whole.binding(), stream)
                    });
                match block {
                    Ok(resource) => addresses.push(resource.resource().ptr + start),
                    Err(error) => refused = Some(error.to_string()),
                }
            }
            gpu::run(device, |gpu| match refused {
                Some(error) => Err(Failure(error)),
                None => work(gpu, &Addresses(addresses)),
            });
        });
    }
}

/// A new tensor on the device of another, whose memory is filled by an operation.
pub fn new_tensor<const D: usize>(
    like: &CubeTensor,
    shape: [usize; D],
    dtype: DType,
) -> CubeTensor {
    let bytes = shape.iter().product::<usize>() * dtype.size();
    CubeTensor::new_contiguous(
        like.client.clone(),
        like.device.clone(),
        shape.into(),
        like.client.empty(bytes.max(16)),
        dtype,
    )
}

/// Numbers of the host in the device's memory.
pub fn uploaded<N: Copy>(client: &Client, numbers: &[N]) -> Handle {
    // SAFETY: integers have no padding and any bytes.
    #[expect(unsafe_code, reason = "reads integers as bytes")]
    let bytes =
        unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast::<u8>(), size_of_val(numbers)) };
    client.create_from_slice(bytes)
}
