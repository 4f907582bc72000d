//! From nodes with weights that never change to layers.

use std::collections::HashSet;
use std::sync::Arc;

use memtorch_map::Usage;
use ndarray::Array3;

use super::order::{Graph, Pending};
use crate::{Layer, NnError};

/// The layers found so far.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    list: Vec<Layer>,
    /// From which constant, and which part of it, the weights of each layer are.
    origins: Vec<(usize, &'static str)>,
}

/// What a node says about the layer that it uses.
pub(crate) struct Found<'a> {
    /// The value with the weights.
    pub(crate) value: usize,
    /// The value after which the layer is named.
    pub(crate) named_after: usize,
    /// Which part of them, added to the layer's name: `.W`; empty for all.
    pub(crate) part: &'static str,
    /// The weights `[groups, rows, columns]`.
    pub(crate) weights: Array3<f32>,
    /// What the node adds digitally.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) usage: Usage,
}

impl Layers {
    /// The number of the layer with these weights: an earlier one if it has the same weights of the same
    /// constant.
    pub(super) fn add(&mut self, graph: &Graph, node: &Pending, found: Found<'_>) -> Result<usize, NnError> {
        let (groups, rows, columns) = found.weights.dim();
        if found.weights.is_empty() {
            return Err(node.error(format!("weights of shape {:?}: expected some", found.weights.dim())));
        }
        let origin = (graph.origins[found.value], found.part);
        let name = node.description.name().to_owned();
        let same = |layer: &Layer| {
            layer.weights.dim() == found.weights.dim()
                && layer.weights.iter().zip(&found.weights).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        if let Some(at) = (0..self.list.len()).find(|&i| self.origins[i] == origin && same(&self.list[i])) {
            self.list[at].nodes.push(name);
            return Ok(at);
        }
        self.origins.push(origin);
        self.list.push(Layer {
            name: short_name(graph, node, found.named_after) + found.part,
            node: name.clone(),
            nodes: vec![name],
            operator: node.description.operator.clone(),
            groups,
            rows,
            columns,
            weights: Arc::new(found.weights),
            bias: found.bias.map(Arc::from),
            usage: found.usage,
        });
        Ok(self.list.len() - 1)
    }

    /// The layers, with unique names.
    pub(super) fn finish(mut self) -> Vec<Layer> {
        let mut taken: HashSet<String> = HashSet::new();
        let all: HashSet<String> = self.list.iter().map(|layer| layer.name.clone()).collect();
        for layer in &mut self.list {
            if !taken.insert(layer.name.clone()) {
                let free = (1..)
                    .map(|i| format!("{}_{i}", layer.name))
                    .find(|name| !all.contains(name) && !taken.contains(name));
                // The sequence of names does not end.
                layer.name = free.unwrap_or_default();
                taken.insert(layer.name.clone());
            }
        }
        self.list
    }
}

/// A layer's short name: the weight's name without `.weight`, else the path of the node's name without its
/// last part, else the module that the exporter noted, else the node's name.
fn short_name(graph: &Graph, node: &Pending, weights: usize) -> String {
    if let Some(name) = graph.names[graph.origins[weights]].strip_suffix(".weight")
        && !name.is_empty()
    {
        return name.to_owned();
    }
    let full = node.description.name();
    if let Some((path, _)) = full.rsplit_once('/')
        && !path.trim_matches('/').is_empty()
    {
        return path.trim_matches('/').to_owned();
    }
    match &node.description.module {
        Some(module) => module.clone(),
        None => full.to_owned(),
    }
}
