//! The library against simulations of every device, each with the voltage of its own.

use std::sync::Arc;

use memtorch_crossbar::Array;
use memtorch_crossbar::ndarray::{Array2, s};
use memtorch_crossbar::passive::{Detail, PassiveCircuit, PassiveSolver, SparseLu, Wiring};
use memtorch_crossbar::programming::{Bias, Miss, Programmer, ProgrammingReport, Resistances};
use memtorch_devices::models::Vteam;

use super::{STEP, fixed, passive, program, started, targets};

/// A VTEAM device as its paper says, apart from the library.
#[derive(Clone, Copy)]
struct Paper {
    w: f64,
}

impl Paper {
    fn at(g: f64) -> Self {
        Self { w: 3e-9 * (1.0 / g - 50.0) / 950.0 }
    }

    fn g(self) -> f64 {
        1.0 / (50.0 + 950.0 * self.w / 3e-9)
    }

    /// Steps at a voltage; the energy.
    fn pulse(&mut self, v: f64, steps: u32) -> f64 {
        let mut energy = 0.0;
        for _ in 0..steps {
            energy += v * v * self.g() * STEP;
            let rate = match v {
                v if v > 0.02 => 5e-4 * (v / 0.02 - 1.0),
                v if v < -0.2 => -10.0 * (v / -0.2 - 1.0).powi(3),
                _ => 0.0,
            };
            self.w = (self.w + STEP * rate).clamp(0.0, 3e-9);
        }
        energy
    }
}

/// What the brute-force simulation gives.
struct Brute {
    conductances: Vec<f64>,
    pulses: Vec<u32>,
    energy: f64,
}

/// Writes row by row with pulses that are all alike, and steps every device of the array with the voltage that
/// `voltages` gives for a selected cell.
fn brute_force(
    shape: [usize; 2],
    targets: &[f64],
    (set, reset, steps, max): (f64, f64, u32, u32),
    voltages: impl Fn(&[Paper], [usize; 2], f64) -> Vec<f64>,
) -> Brute {
    let mut devices = vec![Paper::at(1.0 / 50.0); shape[0] * shape[1]];
    let range = 1.0 / 50.0 - 1.0 / 1000.0;
    let (mut pulses, mut energy) = (vec![0; devices.len()], 0.0);
    for at in 0..devices.len() {
        loop {
            let error = targets[at] - devices[at].g();
            if error.abs() / range <= 0.01 || pulses[at] == max {
                break;
            }
            let v = if error > 0.0 { set } else { reset };
            let volts = voltages(&devices, [at / shape[1], at % shape[1]], v);
            energy += devices.iter_mut().zip(&volts).map(|(d, v)| d.pulse(*v, steps)).sum::<f64>();
            pulses[at] += 1;
        }
    }
    Brute { conductances: devices.iter().map(|d| d.g()).collect(), pulses, energy }
}

/// Rounding of some thousands of steps, where the library uses fused operations.
#[track_caller]
fn same(report: &ProgrammingReport, array: &Array, brute: &Brute) {
    assert_eq!(report.device_pulses, brute.pulses);
    for (k, (g, expected)) in array.conductances().iter().zip(&brute.conductances).enumerate() {
        assert!((g / expected - 1.0).abs() < 1e-10, "device {k}: {g:e}, {expected:e}");
    }
    assert!((report.energy / brute.energy - 1.0).abs() < 1e-10, "{:e} {:e}", report.energy, brute.energy);
}

#[test]
fn cells_with_transistors_equal_a_brute_force_simulation() {
    let (device, shape) = (Arc::new(Vteam::default()), [7, 50]);
    let targets = targets(&*device, 350);
    let programmer = fixed(-0.21, 0.05, 40);
    let mut array = started(device, shape);
    let report = program(&programmer, &mut array, &targets);
    let brute = brute_force(shape, &targets, (-0.21, 0.05, 40, 60), |devices, [i, j], v| {
        let selected = i * shape[1] + j;
        (0..devices.len()).map(|k| if k == selected { v } else { 0.0 }).collect()
    });
    same(&report, &array, &brute);
    assert!(report.missed.iter().any(|missed| missed.miss == Miss::Slow), "60 pulses are not always enough");
    let total: u32 = brute.pulses.iter().sum();
    assert_eq!(report.pulses, u64::from(total));
    assert!((report.time / (f64::from(total) * 40.0 * STEP) - 1.0).abs() < 1e-12);
}

/// Half of 0.06 V and a third of 0.08 V move a device, and a third of -0.21 V, with the other sign, too.
#[test]
fn cells_without_transistors_equal_a_brute_force_simulation_of_every_device() {
    let (device, shape) = (Arc::new(Vteam::default()), [6, 9]);
    let targets = targets(&*device, 54);
    for bias in [Bias::Half, Bias::Third] {
        let mut programmer = fixed(-0.21, 0.08, 10);
        programmer.cell = passive(bias);
        let mut array = started(device.clone(), shape);
        let report = program(&programmer, &mut array, &targets);
        let brute = brute_force(shape, &targets, (-0.21, 0.08, 10, 60), |devices, [i, j], v| {
            let part = |row: bool, column: bool| match (bias, row, column) {
                (_, true, true) => v,
                (Bias::Half, false, false) => 0.0,
                (Bias::Half, ..) => v / 2.0,
                (_, false, false) => -v / 3.0,
                _ => v / 3.0,
            };
            (0..devices.len()).map(|k| part(k / shape[1] == i, k % shape[1] == j)).collect()
        });
        same(&report, &array, &brute);
        assert!(report.disturbance.devices > 20, "{bias:?}: {:?}", report.disturbance);
    }
}

#[test]
fn wires_equal_a_brute_force_simulation_with_a_direct_solver_at_every_pulse() {
    let (device, shape) = (Arc::new(Vteam::default()), [5, 7]);
    let targets = targets(&*device, 35);
    for bias in [Bias::Half, Bias::Third] {
        let mut programmer = fixed(-0.23, 0.08, 10);
        programmer.cell = passive(bias);
        programmer.resistances = Resistances { source: 1.5, line: 0.2, transistor: 0.0 };
        programmer.voltage_error = 0.0;
        let mut array = started(device.clone(), shape);
        let report = program(&programmer, &mut array, &targets);
        assert_eq!(report.solutions, report.pulses);
        let [others_word, others_bit] = if bias == Bias::Half { [0.5, 0.5] } else { [1.0 / 3.0, 2.0 / 3.0] };
        let brute = brute_force(shape, &targets, (-0.23, 0.08, 10, 60), |devices, [i, j], v| {
            let g = Array2::from_shape_fn(shape, |(i, j)| devices[i * shape[1] + j].g());
            let circuit = PassiveCircuit::new(g, Wiring::new(1.5, 0.2)).unwrap();
            let word =
                Array2::from_shape_fn((1, shape[0]), |(_, k)| if k == i { v } else { v * others_word });
            let bit =
                Array2::from_shape_fn((1, shape[1]), |(_, k)| if k == j { 0.0 } else { v * others_bit });
            let nodes = SparseLu.solve(&circuit, word.view(), bit.view(), Detail::Nodes).unwrap();
            let nodes = nodes.node_voltages.unwrap();
            (&nodes.slice(s![0, 0, .., ..]) - &nodes.slice(s![0, 1, .., ..])).iter().copied().collect()
        });
        assert_eq!(report.device_pulses, brute.pulses);
        for (g, expected) in array.conductances().iter().zip(&brute.conductances) {
            // Conjugate gradients stop at 1e-13 of the currents.
            assert!((g / expected - 1.0).abs() < 1e-8, "{g:e}, {expected:e}");
        }
        // The same with the network solved only where it matters.
        programmer.voltage_error = 1e-3;
        let mut near = started(device.clone(), shape);
        let seldom = program(&programmer, &mut near, &targets);
        assert!(2 * seldom.solutions < report.solutions, "{} {}", seldom.solutions, report.solutions);
        let range = 1.0 / 50.0 - 1.0 / 1000.0;
        let most = near.conductances().iter().zip(array.conductances());
        let most = most.fold(0.0f64, |most, (a, b)| most.max((a - b).abs() / range));
        assert!(most < 5e-3, "{bias:?}: conductances differ by {most} of the range");
    }
}

/// The voltages across all devices while word line i and bit line j are driven and all others are open: every node, by
/// elimination.
fn open_lines(
    g: &[f64],
    [m, n]: [usize; 2],
    [i, j]: [usize; 2],
    v: f64,
    [source, line]: [f64; 2],
) -> Vec<f64> {
    let (nodes, cells) = (2 * m * n, m * n);
    let mut matrix = vec![vec![0.0; nodes + 1]; nodes];
    let mut join = |a: usize, b: usize, g: f64| {
        for (a, b) in [(a, b), (b, a)] {
            matrix[a][a] += g;
            matrix[a][b] -= g;
        }
    };
    for (k, g) in g.iter().enumerate() {
        join(k, cells + k, *g);
        if k % n > 0 {
            join(k - 1, k, 1.0 / line);
        }
        if k >= n {
            join(cells + k - n, cells + k, 1.0 / line);
        }
    }
    matrix[i * n][i * n] += 1.0 / source;
    matrix[i * n][nodes] += v / source;
    let sink = cells + (m - 1) * n + j;
    matrix[sink][sink] += 1.0 / source;
    for pivot in 0..nodes {
        let row = matrix[pivot].clone();
        for other in matrix.iter_mut().skip(pivot + 1).filter(|other| other[pivot] != 0.0) {
            let share = other[pivot] / row[pivot];
            for k in pivot..=nodes {
                other[k] -= share * row[k];
            }
        }
    }
    let mut at = vec![0.0; nodes];
    for k in (0..nodes).rev() {
        let known: f64 = (k + 1..nodes).map(|other| matrix[k][other] * at[other]).sum();
        at[k] = (matrix[k][nodes] - known) / matrix[k][k];
    }
    (0..cells).map(|k| at[k] - at[cells + k]).collect()
}

#[test]
fn open_lines_with_resistance_equal_a_brute_force_simulation() {
    let (device, shape) = (Arc::new(Vteam::default()), [4, 9]);
    let targets = targets(&*device, 36);
    let mut programmer = fixed(-0.23, 0.08, 10);
    programmer.cell = passive(Bias::Floating);
    let write = |programmer: &Programmer| {
        let mut array = started(device.clone(), shape);
        let report = program(programmer, &mut array, &targets);
        (report, array)
    };
    // Lines without resistance, as a circuit with next to none.
    for (own, [source, line], near) in [([1.5, 0.2], [1.5, 0.2], 1e-8), ([0.0; 2], [1e-5; 2], 1e-4)] {
        programmer.resistances = Resistances { source: own[0], line: own[1], transistor: 0.0 };
        programmer.voltage_error = 0.0;
        let (report, array) = write(&programmer);
        let brute = brute_force(shape, &targets, (-0.23, 0.08, 10, 60), |devices, cell, v| {
            let g: Vec<f64> = devices.iter().map(|device| device.g()).collect();
            open_lines(&g, shape, cell, v, [source, line])
        });
        assert_eq!(report.device_pulses, brute.pulses);
        assert!(report.disturbance.devices > 10, "{:?}", report.disturbance);
        for (g, expected) in array.conductances().iter().zip(&brute.conductances) {
            assert!((g / expected - 1.0).abs() < near, "{g:e}, {expected:e}");
        }
    }
    programmer.resistances = Resistances { source: 1.5, line: 0.2, transistor: 0.0 };
    programmer.voltage_error = 0.0;
    let (report, array) = write(&programmer);
    // The same with the network solved only where it matters.
    programmer.voltage_error = 1e-3;
    let (seldom, near) = write(&programmer);
    assert!(seldom.solutions < report.solutions, "{} {}", seldom.solutions, report.solutions);
    let most = near.conductances().iter().zip(array.conductances());
    let most = most.fold(0.0f64, |most, (a, b)| most.max((a - b).abs() / (1.0 / 50.0 - 1.0 / 1000.0)));
    assert!(most < 5e-3, "conductances differ by {most} of the range");
}
