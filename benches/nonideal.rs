//! Each non-ideality on ten million devices, and reads of layers that are not ohmic or noisy, all on one thread.
//!
//! `cargo bench --bench nonideal`, or with a filter, as `cargo bench --bench nonideal drift` or `... reads`. Processor
//! time, the least of three runs, each on an array made anew. The aims: less than a second for
//! ten million devices; a layer with the table of a sweep at most ten times an ohmic one.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use memtorch_crossbar::backend::CpuBackend;
use memtorch_crossbar::{
    Array, FullScale, Input, Layout, LinearConverter, NonIdeality, PatchGeometry, TileShape,
};
use memtorch_devices::{DeviceSpec, Distribution, Stream, models};
use memtorch_map::ndarray::Array3;
use memtorch_map::{Entry, Hardware, MappedMatrix, Usage};
use memtorch_nonideal::{
    Cause, Clustering, CycleToCycle, DeviceToDevice, Drift, Failure, Method, Nonlinear, ProgrammingError,
    ReadNoise, Spacing, StateWear, States, Stuck, SweepSettings, Telegraph, Wear,
};
use memtorch_utils::Shape as Distributed;
use memtorch_utils::config::{Table, Value};

const ROWS: usize = 4000;
const COLUMNS: usize = 2500;

/// Processor time of this thread; where the system does not tell it, time since the epoch.
fn processor_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split_whitespace().next()?.parse().ok());
    let clock = || std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    nanoseconds.map_or_else(clock, Duration::from_nanos)
}

/// Devices whose conductances climb evenly between their bounds, programmed or not yet.
fn array(spec: &DeviceSpec, programmed: bool) -> Array {
    let tile = TileShape::Sized { word_lines: 128, bit_lines: 128 };
    let layout = Layout::new(1, ROWS, COLUMNS, tile).expect("a layout");
    let (mut array, _) = Array::fabricate(layout, spec, Stream::root(0, 0)).expect("devices that are alike");
    if programmed {
        array.settle();
        let (low, high) = (1.0 / spec.model.r_off(), 1.0 / spec.model.r_on());
        let count = (ROWS * COLUMNS) as f64;
        let targets: Vec<f64> =
            (0..ROWS * COLUMNS).map(|i| low + (high - low) * (i as f64 / count)).collect();
        array.program(&targets).expect("conductances in range");
    }
    array
}

/// What is read: a name, the matrices `[groups, rows, columns]`, and the images of a convolution or none.
type Layer = (&'static str, [usize; 3], Option<PatchGeometry>);

type Step = Arc<dyn NonIdeality>;

/// Reads 32 samples of the layers of LeNet-5 and of two others.
fn reads() {
    let square = |channels: usize, size: usize, kernel: usize, padding: usize| PatchGeometry {
        channels,
        input: [1, size, size],
        kernel: [1, kernel, kernel],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0, padding, padding],
        output: [1, size + 2 * padding - kernel + 1, size + 2 * padding - kernel + 1],
    };
    let layers: [Layer; 6] = [
        ("conv 1 to 6, 5x5, 28x28", [1, 25, 6], Some(square(1, 28, 5, 2))),
        ("conv 6 to 16, 5x5, 14x14", [1, 150, 16], Some(square(6, 14, 5, 0))),
        ("conv 32 to 64, 1x1, 14x14", [1, 32, 64], Some(square(32, 14, 1, 0))),
        ("depthwise 64, 3x3, 14x14", [64, 9, 1], Some(square(64, 14, 3, 1))),
        ("400 to 120", [1, 400, 120], None),
        ("1024 to 1024", [1, 1024, 1024], None),
    ];
    let right = "numbers that are possible";
    let model = |name: &str| {
        let entry = models::MODELS.iter().find(|m| m.name == name).expect("a model");
        DeviceSpec::configure(entry, &Table::new()).expect("possible devices")
    };
    let sweep = |amplitude| SweepSettings { amplitude, frequency: None, points: 64, states: 32 };
    let nonlinear = |method| Some(Arc::new(Nonlinear::new(method).expect(right)) as Step);
    let noise = ReadNoise::new(0.02, 1e-8).expect(right);
    let cases: Vec<(&str, &str, Option<Step>)> = vec![
        ("ohmic", "vteam", None),
        ("sinh", "vteam", nonlinear(Method::Sinh { b: 2.0 })),
        ("sweep of VTEAM", "vteam", nonlinear(Method::Sweep(sweep(0.4)))),
        ("sweep of Stanford-PKU", "stanford-pku", nonlinear(Method::Sweep(sweep(1.0)))),
        ("sweep of data-driven", "data-driven", nonlinear(Method::Sweep(sweep(1.0)))),
        ("read noise", "vteam", Some(Arc::new(noise))),
    ];
    for (layer, [groups, rows, columns], geometry) in layers {
        let mut ohmic = f64::NAN;
        for (name, device, step) in &cases {
            let mut hardware = Hardware::new(model(device));
            hardware.adc.converter =
                Arc::new(LinearConverter::new(8, FullScale::Dynamic { overflow_rate: 0.0 }).expect(right));
            hardware.tuning.samples = 0;
            hardware.nonidealities.extend(step.clone().map(Entry::new));
            let whole = format!("reads {layer}: {name}");
            if !support::is_wanted(&whole) {
                continue;
            }
            let number = |i: usize, salt: usize| ((i * 7919 + salt) % 2003) as f32 / 1001.5 - 1.0;
            let weights = Array3::from_shape_fn((groups, rows, columns), |(g, r, c)| {
                number((g * rows + r) * columns + c, 1)
            });
            let usage = geometry.map_or(Usage::Rows, |geometry| Usage::Patches { geometry, dimensions: 2 });
            let backend = CpuBackend::shared();
            let matrix =
                MappedMatrix::new("layer", weights.view(), &usage, &hardware, Stream::root(0, 0), backend)
                    .expect("a layer");
            let samples = 32;
            let (length, outputs) = match &geometry {
                Some(geometry) => (geometry.image_len(), geometry.positions() * groups * columns),
                None => (groups * rows, groups * columns),
            };
            let values: Vec<f32> = (0..samples * length).map(|i| number(i, 5)).collect();
            let input = match &geometry {
                Some(geometry) => Input::Patches { values: &values, samples, geometry },
                None => Input::Rows { values: &values, rows: samples },
            };
            let mut output = vec![0.0; samples * outputs];
            // What a system tells of a thread's time may be some milliseconds old.
            let mut best = f64::INFINITY;
            for _ in 0..3 {
                let (start, clock) = (processor_time(), Instant::now());
                let mut count = 0;
                while clock.elapsed() < Duration::from_millis(100) {
                    matrix.multiply(input, &mut output).expect("lengths that fit");
                    count += 1;
                }
                best = best.min((processor_time() - start).as_secs_f64() / f64::from(count));
            }
            let time = best;
            if step.is_none() {
                ohmic = time;
            }
            let effects = matrix.report().steps.iter().flat_map(|step| &step.report.effects);
            let products =
                effects.filter(|effect| effect.what.starts_with("products")).map(|e| e.value as usize).next();
            let products = products.map_or(String::new(), |count| format!(", {count} products"));
            println!("{whole}: {:.0} us, {:.1} times ohmic{products}", time * 1e6, time / ohmic);
        }
    }
}

fn main() {
    // On the pool's only thread, whose time is taken.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    pool.install(|| {
        reads();
        steps();
    });
}

/// Every step on ten million devices.
fn steps() {
    let vteam = models::MODELS.iter().find(|m| m.name == "vteam").expect("VTEAM is there");
    let keys = Table::from_iter([("r_on", Value::Real(1.4e4)), ("r_off", Value::Real(5e6))]);
    let spec = DeviceSpec::configure(vteam, &keys).expect("possible devices");
    let normal = |mean, std| Distribution::normal(mean, std).expect("a distribution");
    let gamma = Distribution::new(Distributed::Gamma { shape: 4.0, scale: 0.0125 }, 0.0, 1.0)
        .expect("a distribution");
    let lognormal = Distribution::lognormal(1.4e4, 0.3).expect("a distribution");
    let wear = |failure| Some(StateWear { p: [10.0, 0.69, 0.0], threshold_temperature: 298.0, failure });
    let gradual = (wear(Failure::Gradual { p3: 0.0176 }), wear(Failure::Gradual { p3: -0.023 }));
    let sweep = SweepSettings { amplitude: 0.8, frequency: None, points: 64, states: 32 };
    let telegraph = Telegraph { amplitude: 0.1, high: 0.5, devices: 0.2 };
    let right = "numbers that are possible";
    let steps: Vec<(&str, bool, Box<dyn NonIdeality>)> = vec![
        ("device-to-device, sigma", false, Box::new(DeviceToDevice::sigma(1e3).expect(right))),
        (
            "device-to-device, lognormal r_on",
            false,
            Box::new(DeviceToDevice::parameters(vec![("r_on".to_owned(), lognormal)])),
        ),
        ("stuck", false, Box::new(Stuck::new(0.05, 0.05, 0.01).expect(right))),
        ("stuck, along bit lines", false, {
            let stuck = Stuck::new(0.05, 0.05, 0.0).expect(right);
            Box::new(stuck.with_clustering(Clustering::BitLines(Some(16))).expect(right))
        }),
        ("states, conductance", true, Box::new(States::even(16, Spacing::Conductance).expect(right))),
        ("states, resistance", true, Box::new(States::even(16, Spacing::Resistance).expect(right))),
        ("states, given", true, {
            Box::new(States::given((1..=16).map(|k| f64::from(k) * 4e-6).collect()).expect(right))
        }),
        ("cycle-to-cycle", true, Box::new(CycleToCycle::new(1e3).expect(right))),
        ("programming-error", true, Box::new(ProgrammingError::new(0.02, 1e-7).expect(right))),
        ("programming-error, table", true, {
            Box::new(ProgrammingError::table(vec![(1e-6, 1e-7), (3e-5, 1e-6), (7e-5, 2e-6)]).expect(right))
        }),
        ("programming-error, lognormal", true, Box::new(ProgrammingError::lognormal(0.2).expect(right))),
        ("drift, one exponent", true, Box::new(Drift::new(0.05, 1.0, 1e6).expect(right))),
        ("drift, normal", true, Box::new(Drift::distributed(normal(0.05, 0.02), 1.0, 1e6).expect(right))),
        ("drift, gamma", true, Box::new(Drift::distributed(gamma, 1.0, 1e6).expect(right))),
        ("retention", true, {
            Box::new(Wear::new(Cause::Time, 1e6, 298.0, 10.0, gradual.0, gradual.1).expect(right))
        }),
        ("endurance", true, {
            Box::new(Wear::new(Cause::Cycles, 1e6, 298.0, 10.0, gradual.0, gradual.1).expect(right))
        }),
        ("nonlinear, sinh", true, Box::new(Nonlinear::new(Method::Sinh { b: 2.0 }).expect(right))),
        ("nonlinear, sweep", true, Box::new(Nonlinear::new(Method::Sweep(sweep)).expect(right))),
        ("read-noise", true, {
            Box::new(ReadNoise::new(0.01, 1e-8).expect(right).with_telegraph(telegraph).expect(right))
        }),
    ];
    println!("{} devices, one thread", ROWS * COLUMNS);
    for (name, programmed, step) in steps {
        if !support::is_wanted(name) {
            continue;
        }
        let mut best = Duration::MAX;
        for run in 0..3 {
            let mut array = array(&spec, programmed);
            let start = processor_time();
            step.apply(&mut array, Stream::root(1, run)).expect("a step that succeeds");
            best = best.min(processor_time() - start);
            std::hint::black_box(array.conductances());
        }
        println!("{name}: {:.2} s, {:.1} ns a device", best.as_secs_f64(), best.as_secs_f64() * 1e9 / 1e7);
    }
}
