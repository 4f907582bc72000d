//! Every model against reference traces of an independent script, `golden/traces.py`, and against figures and
//! integrations.

use std::sync::Arc;

use memtorch_devices::models::MODELS;
use memtorch_devices::{
    Device, DeviceEntry, DeviceParameters, DeviceSpec, Population, Stream, Table, Value, Waveform, sine,
    trace, triangle,
};

/// Both sides round differently in every step, and a switching device multiplies a difference; what is seen is below
/// 1e-12. Currents near zero are compared relative to 1e-6 of the largest of the trace as well.
const TOLERANCE: f64 = 1e-10;

/// One case of the file.
#[derive(Debug, Default)]
struct Case {
    name: String,
    model: String,
    parameters: Table,
    wave: Vec<String>,
    samples: usize,
    stride: usize,
    over: [f64; 3],
    rows: Vec<[f64; 2]>,
    last: f64,
}

fn numbers<const N: usize>(words: &str) -> [f64; N] {
    let found: Vec<f64> = words.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    found.try_into().expect("as many numbers as there should be")
}

fn value(text: &str) -> Value {
    if let Some(list) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return Value::List(list.split(", ").map(value).collect());
    }
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(word) => Value::Text(word.to_owned()),
        None => Value::Real(text.parse().expect("a number")),
    }
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in include_str!("golden/traces.txt").lines() {
        let (key, rest) = line.split_once(' ').expect("two words");
        if key == "case" {
            cases.push(Case { name: rest.to_owned(), ..Case::default() });
            continue;
        }
        let case = cases.last_mut().expect("a case first");
        match key {
            "model" => case.model = rest.to_owned(),
            "set" => {
                let (name, text) = rest.split_once(" = ").expect("a name and a value");
                case.parameters.insert(name, value(text));
            }
            "wave" => case.wave = rest.split(' ').map(str::to_owned).collect(),
            "samples" => [case.samples, case.stride] = numbers::<2>(rest).map(|n| n as usize),
            "over" => case.over = numbers(rest),
            "last" => case.last = numbers::<1>(rest)[0],
            _ => case.rows.push(numbers(line)),
        }
    }
    cases
}

fn entry(name: &str) -> &'static DeviceEntry {
    MODELS.iter().find(|entry| entry.name == name).expect("a model of this name")
}

fn model(name: &str, parameters: &Table) -> Arc<dyn Device> {
    DeviceSpec::configure(entry(name), parameters).expect("possible parameters").model
}

fn voltages(wave: &[String], dt: f64) -> Vec<f64> {
    let n: Vec<f64> = wave[1..].iter().map(|word| word.parse().expect("a number")).collect();
    match wave[0].as_str() {
        "sine" => sine(n[0], n[1], n[2], dt),
        "triangle" => triangle(n[0], n[1], dt),
        "pulses" => {
            let width = n[2] as usize;
            let one = [vec![n[0]; width], vec![n[1]; width], vec![0.0; width]].concat();
            one.repeat(n[3] as usize)
        }
        "noise" => {
            let mut word = n[2] as u64;
            let mut next = || {
                word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                n[0] * ((word >> 11) as f64 / 2.0f64.powi(52) - 1.0)
            };
            (0..n[1] as usize).map(|_| next()).collect()
        }
        other => panic!("no wave `{other}`"),
    }
}

/// The difference relative to the expected number, or to `least` where that is larger.
fn off(found: f64, expected: f64, least: f64) -> f64 {
    (found - expected).abs() / expected.abs().max(least)
}

#[test]
fn traces_agree_with_the_independent_script() {
    let cases = cases();
    for entry in MODELS {
        assert!(cases.iter().filter(|case| case.model == entry.name).count() >= 4, "{}", entry.name);
    }
    for case in cases {
        let device = model(&case.model, &case.parameters);
        let dt = device.time_step();
        let voltages = voltages(&case.wave, dt);
        assert_eq!(voltages.len(), case.samples, "{}", case.name);
        let found = trace(device.clone(), &voltages, dt, Stream::root(0, 0)).expect("a trace");
        let mut worst = 0.0f64;
        let mut compare = |what: &str, found: f64, expected: f64, least: f64| {
            let difference = off(found, expected, least);
            assert!(difference < TOLERANCE, "{} {what}: {found} {expected}", case.name);
            worst = worst.max(difference);
        };
        let samples = (case.stride / 2..case.samples).step_by(case.stride);
        assert_eq!(samples.clone().count(), case.rows.len(), "{}", case.name);
        for (k, [current, conductance]) in samples.zip(&case.rows) {
            compare(&format!("current {k}"), found.currents[k], *current, 1e-6 * case.over[0]);
            compare(&format!("conductance {k}"), found.conductances[k], *conductance, 0.0);
        }
        let largest = found.currents.iter().fold(0.0f64, |a, i| a.max(i.abs()));
        compare("largest current", largest, case.over[0], 0.0);
        let least = found.conductances.iter().copied().fold(f64::INFINITY, f64::min);
        compare("least conductance", least, case.over[1], 0.0);
        let most = found.conductances.iter().copied().fold(0.0, f64::max);
        compare("largest conductance", most, case.over[2], 0.0);
        compare("last conductance", found.final_conductance, case.last, 0.0);
        println!("{}: {worst:.1e}", case.name);
    }
}

/// Smallest and largest resistance in ohm before any of the last `samples` steps.
fn resistances(device: Arc<dyn Device>, voltages: &[f64], samples: usize) -> (f64, f64) {
    let dt = device.time_step();
    let found = trace(device, voltages, dt, Stream::root(0, 0)).expect("a trace");
    let last = &found.conductances[voltages.len() - samples..];
    let most = last.iter().copied().fold(0.0, f64::max);
    (1.0 / most, 1.0 / last.iter().copied().fold(f64::INFINITY, f64::min))
}

/// Figures published with the models, to the digits given.
#[test]
fn linear_ion_drift_moves_between_the_published_resistances() {
    let device = model("linear-ion-drift", &Table::default());
    let voltages = sine(5.0, 2.5, 4.0, device.time_step());
    let (low, high) = resistances(device.clone(), &voltages, voltages.len());
    assert!((low - 100.0).abs() < 1e-9 && (high - 11930.0).abs() < 0.5, "{low} {high}");
    let (low, high) = resistances(device, &voltages, 4000);
    assert!((low - 2362.0).abs() < 0.5 && (high - 11930.0).abs() < 0.5, "{low} {high}");
}

/// As above.
#[test]
fn vteam_moves_between_the_published_resistances() {
    let device = model("vteam", &Table::default());
    let voltages = sine(1.0, 50e6, 200e-9, device.time_step());
    let (low, high) = resistances(device, &voltages, voltages.len());
    assert!((low - 50.0).abs() < 1e-9 && (high - 98.8).abs() < 0.05, "{low} {high}");
}

/// The published rate of the data-driven model (2018) with its default parameters.
fn rate_2018(r: f64, v: f64) -> f64 {
    let (rate, t, k, target, z) = if v > 0.0 {
        (743.47, 6.51, 5.11e-4, 16719.0, 1.0)
    } else {
        (-68012.28374, 0.31645, 1.17e-3, 29304.82557 + 23692.77225 * v, -1.0)
    };
    let driven = z * (target - r);
    if driven > 0.0 { rate * ((t * v.abs()).exp() - 1.0) * ((k * driven).exp() - 1.0) } else { 0.0 }
}

/// The published rate of the model of 2021 with its default parameters.
fn rate_2021(r: f64, v: f64) -> f64 {
    let (rate, t, target) = if v > 0.0 {
        (600.10075, -0.0212028, 2699.2336 - 672.930205 * v)
    } else {
        (-34.5988399, -0.05343997, 649.413746 - 1474.32358 * v)
    };
    let s = rate * ((v.abs() / t).exp() - 1.0);
    if s * (target - r) > 0.0 { s * (target - r) * (target - r) } else { 0.0 }
}

/// The closed step of both data-driven models against 4000 steps of Runge and Kutta of fourth order, whose own error is
/// far below the tolerance.
#[test]
fn closed_forms_agree_with_an_integration_in_small_steps() {
    type Rate = fn(f64, f64) -> f64;
    let both: [(&str, Rate, [f64; 3]); 2] = [
        ("data-driven", rate_2018, [2e3, 6e3, 16e3]),
        ("data-driven-2021", rate_2021, [1.7e3, 2.1e3, 2.9e3]),
    ];
    for (name, rate, starts) in both {
        let device = model(name, &Table::default());
        let mut moved = 0;
        for start in starts {
            for v in [-1.4, -1.1, -0.6, 0.3, 0.9, 1.3] {
                let speed = rate(start, v).abs();
                // Some hundred ohm, so that the rate changes a good deal on the way.
                let dt = if speed > 0.0 { 400.0 / speed } else { 1e-8 };
                let mut population =
                    Population::new(DeviceParameters::new(device.clone(), 1), Stream::root(0, 0));
                population.set_conductances(&[1.0 / start]).expect("a conductance");
                population.advance(Waveform::Common(&[v]), dt).expect("a step");
                let found = 1.0 / population.conductances()[0];
                let (mut r, h) = (start, dt / 4000.0);
                for _ in 0..4000 {
                    let a = rate(r, v);
                    let b = rate(r + h / 2.0 * a, v);
                    let c = rate(r + h / 2.0 * b, v);
                    let d = rate(r + h * c, v);
                    r += h / 6.0 * (a + 2.0 * b + 2.0 * c + d);
                }
                let expected = r.clamp(device.r_on(), device.r_off());
                assert!(off(found, expected, 0.0) < 1e-10, "{name} {start} {v}: {found} {expected}");
                moved += usize::from((expected - start).abs() > 10.0);
            }
        }
        assert!(moved >= 5, "{name}: {moved}");
    }
}
