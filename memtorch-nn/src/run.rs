use std::cell::RefCell;

use memtorch_crossbar::{Accumulate, ArrayBackend, Ideal, Input, Operand, Product};
use memtorch_map::{LayerInputs, MappedMatrix, ReadIndex, ReadReport};

use crate::ops::{Fault, Inputs};
use crate::{Network, NnError, Tensor};

/// On what the products of a layer are computed.
#[derive(Clone, Debug)]
pub(crate) enum Kernel {
    /// One tile as large as the layer, without converters.
    Digital { operand: Operand, reason: String },
    /// Crossbars.
    Memristive(MappedMatrix),
}

impl Kernel {
    fn multiply(
        &self,
        backend: &dyn ArrayBackend,
        layer: &str,
        input: Input<'_>,
        index: ReadIndex,
        output: &mut [f32],
    ) -> Result<ReadReport, NnError> {
        match self {
            Self::Digital { operand, .. } => {
                let product = Product { input, converter: &Ideal, accumulate: Accumulate::Set };
                backend
                    .multiply(operand, &product, output)
                    .map(|_| ReadReport::default())
                    .map_err(|source| NnError::Crossbar { layer: layer.to_owned(), source: Box::new(source) })
            }
            Self::Memristive(matrix) => matrix
                .multiply_at(input, index, output)
                .map_err(|source| NnError::Map { layer: layer.to_owned(), source: Box::new(source) }),
        }
    }
}

/// Squared norms of a layer's outputs over a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Norms {
    /// Of the difference of another kernel's output and this one's.
    pub(crate) difference: f64,
    /// Of this one's output.
    pub(crate) output: f64,
}

/// The layers while a network runs once.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    network: Option<&'a Network>,
    kernels: &'a [Kernel],
    backend: Option<&'a dyn ArrayBackend>,
    reads: RefCell<Vec<ReadReport>>,
    /// Kernels that get the same inputs, to be compared.
    others: Option<(&'a [Kernel], &'a dyn ArrayBackend)>,
    norms: RefCell<Vec<Norms>>,
    /// What each layer sees, to be kept as that of a sample.
    record: Option<(usize, &'a RefCell<Vec<LayerInputs>>)>,
    /// Index of the first sample in the data set, and how many there are.
    samples: (usize, usize),
}

impl<'a> Run<'a> {
    /// A run of operators that have no layers.
    pub(crate) fn without_layers() -> Self {
        Self {
            network: None,
            kernels: &[],
            backend: None,
            reads: RefCell::default(),
            others: None,
            norms: RefCell::default(),
            record: None,
            samples: (0, 0),
        }
    }

    pub(crate) fn new(network: &'a Network, kernels: &'a [Kernel], backend: &'a dyn ArrayBackend) -> Self {
        Self {
            network: Some(network),
            kernels,
            backend: Some(backend),
            reads: RefCell::new(vec![ReadReport::default(); kernels.len()]),
            others: None,
            norms: RefCell::new(vec![Norms::default(); kernels.len()]),
            record: None,
            samples: (0, 0),
        }
    }

    /// The same run, in which what each layer sees is kept as that of a sample.
    pub(crate) fn record(mut self, sample: usize, inputs: &'a RefCell<Vec<LayerInputs>>) -> Self {
        self.record = Some((sample, inputs));
        self
    }

    /// The same run, in which crossbars among other kernels get the inputs of each layer too.
    pub(crate) fn compare(mut self, others: &'a [Kernel], backend: &'a dyn ArrayBackend) -> Self {
        self.others = Some((others, backend));
        self
    }

    /// The same run on these samples of a data set, the first axis of the inputs being the batch.
    pub(crate) fn on(mut self, first: usize, count: usize) -> Self {
        self.samples = (first, count);
        self
    }

    /// The product of a layer, without its bias. The rows or images of a sample lie together.
    pub(crate) fn multiply(&self, layer: usize, input: Input<'_>, output: &mut [f32]) -> Result<(), Fault> {
        let (first_sample, count) = self.samples;
        let rows = match input {
            Input::Patches { samples, .. } => samples,
            other => other.vectors(),
        };
        // Rows that are no whole number a sample are samples of their own.
        let samples = if count > 0 && rows % count == 0 { count } else { 0 };
        let index = ReadIndex { first_sample, samples, ..ReadIndex::default() };
        self.multiply_at(layer, input, index, output)
    }

    /// The product of a recurrent layer, without its bias, at steps from `step` on: `[steps, batch]` rows.
    pub(crate) fn multiply_steps(
        &self,
        layer: usize,
        input: Input<'_>,
        (step, batch): (usize, usize),
        output: &mut [f32],
    ) -> Result<(), Fault> {
        let (first_sample, first_step) = (self.samples.0, step as u32);
        let index = ReadIndex { first_sample, samples: batch, time_first: true, first_step };
        self.multiply_at(layer, input, index, output)
    }

    fn multiply_at(
        &self,
        layer: usize,
        input: Input<'_>,
        index: ReadIndex,
        output: &mut [f32],
    ) -> Result<(), Fault> {
        let (Some(network), Some(backend), Some(kernel)) =
            (self.network, self.backend, self.kernels.get(layer))
        else {
            return Err(Fault::Why("a layer where there is none".to_owned()));
        };
        if output.is_empty() {
            return Ok(());
        }
        if let Some((sample, inputs)) = self.record {
            inputs.borrow_mut()[layer].push(sample, input);
        }
        let name = &network.layers()[layer].name;
        self.reads.borrow_mut()[layer] +=
            kernel.multiply(backend, name, input, index, output).map_err(Fault::Error)?;
        if let Some((others, backend)) = self.others
            && let Kernel::Memristive(_) = &others[layer]
        {
            let mut other = vec![0.0; output.len()];
            others[layer].multiply(backend, name, input, index, &mut other).map_err(Fault::Error)?;
            let norms = &mut self.norms.borrow_mut()[layer];
            for (&y, &z) in output.iter().zip(&other) {
                norms.difference += (f64::from(z) - f64::from(y)).powi(2);
                norms.output += f64::from(y).powi(2);
            }
        }
        Ok(())
    }

    /// What reading each layer did, and the norms of a comparison.
    pub(crate) fn finish(self) -> (Vec<ReadReport>, Vec<Norms>) {
        (self.reads.into_inner(), self.norms.into_inner())
    }

    /// Runs the network on inputs in the order of its ports; gives the outputs in the order of its ports.
    ///
    /// # Errors
    /// Whatever fails in a node, which is named.
    pub(crate) fn forward(&self, network: &Network, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, NnError> {
        let mut values: Vec<Option<Tensor>> = vec![None; network.constants.len()];
        for (&value, tensor) in network.input_values.iter().zip(inputs) {
            values[value] = Some(tensor);
        }
        for step in &network.steps {
            let error = |why: String| NnError::Node {
                node: step.node.clone(),
                operator: step.operator_name.clone(),
                why,
            };
            let mut taken = Vec::with_capacity(step.inputs.len());
            for (value, &last) in step.inputs.iter().zip(&step.takes) {
                taken.push(match *value {
                    None => None,
                    Some(value) if last => values[value].take(),
                    Some(value) => network.constants[value].clone().or_else(|| values[value].clone()),
                });
            }
            let results = step.operator.run(Inputs(taken), self).map_err(|fault| match fault {
                Fault::Why(why) => error(why),
                Fault::Error(error) => error,
            })?;
            let mut results = results.into_iter();
            for output in &step.outputs {
                let result = results.next();
                if let Some(value) = *output {
                    let missing = || error("it has more outputs than its operator gives".to_owned());
                    values[value] = Some(result.ok_or_else(missing)?);
                }
            }
        }
        let get = |&value: &usize| {
            let missing = || NnError::Format("an output has no value".to_owned());
            network.constants[value].clone().or_else(|| values[value].clone()).ok_or_else(missing)
        };
        network.output_values.iter().map(get).collect()
    }
}
