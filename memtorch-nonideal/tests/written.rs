//! Programming error, cycles and drift against their equations and stated distributions.

mod common;

use common::{R_OFF, R_ON, bound, distance, effect, follows, normal_cdf, programmed};
use memtorch_crossbar::{Array, NonIdeality, Phase};
use memtorch_devices::{Distribution, Stream};
use memtorch_nonideal::{CycleToCycle, DeviceToDevice, Drift, ENTRIES, Keep, ProgrammingError, Stuck};
use memtorch_utils::Shape;
use memtorch_utils::config::{self, ConfigError, Table, Value};

const MIDDLE: f64 = 3.5e-5;

/// 1e5 devices in the middle of their range.
fn middle() -> Array {
    programmed(400, 250, |_| MIDDLE)
}

#[test]
fn errors_of_programming_are_normal_with_the_stated_deviation() {
    // The bounds are more than 20 deviations away.
    for (relative, absolute) in [(0.02, 0.0), (0.0, 1e-6), (0.02, 1e-6)] {
        let mut array = middle();
        let step = ProgrammingError::new(relative, absolute).unwrap();
        step.apply(&mut array, Stream::root(1, 0)).unwrap();
        let sigma = ((relative * MIDDLE).powi(2) + absolute * absolute).sqrt();
        let errors: Vec<f64> = array.conductances().iter().map(|g| (g - MIDDLE) / sigma).collect();
        // A deviation 5 % too large would not pass.
        let wrong = errors.iter().map(|e| e * 1.05).collect();
        assert!(distance(wrong, normal_cdf) > bound(100_000));
        follows(errors, normal_cdf);
    }
}

#[test]
fn lognormal_errors_have_the_stated_deviation_of_the_logarithm() {
    let mut array = programmed(400, 250, |_| 1e-5);
    let step = ProgrammingError::lognormal(0.3).unwrap();
    let report = step.apply(&mut array, Stream::root(11, 0)).unwrap();
    // The lower bound, 2e-6 S, lies 5.4 deviations away, the upper 6.5.
    assert_eq!(effect(&report, "clipped"), 0.0);
    let found: Vec<f64> = array.conductances().iter().map(|g| (g / 1e-5).ln() / 0.3).collect();
    follows(found, normal_cdf);
    // exp(sigma^2 / 2) sqrt(exp(sigma^2) - 1) of the median.
    let deviation = (0.045f64).exp() * (0.09f64.exp() - 1.0).sqrt() * 1e-5;
    assert!((step.deviation(1e-5) - deviation).abs() < 1e-12 * deviation);
}

#[test]
fn errors_at_neighbouring_devices_and_arrays_are_not_correlated() {
    let errors = |label: u64| -> Vec<f64> {
        let mut array = middle();
        let stream = Stream::root(2, 0).child(label);
        ProgrammingError::new(0.02, 0.0).unwrap().apply(&mut array, stream).unwrap();
        array.conductances().iter().map(|g| (g - MIDDLE) / (0.02 * MIDDLE)).collect()
    };
    let (positive, negative) = (errors(0), errors(1));
    let n = positive.len() as f64;
    let correlation = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / n;
    // Five standard deviations of what uncorrelated numbers give.
    assert!(correlation(&positive, &negative).abs() < 5.0 / n.sqrt());
    assert!(correlation(&positive[1..], &positive).abs() < 5.0 / n.sqrt());
}

#[test]
fn a_table_of_deviations_is_linear_between_its_points_and_constant_beyond() {
    let step = ProgrammingError::table(vec![(4e-5, 3e-6), (2e-5, 1e-6)]).unwrap();
    for (g, sigma) in [(0.0, 1e-6), (2e-5, 1e-6), (2.5e-5, 1.5e-6), (4e-5, 3e-6), (1.0, 3e-6)] {
        assert!((step.deviation(g) - sigma).abs() < 1e-12 * sigma, "{g}: {}", step.deviation(g));
    }
    let mut array = middle();
    step.apply(&mut array, Stream::root(4, 0)).unwrap();
    let errors = array.conductances().iter().map(|g| (g - MIDDLE) / 2.5e-6).collect();
    follows(errors, normal_cdf);
}

#[test]
fn errors_are_clipped_to_the_bounds_and_counted() {
    let mut array = programmed(400, 250, |_| 1.0 / R_ON);
    let report = ProgrammingError::new(0.01, 0.0).unwrap().apply(&mut array, Stream::root(3, 0)).unwrap();
    let at_bound = array.conductances().iter().filter(|g| **g == 1.0 / R_ON).count();
    assert_eq!(effect(&report, "clipped"), at_bound as f64);
    // Half of them, within five deviations.
    assert!((at_bound as f64 - 5e4).abs() < 5.0 * 158.2, "{at_bound}");
    assert!(array.conductances().iter().all(|g| *g <= 1.0 / R_ON && *g >= 1.0 / R_OFF));
}

/// What a device at a state becomes after a cycle is a mixture over two normal resistances: its
/// distribution function by integration over one of them.
fn cycled_cdf(state: f64, sigma: f64, g: f64) -> f64 {
    // P(off + (on - off) s < g) with on = 1/(R_ON + sigma a): for every b, a threshold of a.
    let steps = 2000;
    let (mut sum, mut weight) = (0.0, 0.0);
    for i in 0..steps {
        let b = -8.0 + 16.0 * (f64::from(i) + 0.5) / f64::from(steps);
        let density = (-0.5 * b * b).exp();
        let low = 1.0 / (R_OFF + 2.0 * sigma * b);
        let on = low + (g - low) / state;
        let below = if on > 0.0 { 1.0 - normal_cdf((1.0 / on - R_ON) / sigma) } else { 0.0 };
        sum += density * below;
        weight += density;
    }
    sum / weight
}

#[test]
fn a_cycle_keeps_the_state_in_bounds_drawn_from_the_stated_distributions() {
    let (low, high) = (1.0 / R_OFF, 1.0 / R_ON);
    let (state, sigma) = (0.4, 1e3);
    for cycles in [1, 7] {
        let mut array = programmed(400, 250, |_| low + (high - low) * state);
        let step = CycleToCycle::new(sigma).unwrap().with_cycles(cycles).unwrap();
        step.apply(&mut array, Stream::root(5, 0)).unwrap();
        // Every hundredth device, and its rank by the integral: the draws do not compound over cycles.
        let some: Vec<f64> = array.conductances().iter().step_by(100).copied().collect();
        follows(some, |g| cycled_cdf(state, sigma, g));
    }
}

#[test]
fn both_ends_of_the_range_give_the_drawn_bounds_themselves() {
    let sigma = 1e3;
    let on = {
        let mut array = programmed(400, 250, |_| 1.0 / R_ON);
        CycleToCycle::new(sigma).unwrap().apply(&mut array, Stream::root(6, 0)).unwrap();
        array.conductances().iter().map(|g| (1.0 / g - R_ON) / sigma).collect()
    };
    let off = {
        let mut array = programmed(400, 250, |_| 1.0 / R_OFF);
        CycleToCycle::new(sigma).unwrap().apply(&mut array, Stream::root(6, 0)).unwrap();
        array.conductances().iter().map(|g| (1.0 / g - R_OFF) / (2.0 * sigma)).collect()
    };
    follows(on, normal_cdf);
    follows(off, normal_cdf);
}

#[test]
fn cycles_differ_and_the_bounds_of_the_device_stay() {
    let cycle = |cycles| {
        let mut array = middle();
        CycleToCycle::new(1e3)
            .unwrap()
            .with_cycles(cycles)
            .unwrap()
            .apply(&mut array, Stream::root(7, 0))
            .unwrap();
        assert_eq!(array.bounds(99), (1.0 / R_OFF, 1.0 / R_ON));
        array.conductances().to_vec()
    };
    let (first, second) = (cycle(1), cycle(2));
    assert_eq!(first, cycle(1));
    assert!(first.iter().zip(&second).all(|(a, b)| a != b));
}

#[test]
fn a_kept_conductance_is_only_clipped() {
    let step = CycleToCycle::new(1e3).unwrap().with_keep(Keep::Conductance);
    let mut array = middle();
    let report = step.apply(&mut array, Stream::root(8, 0)).unwrap();
    assert!(array.conductances().iter().all(|g| *g == MIDDLE));
    assert_eq!(effect(&report, "clipped"), 0.0);
    let mut array = programmed(400, 250, |_| 1.0 / R_ON);
    let report = step.apply(&mut array, Stream::root(8, 0)).unwrap();
    // R_on rises in half of the draws, within five deviations.
    assert!((effect(&report, "clipped") - 5e4).abs() < 5.0 * 158.2);
}

#[test]
fn drift_is_a_power_law_for_every_device_even_those_that_cannot_be_written() {
    let mut array = programmed(60, 40, |i| 2e-6 + 6.9e-5 * i as f64 / 2399.0);
    let before = array.conductances().to_vec();
    // 1e4 s after t_0 = 20 s: (500)^-0.05.
    let report = Drift::new(0.05, 20.0, 1e4).unwrap().apply(&mut array, Stream::root(0, 0)).unwrap();
    let mut below = 0;
    for (g, old) in array.conductances().iter().zip(&before) {
        let expected = old / 500f64.powf(0.05);
        assert!((g - expected).abs() < 1e-13 * expected);
        below += usize::from(expected < 1.0 / R_OFF);
    }
    assert!(below > 0, "some drift below the OFF conductance and are not clipped");
    assert_eq!(effect(&report, "below"), below as f64 / 2400.0);
    let mut array = programmed(10, 10, |_| MIDDLE);
    Stuck::new(0.0, 0.0, 1.0)
        .unwrap()
        .with_unformed_resistance(1e9)
        .unwrap()
        .apply(&mut array, Stream::root(0, 0))
        .unwrap();
    Drift::new(1.0, 1.0, 10.0).unwrap().apply(&mut array, Stream::root(0, 0)).unwrap();
    assert!(array.conductances().iter().all(|g| (g - 1e-10).abs() < 1e-22));
}

#[test]
fn exponents_of_drift_follow_their_distribution() {
    for (shape, cdf) in [
        (Shape::Normal { mean: 0.06, std: 0.02 }, None),
        (Shape::Uniform { low: 0.01, high: 0.09 }, Some(())),
    ] {
        let nu = Distribution::new(shape, f64::NEG_INFINITY, f64::INFINITY).unwrap();
        let mut array = middle();
        Drift::distributed(nu, 1.0, 1e6).unwrap().apply(&mut array, Stream::root(9, 0)).unwrap();
        let found: Vec<f64> = array.conductances().iter().map(|g| -(g / MIDDLE).ln() / 1e6f64.ln()).collect();
        match cdf {
            None => follows(found, |x| normal_cdf((x - 0.06) / 0.02)),
            Some(()) => follows(found, |x| ((x - 0.01) / 0.08).clamp(0.0, 1.0)),
        }
    }
    assert_eq!(Drift::new(0.1, 1.0, 1.0).unwrap().phase(), Phase::Aged);
}

#[test]
fn writes_leave_stuck_devices_alone_and_follow_the_bounds_of_each_device() {
    let mut array = programmed(60, 40, |_| MIDDLE);
    Stuck::new(0.25, 0.25, 0.0).unwrap().apply(&mut array, Stream::root(0, 0)).unwrap();
    let held: Vec<(usize, f64)> =
        array.masks().iter().map(|(device, _)| (*device, array.conductances()[*device])).collect();
    let error = ProgrammingError::new(0.1, 0.0).unwrap();
    let report = error.apply(&mut array, Stream::root(1, 0)).unwrap();
    assert_eq!(effect(&report, "cannot be written"), 1200.0);
    CycleToCycle::new(100.0).unwrap().apply(&mut array, Stream::root(1, 0)).unwrap();
    assert!(held.iter().all(|(device, g)| array.conductances()[*device] == *g));
}

#[test]
fn wrong_configurations_are_named() {
    let real = Value::Real;
    let list = |values: &[f64]| Value::List(values.iter().copied().map(Value::Real).collect());
    let build = |kind: &str, entries: Vec<(&str, Value)>| -> Result<(), ConfigError> {
        let entry = ENTRIES.iter().find(|e| e.name == kind).unwrap();
        let table = config::check(entry.fields, &Table::from_iter(entries))?;
        (entry.build)(&table).map(|step| assert_eq!(step.name(), kind))
    };
    build("programming-error", vec![("relative", real(0.1))]).unwrap();
    let table = Value::List(vec![list(&[1e-6, 1e-7]), list(&[1e-5, 1e-6])]);
    build("programming-error", vec![("table", table.clone())]).unwrap();
    build("cycle-to-cycle", vec![("sigma", real(10.0)), ("keep", Value::Text("conductance".into()))])
        .unwrap();
    let uniform = Table::from_iter([("low", real(0.0)), ("high", real(0.1))]);
    let nu = Value::Table(Table::from_iter([("uniform", Value::Table(uniform))]));
    build("drift", vec![("nu", nu), ("time", real(10.0)), ("compensation", Value::Bool(true))]).unwrap();
    for (kind, entries, text) in [
        ("programming-error", vec![], "relative, absolute, lognormal or table"),
        ("programming-error", vec![("relative", real(-1.0))], "`relative` = -1"),
        ("programming-error", vec![("relative", real(0.1)), ("lognormal", real(0.1))], "no lognormal beside"),
        ("programming-error", vec![("lognormal", real(-0.1))], "`lognormal` = -0.1"),
        ("programming-error", vec![("relative", real(0.1)), ("table", table)], "no table beside"),
        ("programming-error", vec![("table", Value::List(vec![list(&[1.0])]))], "[conductance, deviation]"),
        ("cycle-to-cycle", vec![], "missing key `sigma`"),
        ("cycle-to-cycle", vec![("sigma", real(1.0)), ("cycles", Value::Integer(0))], "`cycles` = 0"),
        ("cycle-to-cycle", vec![("sigma", real(1.0)), ("keep", Value::Text("x".into()))], "`keep`"),
        ("drift", vec![("nu", real(0.1))], "missing key `time`"),
        ("drift", vec![("nu", real(0.1)), ("time", real(0.0))], "`time` = 0"),
        ("drift", vec![("nu", real(0.1)), ("time", real(1.0)), ("t_0", real(1.0))], "did you mean `t0`"),
    ] {
        let error = build(kind, entries).unwrap_err().to_string();
        assert!(error.contains(text), "{kind}: {error}");
    }
    let sigma = DeviceToDevice::sigma(10.0).unwrap();
    assert_eq!(sigma.phase(), Phase::Fabrication);
}
