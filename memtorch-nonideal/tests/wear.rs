//! Retention and endurance against their equations.

mod common;

use common::{R_OFF, R_ON, effect, programmed};
use memtorch_crossbar::{Array, NonIdeality};
use memtorch_devices::Stream;
use memtorch_nonideal::{Cause, ENTRIES, Failure, StateWear, Stuck, Wear};
use memtorch_utils::config::{self, ConfigError, Table, Value};

fn state(p: [f64; 4]) -> Option<StateWear> {
    let [p0, p1, p2, p3] = p;
    Some(StateWear { p: [p0, p1, p2], threshold_temperature: 298.0, failure: Failure::Gradual { p3 } })
}

/// Devices all over the range.
fn ramp() -> Array {
    let (low, high) = (1.0 / R_OFF, 1.0 / R_ON);
    programmed(60, 40, |i| low + (high - low) * i as f64 / 2399.0)
}

fn run(step: &Wear, array: &mut Array) -> memtorch_crossbar::Report {
    step.apply(array, Stream::root(0, 0)).unwrap()
}

#[test]
fn resistances_move_gradually_with_a_power_of_the_amount() {
    let (lrs, hrs) = ([5.0, 0.3, 0.7, 0.05], [20.0, 0.2, -0.4, -0.03]);
    for (cause, amount, temperature, size) in [
        (Cause::Time, 1e5, 298.0, 10.0),
        (Cause::Time, 3e7, 400.0, 12.0),
        (Cause::Time, 3e7, 200.0, 12.0),
        (Cause::Cycles, 1e9, 350.0, 25.0),
        (Cause::Cycles, 1.0, 298.0, 10.0),
    ] {
        let mut array = ramp();
        let before = array.conductances().to_vec();
        let step = Wear::new(cause, amount, temperature, size, state(lrs), state(hrs)).unwrap();
        let report = run(&step, &mut array);
        let mut moved = [0.0; 2];
        for (g, old) in array.conductances().iter().zip(&before) {
            let resistance = 1.0 / old;
            let high = resistance >= 0.5 * (R_ON + R_OFF);
            let [p0, p1, p2, p3] = if high { hrs } else { lrs };
            let t = if temperature > 298.0 { 298.0 / temperature } else { 1.0 };
            let threshold = p0 * (p1 * size + p2 * t).exp();
            // The same law as a power: R (x/x_th)^(p3 (p1 s + p2 T_c)).
            let expected = if amount > threshold {
                moved[usize::from(high)] += 1.0;
                resistance * (amount / threshold).powf(p3 * (p1 * size + p2 * t))
            } else {
                resistance
            };
            assert!((g * expected - 1.0).abs() < 1e-12, "{cause:?} {amount} {temperature}: {g}");
        }
        assert_eq!(effect(&report, "low resistance past"), moved[0]);
        assert_eq!(effect(&report, "high resistance past"), moved[1]);
    }
}

/// Fault 13 of the published tool: `R_on + R_off/2` stood where the middle is meant.
#[test]
fn low_resistance_is_below_the_middle_of_both() {
    let middle = 0.5 * (R_ON + R_OFF);
    // Below the middle, and between the middle and R_on + R_off/2.
    let targets = [0.999 * middle, 0.5 * (middle + R_ON + 0.5 * R_OFF)];
    let mut array = programmed(1, 2, |i| 1.0 / targets[i]);
    let step = Wear::new(Cause::Time, 10.0, 298.0, 10.0, state([1.0, 0.1, 0.0, 1.0]), None).unwrap();
    let report = run(&step, &mut array);
    assert!(array.conductances()[0] < 1.0 / targets[0] * 0.5, "it moved");
    assert_eq!(array.conductances()[1], 1.0 / targets[1], "it is of high resistance and stays");
    assert_eq!(effect(&report, "no table hrs"), 1.0);
}

#[test]
fn a_sudden_failure_ends_at_the_stable_resistance() {
    let sudden = |stable_resistance| {
        let failure = Failure::Sudden { stable_resistance };
        Some(StateWear { p: [100.0, 0.0, 0.0], threshold_temperature: 298.0, failure })
    };
    for (amount, failed) in [(100.0, false), (100.1, true)] {
        let mut array = ramp();
        let before = array.conductances().to_vec();
        let step = Wear::new(Cause::Cycles, amount, 298.0, 10.0, sudden(2e4), sudden(1e5)).unwrap();
        run(&step, &mut array);
        for (g, old) in array.conductances().iter().zip(&before) {
            let stable = if 1.0 / old < 0.5 * (R_ON + R_OFF) { 1.0 / 2e4 } else { 1.0 / 1e5 };
            assert_eq!(*g, if failed { stable } else { *old });
        }
    }
}

#[test]
fn the_published_example_fails_at_its_thresholds() {
    // 1e4 cycles at 10 nm, 1e7 at 20 nm; a decade later the low resistance has grown by 10^(0.012171 s).
    let p = [10.0, 0.690_775_527_898_213_7, 0.0, 0.017_619_37];
    for (size, threshold) in [(10.0, 1e4), (20.0, 1e7)] {
        let step = |x| Wear::new(Cause::Cycles, x, 298.0, size, state(p), None).unwrap();
        let mut array = ramp();
        let before = array.conductances().to_vec();
        run(&step(0.999 * threshold), &mut array);
        assert_eq!(array.conductances(), before);
        run(&step(10.0 * threshold), &mut array);
        let ratio = before[2399] / array.conductances()[2399];
        // Six digits of p3.
        assert!((ratio / 10f64.powf(0.012_171_03 * size) - 1.0).abs() < 1e-5, "{ratio}");
    }
}

#[test]
fn time_moves_stuck_devices_and_cycles_do_not() {
    let p = state([1.0, 0.1, 0.0, 1.0]);
    for (cause, moved) in [(Cause::Time, true), (Cause::Cycles, false)] {
        let mut array = ramp();
        Stuck::new(1.0, 0.0, 0.0).unwrap().apply(&mut array, Stream::root(0, 0)).unwrap();
        let step = Wear::new(cause, 10.0, 298.0, 10.0, p, p).unwrap();
        run(&step, &mut array);
        assert!(array.conductances().iter().all(|g| (*g < 0.5 / R_ON) == moved), "{cause:?}");
    }
}

#[test]
fn wrong_configurations_are_named() {
    let p = |n: usize| Value::List((0..n).map(|_| Value::Real(1.0)).collect());
    let table = |entries: &[(&str, Value)]| Value::Table(entries.iter().cloned().collect());
    let build = |kind: &str, entries: Vec<(&str, Value)>| -> Result<(), ConfigError> {
        let entry = ENTRIES.iter().find(|e| e.name == kind).unwrap();
        let table = config::check(entry.fields, &Table::from_iter(entries))?;
        (entry.build)(&table).map(|step| assert_eq!(step.name(), kind))
    };
    let (time, cycles) = (("time", Value::Real(1.0)), ("cycles", Value::Integer(1000)));
    let sudden = ("mode", Value::Text("sudden".into()));
    build("retention", vec![time.clone(), ("lrs", table(&[("p", p(4))]))]).unwrap();
    let stable = table(&[("p", p(4)), ("stable_resistance", Value::Real(1e4))]);
    build("endurance", vec![cycles.clone(), sudden.clone(), ("hrs", stable)]).unwrap();
    for (kind, entries, text) in [
        ("retention", vec![], "missing key `time`"),
        ("endurance", vec![time.clone()], "unknown key `time`"),
        ("retention", vec![time.clone(), ("lrs", table(&[("p", p(3))]))], "`lrs.p` = [1.0, 1.0, 1.0]"),
        ("retention", vec![time.clone(), ("lrs", table(&[("q", p(4))]))], "`lrs.q`"),
        ("retention", vec![time.clone(), ("hrs", Value::Real(1.0))], "`hrs` = 1"),
        ("retention", vec![time, sudden, ("lrs", table(&[("p", p(4))]))], "`lrs.stable_resistance`"),
        (
            "endurance",
            vec![cycles.clone(), ("lrs", table(&[("p", p(4)), ("stable_resistance", Value::Real(1e4))]))],
            "mode = \"gradual\"",
        ),
        ("endurance", vec![cycles, ("temperature", Value::Real(0.0))], "`temperature` = 0"),
    ] {
        let error = build(kind, entries).unwrap_err().to_string();
        assert!(error.contains(text), "{kind}: {error}");
    }
}
