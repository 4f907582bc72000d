//! Sweeps, through the command.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Ran, experiment, memtorch_in};

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

/// A sweep over a small network: 6 points, 2 repeats.
fn small(folder: &Path) {
    std::fs::write(folder.join("e.toml"), experiment("mlp", &format!("{HARDWARE}{SWEEP}"))).unwrap();
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
    // Repeats have other faults, and points of one repeat the same ones.
    let log = read(folder, "s/log.jsonl");
    assert_eq!(log.lines().count(), 12);
    let accuracy = |line: usize| lines[line][6];
    assert!((7..12).step_by(2).any(|line| accuracy(line) != accuracy(line + 1)), "{table}");
    // The written experiment is the same sweep.
    memtorch_in(folder, &["sweep", "s/experiment.toml", "--limit", "20", "--out", "s", "--resume"]).done();
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
    std::fs::copy(common::file("models/fmnist-mlp.onnx"), &model).unwrap();
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
    let plain = experiment("mlp", HARDWARE);
    std::fs::write(folder.join("e.toml"), plain).unwrap();
    says(&sweep(folder, &["--out", "s"]), &["e.toml", "sweep", "a section [sweep]"]);
}

/// Killed at any moment and gone on with, a sweep ends with the table of one that was left alone.
#[test]
fn twenty_kills_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let more = ["--set", "sweep.repeats=6", "--limit", "20", "--threads", "2"];
    memtorch_in(folder, &[&["sweep", "e.toml", "--out", "whole"], &more[..]].concat()).done();
    let path = folder.join("s/log.jsonl");
    let length = || std::fs::metadata(&path).map_or(0, |file| file.len());
    for attempt in 1..=20u32 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_memtorch"))
            .args(["sweep", "e.toml", "--out", "s", "--resume"])
            .args(more)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Every third is killed somewhere before its first line, the others soon after it: moments that
        // look random, but the same in each run of the test.
        let share = (f64::from(attempt) * 0.618_033_988_75).fract();
        let (before, started) = (length(), Instant::now());
        while attempt % 3 != 0 && length() <= before && started.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_secs_f64(0.03 * share));
        assert!(child.try_wait().unwrap().is_none(), "attempt {attempt}: the sweep ended before its kill");
        child.kill().unwrap();
        child.wait().unwrap();
        if attempt == 10 {
            // A power cut in the middle of a line.
            let mut log = std::fs::read(&path).unwrap();
            log.truncate(log.len() - 50);
            std::fs::write(&path, log).unwrap();
        }
    }
    assert!(length() > 0, "nothing was computed before the kills");
    memtorch_in(folder, &[&["sweep", "e.toml", "--out", "s", "--resume"], &more[..]].concat()).done();
    for name in ["results.csv", "summary.csv"] {
        assert_eq!(read(folder, &format!("s/{name}")), read(folder, &format!("whole/{name}")), "{name}");
    }
    assert_eq!(read(folder, "s/log.jsonl").lines().count(), 36);
    let left: Vec<_> = std::fs::read_dir(folder.join("s")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

#[test]
fn a_damaged_log_is_an_error_unless_it_is_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    sweep(folder, &["--out", "s"]).done();
    let (log, table) = (read(folder, "s/log.jsonl"), read(folder, "s/results.csv"));
    let lines: Vec<&str> = log.lines().collect();
    for end in
        [&log[..log.len() - 1], &log[..log.len() - 40], &(log.clone() + "{\"che"), &(log.clone() + "\0\0\0")]
    {
        std::fs::write(folder.join("s/log.jsonl"), end).unwrap();
        sweep(folder, &["--out", "s", "--resume"]).done();
        assert_eq!(read(folder, "s/results.csv"), table);
        assert_eq!(read(folder, "s/log.jsonl").lines().count(), lines.len());
    }
    for (changed, what) in [
        (lines[2].replacen("\"correct\":1", "\"correct\":2", 1), "its check is wrong"),
        (lines[1].to_owned(), "for the second time"),
        (String::new(), "not a line of a log"),
    ] {
        let mut lines = lines.clone();
        lines[2] = &changed;
        std::fs::write(folder.join("s/log.jsonl"), lines.join("\n") + "\n").unwrap();
        says(&sweep(folder, &["--out", "s", "--resume"]), &["log.jsonl: line 3 is damaged", what]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_and_folders_that_cannot_be_written_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    // Some of the sweep is there, and then the process may not write files beyond a size.
    sweep(folder, &["--out", "s", "--shard", "1/3"]).done();
    let before = read(folder, "s/log.jsonl");
    let size = before.len() as u64 / 512 + 2;
    let script = format!(
        "trap '' XFSZ; ulimit -f {size}; exec {:?} sweep e.toml --limit 20 --out s --resume --threads 2",
        env!("CARGO_BIN_EXE_memtorch")
    );
    let limited = Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap();
    let error = String::from_utf8(limited.stderr).unwrap();
    assert_eq!(limited.status.code(), Some(1), "{error}");
    assert!(error.contains("log.jsonl") && error.contains("File too large"), "{error}");
    let after = read(folder, "s/log.jsonl");
    assert!(after.starts_with(&before) && after.ends_with('\n'), "half a line is left");
    sweep(folder, &["--out", "s", "--resume"]).done();
    sweep(folder, &["--out", "whole"]).done();
    assert_eq!(read(folder, "s/results.csv"), read(folder, "whole/results.csv"));
    std::fs::write(folder.join("file"), "").unwrap();
    for out in ["file", "file/below", "/proc/nothing"] {
        says(&sweep(folder, &["--out", out]), &[out]);
    }
}

#[test]
fn a_point_that_fails_is_named_and_the_others_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Resistances above r_off (1 kilo-ohm): no such device can be drawn.
    let rest = "[device]\nmodel = \"vteam\"\n[[nonideality]]\nkind = \"device-to-device\"\n\
        parameters = { r_on = { uniform = { low = 1.0, high = 6000.0 } } }\n\
        [sweep]\n\"nonideality.0.parameters.r_on.uniform.low\" = [5000.0, 1.0]\nrepeats = 2\n";
    std::fs::write(folder.join("e.toml"), experiment("mlp", rest)).unwrap();
    for _ in 0..2 {
        let more: &[&str] = if folder.join("s").exists() { &["--resume"] } else { &[] };
        let ran = sweep(folder, &[&["--out", "s"], more].concat());
        let setting =
            "point 0 (nonideality.0.parameters.r_on.uniform.low = 5000.0), repeat 0 (and 1 more failed)";
        says(&ran, &[setting, "r_on"]);
        let log = read(folder, "s/log.jsonl");
        assert_eq!(log.lines().count(), 2);
        assert!(log.lines().all(|line| line.contains("\"row\":{\"point\":1,")), "{log}");
        assert!(!folder.join("s/results.csv").exists());
    }
}

#[test]
fn figures_and_the_report_are_made_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let tiles = "sweep.\"crossbar.tile\"=[[64, 64], [32, 16]]";
    sweep(folder, &["--out", "s", "--set", tiles]).done();
    let names = ["accuracy-nonideality.0.hrs", "accuracy-adc.bits", "heat-map", "repeats", "layers"];
    let files: Vec<String> =
        names.iter().flat_map(|n| [format!("s/{n}.svg"), format!("s/{n}.png")]).collect();
    let bytes = || files.iter().map(|file| std::fs::read(folder.join(file)).unwrap()).collect::<Vec<_>>();
    let (before, report) = (bytes(), read(folder, "s/report.html"));
    for file in &files {
        std::fs::remove_file(folder.join(file)).unwrap();
    }
    let printed = memtorch_in(folder, &["plot", "s"]).done().stdout;
    assert_eq!(printed.lines().count(), names.len() + 1, "{printed}");
    assert!(bytes() == before && read(folder, "s/report.html") == report, "not the same figures");
    let lines = read(folder, "s/accuracy-adc.bits.svg");
    for text in
        ["adc: bits", "accuracy (%)", "stuck: hrs", "crossbar: tile: 32 x 16", "digital", "20 samples"]
    {
        assert!(lines.contains(text), "no {text:?} in the figure");
    }
    // One file, which fetches nothing, with every figure and point in it.
    for outside in ["src=", "href=", "<script", "@import", "url("] {
        assert!(!report.contains(outside), "{outside}");
    }
    assert_eq!(report.matches("<svg").count(), names.len());
    assert_eq!(report.matches("<tr>").count(), 1 + 12);
    assert!(report.contains("[sweep]") && report.contains("12 points of 12, 2 repeats each"));
    // A run has figures too, and another folder has none.
    memtorch_in(folder, &["run", "s/experiment.toml", "--limit", "5", "--out", "r"]).done();
    memtorch_in(folder, &["plot", "r"]).done();
    assert!(read(folder, "r/layers.svg").contains("fc1") && read(folder, "r/report.html").contains("<svg"));
    std::fs::create_dir(folder.join("empty")).unwrap();
    says(&memtorch_in(folder, &["plot", "empty"]), &["empty", "memtorch sweep"]);
}

#[test]
fn a_search_finds_what_trying_all_finds_and_says_what_it_spent() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Nothing is random here, so that all blocks have one hardware and their mean is that of a run.
    std::fs::write(
        folder.join("e.toml"),
        experiment("mlp", "[device]\nmodel = \"vteam\"\n[tune]\nsamples = 0\n"),
    )
    .unwrap();
    let values = "{ from = 2, to = 9, step = 1 }";
    let search = |more: &[&str]| {
        let base = ["search", "e.toml", "--key", "adc.bits", "--json"];
        let values: &[&str] = if more.contains(&"--values") { &[] } else { &["--values", values] };
        let limit: &[&str] = if more.contains(&"--limit") { &[] } else { &["--limit", "1000"] };
        memtorch_in(folder, &[&base[..], values, limit, more].concat())
    };
    let ran = search(&["--drop", "0.02", "--out", "found.json"]).done();
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let loss = |bits: u64| {
        let set = format!("adc.bits={bits}");
        let run = ["run", "e.toml", "--limit", "1000", "--json", "--set", &set];
        let ran = memtorch_in(folder, &run).done();
        let results: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let right = |path: &str| results[path]["correct"].as_f64().unwrap();
        (right("digital") - right("memristive")) / 1000.0
    };
    let tried = found["tried"].as_array().unwrap();
    assert!((3..=4).contains(&tried.len()), "{found}");
    for entry in tried {
        let bits = entry["value"].as_u64().unwrap();
        let number = |key: &str| entry[key].as_f64().unwrap();
        if entry["blocks"] == 20 {
            assert!((number("loss") - loss(bits)).abs() < 1e-12, "{entry}");
        }
        let (low, high) = (number("confidence_low"), number("confidence_high"));
        let verdict = if high <= 0.02 {
            "within"
        } else if low > 0.02 {
            "beyond"
        } else {
            "undecided"
        };
        assert_eq!(entry["verdict"], verdict);
    }
    // Trying all agrees: what was found loses less than the bound, and so does each value after it.
    let bits = found["value"].as_u64().unwrap();
    assert!((bits..=9).all(|bits| loss(bits) <= 0.02), "{found}");
    assert!(loss(2) > 0.02, "the search had nothing to find");
    let spent: u64 = tried.iter().map(|entry| entry["samples"].as_u64().unwrap()).sum();
    assert_eq!(found["spent"]["samples"], spent);
    assert!(spent < 8 * 1000, "{spent}");
    // The same with one thread, but for the time; none where there is none.
    search(&["--drop", "0.02", "--out", "one.json", "--threads", "1"]).done();
    assert_eq!(read(folder, "found.json"), read(folder, "one.json"));
    says(&search(&["--drop", "0.02", "--values", "[2, 3]"]), &["--values", "safer"]);
    says(&search(&["--drop", "2"]), &["--drop", "between 0 and 1"]);
    says(&search(&["--drop", "0.1", "--limit", "4"]), &["--blocks", "at most 4"]);
}

#[test]
fn every_experiment_of_figure_1_can_be_computed() {
    let folder = tempfile::tempdir().unwrap();
    let mut points = 0;
    for entry in std::fs::read_dir(common::root().join("examples/figure1")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let point = format!("{}", 99 - 31 * points);
        let out = folder.path().join(&point).display().to_string();
        let path = path.display().to_string();
        common::memtorch(&["sweep", &path, "--limit", "2", "--point", &point, "--out", &out]).done();
        points += 1;
    }
    assert_eq!(points, 4);
}
