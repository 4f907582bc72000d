use crate::build::build;
use crate::{ImportOptions, Inspection, Network, NnError, Port, Tensor};

/// The value of an attribute of a node.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attribute {
    /// A real number.
    Real(f32),
    /// A whole number.
    Whole(i64),
    /// Text.
    Text(String),
    /// A tensor.
    Tensor(Tensor),
    /// Real numbers.
    Reals(Vec<f32>),
    /// Whole numbers.
    Wholes(Vec<i64>),
    /// Texts.
    Texts(Vec<String>),
    /// Something that no operator here takes; what it is, in words.
    Other(&'static str),
}

/// A node of a network: an operator of the ONNX specification with its inputs, outputs and attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeDescription {
    name: String,
    pub(crate) operator: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: Vec<(String, Attribute)>,
    pub(crate) module: Option<String>,
}

impl NodeDescription {
    /// A node of an operator, as `Conv`, with the names of its inputs and outputs; an empty name stands for
    /// one that is left out. Its own name is that of its first output.
    pub fn new<I: AsRef<str>, O: AsRef<str>>(operator: &str, inputs: &[I], outputs: &[O]) -> Self {
        let texts = |list: &mut dyn Iterator<Item = &str>| list.map(str::to_owned).collect::<Vec<_>>();
        let outputs = texts(&mut outputs.iter().map(AsRef::as_ref));
        Self {
            name: outputs.first().cloned().unwrap_or_default(),
            operator: operator.to_owned(),
            inputs: texts(&mut inputs.iter().map(AsRef::as_ref)),
            outputs,
            attributes: Vec::new(),
            module: None,
        }
    }

    /// The same node with a name of its own; an empty one changes nothing.
    pub fn named(mut self, name: &str) -> Self {
        if !name.is_empty() {
            self.name = name.to_owned();
        }
        self
    }

    /// The same node with the path of the module that it comes from, after which a layer may be named.
    pub fn module(mut self, module: &str) -> Self {
        self.module = Some(module.to_owned());
        self
    }

    /// The same node with an attribute.
    pub fn attribute(mut self, name: &str, value: Attribute) -> Self {
        self.attributes.push((name.to_owned(), value));
        self
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Puts a network together, node by node: what the import of a file does, and what a network written in
/// Rust can do.
///
/// ```
/// use memtorch_nn::{
///     Attribute, Dimension, ElementType, ImportOptions, NetworkBuilder, NodeDescription, Port, Tensor,
/// };
/// let mut builder = NetworkBuilder::new(17);
/// builder
///     .input(Port::new("x", ElementType::F32, &[Dimension::Free(None), Dimension::Fixed(3)]))
///     .constant("fc.weight", Tensor::new(&[2, 3], vec![1.0, 0.0, -1.0, 0.5, 0.5, 0.5])?)
///     .node(
///         NodeDescription::new("Gemm", &["x", "fc.weight"], &["y"])
///             .attribute("transB", Attribute::Whole(1)),
///     )
///     .output(Port::new("y", ElementType::F32, &[Dimension::Free(None), Dimension::Fixed(2)]));
/// let network = builder.build(&ImportOptions::default())?;
/// assert_eq!(network.layers()[0].name, "fc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct NetworkBuilder {
    pub(crate) opset: i64,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) constants: Vec<(String, Tensor)>,
    pub(crate) nodes: Vec<NodeDescription>,
}

impl NetworkBuilder {
    /// Nothing yet; nodes mean what they mean in this version of the ONNX operators, 7 or later.
    pub fn new(opset: i64) -> Self {
        Self { opset, ..Self::default() }
    }

    /// Adds an input.
    pub fn input(&mut self, port: Port) -> &mut Self {
        self.inputs.push(port);
        self
    }

    /// Adds a value that never changes: weights, shapes.
    pub fn constant(&mut self, name: &str, value: Tensor) -> &mut Self {
        self.constants.push((name.to_owned(), value));
        self
    }

    /// Adds a node. Nodes may be added in any order.
    pub fn node(&mut self, node: NodeDescription) -> &mut Self {
        self.nodes.push(node);
        self
    }

    /// Adds an output: the name of an input, a constant or an output of a node.
    pub fn output(&mut self, port: Port) -> &mut Self {
        self.outputs.push(port);
        self
    }

    /// The network.
    ///
    /// # Errors
    /// Values without or with several definitions, cycles, attributes and shapes that are not possible,
    /// [`NnError::Unsupported`] with all operators that are not known.
    pub fn build(self, options: &ImportOptions) -> Result<Network, NnError> {
        let (network, unsupported) = build(self, options)?;
        if unsupported.is_empty() { Ok(network) } else { Err(NnError::Unsupported { nodes: unsupported }) }
    }

    /// The layers and the operators that are not known of a network that perhaps cannot be run.
    ///
    /// # Errors
    /// As [`NetworkBuilder::build`], but for operators that are not known.
    pub fn inspect(self, options: &ImportOptions) -> Result<Inspection, NnError> {
        let (network, unsupported) = build(self, options)?;
        let products = network.products();
        let Network { layers, inputs, outputs, folded, .. } = network;
        Ok(Inspection { layers, products, unsupported, inputs, outputs, folded })
    }
}
