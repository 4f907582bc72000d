#![doc = include_str!("../README.md")]

mod cycle_to_cycle;
mod device_to_device;
mod drift;
mod entry;
mod normal;
mod places;
mod programming_error;
mod states;
mod stuck;
mod wear;

pub use cycle_to_cycle::{CycleToCycle, Keep};
pub use device_to_device::DeviceToDevice;
pub use drift::Drift;
pub use entry::{ENTRIES, NonIdealityEntry};
pub use memtorch_crossbar::{NonIdeality, Phase, Report};
pub use programming_error::ProgrammingError;
pub use states::{Spacing, States};
pub use stuck::Stuck;
pub use wear::{Cause, Failure, StateWear, Wear};
