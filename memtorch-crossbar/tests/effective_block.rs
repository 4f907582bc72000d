//! The used block of a tile: its effective conductances, and its currents where devices are nonlinear.

mod reference;

use memtorch_crossbar::ndarray::{Array2, Axis, s};
use memtorch_crossbar::passive::{
    Detail, DeviceLaw, Newton, NonlinearTile, Ohmic, PassiveCircuit, Sinh, TileCircuit, Unused, Wiring,
    effective_block,
};
use reference::{Numbers, effective, worst};

fn tile(shape: [usize; 2], wiring: Wiring) -> TileCircuit {
    TileCircuit { shape, unused_conductance: 1e-6, unused: Unused::Full, wiring, transistor_resistance: 0.0 }
}

#[test]
fn every_resistance_and_shape_agrees_with_double_double_elimination() {
    let mut numbers = Numbers(5);
    for (m, n) in [(1, 1), (1, 7), (6, 1), (2, 2), (3, 5), (8, 7)] {
        let g = numbers.conductances(m, n, 1e-8, 1e-4);
        for source in [0.0, 1e-9, 1e-3, 2.0, 50.0] {
            for line in [0.0, 1e-9, 1e-3, 2.0, 50.0] {
                let wiring = Wiring::new(source, line);
                let found = effective_block(g.view(), &tile([m, n], wiring)).unwrap();
                let error = worst(&found, &effective(&g, &wiring));
                // Nothing is subtracted, so rounding grows with the number of nodes at most.
                assert!(error < 1e-13, "{m} x {n}, {source} and {line} ohm: {error:e}");
            }
        }
    }
}

#[test]
fn ends_that_are_open_or_driven_and_lines_of_their_own() {
    let mut numbers = Numbers(6);
    let g = numbers.conductances(5, 4, 1e-6, 1e-3);
    for left in [None, Some(3.0)] {
        for right in [None, Some(0.0), Some(7.0)] {
            for top in [None, Some(20.0)] {
                for bottom in [None, Some(1.0)] {
                    let wiring = Wiring {
                        word_left: left,
                        word_right: right,
                        bit_top: top,
                        bit_bottom: bottom,
                        word_line: 2.0,
                        bit_line: 11.0,
                    };
                    let found = effective_block(g.view(), &tile([5, 4], wiring));
                    if (left, right) == (None, None) || (top, bottom) == (None, None) {
                        assert!(found.unwrap_err().to_string().contains("open at both ends"));
                        continue;
                    }
                    let error = worst(&found.unwrap(), &effective(&g, &wiring));
                    assert!(error < 1e-13, "{wiring:?}: {error:e}");
                }
            }
        }
    }
}

#[test]
fn unused_devices_conduct_unless_they_are_absent() {
    let used = Numbers(7).conductances(3, 2, 1e-5, 1e-3);
    let wiring = Wiring::new(10.0, 5.0);
    let mut whole = Array2::from_elem((6, 7), 1e-6);
    whole.slice_mut(s![..3, ..2]).assign(&used);
    let full = effective_block(used.view(), &tile([6, 7], wiring)).unwrap();
    let expected = effective(&whole, &wiring);
    assert!(worst(&full, expected.slice(s![..3, ..2])) < 1e-13);
    let cropped = TileCircuit { unused: Unused::Absent, ..tile([6, 7], wiring) };
    let absent = effective_block(used.view(), &cropped).unwrap();
    assert!(worst(&absent, &effective(&used, &wiring)) < 1e-13);
    assert!(worst(&absent, &full) > 1e-6);
}

#[test]
fn a_transistor_is_in_series_with_its_device() {
    let used = Numbers(8).conductances(3, 4, 1e-5, 1e-3);
    let circuit = TileCircuit { transistor_resistance: 1e3, ..tile([3, 4], Wiring::new(0.0, 0.0)) };
    let found = effective_block(used.view(), &circuit).unwrap();
    assert!(worst(&found, &used.mapv(|g| 1.0 / (1.0 / g + 1e3))) < 1e-15);
}

#[test]
fn without_resistance_the_conductances_come_back_bit_by_bit() {
    let used = Numbers(9).conductances(5, 3, 1e-8, 1e-2);
    assert_eq!(effective_block(used.view(), &tile([8, 8], Wiring::new(0.0, 0.0))).unwrap(), used);
}

#[test]
fn bad_input_is_named() {
    let used = Array2::from_elem((2, 2), 1e-4);
    let good = tile([2, 2], Wiring::new(1.0, 1.0));
    for (bad, words) in [(-1e-4, "word line 1, bit line 0"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let mut g = used.clone();
        g[(1, 0)] = bad;
        assert!(effective_block(g.view(), &good).unwrap_err().to_string().contains(words));
    }
    for wiring in [Wiring::new(-1.0, 1.0), Wiring::new(1.0, f64::NAN), Wiring::new(f64::INFINITY, 1.0)] {
        assert!(effective_block(used.view(), &TileCircuit { wiring, ..good }).is_err());
    }
    assert!(effective_block(used.view(), &TileCircuit { shape: [1, 2], ..good }).is_err());
    assert!(effective_block(Array2::zeros((0, 2)).view(), &good).is_err());
    assert!(effective_block(used.view(), &TileCircuit { transistor_resistance: -1.0, ..good }).is_err());
    assert!(effective_block(used.view(), &TileCircuit { unused_conductance: f64::NAN, ..good }).is_err());
}

#[test]
fn currents_of_ohmic_devices_are_the_product_with_the_effective_conductances() {
    let mut numbers = Numbers(10);
    let used = numbers.conductances(5, 3, 1e-5, 1e-3);
    let word = Array2::from_shape_vec((4, 5), numbers.voltages(20)).unwrap();
    for (wiring, transistor_resistance, unused) in [
        (Wiring::new(10.0, 5.0), 0.0, Unused::Full),
        (Wiring::new(10.0, 5.0), 700.0, Unused::Full),
        (Wiring::new(0.0, 50.0), 700.0, Unused::Absent),
        (Wiring::new(0.0, 0.0), 700.0, Unused::Full),
    ] {
        let circuit = TileCircuit { transistor_resistance, unused, ..tile([7, 9], wiring) };
        let found = NonlinearTile::new(used.view(), &circuit)
            .unwrap()
            .column_currents(&Ohmic, word.view(), &Newton::default())
            .unwrap();
        let effective = effective_block(used.view(), &circuit).unwrap();
        let size = word.mapv(f64::abs).dot(&effective);
        let error = ((found - word.dot(&effective)) / size).fold(0.0f64, |worst, e| worst.max(e.abs()));
        assert!(error < 1e-11, "{circuit:?}: {error:e}");
    }
}

/// Devices that are steeper the farther they lie from the corner.
#[derive(Debug)]
struct Steeper;

impl DeviceLaw for Steeper {
    fn current_and_slope(&self, conductance: f64, voltage: f64, [row, column]: [usize; 2]) -> (f64, f64) {
        Sinh::new(1.0 + (row + 2 * column) as f64).unwrap().current_and_slope(
            conductance,
            voltage,
            [row, column],
        )
    }
}

#[test]
fn currents_of_nonlinear_devices_are_those_of_the_whole_circuit() {
    let mut numbers = Numbers(11);
    let used = numbers.conductances(4, 3, 1e-5, 1e-3);
    let word = Array2::from_shape_vec((3, 4), numbers.voltages(12)).unwrap();
    let circuit = tile([6, 5], Wiring::new(30.0, 20.0));
    let read = NonlinearTile::new(used.view(), &circuit).unwrap();
    let found = read.column_currents(&Steeper, word.view(), &Newton::default()).unwrap();
    let mut whole = Array2::from_elem((6, 5), 1e-6);
    whole.slice_mut(s![..4, ..3]).assign(&used);
    let mut all = Array2::zeros((3, 6));
    all.slice_mut(s![.., ..4]).assign(&word);
    let whole = PassiveCircuit::new(whole, circuit.wiring).unwrap();
    let expected = Newton::default()
        .solve(&whole, &Steeper, all.view(), Array2::zeros((3, 5)).view(), Detail::Currents)
        .unwrap();
    assert_eq!(found, expected.column_currents.slice(s![.., ..3]));
    for (input, row) in found.outer_iter().enumerate() {
        let alone = word.row(input).insert_axis(Axis(0));
        let alone = read.column_currents(&Steeper, alone, &Newton::default()).unwrap();
        assert_eq!(alone.row(0), row, "an input's result depends on the others");
    }
    // The same, as if devices were ohmic, is another result.
    let ohmic = word.dot(&effective_block(used.view(), &circuit).unwrap());
    assert!(worst(&found, &ohmic) > 1e-2);
    let short = Array2::zeros((1, 3));
    let error = read.column_currents(&Steeper, short.view(), &Newton::default()).unwrap_err();
    assert!(error.to_string().contains("word-line voltages has shape [1, 3]"), "{error}");
}

#[test]
fn a_transistor_takes_its_share_of_the_voltage_of_a_nonlinear_device() {
    for (g, resistance, b, volts) in [(1e-4, 1e3, 5.0, 0.3), (1e-3, 1e4, 20.0, -1.5), (1e-6, 10.0, 2.0, 0.2)]
    {
        let circuit =
            TileCircuit { transistor_resistance: resistance, ..tile([1, 1], Wiring::new(0.0, 0.0)) };
        let found = NonlinearTile::new(Array2::from_elem((1, 1), g).view(), &circuit)
            .unwrap()
            .column_currents(
                &Sinh::new(b).unwrap(),
                Array2::from_elem((1, 1), volts).view(),
                &Newton::default(),
            )
            .unwrap()[(0, 0)];
        // v = asinh(b i / g) / b + R i, by bisection over the current.
        let (mut low, mut high) = (-1.0f64, 1.0f64);
        for _ in 0..200 {
            let i = 0.5 * (low + high);
            if (b * i / g).asinh() / b + resistance * i < volts { low = i } else { high = i }
        }
        assert!((found / low - 1.0).abs() < 1e-11, "{found:e}, expected {low:e}");
    }
}
