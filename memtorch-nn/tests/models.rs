//! The reference networks against what onnxruntime says of them.

mod common;

use common::{Images, backend, digital, distance, labels, largest, load, nearly_ideal};
use memtorch_nn::{EvaluateOptions, Executable, LayerChoice, Network, evaluate};
use memtorch_utils::Stream;

/// Files, and how many of the first 2,000 images onnxruntime gets right.
const MODELS: [(&str, usize); 7] = [
    ("fmnist-mlp.onnx", 1815),
    ("fmnist-lenet5.onnx", 1827),
    ("fmnist-mobilenetv2.onnx", 1862),
    ("fmnist-mobilenetv2-folded.onnx", 1862),
    ("fmnist-conv1d.onnx", 1841),
    ("fmnist-conv1d-folded.onnx", 1841),
    ("fmnist-lstm.onnx", 1802),
];

/// onnxruntime's logits of the first 8 images.
fn logits(name: &str) -> Vec<f32> {
    let text = std::fs::read_to_string(common::model("figures.json")).unwrap();
    let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entry = figures.as_array().unwrap().iter().find(|entry| entry["file"] == name).unwrap();
    let rows = entry["logits_of_first_8"].as_array().unwrap();
    rows.iter().flat_map(|row| row.as_array().unwrap()).map(|x| x.as_f64().unwrap() as f32).collect()
}

fn first_eight(executable: &Executable) -> Vec<f32> {
    let outputs = executable.run(&[("input", Images::fashion().first(8))]).unwrap();
    assert_eq!(outputs.values[0].0, "logits");
    assert_eq!(outputs.values[0].1.shape(), [8, 10]);
    outputs.values[0].1.as_f32().unwrap().to_vec()
}

#[test]
fn digital_logits_are_those_of_onnxruntime() {
    for (name, _) in MODELS {
        let expected = logits(name);
        let found = first_eight(&digital(name, false));
        // The stored logits have five decimals: half a unit of the last is 5e-6.
        let bound = 1e-5 * largest(&expected) + 5e-6;
        assert!(distance(&found, &expected) < bound, "{name}: {}", distance(&found, &expected));
    }
}

#[test]
fn our_own_folding_gives_the_same_logits_from_other_weights() {
    for (name, nodes) in [("fmnist-mobilenetv2.onnx", 17), ("fmnist-conv1d.onnx", 2)] {
        let (plain, folded) = (load(name, false), load(name, true));
        assert_eq!(folded.folded().len(), nodes);
        assert!(plain.folded().is_empty());
        assert_ne!(plain.layers()[0].weights, folded.layers()[0].weights);
        let names = |network: &Network| network.layers().iter().map(|l| l.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&plain), names(&folded));
        let found = first_eight(&Executable::digital(folded, backend()).unwrap());
        let expected = logits(name);
        // Another order of roundings in each of the layers.
        assert!(distance(&found, &expected) < 1e-5 * largest(&expected) + 5e-6, "{name}");
        // The exporter folded the same way.
        let file = load(&name.replace(".onnx", "-folded.onnx"), false);
        let ours = load(name, true);
        for (a, b) in ours.layers().iter().zip(file.layers()) {
            assert_eq!(a.name, b.name);
            let (a, b) = (a.weights.as_slice().unwrap(), b.weights.as_slice().unwrap());
            assert!(distance(a, b) <= 1e-5 * largest(b), "{name}");
        }
    }
}

#[test]
fn as_many_images_are_right_as_with_onnxruntime() {
    let labels = labels();
    for (name, correct) in MODELS {
        let evaluation =
            evaluate(&digital(name, false), &mut Images::fashion(), &labels, &EvaluateOptions::default());
        assert_eq!(evaluation.unwrap().correct, correct, "{name}");
    }
}

#[test]
fn layers_have_the_names_and_shapes_of_their_weights() {
    let network = load("fmnist-mobilenetv2.onnx", false);
    let depthwise = &network.layers()[2];
    assert_eq!(depthwise.name, "blocks.0.depthwise");
    assert_eq!(depthwise.node, "/blocks/blocks.0/depthwise/Conv");
    assert_eq!((depthwise.groups, depthwise.rows, depthwise.columns), (48, 9, 1));
    assert!(depthwise.bias.is_none());
    let last = network.layers().last().unwrap();
    assert_eq!((last.name.as_str(), last.operator.as_str()), ("fc", "Gemm"));
    assert_eq!((last.groups, last.rows, last.columns), (1, 128, 10));
    assert_eq!(last.bias.as_ref().unwrap().len(), 10);
    assert!(last.matches("fc") && last.matches("/fc/*") && !last.matches("f"));
}

#[test]
fn nearly_ideal_crossbars_give_the_digital_logits() {
    for (name, _) in MODELS {
        let network = load(name, false);
        let choices: Vec<_> =
            network.layers().iter().map(|_| LayerChoice::Memristive(Box::new(nearly_ideal(128)))).collect();
        let executable = Executable::new(network, choices, Stream::root(0, 0), backend()).unwrap();
        let expected = logits(name);
        let found = first_eight(&executable);
        // A ratio of 1e6, and f32 conductances of which about 1e-6 is not the weight.
        let error = distance(&found, &expected) / largest(&expected);
        assert!(error < 1e-4, "{name}: {error}");
    }
}
