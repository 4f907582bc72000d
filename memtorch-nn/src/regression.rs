use std::ops::Range;

use memtorch_map::ReadReport;

use crate::evaluate::each_batch;
use crate::{EvaluateOptions, Executable, NnError, Samples, Tensor};

/// What comparing a network's outputs with real numbers gave.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Regression {
    /// Samples looked at.
    pub samples: usize,
    /// Mean of the squared differences.
    pub mean_squared_error: f64,
    /// Mean of the magnitudes of the differences.
    pub mean_absolute_error: f64,
    /// Share of the targets' variance that the outputs explain; `None` for targets without variance.
    pub r2: Option<f64>,
    /// What reading each layer did, in the order of the network's layers.
    pub reads: Vec<ReadReport>,
}

/// Runs samples through a network and compares its outputs with `targets`: those of one sample after those of
/// another, as many as the network has outputs.
///
/// # Errors
/// As [`evaluate`](crate::evaluate), but for labels; another number of targets than outputs.
pub fn regression(
    executable: &Executable,
    samples: &mut dyn Samples,
    targets: &[f32],
    options: &EvaluateOptions<'_>,
) -> Result<Regression, NnError> {
    let n = samples.len();
    let each = targets.len().checked_div(n).unwrap_or(0);
    if each == 0 || each * n != targets.len() {
        let found = targets.len();
        return Err(NnError::Evaluate(format!("{found} targets for {n} samples: expected as many for each")));
    }
    let look = |output: &Tensor, range: Range<usize>| -> Result<Vec<f32>, NnError> {
        let shape = output.shape();
        let found = output.as_f32().filter(|y| y.len() == range.len() * each);
        found.map(<[f32]>::to_vec).ok_or_else(|| {
            let found = format!("its output has shape {shape:?} for {} samples", range.len());
            NnError::Evaluate(format!("{found}: expected real numbers, {each} for each, as the targets have"))
        })
    };
    let mut regression = Regression::default();
    // Moments of the targets about their first element, which keeps the variance exact.
    let origin = f64::from(targets[0]);
    let (mut squares, mut magnitudes, mut sum, mut sum_of_squares, mut count) = (0.0, 0.0, 0.0, 0.0, 0.0);
    regression.reads = each_batch(executable, samples, options, &look, &mut |range, outputs| {
        regression.samples = range.end;
        for (y, target) in outputs.iter().zip(&targets[range.start * each..range.end * each]) {
            let (difference, target) = (f64::from(*y) - f64::from(*target), f64::from(*target) - origin);
            squares += difference * difference;
            magnitudes += difference.abs();
            sum += target;
            sum_of_squares += target * target;
            count += 1.0;
        }
        Ok(())
    })?;
    regression.mean_squared_error = squares / count;
    regression.mean_absolute_error = magnitudes / count;
    let total = sum_of_squares - sum * sum / count;
    regression.r2 = (total > 0.0).then(|| 1.0 - squares / total);
    Ok(regression)
}
