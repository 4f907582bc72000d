//! The kernels, run on the CPU, behind the calls that a GPU gets.
#![cfg(feature = "emulate")]

use std::ops::Range;
use std::sync::Arc;

use memtorch_crossbar::backend::contract;
use memtorch_crossbar::{Accumulate, ArrayBackend, Ideal, Input, Layout, Product, TileShape};
use memtorch_cuda::emulator::{self, Order};
use memtorch_devices::models::{
    DataDriven, DataDriven2021, LinearIonDrift, ResistanceLaw, StanfordPku, Vteam,
};
use memtorch_devices::{
    CpuPopulations, Device, DeviceParameters, Distribution, Population, PopulationBackend, Stream, Waveform,
    Window,
};

/// Multiply-adds of a case: the emulator makes some 1e7 a second.
const MOST: usize = 100_000;

fn backend() -> Vec<Arc<dyn ArrayBackend>> {
    vec![memtorch_cuda::open_emulated().unwrap()]
}

fn products_hold(cases: Range<u64>) -> Result<(), String> {
    contract::ties(&backend())?;
    contract::rows(&backend(), cases.clone(), MOST)?;
    contract::patches(&backend(), cases, MOST)
}

const ORDERS: [Order; 3] = [Order::Forward, Order::Reverse, Order::Random(1)];

#[test]
fn products_have_the_bits_of_the_definition_in_every_order_of_threads() {
    for (seed, order) in (0..).zip(ORDERS) {
        emulator::choose(order, "");
        products_hold(seed * 20..seed * 20 + 20).unwrap();
    }
}

#[test]
fn effective_conductances_are_those_of_the_cpu_in_every_order_of_threads() {
    for (seed, order) in (0..).zip(ORDERS) {
        emulator::choose(order, "");
        contract::tiles(&backend(), seed * 12..seed * 12 + 12, 1..14).unwrap();
    }
    // Blocks of more ports than a square has.
    contract::tiles(&backend(), 100..101, 34..40).unwrap();
}

#[test]
fn noise_is_that_of_the_cpu_in_every_order_of_threads() {
    for (seed, order) in (0..).zip(ORDERS) {
        emulator::choose(order, "");
        contract::noise(&backend(), seed * 30..seed * 30 + 30).unwrap();
    }
}

#[test]
fn steps_change_devices_as_the_cpu_does_in_every_order_of_threads() {
    for (seed, order) in (0..).zip(ORDERS) {
        emulator::choose(order, "");
        contract::changes(&backend(), seed * 10..seed * 10 + 10).unwrap();
    }
}

/// 132 multiprocessors at 1.98 GHz: 67 and 34 TFLOP/s, 3.35 TB/s (NVIDIA H100 data sheet, SXM5).
#[test]
fn the_peak_of_an_h100_is_that_of_its_data_sheet() {
    let peak = memtorch_cuda::emulated_peak().unwrap();
    let near = |found: Option<f64>, sheet: f64| (found.unwrap() / sheet - 1.0).abs() < 0.02;
    assert!(
        near(peak.f32_flops, 67e12) && near(peak.f64_flops, 34e12) && near(peak.bytes, 3.35e12),
        "{peak:?}"
    );
    let (held, launches) = memtorch_cuda::launches(|| contract::noise(&backend(), 0..2));
    held.unwrap();
    assert!(launches.iter().any(|launch| launch.kernel == "normal_noise" && launch.seconds > 0.0));
}

#[test]
fn faults_of_kernels_are_noticed() {
    for &(fault, file) in emulator::FAULTS {
        emulator::choose(Order::Random(3), fault);
        let held = match file {
            "reduce" => contract::tiles(&backend(), 0..20, 1..14),
            "change" => contract::changes(&backend(), 0..20),
            "noise" => contract::noise(&backend(), 0..30),
            _ => products_hold(0..60),
        };
        let Err(why) = held else { panic!("nobody notices {fault}") };
        let complaint = emulator::complaint();
        let expected = match fault {
            "missing_barrier" | "late_barrier" => "race on shared memory",
            "divergent_barrier" => "barrier that not all threads reach",
            _ if fault.starts_with("race") => "race on shared memory",
            _ if fault.starts_with("tail_of_") && fault != "tail_of_tile" => "beyond an allocation",
            _ => "",
        };
        assert!(complaint.contains(expected), "{fault}: {complaint}");
        let wrong =
            ["those of the definition", "that of the definition"].iter().any(|said| why.contains(said));
        assert_eq!(complaint.is_empty(), wrong, "{fault}: {complaint}, {why}");
    }
}

#[test]
fn buffers_are_freed_and_streams_used_again() {
    let held = || {
        let layout = Layout::new(1, 40, 30, TileShape::Sized { word_lines: 16, bit_lines: 16 }).unwrap();
        let backend = memtorch_cuda::open_emulated().unwrap();
        let operands = [1.0, 2.0].map(|g| backend.pack(&layout, &[g; 1200]).unwrap());
        for (operand, g) in operands.iter().zip([1.0, 2.0]).cycle().take(6) {
            let mut output = [0.0; 60];
            let input = Input::Rows { values: &[0.5; 80], rows: 2 };
            let product = Product { input, converter: &Ideal, accumulate: Accumulate::Set };
            // From a thread that has not used the GPU before.
            std::thread::scope(|scope| {
                scope.spawn(|| backend.multiply(operand, &product, &mut output)).join().unwrap().unwrap();
            });
            assert_eq!(output, [20.0 * g; 60]);
        }
        contract::tiles(&[Arc::clone(&backend)], 1..2, 5..6).unwrap();
        contract::noise(&[Arc::clone(&backend)], 1..2).unwrap();
        contract::changes(&[Arc::clone(&backend)], 1..2).unwrap();
        drop(backend);
        // Operands outlive their backend, and may be dropped anywhere.
        std::thread::spawn(move || drop(operands)).join().unwrap();
    };
    // Other tests of this process may have buffers at the same time.
    emulator::choose(Order::Forward, "");
    let lowest = |rounds: usize| (0..rounds).map(|_| emulator::allocations()).min();
    held();
    let before = lowest(1000);
    (0..20).for_each(|_| held());
    assert!(lowest(1000) <= before.map(|n| n + 19), "20 rounds leave {:?} buffers of {before:?}", lowest(1));
}

/// Models in all their variants, with a parameter that differs between devices.
fn models() -> Vec<(Arc<dyn Device>, &'static str, f64)> {
    let mut all: Vec<(Arc<dyn Device>, &'static str, f64)> = Vec::new();
    for window in [Window::None, Window::Joglekar, Window::Biolek, Window::Prodromakis, Window::Team] {
        let mut bent = Vteam { window, resistance: ResistanceLaw::Exponential, ..Vteam::default() };
        bent.parameters.alpha_on = 2.7;
        bent.parameters.window_p = 1.3;
        bent.a_off = Some(2.5e-9);
        all.push((Arc::new(bent), "r_off", 0.05));
        all.push((Arc::new(Vteam { window, ..Vteam::default() }), "v_on", 0.05));
        if window != Window::Team {
            all.push((Arc::new(LinearIonDrift { window, ..LinearIonDrift::default() }), "d", 0.05));
        }
    }
    all.push((Arc::new(DataDriven::default()), "rate_n", 0.2));
    all.push((Arc::new(DataDriven2021::default()), "r_off", 0.05));
    for dynamic in [false, true] {
        all.push((Arc::new(StanfordPku { dynamic, time_step: 1e-9, ..StanfordPku::default() }), "e_a", 0.01));
    }
    all
}

#[test]
fn populations_have_the_bits_of_the_cpu() {
    let gpu = memtorch_cuda::open_emulated_populations().unwrap();
    for (case, (model, varied, spread)) in models().into_iter().enumerate() {
        assert!(memtorch_cuda::steps_on_gpu(&*model), "{model:?}");
        emulator::choose([Order::Forward, Order::Reverse, Order::Random(9)][case % 3], "");
        // A tail in the last block; devices numbered beyond 32 bits.
        let count = 150;
        let mut parameters = DeviceParameters::new(Arc::clone(&model), count);
        let at = model.parameter_names().iter().position(|name| *name == varied).unwrap();
        let mean = model.values()[at];
        let distribution = Distribution::normal(mean, (spread * mean).abs()).unwrap();
        let places = |devices: Range<usize>| devices.map(|device| [device as u32, 0, 0]).collect();
        parameters.vary(&[(varied, distribution)], Stream::root(5, 0), &places).unwrap();
        let mut population = Population::new(parameters, Stream::root(6, 0)).starting_at((1 << 32) - 70);
        let (low, high) = (1.0 / model.r_off(), 1.0 / model.r_on());
        let targets: Vec<f64> = (0..count).map(|i| low + (high - low) * (i as f64 + 0.5) / 150.0).collect();
        population.set_conductances(&targets).unwrap();
        let mut other = population.clone();
        // Strong voltages move devices into their bounds, weak ones hardly.
        let common: Vec<f64> = (0..40).map(|k| 1.5 * (0.37 * f64::from(k)).sin()).collect();
        let each: Vec<f64> = (0..20 * count).map(|k| 1.5 * (0.73 * k as f64).sin()).collect();
        let before = population.states().to_vec();
        let time = model.time_step();
        let waveforms = [
            (Waveform::Common(&common), time),
            (Waveform::Each { voltages: &each, devices: count }, 0.1 * time),
            (Waveform::Common(&common[..7]), 10.0 * time),
            (Waveform::Common(&[]), time),
        ];
        for (waveform, dt) in waveforms {
            gpu.advance(&mut population, waveform, dt).unwrap();
            other.advance(waveform, dt).unwrap();
            for (device, (found, expected)) in population.states().iter().zip(other.states()).enumerate() {
                assert_eq!(
                    found.to_bits(),
                    expected.to_bits(),
                    "{model:?}, device {device}: {found} {expected}"
                );
            }
        }
        assert_ne!(population.states(), &before[..], "{model:?} never moves");
        let [found, expected] = [&*gpu, &CpuPopulations as &dyn PopulationBackend].map(|backend| {
            let mut population = population.clone();
            let recording = backend.record(&mut population, &common, time).unwrap();
            let bits = |list: &[f64]| list.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            let end = bits(population.states());
            [bits(&recording.currents), bits(&recording.states), bits(&recording.conductances), end]
        });
        assert!(found == expected, "{model:?}: another record");
        assert!(gpu.advance(&mut population, Waveform::Common(&common), f64::NAN).is_err());
        let few = Waveform::Each { voltages: &each, devices: count - 1 };
        assert!(gpu.advance(&mut population, few, time).is_err());
    }
}
