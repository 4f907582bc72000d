//! Writing VTEAM arrays by pulses: time on one thread, and how it grows.
//!
//! `cargo bench --bench programming`. Random targets over the whole range, from the ON state, adaptive pulses,
//! 0.01 of the range. The published tool takes 5.2 s for 16 x 16 passive devices. Where lines have resistance (2 ohm
//! sources, 0.2 ohm segments) devices have 10 kilo-ohm to 200 kilo-ohm, and the table says how often the network was
//! solved and how far the conductances are from those with a network that is solved at every pulse (up to 32 x 32).

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::Criterion;
use memtorch_crossbar::programming::{Bias, Cell, Order, Programmer, ProgrammingReport, Resistances};
use memtorch_crossbar::{Array, Layout, TileShape};
use memtorch_devices::models::Vteam;
use memtorch_devices::{Device, DeviceSpec, Stream};

/// The published devices, or those for lines with resistance.
fn device(wires: bool) -> Vteam {
    let mut device = Vteam::default();
    if wires {
        (device.parameters.r_on, device.parameters.r_off) = (1e4, 2e5);
    }
    device
}

/// Devices in their ON state, and what they shall conduct.
fn array(n: usize, wires: bool) -> (Array, Vec<f64>) {
    let device = Arc::new(device(wires));
    let layout = Layout::new(1, n, n, TileShape::Layer).expect("a layout");
    let (mut array, _) =
        Array::fabricate(layout, &DeviceSpec::new(device.clone()), Stream::root(0, 0)).expect("devices");
    array.conductances_mut().fill(device.start_conductance());
    let (low, high) = (1.0 / Device::r_off(&*device), 1.0 / Device::r_on(&*device));
    let stream = Stream::root(1, 0);
    let target = |k: usize| low + (high - low) * stream.at([k as u32, 0, 0]).uniform();
    (array, (0..n * n).map(target).collect())
}

fn programmer(cell: Cell, wires: bool) -> Programmer {
    let mut programmer = Programmer::of(&device(wires)).expect("pulses");
    programmer.cell = cell;
    if wires {
        programmer.resistances = Resistances { source: 2.0, line: 0.2, transistor: 0.0 };
    }
    programmer
}

fn write(programmer: &Programmer, n: usize) -> (ProgrammingReport, Vec<f64>, f64) {
    let (mut array, targets) = array(n, !programmer.resistances.is_ideal());
    let start = Instant::now();
    let report = programmer.program(&mut array, &targets, Stream::root(2, 0)).expect("pulses");
    (report, array.conductances().to_vec(), start.elapsed().as_secs_f64())
}

fn table() {
    println!(
        "|    n | cells             |      ms | pulses a device | reached % | solutions | off by, of the range |"
    );
    println!(
        "|------|-------------------|---------|-----------------|-----------|-----------|----------------------|"
    );
    let passive = |bias| Cell::Passive { bias, order: Order::RowMajor };
    for n in [16, 32, 64, 128] {
        for (name, cell, wires) in [
            ("1t1r", Cell::Transistor, false),
            ("0t1r half", passive(Bias::Half), false),
            ("0t1r third", passive(Bias::Third), false),
            ("0t1r floating", passive(Bias::Floating), false),
            ("0t1r half, wires", passive(Bias::Half), true),
            ("0t1r third, wires", passive(Bias::Third), true),
        ] {
            let programmer = programmer(cell, wires);
            let (report, conductances, mut seconds) = write(&programmer, n);
            if seconds < 0.2 {
                seconds = (0..5).map(|_| write(&programmer, n).2).fold(seconds, f64::min);
            }
            let off = if wires && n <= 32 {
                let exact = Programmer { voltage_error: 0.0, ..programmer };
                let (_, exact, _) = write(&exact, n);
                let range = 1.0 / 1e4 - 1.0 / 2e5;
                let differences = conductances.iter().zip(&exact).map(|(a, b)| (a - b).abs() / range);
                format!("{:.1e}", differences.fold(0.0, f64::max))
            } else {
                "-".to_owned()
            };
            println!(
                "| {n:>4} | {name:<17} | {:>7.1} | {:>15.1} | {:>9.2} | {:>9} | {off:>20} |",
                1e3 * seconds,
                report.pulses as f64 / report.devices as f64,
                100.0 * report.within_tolerance as f64 / report.devices as f64,
                report.solutions,
            );
        }
    }
}

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first pool");
    // `cargo test` runs benches too, to see that they work: a table takes too long for that.
    if std::env::args().any(|argument| argument == "--bench") {
        table();
    }
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    support::peak(&mut criterion);
    let mut group = criterion.benchmark_group("programming/16");
    let half = Cell::Passive { bias: Bias::Half, order: Order::RowMajor };
    for (name, cell, wires) in
        [("1t1r", Cell::Transistor, false), ("0t1r half", half, false), ("0t1r half, wires", half, true)]
    {
        let programmer = programmer(cell, wires);
        group.bench_function(name, |b| b.iter(|| black_box(write(&programmer, 16))));
    }
    group.finish();
    criterion.final_summary();
}
