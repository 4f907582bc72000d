use std::cell::RefCell;
use std::sync::Arc;

use memtorch_crossbar::{ArrayBackend, Layout, TileShape};
use memtorch_map::{Hardware, LayerInputs, MappedMatrix, ReadReport};
use memtorch_utils::Stream;
use rayon::prelude::*;

use crate::feed::Feed;
use crate::run::{Kernel, Norms, Run};
use crate::{Dimension, Layer, Network, NnError, Port, Samples, Tensor};

/// On what a layer runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LayerChoice {
    /// Digitally.
    Digital {
        /// Why, for the report; empty where no reason is needed.
        reason: String,
    },
    /// On crossbars.
    Memristive(Box<Hardware>),
}

/// A network with one kernel for each linear layer: ready to run. It clones cheaply.
#[derive(Clone, Debug)]
pub struct Executable {
    pub(crate) network: Arc<Network>,
    pub(crate) kernels: Arc<[Kernel]>,
    pub(crate) backend: Arc<dyn ArrayBackend>,
}

/// What a run gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outputs {
    /// The outputs in the order of [`Network::outputs`], with their names.
    pub values: Vec<(String, Tensor)>,
    /// What reading each layer did, in the order of [`Network::layers`]; zeros for digital ones.
    pub reads: Vec<ReadReport>,
}

impl Executable {
    /// All layers run digitally: products in f32 by the backend, in one tile a layer, without converters.
    ///
    /// # Errors
    /// Whatever the backend lacks.
    pub fn digital(network: Arc<Network>, backend: Arc<dyn ArrayBackend>) -> Result<Self, NnError> {
        let digital = LayerChoice::Digital { reason: String::new() };
        let choices = vec![digital; network.layers().len()];
        Self::new(network, choices, Stream::root(0, 0), backend)
    }

    /// Programs layers on crossbars as the choices say, one for each layer of the network in its order.
    ///
    /// `stream` is the root of the seed and the repeat. Layers are programmed in parallel; the result does
    /// not depend on that.
    ///
    /// # Errors
    /// Another number of choices than layers; the first layer that cannot be programmed; hardware that is tuned
    /// or calibrated with what its layer sees (see [`Executable::with_inputs`]).
    pub fn new(
        network: Arc<Network>,
        choices: Vec<LayerChoice>,
        stream: Stream,
        backend: Arc<dyn ArrayBackend>,
    ) -> Result<Self, NnError> {
        Self::with_inputs(network, choices, stream, backend, &[])
    }

    /// As [`Executable::new`], with what each layer sees in the digital network, as [`record_inputs`] gives it:
    /// for at least [`Hardware::data_samples`] samples of every layer's hardware.
    ///
    /// # Errors
    /// As there; no inputs where some are needed.
    pub fn with_inputs(
        network: Arc<Network>,
        choices: Vec<LayerChoice>,
        stream: Stream,
        backend: Arc<dyn ArrayBackend>,
        inputs: &[LayerInputs],
    ) -> Result<Self, NnError> {
        let nothing = LayerInputs::new();
        if choices.len() != network.layers().len() {
            return Err(NnError::Choices { found: choices.len(), expected: network.layers().len() });
        }
        // All are programmed before an error is looked at, so that it is the first in order.
        let kernels: Vec<Result<Kernel, NnError>> = network
            .layers()
            .par_iter()
            .zip(choices)
            .enumerate()
            .map(|(index, (layer, choice))| match choice {
                LayerChoice::Digital { reason } => digital_kernel(layer, reason, backend.as_ref()),
                LayerChoice::Memristive(hardware) => {
                    let weights = layer.weights.view();
                    let (name, usage) = (&layer.name, &layer.usage);
                    let inputs = inputs.get(index).unwrap_or(&nothing);
                    MappedMatrix::with_inputs(
                        name,
                        weights,
                        usage,
                        inputs,
                        &hardware,
                        stream,
                        backend.clone(),
                    )
                    .map(Kernel::Memristive)
                    .map_err(|source| NnError::Map { layer: name.clone(), source: Box::new(source) })
                }
            })
            .collect();
        let kernels = kernels.into_iter().collect::<Result<_, _>>()?;
        Ok(Self { network, kernels, backend })
    }

    /// The network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The crossbars of a layer by its index; `None` where it runs digitally.
    pub fn mapped(&self, layer: usize) -> Option<&MappedMatrix> {
        match self.kernels.get(layer)? {
            Kernel::Memristive(matrix) => Some(matrix),
            Kernel::Digital { .. } => None,
        }
    }

    /// Why a layer runs digitally; `None` where it is on crossbars.
    pub fn reason(&self, layer: usize) -> Option<&str> {
        match self.kernels.get(layer)? {
            Kernel::Digital { reason, .. } => Some(reason),
            Kernel::Memristive(_) => None,
        }
    }

    /// Runs the network once, on inputs by name.
    ///
    /// # Errors
    /// Inputs that are missing, unknown, given twice or of another shape; whatever fails in a node, which
    /// is named.
    pub fn run(&self, inputs: &[(&str, Tensor)]) -> Result<Outputs, NnError> {
        let ports = self.network.inputs();
        let names = || ports.iter().map(|port| format!("`{}`", port.name)).collect::<Vec<_>>().join(", ");
        let mut ordered: Vec<Option<Tensor>> = vec![None; ports.len()];
        for (name, tensor) in inputs {
            let wrong = |found: String, expected: String| NnError::Input {
                name: (*name).to_owned(),
                found,
                expected,
            };
            let Some(at) = ports.iter().position(|port| port.name == *name) else {
                return Err(wrong("an input that the network does not have".to_owned(), names()));
            };
            if ordered[at].is_some() {
                return Err(wrong("it twice".to_owned(), "it once".to_owned()));
            }
            if !ports[at].accepts(tensor) {
                let found = format!("{} of shape {:?}", tensor.data().kind(), tensor.shape());
                return Err(wrong(
                    found,
                    format!("{} of shape {}", ports[at].element, ports[at].shape_text()),
                ));
            }
            ordered[at] = Some(tensor.clone());
        }
        self.check_names(&ordered)?;
        let missing = |port: &Port| NnError::Input {
            name: port.name.clone(),
            found: "nothing".to_owned(),
            expected: format!("{} of shape {}", port.element, port.shape_text()),
        };
        let ordered = ordered.into_iter().zip(ports).map(|(t, port)| t.ok_or_else(|| missing(port)));
        let ordered: Vec<Tensor> = ordered.collect::<Result<_, _>>()?;
        let batch = ordered.first().and_then(|tensor| tensor.shape().first()).copied().unwrap_or(0);
        let (values, reads) = self.forward(ordered, 0, batch)?;
        let names = self.network.outputs().iter().map(|port| port.name.clone());
        Ok(Outputs { values: names.zip(values).collect(), reads })
    }

    /// Free dimensions of one name have one size.
    fn check_names(&self, inputs: &[Option<Tensor>]) -> Result<(), NnError> {
        let mut sizes: Vec<(&str, usize)> = Vec::new();
        for (port, tensor) in self.network.inputs().iter().zip(inputs) {
            let (Some(shape), Some(tensor)) = (&port.shape, tensor) else { continue };
            for (dimension, &n) in shape.iter().zip(tensor.shape()) {
                let Dimension::Free(Some(name)) = dimension else { continue };
                match sizes.iter().find(|(known, _)| known == name) {
                    None => sizes.push((name, n)),
                    Some(&(_, m)) if m == n => {}
                    Some((_, m)) => {
                        return Err(NnError::Input {
                            name: port.name.clone(),
                            found: format!("{name} = {n}"),
                            expected: format!("{m}, as elsewhere"),
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Runs the network on inputs in the order of its ports: samples of a data set, from `first` on.
    pub(crate) fn forward(
        &self,
        inputs: Vec<Tensor>,
        first: usize,
        count: usize,
    ) -> Result<(Vec<Tensor>, Vec<ReadReport>), NnError> {
        let run = Run::new(&self.network, &self.kernels, self.backend.as_ref()).on(first, count);
        let values = run.forward(&self.network, inputs)?;
        Ok((values, run.finish().0))
    }
}

pub(crate) fn digital_kernel(
    layer: &Layer,
    reason: String,
    backend: &dyn ArrayBackend,
) -> Result<Kernel, NnError> {
    let error = |source| NnError::Crossbar { layer: layer.name.clone(), source: Box::new(source) };
    let layout = Layout::new(layer.groups, layer.rows, layer.columns, TileShape::Layer).map_err(error)?;
    // The devices of one tile a group lie in the order of the weights.
    let weights = layer.weights.as_standard_layout();
    let operand = backend.pack(&layout, weights.as_slice().unwrap_or(&[])).map_err(error)?;
    Ok(Kernel::Digital { operand, reason })
}

/// What each layer sees in the digital network for the first `limit` samples, in the order of the network's
/// layers: what hardware is tuned and calibrated with.
///
/// # Errors
/// As [`evaluate`](crate::evaluate).
pub fn record_inputs(
    digital: &Executable,
    samples: &mut dyn Samples,
    limit: usize,
) -> Result<Vec<LayerInputs>, NnError> {
    let network = &digital.network;
    let feed = Feed::new(network, samples)?;
    let inputs = RefCell::new(vec![LayerInputs::new(); network.layers().len()]);
    // One by one, so that the first samples can be told; a network of a fixed batch takes that.
    let step = feed.batch(1);
    let n = limit.next_multiple_of(step).min(samples.len());
    for first in (0..n).step_by(step) {
        let input = feed.read(samples, first..(first + step).min(n))?;
        Run::new(network, &digital.kernels, digital.backend.as_ref())
            .record(first, &inputs)
            .forward(network, input)?;
    }
    Ok(inputs.into_inner())
}

/// The relative error of each layer that `memristive` has on crossbars: the ratio of the norms of
/// `y_memristive - y_digital` and `y_digital` over the layer's outputs without bias, both kernels fed with
/// the layer's inputs in the digital network for the first `limit` samples.
///
/// One entry for each layer: `None` for layers that run digitally or whose output is all zero.
///
/// # Errors
/// As [`evaluate`](crate::evaluate); two executables of different networks.
pub fn relative_errors(
    digital: &Executable,
    memristive: &Executable,
    samples: &mut dyn Samples,
    limit: usize,
) -> Result<Vec<Option<f64>>, NnError> {
    if !Arc::ptr_eq(&digital.network, &memristive.network) {
        return Err(NnError::Evaluate("two executables: expected both of one network".to_owned()));
    }
    let network = &digital.network;
    let feed = Feed::new(network, samples)?;
    let n = limit.min(samples.len());
    let mut norms = vec![Norms::default(); network.layers().len()];
    let step = feed.batch(n.max(1));
    for first in (0..n).step_by(step) {
        let count = step.min(n - first);
        let input = feed.read(samples, first..first + count)?;
        let run = Run::new(network, &digital.kernels, digital.backend.as_ref())
            .compare(&memristive.kernels, memristive.backend.as_ref())
            .on(first, count);
        run.forward(network, input)?;
        for (sum, part) in norms.iter_mut().zip(run.finish().1) {
            sum.difference += part.difference;
            sum.output += part.output;
        }
    }
    let ratio = |n: Norms| (n.output > 0.0).then(|| (n.difference / n.output).sqrt());
    Ok(norms.into_iter().map(ratio).collect())
}
