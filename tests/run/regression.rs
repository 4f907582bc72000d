//! Networks whose outputs are compared with real numbers.

use std::path::Path;

use memtorch::utils::npy::NpyArray;

use crate::common::{file, memtorch_in};

const SAMPLES: usize = 6;
const VALUES: usize = 2 * 64;
const TARGETS: usize = 4;

fn memtorch(folder: &Path, arguments: &[&str]) -> String {
    memtorch_in(folder, arguments).done().stdout
}

/// The experiment of a small network with these lines of `[data]`.
fn experiment(folder: &Path, data: &str) {
    let model = file("memtorch-nn/tests/networks/ecg.ts.onnx");
    let text = format!(
        "[model]\nonnx = {model:?}\n[data]\n{data}\n[device]\nmodel = \"vteam\"\nr_on = 1.4e4\nr_off = 5e7\n\
         [adc]\nbits = 6\n[sweep]\n\"adc.bits\" = [4, 6]\n"
    );
    std::fs::write(folder.join("e.toml"), text).unwrap();
}

#[test]
fn errors_of_outputs_are_reported_and_what_needs_classes_says_so() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let model = file("memtorch-nn/tests/networks/ecg.ts.onnx");
    let x: Vec<f32> = (0..SAMPLES * VALUES).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    // The network takes three samples at once.
    let mut y = Vec::new();
    for half in x.chunks_exact(3 * VALUES) {
        NpyArray::from_f32(&[3, 2, 64], half.to_vec()).write(folder.join("half.npy")).unwrap();
        memtorch(folder, &["infer", &model, "--input", "half.npy", "--out", "y.npy"]);
        y.extend(NpyArray::read(folder.join("y.npy")).unwrap().into_f32());
    }
    assert_eq!(y.len(), SAMPLES * TARGETS);
    // Each output misses by 0.5 or -0.5.
    let targets: Vec<f32> =
        y.iter().enumerate().map(|(i, y)| y + if i % 3 == 0 { 0.5 } else { -0.5 }).collect();
    let line = |sample: usize| -> String {
        let list = targets[sample * TARGETS..][..TARGETS].iter().chain(&x[sample * VALUES..][..VALUES]);
        list.map(|x| format!("{x:?}")).collect::<Vec<_>>().join(",")
    };
    let names = (0..TARGETS + VALUES).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",");
    let lines: Vec<String> = (0..SAMPLES).map(line).collect();
    std::fs::write(folder.join("d.csv"), format!("{names}\n{}\n", lines.join("\n"))).unwrap();
    NpyArray::from_f32(&[SAMPLES, 2, 64], x).write(folder.join("x.npy")).unwrap();
    NpyArray::from_f32(&[SAMPLES, TARGETS], targets.clone()).write(folder.join("t.npy")).unwrap();

    experiment(folder, "kind = \"csv\"\nimages = \"d.csv\"\ntargets = 4");
    let human = memtorch(folder, &["run", "e.toml", "--out", "csv", "--threads", "1"]);
    assert!(
        human.starts_with("digital     root mean square error 5.0000e-1, mean absolute error 5.0000e-1"),
        "{human}"
    );
    assert!(!human.contains("predict"), "{human}");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let results = read("csv/results.json");
    let json: serde_json::Value = serde_json::from_str(&results).unwrap();
    let digital = |key: &str| json["digital"][key].as_f64().unwrap();
    assert!((digital("mean_squared_error") - 0.25).abs() < 1e-6);
    assert!((digital("mean_absolute_error") - 0.5).abs() < 1e-6);
    let mean = targets.iter().map(|t| f64::from(*t)).sum::<f64>() / targets.len() as f64;
    let total: f64 = targets.iter().map(|t| (f64::from(*t) - mean).powi(2)).sum();
    assert!((digital("r2") - (1.0 - 0.25 * targets.len() as f64 / total)).abs() < 1e-5);
    assert_ne!(json["memristive"]["mean_squared_error"], json["digital"]["mean_squared_error"]);
    assert!(json["digital"].get("accuracy").is_none() && json["agreement"].is_null(), "{results}");
    assert_eq!(json["samples"], SAMPLES);

    // The same numbers as arrays, and with more threads.
    experiment(folder, "kind = \"npy\"\nimages = \"x.npy\"\nlabels = \"t.npy\"");
    memtorch(folder, &["run", "e.toml", "--out", "npy", "--threads", "2"]);
    assert_eq!(read("npy/results.json"), results);
    memtorch(folder, &["plot", "npy"]);
    assert!(read("npy/report.html").contains("root mean square error 5.0000e-1"));

    let fails = |arguments: &[&str], words: &[&str]| {
        let ran = memtorch_in(folder, arguments);
        assert_eq!(
            (ran.code, ran.stderr.lines().filter(|line| line.starts_with("error")).count()),
            (1, 1),
            "{}",
            ran.stderr
        );
        assert!(words.iter().all(|word| ran.stderr.contains(word)), "{words:?}: {}", ran.stderr);
    };
    let values = ["--key", "adc.bits", "--values", "[4, 6]", "--drop", "0.1", "--blocks", "5"];
    fails(&[&["search", "e.toml"], &values[..]].concat(), &["real numbers", "classes", "a search"]);
    fails(&["sweep", "e.toml", "--out", "s"], &["real numbers", "classes", "a sweep"]);
    fails(&["run", "e.toml", "--set", "data.targets=4"], &["targets", "csv"]);
    experiment(folder, "kind = \"csv\"\nimages = \"d.csv\"");
    fails(&["run", "e.toml"], &["d.csv", "line 2", "`targets` = 1"]);
    experiment(folder, "kind = \"csv\"\nimages = \"d.csv\"\ntargets = 3");
    fails(&["run", "e.toml"], &["[129]", "[3, 2, 64]"]);
    let mut short = lines;
    short[4] = format!("oops,{}", short[4].split_once(',').unwrap().1);
    std::fs::write(folder.join("d.csv"), short.join("\n")).unwrap();
    experiment(folder, "kind = \"csv\"\nimages = \"d.csv\"\ntargets = 4");
    fails(&["run", "e.toml"], &["d.csv", "line 5", "4 finite numbers"]);
}
