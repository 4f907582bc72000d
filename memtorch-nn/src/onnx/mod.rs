//! From ONNX files to a [`NetworkBuilder`].

mod data;
mod proto;

use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;

use crate::{Attribute, Dimension, ElementType, NetworkBuilder, NnError, NodeDescription, Port};

/// Reads a model from memory; `folder` is where its external data may lie.
///
/// # Errors
/// Bytes that are no model, and everything in it that contradicts itself.
pub(crate) fn read(bytes: Vec<u8>, folder: Option<&Path>) -> Result<NetworkBuilder, NnError> {
    if bytes.is_empty() {
        return Err(NnError::Format("the file is empty".to_owned()));
    }
    let model = proto::Model::decode(Bytes::from(bytes))
        .map_err(|error| NnError::Format(format!("{error} (is it truncated, or no ONNX file?)")))?;
    let graph = model.graph.ok_or_else(|| NnError::Format("it has no graph".to_owned()))?;
    let mut builder = NetworkBuilder::new(opset(&model.opset_import)?);
    if !graph.sparse_initializer.is_empty() {
        return Err(NnError::Format("it has sparse initialisers: expected dense ones".to_owned()));
    }
    let constants: std::collections::HashSet<&str> =
        graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    for input in &graph.input {
        // What has a value is no input: old files list their initialisers as inputs too.
        if !constants.contains(input.name.as_str()) {
            builder.input(port(input)?);
        }
    }
    for output in &graph.output {
        builder.output(port(output)?);
    }
    for tensor in &graph.initializer {
        let value = data::tensor(tensor, folder)
            .map_err(|why| NnError::Format(format!("initialiser `{}` {why}", tensor.name)))?;
        builder.constant(&tensor.name, value);
    }
    for node in graph.node {
        builder.node(description(node, folder)?);
    }
    Ok(builder)
}

/// The version of ONNX's own operators.
fn opset(list: &[proto::OperatorSet]) -> Result<i64, NnError> {
    let own = list.iter().filter(|set| is_own(&set.domain));
    let version = own.map(|set| set.version).max();
    let wrong = |found: String| {
        NnError::Format(format!("{found}: expected an import of the ONNX operators, version 7 or later"))
    };
    match version {
        None => Err(wrong("it imports no operator set".to_owned())),
        Some(version) if version < 7 => Err(wrong(format!("it imports operator set {version}"))),
        Some(version) => Ok(version),
    }
}

fn is_own(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

fn port(value: &proto::ValueInfo) -> Result<Port, NnError> {
    let wrong = |why: String| NnError::Format(format!("input or output `{}` {why}", value.name));
    let Some(tensor) = value.kind.as_ref().and_then(|kind| kind.tensor_type.as_ref()) else {
        return Err(wrong("is no tensor".to_owned()));
    };
    let element = match data::Type::new(tensor.elem_type).map_err(|why| wrong(format!("has {why}")))? {
        data::Type::F32 | data::Type::F64 | data::Type::F16 | data::Type::Bf16 => ElementType::F32,
        data::Type::Bool => ElementType::Bool,
        _ => ElementType::I64,
    };
    let dimension = |dim: &proto::Dim| match (dim.dim_value, &dim.dim_param) {
        // Some exporters write 0 or -1 for a size that they do not know.
        (Some(-1 | 0), _) => Ok(Dimension::Free(None)),
        (Some(n), _) => usize::try_from(n)
            .map(Dimension::Fixed)
            .map_err(|_| wrong(format!("has a dimension of {n}: expected at least 0"))),
        (None, Some(name)) if !name.is_empty() => Ok(Dimension::Free(Some(name.clone()))),
        (None, _) => Ok(Dimension::Free(None)),
    };
    let shape = match &tensor.shape {
        Some(shape) => Some(shape.dim.iter().map(dimension).collect::<Result<_, _>>()?),
        None => None,
    };
    Ok(Port { name: value.name.clone(), element, shape })
}

fn description(node: proto::Node, folder: Option<&Path>) -> Result<NodeDescription, NnError> {
    let operator = if is_own(&node.domain) {
        node.op_type.clone()
    } else {
        format!("{}::{}", node.domain, node.op_type)
    };
    let mut description = NodeDescription::new(&operator, &node.input, &node.output).named(&node.name);
    let scopes = node.metadata_props.iter().find(|entry| entry.key == "pkg.torch.onnx.name_scopes");
    if let Some(module) = scopes.and_then(|entry| module(&entry.value)) {
        description = description.module(&module);
    }
    for attribute in &node.attribute {
        let value = value(attribute, folder).map_err(|why| NnError::Node {
            node: description.name().to_owned(),
            operator: operator.clone(),
            why: format!("attribute `{}` {why}", attribute.name),
        })?;
        description = description.attribute(&attribute.name, value);
    }
    Ok(description)
}

/// The module of a node, from a list as `['', 'features', 'features.0', 'conv2d']`: the last but one.
fn module(scopes: &str) -> Option<String> {
    let inner = scopes.trim().strip_prefix('[')?.strip_suffix(']')?;
    let mut names = inner.split(',').map(|name| name.trim().trim_matches(['\'', '"']));
    names.next_back();
    names.next_back().filter(|name| !name.is_empty() && !name.starts_with('_')).map(str::to_owned)
}

fn value(attribute: &proto::AttributeData, folder: Option<&Path>) -> Result<Attribute, String> {
    let text = |bytes: &Bytes| {
        String::from_utf8(bytes.to_vec()).map_err(|_| "is text that is not valid UTF-8".to_owned())
    };
    Ok(match attribute.kind {
        1 => Attribute::Real(attribute.f),
        2 => Attribute::Whole(attribute.i),
        3 => Attribute::Text(text(&attribute.s)?),
        4 => {
            let tensor = attribute.t.as_ref().ok_or("has no tensor")?;
            Attribute::Tensor(data::tensor(tensor, folder).map_err(|why| format!("is a tensor that {why}"))?)
        }
        6 => Attribute::Reals(attribute.floats.clone()),
        7 => Attribute::Wholes(attribute.ints.clone()),
        8 => Attribute::Texts(attribute.strings.iter().map(text).collect::<Result<_, _>>()?),
        other => Attribute::Other(match other {
            0 => "an attribute without a type",
            5 | 10 => "a graph",
            _ => "an attribute of another type",
        }),
    })
}

#[cfg(test)]
mod tests;
