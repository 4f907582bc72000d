//! What a run found: as numbers, as files, as a table to read.

pub mod chart;
pub mod figures;
mod files;
pub(crate) mod html;
mod layer;
pub mod picture;
mod table;

pub(crate) use files::quoted;
pub use files::{layers_csv, results_json};
pub use layer::{LayerReport, ProgrammingSummary, StepSummary, layer_reports};
pub(crate) use table::align;
pub use table::table;

/// Right answers of one path.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// Samples that are right.
    pub correct: usize,
    /// Their share, 0 to 1.
    pub accuracy: f64,
}

/// Everything that a run found and that the seed decides: no times, no paths.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RunReport {
    /// The version of memtorch.
    pub version: &'static str,
    /// The seed.
    pub seed: u64,
    /// Samples looked at.
    pub samples: usize,
    /// The digital path.
    pub digital: Score,
    /// The memristive path.
    pub memristive: Score,
    /// Share of samples for which both predict the same.
    pub agreement: f64,
    /// The layers in the order of the network.
    pub layers: Vec<LayerReport>,
    /// What a person should know.
    pub warnings: Vec<String>,
}
