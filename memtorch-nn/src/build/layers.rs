//! From nodes with weights that never change to layers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use memtorch_map::Usage;
use ndarray::Array3;

use super::order::{Graph, Pending};
use crate::{Layer, NnError};

/// The layers found so far.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    list: Vec<Layer>,
    /// The layers whose weights are from a constant, and from a part of it.
    origins: HashMap<(usize, &'static str), Vec<usize>>,
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
        let known = self.origins.entry(origin).or_default();
        if let Some(at) = known.iter().copied().find(|&i| same(&self.list[i])) {
            self.list[at].nodes.push(name);
            return Ok(at);
        }
        known.push(self.list.len());
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
        // The number that the next layer of a name is tried with.
        let mut next: HashMap<String, usize> = HashMap::new();
        for layer in &mut self.list {
            if !taken.insert(layer.name.clone()) {
                let number = next.entry(layer.name.clone()).or_insert(1);
                let mut name = format!("{}_{number}", layer.name);
                while all.contains(&name) || taken.contains(&name) {
                    *number += 1;
                    name = format!("{}_{number}", layer.name);
                }
                taken.insert(name.clone());
                layer.name = name;
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
