//! What other cells of an array see, and in what order cells are written.

use std::sync::Arc;

use memtorch_crossbar::programming::{
    Bias, Cell, Order, Programmer, PulseScheme, Resistances, Tolerance, Verify,
};
use memtorch_crossbar::{Mask, TileShape};
use memtorch_devices::models::{StanfordPku, Vteam};
use memtorch_devices::{Device, DeviceSpec, Distribution};

use super::{array, fixed, passive, program, started, targets};

/// One cell is written; all others are where they should be. By how many ohms these move: the sum, the most.
fn disturbance(bias: Bias, reset: f64) -> (f64, f64) {
    let device: Arc<dyn Device> = Arc::new(Vteam::default());
    let start = device.start_conductance();
    let mut targets = vec![start; 64];
    targets[27] = 0.5 * start;
    let mut programmer = fixed(-0.21, reset, 2);
    // Others may move a little without being written.
    programmer.tolerance = Tolerance::Range(0.3);
    programmer.cell = passive(bias);
    programmer.max_pulses = 1000;
    let mut array = started(device, [8, 8]);
    let report = program(&programmer, &mut array, &targets);
    assert!(report.device_pulses[27] > 10);
    assert_eq!(report.pulses, u64::from(report.device_pulses[27]), "no other cell was written");
    let moved = array.conductances().iter().enumerate().filter(|(at, _)| *at != 27);
    let moved = moved.map(|(_, g)| 1.0 / g - 50.0).fold((0.0, 0.0f64), |(s, m), d| (s + d, m.max(d)));
    (moved.0, moved.1)
}

#[test]
fn a_third_disturbs_less_than_a_half_where_the_threshold_says_so() {
    // v_off is 0.02 V: half of 0.05 V is above it, a third below.
    assert!(disturbance(Bias::Half, 0.05).1 > 0.0);
    assert_eq!(disturbance(Bias::Third, 0.05), (0.0, 0.0));
    // Half of 0.04 V is the threshold itself, which moves nothing.
    assert_eq!(disturbance(Bias::Half, 0.04), (0.0, 0.0));
    // At 0.08 V the velocities are as (2 - 1) to (4/3 - 1): a third moves the same cells a third as far, and
    // -0.027 V on the rest moves nothing.
    let ratio = disturbance(Bias::Third, 0.08).0 / disturbance(Bias::Half, 0.08).0;
    assert!((ratio - 1.0 / 3.0).abs() < 1e-9, "{ratio}");
    // The other way round where -V/3 is above a threshold: a pulse of -0.3 V puts +0.1 V on all the rest.
    let device: Arc<dyn Device> = Arc::new(Vteam::default());
    let rest = |bias| {
        let mut array = array(&DeviceSpec::new(device.clone()), [8, 8], TileShape::Layer);
        array.conductances_mut().fill(0.01);
        let mut targets = vec![0.01; 64];
        targets[27] = 0.02;
        let mut programmer = fixed(-0.3, 0.04, 1);
        programmer.cell = passive(bias);
        programmer.tolerance = Tolerance::Range(0.3);
        program(&programmer, &mut array, &targets);
        (array.conductances()[0] - 0.01).abs()
    };
    assert_eq!(rest(Bias::Half), 0.0);
    assert!(rest(Bias::Third) > 0.0);
}

#[test]
fn far_cells_need_more_pulses_where_lines_have_resistance() {
    let device: Arc<dyn Device> = Arc::new(Vteam { time_step: 1e-10, ..Vteam::default() });
    let n = 12;
    let targets = vec![0.5 / 50.0; n * n];
    for (cell, line) in [(Cell::Transistor, 1.0), (passive(Bias::Half), 0.05)] {
        let pulses = |line: f64| {
            let mut programmer = fixed(-0.23, 0.04, 10);
            programmer.max_pulses = 2000;
            programmer.cell = cell;
            programmer.resistances = Resistances { source: 0.0, line, transistor: 0.0 };
            let mut array = started(device.clone(), [n, n]);
            let report = program(&programmer, &mut array, &targets);
            assert!(report.missed.is_empty(), "{:?}", report.missed.first());
            report.device_pulses
        };
        let (without, with) = (pulses(0.0), pulses(line));
        assert!(without.iter().all(|n| *n == without[0]), "without wires all cells are alike");
        // The driver is at the left end of a word line, the sink at the lower end of a bit line.
        let (near, far) = (with[(n - 1) * n], with[n - 1]);
        assert!(near >= without[0] && far > near + near / 20, "{cell:?}: {} {near} {far}", without[0]);
        let away = |k: usize| k % n + (n - 1 - k / n);
        if cell == Cell::Transistor {
            for a in 0..n * n {
                assert!((0..n * n).all(|b| away(a) >= away(b) || with[a] <= with[b]), "cell {a}");
            }
        }
    }
}

#[test]
fn open_lines_and_other_models_keep_the_sum_of_currents() {
    // The energy of a short pulse is what the driver delivers: V times the current of the selected word line.
    let device: Arc<dyn Device> = Arc::new(StanfordPku { time_step: 1e-13, ..StanfordPku::default() });
    let mut array = array(&DeviceSpec::new(device.clone()), [6, 5], TileShape::Layer);
    let spread = targets(&*device, 30);
    array.conductances_mut().copy_from_slice(&spread);
    let before = array.clone();
    let mut programmer = Programmer::of(&*device).unwrap();
    programmer.scheme = PulseScheme::Fixed;
    programmer.pulse_width = 1e-13;
    programmer.cell = passive(Bias::Floating);
    programmer.voltage_error = 0.0;
    programmer.max_pulses = 1;
    programmer.record = true;
    let mut targets = spread.clone();
    targets[12] = spread[12] * 0.5;
    let report = program(&programmer, &mut array, &targets);
    assert_eq!(report.pulses, 1);
    // Both lines of the cell are driven, each through a resistance of 1e-9 of r_on; at 1.4 V devices conduct up to
    // (sinh 5.6 / 5.6) / (sinh 0.4 / 0.4) = 24 times as well as when they are read, and two lines bring their currents.
    let voltage = report.record[0].voltage;
    assert!((voltage / -1.4 - 1.0).abs() < 2e-7, "{voltage}");
    // An independent way to the same currents: relaxation of one open line after another.
    let g = before.conductances();
    let gap = |g: f64| 0.25e-9 * (1e-3 * (0.1f64 / 0.25).sinh() / (g * 0.1)).ln();
    let current = |k: usize, v: f64| 1e-3 * (-gap(g[k]) / 0.25e-9).exp() * (v / 0.25).sinh();
    let (mut word, mut bit) = ([0.0f64; 6], [0.0f64; 5]);
    word[2] = -1.4;
    let bisect = |sum: &dyn Fn(f64) -> f64| {
        let (mut low, mut high) = (-1.4, 0.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if sum(middle) > 0.0 { high = middle } else { low = middle }
        }
        0.5 * (low + high)
    };
    for _ in 0..2000 {
        for i in (0..6).filter(|i| *i != 2) {
            word[i] = bisect(&|v| (0..5).map(|j| current(i * 5 + j, v - bit[j])).sum());
        }
        for j in (0..5).filter(|j| *j != 2) {
            bit[j] = bisect(&|v| (0..6).map(|i| -current(i * 5 + j, word[i] - v)).sum());
        }
    }
    let all = (0..30).map(|k| (word[k / 5] - bit[k % 5], k));
    let energy: f64 = all.map(|(v, k)| v * current(k, v)).sum::<f64>() * 1e-13;
    assert!((report.energy / energy - 1.0).abs() < 1e-6, "{:e} {energy:e}", report.energy);
    let delivered: f64 = (0..5).map(|j| -1.4 * current(10 + j, -1.4 - bit[j])).sum::<f64>() * 1e-13;
    assert!((report.energy / delivered - 1.0).abs() < 1e-6, "{:e} {delivered:e}", report.energy);
}

#[test]
fn results_do_not_depend_on_threads() {
    let spread = |mean: f64| Distribution::normal(mean, 0.05 * mean).unwrap();
    let device: Arc<dyn Device> = Arc::new(Vteam::default());
    let spec = DeviceSpec {
        model: device.clone(),
        distributions: vec![("r_off", spread(1000.0)), ("k_off", spread(5e-4))],
    };
    let targets = targets(&*device, 20 * 30);
    for cell in [Cell::Transistor, Cell::Passive { bias: Bias::Half, order: Order::Random }] {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let tile = TileShape::Sized { word_lines: 8, bit_lines: 16 };
                let mut array = array(&spec, [20, 30], tile);
                array.add_masks(&[(3, Mask::Lrs), (77, Mask::Unformed(Some(2e3)))]).unwrap();
                let mut programmer = Programmer::of(&*device).unwrap();
                programmer.cell = cell;
                programmer.passes = 2;
                programmer.max_pulses = 60;
                programmer.record = true;
                programmer.verify = Verify { read_voltage: Some(0.015), noise: 0.002 };
                let report = program(&programmer, &mut array, &targets);
                (report, array.conductances().to_vec())
            })
        };
        let (report, conductances) = run(1);
        assert_eq!((report.clone(), conductances.clone()), run(3));
        assert_eq!((conductances[3], conductances[77]), (1.0 / 50.0, 1.0 / 2e3), "masked devices stay");
        assert!(report.within_tolerance > 500, "{}", report.within_tolerance);
        let wrong = conductances.iter().zip(&targets).filter(|(g, t)| (*g - *t).abs() > report.tolerance);
        assert_eq!(wrong.count(), report.missed.len());
    }
}

/// Half of these pulses moves nothing, so that what each pass begins with is what the visits before left.
#[test]
fn cells_are_visited_in_the_order_that_was_asked_for() {
    let device: Arc<dyn Device> = Arc::new(Vteam::default());
    let targets = targets(&*device, 12 * 9);
    let written = |order: Order| {
        let mut programmer = Programmer::of(&*device).unwrap();
        programmer.cell = Cell::Passive { bias: Bias::Half, order };
        programmer.max_pulses = 6;
        programmer.passes = 3;
        programmer.record = true;
        let mut array = started(device.clone(), [12, 9]);
        let report = program(&programmer, &mut array, &targets);
        (report, array.conductances().to_vec())
    };
    let (rows, conductances) = written(Order::RowMajor);
    let mut orders = Vec::new();
    for order in [Order::RowMajor, Order::Random, Order::WorstFirst] {
        let (report, found) = written(order);
        assert_eq!(
            (&found, report.pulses),
            (&conductances, rows.pulses),
            "{order:?}: cells see only their own pulses"
        );
        let mut g = vec![device.start_conductance(); targets.len()];
        for pass in 0..3 {
            let visits: Vec<_> = report.record.iter().filter(|pulse| pulse.pass == pass).collect();
            let mut found: Vec<usize> = visits.iter().map(|pulse| pulse.device).collect();
            found.dedup();
            let error = |at: usize| (g[at] - targets[at]).abs();
            let mut expected: Vec<usize> =
                (0..targets.len()).filter(|at| error(*at) > report.tolerance).collect();
            assert!(expected.len() > 20, "{order:?}, pass {pass}: {}", expected.len());
            match order {
                Order::WorstFirst => expected.sort_by(|a, b| error(*b).total_cmp(&error(*a))),
                Order::Random => {
                    orders.push(found.clone());
                    found.sort_unstable();
                }
                _ => {}
            }
            assert_eq!(found, expected, "{order:?}, pass {pass}");
            visits.iter().for_each(|pulse| g[pulse.device] = pulse.after);
        }
    }
    // Another order in each pass, and none of them sorted: the mean of neighbouring differences is a third.
    assert_ne!(orders[0], orders[1]);
    let jumps =
        orders[0].windows(2).map(|pair| pair[0].abs_diff(pair[1])).sum::<usize>() / (orders[0].len() - 1);
    assert!((24..=48).contains(&jumps), "{jumps} of 108");
}
