//! From names to numbers: every value is defined once, before it is used.

use std::collections::{BTreeSet, HashMap};

use crate::ops::Operator;
use crate::{NetworkBuilder, NnError, NodeDescription, Tensor};

/// A node whose inputs and outputs are numbers of values.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) description: NodeDescription,
    pub(super) inputs: Vec<Option<usize>>,
    pub(super) outputs: Vec<Option<usize>>,
    /// What runs it; none for nodes that become layers, and for those that are not known.
    pub(super) operator: Option<Box<dyn Operator>>,
}

impl Pending {
    pub(super) fn error(&self, why: impl Into<String>) -> NnError {
        NnError::Node {
            node: self.description.name().to_owned(),
            operator: self.description.operator.clone(),
            why: why.into(),
        }
    }
}

/// A graph whose nodes are in an order in which they can run.
#[derive(Debug)]
pub(super) struct Graph {
    /// The names of the values.
    pub(super) names: Vec<String>,
    /// The values that never change.
    pub(super) constants: Vec<Option<Tensor>>,
    /// From which constant each constant was made by moving elements only; at first from itself.
    pub(super) origins: Vec<usize>,
    pub(super) nodes: Vec<Pending>,
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<usize>,
}

impl Graph {
    /// A new value that never changes.
    pub(super) fn add_constant(&mut self, name: String, value: Tensor) -> usize {
        self.names.push(name);
        self.constants.push(Some(value));
        self.origins.push(self.names.len() - 1);
        self.names.len() - 1
    }

    /// How often each value is used, by nodes and as an output.
    pub(super) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.names.len()];
        let inputs = self.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
        inputs.chain(&self.outputs).for_each(|&value| uses[value] += 1);
        uses
    }

    /// The constant at an input of a node, if it is one.
    pub(super) fn constant(&self, node: &Pending, input: usize) -> Option<&Tensor> {
        node.inputs.get(input).copied().flatten().and_then(|value| self.constants[value].as_ref())
    }
}

/// Numbers the values, sorts the nodes, and leaves out those on which no output depends.
///
/// # Errors
/// Values without or with several definitions, cycles, no outputs.
pub(super) fn order(builder: NetworkBuilder) -> Result<Graph, NnError> {
    let NetworkBuilder { inputs, outputs, constants, nodes, .. } = builder;
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut graph = Graph {
        names: Vec::new(),
        constants: Vec::new(),
        origins: Vec::new(),
        nodes: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    let mut define = |graph: &mut Graph, name: &str, value: Option<Tensor>| {
        let number = graph.names.len();
        if name.is_empty() {
            return Err(NnError::Format("an input, initialiser or value has no name".to_owned()));
        }
        if numbers.insert(name.to_owned(), number).is_some() {
            return Err(NnError::Format(format!("value `{name}` is defined more than once")));
        }
        graph.names.push(name.to_owned());
        graph.constants.push(value);
        graph.origins.push(number);
        Ok(number)
    };
    for port in &inputs {
        let number = define(&mut graph, &port.name, None)?;
        graph.inputs.push(number);
    }
    for (name, value) in constants {
        define(&mut graph, &name, Some(value))?;
    }
    let mut producer: HashMap<usize, usize> = HashMap::new();
    for (i, description) in nodes.into_iter().enumerate() {
        let mut numbers = Vec::with_capacity(description.outputs.len());
        for name in &description.outputs {
            numbers.push(match name.as_str() {
                "" => None,
                name => Some(define(&mut graph, name, None)?),
            });
        }
        numbers.iter().flatten().for_each(|&value| {
            producer.insert(value, i);
        });
        graph.nodes.push(Pending { description, inputs: Vec::new(), outputs: numbers, operator: None });
    }
    for node in &mut graph.nodes {
        let find = |name: &String| match name.as_str() {
            "" => Ok(None),
            name => numbers.get(name).copied().map(Some).ok_or_else(|| {
                let why = "is neither an input of the network, nor a constant, nor an output of a node";
                node.error(format!("its input `{name}` {why}"))
            }),
        };
        node.inputs = node.description.inputs.iter().map(find).collect::<Result<_, _>>()?;
    }
    for port in &outputs {
        let number = numbers.get(&port.name).copied();
        let why = || NnError::Format(format!("output `{}` is not defined by any node", port.name));
        graph.outputs.push(number.ok_or_else(why)?);
    }
    if graph.outputs.is_empty() {
        return Err(NnError::Format("the graph has no outputs".to_owned()));
    }
    let sequence = sequence(&graph, &producer)?;
    let needed = needed(&graph, &producer);
    let mut nodes: Vec<Option<Pending>> = graph.nodes.into_iter().map(Some).collect();
    graph.nodes = sequence.into_iter().filter(|&i| needed[i]).filter_map(|i| nodes[i].take()).collect();
    Ok(graph)
}

/// The nodes in an order in which they can run; where there is a choice, that of the model.
fn sequence(graph: &Graph, producer: &HashMap<usize, usize>) -> Result<Vec<usize>, NnError> {
    let n = graph.nodes.len();
    let (mut waiting, mut followers) = (vec![0usize; n], vec![Vec::new(); n]);
    for (i, node) in graph.nodes.iter().enumerate() {
        for value in node.inputs.iter().flatten() {
            if let Some(&before) = producer.get(value) {
                followers[before].push(i);
                waiting[i] += 1;
            }
        }
    }
    let mut ready: BTreeSet<usize> = (0..n).filter(|&i| waiting[i] == 0).collect();
    let mut sequence = Vec::with_capacity(n);
    while let Some(i) = ready.pop_first() {
        sequence.push(i);
        for &after in &followers[i] {
            waiting[after] -= 1;
            if waiting[after] == 0 {
                ready.insert(after);
            }
        }
    }
    match (0..n).find(|&i| waiting[i] > 0) {
        Some(i) => Err(graph.nodes[i].error("it depends on its own output: expected a graph without cycles")),
        None => Ok(sequence),
    }
}

/// On which nodes an output depends.
fn needed(graph: &Graph, producer: &HashMap<usize, usize>) -> Vec<bool> {
    let mut needed = vec![false; graph.nodes.len()];
    let mut values = graph.outputs.clone();
    while let Some(value) = values.pop() {
        if let Some(&i) = producer.get(&value)
            && !std::mem::replace(&mut needed[i], true)
        {
            values.extend(graph.nodes[i].inputs.iter().flatten());
        }
    }
    needed
}
