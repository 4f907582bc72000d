//! What is derived from solved circuits: powers, drops, sensitivities; Newton's method at its ends.

mod reference;

use memtorch_crossbar::ndarray::{Array1, Array2, Axis};
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

#[test]
fn steep_laws_converge_and_impossible_ones_say_so() {
    let (circuit, word, _) = example(16, 16, Wiring::new(100.0, 20.0));
    let w = word.mapv(|v| 10.0 * v).insert_axis(Axis(0));
    let zero = Array2::zeros((1, 16));
    // sinh(15) is 1.6e6: the devices hold the voltage down, the wires take it.
    let law = Sinh::new(5.0).unwrap();
    let found = Newton::default().solve(&circuit, &law, w.view(), zero.view(), Detail::Nodes).unwrap();
    let point = OperatingPoint::new(&circuit, &law, &found, 0, w.row(0), zero.row(0)).unwrap();
    let columns = point.device_currents.sum_axis(Axis(0));
    let size = point.device_currents.mapv(f64::abs).sum_axis(Axis(0));
    for ((a, b), size) in columns.iter().zip(found.column_currents.row(0)).zip(&size) {
        assert!((a - b).abs() < 1e-8 * size, "{a:e} {b:e}");
    }
    let short = Newton { max_steps: 1, ..Newton::default() };
    let error = short.solve(&circuit, &law, w.view(), zero.view(), Detail::Currents).unwrap_err();
    assert!(error.to_string().contains("Newton's method, input 0 did not converge"), "{error}");
    // Devices of 1e19 times the wires' conductance are beyond what digits are left: an error, no NaN.
    let beyond = Sinh::new(20.0).unwrap();
    if let Ok(found) = Newton::default().solve(&circuit, &beyond, w.view(), zero.view(), Detail::Currents) {
        assert!(found.column_currents.iter().all(|i| i.is_finite()));
    }
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
