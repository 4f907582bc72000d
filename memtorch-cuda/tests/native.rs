//! On a GPU: `cargo test -p memtorch-cuda --features native --release -- --ignored --nocapture`.
#![cfg(feature = "native")]

use std::sync::Arc;
use std::time::Instant;

use memtorch_crossbar::backend::{CpuBackend, contract};
use memtorch_crossbar::{
    Accumulate, ArrayBackend, FullScale, Input, Layout, LinearConverter, Product, TileShape,
};
use memtorch_devices::models::{DataDriven, DataDriven2021, LinearIonDrift, StanfordPku, Vteam};
use memtorch_devices::{Device, DeviceParameters, Population, Stream, Waveform};

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn products_have_the_bits_of_the_definition() {
    let backends = [memtorch_cuda::open().unwrap()];
    contract::ties(&backends).unwrap();
    contract::rows(&backends, 0..400, 4_000_000).unwrap();
    contract::patches(&backends, 0..400, 2_000_000).unwrap();
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn populations_have_the_bits_of_the_cpu() {
    let models: [Arc<dyn Device>; 5] = [
        Arc::new(Vteam::default()),
        Arc::new(LinearIonDrift::default()),
        Arc::new(DataDriven::default()),
        Arc::new(DataDriven2021::default()),
        Arc::new(StanfordPku { dynamic: true, time_step: 1e-9, ..StanfordPku::default() }),
    ];
    let gpu = memtorch_cuda::open_populations().unwrap();
    let voltages: Vec<f64> = (0..200).map(|k| 1.5 * (0.37 * f64::from(k)).sin()).collect();
    for model in models {
        let time = model.time_step();
        let mut population = Population::new(DeviceParameters::new(model, 100_001), Stream::root(3, 0));
        let mut other = population.clone();
        gpu.advance(&mut population, Waveform::Common(&voltages), time).unwrap();
        other.advance(Waveform::Common(&voltages), time).unwrap();
        let bits = |p: &Population| p.states().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert!(bits(&population) == bits(&other), "{:?}", population.parameters().model());
    }
}

/// The least time of several runs, in s.
fn least(mut run: impl FnMut()) -> f64 {
    let time = |()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    [(); 10].map(time).into_iter().fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "needs an NVIDIA GPU; prints times"]
fn what_a_gpu_achieves() {
    let gpu = memtorch_cuda::open().unwrap();
    let cpu: Arc<dyn ArrayBackend> = Arc::new(CpuBackend::new());
    let tile = TileShape::Sized { word_lines: 128, bit_lines: 128 };
    let converter = LinearConverter::new(8, FullScale::Dynamic { overflow_rate: 0.0 }).unwrap();
    for (vectors, size) in [(8, 1024), (256, 1024), (4096, 1024), (4096, 4096)] {
        let layout = Layout::new(1, size, size, tile).unwrap();
        let matrix = vec![0.5; size * size];
        let values = vec![0.25; vectors * size];
        let input = Input::Rows { values: &values, rows: vectors };
        let product = Product { input, converter: &converter, accumulate: Accumulate::Set };
        let mut output = vec![0.0; vectors * size];
        for backend in [&gpu, &cpu] {
            let operand = backend.pack(&layout, &matrix).unwrap();
            let time = least(|| {
                backend.multiply(&operand, &product, &mut output).unwrap();
            });
            let flops = 2.0 * (vectors * size * size) as f64 / time;
            println!(
                "{vectors} vectors, {size} x {size}, {}: {:.3} ms with transfers, {:.2} TFLOP/s",
                backend.name(),
                time * 1e3,
                flops / 1e12
            );
        }
    }
    let populations = memtorch_cuda::open_populations().unwrap();
    let voltages: Vec<f64> = (0..1000).map(|k| 0.5 * (0.037 * f64::from(k)).sin()).collect();
    let parameters = DeviceParameters::new(Arc::new(Vteam::default()), 1_000_000);
    let mut population = Population::new(parameters, Stream::root(0, 0));
    let time = least(|| populations.advance(&mut population, Waveform::Common(&voltages), 1e-12).unwrap());
    println!("1e6 VTEAM devices, 1000 steps, cuda: {:.1} ms, {:.2e} steps/s", time * 1e3, 1e9 / time);
}
