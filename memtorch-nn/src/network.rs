use std::collections::HashSet;
#[cfg(feature = "onnx")]
use std::path::Path;

#[cfg(feature = "onnx")]
use crate::NnError;
use crate::ops::Operator;
use crate::{Data, Folding, Layer, Tensor};

/// How a model is imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Merges each BatchNormalization into the convolution or Gemm before it, where that has no other
    /// consumer. The digital outputs stay the same up to rounding; the weights, and so their range on a
    /// crossbar, do not.
    pub fold_batch_norm: bool,
}

/// What kind of elements a port takes or gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElementType {
    /// Real numbers.
    F32,
    /// Whole numbers.
    I64,
    /// Truth values.
    Bool,
}

/// One dimension of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dimension {
    /// A fixed size.
    Fixed(usize),
    /// Any size; the name, if it has one.
    Free(Option<String>),
}

impl std::fmt::Display for ElementType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "real numbers",
            Self::I64 => "whole numbers",
            Self::Bool => "truth values",
        })
    }
}

impl std::fmt::Display for Dimension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(n) => write!(f, "{n}"),
            Self::Free(Some(name)) => write!(f, "{name}"),
            Self::Free(None) => write!(f, "?"),
        }
    }
}

/// An input or output of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// Its name.
    pub name: String,
    /// What kind of elements it has.
    pub element: ElementType,
    /// Its shape, where the model states one.
    pub shape: Option<Vec<Dimension>>,
}

impl Port {
    /// A port of a shape.
    pub fn new(name: &str, element: ElementType, shape: &[Dimension]) -> Self {
        Self { name: name.to_owned(), element, shape: Some(shape.to_vec()) }
    }

    /// Whether a tensor can be what this port takes.
    pub(crate) fn accepts(&self, tensor: &Tensor) -> bool {
        let kind = match tensor.data() {
            Data::F32(_) => ElementType::F32,
            Data::I64(_) => ElementType::I64,
            Data::Bool(_) => ElementType::Bool,
        };
        let fits = |(dimension, &n): (&Dimension, &usize)| match dimension {
            Dimension::Fixed(m) => *m == n,
            Dimension::Free(_) => true,
        };
        let shape = self.shape.as_ref();
        let shape_fits = |shape: &Vec<Dimension>| {
            shape.len() == tensor.shape().len() && shape.iter().zip(tensor.shape()).all(fits)
        };
        kind == self.element && shape.is_none_or(shape_fits)
    }

    /// The shape in words: `[N, 1, 28, 28]`.
    pub fn shape_text(&self) -> String {
        match &self.shape {
            Some(shape) => {
                let list: Vec<String> = shape.iter().map(ToString::to_string).collect();
                format!("[{}]", list.join(", "))
            }
            None => "any shape".to_owned(),
        }
    }
}

/// A node whose operator is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsupported {
    /// The node's full name.
    pub node: String,
    /// Its operator, with its domain where that is not ONNX's own.
    pub operator: String,
}

/// A product that is no layer: it stays digital.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Product {
    /// The node's full name.
    pub node: String,
    /// Its operator.
    pub operator: String,
    /// Why it is none.
    pub reason: &'static str,
}

/// A model as it is, whether it can be run or not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The linear layers.
    pub layers: Vec<Layer>,
    /// The products that are no layers.
    pub products: Vec<Product>,
    /// The nodes that cannot be run.
    pub unsupported: Vec<Unsupported>,
    /// The inputs.
    pub inputs: Vec<Port>,
    /// The outputs.
    pub outputs: Vec<Port>,
    /// The BatchNormalization nodes that were merged into the layer before them.
    pub folded: Vec<Folding>,
}

/// One operator with its place in the graph.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) node: String,
    pub(crate) operator_name: String,
    pub(crate) operator: Box<dyn Operator>,
    /// What the operator was made from.
    #[cfg(feature = "save")]
    pub(crate) attributes: Vec<(String, crate::Attribute)>,
    pub(crate) inputs: Vec<Option<usize>>,
    /// Whether each input is used here for the last time.
    pub(crate) takes: Vec<bool>,
    pub(crate) outputs: Vec<Option<usize>>,
}

/// A trained network: a graph of operators whose linear layers can be put on crossbars.
///
/// It is immutable and may be shared between threads.
#[derive(Debug)]
pub struct Network {
    /// The version of the operators.
    #[cfg(feature = "save")]
    pub(crate) opset: i64,
    pub(crate) steps: Vec<Step>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) folded: Vec<Folding>,
    /// The numbers of the values of inputs and outputs.
    pub(crate) input_values: Vec<usize>,
    pub(crate) output_values: Vec<usize>,
    /// Of each value what it is, if it never changes.
    pub(crate) constants: Vec<Option<Tensor>>,
}

impl Network {
    /// Reads an ONNX model; external data is looked for beside the file and nowhere else.
    ///
    /// # Errors
    /// Files that cannot be read, models that are not valid, [`NnError::Unsupported`] with all operators
    /// that are not known.
    #[cfg(feature = "onnx")]
    pub fn from_onnx_file(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Self, NnError> {
        read_file(path.as_ref())?.build(options)
    }

    /// Reads an ONNX model from memory; it cannot have external data.
    ///
    /// # Errors
    /// As [`Network::from_onnx_file`].
    #[cfg(feature = "onnx")]
    pub fn from_onnx_bytes(bytes: &[u8], options: &ImportOptions) -> Result<Self, NnError> {
        crate::onnx::read(bytes.to_vec(), None)?.build(options)
    }

    /// Reads an ONNX model that perhaps cannot be run: its layers and the operators that are not known.
    ///
    /// # Errors
    /// Files that cannot be read, models that are not valid.
    #[cfg(feature = "onnx")]
    pub fn inspect_onnx_file(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Inspection, NnError> {
        read_file(path.as_ref())?.inspect(options)
    }

    /// The linear layers in the order in which the model uses them.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The products that are no layers, as that of two values which both vary in attention.
    pub fn products(&self) -> Vec<Product> {
        let layers: HashSet<&String> = self.layers.iter().flat_map(|layer| &layer.nodes).collect();
        let is_layer = |step: &&Step| layers.contains(&step.node);
        let is_product = |step: &&Step| crate::build::is_linear(&step.operator_name) && step.inputs.len() > 1;
        let product = |step: &Step| {
            let constant = |value: &usize| self.constants[*value].is_some();
            let reason = if step.inputs.iter().flatten().any(constant) {
                "its constant is no single matrix for all of the input"
            } else {
                "both values vary"
            };
            Product { node: step.node.clone(), operator: step.operator_name.clone(), reason }
        };
        self.steps.iter().filter(is_product).filter(|step| !is_layer(step)).map(product).collect()
    }

    /// The inputs.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The outputs.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The BatchNormalization nodes that were merged into the layer before them.
    pub fn folded(&self) -> &[Folding] {
        &self.folded
    }
}

#[cfg(feature = "onnx")]
fn read_file(path: &Path) -> Result<crate::NetworkBuilder, NnError> {
    let bytes = std::fs::read(path).map_err(|source| NnError::Io { path: path.to_owned(), source })?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    crate::onnx::read(bytes, Some(folder))
}
