//! Sweeps: an experiment over many settings, with repeats.
//!
//! [`Sweep`] is what the section `[sweep]` says: its axes and repeats. [`Points`] makes every point an
//! experiment of its own, which gives the same results alone; only the number of the repeat enters what is
//! random. What [`compute`] finds is written line by line to a [`Log`], so that work that was stopped at
//! any moment goes on where it was.

mod axes;
mod compute;
mod folder;
mod log;
mod manifest;
mod merge;
#[cfg(feature = "parquet")]
mod parquet;
mod points;
mod runs;
mod statistics;
mod table;
mod values;

pub use axes::{Axis, Sweep};
pub use compute::{Options, compute};
pub use folder::{begin, written};
pub use log::{Layer, Log, Results, Row};
pub use manifest::Manifest;
pub use merge::{Shard, merge, missing};
#[cfg(feature = "parquet")]
pub use parquet::parquet;
pub use points::{Identity, Points};
pub use runs::{Cells, Column, runs, runs_csv};
pub use statistics::Statistics;
pub(crate) use statistics::student;
pub use table::{Summary, results_csv, summaries, summary_csv};
pub(crate) use values::{json_value, read_values, shown};
