//! What every crate of memtorch stands on: seeded streams of random numbers that do not depend on
//! order or threads, distributions of physical parameters, configuration fields that describe
//! themselves, array files and data sets.
//!
//! ```
//! use memtorch_utils::{Distribution, Stream};
//! let stream = Stream::root(0, 0).named("example");
//! let resistance = Distribution::normal(1.4e4, 1e3)?;
//! // The draw of the device at tile 0, word line 3, bit line 7, whatever else was drawn before it.
//! let ohm = resistance.sample(&mut stream.at([0, 3, 7]));
//! assert_eq!(ohm, resistance.sample(&mut stream.at([0, 3, 7])));
//! # Ok::<(), memtorch_utils::DistributionError>(())
//! ```

pub mod config;
#[cfg(feature = "datasets")]
pub mod datasets;
pub mod distribution;
pub mod files;
#[cfg(feature = "npy")]
pub mod npy;
pub mod random;

pub use distribution::{Distribution, DistributionError, Shape};
pub use random::{Stream, StreamRng};
