//! A GPU that was opened: its context, its one stream, the kernels.

use cust::context::{Context, CurrentContext};
use cust::device::Device;
use cust::error::{CudaError, CudaResult};
use cust::memory::{CopyDestination, DeviceBuffer, DeviceCopy};
use cust::module::Module;
use cust::stream::{Stream, StreamFlags};

use crate::driver::{self, Driver};
use crate::measure;

/// What kernels and buffers need. All work goes to one stream.
#[derive(Debug)]
pub(crate) struct Gpu {
    stream: Stream,
    context: Context,
}

impl Gpu {
    /// Opens the first GPU; an error is a sentence.
    pub(crate) fn open(driver: Driver) -> Result<Self, String> {
        driver::bind(driver)?;
        let open = || -> CudaResult<Self> {
            cust::init(cust::CudaFlags::empty())?;
            let device = Device::get_device(0)?;
            let context = Context::new(device)?;
            Ok(Self { stream: Stream::new(StreamFlags::DEFAULT, None)?, context })
        };
        open().map_err(|e| format!("the NVIDIA driver gives no GPU: {e}"))
    }

    /// Makes the GPU the one that this thread's calls mean. Everything below wants that done.
    pub(crate) fn enter(&self) -> CudaResult<()> {
        CurrentContext::set_current(&self.context)
    }

    /// Compiles a file of kernels for this GPU.
    pub(crate) fn load(&self, ptx: &str) -> CudaResult<Module> {
        self.enter()?;
        Module::from_ptx(ptx, &[])
    }

    /// Starts a kernel.
    ///
    /// # Safety
    /// The arguments are those of the kernel, in number, type and order, and the kernel stays within its buffers.
    pub(crate) unsafe fn launch(
        &self,
        module: &Module,
        kernel: &str,
        grid: (u32, u32),
        threads: u32,
        arguments: &[*mut std::ffi::c_void],
    ) -> CudaResult<()> {
        let function = module.get_function(kernel)?;
        measure::timed(&self.stream, kernel, || {
            // SAFETY: as the caller promises.
            unsafe { self.stream.launch(&function, grid, threads, 0, arguments) }
        })
    }

    /// Waits until all work is done; an error of a kernel comes out here at the latest.
    pub(crate) fn finish(&self) -> CudaResult<()> {
        self.stream.synchronize()
    }
}

/// Memory on the GPU that grows when more is wanted, and is then used again.
#[derive(Debug)]
pub(crate) struct Buffer<T: DeviceCopy>(Option<DeviceBuffer<T>>);

impl<T: DeviceCopy> Default for Buffer<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: DeviceCopy> Buffer<T> {
    /// A buffer with these values.
    pub(crate) fn of(values: &[T]) -> CudaResult<Self> {
        let mut buffer = Self::default();
        buffer.upload(values)?;
        Ok(buffer)
    }

    /// Makes room for so many; what was in it is lost.
    pub(crate) fn reserve(&mut self, len: usize) -> CudaResult<()> {
        if self.len() < len {
            self.0 = None;
            // SAFETY: kernels and uploads write each element before it is read.
            self.0 = Some(unsafe { DeviceBuffer::uninitialized(len)? });
        }
        Ok(())
    }

    /// Puts values at the beginning.
    pub(crate) fn upload(&mut self, values: &[T]) -> CudaResult<()> {
        self.reserve(values.len())?;
        match &mut self.0 {
            Some(buffer) if !values.is_empty() => buffer.index(..values.len()).copy_from(values),
            _ => Ok(()),
        }
    }

    /// Takes values from the beginning.
    pub(crate) fn download(&self, values: &mut [T]) -> CudaResult<()> {
        match &self.0 {
            _ if values.is_empty() => Ok(()),
            Some(buffer) if buffer.len() >= values.len() => buffer.index(..values.len()).copy_to(values),
            _ => Err(CudaError::InvalidValue),
        }
    }

    /// The address that a kernel gets; 0 of a buffer without elements.
    pub(crate) fn address(&self) -> u64 {
        self.0.as_ref().map_or(0, |buffer| buffer.as_device_ptr().as_raw())
    }

    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |buffer| buffer.len())
    }
}
