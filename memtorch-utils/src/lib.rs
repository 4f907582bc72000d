#![doc = include_str!("../README.md")]

pub mod buffers;
pub mod config;
#[cfg(feature = "datasets")]
pub mod datasets;
pub mod distribution;
pub mod files;
pub mod kernel;
#[cfg(feature = "npy")]
pub mod npy;
#[cfg(feature = "npz")]
pub mod npz;
pub mod random;
pub mod threads;

pub use distribution::{Distribution, DistributionError, Shape};
pub use random::{Stream, StreamRng, stable_hash};
