//! Sweeps and searches, through the command.

#[path = "../common/mod.rs"]
mod common;
mod durability;
mod examples;
mod figures;
mod search;

use std::path::Path;

use common::{Ran, memtorch_in};

const HARDWARE: &str = "\
[device]
model = \"vteam\"
r_on = 1.4e4
r_off = 5e7
[crossbar]
tile = [64, 64]
[tune]
samples = 2
[[nonideality]]
kind = \"stuck\"
";

const SWEEP: &str = "\
[sweep]
repeats = 2
\"nonideality.0.hrs\" = [0.0, 0.2]
\"adc.bits\" = [3, 4, 6]
";

/// An experiment with a network of 49-16-10 on images that it makes small first.
fn experiment(rest: &str) -> String {
    let network = common::file("tests/networks/small.onnx");
    common::experiment("mlp", rest).replace(&common::file("models/fmnist-mlp.onnx"), &network)
}

/// A sweep over a small network: 6 points, 2 repeats.
fn small(folder: &Path) {
    std::fs::write(folder.join("e.toml"), experiment(&format!("{HARDWARE}{SWEEP}"))).unwrap();
}

/// The cells of a line of CSV, of which those with commas are in quotes.
fn cells(line: &str) -> Vec<&str> {
    let mut inside = false;
    let comma = |c: char| {
        inside ^= c == '"';
        c == ',' && !inside
    };
    line.split(comma).collect()
}

fn sweep(folder: &Path, more: &[&str]) -> Ran {
    memtorch_in(folder, &[&["sweep", "e.toml", "--limit", "20"], more].concat())
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Fails, with one line that has all these words.
#[track_caller]
fn says(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(words.iter().all(|word| ran.stderr.contains(word)), "{}", ran.stderr);
}

#[test]
fn a_sweep_has_a_row_for_each_point_and_repeat_and_a_point_is_the_same_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    sweep(folder, &["--out", "s", "--threads", "2"]).done();
    let table = read(folder, "s/results.csv");
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        lines[0].join(","),
        "point,repeat,nonideality.0.hrs,adc.bits,samples,digital_accuracy,memristive_accuracy"
    );
    let settings: Vec<String> = lines[1..].iter().map(|line| line[..5].join(" ")).collect();
    assert_eq!(settings.len(), 12);
    assert_eq!(settings[..4], ["0 0 0.0 3 20", "0 1 0.0 3 20", "1 0 0.0 4 20", "1 1 0.0 4 20"]);
    assert_eq!(settings[11], "5 1 0.2 6 20");
    // Every number of the table is that of a run of its own, by options and by number.
    for (point, repeat, hrs, bits) in [(0, 0, "0.0", "3"), (4, 1, "0.2", "4")] {
        let line = &lines[1 + 2 * point + repeat];
        let (hrs, bits) = (format!("nonideality.0.hrs={hrs}"), format!("adc.bits={bits}"));
        let repeat_option = format!("repeat={repeat}");
        let run = [
            "run",
            "e.toml",
            "--limit",
            "20",
            "--json",
            "--set",
            &hrs,
            "--set",
            &bits,
            "--set",
            &repeat_option,
        ];
        let ran = memtorch_in(folder, &run).done();
        assert!(ran.stderr.contains("note: one run without the [sweep]"), "{}", ran.stderr);
        let results: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        for (column, path) in [(5, "digital"), (6, "memristive")] {
            assert_eq!(line[column], format!("{:?}", results[path]["accuracy"].as_f64().unwrap()), "{path}");
        }
        let (point, repeat) = (point.to_string(), repeat.to_string());
        sweep(folder, &["--out", "one", "--point", &point, "--repeat", &repeat]).done();
        assert_eq!(read(folder, "one/results.json"), ran.stdout);
        // And what that wrote runs again.
        memtorch_in(folder, &["run", "one/experiment.toml", "--out", "again"]).done();
        assert_eq!(read(folder, "again/results.json"), ran.stdout);
    }
    // All of it in one table: the swept keys once, every other key of the experiment too.
    let runs = read(folder, "s/runs.csv");
    let runs: Vec<Vec<&str>> = runs.lines().map(cells).collect();
    let at =
        |name: &str| runs[0].iter().position(|other| *other == name).unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(runs.len(), 13);
    assert_eq!(runs[0][..5], ["point", "repeat", "nonideality.0.hrs", "adc.bits", "samples"]);
    assert_eq!(runs[0].iter().collect::<std::collections::BTreeSet<_>>().len(), runs[0].len());
    for (run, line) in runs[1..].iter().zip(&lines[1..]) {
        assert_eq!(run[..5], line[..5]);
        assert_eq!([run[at("digital_accuracy")], run[at("memristive_accuracy")]], line[5..]);
        let correct: f64 = run[at("memristive_correct")].parse().unwrap();
        assert_eq!(format!("{:?}", correct / 20.0), line[6]);
        assert!(run[at("all_seconds")].parse::<f64>().unwrap() > 0.0);
        for (key, value) in [
            ("seed", "0"),
            ("version", env!("CARGO_PKG_VERSION")),
            ("device.r_on", "14000.0"),
            ("nonideality.0.kind", "stuck"),
            ("tune.samples", "2"),
            ("data.limit", "20"),
        ] {
            assert_eq!(run[at(key)], value, "{key}");
        }
    }
    // Repeats have other faults, and points of one repeat the same ones.
    let log = read(folder, "s/log.jsonl");
    assert_eq!(log.lines().count(), 12);
    let accuracy = |line: usize| lines[line][6];
    assert!((7..12).step_by(2).any(|line| accuracy(line) != accuracy(line + 1)), "{table}");
    // The written experiment is the same sweep.
    memtorch_in(folder, &["sweep", "s/experiment.toml", "--out", "s", "--resume"]).done();
    assert_eq!(read(folder, "s/results.csv"), table);
    // One thread gives the same bytes, and so do fewer points at once.
    sweep(folder, &["--out", "t", "--threads", "1"]).done();
    sweep(folder, &["--out", "u", "--threads", "2", "--at-once", "1"]).done();
    for other in ["t", "u"] {
        for name in ["results.csv", "summary.csv", "sweep.json", "experiment.toml"] {
            assert_eq!(
                read(folder, &format!("s/{name}")),
                read(folder, &format!("{other}/{name}")),
                "{name}"
            );
        }
    }
}

#[test]
fn shards_merge_to_the_whole_and_merge_says_what_is_missing_or_differs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    sweep(folder, &["--out", "whole"]).done();
    sweep(folder, &["--out", "a", "--shard", "1/2"]).done();
    sweep(folder, &["--out", "b", "--shard", "2/2"]).done();
    assert_eq!(read(folder, "a/results.csv").lines().count(), 7);
    memtorch_in(folder, &["merge", "a", "b", "--out", "m"]).done();
    for name in ["results.csv", "summary.csv", "sweep.json", "experiment.toml"] {
        assert_eq!(read(folder, &format!("m/{name}")), read(folder, &format!("whole/{name}")), "{name}");
    }
    // A merged folder is a sweep: there is nothing left to compute in it.
    let before = read(folder, "m/log.jsonl");
    sweep(folder, &["--out", "m", "--resume"]).done();
    assert_eq!(read(folder, "m/log.jsonl"), before);
    // Overlapping parts are no error, missing ones are.
    memtorch_in(folder, &["merge", "a", "whole", "--out", "m2"]).done();
    assert_eq!(read(folder, "m2/results.csv"), read(folder, "whole/results.csv"));
    let ran = memtorch_in(folder, &["merge", "b", "--out", "m3"]);
    says(&ran, &["missing: point 0, point 2, point 4"]);
    assert!(!folder.join("m3").exists());
    sweep(folder, &["--out", "c", "--shard", "1/2", "--set", "crossbar.tile=[32, 64]"]).done();
    let ran = memtorch_in(folder, &["merge", "c", "b", "--out", "m3"]);
    says(&ran, &["`crossbar.tile` is [32, 64] in one and [64, 64] in the other", "c and b"]);
    sweep(folder, &["--out", "d", "--shard", "1/2", "--seed", "7"]).done();
    says(&memtorch_in(folder, &["merge", "d", "b", "--out", "m3"]), &["`seed` is 7 in one and 0"]);
    says(&memtorch_in(folder, &["merge", "a", "nowhere", "--out", "m3"]), &["nowhere", "sweep.json"]);
    says(&memtorch_in(folder, &["merge", "a", "b", "--out", "whole"]), &["whole", "a new folder"]);
    for shard in ["0/2", "3/2", "2", "a/b"] {
        assert_eq!(sweep(folder, &["--out", "x", "--shard", shard]).code, 2, "{shard}");
    }
}

#[test]
fn another_sweep_and_a_second_start_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    sweep(folder, &["--out", "s"]).done();
    let before = read(folder, "s/log.jsonl");
    says(&sweep(folder, &["--out", "s"]), &["s: expected a new folder, or --resume"]);
    for (option, words) in [
        ("seed=3", "`seed` is 0 in one and 3 in the other"),
        ("sweep.repeats=3", "sweep.repeats is 2 in one and 3"),
        ("sweep.\"adc.bits\"=[3, 4]", "the number of points is 6 in one and 4"),
        ("sweep.\"adc.bits\"=[3, 4, 8]", "the values of the swept keys"),
        ("model.fold_batch_norm=true", "`model.fold_batch_norm`"),
        ("data.limit=10", "`data.limit` is 20 in one and 10"),
    ] {
        says(&sweep(folder, &["--out", "s", "--resume", "--set", option]), &[words]);
    }
    // The same path with another network in it.
    let model = folder.join("net.onnx");
    let text = read(folder, "e.toml");
    let old = text.lines().nth(1).unwrap();
    std::fs::write(folder.join("e.toml"), text.replace(old, "onnx = \"net.onnx\"")).unwrap();
    std::fs::copy(common::file("tests/networks/small.onnx"), &model).unwrap();
    sweep(folder, &["--out", "s", "--resume"]).done();
    std::fs::copy(common::file("models/fmnist-lenet5.onnx"), &model).unwrap();
    says(&sweep(folder, &["--out", "s", "--resume"]), &["`model.onnx`"]);
    assert_eq!(read(folder, "s/log.jsonl"), before);
    says(&sweep(folder, &["--out", "s", "--set", "adc.bits=5"]), &["adc.bits=5", "not swept"]);
    says(
        &sweep(folder, &["--out", "s", "--set", "sweep.\"adc.bits\"=[40]"]),
        &["adc.bits", "40", "from 0 to 24"],
    );
    says(&sweep(folder, &["--out", "s", "--point", "6"]), &["--point", "from 0 to 5"]);
    let plain = experiment(HARDWARE);
    std::fs::write(folder.join("e.toml"), plain).unwrap();
    says(&sweep(folder, &["--out", "s"]), &["e.toml", "sweep", "a section [sweep]"]);
}

/// A regression has no accuracy, which sweeps and searches compare.
#[test]
fn a_regression_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let npy = |name: &str, shape: &str, count: usize| {
        let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
        header.push('\n');
        let length = (header.len() as u16).to_le_bytes();
        let bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &vec![0; 4 * count]].concat();
        std::fs::write(folder.join(name), bytes).unwrap();
    };
    npy("x.npy", "(20, 1, 28, 28)", 20 * 784);
    npy("y.npy", "(20, 10)", 200);
    let network = common::file("tests/networks/small.onnx");
    let data = "[data]\nkind = \"npy\"\nimages = \"x.npy\"\nlabels = \"y.npy\"\n";
    std::fs::write(folder.join("e.toml"), format!("[model]\nonnx = {network:?}\n{data}{HARDWARE}{SWEEP}"))
        .unwrap();
    memtorch_in(folder, &["run", "e.toml"]).done();
    says(
        &sweep(folder, &["--out", "s"]),
        &["data.labels", "a regression has no accuracy, which a sweep compares"],
    );
    let search = ["search", "e.toml", "--key", "adc.bits", "--values", "[4, 6]", "--drop", "0.1"];
    let ran = memtorch_in(folder, &search);
    assert!(ran.code == 1 && ran.stderr.contains("which a search compares"), "{}", ran.stderr);
}
