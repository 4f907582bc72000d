//! On a GPU: `cargo test -p memtorch-cuda --features native --release -- --ignored --nocapture`.
#![cfg(feature = "native")]

use std::sync::Arc;
use std::time::Instant;

use memtorch_crossbar::backend::{CpuBackend, SumNoise, Variance, contract};
use memtorch_crossbar::ndarray::Array2;
use memtorch_crossbar::passive::{TileCircuit, Unused, Wiring};
use memtorch_crossbar::{
    Accumulate, Array, ArrayBackend, Change, FullScale, Input, Layout, LinearConverter, PatchGeometry,
    Product, TileShape,
};
use memtorch_cuda::Peak;
use memtorch_devices::models::{DataDriven, DataDriven2021, LinearIonDrift, StanfordPku, Vteam};
use memtorch_devices::{
    CpuPopulations, Device, DeviceParameters, DeviceSpec, Population, PopulationBackend, Stream, Waveform,
};

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
fn wires_noise_and_steps_give_what_the_cpu_gives() {
    let backends = [memtorch_cuda::open().unwrap()];
    contract::tiles(&backends, 0..200, 1..40).unwrap();
    contract::tiles(&backends, 200..205, 120..140).unwrap();
    contract::noise(&backends, 0..400).unwrap();
    contract::changes(&backends, 0..200).unwrap();
}

fn models() -> [Arc<dyn Device>; 5] {
    [
        Arc::new(Vteam::default()),
        Arc::new(LinearIonDrift::default()),
        Arc::new(DataDriven::default()),
        Arc::new(DataDriven2021::default()),
        Arc::new(StanfordPku { dynamic: true, time_step: 1e-9, ..StanfordPku::default() }),
    ]
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn populations_have_the_bits_of_the_cpu() {
    let gpu = memtorch_cuda::open_populations().unwrap();
    let voltages: Vec<f64> = (0..200).map(|k| 1.5 * (0.37 * f64::from(k)).sin()).collect();
    for model in models() {
        let time = model.time_step();
        let mut population =
            Population::new(DeviceParameters::new(model.clone(), 100_001), Stream::root(3, 0));
        let mut other = population.clone();
        gpu.advance(&mut population, Waveform::Common(&voltages), time).unwrap();
        other.advance(Waveform::Common(&voltages), time).unwrap();
        let bits = |list: &[f64]| list.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert!(bits(population.states()) == bits(other.states()), "{model:?}");
        let mut few = Population::new(DeviceParameters::new(model.clone(), 333), Stream::root(4, 0));
        let expected = CpuPopulations.record(&mut few.clone(), &voltages, time).unwrap();
        let found = gpu.record(&mut few, &voltages, time).unwrap();
        assert!(bits(&found.currents) == bits(&expected.currents), "{model:?}: a trace");
    }
}

/// What the arithmetic and the memory traffic of some work are, at least.
#[derive(Clone, Copy, Default)]
struct Work {
    f32_flop: f64,
    f64_flop: f64,
    bytes: f64,
}

/// Runs some work ten times, and prints the least time of its kernels beside the least that the GPU needs.
fn row(peak: &Peak, what: &str, work: Work, mut run: impl FnMut()) {
    run();
    let (mut kernels, mut all) = (f64::INFINITY, f64::INFINITY);
    let mut parts = Vec::new();
    for _ in 0..10 {
        let start = Instant::now();
        let ((), launches) = memtorch_cuda::launches(&mut run);
        all = all.min(start.elapsed().as_secs_f64());
        let sum = launches.iter().map(|launch| launch.seconds).sum::<f64>();
        if sum < kernels {
            (kernels, parts) = (sum, launches);
        }
    }
    let mut names: Vec<(String, usize, f64)> = Vec::new();
    for launch in parts {
        match names.iter_mut().find(|(name, ..)| *name == launch.kernel) {
            Some((_, count, seconds)) => (*count, *seconds) = (*count + 1, *seconds + launch.seconds),
            None => names.push((launch.kernel, 1, launch.seconds)),
        }
    }
    println!("{what}");
    for (name, count, seconds) in names {
        println!("    {:10.4} ms  {name} ({count} launches)", 1e3 * seconds);
    }
    println!("    {:10.4} ms  all kernels; {:.4} ms with transfers", 1e3 * kernels, 1e3 * all);
    for (name, amount, peak, unit) in [
        ("f32 arithmetic", work.f32_flop, peak.f32_flops, "TFLOP/s"),
        ("f64 arithmetic", work.f64_flop, peak.f64_flops, "TFLOP/s"),
        ("memory", work.bytes, peak.bytes, "TB/s"),
    ] {
        if amount == 0.0 {
            continue;
        }
        let achieved = amount / kernels;
        let of = peak.map_or("peak unknown".to_owned(), |peak| {
            let floor = 1e3 * amount / peak;
            format!("{:.1} % of {:.2}, floor {floor:.4} ms", 100.0 * achieved / peak, peak / 1e12)
        });
        println!("               {name}: {:.3} {unit}, {of}", achieved / 1e12);
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU; prints what it achieves against its peak"]
fn what_a_gpu_achieves() {
    let peak = memtorch_cuda::peak().unwrap();
    let gpu = memtorch_cuda::open().unwrap();
    println!("{peak:?}");
    let tile = TileShape::Sized { word_lines: 128, bit_lines: 128 };
    let converter = LinearConverter::new(8, FullScale::Dynamic { overflow_rate: 0.0 }).unwrap();
    for (vectors, size) in [(8, 1024), (256, 1024), (4096, 1024), (4096, 4096)] {
        let layout = Layout::new(1, size, size, tile).unwrap();
        let operand = gpu.pack(&layout, &vec![0.5; size * size]).unwrap();
        let values = vec![0.25; vectors * size];
        let input = Input::Rows { values: &values, rows: vectors };
        let product = Product { input, converter: &converter, accumulate: Accumulate::Set };
        let mut output = vec![0.0; vectors * size];
        let work = Work {
            f32_flop: 2.0 * (vectors * size * size) as f64,
            bytes: 4.0 * (size * size + 2 * vectors * size) as f64,
            ..Work::default()
        };
        row(&peak, &format!("product: {vectors} vectors, {size} x {size}, converters"), work, || {
            gpu.multiply(&operand, &product, &mut output).map(|_| ()).unwrap();
        });
    }
    convolution(&peak, &*gpu);
    wires(&peak, &*gpu);
    noise(&peak, &*gpu);
    steps(&peak, &*gpu);
    let populations = memtorch_cuda::open_populations().unwrap();
    let voltages: Vec<f64> = (0..1000).map(|k| 0.5 * (0.037 * f64::from(k)).sin()).collect();
    for model in models() {
        // Operations of a step, a fused one being two; those of the defaults, both branches of a comparison counted.
        let flop = match model.name() {
            "vteam" => 30.0,
            "linear-ion-drift" => 40.0,
            "stanford-pku" => 250.0,
            _ => 110.0,
        };
        let devices = 1_000_000;
        let work =
            Work { f64_flop: flop * 1e3 * devices as f64, bytes: 16.0 * devices as f64, ..Work::default() };
        let mut population =
            Population::new(DeviceParameters::new(model.clone(), devices), Stream::root(0, 0));
        row(&peak, &format!("{}: 1e6 devices, 1000 steps", model.name()), work, || {
            populations.advance(&mut population, Waveform::Common(&voltages), model.time_step()).unwrap();
        });
    }
    let cpu = CpuBackend::new();
    println!(
        "the CPU beside it: {} kernels, {:.3} TFLOP/s a thread",
        cpu.instructions(),
        cpu.measure_peak() / 1e12
    );
}

fn convolution(peak: &Peak, gpu: &dyn ArrayBackend) {
    let geometry = PatchGeometry {
        channels: 6,
        input: [1, 28, 28],
        kernel: [1, 5, 5],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0, 2, 2],
        output: [1, 28, 28],
    };
    let (samples, columns) = (256, 16);
    let layout = Layout::new(1, 150, columns, TileShape::Sized { word_lines: 128, bit_lines: 128 }).unwrap();
    let operand = gpu.pack(&layout, &vec![0.5; 150 * columns]).unwrap();
    let values = vec![0.25; samples * geometry.image_len()];
    let input = Input::Patches { values: &values, samples, geometry: &geometry };
    let converter = LinearConverter::new(8, FullScale::Fixed(40.0)).unwrap();
    let product = Product { input, converter: &converter, accumulate: Accumulate::Set };
    let vectors = samples * geometry.positions();
    let mut output = vec![0.0; vectors * columns];
    let bytes = 4.0 * (2 * vectors * 150 + values.len() + vectors * columns) as f64;
    let work = Work { f32_flop: 2.0 * (vectors * 150 * columns) as f64, bytes, ..Work::default() };
    row(peak, "convolution: 256 images of 6 x 28 x 28, kernel 5 x 5, 16 columns", work, || {
        gpu.multiply(&operand, &product, &mut output).map(|_| ()).unwrap();
    });
}

fn wires(peak: &Peak, gpu: &dyn ArrayBackend) {
    let tile = TileCircuit {
        shape: [128, 128],
        unused_conductance: 1e-6,
        unused: Unused::Full,
        wiring: Wiring::new(20.0, 2.0),
        transistor_resistance: 0.0,
    };
    let used = Array2::from_shape_fn((128, 128), |(i, j)| 1e-6 * (1 + (i * 31 + j * 17) % 97) as f64);
    for tiles in [1, 100, 1000] {
        let views = vec![used.view(); tiles];
        // About 34 n^3 operations a tile.
        let flop = 34.0 * 128f64.powi(3) * tiles as f64;
        let work = Work { f64_flop: flop, bytes: 16.0 * 128.0 * 128.0 * tiles as f64, ..Work::default() };
        row(peak, &format!("effective conductances: {tiles} tiles of 128 x 128"), work, || {
            gpu.effective_blocks(&views, &tile).map(|_| ()).unwrap();
        });
    }
}

fn noise(peak: &Peak, gpu: &dyn ArrayBackend) {
    let (vectors, columns, lines) = (256, 1024, 128);
    let layout =
        Layout::new(1, lines, columns, TileShape::Sized { word_lines: lines, bit_lines: 128 }).unwrap();
    let operand = gpu.pack(&layout, &vec![0.5; lines * columns]).unwrap();
    let values = vec![0.25; vectors * lines];
    let (constants, places) = (vec![1e-12; columns], vec![[3, 5]; vectors]);
    let variances = vec![Variance { scale: 1e-12, operand: &operand, values: &values }];
    let (stream, telegraph) = (Stream::root(0, 0), None);
    let all = [SumNoise {
        layout: &layout,
        row: 0,
        stream,
        places: &places,
        constants: &constants,
        variances,
        telegraph,
    }];
    let mut sums = vec![0.0; vectors * columns];
    // Philox, a logarithm and a cosine: about 100 operations in f64.
    let work = Work {
        f32_flop: 2.0 * (vectors * lines * columns) as f64,
        f64_flop: 100.0 * (vectors * columns) as f64,
        bytes: 12.0 * (vectors * columns) as f64,
    };
    row(peak, "noise of reads: 256 vectors, 1024 columns, 128 word lines", work, || {
        gpu.add_noise(&all, &mut sums).unwrap();
    });
}

fn steps(peak: &Peak, gpu: &dyn ArrayBackend) {
    let layout = Layout::new(1, 4096, 2048, TileShape::Sized { word_lines: 128, bit_lines: 128 }).unwrap();
    let spec = DeviceSpec::new(Arc::new(Vteam::default()));
    let (array, _) = Array::fabricate(layout, &spec, Stream::root(0, 0)).unwrap();
    let devices = layout.device_count() as f64;
    for (change, flop) in
        [(Change::EvenConductances(16), 12.0), (Change::Missed { relative: 0.1, absolute: 1e-5 }, 110.0)]
    {
        let work = Work { f64_flop: flop * devices, bytes: 16.0 * devices, ..Work::default() };
        row(peak, &format!("{change:?}: 4096 x 2048 devices"), work, || {
            gpu.change(&change, &array, Stream::root(0, 1)).map(|_| ()).unwrap();
        });
    }
}
