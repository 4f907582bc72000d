//! What can be computed once: nodes whose inputs never change, and BatchNormalization after a layer.

use std::collections::HashMap;

use super::order::{Graph, Pending};
use crate::attributes::Attributes;
use crate::ops::{self, Fault, Inputs, Making, Refusal};
use crate::run::Run;
use crate::{Attribute, Folding, NnError, Tensor, Unsupported, WeightSpread};

/// Elements that constants computed here may have in all.
const MOST_FOLDED: usize = 1 << 28;

/// Operators whose nodes become layers if their weights never change.
pub(crate) fn is_linear(operator: &str) -> bool {
    matches!(operator, "Conv" | "ConvTranspose" | "Einsum" | "Gemm" | "MatMul" | "RNN" | "LSTM" | "GRU")
}

/// Makes the operators of all nodes but those that become layers, and runs what never changes. Gives back
/// the nodes whose operators are not known; they have no operator.
///
/// # Errors
/// Attributes that are wrong, constants that cannot be computed.
pub(super) fn resolve(graph: &mut Graph, opset: i64) -> Result<Vec<Unsupported>, NnError> {
    let mut unsupported = Vec::new();
    let mut folded = 0;
    let mut kept = Vec::new();
    for mut node in std::mem::take(&mut graph.nodes) {
        let constant = node.inputs.iter().flatten().all(|&value| graph.constants[value].is_some());
        if is_linear(&node.description.operator) && !constant {
            kept.push(node);
            continue;
        }
        match make(&node, opset) {
            Ok(operator) => node.operator = Some(operator),
            Err(Refusal::Wrong(why)) => return Err(node.error(why)),
            Err(Refusal::Unsupported(use_of_it)) => {
                unsupported.push(refused(&node, &use_of_it));
                kept.push(node);
                continue;
            }
        }
        if constant {
            folded += fold(graph, &node)?;
            if folded > MOST_FOLDED {
                let limit = format!("expected at most {MOST_FOLDED} elements in all");
                return Err(node.error(format!("constants computed from constants are too large: {limit}")));
            }
        } else {
            kept.push(node);
        }
    }
    graph.nodes = kept;
    Ok(unsupported)
}

/// How a node that is not known is told.
pub(super) fn refused(node: &Pending, use_of_it: &str) -> Unsupported {
    let mut operator = node.description.operator.clone();
    if !use_of_it.is_empty() {
        operator = format!("{operator} {use_of_it}");
    }
    Unsupported { node: node.description.name().to_owned(), operator }
}

/// The operator of a node.
fn make(node: &Pending, opset: i64) -> ops::Made {
    let outputs = node.outputs.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let making = Making { attributes: Attributes::new(&node.description.attributes), opset, outputs };
    ops::make(&node.description.operator, &making)
}

/// Makes and keeps the operator of a node that turned out to be no layer.
///
/// # Errors
/// As [`resolve`]; what is not known comes back.
pub(super) fn make_digital(node: &mut Pending, opset: i64) -> Result<Option<Unsupported>, NnError> {
    match make(node, opset) {
        Ok(operator) => node.operator = Some(operator),
        Err(Refusal::Wrong(why)) => return Err(node.error(why)),
        Err(Refusal::Unsupported(use_of_it)) => return Ok(Some(refused(node, &use_of_it))),
    }
    Ok(None)
}

/// Computes a node whose inputs never change; gives back how many elements that made.
fn fold(graph: &mut Graph, node: &Pending) -> Result<usize, NnError> {
    let Some(operator) = &node.operator else { return Ok(0) };
    let inputs = node.inputs.iter().map(|value| value.and_then(|v| graph.constants[v].clone())).collect();
    let results = operator.run(Inputs(inputs), &Run::without_layers()).map_err(|fault| match fault {
        Fault::Why(why) => node.error(why),
        Fault::Error(error) => error,
    })?;
    let moves = ["Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast"];
    let origin = match node.inputs.first() {
        Some(&Some(first)) if moves.contains(&node.description.operator.as_str()) => {
            Some(graph.origins[first])
        }
        _ => None,
    };
    let made = results.iter().map(Tensor::len).sum();
    let mut results = results.into_iter();
    for &output in &node.outputs {
        let result = results.next();
        if let Some(value) = output {
            graph.constants[value] =
                Some(result.ok_or_else(|| node.error("it has more outputs than its operator gives"))?);
            graph.origins[value] = origin.unwrap_or(value);
        }
    }
    Ok(if node.description.operator == "Constant" { 0 } else { made })
}

/// Merges each BatchNormalization into the convolution or Gemm before it, where it is the only one that
/// uses its output. Gives back the nodes that are gone, and what that did to weights.
///
/// # Errors
/// Parameters that do not fit.
pub(super) fn batch_norm(graph: &mut Graph) -> Result<Vec<Folding>, NnError> {
    let uses = graph.uses();
    let mut folded = Vec::new();
    let mut kept = Vec::with_capacity(graph.nodes.len());
    // Which node has a value as its first output.
    let mut makers: HashMap<usize, usize> = HashMap::new();
    for i in 0..graph.nodes.len() {
        let node = &graph.nodes[i];
        let (input, output) =
            (node.inputs.first().copied().flatten(), node.outputs.first().copied().flatten());
        let mut maker = i;
        if node.description.operator == "BatchNormalization"
            && let Some(value) = input.filter(|value| uses[*value] == 1)
            && let Some(&before) = makers.get(&value)
            && let Some(folding) = merge(graph, before, i)?
        {
            maker = before;
            folded.push(folding);
        }
        kept.push(maker == i);
        if let Some(output) = output {
            makers.insert(output, maker);
        }
    }
    let mut kept = kept.into_iter();
    graph.nodes.retain(|_| kept.next() == Some(true));
    Ok(folded)
}

/// Merges node `after` into node `before`, if both are of the kind that can be.
fn merge(graph: &mut Graph, before: usize, after: usize) -> Result<Option<Folding>, NnError> {
    let (layer, norm) = (&graph.nodes[before], &graph.nodes[after]);
    let whole = |name: &str| match layer.description.attributes.iter().find(|(n, _)| n == name) {
        Some((_, Attribute::Whole(n))) => *n,
        _ => 0,
    };
    let plain = |name: &str| match layer.description.attributes.iter().find(|(n, _)| n == name) {
        Some((_, Attribute::Real(x))) => *x == 1.0,
        _ => true,
    };
    let Some(weights) = graph.constant(layer, 1) else { return Ok(None) };
    // The axis of the weights along which the outputs lie.
    let axis = match layer.description.operator.as_str() {
        "Conv" => 0,
        "Gemm" if plain("alpha") && plain("beta") => usize::from(whole("transB") == 0),
        _ => return Ok(None),
    };
    let parameters: Option<Vec<&Tensor>> = (1..5).map(|k| graph.constant(norm, k)).collect();
    let Some(parameters) = parameters else { return Ok(None) };
    let bias = graph.constant(layer, 2);
    if bias.is_none() && layer.inputs.get(2).copied().flatten().is_some() {
        return Ok(None);
    }
    let Some(&outputs) = weights.shape().get(axis) else { return Ok(None) };
    let slices: Option<Vec<&[f32]>> =
        parameters.iter().map(|p| p.as_f32().filter(|p| p.len() == outputs)).collect();
    let Some(&[scale, shift, mean, variance]) = slices.as_deref() else {
        return Err(norm.error(format!("its parameters do not fit {outputs} channels")));
    };
    let bias = match bias.map(|bias| bias.as_f32().filter(|b| b.len() == outputs)) {
        Some(Some(bias)) => bias.to_vec(),
        Some(None) => return Ok(None),
        None => vec![0.0; outputs],
    };
    let epsilon = match norm.description.attributes.iter().find(|(n, _)| n == "epsilon") {
        Some((_, Attribute::Real(x))) => *x,
        _ => 1e-5,
    };
    let line = ops::normalise::batch_norm_line([scale, shift, mean, variance], epsilon);
    let bias = bias.iter().zip(&line).map(|(&b, (f, c))| (f64::from(b) * f + c) as f32).collect();
    let inner: usize = weights.shape()[axis + 1..].iter().product();
    let Some(values) = weights.as_f32() else { return Ok(None) };
    let scaled = |(i, &w): (usize, &f32)| (f64::from(w) * line[i / inner.max(1) % outputs].0) as f32;
    let merged: Vec<f32> = values.iter().enumerate().map(scaled).collect();
    let channel = |i: usize| i / inner.max(1) % outputs;
    let folding = Folding {
        node: norm.description.name().to_owned(),
        layer: layer.description.name().to_owned(),
        before: WeightSpread::new(values, outputs, channel),
        after: WeightSpread::new(&merged, outputs, channel),
    };
    let why = |why| NnError::Format(why);
    let merged = Tensor::new(weights.shape(), merged).map_err(why)?;
    let bias = Tensor::new(&[outputs], bias).map_err(why)?;
    // The weights keep their name, after which the layer is called.
    let name = layer.inputs[1].map(|value| graph.names[graph.origins[value]].clone()).unwrap_or_default();
    let (norm_name, output) = (norm.description.name().to_owned(), norm.outputs[0]);
    let weights = graph.add_constant(name, merged);
    let bias = graph.add_constant(format!("{norm_name}.merged_bias"), bias);
    let layer = &mut graph.nodes[before];
    layer.inputs.resize(3, None);
    layer.inputs[1] = Some(weights);
    layer.inputs[2] = Some(bias);
    layer.outputs = vec![output];
    Ok(Some(folding))
}
