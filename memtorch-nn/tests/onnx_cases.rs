//! Networks exported by PyTorch's two exporters, against PyTorch's outputs.

mod common;

use std::sync::Arc;

use common::{backend, case, distance, largest, nearly_ideal, npy};
use memtorch_nn::{Executable, ImportOptions, LayerChoice, Network};
use memtorch_utils::Stream;

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
