use std::ops::Range;

use memtorch_map::ReadReport;
use ndarray::Array2;
use rayon::prelude::*;

use crate::tensor::filled;
use crate::{Dimension, ElementType, Executable, Network, NnError, Port, Tensor};

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
    /// Samples that go through the network at once, fewer where they are large. Results do not depend on
    /// it.
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
/// A network without exactly one input of real numbers that takes such samples, or without exactly one
/// output `[batch, classes]`; labels that are no output; another number of labels than samples; samples
/// that cannot be read; whatever fails in a node.
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
    let look = |values: &[Tensor], range: Range<usize>| ranks(values, range.start, &labels[range]);
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

/// Makes something of the outputs for a range of samples.
type Look<'a, T> = dyn Fn(&[Tensor], Range<usize>) -> Result<T, NnError> + Sync + 'a;

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
    let feed = Feed::new(network, samples.shape())?;
    if network.outputs().len() != 1 {
        let found = network.outputs().len();
        return Err(NnError::Evaluate(format!("it has {found} outputs: expected one")));
    }
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
        let results: Vec<Result<_, NnError>> = inputs
            .into_par_iter()
            .zip(&ranges)
            .map(|(input, range)| {
                let (values, reads) = executable.forward(vec![input], range.start, range.len())?;
                Ok((look(&values, range.clone())?, reads))
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

/// Where a sample's label stands among its outputs.
struct Rank {
    /// The index of the largest output; `None` where one is not a number.
    prediction: Option<usize>,
    /// How many outputs come before that of the label: larger ones, and equal ones with a smaller index.
    above: usize,
}

/// The rank of each sample, the first of which has this number, and how many outputs there are.
fn ranks(values: &[Tensor], first: usize, labels: &[usize]) -> Result<(Vec<Rank>, usize), NnError> {
    let Some(output) = values.first() else {
        return Err(NnError::Evaluate("it has no output".to_owned()));
    };
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

/// Elements that a batch has at most, if it is more than one sample: 4 MiB of f32.
const BATCH_ELEMENTS: usize = 1 << 20;

/// How samples become the input of a network.
#[derive(Debug)]
pub(crate) struct Feed {
    name: String,
    /// The shape of one sample as the network takes it.
    shape: Vec<usize>,
    /// The size of a batch, if the network takes only one.
    fixed: Option<usize>,
}

impl Feed {
    /// Checks that the network has one input, which takes such samples; axes of length 1 may be missing or
    /// be there once more, and a flat sample takes the shape of the input.
    pub(crate) fn new(network: &Network, sample: &[usize]) -> Result<Self, NnError> {
        let [port] = network.inputs() else {
            let list: Vec<&str> = network.inputs().iter().map(|port| port.name.as_str()).collect();
            return Err(NnError::Evaluate(format!("it has the inputs {list:?}: expected one")));
        };
        let wrong = || NnError::Input {
            name: port.name.clone(),
            found: format!("samples of shape {sample:?}"),
            expected: format!(
                "{} of shape {}, the first axis being the batch",
                port.element,
                port.shape_text()
            ),
        };
        if port.element != ElementType::F32 {
            return Err(wrong());
        }
        let (shape, fixed) = fit(port, sample).ok_or_else(wrong)?;
        Ok(Self { name: port.name.clone(), shape, fixed })
    }

    /// The size of batches if this one, at least 1, is wished for.
    pub(crate) fn batch(&self, wished: usize) -> usize {
        let size: usize = self.shape.iter().product();
        self.fixed.unwrap_or(wished.min(BATCH_ELEMENTS / size.max(1)).max(1))
    }

    /// Samples as an input.
    pub(crate) fn read(&self, samples: &mut dyn Samples, range: Range<usize>) -> Result<Tensor, NnError> {
        if let Some(fixed) = self.fixed
            && fixed != range.len()
        {
            return Err(NnError::Input {
                name: self.name.clone(),
                found: format!("a batch of {} samples at the end", range.len()),
                expected: format!("{fixed}, the fixed size of its batches: choose a multiple of it"),
            });
        }
        let (first, last) = (range.start, range.end.saturating_sub(1));
        let error = |source| NnError::Samples { first, last, source };
        let mut shape = vec![range.len()];
        shape.extend_from_slice(&self.shape);
        let mut values = filled(&shape, 0.0f32).map_err(|why| error(why.into()))?;
        samples.read(first, &mut values).map_err(error)?;
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            let size = (values.len() / range.len()).max(1);
            let (sample, element, value) = (first + at / size, at % size, values[at]);
            let why = format!("element {element} of sample {sample} is {value}: expected a finite number");
            return Err(error(why.into()));
        }
        Tensor::new(&shape, values).map_err(|why| error(why.into()))
    }
}

/// The shape of one sample as a port takes it, and the size of a batch if it is fixed.
fn fit(port: &Port, sample: &[usize]) -> Option<(Vec<usize>, Option<usize>)> {
    let Some(shape) = &port.shape else { return Some((sample.to_vec(), None)) };
    let (batch, rest) = shape.split_first()?;
    let fixed = match batch {
        Dimension::Fixed(n) => Some(*n),
        Dimension::Free(_) => None,
    };
    let same = |(dimension, &n): (&Dimension, &usize)| match dimension {
        Dimension::Fixed(m) => *m == n,
        Dimension::Free(_) => true,
    };
    if rest.len() == sample.len() && rest.iter().zip(sample).all(same) {
        return Some((sample.to_vec(), fixed));
    }
    // Without axes of length 1 both must be the same, with no choice left.
    let wanted: Option<Vec<usize>> = rest
        .iter()
        .map(|dimension| match dimension {
            Dimension::Fixed(n) => Some(*n),
            Dimension::Free(_) => None,
        })
        .collect();
    let wanted = wanted?;
    let long = |list: &[usize]| list.iter().copied().filter(|&n| n != 1).collect::<Vec<_>>();
    // A format of plain numbers, as a table has them, knows no axes.
    let flat =
        sample.len() == 1 && wanted.iter().try_fold(1usize, |n, &m| n.checked_mul(m)) == Some(sample[0]);
    (flat || long(&wanted) == long(sample)).then_some((wanted, fixed))
}
