use std::path::PathBuf;

use memtorch_crossbar::CrossbarError;
use memtorch_map::MapError;

use crate::Unsupported;

/// What can go wrong when a network is imported, patched, run or evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// A file that cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A model that is no valid ONNX model: truncated, inconsistent, or hostile.
    #[error("not a valid ONNX model: {0}")]
    Format(String),
    /// Operators that are not known, all of them.
    #[error("unsupported operators: {}", list(nodes))]
    Unsupported {
        /// The nodes that need them, in the order of the model.
        nodes: Vec<Unsupported>,
    },
    /// A node whose attributes or inputs are not possible, when the model is read or when it runs.
    #[error("node `{node}` ({operator}): {why}")]
    Node {
        /// The node's full name.
        node: String,
        /// Its operator.
        operator: String,
        /// What is wrong.
        why: String,
    },
    /// An input or a sample that does not fit the network.
    #[error("input `{name}`: found {found}, expected {expected}")]
    Input {
        /// The network's input.
        name: String,
        /// What was given.
        found: String,
        /// What the network takes.
        expected: String,
    },
    /// A network that cannot be evaluated on labelled samples.
    #[error("the network cannot be evaluated: {0}")]
    Evaluate(String),
    /// Samples that cannot be read.
    #[error("samples {first} to {last}: {source}")]
    Samples {
        /// The first of them, counted from 0.
        first: usize,
        /// The last of them.
        last: usize,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A label that is no output of the network.
    #[error("label {index} is {label}: expected a whole number below {outputs}, the outputs of the network")]
    Label {
        /// The sample's index.
        index: usize,
        /// Its label.
        label: usize,
        /// How many outputs there are.
        outputs: usize,
    },
    /// A file with weights that cannot be used.
    #[error("{}: {what}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// A file with a programmed network that cannot be read, or that belongs to another network or other
    /// hardware.
    #[error("{}: {what}", path.display())]
    Saved {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// Another number of choices than layers.
    #[error("{found} choices for {expected} layers: expected one for each")]
    Choices {
        /// Choices given.
        found: usize,
        /// Layers of the network.
        expected: usize,
    },
    /// A layer that cannot be put on a crossbar.
    #[error("layer `{layer}`: {source}")]
    Map {
        /// The layer's short name.
        layer: String,
        /// What went wrong.
        source: Box<MapError>,
    },
    /// Something of the digital product.
    #[error("layer `{layer}`: {source}")]
    Crossbar {
        /// The layer's short name.
        layer: String,
        /// What went wrong.
        source: Box<CrossbarError>,
    },
}

fn list(nodes: &[Unsupported]) -> String {
    nodes.iter().map(|n| format!("{} (node `{}`)", n.operator, n.node)).collect::<Vec<_>>().join(", ")
}
