#![doc = include_str!("../README.md")]

mod cycle_to_cycle;
mod device_to_device;
mod drift;
mod entry;
mod fault_map;
mod nonlinear;
mod places;
mod programming_error;
mod read_noise;
mod states;
mod stuck;
mod wear;

pub use cycle_to_cycle::{CycleToCycle, Keep};
pub use device_to_device::DeviceToDevice;
pub use drift::Drift;
pub use entry::{ENTRIES, NonIdealityEntry};
pub use fault_map::FaultMap;
pub use memtorch_crossbar::{self as crossbar, NonIdeality, Phase, Report, Telegraph, devices};
pub use nonlinear::{Method, Nonlinear, SweepSettings};
pub use programming_error::ProgrammingError;
pub use read_noise::ReadNoise;
pub use states::{Spacing, States};
pub use stuck::{Clustering, Stuck};
pub use wear::{Cause, Failure, StateWear, Wear};
