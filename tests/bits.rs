//! The same seed gives the same bits, whatever computes them.

mod common;

use std::sync::Arc;

use common::experiment;
use memtorch::Registry;
use memtorch::crossbar::ArrayBackend;
use memtorch::crossbar::backend::CpuBackend;
use memtorch::experiment::{Document, Experiment};
use memtorch::nn::{Executable, ImportOptions, Network, Tensor};
use memtorch::utils::Stream;
use memtorch::utils::config::{Table, Value};
use memtorch::utils::datasets::DataSet;

/// Converters, a DAC, faults, spread and odd tiles.
const HARDWARE: &str = "\
[device]
model = \"vteam\"
r_on = { lognormal = { median = 1.4e4, sigma_ln = 0.2 } }
r_off = 5e7
[crossbar]
tile = [37, 29]
[input]
bits = 7
[adc]
bits = 6
[[nonideality]]
kind = \"stuck\"
hrs = 0.02
lrs = 0.001
";

fn executable(network: &str, seed: u64, backend: Arc<dyn ArrayBackend>) -> Executable {
    let registry = Registry::with_defaults();
    let text = experiment(network, HARDWARE);
    let document = Document::parse(&text, std::path::Path::new("e.toml")).unwrap();
    let experiment = Experiment::resolve(document, &registry).unwrap();
    let path = common::file(&format!("models/fmnist-{network}.onnx"));
    let network = Arc::new(Network::from_onnx_file(path, &ImportOptions::default()).unwrap());
    let choices = experiment.plan(network.layers(), &registry).unwrap().iter().map(|p| p.choice()).collect();
    Executable::new(network, choices, Stream::root(seed, 0), backend).unwrap()
}

fn images(count: usize) -> Vec<f32> {
    let table = Table::from_iter([
        ("images", Value::Text(common::file("data/fashion-mnist-t2k-images-idx3-ubyte.gz"))),
        ("labels", Value::Text(common::file("data/fashion-mnist-t2k-labels-idx1-ubyte.gz"))),
    ]);
    let set = DataSet::open(&table, std::path::Path::new("")).unwrap();
    let mut values = vec![0.0; count * 784];
    set.read(0..count, &mut values).unwrap();
    values
}

/// The bits of the logits.
fn logits(executable: &Executable, images: &[f32]) -> Vec<u32> {
    let input = Tensor::new(&[images.len() / 784, 1, 28, 28], images.to_vec()).unwrap();
    let outputs = executable.run(&[("input", input)]).unwrap();
    outputs.values[0].1.as_f32().unwrap().iter().map(|y| y.to_bits()).collect()
}

#[test]
fn portable_and_simd_kernels_batches_and_threads_give_the_same_bits() {
    for network in ["mlp", "lenet5", "mobilenetv2", "conv1d"] {
        let images = images(4);
        let fast = executable(network, 5, Arc::new(CpuBackend::new()));
        let expected = logits(&fast, &images);
        let portable = executable(network, 5, Arc::new(CpuBackend::portable()));
        assert_eq!(logits(&portable, &images), expected, "{network}: portable kernels");
        for (index, image) in images.chunks(784).enumerate() {
            assert_eq!(logits(&fast, image), expected[index * 10..][..10], "{network}: image {index} alone");
        }
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let found =
                pool.install(|| logits(&executable(network, 5, Arc::new(CpuBackend::new())), &images));
            assert_eq!(found, expected, "{network}: {threads} threads");
        }
        let other = logits(&executable(network, 6, Arc::new(CpuBackend::new())), &images);
        assert_ne!(other, expected, "{network}: another seed");
    }
}
