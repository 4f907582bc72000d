//! ONNX files: the messages of good ones with changes, and their bytes with changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use memtorch::crossbar::backend::CpuBackend;
use memtorch::nn::{Dimension, ElementType, Executable, ImportOptions, Network, Tensor};
use proptest::prelude::*;
use proptest::sample::select;

use crate::bytes::{self, Edit};
use crate::common::file;
use crate::harness::{Format, Outcome, fuzz};

pub const FORMAT: Format = Format { name: "onnx", multiple: 64, free: 8 << 20 };

/// A value of a message as it is in a file.
#[derive(Clone, Debug)]
enum Wire {
    Varint(u64),
    Eight([u8; 8]),
    Four([u8; 4]),
    Bytes(Arc<[u8]>),
    Packed(Vec<u64>),
    Message(Kind, Vec<(u64, Wire)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Shape,
    Other,
}

impl Kind {
    /// What the field of this number holds.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11..=13) => Self::Value,
            (Self::Node, 5) => Self::Attribute,
            (Self::Value, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Model, 8) | (Self::Shape, 1) | (Self::Tensor, 13) => Self::Other,
            _ => return None,
        })
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(value);
        }
    }
    None
}

fn parse(kind: Kind, mut bytes: &[u8]) -> Option<Wire> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut bytes)?),
            1 => Wire::Eight(bytes.split_off(..8)?.try_into().ok()?),
            5 => Wire::Four(bytes.split_off(..4)?.try_into().ok()?),
            2 => {
                let length = varint(&mut bytes)? as usize;
                let mut inner = bytes.split_off(..length)?;
                let packed = matches!((kind, key >> 3), (Kind::Tensor, 1 | 5 | 7) | (Kind::Attribute, 8));
                match kind.field(key >> 3) {
                    Some(kind) => parse(kind, inner)?,
                    None if packed => {
                        let mut list = Vec::new();
                        while !inner.is_empty() {
                            list.push(varint(&mut inner)?);
                        }
                        Wire::Packed(list)
                    }
                    None => Wire::Bytes(inner.into()),
                }
            }
            _ => return None,
        };
        fields.push((key >> 3, value));
    }
    Some(Wire::Message(kind, fields))
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

fn encode(wire: &Wire, out: &mut Vec<u8>) {
    let Wire::Message(_, fields) = wire else { return };
    for (number, value) in fields {
        let mut key = |kind: u64| put_varint(number << 3 | kind, out);
        match value {
            Wire::Varint(value) => {
                key(0);
                put_varint(*value, out);
            }
            Wire::Eight(bytes) => {
                key(1);
                out.extend(bytes);
            }
            Wire::Four(bytes) => {
                key(5);
                out.extend(bytes);
            }
            Wire::Bytes(bytes) => {
                key(2);
                put_varint(bytes.len() as u64, out);
                out.extend(&bytes[..]);
            }
            Wire::Packed(list) => {
                key(2);
                let mut inner = Vec::new();
                list.iter().for_each(|value| put_varint(*value, &mut inner));
                put_varint(inner.len() as u64, out);
                out.extend(inner);
            }
            Wire::Message(..) => {
                key(2);
                let mut inner = Vec::new();
                encode(value, &mut inner);
                put_varint(inner.len() as u64, out);
                out.extend(inner);
            }
        }
    }
}

/// Operators that a node may become.
const OPERATORS: &[&str] = &[
    "Add",
    "ArgMax",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "CumSum",
    "DepthToSpace",
    "Einsum",
    "Expand",
    "Flatten",
    "GRU",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gemm",
    "GlobalAveragePool",
    "InstanceNormalization",
    "LRN",
    "LSTM",
    "LayerNormalization",
    "MatMul",
    "MaxPool",
    "Mod",
    "NonZero",
    "OneHot",
    "PRelu",
    "Pad",
    "Pow",
    "RNN",
    "Range",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Resize",
    "ScatterElements",
    "ScatterND",
    "Shape",
    "Size",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Upsample",
    "Where",
];

#[derive(Clone, Debug)]
enum Change {
    /// A whole number: dimensions, types, attributes, versions.
    Number(u32, u64),
    /// A real number of an attribute.
    Real(u32, f32),
    /// A short text by another text of the model: other inputs, outputs, names.
    Text(u32, u32),
    Operator(u32, &'static str),
    /// The bytes of a tensor, so many more or fewer.
    Resize(u32, i32),
    /// Numbers in the bytes of a tensor.
    Data(u32, u32, f32),
    Drop(u32),
    Double(u32),
    Swap(u32, u32),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<u32>;
    let real = || select(&[0.0, 1.0, -1.0, 0.5, 1e-38, 3e38, f32::NAN, f32::INFINITY, -f32::INFINITY][..]);
    prop_oneof![
        8 => (at(), bytes::number()).prop_map(|(at, value)| Change::Number(at, value)),
        1 => (at(), real()).prop_map(|(at, value)| Change::Real(at, value)),
        3 => (at(), at()).prop_map(|(at, by)| Change::Text(at, by)),
        3 => (at(), select(OPERATORS)).prop_map(|(at, name)| Change::Operator(at, name)),
        2 => (at(), -40..40i32).prop_map(|(at, more)| Change::Resize(at, more)),
        1 => (at(), at(), real()).prop_map(|(at, place, value)| Change::Data(at, place, value)),
        2 => at().prop_map(Change::Drop),
        1 => at().prop_map(Change::Double),
        1 => (at(), at()).prop_map(|(a, b)| Change::Swap(a, b)),
    ]
}

/// The part of a message, counted in order, that the number chooses among those that are wanted.
fn chosen<'a>(wire: &'a mut Wire, number: u32, wanted: &dyn Fn(&Wire) -> bool) -> Option<&'a mut Wire> {
    fn count(wire: &Wire, wanted: &dyn Fn(&Wire) -> bool) -> usize {
        let inner = match wire {
            Wire::Message(_, fields) => fields.iter().map(|(_, value)| count(value, wanted)).sum(),
            _ => 0,
        };
        inner + usize::from(wanted(wire))
    }
    fn find<'a>(
        wire: &'a mut Wire,
        left: &mut usize,
        wanted: &dyn Fn(&Wire) -> bool,
    ) -> Option<&'a mut Wire> {
        if wanted(wire) {
            if *left == 0 {
                return Some(wire);
            }
            *left -= 1;
        }
        let Wire::Message(_, fields) = wire else { return None };
        fields.iter_mut().find_map(|(_, value)| find(value, left, wanted))
    }
    let all = count(wire, wanted);
    let mut left = (number as usize).checked_rem(all)?;
    find(wire, &mut left, wanted)
}

fn is_short(wire: &Wire) -> bool {
    matches!(wire, Wire::Bytes(bytes) if bytes.len() < 100)
}

fn is_number(wire: &Wire) -> bool {
    matches!(wire, Wire::Varint(_)) || matches!(wire, Wire::Packed(list) if !list.is_empty())
}

impl Change {
    fn apply(&self, model: &mut Wire) {
        let message = |wire: &Wire| matches!(wire, Wire::Message(_, fields) if !fields.is_empty());
        match *self {
            Self::Number(at, value) => match chosen(model, at, &is_number) {
                Some(Wire::Varint(old)) => *old = value,
                Some(Wire::Packed(list)) => {
                    let place = at as usize / 7 % list.len();
                    list[place] = value;
                }
                _ => {}
            },
            Self::Real(at, value) => {
                if let Some(Wire::Four(old)) = chosen(model, at, &|wire| matches!(wire, Wire::Four(_))) {
                    *old = value.to_le_bytes();
                }
            }
            Self::Text(at, by) => {
                let other = match chosen(model, by, &is_short) {
                    Some(Wire::Bytes(bytes)) => bytes.clone(),
                    _ => return,
                };
                if let Some(Wire::Bytes(bytes)) = chosen(model, at, &is_short) {
                    *bytes = other;
                }
            }
            Self::Operator(at, name) => {
                let node = |wire: &Wire| matches!(wire, Wire::Message(Kind::Node, _));
                if let Some(Wire::Message(_, fields)) = chosen(model, at, &node) {
                    fields.retain(|(number, _)| *number != 4);
                    fields.push((4, Wire::Bytes(name.as_bytes().into())));
                }
            }
            Self::Resize(at, more) => {
                if let Some(Wire::Bytes(bytes)) = chosen(model, at, &|wire| matches!(wire, Wire::Bytes(_))) {
                    let mut list = bytes.to_vec();
                    list.resize(list.len().saturating_add_signed(more as isize), 0);
                    *bytes = list.into();
                }
            }
            Self::Data(at, place, value) => {
                let long = |wire: &Wire| matches!(wire, Wire::Bytes(bytes) if bytes.len() >= 4);
                if let Some(Wire::Bytes(bytes)) = chosen(model, at, &long) {
                    let mut list = bytes.to_vec();
                    let place = place as usize % (list.len() / 4);
                    list[4 * place..4 * place + 4].copy_from_slice(&value.to_le_bytes());
                    *bytes = list.into();
                }
            }
            Self::Drop(at) => {
                if let Some(Wire::Message(_, fields)) = chosen(model, at, &message) {
                    fields.remove(at as usize / 7 % fields.len());
                }
            }
            Self::Double(at) => {
                if let Some(Wire::Message(_, fields)) = chosen(model, at, &message) {
                    let again = fields[at as usize / 7 % fields.len()].clone();
                    fields.push(again);
                }
            }
            Self::Swap(a, b) => {
                if let Some(Wire::Message(_, fields)) = chosen(model, a, &message) {
                    let length = fields.len();
                    fields.swap(b as usize % length, a as usize / 7 % length);
                }
            }
        }
    }
}

/// The shipped networks, and small ones of many operators.
fn good() -> Vec<Vec<u8>> {
    let shipped = ["lenet5", "mlp", "conv1d", "conv1d-folded", "mobilenetv2", "mobilenetv2-folded", "lstm"];
    let shipped = shipped.map(|name| format!("models/fmnist-{name}.onnx"));
    let cases = [
        "cnn2d.dyn",
        "cnn2d.ts",
        "conv1d.dyn",
        "conv1d.dynraw",
        "conv1d.ts",
        "conv3d.ts",
        "gru.dyn",
        "gru.ts",
        "lstm.ts",
        "rnn.ts",
        "transformer.dyn",
    ];
    let cases = cases.map(|name| format!("memtorch-nn/tests/onnx-cases/{name}.onnx"));
    let folder = file("memtorch-nn/tests/networks");
    let more: BTreeMap<u64, String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .map(|path| (path.metadata().unwrap().len(), path.display().to_string()))
        .filter(|(size, _)| *size < 40_000)
        .collect();
    let cases = shipped.into_iter().chain(cases).map(|path| file(&path)).chain(more.into_values());
    cases.map(|path| std::fs::read(path).unwrap()).collect()
}

/// Imports a network, with batch normalisation as it is and folded.
pub fn import(bytes: &[u8]) -> Result<Network, String> {
    let import = |fold_batch_norm| Network::from_onnx_bytes(bytes, &ImportOptions { fold_batch_norm });
    let network = import(false).map_err(|error| error.to_string());
    let _ = import(true);
    network
}

/// Runs a network on one sample of the shape that it states.
fn run(network: Network) {
    let mut inputs = Vec::new();
    for port in network.inputs() {
        let size = |dimension: &Dimension| match dimension {
            Dimension::Fixed(n) => *n,
            _ => 1,
        };
        let shape: Vec<usize> = port.shape.iter().flatten().map(size).collect();
        let Some(count) = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| *n < 1 << 14)
        else {
            return;
        };
        let tensor = match port.element {
            ElementType::I64 => Tensor::whole(&shape, vec![1; count]),
            ElementType::Bool => Tensor::truth(&shape, vec![true; count]),
            _ => Tensor::new(&shape, vec![0.5; count]),
        };
        inputs.push((port.name.clone(), tensor.unwrap()));
    }
    let Ok(executable) = Executable::digital(Arc::new(network), Arc::new(CpuBackend::new())) else { return };
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    let _ = executable.run(&inputs);
}

#[test]
fn onnx() {
    let good = good();
    let trees: Vec<Wire> = good.iter().map(|bytes| parse(Kind::Model, bytes).unwrap()).collect();
    for (bytes, tree) in good.iter().zip(&trees) {
        let mut again = Vec::new();
        encode(tree, &mut again);
        assert!(parse(Kind::Model, &again).is_some() && again.len() >= bytes.len() - 64);
    }
    // Shipped networks are large: one in eight is one of them.
    let shipped = 0..7usize;
    let which = prop_oneof![1 => shipped.clone(), 7 => shipped.end..good.len()];
    let changes = prop_oneof![
        4 => prop::collection::vec(change(), 1..4).prop_map(|list| (list, Vec::new())),
        1 => bytes::edits().prop_map(|list| (Vec::new(), list)),
    ];
    let render = |(which, (changes, edits)): &(usize, (Vec<Change>, Vec<Edit>))| {
        let mut model = trees[*which].clone();
        changes.iter().for_each(|change| change.apply(&mut model));
        let mut bytes = Vec::new();
        encode(&model, &mut bytes);
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    };
    fuzz(&FORMAT, 10.0, (which, changes), render, |bytes| import(bytes).map(drop));
}

/// What is imported can be run, or says why not.
#[test]
fn onnx_run() {
    let good: Vec<Vec<u8>> = good().into_iter().filter(|bytes| bytes.len() < 20_000).collect();
    let trees: Vec<Wire> = good.iter().map(|bytes| parse(Kind::Model, bytes).unwrap()).collect();
    // Numbers that make a large network, and not one that is refused, only take time.
    let small = |change: &Change| match *change {
        Change::Number(at, value) if (1000..1 << 31).contains(&value) => Change::Number(at, value % 1000),
        ref other => other.clone(),
    };
    let render = |(which, changes): &(usize, Vec<Change>)| {
        let mut model = trees[*which].clone();
        changes.iter().for_each(|change| small(change).apply(&mut model));
        let mut bytes = Vec::new();
        encode(&model, &mut bytes);
        bytes
    };
    let read = |bytes: &[u8]| -> Outcome {
        let network = import(bytes)?;
        run(network);
        Ok(())
    };
    let format = Format { name: "onnx_run", multiple: 1 << 20, free: 8 << 20 };
    fuzz(&format, 10.0, (0..good.len(), prop::collection::vec(change(), 1..4)), render, read);
}
