//! Files that are broken or hostile.

use std::time::{Duration, Instant};

use memtorch_utils::Stream;

use super::*;
use crate::{ImportOptions, Network};

/// `y = x W`, with `W` as an initialiser of 2 by 2.
fn model() -> proto::Model {
    let value = |name: &str| proto::ValueInfo {
        name: name.to_owned(),
        kind: Some(proto::ValueType { tensor_type: Some(proto::TensorType { elem_type: 1, shape: None }) }),
    };
    let weights = proto::TensorData {
        dims: vec![2, 2],
        data_type: 1,
        name: "w".to_owned(),
        float_data: vec![1.0, 2.0, 3.0, 4.0],
        ..proto::TensorData::default()
    };
    proto::Model {
        opset_import: vec![proto::OperatorSet { domain: String::new(), version: 17 }],
        graph: Some(proto::Graph {
            node: vec![proto::Node {
                input: vec!["x".to_owned(), "w".to_owned()],
                output: vec!["y".to_owned()],
                name: "product".to_owned(),
                op_type: "MatMul".to_owned(),
                ..proto::Node::default()
            }],
            initializer: vec![weights],
            input: vec![value("x")],
            output: vec![value("y")],
            sparse_initializer: Vec::new(),
        }),
    }
}

fn read_changed(
    change: impl FnOnce(&mut proto::Graph, &mut Vec<proto::OperatorSet>),
) -> Result<Network, NnError> {
    let mut model = model();
    let mut graph = model.graph.take().unwrap_or_default();
    change(&mut graph, &mut model.opset_import);
    model.graph = Some(graph);
    Network::from_onnx_bytes(&model.encode_to_vec(), &ImportOptions::default())
}

/// The error names all of these.
#[track_caller]
fn complains(result: Result<Network, NnError>, words: &[&str]) {
    let text = result.unwrap_err().to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn the_model_of_these_tests_is_right() {
    let network = read_changed(|_, _| {}).unwrap();
    assert_eq!(network.layers()[0].name, "product");
    assert_eq!(network.layers()[0].weights[[0, 1, 0]], 3.0);
}

#[test]
fn what_is_no_model_is_an_error() {
    for bytes in [&b""[..], b"hello, this is no model", b"\x00\x00\x00\x00", b"PK\x03\x04zip"] {
        assert!(Network::from_onnx_bytes(bytes, &ImportOptions::default()).is_err());
    }
    complains(Network::from_onnx_bytes(b"", &ImportOptions::default()), &["empty"]);
    let missing = Network::from_onnx_file("no/such/file.onnx", &ImportOptions::default());
    complains(missing, &["no/such/file.onnx"]);
}

#[test]
fn an_absent_or_old_operator_set_is_an_error() {
    complains(read_changed(|_, sets| sets.clear()), &["operator set", "version 7"]);
    complains(read_changed(|_, sets| sets[0].version = 6), &["operator set 6", "version 7"]);
    complains(read_changed(|_, sets| sets[0].domain = "com.microsoft".to_owned()), &["operator set"]);
}

#[test]
fn tensors_that_claim_what_they_do_not_have_are_errors_before_memory_is_asked_for() {
    complains(read_changed(|g, _| g.initializer[0].dims = vec![1_000_000_000_000]), &["`w`", "too large"]);
    complains(read_changed(|g, _| g.initializer[0].dims = vec![1 << 40, 1 << 40]), &["`w`", "too large"]);
    complains(read_changed(|g, _| g.initializer[0].dims = vec![1 << 14, 1 << 13]), &["`w`", "4 values"]);
    complains(read_changed(|g, _| g.initializer[0].dims = vec![-2, -2]), &["`w`", "-2"]);
    complains(read_changed(|g, _| g.initializer[0].dims = vec![2, 3]), &["`w`", "expected 6"]);
    complains(read_changed(|g, _| g.initializer[0].dims = vec![2, 0]), &[]);
    complains(read_changed(|g, _| g.initializer[0].data_type = 8), &["`w`", "strings"]);
    complains(read_changed(|g, _| g.initializer[0].data_type = 77), &["`w`", "77"]);
    let raw = |g: &mut proto::Graph| {
        g.initializer[0].float_data.clear();
        g.initializer[0].raw_data = Bytes::from_static(&[0; 15]);
    };
    complains(read_changed(|g, _| raw(g)), &["`w`", "15 bytes", "expected 16"]);
}

#[test]
fn raw_tensors_of_every_type_are_read() {
    let raw = |data_type: i32, bytes: &[u8]| {
        let bytes = bytes.to_vec();
        read_changed(move |g, _| {
            g.initializer[0].float_data.clear();
            g.initializer[0].data_type = data_type;
            g.initializer[0].raw_data = Bytes::from(bytes);
        })
    };
    let half: Vec<u8> = [0x3c00u16, 0x4000, 0x4200, 0x4400].iter().flat_map(|x| x.to_le_bytes()).collect();
    let brain: Vec<u8> = [0x3f80u16, 0x4000, 0x4040, 0x4080].iter().flat_map(|x| x.to_le_bytes()).collect();
    let double: Vec<u8> = [1.0f64, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    for (data_type, bytes) in [(10, half), (16, brain), (11, double)] {
        let network = raw(data_type, &bytes).unwrap();
        assert_eq!(network.layers()[0].weights.as_slice().unwrap(), [1.0, 2.0, 3.0, 4.0]);
    }
    // Weights must be real numbers.
    complains(raw(6, &[0; 16]), &["product", "whole numbers"]);
}

#[test]
fn external_data_must_lie_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let bytes: Vec<u8> = [0.0f32, 1.0, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(inner.join("weights.bin"), &bytes).unwrap();
    std::fs::write(folder.path().join("secret.bin"), &bytes).unwrap();
    let load = |location: &str, offset: &str, length: &str| {
        let mut model = model();
        if let Some(graph) = &mut model.graph {
            let tensor = &mut graph.initializer[0];
            tensor.float_data.clear();
            tensor.data_location = 1;
            let entry =
                |key: &str, value: &str| proto::Entry { key: key.to_owned(), value: value.to_owned() };
            tensor.external_data =
                vec![entry("location", location), entry("offset", offset), entry("length", length)];
        }
        let path = inner.join("model.onnx");
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        Network::from_onnx_file(&path, &ImportOptions::default())
    };
    let network = load("weights.bin", "4", "16").unwrap();
    assert_eq!(network.layers()[0].weights.as_slice().unwrap(), [1.0, 2.0, 3.0, 4.0]);
    let outside = ["../secret.bin", "/etc/passwd", "a/../../secret.bin", ""];
    for location in outside {
        complains(load(location, "4", "16"), &["`w`", "folder of the model"]);
    }
    complains(load("weights.bin", "8", "16"), &["`w`", "20 bytes"]);
    complains(load("weights.bin", "4", "12"), &["`w`", "12 bytes", "expected 16"]);
    complains(load("weights.bin", "x", "16"), &["`w`", "offset"]);
    complains(load("weights.bin", "18446744073709551615", "16"), &["`w`"]);
    complains(load("missing.bin", "0", "16"), &["`w`", "missing.bin"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("secret.bin"), inner.join("link.bin")).unwrap();
        complains(load("link.bin", "4", "16"), &["`w`", "folder of the model"]);
    }
    // From memory there is no folder.
    let bytes = std::fs::read(inner.join("model.onnx")).unwrap();
    complains(Network::from_onnx_bytes(&bytes, &ImportOptions::default()), &["`w`", "external"]);
}

#[test]
fn graphs_that_contradict_themselves_are_errors() {
    complains(read_changed(|g, _| g.initializer.clear()), &["product", "`w`", "constant"]);
    complains(read_changed(|g, _| g.node[0].input[0] = "y".to_owned()), &["product", "cycles"]);
    complains(read_changed(|g, _| g.node[0].output[0] = "w".to_owned()), &["`w`", "more than once"]);
    complains(read_changed(|g, _| g.node[0].output[0] = "z".to_owned()), &["output `y`"]);
    complains(read_changed(|g, _| g.output.clear()), &["no outputs"]);
    complains(read_changed(|g, _| g.node[0].input.clear()), &["product", "input 0"]);
    complains(read_changed(|g, _| g.node.clear()), &["output `y`"]);
    let attribute =
        proto::AttributeData { name: "alpha".to_owned(), kind: 1, ..proto::AttributeData::default() };
    complains(read_changed(|g, _| g.node[0].attribute.push(attribute)), &["product", "alpha", "not known"]);
    // An attribute as a list of numbers where one is expected.
    let list = proto::AttributeData {
        name: "transB".to_owned(),
        kind: 7,
        ints: vec![1],
        ..proto::AttributeData::default()
    };
    let gemm = |g: &mut proto::Graph| {
        g.node[0].op_type = "Gemm".to_owned();
        g.node[0].attribute.push(list);
    };
    complains(read_changed(|g, _| gemm(g)), &["product", "transB", "whole number"]);
}

#[test]
fn all_unsupported_operators_are_listed_at_once() {
    let change = |g: &mut proto::Graph| {
        let node = |name: &str, op: &str, domain: &str, input: &str, output: &str| proto::Node {
            input: vec![input.to_owned()],
            output: vec![output.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            domain: domain.to_owned(),
            ..proto::Node::default()
        };
        g.node[0].output[0] = "a".to_owned();
        g.node.push(node("first", "NonMaxSuppression", "", "a", "b"));
        g.node.push(node("second", "Relu", "", "b", "c"));
        g.node.push(node("third", "FusedThing", "com.microsoft", "c", "y"));
        // What no output needs is not needed.
        g.node.push(node("unused", "Nonsense", "", "c", "nothing"));
    };
    let error = read_changed(|g, _| change(g)).unwrap_err();
    let NnError::Unsupported { nodes } = &error else { panic!("{error}") };
    let nodes: Vec<_> = nodes.iter().map(|n| (n.node.as_str(), n.operator.as_str())).collect();
    assert_eq!(nodes, [("first", "NonMaxSuppression"), ("third", "com.microsoft::FusedThing")]);
    // An inspection has them beside the layers.
    let mut model = model();
    change(model.graph.as_mut().unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), model.encode_to_vec()).unwrap();
    let inspection = Network::inspect_onnx_file(file.path(), &ImportOptions::default()).unwrap();
    assert_eq!(inspection.unsupported.len(), 2);
    assert_eq!(inspection.layers.len(), 1);
}

#[test]
fn weights_that_are_inputs_are_unsupported_and_not_a_crash() {
    let change = |g: &mut proto::Graph| {
        g.node[0].op_type = "Conv".to_owned();
        g.initializer.clear();
        let mut input = g.input[0].clone();
        input.name = "w".to_owned();
        g.input.push(input);
    };
    complains(read_changed(|g, _| change(g)), &["Conv with weights that are not constant", "product"]);
}

#[test]
fn constants_that_would_grow_without_bound_are_errors() {
    let start = Instant::now();
    let change = |g: &mut proto::Graph| {
        let shape = proto::TensorData {
            dims: vec![2],
            data_type: 7,
            name: "shape".to_owned(),
            int64_data: vec![1 << 20, 1 << 20],
            ..proto::TensorData::default()
        };
        g.initializer.push(shape);
        g.node.push(proto::Node {
            input: vec!["shape".to_owned()],
            output: vec!["z".to_owned()],
            name: "bomb".to_owned(),
            op_type: "ConstantOfShape".to_owned(),
            ..proto::Node::default()
        });
        g.node[0].input[0] = "z".to_owned();
    };
    complains(read_changed(|g, _| change(g)), &["bomb", "too large"]);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_graph_that_is_deep_is_no_danger_to_the_stack() {
    let change = |g: &mut proto::Graph| {
        g.node[0].output[0] = "v0".to_owned();
        for i in 0..100_000 {
            g.node.push(proto::Node {
                input: vec![format!("v{i}")],
                output: vec![if i == 99_999 { "y".to_owned() } else { format!("v{}", i + 1) }],
                op_type: "Relu".to_owned(),
                ..proto::Node::default()
            });
        }
    };
    assert!(read_changed(|g, _| change(g)).is_ok());
}

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx-cases");
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn truncated_files_are_errors() {
    for name in ["conv1d.tsraw.onnx", "transformer.dyn.onnx", "lstm.ts.onnx"] {
        let whole = file(name);
        let step = (whole.len() / 300).max(1);
        for length in (0..whole.len()).step_by(step) {
            let result = Network::from_onnx_bytes(&whole[..length], &ImportOptions::default());
            assert!(result.is_err(), "{name} cut to {length} bytes was accepted");
        }
    }
}

#[test]
fn files_with_changed_bits_do_no_harm() {
    let (mut accepted, mut ran) = (0, 0);
    for (k, name) in ["conv1d.dynraw.onnx", "cnn2d.ts.onnx", "gru.dyn.onnx", "rnn.ts.onnx"].iter().enumerate()
    {
        let whole = file(name);
        for round in 0..400 {
            let mut rng = Stream::root(k as u64, round).at([0, 0, 0]);
            let mut bytes = whole.clone();
            for _ in 0..1 + (rng.uniform() * 4.0) as usize {
                let at = (rng.uniform() * bytes.len() as f64) as usize;
                bytes[at] ^= 1 << (rng.uniform() * 8.0) as u32;
            }
            for fold_batch_norm in [false, true] {
                // Neither a panic nor a hang; an error or another network are both right.
                let result = Network::from_onnx_bytes(&bytes, &ImportOptions { fold_batch_norm });
                if let Ok(network) = result {
                    ran += usize::from(run(network).is_ok());
                    accepted += 1;
                }
            }
        }
    }
    assert!(ran > 100 && accepted > ran, "{accepted} accepted, {ran} ran: too few files come far");
}

/// Runs a network on two samples of the shape that it states.
fn run(network: Network) -> Result<(), String> {
    let mut inputs = Vec::new();
    for port in network.inputs() {
        let shape: Vec<usize> = port
            .shape
            .iter()
            .flatten()
            .map(|dimension| match dimension {
                Dimension::Fixed(n) => *n,
                Dimension::Free(_) => 2,
            })
            .collect();
        if crate::tensor::count(&shape)? > 1 << 20 {
            return Err("too large for a test".to_owned());
        }
        let values = crate::tensor::filled(&shape, 0.5f32)?;
        inputs.push((port.name.clone(), crate::Tensor::new(&shape, values)?));
    }
    let backend = std::sync::Arc::new(memtorch_crossbar::backend::CpuBackend::default());
    let executable = crate::Executable::digital(network.into(), backend).map_err(|e| e.to_string())?;
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    executable.run(&inputs).map(|_| ()).map_err(|e| e.to_string())
}

#[test]
fn the_module_is_the_last_scope_but_one() {
    assert_eq!(module("['', 'features', 'features.0', 'conv2d']").as_deref(), Some("features.0"));
    assert_eq!(module("['', 'linear']"), None);
    assert_eq!(module("['_empty_nn_module_stack_from_metadata_hook', 'x']"), None);
    assert_eq!(module("garbage"), None);
}
