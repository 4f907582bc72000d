use std::ops::Range;

use crate::kernel::wide;
use crate::tensor::filled;
use crate::{Dimension, ElementType, Network, NnError, Port, Tensor};

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

    /// The other inputs of the network for which there are values too, by name, and the shape of one sample of
    /// each. What [`Samples::read`] writes goes to the input that is not among them.
    fn others(&self) -> Vec<(&str, &[usize])> {
        Vec::new()
    }

    /// As [`Samples::read`], for the input of this number in [`Samples::others`].
    ///
    /// # Errors
    /// As there.
    fn read_other(
        &mut self,
        number: usize,
        _first: usize,
        _values: &mut [f32],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("no values for another input of number {number}").into())
    }
}

/// Elements that a batch has at most, if it is more than one sample: 4 MiB of f32.
const BATCH_ELEMENTS: usize = 1 << 20;

/// How samples become the inputs of a network.
#[derive(Debug)]
pub(crate) struct Feed {
    inputs: Vec<Input>,
    /// The size of a batch, if the network takes only one.
    fixed: Option<usize>,
}

/// One input, in the order of the network's ports.
#[derive(Debug)]
struct Input {
    name: String,
    element: ElementType,
    /// The number among the other inputs; none for what samples themselves are.
    other: Option<usize>,
    /// The shape of one sample as the network takes it.
    shape: Vec<usize>,
}

impl Feed {
    /// Checks that there are samples for every input, which takes such samples; axes of length 1 may be missing
    /// or be there once more, and a flat sample takes the shape of the input.
    pub(crate) fn new(network: &Network, samples: &dyn Samples) -> Result<Self, NnError> {
        let (ports, others) = (network.inputs(), samples.others());
        let list = || ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>();
        if let Some((name, _)) = others.iter().find(|(name, _)| ports.iter().all(|port| port.name != *name)) {
            return Err(NnError::Evaluate(format!("it has no input `{name}`: expected one of {:?}", list())));
        }
        if ports.len() != others.len() + 1 {
            let expected = format!("expected samples for each, not for {}", others.len() + 1);
            return Err(NnError::Evaluate(format!("it has the inputs {:?}: {expected}", list())));
        }
        let (mut inputs, mut fixed) = (Vec::new(), None);
        for port in ports {
            let other = others.iter().position(|(name, _)| *name == port.name);
            let sample = other.map_or_else(|| samples.shape(), |number| others[number].1);
            let wrong = || NnError::Input {
                name: port.name.clone(),
                found: format!("samples of shape {sample:?}"),
                expected: format!(
                    "{} of shape {}, the first axis being the batch",
                    port.element,
                    port.shape_text()
                ),
            };
            if port.element == ElementType::Bool {
                return Err(wrong());
            }
            let (shape, batch) = fit(port, sample).ok_or_else(wrong)?;
            fixed = fixed.or(batch);
            inputs.push(Input { name: port.name.clone(), element: port.element, other, shape });
        }
        Ok(Self { inputs, fixed })
    }

    /// The size of batches if this one, at least 1, is wished for.
    pub(crate) fn batch(&self, wished: usize) -> usize {
        let size: usize = self.inputs.iter().map(|input| input.shape.iter().product::<usize>()).sum();
        self.fixed.unwrap_or(wished.min(BATCH_ELEMENTS / size.max(1)).max(1))
    }

    /// Samples as inputs, in the order of the network's ports.
    pub(crate) fn read(
        &self,
        samples: &mut dyn Samples,
        range: Range<usize>,
    ) -> Result<Vec<Tensor>, NnError> {
        if let Some(fixed) = self.fixed
            && fixed != range.len()
        {
            return Err(NnError::Input {
                name: self.inputs.first().map(|input| input.name.clone()).unwrap_or_default(),
                found: format!("a batch of {} samples at the end", range.len()),
                expected: format!("{fixed}, the fixed size of its batches: choose a multiple of it"),
            });
        }
        self.inputs.iter().map(|input| input.read(samples, range.clone())).collect()
    }
}

impl Input {
    fn read(&self, samples: &mut dyn Samples, range: Range<usize>) -> Result<Tensor, NnError> {
        let (first, last) = (range.start, range.end.saturating_sub(1));
        let error = |source| NnError::Samples { first, last, source };
        let mut shape = vec![range.len()];
        shape.extend_from_slice(&self.shape);
        let mut values = filled(&shape, 0.0f32).map_err(|why| error(why.into()))?;
        match self.other {
            None => samples.read(first, &mut values),
            Some(number) => samples.read_other(number, first, &mut values),
        }
        .map_err(error)?;
        let whole = self.element == ElementType::I64;
        // Up to here every whole number is an f32.
        let fits = |x: f32| if whole { x.fract() == 0.0 && x.abs() <= 16_777_216.0 } else { x.is_finite() };
        // Without a way out, so that it vectorises.
        let all_fit = wide(|| values.iter().fold(true, |all, x| all & fits(*x)));
        if !all_fit && let Some(at) = values.iter().position(|x| !fits(*x)) {
            let size = (values.len() / range.len()).max(1);
            let (sample, element, value) = (first + at / size, at % size, values[at]);
            let expected = if whole { "a whole number" } else { "a finite number" };
            let input = if self.other.is_some() { format!(" of `{}`", self.name) } else { String::new() };
            let why = format!("element {element} of sample {sample}{input} is {value}: expected {expected}");
            return Err(error(why.into()));
        }
        if whole {
            let values = values.into_iter().map(|x| x as i64).collect();
            return Tensor::whole(&shape, values).map_err(|why| error(why.into()));
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
