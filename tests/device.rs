//! `memtorch device` as a person runs it.

mod common;

use std::path::Path;

use common::{Ran, memtorch_in};
use memtorch::devices::models::MODELS;
use memtorch::utils::npy::{NpyArray, NpyData};

fn trace(folder: &Path, model: &str, more: &[&str]) -> Ran {
    memtorch_in(folder, &[&["device", "trace", model], more].concat())
}

fn write(folder: &Path, name: &str, shape: &[usize], values: Vec<f64>) {
    NpyArray::from_f64(shape, values).write(folder.join(name)).unwrap();
}

fn currents(folder: &Path, name: &str) -> Vec<f64> {
    let array = NpyArray::read(folder.join(name)).unwrap();
    assert!(matches!(array.data, NpyData::F64(_)), "currents are f64");
    assert_eq!(array.shape.len(), 1);
    array.into_f64()
}

/// The columns of a table of numbers.
fn columns(folder: &Path, name: &str) -> (String, Vec<Vec<f64>>) {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let mut lines = text.lines();
    let head = lines.next().unwrap().to_owned();
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    let columns = head.split(',').enumerate().map(|(at, _)| rows.iter().map(|row| row[at]).collect());
    let columns = columns.collect();
    (head, columns)
}

#[test]
fn every_model_has_sweeps_files_and_a_report() {
    // Samples from the durations and time steps of physics: round(T / dt) + 1.
    let samples = [
        ("linear-ion-drift", 40_001, 4_001),
        ("vteam", 2_001, 201),
        ("stanford-pku", 5_001, 200_001),
        ("data-driven", 100_001, 10_001),
        ("data-driven-2021", 100_001, 10_001),
    ];
    assert_eq!(samples.map(|(name, ..)| name).to_vec(), MODELS.iter().map(|m| m.name).collect::<Vec<_>>());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (model, hysteresis, switching) in samples {
        for (sweep, samples) in [("--hysteresis", hysteresis), ("--switching", switching)] {
            let files = ["--out", "i.npy", "--csv", "t.csv", "--plot", "t.svg", "--json"];
            let ran = trace(folder, model, &[&[sweep][..], &files].concat()).done();
            assert_eq!(ran.stderr, "", "{model} {sweep}");
            let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
            let mut keys: Vec<_> = report.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            let expected =
                ["final_conductance", "model", "parameters", "samples", "start_conductance", "time_step"];
            assert_eq!(keys, expected);
            assert_eq!(report["model"], model);
            assert_eq!(report["samples"], samples, "{model} {sweep}");
            let entry = MODELS.iter().find(|entry| entry.name == model).unwrap();
            let complete = report["parameters"].as_object().unwrap();
            for field in entry.fields.iter().filter(|field| field.default.value().is_some()) {
                assert!(complete.contains_key(field.name), "{model}: {}", field.name);
            }
            assert_eq!(complete["start_conductance"], report["start_conductance"]);
            let r_on = complete["r_on"].as_f64().unwrap();
            let start = report["start_conductance"].as_f64().unwrap();
            assert!((start * r_on - 1.0).abs() < 1e-12, "{model} starts at {start}");

            let (head, columns) = columns(folder, "t.csv");
            assert_eq!(head, "time,voltage,current,state,conductance");
            assert_eq!(columns[2], currents(folder, "i.npy"), "{model}: full precision");
            // The parser of JSON rounds to the nearest but one.
            assert!((columns[4][0] / start - 1.0).abs() < 1e-15);
            assert_eq!(columns[0][samples - 1], (samples - 1) as f64 * report["time_step"].as_f64().unwrap());
            let drawing = std::fs::read_to_string(folder.join("t.svg")).unwrap();
            assert!(drawing.starts_with("<svg") && drawing.trim_end().ends_with("</svg>"));
            let current = if sweep == "--switching" { "|current| (A)" } else { "current (mA)" };
            for label in ["voltage (V)", current, "time ("] {
                assert!(drawing.contains(label), "{model} {sweep}: no {label}");
            }
            assert!(drawing.len() < 400_000, "{model} {sweep}: {} bytes", drawing.len());
        }
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 3, "only the files that were asked for");
}

#[test]
fn currents_are_those_of_ohm_and_of_the_switching_equation() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Below its thresholds the device is a resistor.
    write(folder, "small.npy", &[4], vec![0.5, -0.5, 0.0, 0.25]);
    trace(folder, "linear-ion-drift", &["--voltage", "small.npy", "--set", "r_on=200", "--out", "i.npy"])
        .done();
    for (i, v) in currents(folder, "i.npy").iter().zip([0.5, -0.5, 0.0, 0.25]) {
        assert!((i - v / 200.0).abs() <= 1e-15 * (v / 200.0_f64).abs(), "{i} at {v}");
    }
    // Above v_off without a window VTEAM's velocity is constant: R grows by a fixed amount a step.
    let (steps, v, dt) = (50, 0.5, 1e-10);
    write(folder, "v.npy", &[steps], vec![v; steps]);
    let report = trace(folder, "vteam", &["--voltage", "v.npy", "--csv", "t.csv", "--json"]).done().stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let velocity = 5e-4 * (v / 0.02 - 1.0);
    let resistance = |k: usize| 50.0 + 950.0 * velocity * dt * k as f64 / 3e-9;
    let (_, columns) = columns(folder, "t.csv");
    for (k, current) in columns[2].iter().enumerate() {
        // Rounding of some fifty sums.
        assert!((current * resistance(k) / v - 1.0).abs() < 1e-12, "sample {k}");
    }
    let end = report["final_conductance"].as_f64().unwrap();
    assert!((end * resistance(steps) - 1.0).abs() < 1e-12, "{end}");
}

#[test]
fn options_change_the_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let sine = ["--amplitude", "2", "--frequency", "1e6", "--cycles", "3", "--dt", "1e-8"];
    trace(folder, "vteam", &[&["--hysteresis", "--csv", "t.csv"][..], &sine].concat()).done();
    let (_, sampled) = columns(folder, "t.csv");
    assert_eq!(sampled[1].len(), 301);
    for (k, v) in sampled[1].iter().enumerate() {
        let expected = 2.0 * (2.0 * std::f64::consts::PI * k as f64 / 100.0).sin();
        assert!((v - expected).abs() < 1e-12, "sample {k}: {v}");
    }
    trace(folder, "vteam", &[&["--switching", "--csv", "t.csv"][..], &sine].concat()).done();
    let (_, sampled) = columns(folder, "t.csv");
    assert_eq!(sampled[1].len(), 301);
    for (k, v) in [(0, 0.0), (25, 2.0), (75, -2.0), (100, 0.0), (225, 2.0), (275, -2.0), (300, 0.0)] {
        assert!((sampled[1][k] - v).abs() < 1e-12, "sample {k}: {}", sampled[1][k]);
    }
    // A list, a word and a whole number.
    let set = ["--set", "r_p=[16719,0]", "--set", "r_n=[29304.82557, 23692.77225]", "--hysteresis", "--json"];
    let plain = trace(folder, "data-driven", &["--hysteresis", "--json"]).done().stdout;
    assert_eq!(trace(folder, "data-driven", &set).done().stdout, plain);
    let set = ["--set", "window=joglekar", "--set", "r_off=17000", "--hysteresis", "--json"];
    let report = trace(folder, "linear-ion-drift", &set).done().stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["parameters"]["window"], "joglekar");
    assert_eq!(report["parameters"]["r_off"], 17000.0);
}

#[test]
fn noise_follows_the_seed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let dynamic = ["--switching", "--set", "dynamic=true", "--frequency", "1e5", "--dt", "1e-9", "--out"];
    let mut runs = Vec::new();
    for (name, seed) in [("a.npy", "7"), ("b.npy", "7"), ("c.npy", "8")] {
        let ran = trace(folder, "stanford-pku", &[&dynamic[..], &[name, "--seed", seed]].concat()).done();
        assert_eq!(ran.stderr, "");
        runs.push(std::fs::read(folder.join(name)).unwrap());
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    let ran = trace(folder, "stanford-pku", &["--hysteresis", "--set", "dynamic=true", "--json"]).done();
    assert!(ran.stderr.starts_with("warning: a noise step"), "{}", ran.stderr);
    assert!(serde_json::from_str::<serde_json::Value>(&ran.stdout).is_ok());
}

#[test]
fn bad_input_is_named_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "v.npy", &[2], vec![0.1, 0.2]);
    write(folder, "nan.npy", &[3], vec![0.0, f64::NAN, f64::INFINITY]);
    write(folder, "empty.npy", &[0], vec![]);
    write(folder, "matrix.npy", &[1, 2], vec![0.1, 0.2]);
    write(folder, "high.npy", &[1], vec![1e3]);
    std::fs::write(folder.join("text.npy"), "0.1\n").unwrap();
    let failures: [(&str, &[&str], &[&str]); 18] = [
        ("vteem", &["--hysteresis"], &["vteem", "did you mean vteam"]),
        ("vteam", &["--hysteresis", "--set", "r_onn=3"], &["`r_onn`", "did you mean `r_on`"]),
        ("vteam", &["--hysteresis", "--set", "r_on=2000"], &["r_on", "2000", "below r_off"]),
        ("vteam", &["--hysteresis", "--set", "r_on=high"], &["r_on", "high", "number"]),
        ("vteam", &["--hysteresis", "--set", "start_conductance=1"], &["start_conductance", "1/r_on"]),
        ("vteam", &["--hysteresis", "--set", "r_on={normal={mean=50,std=5}}"], &["r_on", "one device"]),
        ("vteam", &["--hysteresis", "--set", "r_on"], &["KEY=VALUE"]),
        ("vteam", &["--voltage", "nan.npy"], &["nan.npy", "NaN", "[1]", "finite"]),
        ("vteam", &["--voltage", "empty.npy"], &["empty.npy", "not empty"]),
        ("vteam", &["--voltage", "matrix.npy"], &["matrix.npy", "[1, 2]", "a list"]),
        ("vteam", &["--voltage", "text.npy"], &["text.npy", "numpy"]),
        ("vteam", &["--voltage", "none.npy"], &["none.npy"]),
        ("vteam", &["--voltage", "v.npy", "--dt", "-1"], &["--dt", "-1", "positive"]),
        ("vteam", &["--hysteresis", "--amplitude", "nan"], &["--amplitude", "NaN", "positive"]),
        ("vteam", &["--hysteresis", "--cycles", "0"], &["--cycles", "0", "positive"]),
        ("vteam", &["--switching", "--frequency", "1"], &["1e10", "at most 1e8", "1e-10"]),
        ("vteam", &["--hysteresis", "--plot", "f.bmp"], &["f.bmp", ".svg or .png"]),
        ("stanford-pku", &["--voltage", "high.npy"], &["current", "sample 0", "1000 V"]),
    ];
    for (model, options, words) in failures {
        let files = ["--out", "out.npy", "--csv", "out.csv", "--json"];
        let ran = trace(folder, model, &[options, &files].concat());
        assert_eq!(ran.code, 1, "{options:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
        assert_eq!(ran.stderr.lines().count(), 1, "{options:?}: {}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{options:?}: no {word:?} in {}", ran.stderr);
        }
        assert!(!folder.join("out.npy").exists() && !folder.join("out.csv").exists(), "{options:?}");
    }
    let usages: [&[&str]; 4] = [
        &[],
        &["--hysteresis", "--switching"],
        &["--voltage", "v.npy", "--amplitude", "1"],
        &["--hysteresis", "--seed", "x"],
    ];
    for options in usages {
        assert_eq!(trace(folder, "vteam", options).code, 2, "{options:?}");
    }
    let ran = trace(folder, "vteam", &["--hysteresis", "--out", "no/such/i.npy"]);
    assert!(ran.code == 1 && ran.stderr.contains("no/such/i.npy"), "{}", ran.stderr);
}
