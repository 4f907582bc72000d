//! Faults of the published tool that lie in device models: each has a test, named for what went wrong.

use std::sync::Arc;

use memtorch_devices::models::{LinearIonDrift, StanfordPku};
use memtorch_devices::{Device, DeviceParameters, Population, Stream, Waveform, Window, sine, trace};

fn one(device: Arc<dyn Device>) -> Population {
    Population::new(DeviceParameters::new(device, 1), Stream::root(0, 0))
}

/// Fault 10: writing a conductance set the inverted state, so that the next step jumped from R_on to R_off.
#[test]
fn fault_10_a_written_conductance_is_the_next_ones_neighbour() {
    let device: Arc<dyn Device> =
        Arc::new(LinearIonDrift { window: Window::None, ..LinearIonDrift::default() });
    for resistance in [100.0, 120.0, 4000.0, 15_900.0, 16_000.0] {
        let mut population = one(device.clone());
        let set = population.set_conductances(&[1.0 / resistance]).expect("a conductance")[0];
        assert!((set * resistance - 1.0).abs() < 1e-12, "{resistance}: {set}");
        // x = 1 is the ON state.
        let state = population.states()[0];
        assert!((state - (16e3 - resistance) / (16e3 - 100.0)).abs() < 1e-12, "{resistance}: {state}");
        // The state moves by dt u_v R_on / D^2 v / R, and the resistance by that times the span, towards R_on at 1 V.
        population.advance(Waveform::Common(&[1.0]), 1e-6).expect("a step");
        let expected = (resistance - 15_900.0 * 1e-6 * 1e4 / resistance).max(100.0);
        let found = 1.0 / population.conductances()[0];
        assert!((found - expected).abs() < 1e-8, "{resistance}: {found} {expected}");
    }
}

/// Fault 11: Joglekar's window was coded `(1 - (2x - 1))^(2p)`, Prodromakis' `j (1 - (x - 0.5)^2 + 0.75)^p`. The first
/// has 4 at the OFF end and drives a device out of it; the second is 1.5 there.
#[test]
fn fault_11_windows_of_both_ends_are_zero_there_and_right_between() {
    for (window, middle) in [(Window::Joglekar, 1.0), (Window::Prodromakis, 0.25)] {
        let device: Arc<dyn Device> = Arc::new(LinearIonDrift { window, ..LinearIonDrift::default() });
        for (bound, voltage) in [(1.0 / 16e3, 5.0), (1.0 / 100.0, -5.0)] {
            let mut population = one(device.clone());
            population.set_conductances(&[bound]).expect("a conductance");
            let before = population.states()[0];
            population.advance(Waveform::Common(&[voltage; 1000]), 1e-4).expect("steps");
            assert_eq!(population.states()[0], before, "{window:?} at {bound}");
        }
        // In the middle, p = 1: one step moves by dt u_v R_on / D^2 i f.
        let mut population = one(device);
        population.set_conductances(&[1.0 / 8050.0]).expect("a conductance");
        population.advance(Waveform::Common(&[1.0]), 1e-4).expect("a step");
        let moved = population.states()[0] - 0.5;
        let expected = 1e-4 * 1e4 / 8050.0 * middle;
        assert!((moved - expected).abs() < 1e-14, "{window:?}: {moved} {expected}");
    }
}

/// Fault 16: Stanford-PKU's conductance lagged one sample and was negative after a change of sign.
#[test]
fn fault_16_stanford_pku_conducts_by_its_present_gap() {
    let device = StanfordPku::default();
    let p = device.parameters;
    let read = |gap: f64| p.i_0 * (-gap / p.g_0).exp() * (p.v_read / p.v_0).sinh() / p.v_read;
    let voltages = sine(1.5, 10.0, 0.2, 1e-4);
    let found = trace(Arc::new(device), &voltages, 1e-4, Stream::root(0, 0)).expect("a trace");
    let mut switched = false;
    for (k, (g, gap)) in found.conductances.iter().zip(&found.states).enumerate() {
        assert!(*g > 0.0, "{k}: {g}");
        assert!((g / read(*gap) - 1.0).abs() < 1e-12, "{k}: {g} {}", read(*gap));
        switched |= k > 0 && (g / found.conductances[k - 1] - 1.0).abs() > 0.1;
    }
    // A lag of one sample would show.
    assert!(switched);
}

/// Fault 16, its other half: setting a conductance left it unchanged.
#[test]
fn fault_16_stanford_pku_takes_the_conductance_that_is_set() {
    let mut population = one(Arc::new(StanfordPku::default()));
    for resistance in [218_586.0, 542.0, 10_000.0] {
        population.set_conductances(&[1.0 / resistance]).expect("a conductance");
        let found = population.conductances()[0];
        assert!((found * resistance - 1.0).abs() < 1e-12, "{resistance}: {found}");
        // The current at the read voltage is that of the conductance, of either sign.
        for voltage in [0.1, -0.1] {
            let current = population.currents(&[voltage]).expect("a voltage")[0];
            assert!((current * resistance / voltage - 1.0).abs() < 1e-12, "{resistance}: {current}");
        }
    }
}
