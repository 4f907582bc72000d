//! From a [`NetworkBuilder`] to a [`Network`].

mod fold;
mod layers;
mod order;

use std::collections::HashSet;

pub(crate) use fold::is_linear;
pub(crate) use layers::{Found, Layers};

use crate::linear::{self, Linear};
use crate::network::Step;
use crate::ops::Refusal;
use crate::{ImportOptions, Network, NetworkBuilder, NnError, Unsupported};

/// The network and the nodes whose operators are not known; with any, it cannot be run.
///
/// # Errors
/// Whatever is wrong with the graph.
pub(crate) fn build(
    builder: NetworkBuilder,
    options: &ImportOptions,
) -> Result<(Network, Vec<Unsupported>), NnError> {
    let opset = builder.opset;
    if opset < 7 {
        return Err(NnError::Format(format!("operator set {opset}: expected version 7 or later")));
    }
    let (inputs, outputs) = (builder.inputs.clone(), builder.outputs.clone());
    let mut graph = order::order(builder)?;
    let mut unsupported = fold::resolve(&mut graph, opset)?;
    let folded = if options.fold_batch_norm { fold::batch_norm(&mut graph)? } else { Vec::new() };
    let mut layers = Layers::default();
    let mut nodes = std::mem::take(&mut graph.nodes);
    let refused: HashSet<String> = unsupported.iter().map(|refused| refused.node.clone()).collect();
    for node in nodes.iter_mut().filter(|node| node.operator.is_none()) {
        if refused.contains(node.description.name()) {
            continue;
        }
        let constants = (0..node.inputs.len()).map(|i| graph.constant(node, i)).collect();
        let mut found = Vec::new();
        match linear::make(&node.description, constants, &node.inputs, &mut found) {
            Ok(Linear::Layers(make)) => {
                // What became a layer is in the layer, and needed nowhere else by this node.
                let weights: Vec<usize> = found.iter().map(|f| f.value).collect();
                let numbers =
                    found.into_iter().map(|f| layers.add(&graph, node, f)).collect::<Result<Vec<_>, _>>()?;
                node.operator = Some(make(&numbers));
                for input in &mut node.inputs {
                    *input = input.filter(|value| !weights.contains(value));
                }
            }
            Ok(Linear::Digital) => unsupported.extend(fold::make_digital(node, opset)?),
            Err(Refusal::Wrong(why)) => return Err(node.error(why)),
            Err(Refusal::Unsupported(use_of_it)) => unsupported.push(fold::refused(node, &use_of_it)),
        }
    }
    let mut used = vec![false; graph.names.len()];
    let inputs_of_nodes = nodes.iter().flat_map(|node| node.inputs.iter().flatten());
    inputs_of_nodes.chain(&graph.outputs).for_each(|&value| used[value] = true);
    graph.constants.iter_mut().zip(used).filter(|(_, used)| !used).for_each(|(value, _)| *value = None);
    // When each value is used for the last time; outputs are kept to the end.
    let mut last = vec![None; graph.names.len()];
    for (i, node) in nodes.iter().enumerate() {
        for (k, value) in node.inputs.iter().enumerate() {
            if let Some(value) = value {
                last[*value] = Some((i, k));
            }
        }
    }
    for &value in &graph.outputs {
        last[value] = None;
    }
    let steps = nodes.into_iter().enumerate().filter_map(|(i, node)| {
        let takes = |(k, value): (usize, &Option<usize>)| {
            value.is_some_and(|v| last[v] == Some((i, k)) && graph.constants[v].is_none())
        };
        let takes = node.inputs.iter().enumerate().map(takes).collect();
        Some(Step {
            node: node.description.name().to_owned(),
            operator_name: node.description.operator.clone(),
            operator: node.operator?,
            #[cfg(feature = "save")]
            attributes: node.description.attributes,
            inputs: node.inputs,
            takes,
            outputs: node.outputs,
        })
    });
    let network = Network {
        #[cfg(feature = "save")]
        opset,
        steps: steps.collect(),
        layers: layers.finish(),
        inputs,
        outputs,
        folded,
        input_values: graph.inputs,
        output_values: graph.outputs,
        constants: graph.constants,
    };
    Ok((network, unsupported))
}
