#![doc = include_str!("../README.md")]

pub mod cli;
mod error;
pub mod evaluation;
pub mod experiment;
mod registry;
pub mod report;
pub mod search;
pub mod sweep;

pub use error::Error;
pub use registry::{BackendEntry, BuildConverter, BuildScheme, ConverterEntry, Registry, SchemeEntry};

pub use memtorch_crossbar as crossbar;
pub use memtorch_devices as devices;
pub use memtorch_map as map;
pub use memtorch_nn as nn;
pub use memtorch_nonideal as nonideal;
pub use memtorch_utils as utils;
