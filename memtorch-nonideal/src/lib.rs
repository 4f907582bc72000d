#![doc = include_str!("../README.md")]

mod device_to_device;
mod entry;
mod states;
mod stuck;

pub use device_to_device::DeviceToDevice;
pub use entry::{ENTRIES, NonIdealityEntry};
pub use memtorch_crossbar::{NonIdeality, Phase, Report};
pub use states::{Spacing, States};
pub use stuck::Stuck;
