//! Whole networks: what a person waits for.
//!
//! `cargo bench --bench network` times one batch of 64 images of Fashion-MNIST on one thread: digitally, on
//! crossbars with 8-bit converters (also with a calibrated range for every bit line, and with inputs bit by bit), and the
//! patching of the network (all tiles programmed, the gain analytic).
//! Beside each time stands what it makes in images a second.

mod support;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use memtorch::Registry;
use memtorch::crossbar::backend::CpuBackend;
use memtorch::experiment::{Document, Experiment};
use memtorch::nn::{Executable, ImportOptions, Network, Tensor};
use memtorch::utils::Stream;
use memtorch::utils::config::{Table, Value};
use memtorch::utils::datasets::DataSet;

const BATCH: usize = 64;

fn images() -> Tensor {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let table = Table::from_iter([
        ("images", Value::Text("fashion-mnist-t2k-images-idx3-ubyte.gz".to_owned())),
        ("labels", Value::Text("fashion-mnist-t2k-labels-idx1-ubyte.gz".to_owned())),
    ]);
    let set = DataSet::open(&table, &data).expect("the test images of the repository");
    let mut values = vec![0.0; BATCH * set.sample_len()];
    set.read(0..BATCH, &mut values).expect("they are read");
    Tensor::new(&[BATCH, 1, 28, 28], values).expect("images of 28 x 28")
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    support::peak(&mut criterion);
    let registry = Registry::with_defaults();
    let hardware = |more: &str| {
        let text = format!(
            "[device]\nmodel = \"vteam\"\nr_on = 1.4e4\nr_off = 5e7\n[tune]\nsamples = 0\n[adc]\nbits = 8\n{more}"
        );
        let document = Document::parse(&text, std::path::Path::new("bench.toml")).expect("it is TOML");
        Experiment::resolve(document, &registry).expect("it is an experiment")
    };
    let calibrated = "range = \"calibrated\"\ngranularity = \"column\"\ncalibration = \"random\"\n";
    let experiments = [
        ("8-bit ADC", hardware("")),
        ("calibrated columns", hardware(calibrated)),
        ("8 bits one by one", hardware("[input]\nbits = 8\nserial = true\n")),
    ];
    let backend = Arc::new(CpuBackend::new());
    let input = images();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    for name in ["mlp", "lenet5", "conv1d", "mobilenetv2", "lstm"] {
        let case = |path: &str| format!("{path}, {BATCH} images");
        let cases = ["digital"].into_iter().chain(experiments.each_ref().map(|(path, _)| *path)).map(case);
        let group = format!("{name}, 1 thread");
        if !cases.chain(["patch".to_owned()]).any(|case| support::is_wanted(&format!("{group}/{case}"))) {
            continue;
        }
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join(format!("models/fmnist-{name}.onnx"));
        let network =
            Arc::new(Network::from_onnx_file(path, &ImportOptions::default()).expect("it is a network"));
        let patch = |experiment: &Experiment| {
            let plans = experiment.plan(network.layers(), &registry).expect("all layers can be planned");
            let choices = plans.iter().map(|plan| plan.choice()).collect();
            Executable::new(network.clone(), choices, Stream::root(0, 0), backend.clone())
                .expect("it is patched")
        };
        let digital = Executable::digital(network.clone(), backend.clone()).expect("it runs");
        let memristive = experiments.each_ref().map(|(name, experiment)| (*name, patch(experiment)));
        let mut group = criterion.benchmark_group(group);
        group.bench_function("patch", |b| b.iter(|| pool.install(|| black_box(patch(&experiments[0].1)))));
        group.throughput(Throughput::Elements(BATCH as u64));
        for (path, executable) in [("digital", digital)].into_iter().chain(memristive) {
            group.bench_function(case(path), |b| {
                b.iter(|| pool.install(|| executable.run(&[("input", input.clone())]).expect("it runs")));
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
