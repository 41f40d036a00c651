//! Memory of operations, and how they are queued.

use std::ops::Index;

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

/// Memory that an operation reads or writes.
#[derive(Clone, Copy, Debug)]
pub struct Slot(usize);

/// All memory of an operation.
pub struct Buffers {
    client: Client,
    handles: Vec<Handle>,
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
    pub fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            handles: Vec::new(),
        }
    }

    pub fn held(&mut self, handle: &Handle) -> Slot {
        self.handles.push(handle.clone());
        Slot(self.handles.len() - 1)
    }

    pub fn tensor(&mut self, tensor: &CubeTensor) -> Slot {
        self.held(&tensor.handle)
    }

    /// New memory.
    pub fn new_bytes(&mut self, bytes: usize) -> Slot {
        let handle = self.client.empty(bytes.max(16));
        self.held(&handle)
    }

    /// New memory for so many numbers.
    pub fn numbers(&mut self, count: usize, numbers: Numbers) -> Slot {
        self.new_bytes(count * numbers.bytes())
    }

    pub fn handle(&self, slot: Slot) -> Handle {
        self.handles[slot.0].clone()
    }

    /// Queues an operation on this memory.
    pub fn submit(self, work: impl FnOnce(&mut Gpu, &Addresses) -> Result<()> + Send + 'static) {
        let device = self.client.service_id().device;
        let stream = StreamId::current();
        let handles = self.handles;
        DeviceHandle::<Server>::new(device).submit(move |server| {
            let mut resources = Vec::with_capacity(handles.len());
            let mut refused = None;
            for handle in handles {
                match server.get_resource(handle.binding(), stream) {
                    Ok(resource) => resources.push(resource),
                    Err(error) => refused = Some(error.to_string()),
                }
            }
            let addresses = resources.iter().map(|held| held.resource().ptr).collect();
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
