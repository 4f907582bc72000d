#![doc = include_str!("../README.md")]

#[cfg(feature = "native")]
mod arguments;
#[cfg(feature = "native")]
mod backend;
#[cfg(feature = "native")]
mod change;
#[cfg(feature = "native")]
mod driver;
#[cfg(feature = "emulate")]
pub mod emulator;
#[cfg(feature = "native")]
mod gpu;
#[cfg(feature = "native")]
mod measure;
#[cfg(feature = "native")]
mod noise;
#[cfg(feature = "native")]
mod populations;
#[cfg(feature = "native")]
mod reduction;

use std::sync::Arc;

use memtorch_crossbar::{ArrayBackend, CrossbarError};
#[cfg(feature = "native")]
use memtorch_devices::{Device, PopulationBackend};

#[cfg(feature = "native")]
pub use measure::{Launch, Peak, launches};
pub use memtorch_crossbar::{self as crossbar, devices};

const NAME: &str = "cuda";

/// Opens the first GPU of the machine as a backend.
///
/// # Errors
/// No driver or no GPU; a build without the feature `native`. The error says which, and the way out.
#[cfg(feature = "native")]
pub fn open() -> Result<Arc<dyn ArrayBackend>, CrossbarError> {
    open_with(driver::Driver::Native)
}

/// Opens the first GPU of the machine as a backend.
///
/// # Errors
/// Always: this build lacks the feature `native`.
#[cfg(not(feature = "native"))]
pub fn open() -> Result<Arc<dyn ArrayBackend>, CrossbarError> {
    Err(missing("this build of memtorch-cuda lacks the feature `native`"))
}

/// Opens the emulator as a backend.
///
/// # Errors
/// This process has opened a real GPU before.
#[cfg(feature = "emulate")]
pub fn open_emulated() -> Result<Arc<dyn ArrayBackend>, CrossbarError> {
    open_with(driver::Driver::Emulated)
}

#[cfg(feature = "native")]
fn open_with(driver: driver::Driver) -> Result<Arc<dyn ArrayBackend>, CrossbarError> {
    let gpu = gpu::Gpu::open(driver).map_err(|why| missing(&why))?;
    Ok(Arc::new(backend::CudaBackend::new(Arc::new(gpu)).map_err(backend::failed)?))
}

/// Opens the first GPU of the machine for device populations.
///
/// The five models that come with memtorch are stepped by kernels; others on the CPU (see [`steps_on_gpu`]).
///
/// # Errors
/// As [`open`].
#[cfg(feature = "native")]
pub fn open_populations() -> Result<Arc<dyn PopulationBackend>, CrossbarError> {
    open_populations_with(driver::Driver::Native)
}

/// Opens the emulator for device populations.
///
/// # Errors
/// As [`open_emulated`].
#[cfg(feature = "emulate")]
pub fn open_emulated_populations() -> Result<Arc<dyn PopulationBackend>, CrossbarError> {
    open_populations_with(driver::Driver::Emulated)
}

/// What the first GPU of the machine could do.
///
/// # Errors
/// As [`open`].
#[cfg(feature = "native")]
pub fn peak() -> Result<Peak, CrossbarError> {
    Peak::with(driver::Driver::Native)
}

/// What the GPU that the emulator plays could do: an H100.
///
/// # Errors
/// As [`open_emulated`].
#[cfg(feature = "emulate")]
pub fn emulated_peak() -> Result<Peak, CrossbarError> {
    Peak::with(driver::Driver::Emulated)
}

/// Whether a model is stepped on the GPU; others are stepped on the CPU, with the same result.
#[cfg(feature = "native")]
pub fn steps_on_gpu(model: &dyn Device) -> bool {
    populations::has_kernel(model)
}

#[cfg(feature = "native")]
fn open_populations_with(driver: driver::Driver) -> Result<Arc<dyn PopulationBackend>, CrossbarError> {
    let gpu = gpu::Gpu::open(driver).map_err(|why| missing(&why))?;
    Ok(Arc::new(populations::CudaPopulations::new(Arc::new(gpu)).map_err(backend::failed)?))
}

fn missing(why: &str) -> CrossbarError {
    CrossbarError::Backend { backend: NAME.to_owned(), why: format!("{why}: use the backend cpu") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_machine_without_a_gpu_is_an_error_with_the_way_out() {
        if std::path::Path::new("/dev/nvidia0").exists() {
            return;
        }
        let error = super::open().unwrap_err().to_string();
        let why = if cfg!(feature = "native") { "driver" } else { "feature `native`" };
        assert!(
            error.contains("cuda") && error.contains(why) && error.contains("use the backend cpu"),
            "{error}"
        );
    }
}
