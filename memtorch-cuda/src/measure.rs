//! How fast kernels are, and how fast the GPU could be: for benches.

use std::cell::RefCell;

use cust::device::{Device, DeviceAttribute};
use cust::error::CudaResult;
use cust::event::{Event, EventFlags};
use cust::stream::Stream;
use memtorch_crossbar::CrossbarError;

use crate::driver::{self, Driver};
use crate::{backend, missing};

/// What the GPU is and what it could do at best, from its clocks and widths.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// The GPU's name.
    pub name: String,
    /// Its generation, as 9.0.
    pub capability: [u32; 2],
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// f32 operations a second, a fused multiply-add being two; `None` for a generation that is not known here.
    pub f32_flops: Option<f64>,
    /// f64 operations a second, likewise.
    pub f64_flops: Option<f64>,
    /// Bytes a second between memory and processors; `None` where the driver does not say.
    pub bytes: Option<f64>,
}

/// Multiply-adds a clock of a multiprocessor, f32 and f64 (CUDA C++ Programming Guide, arithmetic instructions).
fn lanes(capability: [u32; 2]) -> Option<[f64; 2]> {
    Some(match capability {
        [7, 5] => [64.0, 2.0],
        [7, _] => [64.0, 32.0],
        [8, 0] => [64.0, 32.0],
        [8, _] => [128.0, 2.0],
        [9, _] => [128.0, 64.0],
        [10, 0] => [128.0, 64.0],
        [10 | 12, _] => [128.0, 2.0],
        _ => return None,
    })
}

impl Peak {
    pub(crate) fn with(driver: Driver) -> Result<Self, CrossbarError> {
        driver::bind(driver).map_err(|why| missing(&why))?;
        Self::read().map_err(backend::failed)
    }

    fn read() -> CudaResult<Self> {
        cust::init(cust::CudaFlags::empty())?;
        let device = Device::get_device(0)?;
        let number =
            |attribute| Ok::<_, cust::error::CudaError>(device.get_attribute(attribute)?.max(0) as u32);
        let capability = [
            number(DeviceAttribute::ComputeCapabilityMajor)?,
            number(DeviceAttribute::ComputeCapabilityMinor)?,
        ];
        let multiprocessors = number(DeviceAttribute::MultiprocessorCount)?;
        // Clocks in kHz, the width in bits; memory transfers twice a clock.
        let hertz = 1e3 * f64::from(number(DeviceAttribute::ClockRate)?);
        let memory = 1e3 * f64::from(number(DeviceAttribute::MemoryClockRate)?);
        let width = f64::from(number(DeviceAttribute::GlobalMemoryBusWidth)?) / 8.0;
        let flops =
            lanes(capability).map(|lanes| lanes.map(|n| 2.0 * n * f64::from(multiprocessors) * hertz));
        let known = |x: f64| (x > 0.0).then_some(x);
        Ok(Self {
            name: device.name()?,
            capability,
            multiprocessors,
            f32_flops: flops.and_then(|[f32, _]| known(f32)),
            f64_flops: flops.and_then(|[_, f64]| known(f64)),
            bytes: known(2.0 * memory * width),
        })
    }
}

/// What a launch of a kernel took on the GPU, without transfers.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The kernel.
    pub kernel: String,
    /// Seconds.
    pub seconds: f64,
}

thread_local! {
    static LAUNCHES: RefCell<Option<Vec<Launch>>> = const { RefCell::new(None) };
}

/// Does some work and says what each kernel that this thread started took. Each launch is waited for.
pub fn launches<T>(work: impl FnOnce() -> T) -> (T, Vec<Launch>) {
    LAUNCHES.with_borrow_mut(|list| *list = Some(Vec::new()));
    let result = work();
    (result, LAUNCHES.take().unwrap_or_default())
}

/// Starts a kernel, and its clock if somebody wants to know.
pub(crate) fn timed(stream: &Stream, kernel: &str, start: impl FnOnce() -> CudaResult<()>) -> CudaResult<()> {
    if LAUNCHES.with_borrow(Option::is_none) {
        return start();
    }
    let [before, after] = [Event::new(EventFlags::DEFAULT)?, Event::new(EventFlags::DEFAULT)?];
    before.record(stream)?;
    start()?;
    after.record(stream)?;
    after.synchronize()?;
    let seconds = 1e-3 * f64::from(after.elapsed_time_f32(&before)?);
    LAUNCHES.with_borrow_mut(|list| {
        list.get_or_insert_default().push(Launch { kernel: kernel.to_owned(), seconds });
    });
    Ok(())
}
