//! The collection of non-idealities: what makes a programmed crossbar differ from the matrix that was
//! meant.
//!
//! Each is a type that implements [`NonIdeality`] and can be built in Rust or, through its
//! [`NonIdealityEntry`], from a configuration. They act on a whole physical array
//! ([`memtorch_crossbar::Array`]): all tiles and groups of a layer, one polarity.
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
