//! One node each, against onnxruntime; `operators/make.py` made the files.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{backend, nearly_ideal, root};
use memtorch_nn::{Executable, ImportOptions, LayerChoice, Network, Tensor};
use memtorch_utils::Stream;
use serde_json::Value;

fn tensor(value: &Value) -> Tensor {
    let list = |key: &str| value[key].as_array().unwrap().clone();
    let shape: Vec<usize> = list("shape").iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let values = list("values");
    match value["kind"].as_str().unwrap() {
        "float32" => Tensor::new(&shape, values.iter().map(|x| x.as_f64().unwrap() as f32).collect()),
        "bool" => Tensor::truth(&shape, values.iter().map(|x| x.as_bool().unwrap()).collect()),
        _ => Tensor::whole(&shape, values.iter().map(|x| x.as_i64().unwrap()).collect()),
    }
    .unwrap()
}

fn check(name: &str, executable: &Executable, case: &Value, bound: f32) {
    let inputs = case["inputs"].as_object().unwrap();
    let inputs: Vec<(&str, Tensor)> = inputs.iter().map(|(k, v)| (k.as_str(), tensor(v))).collect();
    let outputs = executable.run(&inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(outputs.values.len(), case["outputs"].as_object().unwrap().len());
    for (output, found) in outputs.values {
        let expected = tensor(&case["outputs"][&output]);
        assert_eq!(found.shape(), expected.shape(), "{name} {output}");
        match (found.as_f32(), expected.as_f32()) {
            (Some(found), Some(expected)) => {
                let scale = common::largest(expected).max(1e-3);
                let error = common::distance(found, expected) / scale;
                assert!(error < bound, "{name} {output}: {error}\n{found:?}\n{expected:?}");
            }
            _ => assert_eq!(found, expected, "{name} {output}"),
        }
    }
}

#[test]
fn every_operator_gives_what_onnxruntime_gives() {
    let folder = root().join("tests/operators");
    let text = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    let cases = cases.as_object().unwrap();
    assert!(cases.len() > 100);
    let mut mapped = 0;
    for (name, case) in cases {
        let path = folder.join(format!("{name}.onnx"));
        let network = load(name, &path);
        let digital = Executable::digital(network.clone(), backend()).unwrap();
        // onnxruntime sums in another order and approximates exp and tanh.
        check(name, &digital, case, 1e-5);
        let layers = network.layers().len();
        if layers > 0 {
            mapped += 1;
            let choice = LayerChoice::Memristive(Box::new(nearly_ideal(4)));
            let executable =
                Executable::new(network, vec![choice; layers], Stream::root(0, 0), backend()).unwrap();
            check(name, &executable, case, 1e-4);
        }
    }
    assert!(mapped >= 20, "{mapped}");
}

fn load(name: &str, path: &Path) -> Arc<Network> {
    let network = Network::from_onnx_file(path, &ImportOptions::default());
    Arc::new(network.unwrap_or_else(|error| panic!("{name}: {error}")))
}
