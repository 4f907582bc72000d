//! What is derived from solved circuits: powers, drops, sensitivities; Newton's method at its ends.

mod reference;

use memtorch_crossbar::ndarray::{Array1, Array2, Axis, s};
use memtorch_crossbar::passive::{
    Auto, ConjugateGradients, Detail, DeviceLaw, Newton, Ohmic, OperatingPoint, PassiveCircuit,
    PassiveSolver, Sinh, Wiring, netlist, reduce, sensitivity,
};
use reference::{Numbers, worst};

fn example(m: usize, n: usize, wiring: Wiring) -> (PassiveCircuit, Array1<f64>, Array1<f64>) {
    let mut numbers = Numbers(70);
    let circuit = PassiveCircuit::new(numbers.conductances(m, n, 1e-6, 1e-3), wiring).unwrap();
    (circuit, numbers.voltages(m).into(), numbers.voltages(n).into())
}

#[test]
fn power_is_kept_and_devices_follow_their_law() {
    for wiring in [Wiring::new(20.0, 3.0), Wiring::both_sides(5.0, 2.0), Wiring::new(0.0, 4.0)] {
        let (circuit, word, bit) = example(11, 8, wiring);
        let (w, b) = (word.view().insert_axis(Axis(0)), bit.view().insert_axis(Axis(0)));
        let law = Sinh::new(3.0).unwrap();
        let linear = Auto::default().solve(&circuit, w, b, Detail::Nodes).unwrap();
        let bent = Newton::default().solve(&circuit, &law, w, b, Detail::Nodes).unwrap();
        for (solution, law) in [(&linear, &Ohmic as &dyn DeviceLaw), (&bent, &law)] {
            let point = OperatingPoint::new(&circuit, law, solution, 0, word.view(), bit.view()).unwrap();
            let power = point.power;
            let kept = power.sources - power.devices - power.wires;
            assert!(kept.abs() < 1e-10 * power.sources, "{wiring:?}: {power:?}");
            assert!(power.devices > 0.0 && power.wires > 0.0);
            // Columns and rows of device currents end in sinks and sources.
            let columns = point.device_currents.sum_axis(Axis(0));
            let rows = point.device_currents.sum_axis(Axis(1));
            let size = point.device_currents.mapv(f64::abs).sum();
            for (a, b) in columns.iter().zip(solution.column_currents.row(0)) {
                assert!((a - b).abs() < 1e-10 * size);
            }
            for (a, b) in rows.iter().zip(solution.source_currents.row(0)) {
                assert!((a - b).abs() < 1e-10 * size);
            }
            let largest = point.lost.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            assert_eq!(point.worst_drop.lost.abs(), largest);
        }
    }
}

#[test]
fn the_sensitivity_is_the_derivative_of_the_double_double_solution() {
    let (circuit, word, bit) = example(6, 5, Wiring::new(30.0, 10.0));
    let g = circuit.conductances().to_owned();
    let column = 2;
    let found =
        sensitivity(&circuit, &ConjugateGradients::default(), word.view(), bit.view(), column).unwrap();
    let current = |g: &Array2<f64>| {
        reference::solve(g, circuit.wiring(), word.as_slice().unwrap(), bit.as_slice().unwrap()).currents
            [column]
    };
    for i in 0..6 {
        for j in 0..5 {
            // Central differences: the error is of second order in the step, 1e-4 of the device.
            let step = 1e-4 * g[(i, j)];
            let (mut more, mut less) = (g.clone(), g.clone());
            more[(i, j)] += step;
            less[(i, j)] -= step;
            let expected = (current(&more) - current(&less)) / (2.0 * step);
            let error = (found[(i, j)] - expected).abs();
            // The difference of two currents, rounded, over the step.
            assert!(error < 1e-6 * expected.abs() + 1e-19 / step, "{i}, {j}: {} {expected}", found[(i, j)]);
        }
    }
    assert!(sensitivity(&circuit, &Auto::default(), word.view(), bit.view(), 5).is_err());
}

#[test]
fn newton_of_ohmic_devices_is_the_linear_solution_and_of_an_ideal_array_the_law_itself() {
    let (circuit, word, bit) = example(14, 9, Wiring::new(10.0, 5.0));
    let (w, b) = (word.view().insert_axis(Axis(0)), bit.view().insert_axis(Axis(0)));
    let found = Newton::default().solve(&circuit, &Ohmic, w, b, Detail::Currents).unwrap();
    let size = reduce(&circuit).conductances.sum() * 0.3;
    let expected = reduce(&circuit).column_currents(w, b);
    assert!((&found.column_currents - &expected).iter().all(|e| e.abs() < 1e-11 * size));
    let (circuit, word, _) = example(7, 6, Wiring::new(0.0, 0.0));
    let zero = Array2::zeros((1, 6));
    let law = Sinh::new(8.0).unwrap();
    let w = word.view().insert_axis(Axis(0));
    let found = Newton::default().solve(&circuit, &law, w, zero.view(), Detail::Currents).unwrap();
    let expected = word.mapv(|v| (8.0 * v).sinh() / 8.0).dot(&circuit.conductances());
    assert!(worst(&found.column_currents, &expected) < 1e-12);
}

/// `i = g tanh(b v) / b`: next to no slope where it saturates.
#[derive(Debug)]
struct Saturating(f64);

impl DeviceLaw for Saturating {
    fn current_and_slope(&self, conductance: f64, voltage: f64, _place: [usize; 2]) -> (f64, f64) {
        let x = (self.0 * voltage).tanh();
        (conductance * x / self.0, conductance * (1.0 - x * x))
    }
}

/// A kink at 0.1 V, from which on the slope is so many times what it was.
#[derive(Debug)]
struct Kinked(f64);

impl DeviceLaw for Kinked {
    fn current_and_slope(&self, conductance: f64, voltage: f64, _place: [usize; 2]) -> (f64, f64) {
        let beyond = voltage.abs() - 0.1;
        if beyond < 0.0 {
            return (conductance * voltage, conductance);
        }
        ((conductance * (0.1 + self.0 * beyond)).copysign(voltage), self.0 * conductance)
    }
}

/// A network of currents that rise with their voltages has one solution only: voltages whose device
/// currents are what flows in the wires are it.
#[test]
fn steep_saturating_and_kinked_laws_are_solved() {
    let laws: Vec<Box<dyn DeviceLaw>> = vec![
        Box::new(Sinh::new(5.0).unwrap()),
        Box::new(Sinh::new(20.0).unwrap()),
        Box::new(Sinh::new(60.0).unwrap()),
        Box::new(Sinh::new(400.0).unwrap()),
        Box::new(Saturating(20.0)),
        Box::new(Saturating(100.0)),
        Box::new(Kinked(50.0)),
        Box::new(Kinked(0.01)),
    ];
    let mut numbers = Numbers(72);
    for (m, n, high) in [(1, 1, 1e-3), (16, 16, 1e-3), (13, 30, 1e-4), (9, 1, 1e-3)] {
        let g = numbers.conductances(m, n, 1e-7, high);
        let (word, bit) = (numbers.voltages(m), numbers.voltages(n));
        // Up to 1.5 V across a device, with either sign.
        let word: Array1<f64> = word.iter().map(|v| 4.0 * v).collect();
        let bit: Array1<f64> = bit.into();
        for (source, line) in [(100.0, 20.0), (2.0, 2.0), (1e-3, 1e-3), (500.0, 1e-3), (1e-3, 300.0)] {
            let circuit = PassiveCircuit::new(g.clone(), Wiring::new(source, line)).unwrap();
            for law in &laws {
                let (w, b) = (word.view().insert_axis(Axis(0)), bit.view().insert_axis(Axis(0)));
                let found = Newton::default().solve(&circuit, &**law, w, b, Detail::Nodes).unwrap();
                let point =
                    OperatingPoint::new(&circuit, &**law, &found, 0, word.view(), bit.view()).unwrap();
                let nodes = point.node_voltages;
                // Along a line: what flows in a segment is what the devices beyond it take.
                let check = |voltages: Vec<f64>, devices: Vec<f64>, name: &str| {
                    let size: f64 = devices.iter().map(|i| i.abs()).sum();
                    let largest = voltages.iter().fold(0.0f64, |largest, v| largest.max(v.abs()));
                    for k in 0..devices.len() {
                        let beyond: f64 = devices[k..].iter().sum();
                        let ohm = if k == 0 { source } else { line };
                        let error = (voltages[k] - voltages[k + 1] - ohm * beyond).abs();
                        // Voltages are rounded; a law makes b times as much of it, and a wire its share.
                        let rounding = 4.0 * f64::EPSILON * largest * devices.len() as f64;
                        assert!(
                            error <= rounding + 1e-9 * ohm * size,
                            "{law:?}: {m} x {n}, {source} and {line} ohm, {name}, segment {k}: {error:e} V"
                        );
                    }
                };
                for i in 0..m {
                    let row = nodes.slice(s![0, i, ..]);
                    let voltages = std::iter::once(word[i]).chain(row.iter().copied()).collect();
                    check(voltages, point.device_currents.row(i).to_vec(), "word line");
                }
                for j in 0..n {
                    let column = nodes.slice(s![1, ..;-1, j]);
                    let voltages = std::iter::once(bit[j]).chain(column.iter().copied()).collect();
                    let devices = point.device_currents.slice(s![..;-1, j]).mapv(|i| -i).to_vec();
                    check(voltages, devices, "bit line");
                }
            }
        }
    }
}

#[test]
fn newton_that_does_not_converge_says_how_far_it_came() {
    let (circuit, word, _) = example(16, 16, Wiring::new(100.0, 20.0));
    let (w, zero) = (word.mapv(|v| 10.0 * v).insert_axis(Axis(0)), Array2::zeros((1, 16)));
    let law = Sinh::new(5.0).unwrap();
    let short = Newton { max_steps: 3, ..Newton::default() };
    let error = short.solve(&circuit, &law, w.view(), zero.view(), Detail::Currents).unwrap_err().to_string();
    assert!(error.starts_with("Newton's method, input 0 did not converge in "), "{error}");
    let residual: f64 = error.split("residual ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(residual > 1e-12, "{error}");
    // Without wires nothing keeps currents within what a number holds.
    let circuit = PassiveCircuit::new(circuit.conductances().to_owned(), Wiring::new(0.0, 0.0)).unwrap();
    let beyond = Sinh::new(5e2).unwrap();
    let error = Newton::default().solve(&circuit, &beyond, w.view(), zero.view(), Detail::Currents);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("largest current of input 0"), "{error}");
    assert!(Sinh::new(0.0).is_err() && Sinh::new(f64::NAN).is_err());
}

#[test]
fn the_netlist_has_every_element_once_and_names_it() {
    let mut g = Numbers(71).conductances(3, 4, 1e-6, 1e-3);
    g[(1, 2)] = 0.0;
    let circuit = PassiveCircuit::new(g, Wiring::new(5.0, 2.0)).unwrap();
    let deck = netlist(&circuit, Array1::from_elem(3, 0.1).view(), Array1::zeros(4).view(), None).unwrap();
    let starts = |prefix: &str| deck.lines().filter(|line| line.starts_with(prefix)).count();
    assert_eq!([starts("vw_"), starts("vb_"), starts("rwl_"), starts("rbb_")], [3, 4, 3, 4]);
    assert_eq!([starts("rw_"), starts("rb_"), starts("rd_")], [3 * 3, 4 * 2, 11]);
    assert_eq!([starts("rd_1_2 "), starts("rd_2_3 w_2_3 b_2_3 "), starts("print i(vb_3)")], [0, 1, 1]);
    assert!(netlist(&circuit, Array1::zeros(2).view(), Array1::zeros(4).view(), None).is_err());
}
