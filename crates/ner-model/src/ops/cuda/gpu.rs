//! A GPU as the fused operations use it: their kernels, cuBLASLt, and a stream of their own beside CubeCL's.
//!
//! All calls are made by the thread of CubeCL's server, in the order in which operations are queued, so that memory that CubeCL hands out is
//! free when they use it. CubeCL does not give its stream out. Two events of the whole context take its place: the work of an operation waits
//! for all that was queued before it, and what is queued after it waits for the operation.

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::fmt::Display;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use cubecl_common::device::DeviceId;
use cudarc::cublaslt::{result as lt, sys as lts};
use cudarc::driver::{result as driver, sys};
use cudarc::nvrtc::{result as nvrtc, sys as nvrtcs};

/// What the driver, cuBLASLt or the compiler refused.
#[derive(Clone, Debug)]
pub struct Failure(pub String);

pub type Result<T> = std::result::Result<T, Failure>;

/// Says what was being done when something failed.
pub trait During<T> {
    fn during(self, what: &str) -> Result<T>;
}

impl<T, E: Display> During<T> for std::result::Result<T, E> {
    fn during(self, what: &str) -> Result<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}

/// Numbers that activations are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Numbers {
    F32,
    Bf16,
}

impl Numbers {
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    fn data_type(self) -> lts::cudaDataType {
        match self {
            Self::F32 => lts::cudaDataType_t::CUDA_R_32F,
            Self::Bf16 => lts::cudaDataType_t::CUDA_R_16BF,
        }
    }
}

/// A build of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Build {
    pub numbers: Numbers,
    pub head_dim: usize,
}

/// A row-major matrix in the device's memory that is a factor of a product.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    pub address: u64,
    /// From one row to the next, in elements.
    pub stride: usize,
    /// Whether the product takes it with rows and columns exchanged.
    pub transposed: bool,
}

impl Matrix {
    pub fn new(address: u64, stride: usize) -> Self {
        Self {
            address,
            stride,
            transposed: false,
        }
    }

    pub fn transposed(self) -> Self {
        Self {
            transposed: true,
            ..self
        }
    }
}

/// `output = a · b`, and what is added to it.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Rows and columns of the output, and what is summed over.
    pub sizes: [usize; 3],
    pub a: Matrix,
    pub b: Matrix,
    pub output: Matrix,
    pub factors: Numbers,
    pub sums: Numbers,
    /// Whether the output is added to what is there.
    pub accumulates: bool,
    /// Address of a row of the outputs' numbers that is added to each.
    pub bias: Option<u64>,
}

/// In what products differ for the choice of an algorithm.
type Shape = ([usize; 3], [usize; 3], [bool; 4], [Numbers; 2]);

/// Arguments of a kernel: their bytes, kept in place until it is launched.
#[derive(Default)]
pub struct Arguments(Vec<[u64; 2]>);

impl Arguments {
    pub fn with<A: Copy>(mut self, argument: A) -> Self {
        const { assert!(size_of::<A>() <= 16 && align_of::<A>() <= 8) };
        let mut bytes = [0_u64; 2];
        // SAFETY: the argument fits, as asserted, and is plain data.
        #[expect(unsafe_code, reason = "copies plain data")]
        unsafe {
            ptr::copy_nonoverlapping(
                ptr::from_ref(&argument).cast::<u8>(),
                bytes.as_mut_ptr().cast::<u8>(),
                size_of::<A>(),
            );
        }
        self.0.push(bytes);
        self
    }
}

/// Blocks of a grid, threads of a block, and bytes of its dynamic shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    pub blocks: [usize; 3],
    pub threads: usize,
    pub shared: usize,
}

impl Grid {
    /// So many blocks of so many threads.
    pub fn of(blocks: usize, threads: usize) -> Self {
        Self {
            blocks: [blocks, 1, 1],
            threads,
            shared: 0,
        }
    }

    /// A thread for each of `count`.
    pub fn over(count: usize) -> Self {
        Self::of(count.div_ceil(256), 256)
    }

    /// A warp for each of `rows`.
    pub fn rows(rows: usize) -> Self {
        Self::of(rows.div_ceil(8), 256)
    }
}

pub struct Gpu {
    context: sys::CUcontext,
    stream: sys::CUstream,
    event: sys::CUevent,
    /// Whether the context records events, which drivers before CUDA 12.5 cannot: then the processor waits.
    has_context_events: bool,
    architecture: String,
    include: Option<String>,
    blas: lts::cublasLtHandle_t,
    workspace: sys::CUdeviceptr,
    modules: HashMap<Build, sys::CUmodule>,
    functions: HashMap<(Build, &'static str), sys::CUfunction>,
    algorithms: HashMap<Shape, lts::cublasLtMatmulAlgo_t>,
}

// SAFETY: the handles are used by one thread at a time, behind a mutex.
#[expect(unsafe_code, reason = "handles of C libraries")]
unsafe impl Send for Gpu {}

const WORKSPACE: usize = 32 << 20;

/// The GPUs that operations have used.
static GPUS: Mutex<Vec<(DeviceId, Gpu)>> = Mutex::new(Vec::new());
/// What went wrong first in the operations that were queued since someone asked.
static FAILED: Mutex<Option<Failure>> = Mutex::new(None);

/// Does work on a GPU, on the thread of its server. What fails is kept until [`take_failure`].
pub fn run(device: DeviceId, work: impl FnOnce(&mut Gpu) -> Result<()>) {
    let outcome = (|| {
        let mut gpus = GPUS.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match gpus.iter().position(|(id, _)| *id == device) {
            Some(place) => place,
            None => {
                gpus.push((device, Gpu::open(device.index_id)?));
                gpus.len() - 1
            }
        };
        let gpu = &mut gpus[place].1;
        gpu.begin()?;
        let done = work(gpu);
        gpu.end()?;
        done
    })();
    if let Err(failure) = outcome {
        FAILED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failure);
    }
}

/// What failed since the last call.
pub fn take_failure() -> Option<Failure> {
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[expect(unsafe_code, reason = "calls of the driver, cuBLASLt and NVRTC")]
impl Gpu {
    fn open(index: u16) -> Result<Self> {
        // SAFETY: CubeCL's server has initialized the driver and retained the device's primary context; the handles made here live as long
        // as the process.
        unsafe {
            let device = driver::device::get(i32::from(index)).during("finding the device")?;
            let context = driver::primary_ctx::retain(device).during("opening the device")?;
            driver::ctx::set_current(context).during("opening the device")?;
            let attribute = |attribute| {
                driver::device::get_attribute(device, attribute).during("asking the device")
            };
            let [major, minor] = [
                attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
            ];
            let event = driver::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)
                .during("making an event")?;
            let stream = driver::stream::create(driver::stream::StreamKind::NonBlocking)
                .during("making a stream")?;
            let mut version = 0;
            sys::cuDriverGetVersion(&raw mut version)
                .result()
                .during("asking the driver's version")?;
            let has_context_events =
                version >= 12050 && sys::cuCtxRecordEvent(context, event).result().is_ok();
            Ok(Self {
                context,
                stream,
                event,
                has_context_events,
                architecture: format!("sm_{major}{minor}"),
                include: cubecl_cuda::install::cuda_path()
                    .map(|toolkit| toolkit.join("include").display().to_string()),
                blas: lt::create_handle().during("opening cuBLASLt")?,
                workspace: driver::malloc_sync(WORKSPACE).during("memory for cuBLASLt")?,
                modules: HashMap::new(),
                functions: HashMap::new(),
                algorithms: HashMap::new(),
            })
        }
    }

    /// What is launched from now on waits for all that the context has queued.
    fn begin(&self) -> Result<()> {
        // SAFETY: handles of this struct.
        unsafe {
            driver::ctx::set_current(self.context).during("entering the context")?;
            if !self.has_context_events {
                return driver::ctx::synchronize().during("waiting for the device");
            }
            sys::cuCtxRecordEvent(self.context, self.event)
                .result()
                .during("recording what is queued")?;
            driver::stream::wait_event(
                self.stream,
                self.event,
                sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT,
            )
            .during("waiting for what is queued")
        }
    }

    /// What the context queues from now on waits for what was launched.
    fn end(&self) -> Result<()> {
        // SAFETY: handles of this struct.
        unsafe {
            if !self.has_context_events {
                return driver::stream::synchronize(self.stream).during("waiting for kernels");
            }
            driver::event::record(self.event, self.stream).during("recording kernels")?;
            sys::cuCtxWaitEvent(self.context, self.event)
                .result()
                .during("waiting for kernels")
        }
    }

    /// Compiles the kernels.
    fn module(&mut self, build: Build) -> Result<sys::CUmodule> {
        if let Some(module) = self.modules.get(&build) {
            return Ok(*module);
        }
        let numbers = match build.numbers {
            Numbers::F32 => "",
            Numbers::Bf16 => "#define BF16\n",
        };
        let source = format!(
            "{numbers}#define HEAD_DIM {}\n{}",
            build.head_dim,
            include_str!("kernels.cu")
        );
        let source = CString::new(source).during("reading the kernels")?;
        let mut options = vec![format!("--gpu-architecture={}", self.architecture)];
        options.extend(self.include.iter().map(|include| format!("-I{include}")));
        // SAFETY: the program is made here and destroyed after its code was copied.
        unsafe {
            let program = nvrtc::create_program(&source, None).during("reading the kernels")?;
            if let Err(error) = nvrtc::compile_program(program, &options) {
                let log = nvrtc::get_program_log(program).unwrap_or_default();
                let log: Vec<u8> = log.iter().map(|&byte| byte as u8).collect();
                let log = String::from_utf8_lossy(&log);
                return Err(Failure(format!("compiling the kernels: {error}: {log}")));
            }
            let mut bytes = 0;
            nvrtcs::nvrtcGetCUBINSize(program, &raw mut bytes)
                .result()
                .during("compiling the kernels")?;
            let mut code = vec![0_u8; bytes];
            nvrtcs::nvrtcGetCUBIN(program, code.as_mut_ptr().cast())
                .result()
                .during("compiling the kernels")?;
            nvrtc::destroy_program(program).during("compiling the kernels")?;
            let module =
                driver::module::load_data(code.as_ptr().cast()).during("loading the kernels")?;
            self.modules.insert(build, module);
            Ok(module)
        }
    }

    fn function(&mut self, build: Build, name: &'static str) -> Result<sys::CUfunction> {
        if let Some(function) = self.functions.get(&(build, name)) {
            return Ok(*function);
        }
        let module = self.module(build)?;
        let symbol = CString::new(name).during(name)?;
        // SAFETY: the module is never unloaded.
        let function = unsafe { driver::module::get_function(module, symbol) }.during(name)?;
        self.functions.insert((build, name), function);
        Ok(function)
    }

    /// Launches a kernel.
    pub fn launch(
        &mut self,
        build: Build,
        name: &'static str,
        grid: Grid,
        mut arguments: Arguments,
    ) -> Result<()> {
        const USUAL_SHARED: usize = 48 << 10;
        if grid.blocks.contains(&0) {
            return Ok(());
        }
        let function = self.function(build, name)?;
        let mut pointers: Vec<*mut c_void> = arguments
            .0
            .iter_mut()
            .map(|argument| ptr::from_mut(argument).cast())
            .collect();
        let [x, y, z] = grid.blocks.map(|blocks| blocks as u32);
        // SAFETY: the arguments are those of the kernel, as each caller says beside it, and outlive the call, which copies them.
        unsafe {
            if grid.shared > USUAL_SHARED {
                driver::function::set_function_attribute(
                    function,
                    sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                    grid.shared as i32,
                )
                .during(name)?;
            }
            driver::launch_kernel(
                function,
                (x, y, z),
                (grid.threads as u32, 1, 1),
                grid.shared as u32,
                self.stream,
                &mut pointers,
            )
            .during(name)
        }
    }

    /// Sets bytes to zero.
    pub fn clear(&self, address: u64, bytes: usize) -> Result<()> {
        // SAFETY: the caller's memory.
        unsafe { driver::memset_d8_async(address, 0, bytes, self.stream) }.during("clearing memory")
    }

    /// Copies from the host, which may be changed when this returns.
    pub fn upload(&self, address: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: the caller's memory; pageable memory of the host is staged before the call returns.
        unsafe { driver::memcpy_htod_async(address, bytes, self.stream) }
            .during("copying to the device")
    }

    /// Computes a product.
    pub fn multiply(&mut self, product: &Product) -> Result<()> {
        let Product {
            sizes: [rows, columns, depth],
            a,
            b,
            output,
            factors,
            sums,
            accumulates,
            bias,
        } = *product;
        if rows == 0 || columns == 0 || depth == 0 {
            return Ok(());
        }
        let shape = (
            [rows.next_multiple_of(256), columns, depth],
            [a.stride, b.stride, output.stride],
            [a.transposed, b.transposed, accumulates, bias.is_some()],
            [factors, sums],
        );
        let known = self.algorithms.get(&shape).copied();
        // `cublasOperation_t`
        const PLAIN: i32 = 0;
        const TRANSPOSED: i32 = 1;
        let operation = |transposed| {
            if transposed { TRANSPOSED } else { PLAIN }
        };
        // cuBLAS lays matrices out by columns: it is given the product of the transposed factors, in the other order.
        let oriented = |transposed, rows, columns| {
            if transposed {
                (columns, rows)
            } else {
                (rows, columns)
            }
        };
        let (first, second) = (
            oriented(b.transposed, columns, depth),
            oriented(a.transposed, depth, rows),
        );
        // SAFETY: descriptors are made, used and destroyed here; the memory is the caller's.
        unsafe {
            let compute = match factors {
                Numbers::F32 => lts::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
                Numbers::Bf16 => lts::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            };
            let description = Description(
                lt::create_matmul_desc(compute, Numbers::F32.data_type()).during("a product")?,
            );
            use lts::cublasLtMatmulDescAttributes_t as Attribute;
            description.set(
                Attribute::CUBLASLT_MATMUL_DESC_TRANSA,
                &operation(b.transposed),
            )?;
            description.set(
                Attribute::CUBLASLT_MATMUL_DESC_TRANSB,
                &operation(a.transposed),
            )?;
            if let Some(bias) = bias {
                let epilogue = lts::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS;
                description.set(Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue)?;
                description.set(Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)?;
            }
            let left = Layout::new(factors, first, b.stride)?;
            let right = Layout::new(factors, second, a.stride)?;
            let result = Layout::new(sums, (columns, rows), output.stride)?;
            let find = |blas| -> Result<lts::cublasLtMatmulAlgo_t> {
                let preference = lt::create_matmul_pref().during("a product")?;
                let bytes = WORKSPACE;
                lt::set_matmul_pref_attribute(
                    preference,
                    lts::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                    ptr::from_ref(&bytes).cast(),
                    size_of_val(&bytes),
                )
                .during("a product")?;
                let found = lt::get_matmul_algo_heuristic(
                    blas,
                    description.0,
                    left.0,
                    right.0,
                    result.0,
                    result.0,
                    preference,
                );
                let _ = lt::destroy_matmul_pref(preference);
                let what = format!("an algorithm for {product:?}");
                Ok(found.during(&what)?.algo)
            };
            let algorithm = match known {
                Some(algorithm) => algorithm,
                None => find(self.blas)?,
            };
            let (alpha, beta) = (1.0_f32, f32::from(u8::from(accumulates)));
            let multiply = |algorithm: &lts::cublasLtMatmulAlgo_t| {
                lt::matmul(
                    self.blas,
                    description.0,
                    ptr::from_ref(&alpha).cast(),
                    ptr::from_ref(&beta).cast(),
                    b.address as *const c_void,
                    left.0,
                    a.address as *const c_void,
                    right.0,
                    output.address as *const c_void,
                    result.0,
                    output.address as *mut c_void,
                    result.0,
                    algorithm,
                    self.workspace as *mut c_void,
                    WORKSPACE,
                    self.stream.cast(),
                )
            };
            // An algorithm of nearly the same sizes may not do for these.
            let mut used = algorithm;
            if multiply(&used).is_err() {
                used = find(self.blas)?;
                multiply(&used).during(&format!("{product:?}"))?;
            }
            self.algorithms.insert(shape, used);
            Ok(())
        }
    }
}

/// A product's operations, destroyed at the end.
struct Description(lts::cublasLtMatmulDesc_t);

#[expect(unsafe_code, reason = "calls of cuBLASLt")]
impl Description {
    fn set<V>(&self, attribute: lts::cublasLtMatmulDescAttributes_t, value: &V) -> Result<()> {
        // SAFETY: the value's type is the attribute's, as callers see to.
        unsafe {
            lt::set_matmul_desc_attribute(
                self.0,
                attribute,
                ptr::from_ref(value).cast(),
                size_of::<V>(),
            )
        }
        .during("a product")
    }
}

#[expect(unsafe_code, reason = "calls of cuBLASLt")]
impl Drop for Description {
    fn drop(&mut self) {
        // SAFETY: made by `create_matmul_desc`.
        let _ = unsafe { lt::destroy_matmul_desc(self.0) };
    }
}

/// A matrix by columns, destroyed at the end.
struct Layout(lts::cublasLtMatrixLayout_t);

impl Layout {
    fn new(numbers: Numbers, (rows, columns): (usize, usize), stride: usize) -> Result<Self> {
        lt::create_matrix_layout(
            numbers.data_type(),
            rows as u64,
            columns as u64,
            stride as i64,
        )
        .during("a matrix")
        .map(Self)
    }
}

#[expect(unsafe_code, reason = "calls of cuBLASLt")]
impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: made by `create_matrix_layout`.
        let _ = unsafe { lt::destroy_matrix_layout(self.0) };
    }
}

/// Whether cuBLASLt can be loaded.
#[expect(unsafe_code, reason = "loading a library runs its initializers")]
pub fn has_blas() -> bool {
    // SAFETY: it is the library that the first product would load.
    unsafe { lts::is_culib_present() }
}
