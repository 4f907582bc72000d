#![doc = include_str!("../README.md")]

pub mod contract;
mod device;
mod error;
mod fabrication;
#[cfg(feature = "fit")]
pub mod fit;
mod job;
mod kernel;
mod lane;
mod model;
pub mod models;
mod normals;
mod parameters;
mod population;
mod pulses;
mod sweep;
mod trace;
mod window;

pub use device::{Device, DeviceEntry, DeviceSpec};
pub use error::DeviceError;
pub use fabrication::{DeviceParameters, Parameter, VaryReport};
pub use job::{Job, Noise, Record, Task, Waveform};
pub use lane::{Lane, Lanes};
pub use memtorch_utils::config::{Default as Preset, Field, Kind, Table, Value};
pub use memtorch_utils::{Distribution, Stream};
pub use model::DeviceModel;
pub use normals::normals_at;
pub use population::{CpuPopulations, Population, PopulationBackend, Recording};
pub use pulses::Pulses;
pub use sweep::{Sweep, Sweeps};
pub use trace::{Trace, sine, trace, triangle};
pub use window::Window;
