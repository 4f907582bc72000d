use std::sync::Arc;

use memtorch_crossbar::ArrayBackend;
use memtorch_map::{Hardware, MappedMatrix, ReadReport};
use memtorch_utils::Stream;

use crate::{Network, NnError, Samples, Tensor};

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
    network: Arc<Network>,
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
        let _ = backend;
        Ok(Self { network })
    }

    /// Programs layers on crossbars as the choices say, one for each layer of the network in its order.
    ///
    /// `stream` is the root of the seed and the repeat. Layers are programmed in parallel; the result does
    /// not depend on that.
    ///
    /// # Errors
    /// Another number of choices than layers; the first layer that cannot be programmed.
    pub fn new(
        network: Arc<Network>,
        choices: Vec<LayerChoice>,
        stream: Stream,
        backend: Arc<dyn ArrayBackend>,
    ) -> Result<Self, NnError> {
        let _ = (choices, stream, backend);
        Ok(Self { network })
    }

    /// The network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The crossbars of a layer by its index; `None` where it runs digitally.
    pub fn mapped(&self, layer: usize) -> Option<&MappedMatrix> {
        let _ = layer;
        None
    }

    /// Why a layer runs digitally; `None` where it is on crossbars.
    pub fn reason(&self, layer: usize) -> Option<&str> {
        let _ = layer;
        None
    }

    /// Runs the network once, on inputs by name.
    ///
    /// # Errors
    /// Inputs that are missing, unknown or of another shape; whatever fails in a node, which is named.
    pub fn run(&self, inputs: &[(&str, Tensor)]) -> Result<Outputs, NnError> {
        let _ = inputs;
        Err(NnError::Evaluate("running has not landed yet".to_owned()))
    }
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
    let _ = (digital, memristive, samples, limit);
    Err(NnError::Evaluate("running has not landed yet".to_owned()))
}
