//! `memtorch device` as a person runs it.

mod common;

use std::path::Path;

use common::{Ran, memtorch_in};
use memtorch::devices::models::MODELS;
use memtorch::utils::config::Default;
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

/// A fit of what `device trace` wrote gives the parameters back, as a section that experiments take.
#[test]
fn a_fit_reads_a_trace_and_writes_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let set = ["--set", "r_on=150", "--set", "r_off=12000", "--set", "u_v=1.6e-14"];
    let sweep = ["--hysteresis", "--cycles", "1", "--dt", "1e-3", "--csv", "iv.csv"];
    trace(folder, "linear-ion-drift", &[&set[..], &sweep].concat()).done();
    let fit = |more: &[&str]| {
        memtorch_in(folder, &[&["device", "fit", "linear-ion-drift", "--data", "iv.csv"], more].concat())
    };
    let ran = fit(&["--out", "fit.toml", "--plot", "fit.png", "--json"]).done();
    assert_eq!(ran.stderr, "");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((report["samples"].as_u64(), report["converged"].as_bool()), (Some(401), Some(true)));
    assert!(report["relative_residual"].as_f64().unwrap() < 1e-12, "{report}");
    for (one, (name, value)) in
        report["fitted"].as_array().unwrap().iter().zip([("r_on", 150.0), ("r_off", 12e3), ("u_v", 1.6e-14)])
    {
        assert_eq!(one["name"], name);
        assert!((one["value"].as_f64().unwrap() / value - 1.0).abs() < 1e-9, "{one}");
        assert_eq!(one["determined"], "yes");
        assert_eq!(report["parameters"][name], one["value"]);
    }
    let png = std::fs::read(folder.join("fit.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    // The section is a device of an experiment, and each of its lines an option.
    let text = std::fs::read_to_string(folder.join("fit.toml")).unwrap();
    let mut again = vec!["--hysteresis", "--cycles", "1", "--csv", "again.csv"];
    for line in text.lines().skip_while(|line| *line != "[device]").skip(2) {
        let (option, _) = line.split_once("  #").unwrap_or((line, ""));
        again.extend(["--set", option]);
    }
    trace(folder, "linear-ion-drift", &again).done();
    let (measured, fitted) = (columns(folder, "iv.csv").1, columns(folder, "again.csv").1);
    for (a, b) in measured[2].iter().zip(&fitted[2]) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }
    let table = fit(&["--fit", "r_on,u_v", "--set", "r_off=12000"]).done().stdout;
    assert!(table.contains("residual") && table.contains("u_v") && !table.contains("r_off"), "{table}");
    // Without times, columns in any order, a row in between.
    let rows: Vec<String> =
        measured[1].iter().zip(&measured[2]).map(|(v, i)| format!("{i:?}, {v:?},x")).collect();
    let untimed = format!("\u{feff}# of a tester\nCurrent, Voltage,remark\n\n{}\n", rows.join("\r\n"));
    std::fs::write(folder.join("iv.csv"), untimed).unwrap();
    let other = fit(&["--dt", "1e-3", "--json"]).done().stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&other).unwrap()["fitted"], report["fitted"]);
}

#[test]
fn a_record_that_cannot_be_fitted_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let good = "time,voltage,current\n0,0,0\n1e-9,0.1,1e-3\n2e-9,0.2,2e-3\n3e-9,-0.1,-1e-3\n";
    let cases: [(&str, &[&str], &[&str]); 14] = [
        ("", &[], &["no rows", "time,voltage,current"]),
        ("time,volts,current\n", &[], &["time, volts, current", "`voltage`"]),
        ("voltage,current\n0,1\n1,2\n", &[], &["`time`", "--dt"]),
        (good, &["--dt", "1e-9"], &["--dt", "no column `time`"]),
        ("time,voltage,current\n0,0,0\n1,0.1,high\n", &[], &["iv.csv:3: current", "high", "finite"]),
        ("time,voltage,current\n0,0,0\n1,0.1,NaN\n", &[], &["iv.csv:3: current", "NaN", "finite"]),
        ("time,voltage,current\n0,0,0\n1,0.1\n", &[], &["iv.csv:3: current", "2 cells", "3 cells"]),
        ("time,voltage,current\n0,0,0\n1,0.1,1\n5,0,0\n", &[], &["time step of sample", "evenly"]),
        ("time,voltage,current\n0,0,0\n", &[], &["1 samples", "at least two"]),
        ("voltage,current\n1,1\n1,2\n1,3\n", &["--dt", "1"], &["voltage 1 at every sample", "change"]),
        ("voltage,current\n1,1\n2,2\n", &["--dt", "-1"], &["--dt = -1", "positive"]),
        (good, &[], &["4 samples for 9 parameters", "at least 18"]),
        (good, &["--fit", "r_onn"], &["r_onn", "did you mean r_on"]),
        (good, &["--fit", "r_on", "--set", "r_off={normal={mean=1e3,std=1}}"], &["r_off", "one device"]),
    ];
    for (text, options, words) in cases {
        std::fs::write(folder.join("iv.csv"), text).unwrap();
        let files = ["device", "fit", "vteam", "--data", "iv.csv", "--out", "fit.toml", "--plot", "fit.svg"];
        let ran = memtorch_in(folder, &[&files[..], options].concat());
        assert_eq!(ran.code, 1, "{text:?}: {}", ran.stderr);
        assert_eq!((&ran.stdout[..], ran.stderr.lines().count()), ("", 1), "{}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{options:?}: no {word:?} in {}", ran.stderr);
        }
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "{text:?}");
    }
}

/// Many devices, each with parameters of its own; a device is the same whatever their number.
#[test]
fn many_devices_are_recorded_with_parameters_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let set =
        ["--set", "r_on={normal={mean=50,std=25},min=10}", "--set", "r_off={normal={mean=1000,std=50}}"];
    let sweep = ["--hysteresis", "--cycles", "1", "--json"];
    let run = |more: &[&str]| trace(folder, "vteam", &[&set[..], &sweep, more].concat()).done().stdout;
    let report = run(&["--devices", "40", "--out", "i.npy", "--csv", "t.csv", "--plot", "t.png"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((report["devices"].as_u64(), report["samples"].as_u64()), (Some(40), Some(201)));
    let starts = report["start_conductances"].as_array().unwrap();
    let resistances: Vec<f64> = starts.iter().map(|g| 1.0 / g.as_f64().unwrap()).collect();
    let mean = resistances.iter().sum::<f64>() / 40.0;
    // Five standard errors, and the limit.
    assert!((mean - 50.0).abs() < 5.0 * 25.0 / 40f64.sqrt(), "{mean}");
    assert!(resistances.iter().all(|r| *r >= 10.0 - 1e-9));
    let all = NpyArray::read(folder.join("i.npy")).unwrap();
    assert_eq!(all.shape, [40, 201]);
    let all = all.into_f64();
    let (head, columns) = columns(folder, "t.csv");
    assert_eq!(head, "device,time,voltage,current,state,conductance");
    assert_eq!((columns[3].len(), &columns[3]), (40 * 201, &all));
    run(&["--devices", "3", "--out", "few.npy"]);
    assert_eq!(NpyArray::read(folder.join("few.npy")).unwrap().into_f64(), all[..3 * 201]);

    // Ten states: every conductance is one of a device's own levels, and the nearest.
    run(&["--devices", "40", "--states", "10", "--csv", "s.csv"]);
    let (_, read) = self::columns(folder, "s.csv");
    for at in 0..40 * 201 {
        let (first, last) = (at / 201 * 201, at / 201 * 201 + 200);
        assert_eq!(read[4][at], columns[4][at], "the state moves as before");
        assert!((read[3][at] - read[5][at] * read[2][at]).abs() <= 1e-15);
        let exact = columns[5][at];
        let top = columns[5][first..=last].iter().copied().fold(0.0, f64::max);
        assert!((read[5][at] - exact).abs() <= top / 18.0, "half of a ninth of the range at most");
    }
    let distinct: std::collections::HashSet<u64> = read[5][..201].iter().map(|g| g.to_bits()).collect();
    assert!((3..=10).contains(&distinct.len()), "{}", distinct.len());
    for (options, words) in [
        (vec!["--devices", "1000000"], vec!["2.01e8", "at most 1e8"]),
        (vec!["--devices", "2", "--set", "v_on={uniform={low=1,high=2}}"], vec!["v_on"]),
    ] {
        let ran = trace(folder, "vteam", &[&set[..], &sweep, &options].concat());
        assert_eq!(ran.code, 1);
        for word in words {
            assert!(ran.stderr.contains(word), "{}", ran.stderr);
        }
    }
}

/// What the page of the models says of each parameter is what `device list` says.
#[test]
fn the_page_of_the_models_has_every_parameter() {
    let page = std::fs::read_to_string(common::root().join("docs/devices.md")).unwrap();
    for entry in MODELS {
        let named = format!("`{}`:", entry.name);
        let section = page.split("\n## ").find(|section| section.contains(&named)).unwrap();
        for field in entry.fields.iter().filter(|field| field.name != "start_conductance") {
            let first = format!("| `{}` | ", field.name);
            let row = section.lines().find_map(|line| line.strip_prefix(&first));
            let row = row.unwrap_or_else(|| panic!("{}: {}", entry.name, field.name));
            let [default, unit, meaning] = row.split(" | ").collect::<Vec<_>>()[..] else { panic!("{row}") };
            assert_eq!((unit, meaning), (field.unit, &format!("{} |", field.meaning)[..]));
            let shown = match field.default {
                Default::Real(value) => default.parse::<f64>() == Ok(value),
                Default::Reals(values) => {
                    default.split(", ").map(|one| one.parse::<f64>().unwrap()).eq(values.iter().copied())
                }
                Default::Bool(value) => default == value.to_string(),
                Default::Text(value) => default == value,
                _ => default == "-",
            };
            assert!(shown, "{}: {} is {default}", entry.name, field.name);
        }
    }
}
