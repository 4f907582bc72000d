//! The main job, through the command.

#[path = "../common/mod.rs"]
mod common;
mod doors;
#[cfg(feature = "cuda-emulated")]
mod emulated;
mod faults;
mod nonidealities;
mod ports;
mod regression;
mod saving;

use common::{experiment, file, memtorch, memtorch_in};
use memtorch::utils::config::{Table, Value};
use memtorch::utils::datasets::DataSet;
use memtorch::utils::npy::{NpyArray, NpyData};
use memtorch::utils::npz::NpzWriter;

const HARDWARE: &str = "\
[device]
model = \"vteam\"
r_on = { lognormal = { median = 1.4e4, sigma_ln = 0.2 } }
r_off = 5e7
[adc]
bits = 6
[[nonideality]]
kind = \"stuck\"
hrs = 0.02
[[nonideality]]
kind = \"states\"
count = 20
[layers.\"fc1\".adc]
bits = 5
[layers.\"fc3\"]
patch = false
";

/// Writes the experiment into a folder and runs it from there.
fn run(folder: &std::path::Path, text: &str, out: &str, more: &[&str]) -> String {
    std::fs::write(folder.join("e.toml"), text).unwrap();
    let arguments = [&["run", "e.toml", "--out", out], more].concat();
    memtorch_in(folder, &arguments).done();
    std::fs::read_to_string(folder.join(out).join("results.json")).unwrap()
}

/// onnxruntime gets as many of the first 2,000 images right (models/figures.json).
#[test]
fn digital_answers_are_those_of_onnxruntime() {
    for (network, correct) in [
        ("mlp", 1815),
        ("lenet5", 1827),
        ("mobilenetv2", 1862),
        ("mobilenetv2-folded", 1862),
        ("conv1d", 1841),
        ("conv1d-folded", 1841),
        ("lstm", 1802),
    ] {
        let folder = tempfile::tempdir().unwrap();
        // The memristive path is another test's: every layer stays digital here, and both must agree.
        let text = experiment(network, "[device]\nmodel = \"vteam\"\n[layers.\"*\"]\npatch = false\n");
        let results = run(folder.path(), &text, "out", &[]);
        let results: serde_json::Value = serde_json::from_str(&results).unwrap();
        assert_eq!(results["samples"], 2000);
        assert_eq!(results["digital"]["correct"], correct, "{network}");
        assert_eq!(results["memristive"]["correct"], correct, "{network}");
        assert_eq!(results["agreement"], 1.0, "{network}");
    }
}

/// With r_off / r_on of 1e6, no converters and no faults, what remains is rounding: 1e-4 of the largest
/// logit, with every linear layer on crossbars.
#[test]
fn nearly_ideal_hardware_gives_the_digital_logits() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::from_iter([
        ("images", Value::Text(file("data/fashion-mnist-t2k-images-idx3-ubyte.gz"))),
        ("labels", Value::Text(file("data/fashion-mnist-t2k-labels-idx1-ubyte.gz"))),
    ]);
    let set = DataSet::open(&table, std::path::Path::new("")).unwrap();
    let mut images = vec![0.0; 16 * 784];
    set.read(0..16, &mut images).unwrap();
    NpyArray::from_f32(&[16, 1, 28, 28], images).write(folder.path().join("x.npy")).unwrap();
    std::fs::write(folder.path().join("e.toml"), "[device]\nmodel = \"vteam\"\nr_on = 1e3\nr_off = 1e9\n")
        .unwrap();
    for network in ["mlp", "lenet5", "mobilenetv2", "mobilenetv2-folded", "conv1d", "conv1d-folded", "lstm"] {
        let model = file(&format!("models/fmnist-{network}.onnx"));
        let infer = |out: &str, more: &[&str]| {
            let arguments = [&["infer", &model, "--input", "x.npy", "--out", out], more].concat();
            memtorch_in(folder.path(), &arguments).done();
            let array = NpyArray::read(folder.path().join(out)).unwrap();
            assert_eq!(array.shape, [16, 10]);
            array.into_f64()
        };
        let digital = infer("digital.npy", &[]);
        let memristive = infer("memristive.npy", &["--experiment", "e.toml", "--set", "tune.samples=0"]);
        let largest = digital.iter().fold(0.0f64, |m, y| m.max(y.abs()));
        for (a, b) in digital.iter().zip(&memristive) {
            assert!((a - b).abs() <= 1e-4 * largest, "{network}: {a} {b}");
        }
        assert_ne!(digital, memristive, "{network} ran digitally twice");
    }
}

#[test]
fn the_resolved_experiment_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let first = run(
        folder.path(),
        &experiment("lenet5", HARDWARE),
        "a",
        &["--limit", "100", "--set", "tune.samples=4"],
    );
    // From another folder, and again from what that wrote.
    for (from, to) in [("a", "b/c"), ("b/c", "d")] {
        let path = folder.path().join(from).join("experiment.toml");
        memtorch_in(folder.path(), &["run", path.to_str().unwrap(), "--out", to]).done();
        for name in ["results.json", "layers.csv", "experiment.toml"] {
            let read = |folder_name: &str| {
                std::fs::read_to_string(folder.path().join(folder_name).join(name)).unwrap()
            };
            assert_eq!(read(from), read(to), "{name}");
        }
    }
    let again = std::fs::read_to_string(folder.path().join("d/results.json")).unwrap();
    assert_eq!(first, again);
}

/// A section [adc] for some layers brings its default bits to them, with and without an [adc] for all.
#[test]
fn a_converter_for_some_layers_only_survives_the_resolved_experiment() {
    let folder = tempfile::tempdir().unwrap();
    let text = experiment("lenet5", "[device]\nmodel = \"vteam\"\n[layers.\"conv*\".adc]\nread = \"each\"\n");
    let first = run(folder.path(), &text, "a", &["--limit", "8"]);
    let results: serde_json::Value = serde_json::from_str(&first).unwrap();
    let converted: Vec<bool> = (0..5).map(|i| !results["layers"][i]["adc_clipped"].is_null()).collect();
    assert_eq!(converted, [true, true, false, false, false]);
    memtorch_in(folder.path(), &["run", "a/experiment.toml", "--out", "b"]).done();
    assert_eq!(first, std::fs::read_to_string(folder.path().join("b/results.json")).unwrap());
}

/// Fault 14 of the published tool: there was no seed, and two runs differed.
#[test]
fn results_do_not_depend_on_threads_and_do_on_the_seed() {
    let folder = tempfile::tempdir().unwrap();
    let text = experiment("lenet5", HARDWARE);
    let more = |more: &[&'static str]| [&["--limit", "200"], more].concat();
    let one = run(folder.path(), &text, "one", &more(&["--threads", "1"]));
    let two = run(folder.path(), &text, "two", &more(&["--threads", "2"]));
    assert_eq!(one, two);
    let other = run(folder.path(), &text, "other", &more(&["--seed", "1"]));
    let layers = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["layers"].clone();
    assert_ne!(layers(&one), layers(&other));
    let printed = memtorch_in(folder.path(), &["run", "e.toml", "--limit", "200", "--json"]).done().stdout;
    assert_eq!(printed, one);
}

#[test]
fn overrides_reach_their_layers_and_reports_say_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let results = run(folder.path(), &experiment("lenet5", HARDWARE), "out", &["--limit", "50"]);
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    let layer = |name: &str| {
        results["layers"].as_array().unwrap().iter().find(|layer| layer["name"] == name).unwrap().clone()
    };
    let fc3 = layer("fc3");
    assert_eq!(fc3["patched"], false);
    assert!(fc3["reason"].as_str().unwrap().contains("fc3"));
    // Two arrays of 400 x 120 on four tiles of 128 x 128 each.
    let fc1 = layer("fc1");
    assert_eq!(fc1["tiles"], 4);
    assert_eq!(fc1["devices"], 2 * 4 * 128 * 128);
    assert_eq!(fc1["devices_used"], 2 * 400 * 120);
    // Two per cent of each array, rounded.
    assert_eq!(fc1["stuck"], 2 * 960);
    // Five bits lose more than six, all else equal.
    let all_six = run(
        folder.path(),
        &experiment("lenet5", HARDWARE),
        "six",
        &["--limit", "50", "--set", "layers.\"fc1\".adc.bits=6"],
    );
    let all_six: serde_json::Value = serde_json::from_str(&all_six).unwrap();
    let error = |results: &serde_json::Value| results["layers"][2]["relative_error"].as_f64().unwrap();
    assert!(error(&results) > error(&all_six), "{} {}", error(&results), error(&all_six));
    let csv = std::fs::read_to_string(folder.path().join("out/layers.csv")).unwrap();
    let mut lines = csv.lines();
    assert_eq!(
        lines.next().unwrap(),
        "name,operator,patched,reason,rows,columns,groups,tiles,devices,devices_used,utilisation,w_max,gain,\
         intercept,r2,adc_clipped,write_clipped,stuck,relative_error"
    );
    assert_eq!(lines.count(), 5);
}

#[test]
fn a_network_alone_runs_with_images_and_labels() {
    let ran = memtorch(&[
        "run",
        "models/fmnist-mlp.onnx",
        "--images",
        "data/fashion-mnist-t2k-images-idx3-ubyte.gz",
        "--labels",
        "data/fashion-mnist-t2k-labels-idx1-ubyte.gz",
        "--set",
        "adc.bits=8",
        "--limit",
        "100",
    ])
    .done();
    assert!(ran.stdout.contains("VTEAM") && ran.stdout.contains("of 100 right"), "{}", ran.stdout);
    // The kind of the data is known by the name of their file.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.npz");
    NpzWriter::write(&path, |npz| {
        npz.array("x", &NpyArray::from_f32(&[4, 784], vec![0.5; 4 * 784]))?;
        npz.array("y", &NpyArray { shape: vec![4], data: NpyData::I64(vec![0, 1, 2, 3]) })
    })
    .unwrap();
    let ran = memtorch(&["run", "models/fmnist-mlp.onnx", "--images", path.to_str().unwrap()]).done();
    assert!(ran.stdout.contains("of 4 right"), "{}", ran.stdout);
}

#[test]
fn every_experiment_of_the_repository_runs() {
    let mut count = 0;
    for entry in std::fs::read_dir(common::root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let mut arguments = vec!["run", path.to_str().unwrap(), "--limit", "20"];
            if std::fs::read_to_string(&path).unwrap().contains("bias = ") {
                // Written by pulses in passive arrays, the whole network takes minutes.
                let small = ["layers.conv2.patch=false", "layers.fc1.patch=false", "layers.fc2.patch=false"];
                arguments.extend(small.iter().flat_map(|layer| ["--set", layer]));
            }
            let ran = memtorch(&arguments).done();
            assert!(ran.stdout.starts_with("digital"), "{}", ran.stdout);
            count += 1;
        }
    }
    assert!(count >= 4, "{count} experiments");
}

#[test]
fn the_template_runs_once_its_paths_are_right_and_says_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let model = file("models/fmnist-lenet5.onnx");
    memtorch_in(folder.path(), &["init", &model, "--out", "e.toml"]).done();
    let images = format!("data.images={}", file("data/fashion-mnist-t2k-images-idx3-ubyte.gz"));
    let labels = format!("data.labels={}", file("data/fashion-mnist-t2k-labels-idx1-ubyte.gz"));
    let run = |experiment: &str, out: &str| {
        let paths = ["--set", &images, "--set", &labels, "--limit", "10", "--out", out];
        memtorch_in(folder.path(), &[&["run", experiment], &paths[..]].concat()).done();
        std::fs::read_to_string(folder.path().join(out).join("experiment.toml")).unwrap()
    };
    let resolved = run("e.toml", "a");
    // With every commented key taken in, it is the same experiment, but for the section of the ADC.
    let text = std::fs::read_to_string(folder.path().join("e.toml")).unwrap();
    let (before, _) = text.split_once("# What is not ideal").unwrap();
    let keys: String = before
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') && !key.ends_with("= ") => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(folder.path().join("all.toml"), keys).unwrap();
    let all = run("all.toml", "b");
    assert_eq!(all.replace("[adc]\nbits = 8", "[adc]\nbits = 0"), resolved);
    // It is not written over.
    let again = memtorch_in(folder.path(), &["init", &model, "--out", "e.toml"]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
}

/// What layers see in the digital network calibrates their converters and tunes their tiles, and the report says what
/// it costs.
#[test]
fn layers_are_calibrated_and_tuned_with_the_images_of_the_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let hardware = "[device]\nmodel = \"vteam\"\nr_on = 1.4e4\nr_off = 5e7\n[crossbar]\nscheme = \"offset-column\"\n\
        remapping = \"both\"\n[input]\nbits = 6\nserial = true\n[adc]\nbits = 9\nrange = \"calibrated\"\n\
        granularity = \"tile\"\ncolumns_per_adc = 8\n[tune]\nper = \"tile\"\ninputs = \"data\"\n\
        [[nonideality]]\nkind = \"stuck\"\nhrs = 0.02\n";
    let text = experiment("lenet5", hardware);
    let results = run(folder.path(), &text, "a", &["--limit", "16"]);
    let json: serde_json::Value = serde_json::from_str(&results).unwrap();
    for layer in json["layers"].as_array().unwrap() {
        let [least, most] = [0, 1].map(|i| layer["full_scale"][i].as_f64().unwrap());
        assert!(0.0 < least && least <= most && most < 1.0, "{layer}");
        let columns = layer["columns"].as_u64().unwrap();
        let turns = 8.min(columns + 1);
        assert_eq!(layer["cycles_per_vector"], 6 * turns);
        assert_eq!(
            layer["converters"].as_u64().unwrap(),
            layer["tiles"].as_u64().unwrap() * (columns + 1).div_ceil(8)
        );
        assert!(layer["r2"].as_f64().unwrap() > 0.5, "{layer}");
        let [before, after] = [0, 1].map(|i| layer["remapping"][i].as_f64().unwrap());
        assert!(after < before, "{layer}");
        let per_weight = layer["devices_per_weight"].as_f64().unwrap();
        assert!((per_weight - (1.0 + 1.0 / columns as f64)).abs() < 1e-9, "{per_weight}");
    }
    // Images that are looked at do not change those that calibrate; the resolved experiment is the same one.
    let fewer = run(folder.path(), &text, "b", &["--limit", "5"]);
    let fewer: serde_json::Value = serde_json::from_str(&fewer).unwrap();
    assert_eq!(fewer["layers"][2]["full_scale"], json["layers"][2]["full_scale"]);
    let resolved = std::fs::read_to_string(folder.path().join("a/experiment.toml")).unwrap();
    assert_eq!(run(folder.path(), &resolved, "c", &[]), results);
    // Without images there is nothing to calibrate with.
    std::fs::write(folder.path().join("none.toml"), hardware).unwrap();
    let model = file("models/fmnist-lenet5.onnx");
    let images = file("tests/reference/images.npy");
    let arguments = ["infer", &model, "--input", &images, "--out", "y.npy", "--experiment", "none.toml"];
    let ran = memtorch_in(folder.path(), &arguments);
    assert!(ran.code == 1 && ran.stderr.contains("[data]"), "{}", ran.stderr);
}

#[test]
fn the_table_of_keys_is_that_of_the_schema() {
    let path = common::root().join("docs/experiment.md");
    let made = memtorch::experiment::markdown(&memtorch::Registry::with_defaults());
    if std::env::var_os("MEMTORCH_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/experiment.md is not that of the schema: run this test with MEMTORCH_BLESS=1"
    );
}

#[test]
fn inspect_counts_tiles_and_devices() {
    let ran = memtorch(&["inspect", "models/fmnist-mobilenetv2.onnx", "--tile", "64x32", "--json"]).done();
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let layers = json["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 18);
    let depthwise = layers.iter().find(|layer| layer["groups"] == 48).unwrap();
    assert_eq!(depthwise["rows"], 9);
    assert_eq!(depthwise["tiles"], 48);
    assert_eq!(depthwise["devices"], 2 * 48 * 64 * 32);
    assert_eq!(depthwise["utilisation"].as_f64().unwrap(), 9.0 / (64.0 * 32.0));
    assert_eq!(json["unsupported"].as_array().unwrap().len(), 0);
}

#[test]
fn device_models_are_listed_with_their_parameters() {
    let ran = memtorch(&["device", "list", "--json"]).done();
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let vteam = json.as_array().unwrap().iter().find(|model| model["name"] == "vteam").unwrap();
    let parameter = |name: &str| {
        vteam["parameters"].as_array().unwrap().iter().find(|p| p["name"] == name).unwrap().clone()
    };
    assert_eq!(parameter("r_on")["default"], 50.0);
    assert_eq!(parameter("r_off")["unit"], "ohm");
    assert_eq!(parameter("v_on")["default"], -0.2);
    let human = memtorch(&["device", "list"]).done().stdout;
    assert!(human.contains("vteam") && human.contains("w_off"), "{human}");
}

/// Devices that all drift by the same share leave one gain to be measured again: (t / t0)^nu, on top of the old one.
#[test]
fn the_compensation_of_drift_is_among_the_results() {
    let folder = tempfile::tempdir().unwrap();
    let hardware = "[device]\nmodel = \"vteam\"\nr_on = 1.4e4\nr_off = 5e7\n[tune]\nsamples = 4\n";
    let drift = "[[nonideality]]\nkind = \"drift\"\nnu = 0.1\ntime = 1e4\n";
    let results = |name: &str, more: &str| -> serde_json::Value {
        let text = experiment("mlp", &format!("{hardware}{more}"));
        serde_json::from_str(&run(folder.path(), &text, name, &["--limit", "200"])).unwrap()
    };
    let (fresh, drifted) = (results("fresh", ""), results("drifted", drift));
    let compensated = results("compensated", &format!("{drift}compensation = true\n"));
    let factor = 1e4f64.powf(0.1);
    let layers = |results: &serde_json::Value| results["layers"].as_array().unwrap().clone();
    for ((before, without), with) in layers(&fresh).iter().zip(layers(&drifted)).zip(layers(&compensated)) {
        assert!(before["compensation"].is_null() && without["compensation"].is_null());
        let number = |layer: &serde_json::Value, key: &str| layer[key].as_f64().unwrap();
        // Products of f32 on both sides of the regression.
        assert!((number(&with, "compensation") / factor - 1.0).abs() < 1e-5, "{with}");
        assert!((number(&with, "gain") / number(before, "gain") / factor - 1.0).abs() < 1e-5, "{with}");
        assert_eq!(number(&without, "gain"), number(before, "gain"));
        // Outputs are short of what they were by the share that drifted away, and then no longer.
        let (lost, left) = (number(&without, "relative_error"), number(&with, "relative_error"));
        assert!((lost - (1.0 - 1.0 / factor)).abs() < 0.02 && left < 1e-3, "{lost} {left}");
    }
    assert_eq!(compensated["memristive"], fresh["memristive"]);
}

#[test]
fn the_plan_of_an_experiment_says_where_each_layer_will_be() {
    let folder = tempfile::tempdir().unwrap();
    let text = experiment(
        "mobilenetv2",
        "[device]\nmodel = \"vteam\"\n[crossbar]\ntile = [64, 64]\ngroup_packing = \"block-diagonal\"\n\
         [layers.\"fc\"]\npatch = false\n",
    );
    std::fs::write(folder.path().join("e.toml"), text).unwrap();
    let plan = memtorch_in(folder.path(), &["inspect", "--experiment", "e.toml", "--json"]).done().stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let run = memtorch_in(folder.path(), &["run", "e.toml", "--json", "--limit", "2"]).done().stdout;
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    let (planned, done) = (plan["layers"].as_array().unwrap(), run["layers"].as_array().unwrap());
    assert_eq!(planned.len(), done.len());
    assert!(planned.iter().any(|layer| layer["patched"] == false));
    assert!(planned.iter().any(|layer| layer["group_packing"] == "block-diagonal"));
    for (planned, done) in planned.iter().zip(done) {
        for key in ["name", "patched", "reason", "tiles", "devices", "devices_used"] {
            assert_eq!(planned[key], done[key], "{key} of {}", planned["name"]);
        }
        if done["patched"] == true {
            assert_eq!(planned["utilisation"], done["utilisation"]);
        }
    }
    let human = memtorch_in(folder.path(), &["inspect", "--experiment", "e.toml"]).done().stdout;
    assert!(
        human.contains("digital: patch = false for") && human.contains("groups block-diagonal"),
        "{human}"
    );
    let attention = file("memtorch-nn/tests/networks/vit.ts.onnx");
    let products = memtorch(&["inspect", &attention]).done().stdout;
    assert!(products.contains("which stay digital:\n  MatMul (node"), "{products}");
}
