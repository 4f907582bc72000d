//! Networks exported by PyTorch's two exporters and some put together by hand, against the outputs of PyTorch
//! and onnxruntime.

mod common;

use std::sync::Arc;

use common::{backend, case, distance, largest, nearly_ideal, npy, root};
use memtorch_crossbar::{FullScale, LinearConverter};
use memtorch_nn::{Data, Executable, ImportOptions, LayerChoice, Network, Tensor};
use memtorch_utils::Stream;
use memtorch_utils::npy::NpyData;
use memtorch_utils::npz::Npz;

/// Files, their input and output, and the names of their layers.
const CASES: [(&str, &str, &[&str]); 17] = [
    ("mlp.ts", "mlp", &["1", "3", "5"]),
    ("mlp.dyn", "mlp", &["1", "3", "5"]),
    ("conv1d.ts", "conv1d", &["c1", "c2", "fc"]),
    ("conv1d.dyn", "conv1d", &["c1", "c2", "fc"]),
    ("conv1d.tsraw", "conv1d", &["c1", "c2", "fc"]),
    ("conv1d.dynraw", "conv1d", &["c1", "c2", "fc"]),
    ("conv3d.ts", "conv3d", &["c1", "c2", "fc"]),
    ("conv3d.dyn", "conv3d", &["c1", "c2", "fc"]),
    ("cnn2d.ts", "cnn2d", &["c1", "c2", "fc"]),
    ("cnn2d.dyn", "cnn2d", &["c1", "c2", "fc"]),
    // Twenty nodes over four matrices.
    ("rnn.dyn", "rnn", &["m", "m_1", "m_2", "m_3"]),
    ("transformer.dyn", "transformer", &["self_attn", "self_attn.out_proj", "linear1", "linear2"]),
    ("rnn.ts", "rnn", &["m.W", "m.R", "m.W_1", "m.R_1"]),
    ("gru.ts", "gru", &["m.W", "m.R"]),
    ("gru.dyn", "gru", &["m.W", "m.R"]),
    ("lstm.ts", "lstm", &LSTM),
    ("lstm.dyn", "lstm", &LSTM),
];

/// Two layers of two directions.
const LSTM: [&str; 8] =
    ["m.W", "m.R", "m.W_reverse", "m.R_reverse", "m.W_1", "m.R_1", "m.W_reverse_1", "m.R_reverse_1"];

#[test]
fn outputs_are_those_of_pytorch_digitally_and_on_nearly_ideal_crossbars() {
    for (file, data, names) in CASES {
        let (x, y) = (npy(&format!("{data}_x.npy")), npy(&format!("{data}_y.npy")));
        for fold_batch_norm in [false, true] {
            let options = ImportOptions { fold_batch_norm };
            let network = Network::from_onnx_file(case(&format!("{file}.onnx")), &options);
            let network = Arc::new(network.unwrap_or_else(|error| panic!("{file}: {error}")));
            let found: Vec<&str> = network.layers().iter().map(|layer| layer.name.as_str()).collect();
            assert_eq!(found, names, "{file}");
            let hardware = nearly_ideal(16);
            let choices: Vec<_> = network
                .layers()
                .iter()
                .map(|_| LayerChoice::Memristive(Box::new(hardware.clone())))
                .collect();
            let digital = Executable::digital(network.clone(), backend()).unwrap();
            let mapped = Executable::new(network, choices, Stream::root(0, 0), backend()).unwrap();
            let scale = largest(y.as_f32().unwrap());
            for (executable, bound) in [(digital, 1e-5), (mapped, 1e-4)] {
                let outputs = executable.run(&[("x", x.clone())]).unwrap();
                let output = &outputs.values[0].1;
                assert_eq!(output.shape(), y.shape(), "{file}");
                let error = distance(output.as_f32().unwrap(), y.as_f32().unwrap()) / scale;
                assert!(error < bound, "{file}: {error}");
            }
        }
    }
}

/// Fault 9 of the published tool: recurrent layers never reached a crossbar, and bidirectional ones raised an error. Here
/// each matrix of each direction, alone on coarse crossbars, changes the output.
#[test]
fn recurrent_layers_of_both_directions_are_read_on_crossbars() {
    for (data, count) in [("rnn", 4), ("gru", 2), ("lstm", 8)] {
        let network = Network::from_onnx_file(case(&format!("{data}.ts.onnx")), &ImportOptions::default());
        let (network, x) = (Arc::new(network.unwrap()), npy(&format!("{data}_x.npy")));
        let run = |executable: &Executable| {
            let outputs = executable.run(&[("x", x.clone())]).unwrap();
            outputs.values[0].1.as_f32().unwrap().to_vec()
        };
        let digital = run(&Executable::digital(network.clone(), backend()).unwrap());
        assert_eq!(network.layers().len(), count, "{data}");
        for layer in 0..count {
            let mut hardware = nearly_ideal(16);
            let full_scale = FullScale::Dynamic { overflow_rate: 0.0 };
            hardware.adc.converter = Arc::new(LinearConverter::new(3, full_scale).unwrap());
            let mut choices: Vec<_> =
                (0..count).map(|_| LayerChoice::Digital { reason: "not the one".to_owned() }).collect();
            choices[layer] = LayerChoice::Memristive(Box::new(hardware));
            let mapped = Executable::new(network.clone(), choices, Stream::root(0, 0), backend()).unwrap();
            assert!(mapped.mapped(layer).is_some());
            let (change, name) = (distance(&run(&mapped), &digital), &network.layers()[layer].name);
            assert!(change > 1e-3 * largest(&digital), "{data} {name}: {change}");
        }
    }
}

/// Files of `networks/`, the linear layers that each must have on crossbars, and the operators that stay
/// digital because both of their inputs vary.
const NETWORKS: [(&str, &[&str], usize); 21] = [
    ("resnet", &["ts", "dyn"], 7),
    ("mobilenetv3", &["ts", "dyn"], 13),
    ("efficientnet", &["ts", "dyn"], 12),
    ("vit", &["ts", "dyn"], 6),
    // PyTorch copies the first block, and what is equal is exported once: the blocks share their crossbars.
    ("encoder", &["ts", "dyn"], 4),
    ("decoder", &["ts", "dyn"], 6),
    ("ecg", &["ts", "dyn"], 5),
    ("speech", &["ts", "dyn"], 6),
    ("lengths", &["ts"], 2),
    ("video", &["ts", "dyn"], 3),
    ("transposed", &["ts", "dyn"], 3),
    ("transposed1", &["ts", "dyn"], 1),
    ("transposed3", &["ts", "dyn"], 1),
    ("padded", &["ts", "dyn"], 3),
    ("batched", &["ts", "dyn"], 2),
    ("two_tower", &["ts", "dyn"], 6),
    ("unet", &["ts", "dyn"], 5),
    ("tcn", &["ts", "dyn"], 4),
    ("convnext", &["ts", "dyn"], 5),
    ("auto_pad", &[""], 5),
    // Of each direction of the GRU three: its reset acts before the product.
    ("recurrent", &[""], 12),
];

/// The arrays of an archive whose names begin so.
fn arrays(npz: &mut Npz, prefix: &str) -> Vec<(String, Tensor)> {
    let names: Vec<String> = npz.names().filter(|n| n.starts_with(prefix)).map(str::to_owned).collect();
    let tensor = |name: &String| {
        let array = npz.array(name).unwrap();
        let data = match array.data {
            NpyData::F32(list) => Data::F32(list.into()),
            NpyData::I64(list) => Data::I64(list.into()),
            other => panic!("{name}: {other:?}"),
        };
        (name[prefix.len()..].to_owned(), Tensor::from_data(&array.shape, data).unwrap())
    };
    names.iter().map(tensor).collect()
}

#[test]
fn common_architectures_give_the_outputs_of_onnxruntime_digitally_and_on_nearly_ideal_crossbars() {
    let folder = root().join("tests/networks");
    let mut wrong = Vec::new();
    for (name, exporters, layers) in NETWORKS {
        let mut npz = Npz::open(folder.join(format!("{name}.npz"))).unwrap();
        let (inputs, expected) = (arrays(&mut npz, "in/"), arrays(&mut npz, "out/"));
        for exporter in exporters {
            let file = [name, exporter, "onnx"].into_iter().filter(|part| !part.is_empty());
            let file = file.collect::<Vec<_>>().join(".");
            for fold_batch_norm in [false, true] {
                let network = Network::from_onnx_file(folder.join(&file), &ImportOptions { fold_batch_norm });
                let network = match network {
                    Ok(network) => Arc::new(network),
                    Err(error) => {
                        wrong.push(format!("{file}: {error}"));
                        continue;
                    }
                };
                if network.layers().len() != layers {
                    let names: Vec<&str> = network.layers().iter().map(|l| l.name.as_str()).collect();
                    wrong.push(format!("{file}: {} layers, {names:?}", names.len()));
                }
                let hardware = LayerChoice::Memristive(Box::new(nearly_ideal(16)));
                let choices = vec![hardware; network.layers().len()];
                let digital = Executable::digital(network.clone(), backend()).unwrap();
                let mapped = Executable::new(network, choices, Stream::root(0, 0), backend()).unwrap();
                let feeds: Vec<(&str, Tensor)> =
                    inputs.iter().map(|(name, x)| (name.as_str(), x.clone())).collect();
                for (executable, bound) in [(digital, 1e-5), (mapped, 1e-4)] {
                    let outputs = match executable.run(&feeds) {
                        Ok(outputs) => outputs,
                        Err(error) => {
                            wrong.push(format!("{file}: {error}"));
                            continue;
                        }
                    };
                    assert_eq!(outputs.values.len(), expected.len(), "{file}");
                    for (port, y) in &expected {
                        let found = outputs.values.iter().find(|(name, _)| name == port);
                        let found = &found.unwrap_or_else(|| panic!("{file}: no output {port}")).1;
                        assert_eq!(found.shape(), y.shape(), "{file} {port}");
                        let (found, y) = (found.as_f32().unwrap(), y.as_f32().unwrap());
                        let error = distance(found, y) / largest(y);
                        if !(error < bound) {
                            wrong.push(format!("{file} {port} fold {fold_batch_norm}: {error} {bound}"));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
