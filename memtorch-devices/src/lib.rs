//! Memristive device models and populations of them.

mod device;
mod error;
mod fabrication;
pub mod models;

pub use device::{Device, DeviceEntry, DeviceSpec};
pub use error::DeviceError;
pub use fabrication::{DeviceParameters, Parameter, VaryReport};
pub use memtorch_utils::{Distribution, Stream};
