use std::ops::Range;

use memtorch_map::ReadReport;
use memtorch_utils::threads;
use ndarray::Array2;
use rayon::prelude::*;

use crate::feed::Feed;
use crate::{Executable, Network, NnError, Samples, Tensor};

/// How a network is evaluated.
#[derive(Clone, Copy)]
pub struct EvaluateOptions<'a> {
    /// Samples that go through the network at once, fewer where they are large. Results do not depend on
    /// it.
    pub batch: usize,
    /// Samples that are looked at, from the first on; `None` for all.
    pub limit: Option<usize>,
    /// The output that is looked at; `None` for the only one.
    pub output: Option<&'a str>,
    /// Is told how many samples are done and how many there are.
    pub progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
}

impl Default for EvaluateOptions<'_> {
    fn default() -> Self {
        Self { batch: 32, limit: None, output: None, progress: None }
    }
}

impl std::fmt::Debug for EvaluateOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EvaluateOptions")
            .field("batch", &self.batch)
            .field("limit", &self.limit)
            .field("output", &self.output)
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
    /// Samples whose label is among the five largest outputs; `None` where there are no more than five.
    pub top5: Option<usize>,
    /// How many outputs there are.
    pub classes: usize,
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

    /// How many samples of each label were taken for each class, `[label, class]`: the first of these
    /// `labels` belong to the samples that were looked at.
    pub fn confusion(&self, labels: &[usize]) -> Array2<usize> {
        let mut counts = Array2::zeros((self.classes, self.classes));
        for (&label, prediction) in labels.iter().zip(&self.predictions) {
            if let Some(prediction) = *prediction {
                counts[(label, prediction)] += 1;
            }
        }
        counts
    }

    /// The share of samples for which two evaluations predict the same; 0 for none.
    pub fn agreement(&self, other: &Self) -> f64 {
        let both = self.predictions.iter().zip(&other.predictions);
        let same = both.filter(|(a, b)| a.is_some() && a == b).count();
        if self.samples == 0 { 0.0 } else { same as f64 / self.samples as f64 }
    }
}

/// Runs labelled samples through a network and counts how many are right (top-1 and top-5).
///
/// Batches run in parallel; the result depends neither on that nor on the size of a batch.
///
/// # Errors
/// A network with an input for which there are no samples or others; one without exactly one output, or without
/// the one that the options name; an output other than `[batch, classes]`; labels that are no output; another
/// number of labels than samples; samples that cannot be read; whatever fails in a node.
pub fn evaluate(
    executable: &Executable,
    samples: &mut dyn Samples,
    labels: &[usize],
    options: &EvaluateOptions<'_>,
) -> Result<Evaluation, NnError> {
    if labels.len() != samples.len() {
        let (labels, samples) = (labels.len(), samples.len());
        return Err(NnError::Evaluate(format!(
            "{labels} labels for {samples} samples: expected one for each"
        )));
    }
    let mut evaluation = Evaluation::default();
    let (mut not_numbers, mut among_five) = (0, 0);
    let look = |output: &Tensor, range: Range<usize>| ranks(output, range.start, &labels[range]);
    evaluation.reads = each_batch(executable, samples, options, &look, &mut |range, (ranks, classes)| {
        evaluation.classes = classes;
        for (index, Rank { prediction, above }) in range.zip(ranks) {
            not_numbers += usize::from(prediction.is_none());
            among_five += usize::from(prediction.is_some() && above < 5);
            evaluation.correct += usize::from(prediction == Some(labels[index]));
            evaluation.predictions.push(prediction);
        }
        Ok(())
    })?;
    let n = evaluation.predictions.len();
    evaluation.samples = n;
    evaluation.top5 = (evaluation.classes > 5).then_some(among_five);
    if not_numbers > 0 {
        let what = "have outputs that are not numbers (NaN) and count as wrong";
        evaluation.warnings.push(format!("{not_numbers} of {n} samples {what}"));
    }
    Ok(evaluation)
}

/// Makes something of the output for a range of samples.
type Look<'a, T> = dyn Fn(&Tensor, Range<usize>) -> Result<T, NnError> + Sync + 'a;

/// Runs samples through a network in batches, in parallel. `look` makes something of the outputs of a batch,
/// `take` gets it in the order of the samples. Gives what reading each layer did.
pub(crate) fn each_batch<T: Send>(
    executable: &Executable,
    samples: &mut dyn Samples,
    options: &EvaluateOptions<'_>,
    look: &Look<'_, T>,
    take: &mut dyn FnMut(Range<usize>, T) -> Result<(), NnError>,
) -> Result<Vec<ReadReport>, NnError> {
    let network = executable.network();
    let feed = Feed::new(network, samples)?;
    let output = output(network, options.output)?;
    let n = options.limit.unwrap_or(usize::MAX).min(samples.len());
    let batch = feed.batch(options.batch.max(1));
    // So much is read at once that every thread has some batches; memory does not grow with the set.
    let chunk = batch * rayon::current_num_threads() * 4;
    let mut all_reads = vec![ReadReport::default(); network.layers().len()];
    for first in (0..n).step_by(chunk) {
        let ranges: Vec<_> = (first..(first + chunk).min(n))
            .step_by(batch)
            .map(|i| i..(i + batch).min(n).min(first + chunk))
            .collect();
        let inputs =
            ranges.iter().map(|range| feed.read(samples, range.clone())).collect::<Result<Vec<_>, _>>()?;
        // With a batch for each thread, none of them is divided.
        let enough = inputs.len() >= rayon::current_num_threads();
        let results: Vec<Result<_, NnError>> = inputs
            .into_par_iter()
            .zip(&ranges)
            .map(|(input, range)| {
                let forward = || executable.forward(input, range.start, range.len());
                let (values, reads) = if enough { threads::alone(forward)? } else { forward()? };
                let missing = || NnError::Evaluate("it has no output".to_owned());
                Ok((look(values.get(output).ok_or_else(missing)?, range.clone())?, reads))
            })
            .collect();
        let mut done = first;
        for (result, range) in results.into_iter().zip(ranges) {
            let (found, reads) = result?;
            done = range.end;
            take(range, found)?;
            all_reads.iter_mut().zip(reads).for_each(|(sum, read)| *sum += read);
        }
        if let Some(progress) = options.progress {
            progress(done, n);
        }
    }
    Ok(all_reads)
}

/// The number of the output of this name, or of the only one.
fn output(network: &Network, name: Option<&str>) -> Result<usize, NnError> {
    let ports = network.outputs();
    let found = match name {
        None if ports.len() == 1 => Some(0),
        None => None,
        Some(name) => ports.iter().position(|port| port.name == name),
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
        NnError::Evaluate(match name {
            None => format!("it has the outputs {names:?}: expected one, or the name of one to look at"),
            Some(name) => format!("it has no output `{name}`: expected one of {names:?}"),
        })
    })
}

/// Where a sample's label stands among its outputs.
struct Rank {
    /// The index of the largest output; `None` where one is not a number.
    prediction: Option<usize>,
    /// How many outputs come before that of the label: larger ones, and equal ones with a smaller index.
    above: usize,
}

/// The rank of each sample, the first of which has this number, and how many outputs there are.
fn ranks(output: &Tensor, first: usize, labels: &[usize]) -> Result<(Vec<Rank>, usize), NnError> {
    let (shape, samples) = (output.shape(), labels.len());
    let wrong = || {
        let found = format!("its output has shape {shape:?} for {samples} samples");
        NnError::Evaluate(format!("{found}: expected real numbers [{samples}, classes]"))
    };
    let fits = shape.len() >= 2 && shape[0] == samples && shape[2..].iter().all(|&n| n == 1) && shape[1] > 0;
    let values = output.as_f32().filter(|_| fits).ok_or_else(wrong)?;
    let classes = shape[1];
    let rank = |(at, (outputs, &label)): (usize, (&[f32], &usize))| {
        let Some(&own) = outputs.get(label) else {
            return Err(NnError::Label { index: first + at, label, outputs: classes });
        };
        let largest = (1..classes).fold(0, |best, i| if outputs[i] > outputs[best] { i } else { best });
        let prediction = (!outputs.iter().any(|y| y.is_nan())).then_some(largest);
        let above = outputs.iter().enumerate().filter(|(i, y)| **y > own || (**y == own && *i < label));
        Ok(Rank { prediction, above: above.count() })
    };
    let ranks: Result<Vec<_>, _> = values.chunks_exact(classes).zip(labels).enumerate().map(rank).collect();
    Ok((ranks?, classes))
}
