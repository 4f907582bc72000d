//! What a run found: as numbers, as files, as a table to read.

mod causes;
pub mod chart;
pub mod figures;
mod files;
pub(crate) mod html;
mod layer;
pub mod picture;
mod score;
mod table;

pub use causes::{CauseError, Explanation, causes_csv};
pub(crate) use files::quoted;
pub use files::{confusion_csv, layers_csv, results_json};
pub use layer::{LayerReport, ProgrammingSummary, StepSummary, layer_reports, left_to_cpu};
pub use score::{Confusion, Found, OutputError, Score};
pub use table::table;
pub(crate) use table::{align, scores};

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
    /// Share of samples for which both predict the same; absent for a regression.
    pub agreement: Option<f64>,
    /// The layers in the order of the network.
    pub layers: Vec<LayerReport>,
    /// What was taken for what, for `confusion.csv`; empty for a regression.
    #[serde(skip)]
    pub confusion: Vec<Confusion>,
    /// What a person should know.
    pub warnings: Vec<String>,
}
