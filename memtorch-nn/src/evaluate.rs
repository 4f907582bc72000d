use memtorch_map::ReadReport;

use crate::{Executable, NnError};

/// Samples that a network is fed with.
pub trait Samples {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one, as `[1, 28, 28]`: channels first.
    fn shape(&self) -> &[usize];

    /// Writes the samples from `first` on, as many as `values` holds, one after the other. They are asked
    /// for in ascending order.
    ///
    /// # Errors
    /// Whatever makes it impossible.
    fn read(
        &mut self,
        first: usize,
        values: &mut [f32],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// How a network is evaluated.
#[derive(Clone, Copy)]
pub struct EvaluateOptions<'a> {
    /// Samples that go through the network at once. Results do not depend on it.
    pub batch: usize,
    /// Samples that are looked at, from the first on; `None` for all.
    pub limit: Option<usize>,
    /// Is told how many samples are done and how many there are.
    pub progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
}

impl Default for EvaluateOptions<'_> {
    fn default() -> Self {
        Self { batch: 32, limit: None, progress: None }
    }
}

impl std::fmt::Debug for EvaluateOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EvaluateOptions")
            .field("batch", &self.batch)
            .field("limit", &self.limit)
            .field("progress", &self.progress.is_some())
            .finish()
    }
}

/// What an evaluation gave.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// Samples looked at.
    pub samples: usize,
    /// Samples whose largest output is the label.
    pub correct: usize,
    /// The index of each sample's largest output, the first of equal ones; `None` where an output is not a
    /// number, which counts as wrong.
    pub predictions: Vec<Option<usize>>,
    /// What reading each layer did, in the order of the network's layers.
    pub reads: Vec<ReadReport>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl Evaluation {
    /// The share of samples that are right; 0 for none.
    pub fn accuracy(&self) -> f64 {
        if self.samples == 0 { 0.0 } else { self.correct as f64 / self.samples as f64 }
    }

    /// The share of samples for which two evaluations predict the same; 0 for none.
    pub fn agreement(&self, other: &Self) -> f64 {
        let both = self.predictions.iter().zip(&other.predictions);
        let same = both.filter(|(a, b)| a.is_some() && a == b).count();
        if self.samples == 0 { 0.0 } else { same as f64 / self.samples as f64 }
    }
}

/// Runs labelled samples through a network and counts how many are right (top-1).
///
/// Batches run in parallel; the result depends neither on that nor on the size of a batch.
///
/// # Errors
/// A network without exactly one input of real numbers that takes such samples, or without exactly one
/// output `[batch, classes]`; labels that are no output; another number of labels than samples; samples
/// that cannot be read; whatever fails in a node.
pub fn evaluate(
    executable: &Executable,
    samples: &mut dyn Samples,
    labels: &[usize],
    options: &EvaluateOptions<'_>,
) -> Result<Evaluation, NnError> {
    let _ = (executable, samples, labels, options);
    Err(NnError::Evaluate("running has not landed yet".to_owned()))
}
